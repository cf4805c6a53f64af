//! CLIP's two towers: pictures and texts become vectors that point the same way where they belong together.
//!
//! The towers are plain transformers. A picture enters as patches behind a class token, whose last state is its
//! vector; a text enters as the ids of [`super::bpe`], and the state at its end token is its vector.
//!
//! Field names are the key names of open_clip, OpenAI and HPSv2 checkpoints. Sources: open_clip `model.py`,
//! `transformer.py`; OpenAI CLIP `model.py`.

mod blocks;
mod config;
mod tower;

pub use blocks::{Attention, Mlp, ResidualAttentionBlock, Transformer};
pub use config::{ClipConfig, TextConfig, VisionConfig};
pub use tower::Tower;

use super::attention::causal;
use blocks::TransformerShape;
use burn::module::{Initializer, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig};
use burn::prelude::*;
use burn::tensor::module::linear;

use super::layers::{embedding, single};

/// Mean of each colour channel that pictures are centred by (OpenAI's training set).
pub const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Standard deviation of each colour channel that pictures are divided by.
pub const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

impl ClipConfig {
    /// Towers with random weights of the spread that CLIP's authors chose.
    ///
    /// # Panics
    /// Panics if a head's width does not divide its tower's, or the patch size not the picture's.
    pub fn init(&self, device: &Device) -> Clip {
        let (vision, text) = (&self.vision, &self.text);
        assert_eq!(vision.image_size % vision.patch_size, 0, "patches tile the picture");
        let normal = |std: f64| Initializer::Normal { mean: 0.0, std };
        let (scale, grid) = ((vision.width as f64).powf(-0.5), vision.image_size / vision.patch_size);
        let patch = [vision.patch_size; 2];
        let norm = |width| LayerNormConfig::new(width).init(device);
        let visual = VisionTransformer {
            conv1: Conv2dConfig::new([3, vision.width], patch).with_stride(patch).with_bias(false).init(device),
            class_embedding: normal(scale).init([vision.width], device),
            positional_embedding: normal(scale).init([1 + grid * grid, vision.width], device),
            ln_pre: norm(vision.width),
            transformer: TransformerShape {
                width: vision.width,
                layers: vision.layers,
                heads: vision.width / vision.head_width,
                mlp_ratio: vision.mlp_ratio,
                quick_gelu: self.quick_gelu,
            }
            .init(device),
            ln_post: norm(vision.width),
            proj: normal(scale).init([vision.width, self.embed_dim], device),
        };
        Clip {
            visual,
            token_embedding: EmbeddingConfig::new(text.vocab_size, text.width)
                .with_initializer(normal(0.02))
                .init(device),
            positional_embedding: normal(0.01).init([text.context_length, text.width], device),
            transformer: TransformerShape {
                width: text.width,
                layers: text.layers,
                heads: text.heads,
                mlp_ratio: config::default_mlp_ratio(),
                quick_gelu: self.quick_gelu,
            }
            .init(device),
            ln_final: norm(text.width),
            text_projection: normal((text.width as f64).powf(-0.5)).init([text.width, self.embed_dim], device),
            logit_scale: Initializer::Constant { value: (1.0f64 / 0.07).ln() }.init([1], device),
            causal: causal(text.context_length, device),
        }
    }
}

/// Both towers. See the module's documentation.
#[derive(Module, Debug)]
pub struct Clip {
    /// The picture tower.
    pub visual: VisionTransformer,
    /// Id → vector.
    pub token_embedding: Embedding,
    /// Added to the vectors, `[context, width]`.
    pub positional_embedding: Param<Tensor<2>>,
    /// Blocks of the text tower.
    pub transformer: Transformer,
    /// Norm behind them.
    pub ln_final: LayerNorm,
    /// State of the end token → shared space, `[width, embed_dim]`, applied as x · W.
    pub text_projection: Param<Tensor<2>>,
    /// Logarithm of what cosines are multiplied by in training, `[1]`.
    pub logit_scale: Param<Tensor<1>>,
    causal: Tensor<4>, // [1, 1, context, context]: 0 on and below the diagonal, -1e9 above
}

impl Clip {
    /// Number of ids the text tower knows.
    pub fn vocab_size(&self) -> usize {
        self.token_embedding.weight.shape().dims::<2>()[0]
    }

    /// Most ids in a text.
    pub fn context_length(&self) -> usize {
        self.positional_embedding.shape().dims::<2>()[0]
    }

