//! Inception-v3's layers: a convolution with its normalisation, and the pools.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, FloatDType, Tensor};

use crate::model::batch_norm::BatchNorm;
use crate::model::vq::convolve;

/// Convolution without bias, batch normalisation, ReLU.
#[derive(Module, Debug)]
pub struct BasicConv2d {
    conv: Conv2d,
    /// `None` once it is folded into the convolution.
    bn: Option<BatchNorm>,
    #[module(skip)]
    padding: [usize; 2],
}

impl BasicConv2d {
    /// `channels` from and to, kernel height and width; unpadded, in steps of one.
    pub fn new(channels: [usize; 2], kernel: [usize; 2], device: &Device) -> Self {
        let conv = Conv2dConfig::new(channels, kernel).with_bias(false).with_padding(PaddingConfig2d::Valid);
        Self { conv: conv.init(device), bn: Some(BatchNorm::new(channels[1], device)), padding: [0, 0] }
    }

    /// In steps of two.
    pub fn halving(mut self) -> Self {
        self.conv.stride = [2, 2];
        self
    }

    /// With zeros around the picture, so that the grid stays the same.
    pub fn same(mut self) -> Self {
        self.padding = self.conv.kernel_size.map(|size| size / 2);
        self
    }

    /// Folds the normalisation into the weights, once and for all, and keeps them in `dtype`.
    pub fn freeze(&mut self, dtype: FloatDType) {
        let Some(bn) = self.bn.take() else { return };
        let (weight, bias) = bn.fold(self.conv.weight.val());
        self.conv.weight = Param::from_tensor(weight.cast(dtype));
        // A bias has so few numbers that there is nothing to save.
        self.conv.bias = Some(Param::from_tensor(bias));
    }

    /// `[n, in, h, w]` → `[n, out, h', w']`, computed in f32.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let conv = &self.conv;
        let options = ConvOptions::new(conv.stride, self.padding, conv.dilation, conv.groups);
        let weight = conv.weight.val().cast(FloatDType::F32);
        let (weight, bias) = match (&self.bn, &conv.bias) {
            (Some(bn), _) => bn.fold(weight),
            (None, Some(bias)) => (weight, bias.val()),
            (None, None) => {
                let zeros = Tensor::zeros([weight.dims()[0]], &x.device());
                (weight, zeros)
            }
        };
        relu(convolve(x, weight, bias, options))
    }
}

/// Pooling over 3×3 pixels that keeps the grid; where FID's network and torchvision's part ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// Mean of all nine, zeros beyond the edge among them (torchvision).
    AverageWithZeros,
    /// Mean of those inside the picture (TensorFlow, so FID's network).
    AverageInside,
    /// Largest (FID's network, in `Mixed_7c` alone).
    Max,
}

impl Pool {
    /// `[n, channels, h, w]` → `[n, channels, h, w]`.
    pub fn forward(self, x: Tensor<4>) -> Tensor<4> {
        let average =
            |zeros| AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]).with_count_include_pad(zeros);
        match self {
            Self::AverageWithZeros => avg_pool2d(x, average(true)),
            Self::AverageInside => avg_pool2d(x, average(false)),
            Self::Max => max_pool2d(x, MaxPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1])),
        }
    }
}

/// The largest of 3×3 pixels, in steps of two: halves the grid.
pub fn halve(x: Tensor<4>) -> Tensor<4> {
    max_pool2d(x, MaxPoolOptions::new([3, 3]).with_stride([2, 2]))
}
