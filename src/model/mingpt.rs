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
use super::gelu::gelu;
use super::layers::{embedding, linear, single};
use super::permuter::Permuter;

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
    /// Order in which tokens are written.
    #[serde(default)]
    pub permuter: Permuter,
}

impl MinGptConfig {
    /// The published class-conditional model of ImageNet, 1.4 B parameters: 16x16 tokens out of 16,384.
    pub fn cin() -> Self {
        Self {
            vocab_size: 16_384,
            block_size: 256,
            n_layer: 48,
            n_head: 24,
            n_embd: 1536,
            num_classes: 1000,
            ..Self::tiny()
        }
    }

    /// For tests: 4x4 tokens out of 64.
    pub fn tiny() -> Self {
        let permuter = Permuter::Identity;
        Self { vocab_size: 64, block_size: 16, n_layer: 2, n_head: 2, n_embd: 32, num_classes: 16, permuter }
    }

    /// The shape of the network whose tensors have the shapes that `shape` tells by the keys of a published
    /// `Net2NetTransformer`. Heads, classes and order leave no trace in a file and are taken from `self`. `None` where
    /// the file has no such network.
    pub fn of_file(&self, shape: impl Fn(&str) -> Option<Vec<usize>>) -> Option<Self> {
        let [_, block_size, n_embd] = shape("transformer.pos_emb")?.try_into().ok()?;
        let [vocab_size, _] = shape("transformer.tok_emb.weight")?.try_into().ok()?;
        let has = |layer: &usize| shape(&format!("transformer.blocks.{layer}.ln1.weight")).is_some();
        Some(Self { vocab_size, block_size, n_embd, n_layer: (0..).take_while(has).count(), ..self.clone() })
    }

    /// Width of the layer inside the feed-forward part.
    pub fn hidden_dim(&self) -> usize {
        4 * self.n_embd
    }

    /// A fresh network: weights from N(0, 0.02²), biases and positions 0, as the peer's `_init_weights`.
    pub fn init(&self, device: &Device) -> MinGpt {
        self.init_with(0.02, device)
    }

    /// Like [`Self::init`] but with a wider output head: logits of spread 1, for tests that need preferences.
    pub fn init_random_head(&self, device: &Device) -> MinGpt {
        self.init_with((self.n_embd as f64).powf(-0.5), device)
    }

    fn init_with(&self, head: f64, device: &Device) -> MinGpt {
        let normal = || Initializer::Normal { mean: 0.0, std: 0.02 };
        let head = Initializer::Normal { mean: 0.0, std: head };
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
        let head = LinearConfig::new(dim, self.vocab_size).with_bias(false).with_initializer(head).init(device);
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
        let mask = self.mask(x.dims()[1]);
        let x = self.transformer.blocks.iter().fold(x, |x, block| block.forward(x, mask.clone()));
        self.logits(x)
    }

    /// The causal mask of `seq` positions, `[1, 1, seq, seq]`: 0 where a row may see a column.
    pub fn mask(&self, seq: usize) -> Tensor<4> {
        self.causal.clone().slice(s![.., .., 0..seq, 0..seq])
    }

    /// The head: the last block's output `[batch, seq, dim]` → logits `[batch, seq, vocab]`.
    pub fn logits(&self, x: Tensor<3>) -> Tensor<3> {
        linear(&self.transformer.head, self.transformer.ln_f.forward(x))
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
        linear(&self.transformer.head, self.transformer.ln_f.forward(x)).squeeze_dim(1)
    }

    /// Ids `[batch, seq]` that stand at positions `start..` as vectors `[batch, seq, dim]`.
    fn place(&self, ids: Tensor<2, Int>, start: usize) -> Tensor<3> {
        let seq = ids.dims()[1];
        embedding(&self.transformer.tok_emb, ids) + single(&self.transformer.pos_emb).narrow(1, start, seq)
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
    /// Thinks about this position. (A tuple, because the keys are `mlp.0` and `mlp.2`; what is in between has no
    /// parameters.)
    pub mlp: (Linear, Gelu, Linear),
}

impl Block {
    /// All positions at once: `[batch, seq, dim]` → the same; `mask` `[1, 1, seq, seq]` is added to the logits.
    pub fn forward(&self, x: Tensor<3>, mask: Tensor<4>) -> Tensor<3> {
        let [q, k, v] = self.attn.project(self.ln1.forward(x.clone()));
        self.think(x + linear(&self.attn.proj, attend(q, k, v, Some(mask))))
    }

