//! `artune pretrain`: one network of the small family from scratch.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use clap::Args;

use super::{ModelArgs, progress};
use crate::session::pretraining::{Order, train};

/// Arguments of `artune pretrain`.
#[derive(Clone, Debug, Args)]
pub struct PretrainArgs {
    /// `tokenizer`, `prior`, `clip`, `preference`, `features` or `judge`.
    network: String,
    /// Steps in all.
    #[arg(long)]
    steps: Option<u64>,
    /// Pictures per step.
    #[arg(long)]
    batch: Option<usize>,
    /// Highest learning rate.
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Names every random number of the training.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    model: ModelArgs,
    /// Where the log, the sample grids, the checkpoint and the finished weights go.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Steps between evaluations and checkpoints; 0 for twenty in all.
    #[arg(long, default_value_t = 0)]
    every: u64,
    /// Go on from the checkpoint in the output folder.
    #[arg(long)]
    resume: bool,
}

/// Runs `artune pretrain`.
///
/// # Errors
/// Where the training cannot start or cannot go on.
pub fn run(args: &PretrainArgs) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("runs/pretrain").join(&args.network));
    let order = Order {
        network: args.network.clone(),
        device: args.model.device.clone(),
        data: args.model.data.clone(),
        weights: args.model.weights.clone(),
        out: out.clone(),
        resume: args.resume,
        steps: args.steps,
        batch: args.batch,
        learning_rate: args.learning_rate,
        seed: args.seed,
        every: args.every,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })?;
    let bar = progress::bar(0);
    let mut started = false;
    let summary = train(&order, &mut |step, steps, scalars| {
        bar.set_length(steps);
        bar.set_position(step);
        if !started {
            bar.reset_eta();
            started = true;
        }
        let loss = scalars.get("loss").copied().unwrap_or(f64::NAN);
        bar.set_message(format!("loss {loss:.4}"));
        let held_out: Vec<String> = scalars
            .iter()
            .filter_map(|(name, value)| Some(format!("{} {value:.4}", name.strip_prefix("held_out/")?)))
            .collect();
        if !held_out.is_empty() {
            let line = format!("step {step:>6}  loss {loss:.4}  held out: {}", held_out.join(", "));
            bar.suspend(|| println!("{line}"));
        }
        !stop.load(Ordering::Relaxed)
    })?;
    bar.finish_and_clear();
    match summary.weights {
        Some(path) => println!("{} steps in {:.0} s; weights in {}", summary.step, summary.seconds, path.display()),
        None => println!(
            "stopped after step {}; go on with: artune pretrain {} --out {} --resume (and the same settings)",
            summary.step,
            args.network,
            out.display()
        ),
    }
    Ok(())
}
