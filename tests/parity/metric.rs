//! Metrics against pytorch-fid, torch-fidelity and prdc.

use anyhow::{Context, Result};
use artune::metrics::frechet::{frechet_distance, frechet_of_features, frechet_to_reference};
use artune::metrics::inception_score::inception_score;
use artune::metrics::kid::{Polynomial, kid_of_subsets, mmd2};
use artune::metrics::prdc::prdc;
use artune::metrics::{Features, Gaussian};
use serde_json::Value;

use crate::case::{Array, Case, close};

fn features(case: &Case, name: &str) -> Result<Features> {
    let array = case.array(name)?;
    let [n, d] = array.dims()?;
    Ok(Features::new(n, d, array.data)?)
}

/// The rows of `config.json`, each one comparison.
fn rows(case: &Case) -> Result<&Vec<Value>> {
    case.value("rows")?.as_array().context("rows is no list")
}

fn number(row: &Value, key: &str) -> Result<f64> {
    row[key].as_f64().with_context(|| format!("{key} is no number in {row}"))
}

fn numbers(row: &Value, key: &str) -> Result<Vec<f64>> {
    let list = row[key].as_array().with_context(|| format!("{key} is no list in {row}"))?;
    list.iter().map(|v| v.as_f64().with_context(|| format!("{key} holds {v}"))).collect()
}

fn text<'a>(row: &'a Value, key: &str) -> Result<&'a str> {
    row[key].as_str().with_context(|| format!("{key} is no text in {row}"))
}

/// Within `tol` of `want`, relative to the largest of its numbers.
fn near(what: &str, got: &[f64], want: &[f64], tol: f64) -> Result<()> {
    close(what, got, want, tol * want.iter().fold(0.0, |m, w| w.abs().max(m)))
}

/// Fréchet distance: `metric_fid*`.
pub fn check_fid(case: &Case) -> Result<()> {
    for row in rows(case)? {
        let key = text(row, "key")?;
        let exact = number(row, "fid_exact")?;
        let (n1, n2, d) = (number(row, "N1")? as usize, number(row, "N2")? as usize, number(row, "d")? as usize);
        // A null space costs sqrt(eps) per direction where only the moments are known. Elsewhere the tolerance is
        // relative; a distance of 0 leaves the rounding of its terms.
        let relative = 1e-10 * exact.abs().max(1e-3);
        let tol = if n1.min(n2) <= d { 1e-6 } else { relative };
        if case.has(&format!("{key}.mu1")) {
            let gaussian = |i: usize, n| -> Result<Gaussian> {
                let mean = case.array(&format!("{key}.mu{i}"))?.data;
                Ok(Gaussian { mean, cov: case.array(&format!("{key}.sigma{i}"))?.data, n })
            };
            let got = frechet_distance(&gaussian(1, n1)?, &gaussian(2, n2)?)?;
            close(&format!("{key} from moments"), &[got], &[exact], tol)?;
        }
        let Some(suffix) = ["", "f32"].into_iter().find(|s| case.has(&format!("{key}.X{s}"))) else { continue };
        let (x, y) = (features(case, &format!("{key}.X{suffix}"))?, features(case, &format!("{key}.Y{suffix}"))?);
        let (gx, gy) = (Gaussian::fit(&x)?, Gaussian::fit(&y)?);
        for (i, gaussian) in [(1, &gx), (2, &gy)] {
            if case.has(&format!("{key}.mu{i}")) {
                near(&format!("{key} mean {i}"), &gaussian.mean, &case.array(&format!("{key}.mu{i}"))?.data, 1e-12)?;
                near(&format!("{key} cov {i}"), &gaussian.cov, &case.array(&format!("{key}.sigma{i}"))?.data, 1e-12)?;
            }
        }
        close(&format!("{key} from fitted moments"), &[frechet_distance(&gx, &gy)?], &[exact], tol)?;
        close(&format!("{key} to reference"), &[frechet_to_reference(&x, &gy)?], &[exact], tol)?;
        close(&format!("{key} from features"), &[frechet_of_features(&x, &y)?], &[exact], relative)?;
    }
    Ok(())
}

/// Inception score: `metric_isc*`.
pub fn check_isc(case: &Case) -> Result<()> {
    for row in rows(case)? {
        let key = text(row, "key")?;
        let mut logits = features(case, &format!("{key}.logits"))?;
        if row["shuffle"].as_bool() == Some(true) {
            logits = logits.select(&indices(&case.array(&format!("{key}.perm"))?)[0]);
        }
        let got = inception_score(&logits, number(row, "splits")? as usize)?;
        near(&format!("{key} splits"), &got.parts, &numbers(row, "split_scores")?, 1e-9)?;
        near(&format!("{key} mean, std"), &[got.mean, got.std], &[number(row, "mean")?, number(row, "std")?], 1e-9)?;
    }
    Ok(())
}

/// Kernel distance: `metric_kid*`.
pub fn check_kid(case: &Case) -> Result<()> {
    for row in rows(case)? {
        let key = text(row, "key")?;
        let (x, y) = (features(case, text(row, "X")?)?, features(case, text(row, "Y")?)?);
        let kernel = Polynomial {
            degree: number(row, "degree")? as i32,
            gamma: row["gamma"].as_f64(),
            coef0: number(row, "coef0")?,
        };
        let subsets = |side: u8| Ok::<_, anyhow::Error>(indices(&case.array(&format!("{key}.idx{side}"))?));
        let got = kid_of_subsets(&x, &y, &subsets(1)?, &subsets(2)?, &kernel)?;
        near(&format!("{key} subsets"), &got.parts, &numbers(row, "subset_mmd2")?, 1e-9)?;
        near(&format!("{key} mean, std"), &[got.mean, got.std], &[number(row, "mean")?, number(row, "std")?], 1e-9)?;
        if let (Some(want), Some(n)) = (row["mmd2_first_n"].as_f64(), row["n"].as_u64()) {
            let first: Vec<usize> = (0..n as usize).collect();
            near(&format!("{key} first {n}"), &[mmd2(&x.select(&first), &y.select(&first), &kernel)?], &[want], 1e-9)?;
        }
    }
    Ok(())
}

/// Precision, recall, density, coverage: `metric_prdc*`.
pub fn check_prdc(case: &Case) -> Result<()> {
    for row in rows(case)? {
        let (real, fake, k) = (text(row, "real")?, text(row, "fake")?, number(row, "k")? as usize);
        let got = prdc(&features(case, real)?, &features(case, fake)?, k)?;
        let want = ["precision", "recall", "density", "coverage"].map(|key| number(row, key));
        let want: Vec<f64> = want.into_iter().collect::<Result<_>>()?;
        let values = [got.precision, got.recall, got.density, got.coverage];
        close(&format!("{fake} k {k}"), &values, &want, 1e-12)?;
        // torch-fidelity counts in f32.
        let peer = &row["torch_fidelity_prc(fake,real)"];
        if peer.is_object() {
            let want = [number(peer, "precision")?, number(peer, "recall")?, number(peer, "f_score")?];
            close("torch-fidelity", &[got.precision, got.recall, got.f_score()], &want, 1e-6)?;
        }
    }
    Ok(())
}

/// Rows of indices; a plain list is one row.
fn indices(array: &Array) -> Vec<Vec<usize>> {
    let width = array.shape.last().copied().unwrap_or(1).max(1);
    array.data.chunks(width).map(|row| row.iter().map(|&i| i as usize).collect()).collect()
}
