//! `artune sample`: a sheet of pictures.

use std::path::PathBuf;

use anyhow::Result;

use super::ModelArgs;
use crate::session::tools::{self, Sheet};

/// Arguments of `artune sample`.
#[derive(Clone, Debug, clap::Args)]
pub struct SampleArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Names the random numbers.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Run folder whose newest checkpoint is drawn from; without it, the untouched model.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Class names, comma-separated, or `all`.
    #[arg(long, default_value = "all")]
    classes: String,
    /// Pictures of each class.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1000))]
    per_class: u64,
    /// Classifier-free guidance; 1 is none.
    #[arg(long, default_value_t = 1.0)]
    guidance: f64,
    /// Below 1 likely tokens become likelier.
    #[arg(long, default_value_t = 1.0)]
    temperature: f64,
    /// Keep the likeliest tokens only; 0 keeps all.
    #[arg(long, default_value_t = 0)]
    top_k: usize,
    /// Keep the likeliest tokens up to this probability; 1 keeps all.
    #[arg(long, default_value_t = 1.0)]
    top_p: f64,
    /// PNG to write.
    #[arg(long, default_value = "samples.png")]
    png: PathBuf,
}

/// Runs `artune sample`.
///
/// # Errors
/// Where nothing can be drawn or written.
pub fn run(args: &SampleArgs) -> Result<()> {
    let sheet = Sheet {
        classes: args.classes.clone(),
        per_class: args.per_class as usize,
        guidance: args.guidance,
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        seed: args.seed,
        path: args.png.clone(),
    };
    let rows = tools::sample(&args.model.options()?, args.from.as_deref(), &sheet)?;
    println!("{}\nrows from the top: {}", args.png.display(), rows.join(", "));
    Ok(())
}
