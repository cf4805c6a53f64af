//! Inception-v3 against pytorch-fid, torch-fidelity and torchvision. The weights are too large to ship: they are a
//! function of their keys (`gen.py` of the case is the specification).

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use artune::model::inception::{Inception, InceptionConfig, Preprocessing, SIDE};
use artune::model::published::procedural;
use artune::model::weights;
use burn::tensor::{Device, Tensor};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::case::{Case, close_f32, host};

/// Tolerance on features and logits, which reach 45.
const TOLERANCE: f64 = 5e-4;
/// Tolerance on resized pictures, in units of 1 (white).
const PICTURE: f64 = 1e-5;

/// Tolerance on features where the weights are stored in half precision: five times the drift seen.
const HALF: f64 = 2e-2;

/// Keys and shapes of FID's network.
const FID: &str = "manifest_pt_inception-2015-12-05.json";
/// Keys and shapes of torchvision's.
const IMAGENET: &str = "manifest_torchvision_inception_v3.json";

/// A checkpoint with exactly the keys and shapes of a manifest.
fn checkpoint(case: &Case, manifest: &str) -> Result<Vec<u8>> {
    #[derive(serde::Deserialize)]
    struct Entry {
        shape: Vec<usize>,
    }
    let text = std::fs::read_to_string(case.dir.join(manifest)).context(manifest.to_owned())?;
    let entries: BTreeMap<String, Entry> = serde_json::from_str(&text)?;
    let bytes: Vec<Vec<u8>> =
        entries.iter().map(|(key, e)| bytemuck::cast_slice(&procedural::tensor(key, &e.shape)).to_vec()).collect();
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

/// Where the first pictures of a tensor of the case should end: with any number of them.
fn compare<const D: usize>(case: &Case, name: &str, got: Tensor<D>, tolerance: f64) -> Result<()> {
    let mut want = case.array(name)?;
    let n = got.dims()[0];
    want.data.truncate(want.data.len() / want.shape[0] * n);
    close_f32(name, &host(got)?, &want, tolerance)
}

/// Runs the case. A software adapter would take minutes over all of it: a graphics device gets one picture through each
/// network, in every form and precision, and leaves out what only differs in the pictures.
pub fn check(case: &Case) -> Result<()> {
    let all = case.device == Device::flex();
    let n = if all { 4 } else { 1 };
    let large = pictures(case, "images299_u8")?.narrow(0, 0, n);
    let small = pictures(case, "images_small_u8")?.narrow(0, 0, n);
    check_resizing(case, &small)?;

    let net = network(case, InceptionConfig::pytorch_fid(), FID)?;
    check_blocks(case, &net, "i299", &large)?;
    if all {
        let net = net.clone().freeze(false);
        let means = check_blocks(case, &net, "small", &small)?;
        for (mean, want) in net.block_means(small.clone().narrow(0, 0, 1)).into_iter().zip(means) {
            let apart = (mean - want.narrow(0, 0, 1)).abs().max().into_scalar::<f32>();
            ensure!(f64::from(apart) < TOLERANCE, "block means differ from the means of blocks by {apart}");
        }
    }
    println!("    weights of half precision");
    compare(case, "i299.pool3", net.freeze(true).features(large.clone().narrow(0, 0, 1)), HALF)?;

    let net = network(case, InceptionConfig::torch_fidelity(), FID)?.freeze(false);
    for (name, x) in [("small", &small), ("i299", &large)].into_iter().take(if all { 2 } else { 1 }) {
        let features = net.features(x.clone());
        let logits = net.logits_unbiased(features.clone());
        compare(case, &format!("{name}.torch_fidelity.logits_unbiased"), logits, TOLERANCE)?;
        compare(case, &format!("{name}.torch_fidelity.2048"), features, TOLERANCE)?;
    }

    let net = network(case, InceptionConfig::paper_code(), IMAGENET)?.freeze(false);
    if all {
        let features = net.features(large);
        compare(case, "i299.torchvision.logits", net.logits(features.clone()), TOLERANCE)?;
        compare(case, "i299.torchvision.pool", features, TOLERANCE)?;
    }
    compare(case, "small.torchvision_aa_meanstd.pool", net.features(small), TOLERANCE)
}

/// The pictures on their way in: the upper right corner, where a shift by half a pixel would show.
fn check_resizing(case: &Case, small: &Tensor<4>) -> Result<()> {
    let corner = |x: Tensor<4>| x.narrow(2, 0, 24).narrow(3, SIDE - 24, 24);
    let x = (Preprocessing::PytorchFid.apply(small.clone()) + 1.0) / 2.0;
    compare(case, "small.resized_crop", corner(x), PICTURE)?;
    let x = Preprocessing::TorchFidelity.apply(small.clone()) * 128.0 + 128.0;
    compare(case, "small.tf1_resized_crop", corner(x), 255.0 * PICTURE)
}

/// pytorch-fid's four output blocks, features and logits of pictures `x`. Returns the blocks' means.
fn check_blocks(case: &Case, net: &Inception, name: &str, x: &Tensor<4>) -> Result<Vec<Tensor<2>>> {
    let blocks = net.blocks(net.config().preprocessing.apply(x.clone()));
    let crop =
        |i: usize, channels, side| blocks[i].clone().narrow(1, 0, channels).narrow(2, 0, side).narrow(3, 0, side);
    compare(case, &format!("{name}.block0_crop"), crop(0, 4, 6), TOLERANCE)?;
    compare(case, &format!("{name}.block2_crop"), crop(2, 8, 4), TOLERANCE)?;
    let means = blocks.clone().map(|x| x.mean_dims(&[2, 3]).squeeze_dims::<2>(&[2, 3])).to_vec();
    for (i, mean) in means.iter().enumerate() {
        compare(case, &format!("{name}.block{i}_mean"), mean.clone(), TOLERANCE)?;
    }
    let features = &means[3];
    compare(case, &format!("{name}.pool3"), features.clone(), TOLERANCE)?;
    compare(case, &format!("{name}.logits"), net.logits(features.clone()), TOLERANCE)?;
    compare(case, &format!("{name}.logits_unbiased"), net.logits_unbiased(features.clone()), TOLERANCE)?;
    Ok(means)
}
