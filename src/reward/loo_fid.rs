//! LOO-FID: pays each picture for what it does to the whole batch's distance from the real pictures.
//!
//! `r_i = F(moments without picture i) - F(moments with all)`: positive where leaving the picture out makes the
//! distance worse, that is, where the picture helps. A batch that has lost its diversity is paid for what is missing.
//! (Baran, Kandemir, Cinbis, arXiv 2603.23086.) Moments follow the batches as an exponential average with weight
//! `beta`, so that a batch much smaller than the number of features still gives a usable distance.
//!
//! `F` is `|m - m_r|² + |s - s_r|²` with per-feature deviations `s` ([`Form::Diagonal`], the authors' choice), or the
//! Fréchet distance with full covariances ([`Form::Full`], ours). Both are exact and closed, on the host in f64: the
//! differences are about 1e-3 of `F`.

mod diagonal;
mod full;

use faer::Mat;
use serde::{Deserialize, Serialize};

pub use super::moments::{Cov, Form, Moments};
pub use diagonal::{DiagonalF32, rewards_f32};

use crate::metrics::linalg::{sqrt_psd, view};
use crate::metrics::{Features, MetricError};

/// Why no distribution reward can be given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LooFidError {
    /// The weight of the past is outside its range.
    #[error("the weight of the past, beta = {0}, is outside [0, 1)")]
    Beta(f64),
    /// The features or moments do not serve.
    #[error(transparent)]
    Metric(#[from] MetricError),
}

/// What it means to leave a sample out of an exponential average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Removal {
    /// The batch's moments are taken over the other `n - 1` samples; the batch keeps its weight `1 - beta`. The
    /// authors' choice.
    #[default]
    Renormalise,
    /// The sample's own weight `(1 - beta) / n` is deleted from the mixture and the rest is scaled up.
    Weighted,
}

/// The distribution reward and its state.
#[derive(Clone, Debug)]
pub struct LooFid {
    reference: Moments,
    ema: Moments,
    beta: f64,
    removal: Removal,
    nodes: usize,
    /// Square root of the reference's covariance, taken once; only in the full form.
    root: Option<Mat<f64>>,
}

impl LooFid {
    /// `reference`: moments of real pictures; their form is the form of the reward. `pretrained`: moments of the
    /// untouched model's samples, from which the average starts. `beta`: weight of the past in [0, 1); 0 judges each
    /// batch alone, the paper has 0.5.
    ///
    /// # Errors
    /// [`LooFidError::Beta`]; [`MetricError::NoCovariance`] where `reference` is full and `pretrained` is not,
    /// [`MetricError::Size`] where sizes differ, [`MetricError::NoConvergence`].
    pub fn new(reference: Moments, pretrained: Moments, beta: f64) -> Result<Self, LooFidError> {
        check_beta(beta)?;
        let form = reference.form();
        let reference = reference.into_form(form)?; // only checks the sizes
        let root = match &reference.cov {
            Cov::Full(cov) => Some(sqrt_psd(view(cov, reference.d(), reference.d()))?),
            Cov::Diagonal(_) => None,
        };
        let ema = fitting(&reference, pretrained)?;
        Ok(Self { reference, ema, beta, removal: Removal::default(), nodes: 64, root })
    }

    /// Starts the average with mass `1 - beta`, as the authors' code does: see [`Moments::with_mass`].
    pub fn with_half_mass(mut self) -> Self {
        self.ema = self.ema.with_mass(1.0 - self.beta);
        self
    }

    /// How a sample is left out.
    pub fn with_removal(mut self, removal: Removal) -> Self {
        self.removal = removal;
        self
    }

