//! Numbers that stand in for a published network's: every one a function of its tensor's name and its place in it.
//!
//! They draw nothing of use, but they are the same everywhere and cost no download: networks of full size are tested,
//! timed and rehearsed with them. The rules for InceptionV3 are those of `inception_fid/gen.py` (see
//! `tests/reference/inception_fid`), bit for bit; the others are chosen so that activations keep their size.
//!
//! ```text
//! bits(key, i) = fmix32(fnv1a32(key) + i · 0x9E3779B9)          32-bit arithmetic that wraps
//! u(key, i)    = ((bits >> 8) - 2²³) / 2²³                      a multiple of 2⁻²³ in [-1, 1), exact
//! ```

/// Note in the header of a file of such numbers, so that nobody takes them for trained ones.
pub const NOTE: &str = "stand_in";

/// What turns `u` into a tensor's number; f32 arithmetic, one rounding for each operation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// `a + b · u`: gains, and `b · u` where `a` is 0.
    Line(f32, f32),
    /// `1 + 0.5 · |u|`: variances.
    Variance,
}

/// The numbers of one tensor.
#[derive(Clone, Copy, Debug)]
pub struct Procedural {
    seed: u32,
    rule: Rule,
}

impl Procedural {
    /// The tensor called `key`, of this shape.
    pub fn new(key: &str, shape: &[usize]) -> Self {
        Self { seed: fnv1a32(key.as_bytes()), rule: rule(key, shape) }
    }

    /// Its numbers from place `start` on, in row-major order; places count up to 2³².
    pub fn fill(&self, start: usize, into: &mut [f32]) {
        let mut place = self.seed.wrapping_add((start as u32).wrapping_mul(STEP));
        for number in into {
            let u = ((fmix32(place) >> 8) as i32 - (1 << 23)) as f32 / (1 << 23) as f32;
            *number = match self.rule {
                Rule::Line(0.0, b) => b * u,
                Rule::Line(a, b) => a + b * u,
                Rule::Variance => 1.0 + 0.5 * u.abs(),
            };
            place = place.wrapping_add(STEP);
        }
    }
}

/// All numbers of the tensor called `key`, of this shape, in row-major order.
pub fn tensor(key: &str, shape: &[usize]) -> Vec<f32> {
    let mut numbers = vec![0.0; shape.iter().product()];
    Procedural::new(key, shape).fill(0, &mut numbers);
    numbers
}

const STEP: u32 = 0x9E37_79B9;

fn rule(key: &str, shape: &[usize]) -> Rule {
    let (layer, part) = key.rsplit_once('.').unwrap_or(("", key));
    let spread = |squares: f64, fan_in: usize| Rule::Line(0.0, (squares.sqrt() / (fan_in as f64).sqrt()) as f32);
    match shape {
        [] => Rule::Line(100f32.ln(), 0.0), // the largest that CLIP lets its logit scale become
        _ if part == "running_var" => Rule::Variance,
        [_] if part == "weight" => Rule::Line(1.0, 0.1), // norms
        [_] => Rule::Line(0.0, 0.1),
        // u has a variance of a third: products of three times that keep their size, of eight make up for a ReLU.
        [_, rest @ ..] if rest.len() == 3 => spread(8.0, rest.iter().product()),
        [_, from] if layer == "fc" || layer.ends_with(".fc") => spread(8.0, *from),
        _ if layer == "quantize.embedding" || layer.ends_with(".quantize.embedding") => Rule::Line(0.0, 1.0),
        _ if layer.contains("embedding") || key.contains("_emb") || part.contains("embedding") => Rule::Line(0.0, 0.02),
        [from, _] if part == "proj" || part == "text_projection" => spread(3.0, *from), // applied as x · W
        [_, rest @ ..] => spread(3.0, rest.iter().product()),
    }
}

/// Fowler, Noll and Vo's hash, variant 1a, of 32 bits.
fn fnv1a32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(2_166_136_261, |h, &byte| (h ^ u32::from(byte)).wrapping_mul(16_777_619))
}

/// The last step of MurmurHash3 of 32 bits.
fn fmix32(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85EB_CA6B);
    h ^= h >> 13;
    h = h.wrapping_mul(0xC2B2_AE35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::super::Published;
    use super::*;
    use serde_json::Value;

    #[test]
    fn numbers_are_those_of_the_specification_bit_for_bit() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/inception_fid/gen_test_values.json");
        let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for (key, hash) in json["fnv1a32"].as_object().unwrap() {
            assert_eq!(u64::from(fnv1a32(key.as_bytes())), hash.as_u64().unwrap(), "{key}");
        }
        for (x, hash) in json["fmix32"].as_object().unwrap() {
            assert_eq!(u64::from(fmix32(x.parse().unwrap())), hash.as_u64().unwrap(), "{x}");
        }
        for (key, values) in json["tensors"].as_object().unwrap() {
            let shape: Vec<usize> = serde_json::from_value(values["shape"].clone()).unwrap();
            let ours = tensor(key, &shape);
            let first: Vec<u32> = serde_json::from_value(values["f32_bits_first4"].clone()).unwrap();
            assert_eq!(ours[..4].iter().map(|x| x.to_bits()).collect::<Vec<_>>(), first, "{key}");
            let xor = ours.iter().fold(0, |x, number| x ^ number.to_bits());
            assert_eq!(u64::from(xor), values["xor_of_all_f32_bits"].as_u64().unwrap(), "{key}");
        }
    }

    #[test]
    fn a_tensor_can_be_made_in_parts() {
        let whole = tensor("layers.3.attention.wqkv.weight", &[48, 16]);
        let part = Procedural::new("layers.3.attention.wqkv.weight", &[48, 16]);
        let mut rest = [0.0; 100];
        part.fill(whole.len() - 100, &mut rest);
        assert_eq!(whole[whole.len() - 100..], rest);
    }

    #[test]
    fn every_tensor_of_every_network_has_a_rule_of_its_kind() {
        let scale = |key: &str, shape: &[usize]| match rule(key, shape) {
            Rule::Line(a, b) => (a, b),
            Rule::Variance => (1.0, 0.5),
        };
        for network in Published::all() {
            for (key, shape) in network.architecture.manifest() {
                let (a, b) = scale(&key, &shape);
                assert!(b.is_finite() && (b > 0.0 || key == "logit_scale") && a >= 0.0, "{key}");
                let embedding = key.contains("embedding") && !key.contains("quantize") || key.contains("_emb");
                assert_eq!(b == 0.02, embedding && shape.len() > 1, "{key}");
                let norm = shape.len() == 1 && key.ends_with(".weight") || key.ends_with("running_var");
                assert_eq!(a == 1.0, norm, "{key}");
            }
        }
        assert_eq!(scale("layers.0.feed_forward.w2.weight", &[768, 2048]), (0.0, (3.0f64 / 2048.0).sqrt() as f32));
        assert_eq!(scale("visual.proj", &[1024, 768]), (0.0, (3.0f64 / 1024.0).sqrt() as f32));
    }
}
