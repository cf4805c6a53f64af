//! Weights in and out, in the published checkpoints' own key names and layout: read from any file of tensors, written as
//! `safetensors`.
//!
//! A module's fields are named like the peer's keys, so a file needs no table of names: burn's adapters transpose
//! linear weights (`[out, in]` in the file, `[in, out]` here) and rename norm parameters (`weight` ↔ `gamma`).
//!
//! A file is checked as a whole *before* a single parameter changes. Then its tensors are read one at a time, each when
//! its parameter's turn comes: beside the network, memory holds one tensor and no copy of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use burn::module::Module;
use burn::store::burn_pack::{self, Tensor as StoredTensor};
use burn::store::{
    ApplyResult, BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleContext, ModuleSnapshot,
    PyTorchToBurnAdapter, SafetensorsStore, bridge,
};
use burn::tensor::{DType, Shape, TensorData};
use half::f16;
use thiserror::Error;

use crate::formats::{Dtype, FormatError, Tensors};

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

/// Fills `module` with the weights in `file`, in PyTorch's names and layout: floats of any width. A scalar of the file
/// fits a parameter of shape `[1]`.
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
    expected: &BTreeMap<String, (Vec<usize>, DType)>,
    file: &Arc<Tensors>,
    loading: Loading<'_>,
) -> Result<Vec<StoredTensor>, WeightsError> {
    let keys: BTreeMap<&str, String> = expected.keys().map(|key| (key.as_str(), (loading.key)(key))).collect();
    let (mut missing, mut misfit) = (vec![], vec![]);
    for (key, (shape, dtype)) in expected {
        let key = &keys[key.as_str()];
        match file.info(key) {
            None => missing.push(key.clone()),
            Some(info) if fits(&info.shape, shape) && info.dtype.is_float() && dtype.is_float() => {}
            Some(info) => {
                misfit.push(format!("{key} (file {} {:?}, network {dtype:?} {shape:?})", info.dtype, info.shape));
            }
        }
    }
    let known: BTreeSet<&String> = keys.values().collect();
    let unknown = |key: &&str| !loading.part && !known.contains(&key.to_string()) && ignored(key).is_none();
    let extra: Vec<String> = file.names().filter(unknown).map(String::from).collect();
    if !(missing.is_empty() && extra.is_empty() && misfit.is_empty()) {
        return Err(WeightsError::Mismatch { missing, extra, misfit });
    }
    let tensor = |(name, (shape, _)): (&String, &(Vec<usize>, DType))| {
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
    Ok(TensorData::new(file.f32(key)?, shape))
}

fn halves(file: &Tensors, key: &str, shape: Shape) -> Result<TensorData, FormatError> {
    let numbers: Vec<f16> = match file.info(key) {
        Some(info) if info.dtype == Dtype::F16 => {
            file.bytes(key)?.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes)).collect()
        }
        _ => file.f32(key)?.into_iter().map(f16::from_f32).collect(),
    };
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
    let store = SafetensorsStore::from_bytes(None).skip_enum_variants(true).metadata("format", "pt");
    let store = metadata.iter().fold(store, |store, (key, value)| store.metadata(*key, value));
    let mut store = match half {
        true => store.with_to_adapter(BurnToPyTorchAdapter.chain(Half)),
        false => store.with_to_adapter(BurnToPyTorchAdapter),
    };
    module.save_into(&mut store).map_err(|e| WeightsError::Store(e.to_string()))?;
    in_order(&store.get_bytes().map_err(|e| WeightsError::Store(e.to_string()))?)
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

/// What a file for `module` must hold: PyTorch's names → shape and kind of number.
pub(super) fn expected<M: Module>(module: &M) -> BTreeMap<String, (Vec<usize>, DType)> {
    module
        .collect(None, Some(Box::new(BurnToPyTorchAdapter)), true)
        .into_iter()
        .map(|t| (t.name.clone(), (t.shape.to_vec(), t.dtype)))
        .collect()
}

