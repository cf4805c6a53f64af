//! The exact Gaussian error linear unit, `x Φ(x)`, with its exact gradient.
//!
//! burn computes the unit itself exactly, but outside of its CPU backend takes the gradient of the approximation by a
//! hyperbolic tangent: off by some 1e-4 in the gradients of a network. Published networks were trained with the exact
//! one.

use std::f64::consts::{PI, SQRT_2};

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::ActivationOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::wgpu::CubeBackend;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

/// `x Φ(x)` of every element, PyTorch's `nn.GELU()`.
pub(super) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::exact_gelu(x.into_dispatch()))
}

/// The unit as an operation of its own: only its input is kept for the gradient.
#[backend_extension(Cube, Flex, Autodiff, Fusion: cfg(feature = "fusion"))]
pub trait GeluOps: Backend {
    /// `x Φ(x)`.
    #[fusion(default)]
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::gelu(x)
    }

    /// `grad (Φ(x) + x φ(x))`.
    #[fusion(default)]
    fn exact_gelu_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let erf = Self::float_erf(Self::float_div_scalar(x.clone(), SQRT_2.into()));
        let below = Self::float_mul_scalar(Self::float_add_scalar(erf, 1.0.into()), 0.5.into());
        let square = Self::float_mul(x.clone(), x.clone());
        let bell = Self::float_exp(Self::float_mul_scalar(square, (-0.5).into()));
        let slope = Self::float_mul_scalar(Self::float_mul(x, bell), (2.0 * PI).sqrt().recip().into());
        Self::float_mul(grad, Self::float_add(below, slope))
    }
}

impl GeluOps for CubeBackend {}

impl GeluOps for Flex {
    fn exact_gelu_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::gelu_backward(x, grad) // exact here, and one loop
    }
}

#[derive(Debug)]
struct GeluBackward;

impl<B: GeluOps> Backward<B, 1> for GeluBackward {
    type State = NodeId;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(ops.state);
        let grad = grads.consume::<B>(&ops.node);
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            grads.register::<B>(parent.id, B::exact_gelu_backward(x, grad));
        }
    }
}

impl<B: GeluOps, C: CheckpointStrategy> GeluOps for Autodiff<B, C> {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match GeluBackward.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = prep.checkpoint(&x);
                prep.finish(saved, B::exact_gelu(x.into_primitive()))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::exact_gelu(x.into_primitive())),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::prelude::*;

    use super::*;
    use crate::gpu::{adapters, choose};

    #[test]
    fn values_and_slopes_are_the_exact_ones_on_every_device() {
        // Values and slopes by Python's math.erf.
        let x = [-3.0, -1.0, -0.1, 0.0, 0.5, 2.0];
        let y = [-0.004_049_694, -0.158_655_25, -0.046_017_22, 0.0, 0.345_731_23, 1.954_499_7];
        let slope = [-0.011_945_647, -0.083_315_47, 0.420_476_9, 0.5, 0.867_495_1, 1.085_231_8];
        let gpu = adapters().into_iter().next().map(|a| choose(&a.index.to_string()).expect("a listed adapter opens"));
        for device in [Some(Device::flex()), gpu.map(|chosen| chosen.device)].into_iter().flatten() {
            let x = Tensor::<1>::from_floats(x, &device.autodiff()).require_grad();
            let out = gelu(x.clone());
            let grads = out.clone().sum().backward();
            let values = |t: Tensor<1>| t.into_data().try_to_vec::<f32>().unwrap();
            for (got, want) in [(values(out.inner()), y), (values(x.grad(&grads).unwrap()), slope)] {
                let worst = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-6, "{got:?} {want:?}");
            }
        }
    }
}
