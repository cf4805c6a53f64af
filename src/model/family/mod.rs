//! A family of networks that belong together: tokenizer, prior, rewards and judges over the same pictures.

mod cast;
mod config;
mod files;
mod published;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use burn::prelude::*;
use thiserror::Error;

pub use config::{FamilyConfig, FeatureShape, OwnConfig};
pub use files::Source;
pub use published::is_there;

use super::captions::CaptionsError;
use super::clip::Tower;
use super::feature_network::FeatureNetwork;
use super::policy::Policy;
use super::published::Published;
use super::resample::Resample;
use super::transformer::CaptionError;
use super::vq::VqModel;
use super::weights::WeightsError;
use crate::config::RunConfig;
use crate::platform::assets::{self, Asset, AssetError};
use cast::Cast;
use files::{WeightFile, procedural};

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
    /// A published network has no file.
    #[error(
        "{network} is needed and {folder}. {about} Its authors publish it at {from} ({file}); put the file into the folder \
         that --weights names, or rehearse with `artune stand-in {network} --out FOLDER/{network}.safetensors`"
    )]
    NotFound {
        /// Its name.
        network: &'static str,
        /// What it is.
        about: &'static str,
        /// Where it is published.
        from: &'static str,
        /// As what.
        file: &'static str,
        /// Where it was looked for.
        folder: String,
    },
    /// A published network's file does not fit it.
    #[error("{network} does not load from {from}: {source} (`artune import {from}` says what the file holds)")]
    Published {
        /// Its name.
        network: &'static str,
        /// The file.
        from: String,
        /// Why.
        source: Box<WeightsError>,
    },
    /// A policy and a tokenizer do not belong together.
    #[error(
        "{policy} does not write the tokens of {tokenizer}: leave the tokenizer at `own`, or name one of as many codes"
    )]
    Unfit {
        /// The policy.
        policy: String,
        /// The tokenizer.
        tokenizer: String,
    },
    /// A text-conditional policy without text.
    #[error(
        "this policy writes pictures of captions: name a file of them with --captions (docs/published.md says how)"
    )]
    NoCaptions,
    /// Nobody has told what the captions say.
    #[error(
        "towers read captions as text, and this file has only their embeddings: write them, one a line, into a .txt file of the same name beside it"
    )]
    Nameless,
    /// Captions cannot be read.
    #[error("{path}: {source}")]
    Captions {
        /// The file.
        path: String,
        /// Why.
        source: CaptionsError,
    },
    /// Captions do not fit the network.
    #[error(transparent)]
    Caption(CaptionError),
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

/// Where each network's weights are from, by the name of its role.
pub type Sources = BTreeMap<String, Source>;

/// What a family's files are looked for in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Folders<'a> {
    /// Folder of weights.
    pub weights: Option<&'a Path>,
    /// File of captions, for a text-conditional policy.
    pub captions: Option<&'a Path>,
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
    pub sources: Sources,
    /// What a person should know about them.
    pub notices: Vec<String>,
    /// Picture ↔ tokens.
    pub tokenizer: VqModel,
    /// The pretrained prior: where tuning starts, and the reference it is held to.
    pub prior: Policy,
    /// The towers of the prompt-match reward; `None` where it is not scored.
    pub clip: Option<Tower>,
    /// The towers of the preference reward; `None` where it is not scored.
    pub preference: Option<Tower>,
    /// Features of the distribution reward.
    pub features: FeatureNetwork,
    /// The unrewarded classifier.
    pub judge: FeatureNetwork,
}

/// What the small preference towers are.
const SPOILT: &str = "towers tuned on real pictures against spoilt ones";

