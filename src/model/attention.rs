//! What the priors share: attention, and the cache of keys and values of earlier positions.

use burn::prelude::*;
use burn::tensor::activation::softmax;

/// Added to the attention logit of a position that may not be seen; finite, because WGSL promises no infinities.
pub(super) const UNSEEN: f32 = -1e9;

/// The causal mask of `positions` positions, `[1, 1, positions, positions]`: 0 on and below the diagonal, -1e9 above.
pub(super) fn causal(positions: usize, device: &Device) -> Tensor<4> {
    Tensor::<2>::full([positions, positions], UNSEEN, device).triu(1).unsqueeze()
}

/// Every query takes a weighted mean of the values: `q` `[batch, heads, seq, head_dim]`, `k` and `v`
/// `[batch, kv_heads, len, head_dim]` → `[batch, seq, heads * head_dim]`. The caller has scaled them, where
/// that costs least: q·k is already divided by √head_dim.
pub(super) fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Option<Tensor<4>>) -> Tensor<3> {
    let [batch, heads, seq, head_dim] = q.dims();
    let [_, kv_heads, len, _] = k.dims();
    // Heads that share keys stack their queries, so that no key is ever copied. A reshape copies, so only then.
    let rows = heads / kv_heads * seq;
    let q = if kv_heads == heads { q } else { q.reshape([batch, kv_heads, rows, head_dim]) };
    let logits = q.matmul(k.transpose()).reshape([batch, heads, seq, len]);
    let logits = match mask {
        Some(mask) => logits + mask,
        None => logits,
    };
    let weights = softmax(logits, 3).reshape([batch, kv_heads, rows, len]);
    let y = weights.matmul(v).reshape([batch, heads, seq, head_dim]);
    y.swap_dims(1, 2).reshape([batch, seq, heads * head_dim]) // heads side by side
}

/// Keys and values of all positions so far, allocated once and overwritten by the next rollout.
#[derive(Clone, Debug)]
pub struct KvCache {
    pub(super) layers: Vec<LayerCache>,
    /// `[batch, 1, 1, positions]`: what is added to the attention logits, where captions are padded.
    pub(super) padding: Option<Tensor<4>>,
}

impl KvCache {
    /// Room for `layers` blocks, each `[batch, kv_heads, positions, head_dim]`.
    pub(super) fn new(layers: usize, shape: [usize; 4], device: &Device) -> Self {
        let zeros = || Tensor::zeros(shape, device);
        Self { layers: (0..layers).map(|_| LayerCache { keys: zeros(), values: zeros() }).collect(), padding: None }
    }
}

/// One block's part: both `[batch, n_kv_head, positions, head_dim]`.
#[derive(Clone, Debug)]
pub(super) struct LayerCache {
    keys: Tensor<4>,
    values: Tensor<4>,
}

impl LayerCache {
    /// Writes the next positions' `[batch, n_kv_head, seq, head_dim]` and returns views of all positions up to them.
    pub(super) fn push(&mut self, key: Tensor<4>, value: Tensor<4>, position: usize) -> [Tensor<4>; 2] {
        let at = position..position + key.dims()[2];
        // `inplace` moves the tensor out, so that the write may reuse its memory.
        self.keys.inplace(|t| t.slice_assign(s![.., .., at.clone(), ..], key));
        self.values.inplace(|t| t.slice_assign(s![.., .., at.clone(), ..], value));
        [&self.keys, &self.values].map(|t| t.clone().narrow(2, 0, at.end))
    }
}
