//! Weights in and out, in the published checkpoints' own key names and layout: read from any file of tensors, written as
//! `safetensors`.
//!
//! A module's fields are named like the peer's keys, so a file needs no table of names: burn's adapters transpose
//! linear weights (`[out, in]` in the file, `[in, out]` here) and rename norm parameters (`weight` ↔ `gamma`).
//!
//! A file is checked as a whole *before* a single parameter changes. Then its tensors are read one at a time, each when
//! its parameter's turn comes: beside the network, memory holds one tensor and no copy of the file.

mod keys;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

use burn::module::Module;
use burn::store::burn_pack::{self, Tensor as StoredTensor};
use burn::store::{
    ApplyResult, BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleContext, ModuleSnapshot,
    PyTorchToBurnAdapter, bridge,
};
use burn::tensor::{DType, Shape, TensorData};
use half::f16;
use thiserror::Error;

pub use keys::ignored;
pub(super) use keys::{expected, fits};

use crate::formats::{self, Dtype, FormatError, Info, Tensors, write};

/// Why weights could not be read or written.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file is damaged, or no file of tensors at all.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The file describes another network.
    #[error("the weights belong to another network{}{}{}",
        listed("missing", .missing), listed("unexpected", .extra), listed("of another shape or type", .misfit))]
    Mismatch {
        /// Keys the network needs and the file lacks.
        missing: Vec<String>,
        /// Keys of the file that the network has no parameter for.
        extra: Vec<String>,
        /// Keys whose shape or kind of number differs, with both.
        misfit: Vec<String>,
    },
    /// burn's store refused.
    #[error("weights could not be moved: {0}")]
    Store(String),
}

/// How a network's parameters are found in a file, and kept.
#[derive(Clone, Copy)]
pub struct Loading<'a> {
    /// The file's key for one of the network's.
    pub key: &'a dyn Fn(&str) -> String,
    /// Whether the file may hold more than this network.
    pub part: bool,
    /// Whether matrices and tables stay in half precision on the device, for networks that compute with
    /// [`super::layers`]. Whatever has one dimension (biases, norms) is kept in single precision.
    pub half: bool,
}

impl Default for Loading<'_> {
    /// The network's own keys, all that the file has, in single precision.
    fn default() -> Self {
        Self { key: &str::to_string, part: false, half: false }
    }
}

/// [`load_from`] for a file in memory, whole and in single precision.
///
/// # Errors
/// As [`load_from`].
pub fn load<M: Module>(module: &mut M, bytes: &[u8]) -> Result<(), WeightsError> {
    load_from(module, &Arc::new(Tensors::open(bytes.to_vec())?), Loading::default())
}

/// Fills `module` with the weights in `file`, in PyTorch's names and layout: floats of any width, all of them
/// finite, also where they are narrowed. A scalar of the file fits a parameter of shape `[1]`.
///
/// # Errors
/// Where the file does not hold exactly this network's parameters (see [`WeightsError::Mismatch`]; only keys that are
/// [`ignored`] may be left over): `module` is then unchanged. Where the file cannot be read to its end: `module` is then
/// filled in part and of no use.
pub fn load_from<M: Module>(module: &mut M, file: &Arc<Tensors>, loading: Loading<'_>) -> Result<(), WeightsError> {
    let tensors = matching(&expected(module), file, loading)?;
    let result = module.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), true);
    complete(&result)
}

/// The tensors of `file` under the network's names, none of them read yet.
fn matching(
    expected: &BTreeMap<String, (Vec<usize>, bool)>,
    file: &Arc<Tensors>,
    loading: Loading<'_>,
) -> Result<Vec<StoredTensor>, WeightsError> {
    let keys: BTreeMap<&str, String> = expected.keys().map(|key| (key.as_str(), (loading.key)(key))).collect();
    let (mut missing, mut misfit) = (vec![], vec![]);
    for (key, (shape, float)) in expected {
        let key = &keys[key.as_str()];
        match file.info(key) {
            None => missing.push(key.clone()),
            Some(info) if fits(&info.shape, shape) && info.dtype.is_float() && *float => {}
            Some(info) => {
                let kind = if *float { "floats" } else { "integers, which are not read" };
                misfit.push(format!("{key} (file {} {:?}, network {kind} {shape:?})", info.dtype, info.shape));
            }
        }
    }
    let known: BTreeSet<&String> = keys.values().collect();
    let unknown = |key: &&str| !loading.part && !known.contains(&key.to_string()) && ignored(key).is_none();
    let extra: Vec<String> = file.names().filter(unknown).map(String::from).collect();
    if !(missing.is_empty() && extra.is_empty() && misfit.is_empty()) {
        return Err(WeightsError::Mismatch { missing, extra, misfit });
    }
    let tensor = |(name, (shape, _)): (&String, &(Vec<usize>, bool))| {
        let (file, key, shape) = (file.clone(), keys[name.as_str()].clone(), Shape::from(shape.clone()));
        let half = loading.half && shape.num_dims() > 1;
        let dtype = if half { DType::F16 } else { DType::F32 };
        bridge::deferred(name.clone(), dtype, shape.clone(), None, move || {
            let read = if half { halves(&file, &key, shape.clone()) } else { singles(&file, &key, shape.clone()) };
            read.map_err(|e| burn_pack::Error::IoError(e.to_string()))
        })
    };
    Ok(expected.iter().map(tensor).collect())
}

fn singles(file: &Tensors, key: &str, shape: Shape) -> Result<TensorData, FormatError> {
    let numbers = file.f32(key)?;
    formats::check(key, Dtype::F32, numbers.iter().copied())?;
    Ok(TensorData::new(numbers, shape))
}

