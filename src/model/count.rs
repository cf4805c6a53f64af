//! How many numbers each network of a family has, from its shape alone: for forecasting memory before anything loads.

use super::clip::ClipConfig;
use super::family::{FamilyConfig, FeatureShape, Role};
use super::policy::PolicyConfig;
use super::published::manifest::{self, Manifest};

impl FamilyConfig {
    /// Numbers in the network that plays `role`; 0 where nobody does.
    pub fn parameters(&self, role: Role) -> u64 {
        let towers = |clip: &Option<ClipConfig>| clip.as_ref().map(manifest::clip).unwrap_or_default();
        let held = match role {
            Role::Tokenizer => manifest::vq(&self.vq),
            Role::Prior => match &self.gpt {
                PolicyConfig::LlamaGen(gpt) => manifest::gpt(gpt),
                PolicyConfig::Taming(gpt) => manifest::mingpt(gpt),
            },
            Role::Clip => towers(&self.clip),
            Role::Preference => towers(&self.preference),
            Role::Features => network(&self.features),
            Role::Judge => network(&self.judge),
        };
        // taming's files also hold the causal mask, once a layer.
        let weights: Manifest = held.into_iter().filter(|(key, _)| !key.ends_with("attn.mask")).collect();
        manifest::numbers(&weights)
    }
}

fn network(shape: &FeatureShape) -> Manifest {
    match shape {
        FeatureShape::Small(config) => manifest::features(config),
        FeatureShape::Inception(config) => manifest::inception(config.variant),
        FeatureShape::EfficientNet(_) => manifest::efficientnet_lite0(),
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::prelude::Device;

    use super::*;
    use crate::model::family::OwnConfig;
    use crate::model::mingpt::MinGptConfig;
    use crate::model::vq::VqConfig;

    #[test]
    fn the_manifests_count_what_the_networks_have() {
        let device = Device::flex();
        for own in [OwnConfig::tiny(), OwnConfig::small()] {
            let real = [
                (Role::Tokenizer, own.vq.init(&device).num_params()),
                (Role::Prior, own.gpt.init(&device).num_params()),
                (Role::Clip, own.clip.init(&device).num_params()),
                (Role::Judge, own.features.init(&device).num_params()),
            ];
            let c = FamilyConfig::from(own);
            for (role, count) in real {
                assert_eq!(c.parameters(role), count as u64, "{} {role}", c.name);
            }
        }
        let vqgan = VqConfig { attn_resolutions: Some(vec![8, 4]), ..VqConfig::tiny() };
        assert_eq!(manifest::numbers(&manifest::vq(&vqgan)), vqgan.init(&device).num_params() as u64);
        // Those of the published networks are known.
        let published = [VqConfig::vqgan(1024), VqConfig::vqgan(16_384), VqConfig::vq8(), VqConfig::vq16()];
        let counts = published.map(|c| manifest::numbers(&manifest::vq(&c)));
        assert_eq!(counts, [72_141_699, 76_073_859, 70_109_835, 71_883_403]);
        let gpt = PolicyConfig::Taming(MinGptConfig::tiny());
        let count = gpt.init(&device).num_params() as u64;
        let c = FamilyConfig { gpt, ..OwnConfig::tiny().into() };
        assert_eq!(c.parameters(Role::Prior), count);
    }
}