    /// Quadrature nodes of the full form, at least 8; the default 64 leave an error of about 1e-11.
    pub fn with_nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes.max(8);
        self
    }

    /// Changes the weight of the past while running; the average is kept. [`LooFid::rewards`] refuses a value outside
    /// [0, 1).
    pub fn set_beta(&mut self, beta: f64) {
        self.beta = beta;
    }

    /// The averaged moments of the model's samples: what a checkpoint must hold.
    pub fn ema(&self) -> &Moments {
        &self.ema
    }

    /// Takes the average from a checkpoint.
    ///
    /// # Errors
    /// [`MetricError::Size`] or [`MetricError::NoCovariance`] where it does not fit the reference.
    pub fn set_ema(&mut self, ema: Moments) -> Result<(), LooFidError> {
        self.ema = fitting(&self.reference, ema)?;
        Ok(())
    }

    /// Moments of the real pictures.
    pub fn reference(&self) -> &Moments {
        &self.reference
    }

    /// `F` of the current average, in squared units of the features; NaN should the eigenvalues not converge.
    pub fn distance(&self) -> f64 {
        self.distance_of(&self.ema).unwrap_or(f64::NAN)
    }

    /// `F` of other moments.
    ///
    /// # Errors
    /// [`MetricError::Size`] or [`MetricError::NoCovariance`] where they do not fit the reference,
    /// [`MetricError::NoConvergence`].
    pub fn distance_of(&self, moments: &Moments) -> Result<f64, LooFidError> {
        same_dimension(&self.reference, moments.d())?;
        Ok(match &self.root {
            Some(root) => full::distance(&self.reference, root, moments)?,
            None => diagonal::distance(&self.reference, moments),
        })
    }

    /// One reward per sample, and the average after this batch. Changes nothing: [`LooFid::commit`] the average once
    /// the update has been made, so that an abandoned update leaves no trace.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] below two samples, [`MetricError::Size`] for other features than the reference's,
    /// [`LooFidError::Beta`], [`MetricError::NoConvergence`]. Features that are not finite cannot come here:
    /// [`Features::new`] names the sample.
    pub fn rewards(&self, features: &Features) -> Result<(Vec<f64>, Moments), LooFidError> {
        check_beta(self.beta)?;
        features.at_least(2, "leaving one out")?;
        same_dimension(&self.reference, features.d())?;
        let batch = Moments::of(features, self.reference.form())?;
        let next = self.ema.blend(&batch, self.beta);
        let view = Batch { features, batch: &batch, next: &next, reference: &self.reference, beta: self.beta };
        let rewards = match &self.root {
            Some(root) => full::rewards(&view, root, self.removal, self.nodes)?,
            None => diagonal::rewards(&view, self.removal),
        };
        Ok((rewards, next))
    }

    /// Takes the average that [`LooFid::rewards`] returned.
    pub fn commit(&mut self, next: Moments) {
        self.ema = next;
    }
}

fn check_beta(beta: f64) -> Result<(), LooFidError> {
    if (0.0..1.0).contains(&beta) { Ok(()) } else { Err(LooFidError::Beta(beta)) }
}

fn same_dimension(reference: &Moments, got: usize) -> Result<(), MetricError> {
    let want = reference.d();
    if got == want { Ok(()) } else { Err(MetricError::Size { what: "feature dimension", got, want }) }
}

/// `moments` in the form of `reference`, sizes checked.
fn fitting(reference: &Moments, moments: Moments) -> Result<Moments, MetricError> {
    same_dimension(reference, moments.d())?;
    moments.into_form(reference.form())
}

/// What both forms compute from.
struct Batch<'a> {
    features: &'a Features,
    /// Moments of this batch alone.
    batch: &'a Moments,
    /// The average after this batch.
    next: &'a Moments,
    reference: &'a Moments,
    beta: f64,
}

