//! EfficientNet-Lite0, a published ImageNet network (4.65 million parameters): the feature network of the evaluation
//! distance "FD-EfficientNet-Lite0", kept apart from every network that is rewarded.
//!
//! Field names are timm's. The weights are Google's TensorFlow ones, so the arithmetic is TensorFlow's: convolutions
//! pad to SAME (more at the far side), batch normalisation has epsilon 1e-3, pixels enter as (p - 127) / 128 with p in
//! 0..255. (The means stored in the first normalisation agree with that scaling: they are correlated 0.97 with what an
//! average photograph gives, where the usual ImageNet mean and deviation would make them vanish.)

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::module::{conv2d, interpolate};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::batch_norm::BatchNorm;

/// Stages: repeats, kernel, stride, expansion, channels.
pub(super) const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];
pub(super) const STEM: usize = 32;
pub(super) const HEAD: usize = 1280;

/// How pictures enter an [`EfficientNetLite0`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EfficientNetLite0Config {
    /// Side in pixels to which pictures are resized; the network was trained at 224.
    pub side: usize,
}

impl Default for EfficientNetLite0Config {
    /// 96 pixels: for 32×32 pictures three times their size, at 75 million multiply-adds instead of 407.
    fn default() -> Self {
        Self { side: 96 }
    }
}

impl EfficientNetLite0Config {
    /// One line that fixes what the features are; belongs beside every number computed from them.
    pub fn protocol(&self) -> String {
        format!("EfficientNet-Lite0 (ImageNet-1k), 1280 pooled features, bilinear to {0}x{0}, (p-127)/128", self.side)
    }

    /// The network with random weights; load `efficientnet_lite0_f16.safetensors` over them.
    pub fn init(&self, device: &Device) -> EfficientNetLite0 {
        let mut from = STEM;
        let blocks = STAGES
            .iter()
            .map(|&(repeats, kernel, stride, expansion, to)| {
                (0..repeats)
                    .map(|i| {
                        let stride = if i == 0 { stride } else { 1 };
                        let block = Block::new(from, to, kernel, stride, expansion, device);
                        from = to;
                        block
                    })
                    .collect()
            })
            .collect();
        EfficientNetLite0 {
            conv_stem: conv([3, STEM], 3, 2, 1, device),
            bn1: BatchNorm::new(STEM, device),
            blocks,
            conv_head: conv([from, HEAD], 1, 1, 1, device),
            bn2: BatchNorm::new(HEAD, device),
            classifier: LinearConfig::new(HEAD, 1000).init(device),
            side: self.side,
        }
    }
}

fn conv(channels: [usize; 2], kernel: usize, stride: usize, groups: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_groups(groups)
        .with_padding(PaddingConfig2d::Same)
        .with_bias(false)
        .init(device)
}

/// Zeros in front of and behind an axis so that a strided convolution gives `ceil(size / stride)` values, the odd one
/// behind (TensorFlow's SAME).
fn same_padding(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let total = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
    (total / 2, total - total / 2)
}

/// `bn(conv(x))`, padded to SAME.
fn conv_bn(conv: &Conv2d, bn: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    let pad = |size, axis: usize| same_padding(size, conv.kernel_size[axis], conv.stride[axis]);
    let options = ConvOptions::new_with_padding(conv.stride, [pad(h, 0), pad(w, 1)], [1, 1], conv.groups);
    let (weight, bias) = bn.fold(conv.weight.val());
    conv2d(x, weight, Some(bias), options)
}

fn relu6(x: Tensor<4>) -> Tensor<4> {
    x.clamp(0.0, 6.0)
}

/// An inverted residual (`conv_pw`, `conv_dw`, `conv_pwl`), or in the first stage a depthwise separable convolution
/// (`conv_dw`, `conv_pw`).
#[derive(Module, Debug)]
pub struct Block {
    conv_pw: Conv2d,
    bn1: BatchNorm,
    conv_dw: Conv2d,
    bn2: BatchNorm,
    conv_pwl: Option<Conv2d>,
    bn3: Option<BatchNorm>,
}

