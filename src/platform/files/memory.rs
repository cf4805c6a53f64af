//! The file system of a page: one tree in memory.

use std::io::{self, Cursor, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::private;
use super::tree::{Bytes, Tree};
use super::{Entry, Metadata};

/// Bytes that a page's files may hold together: they share its memory, 4 GB at most, with all that computes.
const BUDGET: u64 = 512_000_000;

static TREE: Mutex<Tree> = Mutex::new(Tree::new(BUDGET));

/// Works with the tree. What changes in it is stored later ([`changing`]).
pub(super) fn with<T>(work: impl FnOnce(&mut Tree) -> T) -> T {
    work(&mut TREE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Works with the tree, then has what changed stored.
fn changing<T>(work: impl FnOnce(&mut Tree) -> T) -> T {
    let result = with(work);
    private::wake();
    result
}

pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    Ok(with(|tree| tree.read(path))?.as_ref().to_vec())
}

pub(super) fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

pub(super) fn open(path: &Path) -> io::Result<Cursor<Bytes>> {
    Ok(Cursor::new(with(|tree| tree.read(path))?))
}

pub(super) fn source(path: &Path) -> io::Result<Bytes> {
    with(|tree| tree.read(path))
}

pub(super) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    changing(|tree| tree.write(path, bytes))
}

pub(super) fn stream_atomic(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut bytes = vec![];
    write(&mut bytes)?;
    write_atomic(path, &bytes)
}

pub(super) fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    changing(|tree| tree.append(path, bytes))
}

pub(super) fn create_dir_all(path: &Path) -> io::Result<()> {
    changing(|tree| tree.create_dir_all(path))
}

pub(super) fn metadata(path: &Path) -> io::Result<Metadata> {
    with(|tree| tree.metadata(path))
}

pub(super) fn list(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<Entry>> + use<>> {
    Ok(with(|tree| tree.list(folder))?.into_iter().map(Ok))
}

pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    changing(|tree| tree.remove_file(path))
}

pub(super) fn remove_dir(path: &Path) -> io::Result<()> {
    changing(|tree| tree.remove_dir(path))
}

pub(super) fn remove_dir_all(path: &Path) -> io::Result<()> {
    changing(|tree| tree.remove_dir_all(path))
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    changing(|tree| tree.rename(from, to))
}

pub(super) fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    with(|tree| tree.canonicalize(path))
}
