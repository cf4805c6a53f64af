//! The loops behind [`super::flex`]. A group of channels of one picture fits in the first-level cache, so
//! statistics are computed again in the gradient rather than kept.

use std::f32::consts::LOG2_E;
use std::num::NonZero;
use std::ops::Range;
use std::thread;

use super::ops::Norm;

/// A picture's part of an input and of its gradient.
type Pair<'a> = (&'a [f32], &'a [f32]);
/// A picture's part of two results.
type PairMut<'a> = (&'a mut [f32], &'a mut [f32]);

/// Below this many numbers a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 1 << 16;

/// Lanes of a running sum: independent, so that the compiler can use vector registers.
const LANES: usize = 16;

/// Threads that run at the same time; 1 where there are no threads at all.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Runs `work` on every item, the items shared evenly between threads when `numbers` of them are many.
pub fn shared<T: Send>(mut items: Vec<T>, numbers: usize, work: impl Fn(T) + Sync) {
    let threads = cores().min(numbers / WORTH_A_THREAD).min(items.len());
    if threads < 2 {
        return items.into_iter().for_each(work);
    }
    let each = items.len().div_ceil(threads);
    let work = &work;
    thread::scope(|scope| {
        while items.len() > each {
            let part = items.split_off(items.len() - each);
            scope.spawn(move || part.into_iter().for_each(work));
        }
        items.into_iter().for_each(work);
    });
}

/// exp within 2 units in the last place on [-87, 88], clamped there; free of calls and branches.
fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2^23 rounds to a whole number, which then lies in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 as a short number, exact in products with whole numbers, and its remainder.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * LOG2_E + ROUND;
    let whole = rounded - ROUND;
    let r = x - whole * LN_2_HIGH - whole * LN_2_LOW;
    let series = 1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0);
    let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * series))));
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    series * f32::from_bits(exponent << 23)
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|&v| of(v)).sum();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += of(v);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Group normalisation of pictures of one shape.
pub struct Normalization<'a> {
    channels: usize,
    pixels: usize,
    norm: Norm,
    gamma: &'a [f32],
    beta: &'a [f32],
}

impl<'a> Normalization<'a> {
    /// For pictures `[batch, channels, h, w]` with weights `[channels]`.
    pub fn new([_, channels, h, w]: [usize; 4], norm: Norm, gamma: &'a [f32], beta: &'a [f32]) -> Self {
        Self { channels, pixels: h * w, norm, gamma, beta }
    }

    /// Numbers in a group.
    fn group(&self) -> usize {
        self.channels / self.norm.groups * self.pixels
    }

    /// Mean and reciprocal deviation of a group.
    fn statistics(&self, x: &[f32]) -> (f32, f32) {
        let n = x.len() as f32;
        let mean = sum(x, |v| v) / n;
        let variance = sum(x, |v| (v - mean) * (v - mean)) / n;
        (mean, 1.0 / (variance + self.norm.epsilon as f32).sqrt())
    }

    /// The normalised pictures.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let picture = self.channels * self.pixels;
        let mut y = vec![0.0; x.len()];
        let items = x.chunks_exact(picture).zip(y.chunks_exact_mut(picture)).collect();
        shared(items, x.len(), |(x, y): (&[f32], &mut [f32])| {
            let groups = x.chunks_exact(self.group()).zip(y.chunks_exact_mut(self.group()));
            for (g, (x, y)) in groups.enumerate() {
                let (mean, inverse) = self.statistics(x);
                let channels = x.chunks_exact(self.pixels).zip(y.chunks_exact_mut(self.pixels));
                for (c, (x, y)) in (g * self.channels / self.norm.groups..).zip(channels) {
                    let (scale, shift) = (self.gamma[c] * inverse, self.beta[c]);
                    let line = |x: f32| (x - mean) * scale + shift;
                    if self.norm.silu {
                        for (y, &x) in y.iter_mut().zip(x) {
                            let v = line(x);
                            *y = v * sigmoid(v);
                        }
                    } else {
                        for (y, &x) in y.iter_mut().zip(x) {
                            *y = line(x);
                        }
                    }
                }
            }
        });
        y
    }

    /// Gradients for the pictures, gamma and beta, given the gradient of the result.
    pub fn backward(&self, x: &[f32], grad: &[f32]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let picture = self.channels * self.pixels;
        let batch = x.len() / picture.max(1);
        let mut d_x = vec![0.0; x.len()];
        let mut weights = vec![0.0; batch * 2 * self.channels];
        let items = x
            .chunks_exact(picture)
            .zip(grad.chunks_exact(picture))
            .zip(d_x.chunks_exact_mut(picture).zip(weights.chunks_exact_mut(2 * self.channels)))
            .collect();
        shared(items, x.len(), |((x, grad), (d_x, weights)): (Pair<'_>, PairMut<'_>)| {
            let (d_gamma, d_beta) = weights.split_at_mut(self.channels);
            let (group, width) = (self.group(), self.channels / self.norm.groups);
            for g in 0..self.norm.groups {
                let (pixels, channels) = (g * group..(g + 1) * group, g * width..(g + 1) * width);
                self.group_backward(
                    channels.start,
                    (&x[pixels.clone()], &grad[pixels.clone()]),
                    &mut d_x[pixels],
                    (&mut d_gamma[channels.clone()], &mut d_beta[channels]),
                );
            }
        });
        let total = |offset: usize| {
            (0..self.channels)
                .map(|c| weights.iter().skip(offset + c).step_by(2 * self.channels).sum())
                .collect::<Vec<f32>>()
        };
        let (d_gamma, d_beta) = (total(0), total(self.channels));
        (d_x, d_gamma, d_beta)
    }

    fn group_backward(
        &self,
        first: usize,
        (x, grad): (&[f32], &[f32]),
        d_x: &mut [f32],
        (d_gamma, d_beta): (&mut [f32], &mut [f32]),
    ) {
        let (mean, inverse) = self.statistics(x);
        let unit = |x: f32| (x - mean) * inverse;
        // Means over the group of the gradient for the standardised picture, and of its product with that picture.
        let (mut level, mut along) = (0.0, 0.0);
        for (i, range) in (0..x.len()).step_by(self.pixels).map(|at| at..at + self.pixels).enumerate() {
            let (gamma, beta) = (self.gamma[first + i], self.beta[first + i]);
            let (x, grad, d_y) = (&x[range.clone()], &grad[range.clone()], &mut d_x[range]);
            if self.norm.silu {
                for ((d_y, &x), &grad) in d_y.iter_mut().zip(x).zip(grad) {
                    let y = gamma * unit(x) + beta;
                    let s = sigmoid(y);
                    *d_y = grad * s * (1.0 + y * (1.0 - s));
                }
            } else {
                d_y.copy_from_slice(grad);
            }
            d_beta[i] = sum(d_y, |d| d);
            d_gamma[i] = dot(d_y, x, unit);
            level += gamma * d_beta[i];
            along += gamma * d_gamma[i];
        }
        let n = x.len() as f32;
        let (level, along) = (level / n, along / n);
        let channels = d_x.chunks_exact_mut(self.pixels).zip(x.chunks_exact(self.pixels));
        for (&gamma, (d_x, x)) in self.gamma[first..].iter().zip(channels) {
            for (d, &x) in d_x.iter_mut().zip(x) {
                *d = inverse * (gamma * *d - level - unit(x) * along);
            }
        }
    }
}

