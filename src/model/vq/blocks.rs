//! Encoder and decoder of the tokenizer (LlamaGen `vq_model.py`): residual blocks, attention at some levels (the
//! coarsest, unless the settings say otherwise), resampling by two.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::activation::softmax;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor};

use super::VqConfig;
use super::layers::{conv, group_norm, group_norm_silu, pointwise};

fn conv3(from: usize, to: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([from, to], [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
}

fn conv1(from: usize, to: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([from, to], [1, 1]).init(device)
}

fn norm(channels: usize, device: &Device) -> GroupNorm {
    GroupNormConfig::new(32, channels).with_epsilon(1e-6).init(device)
}

/// x + conv(silu(norm(conv(silu(norm(x)))))), with a 1×1 convolution on the short cut where channels change.
#[derive(Module, Debug)]
pub struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    nin_shortcut: Option<Conv2d>,
}

impl ResnetBlock {
    fn new(from: usize, to: usize, device: &Device) -> Self {
        Self {
            norm1: norm(from, device),
            conv1: conv3(from, to, device),
            norm2: norm(to, device),
            conv2: conv3(to, to, device),
            nin_shortcut: (from != to).then(|| conv1(from, to, device)),
        }
    }

    /// `[batch, from, h, w]` → `[batch, to, h, w]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = conv(&self.conv1, group_norm_silu(&self.norm1, x.clone()));
        let h = conv(&self.conv2, group_norm_silu(&self.norm2, h));
        match &self.nin_shortcut {
            Some(shortcut) => pointwise(shortcut, x) + h,
            None => x + h,
        }
    }
}

/// Single-head self-attention over all positions of the grid, with a short cut.
#[derive(Module, Debug)]
pub struct AttnBlock {
    norm: GroupNorm,
    q: Conv2d,
    k: Conv2d,
    v: Conv2d,
    proj_out: Conv2d,
}

impl AttnBlock {
    fn new(channels: usize, device: &Device) -> Self {
        let layer = || conv1(channels, channels, device);
        Self { norm: norm(channels, device), q: layer(), k: layer(), v: layer(), proj_out: layer() }
    }

    /// `[batch, channels, h, w]` → same shape.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, c, h, w] = x.dims();
        let normed = group_norm(&self.norm, x.clone());
        let flat = |layer: &Conv2d| pointwise(layer, normed.clone()).reshape([b, c, h * w]);
        let scores = flat(&self.q).swap_dims(1, 2).matmul(flat(&self.k)) * (c as f64).powf(-0.5);
        let mixed = flat(&self.v).matmul(softmax(scores, 2).swap_dims(1, 2));
        x + pointwise(&self.proj_out, mixed.reshape([b, c, h, w]))
    }
}

/// Halves the grid: one row and one column of zeros on the far sides only, then a strided convolution.
#[derive(Module, Debug)]
pub struct Downsample {
    conv: Conv2d,
}

impl Downsample {
    fn new(channels: usize, device: &Device) -> Self {
        let conv = Conv2dConfig::new([channels, channels], [3, 3])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(0, 0, 1, 1))
            .init(device);
        Self { conv }
    }

    /// `[batch, channels, h, w]` → `[batch, channels, h / 2, w / 2]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        conv(&self.conv, x)
    }
}

/// Doubles the grid: nearest neighbour, then a convolution.
#[derive(Module, Debug)]
pub struct Upsample {
    conv: Conv2d,
}

impl Upsample {
    fn new(channels: usize, device: &Device) -> Self {
        Self { conv: conv3(channels, channels, device) }
    }

    /// `[batch, channels, h, w]` → `[batch, channels, 2 h, 2 w]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, h, w] = x.dims();
        let options = InterpolateOptions::new(InterpolateMode::Nearest).with_output_size([2 * h, 2 * w]);
        conv(&self.conv, interpolate(x, options))
    }
}

/// One resolution of the encoder.
#[derive(Module, Debug)]
pub struct EncoderLevel {
    res: Vec<ResnetBlock>,
    attn: Vec<AttnBlock>,
    downsample: Option<Downsample>,
}

/// One resolution of the decoder.
#[derive(Module, Debug)]
pub struct DecoderLevel {
    res: Vec<ResnetBlock>,
    attn: Vec<AttnBlock>,
    upsample: Option<Upsample>,
}

/// Residual blocks `from → to → … → to`, each followed by attention if the level has any.
fn blocks(n: usize, from: usize, to: usize, attend: bool, device: &Device) -> (Vec<ResnetBlock>, Vec<AttnBlock>) {
    let res = (0..n).map(|i| ResnetBlock::new(if i == 0 { from } else { to }, to, device)).collect();
    let attn = (0..if attend { n } else { 0 }).map(|_| AttnBlock::new(to, device)).collect();
    (res, attn)
}

