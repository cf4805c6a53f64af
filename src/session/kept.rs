//! Runs that were kept, for whoever wants to go on with the last one: a page keeps its runs by itself, and not for ever.

use std::path::{Path, PathBuf};

use super::checkpoint;
use super::record::Record;
use crate::platform::files;

/// The folders in `runs` that have a checkpoint, the one saved last first.
pub fn all(runs: &Path) -> Vec<PathBuf> {
    let Ok(entries) = files::list(runs) else { return vec![] };
    let folders = entries.filter_map(Result::ok).filter(|entry| entry.metadata.is_dir).map(|entry| entry.path);
    let mut saved: Vec<_> = folders
        .filter_map(|folder| {
            let (_, newest) = checkpoint::available(&Record::checkpoints(&folder)).pop()?;
            Some((files::metadata(&newest).ok()?.modified, folder))
        })
        .collect();
    saved.sort_by(|a, b| b.cmp(a));
    saved.into_iter().map(|(_, folder)| folder).collect()
}

/// Removes every folder in `runs` but the `keep` that were saved last.
pub fn prune(runs: &Path, keep: usize) {
    let kept: Vec<PathBuf> = all(runs).into_iter().take(keep).collect();
    let Ok(entries) = files::list(runs) else { return };
    for entry in entries.filter_map(Result::ok).filter(|entry| !kept.contains(&entry.path)) {
        let _ =
            if entry.metadata.is_dir { files::remove_dir_all(&entry.path) } else { files::remove_file(&entry.path) };
    }
}
