//! The batch among the real pictures: features in the plane of the reference's two principal axes.
//!
//! Plain data with the little arithmetic that explains LOO-FID in two dimensions: the Gaussian of the model's pictures,
//! the same without one of them, and the distance of each from the Gaussian of the real pictures. What a picture is
//! paid is computed in all features and only shown here; the difference in the plane is its shadow.

mod scene;

use serde::{Deserialize, Serialize};

pub use scene::Scene;

/// Deviations that the drawn change may reach: see [`Space::exaggeration`].
const LARGEST_CHANGE: f64 = 0.5;

/// Mean and covariance in the plane: an ellipse for each number of standard deviations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ellipse {
    /// Mean.
    pub mean: [f64; 2],
    /// Variance along the first axis, covariance, variance along the second axis; divided by `n`.
    pub cov: [f64; 3],
}

impl Ellipse {
    /// Mean and covariance of points; `None` without any.
    pub fn of(points: &[[f64; 2]]) -> Option<Self> {
        let n = points.len() as f64;
        let sum = |f: &dyn Fn(&[f64; 2]) -> f64| points.iter().map(f).sum::<f64>() / n;
        let [x, y] = [0, 1].map(|axis| sum(&|p| p[axis]));
        let second = |a: usize, b: usize| sum(&|p| (p[a] - [x, y][a]) * (p[b] - [x, y][b]));
        (!points.is_empty()).then(|| Self { mean: [x, y], cov: [second(0, 0), second(0, 1), second(1, 1)] })
    }

    /// Exponential average: `self` keeps weight `beta`, `batch` gets the rest; exactly the average of raw moments.
    pub fn blend(&self, batch: &Self, beta: f64) -> Self {
        let mix = |a: f64, b: f64| beta * a + (1.0 - beta) * b;
        let gap = [0, 1].map(|i| self.mean[i] - batch.mean[i]);
        let between = outer(gap, gap).map(|c| beta * (1.0 - beta) * c);
        Self {
            mean: [0, 1].map(|i| mix(self.mean[i], batch.mean[i])),
            cov: [0, 1, 2].map(|k| mix(self.cov[k], batch.cov[k]) + between[k]),
        }
    }

    /// The point `times` as far from `self` as `other` is, in mean and covariance alike.
    pub fn beyond(&self, other: &Self, times: f64) -> Self {
        let far = |a: f64, b: f64| a + times * (b - a);
        Self {
            mean: [0, 1].map(|i| far(self.mean[i], other.mean[i])),
            cov: [0, 1, 2].map(|k| far(self.cov[k], other.cov[k])),
        }
    }

    /// Direction of the longer axis as an angle in radians, and the standard deviations along it and across.
    pub fn axes(&self) -> (f64, [f64; 2]) {
        let [a, b, c] = self.cov;
        let (middle, half) = (0.5 * (a + c), (0.5 * (a - c)).hypot(b));
        (0.5 * (2.0 * b).atan2(a - c), [middle + half, middle - half].map(|v| v.max(0.0).sqrt()))
    }

    /// The two half axes as vectors: a point of the ellipse of `k` deviations is `mean + k (cos t u + sin t v)`.
    pub fn half_axes(&self) -> [[f64; 2]; 2] {
        let (angle, [long, short]) = self.axes();
        let (sin, cos) = angle.sin_cos();
        [[long * cos, long * sin], [-short * sin, short * cos]]
    }

    fn determinant(&self) -> f64 {
        (self.cov[0] * self.cov[2] - self.cov[1] * self.cov[1]).max(0.0)
    }

    /// Fréchet distance in the plane, `|m - m_r|² + tr S + tr S_r - 2 tr (S S_r)^½`, in squared units of the features.
    pub fn distance(&self, reference: &Self) -> f64 {
        let [a, b, c] = self.cov;
        let [p, q, r] = reference.cov;
        let gap: f64 = [0, 1].map(|i| (self.mean[i] - reference.mean[i]).powi(2)).iter().sum();
        // The trace of the root of a 2x2 matrix M is sqrt(tr M + 2 sqrt(det M)).
        let trace = a * p + 2.0 * b * q + c * r;
        let root = (trace + 2.0 * (self.determinant() * reference.determinant()).sqrt()).max(0.0).sqrt();
        (gap + a + c + p + r - 2.0 * root).max(0.0)
    }
}

/// Symmetric part of `a bᵀ`, as [`Ellipse::cov`] has it.
fn outer(a: [f64; 2], b: [f64; 2]) -> [f64; 3] {
    [a[0] * b[0], 0.5 * (a[0] * b[1] + a[1] * b[0]), a[1] * b[1]]
}

/// A picture in the plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Along the two axes, in units of the features; the mean of the real pictures is at the origin.
    pub at: [f64; 2],
    /// Its LOO-FID reward, computed in all features: the distance without it less the distance with it.
    pub reward: f64,
}

