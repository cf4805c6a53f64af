//! The file system of a computer.

use std::fs::{File, OpenOptions};
pub(super) use std::fs::{
    canonicalize, create_dir_all, read, read_to_string, remove_dir, remove_dir_all, remove_file, rename,
};
use std::io::{self, BufReader, Write};
use std::path::Path;

use super::{Entry, Metadata};

pub(super) fn open(path: &Path) -> io::Result<BufReader<File>> {
    Ok(BufReader::new(File::open(path)?))
}

/// A temporary file beside `path`, flushed to the disk, then renamed over it.
pub(super) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        create_dir_all(parent)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
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
        assert_eq!(list(path.parent().expect("a parent")).expect("listed").count(), 1);
    }
}
