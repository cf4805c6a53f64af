//! Does the picture show what was asked for? The cosine that CLIP gives picture and prompt (method: section 3).

use burn::prelude::*;

use super::{Reward, RewardBatch};
use crate::model::clip::{Tower, cosine};

/// Scores pictures by the cosine with the prompt of their class.
pub struct ClipReward {
    scorer: PromptScorer,
}

impl ClipReward {
    /// A reward for one prompt of each class, whose features are computed here, once.
    pub fn new(tower: Tower, prompts: &[String]) -> Self {
        Self { scorer: PromptScorer::new(tower, prompts) }
    }
}

impl Reward for ClipReward {
    fn name(&self) -> &'static str {
        "clip"
    }

    fn protocol(&self) -> String {
        self.scorer.protocol()
    }

    fn score(&self, batch: &RewardBatch) -> Tensor<1> {
        self.scorer.score(batch)
    }
}

/// A pair of towers and the features of every class's prompt.
pub(super) struct PromptScorer {
    tower: Tower,
    prompts: Tensor<2>, // [classes, dim], rows of length 1
    /// The first prompt, to show the form of all.
    example: String,
}

impl PromptScorer {
    pub(super) fn new(tower: Tower, prompts: &[String]) -> Self {
        let example = prompts.first().cloned().unwrap_or_default();
        Self { prompts: tower.encode_prompts(prompts), tower, example }
    }

    pub(super) fn protocol(&self) -> String {
        format!("{}: cos(picture, \"{}\" and so on)", self.tower.what, self.example)
    }

    /// `[n]`; a class beyond the known ones is a mistake of the caller and panics on the device.
    pub(super) fn score(&self, batch: &RewardBatch) -> Tensor<1> {
        let classes: Vec<i32> = batch.classes.iter().map(|&class| class as i32).collect();
        let rows = Tensor::from_data(TensorData::new(classes, [batch.classes.len()]), &self.prompts.device());
        cosine(self.tower.encode_image(batch.pictures.clone()), self.prompts.clone().select(0, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::super::preference::PreferenceReward;
    use super::*;
    use crate::model::clip::ClipConfig;
    use crate::model::resample::Resample;
    use burn::tensor::Distribution;

    fn tower() -> Tower {
        let clip = ClipConfig::tiny().init(&Device::flex());
        Tower::new(clip, Resample::Bilinear { antialias: false }, "tiny towers").unwrap()
    }

    fn prompts() -> Vec<String> {
        ["a picture of a heart", "a picture of an animal"].map(String::from).to_vec()
    }

    #[test]
    fn a_score_is_the_cosine_with_the_prompt_of_the_pictures_own_class() {
        let (device, tower) = (Device::flex(), tower());
        let picture = Tensor::random([1, 3, 8, 8], Distribution::Uniform(0.0, 1.0), &device);
        let batch = RewardBatch { pictures: picture.clone().repeat_dim(0, 3), classes: vec![0, 1, 0] };
        let reward = ClipReward::new(tower.clone(), &prompts());
        let scores = reward.score(&batch).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(scores.len(), 3);
        assert!((scores[0] - scores[2]).abs() < 1e-6 && scores[0] != scores[1]);
        let ids = tower.bpe.tensor(&["a picture of an animal"], tower.clip.context_length(), &device);
        let want = cosine(tower.clip.encode_image(picture), tower.clip.encode_text(ids)).into_scalar::<f32>();
        assert!((scores[1] - want).abs() < 1e-6);
    }

    #[test]
    fn a_picture_of_another_side_is_brought_to_the_towers() {
        let reward = ClipReward::new(tower(), &prompts());
        let score = |side: usize| {
            let grey = Tensor::full([1, 3, side, side], 0.25, &Device::flex());
            reward.score(&RewardBatch { pictures: grey, classes: vec![0] }).into_scalar::<f32>()
        };
        assert!((score(8) - score(20)).abs() < 1e-5, "a grey picture is grey at any size");
    }

    #[test]
    fn both_rewards_say_what_they_are() {
        let (a, b) = (ClipReward::new(tower(), &prompts()), PreferenceReward::new(tower(), &prompts()));
        assert_eq!((a.name(), b.name()), ("clip", "preference"));
        assert!(a.protocol().contains("a picture of a heart") && b.protocol().contains("a picture of a heart"));
    }
}
