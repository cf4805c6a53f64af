//! A family of networks that belong together: tokenizer, prior, rewards and judges over the same pictures.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use burn::module::{ModuleMapper, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::bpe::Bpe;
use super::clip::{Clip, ClipConfig};
use super::features::{FeatureNet, FeatureNetConfig};
use super::policy::{Policy, PolicyConfig};
use super::transformer::GptConfig;
use super::vq::{VqConfig, VqModel};
use super::weights::{self, WeightsError};
use crate::platform::assets::{self, Asset, AssetError};
use crate::platform::files;
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

    /// The weights that ship with the program; empty before they were trained.
    fn embedded(self) -> Result<&'static [u8], AssetError> {
        assets::get(match self {
            Self::Tokenizer => Asset::Tokenizer,
            Self::Prior => Asset::Prior,
            Self::Clip => Asset::Clip,
            Self::Preference => Asset::Preference,
            Self::Features => Asset::Features,
            Self::Judge => Asset::Judge,
        })
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
    /// Weights that ship have not been fetched, which happens on a page only.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// A weight file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A folder of weights was named that has none.
    #[error("{path} has no weights: looked for ROLE.safetensors and ROLE/ROLE.safetensors, where ROLE is {roles}")]
    NoWeights {
        /// The folder.
        path: String,
        /// The roles there are.
        roles: String,
    },
    /// The weights do not fit.
    #[error("the {role}'s weights ({from}) do not load: {source}")]
    Weights {
        /// Whose.
        role: Role,
        /// Where they are from.
        from: String,
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
    pub gpt: PolicyConfig,
    /// Both reward towers'.
    pub clip: ClipConfig,
    /// The feature network's and the judge's.
    pub features: FeatureNetConfig,
}

impl FamilyConfig {
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

    /// The shape that a run with `model = name` has, as far as it is known before any file is read: a file of
    /// weights may know another number of classes.
    pub fn named(name: &str) -> Self {
        if name == "tiny" { Self::tiny() } else { Self::small() }
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

/// The networks of one family on one device. Frozen: tuning works on a copy of the prior.
#[derive(Clone, Debug)]
pub struct Family {
    /// Shapes.
    pub config: FamilyConfig,
    /// Names of the classes that the prior was trained on, in its order; none where its file does not say.
    pub classes: Option<Vec<String>>,
    /// The same of the judge.
    pub judge_classes: Option<Vec<String>>,
    /// Where each network's weights are from.
    pub sources: BTreeMap<String, Source>,
    /// Picture ↔ tokens.
    pub tokenizer: VqModel,
    /// The pretrained prior: where tuning starts, and the reference it is held to.
    pub prior: Policy,
    /// The words of both reward towers.
    pub bpe: Bpe,
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
        let mut files = BTreeMap::new();
        for role in Role::ALL {
            files.insert(role.name(), WeightFile::find(role, folder)?);
        }
        let file = |role: Role| &files[role.name()];
        let (classes, judge_classes) = (file(Role::Prior).classes()?, file(Role::Judge).classes()?);
        let config = classes.as_ref().map_or_else(FamilyConfig::small, |names| FamilyConfig::small_of(names.len()));
        Ok(Self {
            tokenizer: file(Role::Tokenizer).fill(config.vq.init(device))?,
            prior: file(Role::Prior).fill(config.gpt.init(device))?,
            bpe: Bpe::new(config.clip.text.vocab_size)?,
            clip: file(Role::Clip).fill(config.clip.init(device))?,
            preference: file(Role::Preference).fill(config.clip.init(device))?,
            features: file(Role::Features).fill(config.features.init(device))?,
            judge: file(Role::Judge).fill(config.features.init(device))?,
            sources: files.values().map(|file| (file.role.to_string(), file.source())).collect(),
            classes,
            judge_classes,
            config,
        })
    }

    /// Where the weights are from, in a few words.
    pub fn origin(&self) -> String {
        let given: Vec<&str> = self.sources.iter().filter(|(_, s)| s.path.is_some()).map(|(r, _)| r.as_str()).collect();
        match given.len() {
            _ if self.sources.is_empty() => "procedural weights".into(),
            0 => "weights of this program".into(),
            n if n == self.sources.len() => "weights of your own".into(),
            _ => format!("weights of this program, but your own {}", given.join(", ")),
        }
    }

    /// Random weights that are a function of nothing but their place, so the same on every device and in every run.
    fn procedural(config: FamilyConfig, device: &Device) -> Result<Self, FamilyError> {
        let cpu = Device::flex();
        Ok(Self {
            tokenizer: procedural(Role::Tokenizer, config.vq.init(&cpu), config.vq.init(device))?,
            prior: procedural(Role::Prior, config.gpt.init_random_head(&cpu), config.gpt.init(device))?,
            bpe: Bpe::new(config.clip.text.vocab_size)?,
            clip: procedural(Role::Clip, config.clip.init(&cpu), config.clip.init(device))?,
            preference: procedural(Role::Preference, config.clip.init(&cpu), config.clip.init(device))?,
            features: procedural(Role::Features, config.features.init(&cpu), config.features.init(device))?,
            judge: procedural(Role::Judge, config.features.init(&cpu), config.features.init(device))?,
            classes: None,
            judge_classes: None,
            sources: BTreeMap::new(),
            config,
        })
    }
}

/// Key under which a prior's or a classifier's file names its classes, as a JSON list.
pub const CLASSES: &str = "classes";

/// Where a network's weights are from, and which they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file; `None` for the weights that ship.
    pub path: Option<PathBuf>,
    /// Sixteen hex digits of the SHA-256 of the file.
    pub hash: String,
}

