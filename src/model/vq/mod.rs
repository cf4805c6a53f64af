//! A picture becomes tokens, and tokens become a picture: LlamaGen's vector-quantised autoencoder
//! (LlamaGen `tokenizer_image/vq_model.py`), with the published checkpoints' own key names.
//!
//! LlamaGen's descends from VQGAN (taming-transformers `taming/models/vqgan.py`), which is the same network with other
//! settings and other key names, see [`taming_key`].
//!
//! ```text
//! picture [b, 3, H, W] in [-1, 1] ─ encoder ─ 1×1 conv ─► z [b, d, h, w] ─ nearest code ─► tokens [b, h·w]
//! picture [b, 3, H, W]           ◄─ decoder ◄─ 1×1 conv ◄─ codes [b, d, h, w] ◄────────────┘
//! ```

mod blocks;
mod cpu;
mod flex;
mod layers;
mod ops;
mod quantizer;
mod taming;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

pub use blocks::{AttnBlock, Decoder, DecoderLevel, Downsample, Encoder, EncoderLevel, ResnetBlock, Upsample};
pub use layers::{conv, convolve, group_norm, group_norm_silu, pointwise};
pub use quantizer::{Quantized, VectorQuantizer, VqLosses};
pub use taming::taming_key;

use crate::platform::rng::Stream;

/// Hyper-parameters of [`VqModel`]; the names are the peer's (`ModelArgs` of LlamaGen `vq_model.py`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VqConfig {
    /// Channels at multiplier 1; a multiple of 32, the number of normalisation groups.
    pub ch: usize,
    /// Channel multipliers of the encoder's levels, finest first; each level but the last halves the grid.
    pub encoder_ch_mult: Vec<usize>,
    /// Channel multipliers of the decoder's levels, also written finest first.
    pub decoder_ch_mult: Vec<usize>,
    /// Residual blocks in a level of the encoder; the decoder has one more.
    pub num_res_blocks: usize,
    /// Channels between the encoder and the 1×1 convolution in front of the codebook.
    pub z_channels: usize,
    /// Number of codes: the vocabulary of the transformer.
    pub codebook_size: usize,
    /// Numbers in a code.
    pub codebook_embed_dim: usize,
    /// Whether codes and encoder outputs are compared on the unit sphere.
    pub codebook_l2_norm: bool,
    /// Weight of the commitment loss, beta.
    pub commit_loss_beta: f64,
    /// Whether beta weighs the codebook loss instead: VQGAN's was published so, and goes on so (`legacy`).
    #[serde(default)]
    pub legacy_beta: bool,
    /// Weight of the entropy loss; 0 leaves it out.
    pub entropy_loss_ratio: f64,
    /// Side of the pictures that the network was made for, in pixels. Others may be given to it: this only says what
    /// `attn_resolutions` mean.
    #[serde(default = "published_resolution")]
    pub resolution: usize,
    /// Sides of the grids whose levels attend, where a picture is `resolution` pixels wide; `None`: the coarsest level
    /// alone, which is LlamaGen's rule. (The middle always attends.)
    #[serde(default)]
    pub attn_resolutions: Option<Vec<usize>>,
}

/// [`VqConfig::resolution`] of all published networks.
fn published_resolution() -> usize {
    256
}

impl VqConfig {
    /// VQ-16 as published: 256×256 → 16×16 tokens out of 16384.
    pub fn vq16() -> Self {
        Self {
            ch: 128,
            encoder_ch_mult: vec![1, 1, 2, 2, 4],
            decoder_ch_mult: vec![1, 1, 2, 2, 4],
            num_res_blocks: 2,
            z_channels: 256,
            codebook_size: 16384,
            codebook_embed_dim: 8,
            codebook_l2_norm: true,
            commit_loss_beta: 0.25,
            legacy_beta: false,
            entropy_loss_ratio: 0.0,
            resolution: published_resolution(),
            attn_resolutions: None,
        }
    }

