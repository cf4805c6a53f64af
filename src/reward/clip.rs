//! Does the picture show what was asked for? The cosine that CLIP gives picture and prompt (method: section 3).

use burn::prelude::*;

use super::{Reward, RewardBatch};
use crate::data::prompts::class_prompt;
use crate::model::bpe::Bpe;
use crate::model::clip::{Clip, cosine, normalize};

/// Scores pictures by the cosine with the prompt of their class.
pub struct ClipReward {
    scorer: PromptScorer,
}

impl ClipReward {
    /// A reward for the prompts of `classes`, whose features are computed here, once.
    pub fn new(clip: Clip, bpe: &Bpe, classes: &[String]) -> Self {
        Self { scorer: PromptScorer::new(clip, bpe, classes) }
    }
}

impl Reward for ClipReward {
    fn name(&self) -> &'static str {
        "clip"
    }

    fn protocol(&self) -> String {
        format!("CLIP towers: cos(picture, {})", self.scorer.example)
    }

    fn score(&self, batch: &RewardBatch) -> Tensor<1> {
        self.scorer.score(batch)
    }
}

/// A pair of towers and the features of every class's prompt.
pub(super) struct PromptScorer {
    clip: Clip,
    prompts: Tensor<2>, // [classes, dim], rows of length 1
    /// The first prompt in quotes, to show the form of all.
    pub(super) example: String,
}

impl PromptScorer {
    pub(super) fn new(clip: Clip, bpe: &Bpe, classes: &[String]) -> Self {
        let prompts: Vec<String> = classes.iter().map(|class| class_prompt(class)).collect();
        let texts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let ids = bpe.tensor(&texts, clip.context_length(), &clip.logit_scale.device());
        let example = texts.first().map_or_else(String::new, |text| format!("\"{text}\" and so on"));
        Self { prompts: normalize(clip.encode_text(ids)), clip, example }
    }

    /// `[n]`; a class beyond the known ones is a mistake of the caller and panics on the device.
    pub(super) fn score(&self, batch: &RewardBatch) -> Tensor<1> {
        let classes: Vec<i32> = batch.classes.iter().map(|&class| class as i32).collect();
        let rows = Tensor::from_data(TensorData::new(classes, [batch.classes.len()]), &self.prompts.device());
        cosine(self.clip.encode_image(batch.pictures.clone()), self.prompts.clone().select(0, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::super::preference::PreferenceReward;
    use super::*;
    use crate::model::clip::ClipConfig;
    use burn::tensor::Distribution;

    #[test]
    fn a_score_is_the_cosine_with_the_prompt_of_the_pictures_own_class() {
        let device = Device::flex();
        let clip = ClipConfig::tiny().init(&device);
        let classes = ["heart", "animal"].map(String::from);
        let picture = Tensor::random([1, 3, 8, 8], Distribution::Uniform(0.0, 1.0), &device);
        let batch = RewardBatch { pictures: picture.clone().repeat_dim(0, 3), classes: vec![0, 1, 0] };
        let bpe = Bpe::new(clip.vocab_size()).unwrap();
        let reward = ClipReward::new(clip.clone(), &bpe, &classes);
        let scores = reward.score(&batch).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(scores.len(), 3);
        assert!((scores[0] - scores[2]).abs() < 1e-6 && scores[0] != scores[1]);
        let ids = bpe.tensor(&["a picture of an animal"], clip.context_length(), &device);
        let want = cosine(clip.encode_image(picture), clip.encode_text(ids)).into_scalar::<f32>();
        assert!((scores[1] - want).abs() < 1e-6);
    }

    #[test]
    fn both_rewards_say_what_they_are() {
        let clip = ClipConfig::tiny().init(&Device::flex());
        let classes = ["heart".to_string()];
        let bpe = Bpe::new(clip.vocab_size()).unwrap();
        let (a, b) = (ClipReward::new(clip.clone(), &bpe, &classes), PreferenceReward::new(clip, &bpe, &classes));
        assert_eq!((a.name(), b.name()), ("clip", "preference"));
        assert!(a.protocol().contains("a picture of a heart") && b.protocol().contains("a picture of a heart"));
    }
}
