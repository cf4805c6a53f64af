//! Moments of a stream of features: a mean and a (co)variance that follow the batches as an exponential average.
//!
//! The state is kept as mean and *central* second moment. Averaging raw moments `E[x xᵀ]`, as the authors' code does,
//! is the same in exact arithmetic, but subtracts two large numbers at every use.

use serde::{Deserialize, Serialize};

use crate::metrics::linalg::{covariance, mean, to_row_major};
use crate::metrics::statistics::Spread;
use crate::metrics::{Features, Gaussian, MetricError, Statistics};

/// Which second moments are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// Variances only: what the authors' code does, for any number of features.
    #[default]
    Diagonal,
    /// The full covariance: the true Fréchet distance, for up to some hundred features.
    Full,
}

/// Second central moments, divided by `n`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cov {
    /// Variances, `[d]`.
    Diagonal(#[serde(with = "bits")] Vec<f64>),
    /// Covariance, `[d, d]` row-major.
    Full(#[serde(with = "bits")] Vec<f64>),
}

/// Mean and second central moment. Serialised bit for bit, so that a resumed run goes on exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// `[d]`.
    #[serde(with = "bits")]
    pub mean: Vec<f64>,
    /// Variances or covariance.
    pub cov: Cov,
}

impl Moments {
    /// Means and variances of a set of features, divided by `n` (biased, as the method has it).
    ///
    /// # Errors
    /// [`MetricError::TooFew`] without samples.
    pub fn diagonal(features: &Features) -> Result<Self, MetricError> {
        features.at_least(1, "moments")?;
        let mean = mean(features);
        let mut variance = vec![0.0; features.d()];
        for row in features.rows() {
            for ((v, x), m) in variance.iter_mut().zip(row).zip(&mean) {
                *v += (x - m) * (x - m);
            }
        }
        variance.iter_mut().for_each(|v| *v /= features.n() as f64);
        Ok(Self { mean, cov: Cov::Diagonal(variance) })
    }

    /// Means and covariance of a set of features, divided by `n`.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] without samples.
    pub fn full(features: &Features) -> Result<Self, MetricError> {
        features.at_least(1, "moments")?;
        let mean = mean(features);
        let cov = Cov::Full(to_row_major(covariance(features, &mean, 0).as_ref()));
        Ok(Self { mean, cov })
    }

    /// [`Moments::diagonal`] or [`Moments::full`].
    ///
    /// # Errors
    /// [`MetricError::TooFew`] without samples.
    pub fn of(features: &Features, form: Form) -> Result<Self, MetricError> {
        match form {
            Form::Diagonal => Self::diagonal(features),
            Form::Full => Self::full(features),
        }
    }

    /// From raw moments: `second` is `E[x²]` (`[d]`) or `E[x xᵀ]` (`[d, d]` row-major).
    ///
    /// # Errors
    /// [`MetricError::Size`] where `second` is neither.
    pub fn from_raw(mean: Vec<f64>, second: Vec<f64>) -> Result<Self, MetricError> {
        let d = mean.len();
        let cov = if second.len() == d {
            Cov::Diagonal(second.iter().zip(&mean).map(|(q, m)| q - m * m).collect())
        } else if second.len() == d * d {
            Cov::Full(second.iter().enumerate().map(|(k, q)| q - mean[k / d] * mean[k % d]).collect())
        } else {
            return Err(MetricError::Size { what: "second moments", got: second.len(), want: d * d });
        };
        Ok(Self { mean, cov })
    }

    /// Number of features.
    pub fn d(&self) -> usize {
        self.mean.len()
    }

    /// Which second moments these are.
    pub fn form(&self) -> Form {
        match self.cov {
            Cov::Diagonal(_) => Form::Diagonal,
            Cov::Full(_) => Form::Full,
        }
    }

