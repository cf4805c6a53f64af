//! Gumbel noise, made where the logits are: nothing but one key per sequence goes to the device for a token.
//!
//! A graphics card runs `shaders/gumbel.wgsl`; the CPU runs [`Key::gumbels`], which is also what the kernel is tested
//! against. Both make the same integers, and logarithms that agree to about 1e-6.

use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::wgpu::{CubeBackend, CubeTensor};
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};
use cubecl::ir::UIntKind;
use cubecl::ir::metadata::Info;
use cubecl::prelude::*;
use cubecl::server::KernelArguments;
use cubecl::{CubeKernel, PrecompiledSource};

use crate::platform::rng::Key;

/// Invocations of a workgroup.
const SIZE: u32 = 64;

/// The kernel, as WGSL that burn's own compiler never sees: only its workgroup size is filled in.
struct GumbelKernel;

impl CubeKernel for GumbelKernel {
    fn define(&self) -> KernelDefinition {
        let settings = KernelSettings::new(CubeDim::new_1d(SIZE).0, ExecutionMode::Checked, AddressType::U32);
        KernelDefinition { body: Scope::root(settings.clone()), settings, info: Info::default() }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        let source = include_str!("../../shaders/gumbel.wgsl").replace("{{ size }}", &SIZE.to_string());
        Some(PrecompiledSource { source, entrypoint_name: "main".into(), lang: "wgsl" })
    }
}

impl KernelMetadata for GumbelKernel {
    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info(SIZE)
    }

    fn address_type(&self) -> ElemType {
        UIntKind::U32.into()
    }
}

/// Noise for drawing tokens.
#[backend_extension(Cube, Flex, Fusion: cfg(feature = "fusion"))]
pub trait NoiseOps: Backend {
    /// The first Gumbel numbers of each row's key, in the shape `[rows, vocab]` and on the device of `like`.
    #[fusion(dtype = like, shape = like)]
    fn gumbel(like: FloatTensor<Self>, keys: Arc<[Key]>) -> FloatTensor<Self>;
}

impl NoiseOps for CubeBackend {
    fn gumbel(like: FloatTensor<Self>, keys: Arc<[Key]>) -> FloatTensor<Self> {
        let (shape, client) = (like.shape(), like.client.clone());
        let vocab = shape[1] as u32;
        let halves = keys.iter().flat_map(|key| [key.bits() as u32, (key.bits() >> 32) as u32]);
        let numbers: Vec<u32> = [vocab, 0].into_iter().chain(halves).collect();
        let numbers = client.create_from_slice(bytemuck::cast_slice(&numbers));
        let buffer = client.empty(shape.num_elements() * like.dtype.size());
        let noise = CubeTensor::new_contiguous(client.clone(), like.device.clone(), shape, buffer, like.dtype);
        client.launch(
            Box::new(GumbelKernel),
            CubeCount::Static(vocab.div_ceil(SIZE), keys.len() as u32, 1),
            KernelArguments::new().with_buffers(vec![noise.handle.clone().binding(), numbers.binding()]),
        );
        noise
    }
}

impl NoiseOps for Flex {
    fn gumbel(like: FloatTensor<Self>, keys: Arc<[Key]>) -> FloatTensor<Self> {
        let shape = like.shape();
        let noise: Vec<f32> = keys.iter().flat_map(|key| key.gumbels(shape[1])).collect();
        FloatTensor::<Self>::from_data(TensorData::new(noise, [shape[0], shape[1]]))
    }
}

/// `logits` `[rows, vocab]` plus the first `vocab` Gumbel numbers of each row's key: the likeliest token of the sum is
/// a draw from softmax(logits). Nothing is read back. The logits must be f32 and carry no gradient.
///
/// # Panics
/// If there are not as many keys as rows.
pub fn add_gumbel(logits: Tensor<2>, keys: &[Key]) -> Tensor<2> {
    assert_eq!(logits.dims()[0], keys.len(), "one key per row");
    let noise = Tensor::from_dispatch(Dispatch::gumbel(logits.clone().into_dispatch(), keys.into()));
    logits + noise
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{adapters, choose};
    use burn::prelude::Device;

    fn noisy(rows: usize, vocab: usize, device: &Device) -> Vec<f32> {
        let keys: Vec<Key> = (0..rows as u64).map(|i| Key::new(9).fold(i)).collect();
        let logits = Tensor::<2>::full([rows, vocab], 0.5, device);
        add_gumbel(logits, &keys).into_data().try_to_vec().expect("f32")
    }

    #[test]
    fn the_noise_of_a_row_is_that_of_its_key() {
        let noise = Key::new(9).fold(2).gumbels(33);
        let row = &noisy(3, 33, &Device::flex())[66..];
        assert!(row.iter().zip(&noise).all(|(a, b)| *a == 0.5 + b));
    }

    #[test]
    fn the_kernel_makes_the_noise_of_the_cpu_at_odd_sizes() {
        let Some(adapter) = adapters().into_iter().next() else { return eprintln!("skipped: no adapter here") };
        let gpu = choose(&adapter.index.to_string()).expect("a listed adapter opens").device;
        for (rows, vocab) in [(1, 1), (3, 63), (5, 65), (7, 4099)] {
            let (a, b) = (noisy(rows, vocab, &Device::flex()), noisy(rows, vocab, &gpu));
            let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "[{rows}, {vocab}]: {worst}");
        }
    }
}
