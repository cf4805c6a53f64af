//! Published networks, found among the files of a folder and put together to a family.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::prelude::*;

use super::cast::{Cast, Part};
use super::config::FeatureShape;
use super::{Family, FamilyConfig, FamilyError, Folders, Role, Source};
use crate::config::RunConfig;
use crate::config::networks::OWN;
use crate::data::imagenet;
use crate::formats::Tensors;
use crate::gpu::supports_half;
use crate::model::captions::Captions;
use crate::model::clip::Tower;
use crate::model::feature_network::FeatureNetwork;
use crate::model::policy::{Policy, PolicyConfig};
use crate::model::published::recognise::{listing, recognise};
use crate::model::published::{Architecture, Published, procedural};
use crate::model::resample::Resample;
use crate::model::transformer::ModelType;
use crate::model::vq::{VqModel, taming_key};
use crate::model::weights::{self, Loading, WeightsError};
use crate::platform::assets::{self, Asset};
use crate::platform::files;

/// Endings of files that may hold a network.
const ENDINGS: [&str; 5] = ["safetensors", "pt", "pth", "ckpt", "bin"];
/// Files of a folder that are looked into.
const MAX_FILES: usize = 256;

/// An open file that holds a network.
struct Found {
    network: &'static Published,
    path: PathBuf,
    file: Arc<Tensors>,
}

impl Found {
    /// The file of `network` in `folder`: by its name here, by the name its authors gave it, or by what it holds.
    fn of(network: &'static Published, folder: Option<&Path>) -> Result<Self, FamilyError> {
        let nowhere = || FamilyError::NotFound {
            network: network.name,
            about: network.about,
            from: network.repository,
            file: network.file.unwrap_or("no file of its own"),
            folder: folder.map_or_else(|| "no folder was named".into(), |f| format!("{} has none", f.display())),
        };
        let folder = folder.ok_or_else(nowhere)?;
        let named = ENDINGS.iter().map(|ending| format!("{}.{ending}", network.name));
        let path = named.chain(network.file.map(String::from)).map(|name| folder.join(name));
        if let Some(path) = path.into_iter().find(|path| files::is_file(path)) {
            return Self::open(network, path);
        }
        let wrap = |source| FamilyError::Io { path: folder.display().to_string(), source };
        let mut others: Vec<PathBuf> = files::list(folder).map_err(wrap)?.filter_map(|e| Some(e.ok()?.path)).collect();
        others
            .retain(|path| path.extension().is_some_and(|e| ENDINGS.iter().any(|known| e.eq_ignore_ascii_case(known))));
        others.sort();
        let holds = |path: &PathBuf| {
            let file = Tensors::open(files::source(path).ok()?).ok()?;
            let found = recognise(&listing(&file), file.notes(), &title(path), None).ok()?;
            (found.fits() && found.is_certain() && found.network.is_some_and(|it| it.name == network.name))
                .then_some(())
        };
        let path = others.into_iter().take(MAX_FILES).find(|path| holds(path).is_some()).ok_or_else(nowhere)?;
        Self::open(network, path)
    }

    fn open(network: &'static Published, path: PathBuf) -> Result<Self, FamilyError> {
        let wrap = |source: WeightsError| FamilyError::Published {
            network: network.name,
            from: path.display().to_string(),
            source: Box::new(source),
        };
        let io = |source| FamilyError::Io { path: path.display().to_string(), source };
        let file = Tensors::open(files::source(&path).map_err(io)?).map_err(|e| wrap(e.into()))?;
        Ok(Self { network, path, file: Arc::new(file) })
    }

    /// Fills a network from the file.
    fn fill<M: Module>(&self, mut module: M, loading: Loading<'_>) -> Result<M, FamilyError> {
        weights::load_from(&mut module, &self.file, loading).map_err(|source| FamilyError::Published {
            network: self.network.name,
            from: self.path.display().to_string(),
            source: Box::new(source),
        })?;
        Ok(module)
    }

    fn source(&self) -> Result<Source, FamilyError> {
        let io = |source| FamilyError::Io { path: self.path.display().to_string(), source };
        let mut hash = files::sha256(&self.path).map_err(io)?;
        hash.truncate(16);
        Ok(Source { path: Some(self.path.clone()), hash })
    }

    /// Whether its numbers merely stand in for the network's own.
    fn stands_in(&self) -> bool {
        self.file.notes().contains_key(procedural::NOTE)
    }
}

fn title(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Finds networks, remembers where each was found, and how it is to be loaded.
struct Library<'a> {
    folders: Folders<'a>,
    device: &'a Device,
    /// Whether networks that do not learn stay in half precision.
    half: bool,
    found: Vec<(Role, Found)>,
}

