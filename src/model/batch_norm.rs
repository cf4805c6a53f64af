//! Batch normalisation of networks that are never trained here. With its statistics frozen it is one factor and one
//! summand per channel, so it folds into the convolution in front of it.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// Added to the variance: TensorFlow's default, which the networks ported from it keep.
const EPSILON: f64 = 1e-3;

/// Batch normalisation with frozen statistics.
#[derive(Module, Debug)]
pub struct BatchNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    running_mean: Param<Tensor<1>>,
    running_var: Param<Tensor<1>>,
}

impl BatchNorm {
    /// The identity (but for epsilon) on `channels` channels.
    pub fn new(channels: usize, device: &Device) -> Self {
        let ones = || Param::from_tensor(Tensor::ones([channels], device));
        let zeros = || Param::from_tensor(Tensor::zeros([channels], device));
        Self { weight: ones(), bias: zeros(), running_mean: zeros(), running_var: ones() }
    }

    /// Weight `[out, in, kh, kw]` and bias `[out]` of one convolution that does the same as the convolution by `weight`
    /// without bias, followed by this. Scaling a few thousand weights is cheaper than scaling pictures.
    pub fn fold(&self, weight: Tensor<4>) -> (Tensor<4>, Tensor<1>) {
        let scale = self.weight.val() / (self.running_var.val() + EPSILON).sqrt();
        let shift = self.bias.val() - self.running_mean.val() * scale.clone();
        let channels = scale.dims()[0];
        (weight * scale.reshape([channels, 1, 1, 1]), shift)
    }
}
