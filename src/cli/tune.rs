//! `artune tune`: the main job, without a window.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use super::{RunArgs, progress};
use crate::session::{Command, Event, Metrics, Options, Phase, start};

/// Arguments of `artune tune`.
#[derive(Clone, Debug, Args)]
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
    let options = args.run.options()?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => PathBuf::from(format!("runs/{}-{}", args.run.preset, options.config.seed)),
    };
    if !args.resume && out.join("checkpoints").is_dir() {
        bail!("{} already holds a run; add --resume to go on with it, or choose another --out", out.display());
    }
    let session = start(Options { out: Some(out.clone()), resume: args.resume, autostart: true, ..options });
    let commands = session.sender();
    // The first Ctrl-C saves and ends; a second one, for the impatient, ends at once.
    let mut pressed = false;
    ctrlc::set_handler(move || {
        if std::mem::replace(&mut pressed, true) {
            std::process::exit(130);
        }
        eprintln!("\nsaving after this step…");
        let _ = commands.send(Command::Quit);
    })?;

    let mut report = Report { json: args.json, bar: None, total: 0, first: None, last: None };
    let mut failure = None;
    let mut update = 0;
    while let Some(event) = session.wait() {
        if args.json {
            println!("{}", serde_json::to_string(&event)?);
        }
        match &event {
            Event::Update { update: n, .. } => update = *n,
            Event::State(crate::session::State::Finished) => session.send(Command::Quit),
            Event::Failed { error, advice } => failure = Some(format!("{error}\n{advice}")),
            Event::State(crate::session::State::Ended) => break,
            _ => {}
        }
        report.observe(&event);
    }
    session.join();
    report.close(&out, update);
    match failure {
        Some(failure) => bail!(failure),
        None => Ok(()),
    }
}

struct Report {
    json: bool,
    bar: Option<indicatif::ProgressBar>,
    total: u64,
    first: Option<Metrics>,
    last: Option<Metrics>,
}

impl Report {
    fn observe(&mut self, event: &Event) {
        if self.json {
            return;
        }
        match event {
            Event::Ready { device, model, config, update, .. } => {
                self.line(&format!("device  {device}\nmodel   {model}"));
                self.total = config.updates;
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
                if self.first.is_none() {
                    self.line(&format!("measured by {protocol}"));
                    self.first = Some(metrics.clone());
                }
                self.line(&format!("after update {update}: {}", figures(metrics)));
                self.last = Some(metrics.clone());
            }
            Event::Notice(text) => self.line(text),
            Event::Warning(text) => self.line(&format!("warning: {text}")),
            _ => {}
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) if !bar.is_hidden() => bar.println(text),
            _ => println!("{text}"),
        }
    }

    fn close(&self, out: &Path, update: u64) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.json {
            return;
        }
        if let (Some(first), Some(last)) = (&self.first, &self.last) {
            println!("\nbefore  {}\nafter   {}", figures(first), figures(last));
        }
        println!("\nrun folder {} (samples/, metrics.jsonl, summary.json)", out.display());
        if update < self.total {
            println!("stopped after update {update} of {}; go on with the same command and --resume", self.total);
        }
    }
}

/// One update in a line: reward parts, diversity, and the four phases with their tokens per second.
fn update_line(update: u64, total: u64, m: &Metrics) -> String {
    let get = |name: &str| m.get(name).copied().unwrap_or(f64::NAN);
    let phases: Vec<String> = [Phase::Generate, Phase::Reward, Phase::OldLogProb, Phase::Train]
        .iter()
        .map(|p| format!("{} {:.0}", p.name(), get(&format!("tokens_per_second/{}", p.name()))))
        .collect();
    format!(
        "{update:>4}/{total} reward {:.4} (clip {:.3}, preference {:.3}) diversity {:.3} entropy {:.2} kl {:.4} {:.1} s [tok/s: {}]",
        get("reward"),
        get("rewards/clip/mean"),
        get("rewards/preference/mean"),
        get("diversity"),
        get("entropy"),
        get("kl"),
        get("step_time"),
        phases.join(", "),
    )
}

/// An evaluation in a line.
fn figures(m: &Metrics) -> String {
    let get = |name: &str| m.get(name).copied().unwrap_or(f64::NAN);
    format!(
        "FD {:.2}, precision {:.2}, recall {:.2}, diversity {:.3}, class accuracy {:.0} %, clip {:.3}, preference {:.3}",
        get("eval/fd"),
        get("eval/precision"),
        get("eval/recall"),
        get("eval/diversity"),
        100.0 * get("eval/class_accuracy"),
        get("eval/reward/clip"),
        get("eval/reward/preference"),
    )
}
