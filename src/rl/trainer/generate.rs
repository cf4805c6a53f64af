//! The first phase: drawing prompts, writing tokens, decoding them.

use burn::prelude::*;
use burn::tensor::Transaction;

use super::{
    Advance, Decoded, Drawn, Outcome, Phase, Prompts, Rollouts, Stage, TrainError, Trainer, Writing, allowed_classes,
    purpose,
};
use crate::config::RunConfig;
use crate::gpu::read::{read_together, rest};
use crate::model::family::Family;
use crate::platform::rng::Key;
use crate::rl::rollout::Rollout;
use crate::rl::sampling::SamplingConfig;

impl Trainer {
    /// The sequences being written, still on the device: only [`Rollouts::decoded`] has their pictures. Costs one
    /// decoding.
    pub fn preview(&self) -> Option<Rollouts> {
        let Stage::Generate(writing) = &self.stage else { return None };
        let Writing { rollout, prompts, complete, .. } = &**writing;
        let (n, (_, length)) = (prompts.classes.len(), rollout.progress());
        let mut parts = complete.clone();
        if let Some(tokens) = rollout.tokens() {
            let [rows, done] = tokens.dims();
            parts.push(Tensor::cat(vec![tokens, Tensor::zeros([rows, length - done], &self.device)], 1));
        }
        let begun: usize = parts.iter().map(|part| part.dims()[0]).sum();
        if begun == 0 {
            return None;
        }
        let tokens = Tensor::cat(parts, 0);
        let pieces = self.pieces(begun, self.together()).into_iter();
        let decode = |rows: std::ops::Range<usize>| self.decode(tokens.clone().narrow(0, rows.start, rows.len()));
        let mut pictures: Vec<Tensor<4>> = pieces.map(decode).collect();
        let (side, grid) = (self.family.config.side, self.family.config.grid);
        if begun < n {
            pictures.push(Tensor::zeros([n - begun, 3, side, side], &self.device));
        }
        let pictures = Tensor::cat(pictures, 0);
        Some(Rollouts {
            update: self.update + 1,
            side,
            classes: prompts.classes.clone(),
            decoded: Some(Decoded { pictures, grid, written: writing.written() }),
            written: writing.progress(),
            ..Rollouts::default()
        })
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
        let prompts = Prompts { classes, group, keys, sampling: rollout_sampling(&self.config) };
        let rollout = self.begin_rows(&prompts, 0);
        self.write(Writing { rollout, prompts, complete: vec![] }).await
    }

    /// Makes the sequences from `first` on ready to be written: as many as are to be written together.
    fn begin_rows(&self, prompts: &Prompts, first: usize) -> Rollout {
        let left = prompts.keys.len() - first;
        let rows = first..first + self.together().clamp(1, left);
        let (classes, keys) = (&prompts.classes[rows.clone()], prompts.keys[rows].to_vec());
        Rollout::new(&self.acting, classes, keys, prompts.sampling, &self.device)
    }

    /// Writes the next token of every sequence at work; after the last one of all decodes the pictures. One readback in
    /// all.
    pub(super) async fn write(&mut self, mut writing: Writing) -> Result<Advance, TrainError> {
        let more = writing.rollout.step(&self.acting);
        let done = writing.progress();
        let mut outcome = Outcome::None;
        if !more {
            outcome = Outcome::Drawn;
            writing.complete.extend(writing.rollout.tokens());
            let complete = writing.complete.iter().map(|part| part.dims()[0]).sum();
            if complete < writing.prompts.keys.len() {
                writing.rollout = self.begin_rows(&writing.prompts, complete);
                self.stage = Stage::Generate(Box::new(writing));
            } else {
                let tokens = Tensor::cat(writing.complete, 0);
                let mut pictures = vec![];
                for rows in self.pieces(tokens.dims()[0], self.together()) {
                    pictures.push(self.decode(tokens.clone().narrow(0, rows.start, rows.len())));
                    rest(&self.device).await;
                }
                let pictures = Tensor::cat(pictures, 0);
                let both = Transaction::default().register(tokens.clone()).register(pictures.clone());
                let [ids, pixels] = read_together(both).await?;
                let (tokens_host, pixels) = (ids.iter::<u32>().collect(), pixels.iter::<f32>().collect());
                let prompts = writing.prompts;
                self.stage = Stage::Reward(Box::new(Drawn { prompts, tokens, pictures, tokens_host, pixels }));
            }
        } else {
            self.stage = Stage::Generate(Box::new(writing));
        }
        Ok(Advance { phase: Phase::Generate, done, outcome })
    }

    fn allowed_classes(&self) -> Result<Vec<usize>, TrainError> {
        allowed_classes(&self.config.classes, &self.class_names)
    }

    /// Tokens `[n, t]`, in the order in which they were written → pictures `[n, 3, side, side]` in [0, 1], cut to 256 levels as the authors' code does.
    pub(super) fn decode(&self, tokens: Tensor<2, Int>) -> Tensor<4> {
        decode_levels(&self.family, tokens)
    }
}

impl Writing {
    /// Tokens written of each sequence.
    fn written(&self) -> Vec<usize> {
        let (done, length) = self.rollout.progress();
        let complete: usize = self.complete.iter().map(|part| part.dims()[0]).sum();
        let at_work = complete..complete + self.rollout.rows();
        (0..self.prompts.keys.len())
            .map(|row| match row {
                row if row < complete => length,
                row if at_work.contains(&row) => done,
                _ => 0,
            })
            .collect()
    }

    /// Tokens written of all sequences, and in all.
    fn progress(&self) -> (usize, usize) {
        (self.written().iter().sum(), self.prompts.keys.len() * self.rollout.progress().1)
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
    let y = family.tokenizer.decode_code(family.config.gpt.in_rows(tokens), [grid, grid]);
    (y * 0.5 + 0.5).clamp(0.0, 1.0).mul_scalar(255.0).floor().div_scalar(255.0)
}
