//! LlamaGen's transformer: the network that writes a picture's tokens.
//!
//! The sequence is `[class, z_0, z_1, …]`, the tokens in reading order. Position `t` sees the class and the tokens
//! before `t`, and its logits say which token comes at `t`. A Llama in small: RMS norm before each block, rotary
//! positions (on a grid, see [`super::rope`]), SwiGLU, no biases.
//!
//! A text-conditional network has the tokens of a caption where the class stands (see [`Condition`]), padded to one
//! length. A padded position is seen by itself alone.
//!
//! Field names are the published checkpoints' key names. Source: LlamaGen gpt.py.

mod condition;
mod config;

use burn::nn::{Embedding, Linear, RmsNorm};
use burn::prelude::*;
use burn::tensor::activation::silu;

pub use condition::{CaptionEmbedder, CaptionError, CaptionMlp, Condition, LabelEmbedder};
pub use config::{GptConfig, ModelType};

use super::attention::{KvCache, LayerCache, attend};
use super::layers::{embedding, linear};
use super::rope::Rope;

/// The network. See the module's documentation.
#[derive(Module, Debug)]
pub struct Transformer {
    /// Class or caption → vectors.
    pub cls_embedding: Condition,
    /// Token → vector.
    pub tok_embeddings: Embedding,
    /// The blocks, first to last.
    pub layers: Vec<TransformerBlock>,
    /// Norm before the head.
    pub norm: RmsNorm,
    /// Vector → logits; not tied to `tok_embeddings`.
    pub output: Linear,
    rope: Rope,
    causal: Tensor<4>,  // [1, 1, positions, positions]: 0 on and below the diagonal, -1e9 above
    earlier: Tensor<4>, // [1, 1, positions, positions]: 1 below the diagonal, 0 elsewhere
    #[module(skip)]
    config: GptConfig,
}

impl Transformer {
    /// The shape it was made with.
    pub fn config(&self) -> &GptConfig {
        &self.config
    }

    /// Logits of every token at once, for training and scoring: `class` `[batch]` and `tokens` `[batch, seq - 1]`
    /// (the picture's tokens but the last) → `[batch, seq, vocab]`; position `t` predicts token `t`.
    pub fn forward(&self, class: Tensor<1, Int>, tokens: Tensor<2, Int>) -> Tensor<3> {
        let mask = self.mask(class.clone(), self.config.cls_token_num + tokens.dims()[1]);
        let x = self.embed(class, tokens); // [batch, positions, dim]
        let x = (0..self.layers.len()).fold(x, |x, block| self.block(block, x, mask.clone()));
        self.logits(self.predicting(x))
    }

    /// One block over all positions, `[batch, positions, dim]` → the same; `mask` is that of [`Self::mask`].
    ///
    /// # Panics
    /// If there is no such block.
    pub fn block(&self, block: usize, x: Tensor<3>, mask: Tensor<4>) -> Tensor<3> {
        self.layers[block].forward(x, &self.rope, mask)
    }

    /// Condition and tokens as vectors: `[batch]`, `[batch, seq - 1]` → `[batch, cls_token_num + seq - 1, dim]`.
    pub fn embed(&self, class: Tensor<1, Int>, tokens: Tensor<2, Int>) -> Tensor<3> {
        Tensor::cat(vec![self.cls_embedding.forward(class), embedding(&self.tok_embeddings, tokens)], 1)
    }

    /// The positions that predict a token: all but the first `cls_token_num - 1` of `[batch, positions, dim]`.
    pub fn predicting(&self, x: Tensor<3>) -> Tensor<3> {
        match (self.config.cls_token_num - 1, x.dims()[1]) {
            (0, _) => x,
            (given, positions) => x.narrow(1, given, positions - given),
        }
    }

    /// The head: the last block's output `[batch, seq, dim]` → logits `[batch, seq, vocab]`.
    pub fn logits(&self, x: Tensor<3>) -> Tensor<3> {
        linear(&self.output, self.norm.forward(x))
    }

    /// The mask of the first `positions` for these ids `[batch]`, `[batch or 1, 1, positions, positions]`: 0 where a row
    /// may see a column.
    pub fn mask(&self, class: Tensor<1, Int>, positions: usize) -> Tensor<4> {
        let causal = self.causal.clone().slice(s![.., .., 0..positions, 0..positions]);
        match self.padding(class, positions) {
            None => causal,
            // Where neither hides a column: every position sees itself, padded or not.
            Some(padding) => causal + padding * self.earlier.clone().slice(s![.., .., 0..positions, 0..positions]),
        }
    }

