//! Everything a run works with: pictures, networks, reference statistics, trainer and evaluator, put together from
//! plain [`Options`].

use std::path::Path;

use anyhow::Result;
use burn::prelude::*;

use super::checkpoint::{self, Saved};
use super::evaluate::{Evaluation, Evaluator, Request, Subject};
use super::inspect::Inspector;
use super::origin::Origin;
use super::protocol::Options;
use super::record::Record;
use super::reference::{self, Reference};
use super::space::Scene;
use super::statistics;
use crate::config::networks::is_own;
use crate::config::{Param, RunConfig};
use crate::data::{Pictures, Split};
use crate::model::family::{Family, Folders};
use crate::platform::assets::{self, Asset};
use crate::reward::loo_fid::LooFid;
use crate::reward::moments::Moments;
use crate::rl::sampling::SamplingConfig;
use crate::rl::trainer::{Trainer, allowed_classes};

/// Share of the names that no training sees.
pub const HELD_OUT: f64 = 0.1;

/// Key parts: what random numbers outside an update are for.
pub(super) mod purpose {
    pub const REFERENCE: u64 = u64::MAX;
    pub const BOOTSTRAP: u64 = u64::MAX - 1;
    pub const SAMPLES: u64 = u64::MAX - 2;
}

/// A run's whole equipment.
pub struct Studio {
    /// The pictures.
    pub pictures: Pictures,
    /// Training and held-out pictures.
    pub split: Split,
    /// The trainer, at the update where the run stands.
    pub trainer: Trainer,
    /// The plane in which the pictures are shown among the real ones.
    pub scene: Scene,
    /// What the distribution reward compares with.
    pub reference: Reference,
    /// Where the pictures and networks are from.
    pub origin: Origin,
    /// Seconds that the run had been going before this session.
    pub seconds: f64,
    /// Settings that a resumed run goes on with instead of its own.
    pub changed: Vec<(String, String)>,
    /// Sentences to tell the user.
    pub notices: Vec<String>,
    evaluator: Option<Evaluator>,
    pub(super) inspector: Inspector,
    pub(super) device: Device,
}

impl Studio {
    /// Puts everything together on `device`; goes on from a checkpoint where `options.resume` says so.
    ///
    /// # Errors
    /// Where pictures or weights do not load, or there is nothing to resume.
    pub async fn open(options: &Options, device: &Device) -> Result<Self> {
        Self::open_if(options, device, |_, _| Ok(())).await
    }

    /// As [`Self::open`], but `admit` may refuse the settings, which it gets together with whether the run had begun:
    /// before anything large is loaded.
    ///
    /// # Errors
    /// As [`Self::open`], and whatever `admit` says.
    pub async fn open_if(
        options: &Options,
        device: &Device,
        admit: impl FnOnce(&RunConfig, bool) -> Result<()>,
    ) -> Result<Self> {
        let (mut notices, mut changed) = (vec![], vec![]);
        let mut config = options.config.clone();
        let resumed = match (&options.out, options.resume) {
            (Some(out), true) => {
                let (found, mut complaints) = checkpoint::newest(&Record::checkpoints(out));
                let (path, saved) = found.ok_or_else(|| {
                    let complaints: String = complaints.iter().map(|c| format!(" ({c})")).collect();
                    anyhow::anyhow!(
                        "{} has no checkpoint to go on from{complaints}; without --resume a run begins",
                        out.display()
                    )
                })?;
                notices.append(&mut complaints);
                notices.push(format!("going on after update {} from {}", saved.state.update, path.display()));
                Some(saved)
            }
            _ => match &options.checkpoint {
                Some(path) => {
                    let saved = checkpoint::load(path)?;
                    let (update, path) = (saved.state.update, path.display());
                    notices.push(format!("beginning with the model of {path}, after update {update}"));
                    Some(saved)
                }
                None => None,
            },
        };
        if let Some(saved) = &resumed {
            config = saved.config.clone();
            changed = change(&mut config, &options.changes)?;
        }
        config.validate()?;
        admit(&config, resumed.is_some())?;
        let began = resumed.as_ref().map(|saved| saved.origin.clone()).unwrap_or_default();
        let files = options.files.or(&began.files);
        if !is_own(&config.model) || config.feature_network == "efficientnet-lite0" {
            // A page has not fetched what only these need.
            assets::fetch(&[Asset::EfficientNet, Asset::ImageNetClasses], |_| ()).await?;
        }
        let folders = Folders { weights: files.weights.as_deref(), captions: files.captions.as_deref() };
        let family = Family::load(&config, folders, device)?;
        notices.extend(family.notices.iter().cloned());
        let (pictures, mut said) = match (&files.data, &family.classes) {
            // Pictures of this program are none of what the published networks write.
            (None, Some(classes)) if !is_own(&config.model) => {
                (Pictures::none_of(classes.clone(), family.config.side), vec![])
            }
            (data, _) => open_pictures(data.as_deref(), family.config.side)?,
        };
        notices.append(&mut said);
        // Files that do not name their classes are of the embedded ones.
        let embedded = Pictures::embedded_classes()?;
        let classes = family.classes.clone().unwrap_or_else(|| embedded.clone());
        anyhow::ensure!(
            !is_own(&config.model) || family.judge_classes.as_ref().unwrap_or(&embedded) == &classes,
            "the judge knows other classes than the prior: train one for these pictures with `artune pretrain judge \
             --data DIR` into the folder that --weights names"
        );
        let pictures = match is_own(&config.model) {
            true => pictures.in_order_of(&classes)?,
            false => pictures.among(&classes)?,
        };
        allowed_classes(&config.classes, &pictures.class_names)?;
        let mut origin = Origin::of(files, &pictures, &family);
        let from_file = options.checkpoint.is_some() && !(options.resume && options.out.is_some());
        origin.checkpoint = if from_file { options.checkpoint.clone() } else { began.checkpoint };
        if let Some(saved) = &resumed {
            origin.check(&saved.origin)?;
        }
        let split = pictures.split(HELD_OUT);
        let given = origin.files.reference.as_deref();
        let reference = Reference::of(&config, &family, (&pictures, &split), given, device).await?;
        // A resumed run brings its own moments and entropy.
        let samples = match &resumed {
            Some(_) => None,
            None => Some(statistics::bootstrap(&family, &config, device).await?),
        };
        let reference = match (reference, &samples, &resumed) {
            (Some(reference), ..) => reference,
            (None, Some((samples, _)), _) => Reference::of_samples(&config, samples)?,
            (None, None, Some(saved)) => Reference::of_moments(saved.state.moments.clone()),
            (None, None, None) => anyhow::bail!("there is nothing to compare samples with"),
        };
        notices.extend(reference.doubt.clone());
        let (start, entropy) = samples.map_or((None, f64::NAN), |(samples, entropy)| (Some(samples), entropy));
        let form = reference.moments.form();
        let bootstrap = match &start {
            Some(samples) => Moments::of(samples, form)?,
            None => reference.moments.clone(),
        };
        let mut loo = LooFid::new(reference.moments.clone(), bootstrap, config.ema_beta)?;
        let mut scene = Scene::new(&reference, start.as_ref().filter(|_| resumed.is_none()))?;
        if config.quirk_ema_half_mass {
            loo = loo.with_half_mass();
            scene = scene.with_half_mass(config.ema_beta);
        }
        let mut trainer = Trainer::new(config, family, device, pictures.class_names.clone(), loo, entropy);
        let mut seconds = 0.0;
        if let Some(Saved { state, seconds: before, .. }) = resumed {
            trainer.restore(state)?;
            seconds = if from_file { 0.0 } else { before }; // another run's time
        }
        Ok(Self {
            pictures,
            split,
            trainer,
            scene,
            reference,
            origin,
            seconds,
            changed,
            notices,
            evaluator: None,
            inspector: Inspector::default(),
            device: device.clone(),
        })
    }

