//! The second phase: what the pictures are paid, and what that says about each against its group.

use std::collections::BTreeMap;

use burn::prelude::*;
use burn::tensor::Transaction;

use super::inspect::Newest;
use super::{
    Advance, Decoded, Drawn, Outcome, Phase, Rollouts, Scored, Stage, TrainError, Trainer, Valued, finite_mean,
};
use crate::data::grid::rgb_pictures;
use crate::gpu::read::{read_together, rest};
use crate::metrics::{Features, MetricError};
use crate::reward::RewardBatch;
use crate::reward::loo_fid::LooFidError;
use crate::reward::mix::{InstanceRewards, mixed};
use crate::reward::moments::Moments;
use crate::rl::advantage::advantages;

impl Trainer {
    /// Scores the pictures. One readback.
    pub(super) async fn score(&mut self, drawn: Drawn) -> Result<Advance, TrainError> {
        let Drawn { prompts, tokens, pictures, tokens_host, pixels } = drawn;
        let n = prompts.classes.len();
        let (mut scores, mut features) = (vec![], vec![]);
        for rows in self.pieces(n, self.together()) {
            let part = pictures.clone().narrow(0, rows.start, rows.len());
            let batch = RewardBatch { pictures: part.clone(), classes: prompts.classes[rows].to_vec() };
            scores.push(self.rewards.score(&batch));
            features.push(self.family.features.features(part));
            rest(&self.device).await;
        }
        let both = Transaction::default().register(Tensor::cat(scores, 0)).register(Tensor::cat(features, 0));
        let [scores, features] = read_together(both).await?;
        let scores = self.rewards.table(&scores.iter().collect::<Vec<f64>>());
        let width = features.shape()[1];
        let features: Vec<f64> = features.iter().collect();

        let (loo_fid, moments) = self.leave_one_out(&features, width)?;
        let mut metrics = BTreeMap::new();
        metrics.extend(self.rewards.means(&scores).into_iter().map(|(name, x)| (format!("rewards/{name}/mean"), x)));
        metrics.insert("rewards/loo_fid/mean".into(), finite_mean(&loo_fid));
        metrics.insert("tokens".into(), tokens_host.len() as f64);
        metrics.insert("diversity".into(), diversity(&features, width));

        let length = tokens_host.len() / n;
        let shown = Rollouts {
            update: self.update + 1,
            side: self.family.config.side,
            classes: prompts.classes.clone(),
            pictures: rgb_pictures(&pixels, self.family.config.side),
            decoded: Some(Decoded { pictures, grid: self.family.config.grid, written: vec![length; n] }),
            written: (tokens_host.len(), tokens_host.len()),
            tokens: tokens_host.chunks(length).map(<[_]>::to_vec).collect(),
            advantages: vec![],
            scores,
            loo_fid,
            distance: moments.as_ref().and_then(|m| self.loo.distance_of(m).ok()),
            features: features.chunks(width).map(<[_]>::to_vec).collect(),
        };
        let outcome = Outcome::Scored(Box::new(shown.clone()));
        self.stage = Stage::Advantage(Box::new(Scored { tokens, prompts, moments, metrics, shown }));
        Ok(Advance { phase: Phase::Reward, done: (1, 2), outcome })
    }

    /// Mixes the rewards as the knobs stand now and measures each sample against its group.
    pub(super) fn value(&mut self, mut scored: Scored) -> Result<Advance, TrainError> {
        let Rollouts { scores, loo_fid, .. } = &scored.shown;
        let weights = InstanceRewards::weights(&self.config);
        let rewards: Vec<f64> = scores.iter().map(|s| mixed(s, &weights)).collect();
        let (instance, distribution) = advantages(&rewards, loo_fid, scored.prompts.group, &self.config)?;
        let broken = |i: &usize| !rewards[*i].is_finite() || !loo_fid[*i].is_finite();
        let skipped = (0..rewards.len()).filter(broken).count();
        let metrics = &mut scored.metrics;
        metrics.insert("reward".into(), finite_mean(&rewards));
        metrics.insert("reward_std".into(), finite_mean(&instance.std));
        metrics.insert("frac_reward_zero_std".into(), instance.frac_zero_std());
        metrics.insert("samples_skipped".into(), skipped as f64);
        let mut shown = scored.shown.clone();
        let of = |i: usize| (instance.values[i], distribution.as_ref().map_or(0.0, |d| d.values[i]));
        shown.advantages = (0..rewards.len()).map(of).collect();
        let (group, keys, sampling) = (scored.prompts.group, scored.prompts.keys.clone(), scored.prompts.sampling);
        let rollouts = Rollouts { decoded: None, ..shown.clone() };
        self.newest = Some(Newest { rollouts, group, keys, sampling, old_logp: vec![] });
        self.stage = Stage::OldLogProb(Box::new(Valued { scored, instance, distribution }));
        Ok(Advance { phase: Phase::Reward, done: (2, 2), outcome: Outcome::Scored(Box::new(shown)) })
    }

    /// Measures the batch at hand anew under knobs that have been turned since; `None` where no scored batch is waiting
    /// to be learnt from.
    ///
    /// # Errors
    /// As [`Trainer::advance`].
    pub fn revalue(&mut self) -> Result<Option<Rollouts>, TrainError> {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::OldLogProb(valued) => match self.value(valued.scored)?.outcome {
                Outcome::Scored(rollouts) => Ok(Some(*rollouts)),
                _ => Ok(None),
            },
            other => {
                self.stage = other;
                Ok(None)
            }
        }
    }

    /// LOO-FID reward of every sample, and the moments after this batch. Samples with a broken feature get NaN, which
    /// the advantages leave out; so do all where the eigenvalues of the full form do not converge.
    fn leave_one_out(&self, features: &[f64], width: usize) -> Result<(Vec<f64>, Option<Moments>), TrainError> {
        let rows: Vec<&[f64]> = features.chunks(width).collect();
        let sound: Vec<usize> = (0..rows.len()).filter(|&i| rows[i].iter().all(|x| x.is_finite())).collect();
        let mut rewards = vec![f64::NAN; rows.len()];
        if sound.len() < 2 {
            return Ok((rewards, None));
        }
        let kept: Vec<f64> = sound.iter().flat_map(|&i| rows[i].iter().copied()).collect();
        let (values, moments) = match self.loo.rewards(&Features::new(sound.len(), width, kept)?) {
            Err(LooFidError::Metric(MetricError::NoConvergence)) => return Ok((rewards, None)),
            paid => paid?,
        };
        for (i, value) in sound.into_iter().zip(values) {
            rewards[i] = value;
        }
        Ok((rewards, Some(moments)))
    }
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
