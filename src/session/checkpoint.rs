//! Checkpoints: one atomic file with everything a run needs to go on exactly; the newest valid one wins.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::origin::Origin;
use crate::config::RunConfig;
use crate::platform::bundle::Bundle;
use crate::platform::files;
use crate::reward::moments::Moments;
use crate::rl::trainer::TrainerState;

/// Raised whenever older files can no longer be read.
const VERSION: u32 = 4;
/// Checkpoints kept in a folder; older ones are removed.
const KEEP: usize = 3;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    update: u64,
    /// TOML and bits, because a number written as JSON need not read back to the last bit.
    config: String,
    origin: Origin,
    seconds: f64,
    moments: Moments,
    entropy_measured_bits: u64,
}

/// A run as a checkpoint holds it.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Its settings when it was saved.
    pub config: RunConfig,
    /// Its pictures and networks.
    pub origin: Origin,
    /// Seconds it had been running.
    pub seconds: f64,
    /// Everything that was learnt.
    pub state: TrainerState,
}

/// Writes a checkpoint into `folder`, and removes old files.
///
/// # Errors
/// Where the file system refuses; files that were there stay.
pub fn save(folder: &Path, saved: Saved) -> Result<PathBuf> {
    let Saved { config, origin, seconds, state } = saved;
    let path = folder.join(format!("{:06}.safetensors", state.update));
    let header = Header {
        version: VERSION,
        update: state.update,
        config: config.to_toml(),
        origin,
        seconds,
        moments: state.moments,
        entropy_measured_bits: state.entropy_measured.to_bits(),
    };
    let parts = [("policy".to_string(), state.policy), ("optimizer".to_string(), state.optimizer)].into();
    Bundle { header: serde_json::to_string(&header)?, parts }.write(&path)?;
    let kept = list(folder);
    for old in kept[..kept.len().saturating_sub(KEEP)].iter().filter(|old| **old != path) {
        let _ = files::remove_file(old);
    }
    Ok(path)
}

/// Reads one checkpoint.
///
/// # Errors
/// Where the file is damaged or of another version.
pub fn load(path: &Path) -> Result<Saved> {
    let mut bundle = Bundle::read(path)?;
    let header: Header = serde_json::from_str(&bundle.header).with_context(|| path.display().to_string())?;
    check_version(path, header.version)?;
    let state = TrainerState {
        update: header.update,
        policy: bundle.take("policy")?,
        optimizer: bundle.take("optimizer")?,
        moments: header.moments,
        entropy_measured: f64::from_bits(header.entropy_measured_bits),
    };
    let config = RunConfig::from_toml(&header.config)?;
    Ok(Saved { config, origin: header.origin, seconds: header.seconds, state })
}

/// The checkpoints in `folder`, oldest first, by the number of their last update. They may still turn out damaged.
pub fn available(folder: &Path) -> Vec<(u64, PathBuf)> {
    let update = |path: &Path| path.file_stem()?.to_str()?.parse().ok();
    list(folder).into_iter().filter_map(|path| Some((update(&path)?, path))).collect()
}

/// The policy's record of one checkpoint ([`TrainerState::policy`]).
///
/// # Errors
/// As [`load`].
pub fn policy(path: &Path) -> Result<Vec<u8>> {
    Ok(load(path)?.state.policy)
}

/// What a checkpoint says of itself.
#[derive(Clone, Debug)]
pub struct Glance {
    /// Updates done.
    pub update: u64,
    /// The run's settings when it was saved.
    pub config: RunConfig,
    /// Its pictures and networks.
    pub origin: Origin,
}

/// Reads what a checkpoint says of itself, without the weights: quick, however large the file is.
///
/// # Errors
/// Where the file is no checkpoint, is cut, or is of another version.
pub fn glance(path: &Path) -> Result<Glance> {
    #[derive(Deserialize)]
    struct Part {
        version: u32,
        update: u64,
        config: String,
        origin: Origin,
    }
    let header = Bundle::header(path)?;
    let Part { version, update, config, origin } =
        serde_json::from_str(&header).with_context(|| path.display().to_string())?;
    check_version(path, version)?;
    Ok(Glance { update, config: RunConfig::from_toml(&config)?, origin })
}

fn check_version(path: &Path, version: u32) -> Result<()> {
    let path = path.display();
    anyhow::ensure!(version == VERSION, "{path} is of version {version}; this program reads {VERSION}");
    Ok(())
}

/// The newest checkpoint file in `folder`, valid or not.
pub fn newest_file(folder: &Path) -> Option<PathBuf> {
    list(folder).pop()
}

/// What [`newest`] found: a checkpoint with its path if any is valid, and the complaints about those that are not.
pub type Newest = (Option<(PathBuf, Saved)>, Vec<String>);

/// The newest checkpoint in `folder` that is valid.
pub fn newest(folder: &Path) -> Newest {
    let mut complaints = vec![];
    for path in list(folder).into_iter().rev() {
        match load(&path) {
            Ok(saved) => return (Some((path, saved)), complaints),
            Err(error) => complaints.push(format!("{error:#}; trying the one before it")),
        }
    }
    (None, complaints)
}

/// Checkpoint files in `folder`, oldest first.
fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = files::list(folder) else { return vec![] };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|e| Some(e.ok()?.path))
        .filter(|p| p.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    found.sort();
    found
}
