//! What a picture is written from: a class, or a caption. Either way it is named by an id, and what it says stands in
//! front of the tokens.
//!
//! Source: LlamaGen gpt.py, `LabelEmbedder` and `CaptionEmbedder`.

use burn::module::Param;
use burn::nn::{Embedding, Linear};
use burn::prelude::*;
use burn::tensor::activation::gelu_approximate;
use thiserror::Error;

use super::{GptConfig, Transformer};
use crate::model::attention::UNSEEN;
use crate::model::layers::{embedding, linear, single};

/// Id → the vectors that stand in front of the tokens.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network has one, and passes it by reference")]
pub enum Condition {
    /// The id is a class: one vector.
    Class(LabelEmbedder),
    /// The id is a caption of a table: one vector per token of the text.
    Caption(CaptionEmbedder),
}

impl Condition {
    /// Ids `[batch]` → `[batch, cls_token_num, dim]`.
    pub fn forward(&self, ids: Tensor<1, Int>) -> Tensor<3> {
        match self {
            Self::Class(labels) => labels.forward(ids),
            Self::Caption(captions) => captions.forward(ids),
        }
    }

    /// What is added to every attention logit of the given positions `[batch, cls_token_num]`: 0, or [`UNSEEN`] where a
    /// caption is padded. `None`: nothing is padded.
    pub(super) fn padding(&self, ids: Tensor<1, Int>) -> Option<Tensor<2>> {
        match self {
            Self::Class(_) => None,
            Self::Caption(captions) => {
                captions.table.as_ref().map(|table| table.padding.clone().select(0, table.row(ids)))
            }
        }
    }
}

/// The class table.
#[derive(Module, Debug)]
pub struct LabelEmbedder {
    /// One row per class, and the null class's last.
    pub embedding_table: Embedding,
}

impl LabelEmbedder {
    /// `[batch]` → `[batch, 1, dim]`.
    pub fn forward(&self, class: Tensor<1, Int>) -> Tensor<3> {
        embedding(&self.embedding_table, class.unsqueeze_dim::<2>(1))
    }
}

/// Captions, as features of a language model, brought to the width of the network.
///
/// Id `i` below the number of captions is caption `i`; id `n + i` is its unconditional twin, which says nothing but is
/// padded alike. Without a table every id says nothing, and nothing is padded.
#[derive(Module, Debug)]
pub struct CaptionEmbedder {
    /// Features → width of the network.
    pub cap_proj: CaptionMlp,
    /// What an unconditional caption says, `[cls_token_num, caption_dim]`. Drawn at random once, never trained.
    pub uncond_embedding: Param<Tensor<2>>,
    pub(super) table: Option<CaptionTable>,
}

impl CaptionEmbedder {
    /// `[batch]` → `[batch, cls_token_num, dim]`.
    pub fn forward(&self, ids: Tensor<1, Int>) -> Tensor<3> {
        let nothing = single(&self.uncond_embedding).unsqueeze_dim::<3>(0); // [1, cls_token_num, caption_dim]
        let [_, length, width] = nothing.dims();
        let nothing = nothing.expand([ids.dims()[0], length, width]);
        let features = match &self.table {
            None => nothing,
            Some(table) => {
                let silent = ids.clone().greater_equal_elem(table.captions() as i32).unsqueeze_dims::<3>(&[1, 2]);
                let said = table.features.clone().select(0, table.row(ids));
                said.mask_where(silent.expand([nothing.dims()[0], length, width]), nothing)
            }
        };
        self.cap_proj.forward(features)
    }
}

/// Two layers and a smooth step between them.
#[derive(Module, Debug)]
pub struct CaptionMlp {
    /// Into the network's width.
    pub fc1: Linear,
    /// Within it.
    pub fc2: Linear,
}

impl CaptionMlp {
    /// `[batch, seq, caption_dim]` → `[batch, seq, dim]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        linear(&self.fc2, gelu_approximate(linear(&self.fc1, x)))
    }
}

/// The captions a network may be asked for. Not weights: a weight file has none.
#[derive(Module, Debug)]
pub(super) struct CaptionTable {
    features: Tensor<3>, // [captions, cls_token_num, caption_dim], 0 where padded
    padding: Tensor<2>,  // [captions, cls_token_num]: 0, or UNSEEN where padded
}

