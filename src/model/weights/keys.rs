//! What a network's file must hold, by the names that PyTorch would give it, and what it may hold besides.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::prelude::*;
use burn::store::burn_pack::{self, Tensor as StoredTensor};
use burn::store::{BurnToPyTorchAdapter, ModuleAdapter, ModuleContext};
use burn::tensor::{Bool, DType, Shape};

/// Last segments of keys under which peers keep what follows from the configuration or counts something.
const BOOKKEEPING: &[&str] = &[
    "codebook_used",
    "num_batches_tracked",
    "freqs_cis",
    "inv_freq",
    "causal_mask",
    "attn_mask",
    "position_ids",
    "input_resolution",
    "context_length",
    "vocab_size",
];

/// Why a key that a network has no parameter for may be in its file all the same; `None` where it may not.
///
/// Peers store usage counters of the codebook, step counters of batch normalisation and causal masks; taming-transformers
/// the loss's own networks; torchvision a second classifier for training; trainers a running mean and the optimiser.
pub fn ignored(key: &str) -> Option<&'static str> {
    let last = key.rsplit('.').next().unwrap_or(key);
    if BOOKKEEPING.contains(&last) || key.ends_with("attn.mask") {
        return Some("bookkeeping");
    }
    let key = key.strip_prefix("first_stage_model.").unwrap_or(key);
    match key.split(['.', '_']).next() {
        Some("loss" | "discriminator") => Some("networks of a training loss"),
        Some("AuxLogits") => Some("a classifier for training only"),
        Some("ema" | "optimizer" | "teacher") => Some("a trainer's own state"),
        _ if key.starts_with("model_ema.") => Some("a trainer's own state"),
        _ => None,
    }
}

/// Whether a tensor of shape `file` can fill one of shape `network`: PyTorch stores a single number with no dimension,
/// burn's smallest parameter has one.
pub(in crate::model) fn fits(file: &[usize], network: &[usize]) -> bool {
    file == network || (file.is_empty() && network == [1])
}

/// What a file for `module` must hold: PyTorch's names → shape, and whether the numbers are floats. No parameter is
/// filled for it: a network that is only about to be loaded takes no memory.
pub(in crate::model) fn expected<M: Module>(module: &M) -> BTreeMap<String, (Vec<usize>, bool)> {
    let mut names = Names::default();
    module.visit(&mut names);
    names.found
}

/// A walk through a module.
#[derive(Default)]
struct Names {
    path: Vec<String>,
    containers: Vec<String>,
    found: BTreeMap<String, (Vec<usize>, bool)>,
}

impl Names {
    fn add(&mut self, shape: Shape, float: bool) {
        // The adapter that writes files knows which axes they swap and which names they change.
        let bytes = 4 * shape.num_elements();
        let none = || Err(burn_pack::Error::InvalidHeader); // never asked for
        let tensor = StoredTensor::deferred(self.path.join("."), DType::F32, shape, None, bytes, none);
        let tensor = BurnToPyTorchAdapter.adapt(tensor, ModuleContext::new(&self.containers));
        self.found.insert(tensor.name.clone(), (tensor.shape.to_vec(), float));
    }
}

impl ModuleVisitor for Names {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.containers.push(container.to_string());
        // PyTorch has no enums: their variants are no part of a name.
        if !container.starts_with("Enum:") {
            self.path.push(name.to_string());
        }
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.containers.pop();
        if !container.starts_with("Enum:") {
            self.path.pop();
        }
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(param.lazy_shape(), true);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(param.lazy_shape(), false);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.add(param.lazy_shape(), false);
    }
}
