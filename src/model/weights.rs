//! Weights in and out: `safetensors` files in the published checkpoints' own key names and layout.
//!
//! A module's fields are named like the peer's keys, so a file needs no table of names: burn's adapters transpose
//! linear weights (`[out, in]` in the file, `[in, out]` here) and rename norm parameters (`weight` ↔ `gamma`).
//!
//! A file is checked as a whole *before* a single parameter changes: a network is loaded completely or not at all.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{
    BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleContext, ModuleSnapshot, PyTorchToBurnAdapter,
    SafetensorsStore,
};
use burn::tensor::{DType, Shape};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata};
use thiserror::Error;

/// Longest header accepted, in bytes. The largest published network here has some 1200 tensors: well below 1 MiB.
const MAX_HEADER: u64 = 32 << 20;

/// Keys that peers store beside their weights for bookkeeping. A file's key is ignored when its last segment is one
/// of these and the network has no such parameter: usage counters of the codebook, step counters of batch
/// normalisation, and tables that follow from the configuration.
const BOOKKEEPING: &[&str] = &[
    "codebook_used",
    "num_batches_tracked",
    "freqs_cis",
    "causal_mask",
    "attn_mask",
    "position_ids",
    "input_resolution",
    "context_length",
    "vocab_size",
];

/// Heads that only training needs: a file's key that begins with one is ignored likewise. (The auxiliary classifier of
/// torchvision's Inception-v3.)
const TRAINING_ONLY: &[&str] = &["AuxLogits."];

/// Why weights could not be read or written.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// Fewer bytes than the 8 that hold the header's length.
    #[error("not a safetensors file: {0} bytes are too few even for the header's length")]
    TooShort(usize),
    /// The header would reach beyond the file, or is absurdly long.
    #[error("not a safetensors file: it claims a header of {header} bytes in a file of {file} bytes")]
    HeaderLength {
        /// Claimed length of the header, in bytes.
        header: u64,
        /// Length of the file, in bytes.
        file: usize,
    },
    /// The header is no valid description of the bytes that follow it.
    #[error("damaged safetensors file: {0}")]
    Header(String),
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

/// Fills `module` with the weights in `bytes`: a `safetensors` file in PyTorch's names and layout, f16, bf16, f32 or
/// f64, widened or narrowed to f32. A scalar of the file fits a parameter of shape `[1]`.
///
/// # Errors
/// Where the file is damaged or does not hold exactly this network's parameters (see [`WeightsError::Mismatch`]; only
/// bookkeeping keys such as `quantize.codebook_used` may be left over). `module` is then unchanged.
pub fn load<M: Module>(module: &mut M, bytes: &[u8]) -> Result<(), WeightsError> {
    compare(&expected(module), &header(bytes)?)?;
    let mut store = SafetensorsStore::from_bytes(Some(bytes.to_vec()))
        .with_from_adapter(PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32)).chain(ScalarToVector))
        .skip_enum_variants(true)
        .allow_partial(false);
    module.load_from(&mut store).map_err(|e| WeightsError::Store(e.to_string()))?;
    Ok(())
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
    let notes = header(bytes)?.metadata().clone().unwrap_or_default();
    Ok(notes.into_iter().collect())
}

/// Reads the header after checking that it can be one: the length comes from the file, so nothing may trust it.
fn header(bytes: &[u8]) -> Result<Metadata, WeightsError> {
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or(WeightsError::TooShort(bytes.len()))?;
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER || length > rest.len() as u64 {
        return Err(WeightsError::HeaderLength { header: length, file: bytes.len() });
    }
    // This also proves that the tensors lie back to back and end exactly where the file does.
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| WeightsError::Header(e.to_string()))?;
    Ok(header)
}

/// What a file for `module` must hold: PyTorch's names → shape and kind of number.
fn expected<M: Module>(module: &M) -> BTreeMap<String, (Vec<usize>, DType)> {
    module
        .collect(None, Some(Box::new(BurnToPyTorchAdapter)), true)
        .into_iter()
        .map(|t| (t.name.clone(), (t.shape.to_vec(), t.dtype)))
        .collect()
}

fn compare(expected: &BTreeMap<String, (Vec<usize>, DType)>, file: &Metadata) -> Result<(), WeightsError> {
    let file: BTreeMap<_, _> = file.tensors().into_iter().collect();
    let missing: Vec<String> = expected.keys().filter(|key| !file.contains_key(*key)).cloned().collect();
    let extra: Vec<String> =
        file.keys().filter(|key| !expected.contains_key(*key) && !is_bookkeeping(key)).cloned().collect();
    let misfit: Vec<String> = expected
        .iter()
        .filter_map(|(key, (shape, dtype))| {
            let found = file.get(key)?;
            let is_float = matches!(found.dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64);
            let same_shape = found.shape == *shape || (found.shape.is_empty() && *shape == [1]);
            let fits = same_shape && is_float == dtype.is_float();
            (!fits).then(|| format!("{key} (file {:?} {:?}, network {dtype:?} {shape:?})", found.dtype, found.shape))
        })
        .collect();
    if missing.is_empty() && extra.is_empty() && misfit.is_empty() {
        return Ok(());
    }
    Err(WeightsError::Mismatch { missing, extra, misfit })
}

fn is_bookkeeping(key: &str) -> bool {
    TRAINING_ONLY.iter().any(|head| key.starts_with(head))
        || key.rsplit('.').next().is_some_and(|last| BOOKKEEPING.contains(&last))
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

/// PyTorch stores a single number with no dimension; burn's smallest parameter has one.
#[derive(Clone)]
struct ScalarToVector;

impl ModuleAdapter for ScalarToVector {
    fn adapt(&self, mut tensor: StoredTensor, _: ModuleContext<'_>) -> StoredTensor {
        if tensor.shape.is_empty() {
            tensor.shape = Shape::new([1]); // the bytes are the same
        }
        tensor
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
            (name.to_string(), TensorView::new(Dtype::F32, shape.to_vec(), &zeros[..bytes]).unwrap())
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
        assert!(matches!(refused(&good[..5]), WeightsError::TooShort(5)));
        assert!(matches!(refused(&good[..20]), WeightsError::HeaderLength { .. }));
        let mut long = good.clone();
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(refused(&long), WeightsError::HeaderLength { header: u64::MAX, .. }));
        assert!(matches!(refused(&good[..good.len() - 1]), WeightsError::Header(_)), "cut short");
        assert!(matches!(refused(&[good.clone(), vec![0]].concat()), WeightsError::Header(_)), "bytes left over");
        let mut garbled = good;
        garbled[8..16].fill(b'{');
        assert!(matches!(refused(&garbled), WeightsError::Header(_)));
    }
}
