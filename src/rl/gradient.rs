//! Gradients as a whole: their global norm, and scaling them to it.
//!
//! burn's own clipping works tensor by tensor; the method clips the norm of all gradients together.

use burn::module::{ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;

/// Sum of squares of every gradient of `module`, `[1]`, on the device. NaN or infinite where any gradient is.
pub fn squared_norm<M: Module>(module: &M, grads: &GradientsParams) -> Option<Tensor<1>> {
    let mut visitor = SquaredNorm { grads, sum: None };
    module.visit(&mut visitor);
    visitor.sum
}

/// Every gradient times `factor`.
pub fn scale<M: Module>(module: &M, grads: GradientsParams, factor: f64) -> GradientsParams {
    let mut visitor = Scale { from: grads, to: GradientsParams::new(), factor };
    module.visit(&mut visitor);
    visitor.to
}

struct SquaredNorm<'a> {
    grads: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.get::<D>(param.id) else { return };
        let part = grad.square().sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + part,
            None => part,
        });
    }
}

struct Scale {
    from: GradientsParams,
    to: GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.from.remove::<D>(param.id) else { return };
        self.to.register(param.id, grad.mul_scalar(self.factor));
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;

    use super::*;

    #[test]
    fn the_norm_is_over_all_gradients_and_scaling_scales_it() {
        let device = Device::flex().autodiff();
        let linear = LinearConfig::new(2, 1).init(&device);
        let x = Tensor::<2>::from_data([[3.0, 4.0]], &device);
        let grads = GradientsParams::from_grads(linear.forward(x).sum().backward(), &linear);
        // d/dw = x, d/db = 1: squared norm 9 + 16 + 1
        let norm = |g: &GradientsParams| squared_norm(&linear, g).expect("gradients").into_scalar::<f32>();
        assert!((norm(&grads) - 26.0).abs() < 1e-4);
        assert!((norm(&scale(&linear, grads, 0.5)) - 6.5).abs() < 1e-4);
    }
}
