//! Tuning the CLIP towers to prefer well-made pictures, on pairs whose better picture is known by construction.
//!
//! The loss is Bradley and Terry's: −log σ(scale · (score of the better − score of the worse)), where the score is the
//! cosine with the class prompt. A quarter of the pairs each:
//! a real picture against itself with wrong tokens, a reconstruction against itself with wrong tokens,
//! a real picture against itself degraded, and the right prompt against a wrong one.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::prelude::*;
use burn::tensor::activation::log_sigmoid;

use super::clip::MAX_LOGIT_SCALE;
use super::{Loss, Task};
use crate::data::{AugmentConfig, Batch, Groups, Pictures, Split};
use crate::gpu::read::read;
use crate::model::bpe::Bpe;
use crate::model::clip::{Clip, cosine};
use crate::model::family::{OwnConfig, Role};
use crate::model::vq::VqModel;
use crate::platform::assets::AssetError;
use crate::platform::rng::{Key, Stream};

/// What the pairs of each quarter of a batch are called in the figures.
const KINDS: [&str; 4] = ["tokens_against_real", "tokens_against_reconstruction", "degraded", "wrong_prompt"];
/// Held-out pictures that evaluation makes pairs of, and how many at once.
const HELD_OUT: usize = 256;
const CHUNK: usize = 64;

/// Ways of spoiling a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degradation {
    /// Neighbouring pixels run together.
    Blur,
    /// Independent normal noise on every value.
    Noise,
    /// Squares of one colour.
    Blocks,
    /// Each channel is shifted by an amount of its own.
    Colour,
}

impl Degradation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Blur, Self::Noise, Self::Blocks, Self::Colour];
}

/// Pairs of pictures `[n, 3, side, side]` in [0, 1], and the row of its prompt for each picture.
pub struct Pairs {
    /// The better pictures.
    pub better: Tensor<4>,
    /// The worse pictures.
    pub worse: Tensor<4>,
    /// Prompts of the better pictures.
    pub better_prompts: Vec<usize>,
    /// Prompts of the worse pictures: the same, but where the prompt is what is worse.
    pub worse_prompts: Vec<usize>,
}

/// Pairs to tell apart.
pub struct PreferenceTask<'a> {
    pictures: &'a Pictures,
    split: &'a Split,
    groups: Groups,
    config: OwnConfig,
    tokenizer: VqModel,
    /// Ids `[classes, context]`. On a page their list may not have been fetched, which the first step tells.
    prompts: Result<Tensor<2, Int>, AssetError>,
    batch: usize,
    seed: u64,
    device: Device,
}

impl<'a> PreferenceTask<'a> {
    /// A task with `batch` pairs a step, whose wrong tokens are decoded by `tokenizer`.
    pub fn new(
        pictures: &'a Pictures,
        split: &'a Split,
        config: OwnConfig,
        tokenizer: VqModel,
        (batch, seed): (usize, u64),
        device: &Device,
    ) -> Self {
        let prompts: Vec<String> = (0..pictures.class_names.len()).map(|c| pictures.class_prompt(c)).collect();
        let texts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let text = &config.clip.text;
        let prompts = Bpe::new(text.vocab_size).map(|bpe| bpe.tensor(&texts, text.context_length, device));
        let groups = pictures.groups(&split.train);
        Self { pictures, split, groups, config, tokenizer, prompts, batch, seed, device: device.clone() }
    }

