//! `artune import`: which network does a file hold?

use std::path::PathBuf;

use anyhow::Result;

use crate::session::networks;

/// Arguments of `artune import`.
#[derive(Clone, Debug, clap::Args)]
pub struct ImportArgs {
    /// A file as its authors publish it: safetensors, .pt, .pth, .ckpt, a TorchScript archive, .npz.
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    /// The network that the file holds, where its tensors do not tell it from another.
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Write the network here as safetensors; without it the file is only looked at.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Store matrices and tables in half precision.
    #[arg(long, requires = "out")]
    half: bool,
    /// List the networks that are known, and where they are from.
    #[arg(long)]
    list: bool,
}

/// Runs `artune import`.
///
/// # Errors
/// Where the file cannot be read, holds no known network, or does not fit the one that it resembles.
pub fn run(args: &ImportArgs) -> Result<()> {
    if args.list {
        print!("{}", networks::published());
    }
    let Some(path) = &args.file else { return Ok(()) };
    let examined = networks::examine(path, args.name.as_deref())?;
    println!("{examined}");
    anyhow::ensure!(examined.found().fits(), "{} does not fit {}", path.display(), examined.found().name());
    if let Some(out) = &args.out {
        examined.import(args.half, out)?;
        println!("{}", out.display());
    }
    Ok(())
}
