//! Gradients by the peer's key names, to be compared with golden ones.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::case::host;

/// Gradients of `module` by PyTorch key, in PyTorch layout; parameters without one are left out.
pub fn by_key<M: Module>(module: &M, grads: &GradientsParams) -> BTreeMap<String, Vec<f64>> {
    let mut named = NamedGradients { grads, path: vec![], found: BTreeMap::new() };
    module.visit(&mut named);
    named.found
}

struct NamedGradients<'a> {
    grads: &'a GradientsParams,
    path: Vec<(String, String)>,
    found: BTreeMap<String, Vec<f64>>,
}

impl ModuleVisitor for NamedGradients<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push((name.to_owned(), container.to_owned()));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.get::<D>(param.id) else { return };
        let inside = self.path.iter().any(|(_, container)| container == "Struct:Linear");
        let grad = if inside && D == 2 { grad.transpose() } else { grad };
        let segments = self.path.iter().filter(|(_, container)| !container.starts_with("Enum:"));
        let path: Vec<&str> = segments.map(|(name, _)| name.as_str()).collect();
        let key = path.join(".").replace("gamma", "weight");
        let values = host(grad).expect("f32 gradients");
        self.found.insert(key, values.into_iter().map(f64::from).collect());
    }
}
