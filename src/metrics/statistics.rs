//! Reference statistics from files: means and (co)variances of features that others have measured on pictures that one
//! does not have.
//!
//! | kind | keys | made by |
//! |---|---|---|
//! | [`Kind::PytorchFid`] | `mu` `[d]`, `sigma` `[d, d]` | pytorch-fid `--save-stats` (`save_fid_stats`) |
//! | [`Kind::OpenAi`] | the same, `mu_s`, `sigma_s` and pictures `arr_0` | OpenAI's evaluator (guided-diffusion `evaluations`) |
//! | [`Kind::Authors`] | `mu` `[d]`, `sigma_diagonal` `[d]`, mostly `sigma` `[d, d]`, `count` `[1]` | the fine-tuning paper's code (`compute_inception_stats.py`, `make_gen_stats.py`, read by `InceptionDiagFIDEMAReward`) |
//! | [`Kind::Other`] | `mu` or `mean` `[d]`, with `sigma` or `cov` `[d, d]`, or `sigma`, `var`, `variance` or `std` `[d]` | not seen with a peer |
//!
//! Statistics only mean something beside features of the network, and of the resize, that they were made with; a file
//! does not tell which. All divide by `n - 1` but where `--cov-estimator mle` was asked of the authors' code.

use std::fmt;

use super::MetricError;
use super::frechet::Gaussian;
use crate::formats::{Dtype, FormatError, Tensors};

/// How far covariances on either side of the diagonal may be apart, in units of their deviations: f32 leaves 1e-6.
const ASYMMETRY: f64 = 1e-4;
/// What rounding may leave of a variance that is 0, in units of the largest.
const ROUNDING: f64 = 1e-9;

/// Why a file of statistics cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StatisticsError {
    /// It cannot be read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// It holds something else.
    #[error(
        "no statistics: the file holds {0}; needed are `mu` with `sigma` (as pytorch-fid and OpenAI's evaluator have \
         them) or with `sigma_diagonal` (as the paper's code does)"
    )]
    Keys(String),
    /// An entry has another shape than it must have.
    #[error("`{name}` has the shape {got:?} where {want:?} is needed")]
    Shape {
        /// The entry.
        name: String,
        /// Its shape.
        got: Vec<usize>,
        /// What is needed.
        want: Vec<usize>,
    },
    /// Its numbers cannot be those of any pictures.
    #[error("`{name}` cannot be right: {why}; make the file again or take another")]
    Value {
        /// The entry.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// They belong to another network.
    #[error("the statistics are of {got} features, the network has {want}: they were made with another network")]
    Dimension {
        /// Features in the file.
        got: usize,
        /// Features of the network.
        want: usize,
    },
}

/// Whose statistics a file holds, by its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of pytorch-fid, or of a program that writes the same.
    PytorchFid,
    /// Of the fine-tuning paper's code.
    Authors,
    /// Of OpenAI's evaluator.
    OpenAi,
    /// Of someone else.
    Other,
}

impl Kind {
    /// The network whose features such a file usually describes, in words.
    pub fn network(self) -> &'static str {
        match self {
            Self::PytorchFid => "the Inception of FID, resized as PyTorch does",
            Self::OpenAi => "the Inception of FID, resized as TensorFlow 1 does",
            Self::Authors => "torchvision's Inception v3",
            Self::Other => "a network that is not named",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PytorchFid => "pytorch-fid",
            Self::Authors => "the paper's code",
            Self::OpenAi => "OpenAI's evaluator",
            Self::Other => "unknown origin",
        })
    }
}

/// How features vary.
#[derive(Clone, Debug, PartialEq)]
pub enum Spread {
    /// Variances, `[d]`: enough for the diagonal distribution reward, for nothing else.
    Variances(Vec<f64>),
    /// Covariance, `[d, d]` row-major: enough for the diagonal and the full reward and for Fréchet distances.
    Covariance(Vec<f64>),
}

/// Mean and spread of features, as a file has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Whose they are.
    pub kind: Kind,
    /// `[d]`.
    pub mean: Vec<f64>,
    /// Variances or covariance.
    pub spread: Spread,
    /// Samples they were measured on; most files do not tell.
    pub n: Option<usize>,
    /// Shape `[n, height, width, 3]` of the pictures that lie beside them as `arr_0`; they need not be all that the
    /// statistics were measured on.
    pub pictures: Option<Vec<usize>>,
}

