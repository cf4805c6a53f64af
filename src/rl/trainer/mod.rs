//! The update, from first to last: rollout → rewards → advantages → gradient steps.
//!
//! [`Trainer::advance`] does the smallest piece of work there is (one token of every sequence, one scoring, one inner
//! step) and says how far it came. A loop over it is a run; one call of it is a step of a teacher's hand. Both do the
//! same arithmetic with the same random numbers.

mod classes;
mod copy;
mod decoded;
mod generate;
mod inspect;
mod optimise;
mod progress;
mod score;

use std::collections::BTreeMap;

use burn::prelude::*;
use thiserror::Error;

pub use classes::allowed_classes;
use copy::autodiff_copy;
pub use decoded::Decoded;
pub use generate::{decode_levels, rollout_sampling};
pub use inspect::{Pushes, Reading, Specimen};
pub use optimise::teacher_forced;
pub use progress::{Advance, Outcome, Phase};

use super::adamw::AdamW;
use super::advantage::{AdvantageError, Advantages};
use super::grpo;
use super::rollout::Rollout;
use super::sampling::SamplingConfig;
use crate::config::RunConfig;
use crate::gpu::read::{ReadError, to_host};
use crate::metrics::MetricError;
use crate::model::family::Family;
use crate::model::policy::Policy;
use crate::platform::clock::Stopwatch;
use crate::platform::rng::Key;
use crate::reward::loo_fid::{LooFid, LooFidError};
use crate::reward::mix::InstanceRewards;
use crate::reward::moments::Moments;

/// AdamW's guard against division by nothing: PyTorch's, which the authors' code uses. (burn's own, 1e-5, would damp
/// the small gradients of tuning.)
const ADAM_EPSILON: f32 = 1e-8;

/// Key parts that name what random numbers are for; an update's own number comes first.
mod purpose {
    pub const CLASSES: u64 = 1;
    pub const TOKENS: u64 = 2;
    pub const DROPOUT: u64 = 3;
}

