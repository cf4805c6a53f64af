//! `artune export`: a tuned model for other programs.

use std::path::PathBuf;

use anyhow::Result;

use super::ModelArgs;
use crate::session::tools;

/// Arguments of `artune export`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    /// Run folder whose newest checkpoint is exported.
    run_folder: PathBuf,
    /// File to write: .pt for LlamaGen's own sampler, else safetensors.
    #[arg(long, default_value = "prior.safetensors")]
    out: PathBuf,
    /// Store half precision.
    #[arg(long)]
    half: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// Runs `artune export`.
///
/// # Errors
/// Where the run has no checkpoint or the file cannot be written.
pub fn run(args: &ExportArgs) -> Result<()> {
    tools::export(&args.model.options()?, &args.run_folder, args.half, &args.out)?;
    println!("{}", args.out.display());
    Ok(())
}