impl Statistics {
    /// Reads an open file: numpy's `npz`, or any other container with the same keys.
    ///
    /// # Errors
    /// [`StatisticsError::Keys`] names what the file holds where that is no statistics; the others where sizes do not
    /// agree, or numbers are not finite, a variance is negative, or a covariance is not symmetric.
    pub fn read(file: &Tensors) -> Result<Self, StatisticsError> {
        let shape = |name: &str| file.info(name).map(|info| info.shape.as_slice());
        let square = |name: &str| shape(name).is_some_and(|shape| shape.len() == 2);
        let mean = ["mu", "mean"].into_iter().find(|name| shape(name).is_some());
        let cov = ["sigma", "cov"].into_iter().find(|name| square(name));
        let variances = ["sigma_diagonal", "sigma", "var", "variance", "std"];
        let variance = variances.into_iter().find(|name| shape(name).is_some() && !square(name));
        let (Some(mean), Some(spread)) = (mean, cov.or(variance)) else {
            let found = file.names().map(|name| format!("{name} {:?}", shape(name).unwrap_or_default()));
            let found = found.take(12).collect::<Vec<_>>().join(", ");
            return Err(StatisticsError::Keys(if found.is_empty() { "no numbers".into() } else { found }));
        };
        let kind = match () {
            () if shape("sigma_diagonal").is_some() => Kind::Authors,
            () if shape("mu_s").is_some() || shape("arr_0").is_some() => Kind::OpenAi,
            () if (mean, cov) == ("mu", Some("sigma")) => Kind::PytorchFid,
            () => Kind::Other,
        };
        let d = length(shape(mean).unwrap_or_default());
        let mu = numbers(file, mean, &[d.max(1)])?;
        let spread = if cov.is_some() {
            let sigma = numbers(file, spread, &[d, d])?;
            check_covariance(spread, &sigma, d)?;
            Spread::Covariance(sigma)
        } else {
            let mut values = numbers(file, spread, &[d])?;
            check_variances(spread, values.iter().copied())?;
            values.iter_mut().for_each(|v| *v = v.max(0.0).powi(if spread == "std" { 2 } else { 1 }));
            Spread::Variances(values)
        };
        let n = match shape("count").map(length) {
            Some(1) => Some(any_numbers(file, "count")?[0] as usize).filter(|n| *n > 0),
            _ => None,
        };
        let pictures = shape("arr_0").filter(|shape| shape.len() == 4).map(<[usize]>::to_vec);
        Ok(Self { kind, mean: mu, spread, n, pictures })
    }

    /// Number of features.
    pub fn d(&self) -> usize {
        self.mean.len()
    }

    /// Fails unless they can be of a network with `features` features.
    ///
    /// # Errors
    /// [`StatisticsError::Dimension`].
    pub fn fits(&self, features: usize) -> Result<(), StatisticsError> {
        if self.d() == features { Ok(()) } else { Err(StatisticsError::Dimension { got: self.d(), want: features }) }
    }

    /// Mean and covariance, for Fréchet distances; its `n` is 0 where the file does not tell.
    ///
    /// # Errors
    /// [`MetricError::NoCovariance`] where there are variances only.
    pub fn gaussian(&self) -> Result<Gaussian, MetricError> {
        match &self.spread {
            Spread::Covariance(cov) => {
                Ok(Gaussian { mean: self.mean.clone(), cov: cov.clone(), n: self.n.unwrap_or(0) })
            }
            Spread::Variances(_) => Err(MetricError::NoCovariance),
        }
    }

    /// What they can serve for, in words.
    pub fn serves(&self) -> &'static str {
        match self.spread {
            Spread::Variances(_) => "the diagonal distribution reward only, since there is no covariance",
            Spread::Covariance(_) => "the distribution reward, diagonal and full, and Fréchet distances",
        }
    }
}

