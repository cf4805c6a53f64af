//! Measuring a policy with networks that never reward it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::grid::rgb_pictures;
use crate::data::{AugmentConfig, Pictures, Split};
use crate::gpu::read::read;
use crate::metrics::kid::{Polynomial, kid};
use crate::metrics::{Features, Gaussian, Protocol, diversity, frechet, prdc};
use crate::model::efficientnet::{EfficientNetLite0, EfficientNetLite0Config};
use crate::model::family::Family;
use crate::model::policy::Policy;
use crate::model::weights;
use crate::platform::assets::{self, Asset};
use crate::platform::rng::Key;
use crate::pretrain::features::classify;
use crate::reward::RewardBatch;
use crate::reward::mix::InstanceRewards;
use crate::rl::rollout::Rollout;
use crate::rl::sampling::SamplingConfig;
use crate::rl::trainer::decode_levels;

/// Real pictures of the reference.
const REFERENCE: usize = 1024;
/// Pictures per pass; bounds the memory of an evaluation of any size.
const BATCH: usize = 64;
/// Neighbourhood size of precision, recall, density and coverage.
const NEIGHBOURS: usize = 5;
/// Key part of evaluation samples: apart from every rollout's.
const PURPOSE: u64 = 0x6576_616c;

/// What to measure with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Pictures to draw, classes in turn.
    pub samples: usize,
    /// Guidance; 1 is none.
    pub guidance: f64,
    /// Temperature.
    pub temperature: f64,
    /// Names the random numbers: the same seed compares two policies on the same noise.
    pub seed: u64,
}

/// The figures of one evaluation.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Figures by name, `eval/...`.
    pub metrics: BTreeMap<String, f64>,
    /// How they were measured.
    pub protocol: String,
    /// The pictures, RGB.
    #[serde(skip)]
    pub pictures: Vec<Vec<u8>>,
}

/// Real pictures seen by the evaluation network.
pub struct Evaluator {
    network: EfficientNetLite0,
    reference: Features,
    gaussian: Gaussian,
    hash: String,
    what: String,
}

impl Evaluator {
    /// Looks at real pictures: training names, evenly by class, augmented as in training, seed 0.
    ///
    /// # Errors
    /// Where the device fails, or a page cannot fetch the network.
    pub async fn new(pictures: &Pictures, split: &Split, device: &Device) -> Result<Self> {
        let config = EfficientNetLite0Config::default();
        let mut network = config.init(device);
        // Only measuring needs it: a page fetches it now.
        assets::fetch(&[Asset::EfficientNet], |_| ()).await?;
        weights::load(&mut network, assets::get(Asset::EfficientNet)?).context("the evaluation network")?;
        let groups = pictures.groups(&split.train);
        let mut parts = vec![];
        for chunk in 0..REFERENCE / BATCH {
            let mut random = Key::new(0).fold(PURPOSE).fold(chunk as u64).stream();
            let batch = pictures.sample_batch(&groups, BATCH, &AugmentConfig::gentle(), &mut random);
            parts.extend(read(network.features(batch.images(device))).await?);
        }
        let reference = features(REFERENCE, parts)?;
        Ok(Self {
            network,
            gaussian: Gaussian::fit(&reference)?,
            reference,
            hash: pictures.fingerprint.clone(),
            what: config.protocol(),
        })
    }

    /// Draws pictures from `model` and measures them.
    ///
    /// # Errors
    /// Where the device fails, or there are too few samples to measure anything.
    pub async fn evaluate(
        &self,
        model: &Policy,
        family: &Family,
        rewards: &InstanceRewards,
        request: &Request,
    ) -> Result<Evaluation> {
        let device = &self.network.devices()[0];
        let (n, classes) = (request.samples, family.config.gpt.num_classes());
        let labels: Vec<usize> = (0..n).map(|i| i % classes).collect();
        let sampling = SamplingConfig {
            guidance: request.guidance,
            temperature: request.temperature,
            ..SamplingConfig::default()
        };
        let (mut deep, mut scores, mut guesses, mut pictures) = (vec![], vec![], vec![], vec![]);
        for start in (0..n).step_by(BATCH) {
            let rows = start..(start + BATCH).min(n);
            let keys = rows.clone().map(|i| Key::new(request.seed).fold(PURPOSE).fold(i as u64)).collect();
            let tokens = Rollout::new(model, &labels[rows.clone()], keys, sampling, device).finish(model).await;
            let x = decode_levels(family, tokens);
            let batch = RewardBatch { pictures: x.clone(), classes: labels[rows.clone()].to_vec() };
            scores.extend(read(rewards.score(&batch)).await?);
            deep.extend(read(self.network.features(x.clone())).await?);
            guesses.extend(classify(&family.judge, x.clone()).await?);
            pictures.extend(rgb_pictures(&read(x).await?, family.config.side));
        }
        let deep = features(n, deep)?;
        let p = prdc::prdc(&self.reference, &deep, NEIGHBOURS)?;
        let subset = 100.min(n);
        let kernel_distance = kid(&deep, &self.reference, 20, subset, &Polynomial::default(), request.seed)?;
        let right = guesses.iter().zip(&labels).filter(|(a, b)| a == b).count();
        let mut metrics: BTreeMap<String, f64> = [
            ("eval/fd".into(), frechet::frechet_to_reference(&deep, &self.gaussian)?),
            ("eval/kid".into(), kernel_distance.mean),
            ("eval/precision".into(), p.precision),
            ("eval/recall".into(), p.recall),
            ("eval/density".into(), p.density),
            ("eval/coverage".into(), p.coverage),
            ("eval/class_accuracy".into(), right as f64 / n as f64),
            ("eval/diversity".into(), within_class_diversity(&deep, &labels, classes)?),
            ("eval/vendi".into(), diversity::vendi_score(&deep)?),
        ]
        .into();
        let names = rewards.names();
        for (k, name) in names.iter().enumerate() {
            let sum: f64 = scores.iter().skip(k).step_by(names.len()).map(|&s| s as f64).sum();
            metrics.insert(format!("eval/reward/{name}"), sum / n as f64);
        }
        let protocol = Protocol {
            network: format!("FD on {}", self.what),
            n,
            n_reference: self.reference.n(),
            guidance: request.guidance,
            temperature: request.temperature,
            seed: request.seed,
            reference_hash: self.hash.clone(),
            note: format!(
                "of training names, gently augmented; samples of all classes in turn; k = {NEIGHBOURS}; KID of 20 subsets of {subset}; diversity: mean cosine distance within a class; class accuracy by a judge that nothing is rewarded by"
            ),
        };
        Ok(Evaluation { metrics, protocol: protocol.to_string(), pictures })
    }
}

fn features(n: usize, values: Vec<f32>) -> Result<Features> {
    let d = values.len() / n.max(1);
    Ok(Features::from_f32(n, d, &values)?)
}

/// Mean cosine distance between samples of the same class, averaged over classes: 0 when a class has become one
/// picture. (Over all pairs, classes would hide each other's collapse.)
fn within_class_diversity(deep: &Features, labels: &[usize], classes: usize) -> Result<f64> {
    let (mut sum, mut counted) = (0.0, 0);
    for class in 0..classes {
        let rows: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
        if rows.len() >= 2 {
            sum += diversity::cosine_diversity(&deep.select(&rows))?;
            counted += 1;
        }
    }
    Ok(sum / f64::from(counted.max(1)))
}
