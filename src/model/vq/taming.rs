//! Key names of taming-transformers' VQGAN.

use super::VqConfig;

/// The name that a VQGAN checkpoint of taming-transformers gives the parameter that LlamaGen, and so this program,
/// calls `key`. (In the checkpoint of a `Net2NetTransformer`, `first_stage_model.` stands before it.)
///
/// taming numbers the levels of the decoder like the encoder's, finest first, though it runs them from the last to the
/// first; LlamaGen numbers them as they run. Source: `taming/modules/diffusionmodules/model.py`.
pub fn taming_key(config: &VqConfig, key: &str) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    let (levels, level, rest) = match parts.as_slice() {
        [side, "mid", place, rest @ ..] => {
            let name = match *place {
                "0" => "block_1",
                "1" => "attn_1",
                _ => "block_2",
            };
            return [&[side, "mid", name], rest].concat().join(".");
        }
        ["encoder", "conv_blocks", level, rest @ ..] => ("encoder.down", level.parse().unwrap_or(0), rest),
        ["decoder", "conv_blocks", level, rest @ ..] => {
            let level = level.parse().unwrap_or(0);
            ("decoder.up", config.decoder_ch_mult.len().saturating_sub(1 + level), rest)
        }
        _ => return key.into(),
    };
    let rest = rest.join(".");
    let rest = rest.strip_prefix("res.").map_or(rest.clone(), |block| format!("block.{block}"));
    format!("{levels}.{level}.{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_a_published_file() {
        let config = VqConfig::vqgan(1024);
        for (ours, theirs) in [
            ("encoder.conv_blocks.4.res.1.norm1.weight", "encoder.down.4.block.1.norm1.weight"),
            ("encoder.conv_blocks.4.attn.0.proj_out.bias", "encoder.down.4.attn.0.proj_out.bias"),
            ("encoder.conv_blocks.0.downsample.conv.weight", "encoder.down.0.downsample.conv.weight"),
            ("encoder.mid.0.conv2.bias", "encoder.mid.block_1.conv2.bias"),
            ("decoder.mid.1.q.weight", "decoder.mid.attn_1.q.weight"),
            ("decoder.mid.2.conv1.weight", "decoder.mid.block_2.conv1.weight"),
            ("decoder.conv_blocks.0.attn.2.norm.weight", "decoder.up.4.attn.2.norm.weight"),
            ("decoder.conv_blocks.1.res.0.nin_shortcut.weight", "decoder.up.3.block.0.nin_shortcut.weight"),
            ("decoder.conv_blocks.3.upsample.conv.bias", "decoder.up.1.upsample.conv.bias"),
            ("decoder.norm_out.weight", "decoder.norm_out.weight"),
            ("quantize.embedding.weight", "quantize.embedding.weight"),
            ("post_quant_conv.bias", "post_quant_conv.bias"),
        ] {
            assert_eq!(taming_key(&config, ours), theirs);
        }
    }
}
