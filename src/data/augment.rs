//! Many pictures from one: flip, small rotation, scale, shift, and a fresh background each time.
//!
//! The set has few drawings a class (52 to 700), so no drawing is ever shown twice alike. Geometry is sampled
//! bilinearly in premultiplied alpha: mixing straight colours would drag the unseen colour of transparent pixels into
//! the outline.

use super::Picture;
use crate::platform::rng::Stream;

/// How far augmentation goes.
#[derive(Clone, Debug, PartialEq)]
pub struct AugmentConfig {
    /// Chance of a left-right mirror, 0 to 1.
    pub flip: f32,
    /// Rotation, up to this many degrees either way.
    pub rotation: f32,
    /// Smallest and largest scale.
    pub scale: (f32, f32),
    /// Shift along each axis, up to this many thirty-seconds of the side (pixels of a 32-pixel picture) either way.
    pub shift: f32,
    /// Chance of a plain white background.
    pub white: f32,
    /// Chance of one light tint; what is left of 1 after `white` and `solid` gets a graded background.
    pub solid: f32,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self { flip: 0.5, rotation: 10.0, scale: (0.85, 1.1), shift: 2.0, white: 0.4, solid: 0.3 }
    }
}

impl AugmentConfig {
    /// What the prior is to draw: every change there is, but gently, and mostly on white. A generator spends its
    /// capacity on all it is shown; networks that only look at pictures are the better for more.
    pub fn gentle() -> Self {
        Self { flip: 0.5, rotation: 4.0, scale: (0.95, 1.05), shift: 0.75, white: 0.7, solid: 0.2 }
    }
}

/// What stands behind a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Background {
    /// One colour, RGB in [0, 1].
    Solid([f32; 3]),
    /// From one colour at the top to another at the bottom.
    Graded {
        /// Colour at the start.
        from: [f32; 3],
        /// Colour at the end.
        to: [f32; 3],
        /// 0: top to bottom; 1: from the top left corner; -1: from the top right corner.
        slant: f32,
    },
}

impl Background {
    /// Plain white, as evaluation uses.
    pub const WHITE: Self = Self::Solid([1.0; 3]);

    /// White, a light tint or a soft gradient, in the shares that `config` says.
    pub fn random(config: &AugmentConfig, stream: &mut Stream) -> Self {
        let kind = stream.uniform();
        if kind < config.white {
            return Self::WHITE;
        }
        let hue = stream.uniform();
        let from = pastel(hue, stream);
        if kind < config.white + config.solid {
            return Self::Solid(from);
        }
        let to = pastel(hue + stream.range(-0.08, 0.08), stream);
        Self::Graded { from, to, slant: stream.below(3) as f32 - 1.0 }
    }

    /// The colour at `x`, `y` in [0, 1] from the top left corner.
    fn at(&self, x: f32, y: f32) -> [f32; 3] {
        match *self {
            Self::Solid(colour) => colour,
            Self::Graded { from, to, slant } => {
                let t = if slant == 0.0 { y } else { 0.5 + 0.5 * (slant * (x - 0.5) + (y - 0.5)) };
                std::array::from_fn(|c| from[c] + (to[c] - from[c]) * t)
            }
        }
    }
}

