//! Training the CLIP towers: in a batch of pictures and captions, each picture must find its caption and back.
//!
//! CLIP's symmetric cross-entropy over all pairs of a batch. With sixteen classes many captions of a batch are true of
//! several of its pictures, so the target is spread evenly over all that are true instead of the diagonal alone.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::prelude::*;
use burn::tensor::activation::log_softmax;

use super::{Loss, Task};
use crate::data::prompts::TEMPLATES;
use crate::data::{AugmentConfig, Groups, Pictures, Split};
use crate::gpu::read::read;
use crate::model::bpe::Bpe;
use crate::model::clip::{Clip, ClipConfig, similarity};
use crate::model::family::Role;
use crate::platform::assets::AssetError;
use crate::platform::rng::{Key, Stream};

/// Largest logarithm of the scale: ln 100, as CLIP's authors limit it.
pub const MAX_LOGIT_SCALE: f64 = 4.605_170_185_988_092;
/// Share of captions that name nothing but the class: the rewards will ask with these.
const CLASS_CAPTIONS: f32 = 0.5;
/// Pictures that are encoded at once in evaluation.
const CHUNK: usize = 64;

/// What a caption says, and so which pictures it is true of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// True of every picture of the class.
    Class(usize),
    /// True of every drawing of the name.
    Name(usize),
}

/// Pictures and captions to match.
pub struct ClipTask<'a> {
    pictures: &'a Pictures,
    split: &'a Split,
    groups: Groups,
    /// On a page it may not have been fetched, which the first step tells.
    bpe: Result<Bpe, AssetError>,
    config: ClipConfig,
    batch: usize,
    seed: u64,
    device: Device,
}

impl<'a> ClipTask<'a> {
    /// A task for towers of shape `config`, with `batch` pairs a step.
    pub fn new(
        pictures: &'a Pictures,
        split: &'a Split,
        config: ClipConfig,
        (batch, seed): (usize, u64),
        device: &Device,
    ) -> Self {
        let (groups, bpe) = (pictures.groups(&split.train), Bpe::new(config.text.vocab_size));
        Self { pictures, split, groups, bpe, config, batch, seed, device: device.clone() }
    }
}

impl Task for ClipTask<'_> {
    type Model = Clip;

    fn role(&self) -> Role {
        Role::Clip
    }

    async fn loss(&mut self, model: &Clip, step: u64) -> Result<Loss> {
        let mut random = Key::new(self.seed).fold(step).stream();
        let batch = self.pictures.sample_batch(&self.groups, self.batch, &AugmentConfig::default(), &mut random);
        let (texts, subjects): (Vec<_>, Vec<_>) =
            batch.indices.iter().map(|&index| caption(self.pictures, index, &mut random)).unzip();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let ids =
            self.bpe.as_ref().map_err(Clone::clone)?.tensor(&texts, self.config.text.context_length, &self.device);
        let truth = truth(&batch.classes, &batch.names, &subjects);
        let truth = Tensor::from_data(TensorData::new(truth, [batch.indices.len(), subjects.len()]), &self.device);

        let images = batch.images(&self.device);
        let (picture, text) = contrastive_loss(model, images.autodiff(), ids.autodiff(), truth.autodiff());
        let parts = vec![
            ("picture_to_text", picture.clone().inner()),
            ("text_to_picture", text.clone().inner()),
            ("scale", model.scale().inner()),
        ];
        Ok(Loss { total: (picture + text) * 0.5, parts })
    }

    async fn evaluate(&mut self, model: &Clip) -> Result<BTreeMap<String, f64>> {
        let prompts: Vec<String> =
            (0..self.pictures.class_names.len()).map(|c| self.pictures.class_prompt(c)).collect();
        let texts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let ids =
            self.bpe.as_ref().map_err(Clone::clone)?.tensor(&texts, self.config.text.context_length, &self.device);
        let text_features = model.encode_text(ids);
        let (mut scores, mut classes) = (vec![], vec![]);
        for indices in self.split.held_out.chunks(CHUNK) {
            let batch = self.pictures.plain_batch(indices);
            let image_features = model.encode_image(batch.images(&self.device));
            scores.extend(read(similarity(image_features, text_features.clone())).await?);
            classes.extend(batch.classes);
        }
        Ok([("held_out/zero_shot_accuracy".into(), zero_shot_accuracy(&scores, &classes))].into())
    }
}

/// A caption for the picture at `index`, by one of [`TEMPLATES`], and what it is about.
pub fn caption(pictures: &Pictures, index: usize, random: &mut Stream) -> (String, Subject) {
    let picture = &pictures.pictures[index];
    let of_class = pictures.class_prompt(picture.class);
    if random.uniform() < CLASS_CAPTIONS {
        return (of_class, Subject::Class(picture.class));
    }
    let text = pictures.caption(index, random.below(TEMPLATES.len()));
    // A template, or a name that says nothing, may still have led to the class.
    let subject = if text == of_class { Subject::Class(picture.class) } else { Subject::Name(picture.name) };
    (text, subject)
}

