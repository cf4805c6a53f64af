//! One curve with its extremes at every scale, so that a chart draws a hundred thousand points as cheaply as a hundred.
//!
//! Beside the points stand, for every whole block of 8, 16, 32, … of them, the places of its smallest and its largest
//! value. A chart of `n` columns asks for the points of a range and gets at most two for each column: no peak is lost,
//! however narrow, and the cost hangs on `n` alone.

use std::ops::{Range, RangeInclusive};

/// Blocks of `1 << FINEST` points are the smallest that are stored; smaller ones are scanned.
const FINEST: u32 = 3;

/// Places of the extremes of a block. Half the size of a point; all blocks together take 2 bytes for each point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    low: u32,
    high: u32,
}

/// Points `[x, y]` in order of `x`, and their extremes at every scale. At most 2³² of them; values must be finite.
#[derive(Clone, Debug, Default)]
pub struct Pyramid {
    points: Vec<[f64; 2]>,
    /// `levels[k][j]` covers the points from `j << (FINEST + k)` on, `1 << (FINEST + k)` of them.
    levels: Vec<Vec<Block>>,
}

impl Pyramid {
    /// All points, in order of `x`.
    pub fn points(&self) -> &[[f64; 2]] {
        &self.points
    }

    /// Appends a point whose `x` is larger than that of all points so far. O(1), amortised.
    pub fn push(&mut self, point: [f64; 2]) {
        self.points.push(point);
        let len = self.points.len();
        let mut level = 0;
        while len.is_multiple_of(1 << (FINEST as usize + level)) {
            let block = match level.checked_sub(1).map(|below| self.levels[below].as_slice()) {
                None => self.scan(len - (1 << FINEST)..len),
                Some([.., left, right]) => self.joined(*left, *right),
                Some(_) => break,
            };
            match self.levels.get_mut(level) {
                Some(blocks) => blocks.push(block),
                None => self.levels.push(vec![block]),
            }
            level += 1;
        }
    }

    /// Keeps the first `len` points.
    pub fn truncate(&mut self, len: usize) {
        self.points.truncate(len);
        for (level, blocks) in self.levels.iter_mut().enumerate() {
            blocks.truncate(self.points.len() >> (FINEST as usize + level));
        }
    }

    /// Points of the range `x`, with one neighbour on either side so that a line runs on to the edge: the points
    /// themselves while there are at most two for each of `columns`, and otherwise the extremes of at most
    /// `columns + 1` pieces of equal count, with the first and the last point: at most `2 * columns + 4`. O(columns).
    ///
    /// Pieces begin at the same points whatever the range, so that a curve does not shimmer while it moves.
    pub fn visible(&self, x: RangeInclusive<f64>, columns: usize) -> Vec<[f64; 2]> {
        let first = self.points.partition_point(|p| p[0] < *x.start()).saturating_sub(1);
        let last = (self.points.partition_point(|p| p[0] <= *x.end()) + 1).min(self.points.len());
        let columns = columns.max(1);
        if last <= first {
            return Vec::new();
        }
        if last - first <= 2 * columns {
            return self.points[first..last].to_vec();
        }
        let width = (last - first).div_ceil(columns).next_power_of_two();
        let mut kept: Vec<usize> = Vec::with_capacity(2 * columns + 4);
        let mut keep = |place: usize| {
            if kept.last() != Some(&place) {
                kept.push(place);
            }
        };
        keep(first);
        let mut start = first;
        while start < last {
            let end = ((start / width + 1) * width).min(last);
            let Block { low, high } = self.extremes(start..end);
            keep(low.min(high) as usize);
            keep(low.max(high) as usize);
            start = end;
        }
        keep(last - 1);
        kept.into_iter().map(|place| self.points[place]).collect()
    }

    /// The smallest and the largest value; `None` without points. O(log n).
    pub fn extent(&self) -> Option<(f64, f64)> {
        if self.points.is_empty() {
            return None;
        }
        let Block { low, high } = self.extremes(0..self.points.len());
        Some((self.points[low as usize][1], self.points[high as usize][1]))
    }

    /// The point whose `x` is nearest. O(log n).
    pub fn nearest(&self, x: f64) -> Option<[f64; 2]> {
        let after = self.points.partition_point(|p| p[0] < x);
        let around = self.points.get(after.saturating_sub(1)..(after + 1).min(self.points.len()))?;
        around.iter().copied().min_by(|a, b| (a[0] - x).abs().total_cmp(&(b[0] - x).abs()))
    }

    /// Places of the extremes of a range that is not empty, from the largest stored blocks that fit.
    fn extremes(&self, mut range: Range<usize>) -> Block {
        let mut found = Block { low: range.start as u32, high: range.start as u32 };
        while range.start < range.end {
            let size = range.start.trailing_zeros().min(range.len().ilog2());
            let end = range.start + (1 << size);
            let block = match size.checked_sub(FINEST) {
                Some(level) => self.levels[level as usize][range.start >> size],
                None => self.scan(range.start..end),
            };
            found = self.joined(found, block);
            range.start = end;
        }
        found
    }

