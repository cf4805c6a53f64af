//! A network's shape, read off the shapes of its tensors. What no tensor shows (heads, activations, pictures' size) is
//! as in a published network of the same widths, or as its authors usually have it; then it is said to be guessed.

use super::recognise::Listing;
use super::{Architecture, InceptionVariant, MinGptConfig, Published};
use crate::model::clip::{ClipConfig, TextConfig, VisionConfig};
use crate::model::permuter::Permuter;
use crate::model::transformer::{GptConfig, ModelType};
use crate::model::vq::VqConfig;

/// What may be guessed of a network.
pub(super) const HEADS: &str = "heads";
const TEXT_HEADS: &str = "heads of the text's tower";
const ACTIVATION: &str = "activation";
const TOKENS: &str = "tokens of a picture";
const NULL_CLASS: &str = "null class";
const CLASSES: &str = "number of classes";
const ORDER: &str = "order of tokens";
/// All of it.
pub(super) const GUESSES: &[&str] = &[HEADS, TEXT_HEADS, ACTIVATION, TOKENS, NULL_CLASS, CLASSES, ORDER];

/// What is guessed of a network: some of [`GUESSES`].
pub(super) type Guessed = Vec<&'static str>;

/// The network that the names belong to, with its sizes, and what of it is guessed; `None` where a tensor that shows one
/// is missing, no network can have such sizes, or the file has far too few tensors for them.
pub(super) fn infer(list: &Listing) -> Option<(Architecture, Guessed)> {
    let (shapes, mut guessed) = (Shapes { list, prefix: "" }, vec![]);
    let found = gpt(&shapes, &mut guessed)
        .or_else(|| net2net(list, &mut guessed))
        .or_else(|| vq(&shapes, false).map(Architecture::Vq))
        .or_else(|| vq(&shapes, true).map(Architecture::TamingVq))
        .or_else(|| clip(&shapes, &mut guessed).map(Architecture::Clip))
        .or_else(|| inception(&shapes))
        .or_else(|| shapes.of("conv_stem.weight").map(|_| Architecture::EfficientNetLite0))?;
    (found.is_possible() && found.is_plausible(list.len())).then_some((found, guessed))
}

/// Whether a file is OpenAI's own CLIP: its archives hold three numbers besides, which `build_model` takes off again.
pub(super) fn is_openai(list: &Listing) -> bool {
    ["input_resolution", "context_length", "vocab_size"].iter().all(|key| list.contains_key(*key))
}

/// A file's shapes under a common prefix.
struct Shapes<'a> {
    list: &'a Listing,
    prefix: &'static str,
}

impl Shapes<'_> {
    fn of(&self, key: &str) -> Option<&[usize]> {
        self.list.get(&format!("{}{key}", self.prefix)).map(|info| info.shape.as_slice())
    }

    /// Size of one axis; never 0, nor beyond what any network has.
    fn axis(&self, key: &str, axis: usize) -> Option<usize> {
        self.of(key)?.get(axis).copied().filter(|size| (1..=super::MAX_SIZE).contains(size))
    }

    /// One more than the largest number that follows `start` in a name.
    fn count(&self, start: &str) -> usize {
        let start = format!("{}{start}", self.prefix);
        let number = |key: &String| key.strip_prefix(&start)?.split('.').next()?.parse::<usize>().ok();
        self.list.keys().filter_map(number).max().map_or(0, |last| last.saturating_add(1)).min(super::MAX_LAYERS)
    }
}

/// The shape of the published transformer of these sizes.
fn published_gpt(width: usize, layers: usize) -> Option<&'static GptConfig> {
    Published::all().iter().find_map(|network| match &network.architecture {
        Architecture::Gpt(c) if (c.dim, c.n_layer) == (width, layers) => Some(c),
        _ => None,
    })
}

