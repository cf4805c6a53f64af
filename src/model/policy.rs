//! The network that is tuned, whichever it is: one interface over LlamaGen's and taming-transformers' priors.

use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::mingpt::{MinGpt, MinGptConfig};
use super::permuter::Permuter;
use super::transformer::{GptConfig, Transformer};

pub use super::attention::KvCache;

/// Shape of a [`Policy`]. Written as the shape of its network alone: the field names tell the two apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PolicyConfig {
    /// LlamaGen's transformer.
    LlamaGen(GptConfig),
    /// taming-transformers' class-conditional GPT.
    Taming(MinGptConfig),
}

impl PolicyConfig {
    /// Size of the codebook.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::LlamaGen(c) => c.vocab_size,
            Self::Taming(c) => c.vocab_size,
        }
    }

    /// Tokens per picture.
    pub fn block_size(&self) -> usize {
        match self {
            Self::LlamaGen(c) => c.block_size,
            Self::Taming(c) => c.block_size,
        }
    }

    /// Number of classes, the null class not counted.
    pub fn num_classes(&self) -> usize {
        match self {
            Self::LlamaGen(c) => c.num_classes,
            Self::Taming(c) => c.num_classes,
        }
    }

    /// Id of the class that stands for none, if the network knows one: without it there is no guidance.
    pub fn null_class(&self) -> Option<usize> {
        match self {
            Self::LlamaGen(c) => c.null_class(),
            Self::Taming(_) => None,
        }
    }

    /// Whether it can do without its condition, and so be guided.
    pub fn is_guided(&self) -> bool {
        match self {
            Self::LlamaGen(c) => c.class_dropout_prob > 0.0,
            Self::Taming(_) => false,
        }
    }

    /// Positions in front of the tokens.
    pub fn condition_length(&self) -> usize {
        match self {
            Self::LlamaGen(c) => c.cls_token_num,
            Self::Taming(_) => 1,
        }
    }

    /// Width of the residual stream.
    pub fn dim(&self) -> usize {
        match self {
            Self::LlamaGen(c) => c.dim,
            Self::Taming(c) => c.n_embd,
        }
    }

    /// Width of the layer inside the feed-forward part.
    pub fn hidden_dim(&self) -> usize {
        match self {
            Self::LlamaGen(c) => c.hidden_dim(),
            Self::Taming(c) => c.hidden_dim(),
        }
    }

    /// Number of blocks.
    pub fn n_layer(&self) -> usize {
        match self {
            Self::LlamaGen(c) => c.n_layer,
            Self::Taming(c) => c.n_layer,
        }
    }

    /// Query heads per block.
    pub fn n_head(&self) -> usize {
        match self {
            Self::LlamaGen(c) => c.n_head,
            Self::Taming(c) => c.n_head,
        }
    }

    /// Key and value heads per block.
    pub fn n_kv_head(&self) -> usize {
        match self {
            Self::LlamaGen(c) => c.n_kv_head.unwrap_or(c.n_head),
            Self::Taming(c) => c.n_head,
        }
    }

    /// A fresh network.
    pub fn init(&self, device: &Device) -> Policy {
        match self {
            Self::LlamaGen(c) => Policy::LlamaGen(c.init(device)),
            Self::Taming(c) => Policy::Taming(c.init(device)),
        }
    }

    /// As [`Self::init`], but with a random output head in every case: for tests that need preferences.
    pub fn init_random_head(&self, device: &Device) -> Policy {
        match self {
            Self::LlamaGen(c) => Policy::LlamaGen(c.init_random_head(device)),
            Self::Taming(c) => Policy::Taming(c.init_random_head(device)),
        }
    }

    /// Tokens `[n, block_size]` in the order in which they are written → in reading order, as a tokenizer decodes them.
    pub fn in_rows(&self, tokens: Tensor<2, Int>) -> Tensor<2, Int> {
        reordered(tokens, self.permuter(), Permuter::turns)
    }

    /// The reverse of [`Self::in_rows`].
    pub fn in_turn(&self, tokens: Tensor<2, Int>) -> Tensor<2, Int> {
        reordered(tokens, self.permuter(), Permuter::places)
    }

    fn permuter(&self) -> Permuter {
        match self {
            Self::LlamaGen(_) => Permuter::Identity,
            Self::Taming(c) => c.permuter,
        }
    }
}

fn reordered(tokens: Tensor<2, Int>, permuter: Permuter, table: fn(Permuter, usize) -> Vec<usize>) -> Tensor<2, Int> {
    if permuter == Permuter::Identity {
        return tokens;
    }
    let table: Vec<i32> = table(permuter, tokens.dims()[1].isqrt()).into_iter().map(|i| i as i32).collect();
    let table = Tensor::from_data(TensorData::new(table.clone(), [table.len()]), &tokens.device());
    tokens.select(1, table)
}

/// A network that writes pictures' tokens, given a class.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are a handful of policies, and all are passed by reference")]
pub enum Policy {
    /// LlamaGen's transformer.
    LlamaGen(Transformer),
    /// taming-transformers' class-conditional GPT.
    Taming(MinGpt),
}

impl Policy {
    /// The shape it was made with.
    pub fn config(&self) -> PolicyConfig {
        match self {
            Self::LlamaGen(net) => PolicyConfig::LlamaGen(net.config().clone()),
            Self::Taming(net) => PolicyConfig::Taming(net.config().clone()),
        }
    }