/// A scored batch among the real pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// Update that the batch belongs to, from 1.
    pub update: u64,
    /// Share of the real pictures' variance along each axis, in [0, 1].
    pub explained: [f64; 2],
    /// Number of features, in all of which the rewards are computed.
    pub features: usize,
    /// The rewards come from full covariances; from the variance of each feature alone where false.
    pub full: bool,
    /// The rewards count in the loss.
    pub paid: bool,
    /// The rewards' distance from the reference in all features, with the whole batch in the average.
    pub distance: f64,
    /// Some of the real pictures.
    pub reference: Vec<[f32; 2]>,
    /// All of the reference's pictures as a Gaussian.
    pub reference_gaussian: Ellipse,
    /// The average before this batch; `None` in the first update after resuming, when the batch stands alone.
    pub before: Option<Ellipse>,
    /// Weight of the past in the average.
    pub beta: f64,
    /// One entry per picture of the batch, in the gallery's order; `None` where its features or reward are broken.
    pub samples: Vec<Option<Place>>,
}

impl Space {
    /// Pictures with a place, and their moments.
    fn batch(&self) -> (f64, Ellipse) {
        let points: Vec<[f64; 2]> = self.samples.iter().flatten().map(|place| place.at).collect();
        (points.len() as f64, Ellipse::of(&points).unwrap_or_default())
    }

    /// Weight of the past in this batch's average.
    fn past(&self) -> f64 {
        if self.before.is_some() { self.beta } else { 0.0 }
    }

    /// The model's Gaussian with the whole batch: the average after it.
    pub fn all(&self) -> Ellipse {
        self.before.unwrap_or_default().blend(&self.batch().1, self.past())
    }

    /// The model's Gaussian with picture `i` left out: the batch's moments are taken over the others, and the batch
    /// keeps its weight. `None` where the picture has no place, or no other has.
    pub fn without(&self, i: usize) -> Option<Ellipse> {
        let place = (*self.samples.get(i)?)?;
        let (n, batch) = self.batch();
        (n > 1.0).then(|| left_out(place.at, n, &batch, &self.all(), self.past()))
    }

    /// How often larger than it is the change by one picture can be drawn: the largest of 1, 2, 5, 10, … for which no
    /// picture moves the ellipse by more than half a standard deviation, or flattens it below half its width.
    pub fn exaggeration(&self) -> f64 {
        let ((n, batch), all) = (self.batch(), self.all());
        let (_, [long, short]) = all.axes();
        if n < 2.0 || short <= 0.0 {
            return 1.0;
        }
        let change = |place: &Place| {
            let without = left_out(place.at, n, &batch, &all, self.past());
            let shift = (without.mean[0] - all.mean[0]).hypot(without.mean[1] - all.mean[1]) / long;
            // Eigenvalues of the relative change of the covariance.
            let [a, b, c] = all.cov;
            let [x, y, z] = [0, 1, 2].map(|k| without.cov[k] - all.cov[k]);
            let determinant = all.determinant();
            let middle = 0.5 * (c * x - 2.0 * b * y + a * z) / determinant;
            let spread = (middle * middle - (x * z - y * y) / determinant).max(0.0).sqrt();
            shift.max((middle.abs() + spread) / 1.5)
        };
        let largest = self.samples.iter().flatten().map(change).fold(0.0, f64::max);
        let room = if largest > 0.0 { LARGEST_CHANGE / largest } else { 1.0 };
        let decade = 10f64.powf(room.clamp(1.0, 1e6).log10().floor());
        [5.0, 2.0, 1.0].map(|step| step * decade).into_iter().find(|times| *times <= room).unwrap_or(1.0)
    }

    /// Distance of a Gaussian from that of the real pictures, in the plane.
    pub fn distance_in_plane(&self, ellipse: &Ellipse) -> f64 {
        ellipse.distance(&self.reference_gaussian)
    }
}

