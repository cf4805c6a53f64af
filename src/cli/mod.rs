//! The command line: one file per verb, over the same session protocol as the window.

pub mod bench;
pub mod devices;
pub mod eval;
pub mod export;
pub mod presets;
pub mod pretrain;
pub mod progress;
pub mod sample;
pub mod tune;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::config::RunConfig;
use crate::session::Options;

/// Tune autoregressive image models with reinforcement learning, live, on any GPU.
///
/// Without a verb, a window opens. `artune tune` does the same job without one.
#[derive(Debug, Parser)]
#[command(name = "artune", version, about, long_about)]
pub struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: RunArgs,
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
    /// Write a tuned model as safetensors with LlamaGen's key names.
    Export(export::ExportArgs),
    /// List the named settings.
    Presets(presets::Args),
    /// List the devices that can compute.
    Devices(devices::Args),
    /// Time a rollout, an update and LOO-FID.
    Bench(bench::BenchArgs),
}

/// What every run needs to know.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Named settings to start from; `artune presets` lists them.
    #[arg(long, default_value = "full")]
    preset: String,
    /// A run.toml to start from instead of a preset.
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    config: Option<PathBuf>,
    /// Updates to make.
    #[arg(long)]
    updates: Option<u64>,
    /// Names every random number of the run.
    #[arg(long)]
    seed: Option<u64>,
    /// `auto`, `cpu`, `gpu`, or an adapter's name or index.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Pictures to use instead of the embedded ones: DIR/CLASS/*.png|jpg|webp.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder whose ROLE.safetensors files stand in for the weights that ship.
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    /// Any parameter of run.toml.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl RunArgs {
    /// The settings that the arguments describe.
    ///
    /// # Errors
    /// Where a name or value is wrong; the error says which and what would be right.
    pub fn config(&self) -> Result<RunConfig> {
        let mut config = match &self.config {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
                RunConfig::from_toml(&text)?
            }
            None => RunConfig::preset(&self.preset)?,
        };
        if let Some(updates) = self.updates {
            config.updates = updates;
        }
        if let Some(seed) = self.seed {
            config.seed = seed;
        }
        let pairs = self.set.iter().map(|pair| {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| anyhow::anyhow!("--set wants KEY=VALUE, got {pair:?}"))?;
            Ok((name.trim(), value.trim()))
        });
        config.apply(pairs.collect::<Result<Vec<_>>>()?)?;
        config.validate()?;
        Ok(config)
    }

    /// The options of a session.
    ///
    /// # Errors
    /// As [`Self::config`].
    pub fn options(&self) -> Result<Options> {
        Ok(Options {
            config: self.config()?,
            device: self.device.clone(),
            data: self.data.clone(),
            weights: self.weights.clone(),
            ..Options::default()
        })
    }
}

/// `name`, or the first of `name-2`, `name-3`, … that does not exist: a new window never overwrites an old run.
fn unused_folder(name: &str) -> PathBuf {
    let numbered = (2..).map(|n| PathBuf::from(format!("{name}-{n}")));
    let mut names = std::iter::once(PathBuf::from(name)).chain(numbered);
    names.find(|folder| !folder.exists()).unwrap_or_else(|| name.into())
}

/// Reads the arguments and does what they say.
///
/// # Errors
/// Whatever the verb's own errors are, in words for the user.
pub fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.verb {
        None => {
            crate::ui::run(Options { out: Some(unused_folder("runs/window")), watched: true, ..cli.run.options()? })
        }
        Some(Verb::Tune(args)) => tune::run(&args),
        Some(Verb::Sample(args)) => sample::run(&args),
        Some(Verb::Eval(args)) => eval::run(&args),
        Some(Verb::Pretrain(args)) => pretrain::run(&args),
        Some(Verb::Export(args)) => export::run(&args),
        Some(Verb::Presets(args)) => presets::run(&args),
        Some(Verb::Devices(args)) => devices::run(&args),
        Some(Verb::Bench(args)) => bench::run(&args),
    }
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
        let args = |extra: &[&str]| Cli::try_parse_from([&["artune"], extra].concat()).expect("parses").run;
        let config =
            args(&["--preset", "instance-only", "--seed", "7", "--set", "guidance=2"]).config().expect("valid");
        assert_eq!((config.seed, config.guidance, config.loo_fid_weight), (7, 2.0, 0.0));
        let error = args(&["--set", "guidence=2"]).config().expect_err("no such name").to_string();
        assert!(error.contains("guidance"), "{error}");
    }
}
