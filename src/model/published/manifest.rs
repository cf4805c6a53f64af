//! Which tensors each network's file holds, as a function of the network's shape: names and shapes as its authors'
//! programs write them. Scalars have no dimension.
//!
//! Tested key by key against lists made from the authors' own classes at full size (`tests/reference/manifests`).

use super::InceptionVariant;
use crate::model::clip::ClipConfig;
use crate::model::efficientnet;
use crate::model::features::FeatureNetConfig;
use crate::model::mingpt::MinGptConfig;
use crate::model::transformer::{GptConfig, ModelType};
use crate::model::vq::{VqConfig, taming_key};

/// Names and shapes, in the order in which the network computes.
pub type Manifest = Vec<(String, Vec<usize>)>;

/// Numbers in all tensors of a manifest together.
pub fn numbers(manifest: &[(String, Vec<usize>)]) -> u64 {
    let numbers = |shape: &[usize]| shape.iter().fold(1, |n: u64, &size| n.saturating_mul(size as u64));
    manifest.iter().fold(0, |sum, (_, shape)| sum.saturating_add(numbers(shape)))
}

/// A list that grows by whole layers.
#[derive(Default)]
struct Keys(Manifest);

impl Keys {
    fn add(&mut self, key: String, shape: &[usize]) {
        self.0.push((key, shape.to_vec()));
    }

    /// A weight without a bias: a matrix `[to, from]`, a table, a norm's gain.
    fn weight(&mut self, layer: &str, shape: &[usize]) {
        self.add(format!("{layer}.weight"), shape);
    }

    /// A weight and a bias, which has one number for each of the weight's first axis.
    fn layer(&mut self, layer: &str, shape: &[usize]) {
        self.weight(layer, shape);
        self.add(format!("{layer}.bias"), &shape[..1]);
    }

    /// A convolution without a bias and the batch normalisation behind it.
    fn normed(&mut self, conv: &str, norm: &str, shape: [usize; 4]) {
        self.weight(conv, &shape);
        self.layer(norm, &shape[..1]);
        self.add(format!("{norm}.running_mean"), &shape[..1]);
        self.add(format!("{norm}.running_var"), &shape[..1]);
    }
}

/// LlamaGen's transformer, without its table of classes or captions' projection.
fn gpt_blocks(c: &GptConfig) -> Keys {
    let (dim, hidden) = (c.dim, c.hidden_dim());
    let heads = c.n_head + 2 * c.n_kv_head.unwrap_or(c.n_head);
    let mut keys = Keys::default();
    keys.weight("tok_embeddings", &[c.vocab_size, dim]);
    for layer in 0..c.n_layer {
        let mut add = |name: &str, shape: &[usize]| keys.weight(&format!("layers.{layer}.{name}"), shape);
        add("attention.wqkv", &[heads * (dim / c.n_head), dim]);
        add("attention.wo", &[dim, dim]);
        add("feed_forward.w1", &[hidden, dim]);
        add("feed_forward.w3", &[hidden, dim]);
        add("feed_forward.w2", &[dim, hidden]);
        add("attention_norm", &[dim]);
        add("ffn_norm", &[dim]);
    }
    keys.weight("norm", &[dim]);
    keys.weight("output", &[c.vocab_size, dim]);
    keys
}

/// LlamaGen's transformer. The null class has a row of its own where classes were ever dropped; what stands for "no
/// caption" is stored, though never trained.
pub fn gpt(c: &GptConfig) -> Manifest {
    let mut keys = gpt_blocks(c);
    match c.model_type {
        ModelType::C2i => {
            let classes = c.num_classes + usize::from(c.null_class().is_some());
            keys.weight("cls_embedding.embedding_table", &[classes, c.dim]);
        }
        ModelType::T2i => {
            keys.add("cls_embedding.uncond_embedding".into(), &[c.cls_token_num, c.caption_dim]);
            keys.weight("cls_embedding.cap_proj.fc1", &[c.dim, c.caption_dim]);
            keys.weight("cls_embedding.cap_proj.fc2", &[c.dim, c.dim]);
        }
    }
    keys.0
}

fn residual(keys: &mut Keys, name: &str, from: usize, to: usize) {
    keys.layer(&format!("{name}.norm1"), &[from]);
    keys.layer(&format!("{name}.conv1"), &[to, from, 3, 3]);
    keys.layer(&format!("{name}.norm2"), &[to]);
    keys.layer(&format!("{name}.conv2"), &[to, to, 3, 3]);
    if from != to {
        keys.layer(&format!("{name}.nin_shortcut"), &[to, from, 1, 1]);
    }
}