fn halves(file: &Tensors, key: &str, shape: Shape) -> Result<TensorData, FormatError> {
    let bytes = file.finite(key, Dtype::F16)?;
    let numbers: Vec<f16> = bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes)).collect();
    Ok(TensorData::new(numbers, shape))
}

/// Whether every parameter was filled.
fn complete(result: &ApplyResult) -> Result<(), WeightsError> {
    match result.errors.first() {
        Some(error) => Err(WeightsError::Store(error.to_string())),
        None if result.missing.is_empty() => Ok(()),
        None => Err(WeightsError::Store(format!("{} parameters were not filled", result.missing.len()))),
    }
}

/// The weights of `module` as a `safetensors` file in PyTorch's names and layout, as f16 where `half` is set, with
/// `metadata` in its header. Statistics of batch normalisation stay f32: small variances would vanish in f16.
///
/// # Errors
/// Where the device does not give its tensors back.
pub fn save_bytes<M: Module>(module: &M, half: bool, metadata: &[(&str, String)]) -> Result<Vec<u8>, WeightsError> {
    let stored = Stored::new(module, half);
    let notes = metadata.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
    let mut bytes = vec![];
    stored.safetensors(&mut bytes, notes)?;
    Ok(bytes)
}

/// A module's tensors in PyTorch's names and layout, each read from its device when it is written: beside the module,
/// memory holds one of them.
pub struct Stored {
    tensors: BTreeMap<String, StoredTensor>,
    infos: BTreeMap<String, Info>,
}

impl Stored {
    /// The tensors of `module`, as f16 where `half` is set. Statistics of batch normalisation stay f32: small variances
    /// would vanish in f16.
    pub fn new<M: Module>(module: &M, half: bool) -> Self {
        let adapter: Box<dyn ModuleAdapter> = match half {
            true => Box::new(BurnToPyTorchAdapter.chain(Half)),
            false => Box::new(BurnToPyTorchAdapter),
        };
        let tensors: BTreeMap<_, _> =
            module.collect(None, Some(adapter), true).into_iter().map(|t| (t.name.clone(), t)).collect();
        let info = |(name, tensor): (&String, &StoredTensor)| {
            let dtype = if tensor.dtype == DType::F16 { Dtype::F16 } else { Dtype::F32 };
            (name.clone(), Info { dtype, shape: tensor.shape.to_vec() })
        };
        let infos = tensors.iter().map(info).collect();
        Self { tensors, infos }
    }

    /// Writes them as `safetensors`, with `notes` in the header.
    ///
    /// # Errors
    /// Where the device does not give its tensors back, and whatever `out` refuses.
    pub fn safetensors(&self, out: &mut dyn Write, mut notes: BTreeMap<String, String>) -> Result<(), WeightsError> {
        notes.insert("format".into(), "pt".into());
        Ok(write::safetensors(out, &self.infos, &notes, &mut |name| self.read(name))?)
    }

    /// Writes them as PyTorch's `torch.save({'model': …})` does.
    ///
    /// # Errors
    /// As [`Self::safetensors`].
    pub fn torch(&self, out: &mut dyn Write) -> Result<(), WeightsError> {
        Ok(write::torch(out, &self.infos, &mut |name| self.read(name))?)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, FormatError> {
        let tensor = self.tensors.get(name).ok_or_else(|| FormatError::Missing(name.into()))?;
        let bytes = tensor.to_bytes().map_err(|e| io::Error::other(e.to_string()))?;
        Ok(bytes.to_vec())
    }
}

/// The same file with its header's keys in alphabetical order: equal tensors then give equal bytes. (They are written
/// in the order of a hash map.)
///
/// # Errors
/// Where `bytes` are no such file.
pub fn in_order(bytes: &[u8]) -> Result<Vec<u8>, WeightsError> {
    let damaged = || WeightsError::Store("the file just written has no header".into());
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (header, tensors) = rest.split_at_checked(u64::from_le_bytes(*length) as usize).ok_or_else(damaged)?;
    // serde_json's map is a BTreeMap: reading and writing sorts.
    let sorted: serde_json::Value = serde_json::from_slice(header).map_err(|e| WeightsError::Store(e.to_string()))?;
    let mut text = sorted.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok([&(text.len() as u64).to_le_bytes(), text.as_slice(), tensors].concat())
}

/// The free-form notes in the header of a `safetensors` file; empty where it has none.
///
/// # Errors
/// Where the file is damaged.
pub fn metadata(bytes: &[u8]) -> Result<BTreeMap<String, String>, WeightsError> {
    Ok(Tensors::open(bytes.to_vec())?.notes().clone())
}

/// `; what: a, b, c and 7 more`, or nothing for an empty list.
fn listed(what: &str, keys: &[String]) -> String {
    const SHOWN: usize = 5;
    if keys.is_empty() {
        return String::new();
    }
    let more = keys.len().saturating_sub(SHOWN);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("; {what}: {}{tail}", keys[..keys.len() - more].join(", "))
}

/// f32 → f16 for everything but batch normalisation.
#[derive(Clone)]
struct Half;

impl ModuleAdapter for Half {
    fn adapt(&self, tensor: StoredTensor, context: ModuleContext<'_>) -> StoredTensor {
        match context.module_type() {
            Some("Struct:BatchNorm") => tensor,
            _ => FloatCastAdapter::to(DType::F16).adapt(tensor, context),
        }
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(self.clone())
    }
}
