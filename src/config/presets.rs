//! Named settings: ready experiments, each with what to expect of it.

use serde::Serialize;

use super::{ConfigError, RunConfig, hint};

/// A named set of changes to the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Preset {
    /// Name, as `--preset` takes it.
    pub name: &'static str,
    /// What happens under it.
    pub sentence: &'static str,
    /// Where its values are from.
    pub source: &'static str,
    /// Parameters that differ from the defaults, with their values as text.
    pub set: &'static [(&'static str, &'static str)],
}

/// All presets; the first is the default.
pub static PRESETS: &[Preset] = &[
    Preset {
        name: "full",
        sentence: "Instance and distribution rewards with adaptive entropy: the reward rises and diversity stays.",
        source: "the paper's method at the size of the small model",
        set: &[],
    },
    Preset {
        name: "instance-only",
        sentence: "Only rewards of single pictures and no entropy bonus: the reward rises fastest, distance and variety pay for it.",
        source: "ours, after the paper's case for distribution rewards",
        set: &[("loo_fid_weight", "0"), ("adaptive_entropy", "false"), ("entropy_coef", "0")],
    },
    Preset {
        name: "distribution-only",
        sentence: "Only the distribution reward: variety is paid, how good single pictures are is not.",
        source: "ours, the other half of the paper's method",
        set: &[("clip_weight", "0"), ("preference_weight", "0")],
    },
    Preset {
        name: "no-guidance",
        sentence: "Rollouts guided, judged unguided: what guidance does at twice the cost moves into the weights.",
        source: "the paper's claim for samples without guidance; strength ours",
        set: &[("guidance", "2"), ("eval_guidance", "1")],
    },
    Preset {
        name: "paper",
        sentence: "The authors' settings, made for a model a hundred times larger: slow and steady here.",
        source: "launcher defaults of the authors' code",
        // Spelled out in full, so that it stays what it says when our own defaults change.
        set: &[
            ("updates", "600"),
            ("prompts", "12"),
            ("num_generations", "12"),
            ("guidance", "1.5"),
            ("temperature", "1"),
            ("top_k", "0"),
            ("top_p", "1"),
            ("cfg_interval", "-1"),
            ("learning_rate", "1e-5"),
            ("adam_beta1", "0.9"),
            ("adam_beta2", "0.95"),
            ("weight_decay", "0.01"),
            ("max_grad_norm", "1"),
            ("num_iterations", "2"),
            ("loss_type", "grpo"),
            ("importance_sampling_level", "sequence"),
            ("epsilon", "0.2"),
            ("epsilon_high", "0.2"),
            ("beta", "3"),
            ("scale_rewards", "true"),
            ("advantage_eps", "1e-4"),
            ("clip_weight", "1"),
            ("preference_weight", "1"),
            ("loo_fid_weight", "1"),
            ("lambda_fid", "2"),
            ("loo_fid_form", "diagonal"),
            ("ema_beta", "0.5"),
            ("adaptive_entropy", "true"),
            ("entropy_coef", "2.2e-3"),
            ("entropy_min", "7e-5"),
            ("entropy_max", "4e-3"),
            ("entropy_target", "0"),
            ("entropy_deadband", "0.015"),
            ("entropy_gain", "3"),
            ("entropy_warmup", "0.05"),
            ("entropy_decay_from", "0.85"),
        ],
    },
    Preset {
        name: "too-high-rate",
        sentence: "Fails on purpose: steps so large that ratios leave the clip range and pictures turn to noise.",
        source: "ours, for learning",
        set: &[("learning_rate", "5e-3")],
    },
    Preset {
        name: "no-anchor",
        sentence: "Fails on purpose: untied from what it knew, the model finds pictures that only the scorer likes.",
        source: "ours, for learning",
        set: &[("beta", "0"), ("loo_fid_weight", "0"), ("adaptive_entropy", "false"), ("entropy_coef", "0")],
    },
];

impl RunConfig {
    /// The defaults with a preset's changes.
    ///
    /// # Errors
    /// [`ConfigError::UnknownPreset`] with the nearest name and all names.
    pub fn preset(name: &str) -> Result<Self, ConfigError> {
        let Some(preset) = PRESETS.iter().find(|p| p.name == name) else {
            let names = || PRESETS.iter().map(|p| p.name);
            let known = names().collect::<Vec<_>>().join(", ");
            return Err(ConfigError::UnknownPreset { name: name.into(), hint: hint(name, names()), known });
        };
        let mut config = Self::default();
        config.apply(preset.set.iter().copied())?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_says_what_it_is() {
        for preset in PRESETS {
            RunConfig::preset(preset.name).unwrap().validate().unwrap();
            assert!(!preset.sentence.is_empty() && !preset.source.is_empty(), "{}", preset.name);
            assert_eq!(PRESETS.iter().filter(|p| p.name == preset.name).count(), 1, "{}", preset.name);
        }
        assert_eq!(RunConfig::preset("full").unwrap(), RunConfig::default());
    }

    #[test]
    fn an_unknown_preset_is_answered_with_the_nearest_and_all() {
        let message = RunConfig::preset("instance_only").unwrap_err().to_string();
        assert!(message.contains("did you mean `instance-only`?") && message.contains("no-anchor"), "{message}");
    }
}
