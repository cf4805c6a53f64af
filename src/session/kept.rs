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

/// Removes everything in `runs` but the folder in use and the `keep` others that were saved last.
pub fn prune(runs: &Path, in_use: Option<&Path>, keep: usize) {
    let is_used = |path: &Path| Some(path) == in_use;
    let kept: Vec<PathBuf> = all(runs).into_iter().filter(|folder| !is_used(folder)).take(keep).collect();
    let Ok(entries) = files::list(runs) else { return };
    let others = entries.filter_map(Result::ok).filter(|entry| !is_used(&entry.path) && !kept.contains(&entry.path));
    for entry in others {
        let _ =
            if entry.metadata.is_dir { files::remove_dir_all(&entry.path) } else { files::remove_file(&entry.path) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::files::write_atomic;

    #[test]
    fn the_run_in_use_and_those_saved_last_are_kept_and_whatever_else_lies_there_goes() {
        let dir = tempfile::tempdir().expect("a folder");
        let run = |name: &str| {
            // Only the name of a checkpoint is looked at, not what is in it.
            write_atomic(&dir.path().join(name).join("checkpoints/000003.safetensors"), b"").expect("written");
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        ["page", "page-3", "page-2"].into_iter().for_each(run);
        write_atomic(&dir.path().join("page-4/run.toml"), b"begun, never saved").expect("written");
        let names = |folders: Vec<PathBuf>| -> Vec<String> {
            folders.iter().map(|f| f.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(all(dir.path())), ["page-2", "page-3", "page"]);
        prune(dir.path(), Some(&dir.path().join("page-4")), 2);
        let left = files::list(dir.path()).expect("listed").count();
        assert_eq!((names(all(dir.path())), left), (vec!["page-2".to_string(), "page-3".into()], 3));
        assert!(all(&dir.path().join("nothing")).is_empty());
    }
}
