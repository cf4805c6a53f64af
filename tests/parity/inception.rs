//! Inception-v3 against pytorch-fid, torch-fidelity and torchvision. The weights are too large to ship: they are a
//! function of their keys (`gen.py` of the case is the specification).

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use artune::model::inception::{Inception, InceptionConfig, Preprocessing, Variant};
use artune::model::weights;
use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::Value;

use crate::case::Case;

/// Tolerance on features and logits, which reach 45.
const TOLERANCE: f64 = 5e-4;
/// Tolerance on resized pictures, in units of 1 (white).
const PICTURE: f64 = 1e-5;

/// FNV-1a of a key, 32 bits.
fn fnv1a(key: &str) -> u32 {
    key.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}

/// The mixing at the end of MurmurHash3.
fn fmix(mut h: u32) -> u32 {
    h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
    h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
    h ^ (h >> 16)
}

/// The tensor `key`: uniform in [-1, 1), scaled by what the key says it is.
fn tensor(key: &str, shape: &[usize]) -> Vec<f32> {
    let seed = fnv1a(key);
    let uniform = |i: usize| {
        let bits = fmix(seed.wrapping_add((i as u32).wrapping_mul(0x9E37_79B9)));
        ((bits >> 8) as i32 - 8_388_608) as f32 / 8_388_608.0
    };
    let fan_in: usize = shape.iter().skip(1).product();
    let scale = (8f64.sqrt() / (fan_in as f64).sqrt()) as f32;
    let value = |u: f32| match key {
        _ if key.ends_with("num_batches_tracked") => 0.0,
        _ if key.ends_with("bn.weight") => 1.0 + 0.1 * u,
        _ if key.ends_with("bn.running_var") => 1.0 + 0.5 * u.abs(),
        _ if shape.len() > 1 => u * scale,
        _ => 0.1 * u,
    };
    (0..shape.iter().product()).map(|i| value(uniform(i))).collect()
}

/// Fails unless the generator agrees with the values beside the specification.
fn check_generator(case: &Case) -> Result<()> {
    let text = std::fs::read_to_string(case.dir.join("gen_test_values.json"))?;
    let values: Value = serde_json::from_str(&text)?;
    for (key, want) in values["tensors"].as_object().context("tensors")? {
        let shape: Vec<usize> = serde_json::from_value(want["shape"].clone())?;
        let got = tensor(key, &shape).iter().fold(0, |all, v| all ^ v.to_bits());
        ensure!(want["xor_of_all_f32_bits"] == got, "{key}: checksum {got}");
    }
    Ok(())
}

/// A checkpoint with exactly the keys and shapes of a manifest.
fn checkpoint(case: &Case, manifest: &str) -> Result<Vec<u8>> {
    #[derive(serde::Deserialize)]
    struct Entry {
        shape: Vec<usize>,
    }
    let text = std::fs::read_to_string(case.dir.join(manifest)).context(manifest.to_owned())?;
    let entries: BTreeMap<String, Entry> = serde_json::from_str(&text)?;
    let bytes: Vec<Vec<u8>> =
        entries.iter().map(|(key, e)| bytemuck::cast_slice(&tensor(key, &e.shape)).to_vec()).collect();
    let views = entries
        .iter()
        .zip(&bytes)
        .map(|((key, e), bytes)| Ok((key.clone(), TensorView::new(Dtype::F32, e.shape.clone(), bytes)?)));
    Ok(safetensors::serialize(views.collect::<Result<Vec<_>>>()?, None)?)
}

/// The network of `config` with the weights of `manifest`. Loading fails unless keys and shapes are exactly the
/// network's.
fn network(case: &Case, config: InceptionConfig, manifest: &str) -> Result<Inception> {
    let mut net = config.init(&case.device);
    weights::load(&mut net, &checkpoint(case, manifest)?)?;
    Ok(net)
}

/// Pictures `[n, 3, h, w]` in [0, 1].
fn pictures(case: &Case, name: &str) -> Result<Tensor<4>> {
    Ok(case.tensor::<4>(name)?.permute([0, 3, 1, 2]) / 255.0)
}

/// The last 24 columns of the first 24 rows.
fn corner(x: Tensor<4>) -> Tensor<4> {
    let [_, _, _, w] = x.dims();
    x.narrow(2, 0, 24).narrow(3, w - 24, 24)
}

/// Runs the case. A software adapter takes two minutes for all of it, so a graphics device gets one picture through
/// each network, and not its logits twice.
pub fn check(case: &Case) -> Result<()> {
    check_generator(case)?;
    let large = pictures(case, "images299_u8")?;
    let small = pictures(case, "images_small_u8")?;

    let fid = network(case, InceptionConfig::pytorch_fid(), "manifest_pt_inception-2015-12-05.json")?;
    check_resizing(case, &small)?;
    for (name, x) in [("i299", &large), ("small", &small)] {
        let blocks = fid.blocks(Preprocessing::PytorchFid.apply(x.clone()));
        case.compare(
            &format!("{name}.block0_crop"),
            blocks[0].clone().narrow(1, 0, 4).narrow(2, 0, 6).narrow(3, 0, 6),
            TOLERANCE,
        )?;
        case.compare(
            &format!("{name}.block2_crop"),
            blocks[2].clone().narrow(1, 0, 8).narrow(2, 0, 4).narrow(3, 0, 4),
            TOLERANCE,
        )?;
    }
    // Every other number comes from the network as it measures: frozen.
    let fid = fid.freeze(&case.device, FloatDType::F32);
    for (name, x) in [("i299", &large), ("small", &small)] {
        for (i, mean) in fid.block_means(x.clone()).into_iter().enumerate() {
            case.compare(&format!("{name}.block{i}_mean"), mean, TOLERANCE)?;
        }
        let features = fid.features(x.clone());
        case.compare(&format!("{name}.logits"), fid.logits(features.clone()), TOLERANCE)?;
        case.compare(&format!("{name}.logits_unbiased"), fid.logits_unbiased(features.clone()), TOLERANCE)?;
        case.compare(&format!("{name}.pool3"), features, TOLERANCE)?;
    }
    Ok(())
}

/// The pictures on their way in: the upper right corner, where a shift by half a pixel would show.
fn check_resizing(case: &Case, small: &Tensor<4>) -> Result<()> {
    let x = (Preprocessing::PytorchFid.apply(small.clone()) + 1.0) / 2.0;
    case.compare("small.resized_crop", corner(x), PICTURE)?;
    let x = Preprocessing::TorchFidelity.apply(small.clone()) * 128.0 + 128.0;
    case.compare("small.tf1_resized_crop", corner(x), 255.0 * PICTURE)
}
