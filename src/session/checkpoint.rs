//! Checkpoints: one atomic file with everything a run needs to go on exactly; the newest valid one wins.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::config::RunConfig;
use crate::platform::bundle::Bundle;
use crate::reward::moments::Moments;
use crate::rl::trainer::TrainerState;

/// Raised whenever older files can no longer be read.
const VERSION: u32 = 1;
/// Checkpoints kept in a folder; older ones are removed.
const KEEP: usize = 3;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    update: u64,
    /// TOML and bits, because a number written as JSON need not read back to the last bit.
    config: String,
    moments: Moments,
    entropy_target_bits: u64,
}

/// Writes the state after `state.update` updates into `folder`, and removes old files.
///
/// # Errors
/// Where the file system refuses; files that were there stay.
pub fn save(folder: &Path, config: &RunConfig, state: TrainerState) -> Result<PathBuf> {
    let path = folder.join(format!("{:06}.safetensors", state.update));
    let header = Header {
        version: VERSION,
        update: state.update,
        config: config.to_toml(),
        moments: state.moments,
        entropy_target_bits: state.entropy_target.to_bits(),
    };
    let parts = [("policy".to_string(), state.policy), ("optimizer".to_string(), state.optimizer)].into();
    Bundle { header: serde_json::to_string(&header)?, parts }.write(&path)?;
    let files = list(folder);
    for old in &files[..files.len().saturating_sub(KEEP)] {
        let _ = fs::remove_file(old);
    }
    Ok(path)
}

/// Reads one checkpoint.
///
/// # Errors
/// Where the file is damaged or of another version.
pub fn load(path: &Path) -> Result<(RunConfig, TrainerState)> {
    let mut bundle = Bundle::read(path)?;
    let header: Header = serde_json::from_str(&bundle.header).with_context(|| path.display().to_string())?;
    anyhow::ensure!(
        header.version == VERSION,
        "{} is of version {}; this program reads {VERSION}",
        path.display(),
        header.version
    );
    let state = TrainerState {
        update: header.update,
        policy: bundle.take("policy")?,
        optimizer: bundle.take("optimizer")?,
        moments: header.moments,
        entropy_target: f64::from_bits(header.entropy_target_bits),
    };
    Ok((RunConfig::from_toml(&header.config)?, state))
}

/// What [`newest`] found: a checkpoint with its path if any is valid, and the complaints about those that are not.
pub type Newest = (Option<(PathBuf, RunConfig, TrainerState)>, Vec<String>);

/// The newest checkpoint in `folder` that is valid.
pub fn newest(folder: &Path) -> Newest {
    let mut complaints = vec![];
    for path in list(folder).into_iter().rev() {
        match load(&path) {
            Ok((config, state)) => return (Some((path, config, state)), complaints),
            Err(error) => complaints.push(format!("{error:#}; trying the one before it")),
        }
    }
    (None, complaints)
}

/// Checkpoint files in `folder`, oldest first.
fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    files.sort();
    files
}
