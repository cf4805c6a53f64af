//! What a run begins with: features of real pictures, and of samples of the untouched model.
//!
//! With the networks and pictures that ship they are always the same, and computing them is the longest part of a
//! start. So a file with them ships too. It is used only where it belongs to these pictures, networks and settings;
//! anything else is computed.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::studio::{HELD_OUT, open_pictures, purpose};
use crate::config::RunConfig;
use crate::config::networks::is_own;
use crate::data::{AugmentConfig, Batch, Groups, Pictures, Split};
use crate::gpu::read::read;
use crate::metrics::Features;
use crate::model::family::{Family, Folders, Role};
use crate::model::weights;
use crate::platform::assets::{self, Asset};
use crate::platform::rng::{Key, Stream};
use crate::rl::checkpointed;
use crate::rl::entropy::normalized;
use crate::rl::rollout::Rollout;
use crate::rl::sampling::SamplingConfig;
use crate::rl::trainer::{decode_levels, rollout_sampling};

/// Real pictures behind the reference moments of LOO-FID.
const REFERENCE: usize = 2048;
/// Rows per pass.
const BATCH: usize = 64;

/// What statistics belong to: each condition by its name in the header of a file.
type Conditions = BTreeMap<&'static str, String>;

/// Features `[2048, width]` of real pictures: training names, evenly by class, augmented where the policy is of this program.
///
/// # Errors
/// Where the device fails.
pub async fn reference(family: &Family, pictures: &Pictures, split: &Split, device: &Device) -> Result<Features> {
    match Stored::shipped().and_then(|stored| stored.reference(family, pictures)) {
        Some(features) => Ok(features),
        None => computed_reference(family, pictures, split, device).await,
    }
}

/// Features of samples of the untouched model, as many as the settings say, and its mean token entropy as a share of
/// ln(vocabulary).
///
/// # Errors
/// Where the device fails.
pub async fn bootstrap(family: &Family, config: &RunConfig, device: &Device) -> Result<(Features, f64)> {
    match Stored::shipped().and_then(|stored| stored.bootstrap(family, config)) {
        Some(found) => Ok(found),
        None => computed_bootstrap(family, config, device).await,
    }
}

/// Computes anew what ships: the file's bytes, for the default settings, always on the CPU.
///
/// # Errors
/// Where a network or the pictures do not load.
pub async fn file() -> Result<Vec<u8>> {
    let (device, config) = (Device::flex(), RunConfig::default());
    let (family, pictures) = what_ships(&config, &device)?;
    let reference = computed_reference(&family, &pictures, &pictures.split(HELD_OUT), &device).await?;
    let bootstrap = computed_bootstrap(&family, &config, &device).await?;
    write(&family, &pictures, &config, &reference, &bootstrap)
}

/// A file of statistics.
struct Stored<'a> {
    tensors: SafeTensors<'a>,
    notes: BTreeMap<String, String>,
}

impl<'a> Stored<'a> {
    /// The file that ships; `None` where a page has not fetched it.
    fn shipped() -> Option<Self> {
        Self::open(assets::get(Asset::Statistics).ok()?)
    }

    /// Reads a file; `None` where it is damaged.
    fn open(bytes: &'a [u8]) -> Option<Self> {
        Some(Self { notes: weights::metadata(bytes).ok()?, tensors: SafeTensors::deserialize(bytes).ok()? })
    }

    /// As [`reference`]; `None` where the file belongs to something else.
    fn reference(&self, family: &Family, pictures: &Pictures) -> Option<Features> {
        self.meets(&reference_conditions(family, pictures)?)?;
        self.features("reference", [REFERENCE, family.config.features.features()])
    }

    /// As [`bootstrap`]; `None` where the file belongs to something else.
    fn bootstrap(&self, family: &Family, config: &RunConfig) -> Option<(Features, f64)> {
        self.meets(&bootstrap_conditions(family, config)?)?;
        let entropy = f64::from_bits(u64::from_str_radix(self.notes.get("entropy_bits")?, 16).ok()?);
        let features =
            self.features("bootstrap", [config.bootstrap_samples as usize, family.config.features.features()])?;
        (0.0..=1.0).contains(&entropy).then_some((features, entropy))
    }

    fn meets(&self, conditions: &Conditions) -> Option<()> {
        conditions.iter().all(|(name, value)| self.notes.get(*name) == Some(value)).then_some(())
    }

