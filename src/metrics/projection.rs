//! Features in the plane: their place along the two directions in which a reference set varies most.

use faer::MatRef;

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
        let cov = covariance(reference, &mean, 0);
        Self::of_covariance(mean, cov.as_ref())
    }

    /// The two principal axes of a covariance `[d, d]` about `mean` `[d]`.
    ///
    /// # Errors
    /// [`MetricError::NoConvergence`].
    pub fn of_covariance(mean: Vec<f64>, cov: MatRef<'_, f64>) -> Result<Self, MetricError> {
        let d = mean.len();
        let total: f64 = (0..d).map(|i| cov[(i, i)]).sum();
        // Two axes of many do not need the other thousands.
        let found = if d > MANY { leading(cov) } else { all(cov)? };
        let axis = |rank: usize| match found.get(rank) {
            Some((value, axis)) => (upright(axis.clone()), if total > 0.0 { value / total } else { 0.0 }),
            None => (vec![0.0; d], 0.0),
        };
        let [(first, share), (second, next)] = [axis(0), axis(1)];
        Ok(Self { mean, axes: [first, second], explained: [share, next] })
    }

    /// The two features of the largest `variances` `[d]`: where nothing is known of how features vary together.
    pub fn of_variances(mean: Vec<f64>, variances: &[f64]) -> Self {
        let (d, total) = (mean.len(), variances.iter().sum::<f64>());
        let mut order: Vec<usize> = (0..d).collect();
        order.sort_by(|&a, &b| variances[b].total_cmp(&variances[a]));
        let axis = |rank: usize| {
            let mut axis = vec![0.0; d];
            let Some(&feature) = order.get(rank) else { return (axis, 0.0) };
            axis[feature] = 1.0;
            (axis, if total > 0.0 { variances[feature] / total } else { 0.0 })
        };
        let [(first, share), (second, next)] = [axis(0), axis(1)];
        Self { mean, axes: [first, second], explained: [share, next] }
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

/// Features above which only the leading axes are computed.
const MANY: usize = 512;

/// All axes of a covariance with their variances, the largest first.
fn all(cov: MatRef<'_, f64>) -> Result<Vec<(f64, Vec<f64>)>, MetricError> {
    let (values, vectors) = eigen_psd(cov)?;
    // The eigenvalues rise: the largest stands last.
    Ok((0..values.len()).rev().map(|k| (values[k], (0..values.len()).map(|i| vectors[(i, k)]).collect())).collect())
}

/// The two leading axes by subspace iteration: each step multiplies four vectors by the covariance and makes them
/// orthogonal again. Where variances are nearly equal the plane of their axes is not determined, and any does.
fn leading(cov: MatRef<'_, f64>) -> Vec<(f64, Vec<f64>)> {
    const VECTORS: usize = 4;
    const STEPS: usize = 200;
    let d = cov.nrows();
    // Any start that no covariance is orthogonal to by design.
    let mut basis: Vec<Vec<f64>> =
        (0..VECTORS).map(|k| (0..d).map(|i| ((i * (2 * k + 1)) as f64 * 0.7 + k as f64).sin()).collect()).collect();
    let mut values = [0.0; VECTORS];
    for _ in 0..STEPS {
        let mut next: Vec<Vec<f64>> = vec![];
        let before = values;
        for (k, vector) in basis.iter().enumerate() {
            let mut moved = vec![0.0; d];
            for (j, x) in vector.iter().enumerate() {
                moved.iter_mut().zip(cov.col(j).iter()).for_each(|(m, c)| *m += c * x);
            }
            for earlier in &next {
                let shared = dot(&moved, earlier);
                moved.iter_mut().zip(earlier).for_each(|(m, e)| *m -= shared * e);
            }
            let length = dot(&moved, &moved).sqrt();
            values[k] = length;
            moved.iter_mut().for_each(|m| *m /= length.max(f64::MIN_POSITIVE));
            next.push(moved);
        }
        basis = next;
        if (0..2).all(|k| (values[k] - before[k]).abs() <= 1e-12 * values[0]) {
            break;
        }
    }
    values.into_iter().zip(basis).take(2).collect()
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

    #[test]
    fn the_leading_axes_alone_are_those_of_all() {
        let mut random = Key::new(5).stream();
        let rows: Vec<f64> = (0..60)
            .flat_map(|_| (0..20).map(|j| f64::from(random.normal()) * 1.3f64.powi(-j)).collect::<Vec<_>>())
            .collect();
        let features = Features::new(60, 20, rows).unwrap();
        let cov = covariance(&features, &mean(&features), 0);
        for ((a, x), (b, y)) in leading(cov.as_ref()).into_iter().zip(all(cov.as_ref()).unwrap()) {
            assert!((a - b).abs() < 1e-9 * b, "{a} {b}");
            assert!((dot(&x, &y).abs() - 1.0).abs() < 1e-6, "{}", dot(&x, &y));
        }
    }

    #[test]
    fn without_a_covariance_the_axes_are_the_features_that_vary_most() {
        let plane = Projection::of_variances(vec![1.0, 2.0, 3.0], &[1.0, 5.0, 2.0]);
        assert_eq!(plane.axes, [vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]]);
        assert_eq!((plane.explained, plane.place(&[1.0, 3.0, 3.0])), ([0.625, 0.25], [1.0, 0.0]));
    }

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
