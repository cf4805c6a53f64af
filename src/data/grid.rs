//! Pictures as bytes, as grids, as files, and at other sizes.

use std::path::Path;

use image::ImageEncoder;
use image::codecs::png::PngEncoder;

use super::DataError;
use crate::platform::files;

/// Between pictures, in pixels of the finished grid.
const GAP: usize = 2;
/// Most pixels of a sheet that is written: 200 MB while it is laid out.
const MAX_PIXELS: usize = 1 << 26;
/// Neither white nor a tint, so that a picture on white keeps its edge.
const GAP_COLOUR: [u8; 3] = [205, 208, 214];

/// A number in [0, 1] as a level: `floor(255 x + 0.5)`, clamped. This is how LlamaGen saves its samples (torchvision
/// `save_image`; its `sample_c2i_ddp.py` writes the same thing as `127.5 x + 128` over [-1, 1]). The fine-tuning
/// paper's code truncates instead, which darkens by half a level. Not-a-number becomes 0.
pub fn to_u8(value: f32) -> u8 {
    // `as` saturates at both ends.
    (value * 255.0 + 0.5) as u8
}

/// `[3, side, side]` in [0, 1] to RGB bytes `[side, side, 3]`. Any number of pictures `[n, 3, side, side]` one after
/// the other works too.
pub fn rgb_from_chw(pixels: &[f32], side: usize) -> Vec<u8> {
    let plane = side * side;
    pixels
        .chunks_exact(3 * plane)
        .flat_map(|picture| (0..plane).flat_map(move |i| [0, 1, 2].map(|c| to_u8(picture[c * plane + i]))))
        .collect()
}

/// [`rgb_from_chw`] of each picture of `[n, 3, side, side]`.
pub fn rgb_pictures(pixels: &[f32], side: usize) -> Vec<Vec<u8>> {
    pixels.chunks_exact(3 * side * side).map(|picture| rgb_from_chw(picture, side)).collect()
}

/// Lays RGB pictures (`[side, side, 3]` each) out in rows of `columns`, each `scale` times as large (whole pixels, so
/// that nothing is smoothed away), `gap` pixels apart and around. Returns the RGB bytes, width and height.
pub fn grid_rgb(
    pictures: &[Vec<u8>],
    side: usize,
    columns: usize,
    scale: usize,
    gap: usize,
) -> (Vec<u8>, usize, usize) {
    let (columns, scale) = (columns.clamp(1, pictures.len().max(1)), scale.max(1));
    let rows = pictures.len().div_ceil(columns).max(1);
    let cell = side * scale + gap;
    let (width, height) = (columns * cell + gap, rows * cell + gap);
    let mut out = GAP_COLOUR.repeat(width * height);
    for (k, picture) in pictures.iter().enumerate() {
        let (left, top) = (gap + k % columns * cell, gap + k / columns * cell);
        for y in 0..side * scale {
            for x in 0..side * scale {
                let from = (y / scale * side + x / scale) * 3;
                let to = ((top + y) * width + left + x) * 3;
                out[to..to + 3].copy_from_slice(&picture[from..from + 3]);
            }
        }
    }
    (out, width, height)
}

/// RGB bytes `[height, width, 3]` as a PNG file's bytes.
///
/// # Errors
/// [`DataError::Encode`] if `rgb` has another length than `width * height * 3`, or a side is 0.
pub fn encode_png(rgb: &[u8], width: usize, height: usize) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    if rgb.len() != width * height * 3 {
        let kind = image::error::ParameterErrorKind::DimensionMismatch;
        return Err(image::ImageError::Parameter(image::error::ParameterError::from_kind(kind)).into());
    }
    PngEncoder::new(&mut bytes).write_image(rgb, width as u32, height as u32, image::ExtendedColorType::Rgb8)?;
    Ok(bytes)
}

/// How many times as large pictures are on a sheet: small ones are enlarged until they can be looked at.
pub fn sheet_scale(side: usize) -> usize {
    (96 / side.max(1)).max(1)
}

/// Writes a grid of RGB pictures ([`grid_rgb`], two pixels apart) to `path`; folders on the way are made.
///
/// # Errors
/// [`DataError::Sheet`] where it would be too large for a file, [`DataError::Write`] with the path if the file cannot be
/// written.
pub fn save_png(path: &Path, pictures: &[Vec<u8>], side: usize, columns: usize, scale: usize) -> Result<(), DataError> {
    let cells = columns.clamp(1, pictures.len().max(1));
    let [width, height] = [cells, pictures.len().div_ceil(cells)].map(|n| n * (side * scale.max(1) + GAP) + GAP);
    if width.saturating_mul(height) > MAX_PIXELS {
        return Err(DataError::Sheet { width, height });
    }
    let (rgb, width, height) = grid_rgb(pictures, side, columns, scale, GAP);
    let bytes = encode_png(&rgb, width, height)?;
    files::write_atomic(path, &bytes).map_err(|source| DataError::Write { path: path.to_path_buf(), source })
}

