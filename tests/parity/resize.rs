//! Resizing of tensors against `torch.nn.functional.interpolate`.

use anyhow::{Result, bail, ensure};
use artune::model::resample::{Resample, resize};

use crate::case::Case;

/// Tolerance on pixels in [0, 1].
const PIXELS: f64 = 1e-5;

/// `nearest`, `bilinear` and `bicubic` with (`aa`) and without (`noaa`) antialias: `resize_ops*`.
pub fn check(case: &Case) -> Result<()> {
    let mut compared = 0;
    for name in case.names()?.iter().filter(|name| *name != "x") {
        let (method, size) = name.rsplit_once('_').unwrap_or((name, ""));
        let method = match method {
            "nearest" => Resample::Nearest,
            "bilinear_noaa" => Resample::Bilinear { antialias: false },
            "bilinear_aa" => Resample::Bilinear { antialias: true },
            "bicubic_noaa" => Resample::Bicubic { antialias: false },
            "bicubic_aa" => Resample::Bicubic { antialias: true },
            _ => bail!("{name}: no such method"),
        };
        let sides = size.split('x').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
        let [h, w] = sides[..] else { bail!("{name}: no size") };
        case.compare(name, resize(case.tensor("x")?, [h, w], method), PIXELS)?;
        compared += 1;
    }
    ensure!(compared > 0, "nothing was compared");
    Ok(())
}
