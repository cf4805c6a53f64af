//! Group-relative advantages: how much better a sample was than its siblings of the same prompt.
//!
//! `A = (r - mean_g) / (std_g + eps)` inside each group `g` of `num_generations` consecutive samples; the group
//! is its own baseline, so no value network is needed (GRPO, DeepSeekMath). Instance and distribution rewards
//! are normalised by separate calls and weighted later, in [`crate::rl::grpo`] (method: one training iteration).

use crate::config::RunConfig;

/// Spread below this share of the group's largest reward is rounding, not signal.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// Why advantages could not be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdvantageError {
    /// Groups must have at least one sample.
    #[error("the group size must be at least 1")]
    EmptyGroup,
    /// The rewards do not fill whole groups.
    #[error("{rewards} rewards do not divide into groups of {group}")]
    Ragged {
        /// Number of rewards given.
        rewards: usize,
        /// Samples per group.
        group: usize,
    },
}

/// Advantages of one batch with the statistics they came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Advantages {
    /// Advantage of each sample, `[rewards]`, in the order of the rewards.
    pub values: Vec<f64>,
    /// Mean finite reward of each group, `[groups]`; 0 for a group without any.
    pub mean: Vec<f64>,
    /// Standard deviation of each group's finite rewards (ddof = 1), `[groups]`; 0 below two samples.
    pub std: Vec<f64>,
    /// Groups whose rewards are all equal (or fewer than two are finite): they teach nothing.
    pub zero_std_groups: usize,
    /// Samples with a non-finite reward: left out of their group's statistics, advantage 0.
    pub skipped: usize,
}

impl Advantages {
    /// Share of groups without any spread, TRL's `frac_reward_zero_std`; 0 for an empty batch.
    pub fn frac_zero_std(&self) -> f64 {
        if self.std.is_empty() { 0.0 } else { self.zero_std_groups as f64 / self.std.len() as f64 }
    }
}

/// Normalises `rewards` inside consecutive groups of `group` samples.
///
/// `scale` divides by the group's standard deviation plus `eps` (TRL's `scale_rewards`); without it only the mean
/// is removed (Dr. GRPO). A sample whose reward is not finite gets advantage 0 and does not touch its siblings.
///
/// # Errors
/// [`AdvantageError`] if `group` is 0 or does not divide the number of rewards.
pub fn group_advantages(rewards: &[f64], group: usize, scale: bool, eps: f64) -> Result<Advantages, AdvantageError> {
    if group == 0 {
        return Err(AdvantageError::EmptyGroup);
    }
    if !rewards.len().is_multiple_of(group) {
        return Err(AdvantageError::Ragged { rewards: rewards.len(), group });
    }
    let mut out = Advantages { values: Vec::with_capacity(rewards.len()), ..Advantages::default() };
    for rewards in rewards.chunks_exact(group) {
        let (mean, std) = mean_std(rewards);
        for &reward in rewards {
            out.skipped += usize::from(!reward.is_finite());
            // Without spread the centred values are rounding noise, which 1/eps would blow up: exact zeros instead.
            out.values.push(match reward.is_finite() && std > 0.0 {
                true if scale => (reward - mean) / (std + eps),
                true => reward - mean,
                false => 0.0,
            });
        }
        out.zero_std_groups += usize::from(std == 0.0);
        out.mean.push(mean);
        out.std.push(std);
    }
    Ok(out)
}

/// Instance advantages of mixed `rewards`, and distribution advantages of LOO-FID rewards where those have a weight:
/// two normalisations, weighted against each other only in the loss (method, section 2 steps 4 to 6).
///
/// # Errors
/// As [`group_advantages`].
pub fn advantages(
    rewards: &[f64],
    loo_fid: &[f64],
    group: usize,
    config: &RunConfig,
) -> Result<(Advantages, Option<Advantages>), AdvantageError> {
    let instance = group_advantages(rewards, group, config.scale_rewards, config.advantage_eps)?;
    if config.loo_fid_weight <= 0.0 {
        return Ok((instance, None));
    }
    let weighted: Vec<f64> = loo_fid.iter().map(|r| r * config.loo_fid_weight).collect();
    Ok((instance, Some(group_advantages(&weighted, group, true, config.advantage_eps)?)))
}

/// Mean and standard deviation (ddof = 1) of the finite values; 0 where undefined or only rounding.
fn mean_std(values: &[f64]) -> (f64, f64) {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let n = finite().count() as f64;
    if n == 0.0 {
        return (0.0, 0.0);
    }
    let mean = finite().sum::<f64>() / n;
    if n < 2.0 {
        return (mean, 0.0);
    }
    let std = (finite().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let largest = finite().fold(0.0, |m: f64, v| m.max(v.abs()));
    (mean, if std > ROUNDING * largest { std } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_worked_group() {
        // Rewards 1, 2, 3: mean 2, std (ddof 1) 1.
        let a = group_advantages(&[1.0, 2.0, 3.0], 3, true, 0.0).unwrap();
        assert_eq!(a.values, [-1.0, 0.0, 1.0]);
        assert_eq!((a.mean[0], a.std[0], a.zero_std_groups, a.skipped), (2.0, 1.0, 0, 0));
        let halved = group_advantages(&[1.0, 2.0, 3.0], 3, true, 1.0).unwrap();
        assert_eq!(halved.values, [-0.5, 0.0, 0.5]);
        let unscaled = group_advantages(&[1.0, 2.0, 6.0], 3, false, 1e-4).unwrap();
        assert_eq!(unscaled.values, [-2.0, -1.0, 3.0]);
    }

    #[test]
    fn equal_rewards_give_exact_zeros_and_are_counted() {
        let a = group_advantages(&[0.1, 0.1, 0.1, 1.0, 2.0, 3.0], 3, true, 1e-4).unwrap();
        assert_eq!(&a.values[..3], &[0.0; 3]);
        assert_eq!((a.zero_std_groups, a.frac_zero_std()), (1, 0.5));
        assert_eq!(Advantages::default().frac_zero_std(), 0.0);
    }

    #[test]
    fn non_finite_rewards_are_masked_and_counted() {
        let a = group_advantages(&[1.0, f64::NAN, 3.0, f64::INFINITY, 5.0, f64::NEG_INFINITY], 3, true, 0.0).unwrap();
        let r = 0.5f64.sqrt();
        assert_eq!((a.values[1], a.values[3], a.values[4], a.values[5]), (0.0, 0.0, 0.0, 0.0));
        assert!((a.values[0] + r).abs() < 1e-12 && (a.values[2] - r).abs() < 1e-12);
        assert_eq!((a.mean.as_slice(), a.std[1], a.zero_std_groups, a.skipped), ([2.0, 5.0].as_slice(), 0.0, 1, 3));
    }

    #[test]
    fn ragged_batches_are_refused() {
        assert_eq!(group_advantages(&[1.0], 0, true, 0.0), Err(AdvantageError::EmptyGroup));
        assert_eq!(group_advantages(&[1.0; 5], 2, true, 0.0), Err(AdvantageError::Ragged { rewards: 5, group: 2 }));
    }
}
