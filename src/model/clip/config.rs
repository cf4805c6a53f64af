//! Shapes of CLIP's towers, in open_clip's words.

use serde::{Deserialize, Serialize};

/// Shape of a [`super::Clip`]; reads open_clip's `model_configs/*.json` as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipConfig {
    /// Length of the vectors that both towers give.
    pub embed_dim: usize,
    /// The picture tower.
    #[serde(alias = "vision_cfg")]
    pub vision: VisionConfig,
    /// The text tower.
    #[serde(alias = "text_cfg")]
    pub text: TextConfig,
    /// Whether the activation is x · sigmoid(1.702 x) (OpenAI's weights) or GELU itself.
    #[serde(default)]
    pub quick_gelu: bool,
}

/// Shape of the picture tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VisionConfig {
    /// Number of blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Width of one attention head.
    #[serde(default = "default_head_width")]
    pub head_width: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Side of a picture in pixels.
    pub image_size: usize,
    /// Width of the hidden layer of a block, in `width`s.
    #[serde(default = "default_mlp_ratio")]
    pub mlp_ratio: f64,
}

/// Shape of the text tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextConfig {
    /// Most ids in a text.
    pub context_length: usize,
    /// Number of ids.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads per block.
    pub heads: usize,
    /// Number of blocks.
    pub layers: usize,
}

fn default_head_width() -> usize {
    64
}

/// Hidden layers are four times as wide as the stream, unless a configuration says otherwise.
pub(super) fn default_mlp_ratio() -> f64 {
    4.0
}

impl ClipConfig {
    /// The reward towers that ship: 32x32 pictures as 64 patches, 2000 merges, 0.94 M parameters.
    pub fn small() -> Self {
        Self {
            embed_dim: 96,
            vision: VisionConfig {
                layers: 4,
                width: 96,
                head_width: 32,
                patch_size: 4,
                image_size: 32,
                mlp_ratio: 4.0,
            },
            text: TextConfig { context_length: 16, vocab_size: 2514, width: 96, heads: 3, layers: 2 },
            quick_gelu: false,
        }
    }

    /// For tests: 8x8 pictures as 4 patches, 64 merges, 43 k parameters.
    pub fn tiny() -> Self {
        Self {
            embed_dim: 16,
            vision: VisionConfig { layers: 1, width: 32, head_width: 16, patch_size: 4, image_size: 8, mlp_ratio: 2.0 },
            text: TextConfig { context_length: 16, vocab_size: 578, width: 32, heads: 2, layers: 1 },
            quick_gelu: false,
        }
    }
}
