//! Looking at one finished sequence: how it was written, what would have followed another token, and how hard the
//! update pushes each of its tokens. Nothing here changes the run or draws from its random numbers.

use burn::prelude::*;
use burn::tensor::Transaction;

use super::optimise::loss_config;
use super::{Rollouts, TrainError, Trainer, autodiff_copy, teacher_forced};
use crate::data::grid::rgb_pictures;
use crate::gpu::read::{read, read_ids, read_together};
use crate::model::policy::Policy;
use crate::platform::rng::Key;
use crate::rl::grpo::{Level, token_log_probs};
use crate::rl::rollout::Rollout;
use crate::rl::sampling::SamplingConfig;
use crate::rl::{entropy, push};

/// The newest batch that was scored.
pub(super) struct Newest {
    pub(super) rollouts: Rollouts,
    /// Samples per prompt.
    pub(super) group: usize,
    /// The random numbers of each sample.
    pub(super) keys: Vec<Key>,
    /// How the samples were drawn.
    pub(super) sampling: SamplingConfig,
    /// Log-probabilities when the update began `[n, t]`, row by row, as the loss has them: where the quirk dropped a
    /// row's class, without it. Empty until that phase is over.
    pub(super) old_logp: Vec<f32>,
}

/// One finished sequence with everything known about it; it can be looked at after its batch has gone.
#[derive(Clone, Debug)]
pub struct Specimen {
    /// Update it belongs to, from 1.
    pub update: u64,
    /// Where it stands in its batch.
    pub sample: usize,
    /// Samples per prompt of its batch.
    pub group: usize,
    /// Its class.
    pub class: usize,
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// `side * side * 3` bytes of RGB.
    pub picture: Vec<u8>,
    /// Its scores, in the order of [`InstanceRewards::names`](crate::reward::mix::InstanceRewards::names).
    pub scores: Vec<f64>,
    /// Its LOO-FID reward.
    pub loo_fid: f64,
    /// Instance and distribution advantage.
    pub advantages: (f64, f64),
    /// Log-probabilities of its tokens when its update began; `None` until they are computed.
    pub old_logp: Option<Vec<f64>>,
    key: Key,
    sampling: SamplingConfig,
}

/// What the policy thinks of one token, given the class and the tokens before it: at temperature 1, without guidance
/// and without a cut, as the loss sees it.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Log-probability of the token, nats.
    pub logp: f64,
    /// The same under the frozen reference.
    pub reference_logp: f64,
    /// Entropy over the whole vocabulary, as a share of ln(vocabulary).
    pub entropy: f64,
    /// The likeliest tokens with their probabilities, likeliest first.
    pub candidates: Vec<(u32, f64)>,
}

/// How an update pushes the tokens of a sequence; see [`crate::rl::push`].
#[derive(Clone, Debug)]
pub struct Pushes {
    /// Importance ratio of each token.
    pub ratios: Vec<f64>,
    /// Importance ratio of the sequence.
    pub sequence: f64,
    /// Push of each token.
    pub pushes: Vec<f64>,
    /// Whether each token has a ratio of its own in the loss.
    pub per_token: bool,
    /// Ratios outside of this are clipped.
    pub range: (f64, f64),
}

impl Trainer {
    /// The update whose batch was scored last.
    pub fn scored_update(&self) -> Option<u64> {
        self.newest.as_ref().map(|newest| newest.rollouts.update)
    }

    /// A sequence of the newest scored batch; `None` where the batch is of another update or has no such sample.
    pub fn specimen(&self, update: u64, sample: usize) -> Option<Specimen> {
        let newest = self.newest.as_ref().filter(|newest| newest.rollouts.update == update)?;
        let batch = &newest.rollouts;
        let tokens = batch.tokens.get(sample)?.clone();
        let length = tokens.len();
        let old = newest.old_logp.get(sample * length..(sample + 1) * length);
        Some(Specimen {
            update,
            sample,
            group: newest.group,
            class: batch.classes[sample],
            tokens,
            picture: batch.pictures[sample].clone(),
            scores: batch.scores[sample].clone(),
            loo_fid: batch.loo_fid[sample],
            advantages: batch.advantages[sample],
            old_logp: old.map(|old| old.iter().map(|&x| f64::from(x)).collect()),
            key: newest.keys[sample],
            sampling: newest.sampling,
        })
    }

