//! LOO-FID rewards against brute force in numpy.

use anyhow::{Context, Result};
use artune::metrics::Features;
use artune::reward::loo_fid::{Cov, DiagonalF32, Form, LooFid, Moments, Removal, rewards_f32};

use crate::case::{Case, close};

/// Every beta, both forms and both removals that the case gives.
pub fn check(case: &Case) -> Result<()> {
    let x = case.array("X")?;
    let [n, d] = x.dims()?;
    let features = Features::new(n, d, x.data.clone())?;
    let data = |name: &str| Ok::<_, anyhow::Error>(case.array(name)?.data);
    let deviation = data("sd_r")?;
    let betas = case.value("betas")?.as_array().context("betas is no list")?;
    for (first, beta) in betas.iter().enumerate().map(|(i, b)| (i == 0, b)) {
        let beta = beta.as_f64().context("beta is no number")?;
        let prefix = format!("b{beta:?}");
        for (form, name) in [(Form::Diagonal, "diag"), (Form::Full, "full")] {
            if !case.has(&format!("{prefix}.{name}.r")) {
                continue;
            }
            let (second, cov, tol) = match form {
                Form::Diagonal => ("ema_q", Cov::Diagonal(deviation.iter().map(|s| s * s).collect()), 1e-12),
                // Without a past, few samples leave a singular covariance.
                Form::Full => ("ema_M2", Cov::Full(data("S_r")?), if beta == 0.0 && n <= d + 1 { 1e-7 } else { 1e-9 }),
            };
            let reference = Moments { mean: data("mu_r")?, cov };
            let start = Moments::from_raw(data("ema_m")?, data(second)?)?;
            for (removal, suffix) in [(Removal::Renormalise, ""), (Removal::Weighted, "_weighted")] {
                let Ok(want) = data(&format!("{prefix}.{name}{suffix}.r")) else { continue };
                let loo = LooFid::new(reference.clone(), start.clone(), beta)?.with_removal(removal);
                let (rewards, next) = loo.rewards(&features)?;
                close(&format!("{prefix} {name}{suffix} rewards"), &rewards, &want, tol)?;
                if removal == Removal::Weighted {
                    continue;
                }

                let distance = data(&format!("{prefix}.{name}.F"))?;
                let scale = distance[0].abs().max(1.0);
                close(&format!("{prefix} {name} distance"), &[loo.distance_of(&next)?], &distance, tol * scale)?;
                close(&format!("{prefix} mean"), &next.mean, &data(&format!("{prefix}.new_m"))?, 1e-12)?;
                let squares = next.variances().into_iter().zip(&next.mean).map(|(v, m)| v + m * m);
                let squares: Vec<f64> = squares.collect();
                close(&format!("{prefix} squares"), &squares, &data(&format!("{prefix}.new_q"))?, 1e-12)?;
                if let Cov::Full(cov) = &next.cov {
                    close(&format!("{prefix} covariance"), cov, &data(&format!("{prefix}.new_S"))?, 1e-12)?;
                } else {
                    check_f32(&x.f32(), &start, &reference, &deviation, (beta, &want, distance[0]))?;
                }
                if first && form == Form::Diagonal && case.has("adv_group4") {
                    close("advantage in groups of 4", &normalised(&rewards, 4), &data("adv_group4")?, 1e-8)?;
                }
            }
        }
    }
    Ok(())
}

/// The form for machines without f64, within 1e-7 of the distance (and of the rewards, where those are large).
fn check_f32(
    x: &[f32],
    start: &Moments,
    reference: &Moments,
    deviation: &[f64],
    (beta, want, distance): (f64, &[f64], f64),
) -> Result<()> {
    let f32s = |v: &[f64]| v.iter().map(|&x| x as f32).collect::<Vec<f32>>();
    let (mean, variance) = (f32s(&start.mean), f32s(&start.variances()));
    let (reference_mean, reference_deviation) = (f32s(&reference.mean), f32s(deviation));
    let state = DiagonalF32 {
        mean: &mean,
        variance: &variance,
        reference_mean: &reference_mean,
        reference_deviation: &reference_deviation,
        beta: beta as f32,
    };
    let got: Vec<f64> = rewards_f32(state, x).into_iter().map(f64::from).collect();
    let largest = want.iter().fold(0.0f64, |m, r| m.max(r.abs()));
    close(&format!("b{beta:?} diag rewards in f32"), &got, want, 1e-7 * (distance + largest))
}

/// `(r - mean) / (std + 1e-4)` inside groups of consecutive samples, std with ddof 1.
fn normalised(rewards: &[f64], group: usize) -> Vec<f64> {
    let one = |r: &[f64]| {
        let n = r.len() as f64;
        let mean = r.iter().sum::<f64>() / n;
        let std = (r.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        r.iter().map(|x| (x - mean) / (std + 1e-4)).collect::<Vec<_>>()
    };
    rewards.chunks(group).flat_map(one).collect()
}