    /// One pair for each picture of `batch`, in quarters as the module says.
    async fn pairs(&self, batch: &Batch, random: &mut Stream) -> Result<Pairs> {
        let (n, side) = (batch.indices.len(), batch.side);
        let (quarter, size) = (n / 4, 3 * side * side);
        let real = batch.images(&self.device);
        let mut spoilt = batch.pixels[2 * quarter * size..].to_vec();
        for picture in spoilt.chunks_exact_mut(size).take(quarter) {
            let kind = Degradation::ALL[random.below(Degradation::ALL.len())];
            degrade(picture, side, kind, random.uniform(), random);
        }
        let spoilt = Tensor::from_data(TensorData::new(spoilt, [n - 2 * quarter, 3, side, side]), &self.device);

        let (mut better, mut worse) = (vec![], vec![]);
        if quarter > 0 {
            let source = real.clone().narrow(0, 0, 2 * quarter);
            let indices = self.tokenizer.encode(source * 2.0 - 1.0).indices;
            let length = indices.dims()[1];
            let data = indices.clone().into_data_async().await.map_err(|e| anyhow::anyhow!("{e}"))?;
            let mut tokens: Vec<i32> = data.iter::<i32>().collect();
            for tokens in tokens.chunks_exact_mut(length) {
                let count = (length / 16).max(1) + random.below((length / 2).max(1));
                corrupt(tokens, count, self.config.vq.codebook_size, random);
            }
            let wrong = Tensor::from_data(TensorData::new(tokens, [2 * quarter, length]), &self.device);
            better.push(real.clone().narrow(0, 0, quarter));
            better.push(self.decode(indices.narrow(0, quarter, quarter)));
            worse.push(self.decode(wrong));
        }
        better.push(real.narrow(0, 2 * quarter, n - 2 * quarter));
        worse.push(spoilt);

        let mut worse_prompts = batch.classes.clone();
        let classes = self.pictures.class_names.len();
        for class in &mut worse_prompts[3 * quarter..] {
            *class = (*class + 1 + random.below((classes - 1).max(1))) % classes;
        }
        let better_prompts = batch.classes.clone();
        Ok(Pairs { better: Tensor::cat(better, 0), worse: Tensor::cat(worse, 0), better_prompts, worse_prompts })
    }

    fn decode(&self, tokens: Tensor<2, Int>) -> Tensor<4> {
        let pictures = self.tokenizer.decode_code(tokens, [self.config.grid, self.config.grid]);
        (pictures * 0.5 + 0.5).clamp(0.0, 1.0)
    }
}

impl Task for PreferenceTask<'_> {
    type Model = Clip;

    fn role(&self) -> Role {
        Role::Preference
    }

    async fn loss(&mut self, model: &Clip, step: u64) -> Result<Loss> {
        let mut random = Key::new(self.seed).fold(step).stream();
        let batch = self.pictures.sample_batch(&self.groups, self.batch, &AugmentConfig::default(), &mut random);
        let Pairs { better, worse, better_prompts, worse_prompts } = self.pairs(&batch, &mut random).await?;
        let pairs = Pairs { better: better.autodiff(), worse: worse.autodiff(), better_prompts, worse_prompts };
        let margin = margins(model, pairs, self.prompts.clone()?.autodiff());
        let parts = vec![("margin", margin.clone().mean().inner())];
        Ok(Loss { total: bradley_terry_loss(model, margin), parts })
    }

    async fn evaluate(&mut self, model: &Clip) -> Result<BTreeMap<String, f64>> {
        // The same pairs each time: figures compare along a training.
        let mut random = Key::new(self.seed).fold(u64::MAX).stream();
        let held_out = &self.split.held_out;
        let picked: Vec<usize> = random.choose(HELD_OUT, held_out.len()).into_iter().map(|i| held_out[i]).collect();
        let mut by_kind = vec![vec![]; KINDS.len()];
        for indices in picked.chunks(CHUNK) {
            let pairs = self.pairs(&self.pictures.plain_batch(indices), &mut random).await?;
            let quarter = indices.len() / 4;
            for (i, margin) in read(margins(model, pairs, self.prompts.clone()?)).await?.into_iter().enumerate() {
                let kind = i.checked_div(quarter).unwrap_or(KINDS.len()).min(KINDS.len() - 1);
                by_kind[kind].push(margin);
            }
        }
        let mut figures: BTreeMap<String, f64> =
            KINDS.iter().zip(&by_kind).map(|(kind, m)| (format!("held_out/{kind}"), pair_accuracy(m))).collect();
        figures.insert("held_out/pair_accuracy".into(), pair_accuracy(&by_kind.concat()));
        Ok(figures)
    }
}

