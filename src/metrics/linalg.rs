//! Dense linear algebra in f64: moments, symmetric eigenvalues, matrix square roots. Single-threaded and thus
//! repeatable bit for bit.

use faer::{Mat, MatRef, Side};

use super::{Features, MetricError};

/// A matrix view of row-major values; `data` must have `rows * cols` entries.
pub fn view(data: &[f64], rows: usize, cols: usize) -> MatRef<'_, f64> {
    MatRef::from_row_major_slice(data, rows, cols)
}

/// Row-major values of a matrix.
pub fn to_row_major(matrix: MatRef<'_, f64>) -> Vec<f64> {
    (0..matrix.nrows()).flat_map(|i| (0..matrix.ncols()).map(move |j| matrix[(i, j)])).collect()
}

/// Inner product of two vectors of one length.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    sum_pairs(a, b, |x, y| x * y)
}

/// Squared Euclidean distance, from the differences: the expanded form `|a|² + |b|² - 2ab` loses near neighbours.
pub fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    sum_pairs(a, b, |x, y| (x - y) * (x - y))
}

/// Sum of `f(a_j, b_j)` in eight independent running sums, which the compiler can keep in vector registers.
fn sum_pairs(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (mut a, mut b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (x, y) in (&mut a).zip(&mut b) {
        for lane in 0..LANES {
            sums[lane] += f(x[lane], y[lane]);
        }
    }
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| f(*x, *y)).sum();
    sums.iter().sum::<f64>() + rest
}

/// Mean feature vector, `[d]`.
pub fn mean(features: &Features) -> Vec<f64> {
    let mut mean = vec![0.0; features.d()];
    for row in features.rows() {
        mean.iter_mut().zip(row).for_each(|(m, x)| *m += x);
    }
    mean.iter_mut().for_each(|m| *m /= features.n() as f64);
    mean
}

/// `x_i - center` for every sample, `[n, d]`.
pub fn centered(features: &Features, center: &[f64]) -> Mat<f64> {
    Mat::from_fn(features.n(), features.d(), |i, j| features.row(i)[j] - center[j])
}

/// Covariance `[d, d]` about `mean`, divided by `n - ddof` (`ddof` 1 is `np.cov`).
pub fn covariance(features: &Features, mean: &[f64], ddof: usize) -> Mat<f64> {
    let x = centered(features, mean);
    let scale = 1.0 / (features.n() - ddof) as f64;
    let product = x.transpose() * &x;
    faer::Scale(scale) * product
}

/// Sets to zero what cannot be told from it: eigenvalues of a positive semi-definite matrix that are negative, or
/// below a few `eps` of the largest. Left alone, rounding of 1e-17 would become 3e-9 under the square root, once per
/// null direction.
fn clip_noise(values: &mut [f64]) {
    let largest = values.iter().copied().fold(0.0, f64::max);
    let floor = 4.0 * f64::EPSILON * largest;
    values.iter_mut().filter(|v| **v < floor).for_each(|v| *v = 0.0);
}

/// Eigenvalues (rising, noise clipped to 0) and eigenvectors (columns) of a symmetric positive semi-definite matrix;
/// only the lower triangle is read.
///
/// # Errors
/// [`MetricError::NoConvergence`].
pub fn eigen_psd(matrix: MatRef<'_, f64>) -> Result<(Vec<f64>, Mat<f64>), MetricError> {
    let eigen = matrix.self_adjoint_eigen(Side::Lower).map_err(|_| MetricError::NoConvergence)?;
    let mut values: Vec<f64> = (0..matrix.nrows()).map(|i| eigen.S()[i]).collect();
    clip_noise(&mut values);
    Ok((values, eigen.U().to_owned()))
}

/// Eigenvalues as [`eigen_psd`], without the eigenvectors.
///
/// # Errors
/// [`MetricError::NoConvergence`].
pub fn eigenvalues_psd(matrix: MatRef<'_, f64>) -> Result<Vec<f64>, MetricError> {
    let mut values = matrix.self_adjoint_eigenvalues(Side::Lower).map_err(|_| MetricError::NoConvergence)?;
    clip_noise(&mut values);
    Ok(values)
}

/// Symmetric square root of a positive semi-definite matrix.
///
/// # Errors
/// [`MetricError::NoConvergence`].
pub fn sqrt_psd(matrix: MatRef<'_, f64>) -> Result<Mat<f64>, MetricError> {
    let (values, vectors) = eigen_psd(matrix)?;
    let scaled = Mat::from_fn(vectors.nrows(), vectors.ncols(), |i, j| vectors[(i, j)] * values[j].sqrt());
    Ok(&scaled * vectors.transpose())
}

/// Trace of the square root of a positive semi-definite matrix.
///
/// # Errors
/// [`MetricError::NoConvergence`].
pub fn trace_sqrt(matrix: MatRef<'_, f64>) -> Result<f64, MetricError> {
    Ok(eigenvalues_psd(matrix)?.iter().map(|v| v.sqrt()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covariance_is_that_of_numpy() {
        // np.cov([[1, 2], [3, 5], [8, 6]], rowvar=False)
        let x = Features::new(3, 2, vec![1.0, 2.0, 3.0, 5.0, 8.0, 6.0]).unwrap();
        let cov = covariance(&x, &mean(&x), 1);
        let want = [13.0, 6.5, 6.5, 13.0 / 3.0];
        for (got, want) in to_row_major(cov.as_ref()).iter().zip(want) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }

    #[test]
    fn square_root_squares_back_and_clips_the_null_space() {
        let a = [4.0, 2.0, 2.0, 1.0]; // rank 1, eigenvalues 0 and 5
        let root = sqrt_psd(view(&a, 2, 2)).unwrap();
        let back = &root * &root;
        for (got, want) in to_row_major(back.as_ref()).iter().zip(a) {
            assert!((got - want).abs() < 1e-12);
        }
        assert_eq!(eigenvalues_psd(view(&a, 2, 2)).unwrap()[0], 0.0);
        assert!((trace_sqrt(view(&a, 2, 2)).unwrap() - 5f64.sqrt()).abs() < 1e-12);
    }
}