impl Block {
    fn new(from: usize, to: usize, kernel: usize, stride: usize, expansion: usize, device: &Device) -> Self {
        let wide = from * expansion;
        let separable = expansion == 1;
        let (pw, bn1, bn2) = if separable { ([from, to], from, to) } else { ([from, wide], wide, wide) };
        Self {
            conv_pw: conv(pw, 1, 1, 1, device),
            bn1: BatchNorm::new(bn1, device),
            conv_dw: conv([wide, wide], kernel, stride, wide, device),
            bn2: BatchNorm::new(bn2, device),
            conv_pwl: (!separable).then(|| conv([wide, to], 1, 1, 1, device)),
            bn3: (!separable).then(|| BatchNorm::new(to, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = match (&self.conv_pwl, &self.bn3) {
            (Some(conv_pwl), Some(bn3)) => {
                let y = relu6(conv_bn(&self.conv_pw, &self.bn1, x.clone()));
                conv_bn(conv_pwl, bn3, relu6(conv_bn(&self.conv_dw, &self.bn2, y)))
            }
            _ => conv_bn(&self.conv_pw, &self.bn2, relu6(conv_bn(&self.conv_dw, &self.bn1, x.clone()))),
        };
        if y.dims() == x.dims() { x + y } else { y }
    }
}

/// The network; see the module's text.
#[derive(Module, Debug)]
pub struct EfficientNetLite0 {
    conv_stem: Conv2d,
    bn1: BatchNorm,
    blocks: Vec<Vec<Block>>,
    conv_head: Conv2d,
    bn2: BatchNorm,
    classifier: Linear,
    #[module(skip)]
    side: usize,
}

impl EfficientNetLite0 {
    /// How pictures enter it.
    pub fn config(&self) -> EfficientNetLite0Config {
        EfficientNetLite0Config { side: self.side }
    }

    /// Length of the feature vector.
    pub fn dim(&self) -> usize {
        HEAD
    }

    /// Features `[n, 1280]` of pictures `[n, 3, h, w]` in [0, 1].
    pub fn features(&self, pictures: Tensor<4>) -> Tensor<2> {
        let size = InterpolateOptions::new(InterpolateMode::Bilinear)
            .with_align_corners(false)
            .with_output_size([self.side, self.side]);
        let [_, _, h, w] = pictures.dims();
        let x = if [h, w] == [self.side; 2] { pictures } else { interpolate(pictures, size) };
        let x = relu6(conv_bn(&self.conv_stem, &self.bn1, (x * 255.0 - 127.0) / 128.0));
        let x = self.blocks.iter().flatten().fold(x, |x, block| block.forward(x));
        let x = relu6(conv_bn(&self.conv_head, &self.bn2, x));
        let [n, c, h, w] = x.dims();
        x.reshape([n, c, h * w]).mean_dim(2).reshape([n, c])
    }

    /// ImageNet logits `[n, 1000]` of features `[n, 1280]`.
    pub fn logits(&self, features: Tensor<2>) -> Tensor<2> {
        self.classifier.forward(features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::assets::{self, Asset};
    use burn::tensor::Distribution;

    fn pretrained() -> EfficientNetLite0 {
        let mut net = EfficientNetLite0Config::default().init(&Device::flex());
        crate::model::weights::load(&mut net, assets::get(Asset::EfficientNet).unwrap()).unwrap();
        net
    }

    #[test]
    fn same_padding_puts_the_odd_zero_behind() {
        assert_eq!(same_padding(96, 3, 2), (0, 1));
        assert_eq!(same_padding(48, 5, 2), (1, 2));
        assert_eq!(same_padding(12, 5, 1), (2, 2));
        assert_eq!(same_padding(7, 1, 1), (0, 0));
    }

    #[test]
    fn pretrained_features_are_finite_deterministic_and_tell_pictures_apart() {
        let device = Device::flex();
        let net = pretrained();
        let noise = Tensor::<4>::random([1, 3, 32, 32], Distribution::Uniform(0.0, 1.0), &device);
        let ramp = Tensor::<1, burn::tensor::Int>::arange(0..32, &device).float() / 31.0;
        let ramp = ramp.reshape([1, 1, 1, 32]).expand([1, 3, 32, 32]);
        let x = Tensor::cat(vec![noise, ramp], 0);
        let read = |x: Tensor<4>| net.features(x).into_data().try_to_vec::<f32>().unwrap();
        let (a, b) = (read(x.clone()), read(x));
        assert_eq!(a, b);
        assert!(a.iter().all(|v| v.is_finite() && (0.0..=6.0).contains(v)));
        let distance: f32 = a[..HEAD].iter().zip(&a[HEAD..]).map(|(p, q)| (p - q).powi(2)).sum();
        assert!(distance > 10.0, "{distance}");
    }
}
