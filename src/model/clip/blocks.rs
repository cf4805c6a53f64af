//! The transformer inside each of CLIP's towers, with PyTorch's key names.

use burn::module::{Initializer, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::module::linear as product;

use crate::model::gelu::gelu;
use crate::model::layers::{linear, single};

/// What both towers' transformers are made from.
pub(super) struct TransformerShape {
    pub(super) width: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) mlp_ratio: f64,
    pub(super) quick_gelu: bool,
}

impl TransformerShape {
    /// Spreads as OpenAI's `initialize_parameters`: what is added to the residual stream shrinks with depth.
    pub(super) fn init(&self, device: &Device) -> Transformer {
        assert_eq!(self.width % self.heads, 0, "heads share the width evenly");
        let (width, deep) = (self.width as f64, (2.0 * self.layers as f64).powf(-0.5));
        // A ratio read off a file's sizes may come out a hair below the whole number.
        let hidden = (width * self.mlp_ratio).round() as usize;
        let normal = |std: f64| Initializer::Normal { mean: 0.0, std };
        // burn's linear layers draw their bias from the same distribution as the weight: it has to start at 0.
        let layer = |from: usize, to: usize, std: f64| {
            let mut layer = LinearConfig::new(from, to).with_initializer(normal(std)).init(device);
            layer.bias = Some(Initializer::Zeros.init([to], device));
            layer
        };
        let block = |_| ResidualAttentionBlock {
            ln_1: LayerNormConfig::new(self.width).init(device),
            attn: Attention {
                in_proj_weight: normal(width.powf(-0.5)).init([3 * self.width, self.width], device),
                in_proj_bias: Initializer::Zeros.init([3 * self.width], device),
                out_proj: layer(self.width, self.width, width.powf(-0.5) * deep),
                heads: self.heads,
            },
            ln_2: LayerNormConfig::new(self.width).init(device),
            mlp: Mlp {
                c_fc: layer(self.width, hidden, (2.0 * width).powf(-0.5)),
                c_proj: layer(hidden, self.width, width.powf(-0.5) * deep),
                quick_gelu: self.quick_gelu,
            },
        };
        Transformer { resblocks: (0..self.layers).map(block).collect() }
    }
}

/// A stack of blocks.
#[derive(Module, Debug)]
pub struct Transformer {
    /// The blocks, first to last.
    pub resblocks: Vec<ResidualAttentionBlock>,
}

impl Transformer {
    /// `[n, len, width]` → the same; `mask` `[1, 1, len, len]` is added to the attention logits.
    pub fn forward(&self, x: Tensor<3>, mask: Option<Tensor<4>>) -> Tensor<3> {
        self.resblocks.iter().fold(x, |x, block| block.forward(x, mask.clone()))
    }
}

/// Attention, then a two-layer network; each reads a normed copy of the residual stream and adds to it.
#[derive(Module, Debug)]
pub struct ResidualAttentionBlock {
    /// Norm before attention.
    pub ln_1: LayerNorm,
    /// Looks at other positions.
    pub attn: Attention,
    /// Norm before the network.
    pub ln_2: LayerNorm,
    /// Thinks about each position.
    pub mlp: Mlp,
}

impl ResidualAttentionBlock {
    /// `[n, len, width]` → the same.
    pub fn forward(&self, x: Tensor<3>, mask: Option<Tensor<4>>) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(self.ln_1.forward(x), mask);
        x.clone() + self.mlp.forward(self.ln_2.forward(x))
    }
}

/// Multi-head self-attention with PyTorch's key names (`nn.MultiheadAttention`).
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries, keys and values in one product, `[3 * width, width]` as PyTorch lays it out.
    pub in_proj_weight: Param<Tensor<2>>,
    /// Its bias, `[3 * width]`.
    pub in_proj_bias: Param<Tensor<1>>,
    /// Heads back to the residual stream.
    pub out_proj: Linear,
    heads: usize,
}

impl Attention {
    /// `[n, len, width]` → the same.
    pub fn forward(&self, x: Tensor<3>, mask: Option<Tensor<4>>) -> Tensor<3> {
        let [n, len, width] = x.dims();
        let (heads, head) = (self.heads, width / self.heads);
        let qkv = product(x, single(&self.in_proj_weight).transpose(), Some(self.in_proj_bias.val()));
        let [q, k, v] = [0, 1, 2]
            .map(|part| qkv.clone().narrow(2, part * width, width).reshape([n, len, heads, head]).swap_dims(1, 2)); // [n, heads, len, head]
        let logits = (q * (head as f64).powf(-0.5)).matmul(k.transpose()); // [n, heads, len, len]
        let logits = match mask {
            Some(mask) => logits + mask,
            None => logits,
        };
        let y = softmax(logits, 3).matmul(v).swap_dims(1, 2).reshape([n, len, width]); // heads side by side
        linear(&self.out_proj, y)
    }
}

/// The two-layer network of a block.
#[derive(Module, Debug)]
pub struct Mlp {
    /// To the hidden layer.
    pub c_fc: Linear,
    /// Back to the residual stream.
    pub c_proj: Linear,
    quick_gelu: bool,
}

impl Mlp {
    /// `[n, len, width]` → the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = linear(&self.c_fc, x);
        let x = if self.quick_gelu { x.clone() * sigmoid(x * 1.702) } else { gelu(x) };
        linear(&self.c_proj, x)
    }
}
