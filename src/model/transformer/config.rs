//! The shape of a transformer, and a fresh one of that shape.

use burn::module::Param;
use burn::nn::{EmbeddingConfig, Initializer, LinearConfig, RmsNormConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use serde::{Deserialize, Serialize};

use super::{
    Attention, CaptionEmbedder, CaptionMlp, Condition, FeedForward, LabelEmbedder, Transformer, TransformerBlock,
};
use crate::model::attention::causal;
use crate::model::rope::Rope;

/// What pictures are written from; the peers' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelType {
    /// Classes.
    #[default]
    C2i,
    /// Captions.
    T2i,
}

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
    /// What pictures are written from.
    #[serde(default)]
    pub model_type: ModelType,
    /// Positions in front of the tokens: 1 for a class, or the tokens of a caption.
    #[serde(default = "one")]
    pub cls_token_num: usize,
    /// Features of each token of a caption; 0 for classes.
    #[serde(default)]
    pub caption_dim: usize,
    /// Number of classes or captions, the null class not counted.
    pub num_classes: usize,
    /// Chance of dropping the condition in pretraining. Above 0 the class table has one more row, the null class.
    pub class_dropout_prob: f64,
    /// Tokens per picture, a square.
    pub block_size: usize,
    /// Base of the rotary frequencies.
    pub rope_base: f64,
    /// Added to the mean square inside each norm.
    pub norm_eps: f64,
}

fn one() -> usize {
    1
}

impl GptConfig {
    /// LlamaGen-B, 111 M parameters. `tokens` per picture: 256 for one of 256 pixels, 576 for one of 384.
    pub fn b(tokens: usize) -> Self {
        Self { dim: 768, n_layer: 12, n_head: 12, ..Self::published(tokens) }
    }

    /// LlamaGen-L, 343 M parameters; `tokens` as in [`Self::b`].
    pub fn l(tokens: usize) -> Self {
        Self { dim: 1024, n_layer: 24, n_head: 16, ..Self::published(tokens) }
    }

    /// LlamaGen-XL, 775 M parameters; `tokens` as in [`Self::b`].
    pub fn xl(tokens: usize) -> Self {
        Self { dim: 1280, n_layer: 36, n_head: 20, ..Self::published(tokens) }
    }

    /// LlamaGen-XXL, 1.4 G parameters; `tokens` as in [`Self::b`].
    pub fn xxl(tokens: usize) -> Self {
        Self { dim: 1536, n_layer: 48, n_head: 24, ..Self::published(tokens) }
    }

    /// LlamaGen-3B, 3.1 G parameters; `tokens` as in [`Self::b`].
    pub fn three_b(tokens: usize) -> Self {
        Self { dim: 3200, n_layer: 24, n_head: 32, ..Self::published(tokens) }
    }

    /// LlamaGen-XL for captions of 120 tokens, embedded by FLAN-T5-XL. `tokens`: 256 (stage 1) or 1024 (stage 2).
    pub fn xl_text(tokens: usize) -> Self {
        Self {
            model_type: ModelType::T2i,
            cls_token_num: 120,
            caption_dim: 2048,
            num_classes: 0, // none before there is a table of captions
            ..Self::xl(tokens)
        }
    }

    /// What all published networks share. Source: LlamaGen gpt.py, `ModelArgs`.
    fn published(tokens: usize) -> Self {
        Self { multiple_of: 256, vocab_size: 16_384, num_classes: 1000, block_size: tokens, ..Self::tiny() }
    }

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
            model_type: ModelType::C2i,
            cls_token_num: 1,
            caption_dim: 0,
            num_classes: 16,
            class_dropout_prob: 0.1,
            block_size: 16,
            rope_base: 10_000.0,
            norm_eps: 1e-5,
        }
    }

    /// Id of the null class, if the network is one of classes and knows one. What guidance pushes away from, whatever
    /// the condition, is told by [`Transformer::null_of`].
    pub fn null_class(&self) -> Option<usize> {
        (self.class_dropout_prob > 0.0 && self.model_type == ModelType::C2i).then_some(self.num_classes)
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
        let positions = self.cls_token_num + self.block_size;
        let condition = match self.model_type {
            ModelType::C2i => {
                let rows = self.num_classes + usize::from(self.null_class().is_some());
                Condition::Class(LabelEmbedder { embedding_table: embedding(rows) })
            }
            ModelType::T2i => {
                let spread = Distribution::Normal(0.0, (self.caption_dim as f64).powf(-0.5));
                let nothing = Tensor::random([self.cls_token_num, self.caption_dim], spread, device);
                Condition::Caption(CaptionEmbedder {
                    cap_proj: CaptionMlp { fc1: linear(self.caption_dim, dim), fc2: linear(dim, dim) },
                    uncond_embedding: Param::from_tensor(nothing).set_require_grad(false),
                    table: None,
                })
            }
        };
        Transformer {
            cls_embedding: condition,
            tok_embeddings: embedding(self.vocab_size),
            layers: layers.collect(),
            norm: norm(),
            output: LinearConfig::new(dim, self.vocab_size).with_bias(false).with_initializer(head).init(device),
            rope: Rope::new(self.block_size.isqrt(), head_dim, self.rope_base, self.cls_token_num, gain, device),
            causal: causal(positions, device),
            earlier: Tensor::<2>::ones([positions, positions], device).tril(-1).unsqueeze(),
            config: self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_noted_before_there_were_captions_is_one_of_classes() {
        let mut noted = serde_json::to_value(GptConfig::tiny()).unwrap();
        for name in ["model_type", "cls_token_num", "caption_dim"] {
            assert!(noted.as_object_mut().unwrap().remove(name).is_some(), "{name}");
        }
        assert_eq!(serde_json::from_value::<GptConfig>(noted).unwrap(), GptConfig::tiny());
    }
}
