//! All pictures of a batch on one texture.

use eframe::egui::{
    Color32, ColorImage, Context, Rect, TextureFilter, TextureHandle, TextureId, TextureOptions, pos2, vec2,
};

use crate::session::Sample;

/// Pictures are kept no larger than this, in pixels: they are shown small.
const LARGEST: usize = 128;

/// A batch's pictures, each in a cell of one texture.
#[derive(Clone)]
pub(super) struct Sheet {
    texture: TextureHandle,
    columns: usize,
    rows: usize,
}

impl Sheet {
    /// Brings the pictures, `side` pixels square, onto the graphics card; one that is missing or damaged is grey.
    pub(super) fn new(ctx: &Context, samples: &[&Sample], side: usize) -> Self {
        let columns = (samples.len() as f64).sqrt().ceil().max(1.0) as usize;
        let rows = samples.len().div_ceil(columns).max(1);
        let room = ctx.input(|input| input.max_texture_side) / columns;
        let cell = side.min(LARGEST).min(room).max(1);
        let options = TextureOptions {
            magnification: TextureFilter::Nearest,
            minification: TextureFilter::Linear,
            ..TextureOptions::NEAREST
        };
        let texture = ctx.load_texture("feature space", paint(samples, side, columns, rows, cell), options);
        Self { texture, columns, rows }
    }

    /// The texture and the part of it that holds picture `i`.
    pub(super) fn picture(&self, i: usize) -> (TextureId, Rect) {
        let cell = vec2(1.0 / self.columns as f32, 1.0 / self.rows as f32);
        let corner = pos2((i % self.columns) as f32 * cell.x, (i / self.columns) as f32 * cell.y);
        (self.texture.id(), Rect::from_min_size(corner, cell))
    }
}

fn paint(samples: &[&Sample], side: usize, columns: usize, rows: usize, cell: usize) -> ColorImage {
    let mut image = ColorImage::filled([columns * cell, rows * cell], Color32::from_gray(128));
    for (i, sample) in samples.iter().enumerate().filter(|(_, s)| side > 0 && s.rgb.len() == side * side * 3) {
        let corner = (i / columns) * cell * columns * cell + (i % columns) * cell;
        for y in 0..cell {
            for x in 0..cell {
                let from = 3 * ((y * side / cell) * side + x * side / cell);
                let [red, green, blue] = [0, 1, 2].map(|channel| sample.rgb[from + channel]);
                image.pixels[corner + y * columns * cell + x] = Color32::from_rgb(red, green, blue);
            }
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_in_their_cells_and_large_ones_are_made_smaller() {
        let sample = |level: u8| Sample { rgb: vec![level; 4 * 4 * 3], ..Sample::default() };
        let (one, two, broken) = (sample(10), sample(20), Sample::default());
        let image = paint(&[&one, &two, &broken], 4, 2, 2, 2);
        assert_eq!(image.size, [4, 4]);
        let level = |x: usize, y: usize| image.pixels[y * 4 + x].r();
        assert_eq!([level(1, 1), level(2, 0), level(0, 2), level(3, 3)], [10, 20, 128, 128]);
    }
}
