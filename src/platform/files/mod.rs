//! Files: the only place that touches a file system.
//!
//! A program for a computer has the system's. A page has a tree in memory that behaves alike, and whatever
//! changes in it is copied into the browser's private storage meanwhile (`private`).

#[cfg(not(target_family = "wasm"))]
mod disk;
#[cfg(target_family = "wasm")]
mod memory;
#[cfg(target_family = "wasm")]
pub mod private;
#[cfg(any(target_family = "wasm", test))]
mod tree;

use std::io::{self, BufRead, Seek, Write};
use std::path::{Path, PathBuf};

use super::source::Source;

#[cfg(not(target_family = "wasm"))]
use disk as system;
#[cfg(target_family = "wasm")]
use memory as system;

/// When something happened.
pub type Time = web_time::SystemTime;

/// What is known of a file or folder without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Whether it is a file that can be read to its end: no folder, no pipe, no device.
    pub is_file: bool,
    /// Its length in bytes; of a folder whatever the system says.
    pub len: u64,
    /// When it was last written, where the system tells.
    pub modified: Option<Time>,
}

/// Something in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is: the folder's path and its name.
    pub path: PathBuf,
    /// What is known of it; of a link, of what it leads to. Nothing (neither folder nor file) where that is not there.
    pub metadata: Metadata,
}

/// All bytes of a file.
///
/// # Errors
/// Whatever the file system refuses; `NotFound` where there is none.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    system::read(path)
}

/// The text of a file.
///
/// # Errors
/// As [`read`]; `InvalidData` where it is no UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    system::read_to_string(path)
}

/// Opens a file for reading it in parts. The handle need not notice what is written after it was opened.
///
/// # Errors
/// As [`read`].
pub fn open(path: &Path) -> io::Result<impl BufRead + Seek + use<>> {
    system::open(path)
}

/// Opens a file for reading it from any place, such as a network of some gigabytes. What is written to it later may
/// be seen or not.
///
/// # Errors
/// As [`read`].
pub fn source(path: &Path) -> io::Result<impl Source + use<>> {
    system::source(path)
}

/// Writes `bytes` to `path` so that a crash at any moment leaves the old file or the new one. Folders on the way are
/// made.
///
/// # Errors
/// Whatever the file system refuses; `path` is then untouched. `StorageFull` where a page holds too much already.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    system::write_atomic(path, bytes)
}

/// As [`write_atomic`], for a file that is too large for the memory: `write` gives its bytes one part after the other.
///
/// # Errors
/// As [`write_atomic`]; whatever `write` fails with.
pub fn stream_atomic(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    system::stream_atomic(path, write)
}

/// Adds `bytes` at the end of a file, which is made where there is none; its folder must exist.
///
/// # Errors
/// As [`write_atomic`].
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    system::append(path, bytes)
}

/// Makes a folder and those on the way to it; one that exists is no error.
///
/// # Errors
/// Whatever the file system refuses, such as a file that is in the way.
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    system::create_dir_all(path)
}

/// What is known of a file or folder, of a link of what it leads to.
///
/// # Errors
/// Whatever the file system refuses; `NotFound` where there is nothing.
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    system::metadata(path)
}

/// Whether there is anything at `path`.
pub fn exists(path: &Path) -> bool {
    metadata(path).is_ok()
}

/// Whether there is a folder at `path`.
pub fn is_dir(path: &Path) -> bool {
    metadata(path).is_ok_and(|metadata| metadata.is_dir)
}

/// Whether there is a file at `path`.
pub fn is_file(path: &Path) -> bool {
    metadata(path).is_ok_and(|metadata| metadata.is_file)
}

/// What is in a folder, in no order, read as the iterator goes on.
///
/// # Errors
/// Whatever the file system refuses, also on the way; `NotADirectory` where it is no folder.
pub fn list(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<Entry>> + use<>> {
    system::list(folder)
}

/// Removes a file.
///
/// # Errors
/// Whatever the file system refuses; `NotFound` where there is none.
pub fn remove_file(path: &Path) -> io::Result<()> {
    system::remove_file(path)
}

/// Removes an empty folder.
///
/// # Errors
/// Whatever the file system refuses; `DirectoryNotEmpty` where anything is in it.
pub fn remove_dir(path: &Path) -> io::Result<()> {
    system::remove_dir(path)
}

/// Removes a folder with all that is in it.
///
/// # Errors
/// Whatever the file system refuses; something may be gone by then.
pub fn remove_dir_all(path: &Path) -> io::Result<()> {
    system::remove_dir_all(path)
}

/// Moves a file or folder; a file or an empty folder at `to` is replaced.
///
/// # Errors
/// Whatever the file system refuses.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    system::rename(from, to)
}

/// The full path, without links and dots.
///
/// # Errors
/// Whatever the file system refuses; `NotFound` where there is nothing.
pub fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    system::canonicalize(path)
}

/// `folder`, or the first of `folder-2`, `folder-3`, … that does not exist: a new run never overwrites an old one.
pub fn unused_folder(folder: &Path) -> PathBuf {
    let numbered = (2..).map(|n: u64| PathBuf::from(format!("{}-{n}", folder.display())));
    let mut names = std::iter::once(folder.to_owned()).chain(numbered);
    names.find(|folder| !exists(folder)).unwrap_or_else(|| folder.to_owned())
}

/// A computer's files need no storing elsewhere.
#[cfg(not(target_family = "wasm"))]
pub mod private {
    /// Nothing to do.
    ///
    /// # Errors
    /// Never.
    pub async fn open() -> Result<(), String> {
        Ok(())
    }

    /// Nothing to wait for.
    pub async fn flush() {}

    /// Nothing to tell.
    pub fn trouble() -> Option<String> {
        None
    }
}