    /// VQ-8 as published: 256×256 → 32×32 tokens out of 16384.
    pub fn vq8() -> Self {
        Self { encoder_ch_mult: vec![1, 2, 2, 4], decoder_ch_mult: vec![1, 2, 2, 4], ..Self::vq16() }
    }

    /// taming-transformers' VQGAN of ImageNet, published with 1024 and with 16384 `codes`: 256×256 → 16×16 tokens.
    pub fn vqgan(codes: usize) -> Self {
        Self {
            codebook_size: codes,
            codebook_embed_dim: 256,
            codebook_l2_norm: false,
            legacy_beta: true,
            attn_resolutions: Some(vec![16]),
            ..Self::vq16()
        }
    }

    /// The tokenizer of the shipped world: 32×32 → 8×8 tokens out of 1024.
    pub fn small() -> Self {
        Self {
            ch: 32,
            encoder_ch_mult: vec![1, 1, 2],
            decoder_ch_mult: vec![1, 1, 2],
            num_res_blocks: 1,
            z_channels: 64,
            codebook_size: 1024,
            resolution: 32,
            ..Self::vq16()
        }
    }

    /// For tests: 8×8 → 4×4 tokens out of 64.
    pub fn tiny() -> Self {
        Self {
            encoder_ch_mult: vec![1, 1],
            decoder_ch_mult: vec![1, 1],
            z_channels: 32,
            codebook_size: 64,
            resolution: 8,
            ..Self::small()
        }
    }

    /// Pixels per token along one side.
    pub fn downsample(&self) -> usize {
        1 << (self.encoder_ch_mult.len().max(1) - 1)
    }

    /// Whether the blocks of `level` attend; the finest is level 0, in the encoder and in the decoder.
    pub(super) fn attends(&self, level: usize) -> bool {
        match &self.attn_resolutions {
            Some(sides) => sides.contains(&(self.resolution >> level)),
            None => level + 1 == self.encoder_ch_mult.len(),
        }
    }

    /// A model with random weights (PyTorch's default initialisation, as the peer).
    ///
    /// # Panics
    /// Panics if a multiplier list is empty or a level's channels are no multiple of 32.
    pub fn init(&self, device: &Device) -> VqModel {
        let pointwise = |from, to| Conv2dConfig::new([from, to], [1, 1]).init(device);
        VqModel {
            encoder: Encoder::new(self, device),
            decoder: Decoder::new(self, device),
            quantize: VectorQuantizer::new(self, device),
            quant_conv: pointwise(self.z_channels, self.codebook_embed_dim),
            post_quant_conv: pointwise(self.codebook_embed_dim, self.z_channels),
        }
    }
}

/// What [`VqModel::encode`] makes of a batch of pictures.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Encoder output in front of the quantiser, `[batch, code_dim, h, w]`, not normalised.
    pub z: Tensor<4>,
    /// Nearest codes in raster order, `[batch, h * w]`.
    pub indices: Tensor<2, Int>,
    /// The codes themselves, `[batch, code_dim, h, w]`; gradients pass straight through to `z`.
    pub quantized: Tensor<4>,
    /// Training losses of the codebook.
    pub losses: VqLosses,
}

/// LlamaGen's `VQModel`.
#[derive(Module, Debug)]
pub struct VqModel {
    /// Picture → features.
    pub encoder: Encoder,
    /// Features → picture.
    pub decoder: Decoder,
    /// The codebook.
    pub quantize: VectorQuantizer,
    /// 1×1 convolution `z_channels` → `codebook_embed_dim`.
    pub quant_conv: Conv2d,
    /// 1×1 convolution `codebook_embed_dim` → `z_channels`.
    pub post_quant_conv: Conv2d,
}

impl VqModel {
    /// Pictures `[batch, 3, h * f, w * f]` in [-1, 1] to codes, f = [`VqConfig::downsample`].
    pub fn encode(&self, pictures: Tensor<4>) -> Encoded {
        let z = pointwise(&self.quant_conv, self.encoder.forward(pictures));
        let Quantized { indices, quantized, losses } = self.quantize.forward(z.clone());
        Encoded { z, indices, quantized, losses }
    }

