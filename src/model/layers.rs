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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::formats::Tensors;
    use crate::model::transformer::GptConfig;
    use crate::model::weights::{self, Loading};

    #[test]
    fn a_transformer_kept_in_half_precision_gives_nearly_the_same_logits() {
        let device = Device::flex();
        let config = GptConfig { n_kv_head: Some(1), ..GptConfig::tiny() };
        let full = config.init_random_head(&device);
        let file = Tensors::open(weights::save_bytes(&full, false, &[]).unwrap()).unwrap();
        let mut half = config.init(&device);
        weights::load_from(&mut half, &Arc::new(file), Loading { half: true, ..Loading::default() }).unwrap();
        let dtypes = [&half.output.weight, &half.tok_embeddings.weight, &half.layers[1].attention.wqkv.weight];
        assert_eq!(dtypes.map(|weight| weight.val().dtype()), [DType::F16; 3]);
        let tokens = || Tensor::from_data(TensorData::new((0..24).collect::<Vec<i32>>(), [2, 12]), &device);
        let class = || Tensor::from_data([3, 16], &device);
        let [a, b] = [&full, &half].map(|network| network.forward(class(), tokens()));
        assert_eq!(b.dtype(), DType::F32, "activations are in single precision");
        let largest = a.clone().abs().max().into_scalar::<f32>();
        let drift = (a - b).abs().max().into_scalar::<f32>();
        assert!(drift > 0.0 && drift < 2e-3 * largest, "{drift} of {largest}");
    }
}