/// Why an update could not be made.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The device gave no result.
    #[error(transparent)]
    Device(#[from] ReadError),
    /// A statistic could not be computed.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// The distribution reward could not be computed.
    #[error(transparent)]
    LooFid(#[from] LooFidError),
    /// The groups do not fit the batch.
    #[error(transparent)]
    Advantage(#[from] AdvantageError),
    /// The settings name a class that the pictures do not have.
    #[error("there is no class {asked:?}; {known}")]
    UnknownClass {
        /// What was asked for.
        asked: String,
        /// What there is, in words.
        known: String,
    },
    /// The settings name what is several classes.
    #[error("several classes are called {asked:?}: {ids}; name one by its id")]
    AmbiguousClass {
        /// What was asked for.
        asked: String,
        /// Their ids and names.
        ids: String,
    },
    /// The saved state does not fit this model.
    #[error("the saved state does not load: {0}")]
    State(String),
}

/// Pictures with everything known about them, as plain data but for `decoded`.
#[derive(Clone, Debug, Default)]
pub struct Rollouts {
    /// Update they belong to, from 1.
    pub update: u64,
    /// Side of the pictures.
    pub side: usize,
    /// Class of each picture.
    pub classes: Vec<usize>,
    /// `side * side * 3` bytes of RGB each; empty where nobody has read them back yet.
    pub pictures: Vec<Vec<u8>>,
    /// The same pictures on the device.
    pub decoded: Option<Decoded>,
    /// Tokens written, and in all.
    pub written: (usize, usize),
    /// Tokens of each picture.
    pub tokens: Vec<Vec<u32>>,
    /// Scores of each picture, in the order of [`InstanceRewards::names`].
    pub scores: Vec<Vec<f64>>,
    /// LOO-FID reward of each picture.
    pub loo_fid: Vec<f64>,
    /// Instance and distribution advantage of each picture.
    pub advantages: Vec<(f64, f64)>,
    /// Features of each picture, as LOO-FID sees them; those of a broken picture may not be finite.
    pub features: Vec<Vec<f64>>,
    /// LOO-FID's distance from the reference with all of these pictures in the average; `None` until they are scored.
    pub distance: Option<f64>,
}

/// Everything a checkpoint needs to go on bit for bit.
#[derive(Clone, Debug)]
pub struct TrainerState {
    /// Updates done.
    pub update: u64,
    /// burn record of the policy.
    pub policy: Vec<u8>,
    /// The optimiser, as [`AdamW::save`] writes it.
    pub optimizer: Vec<u8>,
    /// Exponential moving moments of the generated features.
    pub moments: Moments,
    /// Mean token entropy of the untouched model, as a share of ln(vocabulary).
    pub entropy_measured: f64,
}

/// Where an update stands.
enum Stage {
    Idle,
    Generate(Box<Writing>),
    Reward(Box<Drawn>),
    Advantage(Box<Scored>),
    OldLogProb(Box<Valued>),
    Train(Box<Prepared>),
}

/// The prompts of an update: `group` consecutive samples of each.
#[derive(Clone, Debug)]
struct Prompts {
    /// Class of each sample.
    classes: Vec<usize>,
    /// Samples per prompt.
    group: usize,
    /// The random numbers of each sample.
    keys: Vec<Key>,
    /// How the samples are drawn.
    sampling: SamplingConfig,
}

/// Sequences being written: a run writes all of them together, a patient eye one after another.
struct Writing {
    /// Those at work now.
    rollout: Rollout,
    prompts: Prompts,
    /// Tokens `[rows, t]` of those that are complete.
    complete: Vec<Tensor<2, Int>>,
}

/// Finished pictures, also as the host sees them.
struct Drawn {
    prompts: Prompts,
    tokens: Tensor<2, Int>,
    pictures: Tensor<4>,
    tokens_host: Vec<u32>,
    pixels: Vec<f32>,
}

/// A scored batch.
struct Scored {
    tokens: Tensor<2, Int>,
    prompts: Prompts,
    moments: Option<Moments>,
    metrics: BTreeMap<String, f64>,
    /// The same for showing; without advantages.
    shown: Rollouts,
}

/// A scored batch, each sample measured against its group.
struct Valued {
    scored: Scored,
    instance: Advantages,
    distribution: Option<Advantages>,
}

/// A batch with everything the loss needs.
struct Prepared {
    tokens: Tensor<2, Int>,
    classes: Vec<usize>,
    moments: Option<Moments>,
    metrics: BTreeMap<String, f64>,
    old_logp: Tensor<2>,
    ref_logp: Tensor<2>,
    instance: Tensor<1>,
    distribution: Option<Tensor<1>>,
    alpha: f64,
    /// Inner steps done.
    inner: usize,
    /// Inner steps to do: a knob turned meanwhile counts from the next update on.
    inner_steps: usize,
    stats: Vec<[f64; grpo::STATS.len()]>,
    grad_norms: Vec<f64>,
    skipped: usize,
}

/// Tunes the prior of a family.
pub struct Trainer {
    config: RunConfig,
    family: Family,
    device: Device,
    class_names: Vec<String>,
    /// The prompt of each class.
    prompts: Vec<String>,
    rewards: InstanceRewards,
    loo: LooFid,
    /// The policy as it learns, on the autodiff device.
    learner: Policy,
    /// The policy without gradients; refreshed after each inner step.
    acting: Policy,
    optimizer: AdamW,
    entropy_measured: f64,
    update: u64,
    stage: Stage,
    /// The newest batch that was scored, for looking at.
    newest: Option<inspect::Newest>,
    /// Seconds of work in each phase of this update; waiting between two pieces of work does not count.
    seconds: [f64; 4],
    /// Sequences that begin to be written together; as many as the settings say where it is `None`.
    together: Option<usize>,
}

impl Trainer {
    /// A trainer at update 0: the untouched prior.
    ///
    /// `loo` carries the reference moments and the moments of the untouched model; `entropy_measured` is that model's
    /// mean token entropy as a share of ln(vocabulary): the entropy target, unless the config names another.
    pub fn new(
        config: RunConfig,
        family: Family,
        device: &Device,
        class_names: Vec<String>,
        loo: LooFid,
        entropy_measured: f64,
    ) -> Self {
        let learner = autodiff_copy(&family, device);
        let prompts = family.config.prompt.prompts(&class_names);
        Self {
            rewards: InstanceRewards::new(&family, &prompts),
            prompts,
            optimizer: optimizer(&config),
            acting: learner.valid(),
            entropy_measured,
            config,
            family,
            device: device.clone(),
            class_names,
            loo,
            learner,
            update: 0,
            stage: Stage::Idle,
            newest: None,
            seconds: [0.0; 4],
            together: None,
        }
    }

    /// The settings in force.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// New settings, from the next piece of work on. Nothing is reset.
    pub fn set_config(&mut self, config: RunConfig) {
        self.loo.set_beta(config.ema_beta);
        self.config = config;
    }

    /// How many sequences are written together from the next beginning on; `None`: all that are left. Tokens do not
    /// depend on it, but for rounding.
    pub fn set_together(&mut self, together: Option<usize>) {
        self.together = together;
    }

    /// Samples that are written, decoded and scored together.
    fn together(&self) -> usize {
        let set = (self.config.rollout_batch > 0).then_some(self.config.rollout_batch as usize);
        self.together.or(set).unwrap_or(usize::MAX)
    }

    /// Whether an update has begun and is not complete.
    pub fn is_midway(&self) -> bool {
        !matches!(self.stage, Stage::Idle)
    }

    /// Updates done.
    pub fn update(&self) -> u64 {
        self.update
    }

    /// The policy as it is now, without gradients.
    pub fn policy(&self) -> &Policy {
        &self.acting
    }

    /// The frozen networks.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// The instance rewards.
    pub fn rewards(&self) -> &InstanceRewards {
        &self.rewards
    }

    /// The prompt of each class.
    pub fn prompts(&self) -> &[String] {
        &self.prompts
    }

    /// Scores with the reward networks of `family` from now on.
    pub fn replace_rewards(&mut self, family: &Family) {
        self.rewards = InstanceRewards::new(family, &self.prompts);
    }

    /// Holds the policy to another reference from now on.
    pub fn replace_reference(&mut self, reference: Policy) {
        self.family.prior = reference;
    }

    /// Whether the weights are those of the last finished update: then saving loses nothing but tokens that are drawn
    /// again exactly.
    pub fn at_boundary(&self) -> bool {
        !matches!(&self.stage, Stage::Train(prepared) if prepared.inner > 0)
    }

    /// What a checkpoint stores. Meaningful [at a boundary](Self::at_boundary).
    ///
    /// # Errors
    /// Where the device or the serialiser fails.
    pub async fn state(&self) -> Result<TrainerState, TrainError> {
        let policy = to_host(self.acting.clone()).await?.into_record().into_bytes();
        let policy = policy.map_err(|e| TrainError::State(e.to_string()))?;
        Ok(TrainerState {
            update: self.update,
            policy: policy.try_into_vec().unwrap_or_else(|shared| shared.to_vec()),
            optimizer: self.optimizer.save().await?,
            moments: self.loo.ema().clone(),
            entropy_measured: self.entropy_measured,
        })
    }

    /// Goes on from a stored state.
    ///
    /// # Errors
    /// Where the state does not fit this family.
    pub fn restore(&mut self, state: TrainerState) -> Result<(), TrainError> {
        let wrong = |e: &dyn std::fmt::Display| TrainError::State(e.to_string());
        let record = burn::store::ModuleRecord::from_bytes(burn::tensor::Bytes::from_bytes_vec(state.policy))
            .map_err(|e| wrong(&e))?;
        let learner = autodiff_copy(&self.family, &self.device).try_load_record(record).map_err(|e| wrong(&e))?;
        // The record carries the parameters' ids, by which the optimiser's moments are found: the policy comes first.
        self.optimizer = optimizer(&self.config);
        self.optimizer.load(&state.optimizer, &learner, &self.device).map_err(TrainError::State)?;
        self.acting = learner.valid();
        self.learner = learner;
        self.loo.set_ema(state.moments)?;
        self.entropy_measured = state.entropy_measured;
        self.update = state.update;
        self.stage = Stage::Idle;
        self.newest = None;
        Ok(())
    }

    /// Does the next piece of work.
    ///
    /// # Errors
    /// Where the device fails or the settings name an unknown class. The state is then that of the last update.
    pub async fn advance(&mut self) -> Result<Advance, TrainError> {
        let clock = Stopwatch::start();
        let mut advance = match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => self.begin().await,
            Stage::Generate(writing) => self.write(*writing).await,
            Stage::Reward(drawn) => self.score(*drawn).await,
            Stage::Advantage(scored) => self.value(*scored),
            Stage::OldLogProb(valued) => self.prepare(*valued).await,
            Stage::Train(prepared) => self.train(*prepared).await,
        }?;
        // Every phase ends with a readback, so that work which was only queued is not booked on the next.
        self.seconds[advance.phase as usize] += clock.seconds();
        if let Outcome::Update(metrics) = &mut advance.outcome {
            let seconds = std::mem::take(&mut self.seconds);
            metrics.extend(throughput(metrics["tokens"], seconds));
        }
        Ok(advance)
    }

    /// What the entropy is steered to, as a share of ln(vocabulary).
    fn entropy_target(&self) -> f64 {
        if self.config.entropy_target > 0.0 { self.config.entropy_target } else { self.entropy_measured }
    }
}

/// Seconds and tokens per second of each phase and of the whole update.
fn throughput(tokens: f64, seconds: [f64; 4]) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    for (phase, seconds) in Phase::ALL.map(Phase::name).into_iter().zip(seconds) {
        metrics.insert(format!("time/{phase}"), seconds);
        metrics.insert(format!("tokens_per_second/{phase}"), tokens / seconds.max(1e-9));
    }
    let step: f64 = seconds.iter().sum();
    metrics.insert("step_time".into(), step);
    metrics.insert("tokens_per_second".into(), tokens / step.max(1e-9));
    metrics
}

fn optimizer(config: &RunConfig) -> AdamW {
    AdamW::new(config.adam_beta1 as f32, config.adam_beta2 as f32, ADAM_EPSILON, config.weight_decay)
}

fn finite_mean(values: &[f64]) -> f64 {
    let finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    finite.iter().sum::<f64>() / finite.len().max(1) as f64
}
