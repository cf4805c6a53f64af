//! Shapes of the networks that belong together, known from the settings before anything loads.

use super::cast::{Cast, Part};
use crate::config::RunConfig;
use crate::data::prompts::PromptForm;
use crate::model::clip::ClipConfig;
use crate::model::efficientnet::{self, EfficientNetLite0Config};
use crate::model::features::FeatureNetConfig;
use crate::model::inception::{self, InceptionConfig, InceptionVariant};
use crate::model::policy::PolicyConfig;
use crate::model::published::{Architecture, Published};
use crate::model::transformer::{GptConfig, ModelType};
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
    /// weights may know another number of classes, a file of captions their number.
    pub fn of(config: &RunConfig) -> Self {
        let cast = Cast::of(config);
        let mut shapes = match cast.policy {
            None if config.model == "tiny" => OwnConfig::tiny().into(),
            None => OwnConfig::small().into(),
            Some(policy) => Self::published(policy, cast.tokenizer),
        };
        for (shape, part) in [(&mut shapes.clip, cast.clip), (&mut shapes.preference, cast.preference)] {
            match part {
                Part::Own => {}
                Part::None => *shape = None,
                Part::Published(network) => *shape = network.clip().cloned(),
            }
        }
        if let Some(features) = cast.features {
            shapes.features = FeatureShape::of(features);
        }
        shapes
    }

    /// As [`Self::of`], for a run with these captions in place of classes.
    pub fn with_captions(mut self, captions: usize) -> Self {
        if let PolicyConfig::LlamaGen(gpt) = &mut self.gpt {
            gpt.num_classes = captions;
        }
        self
    }

    fn published(policy: &Published, tokenizer: Option<&Published>) -> Self {
        let (gpt, inside) = match &policy.architecture {
            Architecture::Net2Net(gpt, vq) => (PolicyConfig::Taming(gpt.clone()), Some(vq)),
            Architecture::Gpt(gpt) => (PolicyConfig::LlamaGen(gpt.clone()), None),
            other => unreachable!("{} writes no tokens: {other}", policy.name), // the table of policies is tested
        };
        let vq = tokenizer.and_then(Published::vq).or(inside).cloned().unwrap_or_else(VqConfig::vq16);
        let grid = gpt.block_size().isqrt();
        let of_captions = matches!(&gpt, PolicyConfig::LlamaGen(gpt) if gpt.model_type == ModelType::T2i);
        Self {
            name: policy.name.into(),
            side: grid * vq.downsample(),
            grid,
            vq,
            gpt,
            clip: None,
            preference: None,
            features: FeatureShape::Inception(InceptionConfig::paper_code()),
            // ImageNet's classes, from a network that nothing is ever rewarded by, at the size it was trained for.
            judge: FeatureShape::EfficientNet(EfficientNetLite0Config { side: 224 }),
            prompt: if of_captions { PromptForm::Verbatim } else { PromptForm::Photo },
        }
    }
}

/// Shape of a [`FeatureNetwork`](crate::model::feature_network::FeatureNetwork).
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureShape {
    /// The small classifier of this program.
    Small(FeatureNetConfig),
    /// Inception-v3.
    Inception(InceptionConfig),
    /// EfficientNet-Lite0.
    EfficientNet(EfficientNetLite0Config),
}

impl FeatureShape {
    /// Of a published network, with pictures entering it as its own users have them.
    pub(super) fn of(network: &Published) -> Self {
        match network.architecture {
            Architecture::Inception(InceptionVariant::Fid) => Self::Inception(InceptionConfig::pytorch_fid()),
            Architecture::Inception(InceptionVariant::ImageNet) => Self::Inception(InceptionConfig::paper_code()),
            _ => Self::EfficientNet(EfficientNetLite0Config { side: 224 }),
        }
    }

    /// Length of the feature vector.
    pub fn features(&self) -> usize {
        match self {
            Self::Small(config) => config.features(),
            Self::Inception(_) => inception::FEATURES,
            Self::EfficientNet(_) => efficientnet::HEAD,
        }
    }

    /// Numbers in the widest map of one picture of `side` pixels: for forecasting memory.
    pub fn widest_map(&self, side: usize) -> u64 {
        let numbers = match self {
            Self::Small(config) => config.channels.first().copied().unwrap_or_default() * side * side,
            Self::Inception(_) => 64 * 147 * 147,
            // 96 channels at half the side to which pictures are resized.
            Self::EfficientNet(config) => 24 * config.side * config.side,
        };
        numbers as u64
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
