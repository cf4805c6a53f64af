//! A file system in memory, for pages. It refuses what a disk refuses, with the same kinds of error; links and rights
//! it has none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::super::source::{self, Source};
use super::{Entry, Metadata, Time};

/// The bytes of a file, shared with whoever reads it: none are copied until the file changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bytes(pub(super) Arc<Vec<u8>>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Source for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        source::copy(&self.0, offset, into)
    }
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// What it holds.
        bytes: Bytes,
        /// When it was last written.
        modified: Time,
    },
}

impl Node {
    /// A file that holds `bytes`.
    pub(super) fn file(bytes: Vec<u8>, modified: Time) -> Self {
        Self::File { bytes: Bytes(Arc::new(bytes)), modified }
    }
}

/// Files and folders by path. Relative paths begin at the root.
#[derive(Debug)]
pub(super) struct Tree {
    /// Paths of names only. Ordered by their parts, so what is in a folder follows it.
    nodes: BTreeMap<PathBuf, Node>,
    /// Bytes of all files.
    used: u64,
    /// Bytes that all files may have.
    budget: u64,
    /// Paths whose content may have changed, in the order in which they did, each once.
    changed: VecDeque<PathBuf>,
    waiting: BTreeSet<PathBuf>,
}

impl Tree {
    /// An empty tree whose files may hold `budget` bytes together.
    pub(super) const fn new(budget: u64) -> Self {
        Self { nodes: BTreeMap::new(), used: 0, budget, changed: VecDeque::new(), waiting: BTreeSet::new() }
    }

    pub(super) fn read(&self, path: &Path) -> io::Result<Bytes> {
        match self.find(&key(path))? {
            Node::File { bytes, .. } => Ok(bytes.clone()),
            Node::Folder => Err(ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let key = key(path);
        self.create_dir_all(parent(&key))?;
        let before = self.length(&key)?;
        self.afford(before, bytes.len() as u64)?;
        self.nodes.insert(key.clone(), Node::file(bytes.to_vec(), Time::now()));
        self.note(key);
        Ok(())
    }

    pub(super) fn append(&mut self, path: &Path, more: &[u8]) -> io::Result<()> {
        let key = key(path);
        self.folder(parent(&key))?;
        let before = self.length(&key)?;
        self.afford(before, before + more.len() as u64)?;
        let node = self.nodes.entry(key.clone()).or_insert_with(|| Node::file(vec![], Time::now()));
        if let Node::File { bytes, modified } = node {
            // Copies only where someone still reads what was there.
            Arc::make_mut(&mut bytes.0).extend_from_slice(more);
            *modified = Time::now();
        }
        self.note(key);
        Ok(())
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let key = key(path);
        let is_file = |path: &Path| matches!(self.nodes.get(path), Some(Node::File { .. }));
        if is_file(&key) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if key.ancestors().any(is_file) {
            return Err(ErrorKind::NotADirectory.into());
        }
        let missing = |path: &&Path| !path.as_os_str().is_empty() && !self.nodes.contains_key(*path);
        let missing: Vec<PathBuf> = key.ancestors().filter(missing).map(Path::to_owned).collect();
        for folder in missing.into_iter().rev() {
            self.nodes.insert(folder.clone(), Node::Folder);
            self.note(folder);
        }
        Ok(())
    }

    pub(super) fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        Ok(match self.find(&key(path))? {
            Node::Folder => Metadata { is_dir: true, ..Metadata::default() },
            Node::File { bytes, modified } => {
                Metadata { is_dir: false, is_file: true, len: bytes.0.len() as u64, modified: Some(*modified) }
            }
        })
    }

    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let key = key(folder);
        self.folder(&key)?;
        let inside = self.inside(&key).filter(|path| path.parent() == Some(&key));
        inside
            .map(|path| {
                let name = path.file_name().unwrap_or_default();
                Ok(Entry { path: folder.join(name), metadata: self.metadata(path)? })
            })
            .collect()
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let key = key(path);
        self.read(&key)?;
        self.remove(key);
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        let key = key(path);
        self.folder(&key)?;
        if self.inside(&key).next().is_some() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        self.remove(key);
        Ok(())
    }

