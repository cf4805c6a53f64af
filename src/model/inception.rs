//! Inception-v3 (Szegedy et al. 2015) in the two forms that generated pictures are measured with, under the published
//! checkpoints' own key names.
//!
//! * [`InceptionVariant::Fid`]: TensorFlow's network of 2015-12-05, as pytorch-fid (`inception.py`) and torch-fidelity
//!   (`feature_extractor_inceptionv3.py`) load it from `pt_inception-2015-12-05`. What FID means, and nothing else is.
//!   Averages are of what is inside the picture, and the last block takes a largest value instead.
//! * [`InceptionVariant::ImageNet`]: torchvision's `inception_v3` with `IMAGENET1K_V1`, by which the paper's code
//!   rewards. Averages count the zeros beyond the edge. Distances on it are of another size: always name the network.
//!
//! ```text
//! picture [n, 3, 299, 299] ─ convolutions ─► 64×73² ─► 192×35² ─ A A A B ─► 768×17² ─ C C C C D ─► 1280×8² ─ E E ─►
//! 2048×8² ─ mean ─► features [n, 2048] ─ fc ─► logits
//! ```

#![allow(non_snake_case)] // torchvision's keys

mod blocks;
mod conv;
mod preprocess;

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

pub use blocks::{InceptionA, InceptionB, InceptionC, InceptionD, InceptionE};
pub use conv::{BasicConv2d, Pool, halve};
pub use preprocess::{Preprocessing, SIDE};

use super::layers::single;
use crate::gpu::supports_half;

/// Length of a feature vector: pytorch-fid's `dims`, TensorFlow's `pool_3:0`.
pub const FEATURES: usize = 2048;

/// Pictures in a pass: 100 MB at its widest, 64×147² numbers a picture.
const CHUNK: usize = 16;

/// Which of the two networks. They differ in their pools, in the number of classes and in their weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InceptionVariant {
    /// FID's: 1008 classes, averages of what is inside the picture, a largest value in the last block.
    Fid,
    /// torchvision's: 1000 classes, averages that count the zeros beyond the edge.
    ImageNet,
}

impl InceptionVariant {
    /// Number of logits.
    pub fn classes(self) -> usize {
        match self {
            Self::Fid => 1008,
            Self::ImageNet => 1000,
        }
    }
}

/// Which network, and how pictures enter it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InceptionConfig {
    /// The network.
    pub variant: InceptionVariant,
    /// The way in.
    pub preprocessing: Preprocessing,
}

impl InceptionConfig {
    /// FID as pytorch-fid measures it.
    pub fn pytorch_fid() -> Self {
        Self { variant: InceptionVariant::Fid, preprocessing: Preprocessing::PytorchFid }
    }

    /// FID and inception score as torch-fidelity measures them.
    pub fn torch_fidelity() -> Self {
        Self { variant: InceptionVariant::Fid, preprocessing: Preprocessing::TorchFidelity }
    }

    /// The distribution reward of the paper's code.
    pub fn paper_code() -> Self {
        Self { variant: InceptionVariant::ImageNet, preprocessing: Preprocessing::PaperCode }
    }

    /// One line that fixes what the features are; belongs beside every number computed from them.
    pub fn protocol(&self) -> String {
        let network = match self.variant {
            InceptionVariant::Fid => "Inception 2015 (pt_inception-2015-12-05)",
            InceptionVariant::ImageNet => "Inception-v3 (torchvision IMAGENET1K_V1)",
        };
        format!("{network}, {FEATURES} pooled features, {}", self.preprocessing.protocol())
    }

    /// The network with random weights, to be loaded over and then frozen ([`Inception::freeze`]).
    pub fn init(&self, device: &Device) -> Inception {
        let conv = |from, to, side| BasicConv2d::new([from, to], [side, side], device);
        Inception {
            Conv2d_1a_3x3: conv(3, 32, 3).halving(),
            Conv2d_2a_3x3: conv(32, 32, 3),
            Conv2d_2b_3x3: conv(32, 64, 3).same(),
            Conv2d_3b_1x1: conv(64, 80, 1),
            Conv2d_4a_3x3: conv(80, 192, 3),
            Mixed_5b: InceptionA::new(192, 32, device),
            Mixed_5c: InceptionA::new(256, 64, device),
            Mixed_5d: InceptionA::new(288, 64, device),
            Mixed_6a: InceptionB::new(288, device),
            Mixed_6b: InceptionC::new(128, device),
            Mixed_6c: InceptionC::new(160, device),
            Mixed_6d: InceptionC::new(160, device),
            Mixed_6e: InceptionC::new(192, device),
            Mixed_7a: InceptionD::new(device),
            Mixed_7b: InceptionE::new(1280, device),
            Mixed_7c: InceptionE::new(FEATURES, device),
            fc: LinearConfig::new(FEATURES, self.variant.classes()).init(device),
            config: *self,
        }
    }
}

