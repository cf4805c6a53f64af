//! The command line: one file per verb, over the same session protocol as the window.

pub mod bench;
pub mod compare;
pub mod devices;
pub mod eval;
pub mod export;
pub mod import;
pub mod presets;
pub mod pretrain;
pub mod progress;
pub mod record;
pub mod sample;
pub mod stand_in;
pub mod statistics;
mod teach;
pub mod tune;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::config::RunConfig;
use crate::config::networks::{PAPER, is_own};
use crate::platform::files;
use crate::session::{GivenFiles, Options};
use crate::ui::Staging;

/// Tune autoregressive image models with reinforcement learning, live, on any GPU.
///
/// Without a verb, a window opens. `artune tune` does the same job without one.
#[derive(Debug, Parser)]
#[command(name = "artune", version, about, long_about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    window: WindowArgs,
}

/// Arguments of the window.
#[derive(Clone, Debug, Args)]
struct WindowArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Run folder; without it the first unused of runs/window, runs/window-2, …
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on from the newest valid checkpoint in the run folder.
    #[arg(long, requires = "out")]
    resume: bool,
    /// A link as `Copy link` or a teacher gives it: its settings, and what it fixes, hides and shows.
    #[arg(long, value_name = "LINK", conflicts_with_all = ["preset", "config", "resume"])]
    link: Option<String>,
    /// A lesson: a file, or `diversity`, which ships.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["preset", "config", "resume"])]
    lesson: Option<String>,
    /// Run at once, save a picture of the window after `--updates`, and close it.
    #[arg(long, value_name = "PNG")]
    screenshot: Option<PathBuf>,
    /// Take the picture earlier: while the pictures of the update after this one are being written.
    #[arg(long, value_name = "UPDATE", requires = "screenshot")]
    after: Option<u64>,
    /// Pane to bring to the front, by its title.
    #[arg(long, value_name = "PANE")]
    show: Option<String>,
    /// `light` or `dark`, in place of what the system has.
    #[arg(long, value_parser = ["light", "dark"])]
    theme: Option<String>,
    /// Size of the window.
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size)]
    size: Option<[f32; 2]>,
    /// Run at once, and close after `--updates`; then write figures about the window: time to the first picture, frame
    /// times, memory, updates a minute.
    #[arg(long, value_name = "JSON")]
    report: Option<PathBuf>,
}

/// A size like 1280x800.
fn size(text: &str) -> Result<[f32; 2], String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some([w.parse().ok()?, h.parse().ok()?]));
    parsed
        .filter(|size| size.iter().all(|side| (200.0..=10_000.0).contains(side)))
        .ok_or("wants 1280x800 or such".into())
}

/// What the program can do.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Tune the prior by its rewards and write a run folder.
    Tune(tune::TuneArgs),
    /// Draw pictures into a PNG sheet.
    Sample(sample::SampleArgs),
    /// Measure a model: Fréchet distance, precision and recall, class accuracy, rewards, diversity.
    Eval(eval::EvalArgs),
    /// Train one network of the small family from scratch.
    Pretrain(pretrain::PretrainArgs),
    /// Write a tuned model with LlamaGen's key names, as safetensors or as PyTorch's .pt.
    Export(export::ExportArgs),
    /// Tell which published network a file holds, and bring it into this program's form.
    Import(import::ImportArgs),
    /// Write a file of a published network's size that stands in for it until it is downloaded.
    StandIn(stand_in::StandInArgs),
    /// Set finished runs side by side: before and after, mean and spread over seeds.
    Compare(compare::CompareArgs),
    /// List the named settings.
    Presets(presets::Args),
    /// List the devices that can compute.
    Devices(devices::Args),
    /// Record a run as the window shows it before it has one of its own.
    Record(record::RecordArgs),
    /// Compute anew what a run with the networks that ship begins with; always on the CPU.
    Statistics(statistics::StatisticsArgs),
    /// Time an update, LOO-FID, and pictures on their way to the window.
    Bench(bench::BenchArgs),
}

/// What every run needs to know.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Named settings to start from (`full` where nothing is said, `paper-llamagen-l` for a published policy); `artune
    /// presets` lists them.
    #[arg(long)]
    preset: Option<String>,
    /// A run.toml to start from instead of a preset.
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    config: Option<PathBuf>,
    /// Updates to make.
    #[arg(long)]
    updates: Option<u64>,
    /// Names every random number of the run.
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    model: ModelArgs,
    /// Any parameter, as `artune presets --parameters` lists them.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// What every job needs to know: where it computes, on which pictures and networks.