/// "pytorch-fid: mean and covariance of 2048 features, of an unknown number of pictures".
impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spread = match self.spread {
            Spread::Variances(_) => "variances",
            Spread::Covariance(_) => "covariance",
        };
        write!(f, "{}: mean and {spread} of {} features, of ", self.kind, self.d())?;
        match self.n {
            Some(n) => write!(f, "{n} pictures"),
            None => f.write_str("an unknown number of pictures"),
        }
    }
}

/// Numbers in an entry of this shape, which may be absurd where one of its sides is 0.
fn length(shape: &[usize]) -> usize {
    shape.iter().fold(1, |length: usize, &side| length.saturating_mul(side))
}

/// The finite numbers of an entry whose shape must be `want`, or `want` but for sides of 1.
fn numbers(file: &Tensors, name: &str, want: &[usize]) -> Result<Vec<f64>, StatisticsError> {
    let got = file.info(name).map(|info| info.shape.clone()).unwrap_or_default();
    let sides = |shape: &[usize]| shape.iter().copied().filter(|side| *side != 1).collect::<Vec<_>>();
    if sides(&got) != sides(want) {
        return Err(StatisticsError::Shape { name: name.into(), got, want: want.to_vec() });
    }
    let values = any_numbers(file, name)?;
    match values.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(StatisticsError::Value { name: name.into(), why: format!("number {at} is {}", values[at]) }),
        None => Ok(values),
    }
}

/// The numbers of an entry in full precision: floats, or the whole numbers of a count.
fn any_numbers(file: &Tensors, name: &str) -> Result<Vec<f64>, FormatError> {
    Ok(match file.info(name).map(|info| info.dtype) {
        Some(Dtype::F64) => file.bytes(name)?.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
        Some(Dtype::I64) => file.bytes(name)?.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b) as f64).collect(),
        Some(Dtype::I32) => file.bytes(name)?.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect(),
        _ => file.f32(name)?.into_iter().map(f64::from).collect(),
    })
}

/// A variance may be 0, or less by rounding: a feature that never fires has it.
fn check_variances(name: &str, values: impl Iterator<Item = f64> + Clone) -> Result<(), StatisticsError> {
    let least = -ROUNDING * values.clone().fold(0.0, f64::max);
    match { values }.position(|v| v < least) {
        Some(at) => {
            Err(StatisticsError::Value { name: name.into(), why: format!("feature {at} has a negative variance") })
        }
        None => Ok(()),
    }
}