    /// Whether the run may go on with these settings: without real pictures nothing can be paid for being like them.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn admits(&self, config: &RunConfig) -> Result<()> {
        anyhow::ensure!(self.reference.real || config.loo_fid_weight == 0.0, reference::NOTHING);
        Ok(())
    }

    /// Measures the policy by the held-out network.
    ///
    /// # Errors
    /// Where the device fails.
    pub async fn evaluate(&mut self, request: &Request) -> Result<Evaluation> {
        let own = is_own(&self.trainer.family().config.name);
        if self.evaluator.is_none() {
            self.evaluator = Some(Evaluator::new(&self.pictures, &self.split, own, &self.device).await?);
        }
        let Some(evaluator) = &self.evaluator else { anyhow::bail!("no evaluator") };
        let (trainer, batch) = (&self.trainer, self.trainer.config().rollout_batch as usize);
        let subject = Subject {
            policy: trainer.policy(),
            family: trainer.family(),
            rewards: trainer.rewards(),
            reference: &self.reference,
            together: if batch == 0 { usize::MAX } else { batch },
        };
        evaluator.evaluate(&subject, request).await
    }

    /// Draws pictures of the given classes: always the same seeds, so that two moments of a run compare.
    ///
    /// # Errors
    /// Where the device fails.
    pub async fn sample(&self, classes: &[usize], seed: u64, sampling: &SamplingConfig) -> Result<Vec<Vec<u8>>> {
        let mut pictures = vec![];
        for rows in classes.chunks(self.pass()) {
            pictures.extend(self.draw(pictures.len(), rows, seed, sampling).await?);
        }
        Ok(pictures)
    }
}

/// The pictures of a folder, or the embedded ones; with sentences about files that were skipped.
///
/// # Errors
/// Where nothing usable is found.
pub fn open_pictures(data: Option<&Path>, side: usize) -> Result<(Pictures, Vec<String>)> {
    match data {
        None => Ok((Pictures::embedded()?.at_side(side), vec![])),
        Some(dir) => {
            let (pictures, bad) = Pictures::open(dir, side)?;
            Ok((pictures, bad.iter().map(|file| format!("skipped {file}")).collect()))
        }
    }
}

/// Changes settings of a run that has begun; returns those that were not so already.
///
/// # Errors
/// Where a setting is fixed once a run has begun, or a value is wrong.
fn change(config: &mut RunConfig, changes: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let before = config.clone();
    config.apply(changes.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
    let moved = changes.iter().filter(|(name, _)| config.get(name) != before.get(name));
    for (name, _) in moved.clone() {
        anyhow::ensure!(
            Param::find(name)?.live,
            "{name} is fixed once a run has begun, and this one began with {}; begin another with another --out",
            before.get(name).map(|v| v.to_string()).unwrap_or_default()
        );
    }
    Ok(moved.cloned().collect())
}
