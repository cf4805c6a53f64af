//! Preprocessing of pictures against LlamaGen's, CLIP's and HPSv2's own code.

use anyhow::{Context, Result, ensure};
use artune::data::preprocess::{adm_center_crop, clip_center_crop, to_tensor};
use artune::data::resize::Raster;
use artune::model::clip::preprocess;
use artune::model::resample::{Resample, fit_square};
use serde_json::Value;

use crate::case::Case;

/// Tolerance on normalised pixels whose bytes are exact.
const BYTES: f64 = 1e-6;
/// Tolerance on normalised pixels that were resized as tensors.
const TENSORS: f64 = 1e-4;

/// Every picture of `config.json`: its name, its entry and its pixels.
fn pictures(case: &Case) -> Result<Vec<(String, &Value, Raster)>> {
    let mut all = vec![];
    for entry in case.value("images")?.as_array().context("images is no list")? {
        let file = entry["file"].as_str().context("a picture without file")?;
        let pixels = image::open(case.dir.join(file)).with_context(|| file.to_string())?.into_rgb8();
        let (width, height) = pixels.dimensions();
        let raster = Raster::new(width as usize, height as usize, 3, pixels.into_raw()).context("an empty picture")?;
        all.push((file.trim_end_matches(".png").to_string(), entry, raster));
    }
    Ok(all)
}

/// Fails unless the bytes are exactly those of the tensor `name`.
fn same_bytes(case: &Case, name: &str, got: &Raster) -> Result<()> {
    let want = case.array(name)?;
    ensure!(want.shape == [got.height, got.width, got.channels], "{name}: {:?} is another shape", want.shape);
    let worst = got.bytes.iter().zip(&want.data).map(|(g, w)| (f64::from(*g) - w).abs()).fold(0.0, f64::max);
    ensure!(worst == 0.0, "{name}: bytes differ by up to {worst}");
    println!("    {name}: {} bytes equal", got.bytes.len());
    Ok(())
}

/// The training pictures of LlamaGen and ADM: `adm_center_crop*`.
pub fn check_adm(case: &Case) -> Result<()> {
    for (name, entry, picture) in pictures(case)? {
        let side = entry["size"].as_u64().context("a picture without size")? as usize;
        same_bytes(case, &name, &adm_center_crop(&picture, side))?;
    }
    Ok(())
}

/// Pictures for CLIP and HPSv2: `clip_preprocess*`.
pub fn check_clip(case: &Case) -> Result<()> {
    let sides = case.value("sizes")?.as_array().context("sizes is no list")?;
    let mut compared = 0;
    for (name, _, picture) in pictures(case)? {
        for side in sides.iter().filter_map(Value::as_u64) {
            let key = |what: &str| format!("{name}.{side}.{what}");
            if !case.has(&key("openai")) {
                continue;
            }
            let square = clip_center_crop(&picture, side as usize);
            same_bytes(case, &key("resized_u8"), &square)?;
            let normalised = preprocess(to_tensor(&square, &case.device)).squeeze_dim::<3>(0);
            case.compare(&key("openai"), normalised, BYTES)?;
            for (what, antialias) in [("hpsv2_antialias", true), ("hpsv2_noantialias", false)] {
                let fitted = to_tensor(&picture, &case.device);
                let fitted = fit_square(fitted, side as usize, Resample::Bicubic { antialias });
                case.compare(&key(what), preprocess(fitted).squeeze_dim::<3>(0), TENSORS)?;
            }
            compared += 1;
        }
    }
    ensure!(compared > 0, "nothing was compared");
    Ok(())
}
