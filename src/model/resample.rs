//! Resizing of pictures that already are tensors, on any device: two small dense matrices, one for the rows and one for
//! the columns, applied as matrix products. No kernel of its own, no read-back, and gradients pass.
//!
//! The weights are those of PyTorch's `F.interpolate(.., align_corners=False)` (ATen `UpSample.h` and
//! `UpSampleKernel.cpp`), computed on the host in its own mix of f32 and f64, and of the resize that TensorFlow 1 puts
//! in front of Inception. Pictures of bytes are resized by [`crate::data::resize`], which rounds as PIL does.

use burn::prelude::*;

/// How a new pixel is made of old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resample {
    /// The one pixel at `floor(i * scale)`.
    Nearest,
    /// A linear mix of two neighbours along each side.
    Bilinear {
        /// On the way down, a mix of all pixels that the new one covers.
        antialias: bool,
    },
    /// A cubic mix of four neighbours along each side (a = -0.75; with antialias -0.5, as PIL has it). Overshoots, and
    /// is not clamped.
    Bicubic {
        /// On the way down, a mix of all pixels that the new one covers and their neighbours.
        antialias: bool,
    },
    /// Bilinear without half-pixel centres: `tf.image.resize_bilinear` of TensorFlow 1 with `align_corners=False`
    /// (torch-fidelity `interpolate_bilinear_2d_like_tensorflow1x`).
    TensorFlow1,
}

/// Pictures `[n, c, h, w]` at another size, `[n, c, size[0], size[1]]`, on the same device. A side that does not change
/// is left alone: every method is the identity there.
///
/// # Panics
/// Panics if a side is 0.
pub fn resize(x: Tensor<4>, size: [usize; 2], method: Resample) -> Tensor<4> {
    let x = along_rows(x, size[1], method);
    if x.dims()[2] == size[0] { x } else { along_rows(x.swap_dims(2, 3), size[0], method).swap_dims(2, 3) }
}

/// Pictures `[n, c, h, w]` in [0, 1] with their longer side at `side` pixels and black bars that make them square, as HPSv2
/// prepares them before it normalises (`ResizeMaxSize`; its torchvision decides whether with antialias: 0.17 and later).
/// Pictures whose longer side already is `side` are left as they are, square or not, as there.
///
/// # Panics
/// Panics if a side is 0, also that of a picture so narrow that nothing is left of it.
pub fn fit_square(x: Tensor<4>, side: usize, method: Resample) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    if h.max(w) == side {
        return x;
    }
    let scale = side as f64 / h.max(w) as f64;
    let [height, width] = [h, w].map(|length| (length as f64 * scale).round_ties_even() as usize);
    let (top, left) = ((side - height) / 2, (side - width) / 2);
    resize(x, [height, width], method).pad((left, side - width - left, top, side - height - top), 0.0)
}

/// The last side of `x` brought to `to`.
fn along_rows(x: Tensor<4>, to: usize, method: Resample) -> Tensor<4> {
    let [n, c, rows, from] = x.dims();
    if from == to {
        return x;
    }
    let weights = Tensor::<2>::from_data(TensorData::new(weights(from, to, method), [to, from]), &x.device());
    // Two dimensions, so that no backend has to repeat the weights for every picture.
    x.reshape([n * c * rows, from]).matmul(weights.transpose()).reshape([n, c, rows, to])
}

/// What each of `to` new pixels takes from each of `from` old ones: `[to, from]`, rows adding up to 1.
fn weights(from: usize, to: usize, method: Resample) -> Vec<f32> {
    assert!(from > 0 && to > 0, "no picture has a side of 0");
    let scale = from as f32 / to as f32;
    let mut all = vec![0.0; to * from];
    for (i, row) in all.chunks_exact_mut(from).enumerate() {
        match method {
            Resample::Nearest => row[((i as f32 * scale) as usize).min(from - 1)] = 1.0,
            Resample::TensorFlow1 => linear(row, i as f32 * scale),
            Resample::Bilinear { antialias: false } => linear(row, (scale * (i as f32 + 0.5) - 0.5).max(0.0)),
            Resample::Bicubic { antialias: false } => {
                let at = scale * (i as f32 + 0.5) - 0.5;
                for tap in -1..=2 {
                    // Past the edge its last pixel goes on.
                    let place = (at.floor() as isize + tap).clamp(0, from as isize - 1) as usize;
                    row[place] += cubic(at - at.floor() - tap as f32, -0.75);
                }
            }
            Resample::Bilinear { antialias: true } => covered(row, i, scale, 1.0, |x| (1.0 - x.abs()).max(0.0)),
            Resample::Bicubic { antialias: true } => covered(row, i, scale, 2.0, |x| cubic(x, -0.5)),
        }
    }
    all
}

