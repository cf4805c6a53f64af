//! The training picture that a sample resembles most, so that memorising is visible.

use super::Pictures;

/// What [`Pictures::nearest`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// Where it stands in [`Pictures::pictures`].
    pub index: usize,
    /// Mean squared distance of the pixels, 0 to 1.
    pub distance: f64,
    /// Whether its mirror image is what comes near (training flips pictures).
    pub mirrored: bool,
}

impl Pictures {
    /// The picture among `among` with the least mean squared pixel distance to `pixels` (`[3, side, side]` in
    /// [0, 1]), either way round. Candidates are set on the sample's own background, taken from its corners: otherwise
    /// the tint behind a drawing would count for more than the drawing. None if `among` is empty, or if no
    /// distance is a number.
    pub fn nearest(&self, pixels: &[f32], among: &[usize]) -> Option<Nearest> {
        let (side, plane) = (self.side, self.side * self.side);
        let corners = [0, side - 1, plane - side, plane - 1];
        let behind: [f32; 3] =
            std::array::from_fn(|c| corners.iter().map(|&i| pixels[c * plane + i]).sum::<f32>() / 4.0);
        let mut best: Option<Nearest> = None;
        let mut least = f64::INFINITY;
        for &index in among {
            let rgba = &self.pictures[index].rgba;
            for mirrored in [false, true] {
                let mut sum = 0.0f64;
                for y in 0..side {
                    let mut row = 0.0f32;
                    for x in 0..side {
                        let from = y * side + if mirrored { side - 1 - x } else { x };
                        let alpha = rgba[from * 4 + 3] as f32 / 255.0;
                        for c in 0..3 {
                            let seen = rgba[from * 4 + c] as f32 / 255.0 * alpha + (1.0 - alpha) * behind[c];
                            let apart = seen - pixels[c * plane + y * side + x];
                            row += apart * apart;
                        }
                    }
                    sum += row as f64;
                    // Most candidates are out after a few rows.
                    if sum >= least {
                        break;
                    }
                }
                if sum < least {
                    least = sum;
                    best = Some(Nearest { index, distance: sum / (3 * plane) as f64, mirrored });
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::augment::{self, AugmentConfig, Background};
    use crate::platform::rng::Key;

    #[test]
    fn a_training_picture_is_its_own_nearest_on_any_background() {
        let set = Pictures::embedded().expect("embedded");
        let all: Vec<usize> = (0..set.len()).collect();
        for index in [3, 1200, 2900] {
            let pixels = augment::plain(&set.pictures[index], Background::Solid([0.9, 0.8, 0.95]));
            let found = set.nearest(&pixels, &all).expect("a picture");
            assert_eq!((found.index, found.mirrored), (index, false));
            assert!(found.distance < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn a_mirrored_copy_is_found() {
        let set = Pictures::embedded().expect("embedded");
        let flip = AugmentConfig { flip: 1.0, rotation: 0.0, scale: (1.0, 1.0), shift: 0.0, white: 1.0, solid: 0.0 };
        let index = set.image_names.iter().position(|name| name == "sailboat").expect("a sailboat");
        let index = set.pictures.iter().position(|p| p.name == index).expect("a picture of it");
        let pixels = augment::augment(&set.pictures[index], set.side, &flip, &mut Key::new(1).stream());
        let found = set.nearest(&pixels, &(0..set.len()).collect::<Vec<_>>()).expect("a picture");
        assert_eq!((found.index, found.mirrored), (index, true));
    }

    #[test]
    fn nothing_is_nearest_among_nothing_or_to_nothing() {
        let set = Pictures::embedded().expect("embedded");
        assert_eq!(set.nearest(&vec![0.5; 3072], &[]), None);
        assert_eq!(set.nearest(&vec![f32::NAN; 3072], &[1, 2]), None);
    }
}
