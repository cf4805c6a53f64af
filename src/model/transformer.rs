//! LlamaGen's class-conditional transformer: the network that writes a picture's tokens.
//!
//! The sequence is `[class, z_0, z_1, …]`, the tokens in reading order. Position `t` sees the class and the tokens
//! before `t`, and its logits say which token comes at `t`. A Llama in small: RMS norm before each block, rotary
//! positions (on a grid, see [`super::rope`]), SwiGLU, no biases.
//!
//! Field names are the published checkpoints' key names. Source: LlamaGen gpt.py.

mod config;

use burn::nn::{Embedding, Linear, RmsNorm};
use burn::prelude::*;
use burn::tensor::activation::{silu, softmax};

pub use config::GptConfig;

use super::layers::{embedding, linear};
use super::rope::Rope;

/// The network. See the module's documentation.
#[derive(Module, Debug)]
pub struct Transformer {
    /// Class → vector.
    pub cls_embedding: LabelEmbedder,
    /// Token → vector.
    pub tok_embeddings: Embedding,
    /// The blocks, first to last.
    pub layers: Vec<TransformerBlock>,
    /// Norm before the head.
    pub norm: RmsNorm,
    /// Vector → logits; not tied to `tok_embeddings`.
    pub output: Linear,
    rope: Rope,
    causal: Tensor<4>, // [1, 1, positions, positions]: 0 on and below the diagonal, -1e9 above
    #[module(skip)]
    config: GptConfig,
}

impl Transformer {
    /// The shape it was made with.
    pub fn config(&self) -> &GptConfig {
        &self.config
    }

    /// Logits of every position at once, for training and scoring: `class` `[batch]` and `tokens` `[batch, seq - 1]`
    /// (the picture's tokens but the last) → `[batch, seq, vocab]`; position `t` predicts token `t`.
    pub fn forward(&self, class: Tensor<1, Int>, tokens: Tensor<2, Int>) -> Tensor<3> {
        let x = self.embed(class, tokens); // [batch, seq, dim]
        let mask = self.mask(x.dims()[1]);
        let x = self.layers.iter().fold(x, |x, layer| layer.forward(x, &self.rope, mask.clone()));
        linear(&self.output, self.norm.forward(x))
    }

    /// Class and tokens as vectors: `[batch]`, `[batch, seq - 1]` → `[batch, seq, dim]`.
    pub fn embed(&self, class: Tensor<1, Int>, tokens: Tensor<2, Int>) -> Tensor<3> {
        let class = self.cls_embedding.forward(class); // [batch, 1, dim]
        Tensor::cat(vec![class, embedding(&self.tok_embeddings, tokens)], 1)
    }

    /// The causal mask of `seq` positions, `[1, 1, seq, seq]`: 0 where a row may see a column.
    pub fn mask(&self, seq: usize) -> Tensor<4> {
        self.causal.clone().slice(s![.., .., 0..seq, 0..seq])
    }

    /// The table of rotations.
    pub fn rope(&self) -> &Rope {
        &self.rope
    }

    /// Room for the keys and values of `batch` sequences. Allocate once per rollout; [`Self::prefill`] starts it anew.
    pub fn cache(&self, batch: usize, device: &Device) -> KvCache {
        let c = &self.config;
        let shape = [batch, c.n_kv_head.unwrap_or(c.n_head), c.block_size, c.dim / c.n_head];
        let zeros = || Tensor::zeros(shape, device);
        KvCache { layers: (0..c.n_layer).map(|_| LayerCache { keys: zeros(), values: zeros() }).collect() }
    }

    /// Starts sequences of the given classes `[batch]`: logits `[batch, vocab]` of token 0.
    pub fn prefill(&self, class: Tensor<1, Int>, cache: &mut KvCache) -> Tensor<2> {
        self.decode(self.cls_embedding.forward(class), 0, cache)
    }

    /// Goes on by one token: given token `pos` of every sequence `[batch, 1]`, logits `[batch, vocab]` of `pos + 1`.
    pub fn step(&self, tokens: Tensor<2, Int>, pos: usize, cache: &mut KvCache) -> Tensor<2> {
        self.decode(embedding(&self.tok_embeddings, tokens), pos + 1, cache)
    }

    /// One position of every sequence, `[batch, 1, dim]` → `[batch, vocab]`. The class stands at position 0.
    fn decode(&self, x: Tensor<3>, position: usize, cache: &mut KvCache) -> Tensor<2> {
        let layers = self.layers.iter().zip(&mut cache.layers);
        let x = layers.fold(x, |x, (layer, cache)| layer.decode(x, &self.rope, position, cache));
        linear(&self.output, self.norm.forward(x)).squeeze_dim(1)
    }
}