/// A light colour of `hue` (in turns): saturation 0.06 to 0.35, value 0.88 to 1.
fn pastel(hue: f32, stream: &mut Stream) -> [f32; 3] {
    let (saturation, value) = (stream.range(0.06, 0.35), stream.range(0.88, 1.0));
    [5.0, 3.0, 1.0].map(|n| {
        let k = (n + hue * 6.0).rem_euclid(6.0);
        value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

/// `picture` (of `side` pixels) flipped, turned, scaled, shifted and set on a random background: `[3, side, side]` in
/// [0, 1]. The same stream gives the same picture.
pub fn augment(picture: &Picture, side: usize, config: &AugmentConfig, stream: &mut Stream) -> Vec<f32> {
    let mut out = vec![0.0; 3 * side * side];
    augment_into(picture, side, config, stream, &mut out);
    out
}

/// [`augment`] into `out`, which must hold `3 * side * side` numbers.
pub fn augment_into(picture: &Picture, side: usize, config: &AugmentConfig, stream: &mut Stream, out: &mut [f32]) {
    let mirror = if stream.uniform() < config.flip { -1.0 } else { 1.0 };
    let (sin, cos) = stream.range(-config.rotation, config.rotation).to_radians().sin_cos();
    let scale = stream.range(config.scale.0, config.scale.1);
    let reach = config.shift * side as f32 / 32.0;
    let (shift_x, shift_y) = (stream.range(-reach, reach), stream.range(-reach, reach));
    let background = Background::random(config, stream);

    let source = Source::new(picture, side);
    let centre = side as f32 / 2.0;
    let plane = side * side;
    for y in 0..side {
        for x in 0..side {
            // Walk back from where a pixel lands to where it came from.
            let (dx, dy) = (x as f32 + 0.5 - centre - shift_x, y as f32 + 0.5 - centre - shift_y);
            let u = mirror * (cos * dx + sin * dy) / scale + centre - 0.5;
            let v = (cos * dy - sin * dx) / scale + centre - 0.5;
            let [r, g, b, alpha] = source.at(u, v);
            let behind = background.at((x as f32 + 0.5) / side as f32, (y as f32 + 0.5) / side as f32);
            for (c, colour) in [r, g, b].into_iter().enumerate() {
                out[c * plane + y * side + x] = (colour + (1.0 - alpha) * behind[c]).clamp(0.0, 1.0);
            }
        }
    }
}

/// `picture` as it is on `background`: `[3, side, side]` in [0, 1]. What evaluation compares with.
pub fn plain(picture: &Picture, background: Background) -> Vec<f32> {
    let plane = picture.rgba.len() / 4;
    let side = plane.isqrt();
    let mut out = vec![0.0; 3 * plane];
    for (i, pixel) in picture.rgba.chunks_exact(4).enumerate() {
        let behind = background.at(((i % side) as f32 + 0.5) / side as f32, ((i / side) as f32 + 0.5) / side as f32);
        let alpha = pixel[3] as f32 / 255.0;
        for c in 0..3 {
            out[c * plane + i] = (pixel[c] as f32 / 255.0 * alpha + (1.0 - alpha) * behind[c]).clamp(0.0, 1.0);
        }
    }
    out
}

/// A picture in premultiplied alpha, readable between its pixels.
struct Source {
    pixels: Vec<[f32; 4]>,
    side: usize,
    /// A photograph has no outline: past its edge its border goes on, where a drawing shows the background.
    opaque: bool,
}

impl Source {
    fn new(picture: &Picture, side: usize) -> Self {
        debug_assert_eq!(picture.rgba.len(), side * side * 4);
        let pixels = picture
            .rgba
            .chunks_exact(4)
            .map(|p| {
                let alpha = p[3] as f32 / 255.0;
                [0, 1, 2, 3].map(|c| if c == 3 { alpha } else { p[c] as f32 / 255.0 * alpha })
            })
            .collect();
        Self { pixels, side, opaque: picture.rgba.chunks_exact(4).all(|p| p[3] == 255) }
    }

    fn at(&self, u: f32, v: f32) -> [f32; 4] {
        let last = self.side as f32 - 1.0;
        let (u, v) = if self.opaque { (u.clamp(0.0, last), v.clamp(0.0, last)) } else { (u, v) };
        let (left, top) = (u.floor(), v.floor());
        let (fu, fv) = (u - left, v - top);
        let mut sum = [0.0; 4];
        for (y, wy) in [(top as isize, 1.0 - fv), (top as isize + 1, fv)] {
            for (x, wx) in [(left as isize, 1.0 - fu), (left as isize + 1, fu)] {
                if (0..self.side as isize).contains(&x) && (0..self.side as isize).contains(&y) {
                    let pixel = &self.pixels[y as usize * self.side + x as usize];
                    for c in 0..4 {
                        sum[c] += wx * wy * pixel[c];
                    }
                }
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Pictures;
    use crate::platform::rng::Key;

    #[test]
    fn augmented_pictures_stay_in_range_and_follow_their_stream() {
        let set = Pictures::embedded().expect("embedded");
        let config = AugmentConfig::default();
        for i in (0..set.len()).step_by(37) {
            let make = |seed| augment(&set.pictures[i], set.side, &config, &mut Key::new(seed).fold(i as u64).stream());
            let pixels = make(1);
            assert_eq!(pixels.len(), 3 * 32 * 32);
            assert!(pixels.iter().all(|p| (0.0..=1.0).contains(p)));
            assert_eq!(pixels, make(1), "same stream, same picture");
            assert_ne!(pixels, make(2));
        }
    }

    #[test]
    fn without_any_change_augmenting_is_plain() {
        let set = Pictures::embedded().expect("embedded");
        let still = AugmentConfig { flip: 0.0, rotation: 0.0, scale: (1.0, 1.0), shift: 0.0, white: 1.0, solid: 0.0 };
        for picture in set.pictures.iter().step_by(501) {
            let moved = augment(picture, 32, &still, &mut Key::new(0).stream());
            let apart =
                plain(picture, Background::WHITE).iter().zip(&moved).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-4, "{apart}");
        }
    }

    #[test]
    fn a_flip_mirrors() {
        let set = Pictures::embedded().expect("embedded");
        let flip = AugmentConfig { flip: 1.0, rotation: 0.0, scale: (1.0, 1.0), shift: 0.0, white: 1.0, solid: 0.0 };
        let picture = &set.pictures[900];
        let (flipped, straight) =
            (augment(picture, 32, &flip, &mut Key::new(0).stream()), plain(picture, Background::WHITE));
        for (a, b) in flipped.chunks_exact(32).zip(straight.chunks_exact(32)) {
            assert!(a.iter().zip(b.iter().rev()).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }

    #[test]
    fn backgrounds_are_light() {
        let mut stream = Key::new(4).stream();
        let config = AugmentConfig { white: 0.0, ..Default::default() };
        for _ in 0..500 {
            let background = Background::random(&config, &mut stream);
            for (x, y) in [(0.0, 0.0), (1.0, 0.0), (0.5, 0.5), (0.0, 1.0), (1.0, 1.0)] {
                assert!(background.at(x, y).iter().all(|c| (0.5..=1.0).contains(c)), "{background:?}");
            }
        }
    }

    #[test]
    fn a_photograph_never_shows_a_background() {
        let photo = Picture { rgba: [10, 20, 30, 255].repeat(16 * 16), class: 0, style: 0, name: 0 };
        for seed in 0..20 {
            let pixels = augment(&photo, 16, &AugmentConfig::default(), &mut Key::new(seed).stream());
            assert!(pixels[..256].iter().all(|p| (p - 10.0 / 255.0).abs() < 1e-5));
        }
    }
}
