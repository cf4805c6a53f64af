//! The instance rewards of a family, scored together and kept apart.

use burn::prelude::*;

use super::clip::ClipReward;
use super::preference::PreferenceReward;
use super::simple::{Brightness, Colour, Compressibility, Symmetry};
use super::{Reward, RewardBatch};
use crate::config::RunConfig;
use crate::model::family::Family;

/// Every instance reward there is. All are scored in every update, also those of weight 0: a fader can then re-rank
/// the same rollouts, and the reward that is *not* optimised is the honest witness of the one that is.
pub struct InstanceRewards {
    parts: Vec<Box<dyn Reward>>,
}

impl InstanceRewards {
    /// The rewards of `family`, for one prompt of each class.
    pub fn new(family: &Family, prompts: &[String]) -> Self {
        let clip = family.clip.clone().map(|tower| Box::new(ClipReward::new(tower, prompts)) as Box<dyn Reward>);
        let preference = family.preference.clone();
        let preference = preference.map(|tower| Box::new(PreferenceReward::new(tower, prompts)) as Box<dyn Reward>);
        Self {
            parts: vec![
                clip.unwrap_or_else(|| Box::new(Absent("clip"))),
                preference.unwrap_or_else(|| Box::new(Absent("preference"))),
                Box::new(Colour::default()),
                Box::new(Brightness),
                Box::new(Symmetry),
                Box::new(Compressibility),
            ],
        }
    }

    /// Names, in the order of the columns of [`Self::score`].
    pub fn names(&self) -> Vec<&'static str> {
        self.parts.iter().map(|r| r.name()).collect()
    }

    /// How each is measured.
    pub fn protocols(&self) -> Vec<String> {
        self.parts.iter().map(|r| r.protocol()).collect()
    }

    /// The weight of each in the mix.
    pub fn weights(config: &RunConfig) -> [f64; 6] {
        [
            config.clip_weight,
            config.preference_weight,
            config.colour_weight,
            config.brightness_weight,
            config.symmetry_weight,
            config.compressibility_weight,
        ]
    }

    /// `[n, parts]`: the raw score of each picture by each reward. Nothing is read back.
    pub fn score(&self, batch: &RewardBatch) -> Tensor<2> {
        Tensor::stack(self.parts.iter().map(|r| r.score(batch)).collect(), 1)
    }

    /// The scores of each picture, from what [`Self::score`] gave, row by row; NaN where there is no network to score
    /// with. (On the device there are zeros: not every device knows NaN.)
    pub fn table(&self, scores: &[f64]) -> Vec<Vec<f64>> {
        let absent: Vec<bool> = self.parts.iter().map(|r| !r.is_scored()).collect();
        let row =
            |row: &[f64]| row.iter().zip(&absent).map(|(s, absent)| if *absent { f64::NAN } else { *s }).collect();
        scores.chunks(self.parts.len()).map(row).collect()
    }

    /// Mean score of each reward that there is, by name; broken scores are left out.
    pub fn means(&self, table: &[Vec<f64>]) -> Vec<(&'static str, f64)> {
        let mean = |k: usize| {
            let sound = || table.iter().map(|row| row[k]).filter(|score| score.is_finite());
            sound().sum::<f64>() / sound().count().max(1) as f64
        };
        self.parts.iter().enumerate().filter(|(_, r)| r.is_scored()).map(|(k, r)| (r.name(), mean(k))).collect()
    }
}

/// A reward whose network was left out. Settings keep its weight at 0; [`InstanceRewards::score`] has zeros in its
/// column, which [`InstanceRewards::table`] takes for what they are.
struct Absent(&'static str);

impl Reward for Absent {
    fn name(&self) -> &'static str {
        self.0
    }

    fn protocol(&self) -> String {
        "no network: not scored".into()
    }

    fn score(&self, batch: &RewardBatch) -> Tensor<1> {
        Tensor::zeros([batch.classes.len()], &batch.pictures.device())
    }

    fn is_scored(&self) -> bool {
        false
    }
}

/// The mixed reward of one picture: raw scores are added first and normalised after (method, section 2 step 4).
pub fn mixed(scores: &[f64], weights: &[f64]) -> f64 {
    scores.iter().zip(weights).filter(|(_, w)| **w != 0.0).map(|(s, w)| s * w).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_of_zero_keeps_even_a_broken_score_out() {
        assert_eq!(mixed(&[0.5, f64::NAN, 2.0], &[1.0, 0.0, 0.25]), 1.0);
        assert!(mixed(&[0.5, f64::NAN], &[1.0, 1.0]).is_nan());
    }
}