/// The class table.
#[derive(Module, Debug)]
pub struct LabelEmbedder {
    /// One row per class, and the null class's last.
    pub embedding_table: Embedding,
}

impl LabelEmbedder {
    /// `[batch]` → `[batch, 1, dim]`.
    pub fn forward(&self, class: Tensor<1, Int>) -> Tensor<3> {
        embedding(&self.embedding_table, class.unsqueeze_dim::<2>(1))
    }
}

/// Attention, then a feed-forward layer; each reads a normed copy of the residual stream and adds to it.
#[derive(Module, Debug)]
pub struct TransformerBlock {
    /// Norm before attention.
    pub attention_norm: RmsNorm,
    /// Looks at earlier positions.
    pub attention: Attention,
    /// Norm before the feed-forward layer.
    pub ffn_norm: RmsNorm,
    /// Thinks about this position.
    pub feed_forward: FeedForward,
}

impl TransformerBlock {
    /// All positions at once: `[batch, seq, dim]` → the same.
    pub fn forward(&self, x: Tensor<3>, rope: &Rope, mask: Tensor<4>) -> Tensor<3> {
        let y = self.attention.forward(self.attention_norm.forward(x.clone()), rope, mask);
        self.think(x + y)
    }

    fn decode(&self, x: Tensor<3>, rope: &Rope, position: usize, cache: &mut LayerCache) -> Tensor<3> {
        let y = self.attention.decode(self.attention_norm.forward(x.clone()), rope, position, cache);
        self.think(x + y)
    }

    fn think(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + self.feed_forward.forward(self.ffn_norm.forward(x))
    }
}

/// Causal self-attention, several query heads sharing one key and value head where `n_kv_head < n_head`.
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries, keys and values in one product.
    pub wqkv: Linear,
    /// Heads back to the residual stream.
    pub wo: Linear,
    n_head: usize,
    n_kv_head: usize,
}

impl Attention {
    /// All positions at once: `[batch, seq, dim]` → the same; `mask` `[1, 1, seq, seq]` is added to the logits.
    pub fn forward(&self, x: Tensor<3>, rope: &Rope, mask: Tensor<4>) -> Tensor<3> {
        let [q, k, v] = self.project(x, rope, 0);
        linear(&self.wo, attend(q, k, v, Some(mask)))
    }

    /// One position `[batch, 1, dim]`, against the keys and values of all before it.
    fn decode(&self, x: Tensor<3>, rope: &Rope, position: usize, cache: &mut LayerCache) -> Tensor<3> {
        let [q, k, v] = self.project(x, rope, position);
        let [keys, values] = cache.push(k, v, position); // [batch, n_kv_head, position + 1, head_dim]
        linear(&self.wo, attend(q, keys, values, None)) // nothing later is in the cache: no mask
    }

    /// Queries, keys and values `[batch, heads, seq, head_dim]` of positions `start..`; queries and keys are turned.
    fn project(&self, x: Tensor<3>, rope: &Rope, start: usize) -> [Tensor<4>; 3] {
        let [batch, seq, dim] = x.dims();
        let (heads, kv_heads) = (self.n_head, self.n_kv_head);
        let qkv = linear(&self.wqkv, x).reshape([batch, seq, heads + 2 * kv_heads, dim / heads]);
        let qk = rope.apply(qkv.clone().narrow(2, 0, heads + kv_heads), start); // [batch, seq, heads + kv_heads, head_dim]
        let q = qk.clone().narrow(2, 0, heads);
        let k = qk.narrow(2, heads, kv_heads);
        let v = qkv.narrow(2, heads + kv_heads, kv_heads);
        [q, k, v].map(|t| t.swap_dims(1, 2)) // [batch, heads, seq, head_dim]
    }
}

/// Every query takes a weighted mean of the values: `q` `[batch, heads, seq, head_dim]`, `k` and `v`
/// `[batch, kv_heads, len, head_dim]` → `[batch, seq, heads * head_dim]`.
fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Option<Tensor<4>>) -> Tensor<3> {
    let [batch, heads, seq, head_dim] = q.dims();
    let [_, kv_heads, len, _] = k.dims();
    // Heads that share keys stack their queries, so that no key is ever copied. A reshape copies, so only then.
    let rows = heads / kv_heads * seq;
    let q = if kv_heads == heads { q } else { q.reshape([batch, kv_heads, rows, head_dim]) };
    let logits = q.matmul(k.transpose()).reshape([batch, heads, seq, len]); // scaled already: see the rotations' gain
    let logits = match mask {
        Some(mask) => logits + mask,
        None => logits,
    };
    let weights = softmax(logits, 3).reshape([batch, kv_heads, rows, len]);
    let y = weights.matmul(v).reshape([batch, heads, seq, head_dim]);
    y.swap_dims(1, 2).reshape([batch, seq, heads * head_dim]) // heads side by side
}

