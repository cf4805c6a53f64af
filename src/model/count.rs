//! How many numbers each network of a family has, from its shape alone: for forecasting memory before anything loads.

use super::family::{FamilyConfig, Role};
use super::published::manifest;

impl FamilyConfig {
    /// Trainable numbers in the network that plays `role`.
    pub fn parameters(&self, role: Role) -> u64 {
        manifest::numbers(&match role {
            Role::Tokenizer => manifest::vq(&self.vq),
            Role::Prior => manifest::gpt(&self.gpt),
            Role::Clip | Role::Preference => manifest::clip(&self.clip),
            Role::Features | Role::Judge => manifest::features(&self.features),
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::prelude::Device;

    use super::*;

    #[test]
    fn the_manifests_count_what_the_networks_have() {
        let device = Device::flex();
        for c in [FamilyConfig::tiny(), FamilyConfig::small()] {
            let real = [
                (Role::Tokenizer, c.vq.init(&device).num_params()),
                (Role::Prior, c.gpt.init(&device).num_params()),
                (Role::Clip, c.clip.init(&device).num_params()),
                (Role::Judge, c.features.init(&device).num_params()),
            ];
            for (role, count) in real {
                assert_eq!(c.parameters(role), count as u64, "{} {role}", c.name);
            }
        }
    }
}
