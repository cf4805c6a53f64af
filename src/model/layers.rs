//! Layers whose weights may be stored in half precision and that compute in single precision all the same: a frozen
//! network then takes half the memory on the device, and its sums lose nothing. Each weight is widened when its layer's
//! turn comes.

use burn::module::Param;
use burn::nn::{Embedding, Linear};
use burn::tensor::{DType, Int, Tensor};

/// The numbers of a parameter in single precision.
pub fn single<const D: usize>(param: &Param<Tensor<D>>) -> Tensor<D> {
    widened(param.val())
}

fn widened<const D: usize>(weight: Tensor<D>) -> Tensor<D> {
    if weight.dtype() == DType::F32 { weight } else { weight.cast(DType::F32) }
}

/// `[.., in]` → `[.., out]`.
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    burn::tensor::module::linear(x, single(&layer.weight), layer.bias.as_ref().map(single))
}

/// Ids `[batch, seq]` → their rows `[batch, seq, width]`. Only the rows that are asked for are widened.
pub fn embedding(table: &Embedding, ids: Tensor<2, Int>) -> Tensor<3> {
    widened(table.forward(ids))
}
