//! Which network plays which part: the settings' names, looked up among what is published.

use crate::config::RunConfig;
use crate::config::networks::{NONE, OWN, is_own};
use crate::model::published::{Architecture, Published};

/// Who plays a part that may stay empty.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// The network that belongs to the program's own policy.
    Own,
    /// Nobody.
    None,
    /// A published network.
    Published(&'static Published),
}

/// The parts of a run. `None`: the network of the program's own family.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// What is tuned.
    pub policy: Option<&'static Published>,
    /// What turns pictures into tokens and back; also `None` where the policy's file brings its own.
    pub tokenizer: Option<&'static Published>,
    /// Who scores the match with the prompt.
    pub clip: Part,
    /// Who scores preference.
    pub preference: Part,
    /// Whose features the distribution reward compares.
    pub features: Option<&'static Published>,
}

impl Cast {
    /// Whether any part is played by a published network.
    pub fn names_published(&self) -> bool {
        let played = |part: &Part| matches!(part, Part::Published(_));
        self.policy.or(self.tokenizer).or(self.features).is_some()
            || [&self.clip, &self.preference].into_iter().any(played)
    }

    /// The cast that `config` asks for. What belongs to a published policy is what the paper's code has beside it.
    pub fn of(config: &RunConfig) -> Self {
        let own = is_own(&config.model);
        let policy = if own { None } else { Published::named(&config.model) };
        let brings = policy.is_some_and(|policy| matches!(policy.architecture, Architecture::Net2Net(..)));
        let tokenizer = match config.tokenizer.as_str() {
            OWN if own || brings => None,
            OWN if policy.is_some_and(Published::is_of_captions) => Published::named("vq-16-t2i"),
            OWN => Published::named("vq-16"),
            name => Published::named(name),
        };
        let part = |name: &str, papers: &str| match name {
            NONE => Part::None,
            OWN if own => Part::Own,
            OWN => Published::named(papers).map_or(Part::None, Part::Published),
            name => Published::named(name).map_or(Part::None, Part::Published),
        };
        let features = match config.feature_network.as_str() {
            OWN if own => None,
            OWN => Published::named("inception-imagenet"),
            name => Published::named(name),
        };
        Self {
            policy,
            tokenizer,
            clip: part(&config.clip_network, "clip-vit-l-14"),
            preference: part(&config.preference_network, "hpsv2.1"),
            features,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::networks::{CLIPS, FEATURES, POLICIES, PREFERENCES, TOKENIZERS};
    use crate::model::family::FamilyConfig;

    fn plays(names: &[&str], fits: impl Fn(&Architecture) -> bool) {
        for name in names.iter().filter(|name| ![OWN, NONE, "small", "tiny"].contains(name)) {
            let network = Published::named(name).unwrap_or_else(|| panic!("{name} is not published"));
            assert!(fits(&network.architecture), "{name} is another kind of network");
        }
    }

    #[test]
    fn every_name_that_settings_may_give_is_a_published_network_of_its_kind() {
        plays(POLICIES, |a| matches!(a, Architecture::Gpt(_) | Architecture::Net2Net(..)));
        plays(TOKENIZERS, |a| matches!(a, Architecture::Vq(_) | Architecture::TamingVq(_)));
        plays(CLIPS, |a| matches!(a, Architecture::Clip(_)));
        plays(PREFERENCES, |a| matches!(a, Architecture::Clip(_)));
        plays(FEATURES, |a| matches!(a, Architecture::Inception(_) | Architecture::EfficientNetLite0));
    }

    #[test]
    fn what_belongs_to_a_published_policy_is_what_the_paper_has_beside_it() {
        let shapes = |model: &str| FamilyConfig::of(&RunConfig { model: model.into(), ..RunConfig::default() });
        let paper = shapes("llamagen-l");
        assert_eq!((paper.side, paper.grid, paper.gpt.num_classes()), (256, 16, 1000));
        assert_eq!(paper.clip.map(|c| c.vision.width), Some(1024));
        assert_eq!(paper.preference.map(|c| c.vision.width), Some(1280));
        assert_eq!(paper.features.features(), 2048);
        let large = shapes("llamagen-xl-384");
        assert_eq!((large.side, large.grid), (384, 24));
        let taming = shapes("taming-cin");
        assert_eq!((taming.side, taming.vq.codebook_embed_dim), (256, 256));
        assert_eq!(shapes("llamagen-xl-t2i-512").side, 512);
    }

    #[test]
    fn the_small_model_may_be_paid_by_published_networks() {
        let config = RunConfig {
            clip_network: "clip-vit-b-32".into(),
            preference_network: NONE.into(),
            preference_weight: 0.0,
            ..RunConfig::default()
        };
        let shapes = FamilyConfig::of(&config);
        assert_eq!((shapes.side, shapes.preference), (32, None));
        assert_eq!(shapes.clip.map(|c| c.vision.image_size), Some(224));
    }
}
