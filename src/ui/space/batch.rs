//! A scored batch, and everything that the pane says and draws about it.

use eframe::egui::{Color32, Key};

use super::Spot;
use crate::session::{Ellipse, Gallery, Sample, Space};
use crate::ui::text::{self as words, space as text};
use crate::ui::theme;

/// A scored batch, with what is computed once for it.
pub(super) struct Batch {
    pub(super) gallery: Gallery,
    pub(super) space: Space,
    /// Group and place of each sample, in order.
    pub(super) spots: Vec<Spot>,
    pub(super) all: Ellipse,
    /// How often larger a change by one sample is drawn.
    pub(super) times: f64,
    /// Root mean square of the rewards.
    pub(super) size: f64,
}

impl Batch {
    /// `None` while the pictures are not scored.
    pub(super) fn new(gallery: &Gallery) -> Option<Self> {
        let mut gallery = gallery.clone();
        let space = gallery.space.take()?;
        let groups = gallery.groups.iter().enumerate();
        let spots = groups.flat_map(|(g, group)| (0..group.samples.len()).map(move |s| (g, s))).collect();
        let rewards: Vec<f64> = space.samples.iter().flatten().map(|place| place.reward).collect();
        let square = rewards.iter().map(|r| r * r).sum::<f64>() / rewards.len().max(1) as f64;
        let size = if square > 0.0 { square.sqrt() } else { 1.0 };
        Some(Self { all: space.all(), times: space.exaggeration(), gallery, space, spots, size })
    }

    pub(super) fn index(&self, spot: Option<Spot>) -> Option<usize> {
        self.spots.iter().position(|own| Some(*own) == spot)
    }

    pub(super) fn samples(&self) -> Vec<&Sample> {
        self.gallery.groups.iter().flat_map(|group| &group.samples).collect()
    }

    pub(super) fn name(&self, i: usize) -> String {
        let (group, sample) = self.spots[i];
        words::sample(&self.gallery.groups[group].prompt, sample)
    }

    pub(super) fn place(&self, i: usize) -> Option<[f64; 2]> {
        self.space.samples.get(i)?.map(|place| place.at)
    }

    pub(super) fn reward(&self, i: usize) -> Option<f64> {
        self.space.samples.get(i)?.map(|place| place.reward)
    }

    pub(super) fn colour(&self, i: usize) -> Option<Color32> {
        self.reward(i).map(|reward| theme::diverging(reward / self.size))
    }

    /// Distance without the sample, with it, and the reward: in all features, as the run computes them.
    pub(super) fn subtraction(&self, i: usize) -> Option<[String; 3]> {
        let with = self.space.distance;
        self.reward(i).map(|reward| text::subtraction(with + reward, with))
    }

    /// The same in the plane.
    pub(super) fn in_plane(&self, i: usize) -> Option<[String; 3]> {
        let distance = |ellipse: &Ellipse| self.space.distance_in_plane(ellipse);
        self.space.without(i).map(|without| text::subtraction(distance(&without), distance(&self.all)))
    }

    /// The Gaussian to draw with sample `i` left out: farther from the whole one than it is, so that one sees it.
    pub(super) fn drawn_without(&self, i: usize) -> Option<Ellipse> {
        self.space.without(i).map(|without| self.all.beyond(&without, self.times))
    }

    /// A sample as a screen reader says it.
    pub(super) fn said(&self, i: usize) -> String {
        let sentence = self.subtraction(i).map_or(text::BROKEN.into(), |n| text::sentence(&n, self.space.paid));
        format!("{}. {sentence}", self.name(i))
    }

    /// Least and largest place of what should be on the screen.
    pub(super) fn bounds(&self) -> [[f64; 2]; 2] {
        let spread = |e: &Ellipse| [0, 1].map(|i| 2.35 * e.cov[2 * i].max(0.0).sqrt());
        let corners = [&self.all, &self.space.reference_gaussian].into_iter().flat_map(|e| {
            let reach = spread(e);
            [-1.0, 1.0].map(|sign| [0, 1].map(|i| e.mean[i] + sign * reach[i]))
        });
        let points = corners.chain(self.space.samples.iter().flatten().map(|place| place.at));
        let wide = |[low, high]: [[f64; 2]; 2], at: [f64; 2]| {
            [[0, 1].map(|i| low[i].min(at[i])), [0, 1].map(|i| high[i].max(at[i]))]
        };
        points.fold([[f64::MAX; 2], [f64::MIN; 2]], wide)
    }

