//! The layers the tokenizer and the feature network are built of, in the form that is fastest where they are trained.

use burn::backend::Dispatch;
use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

use super::ops::{Norm, PictureOps};

/// `layer.forward(x)` with a faster gradient; for layers with a bias, without dilation and padded explicitly (others
/// are run as they are): `[batch, in, h, w]` → `[batch, out, h', w']`.
pub fn conv(layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let (Some(bias), PaddingConfig2d::Explicit(top, left, bottom, right)) = (&layer.bias, &layer.padding) else {
        return layer.forward(x);
    };
    let padding = [(*top, *bottom), (*left, *right)];
    let options = ConvOptions::new_with_padding(layer.stride, padding, layer.dilation, layer.groups);
    convolve(x, layer.weight.val(), bias.val(), options)
}

/// The convolution of `x` `[batch, in, h, w]` by `weight` `[out, in / groups, kh, kw]`, plus `bias` `[out]`:
/// `[batch, out, h', w']`.
pub fn convolve(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, options: ConvOptions<2>) -> Tensor<4> {
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::conv(x, weight, bias, options))
}

/// A 1×1 convolution as one matrix product per picture: `[batch, in, h, w]` → `[batch, out, h, w]`.
pub fn pointwise(layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    let out = layer.weight.dims()[0];
    let y = layer.weight.val().reshape([1, out, c]).matmul(x.reshape([b, c, h * w]));
    let y = match &layer.bias {
        Some(bias) => y + bias.val().reshape([1, out, 1]),
        None => y,
    };
    y.reshape([b, out, h, w])
}

/// Group normalisation of `[batch, channels, h, w]`.
pub fn group_norm(norm: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    norm_act(norm, x, false)
}

/// [`group_norm`] followed by x · sigmoid(x).
pub fn group_norm_silu(norm: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    norm_act(norm, x, true)
}

fn norm_act(norm: &GroupNorm, x: Tensor<4>, silu: bool) -> Tensor<4> {
    let (channels, device) = (norm.num_channels, x.device());
    let weight = |w: &Option<Param<Tensor<1>>>, otherwise: f64| match w {
        Some(w) => w.val(),
        None => Tensor::full([channels], otherwise, &device),
    };
    Tensor::from_dispatch(Dispatch::norm_act(
        x.into_dispatch(),
        weight(&norm.gamma, 1.0).into_dispatch(),
        weight(&norm.beta, 0.0).into_dispatch(),
        Norm { groups: norm.num_groups, epsilon: norm.epsilon, silu },
    ))
}
