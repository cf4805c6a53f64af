//! Containers of tensors against what is in them: `pt_formats*`, `npz_formats*`, and every checkpoint that lies beside
//! a case's `weights.safetensors`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use artune::formats::{Dtype, Tensors};
use artune::platform::files;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::case::Case;

/// Keys that a checkpoint may have beside the network's: parts that only training needs, and what follows from the
/// configuration.
const EXTRA: &[&str] =
    &["loss.", "input_resolution", "context_length", "vocab_size", "attn.mask", "num_batches_tracked", "codebook_used"];

/// Every container in the folder holds exactly the tensors of `expected.safetensors`.
pub fn check(case: &Case) -> Result<()> {
    let expected = std::fs::read(case.dir.join("expected.safetensors")).context("expected.safetensors")?;
    let expected = SafeTensors::deserialize(&expected)?;
    let containers = paths(case, &["pt", "pth", "ckpt", "npz"])?;
    ensure!(!containers.is_empty(), "it has no containers");
    containers.iter().try_for_each(|path| compare(path, &expected, &[]))
}

/// Every checkpoint that lies beside `weights.safetensors` holds the same tensors.
pub fn check_beside_weights(case: &Case) -> Result<()> {
    let checkpoints = paths(case, &["pt", "pth", "ckpt"])?;
    if checkpoints.is_empty() || !case.weights().is_file() {
        return Ok(());
    }
    let weights = std::fs::read(case.weights())?;
    let weights = SafeTensors::deserialize(&weights)?;
    checkpoints.iter().try_for_each(|path| compare(path, &weights, EXTRA))
}

/// The case's files with one of these extensions, sorted.
fn paths(case: &Case, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&case.dir)?.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| extensions.iter().any(|e| found == *e)));
    paths.sort();
    Ok(paths)
}

/// Fails unless the file at `path` holds `expected`, bit by bit, and nothing else but keys that have a part of `extra`.
fn compare(path: &Path, expected: &SafeTensors, extra: &[&str]) -> Result<()> {
    let open = Tensors::open(files::source(path)?).with_context(|| path.display().to_string())?;
    let found: Vec<&str> = open.names().filter(|name| !extra.iter().any(|part| name.contains(part))).collect();
    let mut names: Vec<&str> = expected.names();
    names.retain(|name| found.contains(name) || !extra.iter().any(|part| name.contains(part)));
    names.sort_unstable();
    ensure!(found == names, "{} has {found:?}, expected {names:?}", path.display());
    for name in names {
        same(&open, name, &expected.tensor(name)?).with_context(|| format!("{}: {name}", path.display()))?;
    }
    println!("    {}: {}, {} tensors equal", path.display(), open.container(), found.len());
    Ok(())
}

fn same(open: &Tensors, name: &str, expected: &TensorView) -> Result<()> {
    let info = open.info(name).context("it is listed, but not known")?;
    ensure!(info.shape == expected.shape(), "shape {:?}, expected {:?}", info.shape, expected.shape());
    // Where the file is narrower or wider, the golden values are f32.
    let widened = expected.dtype() == safetensors::Dtype::F32 && info.dtype.is_float();
    let kind = match info.dtype {
        Dtype::Bool => "U8".to_owned(),
        _ if widened => "F32".to_owned(),
        dtype => dtype.to_string(),
    };
    ensure!(kind == format!("{:?}", expected.dtype()), "{} instead of {:?}", info.dtype, expected.dtype());
    let bytes = if widened { bytemuck::cast_slice(&open.f32(name)?).to_vec() } else { open.bytes(name)? };
    ensure!(bytes == expected.data(), "its numbers differ");
    Ok(())
}
