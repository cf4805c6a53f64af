//! [`PictureOps`] on burn's CPU backend.
//!
//! Convolutions take a few rows of one picture at a time: their patches stay in the cache between being laid out and
//! being multiplied, and every core has its own pictures. On 2 cores a 3×3 convolution of `[32, 32, 32, 32]` with both
//! its gradients takes half the processor time of the backend's own, which converts whole batches to another layout.

use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Shape, TensorData};

use super::cpu::{Normalization, Unroll, cores, shared};
use super::ops::{Norm, PictureOps, composed_norm_act, composed_norm_act_backward};

type Floats = FloatTensor<Flex>;

/// Most numbers in the patches of a tile: a quarter of a megabyte.
const TILE: usize = 1 << 16;

/// Most multiply-adds in a tile: beyond 7 million the backend would start threads of its own inside ours.
const TILE_WORK: usize = 6_000_000;

/// Multiply-adds that take about as long as touching one number elsewhere.
const WORK_PER_NUMBER: usize = 16;

fn floats<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Floats {
    Floats::from_data(TensorData::new(values, shape))
}

/// A convolution as products of `[out, in · kh · kw]` with patches.
struct Product {
    unroll: Unroll,
    channels: usize,
    out: usize,
}

impl Product {
    /// Rows of a picture's patches.
    fn patch(&self) -> usize {
        self.channels * self.unroll.kernel[0] * self.unroll.kernel[1]
    }

    fn pixels(&self) -> usize {
        self.unroll.out[0] * self.unroll.out[1]
    }

    fn picture(&self) -> usize {
        self.channels * self.unroll.size[0] * self.unroll.size[1]
    }

    /// What the work on `batch` pictures weighs for [`shared`].
    fn weight(&self, batch: usize) -> usize {
        batch * self.out * self.patch() * self.pixels() / WORK_PER_NUMBER
    }

    /// Calls `work` with the first pixel and the patches `[patch, pixels]` of every tile of picture `x`.
    fn tiles(&self, x: &[f32], mut work: impl FnMut(usize, usize, Floats)) {
        let [height, width] = self.unroll.out;
        let line = self.patch() * width;
        let rows = (TILE / line).min(TILE_WORK / (line * self.out)).max(1);
        for start in (0..height).step_by(rows) {
            let end = (start + rows).min(height);
            let pixels = (end - start) * width;
            work(start * width, pixels, floats(self.unroll.rows(x, start..end), [self.patch(), pixels]));
        }
    }

    /// The convolution of `x` `[batch, in, h, w]` by `weight` plus a number per channel.
    fn forward(&self, x: &Floats, weight: Floats, bias: Option<&[f32]>) -> Floats {
        let batch = x.shape()[0];
        let x = x.to_contiguous();
        let weight = Flex::float_reshape(weight, Shape::new([self.out, self.patch()]));
        let pixels = self.pixels();
        let mut y = vec![0.0; batch * self.out * pixels];
        let pictures = x.storage::<f32>().chunks_exact(self.picture());
        let items = pictures.zip(y.chunks_exact_mut(self.out * pixels)).collect();
        shared(items, self.weight(batch), |(x, y): (&[f32], &mut [f32])| {
            self.tiles(x, |first, n, patches| {
                let product = Flex::float_matmul(weight.clone(), patches);
                let planes = product.storage::<f32>().chunks_exact(n).zip(y.chunks_exact_mut(pixels));
                for (channel, (product, plane)) in planes.enumerate() {
                    let bias = bias.map_or(0.0, |bias| bias[channel]);
                    for (y, p) in plane[first..first + n].iter_mut().zip(product) {
                        *y = p + bias;
                    }
                }
            });
        });
        floats(y, [batch, self.out, self.unroll.out[0], self.unroll.out[1]])
    }

    /// Gradient for the weight, given the gradient of the result `[batch, out, h', w']`: `[out · in · kh · kw]`.
    fn weight_backward(&self, x: &Floats, grad: &Floats) -> Vec<f32> {
        let batch = x.shape()[0];
        let (x, grad) = (x.to_contiguous(), grad.to_contiguous());
        let (x, grad): (&[f32], &[f32]) = (x.storage(), grad.storage());
        let (picture, result, pixels) = (self.picture(), self.out * self.pixels(), self.pixels());
        // One sum per core: sums of 32-bit numbers also stay more accurate in parts.
        let part = batch.div_ceil(cores()).max(1);
        let mut sums = vec![vec![0.0; self.out * self.patch()]; batch.div_ceil(part)];
        let items = x.chunks(part * picture).zip(grad.chunks(part * result)).zip(&mut sums).collect();
        shared(items, self.weight(batch), |((x, grad), sum): ((&[f32], &[f32]), &mut Vec<f32>)| {
            for (x, grad) in x.chunks_exact(picture).zip(grad.chunks_exact(result)) {
                self.tiles(x, |first, n, patches| {
                    let grad = grad.chunks_exact(pixels).flat_map(|plane| &plane[first..first + n]).copied().collect();
                    let grad = floats(grad, [self.out, n]);
                    let product = Flex::float_matmul(grad, Flex::float_swap_dims(patches, 0, 1));
                    for (sum, p) in sum.iter_mut().zip(product.storage::<f32>()) {
                        *sum += p;
                    }
                });
            }
        });
        let add = |mut a: Vec<f32>, b: Vec<f32>| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        };
        sums.into_iter().reduce(add).unwrap_or_else(|| vec![0.0; self.out * self.patch()])
    }
}

