//! `artune tune`: the main job, without a window.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use clap::Args;

use super::{RunArgs, progress};
use crate::platform::files;
use crate::session::{Command, Event, Metrics, Options, Phase, start};

/// Arguments of `artune tune`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = super::presets::parameters())]
pub struct TuneArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Run folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on from the newest valid checkpoint in the run folder.
    #[arg(long)]
    resume: bool,
    /// Print every event as one line of JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs `artune tune`.
///
/// # Errors
/// Where the run cannot start or cannot go on.
pub fn run(args: &TuneArgs) -> Result<()> {
    let options = args.run.options(args.resume)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => PathBuf::from(format!("runs/{}-{}", args.run.name(), options.config.seed)),
    };
    check_folder(&out, args.resume)?;
    if args.resume {
        super::check_resume(&args.run, args.out.is_some())?;
    }
    let session = start(Options { out: Some(out.clone()), resume: args.resume, autostart: true, ..options });
    let commands = session.sender();
    // The first Ctrl-C saves and ends; a second one, for the impatient, ends at once.
    let interrupted = Arc::new(AtomicBool::new(false));
    let pressed = interrupted.clone();
    ctrlc::set_handler(move || {
        if pressed.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("\nsaving after this step…");
        let _ = commands.send(Command::Quit);
    })?;

    let mut report = Report { json: args.json, bar: None, total: 0, update: 0, measured: false };
    let mut failure = None;
    while let Some(event) = session.wait() {
        if args.json {
            println!("{}", serde_json::to_string(&event)?);
        }
        match &event {
            Event::State(crate::session::State::Finished) => session.send(Command::Quit),
            Event::Failed { error, advice } => failure = Some(format!("{error}\n{advice}").trim_end().to_string()),
            Event::State(crate::session::State::Ended) => break,
            _ => {}
        }
        report.observe(&event);
    }
    session.join();
    if let Some(failure) = failure {
        report.bar.inspect(|bar| bar.finish_and_clear());
        bail!(failure);
    }
    report.close(&out);
    if interrupted.load(Ordering::Relaxed) {
        std::process::exit(INTERRUPTED);
    }
    Ok(())
}

/// Exit code after Ctrl-C, as a shell has it.
const INTERRUPTED: i32 = 130;

/// Refuses a folder that holds a run, unless it is to be resumed.
///
/// # Errors
/// A sentence that says so.
pub fn check_folder(out: &Path, resume: bool) -> Result<()> {
    if !resume && files::is_dir(&out.join("checkpoints")) {
        bail!("{} already holds a run; add --resume to go on with it, or choose another --out", out.display());
    }
    Ok(())
}

struct Report {
    json: bool,
    bar: Option<indicatif::ProgressBar>,
    total: u64,
    update: u64,
    /// The protocol of the figures has been told.
    measured: bool,
}

impl Report {
    fn observe(&mut self, event: &Event) {
        match event {
            Event::Ready { config, update, .. } => (self.total, self.update) = (config.updates, *update),
            Event::Changed { name, value } if name == "updates" => self.total = value.parse().unwrap_or(self.total),
            Event::Update { update, .. } => self.update = *update,
            _ => {}
        }
        if self.json {
            return;
        }
        match event {
            Event::Ready { device, model, config, update, .. } => {
                self.line(&format!("device  {device}\nmodel   {model}"));
                let bar = progress::bar(config.updates);
                bar.set_position(*update);
                bar.reset_eta();
                self.bar = Some(bar);
            }
            Event::Progress { phase, done, total, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("{} {done}/{total}", phase.name()));
                }
            }
            Event::Update { update, metrics } => {
                let line = update_line(*update, self.total, metrics);
                self.line(&line);
                if let Some(bar) = &self.bar {
                    bar.set_position(*update);
                }
            }
            Event::Evaluation { update, metrics, protocol } => {
                if !std::mem::replace(&mut self.measured, true) {
                    self.line(&format!("measured by {protocol}"));
                }
                self.line(&format!("after update {update}: {}", figures(metrics)));
            }
            Event::Notice(text) => self.line(text),
            Event::Warning(text) => self.line(&format!("warning: {text}")),
            _ => {}
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            // On standard output, where a pipe finds it; the bar is on the other.
            Some(bar) => bar.suspend(|| println!("{text}")),
            None => println!("{text}"),
        }
    }

    fn close(&self, out: &Path) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.json {
            return;
        }
        // From the summary, which also knows what earlier sessions of this run measured.
        let summary = files::read_to_string(&out.join("summary.json")).unwrap_or_default();
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap_or_default();
        let measured = |when: &str| serde_json::from_value::<Metrics>(summary[when]["metrics"].clone()).ok();
        if let (Some(before), Some(after)) = (measured("before"), measured("after")) {
            println!("\nbefore  {}\nafter   {}", figures(&before), figures(&after));
        }
        println!("\nrun folder {} (samples/, metrics.jsonl, summary.json)", out.display());
        if self.update < self.total {
            let done = format!("stopped after update {} of {}", self.update, self.total);
            println!("{done}; go on with: artune tune --resume --out {}", out.display());
        }
    }
}

/// One update in a line: reward parts, diversity, and the four phases with their tokens per second. What a run does not
/// have is left out.
fn update_line(update: u64, total: u64, m: &Metrics) -> String {
    let get = |name: &str| m.get(name).copied().unwrap_or(f64::NAN);
    let phases: Vec<String> = Phase::ALL
        .iter()
        .map(|p| format!("{} {:.0}", p.name(), get(&format!("tokens_per_second/{}", p.name()))))
        .collect();
    let parts: Vec<String> = ["clip", "preference"]
        .into_iter()
        .filter_map(|name| Some(format!("{name} {:.3}", m.get(&format!("rewards/{name}/mean"))?)))
        .collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    format!(
        "{update:>4}/{total} reward {:.4}{parts} diversity {:.3} entropy {:.2} kl {:.4} first ratio 1±{:.0e} {:.1} s [tok/s: {}]",
        get("reward"),
        get("diversity"),
        get("entropy"),
        get("kl"),
        get("ratio/max_deviation/first"),
        get("step_time"),
        phases.join(", "),
    )
}

/// An evaluation in a line: what it has measured.
fn figures(m: &Metrics) -> String {
    // Name, metric, factor, digits, unit.
    let all = [
        ("FD", "eval/fd", 1.0, 2, ""),
        ("FD as rewarded", "eval/fd_rewarded", 1.0, 2, ""),
        ("precision", "eval/precision", 1.0, 2, ""),
        ("recall", "eval/recall", 1.0, 2, ""),
        ("diversity", "eval/diversity", 1.0, 3, ""),
        ("class accuracy", "eval/class_accuracy", 100.0, 0, " %"),
        ("clip", "eval/reward/clip", 1.0, 3, ""),
        ("preference", "eval/reward/preference", 1.0, 3, ""),
    ];
    let said = all.into_iter().filter_map(|(name, metric, factor, digits, unit)| {
        Some(format!("{name} {:.digits$}{unit}", m.get(metric)? * factor))
    });
    said.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_run_has_is_printed() {
        let metrics: Metrics =
            [("eval/fd_rewarded", 41.256), ("eval/class_accuracy", 0.5), ("rewards/clip/mean", 0.25)]
                .map(|(name, value)| (name.to_string(), value))
                .into();
        assert_eq!(figures(&metrics), "FD as rewarded 41.26, class accuracy 50 %");
        let line = update_line(1, 2, &metrics);
        assert!(line.contains("(clip 0.250) diversity"), "{line}");
    }
}