/// Which captions are true of which pictures: `[pictures, captions]` row by row, 1 where true.
pub fn truth(classes: &[usize], names: &[usize], subjects: &[Subject]) -> Vec<f32> {
    let rows = classes.iter().zip(names);
    rows.flat_map(|(&class, &name)| {
        subjects.iter().map(move |&subject| {
            f32::from(match subject {
                Subject::Class(c) => c == class,
                Subject::Name(n) => n == name,
            })
        })
    })
    .collect()
}

/// Mean cross-entropies `[1]` of pictures finding captions and of captions finding pictures.
///
/// `pictures` `[n, 3, side, side]` in [0, 1], `ids` `[m, context]`, `truth` `[n, m]` with 1 where a caption is true of
/// a picture; every row and column needs one.
pub fn contrastive_loss(
    clip: &Clip,
    pictures: Tensor<4>,
    ids: Tensor<2, Int>,
    truth: Tensor<2>,
) -> (Tensor<1>, Tensor<1>) {
    let scale = clip.logit_scale.val().clamp_max(MAX_LOGIT_SCALE).exp();
    let logits = similarity(clip.encode_image(pictures), clip.encode_text(ids)) * scale.unsqueeze();
    let along = |dim: usize| {
        let target = truth.clone() / truth.clone().sum_dim(dim);
        // Per row or column the sum over what it chooses from, then the mean over rows or columns.
        (target * -log_softmax(logits.clone(), dim)).sum_dim(dim).mean()
    };
    (along(1), along(0))
}

/// Share of pictures whose best-scored class prompt is their own: `scores` `[n, classes]` row by row.
pub fn zero_shot_accuracy(scores: &[f32], classes: &[usize]) -> f64 {
    let rows = scores.chunks(scores.len().checked_div(classes.len()).unwrap_or(1).max(1));
    let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    let right = rows.zip(classes).filter(|(row, class)| best(row) == Some(**class)).count();
    right as f64 / classes.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::optim::{AdamWConfig, GradientsParams};
    use burn::tensor::Distribution;

    #[test]
    fn captions_of_a_class_are_true_of_all_its_pictures() {
        let got = truth(&[0, 0, 1], &[5, 6, 7], &[Subject::Class(0), Subject::Name(6), Subject::Class(1)]);
        assert_eq!(got, [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn captions_say_what_they_are_about() {
        let pictures = Pictures::embedded().expect("embedded");
        let mut random = Key::new(1).stream();
        let mut classes = 0;
        for i in 0..400 {
            let index = i * 7;
            let picture = &pictures.pictures[index];
            let (text, subject) = caption(&pictures, index, &mut random);
            match subject {
                Subject::Class(class) => {
                    assert_eq!((class, text), (picture.class, pictures.class_prompt(class)));
                    classes += 1;
                }
                Subject::Name(name) => assert!(name == picture.name && text != pictures.class_prompt(picture.class)),
            }
        }
        assert!((180..300).contains(&classes), "{classes}");
    }

    #[test]
    fn zero_shot_accuracy_counts_the_best_prompt() {
        assert_eq!(zero_shot_accuracy(&[0.9, 0.1, 0.2, 0.3, 0.5, 0.4], &[0, 1, 1]), 2.0 / 3.0);
        assert_eq!(zero_shot_accuracy(&[], &[]), 0.0);
    }

    #[test]
    fn towers_learn_to_match_two_colours_to_two_words() {
        let device = Device::flex().autodiff();
        device.seed(5);
        let mut clip = ClipConfig::tiny().init(&device);
        let bpe = Bpe::new(clip.vocab_size()).unwrap();
        let colours = Tensor::<4>::from_floats([[[[0.9]], [[0.1]], [[0.1]]], [[[0.1]], [[0.1]], [[0.9]]]], &device);
        let pictures = Tensor::<4>::random([8, 3, 8, 8], Distribution::Uniform(-0.1, 0.1), &device)
            + colours.expand([2, 3, 8, 8]).repeat_dim(0, 4);
        let texts: Vec<&str> = ["red", "blue"].repeat(4);
        let ids = bpe.tensor(&texts, 16, &device);
        let same: Vec<f32> = (0..64).map(|i| f32::from((i / 8) % 2 == i % 2)).collect();
        let truth = Tensor::<2>::from_data(TensorData::new(same, [8, 8]), &device);
        let mut optim = AdamWConfig::new().init();
        let mut last = f32::INFINITY;
        for _ in 0..40 {
            let (a, b) = contrastive_loss(&clip, pictures.clone(), ids.clone(), truth.clone());
            let loss = (a + b) * 0.5;
            last = loss.clone().into_scalar::<f32>();
            let grads = GradientsParams::from_grads(loss.backward(), &clip);
            clip = optim.step(3e-3, clip, grads);
        }
        // Four of eight captions are equally true: the entropy of that, ln 4, is the least there is.
        assert!(last < 4f32.ln() + 0.05, "{last}");
    }
}
