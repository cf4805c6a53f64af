//! `artune sample`: a sheet of pictures.

use std::path::PathBuf;

use anyhow::Result;

use super::{ModelArgs, progress};
use crate::session::tools::{self, Sheet, Target};

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
    #[arg(long, default_value = "samples.png", conflicts_with = "out")]
    png: PathBuf,
    /// Write an npz instead, as OpenAI's evaluator reads it: one array `arr_0` of bytes [N, H, W, 3].
    #[arg(long, value_name = "X.npz")]
    out: Option<PathBuf>,
    /// Pictures of the npz in all, the classes in turn; without it `--per-class` of each.
    #[arg(long, requires = "out", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    samples: Option<u64>,
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
        target: match &args.out {
            Some(path) => {
                let npz = path.extension().is_some_and(|extension| extension == "npz");
                anyhow::ensure!(npz, "{} has to end in .npz; for a picture use --png", path.display());
                Target::Array { path: path.clone(), samples: args.samples.map(|samples| samples as usize) }
            }
            None => Target::Sheet(args.png.clone()),
        },
    };
    let mut bar = None;
    let rows = tools::sample(&args.model.options()?, args.from.as_deref(), &sheet, &mut |done, of| {
        bar.get_or_insert_with(|| progress::bar(of as u64)).set_position(done as u64);
    })?;
    bar.inspect(indicatif::ProgressBar::finish_and_clear);
    match &args.out {
        Some(path) => println!("{}", path.display()),
        None => println!("{}\nrows from the top: {}", args.png.display(), rows.join(", ")),
    }
    Ok(())
}