impl Family {
    /// The networks that `config` names, on `device`. Published ones come from files; a file `<role>.safetensors` in the
    /// folder of weights stands in for what ships.
    ///
    /// # Errors
    /// Where weights are missing or do not fit.
    pub fn load(config: &RunConfig, folders: Folders<'_>, device: &Device) -> Result<Self, FamilyError> {
        let own = match (config.model.as_str(), Published::named(&config.model)) {
            (_, Some(policy)) => return Self::published(config, policy, folders, device),
            ("tiny", _) => Self::procedural(OwnConfig::tiny(), device)?,
            _ => {
                // A folder of published networks need not have any of this program's.
                let published = Cast::of(config).names_published();
                let folder = folders.weights.filter(|folder| !published || files::has_any(folder));
                Self::small(folder, device)?
            }
        };
        own.with_published(config, folders, device)
    }

    fn small(folder: Option<&Path>, device: &Device) -> Result<Self, FamilyError> {
        let mut files = BTreeMap::new();
        for role in Role::ALL {
            files.insert(role.name(), WeightFile::find(role, folder)?);
        }
        let file = |role: Role| &files[role.name()];
        let (classes, judge_classes) = (file(Role::Prior).classes()?, file(Role::Judge).classes()?);
        let own = classes.as_ref().map_or_else(OwnConfig::small, |names| OwnConfig::small_of(names.len()));
        let tower = |role, what| -> Result<Option<Tower>, FamilyError> {
            Ok(Some(Tower::new(file(role).fill(own.clip.init(device))?, AS_IT_IS, what)?))
        };
        Ok(Self {
            tokenizer: file(Role::Tokenizer).fill(own.vq.init(device))?,
            prior: file(Role::Prior).fill(own.gpt.init(device))?,
            clip: tower(Role::Clip, "CLIP towers")?,
            preference: tower(Role::Preference, SPOILT)?,
            features: FeatureNetwork::Small(Box::new(file(Role::Features).fill(own.features.init(device))?)),
            judge: FeatureNetwork::Small(Box::new(file(Role::Judge).fill(own.features.init(device))?)),
            sources: files.values().map(|file| (file.role.to_string(), file.source())).collect(),
            notices: vec![],
            classes,
            judge_classes,
            config: own.into(),
        })
    }

    /// Whether the judge can tell if a picture is of the class that was asked for.
    pub fn judge_knows_classes(&self) -> bool {
        self.judge_classes.is_none() || self.judge_classes == self.classes
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
    fn procedural(own: OwnConfig, device: &Device) -> Result<Self, FamilyError> {
        let cpu = Device::flex();
        let tower = |role, what| -> Result<Option<Tower>, FamilyError> {
            let clip = procedural(role, own.clip.init(&cpu), own.clip.init(device))?;
            Ok(Some(Tower::new(clip, AS_IT_IS, what)?))
        };
        let network = |role| -> Result<FeatureNetwork, FamilyError> {
            Ok(FeatureNetwork::Small(Box::new(procedural(role, own.features.init(&cpu), own.features.init(device))?)))
        };
        Ok(Self {
            tokenizer: procedural(Role::Tokenizer, own.vq.init(&cpu), own.vq.init(device))?,
            prior: procedural(Role::Prior, own.gpt.init_random_head(&cpu), own.gpt.init(device))?,
            clip: tower(Role::Clip, "CLIP towers")?,
            preference: tower(Role::Preference, SPOILT)?,
            features: network(Role::Features)?,
            judge: network(Role::Judge)?,
            classes: None,
            judge_classes: None,
            sources: Sources::new(),
            notices: vec![],
            config: own.into(),
        })
    }
}

/// Pictures of the small families have the side of their towers.
const AS_IT_IS: Resample = Resample::Bilinear { antialias: true };

/// Key under which a prior's or a classifier's file names its classes, as a JSON list.
pub const CLASSES: &str = "classes";

/// Fills `module` with the weights of `role` in `folder` where there are any, else with those that ship.
///
/// # Errors
/// [`FamilyError`], where there are none or they do not fit.
pub fn load<M: Module>(role: Role, module: M, folder: Option<&Path>) -> Result<M, FamilyError> {
    WeightFile::find(role, folder)?.fill(module)
}
