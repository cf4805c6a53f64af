//! Training the small family from scratch, one network at a time, on any device.
//!
//! A [`Task`] says what a batch is and what its loss is; [`run`] is the loop they share: learning-rate schedule, one
//! gate that keeps broken numbers from the weights, JSONL log, sample grids, and a checkpoint from which a run goes
//! on exactly. Every batch is a function of the seed and the step alone, so nothing else needs to be remembered.

pub mod clip;
pub mod features;
pub mod preference;
pub mod prior;
pub mod tokenizer;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::model::family::Role;
use crate::model::weights;
use crate::platform::bundle::Bundle;
use crate::platform::clock::Stopwatch;
use crate::platform::files;
use crate::rl::gradient;

/// Settings that every pretraining shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Steps in all.
    pub steps: u64,
    /// Pictures per step.
    pub batch: usize,
    /// Highest learning rate: linear warm-up over the first 2 % of steps (at least 10), then a cosine to a hundredth.
    pub learning_rate: f64,
    /// Weight decay of AdamW.
    pub weight_decay: f64,
    /// Names the random numbers.
    pub seed: u64,
}

impl Schedule {
    /// The learning rate of a step.
    pub fn rate(&self, step: u64) -> f64 {
        let warmup = (self.steps / 50).max(10) as f64;
        let (step, steps) = (step as f64, self.steps as f64);
        if step < warmup {
            return self.learning_rate * (step + 1.0) / warmup;
        }
        let progress = ((step - warmup) / (steps - warmup).max(1.0)).min(1.0);
        self.learning_rate * (0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()))
    }
}

/// A loss with the scalars worth logging.
pub struct Loss {
    /// What is minimised, `[1]`.
    pub total: Tensor<1>,
    /// Named parts `[1]` each, without gradient.
    pub parts: Vec<(&'static str, Tensor<1>)>,
}

/// RGB pictures to show: side, then one vector of `side * side * 3` bytes each.
pub type Pictures = (usize, Vec<Vec<u8>>);

/// What one network's training is about.
pub trait Task {
    /// The network.
    type Model: Module;

    /// Which network.
    fn role(&self) -> Role;

    /// The loss of the batch of `step`. `model` lives on an autodiff device.
    ///
    /// # Errors
    /// Where the device fails.
    fn loss(&mut self, model: &Self::Model, step: u64) -> impl Future<Output = Result<Loss>>;

    /// Mends the model between steps (the tokenizer revives dead codes).
    ///
    /// # Errors
    /// Where the device fails.
    fn mend(&mut self, model: Self::Model, _step: u64) -> impl Future<Output = Result<Self::Model>> {
        async { Ok(model) }
    }

    /// Figures on held-out data. `model` has no gradients.
    ///
    /// # Errors
    /// Where the device fails.
    fn evaluate(&mut self, model: &Self::Model) -> impl Future<Output = Result<BTreeMap<String, f64>>>;

    /// Pictures that show how far it is; none where there is nothing to see.
    ///
    /// # Errors
    /// Where the device fails.
    fn show(&mut self, _model: &Self::Model) -> impl Future<Output = Result<Option<Pictures>>> {
        async { Ok(None) }
    }

    /// Notes for the finished file's header besides those that every network has.
    fn notes(&self) -> Vec<(&'static str, String)> {
        vec![]
    }

    /// Whatever a resumed run must know besides weights and step.
    fn state(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Takes back what [`Self::state`] gave.
    fn restore(&mut self, _state: serde_json::Value) {}
}

/// Hears of each step: its number, the number of steps, the scalars; `false` saves and stops.
pub type Progress<'a> = dyn FnMut(u64, u64, &BTreeMap<String, f64>) -> bool + 'a;

/// Where and how often a training reports.
pub struct Reporting<'a> {
    /// Folder for `log.jsonl`, `samples/`, `checkpoint.safetensors` and the finished `<role>.safetensors`.
    pub out: PathBuf,
    /// Steps between evaluations, sample grids and checkpoints.
    pub every: u64,
    /// Called after each step.
    pub progress: &'a mut Progress<'a>,
    /// Go on from the checkpoint in `out`, if there is one.
    pub resume: bool,
}

#[derive(Serialize, Deserialize)]
struct Header {
    role: String,
    step: u64,
    schedule: Schedule,
    task: serde_json::Value,
    seconds: f64,
}

/// How a training ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Steps done.
    pub step: u64,
    /// Seconds of training, resumed parts included.
    pub seconds: f64,
    /// The last evaluation.
    pub figures: BTreeMap<String, f64>,
    /// The weights in half precision; `None` where it was stopped before the end.
    pub weights: Option<PathBuf>,
}

