//! Training the feature network (and, from another seed, the judge): a classifier of pictures.
//!
//! Cross-entropy with smoothed labels; half of the pictures are blurred, noisy or cut out, so that the features see
//! what is wrong with a sample and not only what it shows.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::prelude::*;
use burn::tensor::activation::log_softmax;

use super::tokenizer::held_out;
use super::{Loss, Task};
use crate::data::sampling::Groups;
use crate::data::{AugmentConfig, Pictures, Split};
use crate::gpu::read::read;
use crate::model::family::{CLASSES, Role};
use crate::model::feature_network::FeatureNetwork;
use crate::model::features::FeatureNet;
use crate::platform::rng::Key;

/// Share of the label's weight that is spread over all classes.
const SMOOTHING: f64 = 0.05;

/// Pictures to classify.
pub struct FeaturesTask<'a> {
    /// `Features` or `Judge`: the same training from different random numbers.
    pub role: Role,
    /// All pictures.
    pub pictures: &'a Pictures,
    /// Training and held-out indices.
    pub split: &'a Split,
    /// The training pictures by class and name.
    pub groups: Groups,
    /// Pictures per step.
    pub batch: usize,
    /// Names the random numbers.
    pub seed: u64,
    /// Where to compute.
    pub device: Device,
}

impl Task for FeaturesTask<'_> {
    type Model = FeatureNet;

    fn role(&self) -> Role {
        self.role
    }

    async fn loss(&mut self, model: &FeatureNet, step: u64) -> Result<Loss> {
        // The judge must not be the feature network by another name: its batches differ too.
        let mut random = Key::new(self.seed).fold(self.role as u64).fold(step).stream();
        let batch = self.pictures.sample_batch(&self.groups, self.batch, &AugmentConfig::default(), &mut random);
        let mut x = batch.images(&self.device);
        // Noise makes the classifier look at shapes rather than at single pixels.
        let noise: Vec<f32> =
            (0..self.batch).map(|_| if random.uniform() < 0.5 { random.range(0.0, 0.08) } else { 0.0 }).collect();
        let side = self.pictures.side;
        let field: Vec<f32> = (0..self.batch * 3 * side * side).map(|_| random.uniform() * 2.0 - 1.0).collect();
        let amount = Tensor::<4>::from_data(TensorData::new(noise, [self.batch, 1, 1, 1]), &self.device);
        let field = Tensor::<4>::from_data(TensorData::new(field, [self.batch, 3, side, side]), &self.device);
        x = (x + field * amount).clamp(0.0, 1.0);

        let classes: Vec<i32> = batch.classes.iter().map(|&c| c as i32).collect();
        let target = Tensor::<2, Int>::from_data(TensorData::new(classes, [self.batch, 1]), &self.device).autodiff();
        let logp = log_softmax(model.classify(model.features(x.autodiff())), 1);
        let right = logp.clone().gather(1, target).mean();
        let total = -(right.clone() * (1.0 - SMOOTHING) + logp.mean() * SMOOTHING);
        Ok(Loss { total, parts: vec![("nll", (-right).inner())] })
    }

    fn notes(&self) -> Vec<(&'static str, String)> {
        vec![(CLASSES, serde_json::json!(self.pictures.class_names).to_string())]
    }

    async fn evaluate(&mut self, model: &FeatureNet) -> Result<BTreeMap<String, f64>> {
        let x = held_out(self.pictures, self.split, &self.device);
        let classes: Vec<usize> = self.split.held_out.iter().map(|&i| self.pictures.pictures[i].class).collect();
        Ok([(
            "held_out/accuracy".into(),
            accuracy(&FeatureNetwork::Small(Box::new(model.clone())), x, &classes).await?,
        )]
        .into())
    }
}

/// Share of pictures `[n, 3, side, side]` in [0, 1] that are classified as their class.
///
/// # Errors
/// Where the device fails.
pub async fn accuracy(model: &FeatureNetwork, x: Tensor<4>, classes: &[usize]) -> Result<f64> {
    let guesses = classify(model, x).await?;
    let right = guesses.iter().zip(classes).filter(|(a, b)| a == b).count();
    Ok(right as f64 / classes.len().max(1) as f64)
}

/// The class of each picture, by the network.
///
/// # Errors
/// Where the device fails.
pub async fn classify(model: &FeatureNetwork, x: Tensor<4>) -> Result<Vec<usize>> {
    let n = x.dims()[0];
    let mut guesses = Vec::with_capacity(n);
    for start in (0..n).step_by(128) {
        let x = x.clone().narrow(0, start, 128.min(n - start));
        let logits = model.logits(model.features(x));
        let classes = logits.dims()[1];
        guesses.extend(
            read(logits)
                .await?
                .chunks(classes)
                .map(|row| (0..classes).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0)),
        );
    }
    Ok(guesses)
}
