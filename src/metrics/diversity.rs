//! How different the samples of one set are from each other, without any reference.

use faer::Mat;

use super::linalg::{dot, eigenvalues_psd, squared_distance, view};
use super::{Features, MetricError};

/// Mean Euclidean distance over all pairs of different samples.
///
/// # Errors
/// [`MetricError::TooFew`] below two samples.
pub fn mean_pairwise_distance(features: &Features) -> Result<f64, MetricError> {
    mean_over_pairs(features, |a, b| squared_distance(a, b).sqrt())
}

/// Mean of `1 - cos` over all pairs of different samples: 0 where all point one way, 1 where they are unrelated.
///
/// # Errors
/// [`MetricError::TooFew`] below two samples.
pub fn cosine_diversity(features: &Features) -> Result<f64, MetricError> {
    mean_over_pairs(&normalized(features), |a, b| 1.0 - dot(a, b))
}

/// Vendi score (Friedman and Dieng 2023): `exp(-Σ λ ln λ)` over the eigenvalues of the cosine kernel divided by `n`.
/// The effective number of different samples, from 1 to `n`.
///
/// # Errors
/// [`MetricError::TooFew`] without samples, [`MetricError::NoConvergence`].
pub fn vendi_score(features: &Features) -> Result<f64, MetricError> {
    features.at_least(1, "the Vendi score")?;
    let unit = normalized(features);
    let x = view(unit.data(), unit.n(), unit.d());
    // X X^T and X^T X have the same non-zero eigenvalues: take the smaller.
    let kernel: Mat<f64> = if unit.n() <= unit.d() { x * x.transpose() } else { x.transpose() * x };
    let total: f64 = (0..kernel.nrows()).map(|i| kernel[(i, i)]).sum();
    let entropy = |v: f64| if v > 0.0 { -(v / total) * (v / total).ln() } else { 0.0 };
    Ok(eigenvalues_psd(kernel.as_ref())?.into_iter().map(entropy).sum::<f64>().exp())
}

/// Every vector divided by its length; a zero vector, which has no direction, stays zero.
fn normalized(features: &Features) -> Features {
    let unit = |row: &[f64]| {
        let length = dot(row, row).sqrt().max(f64::MIN_POSITIVE);
        row.iter().map(move |x| x / length).collect::<Vec<_>>()
    };
    Features { n: features.n, d: features.d, data: features.rows().flat_map(unit).collect() }
}

fn mean_over_pairs(features: &Features, measure: impl Fn(&[f64], &[f64]) -> f64) -> Result<f64, MetricError> {
    features.at_least(2, "a pairwise mean")?;
    let n = features.n();
    let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
    let sum: f64 = pairs.map(|(i, j)| measure(features.row(i), features.row(j))).sum();
    Ok(sum / (n * (n - 1) / 2) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_have_no_diversity() {
        let copies = Features::new(4, 2, [3.0, 4.0].repeat(4)).unwrap();
        assert_eq!(mean_pairwise_distance(&copies).unwrap(), 0.0);
        assert!(cosine_diversity(&copies).unwrap().abs() < 1e-12);
        assert!((vendi_score(&copies).unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn unrelated_samples_count_fully() {
        let mut data = vec![0.0; 9];
        (0..3).for_each(|i| data[i * 4] = 2.0);
        let axes = Features::new(3, 3, data).unwrap();
        assert!((mean_pairwise_distance(&axes).unwrap() - 8f64.sqrt()).abs() < 1e-12);
        assert!((cosine_diversity(&axes).unwrap() - 1.0).abs() < 1e-12);
        assert!((vendi_score(&axes).unwrap() - 3.0).abs() < 1e-9);
    }

    #[test]
    fn vendi_score_is_the_same_from_either_kernel() {
        // Two directions, each twice, in 2 and (padded) in 6 dimensions.
        let low = Features::new(4, 2, vec![1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 3.0]).unwrap();
        let wide = low.rows().flat_map(|r| [r[0], r[1], 0.0, 0.0, 0.0, 0.0]).collect();
        let wide = Features::new(4, 6, wide).unwrap();
        assert!((vendi_score(&low).unwrap() - 2.0).abs() < 1e-9);
        assert!((vendi_score(&wide).unwrap() - 2.0).abs() < 1e-9);
    }
}