#[derive(Clone, Debug, Default, Args)]
pub struct ModelArgs {
    /// `auto`, `cpu`, `gpu`, or an adapter's name or index.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Pictures to use instead of the embedded ones (or the run's own): DIR/CLASS/*.png|jpg|webp.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder with the files of published networks; or whose ROLE.safetensors files stand in for the weights that ship.
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    /// Statistics of real pictures for the distribution reward (npz of pytorch-fid, of OpenAI's evaluator or of the
    /// paper's code), in place of pictures.
    #[arg(long, value_name = "NPZ")]
    reference: Option<PathBuf>,
    /// Captions with their embeddings, for a text-conditional policy.
    #[arg(long, value_name = "FILE")]
    captions: Option<PathBuf>,
    /// What is tuned: `small`, or a published network (`artune import --list`). The same as --set model=NAME.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Its tokenizer, where it is not the policy's own. The same as --set tokenizer=NAME.
    #[arg(long, value_name = "NAME")]
    tokenizer: Option<String>,
    /// Whose features are compared, where they are not the policy's own. The same as --set feature_network=NAME.
    #[arg(long, value_name = "NAME")]
    features: Option<String>,
    /// Networks that score single pictures, as `clip:NAME,hps:NAME`; one that is left out is not loaded and not paid.
    /// A name may be left out too: `clip,hps` are the policy's own.
    #[arg(long, value_name = "LIST")]
    reward: Option<String>,
}

impl ModelArgs {
    /// The options of a job that tunes nothing: networks that only tuning needs are left out where a policy is named.
    ///
    /// # Errors
    /// Where a name is wrong.
    pub fn options(&self) -> Result<Options> {
        let Self { device, data, weights, reference, captions, .. } = self.clone();
        let mut changes = self.changes()?;
        if self.policy.is_some() && self.reward.is_none() {
            changes.extend(rewards("")?);
            changes.push(("loo_fid_weight".into(), "0".into()));
        }
        let mut config = RunConfig::default();
        config.apply(changes.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
        let files = GivenFiles { data, weights, reference, captions };
        Ok(Options { config, device, files, ..Options::default() })
    }

    /// The settings that name networks.
    fn changes(&self) -> Result<Vec<(String, String)>> {
        let named = [("model", &self.policy), ("tokenizer", &self.tokenizer), ("feature_network", &self.features)];
        let mut changes: Vec<(String, String)> =
            named.into_iter().filter_map(|(name, value)| Some((name.to_string(), value.clone()?))).collect();
        changes.extend(self.reward.iter().map(|list| rewards(list)).collect::<Result<Vec<_>>>()?.concat());
        Ok(changes)
    }
}

impl RunArgs {
    /// The settings that the arguments describe.
    ///
    /// # Errors
    /// Where a name or value is wrong; the error says which and what would be right.
    pub fn config(&self) -> Result<RunConfig> {
        let mut config = match &self.config {
            Some(path) => {
                let text = files::read_to_string(path).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
                RunConfig::from_toml(&text)?
            }
            None => RunConfig::preset(self.preset())?,
        };
        let changes = self.changes()?;
        config.apply(changes.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
        Ok(config)
    }

    /// Name of the preset in force: for a published policy the paper's, whose steps are made for one.
    fn preset(&self) -> &str {
        let published = self.model.policy.as_deref().is_some_and(|policy| !is_own(policy));
        self.preset.as_deref().unwrap_or(if published { PAPER } else { "full" })
    }

    /// What a run's folder is called where nobody says: the preset, or that it repeats another.
    pub fn name(&self) -> &str {
        if self.config.is_some() { "repeat" } else { self.preset() }
    }

    /// Single parameters that the arguments name.
    ///
    /// # Errors
    /// Where one is not of the form KEY=VALUE.
    fn changes(&self) -> Result<Vec<(String, String)>> {
        let mut changes = vec![];
        changes.extend(self.updates.map(|updates| ("updates".to_string(), updates.to_string())));
        changes.extend(self.seed.map(|seed| ("seed".to_string(), seed.to_string())));
        changes.extend(self.model.changes()?);
        for pair in &self.set {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| anyhow::anyhow!("--set wants KEY=VALUE, got {pair:?}"))?;
            changes.push((name.trim().to_string(), value.trim().to_string()));
        }
        Ok(changes)
    }

