//! The four ways in which the field brings pictures to Inception. Features of one way are no match for statistics of
//! another: differences in resizing alone move FID by whole points (Parmar, Zhang and Zhu 2022, "On Aliased Resizing").

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::model::resample::{Resample, resize};

/// Side of the pictures that the network takes, in pixels.
pub const SIDE: usize = 299;

/// Side to which torchvision resizes before it cuts [`SIDE`] out of the middle.
const RESIZED: usize = 342;

/// ImageNet's mean and deviation per channel.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// How pictures enter the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preprocessing {
    /// As FID is usually measured (pytorch-fid `InceptionV3.forward`).
    PytorchFid,
    /// As TensorFlow 1 did it (torch-fidelity `FeatureExtractorInceptionV3.forward`).
    TorchFidelity,
    /// As the ImageNet weights are published (torchvision `Inception_V3_Weights.IMAGENET1K_V1.transforms()`).
    Torchvision,
    /// As the paper's code rewards (resized with antialiasing, whole, by ImageNet's mean and deviation).
    PaperCode,
}

impl Preprocessing {
    /// Pictures `[n, 3, h, w]` in [0, 1] as the network takes them, `[n, 3, 299, 299]`. Peers read files of 8 bits, so
    /// values should be multiples of 1 / 255 wherever figures are to be compared with theirs.
    pub fn apply(self, x: Tensor<4>) -> Tensor<4> {
        let to = |x, size, antialias| resize(x, size, Resample::Bilinear { antialias });
        match self {
            Self::PytorchFid => to(x, [SIDE; 2], false) * 2.0 - 1.0,
            Self::TorchFidelity => (resize(x * 255.0, [SIDE; 2], Resample::TensorFlow1) - 128.0) / 128.0,
            Self::Torchvision => {
                let [_, _, h, w] = x.dims();
                normalized(cut(to(x, shorter_side([h, w], RESIZED), true)))
            }
            Self::PaperCode => normalized(to(x, [SIDE; 2], true)),
        }
    }

    /// What it does to pictures, for a figure's protocol.
    pub fn protocol(self) -> &'static str {
        match self {
            Self::PytorchFid => "bilinear to 299x299, 2x-1 (pytorch-fid)",
            Self::TorchFidelity => "TensorFlow 1 bilinear to 299x299, (u-128)/128 (torch-fidelity)",
            Self::Torchvision => "antialiased bilinear to 342, centre 299x299, ImageNet mean and std (torchvision)",
            Self::PaperCode => "antialiased bilinear to 299x299, ImageNet mean and std (paper code)",
        }
    }
}

/// Height and width with the shorter side brought to `side`, the longer one rounded down (torchvision `Resize`).
fn shorter_side([h, w]: [usize; 2], side: usize) -> [usize; 2] {
    let short = h.min(w).max(1);
    [h * side / short, w * side / short]
}

/// The middle [`SIDE`]×[`SIDE`] pixels (torchvision `center_crop`, which rounds halves to even).
fn cut(x: Tensor<4>) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    let start = |size: usize| ((size - SIDE) as f32 / 2.0).round_ties_even() as usize;
    x.narrow(2, start(h), SIDE).narrow(3, start(w), SIDE)
}

fn normalized(x: Tensor<4>) -> Tensor<4> {
    let channels = |values: [f32; 3], device: &Device| Tensor::<1>::from_floats(values, device).reshape([1, 3, 1, 1]);
    let device = x.device();
    (x - channels(MEAN, &device)) / channels(STD, &device)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Preprocessing; 4] =
        [Preprocessing::PytorchFid, Preprocessing::TorchFidelity, Preprocessing::Torchvision, Preprocessing::PaperCode];

    #[test]
    fn white_and_black_end_where_each_peer_has_them() {
        let device = Device::flex();
        let ends =
            [[-1.0, 1.0], [-1.0, 127.0 / 128.0], [-0.485 / 0.229, 0.515 / 0.229], [-0.485 / 0.229, 0.515 / 0.229]];
        for (how, ends) in ALL.into_iter().zip(ends) {
            for (level, want) in [0.0, 1.0].into_iter().zip(ends) {
                let x = how.apply(Tensor::full([1, 3, 20, 30], level, &device));
                assert_eq!(x.dims(), [1, 3, SIDE, SIDE]);
                let red: Vec<f32> = x.narrow(1, 0, 1).into_data().iter().collect();
                assert!(red.iter().all(|got| (got - want as f32).abs() < 1e-5), "{how:?} {} {want}", red[0]);
            }
        }
    }

    #[test]
    fn torchvision_keeps_the_proportions_and_the_middle() {
        assert_eq!(shorter_side([256, 256], RESIZED), [342, 342]);
        assert_eq!(shorter_side([500, 375], RESIZED), [456, 342]);
        let device = Device::flex();
        // A picture whose right half is white, twice as wide as high: its edge must end in the middle.
        let half = |level| Tensor::<4>::full([1, 3, 40, 40], level, &device);
        let x = Preprocessing::Torchvision.apply(Tensor::cat(vec![half(0.0), half(1.0)], 3));
        let row: Vec<f32> = x.narrow(1, 0, 1).narrow(2, 150, 1).into_data().iter().collect();
        assert!(row[144] < -2.0 && row[154] > 2.0, "{:?}", &row[140..160]);
    }

    #[test]
    fn no_two_ways_have_the_same_protocol() {
        let lines: std::collections::BTreeSet<_> = ALL.map(Preprocessing::protocol).into();
        assert_eq!(lines.len(), ALL.len());
    }
}