impl Batch<'_> {
    /// `(1-b) / (n-1)`: how far renormalising over the other samples moves the average.
    fn delta(&self) -> f64 {
        (1.0 - self.beta) / (self.features.n() as f64 - 1.0)
    }

    /// `(1-b) / n`: weight of one sample in the average.
    fn weight(&self) -> f64 {
        (1.0 - self.beta) / self.features.n() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::rng::Key;

    /// `n` samples of `d` correlated features.
    fn samples(n: usize, d: usize, seed: u64, shift: f64) -> Features {
        let mut s = Key::new(seed).stream();
        let noise: Vec<f64> = (0..n * d).map(|_| f64::from(s.normal())).collect();
        let at =
            |i: usize, j: usize| noise[i * d + j] / (1.0 + j as f64 / 4.0) + 0.5 * noise[i * d + (j + 1) % d] + shift;
        Features::new(n, d, (0..n * d).map(|k| at(k / d, k % d)).collect()).unwrap()
    }

    fn loo(form: Form, removal: Removal, beta: f64, n: usize, d: usize) -> (LooFid, Features) {
        let reference = Moments::of(&samples(200, d, 1, 0.0), form).unwrap();
        let start = Moments::full(&samples(150, d, 2, 0.2)).unwrap();
        (LooFid::new(reference, start, beta).unwrap().with_removal(removal), samples(n, d, 3, 0.1))
    }

    /// The definition, one distance per sample.
    fn brute_force(loo: &LooFid, x: &Features) -> Vec<f64> {
        let (form, beta) = (loo.reference.form(), loo.beta);
        let all = loo.ema.blend(&Moments::of(x, form).unwrap(), beta);
        let without = |i: usize| {
            let keep: Vec<usize> = (0..x.n()).filter(|&j| j != i).collect();
            let rest = Moments::of(&x.select(&keep), form).unwrap();
            let kept = match loo.removal {
                Removal::Renormalise => beta,
                // The past has weight b / (1-w), the others (1-b-w) / (1-w).
                Removal::Weighted => beta / (1.0 - (1.0 - beta) / x.n() as f64),
            };
            loo.distance_of(&loo.ema.blend(&rest, kept)).unwrap()
        };
        (0..x.n()).map(|i| without(i) - loo.distance_of(&all).unwrap()).collect()
    }

    fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn closed_form_equals_brute_force() {
        for (n, d) in [(12, 6), (2, 5), (24, 24)] {
            for removal in [Removal::Renormalise, Removal::Weighted] {
                for beta in [0.0, 0.5, 0.99] {
                    // Where a variance or an eigenvalue falls to 0, brute force itself has the noise of sqrt(eps).
                    let diagonal = if beta == 0.0 && n == 2 { 1e-9 } else { 1e-12 };
                    let full = if beta == 0.0 && n <= d + 1 { 3e-7 } else { 1e-9 };
                    for (form, tol) in [(Form::Diagonal, diagonal), (Form::Full, full)] {
                        let (loo, x) = loo(form, removal, beta, n, d);
                        let got = loo.rewards(&x).unwrap().0;
                        let worst = largest_difference(&got, &brute_force(&loo, &x));
                        assert!(worst < tol, "{form:?} {removal:?} beta {beta} n {n} d {d}: {worst:e}");
                    }
                }
            }
        }
    }

    #[test]
    fn ill_conditioned_covariances_stay_exact() {
        // Deviations fall as j^-2, so that eigenvalues span twelve decades: a rule centred on one scale fails.
        let (n, d) = (16, 32);
        let scaled = |x: Features| {
            let data = x.data().iter().enumerate().map(|(k, v)| v / ((k % d + 1) as f64).powi(2)).collect();
            Features::new(x.n(), d, data).unwrap()
        };
        let of = |x| Moments::full(&scaled(x)).unwrap();
        let loo = LooFid::new(of(samples(90, d, 1, 0.0)), of(samples(20, d, 2, 0.2)), 0.5).unwrap();
        let x = scaled(samples(n, d, 3, 0.1));
        let worst = largest_difference(&loo.rewards(&x).unwrap().0, &brute_force(&loo, &x));
        assert!(worst < 1e-7, "{worst:e}");
    }

    #[test]
    fn the_odd_one_out_is_paid_by_whether_it_helps() {
        let reference = Moments { mean: vec![0.0], cov: Cov::Diagonal(vec![1.0]) };
        let loo = LooFid::new(reference.clone(), reference, 0.0).unwrap();
        let pay = |x: [f64; 4]| loo.rewards(&Features::new(4, 1, x.to_vec()).unwrap()).unwrap().0;
        // Collapsed at 0.3: the one that adds spread helps, although it is far from the rest.
        let r = pay([0.3, 0.3, 0.3, -0.9]);
        assert!(r[3] > 0.0 && r[0] < 0.0, "{r:?}");
        // Already spread as the reference: an outlier hurts.
        let r = pay([-1.0, 0.0, 1.0, 9.0]);
        assert!(r[3] < 0.0 && r[..3].iter().all(|&x| x > r[3]), "{r:?}");
    }

    #[test]
    fn resuming_from_the_stored_moments_changes_nothing() {
        for form in [Form::Diagonal, Form::Full] {
            let (mut straight, x) = loo(form, Removal::Renormalise, 0.5, 12, 6);
            let next = straight.rewards(&x).unwrap().1;
            assert_ne!(&next, straight.ema());
            straight.commit(next);
            let stored = serde_json::to_string(straight.ema()).unwrap();
            let (mut resumed, _) = loo(form, Removal::Renormalise, 0.5, 12, 6);
            resumed.set_ema(serde_json::from_str(&stored).unwrap()).unwrap();
            let y = samples(12, 6, 9, 0.0);
            assert_eq!(straight.rewards(&y).unwrap(), resumed.rewards(&y).unwrap());
            assert_eq!(straight.distance(), resumed.distance());
        }
    }

    #[test]
    fn half_mass_fills_up_as_in_the_authors_code() {
        let (whole, x) = loo(Form::Diagonal, Removal::Renormalise, 0.5, 12, 6);
        let mut half = whole.clone().with_half_mass();
        assert!((half.ema().mean[0] - 0.5 * whole.ema().mean[0]).abs() < 1e-15);
        let next = half.rewards(&x).unwrap().1;
        half.commit(next);
        // mass 1/4 of the start and 1/2 of the batch
        let batch = Moments::of(&x, Form::Diagonal).unwrap();
        assert!((half.ema().mean[0] - 0.25 * whole.ema().mean[0] - 0.5 * batch.mean[0]).abs() < 1e-15);
    }

    #[test]
    fn what_cannot_be_computed_is_refused() {
        let (mut loo, _) = loo(Form::Full, Removal::Renormalise, 0.5, 4, 3);
        assert_eq!(Features::from_f32(2, 1, &[0.0, f32::NAN]), Err(MetricError::NonFinite { sample: 1 }));
        let refused = |loo: &LooFid, x| loo.rewards(&x).unwrap_err();
        assert!(matches!(refused(&loo, samples(1, 3, 1, 0.0)), LooFidError::Metric(MetricError::TooFew { .. })));
        assert!(matches!(refused(&loo, samples(4, 2, 1, 0.0)), LooFidError::Metric(MetricError::Size { .. })));
        let diagonal = loo.ema().clone().into_form(Form::Diagonal).unwrap();
        assert_eq!(loo.set_ema(diagonal), Err(MetricError::NoCovariance.into()));
        loo.set_beta(1.0);
        assert_eq!(refused(&loo, samples(4, 3, 1, 0.0)), LooFidError::Beta(1.0));
    }

    #[test]
    fn identical_samples_are_paid_alike_and_finitely() {
        for form in [Form::Diagonal, Form::Full] {
            for beta in [0.0, 0.5] {
                let (loo, _) = loo(form, Removal::Renormalise, beta, 2, 3);
                let copies = Features::new(4, 3, [0.1, 0.2, 0.3].repeat(4)).unwrap();
                let r = loo.rewards(&copies).unwrap().0;
                assert!(
                    r.iter().all(|x| x.is_finite() && (x - r[0]).abs() < 1e-12 && x.abs() < 1e-7),
                    "{form:?} {r:?}"
                );
            }
        }
    }
}
