//! Files that are whole or absent, never half written.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path` so that a crash at any moment leaves the old file or the new one: a temporary file
/// beside it, flushed to the disk, then renamed over it.
///
/// # Errors
/// Whatever the file system refuses; `path` is then untouched.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&temporary, path)) {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(())
}

/// `folder`, or the first of `folder-2`, `folder-3`, … that does not exist: a new run never overwrites an old one.
pub fn unused_folder(folder: &Path) -> PathBuf {
    let numbered = (2..).map(|n: u64| PathBuf::from(format!("{}-{n}", folder.display())));
    let mut names = std::iter::once(folder.to_owned()).chain(numbered);
    names.find(|folder| !folder.exists()).unwrap_or_else(|| folder.to_owned())
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
        assert_eq!(fs::read(&path).expect("read"), b"two");
        assert_eq!(fs::read_dir(path.parent().expect("a parent")).expect("listed").count(), 1);
    }
}
