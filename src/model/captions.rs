//! Captions ready for a text-conditional network: made once, elsewhere, by the language model it was trained with
//! (FLAN-T5-XL for LlamaGen), because that model is larger than the network itself.
//!
//! The format is a file of tensors ([`crate::formats`]: safetensors, npz, …) with
//!
//! | name | shape | what |
//! |---|---|---|
//! | `caption_emb` | `[n, tokens, features]` | the language model's output for each caption, floats of any width |
//! | `mask` | `[n, tokens]` | 1 where a caption has a token, 0 where it is padded, numbers of any kind |
//!
//! padded to `tokens` (120) **on the left**, as LlamaGen's `sample_t2i.py` does, and what the captions say: a JSON list
//! of strings in the note `captions` of a safetensors file, or the lines of a text file beside it. Without either
//! they are numbered.

use burn::prelude::*;
use thiserror::Error;

use super::transformer::{CaptionError, Transformer};
use crate::formats::{FormatError, Tensors};

/// Name of the features, of the masks, and of the note that says what the captions are.
const FEATURES: &str = "caption_emb";
const MASK: &str = "mask";
const NOTE: &str = "captions";

/// Captions with their features.
#[derive(Clone, Debug)]
pub struct Captions {
    /// What they say, in the order of their ids.
    pub names: Vec<String>,
    /// Whether anybody has told what they say; else they are merely numbered.
    pub named: bool,
    features: TensorData, // [n, tokens, features]
    mask: TensorData,     // [n, tokens]
}

/// Why captions could not be read.
#[derive(Debug, Error)]
pub enum CaptionsError {
    /// The file cannot be read, or is of something else.
    #[error("the captions cannot be read: {0}")]
    Format(#[from] FormatError),
    /// Its tensors do not belong together.
    #[error(
        "the captions cannot be read: {FEATURES} of shape {features:?} needs the form [n, tokens, features], and {MASK} of \
         shape {mask:?} the form [n, tokens]"
    )]
    Shape {
        /// Of the features.
        features: Vec<usize>,
        /// Of the masks.
        mask: Vec<usize>,
    },
    /// The note is no list of strings.
    #[error("the note {NOTE} must be a JSON list of strings: {0}")]
    Note(String),
    /// There are not as many names as captions.
    #[error("{names} lines of text for {captions} captions; give one line for each")]
    Names {
        /// Names given.
        names: usize,
        /// Captions in the file.
        captions: usize,
    },
}

impl Captions {
    /// Reads `file`; `text` is what lies beside it, if anything does.
    ///
    /// # Errors
    /// Where the file is damaged or not of the form that the head of this module describes.
    pub fn read(file: &Tensors, text: Option<&str>) -> Result<Self, CaptionsError> {
        let shape = |name: &str| file.info(name).map(|info| info.shape.clone());
        let missing = |name: &str| FormatError::Missing(name.into());
        let features = shape(FEATURES).ok_or_else(|| missing(FEATURES))?;
        let mask = shape(MASK).ok_or_else(|| missing(MASK))?;
        let [captions, ..] = match (features.as_slice(), mask.as_slice()) {
            (&[n, tokens, width], &[masks, length]) if masks == n && length == tokens => [n, tokens, width],
            _ => return Err(CaptionsError::Shape { features, mask }),
        };
        let names = match (file.notes().get(NOTE), text) {
            (Some(note), _) => serde_json::from_str(note).map_err(|error| CaptionsError::Note(error.to_string()))?,
            (None, Some(text)) => text.lines().map(str::to_owned).collect(),
            (None, None) => (0..captions).map(|i| format!("caption {i}")).collect::<Vec<_>>(),
        };
        if names.len() != captions {
            return Err(CaptionsError::Names { names: names.len(), captions });
        }
        // A number of any kind is 0 where all its bytes are.
        let size = file.info(MASK).map_or(1, |info| info.dtype.size());
        let shown = |number: &[u8]| f32::from(u8::from(number.iter().any(|&byte| byte != 0)));
        let shown: Vec<f32> = file.bytes(MASK)?.chunks(size).map(shown).collect();
        let features = TensorData::new(file.f32(FEATURES)?, features);
        let named = text.is_some() || file.notes().contains_key(NOTE);
        Ok(Self { names, named, features, mask: TensorData::new(shown, mask) })
    }

    /// Lets `model` be asked for them; their ids are their places in [`Self::names`].
    ///
    /// # Errors
    /// Where it knows classes only, or was trained with other features.
    pub fn give_to(&self, model: Transformer) -> Result<Transformer, CaptionError> {
        let device = model.output.weight.device();
        let features = Tensor::from_data(self.features.clone(), &device);
        model.with_captions(features, Tensor::from_data(self.mask.clone(), &device))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;
    use crate::model::transformer::{GptConfig, ModelType};

    /// Two captions of three tokens with four features, the second padded to the left by two.
    fn file(mask: &[usize], note: Option<&str>) -> Tensors {
        let features: Vec<u8> = (0..24u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
        let shown: Vec<u8> = [1i64, 1, 1, 0, 0, 1].iter().flat_map(|x| x.to_le_bytes()).collect();
        let tensors = [
            (FEATURES, TensorView::new(Dtype::F32, vec![2, 3, 4], &features).unwrap()),
            (MASK, TensorView::new(Dtype::I64, mask.to_vec(), &shown).unwrap()),
        ];
        let notes = note.map(|note| HashMap::from([(NOTE.to_owned(), note.to_owned())]));
        Tensors::open(safetensors::serialize(tensors, notes).unwrap()).unwrap()
    }

    #[test]
    fn a_file_of_captions_is_one_that_a_network_can_be_asked_for() {
        let names = |note, text| Captions::read(&file(&[2, 3], note), text).unwrap().names;
        assert_eq!(names(Some(r#"["a cat", "dog"]"#), Some("x\ny\n")), ["a cat", "dog"]);
        assert_eq!(names(None, Some("a cat\na dog\n")), ["a cat", "a dog"]);
        assert_eq!(names(None, None), ["caption 0", "caption 1"]);
        let config = GptConfig { model_type: ModelType::T2i, cls_token_num: 3, caption_dim: 4, ..GptConfig::tiny() };
        let captions = Captions::read(&file(&[2, 3], None), None).unwrap();
        let device = Device::flex();
        let model = captions.give_to(config.init(&device)).unwrap();
        assert_eq!(model.config().num_classes, 2);
        let seen = model.mask(Tensor::from_data([1], &device), 4).greater_equal_elem(-0.5);
        let seen: Vec<bool> = seen.into_data().iter::<bool>().collect();
        let rows: Vec<&[bool]> = seen.chunks(4).collect();
        assert_eq!(rows[3], [false, false, true, true], "a token sees what is not padded, and itself");
        assert_eq!(rows[1], [false, true, false, false], "padding sees itself");
    }

    #[test]
    fn a_file_that_contradicts_itself_is_refused_with_a_reason() {
        let why = |mask: &[usize], note, text| Captions::read(&file(mask, note), text).unwrap_err().to_string();
        assert!(why(&[3, 2], None, None).contains("mask of shape [3, 2]"));
        assert!(why(&[2, 3], None, Some("one")).contains("1 lines of text for 2 captions"));
        assert!(why(&[2, 3], Some("{}"), None).contains("must be a JSON list of strings"));
    }
}
