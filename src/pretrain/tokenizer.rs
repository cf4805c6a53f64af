//! Training the tokenizer: a picture must survive the way through 64 tokens.
//!
//! Loss: mean squared error in [-1, 1], distance of the feature network's stage maps (a perceptual loss on features
//! of our own), and the codebook's losses. Codes that nothing chose for a while are revived at encoder outputs.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::prelude::*;

use super::{Loss, Pictures as Shown, Task};
use crate::data::grid::rgb_pictures;
use crate::data::sampling::Groups;
use crate::data::{AugmentConfig, Pictures, Split};
use crate::gpu::read::read;
use crate::model::family::Role;
use crate::model::features::FeatureNet;
use crate::model::vq::VqModel;
use crate::platform::rng::Key;

/// Steps a code may stay unused before it is revived.
const PATIENCE: u32 = 25;
/// No code is revived in the last part of a training: those that are new then would only add noise.
const REVIVE_UNTIL: f64 = 0.8;

/// Pictures to reconstruct.
pub struct TokenizerTask<'a> {
    /// All pictures.
    pub pictures: &'a Pictures,
    /// Training and held-out indices.
    pub split: &'a Split,
    groups: Groups,
    /// Network of the perceptual loss and its weight; `None` trains on pixels alone.
    pub perceptual: Option<(FeatureNet, f64)>,
    /// Pictures per step.
    pub batch: usize,
    /// Names the random numbers.
    pub seed: u64,
    /// Steps in all.
    pub steps: u64,
    /// Where to compute.
    pub device: Device,
    /// Steps since each code was last chosen.
    unused: Vec<u32>,
    /// Encoder outputs and choices of the last step.
    last: Option<(Tensor<4>, Tensor<2, Int>)>,
}

impl<'a> TokenizerTask<'a> {
    /// A task for a codebook of `codes` codes.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        pictures: &'a Pictures,
        split: &'a Split,
        perceptual: Option<(FeatureNet, f64)>,
        (batch, steps, seed): (usize, u64, u64),
        codes: usize,
        device: &Device,
    ) -> Self {
        let (unused, last) = (vec![0; codes], None);
        let groups = pictures.groups(&split.train);
        Self { pictures, split, groups, perceptual, batch, seed, steps, device: device.clone(), unused, last }
    }

    /// Held-out pictures `[n, 3, side, side]` in [0, 1], on plain white.
    fn held_out(&self) -> Tensor<4> {
        held_out(self.pictures, self.split, &self.device)
    }
}