fn gpt(shapes: &Shapes<'_>, guessed: &mut Guessed) -> Option<Architecture> {
    let (vocab_size, dim) = (shapes.axis("tok_embeddings.weight", 0)?, shapes.axis("tok_embeddings.weight", 1)?);
    let n_layer = shapes.count("layers.");
    let rows = shapes.axis("layers.0.attention.wqkv.weight", 0)?;
    let hidden = shapes.axis("layers.0.feed_forward.w1.weight", 0)?;
    let known = published_gpt(dim, n_layer);
    let (n_head, kv_heads) = match known {
        Some(c) => (c.n_head, c.n_kv_head.unwrap_or(c.n_head)),
        None => heads(dim, rows)?,
    };
    let multiples = [256, 128, 64, 32, 16, 8, 4, 2, 1];
    let config = GptConfig {
        dim,
        n_layer,
        n_head,
        n_kv_head: (kv_heads != n_head).then_some(kv_heads),
        multiple_of: multiples.into_iter().find(|&m| (8 * dim / 3).next_multiple_of(m) == hidden).unwrap_or(256),
        vocab_size,
        ..GptConfig::l(known.map_or(256, |c| c.block_size))
    };
    let unknown = known.is_none().then_some(HEADS);
    if let Some(rows) = shapes.axis("cls_embedding.embedding_table.weight", 0) {
        // The authors drop classes in training, which gives the table a last row for no class. ImageNet has 1000.
        let null = rows != 1000;
        guessed.extend(unknown.into_iter().chain([TOKENS]).chain((!matches!(rows, 1000 | 1001)).then_some(NULL_CLASS)));
        let class_dropout_prob = if null { config.class_dropout_prob } else { 0.0 };
        let num_classes = rows - usize::from(null);
        return Some(Architecture::Gpt(GptConfig { num_classes, class_dropout_prob, ..config }));
    }
    let cls_token_num = shapes.axis("cls_embedding.uncond_embedding", 0)?;
    let caption_dim = shapes.axis("cls_embedding.cap_proj.fc1.weight", 1)?;
    let (model_type, num_classes) = (ModelType::T2i, 0);
    guessed.extend(unknown.into_iter().chain([TOKENS]));
    Some(Architecture::Gpt(GptConfig { model_type, num_classes, cls_token_num, caption_dim, ..config }))
}

/// Query heads, and key and value heads, of an attention whose product has `rows` rows. Several widths of a head may
/// fit; the authors' is 64, in all sizes but the largest.
fn heads(dim: usize, rows: usize) -> Option<(usize, usize)> {
    [64, 32, 128, 96, 80, 48, 16, 8, 4].into_iter().find_map(|width| {
        let (heads, rest) = (dim / width, (rows / width).checked_sub(dim / width)?);
        let whole = dim.is_multiple_of(width) && rows.is_multiple_of(width) && rest.is_multiple_of(2);
        (whole && rest > 0 && heads.is_multiple_of(rest / 2)).then_some((heads, rest / 2))
    })
}

fn vq(shapes: &Shapes<'_>, taming: bool) -> Option<VqConfig> {
    let (down, up, block) = if taming { ("down", "up", "block") } else { ("conv_blocks", "conv_blocks", "res") };
    let ch = shapes.axis("encoder.conv_in.weight", 0)?;
    let mult = |half: &str, level: usize| {
        let width = shapes.axis(&format!("{half}.{level}.{block}.0.conv1.weight"), 0)?;
        Some(width / ch)
    };
    let (down, up) = (format!("encoder.{down}"), format!("decoder.{up}"));
    let (down_levels, up_levels) = (shapes.count(&format!("{down}.")), shapes.count(&format!("{up}.")));
    if [down_levels, up_levels].iter().any(|levels| !(1..=super::MAX_LEVELS).contains(levels)) {
        return None; // 0 where the names are the other program's
    }
    // taming-transformers lets any level attend, and names it by the side of its grid in a picture of this side.
    let base = if taming { VqConfig::vqgan(0) } else { VqConfig::vq16() };
    let attends = |level: &usize| shapes.of(&format!("{down}.{level}.attn.0.norm.weight")).is_some();
    let sides = || (0..down_levels).filter(attends).map(|level| base.resolution >> level).collect();
    let attn_resolutions = taming.then(sides);
    // LlamaGen lists the decoder's levels coarsest first.
    let finest_first = |level: usize| if taming { level } else { up_levels - 1 - level };
    Some(VqConfig {
        ch,
        encoder_ch_mult: (0..down_levels).map(|level| mult(&down, level)).collect::<Option<_>>()?,
        decoder_ch_mult: (0..up_levels).map(|level| mult(&up, finest_first(level))).collect::<Option<_>>()?,
        num_res_blocks: shapes.count(&format!("{down}.0.{block}.")),
        z_channels: shapes.axis("encoder.conv_out.weight", 0)?,
        codebook_size: shapes.axis("quantize.embedding.weight", 0)?,
        codebook_embed_dim: shapes.axis("quantize.embedding.weight", 1)?,
        attn_resolutions,
        ..base
    })
}