    /// What the acting policy and the reference think of each of `tokens` `[t]`, with the `candidates` likeliest tokens
    /// of each position. One pass over one sequence for either, one readback.
    ///
    /// # Errors
    /// Where the device fails.
    pub async fn readings(&self, class: usize, tokens: &[u32], candidates: usize) -> Result<Vec<Reading>, TrainError> {
        let vocabulary = self.family.config.gpt.vocab_size();
        let ids = self.sequences(&[tokens]);
        let class = Tensor::<1, Int>::from_data([class as i32], &self.device);
        let logits = teacher_forced(&self.acting, class.clone(), ids.clone());
        let (logp, entropies) = token_log_probs(logits.clone(), ids.clone());
        let reference = token_log_probs(teacher_forced(&self.family.prior, class, ids.clone()), ids).0;
        let all = Transaction::default().register(logits).register(logp).register(entropies).register(reference);
        let [logits, logp, entropies, reference] = read_together(all).await?;
        let [logits, logp, entropies, reference] =
            [logits, logp, entropies, reference].map(|data| data.iter::<f32>().collect::<Vec<_>>());
        let reading = |(t, row): (usize, &[f32])| Reading {
            logp: f64::from(logp[t]),
            reference_logp: f64::from(reference[t]),
            entropy: entropy::normalized(f64::from(entropies[t]), vocabulary),
            candidates: likeliest(row, candidates),
        };
        Ok(logits.chunks(vocabulary).enumerate().map(reading).collect())
    }

    /// How the update of `specimen` pushes its tokens, were its next gradient step made now, with the settings as they
    /// are. `old` are the log-probabilities when its update began.
    pub fn pushes(&self, specimen: &Specimen, readings: &[Reading], old: &[f64]) -> Pushes {
        let config = loss_config(&self.config);
        let logp: Vec<f64> = readings.iter().map(|reading| reading.logp).collect();
        let (ratios, sequence) = push::ratios(&logp, old);
        let of = |(logp, own): (&f64, &f64)| {
            let ratio = push::term(&config, *own, sequence);
            push::push(&config, ratio, logp.exp(), specimen.advantages, specimen.tokens.len())
        };
        Pushes {
            pushes: logp.iter().zip(&ratios).map(of).collect(),
            ratios,
            sequence,
            per_token: config.level == Level::Token,
            range: (1.0 - config.epsilon_low, 1.0 + config.epsilon_high),
        }
    }

    /// The tokens that `policy` writes for the class of `specimen`, with its random numbers and the way it was drawn,
    /// after the tokens of `prefix`.
    ///
    /// # Errors
    /// Where the device fails.
    ///
    /// # Panics
    /// If `prefix` is longer than a sequence.
    pub async fn write_again(
        &self,
        policy: &Policy,
        specimen: &Specimen,
        prefix: &[u32],
    ) -> Result<Vec<u32>, TrainError> {
        let Specimen { class, key, sampling, .. } = specimen;
        let rollout = Rollout::new(policy, &[*class], vec![*key], *sampling, &self.device);
        Ok(read_ids(rollout.with_prefix(&[prefix.to_vec()]).finish(policy).await).await?)
    }

    /// Decodes sequences of tokens to pictures, `side * side * 3` bytes of RGB each.
    ///
    /// # Errors
    /// Where the device fails.
    pub async fn pictures(&self, sequences: &[&[u32]]) -> Result<Vec<Vec<u8>>, TrainError> {
        Ok(rgb_pictures(&read(self.decode(self.sequences(sequences))).await?, self.family.config.side))
    }

    /// The policy that a checkpoint's record holds ([`super::TrainerState::policy`]).
    ///
    /// # Errors
    /// Where the record does not fit this family.
    pub fn policy_of(&self, record: Vec<u8>) -> Result<Policy, TrainError> {
        let wrong = |e: &dyn std::fmt::Display| TrainError::State(e.to_string());
        let record = burn::store::ModuleRecord::from_bytes(burn::tensor::Bytes::from_bytes_vec(record));
        let learner = autodiff_copy(&self.family, &self.device);
        Ok(learner.try_load_record(record.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?.valid())
    }

    /// Sequences of one length on the device, `[n, t]`.
    fn sequences(&self, sequences: &[&[u32]]) -> Tensor<2, Int> {
        let length = sequences.first().map_or(0, |tokens| tokens.len());
        let ids: Vec<i32> = sequences.iter().flat_map(|tokens| tokens.iter().map(|&id| id as i32)).collect();
        Tensor::from_data(TensorData::new(ids, [sequences.len(), length]), &self.device)
    }
}

/// The `count` likeliest tokens of a row of logits with their probabilities, likeliest first; of equals the lower id.
fn likeliest(logits: &[f32], count: usize) -> Vec<(u32, f64)> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| f64::from(logit - max).exp();
    let total: f64 = logits.iter().map(|&logit| weight(logit)).sum();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    let before = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
    if count < order.len() {
        order.select_nth_unstable_by(count, before);
        order.truncate(count);
    }
    order.sort_unstable_by(before);
    order.into_iter().map(|id| (id as u32, weight(logits[id]) / total)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_tokens_come_first_with_their_softmax() {
        let logits = [0.0, 3.0, 1.0, 3.0, -2.0];
        let total: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
        let got = likeliest(&logits, 3);
        assert_eq!(got.iter().map(|c| c.0).collect::<Vec<_>>(), [1, 3, 2]);
        assert!((got[0].1 - 3f64.exp() / total).abs() < 1e-9);
        assert!((likeliest(&logits, 9).iter().map(|c| c.1).sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
