//! Rotary position embedding on a grid: where a token stands turns its queries and keys.
//!
//! The first half of a head's pairs turns by the token's *row*, the second half by its *column*; pair `k` of a half
//! turns by `index · base^(-2k / (head_dim / 2))`. Pairs are interleaved: dimensions `(2j, 2j + 1)`.
//! Two tokens then see only how far apart they are, along either axis.
//!
//! LlamaGen keeps a row of *zeros* (cos = sin = 0, not "no rotation") for the class token in front of the grid, so
//! its query and key become zero vectors: every token attends to the class with logit 0. Published weights were
//! trained that way.

use burn::prelude::*;

/// `(cos, sin)` for every position and pair, `[cls_tokens + grid * grid, head_dim / 2]` row by row; the leading
/// `cls_tokens` positions are `(0, 0)`. `head_dim` must be a multiple of 4.
///
/// Source: LlamaGen gpt.py, `precompute_freqs_cis_2d`.
pub fn freqs_cis(grid: usize, head_dim: usize, base: f64, cls_tokens: usize) -> Vec<Vec<(f32, f32)>> {
    let half = head_dim / 2;
    let frequencies: Vec<f64> = (0..half / 2).map(|k| base.powf(-2.0 * k as f64 / half as f64)).collect();
    let class = std::iter::repeat_n(vec![(0.0, 0.0); half], cls_tokens);
    let tokens = (0..grid * grid).map(|token| {
        [token / grid, token % grid] // row, column
            .into_iter()
            .flat_map(|index| frequencies.iter().map(move |frequency| index as f64 * frequency))
            .map(|angle| (angle.cos() as f32, angle.sin() as f32))
            .collect()
    });
    class.chain(tokens).collect()
}

/// The rotation of every position, as a matrix.
///
/// A rotation is linear, so one small matrix product does what would take slices, four products and a join: fewer
/// passes over memory on a processor, fewer launches on a graphics card.
#[derive(Module, Debug)]
pub struct Rope {
    rotations: Tensor<3>, // [positions, head_dim, head_dim]
}

impl Rope {
    /// Rotations of the table [`freqs_cis`], each times `gain`.
    pub fn new(grid: usize, head_dim: usize, base: f64, cls_tokens: usize, gain: f32, device: &Device) -> Self {
        let table = freqs_cis(grid, head_dim, base, cls_tokens);
        let mut values = vec![0f32; table.len() * head_dim * head_dim];
        for (matrix, pairs) in values.chunks_exact_mut(head_dim * head_dim).zip(&table) {
            for (j, &(cos, sin)) in pairs.iter().enumerate() {
                let (x, y) = (2 * j, 2 * j + 1);
                // (x, y) → (x cos − y sin, y cos + x sin), for row vectors
                matrix[x * head_dim + x] = gain * cos;
                matrix[y * head_dim + x] = -gain * sin;
                matrix[y * head_dim + y] = gain * cos;
                matrix[x * head_dim + y] = gain * sin;
            }
        }
        let rotations = Tensor::from_data(TensorData::new(values, [table.len(), head_dim, head_dim]), device);
        Self { rotations }
    }

    /// Turns `x` `[batch, seq, heads, head_dim]`, whose tokens stand at positions `start..start + seq`.
    pub fn apply(&self, x: Tensor<4>, start: usize) -> Tensor<4> {
        let [batch, seq, heads, head_dim] = x.dims();
        let rotations = self.rotations.clone().narrow(0, start, seq); // [seq, head_dim, head_dim]
        if seq == 1 {
            // Decoding: every row turns alike, so one product serves the whole batch.
            let rotation = rotations.reshape([head_dim, head_dim]);
            let x = x.reshape([batch * heads, head_dim]).matmul(rotation);
            return x.reshape([batch, seq, heads, head_dim]);
        }
        x.matmul(rotations.unsqueeze_dim(0)) // [batch, seq, heads, head_dim]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_turns_to_zero_and_the_corner_stays() {
        let device = Device::flex();
        let rope = Rope::new(2, 4, 10000.0, 1, 1.0, &device);
        let y = rope.apply(Tensor::<4>::ones([1, 2, 1, 4], &device), 0);
        let y = y.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(y, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn pairs_turn_by_row_and_by_column() {
        let device = Device::flex();
        let rope = Rope::new(2, 4, 10000.0, 1, 1.0, &device);
        let x = Tensor::<4>::from_data([[[[1.0, 0.0, 1.0, 0.0]]]], &device);
        let (c, s) = (1f32.cos(), 1f32.sin());
        let turned = |position| rope.apply(x.clone(), position).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(turned(2), [1.0, 0.0, c, s], "row 0, column 1");
        assert_eq!(turned(3), [c, s, 1.0, 0.0], "row 1, column 0");
    }

    #[test]
    fn one_position_at_a_time_equals_all_at_once() {
        let device = Device::flex();
        let rope = Rope::new(3, 8, 100.0, 1, 0.5, &device);
        let x = Tensor::<4>::random([2, 10, 3, 8], burn::tensor::Distribution::Normal(0.0, 1.0), &device);
        let all = rope.apply(x.clone(), 0);
        let steps = (0..10).map(|t| rope.apply(x.clone().narrow(1, t, 1), t)).collect();
        let difference = (all - Tensor::cat(steps, 1)).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-6, "{difference}");
    }
}
