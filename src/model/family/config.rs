//! Shapes of the networks that belong together, known from the settings before anything loads.

use crate::config::RunConfig;
use crate::data::prompts::PromptForm;
use crate::model::clip::ClipConfig;
use crate::model::feature_network::FeatureShape;
use crate::model::features::FeatureNetConfig;
use crate::model::policy::PolicyConfig;
use crate::model::transformer::GptConfig;
use crate::model::vq::VqConfig;

/// Shapes of a family of this program's own, which `artune pretrain` trains.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnConfig {
    /// `small` or `tiny`.
    pub name: &'static str,
    /// Side of the pictures in pixels.
    pub side: usize,
    /// Rows and columns of the token grid.
    pub grid: usize,
    /// The tokenizer's.
    pub vq: VqConfig,
    /// The prior's.
    pub gpt: PolicyConfig,
    /// Both reward towers'.
    pub clip: ClipConfig,
    /// The feature network's and the judge's.
    pub features: FeatureNetConfig,
}

impl OwnConfig {
    /// 32x32 pictures of 64 tokens: the default, with weights that ship.
    pub fn small() -> Self {
        Self::small_of(GptConfig::small().num_classes)
    }

    /// As [`Self::small`], for pictures of another number of classes.
    pub fn small_of(classes: usize) -> Self {
        Self {
            name: "small",
            side: 32,
            grid: 8,
            vq: VqConfig::small(),
            gpt: PolicyConfig::LlamaGen(GptConfig { num_classes: classes, ..GptConfig::small() }),
            clip: ClipConfig::small(),
            features: FeatureNetConfig { classes, ..FeatureNetConfig::small() },
        }
    }

    /// 8x8 pictures of 16 tokens, with procedural weights: for tests on software adapters.
    pub fn tiny() -> Self {
        Self {
            name: "tiny",
            side: 8,
            grid: 4,
            vq: VqConfig::tiny(),
            gpt: PolicyConfig::LlamaGen(GptConfig::tiny()),
            clip: ClipConfig::tiny(),
            features: FeatureNetConfig::tiny(),
        }
    }
}

/// Shapes of the networks that a run works with.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyConfig {
    /// What is tuned: a name of [`POLICIES`](crate::config::networks::POLICIES).
    pub name: String,
    /// Side of the pictures in pixels.
    pub side: usize,
    /// Rows and columns of the token grid.
    pub grid: usize,
    /// The tokenizer's.
    pub vq: VqConfig,
    /// The policy's.
    pub gpt: PolicyConfig,
    /// The towers' that score the match with the prompt; `None` where that is not scored.
    pub clip: Option<ClipConfig>,
    /// The towers' that score preference; `None` where that is not scored.
    pub preference: Option<ClipConfig>,
    /// The network's whose features the distribution reward compares.
    pub features: FeatureShape,
    /// The classifier's that nothing is rewarded by.
    pub judge: FeatureShape,
    /// How prompts are worded.
    pub prompt: PromptForm,
}

impl FamilyConfig {
    /// The shapes of the networks that `config` names, as far as they are known before any file is read: a file of
    /// weights may know another number of classes.
    pub fn of(config: &RunConfig) -> Self {
        match config.model.as_str() {
            "tiny" => OwnConfig::tiny().into(),
            _ => OwnConfig::small().into(),
        }
    }
}

impl From<OwnConfig> for FamilyConfig {
    fn from(own: OwnConfig) -> Self {
        Self {
            name: own.name.into(),
            side: own.side,
            grid: own.grid,
            vq: own.vq,
            gpt: own.gpt,
            clip: Some(own.clip.clone()),
            preference: Some(own.clip),
            features: FeatureShape::Small(own.features.clone()),
            judge: FeatureShape::Small(own.features),
            prompt: PromptForm::Picture,
        }
    }
}
