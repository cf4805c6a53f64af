//! Weights go out and come back; what does not fit is refused.

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
    assert!(misfit[0].starts_with("head.weight (file F32 [3, 2], network floats [2, 3]"), "{misfit:?}");
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

impl formats::Source for Broken {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let end = offset as usize + into.len();
        if end == self.0.len() {
            return Err(io::Error::other("the disk was taken out"));
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

#[test]
fn a_file_for_pytorch_holds_the_same_as_one_of_safetensors() {
    let (from, mut to) = (net(), net());
    let mut bytes = vec![];
    Stored::new(&from, false).torch(&mut bytes).unwrap();
    let file = opened(bytes);
    assert_eq!(file.container().to_string(), "PyTorch (zip)");
    assert_eq!(file.info("head.weight").unwrap().shape, [2, 3], "PyTorch keeps [out, in]");
    load_from(&mut to, &file, Loading::default()).unwrap();
    assert_eq!(values(&from.head.weight), values(&to.head.weight));
}

#[test]
fn asking_what_a_network_needs_fills_nothing() {
    // 4 TB, which no test could hold.
    let device = Device::flex();
    let layer = LinearConfig::new(1 << 20, 1 << 20).init(&device);
    assert_eq!(expected(&layer)["weight"], (vec![1 << 20, 1 << 20], true));
}
