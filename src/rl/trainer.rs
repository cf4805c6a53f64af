//! The update, from first to last: rollout → rewards → advantages → gradient steps.
//!
//! [`Trainer::advance`] does the smallest piece of work there is (one token of every sequence, one scoring, one inner
//! step) and says how far it came. A loop over it is a run; one call of it is a step of a teacher's hand. Both do the
//! same arithmetic with the same random numbers.

use std::collections::BTreeMap;

use burn::optim::{AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use burn::tensor::Transaction;
use thiserror::Error;

use super::advantage::{AdvantageError, Advantages, group_advantages};
use super::entropy::{AdaptiveEntropy, EntropyController, normalized};
use super::gradient;
use super::grpo::{self, Level, LossConfig, LossInput, LossType, Normaliser};
use super::rollout::Rollout;
use super::sampling::SamplingConfig;
use crate::config::RunConfig;
use crate::data::grid::rgb_pictures;
use crate::gpu::read::{ReadError, read};
use crate::metrics::{Features, MetricError};
use crate::model::family::Family;
use crate::model::transformer::Transformer;
use crate::platform::clock::Stopwatch;
use crate::platform::rng::Key;
use crate::reward::RewardBatch;
use crate::reward::loo_fid::{LooFid, LooFidError};
use crate::reward::mix::{InstanceRewards, mixed};
use crate::reward::moments::Moments;

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
    #[error("there is no class {asked:?}; there are {known}")]
    UnknownClass {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
    },
    /// The saved state does not fit this model.
    #[error("the saved state does not load: {0}")]
    State(String),
}

/// Finished pictures with everything known about them, as plain data.
#[derive(Clone, Debug, Default)]
pub struct Rollouts {
    /// Update they belong to, from 1.
    pub update: u64,
    /// Side of the pictures.
    pub side: usize,
    /// Class of each picture.
    pub classes: Vec<usize>,
    /// `side * side * 3` bytes of RGB each.
    pub pictures: Vec<Vec<u8>>,
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
}

/// The four phases of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Writing tokens and decoding them.
    Generate,
    /// Scoring and advantages.
    Reward,
    /// Log-probabilities of the policy before the update, and of the reference.
    OldLogProb,
    /// Inner gradient steps.
    Train,
}

/// What one call of [`Trainer::advance`] did.
#[derive(Clone, Debug)]
pub struct Advance {
    /// In which phase.
    pub phase: Phase,
    /// Steps of the phase done, and in all.
    pub done: (usize, usize),
    /// What it finished, if anything.
    pub outcome: Outcome,
}

/// What a piece of work finished.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Nothing worth showing.
    None,
    /// The pictures are scored.
    Scored(Box<Rollouts>),
    /// The update is complete; scalars by their TRL names.
    Update(BTreeMap<String, f64>),
}

/// Everything a checkpoint needs to go on bit for bit.
#[derive(Clone, Debug)]
pub struct TrainerState {
    /// Updates done.
    pub update: u64,
    /// burn record of the policy.
    pub policy: Vec<u8>,
    /// burn record of the optimiser.
    pub optimizer: Vec<u8>,
    /// Exponential moving moments of the generated features.
    pub moments: Moments,
    /// Target of the entropy controller, as a share of ln(vocabulary).
    pub entropy_target: f64,
}

/// Where an update stands.
enum Stage {
    Idle,
    Generate { rollout: Rollout, classes: Vec<usize>, clock: Stopwatch },
    Reward { tokens: Tensor<2, Int>, classes: Vec<usize>, generate: f64 },
    OldLogProb(Box<Scored>),
    Train(Box<Prepared>),
}

/// A scored batch.
struct Scored {
    tokens: Tensor<2, Int>,
    classes: Vec<usize>,
    instance: Advantages,
    distribution: Option<Advantages>,
    moments: Option<Moments>,
    metrics: BTreeMap<String, f64>,
}

