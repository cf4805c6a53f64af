//! A rollout: a batch of pictures written one token at a time.
//!
//! Every position costs one pass of the transformer over one token per sequence, with keys and values of earlier
//! positions kept in a static cache. Under classifier-free guidance each sequence has a twin that is told no class;
//! both live in one batch, the conditional rows first. Nothing is read back: tokens stay on the device.

use burn::prelude::*;

use super::sampling::{SamplingConfig, guide, likeliest};
use crate::gpu::add_gumbel;
use crate::gpu::read::rest;
use crate::model::policy::{KvCache, Policy};
use crate::platform::rng::Key;

/// A batch of token sequences being written.
pub struct Rollout {
    sampling: SamplingConfig,
    keys: Vec<Key>,
    classes: Tensor<1, Int>,
    cache: KvCache,
    tokens: Vec<Tensor<2, Int>>,
    /// Tokens that are given instead of drawn, one column `[n, 1]` per position from the first on.
    given: Vec<Tensor<2, Int>>,
    length: usize,
    guided: bool,
}

impl Rollout {
    /// Prepares `classes.len()` sequences; `keys[i]` names the random numbers of sequence `i`.
    ///
    /// # Panics
    /// If there are not as many keys as classes.
    pub fn new(model: &Policy, classes: &[usize], keys: Vec<Key>, sampling: SamplingConfig, device: &Device) -> Self {
        assert_eq!(classes.len(), keys.len(), "one key per sequence");
        let config = model.config();
        // The twin rows that guidance pushes away from.
        let twins: Option<Vec<usize>> = classes.iter().map(|&class| model.null_of(class)).collect();
        let twins = twins.filter(|_| sampling.guidance != 1.0);
        let guided = twins.is_some();
        let ids: Vec<i32> = classes.iter().copied().chain(twins.into_iter().flatten()).map(|id| id as i32).collect();
        let rows = ids.len();
        Self {
            sampling,
            keys,
            classes: Tensor::from_data(TensorData::new(ids, [rows]), device),
            cache: model.cache(rows, device),
            tokens: Vec::with_capacity(config.block_size()),
            given: vec![],
            length: config.block_size(),
            guided,
        }
    }

    /// Gives the first tokens of every sequence, `prefix[i]` those of sequence `i`: they pass through the cache as if
    /// they had been drawn, and the rest is drawn with the same random numbers as without them. So a prefix that the
    /// model wrote itself leads to the same sequence, and another one shows what would have followed it.
    ///
    /// # Panics
    /// If there are not as many prefixes as sequences, or they differ in length, or are longer than a sequence.
    pub fn with_prefix(mut self, prefix: &[Vec<u32>]) -> Self {
        assert_eq!(prefix.len(), self.keys.len(), "one prefix per sequence");
        let length = prefix.first().map_or(0, Vec::len);
        assert!(length <= self.length && prefix.iter().all(|p| p.len() == length), "prefixes of one length that fit");
        let device = self.classes.device();
        let column = |position: usize| {
            let ids: Vec<i32> = prefix.iter().map(|p| p[position] as i32).collect();
            Tensor::from_data(TensorData::new(ids, [prefix.len(), 1]), &device)
        };
        self.given = (0..length).map(column).collect();
        self
    }

    /// Writes the next token of every sequence; `true` while there are more to write.
    pub fn step(&mut self, model: &Policy) -> bool {
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
        if let Some(given) = self.given.get(position) {
            self.tokens.push(given.clone());
            return self.tokens.len() < self.length;
        }
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
    pub async fn finish(mut self, model: &Policy) -> Tensor<2, Int> {
        let device = self.classes.device();
        while self.step(model) {
            rest(&device).await;
        }
        Tensor::cat(self.tokens, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mingpt::MinGptConfig;
    use crate::model::policy::PolicyConfig;
    use crate::model::transformer::GptConfig;

    fn ids(tokens: Tensor<2, Int>) -> Vec<Vec<u32>> {
        let [_, length] = tokens.dims();
        tokens.into_data().iter::<u32>().collect::<Vec<_>>().chunks(length).map(<[_]>::to_vec).collect()
    }

    #[test]
    fn a_prefix_that_the_model_wrote_leads_to_the_same_sequence_and_another_does_not() {
        let device = Device::flex();
        let llamagen = PolicyConfig::LlamaGen(GptConfig::tiny()).init_random_head(&device);
        let taming = PolicyConfig::Taming(MinGptConfig::tiny()).init_random_head(&device);
        for (model, guidance) in [(&llamagen, 1.0), (&llamagen, 2.0), (&taming, 1.0)] {
            let sampling = SamplingConfig { guidance, ..SamplingConfig::default() };
            let begin = || Rollout::new(model, &[3, 7], vec![Key::new(1), Key::new(2)], sampling, &device);
            let whole = ids(pollster::block_on(begin().finish(model)));
            for length in [0, 1, 5, 16] {
                let prefix: Vec<Vec<u32>> = whole.iter().map(|tokens| tokens[..length].to_vec()).collect();
                assert_eq!(
                    ids(pollster::block_on(begin().with_prefix(&prefix).finish(model))),
                    whole,
                    "{length} given, {guidance}"
                );
            }
            // Every other token in the fourth place, with the random numbers of the first sequence.
            let others: Vec<Vec<u32>> =
                (1..64).map(|step| [&whole[0][..3], &[(whole[0][3] + step) % 64]].concat()).collect();
            let again = Rollout::new(model, &[3; 63], vec![Key::new(1); 63], sampling, &device);
            let changed = ids(pollster::block_on(again.with_prefix(&others).finish(model)));
            assert!(changed.iter().zip(&others).all(|(tokens, prefix)| tokens.starts_with(prefix)));
            let differ = changed.iter().filter(|tokens| tokens[4..] != whole[0][4..]).count();
            assert!(differ > 0, "what follows depends on what was given: {differ} of 63");
        }
    }
}