    /// Up to `count` samples with the largest rewards, and as many with the smallest; none is in both.
    pub(super) fn extremes(&self, count: usize) -> [Vec<usize>; 2] {
        let mut order: Vec<(usize, f64)> = (0..self.spots.len()).filter_map(|i| Some((i, self.reward(i)?))).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let order: Vec<usize> = order.into_iter().map(|(i, _)| i).collect();
        let count = count.min(order.len() / 2);
        [order[..count].to_vec(), order[order.len() - count..].iter().rev().copied().collect()]
    }

    /// The sample that is reached from `from` by an arrow key: the next or last one, or the same of another group.
    pub(super) fn step(&self, from: Option<usize>, key: Key) -> Option<usize> {
        let placed = |i: &usize| self.place(*i).is_some();
        let Some(from) = from else { return (0..self.spots.len()).find(placed) };
        let (group, sample) = self.spots[from];
        let row = |group: usize| {
            let last = self.gallery.groups.get(group)?.samples.len().checked_sub(1)?;
            self.index(Some((group, sample.min(last)))).filter(placed)
        };
        let found = match key {
            Key::ArrowRight => (from + 1..self.spots.len()).find(placed),
            Key::ArrowLeft => (0..from).rev().find(placed),
            Key::ArrowDown => (group + 1..self.gallery.groups.len()).find_map(row),
            _ => (0..group).rev().find_map(row),
        };
        found.or(Some(from))
    }
}

/// A made-up batch of two groups of four, the third sample broken.
#[cfg(test)]
pub(super) fn scripted() -> Gallery {
    use crate::session::{Group, Place};
    let sample = |level: u8| Sample { rgb: vec![level; 12], ..Sample::default() };
    let group =
        |prompt: &str| Group { prompt: prompt.into(), class: 0, samples: (0..4).map(|i| sample(i * 40)).collect() };
    let at = |i: usize| [(i as f64 * 1.3).sin() * 2.0, (i as f64 * 0.7).cos()];
    let place = |i: usize| (i != 2).then(|| Place { at: at(i), reward: 0.002 * (i as f64 - 3.5) });
    let space = Space {
        update: 3,
        explained: [0.31, 0.14],
        features: 128,
        paid: true,
        distance: 1.25,
        reference: (0..60).map(|i| at(i).map(|x| x as f32)).collect(),
        reference_gaussian: Ellipse { mean: [0.0, 0.0], cov: [1.5, 0.1, 0.5] },
        before: Some(Ellipse { mean: [0.4, -0.2], cov: [0.8, 0.2, 0.4] }),
        beta: 0.9,
        samples: (0..8).map(place).collect(),
        ..Space::default()
    };
    let groups = vec![group("a picture of a cat"), group("a picture of a bus")];
    Gallery { update: 3, side: 2, tokens: (4, 4), groups, space: Some(space) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_reach_every_sample_that_has_a_place() {
        let batch = Batch::new(&scripted()).unwrap();
        assert_eq!(batch.step(None, Key::ArrowUp), Some(0));
        assert_eq!(batch.step(Some(1), Key::ArrowRight), Some(3), "the third is broken");
        assert_eq!(batch.step(Some(3), Key::ArrowLeft), Some(1));
        assert_eq!(batch.step(Some(1), Key::ArrowDown), Some(5));
        assert_eq!(batch.step(Some(5), Key::ArrowUp), Some(1));
        assert_eq!(batch.step(Some(6), Key::ArrowUp), Some(6), "nothing there to go to");
        assert_eq!(batch.step(Some(7), Key::ArrowRight), Some(7));
    }

    #[test]
    fn the_numbers_of_a_sample_are_those_of_the_run() {
        let batch = Batch::new(&scripted()).unwrap();
        assert_eq!(batch.subtraction(7).unwrap(), ["1.25700", "1.25000", "+0.00700"]);
        assert_eq!(batch.subtraction(2), None);
        assert!(batch.said(7).contains("Sample 4 of a picture of a bus") && batch.said(2).contains("not finite"));
        assert!(batch.in_plane(7).is_some() && batch.times > 1.0);
        assert_eq!(batch.extremes(2), [[7, 6], [0, 1]]);
        assert_eq!(batch.extremes(9), [[7, 6, 5], [0, 1, 3]]);
    }

    #[test]
    fn everything_is_inside_the_bounds_and_an_unscored_gallery_is_no_batch() {
        let batch = Batch::new(&scripted()).unwrap();
        let [low, high] = batch.bounds();
        for place in batch.space.samples.iter().flatten() {
            assert!((0..2).all(|i| low[i] <= place.at[i] && place.at[i] <= high[i]));
        }
        assert!(Batch::new(&Gallery { space: None, ..scripted() }).is_none());
    }
}