/// A batch with everything the loss needs.
struct Prepared {
    scored: Scored,
    dropped: Vec<bool>,
    old_logp: Tensor<2>,
    ref_logp: Tensor<2>,
    instance: Tensor<1>,
    distribution: Option<Tensor<1>>,
    alpha: f64,
    inner: usize,
    clock: Stopwatch,
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
    rewards: InstanceRewards,
    loo: LooFid,
    policy: Transformer,
    /// The policy without gradients; refreshed after each inner step.
    acting: Transformer,
    optimizer: ModuleOptimizer,
    entropy_target: f64,
    update: u64,
    stage: Stage,
}

impl Trainer {
    /// A trainer at update 0: the untouched prior.
    ///
    /// `loo` carries the reference moments and the moments of the untouched model; `entropy_target` is that model's
    /// mean token entropy as a share of ln(vocabulary), unless the config names another.
    pub fn new(
        config: RunConfig,
        family: Family,
        device: &Device,
        class_names: Vec<String>,
        loo: LooFid,
        entropy_target: f64,
    ) -> Self {
        let policy = autodiff_copy(&family, device);
        Self {
            rewards: InstanceRewards::new(&family, &class_names),
            optimizer: optimizer(&config),
            acting: policy.valid(),
            entropy_target: if config.entropy_target > 0.0 { config.entropy_target } else { entropy_target },
            config,
            family,
            device: device.clone(),
            class_names,
            loo,
            policy,
            update: 0,
            stage: Stage::Idle,
        }
    }

    /// The settings in force.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// New settings, from the next piece of work on. Nothing is reset.
    pub fn set_config(&mut self, config: RunConfig) {
        if config.entropy_target > 0.0 {
            self.entropy_target = config.entropy_target;
        }
        self.loo.set_beta(config.ema_beta);
        self.config = config;
    }

    /// Updates done.
    pub fn update(&self) -> u64 {
        self.update
    }

