//! Names of the networks that settings may ask for. What each one is stands in `model::published`.

/// What can be tuned: the networks of this program, then the published ones.
pub const POLICIES: &[&str] = &[
    "small",
    "tiny",
    "llamagen-b",
    "llamagen-l",
    "llamagen-b-384",
    "llamagen-l-384",
    "llamagen-xl-384",
    "llamagen-xxl-384",
    "llamagen-3b-384",
    "llamagen-xl-t2i-256",
    "llamagen-xl-t2i-512",
    "taming-cin",
];

/// The preset with the paper's own settings, from which a run with a published policy begins.
pub const PAPER: &str = "paper-llamagen-l";

/// The word for whatever belongs to the policy: for the small networks the small ones, for the published the paper's.
pub const OWN: &str = "own";
/// The word for doing without.
pub const NONE: &str = "none";

/// What turns pictures into tokens and back.
pub const TOKENIZERS: &[&str] = &[OWN, "vq-16", "vq-8", "vq-16-t2i", "vqgan-f16-1024", "vqgan-f16-16384"];
/// What scores the match with the prompt.
pub const CLIPS: &[&str] = &[OWN, NONE, "clip-vit-b-32", "clip-vit-l-14", "clip-vit-h-14"];
/// What scores by human preference.
pub const PREFERENCES: &[&str] = &[OWN, NONE, "hpsv2", "hpsv2.1"];
/// Whose features the distribution reward compares.
pub const FEATURES: &[&str] = &[OWN, "inception-imagenet", "inception-fid", "efficientnet-lite0"];

/// Whether `policy` is one of this program's own networks, whose weights ship or are procedural.
pub fn is_own(policy: &str) -> bool {
    matches!(policy, "small" | "tiny")
}
