//! The class-conditional GPT of taming-transformers: a GPT-2 in small that writes the tokens of a VQGAN.
//!
//! The sequence is `[class, z_0, z_1, …]`, as LlamaGen's, but the class is a token like any other: class `c` is row `c`
//! of the codes' own table. Positions are learned, and there is no null class, so no guidance.
//!
//! Field names are the key names of a published `Net2NetTransformer`. Source: taming-transformers
//! `taming/modules/transformer/mingpt.py`, `taming/models/cond_transformer.py`.

use burn::module::{Initializer, Param};
use burn::nn::{Embedding, EmbeddingConfig, Gelu, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::attention::{KvCache, LayerCache, attend, causal};

/// Shape of a [`MinGpt`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MinGptConfig {
    /// Rows of the token table, and logits: the size of the codebook.
    pub vocab_size: usize,
    /// Positions there are: the class and all tokens of a picture but the last. So also tokens per picture, a square.
    pub block_size: usize,
    /// Number of blocks.
    pub n_layer: usize,
    /// Heads per block, a divisor of `n_embd`.
    pub n_head: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Number of classes, at most `vocab_size`.
    pub num_classes: usize,
}

impl MinGptConfig {
    /// The published class-conditional model of ImageNet, 1.4 B parameters: 16x16 tokens out of 16,384.
    pub fn cin() -> Self {
        Self { vocab_size: 16_384, block_size: 256, n_layer: 48, n_head: 24, n_embd: 1536, num_classes: 1000 }
    }

    /// For tests: 4x4 tokens out of 64.
    pub fn tiny() -> Self {
        Self { vocab_size: 64, block_size: 16, n_layer: 2, n_head: 2, n_embd: 32, num_classes: 16 }
    }

    /// Width of the layer inside the feed-forward part.
    pub fn hidden_dim(&self) -> usize {
        4 * self.n_embd
    }

    /// A fresh network: weights from N(0, 0.02²), biases and positions 0, as the peer's `_init_weights`.
    pub fn init(&self, device: &Device) -> MinGpt {
        let normal = || Initializer::Normal { mean: 0.0, std: 0.02 };
        let dim = self.n_embd;
        // burn's linear layers draw their bias from the same distribution as the weight: it has to start at 0.
        let linear = |from: usize, to: usize| {
            let mut layer = LinearConfig::new(from, to).with_initializer(normal()).init(device);
            layer.bias = Some(Initializer::Zeros.init([to], device));
            layer
        };
        let norm = || LayerNormConfig::new(dim).init(device); // eps 1e-5
        let block = |_| Block {
            ln1: norm(),
            attn: CausalSelfAttention {
                query: linear(dim, dim),
                key: linear(dim, dim),
                value: linear(dim, dim),
                proj: linear(dim, dim),
                n_head: self.n_head,
            },
            ln2: norm(),
            mlp: (linear(dim, self.hidden_dim()), Gelu::new(), linear(self.hidden_dim(), dim)),
        };
        let head = LinearConfig::new(dim, self.vocab_size).with_bias(false).with_initializer(normal()).init(device);
        MinGpt {
            transformer: Gpt {
                tok_emb: EmbeddingConfig::new(self.vocab_size, dim).with_initializer(normal()).init(device),
                pos_emb: Initializer::Zeros.init([1, self.block_size, dim], device),
                blocks: (0..self.n_layer).map(block).collect(),
                ln_f: norm(),
                head,
            },
            causal: causal(self.block_size, device),
            config: self.clone(),
        }
    }
}

/// The network, as a published checkpoint nests it. See the module's documentation.
#[derive(Module, Debug)]
pub struct MinGpt {
    /// All that is learned.
    pub transformer: Gpt,
    causal: Tensor<4>, // [1, 1, positions, positions]
    #[module(skip)]
    config: MinGptConfig,
}

/// The parameters of a [`MinGpt`].
#[derive(Module, Debug)]
pub struct Gpt {
    /// Token or class → vector.
    pub tok_emb: Embedding,
    /// One vector per position, `[1, positions, n_embd]`.
    pub pos_emb: Param<Tensor<3>>,
    /// The blocks, first to last.
    pub blocks: Vec<Block>,
    /// Norm before the head.
    pub ln_f: LayerNorm,
    /// Vector → logits; not tied to `tok_emb`.
    pub head: Linear,
}

impl MinGpt {
    /// The shape it was made with.
    pub fn config(&self) -> &MinGptConfig {
        &self.config
    }

    /// Logits of every position at once, for training and scoring: `class` `[batch]` and `tokens` `[batch, seq - 1]`
    /// (the picture's tokens but the last) → `[batch, seq, vocab]`; position `t` predicts token `t`.
    pub fn forward(&self, class: Tensor<1, Int>, tokens: Tensor<2, Int>) -> Tensor<3> {
        let x = self.embed(class, tokens); // [batch, seq, dim]
        let seq = x.dims()[1];
        let mask = self.causal.clone().slice(s![.., .., 0..seq, 0..seq]);
        let x = self.transformer.blocks.iter().fold(x, |x, block| block.forward(x, mask.clone()));
        self.transformer.head.forward(self.transformer.ln_f.forward(x))
    }