    pub(super) fn remove_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let key = key(path);
        self.folder(&key)?;
        let inside: Vec<PathBuf> = self.inside(&key).cloned().collect();
        inside.into_iter().rev().for_each(|path| self.remove(path));
        self.remove(key);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (key(from), key(to));
        self.folder(parent(&from))?;
        self.folder(parent(&to))?;
        let folder = *self.find(&from)? == Node::Folder;
        if from == to {
            return Ok(());
        }
        if folder && to.starts_with(&from) {
            return Err(ErrorKind::InvalidInput.into());
        }
        if from.starts_with(&to) {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        match self.find(&to) {
            Ok(Node::Folder) if !folder => return Err(ErrorKind::IsADirectory.into()),
            Ok(Node::File { .. }) if folder => return Err(ErrorKind::NotADirectory.into()),
            Ok(Node::Folder) => self.remove_dir(&to)?,
            Ok(Node::File { .. }) => self.remove_file(&to)?,
            Err(_) => {}
        }
        let inside: Vec<PathBuf> = self.inside(&from).cloned().collect();
        // What is new comes first, so that whoever stores it never has neither.
        let moved: Vec<PathBuf> = std::iter::once(from).chain(inside).collect();
        for path in &moved {
            let rest = path.strip_prefix(&moved[0]).unwrap_or(path);
            let place = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
            if let Some(node) = self.nodes.remove(path) {
                self.nodes.insert(place.clone(), node);
                self.note(place);
            }
        }
        moved.into_iter().rev().for_each(|path| self.note(path));
        Ok(())
    }

    pub(super) fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        let key = key(path);
        self.find(&key)?;
        Ok(Path::new("/").join(key))
    }

    /// Takes over what was stored before. What is there already stays, and nothing counts as changed.
    pub(super) fn restore(&mut self, path: &Path, node: Node) -> io::Result<()> {
        let key = key(path);
        if let Err(error) = self.find(&key)
            && error.kind() == ErrorKind::NotFound
        {
            if let Node::File { bytes, .. } = &node {
                self.afford(0, bytes.0.len() as u64)?;
            }
            self.nodes.insert(key, node);
        }
        Ok(())
    }

    /// The path that has waited longest to be stored, and what is there now (`None`: nothing any more).
    pub(super) fn take_changed(&mut self) -> Option<(PathBuf, Option<Node>)> {
        let path = self.changed.pop_front()?;
        self.waiting.remove(&path);
        let node = self.nodes.get(&path).cloned();
        Some((path, node))
    }

    /// Whether anything waits to be stored.
    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Nothing will ever be stored, so nothing needs to wait for it.
    pub(super) fn forget_changes(&mut self) {
        self.changed.clear();
        self.waiting.clear();
    }

    /// Length in bytes of the file that is to be written; 0 where there is none yet.
    fn length(&self, key: &Path) -> io::Result<u64> {
        match self.read(key) {
            Ok(bytes) => Ok(bytes.0.len() as u64),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Counts a file that changes its length, both in bytes.
    fn afford(&mut self, before: u64, after: u64) -> io::Result<()> {
        let used = self.used - before + after;
        if used > self.budget && after > before {
            let full = format!("more than {} MB cannot be kept in a page", self.budget / 1_000_000);
            return Err(io::Error::new(ErrorKind::StorageFull, full));
        }
        self.used = used;
        Ok(())
    }

    fn find(&self, key: &Path) -> io::Result<&Node> {
        if key.as_os_str().is_empty() {
            return Ok(&Node::Folder);
        }
        self.nodes.get(key).ok_or_else(|| {
            let through_a_file =
                key.ancestors().skip(1).any(|path| matches!(self.nodes.get(path), Some(Node::File { .. })));
            if through_a_file { ErrorKind::NotADirectory } else { ErrorKind::NotFound }.into()
        })
    }

    /// Succeeds where there is a folder.
    fn folder(&self, key: &Path) -> io::Result<()> {
        match self.find(key)? {
            Node::Folder => Ok(()),
            Node::File { .. } => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// Everything in a folder and in its folders, a folder before what is in it.
    fn inside<'a>(&'a self, key: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
        let after = (Bound::Excluded(key.to_owned()), Bound::Unbounded);
        self.nodes.range(after).map(|(path, _)| path).take_while(move |path| path.starts_with(key))
    }

    fn remove(&mut self, key: PathBuf) {
        if let Some(Node::File { bytes, .. }) = self.nodes.remove(&key) {
            self.used -= bytes.0.len() as u64;
        }
        self.note(key);
    }

    fn note(&mut self, key: PathBuf) {
        // The root is always there.
        if !key.as_os_str().is_empty() && self.waiting.insert(key.clone()) {
            self.changed.push_back(key);
        }
    }
}

/// A path as the tree knows it: its names, dots resolved.
fn key(path: &Path) -> PathBuf {
    let mut key = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => key.push(name),
            Component::ParentDir => {
                key.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    key
}

/// The folder of a path; the root's is the root.
fn parent(key: &Path) -> &Path {
    key.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests;
