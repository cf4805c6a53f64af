//! taming-transformers against the peer's own code: VQGAN, the class-conditional GPT, the orders of tokens.

use anyhow::{Context, Result, ensure};
use artune::model::mingpt::MinGptConfig;
use artune::model::permuter::Permuter;
use artune::model::policy::{Policy, PolicyConfig};
use artune::model::vq::{VqConfig, VqModel, taming_byte, taming_key};
use artune::rl::sampling::{SamplingConfig, filter_logits, likeliest};
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::activation::{log_softmax, softmax};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::case::{Case, close, close_f32, host, host_ids, same_ids};
use crate::gradients::by_key;
use crate::renamed;

/// Tolerance on features and pictures: ten times the peer's own f32 error.
const CLOSE: f64 = 3e-4;
const LOGITS: f64 = 2e-4;
const LOSS: f64 = 1e-5;
const GRADIENT: f64 = 1e-4;

/// VQGAN's settings at `path` of the configuration.
fn vq_config(case: &Case, path: &str) -> Result<VqConfig> {
    let list = |name: &str| -> Result<Vec<usize>> {
        let value: &Value = case.value(&format!("{path}.ddconfig.{name}"))?;
        serde_json::from_value(value.clone()).with_context(|| name.to_owned())
    };
    let number = |name: &str| case.usize(&format!("{path}.{name}"));
    Ok(VqConfig {
        ch: number("ddconfig.ch")?,
        encoder_ch_mult: list("ch_mult")?,
        decoder_ch_mult: list("ch_mult")?,
        num_res_blocks: number("ddconfig.num_res_blocks")?,
        z_channels: number("ddconfig.z_channels")?,
        resolution: number("ddconfig.resolution")?,
        attn_resolutions: Some(list("attn_resolutions")?),
        codebook_embed_dim: number("embed_dim")?,
        ..VqConfig::vqgan(number("n_embed")?)
    })
}

/// VQGAN alone.
pub fn check_vqgan(case: &Case) -> Result<()> {
    let config = vq_config(case, "model.params")?;
    let load = |device: &Device| -> Result<VqModel> {
        let mut model = config.init(device);
        let left = renamed::load(&mut model, &std::fs::read(case.weights())?, |key| taming_key(&config, key))?;
        ensure!(left.is_empty(), "no parameter is called {left:?}");
        Ok(model)
    };
    let model = load(&case.device)?;
    let compare = |name: &str, got: Tensor<4>| case.compare(name, got, CLOSE);
    let image = case.tensor::<4>("image")?;
    compare("encoder_out", model.encoder.forward(image.clone()))?;
    let encoded = model.encode(image);
    let [_, _, h, w] = encoded.z.dims();
    compare("quant_conv_out", encoded.z)?;
    compare("quant", encoded.quantized.clone())?;
    same_ids("indices", &host_ids(encoded.indices), &case.array("indices")?)?;
    let losses = encoded.losses;
    case.compare("emb_loss", losses.total(), LOSS)?;

    let decoded = model.decode(encoded.quantized);
    compare("decoded", decoded.clone())?;
    let bytes: Vec<f64> = host(decoded.permute([0, 2, 3, 1]))?.iter().map(|&y| f64::from(taming_byte(y))).collect();
    close("decoded_u8", &bytes, &case.array("decoded_u8")?.data, 1.0)?;
    let codes = case.ids::<2>("codes")?;
    compare("codes_quant", model.quantize.lookup(codes.clone(), [h, w]))?;
    compare("decode_codes", model.decode_code(codes, [h, w]))?;

    let device = case.device.clone().autodiff();
    let model = load(&device)?;
    let image = case.tensor_on::<4>("image", &device)?.require_grad();
    let (picture, encoded) = model.forward(image.clone());
    let loss = (picture - image.clone().detach()).square().mean() + encoded.losses.total();
    let grads = loss.backward();
    let codebook = model.quantize.embedding.weight.val().grad(&grads).context("no gradient of the codebook")?;
    let image = image.grad(&grads).context("no gradient of the picture")?;
    close_f32("train.grad_codebook", &host(codebook)?, &case.array("train.grad_codebook")?, LOSS)?;
    close_f32("train.grad_image", &host(image)?, &case.array("train.grad_image")?, LOSS)
}

