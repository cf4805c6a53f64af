//! Convolution, and group normalisation with SiLU, as operations with gradients written by hand: training on a CPU
//! spends its time in these two.
//!
//! Every backend gets them as compositions of its own operations; the CPU backend gets loops ([`super::flex`]).

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::wgpu::CubeBackend;
use burn::backend::{Autodiff, Backend, TensorMetadata, backend_extension};
use burn::tensor::Shape;
use burn::tensor::ops::ConvOptions;

/// Fixed numbers of a normalisation.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// Groups of channels that share a mean and a deviation.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether y · sigmoid(y) follows.
    pub silu: bool,
}

/// Operations on pictures `[batch, channels, h, w]`.
#[backend_extension(Cube, Flex, Autodiff, Fusion: cfg(feature = "fusion"))]
pub trait PictureOps: Backend {
    /// Group normalisation with weights `[channels]`, optionally followed by SiLU.
    #[fusion(default)]
    fn norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> FloatTensor<Self> {
        composed_norm_act::<Self>(x, gamma, beta, norm)
    }

    /// Gradients of [`PictureOps::norm_act`] for the picture and both weights.
    #[fusion(default)]
    fn norm_act_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed_norm_act_backward::<Self>(x, gamma, beta, grad, norm)
    }

    /// Convolution with weights `[out, in, kh, kw]` and `[out]`.
    #[fusion(default)]
    fn conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        Self::conv2d(x, weight, Some(bias), options)
    }

    /// Gradient of [`PictureOps::conv`] for the picture.
    #[fusion(default)]
    fn conv_x_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        Self::conv2d_x_backward(x, weight, grad, options)
    }

    /// Gradient of [`PictureOps::conv`] for its weight.
    #[fusion(default)]
    fn conv_weight_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        Self::conv2d_weight_backward(x, weight, grad, options)
    }
}

impl PictureOps for CubeBackend {}

/// Mean-free, unit-variance x as `[batch, groups, rest]`, and the reciprocal deviation `[batch, groups, 1]`.
fn standardized<B: Backend>(x: FloatTensor<B>, norm: Norm) -> (FloatTensor<B>, FloatTensor<B>) {
    let [b, c, h, w] = x.shape().dims();
    let x = B::float_reshape(x, Shape::new([b, norm.groups, c / norm.groups * h * w]));
    let centred = B::float_sub(x.clone(), B::float_mean_dim(x, 2));
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), 2);
    let inverse = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, norm.epsilon.into())));
    (B::float_mul(centred, inverse.clone()), inverse)
}

/// gamma · unit + beta over `[batch, channels, h · w]`.
fn affine<B: Backend>(
    unit: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    flat: [usize; 3],
) -> FloatTensor<B> {
    let weight = |w| B::float_reshape(w, Shape::new([1, flat[1], 1]));
    B::float_add(B::float_mul(B::float_reshape(unit, Shape::new(flat)), weight(gamma)), weight(beta))
}

/// [`PictureOps::norm_act`] out of the backend's own operations.
pub fn composed_norm_act<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    norm: Norm,
) -> FloatTensor<B> {
    let shape = x.shape();
    let [b, c, h, w] = shape.dims();
    let (unit, _) = standardized::<B>(x, norm);
    let y = affine::<B>(unit, gamma, beta, [b, c, h * w]);
    let y = if norm.silu { B::float_mul(y.clone(), B::sigmoid(y)) } else { y };
    B::float_reshape(y, shape)
}

/// [`PictureOps::norm_act_backward`] out of the backend's own operations.
pub fn composed_norm_act_backward<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    grad: FloatTensor<B>,
    norm: Norm,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let shape = x.shape();
    let [b, c, h, w] = shape.dims();
    let flat = [b, c, h * w];
    let (unit, inverse) = standardized::<B>(x, norm);
    let grad = B::float_reshape(grad, Shape::new(flat));
    let grad = if norm.silu {
        // d(y s)/dy = s (1 + y (1 - s)) = s + y s (1 - s)
        let y = affine::<B>(unit.clone(), gamma.clone(), beta, flat);
        let s = B::sigmoid(y.clone());
        let ys = B::float_mul(y, s.clone());
        let slope = B::float_add(s.clone(), B::float_sub(ys.clone(), B::float_mul(ys, s)));
        B::float_mul(grad, slope)
    } else {
        grad
    };
    let per_channel = |t| B::float_reshape(B::float_sum_dim(B::float_sum_dim(t, 2), 0), Shape::new([c]));
    let unit_flat = B::float_reshape(unit.clone(), Shape::new(flat));
    let d_gamma = per_channel(B::float_mul(grad.clone(), unit_flat));
    let d_beta = per_channel(grad.clone());
    let gamma = B::float_reshape(gamma, Shape::new([1, c, 1]));
    let d_unit = B::float_reshape(B::float_mul(grad, gamma), unit.shape());
    let mean = B::float_mean_dim(d_unit.clone(), 2);
    let along = B::float_mean_dim(B::float_mul(d_unit.clone(), unit.clone()), 2);
    let d_x = B::float_sub(B::float_sub(d_unit, mean), B::float_mul(unit, along));
    (B::float_reshape(B::float_mul(d_x, inverse), shape), d_gamma, d_beta)
}

#[derive(Debug)]
struct NormActBackward;

