//! The file system of a computer.

use std::fs::{File, OpenOptions};
pub(super) use std::fs::{
    canonicalize, create_dir_all, read, read_to_string, remove_dir, remove_dir_all, remove_file, rename,
};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{Entry, Metadata, Source};

pub(super) fn open(path: &Path) -> io::Result<BufReader<File>> {
    Ok(BufReader::new(File::open(path)?))
}

/// An open file and the length it had when it was opened. The lock keeps its place from moving between finding and
/// reading: not every system reads from a place in one call.
struct OnDisk(Mutex<File>, u64);

impl Source for OnDisk {
    fn len(&self) -> u64 {
        self.1
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(into)
    }
}

pub(super) fn source(path: &Path) -> io::Result<impl Source + use<>> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    Ok(OnDisk(Mutex::new(file), found.len()))
}

pub(super) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    stream_atomic(path, |file| file.write_all(bytes))
}

/// A temporary file beside `path`, flushed to the disk, then renamed over it.
pub(super) fn stream_atomic(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        create_dir_all(parent)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary).and_then(|mut file| {
        write(&mut file)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| rename(&temporary, path)) {
        let _ = remove_file(&temporary);
        return Err(error);
    }
    Ok(())
}

pub(super) fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes)
}

pub(super) fn metadata(path: &Path) -> io::Result<Metadata> {
    let found = std::fs::metadata(path)?;
    Ok(Metadata { is_dir: found.is_dir(), is_file: found.is_file(), len: found.len(), modified: found.modified().ok() })
}

pub(super) fn list(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<Entry>> + use<>> {
    Ok(std::fs::read_dir(folder)?.map(|entry| {
        let path = entry?.path();
        // A link may lead nowhere.
        Ok(Entry { metadata: metadata(&path).unwrap_or_default(), path })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_replaces_the_file_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("deep/er/file");
        write_atomic(&path, b"one").expect("written");
        write_atomic(&path, b"two").expect("written");
        assert_eq!(read(&path).expect("read"), b"two");
        let refused = stream_atomic(&path, |file| file.write_all(b"three").and(Err(io::Error::other("no more"))));
        assert_eq!(refused.expect_err("an error").to_string(), "no more");
        assert_eq!(read(&path).expect("read"), b"two");
        assert_eq!(list(path.parent().expect("a parent")).expect("listed").count(), 1);
    }

    #[test]
    fn a_file_is_read_from_any_place() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        write_atomic(&path, b"abcdef").expect("written");
        let file = source(&path).expect("opened");
        let mut two = [0; 2];
        assert_eq!(file.len(), 6);
        for (offset, found) in [(4, b"ef"), (0, b"ab")] {
            file.read_at(offset, &mut two).expect("read");
            assert_eq!(&two, found);
        }
        assert_eq!(file.read_at(5, &mut two).expect_err("too few").kind(), ErrorKind::UnexpectedEof);
        assert!(source(dir.path()).is_err(), "a folder");
    }
}
