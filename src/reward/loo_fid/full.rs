//! The full-covariance form, exactly, without one eigendecomposition per sample.
//!
//! Leaving a sample out changes the covariance by a matrix of rank 1 or 2 (plus a common one), and
//! `sqrt(x) = (1/π) ∫₀^∞ ln(1 + x/u²) du` turns the change of the trace of the square root into determinants:
//! `tr sqrt(A + U C Uᵀ) - tr sqrt(A) = (1/π) ∫ ln det(I + C Uᵀ (A + u²)⁻¹ U) du`.
//! In the eigenbasis of `A` these are small sums: two eigendecompositions and O(n d) per quadrature node in all.

use std::f64::consts::PI;

use faer::{Mat, MatRef};

use super::{Batch, Cov, Moments, Removal};
use crate::metrics::MetricError;
use crate::metrics::linalg::{centered, eigen_psd, squared_distance, trace_sqrt, view};

fn covariance(moments: &Moments) -> Result<MatRef<'_, f64>, MetricError> {
    match &moments.cov {
        Cov::Full(cov) => Ok(view(cov, moments.d(), moments.d())),
        Cov::Diagonal(_) => Err(MetricError::NoCovariance),
    }
}

/// `|m - m_r|² + tr S + tr S_r - 2 tr (P S P)^½`, where `root` is `P = S_r^½`.
pub(super) fn distance(reference: &Moments, root: &Mat<f64>, moments: &Moments) -> Result<f64, MetricError> {
    let product = root * covariance(moments)? * root;
    let mean_part = squared_distance(&moments.mean, &reference.mean);
    Ok(mean_part + moments.trace() + reference.trace() - 2.0 * trace_sqrt(product.as_ref())?)
}

/// `F(without i) - F(with all)` for every sample `i`. Notation as in the diagonal form; the covariance without `i` is
/// `S + δ C + δ (g eᵀ + e gᵀ) - δ (1+δ) e eᵀ` (renormalised), or `S/(1-w) - w/(1-w)² u uᵀ` (weight deleted).
pub(super) fn rewards(
    batch: &Batch<'_>,
    root: &Mat<f64>,
    removal: Removal,
    nodes: usize,
) -> Result<Vec<f64>, MetricError> {
    let (features, mean, d) = (batch.features, &batch.next.mean, batch.next.d());
    let (delta, w) = (batch.delta(), batch.weight());
    let k = w / (1.0 - w);
    let product = root * covariance(batch.next)? * root;

    // The common matrix A, and how far all removals together move the trace of the square root.
    // Where A is a multiple of P S P, one eigendecomposition serves both.
    let (common, multiple) = match removal {
        Removal::Weighted => (faer::Scale(1.0 + k) * &product, Some(1.0 + k)),
        Removal::Renormalise if batch.beta == 0.0 => (faer::Scale(1.0 + delta) * &product, Some(1.0 + delta)),
        Removal::Renormalise => {
            let own = root * covariance(batch.batch)? * root;
            (&product + faer::Scale(delta) * own, None)
        }
    };
    let (lambda, vectors) = eigen_psd(common.as_ref())?;
    let trace_common: f64 = lambda.iter().map(|l| l.sqrt()).sum();
    let trace_all = match multiple {
        Some(factor) => trace_common / factor.sqrt(),
        None => trace_sqrt(product.as_ref())?,
    };

    // Deviations of the samples, and the same in the eigenbasis of A.
    let deviations = match removal {
        Removal::Renormalise => faer::Scale(-1.0) * centered(features, &batch.batch.mean),
        Removal::Weighted => centered(features, mean),
    };
    let basis = root * &vectors;
    let rotated = &deviations * &basis;
    let g: Vec<f64> = batch.batch.mean.iter().zip(mean).map(|(x, m)| x - m).collect();
    let g_rotated: Vec<f64> = (0..d).map(|j| (0..d).map(|i| g[i] * basis[(i, j)]).sum()).collect();

    let mut trace_change = vec![0.0; features.n()];
    for (u, weight) in quadrature(nodes, lambda.iter().copied().fold(0.0, f64::max)) {
        let inverse: Vec<f64> = lambda.iter().map(|l| 1.0 / (u * u + l)).collect();
        let g_inverse: Vec<f64> = g_rotated.iter().zip(&inverse).map(|(g, r)| g * r).collect();
        let k_gg: f64 = g_rotated.iter().zip(&g_inverse).map(|(g, r)| g * r).sum();
        for (i, change) in trace_change.iter_mut().enumerate() {
            let (mut k_ee, mut k_eg) = (0.0, 0.0);
            for j in 0..d {
                let z = rotated[(i, j)];
                k_ee += z * z * inverse[j];
                k_eg += z * g_inverse[j];
            }
            // det - 1, written out so that nothing is lost where it is near 0 (large u).
            let det_less_one = match removal {
                Removal::Weighted => -k * (1.0 + k) * k_ee,
                Removal::Renormalise => {
                    let (a, b) = (delta * k_eg, delta * (1.0 + delta) * k_ee);
                    2.0 * a - b + a * a - a * b - delta * k_ee * (delta * k_gg - (1.0 + delta) * a)
                }
            };
            // The rank falls with this sample: det goes to 0 with u, and rounding may pass it.
            *change += weight * det_less_one.max(f64::EPSILON - 1.0).ln_1p();
        }
    }

    let trace_batch = batch.batch.trace();
    let reward = |i: usize| {
        let e = || (0..d).map(|j| deviations[(i, j)]);
        let length: f64 = e().map(|e| e * e).sum();
        let (step, trace) = match removal {
            Removal::Renormalise => {
                let along: f64 = e().zip(&g).map(|(e, g)| e * g).sum();
                (delta, delta * trace_batch + 2.0 * delta * along - delta * (1.0 + delta) * length)
            }
            Removal::Weighted => (-k, k * batch.next.trace() - k * (1.0 + k) * length),
        };
        let gap: f64 = e().zip(mean).zip(&batch.reference.mean).map(|((e, m), r)| e * (m - r)).sum();
        let mean_part = 2.0 * step * gap + step * step * length;
        mean_part + trace - 2.0 * (trace_common - trace_all + trace_change[i] / PI)
    };
    Ok((0..features.n()).map(reward).collect())
}

/// Nodes `u` and weights of `∫₀^∞ f(u) du` for the integrand above, where `largest` is the largest eigenvalue.
///
/// A double exponential rule, `u = c exp(4 sinh s)` with even steps in `s`: the integrand has its features at every
/// scale between the smallest and the largest root of an eigenvalue (and a logarithm's singularity at 0 where a
/// removal lowers the rank), so that the nodes must be even in `ln u`, not gathered around one scale.
fn quadrature(nodes: usize, largest: f64) -> Vec<(f64, f64)> {
    const STRETCH: f64 = 4.0;
    /// `exp(-26)` = 5e-12 of the scale is left out at either end.
    const REACH: f64 = 26.0;
    if largest <= 0.0 {
        return vec![]; // nothing to remove from
    }
    let end = (REACH / STRETCH).asinh();
    let step = 2.0 * end / (nodes - 1) as f64;
    let node = |i: usize| {
        let s = -end + step * i as f64;
        let u = largest.sqrt() * (STRETCH * s.sinh()).exp();
        (u, u * step * STRETCH * s.cosh())
    };
    (0..nodes).map(node).collect()
}