/// Score of the better picture minus score of the worse, `[n]`; `prompts` are the ids `[prompts, context]` of all.
pub fn margins(clip: &Clip, pairs: Pairs, prompts: Tensor<2, Int>) -> Tensor<1> {
    let n = pairs.better_prompts.len();
    let rows: Vec<i32> = pairs.better_prompts.iter().chain(&pairs.worse_prompts).map(|&row| row as i32).collect();
    let rows = Tensor::from_data(TensorData::new(rows, [2 * n]), &prompts.device());
    // One pass through each tower: better and worse side by side, every prompt once.
    let images = clip.encode_image(Tensor::cat(vec![pairs.better, pairs.worse], 0));
    let scores = cosine(images, clip.encode_text(prompts).select(0, rows));
    scores.clone().narrow(0, 0, n) - scores.narrow(0, n, n)
}

/// Bradley and Terry's loss `[1]` of margins `[n]`: −mean log σ(scale · margin).
pub fn bradley_terry_loss(clip: &Clip, margins: Tensor<1>) -> Tensor<1> {
    let scale = clip.logit_scale.val().clamp_max(MAX_LOGIT_SCALE).exp();
    -log_sigmoid(margins * scale).mean()
}

/// Share of margins above 0.
pub fn pair_accuracy(margins: &[f32]) -> f64 {
    margins.iter().filter(|m| **m > 0.0).count() as f64 / margins.len().max(1) as f64
}

/// Replaces `count` different tokens (all, if there are fewer) by other codes out of `codes`.
pub fn corrupt(tokens: &mut [i32], count: usize, codes: usize, random: &mut Stream) {
    for place in random.choose(count, tokens.len()) {
        let other = tokens[place] as usize + 1 + random.below((codes - 1).max(1));
        tokens[place] = (other % codes) as i32;
    }
}

/// Spoils a picture `[3, side, side]` in [0, 1], by `strength` in [0, 1]: even 0 can be seen.
pub fn degrade(pixels: &mut [f32], side: usize, kind: Degradation, strength: f32, random: &mut Stream) {
    let planes = pixels.chunks_exact_mut(side * side);
    match kind {
        Degradation::Blur => planes.for_each(|plane| {
            for _ in 0..2 + (6.0 * strength) as usize {
                blur(plane, side);
            }
        }),
        Degradation::Noise => pixels.iter_mut().for_each(|x| *x += (0.06 + 0.2 * strength) * random.normal()),
        Degradation::Blocks => planes.for_each(|plane| blocks(plane, side, 2 + (3.0 * strength) as usize)),
        Degradation::Colour => planes.for_each(|plane| {
            let sign = if random.uniform() < 0.5 { -1.0 } else { 1.0 };
            let shift = sign * (0.12 + 0.28 * strength);
            plane.iter_mut().for_each(|x| *x += shift);
        }),
    }
    pixels.iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
}

/// One pass of the binomial filter [1 2 1] / 4 along both axes; the border repeats.
fn blur(plane: &mut [f32], side: usize) {
    for step in [1, side] {
        let before = plane.to_vec();
        for (i, x) in plane.iter_mut().enumerate() {
            let place = i / step % side;
            let left = if place > 0 { i - step } else { i };
            let right = if place + 1 < side { i + step } else { i };
            *x = 0.25 * before[left] + 0.5 * before[i] + 0.25 * before[right];
        }
    }
}