impl Library<'_> {
    fn find(&mut self, role: Role, network: &'static Published) -> Result<&Found, FamilyError> {
        self.found.push((role, Found::of(network, self.folders.weights)?));
        Ok(&self.found[self.found.len() - 1].1)
    }

    fn tower(&mut self, role: Role, network: &'static Published) -> Result<Option<Tower>, FamilyError> {
        let Some(config) = network.clip() else { return Ok(None) };
        let (device, half) = (self.device, self.half);
        let found = self.find(role, network)?;
        let clip = found.fill(config.init(device), Loading { half, ..Loading::default() })?;
        // HPSv2 has a way of its own; the paper's code brings pictures to CLIP bilinearly, where CLIP itself is bicubic.
        let (entry, how) = match role {
            Role::Preference => (Resample::Bicubic { antialias: true }, "bicubic, antialiased"),
            _ => (Resample::Bilinear { antialias: false }, "bilinear"),
        };
        Ok(Some(Tower::new(clip, entry, format!("{} ({how} to {})", network.name, config.vision.image_size))?))
    }

    fn features(&mut self, role: Role, network: &'static Published) -> Result<FeatureNetwork, FamilyError> {
        let (device, half) = (self.device, self.half);
        match FeatureShape::of(network) {
            FeatureShape::Inception(config) => {
                let net = self.find(role, network)?.fill(config.init(device), Loading::default())?;
                Ok(FeatureNetwork::Inception(Box::new(net.freeze(half))))
            }
            FeatureShape::EfficientNet(config) => {
                let mut net = config.init(device);
                let wrap = |source| FamilyError::Weights { role, from: "of this program".into(), source };
                weights::load(&mut net, assets::get(Asset::EfficientNet)?).map_err(wrap)?;
                Ok(FeatureNetwork::EfficientNet(Box::new(net)))
            }
            FeatureShape::Small(config) => Ok(FeatureNetwork::Small(Box::new(config.init(device)))), // none is published
        }
    }

    fn tokenizer(&mut self, cast: &Cast, shapes: &FamilyConfig) -> Result<VqModel, FamilyError> {
        let (vq, device) = (&shapes.vq, self.device);
        let inside = |key: &str| format!("first_stage_model.{}", taming_key(vq, key));
        let Some(network) = cast.tokenizer else {
            // The policy's own file brings it.
            let policy = self.found.first().ok_or(FamilyError::Untrained(Role::Tokenizer))?;
            return policy.1.fill(vq.init(device), Loading { key: &inside, part: true, half: false });
        };
        let renamed = |key: &str| taming_key(vq, key);
        let found = self.find(Role::Tokenizer, network)?;
        match network.architecture {
            Architecture::TamingVq(_) => found.fill(vq.init(device), Loading { key: &renamed, ..Loading::default() }),
            _ => found.fill(vq.init(device), Loading::default()),
        }
    }

    fn captions(&self) -> Result<Captions, FamilyError> {
        let path = self.folders.captions.ok_or(FamilyError::NoCaptions)?;
        let io = |source| FamilyError::Io { path: path.display().to_string(), source };
        let wrap = |source| FamilyError::Captions { path: path.display().to_string(), source };
        let file = Tensors::open(files::source(path).map_err(io)?).map_err(|e| wrap(e.into()))?;
        let text = files::read_to_string(&path.with_extension("txt")).ok();
        Captions::read(&file, text.as_deref()).map_err(wrap)
    }
}

/// Whether `folder` has a file of the published network called `name`.
pub fn is_there(name: &str, folder: &Path) -> bool {
    Published::named(name).is_some_and(|network| Found::of(network, Some(folder)).is_ok())
}