/// Whether a tensor of shape `file` can fill one of shape `network`: PyTorch stores a single number with no dimension,
/// burn's smallest parameter has one.
pub(super) fn fits(file: &[usize], network: &[usize]) -> bool {
    file == network || (file.is_empty() && network == [1])
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, RmsNorm, RmsNormConfig};
    use burn::prelude::*;
    use safetensors::SafeTensors;
    use safetensors::tensor::TensorView;

    use super::*;

    #[derive(Module, Debug)]
    struct Net {
        table: Embedding,
        norm: RmsNorm,
        head: Linear,
        scale: burn::module::Param<Tensor<1>>,
    }

    fn net() -> Net {
        let device = Device::flex();
        Net {
            table: EmbeddingConfig::new(5, 3).init(&device),
            norm: RmsNormConfig::new(3).init(&device),
            head: LinearConfig::new(3, 2).init(&device),
            scale: burn::module::Param::from_data([0.5], &device),
        }
    }

    fn values<const D: usize>(tensor: &burn::module::Param<Tensor<D>>) -> Vec<f32> {
        tensor.val().into_data().try_to_vec().unwrap()
    }

    /// A safetensors file of f32 zeros.
    fn file(tensors: &[(&str, &[usize])]) -> Vec<u8> {
        let zeros = vec![0u8; 4096];
        let views = tensors.iter().map(|(name, shape)| {
            let bytes = 4 * shape.iter().product::<usize>();
            (name.to_string(), TensorView::new(safetensors::Dtype::F32, shape.to_vec(), &zeros[..bytes]).unwrap())
        });
        safetensors::serialize(views, None::<HashMap<String, String>>).unwrap()
    }

    #[test]
    fn weights_survive_a_round_trip_in_pytorch_layout() {
        let (from, mut to) = (net(), net());
        let bytes = save_bytes(&from, false, &[("step", "12".into())]).unwrap();
        let stored = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(stored.tensor("head.weight").unwrap().shape(), [2, 3], "PyTorch keeps [out, in]");
        assert_eq!(stored.tensor("norm.weight").unwrap().shape(), [3], "gamma is called weight");
        assert_eq!(metadata(&bytes).unwrap()["step"], "12");
        load(&mut to, &bytes).unwrap();
        assert_eq!(values(&from.head.weight), values(&to.head.weight));
        assert_eq!(values(&from.table.weight), values(&to.table.weight));
    }

    #[test]
    fn half_precision_files_load_into_f32_networks() {
        let (from, mut to) = (net(), net());
        let bytes = save_bytes(&from, true, &[]).unwrap();
        assert!(bytes.len() < save_bytes(&from, false, &[]).unwrap().len());
        load(&mut to, &bytes).unwrap();
        assert_eq!(to.head.weight.val().dtype(), DType::F32);
        for (a, b) in values(&from.head.weight).into_iter().zip(values(&to.head.weight)) {
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }

    #[test]
    fn a_mismatch_names_every_key_and_changes_nothing() {
        let mut to = net();
        let before = values(&to.head.weight);
        let bytes = file(&[
            ("table.weight", &[5, 3]),
            ("head.weight", &[3, 2]),
            ("head.bias", &[2]),
            ("scale", &[]),
            ("head.extra", &[1]),
            ("quantize.codebook_used", &[7]),
        ]);
        let error = load(&mut to, &bytes).unwrap_err();
        let WeightsError::Mismatch { missing, extra, misfit } = &error else { panic!("{error}") };
        assert_eq!(missing, &["norm.weight"]);
        assert_eq!(extra, &["head.extra"]);
        assert!(misfit[0].starts_with("head.weight (file F32 [3, 2], network F32 [2, 3]"), "{misfit:?}");
        assert!(error.to_string().contains("; missing: norm.weight; unexpected: head.extra"), "{error}");
        assert_eq!(values(&to.head.weight), before);
    }

    #[test]
    fn a_scalar_fits_a_parameter_of_one_number_and_bookkeeping_is_ignored() {
        let mut to = net();
        let bytes = file(&[
            ("table.weight", &[5, 3]),
            ("norm.weight", &[3]),
            ("head.weight", &[2, 3]),
            ("head.bias", &[2]),
            ("scale", &[]),
            ("head.num_batches_tracked", &[1]),
        ]);
        load(&mut to, &bytes).unwrap();
        assert_eq!(values(&to.scale), [0.0]);
    }

    #[test]
    fn hostile_files_are_refused() {
        let good = save_bytes(&net(), false, &[]).unwrap();
        let refused = |bytes: &[u8]| load(&mut net(), bytes).unwrap_err();
        let mut long = good.clone();
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        let mut garbled = good.clone();
        garbled[8..16].fill(b'{');
        let more = [good.clone(), vec![0]].concat();
        for bytes in [&[], &good[..5], &good[..20], &good[..good.len() - 1], &more, &long, &garbled] {
            assert!(matches!(refused(bytes), WeightsError::Format(_)), "{}", refused(bytes));
        }
    }

    fn opened(bytes: Vec<u8>) -> Arc<Tensors> {
        Arc::new(Tensors::open(bytes).unwrap())
    }

    #[test]
    fn a_part_of_a_file_is_found_under_other_names() {
        let (from, mut to) = (net(), net());
        let bytes = save_bytes(&from, false, &[]).unwrap();
        let stored = SafeTensors::deserialize(&bytes).unwrap();
        let renamed = stored.iter().map(|(name, view)| (format!("first_stage_model.{name}"), view));
        let other = ("transformer.pos_emb".to_string(), stored.tensor("head.bias").unwrap());
        let both = safetensors::serialize(renamed.chain([other]), None::<HashMap<String, String>>).unwrap();
        let loading = Loading { key: &|key| format!("first_stage_model.{key}"), part: true, half: false };
        load_from(&mut to, &opened(both.clone()), loading).unwrap();
        assert_eq!(values(&from.head.weight), values(&to.head.weight));
        let whole = load_from(&mut to, &opened(both.clone()), Loading { part: false, ..loading }).unwrap_err();
        assert!(whole.to_string().ends_with("; unexpected: transformer.pos_emb"), "{whole}");
        let missing = load_from(&mut to, &opened(both), Loading { key: &|key| format!("x.{key}"), ..loading });
        assert!(missing.unwrap_err().to_string().contains("missing: x.head.bias, x.head.weight"));
    }

    #[test]
    fn halves_stay_halves_on_the_device_but_for_what_has_one_dimension() {
        let (from, mut to) = (net(), net());
        for half in [false, true] {
            let bytes = save_bytes(&from, half, &[]).unwrap();
            load_from(&mut to, &opened(bytes), Loading { half: true, ..Loading::default() }).unwrap();
            assert_eq!((to.head.weight.val().dtype(), to.table.weight.val().dtype()), (DType::F16, DType::F16));
            assert_eq!((to.norm.gamma.val().dtype(), to.scale.val().dtype()), (DType::F32, DType::F32));
            let halves = to.head.weight.val().into_data().convert::<f32>().try_to_vec::<f32>().unwrap();
            for (a, b) in values(&from.head.weight).into_iter().zip(halves) {
                assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
        }
    }

    /// A file that breaks off: its header is whole, its last bytes cannot be read.
    struct Broken(Vec<u8>);

    impl crate::formats::Source for Broken {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
            let end = offset as usize + into.len();
            if end == self.0.len() {
                return Err(std::io::Error::other("the disk was taken out"));
            }
            into.copy_from_slice(&self.0[offset as usize..end]);
            Ok(())
        }
    }

    #[test]
    fn a_file_that_breaks_off_is_an_error_in_words() {
        let bytes = save_bytes(&net(), false, &[]).unwrap();
        let file = Arc::new(Tensors::open(Broken(bytes)).unwrap());
        let error = load_from(&mut net(), &file, Loading::default()).unwrap_err().to_string();
        assert!(error.contains("the disk was taken out"), "{error}");
    }
}