/// The network; see the module's text.
#[derive(Module, Debug)]
pub struct Inception {
    Conv2d_1a_3x3: BasicConv2d,
    Conv2d_2a_3x3: BasicConv2d,
    Conv2d_2b_3x3: BasicConv2d,
    Conv2d_3b_1x1: BasicConv2d,
    Conv2d_4a_3x3: BasicConv2d,
    Mixed_5b: InceptionA,
    Mixed_5c: InceptionA,
    Mixed_5d: InceptionA,
    Mixed_6a: InceptionB,
    Mixed_6b: InceptionC,
    Mixed_6c: InceptionC,
    Mixed_6d: InceptionC,
    Mixed_6e: InceptionC,
    Mixed_7a: InceptionD,
    Mixed_7b: InceptionE,
    Mixed_7c: InceptionE,
    fc: Linear,
    #[module(skip)]
    config: InceptionConfig,
}

impl Inception {
    /// Which network this is.
    pub fn config(&self) -> InceptionConfig {
        self.config
    }

    /// The same network for measuring only: normalisations folded into the convolutions once instead of in every pass.
    /// With `half`, a device that can keeps the weights in half precision, 48 MB instead of 95; sums stay in single
    /// precision. Its keys are no longer the checkpoint's: load first.
    pub fn freeze(mut self, half: bool) -> Self {
        let half = half && supports_half(&self.fc.weight.device());
        let stem = [
            &mut self.Conv2d_1a_3x3,
            &mut self.Conv2d_2a_3x3,
            &mut self.Conv2d_2b_3x3,
            &mut self.Conv2d_3b_1x1,
            &mut self.Conv2d_4a_3x3,
        ];
        let blocks = [
            self.Mixed_5b.convs(),
            self.Mixed_5c.convs(),
            self.Mixed_5d.convs(),
            self.Mixed_6a.convs(),
            self.Mixed_6b.convs(),
            self.Mixed_6c.convs(),
            self.Mixed_6d.convs(),
            self.Mixed_6e.convs(),
            self.Mixed_7a.convs(),
            self.Mixed_7b.convs(),
            self.Mixed_7c.convs(),
        ];
        for conv in stem.into_iter().chain(blocks.into_iter().flatten()) {
            conv.freeze(half);
        }
        if half {
            self.fc.weight = Param::from_tensor(self.fc.weight.val().cast(DType::F16));
        }
        self
    }

    /// Features `[n, 2048]` of any number of pictures `[n, 3, h, w]` in [0, 1].
    pub fn features(&self, pictures: Tensor<4>) -> Tensor<2> {
        let [features] = in_chunks(pictures, |x| {
            let x = self.config.preprocessing.apply(x);
            [mean(self.block3(self.block2(self.block1(self.block0(x)))))]
        });
        features
    }

    /// Means over the picture of pytorch-fid's four output blocks: `[n, 64]`, `[n, 192]`, `[n, 768]` and the features
    /// `[n, 2048]` (its `--dims`), of pictures as [`Self::features`] takes them.
    pub fn block_means(&self, pictures: Tensor<4>) -> [Tensor<2>; 4] {
        in_chunks(pictures, |x| self.blocks(self.config.preprocessing.apply(x)).map(mean))
    }

    /// pytorch-fid's four output blocks of `[n, 3, 299, 299]` after preprocessing: `[n, 64, 73, 73]`,
    /// `[n, 192, 35, 35]`, `[n, 768, 17, 17]` and, not averaged yet, `[n, 2048, 8, 8]`.
    pub fn blocks(&self, x: Tensor<4>) -> [Tensor<4>; 4] {
        let zero = self.block0(x);
        let one = self.block1(zero.clone());
        let two = self.block2(one.clone());
        let three = self.block3(two.clone());
        [zero, one, two, three]
    }

    /// Class logits `[n, classes]` of features `[n, 2048]`.
    pub fn logits(&self, features: Tensor<2>) -> Tensor<2> {
        let logits = self.logits_unbiased(features);
        match &self.fc.bias {
            Some(bias) => logits + bias.val().unsqueeze(),
            None => logits,
        }
    }