    /// One position `[batch, 1, dim]`, against the keys and values of all before it.
    fn decode(&self, x: Tensor<3>, position: usize, cache: &mut LayerCache) -> Tensor<3> {
        let [q, k, v] = self.attn.project(self.ln1.forward(x.clone()));
        let [keys, values] = cache.push(k, v, position);
        self.think(x + linear(&self.attn.proj, attend(q, keys, values, None))) // nothing later is in the cache
    }

    fn think(&self, x: Tensor<3>) -> Tensor<3> {
        let (enter, _, leave) = &self.mlp;
        x.clone() + linear(leave, gelu(linear(enter, self.ln2.forward(x))))
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
        let q = linear(&self.query, x.clone()) * (head_dim as f64).powf(-0.5);
        [q, linear(&self.key, x.clone()), linear(&self.value, x)]
            .map(|t| t.reshape([batch, seq, self.n_head, head_dim]).swap_dims(1, 2))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::weights;

    fn ids<const D: usize>(values: Vec<i32>, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// Classes `[2]` and tokens `[2, 16]`.
    fn inputs(device: &Device) -> (Tensor<1, Int>, Tensor<2, Int>) {
        (ids(vec![3, 15], [2], device), ids((0..32).map(|i| i * 37 % 64).collect(), [2, 16], device))
    }

    fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        (a - b).abs().max().into_scalar()
    }

    #[test]
    fn one_token_at_a_time_gives_the_logits_of_all_at_once() {
        let device = Device::flex();
        let (class, tokens) = inputs(&device);
        let mut model = MinGptConfig::tiny().init_random_head(&device);
        model.transformer.pos_emb = Initializer::Normal { mean: 0.0, std: 1.0 }.init([1, 16, 32], &device);
        let all = model.forward(class.clone(), tokens.clone().narrow(1, 0, 15)); // [2, 16, 64]
        let mut cache = model.cache(2, &device);
        // The second round finds the first one's keys in the cache and must not see them.
        for _ in 0..2 {
            let mut steps = vec![model.prefill(class.clone(), &mut cache)];
            for pos in 0..15 {
                steps.push(model.step(tokens.clone().narrow(1, pos, 1), pos, &mut cache));
            }
            let worst = difference(all.clone(), Tensor::stack(steps, 1));
            assert!(worst < 1e-5, "{worst}");
        }
    }

    #[test]
    fn a_position_sees_no_later_token_but_the_class_and_where_it_stands() {
        let device = Device::flex();
        let (class, tokens) = inputs(&device);
        let model = MinGptConfig::tiny().init_random_head(&device);
        let before = model.forward(class.clone(), tokens.clone().narrow(1, 0, 15)).narrow(1, 0, 8);
        let after = model.forward(class.clone(), tokens.clone().narrow(1, 0, 7));
        assert!(difference(before, after.clone()) < 1e-5);
        let other = model.forward(ids(vec![4, 15], [2], &device), tokens.narrow(1, 0, 7));
        let moved = (after - other).abs().max_dim(2).max_dim(1).into_data().try_to_vec::<f32>().unwrap();
        assert!(moved[0] > 1e-4 && moved[1] == 0.0, "{moved:?}");
    }

    #[test]
    fn keys_are_the_published_ones_and_tell_the_shape() {
        let config = MinGptConfig { n_layer: 3, block_size: 9, ..MinGptConfig::tiny() };
        let bytes = weights::save_bytes(&config.init(&Device::flex()), false, &[]).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let shapes: BTreeMap<String, Vec<usize>> =
            file.tensors().into_iter().map(|(name, tensor)| (name, tensor.shape().to_vec())).collect();
        assert_eq!(shapes["transformer.blocks.2.mlp.0.weight"], [128, 32]);
        assert_eq!(shapes["transformer.blocks.2.mlp.2.bias"], [32]);
        assert_eq!(shapes["transformer.ln_f.weight"], [32]);
        assert_eq!(shapes.len(), 3 * 16 + 5);
        let shape = |key: &str| shapes.get(key).cloned();
        assert_eq!(MinGptConfig::tiny().of_file(shape), Some(config));
        assert_eq!(MinGptConfig::tiny().of_file(|_| None), None);
    }

    #[test]
    fn every_parameter_gets_a_gradient() {
        let device = Device::flex().autodiff();
        let model = MinGptConfig::tiny().init(&device);
        let (class, tokens) = inputs(&device);
        let grads = model.forward(class, tokens.narrow(1, 0, 15)).square().mean().backward();
        let grads = burn::optim::GradientsParams::from_grads(grads, &model);
        assert_eq!(grads.len(), 5 + 2 * 16);
    }
}