impl<B: PictureOps> Backward<B, 3> for NormActBackward {
    type State = ([NodeId; 3], Norm);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let (nodes, norm) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let [x, gamma, beta] = nodes.map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        let (x, gamma, beta) = B::norm_act_backward(x, gamma, beta, grad, norm);
        for (parent, grad) in ops.parents.into_iter().zip([x, gamma, beta]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

#[derive(Debug)]
struct ConvBackward;

impl<B: PictureOps> Backward<B, 3> for ConvBackward {
    type State = ([NodeId; 3], ConvOptions<2>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let (nodes, options) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let [x, weight, bias] = nodes.map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        let [x_parent, weight_parent, bias_parent] = ops.parents;
        if let Some(parent) = x_parent {
            let grad = B::conv_x_backward(x.clone(), weight.clone(), grad.clone(), options.clone());
            grads.register::<B>(parent.id, grad);
        }
        if let Some(parent) = weight_parent {
            grads.register::<B>(parent.id, B::conv_weight_backward(x, weight, grad.clone(), options));
        }
        if let Some(parent) = bias_parent {
            let [b, c, h, w] = grad.shape().dims();
            let flat = B::float_reshape(grad, Shape::new([b, c, h * w]));
            let sum = B::float_sum_dim(B::float_sum_dim(flat, 2), 0);
            grads.register::<B>(parent.id, B::float_reshape(sum, bias.shape()));
        }
    }
}

impl<B: PictureOps, C: CheckpointStrategy> PictureOps for Autodiff<B, C> {
    fn norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), gamma.node(), beta.node()];
        match NormActBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = [&x, &gamma, &beta].map(|tensor| prep.checkpoint(tensor));
                let [x, gamma, beta] = [x, gamma, beta].map(|tensor| tensor.into_primitive());
                prep.finish((saved, norm), B::norm_act(x, gamma, beta, norm))
            }
            OpsKind::UnTracked(prep) => {
                let [x, gamma, beta] = [x, gamma, beta].map(|tensor| tensor.into_primitive());
                prep.finish(B::norm_act(x, gamma, beta, norm))
            }
        }
    }

    fn conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        match ConvBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = [&x, &weight, &bias].map(|tensor| prep.checkpoint(tensor));
                let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.into_primitive());
                prep.finish((saved, options.clone()), B::conv(x, weight, bias, options))
            }
            OpsKind::UnTracked(prep) => {
                let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.into_primitive());
                prep.finish(B::conv(x, weight, bias, options))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::layers::{conv, group_norm_silu};
    use burn::nn::conv::Conv2dConfig;
    use burn::nn::{GroupNormConfig, PaddingConfig2d};
    use burn::tensor::activation::silu;
    use burn::tensor::{Device, Distribution, Tensor};

    /// Largest difference, relative to the largest value.
    fn difference<const D: usize>(a: Option<Tensor<D>>, b: Option<Tensor<D>>) -> f32 {
        let (a, b) = (a.unwrap(), b.unwrap());
        let largest = b.clone().abs().max().into_scalar::<f32>();
        (a - b).abs().max().into_scalar::<f32>() / largest
    }

    #[test]
    fn the_fused_normalisation_and_its_gradients_equal_the_plain_ones() {
        let device = Device::flex().autodiff();
        for (channels, groups, side) in [(32, 32, 5), (64, 16, 4), (8, 2, 1)] {
            let mut norm = GroupNormConfig::new(groups, channels).init(&device);
            let random = |w: Tensor<1>| w.random_like(Distribution::Normal(0.5, 1.0)).require_grad();
            norm.gamma = norm.gamma.map(|w| w.map(random));
            norm.beta = norm.beta.map(|w| w.map(random));
            let random = |shape| Tensor::<4>::random(shape, Distribution::Normal(2.0, 3.0), &device);
            let shape = [3, channels, side, side + 1];
            let (x, factor) = (random(shape).require_grad(), random(shape));
            let (fused, plain) = (group_norm_silu(&norm, x.clone()), silu(norm.forward(x.clone())));
            assert!(difference(Some(fused.clone()), Some(plain.clone())) < 1e-5);
            let (f, p) = ((fused * factor.clone()).sum().backward(), (plain * factor).sum().backward());
            assert!(difference(x.grad(&f), x.grad(&p)) < 1e-5);
            for weight in [norm.gamma.as_ref().unwrap().val(), norm.beta.as_ref().unwrap().val()] {
                assert!(difference(weight.grad(&f), weight.grad(&p)) < 1e-5);
            }
        }
    }

    #[test]
    fn the_convolution_and_its_gradients_equal_the_plain_ones() {
        let device = Device::flex().autodiff();
        let cases = [(1, PaddingConfig2d::Explicit(1, 1, 1, 1)), (2, PaddingConfig2d::Explicit(0, 0, 1, 1))];
        for (stride, padding) in cases {
            let layer = Conv2dConfig::new([24, 40], [3, 3]).with_stride([stride, stride]).with_padding(padding);
            let layer = layer.init(&device);
            let x = Tensor::<4>::random([5, 24, 30, 32], Distribution::Default, &device).require_grad();
            let (ours, plain) = (conv(&layer, x.clone()), layer.forward(x.clone()));
            let factor = plain.random_like(Distribution::Default);
            assert!(difference(Some(ours.clone()), Some(plain.clone())) < 1e-5);
            let (o, p) = ((ours * factor.clone()).sum().backward(), (plain * factor).sum().backward());
            assert!(difference(x.grad(&o), x.grad(&p)) < 1e-5);
            assert!(difference(layer.weight.grad(&o), layer.weight.grad(&p)) < 1e-5);
            let bias = layer.bias.as_ref().unwrap();
            assert!(difference(bias.grad(&o), bias.grad(&p)) < 1e-5);
        }
    }
}