    /// Side of the pictures that the picture tower takes, in pixels.
    pub fn image_size(&self) -> usize {
        let [_, _, patch, _] = self.visual.conv1.weight.shape().dims::<4>();
        patch * (self.visual.positional_embedding.shape().dims::<2>()[0] - 1).isqrt()
    }

    /// Pictures `[n, 3, image_size, image_size]` in [0, 1] → vectors `[n, embed_dim]`, not normalised.
    pub fn encode_image(&self, pictures: Tensor<4>) -> Tensor<2> {
        self.visual.forward(preprocess(pictures))
    }

    /// Ids `[n, len]` (`len` up to the context) → vectors `[n, embed_dim]`, not normalised.
    pub fn encode_text(&self, ids: Tensor<2, Int>) -> Tensor<2> {
        let [n, len] = ids.dims();
        let x = self.transformer.forward(self.embed_text(ids.clone()), Some(self.mask(len)));
        let width = x.dims()[2];
        // The end token has the highest id of all: that is how CLIP finds it.
        let end = ids.argmax(1).reshape([n, 1, 1]).expand([n, 1, width]);
        let x = self.ln_final.forward(x.gather(1, end).reshape([n, width])); // row by row, so one row is enough
        x.matmul(single(&self.text_projection))
    }

    /// Ids `[n, len]` with their positions, `[n, len, width]`: what enters the first block.
    pub fn embed_text(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let len = ids.dims()[1];
        let positions = single(&self.positional_embedding).narrow(0, 0, len);
        embedding(&self.token_embedding, ids) + positions.unsqueeze::<3>()
    }

    /// The causal mask of `len` positions, `[1, 1, len, len]`: 0 where a row may see a column.
    pub fn mask(&self, len: usize) -> Tensor<4> {
        self.causal.clone().slice(s![.., .., 0..len, 0..len])
    }

    /// What cosines are multiplied by, `[1]`: exp of the logit scale.
    pub fn scale(&self) -> Tensor<1> {
        self.logit_scale.val().exp()
    }
}

/// Pictures `[n, 3, h, w]` in [0, 1] centred and scaled as CLIP was trained.
pub fn preprocess(pictures: Tensor<4>) -> Tensor<4> {
    let row = |values: [f32; 3]| Tensor::<1>::from_floats(values, &pictures.device()).reshape([1, 3, 1, 1]);
    let (mean, std) = (row(MEAN), row(STD));
    (pictures - mean) / std
}

/// Rows `[n, dim]` of length 1. A zero row stays zero, with a finite gradient.
pub fn normalize(features: Tensor<2>) -> Tensor<2> {
    let norm = features.clone().square().sum_dim(1).clamp_min(1e-24).sqrt();
    features / norm
}

/// Cosine of each picture with each text: `[n, dim]`, `[m, dim]` → `[n, m]`.
pub fn similarity(image_features: Tensor<2>, text_features: Tensor<2>) -> Tensor<2> {
    normalize(image_features).matmul(normalize(text_features).transpose())
}

/// Cosine of each picture with its own text: `[n, dim]`, `[n, dim]` → `[n]`.
pub fn cosine(image_features: Tensor<2>, text_features: Tensor<2>) -> Tensor<1> {
    (normalize(image_features) * normalize(text_features)).sum_dim(1).squeeze_dim(1)
}

/// The picture tower: patches and a class token through a transformer.
#[derive(Module, Debug)]
pub struct VisionTransformer {
    /// Patch → vector: a convolution whose stride is its size.
    pub conv1: Conv2d,
    /// The class token, `[width]`.
    pub class_embedding: Param<Tensor<1>>,
    /// Added to the tokens, `[1 + patches, width]`.
    pub positional_embedding: Param<Tensor<2>>,
    /// Norm in front of the blocks.
    pub ln_pre: LayerNorm,
    /// The blocks.
    pub transformer: Transformer,
    /// Norm behind them.
    pub ln_post: LayerNorm,
    /// State of the class token → shared space, `[width, embed_dim]`, applied as x · W.
    pub proj: Param<Tensor<2>>,
}

