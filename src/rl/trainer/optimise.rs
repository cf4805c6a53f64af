//! The last two phases: log-probabilities of before, and the inner gradient steps.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::prelude::*;
use burn::tensor::Transaction;

use super::{
    Advance, Outcome, Phase, Prepared, Prompts, Scored, Stage, TrainError, Trainer, Valued, finite_mean, purpose,
};
use crate::config::RunConfig;
use crate::gpu::read::{read, read_together, rest};
use crate::model::policy::Policy;
use crate::platform::rng::Key;
use crate::rl::checkpointed;
use crate::rl::entropy::{AdaptiveEntropy, EntropyController, normalized};
use crate::rl::gradient;
use crate::rl::grpo::{self, Level, LossConfig, LossInput, LossType, Normaliser};

/// Pictures of a small step: a gradient of so many takes a browser about a tenth of a second.
const SMALL_STEP: usize = 2;

impl Trainer {
    /// Log-probabilities before the update and under the reference, and the entropy that sets the coefficient.
    pub(super) async fn prepare(&mut self, valued: Valued) -> Result<Advance, TrainError> {
        let Valued { scored, instance, distribution } = valued;
        let Scored { tokens, prompts: Prompts { classes, .. }, moments, mut metrics, .. } = scored;
        let n = classes.len();
        // Q2 of the authors' code: a tenth of the rows is scored as if it had no class.
        let dropped = self.dropped(n, 0);
        let (mut old, mut reference, mut entropies) = (vec![], vec![], vec![]);
        for rows in self.chunks(n) {
            let tokens = tokens.clone().narrow(0, rows.start, rows.len());
            let labels = self.labels(&classes[rows.clone()], &dropped[rows.clone()]);
            let (logp, entropy) = self.log_probs(&self.acting, labels, tokens.clone()).await;
            old.push(logp);
            entropies.push(entropy);
            // Also without a penalty: how far the policy has drifted is then the more worth seeing.
            let labels = self.labels(&classes[rows.clone()], &vec![false; rows.len()]);
            reference.push(self.log_probs(&self.family.prior, labels, tokens).await.0);
            rest(&self.device).await;
        }
        let old_logp = Tensor::cat(old, 0);
        let both = Transaction::default().register(Tensor::cat(entropies, 0).mean()).register(old_logp.clone());
        let [entropy, old] = read_together(both).await?;
        if let Some(newest) = &mut self.newest {
            newest.old_logp = old.iter().collect();
        }
        let entropy = entropy.iter::<f32>().next().unwrap_or(f32::NAN) as f64;
        let h_norm = normalized(entropy, self.family.config.gpt.vocab_size());
        let progress = self.update as f64 / self.config.updates.max(1) as f64;
        let alpha = self.controller().coefficient(progress, h_norm);

        let vector = |v: &[f64]| {
            let v: Vec<f32> = v.iter().map(|&x| x as f32).collect();
            Tensor::<1>::from_data(TensorData::new(v, [n]), &self.device)
        };
        metrics.insert("entropy".into(), entropy);
        metrics.insert("entropy_norm".into(), h_norm);
        metrics.insert("entropy_target".into(), self.entropy_target());
        metrics.insert("entropy_coef".into(), alpha);
        let prepared = Prepared {
            old_logp,
            ref_logp: Tensor::cat(reference, 0),
            instance: vector(&instance.values),
            distribution: distribution.as_ref().map(|d| vector(&d.values)),
            alpha,
            inner: 0,
            inner_steps: self.config.num_iterations.max(1) as usize,
            stats: vec![],
            grad_norms: vec![],
            skipped: 0,
            tokens,
            classes,
            moments,
            metrics,
        };
        self.stage = Stage::Train(Box::new(prepared));
        Ok(Advance { phase: Phase::OldLogProb, done: (1, 1), outcome: Outcome::None })
    }

    /// Log-probabilities and entropies of `tokens` `[n, t]`, computed as the gradient step will: the first ratio is then
    /// exactly 1.
    async fn log_probs(
        &self,
        model: &Policy,
        labels: Tensor<1, Int>,
        tokens: Tensor<2, Int>,
    ) -> (Tensor<2>, Tensor<2>) {
        if self.config.checkpointing {
            return checkpointed::log_probs(model, labels, tokens, checkpointed::LOGITS).await;
        }
        grpo::token_log_probs(teacher_forced(model, labels, tokens.clone()), tokens)
    }