/// The average `all` with the point `at` left out of its newest batch of `n` points with moments `batch`.
///
/// With `e = x̄ - x`, `g = x̄ - m`, `δ = (1-b)/(n-1)` the mean moves by `δ e` and the covariance by
/// `δ (C + g eᵀ + e gᵀ - (1+δ) e eᵀ)`.
fn left_out(at: [f64; 2], n: f64, batch: &Ellipse, all: &Ellipse, past: f64) -> Ellipse {
    let delta = (1.0 - past) / (n - 1.0);
    let e = [0, 1].map(|i| batch.mean[i] - at[i]);
    let g = [0, 1].map(|i| batch.mean[i] - all.mean[i]);
    let (cross, own) = (outer(g, e), outer(e, e));
    let change = |k: usize| delta * (batch.cov[k] + 2.0 * cross[k] - (1.0 + delta) * own[k]);
    Ellipse { mean: [0, 1].map(|i| all.mean[i] + delta * e[i]), cov: [0, 1, 2].map(|k| all.cov[k] + change(k)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::frechet::frechet_distance;
    use crate::metrics::{Features, Gaussian};
    use crate::platform::rng::Key;
    use crate::reward::moments::{Form, Moments};

    fn points(n: usize, seed: u64, shift: f64) -> Vec<[f64; 2]> {
        let mut s = Key::new(seed).stream();
        let mut next = || f64::from(s.normal());
        (0..n).map(|_| [1.5 * next() + shift, 0.5 * next() - shift]).collect()
    }

    fn space(n: usize, beta: f64) -> Space {
        let places = points(n, 3, 0.4).into_iter().map(|at| Some(Place { at, reward: 0.0 }));
        Space {
            reference_gaussian: Ellipse::of(&points(80, 1, 0.0)).unwrap(),
            before: Ellipse::of(&points(30, 2, 0.8)),
            beta,
            samples: places.collect(),
            ..Space::default()
        }
    }

    fn moments(ellipse: &Ellipse) -> [f64; 5] {
        let ([x, y], [a, b, c]) = (ellipse.mean, ellipse.cov);
        [x, y, a, b, c]
    }

    fn near(a: &Ellipse, b: &Ellipse) -> bool {
        moments(a).iter().zip(moments(b)).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    #[test]
    fn leaving_out_equals_taking_the_moments_of_the_others() {
        for (n, beta) in [(2, 0.5), (9, 0.0), (9, 0.9)] {
            let mut space = space(n, beta);
            space.samples.insert(1, None);
            for left in [0, 2, n] {
                let others = space.samples.iter().enumerate().filter(|(i, _)| *i != left);
                let others: Vec<[f64; 2]> = others.filter_map(|(_, place)| Some((*place)?.at)).collect();
                let scratch = space.before.unwrap().blend(&Ellipse::of(&others).unwrap(), beta);
                assert!(near(&space.without(left).unwrap(), &scratch), "{n} {beta} {left}");
            }
            assert_eq!(space.without(1), None, "a broken picture has no place to be left out of");
        }
    }

    #[test]
    fn the_plane_averages_as_the_reward_does() {
        let flat = |points: &[[f64; 2]]| Features::new(points.len(), 2, points.concat()).unwrap();
        let (past, batch) = (points(30, 2, 0.8), points(9, 3, 0.4));
        let of = |points: &[[f64; 2]]| Moments::of(&flat(points), Form::Full).unwrap();
        let want = of(&past).blend(&of(&batch), 0.7);
        let got = Ellipse::of(&past).unwrap().blend(&Ellipse::of(&batch).unwrap(), 0.7);
        let [x, y, a, b, c] = moments(&got);
        let crate::reward::moments::Cov::Full(cov) = want.cov else { panic!("full") };
        for (got, want) in [x, y, a, b, b, c].iter().zip(want.mean.iter().chain(&cov)) {
            assert!((got - want).abs() < 1e-12);
        }
    }

    #[test]
    fn the_distance_in_the_plane_is_the_frechet_distance() {
        let gaussian = |e: &Ellipse| {
            let [a, b, c] = e.cov;
            Gaussian { mean: e.mean.to_vec(), cov: vec![a, b, b, c], n: 9 }
        };
        let space = space(9, 0.5);
        let (all, reference) = (space.all(), space.reference_gaussian);
        let want = frechet_distance(&gaussian(&all), &gaussian(&reference)).unwrap();
        assert!((space.distance_in_plane(&all) - want).abs() < 1e-10);
        assert!(reference.distance(&reference) < 1e-12);
    }

    #[test]
    fn half_axes_span_the_covariance() {
        let ellipse = space(9, 0.5).all();
        let [u, v] = ellipse.half_axes();
        let [p, q] = [outer(u, u), outer(v, v)];
        assert!((0..3).all(|k| (p[k] + q[k] - ellipse.cov[k]).abs() < 1e-12));
        assert!(ellipse.axes().1[0] >= ellipse.axes().1[1]);
    }

    #[test]
    fn the_drawn_change_stays_an_ellipse_and_grows_with_the_weight_of_the_past() {
        let times: Vec<f64> = [0.0, 0.9, 0.99].map(|beta| space(48, beta).exaggeration()).into();
        assert!(times[0] >= 1.0 && times[0] < times[1] && times[1] < times[2], "{times:?}");
        for beta in [0.0, 0.9] {
            let space = space(48, beta);
            for i in 0..48 {
                let drawn = space.all().beyond(&space.without(i).unwrap(), space.exaggeration());
                assert!(drawn.axes().1[1] > 0.5 * space.all().axes().1[1], "{i}");
            }
        }
        assert_eq!(Space::default().exaggeration(), 1.0);
    }

    #[test]
    fn without_a_past_the_batch_stands_alone_and_the_data_survive_a_recording() {
        let alone = Space { before: None, ..space(5, 0.9) };
        assert!(near(&alone.all(), &alone.batch().1));
        let text = serde_json::to_string(&alone).unwrap();
        assert_eq!(serde_json::from_str::<Space>(&text).unwrap().samples.len(), 5);
    }
}
