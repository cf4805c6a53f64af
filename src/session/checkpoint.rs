//! Checkpoints: one atomic file with everything a run needs to go on exactly; the newest valid one wins.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::origin::Origin;
use crate::config::RunConfig;
use crate::platform::bundle::Bundle;
use crate::platform::files;
use crate::reward::moments::{Cov, Form, Moments};
use crate::rl::trainer::TrainerState;

/// Raised whenever older files can no longer be read.
const VERSION: u32 = 4;
/// Names of the parts of a file.
const POLICY: &str = "policy";
const OPTIMIZER: &str = "optimizer";
const MOMENTS: &str = "moments";
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
    /// Features of the moments, and whether their covariance is among them: the numbers are a part of the file.
    features: usize,
    form: Form,
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
        features: state.moments.d(),
        form: state.moments.form(),
        entropy_measured_bits: state.entropy_measured.to_bits(),
    };
    let parts = [(POLICY, state.policy), (OPTIMIZER, state.optimizer), (MOMENTS, to_bytes(state.moments))];
    let parts = parts.map(|(name, bytes)| (name.to_string(), bytes)).into();
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
        policy: bundle.take(POLICY)?,
        optimizer: bundle.take(OPTIMIZER)?,
        moments: from_bytes(&bundle.take(MOMENTS)?, header.features, header.form)
            .with_context(|| format!("{}: its moments are damaged", path.display()))?,
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
    #[derive(Deserialize)]
    struct Part {
        version: u32,
    }
    let mut bundle = Bundle::read_where(path, |name| name == POLICY)?;
    let Part { version } = serde_json::from_str(&bundle.header).with_context(|| path.display().to_string())?;
    check_version(path, version)?;
    Ok(bundle.take(POLICY)?)
}

/// The mean, then variances or covariance, as little-endian numbers of 64 bits.
fn to_bytes(Moments { mean, cov }: Moments) -> Vec<u8> {
    let (Cov::Diagonal(second) | Cov::Full(second)) = cov;
    mean.iter().chain(&second).flat_map(|number| number.to_le_bytes()).collect()
}

/// `None` where these are not as many numbers as so many features have.
fn from_bytes(bytes: &[u8], features: usize, form: Form) -> Option<Moments> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    let mut mean: Vec<f64> = numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    let second = if features <= mean.len() { mean.split_off(features) } else { return None };
    let (cov, width) = match form {
        Form::Diagonal => (Cov::Diagonal as fn(_) -> _, 1),
        Form::Full => (Cov::Full as fn(_) -> _, features),
    };
    (rest.is_empty() && features.checked_mul(width) == Some(second.len())).then(|| Moments { mean, cov: cov(second) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_come_back_bit_for_bit_and_those_of_another_size_do_not() {
        let full = Moments { mean: vec![0.1, -0.0], cov: Cov::Full(vec![1.0, 1e-300, f64::MIN_POSITIVE / 3.0, 2.0]) };
        let diagonal = Moments { mean: vec![0.1, 3.0], cov: Cov::Diagonal(vec![1.0, 0.2]) };
        for moments in [full, diagonal] {
            let (form, bytes) = (moments.form(), to_bytes(moments.clone()));
            let back = from_bytes(&bytes, 2, form).unwrap();
            assert_eq!(to_bytes(back.clone()), bytes);
            assert_eq!(back, moments);
            assert_eq!(from_bytes(&bytes[1..], 2, form), None);
            assert_eq!([0, 1, 3, 9, usize::MAX].map(|d| from_bytes(&bytes, d, form)), [const { None }; 5]);
        }
    }
}