/// The GPT with its VQGAN.
pub fn check_net2net(case: &Case) -> Result<()> {
    let file = std::fs::read(case.weights())?;
    let shape = |key: &str| Some(SafeTensors::deserialize(&file).ok()?.tensor(key).ok()?.shape().to_vec());
    let path = "params.transformer_config.params";
    let given = MinGptConfig {
        n_head: case.usize(&format!("{path}.n_head"))?,
        num_classes: case.usize("params.cond_stage_config.params.n_classes")?,
        ..MinGptConfig::tiny()
    };
    let config = given.of_file(shape).context("no GPT in the file")?;
    for (name, got) in [
        ("vocab_size", config.vocab_size),
        ("block_size", config.block_size),
        ("n_layer", config.n_layer),
        ("n_embd", config.n_embd),
    ] {
        ensure!(case.usize(&format!("{path}.{name}"))? == got, "{name} is read as {got}");
    }
    let vq = vq_config(case, "params.first_stage_config.params")?;
    let mut tokenizer = vq.init(&case.device);
    renamed::load(&mut tokenizer, &file, |key| format!("first_stage_model.{}", taming_key(&vq, key)))?;
    let mut policy = PolicyConfig::Taming(config.clone()).init(&case.device);
    let left = renamed::load(&mut policy, &file, str::to_owned)?;
    let stray = left.iter().find(|key| !key.starts_with("first_stage_model.") && !key.ends_with(".attn.mask"));
    ensure!(stray.is_none(), "no parameter is called {stray:?}");

    let tokens = policy.config().in_turn(tokenizer.encode(case.tensor("image")?).indices);
    for name in ["z_indices", "target"] {
        same_ids(name, &host_ids(tokens.clone()), &case.array(name)?)?;
    }
    let labels = case.ids::<1>("labels")?;
    same_ids("c_indices", &host_ids(labels.clone()), &case.array("c_indices")?)?;
    let logits = policy.forward(labels.clone(), tokens.clone().narrow(1, 0, config.block_size - 1));
    case.compare("tf_logits", logits.clone(), LOGITS)?;
    case.compare("transformer_logits_full", logits.clone(), LOGITS)?;
    case.compare("loss", loss(logits.clone(), tokens.clone()), LOSS)?;

    let (greedy, chosen, steps) = greedy(&policy, labels.clone(), &tokens, 0);
    same_ids("greedy_ids", &host_ids(greedy.clone()), &case.array("greedy_ids")?)?;
    case.compare("greedy_logits", chosen, LOGITS)?;
    ensure!(host_ids(greedy.clone()) == host_ids(steps), "with and without a cache the ids differ");
    let [h, w]: [usize; 2] = serde_json::from_value(case.value("latent_hw")?.clone())?;
    let picture = tokenizer.decode_code(policy.config().in_rows(greedy), [h, w]);
    case.compare("decoded_greedy", picture, CLOSE)?;
    let half = self::greedy(&policy, labels.clone(), &tokens, config.block_size / 2);
    same_ids("half_completed_ids", &host_ids(half.0), &case.array("half_completed_ids")?)?;

    let mut cache = policy.cache(labels.dims()[0], &case.device);
    let mut steps = vec![policy.prefill(labels, &mut cache)];
    for position in 1..config.block_size {
        steps.push(policy.step(tokens.clone().narrow(1, position - 1, 1), position - 1, &mut cache));
    }
    let first = steps[0].clone();
    case.compare("step_logits_teacher", Tensor::stack::<3>(steps, 1), LOGITS)?;
    case.compare("topk5_logits", filter_logits(first.clone(), 5, 1.0), LOGITS)?;
    let (temperature, top_k, top_p) = serde_json::from_value(case.value("probs_temp_topk_topp")?.clone())?;
    let sampling = SamplingConfig { temperature, top_k, top_p, ..SamplingConfig::default() };
    case.compare("topk6_topp0p7_probs", softmax(sampling.warp(first), 1), 1e-5)?;
    check_gradients(case, &config, &file)
}