fn net2net(list: &Listing, guessed: &mut Guessed) -> Option<Architecture> {
    let shapes = Shapes { list, prefix: "transformer." };
    let n_embd = shapes.axis("tok_emb.weight", 1)?;
    let n_layer = shapes.count("blocks.");
    let known = Published::all().iter().find_map(|network| match &network.architecture {
        Architecture::Net2Net(c, _) if (c.n_embd, c.n_layer) == (n_embd, n_layer) => Some(c.n_head),
        _ => None,
    });
    let vocab_size = shapes.axis("tok_emb.weight", 0)?;
    let gpt = MinGptConfig {
        vocab_size,
        block_size: shapes.axis("pos_emb", 1)?,
        n_layer,
        n_head: known.unwrap_or((n_embd / 64).max(1)),
        n_embd,
        // Classes share the table with codes, so that no shape tells their number.
        num_classes: vocab_size.min(1000),
        permuter: Permuter::Identity,
    };
    let first_stage = vq(&Shapes { list, prefix: "first_stage_model." }, true)?;
    guessed.extend(known.is_none().then_some(HEADS).into_iter().chain([CLASSES, ORDER]));
    Some(Architecture::Net2Net(gpt, first_stage))
}

/// Width of a head in the picture's tower of this width, as in open_clip's `model_configs`; `None` where they have no
/// such width.
fn head_width(width: usize) -> Option<usize> {
    match width {
        384 | 512 | 768 | 896 | 1024 => Some(64),
        1280 => Some(80),  // ViT-H
        1408 => Some(88),  // ViT-g
        1664 => Some(104), // ViT-bigG
        1792 => Some(112), // ViT-e
        _ => None,
    }
}

fn clip(shapes: &Shapes<'_>, guessed: &mut Guessed) -> Option<ClipConfig> {
    let (width, patch_size) = (shapes.axis("visual.conv1.weight", 0)?, shapes.axis("visual.conv1.weight", 2)?);
    let hidden = shapes.axis("visual.transformer.resblocks.0.mlp.c_fc.weight", 0)?;
    let patches = shapes.axis("visual.positional_embedding", 0)? - 1;
    let text = shapes.axis("token_embedding.weight", 1)?;
    // OpenAI's `build_model` makes every head 64 wide and knows one activation.
    let openai = is_openai(shapes.list);
    let known = if openai { Some(64.min(width)) } else { head_width(width) };
    let config = ClipConfig {
        embed_dim: shapes.axis("text_projection", 1)?,
        vision: VisionConfig {
            layers: shapes.count("visual.transformer.resblocks."),
            width,
            head_width: known.unwrap_or(64.min(width)),
            patch_size,
            image_size: patches.isqrt() * patch_size,
            mlp_ratio: hidden as f64 / width as f64,
        },
        text: TextConfig {
            context_length: shapes.axis("positional_embedding", 0)?,
            vocab_size: shapes.axis("token_embedding.weight", 0)?,
            width: text,
            heads: (text / 64).max(1),
            layers: shapes.count("transformer.resblocks."),
        },
        quick_gelu: openai,
    };
    if !openai {
        guessed.extend(known.is_none().then_some(HEADS));
        guessed.extend((!matches!(text, 384 | 512 | 640 | 768 | 1024 | 1280)).then_some(TEXT_HEADS));
        guessed.push(ACTIVATION);
    }
    Some(config)
}

fn inception(shapes: &Shapes<'_>) -> Option<Architecture> {
    shapes.of("Mixed_7c.branch_pool.conv.weight")?;
    let fid = shapes.axis("fc.weight", 0)? == InceptionVariant::Fid.classes();
    Some(Architecture::Inception(if fid { InceptionVariant::Fid } else { InceptionVariant::ImageNet }))
}
