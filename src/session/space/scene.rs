//! The engine's side of the picture: the plane, the real pictures in it, and the average of the model's.

use super::{Ellipse, Place, Space};
use crate::config::RunConfig;
use crate::metrics::linalg::view;
use crate::metrics::{Features, MetricError, Projection};
use crate::reward::moments::{Cov, Moments};
use crate::rl::trainer::Rollouts;
use crate::session::reference::Reference;

/// Real pictures that are shown.
const SHOWN: usize = 600;

/// What stays over a run, and the moving average of the model's pictures in the plane.
#[derive(Clone, Debug)]
pub struct Scene {
    projection: Projection,
    reference: Vec<[f32; 2]>,
    reference_gaussian: Ellipse,
    /// The average after the last completed update; `None` until there is one in a run that goes on from a checkpoint,
    /// which holds no covariance in the plane.
    average: Option<Ellipse>,
    /// The average after the batch that was scored last.
    next: Option<Ellipse>,
}

impl Scene {
    /// The plane in which the reference varies most; `start`: features of the untouched model's samples, with which the
    /// average begins as the reward's does. Without them it begins with the first batch.
    ///
    /// # Errors
    /// [`MetricError::Size`] where `start` has other features, [`MetricError::NoConvergence`].
    pub fn new(reference: &Reference, start: Option<&Features>) -> Result<Self, MetricError> {
        let Moments { mean, cov } = &reference.moments;
        let (projection, places) = match (&reference.features, cov) {
            (Some(features), _) => {
                let projection = Projection::principal(features)?;
                let places = projection.project(features)?;
                (projection, places)
            }
            (None, Cov::Full(cov)) => {
                (Projection::of_covariance(mean.clone(), view(cov, mean.len(), mean.len()))?, vec![])
            }
            (None, Cov::Diagonal(variances)) => (Projection::of_variances(mean.clone(), variances), vec![]),
        };
        let variance = |axis: usize| projection.explained[axis] * reference.moments.trace();
        let gaussian = Ellipse { mean: [0.0; 2], cov: [variance(0), 0.0, variance(1)] };
        let every = places.len().div_ceil(SHOWN).max(1);
        let start = start.map(|features| projection.project(features)).transpose()?;
        Ok(Self {
            reference: places.iter().step_by(every).map(|at| at.map(|x| x as f32)).collect(),
            reference_gaussian: Ellipse::of(&places).unwrap_or(gaussian),
            average: start.and_then(|places| Ellipse::of(&places)),
            next: None,
            projection,
        })
    }

    /// Starts the average with mass `1 - beta`, as [`LooFid::with_half_mass`](crate::reward::loo_fid::LooFid) does:
    /// the missing mass lies where all features are 0.
    pub fn with_half_mass(mut self, beta: f64) -> Self {
        let zero = self.projection.place(&vec![0.0; self.projection.mean.len()]);
        let missing = Ellipse { mean: zero, cov: [0.0; 3] };
        self.average = self.average.map(|average| missing.blend(&average, beta));
        self
    }

    /// The scored batch among the real pictures, with the settings it was scored under; `None` for pictures without
    /// features, or where fewer than two of them are sound.
    pub fn space_of(&mut self, rollouts: &Rollouts, config: &RunConfig) -> Option<Space> {
        let place = |(features, reward): (&Vec<f64>, &f64)| {
            let at = self.projection.place(features);
            (reward.is_finite() && at.iter().all(|x| x.is_finite())).then_some(Place { at, reward: *reward })
        };
        let samples: Vec<Option<Place>> = rollouts.features.iter().zip(&rollouts.loo_fid).map(place).collect();
        if samples.iter().flatten().count() < 2 {
            return None;
        }
        let space = Space {
            update: rollouts.update,
            explained: self.projection.explained,
            features: self.projection.mean.len(),
            full: config.loo_fid_form == "full",
            paid: config.loo_fid_weight > 0.0 && config.lambda_fid > 0.0,
            distance: rollouts.distance?,
            reference: self.reference.clone(),
            reference_gaussian: self.reference_gaussian,
            before: self.average,
            beta: config.ema_beta,
            samples,
        };
        self.next = Some(space.all());
        Some(space)
    }

    /// The average after the last completed update.
    pub fn average(&self) -> Option<Ellipse> {
        self.average
    }

    /// Goes back to an average of before.
    pub fn restore(&mut self, average: Option<Ellipse>) {
        (self.average, self.next) = (average, None);
    }

