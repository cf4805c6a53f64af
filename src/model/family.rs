//! A family of networks that belong together: tokenizer, prior, rewards and judges over the same pictures.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use burn::module::{ModuleMapper, Param};
use burn::prelude::*;
use thiserror::Error;

use super::clip::{Clip, ClipConfig};
use super::features::{FeatureNet, FeatureNetConfig};
use super::transformer::{GptConfig, Transformer};
use super::vq::{VqConfig, VqModel};
use super::weights::{self, WeightsError};
use crate::platform::rng::Key;

/// Seed of the tiny family's weights.
const PROCEDURAL_SEED: u64 = 2603_23086;

/// The five networks that `artune pretrain` can train, and the judge of `artune eval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Picture ↔ tokens.
    Tokenizer,
    /// Writes the tokens; what reinforcement learning tunes.
    Prior,
    /// Does the picture match the prompt?
    Clip,
    /// Is the picture well made? A stand-in for HPSv2, trained on pairs that are ordered by construction.
    Preference,
    /// Feature space of the distribution reward.
    Features,
    /// A classifier trained like `Features` from another seed, which nothing is ever rewarded by.
    Judge,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] =
        [Self::Tokenizer, Self::Prior, Self::Clip, Self::Preference, Self::Features, Self::Judge];

    /// The role's name, also its weight file's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokenizer => "tokenizer",
            Self::Prior => "prior",
            Self::Clip => "clip",
            Self::Preference => "preference",
            Self::Features => "features",
            Self::Judge => "judge",
        }
    }

    /// The weights that ship inside the program; empty before they were trained.
    fn embedded(self) -> &'static [u8] {
        match self {
            Self::Tokenizer => include_bytes!("../../assets/small/tokenizer.safetensors"),
            Self::Prior => include_bytes!("../../assets/small/prior.safetensors"),
            Self::Clip => include_bytes!("../../assets/small/clip.safetensors"),
            Self::Preference => include_bytes!("../../assets/small/preference.safetensors"),
            Self::Features => include_bytes!("../../assets/small/features.safetensors"),
            Self::Judge => include_bytes!("../../assets/small/judge.safetensors"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a family could not be put together.
#[derive(Debug, Error)]
pub enum FamilyError {
    /// The program was built before this network's weights were trained.
    #[error("the {0} has no weights yet; train them with `artune pretrain {0}`")]
    Untrained(Role),
    /// A weight file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The weights do not fit.
    #[error("the {role}'s weights do not load: {source}")]
    Weights {
        /// Whose.
        role: Role,
        /// Why.
        source: WeightsError,
    },
}

/// Shapes of a family's networks.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyConfig {
    /// `small` or `tiny`.
    pub name: &'static str,
    /// Side of the pictures in pixels.
    pub side: usize,
    /// Rows and columns of the token grid.
    pub grid: usize,
    /// The tokenizer's.
    pub vq: VqConfig,
    /// The prior's.
    pub gpt: GptConfig,
    /// Both reward towers'.
    pub clip: ClipConfig,
    /// The feature network's and the judge's.
    pub features: FeatureNetConfig,
}

impl FamilyConfig {
    /// 32x32 pictures of 64 tokens: the default, with weights that ship.
    pub fn small() -> Self {
        Self {
            name: "small",
            side: 32,
            grid: 8,
            vq: VqConfig::small(),
            gpt: GptConfig::small(),
            clip: ClipConfig::small(),
            features: FeatureNetConfig::small(),
        }
    }

    /// 8x8 pictures of 16 tokens, with procedural weights: for tests on software adapters.
    pub fn tiny() -> Self {
        Self {
            name: "tiny",
            side: 8,
            grid: 4,
            vq: VqConfig::tiny(),
            gpt: GptConfig::tiny(),
            clip: ClipConfig::tiny(),
            features: FeatureNetConfig::tiny(),
        }
    }
}

/// The networks of one family on one device. Frozen: tuning works on a copy of the prior.
#[derive(Clone, Debug)]
pub struct Family {
    /// Shapes.
    pub config: FamilyConfig,
    /// Picture ↔ tokens.
    pub tokenizer: VqModel,
    /// The pretrained prior: where tuning starts, and the reference it is held to.
    pub prior: Transformer,
    /// The prompt-match reward.
    pub clip: Clip,
    /// The preference reward.
    pub preference: Clip,
    /// Features of the distribution reward.
    pub features: FeatureNet,
    /// The unrewarded classifier.
    pub judge: FeatureNet,
}

impl Family {
    /// The family called `name` on `device`: `small`, or `tiny` with procedural weights. A file `<role>.safetensors`
    /// in `folder` stands in for what ships.
    ///
    /// # Errors
    /// Where weights are missing or do not fit.
    pub fn load(name: &str, folder: Option<&Path>, device: &Device) -> Result<Self, FamilyError> {
        if name == "tiny" {
            return Self::procedural(FamilyConfig::tiny(), device);
        }
        let config = FamilyConfig::small();
        Ok(Self {
            tokenizer: load(Role::Tokenizer, config.vq.init(device), folder)?,
            prior: load(Role::Prior, config.gpt.init(device), folder)?,
            clip: load(Role::Clip, config.clip.init(device), folder)?,
            preference: load(Role::Preference, config.clip.init(device), folder)?,
            features: load(Role::Features, config.features.init(device), folder)?,
            judge: load(Role::Judge, config.features.init(device), folder)?,
            config,
        })
    }

    /// Random weights that are a function of nothing but their place, so the same on every device and in every run.
    fn procedural(config: FamilyConfig, device: &Device) -> Result<Self, FamilyError> {
        let cpu = Device::flex();
        Ok(Self {
            tokenizer: procedural(Role::Tokenizer, config.vq.init(&cpu), config.vq.init(device))?,
            prior: procedural(Role::Prior, config.gpt.init_random_head(&cpu), config.gpt.init(device))?,
            clip: procedural(Role::Clip, config.clip.init(&cpu), config.clip.init(device))?,
            preference: procedural(Role::Preference, config.clip.init(&cpu), config.clip.init(device))?,
            features: procedural(Role::Features, config.features.init(&cpu), config.features.init(device))?,
            judge: procedural(Role::Judge, config.features.init(&cpu), config.features.init(device))?,
            config,
        })
    }
}

/// Fills `module` with `<role>.safetensors` of `folder` where there is one, else with the weights that ship.
///
/// # Errors
/// [`FamilyError::Untrained`] where there are none yet, [`FamilyError::Weights`] where they do not fit.
pub fn load<M: Module>(role: Role, mut module: M, folder: Option<&Path>) -> Result<M, FamilyError> {
    let file = folder.map(|f| f.join(format!("{role}.safetensors"))).filter(|f| f.is_file());
    let bytes = match file {
        Some(path) => {
            let wrap = |source| FamilyError::Io { path: path.display().to_string(), source };
            Cow::Owned(std::fs::read(&path).map_err(wrap)?)
        }
        None => Cow::Borrowed(role.embedded()),
    };
    if bytes.is_empty() {
        return Err(FamilyError::Untrained(role));
    }
    weights::load(&mut module, &bytes).map_err(|source| FamilyError::Weights { role, source })?;
    Ok(module)
}

/// Fills `from`, on the CPU, with procedural weights and carries them over to `to`.
fn procedural<M: Module>(role: Role, from: M, mut to: M) -> Result<M, FamilyError> {
    let wrap = |source| FamilyError::Weights { role, source };
    let filled = from.map(&mut Procedural { key: Key::new(PROCEDURAL_SEED).fold(role as u64), place: 0 });
    let bytes = weights::save_bytes(&filled, false, &[]).map_err(wrap)?;
    weights::load(&mut to, &bytes).map_err(wrap)?;
    Ok(to)
}

/// Gives every weight a normal number of deviation `1 / sqrt(fan in)`. Gains and biases, which start out all equal,
/// stay as they are.
struct Procedural {
    key: Key,
    place: u64,
}

impl ModuleMapper for Procedural {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.place += 1;
        let mut random = self.key.fold(self.place).stream();
        param.map(|tensor| {
            let (dims, device) = (tensor.dims(), tensor.device());
            let values: Vec<f32> = tensor.into_data().iter().collect();
            let equal = values.windows(2).all(|pair| pair[0] == pair[1]);
            // Linear layers are [in, out], convolutions [out, in, h, w].
            let fan_in = if D == 4 { dims[1..].iter().product() } else { dims[0] };
            let scale = (fan_in as f32).powf(-0.5);
            let fill = |value| if equal { value } else { random.normal() * scale };
            Tensor::from_data(TensorData::new(values.into_iter().map(fill).collect::<Vec<f32>>(), dims), &device)
        })
    }
}
