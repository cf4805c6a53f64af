//! One of the networks whose features distances and distribution rewards are taken of, and what its numbers are called.

use burn::tensor::Tensor;

use super::efficientnet::EfficientNetLite0;
use super::features::FeatureNet;
use super::inception::Inception;

/// A frozen network that turns pictures into vectors.
#[derive(Clone, Debug)]
pub enum FeatureNetwork {
    /// Our own, of the shipped world.
    Small(FeatureNet),
    /// Inception-v3, FID's or torchvision's.
    Inception(Box<Inception>),
    /// EfficientNet-Lite0.
    EfficientNet(EfficientNetLite0),
}

impl FeatureNetwork {
    /// Features `[n, dim]` of pictures `[n, 3, h, w]` in [0, 1]. Inception takes any number of them at once, the others
    /// as many as memory holds.
    pub fn features(&self, pictures: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Small(net) => net.features(pictures),
            Self::Inception(net) => net.features(pictures),
            Self::EfficientNet(net) => net.features(pictures),
        }
    }

    /// Class logits `[n, classes]` of features `[n, dim]`.
    pub fn logits(&self, features: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Small(net) => net.classify(features),
            Self::Inception(net) => net.logits(features),
            Self::EfficientNet(net) => net.logits(features),
        }
    }
}