/// The bytes of one network's weights.
struct WeightFile {
    role: Role,
    path: Option<PathBuf>,
    bytes: Cow<'static, [u8]>,
}

impl WeightFile {
    /// `<role>.safetensors` of `folder`, directly or in a folder of the role's name (as `artune pretrain` leaves it),
    /// where there is one; else the weights that ship.
    fn find(role: Role, folder: Option<&Path>) -> Result<Self, FamilyError> {
        let places = |folder: &Path, role: Role| {
            let name = format!("{role}.safetensors");
            [folder.join(&name), folder.join(role.name()).join(name)].into_iter().find(|path| files::is_file(path))
        };
        // A folder without any weights is a mistyped one.
        if let Some(folder) = folder
            && !Role::ALL.iter().any(|role| places(folder, *role).is_some())
        {
            let roles = Role::ALL.map(Role::name).join(", ");
            return Err(FamilyError::NoWeights { path: folder.display().to_string(), roles });
        }
        let path = folder.and_then(|folder| places(folder, role));
        let bytes = match &path {
            Some(path) => {
                let wrap = |source| FamilyError::Io { path: path.display().to_string(), source };
                Cow::Owned(files::read(path).map_err(wrap)?)
            }
            None => Cow::Borrowed(role.embedded()?),
        };
        if bytes.is_empty() {
            return Err(FamilyError::Untrained(role));
        }
        Ok(Self { role, path, bytes })
    }

    fn error(&self, source: WeightsError) -> FamilyError {
        let from = self.path.as_ref().map_or_else(|| "of this program".to_string(), |p| p.display().to_string());
        FamilyError::Weights { role: self.role, from, source }
    }

    /// The classes that the file names.
    fn classes(&self) -> Result<Option<Vec<String>>, FamilyError> {
        let notes = weights::metadata(&self.bytes).map_err(|e| self.error(e))?;
        Ok(notes.get(CLASSES).and_then(|names| serde_json::from_str(names).ok()))
    }

    fn fill<M: Module>(&self, mut module: M) -> Result<M, FamilyError> {
        weights::load(&mut module, &self.bytes).map_err(|e| self.error(e))?;
        Ok(module)
    }

    fn source(&self) -> Source {
        let hash = Sha256::digest(&self.bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Source { path: self.path.clone(), hash }
    }
}

/// Fills `module` with the weights of `role` in `folder` where there are any, else with those that ship.
///
/// # Errors
/// [`FamilyError`], where there are none or they do not fit.
pub fn load<M: Module>(role: Role, module: M, folder: Option<&Path>) -> Result<M, FamilyError> {
    WeightFile::find(role, folder)?.fill(module)
}

/// Fills `from`, on the CPU, with procedural weights and carries them over to `to`.
fn procedural<M: Module>(role: Role, from: M, mut to: M) -> Result<M, FamilyError> {
    let wrap = |source| FamilyError::Weights { role, from: "procedural".into(), source };
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
