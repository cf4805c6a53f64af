//! `artune statistics`: what a run with the shipped networks begins with, computed anew.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::platform::files::write_atomic;
use crate::session::tools;

/// Arguments of `artune statistics`.
#[derive(Clone, Debug, clap::Args)]
pub struct StatisticsArgs {
    /// File to write.
    #[arg(long, default_value = "assets/statistics.safetensors")]
    out: PathBuf,
}

/// Runs `artune statistics`.
///
/// # Errors
/// Where a network does not load or the file cannot be written.
pub fn run(args: &StatisticsArgs) -> Result<()> {
    let bytes = tools::statistics()?;
    write_atomic(&args.out, &bytes).with_context(|| args.out.display().to_string())?;
    println!("{}: {} kB", args.out.display(), bytes.len() >> 10);
    Ok(())
}
