//! Reading results back from a device. Everything that waits for a device goes through here.

use burn::prelude::*;
use burn::tensor::Transaction;
use thiserror::Error;

/// The device gave no result: it ran out of memory, was lost, or a kernel failed.
#[derive(Clone, Debug, Error)]
#[error("the device failed: {0}")]
pub struct ReadError(pub String);

/// The values of a tensor, row-major.
///
/// # Errors
/// [`ReadError`].
pub async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ReadError> {
    let data = tensor.into_data_async().await.map_err(|e| ReadError(e.to_string()))?;
    Ok(data.iter::<f32>().collect())
}

/// Everything registered with a transaction, in that order: one wait for all of it.
///
/// # Errors
/// [`ReadError`], also where not `N` tensors were registered.
pub async fn read_together<const N: usize>(transaction: Transaction) -> Result<[TensorData; N], ReadError> {
    let all = transaction.execute_async().await.map_err(|e| ReadError(e.to_string()))?;
    all.try_into().map_err(|_| ReadError("a readback is incomplete".into()))
}

/// The values of an integer tensor, row-major.
///
/// # Errors
/// [`ReadError`].
pub async fn read_ids<const D: usize>(tensor: Tensor<D, Int>) -> Result<Vec<u32>, ReadError> {
    let data = tensor.into_data_async().await.map_err(|e| ReadError(e.to_string()))?;
    Ok(data.iter::<u32>().collect())
}