/// SwiGLU: `w2(silu(w1 x) * w3 x)`.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// The gate.
    pub w1: Linear,
    /// What is gated.
    pub w3: Linear,
    /// Back to the residual stream.
    pub w2: Linear,
}

impl FeedForward {
    /// `[batch, seq, dim]` → the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        linear(&self.w2, silu(linear(&self.w1, x.clone())) * linear(&self.w3, x))
    }
}

/// Keys and values of all positions so far, allocated once and overwritten by the next rollout.
#[derive(Clone, Debug)]
pub struct KvCache {
    layers: Vec<LayerCache>,
}

/// One block's part: both `[batch, n_kv_head, block_size, head_dim]`.
#[derive(Clone, Debug)]
struct LayerCache {
    keys: Tensor<4>,
    values: Tensor<4>,
}

impl LayerCache {
    /// Writes one position's `[batch, n_kv_head, 1, head_dim]` and returns views of all positions up to it.
    fn push(&mut self, key: Tensor<4>, value: Tensor<4>, position: usize) -> [Tensor<4>; 2] {
        let at = position..position + 1;
        // `inplace` moves the tensor out, so that the write may reuse its memory.
        self.keys.inplace(|t| t.slice_assign(s![.., .., at.clone(), ..], key));
        self.values.inplace(|t| t.slice_assign(s![.., .., at.clone(), ..], value));
        [&self.keys, &self.values].map(|t| t.clone().narrow(2, 0, position + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids<const D: usize>(values: Vec<i32>, shape: [usize; D]) -> Tensor<D, Int> {
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    /// Classes `[2]` and tokens `[2, 16]`.
    fn inputs() -> (Tensor<1, Int>, Tensor<2, Int>) {
        (ids(vec![3, 16], [2]), ids((0..32).map(|i| i * 37 % 64).collect(), [2, 16]))
    }

    fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        (a - b).abs().max().into_scalar()
    }

    #[test]
    fn one_token_at_a_time_gives_the_logits_of_all_at_once() {
        let device = Device::flex();
        let (class, tokens) = inputs();
        for n_kv_head in [None, Some(1)] {
            let config = GptConfig { n_kv_head, ..GptConfig::tiny() };
            let model = config.init_random_head(&device);
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
    }

    #[test]
    fn a_position_sees_no_later_token() {
        let model = GptConfig::tiny().init_random_head(&Device::flex());
        let (class, tokens) = inputs();
        let before = model.forward(class.clone(), tokens.clone()).narrow(1, 0, 8);
        let after = model.forward(class, tokens.narrow(1, 0, 7));
        assert!(difference(before, after) < 1e-5);
    }

    #[test]
    fn a_fresh_network_finds_every_token_equally_likely() {
        let model = GptConfig::tiny().init(&Device::flex());
        let (class, tokens) = inputs();
        assert_eq!(model.forward(class, tokens).abs().max().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn widths_follow_the_published_rule() {
        let base = GptConfig { multiple_of: 256, ..GptConfig::tiny() };
        for (dim, hidden) in [(768, 2048), (1024, 2816), (1280, 3584), (1536, 4096), (3200, 8704)] {
            assert_eq!(GptConfig { dim, ..base.clone() }.hidden_dim(), hidden);
        }
        assert_eq!(GptConfig::small().hidden_dim(), 512);
    }

    #[test]
    fn the_class_table_has_a_null_row_only_where_classes_were_dropped() {
        let device = Device::flex();
        let rows = |p| {
            let config = GptConfig { class_dropout_prob: p, ..GptConfig::tiny() };
            config.init(&device).cls_embedding.embedding_table.weight.dims()[0]
        };
        assert_eq!((rows(0.1), rows(0.0)), (17, 16));
    }

    #[test]
    fn every_parameter_gets_a_gradient() {
        let device = Device::flex().autodiff();
        let model = GptConfig::tiny().init_random_head(&device);
        let (class, tokens) = inputs();
        let on = |t: Tensor<2, Int>| Tensor::from_data(t.into_data(), &device);
        let class = Tensor::from_data(class.into_data(), &device);
        let grads = model.forward(class, on(tokens)).square().mean().backward();
        let grads = burn::optim::GradientsParams::from_grads(grads, &model);
        // class, tokens, final norm, head; two norms, two attention and three feed-forward weights per block
        assert_eq!(grads.len(), 4 + 2 * 7);
        let slope = model.layers[0].attention.wqkv.weight.id;
        let slope = grads.get::<2>(slope).expect("a gradient").abs().max().into_scalar::<f32>();
        assert!(slope > 0.0);
    }
}
