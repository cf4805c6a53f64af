//! The file system of a computer.

use std::fs::{File, OpenOptions};
pub(super) use std::fs::{
    canonicalize, create_dir_all, read, read_to_string, remove_dir, remove_dir_all, remove_file, rename,
};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
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
    // Asked before it is opened: a pipe would wait for someone to write.
    let found = std::fs::metadata(path)?;
    if found.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is a pipe or a device, and only files can be read"));
    }
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    Ok(OnDisk(Mutex::new(file), len))
}

/// A temporary file beside `path`, flushed to the disk, then renamed over it.
pub(super) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = Writing::create(path)?;
    file.write_all(bytes)?;
    file.finish()
}

/// A temporary file that takes the place of another when it is finished, and goes when it is not.
pub struct Writing {
    file: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    /// Whether it has taken its place, and nothing is left to remove.
    finished: bool,
}

impl Writing {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            create_dir_all(parent)?;
        }
        // Two writers of one file must not share a temporary one, nor take over what a crash left behind.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let mut name = path.file_name().unwrap_or_default().to_os_string();
            name.push(format!(".{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
            let temporary = path.with_file_name(name);
            match File::create_new(&temporary) {
                Ok(file) => {
                    let (file, path) = (BufWriter::new(file), path.to_owned());
                    return Ok(Self { file, temporary, path, finished: false });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// Whatever the file system refuses; what was there before is then untouched.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        rename(&self.temporary, &self.path)?;
        self.finished = true;
        Ok(())
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.finished {
            let _ = remove_file(&self.temporary);
        }
    }
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

    #[test]
    fn what_is_not_finished_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        write_atomic(&path, b"one").expect("written");
        let mut file = Writing::create(&path).expect("created");
        file.write_all(b"two").expect("written");
        drop(file);
        assert_eq!(read(&path).expect("read"), b"one");
        assert_eq!(list(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn two_writers_of_one_file_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        let [mut one, mut two] = [(), ()].map(|()| Writing::create(&path).expect("created"));
        one.write_all(b"one").expect("written");
        two.write_all(b"second").expect("written");
        one.finish().expect("finished");
        assert_eq!(read(&path).expect("read"), b"one");
        two.finish().expect("finished");
        assert_eq!(read(&path).expect("read"), b"second");
        assert_eq!(list(dir.path()).expect("listed").count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_refused_before_it_is_opened() {
        let error = source(Path::new("/dev/null")).err().expect("a device");
        assert!(error.to_string().contains("only files"), "{error}");
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