impl VisionTransformer {
    /// Preprocessed pictures `[n, 3, side, side]` → vectors `[n, embed_dim]`, not normalised.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let x = self.transformer.forward(self.embed(pictures), None);
        let class = x.narrow(1, 0, 1).squeeze_dim::<2>(1);
        self.ln_post.forward(class).matmul(single(&self.proj))
    }

    /// Class token and patches with their positions, normed, `[n, 1 + patches, width]`: what enters the first block.
    pub fn embed(&self, pictures: Tensor<4>) -> Tensor<3> {
        let [n, c, h, w] = pictures.dims();
        let kernel = single(&self.conv1.weight);
        let [width, _, p, _] = kernel.dims();
        let (rows, columns) = (h / p, w / p);
        // Patches do not overlap, so the convolution is one matrix product.
        let patches = pictures
            .reshape([n, c, rows, p, columns, p])
            .permute([0, 2, 4, 1, 3, 5]) // [n, rows, columns, c, p, p]
            .reshape([n, rows * columns, c * p * p]);
        let patches = linear(patches, kernel.reshape([width, c * p * p]).transpose(), None);
        let class = self.class_embedding.val().reshape([1, 1, width]).expand([n, 1, width]);
        let x = Tensor::cat(vec![class, patches], 1) + single(&self.positional_embedding).unsqueeze::<3>();
        self.ln_pre.forward(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::ModuleVisitor;
    use burn::optim::GradientsParams;
    use burn::tensor::Distribution;

    fn pictures(n: usize, side: usize, device: &Device) -> Tensor<4> {
        Tensor::random([n, 3, side, side], Distribution::Uniform(0.0, 1.0), device)
    }

    #[test]
    fn shapes_follow_the_configuration() {
        let device = Device::flex();
        for config in [ClipConfig::small(), ClipConfig::tiny()] {
            let clip = config.init(&device);
            assert_eq!((clip.vocab_size(), clip.context_length()), (config.text.vocab_size, 16));
            let image = clip.encode_image(pictures(3, config.vision.image_size, &device));
            let text = clip.encode_text(Tensor::from_ints([[1, 2, 3, 577, 0], [5, 577, 0, 0, 0]], &device));
            assert_eq!((image.dims(), text.dims()), ([3, config.embed_dim], [2, config.embed_dim]));
            assert_eq!(similarity(image, text).dims(), [3, 2]);
        }
    }

    #[test]
    fn what_follows_the_end_token_does_not_matter() {
        let device = Device::flex();
        let clip = ClipConfig::tiny().init(&device);
        let a = clip.encode_text(Tensor::from_ints([[576, 4, 577, 0, 0]], &device));
        let b = clip.encode_text(Tensor::from_ints([[576, 4, 577, 9, 8]], &device));
        let c = clip.encode_text(Tensor::from_ints([[576, 5, 577, 0, 0]], &device));
        let distance = |x: &Tensor<2>, y: &Tensor<2>| (x.clone() - y.clone()).abs().max().into_scalar::<f32>();
        assert!(distance(&a, &b) < 1e-6 && distance(&a, &c) > 1e-4);
    }

    #[test]
    fn a_training_loss_reaches_every_parameter() {
        struct Missing<'a>(&'a GradientsParams, usize);
        impl ModuleVisitor for Missing<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1 += usize::from(self.0.get::<D>(param.id).is_none());
            }
        }
        let device = Device::flex().autodiff();
        let clip = ClipConfig::tiny().init(&device);
        let ids = Tensor::<2, Int>::from_ints([[576, 4, 577, 0], [576, 7, 8, 577]], &device);
        let scores = similarity(clip.encode_image(pictures(2, 8, &device)), clip.encode_text(ids));
        let grads = GradientsParams::from_grads((scores * clip.scale().unsqueeze()).sum().backward(), &clip);
        let mut missing = Missing(&grads, 0);
        clip.visit(&mut missing);
        assert_eq!(missing.1, 0);
    }

    #[test]
    fn open_clip_configurations_are_read_as_they_are() {
        let json = r#"{"embed_dim": 1024,
            "vision_cfg": {"image_size": 224, "layers": 32, "width": 1280, "head_width": 80, "patch_size": 14},
            "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 1024, "heads": 16, "layers": 24}}"#;
        let config: ClipConfig = serde_json::from_str(json).unwrap();
        assert_eq!((config.vision.head_width, config.vision.mlp_ratio, config.quick_gelu), (80, 4.0, false));
        let again: ClipConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn the_gradient_of_a_zero_row_is_finite() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_floats([[0.0, 0.0], [3.0, 4.0]], &device).require_grad();
        let grads = normalize(x.clone()).sum().backward();
        let grad = x.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap();
        assert!(grad.iter().all(|g| g.is_finite()), "{grad:?}");
    }
}
