//! A network that describes pictures: features to compare distributions by, and its guess at their class.

use burn::prelude::*;

use super::efficientnet::{EfficientNetLite0, EfficientNetLite0Config};
use super::features::{FeatureNet, FeatureNetConfig};

/// Shape of a [`FeatureNetwork`].
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureShape {
    /// The small classifier of this program.
    Small(FeatureNetConfig),
    /// EfficientNet-Lite0.
    EfficientNet(EfficientNetLite0Config),
}

impl FeatureShape {
    /// Length of the feature vector.
    pub fn features(&self) -> usize {
        match self {
            Self::Small(config) => config.features(),
            Self::EfficientNet(_) => 1280,
        }
    }

    /// Channels that the widest map of a picture of `side` pixels would have at full size: for forecasting memory.
    pub fn widest_map(&self, side: usize) -> u64 {
        match self {
            Self::Small(config) => config.channels.first().copied().unwrap_or_default() as u64,
            // 96 channels at half the side to which pictures are resized.
            Self::EfficientNet(config) => (24 * config.side * config.side).div_ceil((side * side).max(1)) as u64,
        }
    }
}

/// A network that describes pictures.
#[derive(Clone, Debug)]
pub enum FeatureNetwork {
    /// The small classifier of this program.
    Small(FeatureNet),
    /// EfficientNet-Lite0.
    EfficientNet(EfficientNetLite0),
}

impl FeatureNetwork {
    /// Features `[n, features]` of pictures `[n, 3, h, w]` in [0, 1].
    pub fn features(&self, pictures: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Small(net) => net.features(pictures),
            Self::EfficientNet(net) => net.features(pictures),
        }
    }

    /// Class logits `[n, classes]` of features `[n, features]`.
    pub fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Small(net) => net.classify(features),
            Self::EfficientNet(net) => net.logits(features),
        }
    }
}
