//! The networks a file can hold, with their shapes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::manifest::{self, Manifest};
use super::{MAX_LAYERS, MAX_LEVELS, MAX_SIZE};
use crate::model::clip::ClipConfig;
pub use crate::model::inception::InceptionVariant;
use crate::model::mingpt::MinGptConfig;
use crate::model::transformer::{GptConfig, ModelType};
use crate::model::vq::VqConfig;

/// Which network, and of what shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Architecture {
    /// LlamaGen's transformer, of classes or of captions.
    Gpt(GptConfig),
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
            Self::Vq(c) => manifest::vq(c),
            Self::TamingVq(c) => manifest::taming_vq(c),
            Self::Net2Net(gpt, first_stage) => manifest::net2net(gpt, first_stage),
            Self::Clip(c) => manifest::clip(c),
            Self::Inception(variant) => manifest::inception(*variant),
            Self::EfficientNetLite0 => manifest::efficientnet_lite0(),
        }
    }
}

impl Architecture {
    /// Whether such a network can be made: sizes that are not absurd, and heads and groups that share their widths
    /// evenly. A file's word is not enough for either.
    pub(super) fn is_possible(&self) -> bool {
        let sizes = |sizes: &[usize]| sizes.iter().all(|size| (1..=MAX_SIZE).contains(size));
        let layers = |count: usize| (1..=MAX_LAYERS).contains(&count);
        let share = |width: usize, parts: usize| parts > 0 && width.is_multiple_of(parts);
        let gpt = |c: &GptConfig| {
            let condition = match c.model_type {
                ModelType::C2i => sizes(&[c.num_classes, c.cls_token_num]),
                ModelType::T2i => sizes(&[c.cls_token_num, c.caption_dim]),
            };
            condition
                && sizes(&[c.dim, c.n_head, c.multiple_of, c.vocab_size, c.block_size])
                && layers(c.n_layer)
                && share(c.dim, 4 * c.n_head) // positions turn numbers in fours
                && c.n_kv_head.is_none_or(|heads| share(c.n_head, heads))
        };
        let vq = |c: &VqConfig| {
            let mult = [&c.encoder_ch_mult, &c.decoder_ch_mult];
            let width = |m: &usize| sizes(&[*m]) && share(c.ch * m, 32);
            sizes(&[c.ch, c.z_channels, c.codebook_size, c.codebook_embed_dim])
                && layers(c.num_res_blocks)
                && share(c.ch, 32)
                && mult.iter().all(|list| (1..=MAX_LEVELS).contains(&list.len()) && list.iter().all(width))
        };
        match self {
            Self::Gpt(c) => gpt(c),
            Self::Vq(c) | Self::TamingVq(c) => vq(c),
            Self::Net2Net(c, first_stage) => {
                let even = sizes(&[c.vocab_size, c.block_size, c.n_embd]) && share(c.n_embd, c.n_head);
                even && layers(c.n_layer) && vq(first_stage)
            }
            Self::Clip(c) => {
                let (v, t) = (&c.vision, &c.text);
                sizes(&[c.embed_dim, v.width, v.patch_size, v.image_size, t.context_length, t.vocab_size, t.width])
                    && layers(v.layers)
                    && layers(t.layers)
                    && share(v.width, v.head_width)
                    && share(v.image_size, v.patch_size)
                    && share(t.width, t.heads)
                    && (0.0..=1000.0).contains(&v.mlp_ratio)
            }
            Self::Inception(_) | Self::EfficientNetLite0 => true,
        }
    }
}

impl Architecture {
    /// Whether a file of `tensors` tensors may hold such a network, or half of it: a few bytes that name a thousand
    /// layers would otherwise make a list of a thousand layers. Asked before [`Self::manifest`] is made, which is at
    /// most three times as long as is allowed here.
    pub(super) fn is_plausible(&self, tensors: usize) -> bool {
        let vq = |c: &VqConfig| {
            let (down, up) = (c.encoder_ch_mult.len(), c.decoder_ch_mult.len());
            8 * (down * c.num_res_blocks + up * (c.num_res_blocks + 1))
        };
        let least = match self {
            Self::Gpt(c) => 7 * c.n_layer,
            Self::Vq(c) | Self::TamingVq(c) => vq(c),
            Self::Net2Net(c, first_stage) => 16 * c.n_layer + vq(first_stage),
            Self::Clip(c) => 12 * (c.vision.layers + c.text.layers),
            Self::Inception(_) | Self::EfficientNetLite0 => 0,
        };
        least <= 2 * tensors + 64
    }

    /// Whether both are one network: of captions, how many are at hand is no part of it.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Gpt(a), Self::Gpt(b)) if a.model_type == ModelType::T2i => {
                *a == GptConfig { num_classes: a.num_classes, ..b.clone() }
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Architecture {
    /// What it is and of what size, such as `LlamaGen transformer, 12 layers 768 wide, 1000 classes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpt(c) => {
                write!(f, "LlamaGen transformer, {} layers {} wide, ", c.n_layer, c.dim)?;
                match c.model_type {
                    ModelType::T2i => write!(f, "captions of {} vectors", c.cls_token_num),
                    ModelType::C2i => write!(f, "{} classes", c.num_classes),
                }?;
                f.write_str(if c.null_class().is_some() { " and a null class" } else { "" })
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
