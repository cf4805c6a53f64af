//! Statistics that a few wild values do not move.

/// Points that a slope is taken from at most; longer curves are first summed up by medians. All pairs of 60 points are
/// 1,770 slopes.
const SLOPE_POINTS: usize = 60;

/// The middle value; `None` where there are none.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => None,
        _ if n % 2 == 1 => Some(sorted[n / 2]),
        _ => Some((sorted[n / 2 - 1] + sorted[n / 2]) / 2.0),
    }
}

/// Standard deviation of a curve's noise, from the median absolute difference of neighbours: a trend hardly counts, and
/// neither do jumps. (0.6745 is that median for a standard normal value; a difference has twice the variance.)
pub(super) fn noise(points: &[[f64; 2]]) -> f64 {
    let steps: Vec<f64> = points.windows(2).map(|pair| (pair[1][1] - pair[0][1]).abs()).collect();
    median(&steps).unwrap_or(0.0) / 0.6745 / std::f64::consts::SQRT_2
}

/// Medians over windows of `width` points, each at the update in the middle of its window.
pub(super) fn rolling(points: &[[f64; 2]], width: usize) -> Vec<[f64; 2]> {
    let middle = |window: &[[f64; 2]]| {
        let values: Vec<f64> = window.iter().map(|point| point[1]).collect();
        [window[width / 2][0], median(&values).unwrap_or(0.0)]
    };
    points.windows(width.max(1)).map(middle).collect()
}

/// Theil and Sen's slope: the median of the slopes through all pairs of points.
fn theil_sen(points: &[[f64; 2]]) -> Option<f64> {
    let slopes: Vec<f64> = points
        .iter()
        .enumerate()
        .flat_map(|(i, a)| points[i + 1..].iter().map(move |b| (b[1] - a[1]) / (b[0] - a[0])))
        .filter(|slope| slope.is_finite())
        .collect();
    median(&slopes)
}

/// How far a curve rose over its whole length, in standard errors of that rise: Theil and Sen's slope times the length,
/// over `noise * sqrt(12 / n)`, which is the error of a straight line's rise through n points. Above 2 is a rise.
pub(super) fn trend(points: &[[f64; 2]], noise: f64) -> Option<f64> {
    let [first, .., last] = points else { return None };
    let size = points.len().div_ceil(SLOPE_POINTS);
    let summed: Vec<[f64; 2]> = points.chunks(size).filter_map(|chunk| rolling(chunk, chunk.len()).pop()).collect();
    let rise = theil_sen(&summed)? * (last[0] - first[0]);
    Some(rise / (noise * (12.0 / points.len() as f64).sqrt())).filter(|errors| errors.is_finite())
}

/// The update since which the level has been beyond `limit` without having come back to the share `release` of it;
/// `None` where it is not. With `below`, low levels are the bad ones, and the way back is to `limit / release`.
pub(super) fn latch(levels: &[[f64; 2]], limit: f64, release: f64, below: bool) -> Option<u64> {
    let sign = if below { -1.0 } else { 1.0 };
    let release = if below { limit / release } else { limit * release };
    let mut since = None;
    for &[update, level] in levels {
        if sign * level >= sign * limit {
            since = since.or(Some(update as u64));
        } else if sign * level < sign * release {
            since = None;
        }
    }
    since
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: impl IntoIterator<Item = f64>) -> Vec<[f64; 2]> {
        values.into_iter().enumerate().map(|(i, value)| [i as f64, value]).collect()
    }

    #[test]
    fn one_wild_value_moves_neither_median_nor_noise_nor_slope() {
        let wave = |i: usize| 0.1 * i as f64 + if i.is_multiple_of(2) { 0.5 } else { -0.5 };
        let tame = curve((0..21).map(wave));
        let mut wild = tame.clone();
        wild[7][1] = 1e9;
        assert_eq!(median(&[1.0, 3.0, 2.0]), Some(2.0));
        assert!(median(&[]).is_none() && theil_sen(&tame[..1]).is_none());
        assert!((noise(&wild) - noise(&tame)).abs() < 0.2);
        assert!((theil_sen(&wild).unwrap() - 0.1).abs() < 0.03);
        assert_eq!(rolling(&wild, 3).len(), 19);
    }

    #[test]
    fn a_rise_is_told_from_noise_whatever_its_length() {
        let jitter = |i: usize| [0.3, -1.1, 0.8, -0.2, 1.0, -0.7, 0.1][i * 5 % 7];
        for n in [40, 400] {
            let flat = curve((0..n).map(jitter));
            let rising = curve((0..n).map(|i| jitter(i) + 4.0 * i as f64 / n as f64));
            assert!(trend(&flat, noise(&flat)).unwrap().abs() < 1.0);
            assert!(trend(&rising, noise(&rising)).unwrap() > 4.0);
        }
    }

    #[test]
    fn a_level_that_wanders_about_its_limit_makes_one_finding() {
        let wandering = curve([0.0, 1.1, 0.9, 1.2, 0.85, 0.95]);
        assert_eq!(latch(&wandering, 1.0, 0.8, false), Some(1));
        assert_eq!(latch(&curve([0.0, 0.95, 0.9]), 1.0, 0.8, false), None);
        assert_eq!(latch(&curve([0.0, 1.1, 0.7, 0.95]), 1.0, 0.8, false), None);
        assert_eq!(latch(&curve([3.0, 0.9, 1.1]), 1.0, 0.8, true), Some(1));
        assert_eq!(latch(&curve([3.0, 0.9, 1.3]), 1.0, 0.8, true), None);
    }
}