    /// One inner step: a gradient of the whole batch, in micro-batches, and the optimiser. One small readback.
    pub(super) async fn train(&mut self, mut prepared: Prepared) -> Result<Advance, TrainError> {
        let n = prepared.classes.len();
        // Q2 again, drawn anew for every pass as the authors' code does.
        let dropped = self.dropped(n, prepared.inner as u64 + 1);
        let loss_config = loss_config(&self.config);
        let length = self.family.config.gpt.block_size();
        let mut accumulator = GradientsAccumulator::new();
        let mut stats: Option<Tensor<1>> = None;
        for rows in self.chunks(n) {
            let slice = |t: &Tensor<2>| t.clone().narrow(0, rows.start, rows.len()).autodiff();
            let vector = |t: &Tensor<1>| t.clone().narrow(0, rows.start, rows.len()).autodiff();
            let tokens = prepared.tokens.clone().narrow(0, rows.start, rows.len());
            let labels = self.labels(&prepared.classes[rows.clone()], &dropped[rows.clone()]);
            let loss = |logp, entropy| {
                grpo::loss(
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
                )
            };
            let output = if self.config.checkpointing {
                let networks = (&self.learner, &self.acting);
                checkpointed::backward(networks, labels, tokens, loss, &mut accumulator, checkpointed::LOGITS).await
            } else {
                let (labels, tokens) = (labels.autodiff(), tokens.autodiff());
                let logits = teacher_forced(&self.learner, labels, tokens.clone());
                let (logp, entropy) = grpo::token_log_probs(logits, tokens);
                let output = loss(logp, entropy);
                let grads = GradientsParams::from_grads(output.total.backward(), &self.learner);
                accumulator.accumulate(&self.learner, grads);
                output
            };
            let part = output.stats.inner();
            stats = Some(match stats {
                Some(sum) => grpo::merge_stats(sum, part),
                None => part,
            });
            rest(&self.device).await;
        }
        let grads = accumulator.grads();
        let norm = gradient::squared_norm(&self.learner, &grads);
        let packed = Tensor::cat(stats.into_iter().chain(norm).collect(), 0);
        let read = read(packed).await?;
        let (stats, squared) = read.split_at(read.len() - 1);
        let norm = (squared[0] as f64).sqrt();
        // The gate before the weights: one broken number anywhere makes the loss or the norm not finite.
        if norm.is_finite() && stats.iter().all(|s| s.is_finite()) {
            let factor = (self.config.max_grad_norm / (norm + 1e-6)).min(1.0);
            let grads = gradient::scale(&self.learner, grads, factor);
            self.learner = self.optimizer.step(self.config.learning_rate, self.learner.clone(), grads);
            self.acting = self.learner.valid();
            let mut row = [0.0; grpo::STATS.len()];
            row.iter_mut().zip(stats).for_each(|(to, &from)| *to = from as f64);
            prepared.stats.push(row);
            prepared.grad_norms.push(norm);
        } else {
            prepared.skipped += 1;
        }
        prepared.inner += 1;
        let done = (prepared.inner, prepared.inner_steps);
        if done.0 < done.1 {
            self.stage = Stage::Train(Box::new(prepared));
            return Ok(Advance { phase: Phase::Train, done, outcome: Outcome::None });
        }
        Ok(Advance { phase: Phase::Train, done, outcome: Outcome::Update(self.finish(prepared)) })
    }

    /// Closes the update: moments move, the scalars are summed up.
    fn finish(&mut self, prepared: Prepared) -> BTreeMap<String, f64> {
        let mut metrics = prepared.metrics;
        if let Some(moments) = prepared.moments {
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
            metrics.extend(
                grpo::STATS.iter().zip(last).filter(|(n, _)| **n != "entropy").map(|(n, v)| (n.to_string(), *v)),
            );
        }
        metrics.insert("grad_norm".into(), finite_mean(&prepared.grad_norms));
        metrics.insert("updates_skipped".into(), prepared.skipped as f64);
        self.update += 1;
        metrics
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
            target: self.entropy_target(),
            deadband: c.entropy_deadband,
            gain: c.entropy_gain,
            warmup: c.entropy_warmup,
            decay_start: c.entropy_decay_from,
        })
    }

    fn dropped(&self, n: usize, pass: u64) -> Vec<bool> {
        let key = Key::new(self.config.seed).fold(self.update).fold(purpose::DROPOUT).fold(pass);
        let mut stream = key.stream();
        let drops = self.config.quirk_label_dropout && self.family.config.gpt.is_guided();
        (0..n).map(|_| drops && stream.uniform() < 0.1).collect()
    }

    fn labels(&self, classes: &[usize], dropped: &[bool]) -> Tensor<1, Int> {
        let null = |class: usize| self.family.prior.null_of(class).unwrap_or(class);
        let ids: Vec<i32> =
            classes.iter().zip(dropped).map(|(&c, &dropped)| if dropped { null(c) } else { c } as i32).collect();
        Tensor::from_data(TensorData::new(ids, [classes.len()]), &self.device)
    }

    /// The rows of each micro-batch.
    fn chunks(&self, n: usize) -> Vec<Range<usize>> {
        self.pieces(n, if self.config.micro_batch == 0 { n } else { self.config.micro_batch as usize })
    }

    /// Rows that are worked on at once, `most` together. Where a page's own processor computes they are few: the page
    /// stands still meanwhile.
    pub(super) fn pieces(&self, n: usize, most: usize) -> Vec<Range<usize>> {
        let small = cfg!(target_family = "wasm") && self.device == Device::flex();
        let size = if small { most.min(SMALL_STEP) } else { most };
        (0..n).step_by(size.max(1)).map(|start| start..(start + size).min(n)).collect()
    }
}

/// Logits `[n, t, vocab]` of the tokens `[n, t]` themselves: each position sees the class and the tokens before it.
pub fn teacher_forced(model: &Policy, classes: Tensor<1, Int>, tokens: Tensor<2, Int>) -> Tensor<3> {
    let [_, t] = tokens.dims();
    model.forward(classes, tokens.narrow(1, 0, t - 1))
}

pub(super) fn loss_config(c: &RunConfig) -> LossConfig {
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
