//! Resizing pictures of bytes exactly as PIL does (`libImaging/Resample.c`), because what the published networks saw was
//! resized by it: weights in fixed point, along the rows first, then along the columns, each rounded to bytes.
//! That is every Pillow up to 12; Pillow 13 begins along the columns where the height shrinks much, so that its results
//! for tall pictures differ from those that the networks were trained on.
//!
//! Neither the `image` crate nor another light library rounds in this way, so none would do. Pictures that already are
//! tensors are resized by [`crate::model::resample`].

use std::ops::Range;

/// Bits behind the point of a weight: 32, less the 8 of a byte and 2 of headroom for overshoot and sign.
const PRECISION: u32 = 32 - 8 - 2;

/// A picture of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// Values of a pixel: 3 for RGB, 4 for RGBA.
    pub channels: usize,
    /// `[height, width, channels]`, row by row.
    pub bytes: Vec<u8>,
}

/// How old pixels are weighed for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The mean of what the new pixel covers.
    Box,
    /// A linear mix.
    Bilinear,
    /// A cubic mix, a = -0.5.
    Bicubic,
}

impl Filter {
    /// How far it reaches either way, in pixels of the coarser picture.
    fn reach(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let far = x.abs();
        match self {
            Self::Box => f64::from(x > -0.5 && x <= 0.5),
            Self::Bilinear => (1.0 - far).max(0.0),
            Self::Bicubic if far < 1.0 => ((A + 2.0) * far - (A + 3.0)) * far * far + 1.0,
            Self::Bicubic if far < 2.0 => (((far - 5.0) * far + 8.0) * far - 4.0) * A,
            Self::Bicubic => 0.0,
        }
    }
}

impl Raster {
    /// A picture of `bytes`, `[height, width, channels]`; nothing where their number is another, or a size is 0.
    pub fn new(width: usize, height: usize, channels: usize, bytes: Vec<u8>) -> Option<Self> {
        let fits = bytes.len() == width * height * channels && !bytes.is_empty();
        fits.then_some(Self { width, height, channels, bytes })
    }

    /// The shorter side, in pixels.
    pub fn shorter(&self) -> usize {
        self.width.min(self.height)
    }

    /// The part of `width` x `height` pixels whose top left corner is `left`, `top`.
    ///
    /// # Panics
    /// Panics where the part reaches outside.
    pub fn crop(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        assert!(left + width <= self.width && top + height <= self.height, "a part of the picture");
        let row = self.width * self.channels;
        let rows = self.bytes.chunks_exact(row).skip(top).take(height);
        let part = |row: &[u8]| row[left * self.channels..(left + width) * self.channels].to_vec();
        Self { width, height, channels: self.channels, bytes: rows.flat_map(part).collect() }
    }

    /// The picture at another size (`Image.resize`). Every channel by itself, so alpha must be premultiplied.
    ///
    /// # Panics
    /// Panics if a side is 0.
    pub fn resize(&self, width: usize, height: usize, filter: Filter) -> Self {
        self.resize_part([width, height], [0, 0], [width, height], filter)
    }

    /// The part `part` (width, height) at `corner` (left, top) of the picture at the size `whole`. What lies outside is
    /// never made: a long narrow picture may be millions of pixels long there.
    ///
    /// # Panics
    /// Panics if the part is empty or reaches outside.
    pub fn resize_part(&self, whole: [usize; 2], corner: [usize; 2], part: [usize; 2], filter: Filter) -> Self {
        let range = |axis: usize| {
            assert!(corner[axis] + part[axis] <= whole[axis] && part[axis] > 0, "a part of the picture");
            corner[axis]..corner[axis] + part[axis]
        };
        let across = taps(self.width, whole[0], range(0), filter);
        let down = taps(self.height, whole[1], range(1), filter);
        let (top, end) = (down[0].first, down[down.len() - 1].end());
        let row = self.width * self.channels;
        let narrow = columns(&self.bytes[top * row..end * row], self.width, self.channels, &across);
        let bytes = rows(&narrow, top, part[0] * self.channels, &down);
        Self { width: part[0], height: part[1], channels: self.channels, bytes }
    }
}

/// Where a new pixel's old ones begin, and their weights in fixed point.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

impl Taps {
    fn end(&self) -> usize {
        self.first + self.weights.len()
    }
}

