//! CLIP against open_clip, OpenAI's and HPSv2's own code: tokens, features, cosines, logits, score.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use artune::formats::Tensors;
use artune::gpu::supports_half;
use artune::model::bpe::Bpe;
use artune::model::clip::{Clip, ClipConfig, TextConfig, VisionConfig, cosine, normalize, similarity};
use artune::model::weights::{self, Loading};
use burn::tensor::DType;
use serde_json::Value;

use crate::case::{Case, same_ids};

/// Tolerance on raw features and hidden states.
const FEATURES: f64 = 1e-4;
/// Tolerance on cosines.
const COSINE: f64 = 2e-5;
/// Tolerance on logits: cosines times up to 100.
const LOGITS: f64 = 1e-3;

/// Tolerance on cosines of a network whose matrices are kept in half precision.
const HALF: f64 = 1e-3;

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
    let mut clip: Clip = config(case)?.init(&case.device);
    weights::load(&mut clip, &std::fs::read(case.weights())?)?;

    let picture = case.tensor::<4>("image")?;
    let ids = case.ids::<2>("text")?;
    case.compare("hidden.visual.ln_pre", clip.visual.embed(picture.clone()), FEATURES)?;
    let len = ids.dims()[1];
    let block = clip.transformer.resblocks.first().context("a text tower without blocks")?;
    let hidden = block.forward(clip.embed_text(ids.clone()), Some(clip.mask(len)));
    case.compare("hidden.text.block0", hidden, FEATURES)?;

    let image_features = clip.visual.forward(picture);
    let text_features = clip.encode_text(ids);
    case.compare("image_features", image_features.clone(), FEATURES)?;
    case.compare("text_features", text_features.clone(), FEATURES)?;
    case.compare("image_features_norm", normalize(image_features.clone()), COSINE)?;
    case.compare("text_features_norm", normalize(text_features.clone()), COSINE)?;

    let table = similarity(image_features.clone(), text_features.clone());
    let logits = table.clone() * clip.scale().unsqueeze();
    case.compare("cosine", table, COSINE)?;
    case.compare("logit_scale_exp", clip.scale(), LOGITS)?;
    case.compare("logits_per_image", logits.clone(), LOGITS)?;
    case.compare("logits_per_text", logits.transpose(), LOGITS)?;

    // HPSv2 scores each picture with its own prompt: the first texts, one a picture.
    let pairs = image_features.dims()[0].min(text_features.dims()[0]);
    let score = cosine(image_features.narrow(0, 0, pairs), text_features.narrow(0, 0, pairs));
    case.compare("hps_score", score, COSINE)?;
    check_half(case)
}

/// The same network with its matrices kept in half precision on the device: the cosines move by what the weights lost.
fn check_half(case: &Case) -> Result<()> {
    if !supports_half(&case.device) {
        println!("    no half precision on this device");
        return Ok(());
    }
    let mut clip: Clip = config(case)?.init(&case.device);
    let file = Arc::new(Tensors::open(std::fs::read(case.weights())?)?);
    weights::load_from(&mut clip, &file, Loading { half: true, ..Loading::default() })?;
    ensure!(clip.visual.proj.val().dtype() == DType::F16, "the weights are not kept in half precision");
    let (image, text) = (clip.visual.forward(case.tensor("image")?), clip.encode_text(case.ids("text")?));
    case.compare("cosine", similarity(image, text), HALF)
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