impl Task for TokenizerTask<'_> {
    type Model = VqModel;

    fn role(&self) -> Role {
        Role::Tokenizer
    }

    async fn loss(&mut self, model: &VqModel, step: u64) -> Result<Loss> {
        let mut random = Key::new(self.seed).fold(step).stream();
        let batch = self.pictures.sample_batch(&self.groups, self.batch, &AugmentConfig::default(), &mut random);
        let x = batch.images(&self.device);
        let (y, encoded) = model.forward((x.clone() * 2.0 - 1.0).autodiff());
        let reconstruction = (y.clone() - (x.clone() * 2.0 - 1.0).autodiff()).square().mean();
        let codebook = encoded.losses.total();
        let mut parts =
            vec![("reconstruction", reconstruction.clone().inner()), ("codebook", codebook.clone().inner())];
        let mut total = reconstruction + codebook;
        if let Some((network, weight)) = &self.perceptual {
            let wanted = network.maps(x);
            let got = network.maps(y * 0.5 + 0.5);
            let stages = wanted.len() as f64;
            let distance = wanted
                .into_iter()
                .zip(got)
                .map(|(a, b)| {
                    let scale = a.clone().square().mean().add_scalar(1e-6).autodiff();
                    (b - a.autodiff()).square().mean() / scale
                })
                .reduce(|a, b| a + b);
            if let Some(distance) = distance {
                let distance = distance / stages;
                parts.push(("perceptual", distance.clone().inner()));
                total = total + distance * *weight;
            }
        }
        self.last = Some((encoded.z.inner(), encoded.indices.inner()));
        Ok(Loss { total, parts })
    }

    async fn mend(&mut self, model: VqModel, step: u64) -> Result<VqModel> {
        let Some((z, indices)) = self.last.take() else { return Ok(model) };
        let data = indices.into_data_async().await.map_err(|e| anyhow::anyhow!("{e}"))?;
        self.unused.iter_mut().for_each(|n| *n += 1);
        for code in data.iter::<u32>() {
            self.unused[code as usize] = 0;
        }
        if step as f64 > REVIVE_UNTIL * self.steps as f64 {
            return Ok(model);
        }
        let usage: Vec<u32> = self.unused.iter().map(|&n| u32::from(n < PATIENCE)).collect();
        if usage.iter().all(|&n| n > 0) {
            return Ok(model);
        }
        self.unused.iter_mut().filter(|n| **n >= PATIENCE).for_each(|n| *n = 0);
        let mut random = Key::new(self.seed).fold(u64::MAX).fold(step).stream();
        Ok(model.revive(&usage, z, &mut random).0)
    }

    async fn evaluate(&mut self, model: &VqModel) -> Result<BTreeMap<String, f64>> {
        let figures = reconstruction_figures(model, self.held_out(), self.unused.len()).await?;
        Ok([
            ("held_out/psnr_db".into(), figures.psnr),
            ("held_out/codebook_use".into(), figures.codebook_use),
            ("held_out/perplexity".into(), figures.perplexity),
        ]
        .into())
    }

    async fn show(&mut self, model: &VqModel) -> Result<Option<Shown>> {
        let x = self.held_out();
        let n = x.dims()[0];
        // Rows of originals over rows of reconstructions.
        let picks: Vec<i32> = (0..32).map(|i| (i * n / 32) as i32).collect();
        let x = x.select(0, Tensor::from_data(TensorData::new(picks, [32]), &self.device));
        let (y, _) = model.forward(x.clone() * 2.0 - 1.0);
        let y = (y * 0.5 + 0.5).clamp(0.0, 1.0);
        let mut rows = vec![];
        for half in 0..2 {
            for t in [&x, &y] {
                rows.extend(rgb_pictures(&read(t.clone().narrow(0, half * 16, 16)).await?, self.pictures.side));
            }
        }
        Ok(Some((self.pictures.side, rows)))
    }

    fn state(&self) -> serde_json::Value {
        serde_json::json!({ "unused": self.unused })
    }

    fn restore(&mut self, state: serde_json::Value) {
        if let Ok(unused) = serde_json::from_value(state["unused"].clone()) {
            self.unused = unused;
        }
    }
}

/// The held-out pictures on plain white, `[n, 3, side, side]` in [0, 1].
pub fn held_out(pictures: &Pictures, split: &Split, device: &Device) -> Tensor<4> {
    pictures.plain_batch(&split.held_out).images(device)
}

/// How well a tokenizer reconstructs.
#[derive(Clone, Copy, Debug)]
pub struct Reconstruction {
    /// Mean over pictures of the peak signal-to-noise ratio in dB, pixels in [0, 1].
    pub psnr: f64,
    /// Share of codes chosen at least once.
    pub codebook_use: f64,
    /// Exponential of the entropy of code use.
    pub perplexity: f64,
}

/// Measures a tokenizer on pictures `[n, 3, side, side]` in [0, 1].
///
/// # Errors
/// Where the device fails.
pub async fn reconstruction_figures(model: &VqModel, x: Tensor<4>, codes: usize) -> Result<Reconstruction> {
    let n = x.dims()[0];
    let (mut psnr, mut counts) = (0.0, vec![0u64; codes]);
    for start in (0..n).step_by(64) {
        let len = 64.min(n - start);
        let x = x.clone().narrow(0, start, len);
        let (y, encoded) = model.forward(x.clone() * 2.0 - 1.0);
        let error = ((y * 0.5 + 0.5).clamp(0.0, 1.0) - x).square().reshape([len as i32, -1]).mean_dim(1);
        psnr += read(error).await?.iter().map(|&e| -10.0 * (e as f64).max(1e-10).log10()).sum::<f64>();
        let data = encoded.indices.into_data_async().await.map_err(|e| anyhow::anyhow!("{e}"))?;
        data.iter::<u32>().for_each(|code| counts[code as usize] += 1);
    }
    let total = counts.iter().sum::<u64>() as f64;
    let entropy: f64 = counts.iter().filter(|c| **c > 0).map(|&c| c as f64 / total).map(|p| -p * p.ln()).sum();
    Ok(Reconstruction {
        psnr: psnr / n as f64,
        codebook_use: counts.iter().filter(|c| **c > 0).count() as f64 / codes as f64,
        perplexity: entropy.exp(),
    })
}
