//! Inception-v3's layers: a convolution with its normalisation, and the pools.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{DType, Device, Tensor};

use crate::model::batch_norm::BatchNorm;
use crate::model::layers::single;
use crate::model::vq::convolve;

/// Pixels of a large grid.
const LARGE: usize = 32 * 32;

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

    /// Folds the normalisation into the weights, once and for all; with `half`, the device then keeps them in half
    /// precision.
    pub fn freeze(&mut self, half: bool) {
        let Some(bn) = self.bn.take() else { return };
        let (weight, bias) = bn.fold(single(&self.conv.weight));
        self.conv.weight = Param::from_tensor(if half { weight.cast(DType::F16) } else { weight });
        // A bias has so few numbers that there is nothing to save.
        self.conv.bias = Some(Param::from_tensor(bias));
    }

    /// `[n, in, h, w]` → `[n, out, h', w']`, in single precision.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (weight, bias) = self.folded();
        let [_, _, h, w] = x.dims();
        let options = ConvOptions::new(self.conv.stride, self.padding, [1, 1], 1);
        // On a CPU our loops are the faster ones for large kernels on large grids, the backend's for the rest.
        relu(if self.conv.kernel_size != [1, 1] && h * w >= LARGE {
            convolve(x, weight, bias, options)
        } else {
            conv2d(x, weight, Some(bias), options)
        })
    }

    /// `self.forward(pool.forward(x))` of a 1×1 convolution. It and a mean may change places, and it leaves the mean a
    /// quarter of the channels or less.
    pub fn forward_pooled(&self, x: Tensor<4>, pool: Pool) -> Tensor<4> {
        if pool == Pool::Max {
            return self.forward(pool.forward(x));
        }
        let (weight, bias) = self.folded();
        let x = pool.forward(conv2d(x, weight, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1)));
        let [_, channels, _, _] = x.dims();
        relu(x + bias.reshape([1, channels, 1, 1]))
    }

    /// Weight and bias of a convolution that is all but the ReLU.
    fn folded(&self) -> (Tensor<4>, Tensor<1>) {
        let weight = single(&self.conv.weight);
        match (&self.bn, &self.conv.bias) {
            (Some(bn), _) => bn.fold(weight),
            (None, Some(bias)) => (weight, bias.val()),
            (None, None) => {
                let zeros = Tensor::zeros([weight.dims()[0]], &weight.device());
                (weight, zeros)
            }
        }
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