/// Every square of `size` pixels takes its mean colour; squares at the far edges may be cut.
fn blocks(plane: &mut [f32], side: usize, size: usize) {
    for top in (0..side).step_by(size) {
        for left in (0..side).step_by(size) {
            let (bottom, right) = ((top + size).min(side), (left + size).min(side));
            let places = || (top..bottom).flat_map(move |y| (left..right).map(move |x| y * side + x));
            let mean = places().map(|i| plane[i]).sum::<f32>() / ((bottom - top) * (right - left)) as f32;
            places().for_each(|i| plane[i] = mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Pictures;

    #[test]
    fn every_degradation_changes_a_picture_visibly_and_stays_in_range() {
        let pictures = Pictures::embedded().expect("embedded");
        let mut random = Key::new(2).stream();
        for kind in Degradation::ALL {
            for strength in [0.0, 0.5, 1.0] {
                let before = pictures.plain_batch(&[40]).pixels;
                let mut after = before.clone();
                degrade(&mut after, 32, kind, strength, &mut random);
                let change: f32 =
                    after.iter().zip(&before).map(|(a, b)| (a - b).abs()).sum::<f32>() / before.len() as f32;
                assert!(change > 0.005, "{kind:?} {strength}: {change}");
                assert!(after.iter().all(|x| (0.0..=1.0).contains(x)));
            }
        }
    }

    #[test]
    fn blurring_and_blocks_keep_the_mean_colour() {
        let mut random = Key::new(3).stream();
        for kind in [Degradation::Blur, Degradation::Blocks] {
            let mut picture: Vec<f32> = (0..3 * 36).map(|_| random.uniform()).collect();
            let mean = |p: &[f32]| p[..36].iter().sum::<f32>() / 36.0;
            let before = mean(&picture);
            degrade(&mut picture, 6, kind, 0.0, &mut random);
            assert!((mean(&picture) - before).abs() < 0.03, "{kind:?}");
        }
    }

    #[test]
    fn corrupting_changes_exactly_the_asked_number_of_tokens() {
        let mut random = Key::new(4).stream();
        let mut tokens = vec![3; 64];
        corrupt(&mut tokens, 10, 8, &mut random);
        assert_eq!(tokens.iter().filter(|t| **t != 3).count(), 10);
        assert!(tokens.iter().all(|t| (0..8).contains(t)));
        corrupt(&mut tokens, 500, 8, &mut random);
    }

    #[test]
    fn the_loss_falls_as_the_margin_grows() {
        let device = Device::flex();
        let clip = crate::model::clip::ClipConfig::tiny().init(&device);
        let loss = |m: f32| bradley_terry_loss(&clip, Tensor::from_floats([m], &device)).into_scalar::<f32>();
        assert!((loss(0.0) - std::f32::consts::LN_2).abs() < 1e-6);
        assert!(loss(0.1) < loss(0.0) && loss(0.0) < loss(-0.1));
        assert_eq!(pair_accuracy(&[0.1, -0.1, 0.0, 2.0]), 0.5);
    }

    #[test]
    fn pairs_are_built_in_quarters() {
        let device = Device::flex();
        let pictures = Pictures::embedded().expect("embedded");
        let split = pictures.split(0.1);
        let config = OwnConfig::small();
        let tokenizer = config.vq.init(&device);
        let task = PreferenceTask::new(&pictures, &split, config, tokenizer, (8, 1), &device);
        let batch = pictures.plain_batch(&split.train[..9]);
        let pairs = pollster::block_on(task.pairs(&batch, &mut Key::new(5).stream())).unwrap();
        assert_eq!((pairs.better.dims(), pairs.worse.dims()), ([9, 3, 32, 32], [9, 3, 32, 32]));
        let differ: Vec<bool> = (0..9)
            .map(|i| {
                let difference = (pairs.better.clone() - pairs.worse.clone()).narrow(0, i, 1).abs().max();
                difference.into_scalar::<f32>() > 1e-3
            })
            .collect();
        assert_eq!(differ, [true, true, true, true, true, true, false, false, false]);
        let wrong: Vec<bool> = pairs.better_prompts.iter().zip(&pairs.worse_prompts).map(|(a, b)| a != b).collect();
        assert_eq!(wrong, [false, false, false, false, false, false, true, true, true]);
    }
}