/// Mean of `-log p` of the tokens `[n, t]` under logits `[n, t, vocab]`.
fn loss(logits: Tensor<3>, tokens: Tensor<2, Int>) -> Tensor<1> {
    log_softmax(logits, 2).gather(2, tokens.unsqueeze_dim(2)).mean().neg()
}

/// What the likeliest tokens make of the first `given` of `tokens` `[n, block]`: ids `[n, block]` by cached steps, the
/// logits `[n, block, vocab]` that they were chosen by, and ids by the whole network anew for each token.
fn greedy(
    policy: &Policy,
    labels: Tensor<1, Int>,
    tokens: &Tensor<2, Int>,
    given: usize,
) -> (Tensor<2, Int>, Tensor<3>, Tensor<2, Int>) {
    let [n, block] = tokens.dims();
    let mut cache = policy.cache(n, &labels.device());
    let mut cached: Vec<Tensor<2, Int>> = (0..given).map(|t| tokens.clone().narrow(1, t, 1)).collect();
    let (mut anew, mut chosen) = (cached.clone(), vec![]);
    for position in 0..block {
        let logits = match position {
            0 => policy.prefill(labels.clone(), &mut cache),
            _ => policy.step(cached[position - 1].clone(), position - 1, &mut cache),
        };
        if position >= given {
            cached.push(likeliest(logits.clone()));
            // The network sees no later token: whatever stands there will do.
            let later = tokens.clone().narrow(1, position, block - position);
            let shown = Tensor::cat([anew.clone(), vec![later]].concat(), 1).narrow(1, 0, block - 1);
            let all = policy.forward(labels.clone(), shown);
            anew.push(likeliest(all.narrow(1, position, 1).squeeze_dim(1)));
        }
        chosen.push(logits);
    }
    (Tensor::cat(cached, 1), Tensor::stack(chosen, 1), Tensor::cat(anew, 1))
}

fn check_gradients(case: &Case, config: &MinGptConfig, file: &[u8]) -> Result<()> {
    let device = case.device.clone().autodiff();
    let mut model = config.init(&device);
    renamed::load(&mut model, file, str::to_owned)?;
    let tokens = case.ids_on::<2>("target", &device)?;
    let labels = case.ids_on("labels", &device)?;
    let logits = model.forward(labels, tokens.clone().narrow(1, 0, config.block_size - 1));
    let grads = GradientsParams::from_grads(loss(logits, tokens).backward(), &model);
    let named = by_key(&model, &grads);
    for (name, key) in [("pos_emb", "transformer.pos_emb"), ("tok_emb", "transformer.tok_emb.weight")] {
        let name = format!("train.loss_grad_{name}");
        let got = named.get(key).with_context(|| format!("no gradient of {key}"))?;
        close(&name, got, &case.array(&name)?.data, GRADIENT)?;
    }
    Ok(())
}

/// The orders of tokens; those of which the case has a table.
pub fn check_permuters(case: &Case) -> Result<()> {
    let side = case.usize("hw")?;
    let mut known = 0;
    for permuter in Permuter::ALL {
        for (way, table) in [("forward", permuter.places(side)), ("backward", permuter.turns(side))] {
            let name = format!("{permuter:?}.{way}");
            if case.has(&name) {
                let table: Vec<i32> = table.into_iter().map(|i| i as i32).collect();
                same_ids(&name, &table, &case.array(&name)?)?;
                known += 1;
            }
        }
    }
    let all = case.names()?.len();
    ensure!(known == all, "{known} of {all} tables are of a known order");
    Ok(())
}
