//! One of the networks whose features distances and distribution rewards are taken of, and what its numbers are called.

use burn::tensor::Tensor;

use super::efficientnet::EfficientNetLite0;
use super::features::FeatureNet;
use super::inception::{FEATURES, Inception, Preprocessing};
use super::published::InceptionVariant;

/// A frozen network that turns pictures into vectors.
#[derive(Clone, Debug)]
pub enum FeatureNetwork {
    /// Our own, of the shipped world.
    Small(Box<FeatureNet>),
    /// Inception-v3, FID's or torchvision's.
    Inception(Box<Inception>),
    /// EfficientNet-Lite0.
    EfficientNet(Box<EfficientNetLite0>),
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

    /// Class logits `[n, classes]` of features `[n, dim]`, of the kind that the inception score is taken of: without the
    /// last layer's bias where the network is FID's, else with it.
    pub fn logits(&self, features: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Small(net) => net.classify(features),
            Self::Inception(net) if net.config().variant == InceptionVariant::Fid => net.logits_unbiased(features),
            Self::Inception(net) => net.logits(features),
            Self::EfficientNet(net) => net.logits(features),
        }
    }

    /// Length of a feature vector.
    pub fn dim(&self) -> usize {
        match self {
            Self::Small(net) => net.dim(),
            Self::Inception(_) => FEATURES,
            Self::EfficientNet(net) => net.dim(),
        }
    }

    /// A short name, for those of figures.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Small(_) => "small",
            Self::EfficientNet(_) => "EfficientNet-Lite0",
            Self::Inception(net) => match net.config().variant {
                InceptionVariant::Fid => "Inception-2015",
                InceptionVariant::ImageNet => "ImageNet-Inception",
            },
        }
    }

    /// Whose FID is measured with this network and its way of preparing pictures; `None` where nobody's is.
    pub fn fid_of(&self) -> Option<&'static str> {
        let Self::Inception(net) = self else { return None };
        let config = net.config();
        match (config.variant, config.preprocessing) {
            (InceptionVariant::Fid, Preprocessing::PytorchFid) => Some("pytorch-fid"),
            (InceptionVariant::Fid, Preprocessing::TorchFidelity) => Some("torch-fidelity"),
            _ => None,
        }
    }

    /// One line that fixes what the features are; belongs beside every number computed from them.
    pub fn protocol(&self) -> String {
        match self {
            Self::Small(net) => format!("small feature network, {} pooled features, 2x-1", net.dim()),
            Self::Inception(net) => net.config().protocol(),
            Self::EfficientNet(net) => net.config().protocol(),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::model::efficientnet::EfficientNetLite0Config;
    use crate::model::features::FeatureNetConfig;

    #[test]
    fn features_are_as_long_as_the_network_says_and_so_says_its_protocol() {
        let device = Device::flex();
        let x = || Tensor::<4>::random([2, 3, 8, 8], Distribution::Uniform(0.0, 1.0), &device);
        let efficient_net = EfficientNetLite0Config { side: 32 }.init(&device);
        let networks = [
            (FeatureNetwork::Small(Box::new(FeatureNetConfig::tiny().init(&device))), 16),
            (FeatureNetwork::EfficientNet(Box::new(efficient_net)), 1000),
        ];
        for (network, classes) in networks {
            let features = network.features(x());
            assert_eq!(features.dims(), [2, network.dim()], "{}", network.name());
            assert_eq!(network.logits(features).dims(), [2, classes]);
            assert!(network.protocol().contains(&format!("{} pooled features", network.dim())));
            assert!(network.fid_of().is_none());
        }
    }
}
