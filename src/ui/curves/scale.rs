//! Which updates are in sight, and where the marks of the axes stand.

use egui_plot::{GridInput, GridMark};

/// Share of the axis that is left free on either side.
const MARGIN: f64 = 0.02;

/// Which updates all charts show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Sight {
    /// From the first to the newest.
    #[default]
    All,
    /// So many newest ones, moving along with the run.
    Newest(u64),
    /// Where the user has moved to.
    Range(f64, f64),
}

impl Sight {
    /// The ends of the axis, where the newest update is `newest`.
    pub(super) fn range(self, newest: f64) -> (f64, f64) {
        let around = |from: f64, to: f64| {
            let margin = MARGIN * (to - from).max(1.0);
            (from - margin, to.max(from + 1.0) + margin)
        };
        match self {
            Self::All => around(0.0, newest),
            Self::Newest(count) => around((newest - count as f64).max(0.0), newest),
            Self::Range(from, to) => (from, to),
        }
    }

    /// The sight after the user has moved the ends of the axis to `from` and `to`: not closer than one update, and not
    /// off the curves. Everything in sight is everything, wherever it was dragged to.
    pub(super) fn moved(from: f64, to: f64, newest: f64) -> Self {
        let all = Self::All.range(newest);
        let width = (to - from).max(1.0);
        let centre = (0.5 * (from + to)).clamp(0.0, newest.max(0.0));
        match width.is_finite() && centre.is_finite() && width < (all.1 - all.0) * (1.0 - 1e-6) {
            true => Self::Range(centre - 0.5 * width, centre + 0.5 * width),
            false => Self::All,
        }
    }
}

/// A number of updates at the axis. They are whole: a mark between two of them has no number.
pub(super) fn whole(value: f64) -> String {
    match value.round() {
        rounded if (value - rounded).abs() > 1e-6 => String::new(),
        // Five digits do not fit where a chart ends.
        rounded if rounded.abs() >= 1e4 && rounded % 1e3 == 0.0 => format!("{}k", rounded / 1e3),
        rounded => format!("{rounded}"),
    }
}

/// A mark of the axis without the rounding error of its place.
pub(super) fn tidy(value: f64, step: f64) -> f64 {
    if step > 0.0 && value.abs() < step * 1e-6 { 0.0 } else { value }
}

/// Distance of the lines that a [`GridInput`] proposes as the narrowest, in points.
const PROPOSED: f64 = 8.0;
/// Marks on one axis.
const MOST_MARKS: i64 = 40;

/// The smallest of 1, 2 and 5 times a power of ten that is not below `rough`, which must be above 0.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough).unwrap_or(rough)
}

/// Marks at round numbers, `room` points apart or more, at most seven or so, and in steps of `least` or more.
pub(super) fn linear(input: GridInput, room: f64, least: f64) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let rough = (input.base_step_size * room / PROPOSED).max((high - low) / 7.0).max(least);
    if !(rough.is_finite() && rough > 0.0 && low.is_finite()) {
        return Vec::new();
    }
    let step_size = round_step(rough);
    let first = (low / step_size).ceil() as i64;
    let marks = (first..first.saturating_add(MOST_MARKS)).map(|i| GridMark { value: i as f64 * step_size, step_size });
    marks.take_while(|mark| mark.value <= high).collect()
}

