//! Rewards with a formula one can check by eye, for teaching: what does a model learn when *this* is all it is paid
//! for? Each is about in [0, 1] and is computed from the stored (gamma-encoded) colours.

use burn::prelude::*;

use super::{Reward, RewardBatch};

/// Nearness of the mean colour to a target: `1 - |mean - target| / sqrt(3)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colour {
    /// Wanted mean red, green and blue, each in [0, 1].
    pub target: [f32; 3],
}

impl Default for Colour {
    /// Pure red.
    fn default() -> Self {
        Self { target: [1.0, 0.0, 0.0] }
    }
}

impl Reward for Colour {
    fn name(&self) -> &'static str {
        "colour"
    }

    fn protocol(&self) -> String {
        let [r, g, b] = self.target;
        format!("1 - |mean colour - ({r}, {g}, {b})| / sqrt(3): 1 is exactly that colour on average")
    }

    fn score(&self, batch: &RewardBatch) -> Tensor<1> {
        let [n, channels, ..] = batch.pictures.dims();
        let mean = batch.pictures.clone().mean_dims(&[2, 3]).reshape([n, channels]); // [n, 3]
        let target = Tensor::<1>::from_floats(self.target, &mean.device()).reshape([1, 3]);
        let distance = (mean - target).powi_scalar(2).sum_dim(1).sqrt().reshape([n]);
        distance.mul_scalar(-1.0 / 3f64.sqrt()).add_scalar(1.0)
    }
}

/// Mean luma (Rec. 709 weights).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Brightness;

impl Reward for Brightness {
    fn name(&self) -> &'static str {
        "brightness"
    }

    fn protocol(&self) -> String {
        "mean of 0.2126 R + 0.7152 G + 0.0722 B: 0 is black, 1 is white".to_owned()
    }

    fn score(&self, batch: &RewardBatch) -> Tensor<1> {
        let [n, channels, ..] = batch.pictures.dims();
        let mean = batch.pictures.clone().mean_dims(&[2, 3]).reshape([n, channels]); // [n, 3]
        let weights = Tensor::<1>::from_floats([0.2126, 0.7152, 0.0722], &mean.device()).reshape([1, 3]);
        (mean * weights).sum_dim(1).reshape([n])
    }
}

/// Left-right mirror symmetry: `1 - mean |x - mirror(x)|`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Symmetry;

impl Reward for Symmetry {
    fn name(&self) -> &'static str {
        "symmetry"
    }

    fn protocol(&self) -> String {
        "1 - mean |x - mirror(x)|, left to right: 1 is a perfect mirror image, and so is a blank picture".to_owned()
    }

    fn score(&self, batch: &RewardBatch) -> Tensor<1> {
        let x = batch.pictures.clone();
        let mirrored = x.clone().flip([3]);
        mean_of_each((x - mirrored).abs()).mul_scalar(-1.0).add_scalar(1.0)
    }
}

/// Little fine detail: `exp(-10 TV)`, a smooth stand-in for the size of a compressed file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Compressibility;

impl Reward for Compressibility {
    fn name(&self) -> &'static str {
        "compressibility"
    }

    fn protocol(&self) -> String {
        "exp(-10 TV), TV = half the sum of the mean absolute differences of horizontal and of vertical neighbours \
         (total variation, no real codec): 1 is a blank picture"
            .to_owned()
    }

    fn score(&self, batch: &RewardBatch) -> Tensor<1> {
        let x = batch.pictures.clone();
        let [.., height, width] = x.dims();
        let across = x.clone().narrow(3, 1, width - 1) - x.clone().narrow(3, 0, width - 1);
        let down = x.clone().narrow(2, 1, height - 1) - x.narrow(2, 0, height - 1);
        (mean_of_each(across.abs()) + mean_of_each(down.abs())).mul_scalar(-5.0).exp()
    }
}

/// Mean over everything but the batch: `[n, c, h, w]` to `[n]`.
fn mean_of_each(x: Tensor<4>) -> Tensor<1> {
    let [n, ..] = x.dims();
    x.mean_dims(&[1, 2, 3]).reshape([n])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pictures of `[3, 2, 4]`: the first plain red, the second black with a white right half.
    fn batch() -> RewardBatch {
        let red = [[[1f32; 4]; 2], [[0.0; 4]; 2], [[0.0; 4]; 2]];
        let half = [[[0f32, 0.0, 1.0, 1.0]; 2]; 3];
        let device = Device::flex();
        RewardBatch { pictures: Tensor::<4>::from_floats([red, half], &device), classes: vec![0, 1] }
    }

    fn scores(reward: &dyn Reward) -> Vec<f32> {
        assert!(!reward.name().is_empty() && !reward.protocol().is_empty());
        reward.score(&batch()).into_data().try_to_vec().unwrap()
    }

    fn close(got: Vec<f32>, want: [f32; 2]) {
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-5), "{got:?} {want:?}");
    }

    #[test]
    fn scores_follow_their_formulas() {
        close(scores(&Colour::default()), [1.0, 1.0 - (0.75f32 / 3.0).sqrt()]);
        close(scores(&Brightness), [0.2126, 0.5]);
        close(scores(&Symmetry), [1.0, 0.0]);
        // One of three horizontal steps is 1, no vertical one.
        close(scores(&Compressibility), [1.0, (-5.0f32 / 3.0).exp()]);
    }
}