fn run_blocks(res: &[ResnetBlock], attn: &[AttnBlock], x: Tensor<4>) -> Tensor<4> {
    res.iter().enumerate().fold(x, |x, (i, block)| {
        let x = block.forward(x);
        match attn.get(i) {
            Some(attn) => attn.forward(x),
            None => x,
        }
    })
}

type Middle = (ResnetBlock, AttnBlock, ResnetBlock);

fn middle(channels: usize, device: &Device) -> Middle {
    let res = || ResnetBlock::new(channels, channels, device);
    (res(), AttnBlock::new(channels, device), res())
}

/// Picture → features.
#[derive(Module, Debug)]
pub struct Encoder {
    conv_in: Conv2d,
    conv_blocks: Vec<EncoderLevel>,
    mid: Middle,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    /// The encoder of `config`; levels are listed finest first.
    pub fn new(config: &VqConfig, device: &Device) -> Self {
        let last = config.encoder_ch_mult.len() - 1;
        let mut from = config.ch;
        let mut level = |(i, mult): (usize, &usize)| {
            let to = config.ch * mult;
            let (res, attn) = blocks(config.num_res_blocks, from, to, config.attends(i), device);
            from = to;
            EncoderLevel { res, attn, downsample: (i != last).then(|| Downsample::new(to, device)) }
        };
        let conv_blocks = config.encoder_ch_mult.iter().enumerate().map(&mut level).collect();
        Self {
            conv_in: conv3(3, config.ch, device),
            conv_blocks,
            mid: middle(from, device),
            norm_out: norm(from, device),
            conv_out: conv3(from, config.z_channels, device),
        }
    }

    /// `[batch, 3, h * f, w * f]` in [-1, 1] → `[batch, z_channels, h, w]`.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<4> {
        let mut x = conv(&self.conv_in, pictures);
        for level in &self.conv_blocks {
            x = run_blocks(&level.res, &level.attn, x);
            if let Some(downsample) = &level.downsample {
                x = downsample.forward(x);
            }
        }
        let x = self.mid.2.forward(self.mid.1.forward(self.mid.0.forward(x)));
        conv(&self.conv_out, group_norm_silu(&self.norm_out, x))
    }

    /// Outputs of the first convolution and of the first residual block: for comparing with other programs.
    pub fn first_layers(&self, pictures: Tensor<4>) -> (Tensor<4>, Option<Tensor<4>>) {
        let x = conv(&self.conv_in, pictures);
        let block = self.conv_blocks.first().and_then(|level| level.res.first());
        (x.clone(), block.map(|block| block.forward(x)))
    }
}

/// Features → picture.
#[derive(Module, Debug)]
pub struct Decoder {
    conv_in: Conv2d,
    mid: Middle,
    conv_blocks: Vec<DecoderLevel>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    /// The decoder of `config`; unlike the encoder's, its levels are listed coarsest first.
    pub fn new(config: &VqConfig, device: &Device) -> Self {
        let last = config.decoder_ch_mult.len() - 1;
        let top = config.ch * config.decoder_ch_mult[last];
        let mut from = top;
        let mut level = |(i, mult): (usize, &usize)| {
            let to = config.ch * mult;
            let (res, attn) = blocks(config.num_res_blocks + 1, from, to, config.attends(i), device);
            from = to;
            DecoderLevel { res, attn, upsample: (i != 0).then(|| Upsample::new(to, device)) }
        };
        let conv_blocks = config.decoder_ch_mult.iter().enumerate().rev().map(&mut level).collect();
        Self {
            conv_in: conv3(config.z_channels, top, device),
            mid: middle(top, device),
            conv_blocks,
            norm_out: norm(from, device),
            conv_out: conv3(from, 3, device),
        }
    }

    /// `[batch, z_channels, h, w]` → `[batch, 3, h * f, w * f]`.
    pub fn forward(&self, z: Tensor<4>) -> Tensor<4> {
        let x = conv(&self.conv_in, z);
        let mut x = self.mid.2.forward(self.mid.1.forward(self.mid.0.forward(x)));
        for level in &self.conv_blocks {
            x = run_blocks(&level.res, &level.attn, x);
            if let Some(upsample) = &level.upsample {
                x = upsample.forward(x);
            }
        }
        conv(&self.conv_out, group_norm_silu(&self.norm_out, x))
    }
}