fn attention(keys: &mut Keys, name: &str, channels: usize) {
    keys.layer(&format!("{name}.norm"), &[channels]);
    for part in ["q", "k", "v", "proj_out"] {
        keys.layer(&format!("{name}.{part}"), &[channels, channels, 1, 1]);
    }
}

/// The levels of one half of a tokenizer, which starts at width `from`: width of each in the order in which they are
/// passed, and whether it attends. All but the last change the resolution.
fn levels(keys: &mut Keys, half: &str, mut from: usize, widths: &[(usize, bool)], blocks: usize) {
    let resample = if half == "encoder" { "downsample" } else { "upsample" };
    for (level, &(to, attends)) in widths.iter().enumerate() {
        let name = format!("{half}.conv_blocks.{level}");
        for block in 0..blocks {
            residual(keys, &format!("{name}.res.{block}"), from, to);
            from = to;
        }
        for block in 0..if attends { blocks } else { 0 } {
            attention(keys, &format!("{name}.attn.{block}"), to);
        }
        if level + 1 < widths.len() {
            keys.layer(&format!("{name}.{resample}.conv"), &[to, to, 3, 3]);
        }
    }
}

fn middle(keys: &mut Keys, half: &str, width: usize) {
    residual(keys, &format!("{half}.mid.0"), width, width);
    attention(keys, &format!("{half}.mid.1"), width);
    residual(keys, &format!("{half}.mid.2"), width, width);
}

/// LlamaGen's tokenizer. Its decoder lists the levels coarsest first.
pub fn vq(c: &VqConfig) -> Manifest {
    let level = |(i, m): (usize, &usize)| (c.ch * m, c.attends(i));
    let down: Vec<(usize, bool)> = c.encoder_ch_mult.iter().enumerate().map(level).collect();
    let up: Vec<(usize, bool)> = c.decoder_ch_mult.iter().enumerate().rev().map(level).collect();
    let (Some(&(deep, _)), Some(&(top, _)), Some(&(fine, _))) = (down.last(), up.first(), up.last()) else {
        return vec![];
    };
    let mut keys = Keys::default();
    keys.layer("encoder.conv_in", &[c.ch, 3, 3, 3]);
    levels(&mut keys, "encoder", c.ch, &down, c.num_res_blocks);
    middle(&mut keys, "encoder", deep);
    keys.layer("encoder.norm_out", &[deep]);
    keys.layer("encoder.conv_out", &[c.z_channels, deep, 3, 3]);
    keys.layer("decoder.conv_in", &[top, c.z_channels, 3, 3]);
    middle(&mut keys, "decoder", top);
    levels(&mut keys, "decoder", top, &up, c.num_res_blocks + 1);
    keys.layer("decoder.norm_out", &[fine]);
    keys.layer("decoder.conv_out", &[3, fine, 3, 3]);
    keys.weight("quantize.embedding", &[c.codebook_size, c.codebook_embed_dim]);
    keys.layer("quant_conv", &[c.codebook_embed_dim, c.z_channels, 1, 1]);
    keys.layer("post_quant_conv", &[c.z_channels, c.codebook_embed_dim, 1, 1]);
    keys.0
}

/// A VQGAN of taming-transformers: the same network as LlamaGen's tokenizer under other names.
pub fn taming_vq(c: &VqConfig) -> Manifest {
    vq(c).into_iter().map(|(key, shape)| (taming_key(c, &key), shape)).collect()
}

/// minGPT as taming-transformers has it.
pub fn mingpt(c: &MinGptConfig) -> Manifest {
    let width = c.n_embd;
    let mut keys = Keys::default();
    keys.add("pos_emb".into(), &[1, c.block_size, width]);
    keys.weight("tok_emb", &[c.vocab_size, width]);
    for block in 0..c.n_layer {
        let mut add = |name: &str, shape: &[usize]| keys.layer(&format!("blocks.{block}.{name}"), shape);
        add("ln1", &[width]);
        add("ln2", &[width]);
        for part in ["key", "query", "value", "proj"] {
            add(&format!("attn.{part}"), &[width, width]);
        }
        add("mlp.0", &[4 * width, width]);
        add("mlp.2", &[width, 4 * width]);
    }
    keys.layer("ln_f", &[width]);
    keys.weight("head", &[c.vocab_size, width]);
    keys.0
}

