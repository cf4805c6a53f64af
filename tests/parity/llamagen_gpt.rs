//! LlamaGen's class-conditional transformer: logits, hidden states, cached steps, greedy tokens, loss, gradients, and
//! the sampler's filters.

use anyhow::{Context, Result, ensure};
use artune::model::rope::{Rope, freqs_cis};
use artune::model::transformer::{GptConfig, ModelType, Transformer};
use artune::model::weights;
use artune::rl::sampling::{SamplingConfig, filter_logits, guide, likeliest};
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::activation::{log_softmax, softmax};

use crate::case::{Array, Case, close, close_f32, host, host_ids, same_ids};
use crate::gradients::by_key;

const LOGITS: f64 = 2e-4;
const LOSS: f64 = 1e-5;
const GRADIENT: f64 = 1e-4;
const TABLE: f64 = 2e-6;

/// Everything that the case gives.
pub fn check(case: &Case) -> Result<()> {
    let config = config(case)?;
    let model = load(case, &config, &case.device)?;
    check_rope(case, &config, &case.device)?;
    check_forward(case, &config, &model)?;
    check_hidden(case, &model)?;
    check_steps(case, &model)?;
    check_training(case, &config)?;
    check_filters(case)
}

/// The shape of the case's network.
pub fn config(case: &Case) -> Result<GptConfig> {
    let model_type: ModelType = serde_json::from_value(case.value("model_type")?.clone())?;
    Ok(GptConfig {
        model_type,
        cls_token_num: case.usize("cls_token_num")?,
        caption_dim: if model_type == ModelType::T2i { case.usize("caption_dim")? } else { 0 },
        dim: case.usize("dim")?,
        n_layer: case.usize("n_layer")?,
        n_head: case.usize("n_head")?,
        n_kv_head: case.value("n_kv_head")?.as_u64().map(|n| n as usize),
        multiple_of: case.usize("multiple_of")?,
        vocab_size: case.usize("vocab_size")?,
        num_classes: case.usize("num_classes")?,
        class_dropout_prob: case.f64("class_dropout_prob")?,
        block_size: case.usize("block_size")?,
        rope_base: case.f64("rope_base")?,
        norm_eps: case.f64("norm_eps")?,
    })
}

/// The case's network.
pub fn load(case: &Case, config: &GptConfig, device: &Device) -> Result<Transformer> {
    let mut model = config.init(device);
    weights::load(&mut model, &std::fs::read(case.weights())?)?;
    Ok(model)
}

/// Compares `[batch, seq, vocab]` with a tensor that may hold only every n-th position, or only the last one.
pub fn close_positions(what: &str, got: Tensor<3>, want: &Array, tolerance: f64) -> Result<()> {
    let seq = got.dims()[1];
    let [_, given, _] = want.dims::<3>()?;
    let got = match given {
        1 => got.narrow(1, seq - 1, 1),
        _ => got.slice(s![.., 0..seq;seq.div_ceil(given), ..]),
    };
    close_f32(what, &host(got)?, want, tolerance)
}

/// Tables of rotations, and one applied.
pub fn check_rope(case: &Case, config: &GptConfig, device: &Device) -> Result<()> {
    let flat = |table: &[Vec<(f32, f32)>]| -> Vec<f32> { table.iter().flatten().flat_map(|&(c, s)| [c, s]).collect() };
    if case.has("rope.freqs_cis") {
        let table =
            freqs_cis(config.block_size.isqrt(), config.dim / config.n_head, config.rope_base, config.cls_token_num);
        close_f32("rope.freqs_cis", &flat(&table), &case.array("rope.freqs_cis")?, TABLE)?;
    }
    let Ok(specs) = case.value("rope_specs_grid_headdim_base_clstokens") else { return Ok(()) };
    let specs: Vec<[f64; 4]> = serde_json::from_value(specs.clone())?;
    for (i, [grid, head_dim, base, class]) in specs.iter().copied().enumerate() {
        let table = freqs_cis(grid as usize, head_dim as usize, base, class as usize);
        for part in ["full", "head", "tail"] {
            let name = format!("rope.{part}{i}");
            if !case.has(&name) {
                continue;
            }
            let want = case.array(&name)?;
            let rows = want.shape[0];
            let got = if part == "tail" { &table[table.len() - rows..] } else { &table[..rows] };
            close_f32(&name, &flat(got), &want, TABLE)?;
        }
    }
    if case.has("rope.apply_x") {
        let [grid, head_dim, base, class] = *specs.last().context("a spec")?;
        let rope = Rope::new(grid as usize, head_dim as usize, base, class as usize, 1.0, device);
        let y = rope.apply(case.tensor("rope.apply_x")?, 0);
        close_f32("rope.apply", &host(y)?, &case.array("rope.apply_y")?, 1e-5)?;
    }
    Ok(())
}