/// Trains `model` on `task` from the first (or the checkpoint's) step to the last.
///
/// # Errors
/// Where the device or the file system fails, or a checkpoint does not belong to this training.
pub async fn run<T: Task>(
    task: &mut T,
    mut model: T::Model,
    schedule: &Schedule,
    reporting: Reporting<'_>,
) -> Result<Summary> {
    let role = task.role();
    let out = reporting.out.clone();
    files::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let checkpoint = out.join("checkpoint.safetensors");
    let mut optimizer = optimizer(schedule);
    let (mut step, mut seconds) = (0, 0.0);
    anyhow::ensure!(
        reporting.resume == files::exists(&checkpoint),
        if reporting.resume {
            format!("{} has no checkpoint to go on from; leave out --resume to begin", out.display())
        } else {
            format!(
                "{} already holds a training; add --resume to go on with it, or choose another --out",
                out.display()
            )
        }
    );
    if reporting.resume {
        let mut bundle = Bundle::read(&checkpoint)?;
        let header: Header = serde_json::from_str(&bundle.header).context("the checkpoint's header")?;
        anyhow::ensure!(
            header.role == role.name() && header.schedule == *schedule,
            "{} is of another training ({}, {:?}); choose another --out or leave out --resume",
            checkpoint.display(),
            header.role,
            header.schedule
        );
        (model, optimizer) = load_records(&mut bundle, model, optimizer)?;
        task.restore(header.task);
        (step, seconds) = (header.step, header.seconds);
    }
    let log = out.join("log.jsonl");
    forget_after(&log, step)?;

    let mut figures = BTreeMap::new();
    let clock = Stopwatch::start();
    while step < schedule.steps {
        let loss = task.loss(&model, step).await?;
        let names: Vec<&str> = loss.parts.iter().map(|(name, _)| *name).collect();
        let grads = GradientsParams::from_grads(loss.total.clone().backward(), &model);
        let mut packed = vec![loss.total.inner()];
        packed.extend(loss.parts.into_iter().map(|(_, part)| part.without_autodiff()));
        packed.extend(gradient::squared_norm(&model, &grads).map(Tensor::without_autodiff));
        let data = Tensor::cat(packed, 0).into_data_async().await.map_err(|e| anyhow::anyhow!("{e}"))?;
        let values: Vec<f64> = data.iter::<f32>().map(f64::from).collect();
        let norm = values.last().copied().unwrap_or(f64::NAN).sqrt();
        let rate = schedule.rate(step);
        let sound = norm.is_finite() && values[0].is_finite();
        if sound {
            let grads = gradient::scale(&model, grads, (1.0 / (norm + 1e-6)).min(1.0));
            model = optimizer.step(rate, model, grads);
        }
        model = task.mend(model, step).await?;
        step += 1;

        let mut scalars: BTreeMap<String, f64> =
            names.iter().map(|n| n.to_string()).zip(values[1..].iter().copied()).collect();
        scalars.insert("loss".into(), values[0]);
        scalars.insert("grad_norm".into(), norm);
        scalars.insert("learning_rate".into(), rate);
        if !sound {
            scalars.insert("step_skipped".into(), 1.0);
        }
        let last = step == schedule.steps;
        let due = last || step % reporting.every.max(1) == 0;
        if due {
            let valid = model.valid();
            figures = task.evaluate(&valid).await?;
            scalars.extend(figures.clone());
            if let Some((side, pictures)) = task.show(&valid).await? {
                let path = out.join(format!("samples/{step:06}.png"));
                crate::data::grid::save_png(&path, &pictures, side, 16, 2)?;
            }
        }
        append_jsonl(&log, step, &scalars)?;
        let go_on = (reporting.progress)(step, schedule.steps, &scalars);
        if due || !go_on {
            let header = Header {
                role: role.name().into(),
                step,
                schedule: schedule.clone(),
                task: task.state(),
                seconds: seconds + clock.seconds(),
            };
            save_records(&checkpoint, &header, &model, &optimizer)?;
        }
        if !go_on {
            return Ok(Summary { step, seconds: seconds + clock.seconds(), figures, weights: None });
        }
    }
    let seconds = seconds + clock.seconds();
    let path = out.join(format!("{role}.safetensors"));
    let mut metadata = vec![
        ("role", role.name().to_string()),
        ("schedule", serde_json::to_string(schedule)?),
        ("figures", serde_json::to_string(&figures)?),
        ("seconds", format!("{seconds:.0}")),
    ];
    metadata.extend(task.notes());
    let bytes = weights::save_bytes(&model.valid(), true, &metadata)?;
    files::write_atomic(&path, &bytes).with_context(|| path.display().to_string())?;
    Ok(Summary { step, seconds, figures, weights: Some(path) })
}

