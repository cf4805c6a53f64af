//! CLIP against open_clip, OpenAI's and HPSv2's own code: tokens, features, cosines, logits, score.

use anyhow::{Context, Result, ensure};
use artune::model::bpe::Bpe;
use artune::model::clip::{Clip, ClipConfig, TextConfig, VisionConfig, cosine, normalize, similarity};
use artune::model::weights;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::Value;

use crate::case::{Array, Case, close_f32, same_ids};

/// Tolerance on raw features and hidden states.
const FEATURES: f64 = 1e-4;
/// Tolerance on cosines.
const COSINE: f64 = 2e-5;
/// Tolerance on logits: cosines times up to 100.
const LOGITS: f64 = 1e-3;

fn floats<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor.into_data().try_to_vec::<f32>().map_err(|e| anyhow::anyhow!("{e:?}"))
}

fn tensor<const D: usize>(array: &Array, device: &Device) -> Result<Tensor<D>> {
    Ok(Tensor::from_data(TensorData::new(array.f32(), array.dims::<D>()?), device))
}

/// open_clip's nested configuration, or the flat one of OpenAI's `build_model` (heads of width 64, QuickGELU).
fn config(case: &Case) -> Result<ClipConfig> {
    if case.value("vision_cfg").is_ok() {
        return Ok(serde_json::from_value(case.config.clone())?);
    }
    Ok(ClipConfig {
        embed_dim: case.usize("embed_dim")?,
        vision: VisionConfig {
            layers: case.usize("vision_layers")?,
            width: case.usize("vision_width")?,
            head_width: 64,
            patch_size: case.usize("vision_patch_size")?,
            image_size: case.usize("image_resolution")?,
            mlp_ratio: 4.0,
        },
        text: TextConfig {
            context_length: case.usize("context_length")?,
            vocab_size: case.usize("vocab_size")?,
            width: case.usize("transformer_width")?,
            heads: case.usize("transformer_heads")?,
            layers: case.usize("transformer_layers")?,
        },
        quick_gelu: true,
    })
}

/// Runs one case of either naming.
pub fn check(case: &Case) -> Result<()> {
    let device = Device::flex();
    let mut clip: Clip = config(case)?.init(&device);
    weights::load(&mut clip, &std::fs::read(case.weights())?)?;

    let picture = tensor::<4>(&case.array("image")?, &device)?;
    let text = case.array("text")?;
    let ids = Tensor::<2, Int>::from_data(TensorData::new(text.i32(), text.dims::<2>()?), &device);
    let compare = |name: &str, got: Vec<f32>, tolerance: f64| match case.has(name) {
        true => close_f32(name, &got, &case.array(name)?, tolerance),
        false => Ok(()),
    };

    compare("hidden.visual.ln_pre", floats(clip.visual.embed(picture.clone()))?, FEATURES)?;
    let len = text.shape[1];
    let block = clip.transformer.resblocks.first().context("a text tower without blocks")?;
    let hidden = block.forward(clip.embed_text(ids.clone()), Some(clip.mask(len)));
    compare("hidden.text.block0", floats(hidden)?, FEATURES)?;

    let image_features = clip.visual.forward(picture);
    let text_features = clip.encode_text(ids);
    compare("image_features", floats(image_features.clone())?, FEATURES)?;
    compare("text_features", floats(text_features.clone())?, FEATURES)?;
    compare("image_features_norm", floats(normalize(image_features.clone()))?, COSINE)?;
    compare("text_features_norm", floats(normalize(text_features.clone()))?, COSINE)?;

    let table = similarity(image_features.clone(), text_features.clone());
    let logits = table.clone() * clip.scale().unsqueeze();
    compare("cosine", floats(table)?, COSINE)?;
    compare("logit_scale_exp", floats(clip.scale())?, LOGITS)?;
    compare("logits_per_image", floats(logits.clone())?, LOGITS)?;
    compare("logits_per_text", floats(logits.transpose())?, LOGITS)?;

    // HPSv2 scores each picture with its own prompt: the first texts, one a picture.
    let pairs = image_features.dims()[0].min(text_features.dims()[0]);
    let score = cosine(image_features.narrow(0, 0, pairs), text_features.narrow(0, 0, pairs));
    compare("hps_score", floats(score)?, COSINE)
}

/// Runs the tokenizer case: the same strings through open_clip's, HPSv2's and OpenAI's tokenizer.
pub fn check_tokenizer(case: &Case) -> Result<()> {
    let context = case.usize("context_length")?;
    let strings = case.value("strings")?.as_array().context("strings is no list")?;
    let texts: Vec<&str> = strings.iter().filter_map(|s| s.get("text").and_then(Value::as_str)).collect();
    let vocab_size = case.usize("eot")? + 1;
    let (open_clip, openai) = (Bpe::new(vocab_size)?, Bpe::openai(vocab_size)?);
    ensure!(open_clip.start() as usize == case.usize("sot")?, "start token {}", open_clip.start());

    for string in strings {
        let text = string.get("text").and_then(Value::as_str).context("a string without text")?;
        let want = string.get("ids").and_then(Value::as_array).context("a string without ids")?;
        let want: Vec<u32> = want.iter().filter_map(|id| Some(id.as_u64()? as u32)).collect();
        let got = open_clip.encode(text);
        ensure!(got == want, "{text:?}: ids differ\n  got  {got:?}\n  want {want:?}");
    }
    for (name, bpe) in [("open_clip_ids", &open_clip), ("hpsv2_ids", &open_clip), ("openai_ids", &openai)] {
        if case.has(name) {
            let got: Vec<i32> = bpe.tokenize(&texts, context).concat().iter().map(|&id| id as i32).collect();
            same_ids(name, &got, &case.array(name)?)?;
        }
    }
    Ok(())
}
