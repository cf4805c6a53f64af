//! The first phase: drawing prompts, writing tokens, decoding them.

use burn::prelude::*;

use super::{Advance, Outcome, Phase, Rollouts, Stage, TrainError, Trainer, purpose};
use crate::data::grid::rgb_pictures;
use crate::gpu::read::read;
use crate::model::family::Family;
use crate::platform::clock::Stopwatch;
use crate::platform::rng::Key;
use crate::rl::rollout::Rollout;
use crate::rl::sampling::SamplingConfig;

impl Trainer {
    /// A picture of the sequences being written, their unwritten part grey. Costs one decoding.
    ///
    /// # Errors
    /// Where the device fails.
    pub async fn preview(&self) -> Result<Option<Rollouts>, TrainError> {
        let Stage::Generate { rollout, classes, .. } = &self.stage else { return Ok(None) };
        let Some(tokens) = rollout.tokens() else { return Ok(None) };
        let written = rollout.progress();
        let [n, done] = tokens.dims();
        let pad = Tensor::zeros([n, written.1 - done], &self.device);
        let pixels = self.decode(Tensor::cat(vec![tokens, pad], 1));
        let (side, grid) = (self.family.config.side, self.family.config.grid);
        let mut pictures = rgb_pictures(&read(pixels).await?, side);
        let cell = side / grid;
        for picture in &mut pictures {
            for (i, rgb) in picture.chunks_exact_mut(3).enumerate() {
                let token = (i / side / cell) * grid + (i % side) / cell;
                if token >= done {
                    rgb.fill(128);
                }
            }
        }
        Ok(Some(Rollouts {
            update: self.update + 1,
            side,
            classes: classes.clone(),
            pictures,
            written,
            ..Rollouts::default()
        }))
    }

    /// Draws the prompts and writes the first token.
    pub(super) fn begin(&mut self) -> Result<Advance, TrainError> {
        let clock = Stopwatch::start();
        let allowed = self.allowed_classes()?;
        let update = Key::new(self.config.seed).fold(self.update);
        let mut draw = update.fold(purpose::CLASSES).stream();
        let group = self.config.num_generations as usize;
        let (mut classes, mut keys) = (vec![], vec![]);
        for prompt in 0..self.config.prompts as usize {
            let class = allowed[draw.below(allowed.len())];
            for sample in 0..group {
                classes.push(class);
                keys.push(update.fold(purpose::TOKENS).fold(prompt as u64).fold(sample as u64));
            }
        }
        let rollout = Rollout::new(&self.acting, &classes, keys, self.sampling(), &self.device);
        Ok(self.write(rollout, classes, clock))
    }

    /// Writes the next token of every sequence.
    pub(super) fn write(&mut self, mut rollout: Rollout, classes: Vec<usize>, clock: Stopwatch) -> Advance {
        let more = rollout.step(&self.acting);
        let done = rollout.progress();
        self.stage = if more {
            Stage::Generate { rollout, classes, clock }
        } else {
            Stage::Reward { tokens: rollout.finish(&self.acting), classes, generate: clock.seconds() }
        };
        Advance { phase: Phase::Generate, done, outcome: Outcome::None }
    }

    fn allowed_classes(&self) -> Result<Vec<usize>, TrainError> {
        allowed_classes(&self.config.classes, &self.class_names)
    }

    fn sampling(&self) -> SamplingConfig {
        SamplingConfig {
            guidance: self.config.guidance,
            temperature: self.config.temperature,
            top_k: self.config.top_k as usize,
            top_p: self.config.top_p,
            cfg_interval: self.config.cfg_interval,
        }
    }

    /// Tokens `[n, t]` → pictures `[n, 3, side, side]` in [0, 1], cut to 256 levels as the authors' code does.
    pub(super) fn decode(&self, tokens: Tensor<2, Int>) -> Tensor<4> {
        decode_levels(&self.family, tokens)
    }
}

/// Tokens `[n, t]` → pictures `[n, 3, side, side]` in [0, 1] with 256 levels: `trunc(255 * clamp(0.5 y + 0.5))`.
pub fn decode_levels(family: &Family, tokens: Tensor<2, Int>) -> Tensor<4> {
    let grid = family.config.grid;
    let y = family.tokenizer.decode_code(tokens, [grid, grid]);
    (y * 0.5 + 0.5).clamp(0.0, 1.0).mul_scalar(255.0).floor().div_scalar(255.0)
}

/// `"all"`, or a comma-separated list of class names → class ids.
///
/// # Errors
/// [`TrainError::UnknownClass`].
pub fn allowed_classes(asked: &str, names: &[String]) -> Result<Vec<usize>, TrainError> {
    if asked.trim() == "all" {
        return Ok((0..names.len()).collect());
    }
    asked
        .split(',')
        .map(|name| {
            let name = name.trim();
            names
                .iter()
                .position(|n| n.eq_ignore_ascii_case(name))
                .ok_or_else(|| TrainError::UnknownClass { asked: name.into(), known: names.join(", ") })
        })
        .collect()
}