    fn features(&self, name: &str, shape: [usize; 2]) -> Option<Features> {
        let tensor = self.tensors.tensor(name).ok().filter(|it| it.dtype() == Dtype::F32 && it.shape() == shape)?;
        let (values, _) = tensor.data().as_chunks();
        let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Features::from_f32(shape[0], shape[1], &values).ok() // NaN and infinity are refused
    }
}

/// The hash of a network's weights; `None` for procedural ones.
fn hash(family: &Family, role: Role) -> Option<String> {
    family.sources.get(role.name()).map(|source| source.hash.clone())
}

fn reference_conditions(family: &Family, pictures: &Pictures) -> Option<Conditions> {
    Some([("pictures", pictures.fingerprint.clone()), ("features", hash(family, Role::Features)?)].into())
}

fn bootstrap_conditions(family: &Family, config: &RunConfig) -> Option<Conditions> {
    // Named one by one: a setting that sampling gets in the future must not be forgotten here.
    let SamplingConfig { guidance, temperature, top_k, top_p, cfg_interval } = rollout_sampling(config);
    let conditions = [
        ("tokenizer", hash(family, Role::Tokenizer)?),
        ("prior", hash(family, Role::Prior)?),
        ("features", hash(family, Role::Features)?),
        ("guidance", guidance.to_string()),
        ("temperature", temperature.to_string()),
        ("top_k", top_k.to_string()),
        ("top_p", top_p.to_string()),
        ("cfg_interval", cfg_interval.to_string()),
        ("seed", config.seed.to_string()),
        ("bootstrap_samples", config.bootstrap_samples.to_string()),
    ];
    Some(conditions.into())
}

/// The default family and its pictures.
fn what_ships(config: &RunConfig, device: &Device) -> Result<(Family, Pictures)> {
    let family = Family::load(config, Folders::default(), device)?;
    let (pictures, _) = open_pictures(None, family.config.side)?;
    let classes = family.classes.clone().unwrap_or_else(|| pictures.class_names.clone());
    Ok((family, pictures.in_order_of(&classes)?))
}

/// The file of these statistics. Equal statistics give equal bytes.
fn write(
    family: &Family,
    pictures: &Pictures,
    config: &RunConfig,
    reference: &Features,
    (bootstrap, entropy): &(Features, f64),
) -> Result<Vec<u8>> {
    let conditions = reference_conditions(family, pictures).zip(bootstrap_conditions(family, config));
    let Some((of_reference, of_bootstrap)) = conditions else {
        anyhow::bail!("procedural weights have no hash that their statistics could be known by")
    };
    let notes = [
        ("entropy", entropy.to_string()),
        ("entropy_bits", format!("{:016x}", entropy.to_bits())),
        ("made_by", "artune statistics, on the CPU".into()),
    ];
    let notes = of_reference.into_iter().chain(of_bootstrap).chain(notes).map(|(name, value)| (name.into(), value));
    let bytes = |features: &Features| -> Vec<u8> {
        // They were f32 before they were features, so nothing is lost.
        features.data().iter().flat_map(|&value| (value as f32).to_le_bytes()).collect()
    };
    let (of_real, of_samples) = (bytes(reference), bytes(bootstrap));
    let tensors = [
        ("reference", TensorView::new(Dtype::F32, vec![reference.n(), reference.d()], &of_real)?),
        ("bootstrap", TensorView::new(Dtype::F32, vec![bootstrap.n(), bootstrap.d()], &of_samples)?),
    ];
    Ok(weights::in_order(&safetensors::serialize(tensors, Some(notes.collect()))?)?)
}

async fn computed_reference(family: &Family, pictures: &Pictures, split: &Split, device: &Device) -> Result<Features> {
    let groups = pictures.groups(&split.train);
    let mut values = vec![];
    for chunk in 0..REFERENCE / BATCH {
        values.extend(reference_chunk(family, pictures, &groups, chunk, device).await?);
    }
    Ok(Features::from_f32(REFERENCE, values.len() / REFERENCE, &values)?)
}

/// Real pictures to compare samples with, evenly by class: as the program's own priors saw them, a little turned and
/// moved, or as they are, which is what published networks are compared with.
pub(super) fn real_batch(pictures: &Pictures, groups: &Groups, augmented: bool, random: &mut Stream) -> Batch {
    match augmented {
        true => pictures.sample_batch(groups, BATCH, &AugmentConfig::gentle(), random),
        false => pictures.plain_batch(&groups.draw(BATCH, random)),
    }
}

