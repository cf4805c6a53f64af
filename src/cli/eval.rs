//! `artune eval`: figures, each with how it was measured.

use std::path::PathBuf;

use anyhow::Result;

use super::ModelArgs;
use crate::session::evaluate::Request;
use crate::session::tools;

/// Arguments of `artune eval`.
#[derive(Clone, Debug, clap::Args)]
pub struct EvalArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Names the random numbers.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Run folder whose newest checkpoint is measured; without it, the untouched model.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Measure the tokenizer, CLIP, preference and feature networks on held-out names instead of samples.
    #[arg(long, conflicts_with = "from")]
    networks: bool,
    /// Pictures to draw.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u64).range(16..=50_000))]
    samples: u64,
    /// Classifier-free guidance; 1 is none.
    #[arg(long, default_value_t = 1.0)]
    guidance: f64,
    /// Temperature.
    #[arg(long, default_value_t = 1.0)]
    temperature: f64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `artune eval`.
///
/// # Errors
/// Where nothing can be measured.
pub fn run(args: &EvalArgs) -> Result<()> {
    let options = args.model.options()?;
    let (metrics, protocol) = if args.networks {
        tools::evaluate_networks(&options)?
    } else {
        let request = Request {
            samples: args.samples as usize,
            guidance: args.guidance,
            temperature: args.temperature,
            seed: args.seed,
        };
        let evaluation = tools::evaluate(&options, args.from.as_deref(), &request)?;
        (evaluation.metrics, evaluation.protocol)
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "metrics": metrics, "protocol": protocol }))?);
        return Ok(());
    }
    let width = metrics.keys().map(String::len).max().unwrap_or(0);
    for (name, value) in &metrics {
        println!("{name:<width$}  {value:>10.4}");
    }
    println!("measured by {protocol}");
    Ok(())
}
