//! Kernel distance (KID, Bińkowski et al. 2018): the unbiased squared maximum mean discrepancy under a polynomial
//! kernel, averaged over random subsets as torch-fidelity does. Unlike the Fréchet distance it has no bias in `n`.

use super::linalg::view;
use super::{Estimate, Features, MetricError};
use crate::platform::rng::Key;

/// `k(x, y) = (gamma <x, y> + coef0)^degree`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polynomial {
    /// Power; KID uses 3.
    pub degree: i32,
    /// Scale of the inner product; `None` is `1 / d`.
    pub gamma: Option<f64>,
    /// Constant; KID uses 1.
    pub coef0: f64,
}

impl Default for Polynomial {
    fn default() -> Self {
        Self { degree: 3, gamma: None, coef0: 1.0 }
    }
}

impl Polynomial {
    /// Sum of the kernel over all pairs, and over the diagonal where `x` and `y` are the same set.
    fn sums(&self, x: &Features, y: &Features) -> (f64, f64) {
        let gamma = self.gamma.unwrap_or(1.0 / x.d() as f64);
        let products = view(x.data(), x.n(), x.d()) * view(y.data(), y.n(), y.d()).transpose();
        let kernel = |i, j| (gamma * products[(i, j)] + self.coef0).powi(self.degree);
        let all = (0..y.n()).map(|j| (0..x.n()).map(|i| kernel(i, j)).sum::<f64>()).sum();
        (all, (0..x.n().min(y.n())).map(|i| kernel(i, i)).sum())
    }
}

/// Unbiased squared maximum mean discrepancy of two sets:
/// `Σ_{i≠j} k(x_i, x_j) / n(n-1) + Σ_{i≠j} k(y_i, y_j) / m(m-1) - 2 Σ k(x_i, y_j) / nm`. May be negative.
///
/// # Errors
/// [`MetricError::TooFew`] below two samples on a side, [`MetricError::Size`] where the dimensions differ.
pub fn mmd2(x: &Features, y: &Features, kernel: &Polynomial) -> Result<f64, MetricError> {
    x.at_least(2, "the kernel distance")?;
    y.at_least(2, "the kernel distance")?;
    x.same_dimension(y)?;
    let within = |s: &Features| {
        let (all, diagonal) = kernel.sums(s, s);
        (all - diagonal) / (s.n() * (s.n() - 1)) as f64
    };
    Ok(within(x) + within(y) - 2.0 * kernel.sums(x, y).0 / (x.n() * y.n()) as f64)
}

/// [`mmd2`] of given subsets: part `i` compares the rows `subsets_x[i]` with the rows `subsets_y[i]`.
///
/// # Errors
/// As [`mmd2`]; [`MetricError::TooFew`] without subsets, [`MetricError::Size`] where their numbers differ.
pub fn kid_of_subsets(
    x: &Features,
    y: &Features,
    subsets_x: &[Vec<usize>],
    subsets_y: &[Vec<usize>],
    kernel: &Polynomial,
) -> Result<Estimate, MetricError> {
    if subsets_x.is_empty() {
        return Err(MetricError::TooFew { what: "the kernel distance over subsets", need: 1, got: 0 });
    }
    if subsets_x.len() != subsets_y.len() {
        return Err(MetricError::Size { what: "subsets", got: subsets_y.len(), want: subsets_x.len() });
    }
    let parts = subsets_x.iter().zip(subsets_y).map(|(a, b)| mmd2(&x.select(a), &y.select(b), kernel));
    Ok(Estimate::of(parts.collect::<Result<_, _>>()?))
}

/// Kernel distance over `subsets` random subsets of `subset_size` samples of each side (torch-fidelity: 100 of 1,000).
///
/// # Errors
/// As [`mmd2`]; [`MetricError::TooFew`] where a side has fewer than `subset_size` samples.
pub fn kid(
    x: &Features,
    y: &Features,
    subsets: usize,
    subset_size: usize,
    kernel: &Polynomial,
    seed: u64,
) -> Result<Estimate, MetricError> {
    x.at_least(subset_size, "a subset of the kernel distance")?;
    y.at_least(subset_size, "a subset of the kernel distance")?;
    let draw = |side: u64, of: usize| -> Vec<Vec<usize>> {
        let key = Key::new(seed).fold(side);
        (0..subsets as u64).map(|i| key.fold(i).stream().choose(subset_size, of)).collect()
    };
    kid_of_subsets(x, y, &draw(0, x.n()), &draw(1, y.n()), kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_kernel_by_hand() {
        let x = Features::new(2, 1, vec![1.0, 3.0]).unwrap();
        let y = Features::new(2, 1, vec![2.0, 5.0]).unwrap();
        let kernel = Polynomial { degree: 1, gamma: Some(1.0), coef0: 0.0 };
        // 3 + 10 - 2 (2 + 5 + 6 + 15) / 4
        assert!((mmd2(&x, &y, &kernel).unwrap() + 1.0).abs() < 1e-12);
    }

    #[test]
    fn shifted_sets_are_farther_than_equal_ones_and_the_seed_decides() {
        let mut stream = Key::new(1).stream();
        let mut set = |shift: f32| {
            let data: Vec<f32> = (0..80 * 4).map(|_| stream.normal() + shift).collect();
            Features::from_f32(80, 4, &data).unwrap()
        };
        let (a, b, c) = (set(0.0), set(0.0), set(1.0));
        let kernel = Polynomial::default();
        let near = kid(&a, &b, 5, 40, &kernel, 0).unwrap();
        let far = kid(&a, &c, 5, 40, &kernel, 0).unwrap();
        assert!(far.mean > near.mean + 1.0, "{far:?} {near:?}");
        assert_eq!(near, kid(&a, &b, 5, 40, &kernel, 0).unwrap());
        assert!(kid(&a, &b, 5, 81, &kernel, 0).is_err());
    }
}
