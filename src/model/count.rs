//! How many numbers each network of a family has, from its shape alone: for forecasting memory before anything loads.

use super::clip::ClipConfig;
use super::family::{FamilyConfig, Role};
use super::features::FeatureNetConfig;
use super::transformer::{GptConfig, ModelType};
use super::vq::VqConfig;

impl FamilyConfig {
    /// Trainable numbers in the network that plays `role`.
    pub fn parameters(&self, role: Role) -> u64 {
        let count = match role {
            Role::Tokenizer => tokenizer(&self.vq),
            Role::Prior => prior(&self.gpt),
            Role::Clip | Role::Preference => clip(&self.clip),
            Role::Features | Role::Judge => features(&self.features),
        };
        count as u64
    }
}

fn prior(c: &GptConfig) -> usize {
    let (dim, hidden) = (c.dim, c.hidden_dim());
    let heads = c.n_head + 2 * c.n_kv_head.unwrap_or(c.n_head);
    let block = 2 * dim + dim * heads * (dim / c.n_head) + dim * dim + 3 * dim * hidden;
    let condition = match c.model_type {
        ModelType::C2i => (c.num_classes + usize::from(c.null_class().is_some())) * dim,
        ModelType::T2i => c.cls_token_num * c.caption_dim + c.caption_dim * dim + dim * dim,
    };
    condition + 2 * c.vocab_size * dim + c.n_layer * block + dim
}

/// Weights and biases of a convolution with a square kernel.
fn conv(from: usize, to: usize, kernel: usize) -> usize {
    from * to * kernel * kernel + to
}

fn residual(from: usize, to: usize) -> usize {
    let shortcut = if from == to { 0 } else { conv(from, to, 1) };
    2 * from + conv(from, to, 3) + 2 * to + conv(to, to, 3) + shortcut
}

fn attention(channels: usize) -> usize {
    2 * channels + 4 * conv(channels, channels, 1)
}

/// Levels of residual blocks, `widths` in the order in which they are passed; `deepest` is the one that attends.
fn levels(widths: &[usize], deepest: usize, blocks: usize, start: usize) -> usize {
    let mut from = start;
    let mut sum = 0;
    for (i, &to) in widths.iter().enumerate() {
        sum += residual(from, to) + (blocks - 1) * residual(to, to);
        sum += if i == deepest { blocks * attention(to) } else { 0 };
        sum += if i + 1 == widths.len() { 0 } else { conv(to, to, 3) }; // resampling
        from = to;
    }
    sum
}

fn tokenizer(c: &VqConfig) -> usize {
    let middle = |width| 2 * residual(width, width) + attention(width);
    let down: Vec<usize> = c.encoder_ch_mult.iter().map(|m| c.ch * m).collect();
    let up: Vec<usize> = c.decoder_ch_mult.iter().rev().map(|m| c.ch * m).collect();
    let (Some(&deep), Some(&top), Some(&fine)) = (down.last(), up.first(), up.last()) else { return 0 };
    let encoder = conv(3, c.ch, 3)
        + levels(&down, down.len() - 1, c.num_res_blocks, c.ch)
        + middle(deep)
        + 2 * deep
        + conv(deep, c.z_channels, 3);
    let decoder = conv(c.z_channels, top, 3)
        + middle(top)
        + levels(&up, 0, c.num_res_blocks + 1, top)
        + 2 * fine
        + conv(fine, 3, 3);
    let ends = conv(c.z_channels, c.codebook_embed_dim, 1) + conv(c.codebook_embed_dim, c.z_channels, 1);
    encoder + decoder + ends + c.codebook_size * c.codebook_embed_dim
}

fn clip(c: &ClipConfig) -> usize {
    let linear = |from: usize, to: usize| from * to + to;
    let block = |width: usize, hidden: usize| {
        4 * width + linear(width, 3 * width) + linear(width, width) + linear(width, hidden) + linear(hidden, width)
    };
    let (v, t) = (&c.vision, &c.text);
    let patches = (v.image_size / v.patch_size).pow(2);
    let hidden = (v.width as f64 * v.mlp_ratio) as usize;
    let vision = 3 * v.width * v.patch_size * v.patch_size
        + (2 + patches) * v.width
        + 4 * v.width
        + v.layers * block(v.width, hidden)
        + v.width * c.embed_dim;
    let text = (t.vocab_size + t.context_length + 2) * t.width
        + t.layers * block(t.width, 4 * t.width)
        + t.width * c.embed_dim
        + 1;
    vision + text
}

fn features(c: &FeatureNetConfig) -> usize {
    let Some(&first) = c.channels.first() else { return 0 };
    let stage = |pair: &[usize]| 2 * pair[0] + conv(pair[0], pair[1], 3) + 2 * pair[1] + conv(pair[1], pair[1], 3);
    let stages: usize = c.channels.windows(2).map(stage).sum();
    conv(3, first, 3) + stages + 2 * c.features() + (c.features() + 1) * c.classes
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::prelude::Device;

    use super::*;

    #[test]
    fn the_formulas_count_what_the_networks_have() {
        let device = Device::flex();
        for c in [FamilyConfig::tiny(), FamilyConfig::small()] {
            let real = [
                (Role::Tokenizer, c.vq.init(&device).num_params()),
                (Role::Prior, c.gpt.init(&device).num_params()),
                (Role::Clip, c.clip.init(&device).num_params()),
                (Role::Judge, c.features.init(&device).num_params()),
            ];
            for (role, count) in real {
                assert_eq!(c.parameters(role), count as u64, "{} {role}", c.name);
            }
        }
        let shared = GptConfig { n_kv_head: Some(1), class_dropout_prob: 0.0, ..GptConfig::tiny() };
        let text = GptConfig { model_type: ModelType::T2i, cls_token_num: 3, caption_dim: 8, ..GptConfig::tiny() };
        for config in [shared, text] {
            assert_eq!(prior(&config), config.init(&device).num_params());
        }
    }

    #[test]
    fn published_networks_have_their_published_number_of_parameters() {
        let counts = [
            (GptConfig::b(256), 110_888_448),
            (GptConfig::l(576), 342_910_976),
            (GptConfig::xl(576), 774_699_520),
            (GptConfig::xxl(576), 1_410_972_672),
            (GptConfig::three_b(576), 3_096_659_200),
            (GptConfig::xl_text(256), 777_923_840),
        ];
        for (config, count) in counts {
            assert_eq!(prior(&config), count, "{config:?}");
        }
    }
}
