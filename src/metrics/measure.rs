//! What figures are called. The field's names alone belong to the field's networks: a Fréchet distance is FID, and no more
//! need be said, on the Inception of 2015 with pictures prepared as one of the usual programs does. On any other network
//! the name says which.

use crate::model::feature_network::FeatureNetwork;

/// A figure that depends on a feature network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// [`super::frechet`].
    Frechet,
    /// [`super::kid`].
    Kernel,
    /// [`super::inception_score`], of [`FeatureNetwork::logits`].
    InceptionScore,
    /// [`super::prdc`].
    Neighbours,
}

impl Measure {
    /// The figure's name on `network`: what [`super::Protocol::network`] holds.
    pub fn on(self, network: &FeatureNetwork) -> String {
        let (of_inception, of_others) = match self {
            Self::Frechet => ("FID", "FD"),
            Self::Kernel => ("KID", "KD"),
            Self::InceptionScore => ("IS", "IS"),
            Self::Neighbours => ("PRDC", "PRDC"),
        };
        let numbers = match self {
            Self::InceptionScore if network.fid_of().is_some() => "logits without bias".to_string(),
            Self::InceptionScore => "logits".to_string(),
            _ => format!("{}-d", network.dim()),
        };
        match (network.fid_of(), network) {
            (Some(program), _) => format!("{of_inception} ({program}, Inception 2015, {numbers})"),
            (None, FeatureNetwork::Inception(net)) => {
                format!("{of_inception}-{} ({numbers}, {})", network.name(), net.config().preprocessing.protocol())
            }
            (None, _) => format!("{of_others}-{} ({numbers})", network.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Protocol;
    use super::*;
    use crate::model::efficientnet::EfficientNetLite0Config;
    use crate::model::features::FeatureNetConfig;
    use crate::model::inception::{InceptionConfig, Preprocessing};
    use crate::model::published::InceptionVariant;
    use burn::tensor::Device;

    fn inception(config: InceptionConfig) -> FeatureNetwork {
        FeatureNetwork::Inception(Box::new(config.init(&Device::flex())))
    }

    #[test]
    fn only_the_usual_networks_and_ways_bear_the_usual_names() {
        let device = Device::flex();
        let name = |measure: Measure, network: &FeatureNetwork| measure.on(network);
        let fid = inception(InceptionConfig::pytorch_fid());
        assert_eq!(name(Measure::Frechet, &fid), "FID (pytorch-fid, Inception 2015, 2048-d)");
        let fidelity = inception(InceptionConfig::torch_fidelity());
        assert_eq!(name(Measure::Kernel, &fidelity), "KID (torch-fidelity, Inception 2015, 2048-d)");
        assert_eq!(
            name(Measure::InceptionScore, &fidelity),
            "IS (torch-fidelity, Inception 2015, logits without bias)"
        );
        let paper = inception(InceptionConfig::paper_code());
        let way = "antialiased bilinear to 299x299, ImageNet mean and std (paper code)";
        assert_eq!(name(Measure::Frechet, &paper), format!("FID-ImageNet-Inception (2048-d, {way})"));
        let mixed = InceptionConfig { variant: InceptionVariant::Fid, preprocessing: Preprocessing::PaperCode };
        assert_eq!(name(Measure::Frechet, &inception(mixed)), format!("FID-Inception-2015 (2048-d, {way})"));
        let other = FeatureNetwork::EfficientNet(Box::new(EfficientNetLite0Config::default().init(&device)));
        assert_eq!(name(Measure::Frechet, &other), "FD-EfficientNet-Lite0 (1280-d)");
        let small = FeatureNetwork::Small(Box::new(FeatureNetConfig::tiny().init(&device)));
        assert_eq!(name(Measure::Neighbours, &small), "PRDC-small (32-d)");
    }

    #[test]
    fn a_distance_of_few_samples_says_that_it_is_biased() {
        let mut protocol = Protocol {
            network: Measure::Frechet.on(&inception(InceptionConfig::pytorch_fid())),
            n: 1000,
            n_reference: 50_000,
            guidance: 1.0,
            temperature: 1.0,
            seed: 0,
            reference_hash: "0123456789".into(),
            note: String::new(),
        };
        let want = "FID (pytorch-fid, Inception 2015, 2048-d), N = 1,000 (biased, N < 2,048), guidance 1, seed 0, \
                    reference 01234567 (N = 50,000)";
        assert_eq!(protocol.to_string(), want);
        protocol.n = 2048;
        assert!(!protocol.to_string().contains("biased"));
    }
}
