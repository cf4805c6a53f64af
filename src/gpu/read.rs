//! Reading results back from a device. Everything that waits for a device goes through here.

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::Transaction;
use thiserror::Error;

use crate::platform::task::breathe;

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
/// [`ReadError`].
pub async fn read_all(transaction: Transaction) -> Result<Vec<TensorData>, ReadError> {
    transaction.execute_async().await.map_err(|e| ReadError(e.to_string()))
}

/// As [`read_all`], for a known number of tensors.
///
/// # Errors
/// [`ReadError`], also where not `N` tensors were registered.
pub async fn read_together<const N: usize>(transaction: Transaction) -> Result<[TensorData; N], ReadError> {
    read_all(transaction).await?.try_into().map_err(|_| ReadError("a readback is incomplete".into()))
}

/// The values of an integer tensor, row-major.
///
/// # Errors
/// [`ReadError`].
pub async fn read_ids<const D: usize>(tensor: Tensor<D, Int>) -> Result<Vec<u32>, ReadError> {
    let data = tensor.into_data_async().await.map_err(|e| ReadError(e.to_string()))?;
    Ok(data.iter::<u32>().collect())
}

/// The same network on the CPU, without autodiff: whatever is done with it there waits for no device. One readback.
///
/// # Errors
/// [`ReadError`].
pub async fn to_host<M: Module>(module: M) -> Result<M, ReadError> {
    let mut all = Collect(Some(Transaction::default()));
    module.visit(&mut all);
    let mut values = read_all(all.0.unwrap_or_default()).await?.into_iter();
    Ok(module.map(&mut Replace(&mut values)))
}

/// Registers every parameter.
struct Collect(Option<Transaction>);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 = self.0.take().map(|transaction| transaction.register(param.val()));
    }
}

/// Puts values in the place of every parameter, in the same order.
struct Replace<'a>(&'a mut std::vec::IntoIter<TensorData>);

impl ModuleMapper for Replace<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let value = self.0.next().map(|data| Tensor::from_data(data, &Device::flex())).unwrap_or(tensor);
        Param::from_mapped_value(id, value, mapper)
    }
}

/// Lets others have their turn. On a page that goes for the device too, which draws the page besides: what was given to it
/// is waited for before more is, so that a frame never stands behind a long queue.
pub async fn rest(device: &Device) {
    breathe().await;
    #[cfg(target_family = "wasm")]
    page::settle(device).await;
    #[cfg(not(target_family = "wasm"))]
    let _ = device;
}

#[cfg(target_family = "wasm")]
mod page {
    use std::cell::Cell;

    use burn::prelude::*;

    use crate::platform::clock::Stopwatch;

    /// Seconds of work that may be in the queue: a few frames.
    const QUEUE: f64 = 0.04;

    pub(super) async fn settle(device: &Device) {
        thread_local!(static SETTLED: Cell<Option<Stopwatch>> = const { Cell::new(None) });
        let long = SETTLED.get().is_none_or(|since| since.seconds() > QUEUE);
        if long && *device != Device::flex() {
            // What fails here fails again where the result is wanted.
            let _ = Tensor::<1>::zeros([1], device).into_data_async().await;
            SETTLED.set(Some(Stopwatch::start()));
        }
    }
}