impl CaptionTable {
    fn captions(&self) -> usize {
        self.features.dims()[0]
    }

    /// The caption that an id or its twin belongs to.
    fn row(&self, ids: Tensor<1, Int>) -> Tensor<1, Int> {
        ids.remainder_scalar(self.captions() as i32)
    }
}

/// Why captions cannot be given to a network.
#[derive(Debug, Error, PartialEq)]
pub enum CaptionError {
    /// The network knows classes only.
    #[error("this network writes pictures of classes, not of captions; load one of the type t2i")]
    NotText,
    /// There are none.
    #[error("there is no caption; give at least one")]
    None,
    /// Features of another language model, or of another length.
    #[error("captions of {} tokens x {} features do not fit a network that reads {} x {}; embed them with its own text encoder",
        .given[0], .given[1], .wanted[0], .wanted[1])]
    Shape {
        /// Tokens and features of the captions.
        given: [usize; 2],
        /// What the network reads.
        wanted: [usize; 2],
    },
    /// The masks are not those of the captions.
    #[error("{captions} captions with {masks} masks; each caption needs one, as long as itself")]
    Masks {
        /// Captions given.
        captions: usize,
        /// Masks of the right length.
        masks: usize,
    },
}

impl Transformer {
    /// Lets ids name these captions: `features` `[n, cls_token_num, caption_dim]` and `mask` `[n, cls_token_num]`, 1 where
    /// a caption says something and 0 where it is padded (published networks were trained with padding on the left).
    /// [`GptConfig::num_classes`] becomes their number.
    ///
    /// # Errors
    /// Where the network knows classes only, or the shapes do not fit it.
    pub fn with_captions(mut self, features: Tensor<3>, mask: Tensor<2>) -> Result<Self, CaptionError> {
        let [captions, tokens, width] = features.dims();
        let Condition::Caption(embedder) = &mut self.cls_embedding else { return Err(CaptionError::NotText) };
        let wanted = embedder.uncond_embedding.dims();
        if captions == 0 {
            return Err(CaptionError::None);
        }
        if [tokens, width] != wanted {
            return Err(CaptionError::Shape { given: [tokens, width], wanted });
        }
        if mask.dims() != [captions, tokens] {
            let masks = if mask.dims()[1] == tokens { mask.dims()[0] } else { 0 };
            return Err(CaptionError::Masks { captions, masks });
        }
        let padding = (mask.clone() - 1.0) * -UNSEEN;
        embedder.table = Some(CaptionTable { features: features * mask.unsqueeze_dim(2), padding });
        self.config.num_classes = captions;
        Ok(self)
    }

    /// Lets ids name the captions of `other`, a network of the same shape. `self` may record gradients where `other`
    /// does not.
    pub fn with_captions_of(mut self, other: &Self) -> Self {
        if let (Condition::Caption(to), Condition::Caption(from)) = (&mut self.cls_embedding, &other.cls_embedding) {
            let trains = to.uncond_embedding.val().is_autodiff();
            to.table = from.table.clone().map(|table| if trains { table.train() } else { table });
        }
        self.config.num_classes = other.config.num_classes;
        self
    }

    /// The id of the unconditional twin of `class`, which guidance pushes away from: the null class, or the caption
    /// that says nothing but is padded like this one. `None` where the network was never trained without a condition.
    pub fn null_of(&self, class: usize) -> Option<usize> {
        let GptConfig { num_classes, class_dropout_prob, .. } = self.config;
        let twin = match self.cls_embedding {
            Condition::Class(_) => num_classes,
            Condition::Caption(_) => num_classes + class,
        };
        (class_dropout_prob > 0.0).then_some(twin)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ModelType;
    use super::*;

    const TOKENS: usize = 3;
    const WIDTH: usize = 8;

    fn config() -> GptConfig {
        GptConfig { model_type: ModelType::T2i, cls_token_num: TOKENS, caption_dim: WIDTH, ..GptConfig::tiny() }
    }

    /// Two captions, the second of one token.
    fn captions(device: &Device) -> (Tensor<3>, Tensor<2>) {
        let features = Tensor::<1>::from_data(
            (0..2 * TOKENS * WIDTH).map(|i| (i as f32).sin()).collect::<Vec<_>>().as_slice(),
            device,
        );
        (features.reshape([2, TOKENS, WIDTH]), Tensor::from_data([[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]], device))
    }

    fn network(config: &GptConfig) -> Transformer {
        let device = Device::flex();
        let (features, mask) = captions(&device);
        config.init_random_head(&device).with_captions(features, mask).unwrap()
    }

    fn ids(ids: &[i32]) -> Tensor<1, Int> {
        Tensor::from_data(ids, &Device::flex())
    }

    fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        (a - b).abs().max().into_scalar()
    }

