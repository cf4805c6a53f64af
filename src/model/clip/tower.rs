//! A pair of towers that scores pictures of any size.

use burn::prelude::*;

use super::{Clip, normalize};
use crate::model::bpe::Bpe;
use crate::model::resample::{Resample, resize};
use crate::platform::assets::AssetError;

/// CLIP's towers, their words, and the way in which pictures enter them.
#[derive(Clone, Debug)]
pub struct Tower {
    /// The towers.
    pub clip: Clip,
    /// What cuts a prompt into ids.
    pub bpe: Bpe,
    /// How pictures of another size are brought to the tower's. Ours are square, so that neither a crop (OpenAI's way)
    /// nor a frame (HPSv2's way) has anything to do.
    pub entry: Resample,
    /// What it is, in a few words.
    pub what: String,
}

impl Tower {
    /// A tower with the words that its vocabulary has room for.
    ///
    /// # Errors
    /// Where a page has not fetched the words.
    pub fn new(clip: Clip, entry: Resample, what: impl Into<String>) -> Result<Self, AssetError> {
        Ok(Self { bpe: Bpe::new(clip.vocab_size())?, clip, entry, what: what.into() })
    }

    /// Pictures `[n, 3, side, side]` in [0, 1], of any side, → vectors `[n, embed_dim]`, not normalised.
    pub fn encode_image(&self, pictures: Tensor<4>) -> Tensor<2> {
        let side = self.clip.image_size();
        self.clip.encode_image(resize(pictures, [side, side], self.entry))
    }

    /// Prompts → vectors of length 1, `[prompts, embed_dim]`.
    pub fn encode_prompts(&self, prompts: &[String]) -> Tensor<2> {
        let texts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        // In parts: a thousand prompts at once would be a thousand maps of attention.
        let parts = texts.chunks(PROMPTS).map(|texts| {
            // Nothing looks at what stands behind a text's end: a batch need be no longer than its longest text.
            let longest = texts.iter().map(|text| self.bpe.encode(text).len() + 2).max().unwrap_or(2);
            let length = longest.min(self.clip.context_length());
            let ids = self.bpe.tensor(texts, length, &self.clip.logit_scale.device());
            normalize(self.clip.encode_text(ids))
        });
        Tensor::cat(parts.collect(), 0)
    }
}

/// Prompts per pass.
const PROMPTS: usize = 50;