fn check_covariance(name: &str, cov: &[f64], d: usize) -> Result<(), StatisticsError> {
    let variances = cov.iter().step_by(d + 1).copied();
    check_variances(name, variances.clone())?;
    let floor = ROUNDING * variances.fold(0.0, f64::max);
    let deviation = |i: usize| cov[i * d + i].max(floor).sqrt();
    for i in 0..d {
        for j in 0..i {
            let apart = (cov[i * d + j] - cov[j * d + i]).abs();
            if apart > ASYMMETRY * deviation(i) * deviation(j) {
                let why = format!("it is not symmetric: rows {j} and {i} differ by {apart:e}");
                return Err(StatisticsError::Value { name: name.into(), why });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Info, write};

    use safetensors::tensor::{Dtype as Stored, TensorView};

    /// A file of these arrays; `f32` where the name ends with `*`.
    fn file(arrays: &[(&str, &[usize], &[f64])]) -> Tensors {
        let stored: Vec<_> = arrays
            .iter()
            .map(|(name, shape, values)| {
                let (name, half) = name.strip_suffix('*').map_or((*name, false), |name| (name, true));
                let (dtype, bytes) = match half {
                    true => (Stored::F32, values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect::<Vec<u8>>()),
                    false => (Stored::F64, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
                };
                (name, dtype, shape.to_vec(), bytes)
            })
            .collect();
        let views = stored.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("a tensor"))
        });
        Tensors::open(safetensors::serialize(views, None).expect("bytes")).expect("a file")
    }

    const MU: [f64; 2] = [0.1, 2.0];
    const SIGMA: [f64; 4] = [1.0, 0.5, 0.5, 4.0];

    #[test]
    fn every_kind_is_told_by_its_keys_and_says_what_it_serves_for() {
        let (mu, sigma) = (("mu", &[2][..], &MU[..]), ("sigma", &[2, 2][..], &SIGMA[..]));
        let read = |arrays: &[(&str, &[usize], &[f64])]| Statistics::read(&file(arrays)).expect("statistics");
        let fid = read(&[mu, sigma]);
        assert_eq!((fid.kind, fid.n, fid.d()), (Kind::PytorchFid, None, 2));
        assert_eq!(fid.gaussian(), Ok(Gaussian { mean: MU.to_vec(), cov: SIGMA.to_vec(), n: 0 }));
        assert!(fid.to_string().contains("covariance of 2 features, of an unknown number"));

        let evaluator = read(&[mu, sigma, ("mu_s*", &[1], &[0.0]), ("arr_0*", &[1, 1, 1, 3], &[0.0; 3])]);
        assert_eq!((evaluator.kind, evaluator.pictures), (Kind::OpenAi, Some(vec![1, 1, 1, 3])));

        let diagonal = ("sigma_diagonal", &[2][..], &[1.0, 4.0][..]);
        let (whole, part) = (read(&[mu, sigma, diagonal, ("count", &[1], &[50_000.0])]), read(&[mu, diagonal]));
        assert_eq!((whole.kind, whole.n, whole.spread), (Kind::Authors, Some(50_000), fid.spread.clone()));
        assert_eq!((part.kind, &part.spread), (Kind::Authors, &Spread::Variances(vec![1.0, 4.0])));
        assert_eq!(part.gaussian(), Err(MetricError::NoCovariance));
        assert!(part.serves().contains("diagonal distribution reward only") && fid.serves().contains("Fréchet"));

        for (name, values) in [("sigma", [1.0, 4.0]), ("var", [1.0, 4.0]), ("std", [1.0, 2.0]), ("std*", [1.0, 2.0])] {
            let other = read(&[("mean", &[1, 2], &MU), (name, &[2], &values)]);
            assert_eq!((other.kind, other.spread), (Kind::Other, Spread::Variances(vec![1.0, 4.0])), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_right_is_refused_by_name() {
        let refused = |arrays: &[(&str, &[usize], &[f64])]| {
            Statistics::read(&file(arrays)).map(|s| s.to_string()).expect_err("refused").to_string()
        };
        let features = refused(&[("features", &[2, 1], &MU)]);
        assert!(features.contains("features [2, 1]") && features.contains("`sigma_diagonal`"), "{features}");
        let mu = ("mu", &[2][..], &MU[..]);
        assert!(refused(&[mu]).contains("mu [2]"));
        assert!(refused(&[mu, ("sigma", &[1, 4], &SIGMA)]).contains("[1, 4] where [2, 2]"));
        assert!(refused(&[mu, ("sigma", &[2, 2], &[1.0, f64::NAN, 0.5, 1.0])]).contains("number 1 is NaN"));
        assert!(refused(&[mu, ("sigma", &[2, 2], &[1.0, 0.5, 0.6, 4.0])]).contains("not symmetric"));
        assert!(refused(&[mu, ("sigma", &[2, 2], &[1.0, 0.0, 0.0, -4.0])]).contains("feature 1"));
        assert!(refused(&[mu, ("var", &[2], &[-1.0, 1.0])]).contains("negative"));
        let fits = Statistics::read(&file(&[mu, ("var", &[2], &MU)])).expect("statistics");
        assert!(fits.fits(2).is_ok());
        assert!(fits.fits(2048).expect_err("refused").to_string().contains("another network"));
    }

    #[test]
    fn statistics_are_written_as_they_are_read() {
        let gaussian = Gaussian { mean: MU.to_vec(), cov: SIGMA.to_vec(), n: 12 };
        let mut npz = write::Npz::new(vec![]);
        for (name, shape, values) in
            [("mu", vec![2], &MU[..]), ("sigma", vec![2, 2], &SIGMA), ("count", vec![1], &[12.0])]
        {
            npz.array(name, &Info { dtype: Dtype::F64, shape }).expect("an array");
            npz.write(bytemuck::cast_slice(values)).expect("memory");
        }
        let bytes = npz.finish().expect("bytes");
        let again = Statistics::read(&Tensors::open(bytes).expect("a file")).expect("statistics");
        assert_eq!((again.kind, again.gaussian()), (Kind::PytorchFid, Ok(gaussian)));
    }
}