    /// Logits of every position at once: `class` `[batch]` and `tokens` `[batch, seq - 1]` → `[batch, seq, vocab]`;
    /// position `t` predicts token `t`.
    pub fn forward(&self, class: Tensor<1, Int>, tokens: Tensor<2, Int>) -> Tensor<3> {
        match self {
            Self::LlamaGen(net) => net.forward(class, tokens),
            Self::Taming(net) => net.forward(class, tokens),
        }
    }

    /// Condition and tokens as vectors, `[batch]`, `[batch, seq - 1]` → `[batch, positions, dim]`: what enters the first
    /// block.
    pub fn embed(&self, class: Tensor<1, Int>, tokens: Tensor<2, Int>) -> Tensor<3> {
        match self {
            Self::LlamaGen(net) => net.embed(class, tokens),
            Self::Taming(net) => net.embed(class, tokens),
        }
    }

    /// The mask of the first `positions` for these ids `[batch]`, `[batch or 1, 1, positions, positions]`: 0 where a row
    /// may see a column.
    pub fn mask(&self, class: Tensor<1, Int>, positions: usize) -> Tensor<4> {
        match self {
            Self::LlamaGen(net) => net.mask(class, positions),
            Self::Taming(net) => net.mask(positions),
        }
    }

    /// One block over all positions, `[batch, positions, dim]` → the same; `mask` is that of [`Self::mask`].
    ///
    /// # Panics
    /// If there is no such block.
    pub fn block(&self, block: usize, x: Tensor<3>, mask: Tensor<4>) -> Tensor<3> {
        match self {
            Self::LlamaGen(net) => net.block(block, x, mask),
            Self::Taming(net) => net.transformer.blocks[block].forward(x, mask),
        }
    }

    /// The positions of `[batch, positions, dim]` that predict a token.
    pub fn predicting(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::LlamaGen(net) => net.predicting(x),
            Self::Taming(_) => x,
        }
    }

    /// The head: the last block's output `[batch, seq, dim]` → logits `[batch, seq, vocab]`.
    pub fn logits(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::LlamaGen(net) => net.logits(x),
            Self::Taming(net) => net.logits(x),
        }
    }

    /// The id that stands for `class` without its condition, which guidance pushes away from; `None` where the network
    /// was never trained without one.
    pub fn null_of(&self, class: usize) -> Option<usize> {
        match self {
            Self::LlamaGen(net) => net.null_of(class),
            Self::Taming(_) => None,
        }
    }

    /// Lets ids name the captions of `other`, a network of the same shape; nothing changes where ids name classes.
    pub fn with_captions_of(self, other: &Self) -> Self {
        match (self, other) {
            (Self::LlamaGen(net), Self::LlamaGen(other)) => Self::LlamaGen(net.with_captions_of(other)),
            (same, _) => same,
        }
    }

    /// Room for the keys and values of `batch` sequences; [`Self::prefill`] starts it anew.
    pub fn cache(&self, batch: usize, device: &Device) -> KvCache {
        match self {
            Self::LlamaGen(net) => net.cache(batch, device),
            Self::Taming(net) => net.cache(batch, device),
        }
    }

    /// Starts sequences of the given classes `[batch]`: logits `[batch, vocab]` of token 0.
    pub fn prefill(&self, class: Tensor<1, Int>, cache: &mut KvCache) -> Tensor<2> {
        match self {
            Self::LlamaGen(net) => net.prefill(class, cache),
            Self::Taming(net) => net.prefill(class, cache),
        }
    }

    /// Goes on by one token: given token `pos` of every sequence `[batch, 1]`, logits `[batch, vocab]` of `pos + 1`.
    pub fn step(&self, tokens: Tensor<2, Int>, pos: usize, cache: &mut KvCache) -> Tensor<2> {
        match self {
            Self::LlamaGen(net) => net.step(tokens, pos, cache),
            Self::Taming(net) => net.step(tokens, pos, cache),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_written_as_that_of_its_network_and_read_back_as_the_same() {
        for config in [PolicyConfig::LlamaGen(GptConfig::tiny()), PolicyConfig::Taming(MinGptConfig::tiny())] {
            let text = serde_json::to_string(&config).unwrap();
            assert!(!text.contains("Taming") && !text.contains("LlamaGen"), "{text}");
            assert_eq!(serde_json::from_str::<PolicyConfig>(&text).unwrap(), config);
        }
        let older = serde_json::to_string(&GptConfig::small()).unwrap();
        assert_eq!(serde_json::from_str::<PolicyConfig>(&older).unwrap(), PolicyConfig::LlamaGen(GptConfig::small()));
    }

    #[test]
    fn tokens_written_in_any_order_come_back_to_their_place() {
        let tokens = Tensor::<2, Int>::from_data([[10, 11, 12, 13], [20, 21, 22, 23]], &Device::flex());
        let of = |permuter| PolicyConfig::Taming(MinGptConfig { permuter, ..MinGptConfig::tiny() });
        let written = of(Permuter::AlternateParsing).in_turn(tokens.clone());
        assert_eq!(written.into_data().iter::<i32>().take(4).collect::<Vec<_>>(), [10, 11, 13, 12]);
        for permuter in Permuter::ALL {
            let config = of(permuter);
            assert_eq!(config.in_rows(config.in_turn(tokens.clone())).into_data(), tokens.clone().into_data());
        }
    }

    #[test]
    fn weights_have_the_names_of_the_network_inside() {
        let policy = PolicyConfig::LlamaGen(GptConfig::tiny()).init(&Device::flex());
        let bytes = crate::model::weights::save_bytes(&policy, false, &[]).unwrap();
        let mut inside = GptConfig::tiny().init(&Device::flex());
        crate::model::weights::load(&mut inside, &bytes).unwrap();
    }
}
