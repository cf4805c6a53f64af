//! `artune bench`: how long the parts of an update take here.

use anyhow::Result;

use super::RunArgs;
use crate::session::tools;

/// Arguments of `artune bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Timed runs of each job, after one warm-up; the median is reported.
    #[arg(long, default_value_t = 7)]
    repeats: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `artune bench`.
///
/// # Errors
/// Where the device fails.
pub fn run(args: &BenchArgs) -> Result<()> {
    let report = tools::bench(&args.run.options(false)?, args.repeats.max(1))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    println!("artune {} on {}, {} threads", report.version, report.device, report.threads);
    for t in &report.timings {
        println!("{:<18} {:>9.4} s  {:>10.0} {:<10} {}", t.what, t.seconds, t.rate, t.unit, t.size);
    }
    Ok(())
}
