//! Is the picture well made? HPSv2's score: a cosine like CLIP's, by towers that learnt which of two pictures people
//! prefer (HPSv2 `img_score.py`: no factor of 100). Where the small towers stand in for it, they are tuned on pairs
//! whose better picture is known by construction (see `pretrain::preference`), and no person's taste is in them.

use burn::prelude::*;

use super::clip::PromptScorer;
use super::{Reward, RewardBatch};
use crate::model::clip::Tower;

/// Scores pictures by the preference towers' cosine with the prompt of their class.
pub struct PreferenceReward {
    scorer: PromptScorer,
}

impl PreferenceReward {
    /// A reward for one prompt of each class, whose features are computed here, once.
    pub fn new(tower: Tower, prompts: &[String]) -> Self {
        Self { scorer: PromptScorer::new(tower, prompts) }
    }
}

impl Reward for PreferenceReward {
    fn name(&self) -> &'static str {
        "preference"
    }

    fn protocol(&self) -> String {
        self.scorer.protocol()
    }

    fn score(&self, batch: &RewardBatch) -> Tensor<1> {
        self.scorer.score(batch)
    }
}