    /// Variance of every feature, `[d]`.
    pub fn variances(&self) -> Vec<f64> {
        match &self.cov {
            Cov::Diagonal(variance) => variance.clone(),
            Cov::Full(cov) => cov.iter().step_by(self.d() + 1).copied().collect(),
        }
    }

    /// Sum of the variances.
    pub fn trace(&self) -> f64 {
        match &self.cov {
            Cov::Diagonal(variance) => variance.iter().sum(),
            Cov::Full(cov) => cov.iter().step_by(self.d() + 1).sum(),
        }
    }

    /// The same moments in the form asked for.
    ///
    /// # Errors
    /// [`MetricError::NoCovariance`] where a covariance is asked of variances, [`MetricError::Size`] where the second
    /// moments do not fit the mean (a damaged file).
    pub fn into_form(self, form: Form) -> Result<Self, MetricError> {
        let (d, got) = match &self.cov {
            Cov::Diagonal(v) => (self.d(), v.len()),
            Cov::Full(c) => (self.d() * self.d(), c.len()),
        };
        if d != got || d == 0 {
            return Err(MetricError::Size { what: "second moments", got, want: d });
        }
        match (self.form(), form) {
            (Form::Diagonal, Form::Full) => Err(MetricError::NoCovariance),
            (Form::Full, Form::Diagonal) => Ok(Self { cov: Cov::Diagonal(self.variances()), mean: self.mean }),
            _ => Ok(self),
        }
    }

    /// Exponential average: `self` keeps weight `beta`, `batch` gets the rest.
    ///
    /// `m' = b m + (1-b) x̄`, `S' = b S + (1-b) C + b (1-b) (m-x̄)(m-x̄)ᵀ`: exactly the average of raw moments. Both
    /// must have one form and size.
    pub(crate) fn blend(&self, batch: &Self, beta: f64) -> Self {
        let d = self.d();
        let mix = |a: f64, b: f64| beta * a + (1.0 - beta) * b;
        let gap: Vec<f64> = self.mean.iter().zip(&batch.mean).map(|(m, x)| m - x).collect();
        let between = |i: usize, j: usize| beta * (1.0 - beta) * gap[i] * gap[j];
        let cov = match (&self.cov, &batch.cov) {
            (Cov::Full(s), Cov::Full(c)) => {
                Cov::Full(s.iter().zip(c).enumerate().map(|(k, (s, c))| mix(*s, *c) + between(k / d, k % d)).collect())
            }
            _ => {
                let (s, c) = (self.variances(), batch.variances());
                Cov::Diagonal((0..d).map(|i| mix(s[i], c[i]) + between(i, i)).collect())
            }
        };
        let mean = self.mean.iter().zip(&batch.mean).map(|(m, x)| mix(*m, *x)).collect();
        Self { mean, cov }
    }

    /// Quirk of the authors' code (Q4 of our notes): the average is started from `(1 - beta)` times the raw moments
    /// and never debiased, so that its total mass is `1 - beta^(t+1)` after `t` updates instead of 1.
    ///
    /// In central form, with mass `a`: `m = a μ`, `S = a Σ + a (1-a) μμᵀ`; `blend` then needs no change.
    pub fn with_mass(&self, mass: f64) -> Self {
        let d = self.d();
        let second = |value: f64, i: usize, j: usize| mass * (value + (1.0 - mass) * self.mean[i] * self.mean[j]);
        let cov = match &self.cov {
            Cov::Diagonal(v) => Cov::Diagonal(v.iter().enumerate().map(|(i, v)| second(*v, i, i)).collect()),
            Cov::Full(c) => Cov::Full(c.iter().enumerate().map(|(k, c)| second(*c, k / d, k % d)).collect()),
        };
        Self { mean: self.mean.iter().map(|m| mass * m).collect(), cov }
    }
}

impl From<&Gaussian> for Moments {
    fn from(gaussian: &Gaussian) -> Self {
        Self { mean: gaussian.mean.clone(), cov: Cov::Full(gaussian.cov.clone()) }
    }
}

