//! Measuring a policy with networks that never reward it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::reference::Reference;
use super::statistics::{real_batch, spread};
use crate::config::networks::is_own;
use crate::data::grid::rgb_pictures;
use crate::data::{Pictures, Split};
use crate::gpu::read::read;
use crate::metrics::kid::{Polynomial, kid};
use crate::metrics::measure::Measure;
use crate::metrics::{Features, Gaussian, Protocol, diversity, frechet, prdc};
use crate::model::efficientnet::{EfficientNetLite0, EfficientNetLite0Config};
use crate::model::family::Family;
use crate::model::feature_network::FeatureNetwork;
use crate::model::policy::Policy;
use crate::model::weights;
use crate::platform::assets::{self, Asset};
use crate::platform::rng::Key;
use crate::pretrain::features::classify;
use crate::reward::RewardBatch;
use crate::reward::loo_fid::LooFid;
use crate::reward::mix::InstanceRewards;
use crate::reward::moments::Moments;
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

/// The evaluation network, and real pictures as it sees them.
pub struct Evaluator {
    network: EfficientNetLite0,
    what: String,
    real: Option<Real>,
}

/// Real pictures as the evaluation network sees them.
struct Real {
    features: Features,
    gaussian: Gaussian,
    hash: String,
}

/// What is measured, and against what besides the evaluator's own pictures.
pub struct Subject<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The frozen networks.
    pub family: &'a Family,
    /// The rewards.
    pub rewards: &'a InstanceRewards,
    /// What the distribution reward compares with.
    pub reference: &'a Reference,
    /// Pictures per pass.
    pub together: usize,
}

impl Evaluator {
    /// Looks at real pictures, where there are any: training names, evenly by class, seed 0; augmented as in training
    /// where the policy is this program's `own`.
    ///
    /// # Errors
    /// Where the device fails, or a page cannot fetch the network.
    pub async fn new(pictures: &Pictures, split: &Split, own: bool, device: &Device) -> Result<Self> {
        // Three times the side of the small pictures; what is larger enters at the size the network was trained for.
        let small = EfficientNetLite0Config::default();
        let config = if pictures.side > small.side { EfficientNetLite0Config { side: 224 } } else { small };
        let mut network = config.init(device);
        // Only measuring needs it: a page fetches it now.
        assets::fetch(&[Asset::EfficientNet], |_| ()).await?;
        weights::load(&mut network, assets::get(Asset::EfficientNet)?).context("the evaluation network")?;
        let mut real = None;
        if !pictures.is_empty() {
            let groups = pictures.groups(&split.train);
            let mut parts = vec![];
            for chunk in 0..REFERENCE / BATCH {
                let mut random = Key::new(0).fold(PURPOSE).fold(chunk as u64).stream();
                let batch = real_batch(pictures, &groups, own, &mut random);
                parts.extend(read(network.features(batch.images(device))).await?);
            }
            let features = features(REFERENCE, parts)?;
            let gaussian = Gaussian::fit(&features)?;
            real = Some(Real { features, gaussian, hash: pictures.fingerprint.clone() });
        }
        Ok(Self { network, what: config.protocol(), real })
    }