/// A class-conditional Net2Net transformer of taming-transformers, which carries its tokenizer within it.
pub fn net2net(gpt: &MinGptConfig, first_stage: &VqConfig) -> Manifest {
    let under = |prefix: &str, part: Manifest| -> Manifest {
        part.into_iter().map(|(key, shape)| (format!("{prefix}.{key}"), shape)).collect()
    };
    [under("transformer", mingpt(gpt)), under("first_stage_model", taming_vq(first_stage))].concat()
}

fn tower(keys: &mut Keys, prefix: &str, width: usize, layers: usize, hidden: usize) {
    for block in 0..layers {
        let name = |part: &str| format!("{prefix}transformer.resblocks.{block}.{part}");
        keys.layer(&name("ln_1"), &[width]);
        keys.add(name("attn.in_proj_weight"), &[3 * width, width]);
        keys.add(name("attn.in_proj_bias"), &[3 * width]);
        keys.layer(&name("attn.out_proj"), &[width, width]);
        keys.layer(&name("ln_2"), &[width]);
        keys.layer(&name("mlp.c_fc"), &[hidden, width]);
        keys.layer(&name("mlp.c_proj"), &[width, hidden]);
    }
}

/// CLIP's two towers: OpenAI, open_clip and HPSv2 name them alike.
pub fn clip(c: &ClipConfig) -> Manifest {
    let (v, t) = (&c.vision, &c.text);
    let patches = (v.image_size / v.patch_size).saturating_pow(2);
    let mut keys = Keys::default();
    keys.weight("visual.conv1", &[v.width, 3, v.patch_size, v.patch_size]);
    keys.add("visual.class_embedding".into(), &[v.width]);
    keys.add("visual.positional_embedding".into(), &[1 + patches, v.width]);
    keys.layer("visual.ln_pre", &[v.width]);
    tower(&mut keys, "visual.", v.width, v.layers, (v.width as f64 * v.mlp_ratio).round() as usize);
    keys.layer("visual.ln_post", &[v.width]);
    keys.add("visual.proj".into(), &[v.width, c.embed_dim]);
    keys.weight("token_embedding", &[t.vocab_size, t.width]);
    keys.add("positional_embedding".into(), &[t.context_length, t.width]);
    tower(&mut keys, "", t.width, t.layers, 4 * t.width);
    keys.layer("ln_final", &[t.width]);
    keys.add("text_projection".into(), &[t.width, c.embed_dim]);
    keys.add("logit_scale".into(), &[]);
    keys.0
}

/// The small family's own feature network.
pub fn features(c: &FeatureNetConfig) -> Manifest {
    let mut keys = Keys::default();
    let Some(&first) = c.channels.first() else { return vec![] };
    keys.layer("conv_in", &[first, 3, 3, 3]);
    for (stage, pair) in c.channels.windows(2).enumerate() {
        keys.layer(&format!("stages.{stage}.norm1"), &[pair[0]]);
        keys.layer(&format!("stages.{stage}.conv1"), &[pair[1], pair[0], 3, 3]);
        keys.layer(&format!("stages.{stage}.norm2"), &[pair[1]]);
        keys.layer(&format!("stages.{stage}.conv2"), &[pair[1], pair[1], 3, 3]);
    }
    keys.layer("norm_out", &[c.features()]);
    keys.layer("classifier", &[c.classes, c.features()]);
    keys.0
}