/// What each new pixel in `part` of `to` is made of (`precompute_coeffs`, `normalize_coeffs_8bpc`).
fn taps(from: usize, to: usize, part: Range<usize>, filter: Filter) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = filter.reach() * stretch;
    let pixel = |i: usize| {
        let centre = (i as f64 + 0.5) * scale;
        // Negative bounds become 0.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let inverse = 1.0 / stretch;
        let weight = |x: usize| filter.at((x as f64 - centre + 0.5) * inverse);
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let total: f64 = weights.iter().sum();
        let fixed = |w: f64| {
            let w = if total == 0.0 { w } else { w / total } * f64::from(1 << PRECISION);
            (w + 0.5f64.copysign(w)) as i32
        };
        Taps { first, weights: weights.into_iter().map(fixed).collect() }
    };
    part.map(pixel).collect()
}

/// A weighted sum as a byte.
fn byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// Half of the last place: rounds to the nearest.
const HALF: i32 = 1 << (PRECISION - 1);

/// Every row of `width` pixels brought to `taps.len()` pixels.
fn columns(bytes: &[u8], width: usize, channels: usize, taps: &[Taps]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / width * taps.len());
    for row in bytes.chunks_exact(width * channels) {
        for tap in taps {
            for c in 0..channels {
                let old = row[tap.first * channels + c..].iter().step_by(channels);
                let sum: i32 = old.zip(&tap.weights).map(|(&v, w)| i32::from(v) * w).sum();
                out.push(byte(HALF + sum));
            }
        }
    }
    out
}

/// `taps.len()` new rows out of old ones of `row` values, the first of which is row `top`.
fn rows(bytes: &[u8], top: usize, row: usize, taps: &[Taps]) -> Vec<u8> {
    let mut out = Vec::with_capacity(row * taps.len());
    let mut sums = vec![HALF; row];
    for tap in taps {
        sums.fill(HALF);
        for (old, w) in bytes.chunks_exact(row).skip(tap.first - top).zip(&tap.weights) {
            sums.iter_mut().zip(old).for_each(|(sum, &v)| *sum += i32::from(v) * w);
        }
        out.extend(sums.iter().map(|&sum| byte(sum)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: usize, values: &[u8]) -> Raster {
        Raster::new(width, values.len() / width, 1, values.to_vec()).expect("a picture")
    }

    #[test]
    fn plain_pictures_stay_plain_and_the_same_size_changes_nothing() {
        for filter in [Filter::Box, Filter::Bilinear, Filter::Bicubic] {
            for value in [0, 1, 127, 254, 255] {
                let plain = Raster::new(37, 11, 4, vec![value; 37 * 11 * 4]).expect("a picture");
                for (w, h) in [(1, 1), (5, 3), (37, 90), (200, 11)] {
                    assert_eq!(plain.resize(w, h, filter).bytes, vec![value; w * h * 4], "{filter:?} {w} {h}");
                }
            }
            let picture = grey(3, &[1, 2, 3, 200, 100, 0]);
            assert_eq!(picture.resize(3, 2, filter), picture);
        }
    }

    /// Values of Pillow 13.
    #[test]
    fn bytes_are_pils() {
        let bicubic = [107, 87, 130, 255, 103];
        let row = grey(8, &[0, 255, 13, 77, 200, 255, 255, 4]);
        assert_eq!(row.resize(4, 1, Filter::Box).bytes, [128, 45, 228, 130]);
        assert_eq!(row.resize(5, 1, Filter::Bilinear).bytes, [104, 88, 138, 245, 107]);
        assert_eq!(row.resize(5, 1, Filter::Bicubic).bytes, bicubic);
        assert_eq!(row.resize(11, 1, Filter::Bicubic).bytes, [0, 165, 204, 10, 52, 139, 218, 254, 255, 151, 0]);
        let column = grey(1, &row.bytes);
        assert_eq!(column.resize(1, 5, Filter::Bicubic).bytes, bicubic);
    }

    #[test]
    fn a_part_of_a_resize_is_that_of_the_whole() {
        let bytes = (0..40 * 30 * 3).map(|i| (i * 7919 % 256) as u8).collect();
        let picture = Raster::new(40, 30, 3, bytes).expect("a picture");
        for (whole, corner) in [([24, 18], [3, 7]), ([90, 70], [50, 0]), ([40, 30], [29, 19]), ([40, 90], [1, 79])] {
            let part = picture.resize_part(whole, corner, [11, 11], Filter::Bicubic);
            let all = picture.resize(whole[0], whole[1], Filter::Bicubic);
            assert_eq!(part, all.crop(corner[0], corner[1], 11, 11), "{whole:?}");
        }
    }

    #[test]
    fn a_part_keeps_its_pixels() {
        let picture = grey(3, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(picture.crop(1, 1, 2, 2).bytes, [5, 6, 8, 9]);
        assert_eq!(Raster::new(2, 2, 3, vec![0; 11]), None);
    }
}