/// Resizes square planes (`[…, from, from]` to `[…, to, to]`) by exact area: each new pixel is the mean of the patch it
/// covers, fractions of pixels included. Means are kept; enlarging repeats pixels.
pub fn resize_chw(pixels: &[f32], from: usize, to: usize) -> Vec<f32> {
    if from == to {
        return pixels.to_vec();
    }
    let spans: Vec<Vec<(usize, f32)>> = (0..to).map(|i| span(i, from, to)).collect();
    let mut out = Vec::with_capacity(pixels.len() / (from * from) * to * to);
    let mut narrow = vec![0.0; from * to];
    for plane in pixels.chunks_exact(from * from) {
        for (row, short) in plane.chunks_exact(from).zip(narrow.chunks_exact_mut(to)) {
            for (pixel, span) in short.iter_mut().zip(&spans) {
                *pixel = span.iter().map(|&(x, weight)| row[x] * weight).sum();
            }
        }
        for span in &spans {
            out.extend((0..to).map(|x| span.iter().map(|&(y, weight)| narrow[y * to + x] * weight).sum::<f32>()));
        }
    }
    out
}

/// The old pixels that new pixel `i` covers, with weights that sum to 1.
fn span(i: usize, from: usize, to: usize) -> Vec<(usize, f32)> {
    // In units of 1/to of an old pixel everything is a whole number.
    let (start, end) = (i * from, (i + 1) * from);
    (start / to..end.div_ceil(to))
        .map(|x| (x, (end.min((x + 1) * to) - start.max(x * to)) as f32 / from as f32))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_round_to_nearest_and_never_wrap() {
        assert_eq!([0.0, 1.0, -3.0, 7.0, f32::NAN, 0.5].map(to_u8), [0, 255, 0, 255, 0, 128]);
        assert!((0..=255u8).all(|level| to_u8(level as f32 / 255.0) == level));
        assert_eq!(
            rgb_from_chw(&[0.0, 1.0, 0.2, 0.2, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], 2)[..6],
            [0, 255, 255, 255, 0, 255]
        );
    }

    #[test]
    fn a_grid_has_every_picture_in_its_place() {
        let pictures: Vec<Vec<u8>> = (0..5).map(|i| vec![i * 10; 2 * 2 * 3]).collect();
        let (rgb, width, height) = grid_rgb(&pictures, 2, 3, 4, 1);
        assert_eq!((width, height, rgb.len()), (3 * 9 + 1, 2 * 9 + 1, 28 * 19 * 3));
        let at = |x: usize, y: usize| rgb[(y * width + x) * 3];
        assert_eq!([at(1, 1), at(8, 8), at(10, 1), at(26, 8), at(1, 10), at(17, 17)], [0, 0, 10, 20, 30, 40]);
        assert_eq!([at(0, 0), at(9, 4), at(18, 4), at(20, 12)], [GAP_COLOUR[0]; 4]);
    }

    #[test]
    fn a_saved_grid_reads_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("samples/000001.png");
        save_png(&path, &[vec![7; 12], vec![200; 12]], 2, 16, 3).expect("saved");
        let back = image::open(&path).expect("read").into_rgb8();
        assert_eq!(back.dimensions(), (2 * 8 + 2, 8 + 2));
        assert_eq!((back.get_pixel(2, 2).0, back.get_pixel(10, 7).0), ([7; 3], [200; 3]));
        save_png(&path, &[], 2, 16, 3).expect("an empty grid is a blank picture");
        assert!(encode_png(&[0; 5], 1, 1).is_err());
        let refused = save_png(&path, &vec![vec![]; 4000], 256, 16, 3).expect_err("8 gigabytes");
        assert!(refused.to_string().contains("draw fewer pictures"), "{refused}");
        assert_eq!([8, 32, 96, 256].map(sheet_scale), [12, 3, 1, 1]);
    }

    #[test]
    fn resizing_by_area_keeps_the_mean() {
        let pixels: Vec<f32> = (0..2 * 3 * 32 * 32).map(|i| (i * 7919 % 1000) as f32 / 1000.0).collect();
        for to in [8, 12, 16, 48] {
            let small = resize_chw(&pixels, 32, to);
            assert_eq!(small.len(), 2 * 3 * to * to);
            for (a, b) in pixels.chunks_exact(32 * 32).zip(small.chunks_exact(to * to)) {
                let (a, b) = (a.iter().sum::<f32>() / 1024.0, b.iter().sum::<f32>() / (to * to) as f32);
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
        }
        assert_eq!(resize_chw(&[0.0, 1.0, 2.0, 3.0], 2, 1), [1.5]);
        assert_eq!(resize_chw(&[0.0, 1.0, 2.0, 3.0], 2, 2), [0.0, 1.0, 2.0, 3.0]);
    }
}