/// InceptionV3 (torchvision's names, without the auxiliary classifier).
pub fn inception(variant: InceptionVariant) -> Manifest {
    /// Convolutions of a block with their output channels, heights and widths. The first of a branch reads the block's
    /// input, a later one what stands before it.
    type Branches = &'static [(&'static str, usize, usize, usize)];
    const A: Branches = &[
        ("branch1x1", 64, 1, 1),
        ("branch5x5_1", 48, 1, 1),
        ("branch5x5_2", 64, 5, 5),
        ("branch3x3dbl_1", 64, 1, 1),
        ("branch3x3dbl_2", 96, 3, 3),
        ("branch3x3dbl_3", 96, 3, 3),
    ];
    const B: Branches = &[
        ("branch3x3", 384, 3, 3),
        ("branch3x3dbl_1", 64, 1, 1),
        ("branch3x3dbl_2", 96, 3, 3),
        ("branch3x3dbl_3", 96, 3, 3),
    ];
    const D: Branches = &[
        ("branch3x3_1", 192, 1, 1),
        ("branch3x3_2", 320, 3, 3),
        ("branch7x7x3_1", 192, 1, 1),
        ("branch7x7x3_2", 192, 1, 7),
        ("branch7x7x3_3", 192, 7, 1),
        ("branch7x7x3_4", 192, 3, 3),
    ];
    const E: Branches = &[
        ("branch1x1", 320, 1, 1),
        ("branch3x3_1", 384, 1, 1),
        ("branch3x3_2a", 384, 1, 3),
        ("branch3x3_2b", 384, 3, 1),
        ("branch3x3dbl_1", 448, 1, 1),
        ("branch3x3dbl_2", 384, 3, 3),
        ("branch3x3dbl_3a", 384, 1, 3),
        ("branch3x3dbl_3b", 384, 3, 1),
    ];
    let mut keys = Keys::default();
    let mut conv = |name: &str, from: usize, (to, h, w): (usize, usize, usize)| {
        keys.normed(&format!("{name}.conv"), &format!("{name}.bn"), [to, from, h, w]);
    };
    let stem = [("1a_3x3", 32, 3), ("2a_3x3", 32, 3), ("2b_3x3", 64, 3), ("3b_1x1", 80, 1), ("4a_3x3", 192, 3)];
    stem.iter().fold(3, |from, &(name, to, kernel)| {
        conv(&format!("Conv2d_{name}"), from, (to, kernel, kernel));
        to
    });
    let mut block = |name: &str, from: usize, branches: &[(&str, usize, usize, usize)], pool: usize| {
        let mut before = from;
        for &(branch, to, h, w) in branches {
            let first = branch.ends_with("_1") || !branch.contains('_');
            let reads = if first { from } else { before };
            conv(&format!("{name}.{branch}"), reads, (to, h, w));
            before = to; // `2a` and `2b` read the same, which has as many channels as each of them
        }
        if pool > 0 {
            conv(&format!("{name}.branch_pool"), from, (pool, 1, 1));
        }
    };
    block("Mixed_5b", 192, A, 32);
    block("Mixed_5c", 256, A, 64);
    block("Mixed_5d", 288, A, 64);
    block("Mixed_6a", 288, B, 0);
    for (name, c) in [("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)] {
        let branches = [
            ("branch1x1", 192, 1, 1),
            ("branch7x7_1", c, 1, 1),
            ("branch7x7_2", c, 1, 7),
            ("branch7x7_3", 192, 7, 1),
            ("branch7x7dbl_1", c, 1, 1),
            ("branch7x7dbl_2", c, 7, 1),
            ("branch7x7dbl_3", c, 1, 7),
            ("branch7x7dbl_4", c, 7, 1),
            ("branch7x7dbl_5", 192, 1, 7),
        ];
        block(&format!("Mixed_{name}"), 768, &branches, 192);
    }
    block("Mixed_7a", 768, D, 0);
    block("Mixed_7b", 1280, E, 192);
    block("Mixed_7c", 2048, E, 192);
    keys.layer("fc", &[variant.classes(), 2048]);
    keys.0
}

/// EfficientNet-Lite0 (timm's names).
pub fn efficientnet_lite0() -> Manifest {
    use efficientnet::{HEAD, STAGES, STEM};
    let mut keys = Keys::default();
    keys.normed("conv_stem", "bn1", [STEM, 3, 3, 3]);
    let mut from = STEM;
    for (stage, &(repeats, kernel, _, expansion, to)) in STAGES.iter().enumerate() {
        for repeat in 0..repeats {
            let name = |part: &str| format!("blocks.{stage}.{repeat}.{part}");
            let wide = from * expansion;
            if expansion == 1 {
                keys.normed(&name("conv_dw"), &name("bn1"), [wide, 1, kernel, kernel]);
                keys.normed(&name("conv_pw"), &name("bn2"), [to, wide, 1, 1]);
            } else {
                keys.normed(&name("conv_pw"), &name("bn1"), [wide, from, 1, 1]);
                keys.normed(&name("conv_dw"), &name("bn2"), [wide, 1, kernel, kernel]);
                keys.normed(&name("conv_pwl"), &name("bn3"), [to, wide, 1, 1]);
            }
            from = to;
        }
    }
    keys.normed("conv_head", "bn2", [HEAD, from, 1, 1]);
    keys.layer("classifier", &[1000, HEAD]);
    keys.0
}
