//! Is the picture well made? A stand-in for a model of human preference.
//!
//! The towers are CLIP's, tuned on pairs whose better picture is known by construction (see `pretrain::preference`).
//! No person's taste is in them.

use burn::prelude::*;

use super::clip::PromptScorer;
use super::{Reward, RewardBatch};
use crate::model::bpe::Bpe;
use crate::model::clip::Clip;

/// Scores pictures by the preference towers' cosine with the prompt of their class.
pub struct PreferenceReward {
    scorer: PromptScorer,
}

impl PreferenceReward {
    /// A reward for the prompts of `classes`, whose features are computed here, once.
    pub fn new(preference: Clip, bpe: &Bpe, classes: &[String]) -> Self {
        Self { scorer: PromptScorer::new(preference, bpe, classes) }
    }
}

impl Reward for PreferenceReward {
    fn name(&self) -> &'static str {
        "preference"
    }

    fn protocol(&self) -> String {
        format!("towers tuned on real pictures against spoilt ones: cos(picture, {})", self.scorer.example)
    }

    fn score(&self, batch: &RewardBatch) -> Tensor<1> {
        self.scorer.score(batch)
    }
}