    /// The policy as it is now, without gradients.
    pub fn policy(&self) -> &Transformer {
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

    /// Whether the weights are those of the last finished update: then saving loses nothing but tokens that are drawn
    /// again exactly.
    pub fn at_boundary(&self) -> bool {
        !matches!(&self.stage, Stage::Train(prepared) if prepared.inner > 0)
    }

    /// What a checkpoint stores. Meaningful [at a boundary](Self::at_boundary).
    ///
    /// # Errors
    /// Where the device or the serialiser fails.
    pub fn state(&self) -> Result<TrainerState, TrainError> {
        let state = |e: &dyn std::fmt::Display| TrainError::State(e.to_string());
        Ok(TrainerState {
            update: self.update,
            policy: self.acting.clone().into_record().into_bytes().map_err(|e| state(&e))?.to_vec(),
            optimizer: self.optimizer.into_bytes().map_err(|e| state(&e))?.to_vec(),
            moments: self.loo.ema().clone(),
            entropy_target: self.entropy_target,
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
        let policy = autodiff_copy(&self.family, &self.device).try_load_record(record).map_err(|e| wrong(&e))?;
        // The record carries the parameters' ids, by which the optimiser's moments are found: the policy comes first.
        self.optimizer = optimizer(&self.config)
            .from_bytes(burn::tensor::Bytes::from_bytes_vec(state.optimizer))
            .map_err(|e| wrong(&e))?;
        self.acting = policy.valid();
        self.policy = policy;
        self.loo.set_ema(state.moments)?;
        self.entropy_target = state.entropy_target;
        self.update = state.update;
        self.stage = Stage::Idle;
        Ok(())
    }

    /// A picture of the sequences being written, their unwritten part grey. Costs one decoding.
    ///
    /// # Errors
    /// Where the device fails.
    pub async fn preview(&self) -> Result<Option<Rollouts>, TrainError> {
        let Stage::Generate { rollout, classes, .. } = &self.stage else { return Ok(None) };
        let Some(tokens) = rollout.tokens() else { return Ok(None) };
        let written = rollout.progress();
        let [n, done] = tokens.dims();
        let pad = Tensor::zeros([n, written.1 - done], &self.device);
        let pixels = self.decode(Tensor::cat(vec![tokens, pad], 1));
        let (side, grid) = (self.family.config.side, self.family.config.grid);
        let mut pictures = rgb_pictures(&read(pixels).await?, side);
        let cell = side / grid;
        for picture in &mut pictures {
            for (i, rgb) in picture.chunks_exact_mut(3).enumerate() {
                let token = (i / side / cell) * grid + (i % side) / cell;
                if token >= done {
                    rgb.fill(128);
                }
            }
        }
        Ok(Some(Rollouts {
            update: self.update + 1,
            side,
            classes: classes.clone(),
            pictures,
            written,
            ..Rollouts::default()
        }))
    }

    /// Does the next piece of work.
    ///
    /// # Errors
    /// Where the device fails or the settings name an unknown class. The state is then that of the last update.
    pub async fn advance(&mut self) -> Result<Advance, TrainError> {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => self.begin(),
            Stage::Generate { rollout, classes, clock } => Ok(self.write(rollout, classes, clock)),
            Stage::Reward { tokens, classes, generate } => self.score(tokens, classes, generate).await,
            Stage::OldLogProb(scored) => self.prepare(*scored).await,
            Stage::Train(prepared) => self.train(*prepared).await,
        }
    }

    /// Draws the prompts and writes the first token.
    fn begin(&mut self) -> Result<Advance, TrainError> {
        let clock = Stopwatch::start();
        let allowed = self.allowed_classes()?;
        let update = Key::new(self.config.seed).fold(self.update);
        let mut draw = update.fold(purpose::CLASSES).stream();
        let group = self.config.num_generations as usize;
        let (mut classes, mut keys) = (vec![], vec![]);
        for prompt in 0..self.config.prompts as usize {
            let class = allowed[draw.below(allowed.len())];
            for sample in 0..group {
                classes.push(class);
                keys.push(update.fold(purpose::TOKENS).fold(prompt as u64).fold(sample as u64));
            }
        }
        let rollout = Rollout::new(&self.acting, &classes, keys, self.sampling(), &self.device);
        Ok(self.write(rollout, classes, clock))
    }

    fn write(&mut self, mut rollout: Rollout, classes: Vec<usize>, clock: Stopwatch) -> Advance {
        let more = rollout.step(&self.acting);
        let done = rollout.progress();
        self.stage = if more {
            Stage::Generate { rollout, classes, clock }
        } else {
            Stage::Reward { tokens: rollout.finish(&self.acting), classes, generate: clock.seconds() }
        };
        Advance { phase: Phase::Generate, done, outcome: Outcome::None }
    }

    /// Decodes the pictures, scores them and computes the advantages. One readback.
    async fn score(
        &mut self,
        tokens: Tensor<2, Int>,
        classes: Vec<usize>,
        generate: f64,
    ) -> Result<Advance, TrainError> {
        let decoding = Stopwatch::start();
        let n = classes.len();
        let group = self.config.num_generations as usize;
        let pictures = self.decode(tokens.clone());
        let batch = RewardBatch { pictures: pictures.clone(), classes: classes.clone() };
        let scores = self.rewards.score(&batch);
        let features = self.family.features.features(pictures.clone());
        let read = Transaction::default()
            .register(tokens.clone())
            .register(pictures)
            .register(scores)
            .register(features)
            .execute_async()
            .await
            .map_err(|e| ReadError(e.to_string()))?;
        let [ids, pixels, scores, features] =
            <[TensorData; 4]>::try_from(read).map_err(|_| ReadError("a readback is incomplete".into()))?;
        let tokens_host: Vec<u32> = ids.iter::<u32>().collect();
        let pixels: Vec<f32> = pixels.iter::<f32>().collect();
        let parts = self.rewards.names().len();
        let scores: Vec<Vec<f64>> = scores.iter::<f64>().collect::<Vec<_>>().chunks(parts).map(<[_]>::to_vec).collect();
        let width = features.shape()[1];
        let features: Vec<f64> = features.iter().collect();

        let weights = InstanceRewards::weights(&self.config);
        let rewards: Vec<f64> = scores.iter().map(|s| mixed(s, &weights)).collect();
        let instance = group_advantages(&rewards, group, self.config.scale_rewards, self.config.advantage_eps)?;
        let (loo_fid, moments) = self.leave_one_out(&features, width)?;
        let distribution = if self.config.loo_fid_weight > 0.0 {
            let weighted: Vec<f64> = loo_fid.iter().map(|r| r * self.config.loo_fid_weight).collect();
            Some(group_advantages(&weighted, group, true, self.config.advantage_eps)?)
        } else {
            None
        };

        let mut metrics = BTreeMap::new();
        for (k, name) in self.rewards.names().into_iter().enumerate() {
            let column: Vec<f64> = scores.iter().map(|s| s[k]).collect();
            metrics.insert(format!("rewards/{name}/mean"), finite_mean(&column));
        }
        metrics.insert("rewards/loo_fid/mean".into(), finite_mean(&loo_fid));
        metrics.insert("reward".into(), finite_mean(&rewards));
        metrics.insert("reward_std".into(), finite_mean(&instance.std));
        metrics.insert("frac_reward_zero_std".into(), instance.frac_zero_std());
        metrics.insert("samples_skipped".into(), instance.skipped as f64);
        metrics.insert("diversity".into(), diversity(&features, width));
        metrics.insert("time/generate".into(), generate);
        metrics.insert("time/reward".into(), decoding.seconds());

        let advantage = |i: usize| (instance.values[i], distribution.as_ref().map_or(0.0, |d| d.values[i]));
        let length = tokens_host.len() / n;
        let rollouts = Rollouts {
            update: self.update + 1,
            side: self.family.config.side,
            classes: classes.clone(),
            pictures: rgb_pictures(&pixels, self.family.config.side),
            written: (length, length),
            tokens: tokens_host.chunks(length).map(<[_]>::to_vec).collect(),
            advantages: (0..n).map(advantage).collect(),
            scores,
            loo_fid,
        };
        self.stage = Stage::OldLogProb(Box::new(Scored { tokens, classes, instance, distribution, moments, metrics }));
        Ok(Advance { phase: Phase::Reward, done: (1, 1), outcome: Outcome::Scored(Box::new(rollouts)) })
    }

    /// LOO-FID reward of every sample, and the moments after this batch. Samples with a broken feature get NaN, which
    /// the advantages leave out.
    fn leave_one_out(&self, features: &[f64], width: usize) -> Result<(Vec<f64>, Option<Moments>), TrainError> {
        let rows: Vec<&[f64]> = features.chunks(width).collect();
        let sound: Vec<usize> = (0..rows.len()).filter(|&i| rows[i].iter().all(|x| x.is_finite())).collect();
        let mut rewards = vec![f64::NAN; rows.len()];
        if sound.len() < 2 {
            return Ok((rewards, None));
        }
        let kept: Vec<f64> = sound.iter().flat_map(|&i| rows[i].iter().copied()).collect();
        let (values, moments) = self.loo.rewards(&Features::new(sound.len(), width, kept)?)?;
        for (i, value) in sound.into_iter().zip(values) {
            rewards[i] = value;
        }
        Ok((rewards, Some(moments)))
    }

    /// Log-probabilities before the update and under the reference, and the entropy that sets the coefficient.
    async fn prepare(&mut self, scored: Scored) -> Result<Advance, TrainError> {
        let clock = Stopwatch::start();
        let n = scored.classes.len();
        // Q2 of the authors' code: a tenth of the rows is scored as if it had no class.
        let dropped = self.dropped(n, 0);
        let (mut old, mut reference, mut entropies) = (vec![], vec![], vec![]);
        for rows in self.chunks(n) {
            let tokens = scored.tokens.clone().narrow(0, rows.start, rows.len());
            let labels = self.labels(&scored.classes[rows.clone()], &dropped[rows.clone()]);
            let (logp, entropy) = grpo::token_log_probs(teacher_forced(&self.acting, labels, tokens.clone()), tokens.clone());
            old.push(logp);
            entropies.push(entropy);
            let labels = self.labels(&scored.classes[rows.clone()], &vec![false; rows.len()]);
            let (logp, _) = grpo::token_log_probs(teacher_forced(&self.family.prior, labels, tokens.clone()), tokens);
            reference.push(logp);
        }
        let entropy = read(Tensor::cat(entropies, 0).mean()).await?[0] as f64;
        let h_norm = normalized(entropy, self.family.config.gpt.vocab_size);
        let progress = self.update as f64 / self.config.updates.max(1) as f64;
        let alpha = self.controller().coefficient(progress, h_norm);

        let vector = |v: &[f64]| {
            let v: Vec<f32> = v.iter().map(|&x| x as f32).collect();
            Tensor::<1>::from_data(TensorData::new(v, [n]), &self.device)
        };
        let mut prepared = Prepared {
            dropped,
            old_logp: Tensor::cat(old, 0),
            ref_logp: Tensor::cat(reference, 0),
            instance: vector(&scored.instance.values),
            distribution: scored.distribution.as_ref().map(|d| vector(&d.values)),
            alpha,
            inner: 0,
            clock: Stopwatch::start(),
            stats: vec![],
            grad_norms: vec![],
            skipped: 0,
            scored,
        };
        let metrics = &mut prepared.scored.metrics;
        metrics.insert("entropy".into(), entropy);
        metrics.insert("entropy_norm".into(), h_norm);
        metrics.insert("entropy_target".into(), self.entropy_target);
        metrics.insert("entropy_coef".into(), alpha);
        metrics.insert("time/old_logp".into(), clock.seconds());
        prepared.clock = Stopwatch::start();
        self.stage = Stage::Train(Box::new(prepared));
        Ok(Advance { phase: Phase::OldLogProb, done: (1, 1), outcome: Outcome::None })
    }

    /// One inner step: a gradient of the whole batch, in micro-batches, and the optimiser. One small readback.
    async fn train(&mut self, mut prepared: Prepared) -> Result<Advance, TrainError> {
        let n = prepared.scored.classes.len();
        let inner = prepared.inner;
        let total = self.config.num_iterations.max(1) as usize;
        let dropped = if inner == 0 { prepared.dropped.clone() } else { self.dropped(n, inner as u64) };
        let loss_config = loss_config(&self.config);
        let length = self.family.config.gpt.block_size;
        let mut accumulator = GradientsAccumulator::new();
        let mut stats: Option<Tensor<1>> = None;
        for rows in self.chunks(n) {
            let slice = |t: &Tensor<2>| t.clone().narrow(0, rows.start, rows.len()).autodiff();
            let vector = |t: &Tensor<1>| t.clone().narrow(0, rows.start, rows.len()).autodiff();
            let tokens = prepared.scored.tokens.clone().narrow(0, rows.start, rows.len()).autodiff();
            let labels = self.labels(&prepared.scored.classes[rows.clone()], &dropped[rows.clone()]).autodiff();
            let (logp, entropy) = grpo::token_log_probs(teacher_forced(&self.policy, labels, tokens.clone()), tokens);
            let output = grpo::loss(
                &loss_config,
                LossInput {
                    logp,
                    entropy,
                    old_logp: slice(&prepared.old_logp),
                    ref_logp: Some(slice(&prepared.ref_logp)),
                    mask: None,
                    instance_advantage: vector(&prepared.instance),
                    distribution_advantage: prepared.distribution.as_ref().map(vector),
                    alpha: prepared.alpha,
                    normaliser: Normaliser::full(n, length),
                },
            );
            let part = output.stats.inner();
            stats = Some(match stats {
                Some(sum) => grpo::merge_stats(sum, part),
                None => part,
            });
            accumulator.accumulate(&self.policy, GradientsParams::from_grads(output.total.backward(), &self.policy));
        }
        let grads = accumulator.grads();
        let norm = gradient::squared_norm(&self.policy, &grads);
        let packed = Tensor::cat(stats.into_iter().chain(norm).collect(), 0);
        let read = read(packed).await?;
        let (stats, squared) = read.split_at(read.len() - 1);
        let norm = (squared[0] as f64).sqrt();
        // The gate before the weights: one broken number anywhere makes the loss or the norm not finite.
        if norm.is_finite() && stats.iter().all(|s| s.is_finite()) {
            let factor = (self.config.max_grad_norm / (norm + 1e-6)).min(1.0);
            let grads = gradient::scale(&self.policy, grads, factor);
            self.policy = self.optimizer.step(self.config.learning_rate, self.policy.clone(), grads);
            self.acting = self.policy.valid();
            let mut row = [0.0; grpo::STATS.len()];
            row.iter_mut().zip(stats).for_each(|(to, &from)| *to = from as f64);
            prepared.stats.push(row);
            prepared.grad_norms.push(norm);
        } else {
            prepared.skipped += 1;
        }
        prepared.inner += 1;
        let done = (prepared.inner, total);
        if prepared.inner < total {
            self.stage = Stage::Train(Box::new(prepared));
            return Ok(Advance { phase: Phase::Train, done, outcome: Outcome::None });
        }
        Ok(Advance { phase: Phase::Train, done, outcome: Outcome::Update(self.finish(prepared)) })
    }

    /// Closes the update: moments move, the scalars are summed up.
    fn finish(&mut self, prepared: Prepared) -> BTreeMap<String, f64> {
        let mut metrics = prepared.scored.metrics;
        if let Some(moments) = prepared.scored.moments {
            self.loo.commit(moments);
        }
        metrics.insert("frechet/rewarded".into(), self.loo.distance());
        // The first inner step shows the ratio before any change (it must be 1); the last what the update did.
        if let Some(first) = prepared.stats.first() {
            for (name, value) in grpo::STATS.iter().zip(first).filter(|(name, _)| name.starts_with("ratio")) {
                metrics.insert(format!("{name}/first"), *value);
            }
        }
        if let Some(last) = prepared.stats.last() {
            metrics.extend(grpo::STATS.iter().zip(last).filter(|(n, _)| **n != "entropy").map(|(n, v)| (n.to_string(), *v)));
        }
        metrics.insert("grad_norm".into(), finite_mean(&prepared.grad_norms));
        metrics.insert("updates_skipped".into(), prepared.skipped as f64);
        metrics.insert("time/train".into(), prepared.clock.seconds());
        let tokens = (prepared.scored.classes.len() * self.family.config.gpt.block_size) as f64;
        let mut step = 0.0;
        for phase in ["generate", "reward", "old_logp", "train"] {
            let seconds = metrics.get(&format!("time/{phase}")).copied().unwrap_or(0.0);
            step += seconds;
            metrics.insert(format!("tokens_per_second/{phase}"), tokens / seconds.max(1e-9));
        }
        metrics.insert("step_time".into(), step);
        metrics.insert("tokens_per_second".into(), tokens / step.max(1e-9));
        self.update += 1;
        metrics
    }

    fn allowed_classes(&self) -> Result<Vec<usize>, TrainError> {
        allowed_classes(&self.config.classes, &self.class_names)
    }

    fn sampling(&self) -> SamplingConfig {
        SamplingConfig {
            guidance: self.config.guidance,
            temperature: self.config.temperature,
            top_k: self.config.top_k as usize,
            top_p: self.config.top_p,
            cfg_interval: self.config.cfg_interval,
        }
    }

    fn controller(&self) -> EntropyController {
        let c = &self.config;
        if !c.adaptive_entropy {
            return EntropyController::Fixed(c.entropy_coef);
        }
        EntropyController::Adaptive(AdaptiveEntropy {
            base: c.entropy_coef,
            min: c.entropy_min,
            max: c.entropy_max,
            target: self.entropy_target,
            deadband: c.entropy_deadband,
            gain: c.entropy_gain,
            warmup: c.entropy_warmup,
            decay_start: c.entropy_decay_from,
        })
    }

    /// Tokens `[n, t]` → pictures `[n, 3, side, side]` in [0, 1], cut to 256 levels as the authors' code does.
    fn decode(&self, tokens: Tensor<2, Int>) -> Tensor<4> {
        let grid = self.family.config.grid;
        decode_levels(&self.family, tokens, grid)
    }

    fn dropped(&self, n: usize, pass: u64) -> Vec<bool> {
        let key = Key::new(self.config.seed).fold(self.update).fold(purpose::DROPOUT).fold(pass);
        let mut stream = key.stream();
        (0..n).map(|_| self.config.quirk_label_dropout && stream.uniform() < 0.1).collect()
    }

    fn labels(&self, classes: &[usize], dropped: &[bool]) -> Tensor<1, Int> {
        let null = self.family.config.gpt.num_classes as i32;
        let ids: Vec<i32> = classes.iter().zip(dropped).map(|(&c, &d)| if d { null } else { c as i32 }).collect();
        Tensor::from_data(TensorData::new(ids, [classes.len()]), &self.device)
    }

    /// The rows of each micro-batch.
    fn chunks(&self, n: usize) -> Vec<std::ops::Range<usize>> {
        let size = if self.config.micro_batch == 0 { n } else { (self.config.micro_batch as usize).min(n) };
        (0..n).step_by(size).map(|start| start..(start + size).min(n)).collect()
    }
}

/// Tokens `[n, t]` → pictures `[n, 3, side, side]` in [0, 1] with 256 levels: `trunc(255 * clamp(0.5 y + 0.5))`.
pub fn decode_levels(family: &Family, tokens: Tensor<2, Int>, grid: usize) -> Tensor<4> {
    let y = family.tokenizer.decode_code(tokens, [grid, grid]);
    (y * 0.5 + 0.5).clamp(0.0, 1.0).mul_scalar(255.0).floor().div_scalar(255.0)
}

/// `"all"`, or a comma-separated list of class names → class ids.
///
/// # Errors
/// [`TrainError::UnknownClass`].
pub fn allowed_classes(asked: &str, names: &[String]) -> Result<Vec<usize>, TrainError> {
    if asked.trim() == "all" {
        return Ok((0..names.len()).collect());
    }
    asked
        .split(',')
        .map(|name| {
            let name = name.trim();
            names.iter().position(|n| n.eq_ignore_ascii_case(name)).ok_or_else(|| TrainError::UnknownClass {
                asked: name.into(),
                known: names.join(", "),
            })
        })
        .collect()
}

/// Logits `[n, t, vocab]` of the tokens `[n, t]` themselves: each position sees the class and the tokens before it.
pub fn teacher_forced(model: &Transformer, classes: Tensor<1, Int>, tokens: Tensor<2, Int>) -> Tensor<3> {
    let [_, t] = tokens.dims();
    model.forward(classes, tokens.narrow(1, 0, t - 1))
}

fn autodiff_copy(family: &Family, device: &Device) -> Transformer {
    family.prior.clone().fork(&device.clone().autodiff())
}

fn loss_config(c: &RunConfig) -> LossConfig {
    LossConfig {
        level: if c.importance_sampling_level == "token" { Level::Token } else { Level::Sequence },
        loss_type: match c.loss_type.as_str() {
            "bnpo" => LossType::Bnpo,
            "dr_grpo" => LossType::DrGrpo,
            _ => LossType::Grpo,
        },
        epsilon_low: c.epsilon,
        epsilon_high: c.epsilon_high,
        beta: c.beta,
        lambda_fid: c.lambda_fid,
        optimistic_clip: c.quirk_optimistic_clip,
        delta: None,
    }
}

fn optimizer(config: &RunConfig) -> ModuleOptimizer {
    AdamWConfig::new()
        .with_beta_1(config.adam_beta1 as f32)
        .with_beta_2(config.adam_beta2 as f32)
        .with_weight_decay(config.weight_decay as f32)
        .init()
}

fn finite_mean(values: &[f64]) -> f64 {
    let finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    finite.iter().sum::<f64>() / finite.len().max(1) as f64
}

/// Mean cosine distance over all pairs of a batch's features; 0 when all pictures are alike.
fn diversity(features: &[f64], width: usize) -> f64 {
    let units: Vec<Vec<f64>> = features
        .chunks(width)
        .map(|f| (f, f.iter().map(|x| x * x).sum::<f64>().sqrt()))
        .filter(|(_, norm)| norm.is_finite() && *norm > 0.0)
        .map(|(f, norm)| f.iter().map(|x| x / norm).collect())
        .collect();
    let n = units.len() as f64;
    if n < 2.0 {
        return 0.0;
    }
    // The sum over all pairs is the squared length of the sum, less the diagonal's n.
    let squared: f64 = (0..width).map(|d| units.iter().map(|u| u[d]).sum::<f64>().powi(2)).sum();
    1.0 - (squared - n) / (n * (n - 1.0))
}
