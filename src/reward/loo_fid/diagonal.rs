//! The diagonal form: each feature is a Gaussian of its own. O(n d), no subtraction of two large numbers.

use super::{Batch, Moments, Removal};

/// Added to a variance under the square root, as in the authors' code.
const EPSILON: f64 = 1e-12;

fn deviation(variance: f64) -> f64 {
    (variance.max(0.0) + EPSILON).sqrt()
}

/// `|m - m_r|² + |s - s_r|²`.
pub(super) fn distance(reference: &Moments, moments: &Moments) -> f64 {
    let (v, v_r) = (moments.variances(), reference.variances());
    let term = |j: usize| (moments.mean[j] - reference.mean[j]).powi(2) + (deviation(v[j]) - v_r[j].sqrt()).powi(2);
    (0..moments.d()).map(term).sum()
}

/// `F(without i) - F(with all)` for every sample `i`.
///
/// With `e = x̄ - x_i`, `g = x̄ - m`, `δ = (1-b)/(n-1)`, batch variance `c` and average `(m, v)` after the batch,
/// renormalising changes the mean by `δ e` and the variance by `δ (c + 2 g e - (1+δ) e²)`. Deleting the weight
/// `w = (1-b)/n`, with `u = x_i - m`, changes them by `-k u` and `k v - k (1+k) u²`, `k = w/(1-w)`.
pub(super) fn rewards(batch: &Batch<'_>, removal: Removal) -> Vec<f64> {
    let (mean, batch_mean) = (&batch.next.mean, &batch.batch.mean);
    let variance: Vec<f64> = batch.next.variances().iter().map(|v| v.max(0.0)).collect();
    let batch_variance = batch.batch.variances();
    let (delta, k) = (batch.delta(), batch.weight() / (1.0 - batch.weight()));
    // Per feature: deviation now, and both gaps to the reference.
    let now: Vec<f64> = variance.iter().map(|&v| deviation(v)).collect();
    let gap: Vec<f64> = mean.iter().zip(&batch.reference.mean).map(|(m, r)| m - r).collect();
    let spread: Vec<f64> = now.iter().zip(batch.reference.variances()).map(|(s, r)| s - r.sqrt()).collect();

    let reward = |row: &[f64]| {
        let mut sum = 0.0;
        for (j, &x) in row.iter().enumerate() {
            let (d_mean, d_variance) = match removal {
                Removal::Renormalise => {
                    let (e, g) = (batch_mean[j] - x, batch_mean[j] - mean[j]);
                    (delta * e, delta * (batch_variance[j] + 2.0 * g * e - (1.0 + delta) * e * e))
                }
                Removal::Weighted => {
                    let u = x - mean[j];
                    (-k * u, k * variance[j] - k * (1.0 + k) * u * u)
                }
            };
            // sqrt(a) - sqrt(b) = (a - b) / (sqrt(a) + sqrt(b)); no variance falls below 0.
            let change = d_variance.max(-variance[j]);
            let d_deviation = change / (deviation(variance[j] + change) + now[j]);
            sum += d_mean * (2.0 * gap[j] + d_mean) + d_deviation * (2.0 * spread[j] + d_deviation);
        }
        sum
    };
    batch.features.rows().map(reward).collect()
}

/// Inputs of [`rewards_f32`], each `[d]`.
#[derive(Clone, Copy, Debug)]
pub struct DiagonalF32<'a> {
    /// Mean of the average before the batch.
    pub mean: &'a [f32],
    /// Variance of the average before the batch.
    pub variance: &'a [f32],
    /// Mean of the reference.
    pub reference_mean: &'a [f32],
    /// Deviation of the reference.
    pub reference_deviation: &'a [f32],
    /// Weight of the past.
    pub beta: f32,
}

/// The diagonal rewards ([`Removal::Renormalise`]) in f32 throughout, for machines without f64: about 1e-7 of `F`
/// from the f64 rewards. `features` is `[n, d]` row-major with `n` at least 2.
pub fn rewards_f32(state: DiagonalF32<'_>, features: &[f32]) -> Vec<f32> {
    let d = state.mean.len();
    let n = features.len() / d;
    let (b, delta) = (state.beta, (1.0 - state.beta) / (n as f32 - 1.0));
    let mut rewards = vec![0.0; n];
    for j in 0..d {
        let column = || features.iter().skip(j).step_by(d);
        // Distances from the first sample: the mean of a narrow batch far from 0 keeps its digits.
        let first = features[j];
        let x_bar = first + column().map(|x| x - first).sum::<f32>() / n as f32;
        let c = column().map(|x| (x_bar - x) * (x_bar - x)).sum::<f32>() / n as f32;
        let lag = x_bar - state.mean[j];
        let (mean, g) = (x_bar - b * lag, b * lag);
        let variance = b * state.variance[j] + (1.0 - b) * c + b * (1.0 - b) * lag * lag;
        let now = (variance.max(0.0) + EPSILON as f32).sqrt();
        let (gap, spread) = (mean - state.reference_mean[j], now - state.reference_deviation[j]);
        for (reward, x) in rewards.iter_mut().zip(column()) {
            let e = x_bar - x;
            let d_mean = delta * e;
            let change = (delta * (c + 2.0 * g * e - (1.0 + delta) * e * e)).max(-variance);
            let d_deviation = change / ((variance + change + EPSILON as f32).max(0.0).sqrt() + now);
            *reward += d_mean * (2.0 * gap + d_mean) + d_deviation * (2.0 * spread + d_deviation);
        }
    }
    rewards
}