    /// The options of a session. A run that is resumed brings its own settings, to which changes are then made.
    ///
    /// # Errors
    /// As [`Self::config`].
    pub fn options(&self, resume: bool) -> Result<Options> {
        let seed = self.seed.unwrap_or_default();
        let config = if resume { RunConfig { seed, ..RunConfig::default() } } else { self.config()? };
        let ModelArgs { device, data, weights, reference, captions, .. } = self.model.clone();
        let files = GivenFiles { data, weights, reference, captions };
        Ok(Options { config, changes: self.changes()?, device, files, resume, ..Options::default() })
    }
}

/// `clip:NAME,hps:NAME` as settings. What is not named is left out, with its weight.
///
/// # Errors
/// Where a part is neither `clip` nor `hps`.
fn rewards(list: &str) -> Result<Vec<(String, String)>> {
    let mut named =
        [("clip", "clip_network", "clip_weight", None), ("hps", "preference_network", "preference_weight", None)];
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (kind, network) = part.split_once(':').unwrap_or((part, "own"));
        let place = named.iter_mut().find(|(name, ..)| *name == kind || (kind == "preference" && *name == "hps"));
        let Some(place) = place else {
            anyhow::bail!("--reward knows clip and hps, as in clip:clip-vit-l-14,hps:hpsv2.1, and not {kind:?}")
        };
        place.3 = Some(network);
    }
    let settings = named.into_iter().flat_map(|(_, network, weight, name)| match name {
        Some(name) => vec![(network.to_string(), name.to_string())],
        None => vec![(network.to_string(), "none".to_string()), (weight.to_string(), "0".to_string())],
    });
    Ok(settings.collect())
}

/// A run that is gone on with keeps its own settings: says so where others were asked for.
///
/// # Errors
/// Where `--config` is given together with `--resume`, or `--preset` with it and a `named` folder. (Without one the
/// preset says which folder is meant.)
fn check_resume(run: &RunArgs, named: bool) -> Result<()> {
    anyhow::ensure!(
        !(named && run.preset.is_some()) && run.config.is_none(),
        "a resumed run keeps its own settings: leave out --preset and --config (single live ones change with --set)"
    );
    Ok(())
}

/// Reads the arguments and does what they say.
///
/// # Errors
/// Whatever the verb's own errors are, in words for the user.
pub fn main() -> Result<()> {
    crate::platform::clock::since_start(); // from here on it counts
    let cli = Cli::parse();
    match cli.verb {
        None => window(&cli.window),
        Some(Verb::Tune(args)) => tune::run(&args),
        Some(Verb::Sample(args)) => sample::run(&args),
        Some(Verb::Eval(args)) => eval::run(&args),
        Some(Verb::Pretrain(args)) => pretrain::run(&args),
        Some(Verb::Export(args)) => export::run(&args),
        Some(Verb::Import(args)) => import::run(&args),
        Some(Verb::StandIn(args)) => stand_in::run(&args),
        Some(Verb::Compare(args)) => compare::run(&args),
        Some(Verb::Presets(args)) => presets::run(&args),
        Some(Verb::Devices(args)) => devices::run(&args),
        Some(Verb::Record(args)) => record::run(&args),
        Some(Verb::Statistics(args)) => statistics::run(&args),
        Some(Verb::Bench(args)) => bench::run(&args),
    }
}

fn window(args: &WindowArgs) -> Result<()> {
    let mut options = Options { watched: true, ..args.run.options(args.resume)? };
    if args.resume {
        check_resume(&args.run, true)?;
    }
    options.autostart = args.screenshot.is_some() || args.report.is_some();
    let teaches = teach::read(args.link.as_deref(), args.lesson.as_deref())?;
    if let Some((link, _)) = &teaches {
        options.config = link.config.clone();
        options.config.apply(options.changes.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
        options.autostart |= link.autostart;
        if let Some(device) = link.device.filter(|_| options.device == "auto") {
            options.device = device.into();
        }
    }
    options.out = Some(match &args.out {
        Some(out) => {
            tune::check_folder(out, args.resume)?;
            out.clone()
        }
        None => files::unused_folder(Path::new("runs/window")),
    });
    let WindowArgs { screenshot, after, show, theme, size, report, .. } = args.clone();
    let dark = theme.map(|theme| theme == "dark");
    crate::ui::run(options, Staging { screenshot, after, show, teaches, dark, size, report })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_override_the_preset_and_a_wrong_name_is_named() {
        let args = |extra: &[&str]| Cli::try_parse_from([&["artune"], extra].concat()).expect("parses").window.run;
        let config =
            args(&["--preset", "instance-only", "--seed", "7", "--set", "guidance=2"]).config().expect("valid");
        assert_eq!((config.seed, config.guidance, config.loo_fid_weight), (7, 2.0, 0.0));
        let error = args(&["--set", "guidence=2"]).config().expect_err("no such name").to_string();
        assert!(error.contains("guidance"), "{error}");
    }
}
