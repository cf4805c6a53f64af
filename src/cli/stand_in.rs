//! `artune stand-in`: a rehearsal without the download.

use std::path::PathBuf;

use anyhow::Result;

use crate::session::networks;

/// Arguments of `artune stand-in`.
#[derive(Clone, Debug, clap::Args)]
pub struct StandInArgs {
    /// A published network; `artune import --list` lists them.
    name: String,
    /// File to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Store matrices and tables in half precision.
    #[arg(long)]
    half: bool,
}

/// Runs `artune stand-in`.
///
/// # Errors
/// Where there is no such network or the file cannot be written.
pub fn run(args: &StandInArgs) -> Result<()> {
    println!("{}", networks::stand_in(&args.name, args.half, &args.out)?);
    Ok(())
}