impl Family {
    /// The family of a published policy.
    pub(super) fn published(
        config: &RunConfig,
        policy: &'static Published,
        folders: Folders<'_>,
        device: &Device,
    ) -> Result<Self, FamilyError> {
        let (cast, mut shapes) = (Cast::of(config), FamilyConfig::of(config));
        check(&shapes, config)?;
        let (half, mut notices) = half(config, device);
        let usual = Cast::of(&RunConfig { tokenizer: OWN.into(), ..config.clone() }).tokenizer;
        if let Some(other) = cast.tokenizer.filter(|own| Some(own.name) != usual.map(|it| it.name)) {
            let own = usual.map_or("the tokenizer in its own file", |it| it.name);
            notices.push(format!("{} was trained on tokens of {own}, not of {}", policy.name, other.name));
        }
        let mut library = Library { folders, device, half, found: vec![] };

        let found = library.find(Role::Prior, policy)?;
        let loading = Loading { half, ..Loading::default() };
        let prior = match &shapes.gpt {
            PolicyConfig::Taming(gpt) => {
                Policy::Taming(found.fill(gpt.init(device), Loading { part: true, ..loading })?)
            }
            PolicyConfig::LlamaGen(gpt) => Policy::LlamaGen(found.fill(gpt.init(device), loading)?),
        };
        let (prior, classes) = match prior {
            Policy::LlamaGen(net) if net.config().model_type == ModelType::T2i => {
                let captions = library.captions()?;
                let read = [cast.clip, cast.preference].iter().any(|part| matches!(part, Part::Published(_)));
                if read && !captions.named {
                    return Err(FamilyError::Nameless);
                }
                let names = captions.names.clone();
                shapes = shapes.with_captions(names.len());
                (Policy::LlamaGen(captions.give_to(net).map_err(FamilyError::Caption)?), names)
            }
            prior => (prior, imagenet::names()?),
        };
        let tokenizer = library.tokenizer(&cast, &shapes)?;
        let mut tower = |role, part| match part {
            Part::Published(network) => library.tower(role, network),
            Part::Own | Part::None => Ok(None),
        };
        let (clip, preference) = (tower(Role::Clip, cast.clip)?, tower(Role::Preference, cast.preference)?);
        let mut features = cast.features.ok_or(FamilyError::Untrained(Role::Features))?;
        let judge = Published::named("efficientnet-lite0").ok_or(FamilyError::Untrained(Role::Judge))?;
        if config.loo_fid_weight == 0.0 && Found::of(features, folders.weights).is_err() {
            notices.push(format!(
                "{} has no file, and nothing is paid by it: features are those of {}, which ships",
                features.name, judge.name
            ));
            (features, shapes.features) = (judge, FeatureShape::of(judge));
        }
        let features = library.features(Role::Features, features)?;
        let judge = library.features(Role::Judge, judge)?;
        let mut sources = super::Sources::new();
        for (role, found) in &library.found {
            sources.insert(role.to_string(), found.source()?);
            notices.extend(found.stands_in().then(|| stand_in(found)));
        }
        let (classes, judge_classes) = (Some(classes), Some(imagenet::names()?));
        Ok(Self {
            config: shapes,
            classes,
            judge_classes,
            sources,
            notices,
            tokenizer,
            prior,
            clip,
            preference,
            features,
            judge,
        })
    }

    /// Puts published networks in the places of this program's own, where the settings name some.
    pub(super) fn with_published(
        mut self,
        config: &RunConfig,
        folders: Folders<'_>,
        device: &Device,
    ) -> Result<Self, FamilyError> {
        let cast = Cast::of(config);
        if cast.tokenizer.is_some() {
            return Err(FamilyError::Unfit { policy: config.model.clone(), tokenizer: config.tokenizer.clone() });
        }
        let (half, mut notices) = half(config, device);
        let mut library = Library { folders, device, half, found: vec![] };
        for (tower, part, role) in
            [(&mut self.clip, cast.clip, Role::Clip), (&mut self.preference, cast.preference, Role::Preference)]
        {
            match part {
                Part::Own => continue,
                Part::None => *tower = None,
                Part::Published(network) => *tower = library.tower(role, network)?,
            }
            self.sources.remove(role.name());
        }
        if let Some(network) = cast.features {
            self.features = library.features(Role::Features, network)?;
            self.sources.remove(Role::Features.name());
        }
        for (role, found) in &library.found {
            self.sources.insert(role.to_string(), found.source()?);
            notices.extend(found.stands_in().then(|| stand_in(found)));
        }
        let shapes = FamilyConfig::of(config);
        (self.config.clip, self.config.preference) = (shapes.clip, shapes.preference);
        if cast.features.is_some() {
            self.config.features = shapes.features;
        }
        self.notices.append(&mut notices);
        Ok(self)
    }
}

fn stand_in(found: &Found) -> String {
    format!(
        "{}: stands in for {}, which was never trained: figures mean nothing",
        found.path.display(),
        found.network.name
    )
}

/// Whether frozen networks stay in half precision, and what to say about it.
fn half(config: &RunConfig, device: &Device) -> (bool, Vec<String>) {
    match (config.frozen_half, supports_half(device)) {
        (true, false) => (false, vec!["this device has no half precision: frozen networks are kept in f32".into()]),
        (asked, _) => (asked, vec![]),
    }
}

/// Refuses networks that do not speak of the same tokens.
fn check(shapes: &FamilyConfig, config: &RunConfig) -> Result<(), FamilyError> {
    if shapes.gpt.vocab_size() != shapes.vq.codebook_size {
        return Err(FamilyError::Unfit { policy: config.model.clone(), tokenizer: config.tokenizer.clone() });
    }
    Ok(())
}
