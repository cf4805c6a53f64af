//! The shape of a transformer, and a fresh one of that shape.

use burn::nn::{EmbeddingConfig, Initializer, LinearConfig, RmsNormConfig};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Attention, FeedForward, LabelEmbedder, Transformer, TransformerBlock};
use crate::model::attention::causal;
use crate::model::rope::Rope;

/// Shape of a [`Transformer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GptConfig {
    /// Width of the residual stream.
    pub dim: usize,
    /// Number of blocks.
    pub n_layer: usize,
    /// Query heads per block; `dim / n_head` must be a multiple of 4.
    pub n_head: usize,
    /// Key and value heads per block, a divisor of `n_head`; `None`: as many as `n_head`.
    pub n_kv_head: Option<usize>,
    /// The feed-forward width is rounded up to a multiple of this.
    pub multiple_of: usize,
    /// Size of the codebook.
    pub vocab_size: usize,
    /// Number of classes, the null class not counted.
    pub num_classes: usize,
    /// Chance of dropping the class in pretraining. Above 0 the class table has one more row, the null class.
    pub class_dropout_prob: f64,
    /// Tokens per picture, a square.
    pub block_size: usize,
    /// Base of the rotary frequencies.
    pub rope_base: f64,
    /// Added to the mean square inside each norm.
    pub norm_eps: f64,
}

impl GptConfig {
    /// The prior that ships: 2.6 M parameters, 8x8 tokens out of 1,024, 16 classes.
    pub fn small() -> Self {
        Self { dim: 192, n_layer: 5, n_head: 6, vocab_size: 1024, block_size: 64, ..Self::tiny() }
    }

    /// For tests: 4x4 tokens out of 64.
    pub fn tiny() -> Self {
        Self {
            dim: 32,
            n_layer: 2,
            n_head: 2,
            n_kv_head: None,
            multiple_of: 64,
            vocab_size: 64,
            num_classes: 16,
            class_dropout_prob: 0.1,
            block_size: 16,
            rope_base: 10_000.0,
            norm_eps: 1e-5,
        }
    }

    /// Id of the null class, if the network knows one: what guidance pushes away from.
    pub fn null_class(&self) -> Option<usize> {
        (self.class_dropout_prob > 0.0).then_some(self.num_classes)
    }

    /// Width of the feed-forward layer: two thirds of `4 * dim` (SwiGLU has three matrices instead of two), rounded
    /// up to a multiple of `multiple_of`.
    pub fn hidden_dim(&self) -> usize {
        (8 * self.dim / 3).next_multiple_of(self.multiple_of)
    }

    /// A fresh network: weights from N(0, 0.02²), output head zero, so that every token starts equally likely.
    pub fn init(&self, device: &Device) -> Transformer {
        self.init_with(Initializer::Zeros, device)
    }

    /// Like [`Self::init`] but with a random output head: logits of spread 1, for tests that need preferences.
    pub fn init_random_head(&self, device: &Device) -> Transformer {
        self.init_with(Initializer::Normal { mean: 0.0, std: (self.dim as f64).powf(-0.5) }, device)
    }

    fn init_with(&self, head: Initializer, device: &Device) -> Transformer {
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        let linear =
            |from, to| LinearConfig::new(from, to).with_bias(false).with_initializer(normal.clone()).init(device);
        let embedding = |rows| EmbeddingConfig::new(rows, self.dim).with_initializer(normal.clone()).init(device);
        let norm = || RmsNormConfig::new(self.dim).with_epsilon(self.norm_eps).init(device);

        let (dim, hidden) = (self.dim, self.hidden_dim());
        let n_kv_head = self.n_kv_head.unwrap_or(self.n_head);
        let head_dim = dim / self.n_head;
        let layers = (0..self.n_layer).map(|_| TransformerBlock {
            attention_norm: norm(),
            attention: Attention {
                wqkv: linear(dim, (self.n_head + 2 * n_kv_head) * head_dim),
                wo: linear(dim, dim),
                n_head: self.n_head,
                n_kv_head,
            },
            ffn_norm: norm(),
            feed_forward: FeedForward { w1: linear(dim, hidden), w3: linear(dim, hidden), w2: linear(hidden, dim) },
        });
        // Attention divides q·k by √head_dim. Queries and keys both pass the rotation, so each takes half of that.
        let gain = (head_dim as f32).powf(-0.25);
        let classes = self.num_classes + usize::from(self.null_class().is_some());
        Transformer {
            cls_embedding: LabelEmbedder { embedding_table: embedding(classes) },
            tok_embeddings: embedding(self.vocab_size),
            layers: layers.collect(),
            norm: norm(),
            output: LinearConfig::new(dim, self.vocab_size).with_bias(false).with_initializer(head).init(device),
            rope: Rope::new(self.block_size.isqrt(), head_dim, self.rope_base, 1, gain, device),
            causal: causal(1 + self.block_size, device),
            config: self.clone(),
        }
    }
}