    #[test]
    fn a_picture_of_a_caption_is_written_as_it_is_scored() {
        let tokens: Vec<i32> = (0..4 * 16).map(|i| i * 37 % 64).collect();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [4, 16]), &Device::flex());
        for n_kv_head in [None, Some(1)] {
            let model = network(&GptConfig { n_kv_head, ..config() });
            let all = model.forward(ids(&[0, 1, 2, 3]), tokens.clone().narrow(1, 0, 15)); // [4, 16, vocab]
            let mut cache = model.cache(4, &Device::flex());
            let mut steps = vec![model.prefill(ids(&[0, 1, 2, 3]), &mut cache)];
            for pos in 0..15 {
                steps.push(model.step(tokens.clone().narrow(1, pos, 1), pos, &mut cache));
            }
            let worst = difference(all, Tensor::stack(steps, 1));
            assert!(worst < 1e-5, "{worst}");
        }
    }

    #[test]
    fn what_is_padded_is_not_read_and_a_twin_says_nothing_but_is_padded_alike() {
        let device = Device::flex();
        let model = network(&config());
        let (features, mask) = captions(&device);
        let noise = features.clone().slice_assign(s![1..2, 0..2, ..], Tensor::full([1, 2, WIDTH], 9.0, &device));
        let other = model.clone().with_captions(noise, mask.clone()).unwrap();
        let ask = |model: &Transformer, id: i32| model.prefill(ids(&[id]), &mut model.cache(1, &device));
        assert_eq!(difference(ask(&model, 1), ask(&other, 1)), 0.0);
        assert!(difference(ask(&model, 0), ask(&model, 1)) > 1e-3);
        assert_eq!((model.null_of(0), model.null_of(1)), (Some(2), Some(3)));
        // Other captions change nothing about their twins; another mask does.
        let other = model.clone().with_captions(features.clone() * 2.0, mask.clone()).unwrap();
        assert_eq!(difference(ask(&model, 3), ask(&other, 3)), 0.0);
        let other = model.clone().with_captions(features, mask.ones_like()).unwrap();
        assert!(difference(ask(&model, 3), ask(&other, 3)) > 1e-4);
    }

    #[test]
    fn captions_that_do_not_fit_are_refused() {
        let device = Device::flex();
        let (features, mask) = captions(&device);
        let refused = |config: &GptConfig, features: &Tensor<3>, mask: &Tensor<2>| {
            config.init(&device).with_captions(features.clone(), mask.clone()).unwrap_err()
        };
        assert_eq!(refused(&GptConfig::tiny(), &features, &mask), CaptionError::NotText);
        let wider = GptConfig { caption_dim: 9, ..config() };
        let shape = CaptionError::Shape { given: [TOKENS, WIDTH], wanted: [TOKENS, 9] };
        assert_eq!(refused(&wider, &features, &mask), shape);
        let one = mask.narrow(0, 0, 1);
        assert_eq!(refused(&config(), &features, &one), CaptionError::Masks { captions: 2, masks: 1 });
    }

    #[test]
    fn a_copy_that_learns_knows_the_same_captions() {
        let device = Device::flex().autodiff();
        let model = network(&config());
        let copy = config().init(&device).with_captions_of(&model);
        assert_eq!(copy.config().num_classes, 2);
        let class = Tensor::<1, Int>::from_data([0, 1], &device);
        let (ours, theirs) = (copy.mask(class, 10).inner(), model.mask(ids(&[0, 1]), 10));
        assert_eq!(difference(ours, theirs), 0.0);
    }
}