fn check_forward(case: &Case, config: &GptConfig, model: &Transformer) -> Result<()> {
    let labels = case.ids::<1>("labels")?;
    let tokens = case.ids::<2>("tokens")?;
    let shown = tokens.clone().narrow(1, 0, config.block_size - 1);
    let logits = model.forward(labels.clone(), shown.clone());
    close_positions("tf_logits", logits, &case.array("tf_logits")?, LOGITS)?;
    if case.has("tf_logits_null") {
        let null = config.null_class().context("no null class")?;
        let nulls = labels.full_like(null as i32);
        close_positions("tf_logits_null", model.forward(nulls, shown), &case.array("tf_logits_null")?, LOGITS)?;
    }
    if case.has("tf_logits_fullblock") {
        let want = case.array("tf_logits_fullblock")?;
        close_positions("tf_logits_fullblock", model.forward(labels, tokens), &want, LOGITS)?;
    }
    if case.has("cls_embed_after_drop") {
        let (drop, labels) = (case.array("force_drop_ids")?.i32(), case.array("labels")?.i32());
        let null = |class: i32| Ok(model.null_of(class as usize).context("no null class")? as i32);
        let dropped = drop.iter().zip(&labels).map(|(&drop, &class)| if drop == 1 { null(class) } else { Ok(class) });
        same_ids("labels_after_drop", &dropped.collect::<Result<Vec<_>>>()?, &case.array("labels_after_drop")?)?;
        let class = model.cls_embedding.forward(case.ids("labels_after_drop")?);
        close_f32("cls_embed_after_drop", &host(class)?, &case.array("cls_embed_after_drop")?, 0.0)?;
    }
    Ok(())
}

/// Residual stream and attention outputs of the first sequence, fed as many positions as the case shows.
fn check_hidden(case: &Case, model: &Transformer) -> Result<()> {
    if !case.has("hidden.embed") {
        return Ok(());
    }
    let want = case.array("hidden.embed")?;
    let [rows, seq, _] = want.dims::<3>()?;
    let class = case.ids::<1>("labels")?.narrow(0, 0, rows);
    let tokens = case.ids::<2>("tokens")?.narrow(0, 0, rows).narrow(1, 0, seq - 1);
    let same = |name: String, got: Tensor<3>| match case.has(&name) {
        true => close_f32(&name, &host(got)?, &case.array(&name)?, LOGITS),
        false => Ok(()),
    };
    let mask = model.mask(class.clone(), seq);
    let mut x = model.embed(class, tokens);
    same("hidden.embed".into(), x.clone())?;
    for (i, layer) in model.layers.iter().enumerate() {
        let attention = layer.attention.forward(layer.attention_norm.forward(x.clone()), model.rope(), mask.clone());
        same(format!("hidden.layer{i}.attn_out"), attention)?;
        x = layer.forward(x, model.rope(), mask.clone());
        same(format!("hidden.layer{i}"), x.clone())?;
    }
    same("hidden.norm".into(), model.norm.forward(x))
}

fn check_steps(case: &Case, model: &Transformer) -> Result<()> {
    let labels = case.ids::<1>("labels")?;
    if case.has("step_logits") {
        let tokens = case.ids::<2>("tokens")?;
        let want = case.array("step_logits")?;
        let mut cache = model.cache(labels.dims()[0], &case.device);
        let mut steps = vec![model.prefill(labels.clone(), &mut cache)];
        for pos in 0..want.shape[1] - 1 {
            steps.push(model.step(tokens.clone().narrow(1, pos, 1), pos, &mut cache));
        }
        close_f32("step_logits", &host(Tensor::stack::<3>(steps, 1))?, &want, LOGITS)?;
    }
    for name in case.names()? {
        let Some(run) = name.strip_suffix(".ids").filter(|run| run.starts_with("greedy")) else { continue };
        let sampling = SamplingConfig {
            guidance: guidance(run)?,
            cfg_interval: if run.ends_with("_interval") { case.usize("cfg_interval")? as i64 } else { -1 },
            ..SamplingConfig::default()
        };
        let (tokens, logits) = greedy(model, labels.clone(), &sampling)?;
        same_ids(&name, &host_ids(tokens), &case.array(&name)?)?;
        let name = format!("{run}.logits");
        if case.has(&name) {
            close_positions(&name, logits, &case.array(&name)?, LOGITS)?;
        }
    }
    Ok(())
}

/// The scale in `greedy_cfg1p5_interval`: 1.5; 1 where none is named.
pub fn guidance(run: &str) -> Result<f64> {
    let Some((_, scale)) = run.split_once("_cfg") else { return Ok(1.0) };
    let scale = scale.split('_').next().unwrap_or(scale);
    scale.replace('p', ".").parse().with_context(|| format!("guidance scale of {run}"))
}