/// Features `[64, width]`, row by row.
async fn reference_chunk(
    family: &Family,
    pictures: &Pictures,
    groups: &Groups,
    chunk: usize,
    device: &Device,
) -> Result<Vec<f32>> {
    let mut random = Key::new(0).fold(purpose::REFERENCE).fold(chunk as u64).stream();
    let batch = real_batch(pictures, groups, is_own(&family.config.name), &mut random);
    Ok(read(family.features.features(batch.images(device))).await?)
}

async fn computed_bootstrap(family: &Family, config: &RunConfig, device: &Device) -> Result<(Features, f64)> {
    let (mut values, mut entropy) = (vec![], 0.0);
    for chunk in 0..chunks(config) {
        let (features, nats) = bootstrap_chunk(family, config, chunk, device).await?;
        entropy += nats * (features.len() / family.config.features.features()) as f64;
        values.extend(features);
    }
    let n = config.bootstrap_samples as usize;
    let share = normalized(entropy / n as f64, family.config.gpt.vocab_size());
    Ok((Features::from_f32(n, values.len() / n, &values)?, share))
}

/// Rows of a pass over the untouched model's samples: as many as a rollout has, where the settings bound it.
fn rows_per_pass(config: &RunConfig) -> usize {
    if config.rollout_batch == 0 { BATCH } else { BATCH.min(config.rollout_batch as usize) }
}

fn chunks(config: &RunConfig) -> usize {
    (config.bootstrap_samples as usize).div_ceil(rows_per_pass(config))
}

/// Features of the samples of one pass, row by row, and their mean token entropy in nats.
async fn bootstrap_chunk(
    family: &Family,
    config: &RunConfig,
    chunk: usize,
    device: &Device,
) -> Result<(Vec<f32>, f64)> {
    let (n, size) = (config.bootstrap_samples as usize, rows_per_pass(config));
    let rows = chunk * size..((chunk + 1) * size).min(n);
    let classes: Vec<usize> = rows.clone().map(|i| spread(i, n, family.config.gpt.num_classes())).collect();
    let key = Key::new(config.seed).fold(purpose::BOOTSTRAP);
    let keys = rows.map(|i| key.fold((i / BATCH) as u64).fold((i % BATCH) as u64)).collect();
    let rollout = Rollout::new(&family.prior, &classes, keys, rollout_sampling(config), device);
    let tokens = rollout.finish(&family.prior).await;
    let ids: Vec<i32> = classes.iter().map(|&c| c as i32).collect();
    let labels = Tensor::from_data(TensorData::new(ids, [classes.len()]), device);
    // The logits of so many pictures at once would be the largest tensor of all, where the vocabulary is large.
    let (_, h) = checkpointed::log_probs(&family.prior, labels, tokens.clone(), checkpointed::LOGITS).await;
    let features = read(family.features.features(decode_levels(family, tokens))).await?;
    Ok((features, f64::from(read(h.mean()).await?[0])))
}

