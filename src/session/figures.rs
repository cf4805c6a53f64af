//! How good the small family's own networks are.

use std::collections::BTreeMap;

use anyhow::Result;

use super::studio::{Studio, purpose};
use crate::config::networks::is_own;
use crate::data::AugmentConfig;
use crate::model::family::OwnConfig;
use crate::platform::rng::Key;
use crate::pretrain::Task;
use crate::pretrain::clip::ClipTask;
use crate::pretrain::features::accuracy;
use crate::pretrain::preference::PreferenceTask;
use crate::pretrain::tokenizer::{held_out, reconstruction_figures};

/// Real pictures that the judge is tried on.
const CEILING: usize = 512;
/// Rows per pass.
const BATCH: usize = 64;

impl Studio {
    /// Figures of the family's own networks on pictures whose names no training saw.
    ///
    /// # Errors
    /// Where the device fails.
    pub async fn network_figures(&self) -> Result<BTreeMap<String, f64>> {
        let (family, pictures, split, device) = (self.trainer.family(), &self.pictures, &self.split, &self.device);
        let (Some(towers), Some(taste), true) = (&family.clip, &family.preference, is_own(&family.config.name)) else {
            anyhow::bail!("only the networks of this program have such figures, not {}", family.config.name)
        };
        let own = OwnConfig::small_of(pictures.class_names.len());
        let x = held_out(pictures, split, device);
        let classes: Vec<usize> = split.held_out.iter().map(|&i| pictures.pictures[i].class).collect();
        let r = reconstruction_figures(&family.tokenizer, x.clone(), family.config.vq.codebook_size).await?;
        let mut figures: BTreeMap<String, f64> = [
            ("tokenizer/psnr_db".into(), r.psnr),
            ("tokenizer/codebook_use".into(), r.codebook_use),
            ("tokenizer/perplexity".into(), r.perplexity),
            ("features/accuracy".into(), accuracy(&family.features, x.clone(), &classes).await?),
            ("judge/accuracy".into(), accuracy(&family.judge, x, &classes).await?),
        ]
        .into();
        // What real pictures of the kind that samples are compared with reach: the ceiling of their class accuracy.
        let (mut right, groups) = (0.0, pictures.groups(&split.train));
        for chunk in 0..CEILING / BATCH {
            let mut random = Key::new(0).fold(purpose::REFERENCE).fold(chunk as u64).stream();
            let batch = pictures.sample_batch(&groups, BATCH, &AugmentConfig::gentle(), &mut random);
            right += accuracy(&family.judge, batch.images(device), &batch.classes).await?;
        }
        figures.insert("judge/accuracy_of_training_names".into(), right / (CEILING / BATCH) as f64);
        let mut clip = ClipTask::new(pictures, split, own.clip.clone(), (1, 0), device);
        for (name, value) in clip.evaluate(&towers.clip).await? {
            figures.insert(format!("clip/{}", name.trim_start_matches("held_out/")), value);
        }
        let tokenizer = family.tokenizer.clone();
        let mut preference = PreferenceTask::new(pictures, split, own, tokenizer, (1, 0), device);
        for (name, value) in preference.evaluate(&taste.clip).await? {
            figures.insert(format!("preference/{}", name.trim_start_matches("held_out/")), value);
        }
        Ok(figures)
    }
}