    /// What is added to the attention logits of the first `positions`, `[batch, 1, 1, positions]`; `None`: nothing.
    fn padding(&self, class: Tensor<1, Int>, positions: usize) -> Option<Tensor<4>> {
        let padding = self.cls_embedding.padding(class)?; // [batch, cls_token_num]
        let [batch, given] = padding.dims();
        let padding = match positions.checked_sub(given) {
            Some(0) | None => padding.narrow(1, 0, positions),
            Some(tokens) => {
                let seen = Tensor::zeros([batch, tokens], &padding.device());
                Tensor::cat(vec![padding, seen], 1)
            }
        };
        Some(padding.unsqueeze_dims(&[1, 2]))
    }

    /// The table of rotations.
    pub fn rope(&self) -> &Rope {
        &self.rope
    }

    /// Room for the keys and values of `batch` sequences. Allocate once per rollout; [`Self::prefill`] starts it anew.
    pub fn cache(&self, batch: usize, device: &Device) -> KvCache {
        let c = &self.config;
        let positions = c.cls_token_num - 1 + c.block_size; // the last token is never read
        KvCache::new(c.n_layer, [batch, c.n_kv_head.unwrap_or(c.n_head), positions, c.dim / c.n_head], device)
    }

    /// Starts sequences of the given classes `[batch]`: logits `[batch, vocab]` of token 0.
    pub fn prefill(&self, class: Tensor<1, Int>, cache: &mut KvCache) -> Tensor<2> {
        let c = &self.config;
        let x = self.cls_embedding.forward(class.clone());
        cache.padding = self.padding(class.clone(), c.cls_token_num - 1 + c.block_size);
        // A class alone has nothing to hide.
        let mask = (c.cls_token_num > 1).then(|| self.mask(class, c.cls_token_num));
        self.decode(x, 0, mask, cache)
    }

    /// Goes on by one token: given token `pos` of every sequence `[batch, 1]`, logits `[batch, vocab]` of `pos + 1`.
    pub fn step(&self, tokens: Tensor<2, Int>, pos: usize, cache: &mut KvCache) -> Tensor<2> {
        let position = self.config.cls_token_num + pos;
        let mask = cache.padding.clone().map(|padding| padding.narrow(3, 0, position + 1));
        self.decode(embedding(&self.tok_embeddings, tokens), position, mask, cache)
    }

    /// The next positions of every sequence, from `position` on: `[batch, seq, dim]` → logits of the last, `[batch, vocab]`.
    fn decode(&self, x: Tensor<3>, position: usize, mask: Option<Tensor<4>>, cache: &mut KvCache) -> Tensor<2> {
        let layers = self.layers.iter().zip(&mut cache.layers);
        let x = layers.fold(x, |x, (layer, cache)| layer.decode(x, &self.rope, position, mask.clone(), cache));
        let last = match x.dims()[1] {
            1 => x,
            seq => x.narrow(1, seq - 1, 1),
        };
        self.logits(last).squeeze_dim(1)
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

    fn decode(
        &self,
        x: Tensor<3>,
        rope: &Rope,
        position: usize,
        mask: Option<Tensor<4>>,
        cache: &mut LayerCache,
    ) -> Tensor<3> {
        let y = self.attention.decode(self.attention_norm.forward(x.clone()), rope, position, mask, cache);
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
    /// All positions at once: `[batch, seq, dim]` → the same; `mask` `[batch or 1, 1, seq, seq]` is added to the logits.
    pub fn forward(&self, x: Tensor<3>, rope: &Rope, mask: Tensor<4>) -> Tensor<3> {
        let [q, k, v] = self.project(x, rope, 0);
        linear(&self.wo, attend(q, k, v, Some(mask)))
    }

    /// The next positions `[batch, seq, dim]`, against the keys and values of all up to them. Nothing later is in the
    /// cache: one position alone needs no mask, unless something before it is padded.
    fn decode(
        &self,
        x: Tensor<3>,
        rope: &Rope,
        position: usize,
        mask: Option<Tensor<4>>,
        cache: &mut LayerCache,
    ) -> Tensor<3> {
        let [q, k, v] = self.project(x, rope, position);
        let [keys, values] = cache.push(k, v, position); // [batch, n_kv_head, position + seq, head_dim]
        linear(&self.wo, attend(q, keys, values, mask))
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
            let Condition::Class(labels) = config.init(&device).cls_embedding else { panic!("classes") };
            labels.embedding_table.weight.dims()[0]
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