/// As the authors' code has it, divided by `n - 1` still where the file's are.
impl From<&Statistics> for Moments {
    fn from(statistics: &Statistics) -> Self {
        let cov = match &statistics.spread {
            Spread::Variances(variances) => Cov::Diagonal(variances.clone()),
            Spread::Covariance(cov) => Cov::Full(cov.clone()),
        };
        Self { mean: statistics.mean.clone(), cov }
    }
}

/// Numbers as the hexadecimal digits of their bits, 16 each: JSON's decimal digits are not read back exactly.
mod bits {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&values.iter().map(|v| format!("{:016x}", v.to_bits())).collect::<String>())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let number = |chunk: &[u8]| {
            let text = std::str::from_utf8(chunk).ok().filter(|text| text.len() == 16);
            let bits = text.and_then(|text| u64::from_str_radix(text, 16).ok());
            bits.map(f64::from_bits).filter(|value| value.is_finite())
        };
        let values = digits.as_bytes().chunks(16).map(number).collect::<Option<_>>();
        values.ok_or_else(|| D::Error::custom("moments: expected 16 hexadecimal digits for each finite number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(moments: &Moments) -> Vec<f64> {
        let v = moments.variances();
        moments.mean.iter().zip(v).map(|(m, v)| v + m * m).collect()
    }

    #[test]
    fn blending_central_moments_is_blending_raw_ones() {
        let a = Features::new(3, 2, vec![1.0, 2.0, 4.0, -1.0, 0.5, 3.0]).unwrap();
        let b = Features::new(2, 2, vec![7.0, 0.0, -2.0, 5.0]).unwrap();
        for form in [Form::Diagonal, Form::Full] {
            let (a, b) = (Moments::of(&a, form).unwrap(), Moments::of(&b, form).unwrap());
            let mixed = a.blend(&b, 0.3);
            for ((got, a), b) in raw(&mixed).iter().zip(raw(&a)).zip(raw(&b)) {
                assert!((got - (0.3 * a + 0.7 * b)).abs() < 1e-12);
            }
            assert_eq!(mixed.form(), form);
        }
    }

    #[test]
    fn half_mass_scales_raw_moments() {
        let x = Features::new(3, 2, vec![1.0, 2.0, 4.0, -1.0, 0.5, 3.0]).unwrap();
        let whole = Moments::of(&x, Form::Full).unwrap();
        let half = whole.with_mass(0.5);
        for (h, w) in raw(&half).iter().zip(raw(&whole)) {
            assert!((h - 0.5 * w).abs() < 1e-12);
        }
        assert_eq!(half.mean[0], 0.5 * whole.mean[0]);
        assert_eq!(half.into_form(Form::Diagonal).unwrap(), whole.into_form(Form::Diagonal).unwrap().with_mass(0.5));
    }

    #[test]
    fn variances_cannot_become_a_covariance() {
        let moments = Moments { mean: vec![0.0; 2], cov: Cov::Diagonal(vec![1.0; 2]) };
        assert_eq!(moments.into_form(Form::Full), Err(MetricError::NoCovariance));
        let damaged = Moments { mean: vec![0.0; 2], cov: Cov::Full(vec![1.0; 3]) };
        assert!(damaged.into_form(Form::Full).is_err());
    }

    #[test]
    fn moments_are_stored_bit_for_bit() {
        let moments = Moments { mean: vec![0.1, -1.0 / 3.0], cov: Cov::Full(vec![1e-300, 0.2, 0.2, 7.0]) };
        let text = serde_json::to_string(&moments).unwrap();
        assert_eq!(serde_json::from_str::<Moments>(&text).unwrap(), moments);
        assert!(serde_json::from_str::<Moments>(&text.replacen("3fb9", "7ff9", 1)).is_err(), "NaN");
        assert!(serde_json::from_str::<Moments>(&text.replacen("3fb9", "3f", 1)).is_err(), "cut short");
    }
}
