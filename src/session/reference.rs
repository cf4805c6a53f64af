//! What samples are compared with by the distribution reward: features of real pictures, or statistics of them that
//! somebody else has measured.

use std::path::Path;

use anyhow::{Context, Result};
use burn::prelude::*;

use super::statistics;
use crate::config::RunConfig;
use crate::data::{Pictures, Split};
use crate::formats::Tensors;
use crate::metrics::statistics::Kind;
use crate::metrics::{Features, Gaussian, Statistics};
use crate::model::family::{Family, FeatureShape};
use crate::model::inception::InceptionVariant;
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
    /// The whole distribution, where a file has a covariance: what a Fréchet distance is measured to.
    pub gaussian: Option<Gaussian>,
    /// Whether they are of real pictures at all.
    pub real: bool,
    /// What makes it doubtful that they belong to the feature network, in a sentence.
    pub doubt: Option<String>,
}

/// What to do where there is nothing to compare with.
pub const NOTHING: &str = "the distribution reward needs real pictures to compare with: name statistics of them with \
    --reference FILE.npz, or a folder of them with --data DIR, or do without with --set loo_fid_weight=0";

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
                "{} is of {got} features, and the feature network has {want}: it was made with another network; --set \
                 feature_network=NAME names one",
                place()
            );
            let moments = Moments::from(&statistics).into_form(form).with_context(place)?;
            let about = format!("{} ({}, usually of {})", place(), statistics.kind, statistics.kind.network());
            let doubt = doubt(statistics.kind, &family.config.features).map(|why| format!("{}: {why}", place()));
            let gaussian = statistics.gaussian().ok();
            return Ok(Some(Self { moments, features: None, about, gaussian, real: true, doubt }));
        }
        if pictures.is_empty() {
            anyhow::ensure!(config.loo_fid_weight == 0.0, NOTHING);
            return Ok(None);
        }
        let features = statistics::reference(family, pictures, split, device).await?;
        let about = format!("{} real pictures, fingerprint {}", features.n(), pictures.fingerprint);
        Ok(Some(Self {
            moments: Moments::of(&features, form)?,
            features: Some(features),
            about,
            real: true,
            gaussian: None,
            doubt: None,
        }))
    }

    /// Features of the untouched model's own samples, where there is nothing else and nothing is paid by the distance.
    ///
    /// # Errors
    /// [`MetricError::TooFew`](crate::metrics::MetricError::TooFew) without samples.
    pub fn of_samples(config: &RunConfig, samples: &Features) -> Result<Self> {
        let form = if config.loo_fid_form == "full" { Form::Full } else { Form::Diagonal };
        Ok(Self::of_moments(Moments::of(samples, form)?))
    }

    /// What a run that goes on without real pictures is compared with: the moments that it brings.
    pub fn of_moments(moments: Moments) -> Self {
        let about = "no real pictures: the model's own samples".to_string();
        Self { moments, features: None, about, gaussian: None, real: false, doubt: None }
    }
}

/// Why statistics of this kind may not belong to features of this network: the files themselves do not say.
fn doubt(kind: Kind, features: &FeatureShape) -> Option<String> {
    let FeatureShape::Inception(config) = features else {
        return Some(format!("statistics of {} are rarely of this feature network's features", kind));
    };
    let (name, other) = match (kind, config.variant) {
        (Kind::PytorchFid | Kind::OpenAi, InceptionVariant::ImageNet) => ("torchvision's Inception", "inception-fid"),
        (Kind::Authors, InceptionVariant::Fid) => ("the Inception of FID", "inception-imagenet"),
        (Kind::OpenAi, InceptionVariant::Fid) => {
            let why = "OpenAI's evaluator resizes pictures as TensorFlow 1 does, and features here as pytorch-fid";
            return Some(format!("{why}: distances are a little too large"));
        }
        _ => return None,
    };
    Some(format!(
        "a file like those of {kind}, which are of {}, while features are those of {name}: rewards mean nothing unless it \
         was made with that network (--set feature_network={other} takes the other)",
        kind.network()
    ))
}