fn optimizer(schedule: &Schedule) -> ModuleOptimizer {
    // burn's epsilon, which the shipped weights were trained with; here gradients are large enough not to feel it.
    let config = AdamWConfig::new().with_beta_2(0.95).with_epsilon(1e-5);
    config.with_weight_decay(schedule.weight_decay as f32).init()
}

fn save_records<M: Module>(path: &Path, header: &Header, model: &M, optimizer: &ModuleOptimizer) -> Result<()> {
    let parts: HashMap<String, Vec<u8>> = [
        ("model".to_string(), model.valid().into_record().into_bytes()?.to_vec()),
        ("optimizer".to_string(), optimizer.into_bytes()?.to_vec()),
    ]
    .into();
    Bundle { header: serde_json::to_string(header)?, parts }.write(path)?;
    Ok(())
}

fn load_records<M: Module>(bundle: &mut Bundle, model: M, optimizer: ModuleOptimizer) -> Result<(M, ModuleOptimizer)> {
    let bytes = burn::tensor::Bytes::from_bytes_vec(bundle.take("model")?);
    let model = model.try_load_record(burn::store::ModuleRecord::from_bytes(bytes)?)?;
    let bytes = burn::tensor::Bytes::from_bytes_vec(bundle.take("optimizer")?);
    Ok((model, optimizer.from_bytes(bytes)?))
}

/// Drops the lines of later steps, which a training that was killed wrote after its last checkpoint.
fn forget_after(log: &Path, step: u64) -> Result<()> {
    let Ok(text) = files::read_to_string(log) else { return Ok(()) };
    let is_done = |line: &&str| {
        let number = serde_json::from_str::<serde_json::Value>(line).ok().and_then(|v| v["step"].as_u64());
        number.is_some_and(|n| n <= step)
    };
    let kept: String = text.lines().filter(is_done).map(|line| format!("{line}\n")).collect();
    files::write_atomic(log, kept.as_bytes()).with_context(|| log.display().to_string())
}

fn append_jsonl(path: &Path, step: u64, scalars: &BTreeMap<String, f64>) -> Result<()> {
    let mut line = serde_json::Map::new();
    line.insert("step".into(), step.into());
    line.extend(scalars.iter().map(|(k, v)| (k.clone(), (*v).into())));
    let line = format!("{}\n", serde_json::Value::Object(line));
    files::append(path, line.as_bytes()).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_warms_up_then_falls_to_a_hundredth() {
        let s = Schedule { steps: 1000, batch: 1, learning_rate: 1.0, weight_decay: 0.0, seed: 0 };
        assert_eq!(s.rate(0), 0.05);
        assert_eq!(s.rate(19), 1.0);
        assert!(s.rate(500) < 1.0 && s.rate(500) > 0.4);
        assert!((s.rate(1000) - 0.01).abs() < 1e-9);
    }
}