/// Marks for values that are drawn by their decimal logarithm: the powers of ten, with 2 and 5 between them where there
/// is room, or round numbers where less than a power of ten is in sight.
pub(super) fn logarithmic(input: GridInput) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let span = high - low;
    if !(span.is_finite() && span > 0.0 && low.abs() < 300.0 && high.abs() < 300.0) {
        return Vec::new();
    }
    if span < 1.0 {
        let (from, to) = (10f64.powf(low), 10f64.powf(high));
        let step = round_step((to - from) / 4.0);
        let first = (from / step).ceil() as i64;
        let mark = |i: i64| {
            let value = i as f64 * step;
            GridMark { value: value.log10(), step_size: (step / value / std::f64::consts::LN_10).abs() }
        };
        return (first.max(1)..first.saturating_add(12)).map(mark).filter(|mark| mark.value <= high).collect();
    }
    let stride = (span / 6.0).ceil().max(1.0);
    let decades = (0..=(span / stride) as usize + 1).map(|i| ((low / stride).ceil() + i as f64 - 1.0) * stride);
    let mut marks = Vec::new();
    for decade in decades {
        marks.push(GridMark { value: decade, step_size: stride });
        if span < 3.0 {
            marks.extend([2f64, 5.0].map(|digit| GridMark { value: decade + digit.log10(), step_size: 0.3 }));
        }
    }
    marks.retain(|mark| (low..=high).contains(&mark.value));
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sight_follows_the_run_until_it_is_moved() {
        assert_eq!(Sight::All.range(100.0), (-2.0, 102.0));
        assert_eq!(Sight::Newest(50).range(100.0), (49.0, 101.0));
        assert_eq!(Sight::Newest(50).range(10.0), Sight::All.range(10.0));
        let (from, to) = Sight::All.range(0.0);
        assert!(from < 0.0 && to > 1.0, "an axis has a width before the first update");
    }

    #[test]
    fn moving_stays_on_the_curves_and_ends_in_everything() {
        assert_eq!(Sight::moved(20.0, 40.0, 100.0), Sight::Range(20.0, 40.0));
        assert_eq!(Sight::moved(-5.0, 110.0, 100.0), Sight::All);
        assert_eq!(Sight::moved(30.0, 200.0, 100.0), Sight::All, "it all fits");
        assert_eq!(Sight::moved(400.0, 420.0, 100.0), Sight::Range(90.0, 110.0));
        assert_eq!(Sight::moved(50.0, 50.001, 100.0), Sight::Range(49.5005, 50.5005));
        assert_eq!(Sight::moved(f64::NAN, f64::NAN, 100.0), Sight::All);
    }

    #[test]
    fn updates_at_the_axis_are_whole_and_short() {
        assert_eq!([0.0, 150.0, 0.5, 1500.0, 20_000.0, 20_500.0].map(whole), ["0", "150", "", "1500", "20k", "20500"]);
    }

    #[test]
    fn linear_marks_are_round_numbers_with_room_between_them() {
        let marks = |low: f64, high: f64, height: f64, least| -> Vec<f64> {
            let input = GridInput { bounds: (low, high), base_step_size: (high - low) * PROPOSED / height };
            linear(input, 22.0, least).iter().map(|mark| mark.value).collect()
        };
        assert_eq!(marks(0.1, 2.9, 60.0, 0.0), [2.0]);
        assert_eq!(marks(-0.3, 2.9, 70.0, 0.0), [0.0, 2.0]);
        assert_eq!(marks(-1.0, 7.0, 400.0, 0.0), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(marks(0.0, 2.0, 400.0, 1.0), [0.0, 1.0, 2.0], "updates are whole");
        assert!(marks(f64::NAN, 1.0, 60.0, 0.0).is_empty() && marks(1.0, 1.0, 60.0, 0.0).is_empty());
    }

    #[test]
    fn logarithmic_marks_are_round_numbers_in_sight() {
        let marks = |low: f64, high: f64| -> Vec<String> {
            let input = GridInput { bounds: (low.log10(), high.log10()), base_step_size: 0.1 };
            logarithmic(input).iter().map(|mark| crate::ui::text::number(10f64.powf(mark.value))).collect()
        };
        assert_eq!(marks(0.4, 60.0), ["0.5", "1", "2", "5", "10", "20", "50"]);
        assert_eq!(marks(0.9e-6, 1.1e6).len(), 5, "every third power of ten");
        assert_eq!(marks(101.0, 299.0), ["150", "200", "250"]);
        assert!(logarithmic(GridInput { bounds: (f64::NAN, 1.0), base_step_size: 0.1 }).is_empty());
    }
}
