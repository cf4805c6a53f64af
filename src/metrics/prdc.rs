//! Improved precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), as the
//! package `prdc` computes them. A set's manifold is the union of balls around its samples, each reaching to the
//! sample's `k`-th nearest neighbour in the same set.

use super::linalg::squared_distance;
use super::{Features, MetricError};

/// The four measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prdc {
    /// Share of generated samples inside the real manifold: fidelity.
    pub precision: f64,
    /// Share of real samples inside the generated manifold: variety.
    pub recall: f64,
    /// Mean number of real balls a generated sample lies in, over `k`; may exceed 1.
    pub density: f64,
    /// Share of real balls with a generated sample inside.
    pub coverage: f64,
}

impl Prdc {
    /// Harmonic mean of precision and recall (torch-fidelity's `f_score`); 0 where both are 0.
    pub fn f_score(&self) -> f64 {
        let sum = self.precision + self.recall;
        if sum > 0.0 { 2.0 * self.precision * self.recall / sum } else { 0.0 }
    }
}

/// Compares generated features with real ones at neighbourhood size `k` (usual: 3 or 5). Comparisons are strict.
///
/// # Errors
/// [`MetricError::TooFew`] where a set has not more than `k` samples, [`MetricError::Setting`] for `k = 0`,
/// [`MetricError::Size`] where the dimensions differ.
pub fn prdc(real: &Features, generated: &Features, k: usize) -> Result<Prdc, MetricError> {
    if k == 0 {
        return Err(MetricError::Setting { name: "k", value: 0.0, range: "1.." });
    }
    real.at_least(k + 1, "precision and recall")?;
    generated.at_least(k + 1, "precision and recall")?;
    real.same_dimension(generated)?;
    let (real_radius, generated_radius) = (radii(real, k), radii(generated, k));

    let (mut in_real, mut in_generated, mut balls, mut covered) = (vec![false; generated.n()], 0, 0, 0);
    for (x, &radius) in real.rows().zip(&real_radius) {
        let (mut recalled, mut hit) = (false, false);
        for (j, y) in generated.rows().enumerate() {
            let distance = squared_distance(x, y);
            recalled |= distance < generated_radius[j];
            if distance < radius {
                (hit, in_real[j]) = (true, true);
                balls += 1;
            }
        }
        in_generated += usize::from(recalled);
        covered += usize::from(hit);
    }
    let (n_real, n_generated) = (real.n() as f64, generated.n() as f64);
    Ok(Prdc {
        precision: in_real.iter().filter(|&&inside| inside).count() as f64 / n_generated,
        recall: in_generated as f64 / n_real,
        density: balls as f64 / (k as f64 * n_generated),
        coverage: covered as f64 / n_real,
    })
}

/// Squared distance of every sample to its `k`-th nearest other sample.
fn radii(set: &Features, k: usize) -> Vec<f64> {
    let nearest = |i: usize| {
        let mut distances: Vec<f64> =
            (0..set.n()).filter(|&j| j != i).map(|j| squared_distance(set.row(i), set.row(j))).collect();
        *distances.select_nth_unstable_by(k - 1, f64::total_cmp).1
    };
    (0..set.n()).map(nearest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_points_on_a_line_by_hand() {
        // Radii at k = 1: real 1 1 4, generated 1 1 8.
        let real = Features::new(3, 1, vec![0.0, 1.0, 5.0]).unwrap();
        let generated = Features::new(3, 1, vec![0.5, 1.5, 9.5]).unwrap();
        let got = prdc(&real, &generated, 1).unwrap();
        // 0.5 lies in the balls of 0 and 1, 1.5 in that of 1 and in that of 5 (|1.5 - 5| = 3.5 < 4), 9.5 in none.
        assert_eq!(got.precision, 2.0 / 3.0);
        assert_eq!(got.density, 4.0 / 3.0);
        // 0 and 1 are near 0.5; 5 lies within 8 of 9.5.
        assert_eq!(got.recall, 1.0);
        assert_eq!(got.coverage, 1.0);
        assert!((got.f_score() - 0.8).abs() < 1e-12);
    }

    #[test]
    fn far_sets_score_zero() {
        let real = Features::new(3, 1, vec![0.0, 1.0, 2.0]).unwrap();
        let generated = Features::new(3, 1, vec![100.0, 101.0, 102.0]).unwrap();
        let got = prdc(&real, &generated, 2).unwrap();
        assert_eq!(got, Prdc { precision: 0.0, recall: 0.0, density: 0.0, coverage: 0.0 });
        assert_eq!(got.f_score(), 0.0);
        assert!(prdc(&real, &generated, 3).is_err());
    }
}
