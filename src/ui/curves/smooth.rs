//! Exponential moving averages of curves, kept from frame to frame: each point is averaged once.

use std::collections::BTreeMap;

use crate::session::{History, Pyramid};

/// The largest weight of the past.
pub(super) const MOST: f64 = 0.995;

/// The averages of the curves that are shown, by the run's place (0 is this run) and the metric's name.
#[derive(Default)]
pub(super) struct Smoother {
    weight: f64,
    curves: BTreeMap<(usize, String), Smoothed>,
}

/// One average, and how far it has come.
#[derive(Default)]
struct Smoothed {
    edition: u64,
    /// The last raw point that went in: another one there now means another curve.
    last: Option<[f64; 2]>,
    sum: f64,
    mass: f64,
    curve: Pyramid,
}

impl Smoother {
    /// Forgets all averages.
    pub(super) fn clear(&mut self) {
        self.curves.clear();
    }

    /// The average of a curve, in which each step keeps `weight` of the one before: `None` where nothing is to be
    /// smoothed. O(points that are new).
    pub(super) fn curve(&mut self, weight: f64, run: usize, name: &str, history: &History) -> Option<&Pyramid> {
        if self.weight != weight {
            self.weight = weight;
            self.clear();
        }
        let points = history.series(name);
        if weight <= 0.0 || points.is_empty() {
            return None;
        }
        let smoothed = self.curves.entry((run, name.to_string())).or_default();
        smoothed.follow(weight, history.edition(), points);
        Some(&smoothed.curve)
    }
}

impl Smoothed {
    fn follow(&mut self, weight: f64, edition: u64, points: &[[f64; 2]]) {
        let done = self.curve.points().len();
        let same = self.edition == edition && done.checked_sub(1).and_then(|i| points.get(i)) == self.last.as_ref();
        if !same {
            *self = Self { edition, ..Self::default() };
        }
        for &[x, y] in &points[self.curve.points().len()..] {
            // An average that starts from nothing is too small by the mass that it has not seen yet.
            self.sum = weight * self.sum + (1.0 - weight) * y;
            self.mass = weight * self.mass + (1.0 - weight);
            self.curve.push([x, self.sum / self.mass]);
        }
        self.last = points.last().copied();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Event;

    fn measure(history: &mut History, update: u64, value: f64) {
        history.observe(&Event::Update { update, metrics: [("reward".to_string(), value)].into() });
    }

    fn values(smoother: &mut Smoother, weight: f64, history: &History) -> Vec<f64> {
        let curve = smoother.curve(weight, 0, "reward", history).expect("smoothed");
        curve.points().iter().map(|p| (p[1] * 1e9).round() / 1e9).collect()
    }

    #[test]
    fn an_average_starts_at_the_first_value_and_follows_new_points() {
        let (mut smoother, mut history) = (Smoother::default(), History::default());
        measure(&mut history, 1, 4.0);
        assert_eq!(values(&mut smoother, 0.5, &history), [4.0]);
        measure(&mut history, 2, 1.0);
        // (0.5 · 0.5 · 4 + 0.5 · 1) / 0.75
        assert_eq!(values(&mut smoother, 0.5, &history), [4.0, 2.0]);
        (3..100).for_each(|update| measure(&mut history, update, 1.0));
        assert!((values(&mut smoother, 0.5, &history)[98] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn another_weight_or_another_past_begins_anew() {
        let (mut smoother, mut history) = (Smoother::default(), History::default());
        (1..=4).for_each(|update| measure(&mut history, update, update as f64));
        let before = values(&mut smoother, 0.9, &history);
        assert_ne!(values(&mut smoother, 0.1, &history), before);
        history.truncate(2);
        (3..=4).for_each(|update| measure(&mut history, update, 50.0));
        let mut fresh = Smoother::default();
        assert_eq!(values(&mut smoother, 0.1, &history), values(&mut fresh, 0.1, &history));
        assert!(smoother.curve(0.0, 0, "reward", &history).is_none());
    }
}
