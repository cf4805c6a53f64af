//! `artune record`: the run that the window shows before it has one of its own.

use std::path::PathBuf;

use anyhow::Result;

use super::{RunArgs, progress};
use crate::platform::files::write_atomic;
use crate::session::{Event, recording::Recording};

/// Arguments of `artune record`.
#[derive(Clone, Debug, clap::Args)]
pub struct RecordArgs {
    #[command(flatten)]
    run: RunArgs,
    /// File to write.
    #[arg(long, default_value = "assets/demo.json.gzip")]
    out: PathBuf,
}

/// Runs `artune record`.
///
/// # Errors
/// Where the run cannot be made or the file cannot be written.
pub fn run(args: &RecordArgs) -> Result<()> {
    let options = args.run.options(false)?;
    let bar = progress::bar(options.config.updates);
    let recording = Recording::of(options, |event| {
        if let Event::Update { update, .. } = event {
            bar.set_position(*update);
        }
    })?;
    bar.finish_and_clear();
    let bytes = recording.to_bytes()?;
    write_atomic(&args.out, &bytes)?;
    println!("{}: {} events, {} kB", args.out.display(), recording.events.len(), bytes.len() >> 10);
    Ok(())
}