/// Sum of a · f(b).
fn dot(a: &[f32], b: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let whole = a.len() / LANES * LANES;
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * f(b);
        }
    }
    let rest: f32 = a[whole..].iter().zip(&b[whole..]).map(|(&a, &b)| a * f(b)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// Lays out the patches under a convolution's kernel, so that the convolution becomes a matrix product.
#[derive(Clone, Copy, Debug)]
pub struct Unroll {
    /// Height and width of the picture.
    pub size: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Height and width of the result of the convolution.
    pub out: [usize; 2],
    /// Steps of the kernel.
    pub stride: [usize; 2],
    /// Zeros above and to the left; what lies beyond the picture on the other sides counts as zeros too.
    pub pad: [usize; 2],
}

impl Unroll {
    /// Patches of rows `rows` of the result: picture `[channels, h, w]` → `[channels · kh · kw, rows · out_w]`.
    pub fn rows(&self, x: &[f32], rows: Range<usize>) -> Vec<f32> {
        let ([h, w], out_w) = (self.size, self.out[1]);
        let taps = self.kernel[0] * self.kernel[1];
        let plane = rows.len() * out_w;
        let mut patches = vec![0.0; x.len() / (h * w).max(1) * taps * plane];
        for (i, patches) in patches.chunks_exact_mut(plane).enumerate() {
            let (x, tap) = (&x[i / taps * h * w..][..h * w], i % taps);
            let (ky, kx) = (tap / self.kernel[1], tap % self.kernel[1]);
            // Columns whose tap lies inside the picture: 0 <= column · stride + kx - pad < w.
            let first = self.pad[1].saturating_sub(kx).div_ceil(self.stride[1]).min(out_w);
            let last = (w + self.pad[1]).saturating_sub(kx).div_ceil(self.stride[1]).clamp(first, out_w);
            for (row, patches) in rows.clone().zip(patches.chunks_exact_mut(out_w)) {
                let y = row * self.stride[0] + ky;
                if first == last || y < self.pad[0] || y - self.pad[0] >= h {
                    continue;
                }
                let line = &x[(y - self.pad[0]) * w..][..w];
                let line = &line[first * self.stride[1] + kx - self.pad[1]..];
                if self.stride[1] == 1 {
                    patches[first..last].copy_from_slice(&line[..last - first]);
                } else {
                    for (patch, &v) in patches[first..last].iter_mut().zip(line.iter().step_by(self.stride[1])) {
                        *patch = v;
                    }
                }
            }
        }
        patches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_over_its_whole_range() {
        for i in -8700..8800 {
            let x = i as f32 / 100.0;
            let want = (x as f64).exp();
            assert!((exp(x) as f64 - want).abs() <= 3e-7 * want, "{x}: {} {want}", exp(x));
        }
        assert!(sigmoid(-1e9).abs() < 1e-37 && sigmoid(1e9) == 1.0 && exp(0.0) == 1.0);
    }

    #[test]
    fn patches_are_padded_with_zeros_on_every_side() {
        let unroll = Unroll { size: [2, 2], kernel: [3, 3], out: [2, 2], stride: [1, 1], pad: [1, 1] };
        let picture = [1.0, 2.0, 3.0, 4.0];
        let patches = unroll.rows(&picture, 0..2);
        assert_eq!(patches[..4], [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(patches[16..20], picture);
        assert_eq!(patches[32..], [4.0, 0.0, 0.0, 0.0]);
        assert_eq!(unroll.rows(&picture, 1..2)[8..10], [3.0, 4.0]);
    }

    #[test]
    fn work_shared_between_threads_reaches_every_item() {
        let mut done = vec![0; 7];
        shared(done.iter_mut().collect(), usize::MAX, |item| *item += 1);
        assert_eq!(done, [1; 7]);
    }
}
