//! The second phase: what the pictures are paid, and what that says about each against its group.

use std::collections::BTreeMap;

use burn::tensor::Transaction;

use super::inspect::Newest;
use super::{Advance, Drawn, Outcome, Phase, Prompts, Rollouts, Scored, Stage, TrainError, Trainer, finite_mean};
use crate::data::grid::rgb_pictures;
use crate::gpu::read::read_together;
use crate::metrics::{Features, MetricError};
use crate::reward::RewardBatch;
use crate::reward::loo_fid::LooFidError;
use crate::reward::mix::{InstanceRewards, mixed};
use crate::reward::moments::Moments;
use crate::rl::advantage::group_advantages;

impl Trainer {
    /// Scores the pictures and computes the advantages. One readback.
    pub(super) async fn score(&mut self, drawn: Drawn) -> Result<Advance, TrainError> {
        let Drawn { prompts: Prompts { classes, group, keys, sampling }, tokens, pictures, tokens_host, pixels } =
            drawn;
        let n = classes.len();
        let batch = RewardBatch { pictures: pictures.clone(), classes: classes.clone() };
        let scores = self.rewards.score(&batch);
        let features = self.family.features.features(pictures);
        let [scores, features] = read_together(Transaction::default().register(scores).register(features)).await?;
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
        let broken = |i: &usize| !rewards[*i].is_finite() || !loo_fid[*i].is_finite();
        metrics.insert("samples_skipped".into(), (0..n).filter(broken).count() as f64);
        metrics.insert("tokens".into(), tokens_host.len() as f64);
        metrics.insert("diversity".into(), diversity(&features, width));

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
        self.newest = Some(Newest { rollouts: rollouts.clone(), group, keys, sampling, old_logp: vec![] });
        self.stage = Stage::OldLogProb(Box::new(Scored { tokens, classes, instance, distribution, moments, metrics }));
        Ok(Advance { phase: Phase::Reward, done: (1, 1), outcome: Outcome::Scored(Box::new(rollouts)) })
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
