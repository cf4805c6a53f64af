//! Measures of a set of pictures, on the host in f64: how near to a reference, how diverse, how true to the class.
//!
//! All of them work on [`Features`] of some network; which network, how many pictures and how they were drawn is said
//! by a [`Protocol`], without which none of the numbers means anything.

pub mod diversity;
pub mod frechet;
pub mod inception_score;
pub mod kid;
pub mod linalg;
pub mod measure;
pub mod prdc;
pub mod projection;
pub mod protocol;
pub mod statistics;

pub use frechet::Gaussian;
pub use measure::Measure;
pub use projection::Projection;
pub use protocol::Protocol;
pub use statistics::Statistics;

/// Why a measure cannot be taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// The number of values does not fit the sizes.
    #[error("{what}: {got} values where {want} are needed")]
    Size {
        /// Which input.
        what: &'static str,
        /// Values given.
        got: usize,
        /// Values needed.
        want: usize,
    },
    /// A feature vector holds NaN or infinity.
    #[error("features of sample {sample} are not finite")]
    NonFinite {
        /// Index of the first such sample.
        sample: usize,
    },
    /// There are too few samples for this measure.
    #[error("{what} needs at least {need} samples, got {got}")]
    TooFew {
        /// Which measure.
        what: &'static str,
        /// Samples needed.
        need: usize,
        /// Samples given.
        got: usize,
    },
    /// A setting is outside its range.
    #[error("{name} = {value} is outside {range}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed, in words.
        range: &'static str,
    },
    /// Full covariance was asked for, but only variances are known.
    #[error("a full covariance is needed, but these moments hold variances only")]
    NoCovariance,
    /// The eigenvalue or singular value iteration did not converge.
    #[error("the eigenvalue iteration did not converge")]
    NoConvergence,
}

/// Feature vectors of `n` samples, `[n, d]` row-major, known to be finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    n: usize,
    d: usize,
    data: Vec<f64>,
}

impl Features {
    /// Takes `[n, d]` row-major values.
    ///
    /// # Errors
    /// [`MetricError::Size`] where `data` has not `n * d` values or `d` is 0, [`MetricError::NonFinite`] naming the
    /// first sample with NaN or infinity.
    pub fn new(n: usize, d: usize, data: Vec<f64>) -> Result<Self, MetricError> {
        if data.len() != n * d || d == 0 {
            return Err(MetricError::Size { what: "features", got: data.len(), want: n * d.max(1) });
        }
        if let Some(at) = data.iter().position(|x| !x.is_finite()) {
            return Err(MetricError::NonFinite { sample: at / d });
        }
        Ok(Self { n, d, data })
    }

    /// Takes `[n, d]` row-major values as a network gives them; errors as [`Features::new`].
    pub fn from_f32(n: usize, d: usize, data: &[f32]) -> Result<Self, MetricError> {
        Self::new(n, d, data.iter().map(|&x| f64::from(x)).collect())
    }

    /// Number of samples.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Length of a feature vector.
    pub fn d(&self) -> usize {
        self.d
    }

    /// All values, `[n, d]` row-major.
    pub fn data(&self) -> &[f64] {
        &self.data
    }

    /// Feature vector of sample `i`, `[d]`; `i` must be below `n`.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.data[i * self.d..(i + 1) * self.d]
    }

    /// Every feature vector in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.data.chunks_exact(self.d)
    }

    /// The samples `indices` in that order; each index must be below `n`.
    pub fn select(&self, indices: &[usize]) -> Self {
        let data = indices.iter().flat_map(|&i| self.row(i)).copied().collect();
        Self { n: indices.len(), d: self.d, data }
    }

    /// Fails unless there are at least `need` samples.
    pub(crate) fn at_least(&self, need: usize, what: &'static str) -> Result<(), MetricError> {
        if self.n < need { Err(MetricError::TooFew { what, need, got: self.n }) } else { Ok(()) }
    }

    /// Fails unless `other` has vectors of the same length.
    pub(crate) fn same_dimension(&self, other: &Self) -> Result<(), MetricError> {
        if self.d == other.d {
            Ok(())
        } else {
            Err(MetricError::Size { what: "feature dimension", got: other.d, want: self.d })
        }
    }
}

/// Mean and spread of a measure taken on several parts of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Mean over the parts.
    pub mean: f64,
    /// Standard deviation over the parts (ddof 0, as torch-fidelity reports it).
    pub std: f64,
    /// The measure of each part.
    pub parts: Vec<f64>,
}

impl Estimate {
    fn of(parts: Vec<f64>) -> Self {
        let n = parts.len() as f64;
        let mean = parts.iter().sum::<f64>() / n;
        let std = (parts.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        Self { mean, std, parts }
    }
}

/// Share of samples whose largest logit is that of the class asked for, in [0, 1]. `logits` is `[n, classes]`.
///
/// # Errors
/// [`MetricError::TooFew`] without samples, [`MetricError::Size`] where `classes` has not one entry per sample.
pub fn class_accuracy(logits: &Features, classes: &[usize]) -> Result<f64, MetricError> {
    logits.at_least(1, "class accuracy")?;
    if classes.len() != logits.n() {
        return Err(MetricError::Size { what: "classes", got: classes.len(), want: logits.n() });
    }
    let hits = logits.rows().zip(classes).filter(|(row, class)| {
        let best = row.iter().enumerate().fold(0, |best, (i, x)| if *x > row[best] { i } else { best });
        best == **class
    });
    Ok(hits.count() as f64 / logits.n() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_refuse_nan_and_name_the_sample() {
        let data = vec![0.0, 1.0, 2.0, 3.0, f64::NAN, 5.0];
        assert_eq!(Features::new(3, 2, data), Err(MetricError::NonFinite { sample: 2 }));
        let wrong = Features::new(3, 2, vec![0.0; 5]);
        assert_eq!(wrong, Err(MetricError::Size { what: "features", got: 5, want: 6 }));
    }

    #[test]
    fn class_accuracy_counts_the_largest_logit() {
        let logits = Features::new(3, 2, vec![1.0, 2.0, 3.0, 0.0, 0.0, 1.0]).unwrap();
        assert_eq!(class_accuracy(&logits, &[1, 0, 0]).unwrap(), 2.0 / 3.0);
        assert!(class_accuracy(&logits, &[1, 0]).is_err());
    }
}