    /// Codes `[batch, code_dim, h, w]` to pictures `[batch, 3, h * f, w * f]`, about [-1, 1] (not clamped).
    pub fn decode(&self, quantized: Tensor<4>) -> Tensor<4> {
        self.decoder.forward(pointwise(&self.post_quant_conv, quantized))
    }

    /// Tokens `[batch, h * w]` in raster order to pictures `[batch, 3, h * f, w * f]`.
    pub fn decode_code(&self, indices: Tensor<2, Int>, [h, w]: [usize; 2]) -> Tensor<4> {
        self.decode(self.quantize.lookup(indices, [h, w]))
    }

    /// Reconstruction of pictures and everything a training loss needs.
    pub fn forward(&self, pictures: Tensor<4>) -> (Tensor<4>, Encoded) {
        let encoded = self.encode(pictures);
        (self.decode(encoded.quantized.clone()), encoded)
    }

    /// Moves codes that nothing uses to where encoder outputs are.
    ///
    /// `usage[i]` counts how often code `i` was chosen lately; every code with count 0 becomes the value of a random
    /// position of `z` `[batch, code_dim, h, w]`. Returns the model and the number of revived codes. Without it a
    /// codebook trained from random codes collapses to the few codes that happened to be near.
    pub fn revive(mut self, usage: &[u32], z: Tensor<4>, rng: &mut Stream) -> (Self, usize) {
        let (quantize, revived) = self.quantize.revive(usage, z, rng);
        self.quantize = quantize;
        (self, revived)
    }
}

/// Byte of a decoded value as the peer's evaluation writes it (`sample_c2i_ddp.py`): `trunc(clamp(127.5 y + 128))`.
pub fn evaluation_byte(y: f32) -> u8 {
    (127.5 * y + 128.0).clamp(0.0, 255.0) as u8
}

