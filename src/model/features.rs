//! A small convolutional classifier of our own: pooled features for the distribution-level reward, stage maps for
//! the tokenizer's perceptual loss, class logits for the class reward.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::vq::{conv, group_norm_silu};

/// Shape of a [`FeatureNet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureNetConfig {
    /// Channels of the stages; each stage but the first halves the grid. The last is the number of features.
    pub channels: Vec<usize>,
    /// Normalisation groups, a divisor of every stage's channels.
    pub groups: usize,
    /// Number of classes.
    pub classes: usize,
}

impl FeatureNetConfig {
    /// 32×32 pictures → 128 features, 16 classes: 32@32², 64@16², 128@8², 29 million multiply-adds a picture.
    pub fn small() -> Self {
        Self { channels: vec![32, 64, 128], groups: 16, classes: 16 }
    }

    /// For tests: 8×8 pictures → 32 features, 16 classes.
    pub fn tiny() -> Self {
        Self { channels: vec![16, 32], groups: 8, classes: 16 }
    }

    /// Length of the feature vector.
    pub fn features(&self) -> usize {
        self.channels.last().copied().unwrap_or_default()
    }

    /// A network with random weights.
    ///
    /// # Panics
    /// Panics if `channels` is empty or `groups` divides not all of them.
    pub fn init(&self, device: &Device) -> FeatureNet {
        let norm = |channels| GroupNormConfig::new(self.groups, channels).init(device);
        let layer = |from, to, stride| {
            Conv2dConfig::new([from, to], [3, 3])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device)
        };
        let stage = |pair: &[usize]| FeatureStage {
            norm1: norm(pair[0]),
            conv1: layer(pair[0], pair[1], 2),
            norm2: norm(pair[1]),
            conv2: layer(pair[1], pair[1], 1),
        };
        FeatureNet {
            conv_in: layer(3, self.channels[0], 1),
            stages: self.channels.windows(2).map(stage).collect(),
            norm_out: norm(self.features()),
            classifier: LinearConfig::new(self.features(), self.classes).init(device),
        }
    }
}

/// Halves the grid with one convolution, then adds a second one to its result.
#[derive(Module, Debug)]
pub struct FeatureStage {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
}

impl FeatureStage {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = conv(&self.conv1, group_norm_silu(&self.norm1, x));
        x.clone() + conv(&self.conv2, group_norm_silu(&self.norm2, x))
    }
}

/// The classifier; see the module's text.
#[derive(Module, Debug)]
pub struct FeatureNet {
    conv_in: Conv2d,
    stages: Vec<FeatureStage>,
    norm_out: GroupNorm,
    classifier: Linear,
}

impl FeatureNet {
    /// Length of the feature vector.
    pub fn dim(&self) -> usize {
        self.norm_out.num_channels
    }

    /// Outputs of all stages, finest first, for pictures `[n, 3, h, w]` in [0, 1]: `[n, channels, h / 2^i, w / 2^i]`.
    pub fn maps(&self, pictures: Tensor<4>) -> Vec<Tensor<4>> {
        let mut maps = vec![conv(&self.conv_in, pictures * 2.0 - 1.0)];
        for stage in &self.stages {
            let next = stage.forward(maps[maps.len() - 1].clone());
            maps.push(next);
        }
        maps
    }

    /// Features `[n, features]` of pictures `[n, 3, h, w]` in [0, 1]: the last map, normalised and averaged.
    pub fn features(&self, pictures: Tensor<4>) -> Tensor<2> {
        let x = self.stages.iter().fold(conv(&self.conv_in, pictures * 2.0 - 1.0), |x, stage| stage.forward(x));
        let x = group_norm_silu(&self.norm_out, x);
        let [n, c, h, w] = x.dims();
        x.reshape([n, c, h * w]).mean_dim(2).reshape([n, c])
    }

    /// Class logits `[n, classes]` of features `[n, features]`.
    pub fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        self.classifier.forward(features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::loss::CrossEntropyLossConfig;
    use burn::optim::{AdamWConfig, GradientsParams};
    use burn::tensor::{Distribution, Int};

    #[test]
    fn shapes_follow_the_configuration() {
        let device = Device::flex();
        for (config, side) in [(FeatureNetConfig::small(), 32), (FeatureNetConfig::tiny(), 8)] {
            let net = config.init(&device);
            let x = Tensor::random([2, 3, side, side], Distribution::Uniform(0.0, 1.0), &device);
            let features = net.features(x.clone());
            assert_eq!(features.dims(), [2, config.features()]);
            assert_eq!(net.classify(features).dims(), [2, config.classes]);
            for (i, map) in net.maps(x).iter().enumerate() {
                assert_eq!(map.dims(), [2, config.channels[i], side >> i, side >> i]);
            }
        }
    }

    #[test]
    fn it_learns_to_tell_two_colours() {
        let device = Device::flex().autodiff();
        device.seed(3);
        let mut net = FeatureNetConfig::tiny().init(&device);
        let mut optim = AdamWConfig::new().init();
        let noise = Tensor::<4>::random([8, 3, 8, 8], Distribution::Uniform(0.0, 0.5), &device);
        let shift: Vec<f32> = (0..8 * 3).map(|i| if (i / 3) % 2 == i % 3 { 0.5 } else { 0.0 }).collect();
        let shift = Tensor::<1>::from_floats(shift.as_slice(), &device).reshape([8, 3, 1, 1]);
        let x = noise + shift;
        let classes = Tensor::<1, Int>::from_ints([0, 1, 0, 1, 0, 1, 0, 1], &device);
        let entropy = CrossEntropyLossConfig::new().init(&device);
        let mut last = f32::INFINITY;
        for _ in 0..30 {
            let loss = entropy.forward(net.classify(net.features(x.clone())), classes.clone());
            last = loss.clone().into_scalar::<f32>();
            let grads = GradientsParams::from_grads(loss.backward(), &net);
            net = optim.step(1e-2, net, grads);
        }
        assert!(last < 0.1, "{last}");
    }
}
