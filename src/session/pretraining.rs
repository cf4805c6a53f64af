//! Pretraining one network of the small family: which task, which settings, which device.

use std::path::PathBuf;

use anyhow::Result;
use burn::prelude::*;

use super::studio::{HELD_OUT, open_pictures};
use crate::data::{Pictures, Split};
use crate::gpu::choose;
use crate::model::family::{self, OwnConfig, Role};
use crate::pretrain::clip::ClipTask;
use crate::pretrain::features::FeaturesTask;
use crate::pretrain::preference::PreferenceTask;
use crate::pretrain::prior::PriorTask;
use crate::pretrain::tokenizer::TokenizerTask;
use crate::pretrain::{self, Progress, Reporting, Schedule, Summary, Task};

/// What to train, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// Name of the network, as in [`Role::name`].
    pub network: String,
    /// Device, as `--device` names it.
    pub device: String,
    /// A folder of pictures in place of the embedded ones.
    pub data: Option<PathBuf>,
    /// A folder with the networks that this one builds upon, in place of those that ship.
    pub weights: Option<PathBuf>,
    /// Where the results go.
    pub out: PathBuf,
    /// Go on from the checkpoint in `out`.
    pub resume: bool,
    /// Steps; `None` for the recipe's own.
    pub steps: Option<u64>,
    /// Pictures per step; `None` for the recipe's own.
    pub batch: Option<usize>,
    /// Highest learning rate; `None` for the recipe's own.
    pub learning_rate: Option<f64>,
    /// Names the random numbers.
    pub seed: u64,
    /// Steps between evaluations and checkpoints; 0 for twenty in all.
    pub every: u64,
}

/// The settings that the shipped weights were trained with.
pub fn recipe(role: Role) -> Schedule {
    let (steps, batch, learning_rate, weight_decay) = match role {
        Role::Tokenizer => (1800, 32, 1.5e-3, 1e-4),
        Role::Prior => (3600, 32, 1.5e-3, 0.05),
        Role::Clip => (1200, 64, 1e-3, 0.05),
        Role::Preference => (200, 32, 3e-4, 0.05),
        Role::Features => (1400, 64, 2e-3, 0.05),
        Role::Judge => (800, 64, 2e-3, 0.05),
    };
    Schedule { steps, batch, learning_rate, weight_decay, seed: 0 }
}

/// Augmented views of each training picture that the prior imitates.
const VIEWS: usize = 8;
/// Weight of the perceptual loss of the tokenizer.
const PERCEPTUAL: f64 = 0.05;

/// Trains a network; `progress(step, steps, scalars)` hears of each step and returns `false` to save and stop.
///
/// # Errors
/// Where the order names what does not exist, or the device or file system fails.
pub fn train(order: &Order, progress: &mut Progress<'_>) -> Result<Summary> {
    let role = Role::ALL.into_iter().find(|r| r.name() == order.network).ok_or_else(|| {
        let names: Vec<_> = Role::ALL.iter().map(|r| r.name()).collect();
        anyhow::anyhow!("there is no network {:?}; there are {}", order.network, names.join(", "))
    })?;
    let rate = order.learning_rate.unwrap_or(1.0);
    anyhow::ensure!(order.steps != Some(0), "--steps must be at least 1");
    anyhow::ensure!(order.batch != Some(0), "--batch must be at least 1");
    anyhow::ensure!(rate > 0.0 && rate <= 1.0, "--learning-rate must be above 0 and at most 1, not {rate}");
    let chosen = choose(&order.device)?;
    if let Some(notice) = &chosen.notice {
        eprintln!("{notice}");
    }
    let (pictures, notices) = open_pictures(order.data.as_deref(), OwnConfig::small().side)?;
    notices.iter().for_each(|n| eprintln!("{n}"));
    // Pictures of the embedded classes keep their order, so that networks trained on either go together.
    let pictures = pictures.clone().in_order_of(&Pictures::embedded_classes()?).unwrap_or(pictures);
    let config = OwnConfig::small_of(pictures.class_names.len());
    let split = pictures.split(HELD_OUT);
    anyhow::ensure!(
        !split.held_out.is_empty(),
        "there is nothing to measure with: at least one class needs pictures of two different names"
    );
    let defaults = recipe(role);
    let schedule = Schedule {
        steps: order.steps.unwrap_or(defaults.steps),
        batch: order.batch.unwrap_or(defaults.batch),
        learning_rate: order.learning_rate.unwrap_or(defaults.learning_rate),
        seed: order.seed,
        ..defaults
    };
    let every = if order.every == 0 { (schedule.steps / 20).max(1) } else { order.every };
    let reporting = Reporting { out: order.out.clone(), every, progress, resume: order.resume };
    let workshop = Workshop { role, order, config, pictures, split, schedule, device: chosen.device };
    pollster::block_on(workshop.train(reporting))
}

struct Workshop<'a> {
    role: Role,
    order: &'a Order,
    config: OwnConfig,
    pictures: Pictures,
    split: Split,
    schedule: Schedule,
    device: Device,
}

impl Workshop<'_> {
    async fn train(&self, reporting: Reporting<'_>) -> Result<Summary> {
        let Self { config, pictures, split, schedule, device, .. } = self;
        let folder = self.order.weights.as_deref();
        let (batch, seed) = (schedule.batch, schedule.seed);
        let trainable = device.clone().autodiff();
        // Initial weights are drawn on the device from this seed.
        device.seed(seed ^ self.role as u64);
        match self.role {
            Role::Tokenizer => {
                let features = family::load(Role::Features, config.features.init(device), folder)?;
                let numbers = (batch, schedule.steps, seed);
                let codes = config.vq.codebook_size;
                let mut task =
                    TokenizerTask::new(pictures, split, Some((features, PERCEPTUAL)), numbers, codes, device);
                self.run(&mut task, config.vq.init(&trainable), reporting).await
            }
            Role::Prior => {
                let tokenizer = family::load(Role::Tokenizer, config.vq.init(device), folder)?;
                let numbers = (batch, VIEWS, seed);
                let mut task = PriorTask::new(pictures, split, config.clone(), tokenizer, numbers, device).await?;
                self.run(&mut task, config.gpt.init(&trainable), reporting).await
            }
            Role::Clip => {
                let mut task = ClipTask::new(pictures, split, config.clip.clone(), (batch, seed), device);
                self.run(&mut task, config.clip.init(&trainable), reporting).await
            }
            Role::Preference => {
                // What CLIP has learned about pictures and words is where taste starts.
                let tokenizer = family::load(Role::Tokenizer, config.vq.init(device), folder)?;
                let start = family::load(Role::Clip, config.clip.init(&trainable), folder)?;
                let mut task = PreferenceTask::new(pictures, split, config.clone(), tokenizer, (batch, seed), device);
                self.run(&mut task, start, reporting).await
            }
            Role::Features | Role::Judge => {
                let mut task = FeaturesTask {
                    role: self.role,
                    pictures,
                    split,
                    groups: pictures.groups(&split.train),
                    batch,
                    seed,
                    device: device.clone(),
                };
                self.run(&mut task, config.features.init(&trainable), reporting).await
            }
        }
    }

    async fn run<T: Task>(&self, task: &mut T, model: T::Model, reporting: Reporting<'_>) -> Result<Summary> {
        pretrain::run(task, model, &self.schedule, reporting).await
    }
}
