//! What samples are compared with by the distribution reward: features of real pictures, or statistics of them that
//! somebody else has measured.

use std::path::Path;

use anyhow::{Context, Result};
use burn::prelude::*;

use super::statistics;
use crate::config::RunConfig;
use crate::data::{Pictures, Split};
use crate::formats::Tensors;
use crate::metrics::{Features, Statistics};
use crate::model::family::Family;
use crate::platform::files;
use crate::reward::moments::{Form, Moments};

/// Moments of real pictures, and where they are from.
#[derive(Clone, Debug)]
pub struct Reference {
    /// In the form that the settings ask for.
    pub moments: Moments,
    /// The features themselves, where they are known.
    pub features: Option<Features>,
    /// Whose pictures, in words.
    pub about: String,
}

impl Reference {
    /// From `file` where one is named, else from `pictures`; `None` where there is neither, and nothing is paid by it.
    ///
    /// # Errors
    /// Where the file holds no statistics of this network's features, or the device fails. Where the settings pay the
    /// distribution reward, and there is nothing to compare with.
    pub async fn of(
        config: &RunConfig,
        family: &Family,
        (pictures, split): (&Pictures, &Split),
        file: Option<&Path>,
        device: &Device,
    ) -> Result<Option<Self>> {
        let form = if config.loo_fid_form == "full" { Form::Full } else { Form::Diagonal };
        if let Some(path) = file {
            let place = || path.display().to_string();
            let opened = Tensors::open(files::source(path).with_context(place)?).with_context(place)?;
            let statistics = Statistics::read(&opened).with_context(place)?;
            let (got, want) = (statistics.mean.len(), family.config.features.features());
            anyhow::ensure!(
                got == want,
                "{} is of {got} features, and the feature network has {want}: it was made with another network",
                place()
            );
            let moments = Moments::from(&statistics).into_form(form).with_context(place)?;
            let about = format!("{} ({}, usually of {})", place(), statistics.kind, statistics.kind.network());
            return Ok(Some(Self { moments, features: None, about }));
        }
        if pictures.is_empty() {
            anyhow::ensure!(
                config.loo_fid_weight == 0.0,
                "the distribution reward needs real pictures to compare with: name statistics of them with --reference \
                 FILE.npz, or a folder of them with --data DIR, or do without with --set loo_fid_weight=0"
            );
            return Ok(None);
        }
        let features = statistics::reference(family, pictures, split, device).await?;
        let about = format!("{} real pictures, fingerprint {}", features.n(), pictures.fingerprint);
        Ok(Some(Self { moments: Moments::of(&features, form)?, features: Some(features), about }))
    }

    /// Features of the untouched model's own samples, where there is nothing else and nothing is paid by the distance.
    ///
    /// # Errors
    /// [`MetricError::TooFew`](crate::metrics::MetricError::TooFew) without samples.
    pub fn of_samples(config: &RunConfig, samples: &Features) -> Result<Self> {
        let form = if config.loo_fid_form == "full" { Form::Full } else { Form::Diagonal };
        let about = "no real pictures: the untouched model's own samples".to_string();
        Ok(Self { moments: Moments::of(samples, form)?, features: None, about })
    }
}