/// Greedy tokens `[n, block]` of these classes or captions, and the logits they were chosen by `[n, block, vocab]`.
pub fn greedy(
    model: &Transformer,
    labels: Tensor<1, Int>,
    sampling: &SamplingConfig,
) -> Result<(Tensor<2, Int>, Tensor<3>)> {
    let n = labels.dims()[0];
    let guided = sampling.guidance != 1.0;
    let twin = |class: i32| Some(model.null_of(class as usize)? as i32);
    let classes = if guided {
        let twins: Option<Vec<i32>> = host_ids(labels.clone()).into_iter().map(twin).collect();
        let twins = twins.context("no null class")?;
        Tensor::cat(vec![labels.clone(), Tensor::from_data(TensorData::new(twins, [n]), &labels.device())], 0)
    } else {
        labels
    };
    let mut cache = model.cache(classes.dims()[0], &classes.device());
    let (mut tokens, mut chosen): (Vec<Tensor<2, Int>>, _) = (vec![], vec![]);
    for position in 0..model.config().block_size {
        let both = match tokens.last() {
            None => model.prefill(classes.clone(), &mut cache),
            Some(last) => {
                let last = if guided { last.clone().repeat_dim(0, 2) } else { last.clone() };
                model.step(last, position - 1, &mut cache)
            }
        };
        let cond = both.clone().narrow(0, 0, n);
        let logits = match sampling.guides(position) {
            true => guide(cond, both.narrow(0, n, n), sampling.guidance),
            false => cond,
        };
        tokens.push(likeliest(logits.clone()));
        chosen.push(logits);
    }
    Ok((Tensor::cat(tokens, 1), Tensor::stack(chosen, 1)))
}

fn check_training(case: &Case, config: &GptConfig) -> Result<()> {
    if !case.has("train_loss") {
        return Ok(());
    }
    let device = case.device.clone().autodiff();
    let model = load(case, config, &device)?;
    let tokens = case.ids_on::<2>("tokens", &device)?;
    let logits = |classes: &str| -> Result<Tensor<3>> {
        Ok(model.forward(case.ids_on(classes, &device)?, tokens.clone().narrow(1, 0, config.block_size - 1)))
    };
    let loss = |logits: Tensor<3>| {
        let logp = log_softmax(logits, 2).gather(2, tokens.clone().unsqueeze_dim(2)); // [batch, seq, 1]
        logp.mean().neg()
    };
    let same_loss =
        |name: &str, loss: Tensor<1>| -> Result<()> { close_f32(name, &host(loss)?, &case.array(name)?, LOSS) };
    if case.has("train_loss_dropped") {
        same_loss("train_loss_dropped", loss(logits("labels_after_drop")?))?;
    }
    let logits = logits("labels")?;
    if case.has("train_logits") {
        close_positions("train_logits", logits.clone(), &case.array("train_logits")?, LOGITS)?;
    }
    let loss = loss(logits);
    same_loss("train_loss", loss.clone())?;

    let grads = GradientsParams::from_grads(loss.backward(), &model);
    let named = by_key(&model, &grads);
    if case.has("train_grad_norm") {
        let norm = named.values().flatten().map(|g| g * g).sum::<f64>().sqrt();
        close("train_grad_norm", &[norm], &case.array("train_grad_norm")?.data, GRADIENT)?;
    }
    for name in case.names()? {
        let Some(key) = name.strip_prefix("grad.") else { continue };
        let got = named.get(key).with_context(|| format!("no gradient for {key}"))?;
        close(&name, got, &case.array(&name)?.data, GRADIENT)?;
    }
    Ok(())
}

fn check_filters(case: &Case) -> Result<()> {
    if !case.has("filter.logits") {
        return Ok(());
    }
    let all = case.tensor::<2>("filter.logits")?;
    // An output with fewer rows than the input holds only the rows that the configuration lists.
    let rows = |want: &Array, key: &str| -> Result<Tensor<2>> {
        if want.shape[0] == all.dims()[0] {
            return Ok(all.clone());
        }
        let rows: Vec<i32> = serde_json::from_value(case.value(key)?.clone())?;
        ensure!(rows.len() == want.shape[0], "{key} lists {} rows, the output has {}", rows.len(), want.shape[0]);
        Ok(all.clone().select(0, Tensor::from_data(TensorData::new(rows.clone(), [rows.len()]), &case.device)))
    };
    let combinations: Vec<(usize, f64)> = serde_json::from_value(case.value("filter_combos_topk_topp")?.clone())?;
    for (i, (top_k, top_p)) in combinations.into_iter().enumerate() {
        let name = format!("filter.out{i}");
        let want = case.array(&name)?;
        let got = filter_logits(rows(&want, "filter_rows_when_top_p")?, top_k, top_p);
        close_f32(&format!("{name} (top_k {top_k}, top_p {top_p})"), &host(got)?, &want, 0.0)?;
    }
    let Ok(combinations) = case.value("probs_combos_temp_topk_topp") else { return Ok(()) };
    let combinations: Vec<(f64, usize, f64)> = serde_json::from_value(combinations.clone())?;
    for (i, (temperature, top_k, top_p)) in combinations.into_iter().enumerate() {
        let name = format!("filter.probs{i}");
        let want = case.array(&name)?;
        let sampling = SamplingConfig { temperature, top_k, top_p, ..SamplingConfig::default() };
        let got = softmax(sampling.warp(rows(&want, "probs_rows")?), 1);
        close_f32(&format!("{name} (temperature {temperature})"), &host(got)?, &want, 1e-6)?;
    }
    Ok(())
}
