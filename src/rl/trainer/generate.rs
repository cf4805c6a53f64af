//! The first phase: drawing prompts, writing tokens, decoding them.

use burn::prelude::*;
use burn::tensor::Transaction;

use super::{Advance, Drawn, Outcome, Phase, Prompts, Rollouts, Stage, TrainError, Trainer, Writing, purpose};
use crate::config::RunConfig;
use crate::data::grid::rgb_pictures;
use crate::gpu::read::{read, read_together};
use crate::model::family::Family;
use crate::platform::rng::Key;
use crate::rl::rollout::Rollout;
use crate::rl::sampling::SamplingConfig;

impl Trainer {
    /// A picture of the sequences being written, their unwritten part grey. Costs one decoding.
    ///
    /// # Errors
    /// Where the device fails.
    pub async fn preview(&self) -> Result<Option<Rollouts>, TrainError> {
        let Stage::Generate(writing) = &self.stage else { return Ok(None) };
        let Writing { rollout, prompts } = &**writing;
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
            classes: prompts.classes.clone(),
            pictures,
            written,
            ..Rollouts::default()
        }))
    }

    /// Draws the prompts and writes the first token.
    pub(super) async fn begin(&mut self) -> Result<Advance, TrainError> {
        self.seconds = [0.0; 4];
        let allowed = self.allowed_classes()?;
        let update = Key::new(self.config.seed).fold(self.update);
        let mut draw = update.fold(purpose::CLASSES).stream();
        let group = self.config.num_generations as usize;
        let prompts = self.config.prompts as usize;
        // Classes without repeats while there are enough of them: fewer rewards differ by the luck of the draw.
        let mut drawn: Vec<usize> = vec![];
        while drawn.len() < prompts {
            drawn.extend(draw.choose(prompts - drawn.len(), allowed.len()).into_iter().map(|i| allowed[i]));
        }
        let (mut classes, mut keys) = (vec![], vec![]);
        for (prompt, class) in drawn.into_iter().enumerate() {
            for sample in 0..group {
                classes.push(class);
                keys.push(update.fold(purpose::TOKENS).fold(prompt as u64).fold(sample as u64));
            }
        }
        let sampling = rollout_sampling(&self.config);
        let rollout = Rollout::new(&self.acting, &classes, keys.clone(), sampling, &self.device);
        self.write(Writing { rollout, prompts: Prompts { classes, group, keys, sampling } }).await
    }

    /// Writes the next token of every sequence; after the last one decodes the pictures. One readback in all.
    pub(super) async fn write(&mut self, mut writing: Writing) -> Result<Advance, TrainError> {
        let more = writing.rollout.step(&self.acting);
        let done = writing.rollout.progress();
        self.stage = if more {
            Stage::Generate(Box::new(writing))
        } else {
            let Writing { rollout, prompts } = writing;
            let tokens = rollout.finish(&self.acting);
            let pictures = self.decode(tokens.clone());
            let both = Transaction::default().register(tokens.clone()).register(pictures.clone());
            let [ids, pixels] = read_together(both).await?;
            let (tokens_host, pixels) = (ids.iter::<u32>().collect(), pixels.iter::<f32>().collect());
            Stage::Reward(Box::new(Drawn { prompts, tokens, pictures, tokens_host, pixels }))
        };
        Ok(Advance { phase: Phase::Generate, done, outcome: Outcome::None })
    }

    fn allowed_classes(&self) -> Result<Vec<usize>, TrainError> {
        allowed_classes(&self.config.classes, &self.class_names)
    }

    /// Tokens `[n, t]` → pictures `[n, 3, side, side]` in [0, 1], cut to 256 levels as the authors' code does.
    pub(super) fn decode(&self, tokens: Tensor<2, Int>) -> Tensor<4> {
        decode_levels(&self.family, tokens)
    }
}

/// How the samples to learn from are drawn.
pub fn rollout_sampling(config: &RunConfig) -> SamplingConfig {
    SamplingConfig {
        guidance: config.guidance,
        temperature: config.temperature,
        top_k: config.top_k as usize,
        top_p: config.top_p,
        cfg_interval: config.cfg_interval,
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
