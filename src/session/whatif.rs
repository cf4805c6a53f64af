//! What if: the same pictures, paid by other weights. Nothing is drawn or scored again.

use super::protocol::Gallery;
use crate::config::RunConfig;
use crate::reward::mix::{InstanceRewards, mixed};
use crate::rl::advantage::advantages;

/// Weight of each reward part of a sample, in the order in which [`Gallery`] lists the parts: instance rewards, then
/// LOO-FID.
pub fn weights(config: &RunConfig) -> Vec<f64> {
    InstanceRewards::weights(config).into_iter().chain([config.loo_fid_weight]).collect()
}

/// The instance reward of a sample with these raw parts under the weights of `config`.
pub fn reward(parts: &[(String, f64)], config: &RunConfig) -> f64 {
    let scores: Vec<f64> = parts.iter().map(|(_, score)| *score).collect();
    mixed(&scores, &InstanceRewards::weights(config))
}

/// Instance and distribution advantage of every sample, group by group, as an update under `config` would see them;
/// `None` where the pictures have not been scored.
pub fn advantages_under(gallery: &Gallery, config: &RunConfig) -> Option<Vec<Vec<(f64, f64)>>> {
    let size = gallery.groups.first()?.samples.len();
    let samples = || gallery.groups.iter().flat_map(|group| &group.samples);
    let loo_fid: Option<Vec<f64>> = samples().map(|sample| Some(sample.rewards.last()?.1)).collect();
    let rewards: Vec<f64> = samples().map(|sample| reward(&sample.rewards, config)).collect();
    let (instance, distribution) = advantages(&rewards, &loo_fid?, size, config).ok()?;
    let of = |i: usize| (instance.values[i], distribution.as_ref().map_or(0.0, |d| d.values[i]));
    let all: Vec<(f64, f64)> = (0..rewards.len()).map(of).collect();
    Some(all.chunks(size.max(1)).map(<[_]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::protocol::{Group, Sample};

    fn gallery() -> Gallery {
        let names = ["clip", "preference", "colour", "brightness", "symmetry", "compressibility", "loo_fid"];
        let sample = |scores: [f64; 7]| Sample {
            rewards: names.iter().map(|n| n.to_string()).zip(scores).collect(),
            ..Sample::default()
        };
        let samples = vec![sample([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1]), sample([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -0.1])];
        Gallery { groups: vec![Group { samples, ..Group::default() }], ..Gallery::default() }
    }

    #[test]
    fn another_weight_turns_the_order_round() {
        let mut config = RunConfig { clip_weight: 1.0, preference_weight: 0.0, ..RunConfig::default() };
        let before = advantages_under(&gallery(), &config).unwrap();
        assert!(before[0][0].0 > 0.0 && before[0][1].0 < 0.0 && before[0][0].1 > before[0][1].1);
        (config.clip_weight, config.preference_weight) = (0.0, 1.0);
        let after = advantages_under(&gallery(), &config).unwrap();
        assert!(after[0][0].0 < 0.0 && after[0][1].0 > 0.0);
        config.loo_fid_weight = 0.0;
        assert_eq!(advantages_under(&gallery(), &config).unwrap()[0][0].1, 0.0);
    }

    #[test]
    fn pictures_without_scores_have_no_advantages() {
        let mut gallery = gallery();
        gallery.groups[0].samples[0].rewards.clear();
        assert!(advantages_under(&gallery, &RunConfig::default()).is_none());
        assert!(advantages_under(&Gallery::default(), &RunConfig::default()).is_none());
    }
}
