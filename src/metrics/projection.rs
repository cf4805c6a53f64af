//! Features in the plane: their place along the two directions in which a reference set varies most.

use super::linalg::{covariance, dot, eigen_psd, mean};
use super::{Features, MetricError};

/// An orthogonal projection onto the two principal axes of a set of features, its mean at the origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Mean of the reference, `[d]`: the origin of the plane.
    pub mean: Vec<f64>,
    /// Unit vectors of the two directions with the largest variance, `[d]` each; the largest component of each is
    /// positive. All zero where there is no second direction (`d` = 1).
    pub axes: [Vec<f64>; 2],
    /// Share of the reference's whole variance along each axis, in [0, 1]; 0 where the reference does not vary.
    pub explained: [f64; 2],
}

impl Projection {
    /// The two principal axes of `reference`.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] without samples, [`MetricError::NoConvergence`].
    pub fn principal(reference: &Features) -> Result<Self, MetricError> {
        reference.at_least(1, "principal axes")?;
        let mean = mean(reference);
        let (values, vectors) = eigen_psd(covariance(reference, &mean, 0).as_ref())?;
        let total: f64 = values.iter().sum();
        let d = values.len();
        // The eigenvalues rise: the largest stands last.
        let axis = |rank: usize| {
            let Some(column) = d.checked_sub(1 + rank) else { return (vec![0.0; d], 0.0) };
            let axis: Vec<f64> = (0..d).map(|i| vectors[(i, column)]).collect();
            let share = if total > 0.0 { values[column] / total } else { 0.0 };
            (upright(axis), share)
        };
        let [(first, share), (second, next)] = [axis(0), axis(1)];
        Ok(Self { mean, axes: [first, second], explained: [share, next] })
    }

    /// Place of one feature vector `[d]`; not finite where the vector is not.
    pub fn place(&self, features: &[f64]) -> [f64; 2] {
        let deviation: Vec<f64> = features.iter().zip(&self.mean).map(|(x, m)| x - m).collect();
        [0, 1].map(|axis| dot(&deviation, &self.axes[axis]))
    }

    /// Place of every sample, in the reference's units.
    ///
    /// # Errors
    /// [`MetricError::Size`] where the features are not of the reference's length.
    pub fn project(&self, features: &Features) -> Result<Vec<[f64; 2]>, MetricError> {
        if features.d() != self.mean.len() {
            let (got, want) = (features.d(), self.mean.len());
            return Err(MetricError::Size { what: "feature dimension", got, want });
        }
        Ok(features.rows().map(|row| self.place(row)).collect())
    }
}

/// An eigenvector is known up to its sign: the one whose largest component is positive.
fn upright(mut axis: Vec<f64>) -> Vec<f64> {
    let largest = axis.iter().fold(0.0, |largest: f64, x| if x.abs() > largest.abs() { *x } else { largest });
    if largest < 0.0 {
        axis.iter_mut().for_each(|x| *x = -*x);
    }
    axis
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::rng::Key;

    /// Deviations 3 along (0.6, 0.8, 0), 2 along (−0.8, 0.6, 0), 1 along the third axis, mean (5, −1, 2); exact.
    fn crossed(flip: f64) -> Features {
        let (long, short) = ([0.6, 0.8, 0.0], [-0.8, 0.6, 0.0]);
        let rows: Vec<f64> = [(3.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 1.0)]
            .into_iter()
            .flat_map(|(a, b, c)| [1.0, -1.0].map(|sign| (sign * flip * a, sign * flip * b, sign * flip * c)))
            .flat_map(|(a, b, c)| [5.0 + a * long[0] + b * short[0], -1.0 + a * long[1] + b * short[1], 2.0 + c])
            .collect();
        Features::new(6, 3, rows).unwrap()
    }

    #[test]
    fn the_axes_of_a_known_cross_and_their_shares_are_found() {
        let projection = Projection::principal(&crossed(1.0)).unwrap();
        for (got, want) in projection.axes[0].iter().zip([0.6, 0.8, 0.0]) {
            assert!((got - want).abs() < 1e-12, "{projection:?}");
        }
        // The largest component of the second axis is its first, so it points to +0.8.
        for (got, want) in projection.axes[1].iter().zip([0.8, -0.6, 0.0]) {
            assert!((got - want).abs() < 1e-12, "{projection:?}");
        }
        let shares = [9.0 / 14.0, 4.0 / 14.0];
        assert!(projection.explained.iter().zip(shares).all(|(got, want)| (got - want).abs() < 1e-12));
        let places = projection.project(&crossed(1.0)).unwrap();
        assert!((places[0][0] - 3.0).abs() < 1e-12 && places[0][1].abs() < 1e-12);
        assert!((places[2][1].abs() - 2.0).abs() < 1e-12 && places[4][0].abs() < 1e-12);
    }

    #[test]
    fn the_signs_do_not_depend_on_the_order_of_the_samples() {
        let (one, other) = (Projection::principal(&crossed(1.0)), Projection::principal(&crossed(-1.0)));
        let (one, other) = (one.unwrap(), other.unwrap());
        for (a, b) in one.axes.concat().iter().zip(other.axes.concat()) {
            assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn the_plane_keeps_the_variance_that_it_claims() {
        let mut stream = Key::new(4).stream();
        let values = (0..40 * 6).map(|k| f64::from(stream.normal()) / (1 + k % 6) as f64).collect();
        let features = Features::new(40, 6, values).unwrap();
        let projection = Projection::principal(&features).unwrap();
        let total: f64 =
            features.rows().flat_map(|row| row.iter().zip(&projection.mean)).map(|(x, m)| (x - m).powi(2)).sum();
        let kept: f64 = projection.project(&features).unwrap().iter().flatten().map(|x| x * x).sum();
        assert!((kept / total - projection.explained.iter().sum::<f64>()).abs() < 1e-12);
    }

    #[test]
    fn one_feature_or_no_variance_leaves_an_axis_without_share_and_other_sizes_are_refused() {
        let line = Projection::principal(&Features::new(3, 1, vec![1.0, 2.0, 6.0]).unwrap()).unwrap();
        assert_eq!(line.explained, [1.0, 0.0]);
        assert_eq!(line.place(&[6.0]), [3.0, 0.0]);
        let still = Projection::principal(&Features::new(2, 2, vec![1.0; 4]).unwrap()).unwrap();
        assert_eq!(still.explained, [0.0, 0.0]);
        assert!(line.project(&Features::new(1, 2, vec![0.0; 2]).unwrap()).is_err());
        assert!(line.place(&[f64::NAN])[0].is_nan());
    }
}
