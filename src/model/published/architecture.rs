//! The networks a file can hold, with their shapes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::manifest::{self, Manifest};
use crate::model::clip::ClipConfig;
use crate::model::transformer::GptConfig;
use crate::model::vq::VqConfig;

/// How captions enter LlamaGen's text-conditional transformer (`ModelArgs` of LlamaGen gpt.py).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captions {
    /// Positions in front of the picture's tokens, one for each vector of a caption.
    pub cls_token_num: usize,
    /// Length of a caption's vectors.
    pub caption_dim: usize,
}

/// Shape of taming-transformers' minGPT (`GPTConfig` of mingpt.py).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinGptConfig {
    /// Number of tokens; classes share the table with codes.
    pub vocab_size: usize,
    /// Positions.
    pub block_size: usize,
    /// Number of blocks.
    pub n_layer: usize,
    /// Attention heads per block.
    pub n_head: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
}

/// Whose InceptionV3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InceptionVariant {
    /// The one that the Fréchet inception distance is defined by: TensorFlow's of 2015, as pytorch-fid ported it.
    Fid,
    /// torchvision's, trained on ImageNet-1k.
    ImageNet,
}

impl InceptionVariant {
    /// Number of logits.
    pub fn classes(self) -> usize {
        match self {
            Self::Fid => 1008,
            Self::ImageNet => 1000,
        }
    }
}

/// Which network, and of what shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Architecture {
    /// LlamaGen's class-conditional transformer.
    Gpt(GptConfig),
    /// LlamaGen's text-conditional transformer.
    CaptionGpt(GptConfig, Captions),
    /// LlamaGen's tokenizer.
    Vq(VqConfig),
    /// A VQGAN of taming-transformers: LlamaGen's tokenizer under other names.
    TamingVq(VqConfig),
    /// taming-transformers' class-conditional transformer with its tokenizer inside.
    Net2Net(MinGptConfig, VqConfig),
    /// CLIP's two towers.
    Clip(ClipConfig),
    /// InceptionV3.
    Inception(InceptionVariant),
    /// EfficientNet-Lite0.
    EfficientNetLite0,
}

impl Architecture {
    /// Names and shapes of the tensors in such a network's file.
    pub fn manifest(&self) -> Manifest {
        match self {
            Self::Gpt(c) => manifest::gpt(c),
            Self::CaptionGpt(c, captions) => manifest::caption_gpt(c, captions),
            Self::Vq(c) => manifest::vq(c),
            Self::TamingVq(c) => manifest::taming_vq(c),
            Self::Net2Net(gpt, first_stage) => manifest::net2net(gpt, first_stage),
            Self::Clip(c) => manifest::clip(c),
            Self::Inception(variant) => manifest::inception(*variant),
            Self::EfficientNetLite0 => manifest::efficientnet_lite0(),
        }
    }
}

impl fmt::Display for Architecture {
    /// What it is and of what size, such as `LlamaGen transformer, 12 layers 768 wide, 1000 classes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpt(c) => {
                write!(f, "LlamaGen transformer, {} layers {} wide, {} classes", c.n_layer, c.dim, c.num_classes)?;
                f.write_str(if c.null_class().is_some() { " and a null class" } else { "" })
            }
            Self::CaptionGpt(c, captions) => {
                let tokens = captions.cls_token_num;
                write!(f, "LlamaGen transformer, {} layers {} wide, captions of {tokens} vectors", c.n_layer, c.dim)
            }
            Self::Vq(c) => write!(f, "LlamaGen tokenizer, {}", tokenizer(c)),
            Self::TamingVq(c) => write!(f, "VQGAN of taming-transformers, {}", tokenizer(c)),
            Self::Net2Net(gpt, c) => {
                let (layers, width) = (gpt.n_layer, gpt.n_embd);
                write!(f, "class-conditional transformer of taming-transformers, {layers} layers {width} wide, ")?;
                write!(f, "with its VQGAN ({})", tokenizer(c))
            }
            Self::Clip(c) => {
                let (v, activation) = (&c.vision, if c.quick_gelu { "QuickGELU" } else { "GELU" });
                write!(f, "CLIP, pictures of {0}x{0} in patches of {1}x{1}, ", v.image_size, v.patch_size)?;
                write!(f, "{} layers {} wide, {activation}", v.layers, v.width)
            }
            Self::Inception(variant) => write!(f, "InceptionV3 with {} classes", variant.classes()),
            Self::EfficientNetLite0 => f.write_str("EfficientNet-Lite0"),
        }
    }
}

fn tokenizer(c: &VqConfig) -> String {
    let (pixels, codes) = (c.downsample(), c.codebook_size);
    format!("{pixels}x{pixels} pixels a token, {codes} codes of {} numbers", c.codebook_embed_dim)
}
