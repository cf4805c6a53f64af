//! A rollout: a batch of pictures written one token at a time.
//!
//! Every position costs one pass of the transformer over one token per sequence, with keys and values of earlier
//! positions kept in a static cache. Under classifier-free guidance each sequence has a twin that is told no class;
//! both live in one batch, the conditional rows first. Nothing is read back: tokens stay on the device.

use burn::prelude::*;

use super::sampling::{SamplingConfig, guide, likeliest};
use crate::gpu::add_gumbel;
use crate::model::transformer::{KvCache, Transformer};
use crate::platform::rng::Key;

/// A batch of token sequences being written.
pub struct Rollout {
    sampling: SamplingConfig,
    keys: Vec<Key>,
    classes: Tensor<1, Int>,
    cache: KvCache,
    tokens: Vec<Tensor<2, Int>>,
    length: usize,
    guided: bool,
}

impl Rollout {
    /// Prepares `classes.len()` sequences; `keys[i]` names the random numbers of sequence `i`.
    ///
    /// # Panics
    /// If there are not as many keys as classes.
    pub fn new(
        model: &Transformer,
        classes: &[usize],
        keys: Vec<Key>,
        sampling: SamplingConfig,
        device: &Device,
    ) -> Self {
        assert_eq!(classes.len(), keys.len(), "one key per sequence");
        let config = model.config();
        let null = config.null_class().filter(|_| sampling.guidance != 1.0);
        let mut ids: Vec<i32> = classes.iter().map(|&c| c as i32).collect();
        if let Some(null) = null {
            // The twin rows that guidance pushes away from.
            ids.extend(std::iter::repeat_n(null as i32, classes.len()));
        }
        let rows = ids.len();
        Self {
            sampling,
            keys,
            classes: Tensor::from_data(TensorData::new(ids, [rows]), device),
            cache: model.cache(rows, device),
            tokens: Vec::with_capacity(config.block_size),
            length: config.block_size,
            guided: null.is_some(),
        }
    }

    /// Writes the next token of every sequence; `true` while there are more to write.
    pub fn step(&mut self, model: &Transformer) -> bool {
        let position = self.tokens.len();
        if position == self.length {
            return false;
        }
        let logits = match self.tokens.last() {
            None => model.prefill(self.classes.clone(), &mut self.cache),
            Some(last) => {
                let last = if self.guided { Tensor::cat(vec![last.clone(), last.clone()], 0) } else { last.clone() };
                model.step(last, position - 1, &mut self.cache)
            }
        };
        let logits = self.sampling.warp(self.guide(logits, position));
        // A function of each sequence's key and the position alone.
        let keys: Vec<Key> = self.keys.iter().map(|key| key.fold(position as u64)).collect();
        self.tokens.push(likeliest(add_gumbel(logits, &keys)));
        self.tokens.len() < self.length
    }

    /// Conditional and unconditional logits `[2n, vocab]` → guided logits `[n, vocab]`.
    fn guide(&self, logits: Tensor<2>, position: usize) -> Tensor<2> {
        if !self.guided {
            return logits;
        }
        let n = self.keys.len();
        let cond = logits.clone().narrow(0, 0, n);
        if !self.sampling.guides(position) {
            return cond;
        }
        guide(cond, logits.narrow(0, n, n), self.sampling.guidance)
    }

    /// Sequences.
    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    /// Tokens written so far, and in all, of each sequence.
    pub fn progress(&self) -> (usize, usize) {
        (self.tokens.len(), self.length)
    }

    /// The tokens written so far `[n, done]`; `None` before the first.
    pub fn tokens(&self) -> Option<Tensor<2, Int>> {
        (!self.tokens.is_empty()).then(|| Tensor::cat(self.tokens.clone(), 1))
    }

    /// Writes all that is missing and returns the tokens `[n, length]`.
    pub fn finish(mut self, model: &Transformer) -> Tensor<2, Int> {
        while self.step(model) {}
        Tensor::cat(self.tokens, 1)
    }
}