    /// Draws pictures and measures them.
    ///
    /// # Errors
    /// Where the device fails, or there are too few samples to measure anything.
    pub async fn evaluate(&self, subject: &Subject<'_>, request: &Request) -> Result<Evaluation> {
        let Subject { policy, family, rewards, reference, together } = *subject;
        let device = &self.network.devices()[0];
        let (n, classes) = (request.samples, family.config.gpt.num_classes());
        let labels: Vec<usize> = (0..n).map(|i| spread(i, n, classes)).collect();
        let sampling = SamplingConfig {
            guidance: request.guidance,
            temperature: request.temperature,
            ..SamplingConfig::default()
        };
        let batch = BATCH.min(together);
        let (mut deep, mut rewarded) = (vec![], vec![]);
        let (mut scores, mut guesses, mut pictures): (Vec<f64>, Vec<usize>, Vec<Vec<u8>>) = (vec![], vec![], vec![]);
        for start in (0..n).step_by(batch) {
            let rows = start..(start + batch).min(n);
            let keys = rows.clone().map(|i| Key::new(request.seed).fold(PURPOSE).fold(i as u64)).collect();
            let tokens = Rollout::new(policy, &labels[rows.clone()], keys, sampling, device).finish(policy).await;
            let x = decode_levels(family, tokens);
            let batch = RewardBatch { pictures: x.clone(), classes: labels[rows.clone()].to_vec() };
            scores.extend(read(rewards.score(&batch)).await?.into_iter().map(f64::from));
            deep.extend(read(self.network.features(x.clone())).await?);
            if self.real.is_none() {
                rewarded.extend(read(family.features.features(x.clone())).await?);
            }
            guesses.extend(classify(&family.judge, x.clone()).await?);
            pictures.extend(rgb_pictures(&read(x).await?, family.config.side));
        }
        let deep = features(n, deep)?;
        let right = guesses.iter().zip(&labels).filter(|(a, b)| a == b).count();
        let mut metrics: BTreeMap<String, f64> = [("eval/vendi".into(), diversity::vendi_score(&deep)?)].into();
        if family.judge_knows_classes() {
            metrics.insert("eval/class_accuracy".into(), right as f64 / n as f64);
        }
        let diversity = within_class_diversity(&deep, &labels, classes)?;
        metrics.extend(diversity.map(|diversity| ("eval/diversity".to_string(), diversity)));
        let means = rewards.means(&rewards.table(&scores));
        metrics.extend(means.into_iter().map(|(name, mean)| (format!("eval/reward/{name}"), mean)));
        let subset = 100.min(n);
        let (network, n_reference, reference_hash) = match &self.real {
            Some(real) => {
                let p = prdc::prdc(&real.features, &deep, NEIGHBOURS)?;
                let kernel_distance = kid(&deep, &real.features, 20, subset, &Polynomial::default(), request.seed)?;
                metrics.extend([
                    ("eval/fd".to_string(), frechet::frechet_to_reference(&deep, &real.gaussian)?),
                    ("eval/kid".into(), kernel_distance.mean),
                    ("eval/precision".into(), p.precision),
                    ("eval/recall".into(), p.recall),
                    ("eval/density".into(), p.density),
                    ("eval/coverage".into(), p.coverage),
                ]);
                (format!("FD on {}", self.what), real.features.n(), real.hash.clone())
            }
            None => {
                // Without real pictures there are only the statistics that the reward compares with.
                let rewarded = features(n, rewarded)?;
                let moments = Moments::of(&rewarded, reference.moments.form())?;
                let distance = LooFid::new(reference.moments.clone(), moments, 0.0)?.distance();
                metrics.insert("eval/fd_rewarded".into(), distance);
                let mut about = format!("FD on the rewarded network, to {}", reference.about);
                if let Some(gaussian) = &reference.gaussian {
                    metrics.insert("eval/fid".into(), frechet::frechet_to_reference(&rewarded, gaussian)?);
                    about = format!("eval/fid: {}; {about}", Measure::Frechet.on(&family.features));
                }
                (format!("{about}; variety on {}", self.what), 0, "none".into())
            }
        };
        let seen = if is_own(&family.config.name) { "gently augmented" } else { "as they are" };
        // Whoever lets the evaluation's own network be the one that is rewarded should see it in every figure.
        let judge = match (&family.judge, &family.features) {
            (FeatureNetwork::EfficientNet(_), FeatureNetwork::EfficientNet(_)) => "the REWARDED EfficientNet-Lite0",
            (FeatureNetwork::EfficientNet(_), _) => "EfficientNet-Lite0, which nothing is rewarded by",
            (_, FeatureNetwork::EfficientNet(_)) => {
                "a judge that nothing is rewarded by (distances by the REWARDED network)"
            }
            _ => "a judge that nothing is rewarded by",
        };
        let note = match &self.real {
            Some(_) => format!(
                "of training names, {seen}; samples of all classes in turn; k = {NEIGHBOURS}; KID of 20 subsets of {subset}; diversity: mean cosine distance within a class; class accuracy by {judge}"
            ),
            None => format!(
                "samples evenly over the classes; diversity: mean cosine distance within a class; class accuracy by {judge}"
            ),
        };
        let protocol = Protocol {
            network,
            n,
            n_reference,
            guidance: request.guidance,
            temperature: request.temperature,
            seed: request.seed,
            reference_hash,
            note,
        };
        Ok(Evaluation { metrics, protocol: protocol.to_string(), pictures })
    }
}

fn features(n: usize, values: Vec<f32>) -> Result<Features> {
    let d = values.len() / n.max(1);
    Ok(Features::from_f32(n, d, &values)?)
}

/// Mean cosine distance between samples of the same class, averaged over classes: 0 when a class has become one
/// picture; `None` where no class has two. (Over all pairs, classes would hide each other's collapse.)
fn within_class_diversity(deep: &Features, labels: &[usize], classes: usize) -> Result<Option<f64>> {
    let (mut sum, mut counted) = (0.0, 0);
    for class in 0..classes {
        let rows: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
        if rows.len() >= 2 {
            sum += diversity::cosine_diversity(&deep.select(&rows))?;
            counted += 1;
        }
    }
    Ok((counted > 0).then(|| sum / f64::from(counted)))
}