/// Whether the loops cover a convolution of `x`.
fn covered(x: &Floats, options: &ConvOptions<2>) -> bool {
    options.groups == 1 && options.dilation == [1, 1] && x.dtype() == DType::F32
}

impl PictureOps for Flex {
    fn norm_act(x: Floats, gamma: Floats, beta: Floats, norm: Norm) -> Floats {
        if x.dtype() != DType::F32 {
            return composed_norm_act::<Self>(x, gamma, beta, norm);
        }
        let shape: [usize; 4] = x.shape().dims();
        let (x, gamma, beta) = (x.to_contiguous(), gamma.to_contiguous(), beta.to_contiguous());
        floats(Normalization::new(shape, norm, gamma.storage(), beta.storage()).forward(x.storage()), shape)
    }

    fn norm_act_backward(x: Floats, gamma: Floats, beta: Floats, grad: Floats, norm: Norm) -> (Floats, Floats, Floats) {
        if x.dtype() != DType::F32 {
            return composed_norm_act_backward::<Self>(x, gamma, beta, grad, norm);
        }
        let shape: [usize; 4] = x.shape().dims();
        let (x, grad) = (x.to_contiguous(), grad.to_contiguous());
        let (gamma, beta) = (gamma.to_contiguous(), beta.to_contiguous());
        let plan = Normalization::new(shape, norm, gamma.storage(), beta.storage());
        let (d_x, d_gamma, d_beta) = plan.backward(x.storage(), grad.storage());
        (floats(d_x, shape), floats(d_gamma, [shape[1]]), floats(d_beta, [shape[1]]))
    }

    fn conv(x: Floats, weight: Floats, bias: Floats, options: ConvOptions<2>) -> Floats {
        if !covered(&x, &options) {
            return Self::conv2d(x, weight, Some(bias), options);
        }
        let [_, _, h, w] = x.shape().dims();
        let [out, channels, kh, kw] = weight.shape().dims();
        let [(top, bottom), (left, right)] = options.padding;
        let [down, across] = options.stride;
        let unroll = Unroll {
            size: [h, w],
            kernel: [kh, kw],
            out: [(h + top + bottom - kh) / down + 1, (w + left + right - kw) / across + 1],
            stride: options.stride,
            pad: [top, left],
        };
        Product { unroll, channels, out }.forward(&x, weight, Some(bias.to_contiguous().storage()))
    }

    fn conv_x_backward(x: Floats, weight: Floats, grad: Floats, options: ConvOptions<2>) -> Floats {
        let [_, _, h, w] = x.shape().dims();
        let [out, channels, kh, kw] = weight.shape().dims();
        let [top, left] = options.padding_begin();
        if !covered(&x, &options) || options.stride != [1, 1] || top >= kh || left >= kw {
            return Self::conv2d_x_backward(x, weight, grad, options);
        }
        // With steps of one the gradient is itself a convolution, by the kernel turned by half a turn.
        let [_, _, out_h, out_w] = grad.shape().dims();
        let unroll = Unroll {
            size: [out_h, out_w],
            kernel: [kh, kw],
            out: [h, w],
            stride: [1, 1],
            pad: [kh - 1 - top, kw - 1 - left],
        };
        let turned = Self::float_swap_dims(Self::float_flip(weight, &[2, 3]), 0, 1);
        Product { unroll, channels: out, out: channels }.forward(&grad, turned, None)
    }

    fn conv_weight_backward(x: Floats, weight: Floats, grad: Floats, options: ConvOptions<2>) -> Floats {
        if !covered(&x, &options) {
            return Self::conv2d_weight_backward(x, weight, grad, options);
        }
        let [_, _, h, w] = x.shape().dims();
        let [out, channels, kh, kw] = weight.shape().dims();
        let [_, _, out_h, out_w] = grad.shape().dims();
        let unroll = Unroll {
            size: [h, w],
            kernel: [kh, kw],
            out: [out_h, out_w],
            stride: options.stride,
            pad: options.padding_begin(),
        };
        floats(Product { unroll, channels, out }.weight_backward(&x, &grad), [out, channels, kh, kw])
    }
}
