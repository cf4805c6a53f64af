//! Fréchet distance between Gaussians fitted to features: `|m1 - m2|² + tr S1 + tr S2 - 2 tr (S1 S2)^½`.
//!
//! With Inception features this is FID (Heusel et al. 2017); with another network it must be named after it.

use faer::{Mat, MatRef};
use serde::{Deserialize, Serialize};

use super::linalg::{centered, covariance, mean, sqrt_psd, squared_distance, to_row_major, trace_sqrt, view};
use super::{Features, MetricError};

/// Mean and covariance of a set of features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gaussian {
    /// `[d]`.
    pub mean: Vec<f64>,
    /// `[d, d]`, row-major, divided by `n - 1` (`np.cov`, as pytorch-fid does).
    pub cov: Vec<f64>,
    /// Samples it was fitted to; 0 where that is not known.
    pub n: usize,
}

impl Gaussian {
    /// Fits the features.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] below two samples.
    pub fn fit(features: &Features) -> Result<Self, MetricError> {
        features.at_least(2, "a covariance")?;
        let mean = mean(features);
        let cov = to_row_major(covariance(features, &mean, 1).as_ref());
        Ok(Self { mean, cov, n: features.n() })
    }

    fn cov(&self) -> Result<MatRef<'_, f64>, MetricError> {
        let d = self.mean.len();
        if self.cov.len() != d * d {
            return Err(MetricError::Size { what: "covariance", got: self.cov.len(), want: d * d });
        }
        Ok(view(&self.cov, d, d))
    }

    fn trace(&self) -> f64 {
        self.cov.iter().step_by(self.mean.len() + 1).sum()
    }
}

/// Fréchet distance of two fitted Gaussians; works for singular covariances.
///
/// The square root is taken of the symmetric `P S2 P`, `P = S1^½`, never of the non-symmetric product.
///
/// # Errors
/// [`MetricError::Size`] where the dimensions differ, [`MetricError::NoConvergence`].
pub fn frechet_distance(a: &Gaussian, b: &Gaussian) -> Result<f64, MetricError> {
    same_dimension(a.mean.len(), b.mean.len())?;
    let root = sqrt_psd(a.cov()?)?;
    let product = &root * b.cov()? * &root;
    Ok(assemble(squared_distance(&a.mean, &b.mean), a.trace() + b.trace(), trace_sqrt(product.as_ref())?))
}

/// Fréchet distance of features to a stored reference. With fewer samples than dimensions the square root is that of
/// an `n x n` matrix (Mathiasen and Hvilshøj 2020): faster, and free of the noise of the null space.
///
/// # Errors
/// As [`frechet_distance`], and [`MetricError::TooFew`] below two samples.
pub fn frechet_to_reference(features: &Features, reference: &Gaussian) -> Result<f64, MetricError> {
    features.at_least(2, "the Fréchet distance")?;
    if features.n() > features.d() {
        return frechet_distance(&Gaussian::fit(features)?, reference);
    }
    same_dimension(reference.mean.len(), features.d())?;
    let own_mean = mean(features);
    let x = scaled_deviations(features, &own_mean);
    let small = &x * reference.cov()? * x.transpose();
    let traces = x.squared_norm_l2() + reference.trace();
    Ok(assemble(squared_distance(&own_mean, &reference.mean), traces, trace_sqrt(small.as_ref())?))
}

/// Fréchet distance of two sets of features. Where one has no more samples than dimensions, `tr (S1 S2)^½` is the sum
/// of the singular values of `X Y^T`, exact even for singular covariances.
///
/// # Errors
/// As [`frechet_to_reference`].
pub fn frechet_of_features(a: &Features, b: &Features) -> Result<f64, MetricError> {
    a.at_least(2, "the Fréchet distance")?;
    b.at_least(2, "the Fréchet distance")?;
    a.same_dimension(b)?;
    if a.n().min(b.n()) > a.d() {
        return frechet_distance(&Gaussian::fit(a)?, &Gaussian::fit(b)?);
    }
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (x, y) = (scaled_deviations(a, &mean_a), scaled_deviations(b, &mean_b));
    let singular = (&x * y.transpose()).singular_values().map_err(|_| MetricError::NoConvergence)?;
    let traces = x.squared_norm_l2() + y.squared_norm_l2();
    Ok(assemble(squared_distance(&mean_a, &mean_b), traces, singular.iter().sum()))
}

/// `X` with `X^T X` = covariance (ddof 1).
fn scaled_deviations(features: &Features, mean: &[f64]) -> Mat<f64> {
    faer::Scale(1.0 / ((features.n() - 1) as f64).sqrt()) * centered(features, mean)
}

/// Never below 0, which only rounding could make it.
fn assemble(mean_part: f64, traces: f64, trace_root: f64) -> f64 {
    (mean_part + traces - 2.0 * trace_root).max(0.0)
}

fn same_dimension(want: usize, got: usize) -> Result<(), MetricError> {
    if got == want { Ok(()) } else { Err(MetricError::Size { what: "feature dimension", got, want }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::rng::Key;

    fn normal(n: usize, d: usize, seed: u64, shift: f64) -> Features {
        let mut stream = Key::new(seed).stream();
        Features::new(n, d, (0..n * d).map(|_| f64::from(stream.normal()) + shift).collect()).unwrap()
    }

    #[test]
    fn diagonal_gaussians_follow_the_closed_form() {
        let a = Gaussian { mean: vec![0.0, 1.0], cov: vec![4.0, 0.0, 0.0, 9.0], n: 10 };
        let b = Gaussian { mean: vec![1.0, 1.0], cov: vec![1.0, 0.0, 0.0, 0.0], n: 10 };
        // 1 + (2 - 1)² + (3 - 0)²
        assert!((frechet_distance(&a, &b).unwrap() - 11.0).abs() < 1e-12);
        assert!((frechet_distance(&b, &a).unwrap() - 11.0).abs() < 1e-12);
        assert!(frechet_distance(&a, &a).unwrap() < 1e-12);
    }

    #[test]
    fn every_path_gives_the_same_distance() {
        for (n, m) in [(40, 50), (5, 40), (6, 7)] {
            let (x, y) = (normal(n, 12, 1, 0.0), normal(m, 12, 2, 0.3));
            let (gx, gy) = (Gaussian::fit(&x).unwrap(), Gaussian::fit(&y).unwrap());
            let moments = frechet_distance(&gx, &gy).unwrap();
            assert!((frechet_of_features(&x, &y).unwrap() - moments).abs() < 1e-6, "{n} {m}");
            assert!((frechet_to_reference(&x, &gy).unwrap() - moments).abs() < 1e-6, "{n} {m}");
        }
    }

    #[test]
    fn different_dimensions_are_refused() {
        assert!(frechet_of_features(&normal(4, 3, 1, 0.0), &normal(4, 2, 1, 0.0)).is_err());
        assert!(Gaussian::fit(&normal(1, 3, 1, 0.0)).is_err());
    }
}