    /// Class logits without the bias of the last layer: what the inception score is taken of (torch-fidelity
    /// `logits_unbiased`, as in TensorFlow, where the bias was left out by an oversight that became the definition).
    pub fn logits_unbiased(&self, features: Tensor<2>) -> Tensor<2> {
        features.matmul(single(&self.fc.weight))
    }

    fn block0(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.Conv2d_1a_3x3.forward(x); // [n, 32, 149, 149]
        let x = self.Conv2d_2a_3x3.forward(x); // [n, 32, 147, 147]
        halve(self.Conv2d_2b_3x3.forward(x)) // [n, 64, 73, 73]
    }

    fn block1(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.Conv2d_3b_1x1.forward(x); // [n, 80, 73, 73]
        halve(self.Conv2d_4a_3x3.forward(x)) // [n, 192, 35, 35]
    }

    fn block2(&self, x: Tensor<4>) -> Tensor<4> {
        let average = self.average();
        let x = self.Mixed_5b.forward(x, average); // [n, 256, 35, 35]
        let x = self.Mixed_5c.forward(x, average); // [n, 288, 35, 35]
        let x = self.Mixed_5d.forward(x, average);
        let x = self.Mixed_6a.forward(x); // [n, 768, 17, 17]
        let x = self.Mixed_6b.forward(x, average);
        let x = self.Mixed_6c.forward(x, average);
        let x = self.Mixed_6d.forward(x, average);
        self.Mixed_6e.forward(x, average)
    }

    fn block3(&self, x: Tensor<4>) -> Tensor<4> {
        let last = match self.config.variant {
            InceptionVariant::Fid => Pool::Max,
            InceptionVariant::ImageNet => self.average(),
        };
        let x = self.Mixed_7a.forward(x); // [n, 1280, 8, 8]
        let x = self.Mixed_7b.forward(x, self.average()); // [n, 2048, 8, 8]
        self.Mixed_7c.forward(x, last)
    }

    fn average(&self) -> Pool {
        match self.config.variant {
            InceptionVariant::Fid => Pool::AverageInside,
            InceptionVariant::ImageNet => Pool::AverageWithZeros,
        }
    }
}

/// `[n, channels, h, w]` → `[n, channels]`.
fn mean(x: Tensor<4>) -> Tensor<2> {
    let [n, c, h, w] = x.dims();
    x.reshape([n, c, h * w]).mean_dim(2).reshape([n, c])
}

/// `measure` of some pictures after the other, so that any number of them fits in memory.
fn in_chunks<const N: usize>(x: Tensor<4>, measure: impl Fn(Tensor<4>) -> [Tensor<2>; N]) -> [Tensor<2>; N] {
    let n = x.dims()[0];
    if n <= CHUNK {
        return measure(x);
    }
    let mut parts: [Vec<Tensor<2>>; N] = std::array::from_fn(|_| vec![]);
    for start in (0..n).step_by(CHUNK) {
        let chunk = measure(x.clone().narrow(0, start, CHUNK.min(n - start)));
        parts.iter_mut().zip(chunk).for_each(|(parts, part)| parts.push(part));
    }
    parts.map(|parts| Tensor::cat(parts, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Int;

    #[test]
    fn many_pictures_are_measured_in_parts_and_keep_their_order() {
        let device = Device::flex();
        let n = 2 * CHUNK + 3;
        let x = Tensor::<1, Int>::arange(0..n as i64, &device).float().reshape([n, 1, 1, 1]).expand([n, 3, 2, 2]);
        let most = std::cell::Cell::new(0);
        let [means, doubled] = in_chunks(x, |x| {
            most.set(most.get().max(x.dims()[0]));
            [mean(x.clone()), mean(x * 2.0)]
        });
        assert_eq!(most.get(), CHUNK);
        assert_eq!([means.dims(), doubled.dims()], [[n, 3]; 2]);
        let means: Vec<f32> = means.into_data().iter().collect();
        let doubled: Vec<f32> = doubled.into_data().iter().collect();
        assert!((0..n).all(|i| means[3 * i] == i as f32 && doubled[3 * i + 2] == 2.0 * i as f32));
    }

    #[test]
    fn freezing_reaches_every_layer() {
        let device = Device::flex();
        let net = InceptionConfig::paper_code().init(&device);
        let before = net.num_params();
        // Of a normalisation's four numbers a channel one is left, the bias; there are 17,216 channels in all.
        assert_eq!(before - net.freeze(false).num_params(), 3 * 17_216);
    }
}