/// A linear mix of the two pixels around `at`, which is not negative.
fn linear(row: &mut [f32], at: f32) {
    let last = row.len() - 1;
    let left = (at as usize).min(last);
    let part = at - left as f32;
    row[left] += 1.0 - part;
    row[(left + 1).min(last)] += part;
}

/// The weights of `filter`, which reaches `reach` either way, stretched over what new pixel `i` covers.
fn covered(row: &mut [f32], i: usize, scale: f32, reach: f32, filter: impl Fn(f32) -> f32) {
    let stretch = scale.max(1.0);
    let (support, inverse) = (reach * stretch, f64::from(1.0 / stretch));
    let centre = (f64::from(scale) * (i as f64 + 0.5)) as f32;
    // Negative bounds become 0.
    let first = (f64::from(centre - support) + 0.5) as usize;
    let end = ((f64::from(centre + support) + 0.5) as usize).min(row.len());
    for (j, weight) in row.iter_mut().enumerate().take(end).skip(first) {
        *weight = filter(((j as f64 - f64::from(centre) + 0.5) * inverse) as f32);
    }
    let total: f32 = row.iter().sum();
    row.iter_mut().for_each(|weight| *weight /= total);
}

/// The cubic convolution kernel of Keys (1981) with slope `a` at 1.
fn cubic(x: f32, a: f32) -> f32 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Resample; 6] = [
        Resample::Nearest,
        Resample::Bilinear { antialias: false },
        Resample::Bilinear { antialias: true },
        Resample::Bicubic { antialias: false },
        Resample::Bicubic { antialias: true },
        Resample::TensorFlow1,
    ];

    #[test]
    fn a_plain_picture_stays_plain_at_every_size() {
        for method in ALL {
            for (from, to) in [(1, 1), (1, 9), (7, 3), (256, 224), (256, 299), (5, 5), (1000, 1), (32, 299)] {
                for row in weights(from, to, method).chunks_exact(from) {
                    assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{method:?} {from} {to}");
                }
            }
        }
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        for method in ALL {
            let identity: Vec<f32> = (0..64).map(|k| f32::from(k % 9 == 0)).collect();
            let apart = weights(8, 8, method).iter().zip(identity).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-6, "{method:?}");
        }
    }

    /// By hand, from TensorFlow 1's rule: a new pixel `i` lies at `i * from / to`.
    #[test]
    fn tensorflow_1_has_no_half_pixel_centres() {
        assert_eq!(weights(2, 4, Resample::TensorFlow1), [1.0, 0.0, 0.5, 0.5, 0.0, 1.0, 0.0, 1.0]);
        assert_eq!(
            weights(2, 4, Resample::Bilinear { antialias: false }),
            [1.0, 0.0, 0.75, 0.25, 0.25, 0.75, 0.0, 1.0]
        );
    }

    #[test]
    fn rows_and_columns_keep_their_places_and_gradients_pass() {
        let device = Device::flex().autodiff();
        let x = Tensor::<4>::from_floats([[[[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]]], &device).require_grad();
        let halved = resize(x.clone(), [1, 2], Resample::Bilinear { antialias: false });
        assert_eq!(halved.dims(), [1, 1, 1, 2]);
        assert_eq!(halved.clone().into_data().try_to_vec::<f32>().unwrap(), [2.5, 4.5]);
        let grads = halved.sum().backward();
        assert_eq!(x.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap(), [0.25; 8]);
    }
}
