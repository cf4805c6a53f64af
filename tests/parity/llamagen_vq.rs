//! LlamaGen's VQ tokenizer against the peer's own code: features, tokens, pictures, losses, gradients.

use anyhow::{Context, Result};
use artune::model::vq::{VqConfig, VqModel, display_byte, evaluation_byte};
use artune::model::weights;
use burn::tensor::{Device, Tensor};

use crate::case::{Case, close, close_f32, host, host_ids, same_ids};

/// Tolerance on features and pictures: ten times the peer's own f32 error.
const CLOSE: f64 = 3e-4;

fn numbers(case: &Case, name: &str) -> Result<Vec<usize>> {
    let list = case.value(name)?.as_array().with_context(|| format!("{name} is no list"))?;
    list.iter().map(|x| Ok(x.as_u64().with_context(|| format!("{name}: {x}"))? as usize)).collect()
}

fn config(case: &Case) -> Result<VqConfig> {
    Ok(VqConfig {
        ch: case.usize("ch")?,
        encoder_ch_mult: numbers(case, "encoder_ch_mult")?,
        decoder_ch_mult: numbers(case, "decoder_ch_mult")?,
        num_res_blocks: case.usize("num_res_blocks")?,
        z_channels: case.usize("z_channels")?,
        codebook_size: case.usize("codebook_size")?,
        codebook_embed_dim: case.usize("codebook_embed_dim")?,
        codebook_l2_norm: case.value("codebook_l2_norm")?.as_bool().context("codebook_l2_norm")?,
        commit_loss_beta: case.f64("commit_loss_beta")?,
        entropy_loss_ratio: case.f64("entropy_loss_ratio")?,
        ..VqConfig::vq16()
    })
}

/// Runs one case.
pub fn check(case: &Case) -> Result<()> {
    let config = config(case)?;
    let mut model = config.init(&case.device);
    weights::load(&mut model, &std::fs::read(case.weights())?)?;
    check_inference(case, &model)?;

    let device = case.device.clone().autodiff();
    let mut model = config.init(&device);
    weights::load(&mut model, &std::fs::read(case.weights())?)?;
    check_training(case, model, &device)
}

fn check_inference(case: &Case, model: &VqModel) -> Result<()> {
    let compare = |name: &str, got: Tensor<4>| case.compare(name, got, CLOSE);
    let image = case.tensor::<4>("image")?;

    // The peer's files hold the first channels of the first picture only.
    let (conv_in, res0) = model.encoder.first_layers(image.clone());
    for (name, map) in [("enc.conv_in_ch0to7", Some(conv_in)), ("enc.level0.res0_ch0to7", res0)] {
        if let (Some(map), true) = (map, case.has(name)) {
            let [n, c, h, w] = case.array(name)?.dims::<4>()?;
            compare(name, map.slice([0..n, 0..c, 0..h, 0..w]))?;
        }
    }
    compare("encoder_out", model.encoder.forward(image.clone()))?;

    let encoded = model.encode(image);
    let [_, d, h, w] = encoded.z.dims();
    compare("quant_conv_out", encoded.z)?;
    compare("quant", encoded.quantized.clone())?;
    same_ids("indices", &host_ids(encoded.indices), &case.array("indices")?)?;

    let decoded = model.decode(encoded.quantized);
    compare("decoded", decoded.clone())?;
    for (name, byte) in [("decoded_u8_ddp", evaluation_byte as fn(f32) -> u8), ("decoded_u8_save_image", display_byte)]
    {
        if case.has(name) {
            let got: Vec<f64> = host(decoded.clone().permute([0, 2, 3, 1]))?.iter().map(|&y| byte(y) as f64).collect();
            close(name, &got, &case.array(name)?.data, 1.0)?;
        }
    }
    if case.has("codes") {
        let tokens = case.ids::<2>("codes")?;
        compare("decode_code", model.decode_code(tokens.clone(), [h, w]))?;
        if case.has("codebook_entry_bhwc") {
            let want = case.array("codebook_entry_bhwc")?;
            let n = want.dims::<4>()?[0];
            let entry = model.quantize.lookup(tokens, [h, w]).permute([0, 2, 3, 1]);
            compare("codebook_entry_bhwc", entry.slice([0..n, 0..h, 0..w, 0..d]))?;
        }
    }
    Ok(())
}

fn check_training(case: &Case, model: VqModel, device: &Device) -> Result<()> {
    let image = case.tensor_on::<4>("image", device)?.require_grad();
    let (picture, encoded) = model.forward(image.clone());
    // The peer's run took the picture's gradient through the input only, not through the target.
    let mse = (picture - image.clone().detach()).square().mean();
    let losses = encoded.losses;
    for (name, loss) in [
        ("train.rec_mse", &mse),
        ("train.vq_loss", &losses.codebook),
        ("train.commit_loss", &losses.commitment),
        ("train.entropy_loss", &losses.entropy),
    ] {
        case.compare(name, loss.clone(), 1e-5)?;
    }
    let grads = (mse + losses.total()).backward();
    let codebook = model.quantize.embedding.weight.val().grad(&grads).context("no gradient of the codebook")?;
    let image = image.grad(&grads).context("no gradient of the picture")?;
    for (name, grad) in [("train.grad_codebook", host(codebook)?), ("train.grad_image", host(image)?)] {
        if case.has(name) {
            close_f32(name, &grad, &case.array(name)?, 1e-5)?;
        }
    }
    Ok(())
}