    fn scan(&self, range: Range<usize>) -> Block {
        let start = range.start as u32;
        let one = |place: usize| Block { low: place as u32, high: place as u32 };
        range.fold(Block { low: start, high: start }, |found, place| self.joined(found, one(place)))
    }

    /// The extremes of two blocks; of equal values the earlier one.
    fn joined(&self, left: Block, right: Block) -> Block {
        let value = |place: u32| self.points[place as usize][1];
        Block {
            low: if value(right.low) < value(left.low) { right.low } else { left.low },
            high: if value(right.high) > value(left.high) { right.high } else { left.high },
        }
    }
}

impl FromIterator<[f64; 2]> for Pyramid {
    fn from_iter<I: IntoIterator<Item = [f64; 2]>>(points: I) -> Self {
        let mut pyramid = Self::default();
        points.into_iter().for_each(|point| pyramid.push(point));
        pyramid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A curve without a pattern that blocks could hide.
    fn rough(n: usize) -> Pyramid {
        (0..n).map(|i| [i as f64, ((i * 7919) % 10_007) as f64]).collect()
    }

    fn extremes(points: &[[f64; 2]]) -> (f64, f64) {
        points.iter().fold((f64::MAX, f64::MIN), |(low, high), p| (low.min(p[1]), high.max(p[1])))
    }

    #[test]
    fn a_hundred_thousand_points_become_few_and_lose_no_peak() {
        let mut points: Vec<[f64; 2]> = rough(100_000).points;
        points[71_234][1] = 1e9;
        points[3_333][1] = -1e9;
        let curve: Pyramid = points.into_iter().collect();
        for columns in [1, 7, 240, 1000] {
            let drawn = curve.visible(0.0..=1e5, columns);
            assert!(drawn.len() <= 2 * columns + 4, "{} points for {columns} columns", drawn.len());
            assert!(drawn.len() > columns / 2);
            assert_eq!(extremes(&drawn), (-1e9, 1e9));
            assert_eq!((drawn[0][0], drawn[drawn.len() - 1][0]), (0.0, 99_999.0), "it runs from end to end");
            assert!(drawn.is_sorted_by(|a, b| a[0] < b[0]));
        }
        assert_eq!(curve.extent(), Some((-1e9, 1e9)));
    }

    #[test]
    fn zoomed_in_it_is_the_curve_itself() {
        let curve = rough(100_000);
        assert_eq!(curve.visible(500.0..=600.0, 240), curve.points()[499..602]);
        assert_eq!(curve.visible(500.4..=500.6, 240), curve.points()[500..502], "the neighbours of a gap");
        assert_eq!(curve.visible(-9.0..=0.0, 240), curve.points()[..2]);
        assert_eq!(curve.visible(2e5..=3e5, 240), curve.points()[99_999..]);
        assert!(Pyramid::default().visible(0.0..=1.0, 10).is_empty());
        assert_eq!((Pyramid::default().extent(), Pyramid::default().nearest(1.0)), (None, None));
    }

    #[test]
    fn the_nearest_point_is_found_between_and_beyond_the_points() {
        let curve: Pyramid = [[0.0, 5.0], [10.0, 6.0], [20.0, 7.0]].into_iter().collect();
        let nearest = [-3.0, 4.0, 6.0, 10.0, 99.0].map(|x| curve.nearest(x).map(|p| p[0]));
        assert_eq!(nearest, [0.0, 0.0, 10.0, 10.0, 20.0].map(Some));
    }

    proptest! {
        #[test]
        fn every_piece_keeps_its_extremes_also_after_points_were_taken_back(
            values in proptest::collection::vec(-1e3..1e3f64, 1..600),
            kept in 0..600usize,
            more in proptest::collection::vec(-1e3..1e3f64, 0..100),
            from in 0..700usize,
            count in 1..700usize,
            columns in 1..40usize,
        ) {
            let mut curve: Pyramid = values.iter().enumerate().map(|(i, &y)| [i as f64, y]).collect();
            curve.truncate(kept);
            let start = curve.points().len();
            more.iter().enumerate().for_each(|(i, &y)| curve.push([(start + i) as f64, y]));
            let len = curve.points().len();
            let (from, to) = (from.min(len), (from + count).min(len));
            let drawn = curve.visible(from as f64..=to as f64, columns);
            prop_assert!(drawn.len() <= 2 * columns + 4);
            let range = from.saturating_sub(1)..(to + 2).min(len);
            if !range.is_empty() && from < len {
                prop_assert_eq!(extremes(&drawn), extremes(&curve.points()[range]));
            }
            if len > 0 {
                prop_assert_eq!(curve.extent(), Some(extremes(curve.points())));
            }
        }
    }
}