    /// Class and tokens as vectors with their positions: `[batch]`, `[batch, seq - 1]` → `[batch, seq, dim]`.
    pub fn embed(&self, class: Tensor<1, Int>, tokens: Tensor<2, Int>) -> Tensor<3> {
        self.place(Tensor::cat(vec![class.unsqueeze_dim(1), tokens], 1), 0)
    }

    /// Room for the keys and values of `batch` sequences. Allocate once per rollout; [`Self::prefill`] starts it anew.
    pub fn cache(&self, batch: usize, device: &Device) -> KvCache {
        let c = &self.config;
        KvCache::new(c.n_layer, [batch, c.n_head, c.block_size, c.n_embd / c.n_head], device)
    }

    /// Starts sequences of the given classes `[batch]`: logits `[batch, vocab]` of token 0.
    pub fn prefill(&self, class: Tensor<1, Int>, cache: &mut KvCache) -> Tensor<2> {
        self.decode(class.unsqueeze_dim(1), 0, cache)
    }

    /// Goes on by one token: given token `pos` of every sequence `[batch, 1]`, logits `[batch, vocab]` of `pos + 1`.
    pub fn step(&self, tokens: Tensor<2, Int>, pos: usize, cache: &mut KvCache) -> Tensor<2> {
        self.decode(tokens, pos + 1, cache)
    }

    /// One position of every sequence, `[batch, 1]` → `[batch, vocab]`. The class stands at position 0.
    fn decode(&self, ids: Tensor<2, Int>, position: usize, cache: &mut KvCache) -> Tensor<2> {
        let blocks = self.transformer.blocks.iter().zip(&mut cache.layers);
        let x = blocks.fold(self.place(ids, position), |x, (block, cache)| block.decode(x, position, cache));
        self.transformer.head.forward(self.transformer.ln_f.forward(x)).squeeze_dim(1)
    }

    /// Ids `[batch, seq]` that stand at positions `start..` as vectors `[batch, seq, dim]`.
    fn place(&self, ids: Tensor<2, Int>, start: usize) -> Tensor<3> {
        let seq = ids.dims()[1];
        self.transformer.tok_emb.forward(ids) + self.transformer.pos_emb.val().narrow(1, start, seq)
    }
}

/// Attention, then a feed-forward layer; each reads a normed copy of the residual stream and adds to it.
#[derive(Module, Debug)]
pub struct Block {
    /// Norm before attention.
    pub ln1: LayerNorm,
    /// Looks at earlier positions.
    pub attn: CausalSelfAttention,
    /// Norm before the feed-forward layer.
    pub ln2: LayerNorm,
    /// Thinks about this position. (A tuple, because the keys are `mlp.0` and `mlp.2`.)
    pub mlp: (Linear, Gelu, Linear),
}

impl Block {
    /// All positions at once: `[batch, seq, dim]` → the same; `mask` `[1, 1, seq, seq]` is added to the logits.
    pub fn forward(&self, x: Tensor<3>, mask: Tensor<4>) -> Tensor<3> {
        let [q, k, v] = self.attn.project(self.ln1.forward(x.clone()));
        self.think(x + self.attn.proj.forward(attend(q, k, v, Some(mask))))
    }

    /// One position `[batch, 1, dim]`, against the keys and values of all before it.
    fn decode(&self, x: Tensor<3>, position: usize, cache: &mut LayerCache) -> Tensor<3> {
        let [q, k, v] = self.attn.project(self.ln1.forward(x.clone()));
        let [keys, values] = cache.push(k, v, position);
        self.think(x + self.attn.proj.forward(attend(q, keys, values, None))) // nothing later is in the cache
    }

    fn think(&self, x: Tensor<3>) -> Tensor<3> {
        let (enter, gelu, leave) = &self.mlp;
        x.clone() + leave.forward(gelu.forward(enter.forward(self.ln2.forward(x))))
    }
}

/// Causal self-attention, queries, keys and values each with a layer of its own.
#[derive(Module, Debug)]
pub struct CausalSelfAttention {
    /// What a position looks for.
    pub query: Linear,
    /// What a position is found by.
    pub key: Linear,
    /// What a position tells.
    pub value: Linear,
    /// Heads back to the residual stream.
    pub proj: Linear,
    n_head: usize,
}

impl CausalSelfAttention {
    /// Queries (divided by √head_dim), keys and values, each `[batch, heads, seq, head_dim]`.
    fn project(&self, x: Tensor<3>) -> [Tensor<4>; 3] {
        let [batch, seq, dim] = x.dims();
        let head_dim = dim / self.n_head;
        let q = self.query.forward(x.clone()) * (head_dim as f64).powf(-0.5);
        [q, self.key.forward(x.clone()), self.value.forward(x)]
            .map(|t| t.reshape([batch, seq, self.n_head, head_dim]).swap_dims(1, 2))
    }
}