/// Class of sample `i` of `n`: all in turn, or evenly spread over them where there are more classes than samples.
pub(super) fn spread(i: usize, n: usize, classes: usize) -> usize {
    if n < classes { i * classes / n } else { i % classes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> (Family, Pictures, RunConfig) {
        let config = RunConfig::default();
        let (family, pictures) = what_ships(&config, &Device::flex()).expect("loads");
        (family, pictures, config)
    }

    fn near(stored: &[f64], computed: &[f32], tolerance: f64) {
        let worst = stored.iter().zip(computed).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
        assert!(worst <= tolerance, "they differ by {worst}");
    }

    /// The bits of a sum depend on its order, and that on the width of the processor's vectors.
    #[cfg(target_arch = "x86_64")]
    fn same_processor() -> bool {
        std::is_x86_feature_detected!("avx512f")
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn same_processor() -> bool {
        false
    }

    #[test]
    fn the_file_holds_what_would_be_computed() {
        let (family, pictures, config) = shipped();
        let (device, stored) = (Device::flex(), Stored::shipped().expect("readable"));
        let tolerance = if same_processor() { 0.0 } else { 1e-4 };

        let features = stored.reference(&family, &pictures).expect("of the pictures and networks that ship");
        let groups = pictures.groups(&pictures.split(HELD_OUT).train);
        let chunk = pollster::block_on(reference_chunk(&family, &pictures, &groups, 31, &device)).expect("computed");
        assert_eq!((features.n(), chunk.len()), (REFERENCE, BATCH * features.d()));
        near(&features.data()[31 * chunk.len()..], &chunk, tolerance);

        let (features, entropy) = stored.bootstrap(&family, &config).expect("of the default settings");
        let (chunk, nats) = pollster::block_on(bootstrap_chunk(&family, &config, 3, &device)).expect("computed");
        assert_eq!(features.n() as u64, config.bootstrap_samples);
        // One token drawn otherwise makes another picture: elsewhere only the means can be compared.
        if same_processor() {
            near(&features.data()[3 * chunk.len()..], &chunk, 0.0);
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let computed: Vec<f64> = chunk.iter().map(|&value| value.into()).collect();
        let stored = mean(&features.data()[3 * chunk.len()..]);
        assert!((stored - mean(&computed)).abs() < 0.05 * stored.abs(), "{stored} and {}", mean(&computed));
        let share = normalized(nats, family.config.gpt.vocab_size());
        assert!((share - entropy).abs() < 0.02, "a quarter has {share}, all have {entropy}");
    }

    #[test]
    fn a_file_of_other_weights_pictures_settings_or_another_seed_is_not_used() {
        let (mut family, mut pictures, config) = shipped();
        let stored = Stored::shipped().expect("readable");
        let changed = [("seed", "1"), ("guidance", "3.5"), ("temperature", "0.9"), ("top_k", "7"), ("top_p", "0.5")];
        for (name, value) in changed.into_iter().chain([("cfg_interval", "3")]) {
            let mut other = config.clone();
            other.apply([(name, value)]).expect("valid");
            assert!(stored.bootstrap(&family, &other).is_none(), "{name}");
        }
        let rest = RunConfig { updates: 7, beta: 0.5, ..config.clone() };
        assert!(stored.bootstrap(&family, &rest).is_some(), "what has no part in it does not matter");

        let of_prior = family.sources["prior"].hash.clone();
        family.sources.get_mut("prior").expect("named").hash = "0123456789abcdef".into();
        assert!(stored.bootstrap(&family, &config).is_none() && stored.reference(&family, &pictures).is_some());
        family.sources.get_mut("prior").expect("named").hash = of_prior;
        pictures.fingerprint = "0123456789abcdef".into();
        assert!(stored.bootstrap(&family, &config).is_some() && stored.reference(&family, &pictures).is_none());
        family.sources.clear();
        assert!(stored.bootstrap(&family, &config).is_none(), "procedural weights");
    }

    #[test]
    fn a_file_survives_a_round_trip_and_a_damaged_one_is_not_used() {
        let (family, pictures, config) = shipped();
        let width = family.config.features.features();
        let made = |n: usize, first: f64| {
            let values = (0..n * width).map(|i| if i == 0 { first } else { i as f64 / 4.0 }).collect();
            Features::new(n, width, values).expect("finite")
        };
        let bytes = |reference: &Features, entropy| {
            write(&family, &pictures, &config, reference, &(made(256, 1.5), entropy)).expect("written")
        };
        let good = bytes(&made(REFERENCE, 2.5), 0.1 + 0.2);
        assert_eq!(good, bytes(&made(REFERENCE, 2.5), 0.1 + 0.2), "the same bytes every time");
        let stored = Stored::open(&good).expect("readable");
        assert_eq!(stored.reference(&family, &pictures), Some(made(REFERENCE, 2.5)));
        assert_eq!(stored.bootstrap(&family, &config), Some((made(256, 1.5), 0.1 + 0.2)), "to the last bit");

        assert!(Stored::open(&[]).is_none() && Stored::open(&good[..good.len() - 1]).is_none());
        let refused = bytes(&made(REFERENCE - 1, 2.5), f64::NAN);
        let stored = Stored::open(&refused).expect("readable");
        assert!(stored.reference(&family, &pictures).is_none(), "too few rows");
        assert!(stored.bootstrap(&family, &config).is_none(), "no entropy");
        let infinite = bytes(&made(REFERENCE, f64::MAX), 0.5);
        assert!(
            Stored::open(&infinite).expect("readable").reference(&family, &pictures).is_none(),
            "too large for f32"
        );
    }
}
