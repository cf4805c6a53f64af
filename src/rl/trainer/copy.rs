//! The policy that learns: a copy of the prior on the autodiff device.

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::FloatDType;

use crate::model::family::Family;
use crate::model::policy::Policy;

/// A copy of the prior that records gradients. (Made fresh and filled: weights that were loaded without autodiff
/// would stay without it.)
pub(super) fn autodiff_copy(family: &Family, device: &Device) -> Policy {
    let mut values = Values(vec![]);
    family.prior.visit(&mut values);
    let fresh = family.prior.config().init(&device.clone().autodiff());
    fresh.map(&mut Fill(values.0.into_iter())).with_captions_of(&family.prior)
}

/// The values of every parameter, flat. (A record would hold them on the host, and a page cannot wait for that.)
struct Values(Vec<Tensor<1>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Where a frozen copy is kept in half precision, the one that learns begins with the same numbers.
        self.0.push(param.val().cast(FloatDType::F32).flatten(0, D - 1));
    }
}

/// Gives parameters these values, in the same order; those that learn go on learning.
struct Fill(std::vec::IntoIter<Tensor<1>>);

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let (shape, learns) = (tensor.dims(), tensor.is_require_grad());
        let value = self.0.next().map(|value| Tensor::from_inner(value.reshape(shape)).set_require_grad(learns));
        Param::from_mapped_value(id, value.unwrap_or(tensor), mapper)
    }
}