    /// Takes the average of the batch that was scored last: its update is complete.
    pub fn commit(&mut self) {
        self.average = self.next.take().or(self.average);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::rng::Key;

    fn features(n: usize, seed: u64) -> Features {
        let mut stream = Key::new(seed).stream();
        Features::new(n, 5, (0..n * 5).map(|k| f64::from(stream.normal()) / (1 + k % 5) as f64).collect()).unwrap()
    }

    fn reference(n: usize) -> Reference {
        let features = features(n, 1);
        Reference {
            moments: Moments::diagonal(&features).unwrap(),
            features: Some(features),
            about: String::new(),
            gaussian: None,
            real: true,
            doubt: None,
        }
    }

    #[test]
    fn statistics_alone_make_a_plane_with_an_ellipse_and_no_points() {
        let known = reference(700);
        let full = Moments::full(known.features.as_ref().unwrap()).unwrap();
        let of = |moments| Reference {
            moments,
            features: None,
            about: String::new(),
            gaussian: None,
            real: true,
            doubt: None,
        };
        let mut scenes = [of(full), of(known.moments.clone())].map(|r| Scene::new(&r, None).unwrap());
        let spaces = scenes.each_mut().map(|scene| scene.space_of(&rollouts(3), &RunConfig::default()).unwrap());
        let want = Scene::new(&known, None).unwrap().reference_gaussian.cov;
        assert!(spaces.iter().all(|space| space.reference.is_empty()));
        let near = |cov: [f64; 3]| cov.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6 * want[0]);
        assert!(near(spaces[0].reference_gaussian.cov), "{:?}, not {want:?}", spaces[0].reference_gaussian.cov);
        assert!(spaces[1].reference_gaussian.cov[0] > 0.0);
    }

    fn rollouts(seed: u64) -> Rollouts {
        let features: Vec<Vec<f64>> = features(6, seed).rows().map(<[_]>::to_vec).collect();
        Rollouts { update: 1, loo_fid: vec![0.1; 6], distance: Some(2.0), features, ..Rollouts::default() }
    }

    #[test]
    fn the_average_moves_with_completed_updates_only() {
        let mut scene = Scene::new(&reference(700), Some(&features(40, 2))).unwrap();
        let config = RunConfig::default();
        let first = scene.space_of(&rollouts(3), &config).unwrap();
        assert!(first.before.is_some() && first.reference.len() <= SHOWN && first.features == 5);
        // The same update scored again, as after a break: nothing was taken.
        assert_eq!(scene.space_of(&rollouts(3), &config).unwrap(), first);
        scene.commit();
        assert_eq!(scene.space_of(&rollouts(4), &config).unwrap().before, Some(first.all()));
    }

    #[test]
    fn a_resumed_run_begins_with_its_first_batch() {
        let mut scene = Scene::new(&reference(700), None).unwrap();
        let first = scene.space_of(&rollouts(3), &RunConfig::default()).unwrap();
        assert_eq!(first.before, None);
        scene.commit();
        assert_eq!(scene.space_of(&rollouts(4), &RunConfig::default()).unwrap().before, Some(first.all()));
    }

    #[test]
    fn broken_pictures_have_no_place_and_unscored_ones_no_space() {
        let mut scene = Scene::new(&reference(20), None).unwrap();
        let mut batch = rollouts(3);
        batch.features[1][0] = f64::NAN;
        batch.loo_fid[2] = f64::NAN;
        let space = scene.space_of(&batch, &RunConfig::default()).unwrap();
        assert_eq!(
            space.samples.iter().map(Option::is_some).collect::<Vec<_>>(),
            [true, false, false, true, true, true]
        );
        assert!(space.without(0).is_some_and(|e| e.cov.iter().all(|x| x.is_finite())));
        assert_eq!(scene.space_of(&Rollouts::default(), &RunConfig::default()), None);
    }

    #[test]
    fn half_a_mass_lies_where_all_features_are_nothing() {
        let start = features(40, 2);
        let whole = Scene::new(&reference(50), Some(&start)).unwrap();
        let half = whole.clone().with_half_mass(0.5);
        let zero = whole.projection.place(&[0.0; 5]);
        let mean = whole.average.unwrap().mean;
        assert!((half.average.unwrap().mean[0] - 0.5 * (zero[0] + mean[0])).abs() < 1e-12);
    }
}