/// Byte of a decoded value as the peer's demos write it (torchvision `save_image` with range [-1, 1]): rounded.
pub fn display_byte(y: f32) -> u8 {
    ((y.clamp(-1.0, 1.0) + 1.0) / 2.0 * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}

/// Byte of a decoded value as taming-transformers' demos write it (`custom_to_pil`): `trunc(255 (clamp(y) + 1) / 2)`.
pub fn taming_byte(y: f32) -> u8 {
    (255.0 * (y.clamp(-1.0, 1.0) + 1.0) / 2.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::rng::Key;
    use burn::tensor::Distribution;

    fn pictures(n: usize, side: usize, device: &Device) -> Tensor<4> {
        Tensor::random([n, 3, side, side], Distribution::Uniform(-1.0, 1.0), device)
    }

    #[test]
    fn shapes_follow_the_configuration() {
        let device = Device::flex();
        for (config, side) in [(VqConfig::small(), 32), (VqConfig::tiny(), 8)] {
            let model = config.init(&device);
            let grid = side / config.downsample();
            let (picture, encoded) = model.forward(pictures(2, side, &device));
            assert_eq!(picture.dims(), [2, 3, side, side]);
            assert_eq!(encoded.indices.dims(), [2, grid * grid]);
            assert_eq!(encoded.z.dims(), [2, config.codebook_embed_dim, grid, grid]);
        }
    }

    #[test]
    fn a_level_attends_by_its_nominal_resolution_or_else_if_it_is_the_coarsest() {
        let levels =
            |config: &VqConfig| (0..config.encoder_ch_mult.len()).map(|i| config.attends(i)).collect::<Vec<_>>();
        assert_eq!(levels(&VqConfig::vq16()), [false, false, false, false, true]);
        assert_eq!(levels(&VqConfig::vqgan(1024)), levels(&VqConfig::vq16()));
        let config = VqConfig { attn_resolutions: Some(vec![8]), ..VqConfig::tiny() };
        assert_eq!(levels(&config), [true, false]);
        let device = Device::flex();
        let attention = |config: &VqConfig| config.init(&device).num_params();
        let block = 2 * 32 + 4 * (32 * 32 + 32);
        assert_eq!(
            attention(&VqConfig { attn_resolutions: Some(vec![8, 4]), ..VqConfig::tiny() }) - attention(&config),
            block * (1 + 2),
            "one block in the encoder, two in the decoder"
        );
    }

    #[test]
    fn settings_written_before_vqgan_still_read() {
        let old = r#"{"ch":32,"encoder_ch_mult":[1,1],"decoder_ch_mult":[1,1],"num_res_blocks":1,"z_channels":32,
            "codebook_size":64,"codebook_embed_dim":8,"codebook_l2_norm":true,"commit_loss_beta":0.25,
            "entropy_loss_ratio":0.0}"#;
        let config: VqConfig = serde_json::from_str(old).unwrap();
        assert_eq!(VqConfig { resolution: 8, ..config }, VqConfig::tiny());
    }

    #[test]
    fn decoding_tokens_equals_decoding_their_codes() {
        let device = Device::flex();
        let model = VqConfig::tiny().init(&device);
        let encoded = model.encode(pictures(2, 8, &device));
        let from_tokens = model.decode_code(encoded.indices, [4, 4]);
        let from_codes = model.decode(encoded.quantized);
        let worst = (from_tokens - from_codes).abs().max().into_scalar::<f32>();
        assert!(worst < 1e-4, "{worst}");
    }

    #[test]
    fn a_training_loss_reaches_every_parameter() {
        let device = Device::flex().autodiff();
        let model = VqConfig::tiny().init(&device);
        let x = pictures(2, 8, &device);
        let (y, encoded) = model.forward(x.clone());
        let loss = (y - x).square().mean() + encoded.losses.total();
        let grads = burn::optim::GradientsParams::from_grads(loss.backward(), &model);
        struct Missing<'a>(&'a burn::optim::GradientsParams, usize);
        impl burn::module::ModuleVisitor for Missing<'_> {
            fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
                self.1 += usize::from(self.0.get::<D>(param.id).is_none());
            }
        }
        let mut missing = Missing(&grads, 0);
        model.visit(&mut missing);
        assert_eq!(missing.1, 0);
    }

    #[test]
    fn reviving_moves_only_unused_codes_onto_encoder_outputs() {
        let device = Device::flex();
        let model = VqConfig::tiny().init(&device);
        let before = model.quantize.codes().into_data().try_to_vec::<f32>().unwrap();
        let z = Tensor::random([2, 8, 4, 4], Distribution::Normal(0.0, 3.0), &device);
        let usage: Vec<u32> = (0..64).map(|i| i % 2).collect();
        let (model, revived) = model.revive(&usage, z.clone(), &mut Key::new(1).stream());
        assert_eq!(revived, 32);
        let after = model.quantize.codes().into_data().try_to_vec::<f32>().unwrap();
        for code in 0..64 {
            let same = (0..8).all(|j| (before[code * 8 + j] - after[code * 8 + j]).abs() < 1e-6);
            assert_eq!(same, code % 2 == 1, "code {code}");
        }
        let z = z.permute([0, 2, 3, 1]).reshape([32, 8]).into_data().try_to_vec::<f32>().unwrap();
        let unit = |row: &[f32]| {
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter().map(|x| x / norm).collect::<Vec<_>>()
        };
        let code0 = &after[..8];
        assert!(z.chunks(8).any(|row| unit(row).iter().zip(code0).all(|(a, b)| (a - b).abs() < 1e-5)));
    }

    #[test]
    fn bytes_follow_the_peers_conventions() {
        assert_eq!([-1.0, -0.5, 0.0, 1.0, 7.0].map(evaluation_byte), [0, 64, 128, 255, 255]);
        assert_eq!([-1.0, -0.5, 0.0, 1.0, 7.0].map(display_byte), [0, 64, 128, 255, 255]);
        assert_eq!([-1.0, -0.5, 0.0, 1.0, 7.0].map(taming_byte), [0, 63, 127, 255, 255]);
    }
}
