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
        name: "paper-llamagen-l",
        sentence: "The paper's experiment itself: LlamaGen-L at 256 pixels, CLIP ViT-L/14, HPSv2.1, Inception. Needs their files (`--weights`), ImageNet's statistics (`--reference`) and a large GPU.",
        source: "launcher defaults of the authors' code (bugrabaran/ar-policy-tuning, commit fac5b31a), whose README says that they reproduce the main settings; micro-batches are its loop over the 12 samples of a prompt",
        set: &[
            // Its tokenizer, towers and feature network are the paper's own.
            ("model", "llamagen-l"),
            ("frozen_half", "true"),
            ("rollout_batch", "48"),
            ("micro_batch", "12"),
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
            ("entropy_target", "0.78"),
            ("entropy_deadband", "0.015"),
            ("entropy_gain", "3"),
            ("entropy_warmup", "0.05"),
            ("entropy_decay_from", "0.85"),
            ("sample_every", "100"),
            ("checkpoint_every", "200"),
            ("eval_every", "0"),
        ],
    },
    Preset {
        name: "ar-grpo-llamagen-xl",
        sentence: "AR-GRPO's class-conditional experiment: LlamaGen-XL at 384 pixels with two of its eight rewards, CLIP and HPSv2. Needs their files (`--weights`) and a large GPU.",
        source: "run_c2i_train.sh of Kwai-Klear/AR-GRPO, commit 65947ad, lines 4 to 50 (4 GPUs, 8 samples each, groups of 8); loss as in TRL's GRPOTrainer, from which it is derived",
        set: &[
            ("model", "llamagen-xl-384"),
            ("clip_network", "clip-vit-l-14"),
            ("preference_network", "hpsv2"),
            ("frozen_half", "true"),
            ("rollout_batch", "8"),
            ("micro_batch", "4"),
            ("updates", "400"),
            ("seed", "42"),
            ("prompts", "4"),
            ("num_generations", "8"),
            ("guidance", "2"),
            ("temperature", "1"),
            ("top_k", "0"),
            ("top_p", "1"),
            ("learning_rate", "1e-5"),
            ("adam_beta2", "0.999"),
            ("weight_decay", "0"),
            ("num_iterations", "1"),
            ("importance_sampling_level", "token"),
            ("epsilon", "0.2"),
            ("epsilon_high", "0.2"),
            ("beta", "0.1"),
            ("scale_rewards", "true"),
            ("clip_weight", "1"),
            ("preference_weight", "1"),
            ("loo_fid_weight", "0"),
            ("adaptive_entropy", "false"),
            ("entropy_coef", "0"),
            ("checkpoint_every", "100"),
            ("eval_every", "0"),
        ],
    },
    Preset {
        name: "too-high-rate",
        sentence: "Fails on purpose: steps so large that ratios leave the clip range and pictures turn to noise.",
        source: "ours, for learning",
        // With one inner step the ratio is taken before the step, and always 1.
        set: &[("learning_rate", "5e-3"), ("num_iterations", "2")],
    },
    Preset {
        name: "no-anchor",
        sentence: "Fails on purpose: untied from what it knew, the model finds pictures that only the scorer likes.",
        source: "ours, for learning",
        set: &[("beta", "0"), ("loo_fid_weight", "0"), ("adaptive_entropy", "false"), ("entropy_coef", "0")],
    },
    Preset {
        name: "collapse",
        sentence: "Fails on purpose: large steps, nothing paid for variety. Measured once: in 12 updates the effective number of pictures falls from 32 to 20 and the distance rises by half.",
        source: "ours, for learning; figures of seed 0 on the CPU, 256 pictures evaluated",
        set: &[
            ("num_generations", "4"),
            ("learning_rate", "2e-4"),
            ("num_iterations", "2"),
            ("loo_fid_weight", "0"),
            ("lambda_fid", "2"),
            ("ema_beta", "0.5"),
            ("adaptive_entropy", "false"),
            ("entropy_coef", "0"),
        ],
    },
    Preset {
        name: "saturated",
        sentence: "Fails on purpose: only brightness is paid, which soon has nowhere to go. Expected: white pictures, a reward at its ceiling, and a falling match with the prompt.",
        source: "ours, for learning",
        set: &[
            ("clip_weight", "0"),
            ("preference_weight", "0"),
            ("brightness_weight", "1"),
            ("loo_fid_weight", "0"),
            ("learning_rate", "2e-4"),
            ("num_iterations", "2"),
            ("beta", "0"),
            ("adaptive_entropy", "false"),
            ("entropy_coef", "0"),
        ],
    },
    Preset {
        name: "dead-groups",
        sentence: "Fails on purpose: only the likeliest token is ever drawn, so that all samples of a prompt are the same picture, no advantage differs from zero, and nothing is learnt from the rewards.",
        source: "ours, for learning; so by construction",
        set: &[("top_k", "1")],
    },
    Preset {
        name: "entropy-runaway",
        sentence: "Fails on purpose: an entropy bonus fifty times the usual, with nobody at the wheel. Expected: the entropy leaves its target upwards and pictures dissolve into noise.",
        source: "ours, for learning",
        set: &[
            ("adaptive_entropy", "false"),
            ("entropy_coef", "0.1"),
            ("learning_rate", "2e-4"),
            ("num_iterations", "2"),
            ("beta", "0"),
        ],
    },
    Preset {
        name: "tug-of-war",
        sentence: "Fails on purpose: redness and brightness are paid together, and white is not red. Expected: one rises at the cost of the other, while their sum hides it.",
        source: "ours, for learning",
        set: &[
            ("clip_weight", "0"),
            ("preference_weight", "0"),
            ("colour_weight", "1.5"),
            ("brightness_weight", "1"),
            ("loo_fid_weight", "0"),
            ("learning_rate", "1e-4"),
            ("adaptive_entropy", "false"),
            ("entropy_coef", "0"),
        ],
    },
    Preset {
        name: "too-timid",
        sentence: "Fails on purpose: a rate made for models a thousand times larger. Expected: after fifty updates tokens are still drawn as at the start.",
        source: "TRL's default rate on the small model, for learning",
        set: &[("learning_rate", "1e-6")],
    },
    Preset {
        name: "wrong-ratio",
        sentence: "Fails on purpose: a tenth of the samples is scored without its class, another tenth in each pass. The ratio before the first step is then not 1, and gradients are wrong.",
        source: "label dropout during updates, as in the authors' code (its quirk Q2); so by construction",
        set: &[("quirk_label_dropout", "true")],
    },
    Preset {
        name: "ar-grpo-c2i",
        sentence: "AR-GRPO's settings for class-conditional LlamaGen. Expected here: slow, like `paper`, with less to hold the distribution. Six of its eight rewards, bf16 and its larger model have no counterpart.",
        source: "AR-GRPO's class-to-image script of August 2025; the prompts are its 8 samples on each of 4 GPUs in groups of 8",
        set: &[
            ("updates", "400"),
            ("prompts", "4"),
            ("num_generations", "8"),
            ("guidance", "2"),
            ("temperature", "1"),
            ("top_k", "0"),
            ("top_p", "1"),
            ("learning_rate", "1e-5"),
            ("num_iterations", "1"),
            ("importance_sampling_level", "token"),
            ("epsilon", "0.2"),
            ("epsilon_high", "0.2"),
            ("beta", "0.1"),
            ("scale_rewards", "true"),
            ("clip_weight", "1"),
            ("preference_weight", "1"),
            ("loo_fid_weight", "0"),
            ("adaptive_entropy", "false"),
            ("entropy_coef", "0"),
        ],
    },
    Preset {
        name: "ar-grpo-t2i",
        sentence: "AR-GRPO's settings for text-conditional LlamaGen: twice the batch, ten times the KL weight. Expected here: slow and close to the pretrained model. Its text encoder and other rewards have no counterpart.",
        source: "AR-GRPO's text-to-image settings of August 2025, guidance as released (its script says 4); 16 samples on each of 4 GPUs in groups of 8",
        set: &[
            ("updates", "600"),
            ("prompts", "8"),
            ("num_generations", "8"),
            ("guidance", "2"),
            ("temperature", "1"),
            ("top_k", "0"),
            ("top_p", "1"),
            ("learning_rate", "1e-5"),
            ("num_iterations", "1"),
            ("importance_sampling_level", "token"),
            ("epsilon", "0.2"),
            ("epsilon_high", "0.2"),
            ("beta", "1"),
            ("scale_rewards", "true"),
            ("clip_weight", "1"),
            ("preference_weight", "1"),
            ("loo_fid_weight", "0"),
            ("adaptive_entropy", "false"),
            ("entropy_coef", "0"),
        ],
    },
    Preset {
        name: "t2i-r1",
        sentence: "T2I-R1's settings, made for a model of seven billion parameters. Expected here: hardly any movement in 50 updates. Its written plans, detectors and language-model rewards have no counterpart.",
        source: "T2I-R1's launcher of September 2025; 8 GPUs, gradients of 2 batches added up",
        set: &[
            ("updates", "1600"),
            ("prompts", "16"),
            ("num_generations", "8"),
            ("guidance", "5"),
            ("temperature", "1"),
            ("learning_rate", "1e-6"),
            ("num_iterations", "1"),
            ("importance_sampling_level", "token"),
            ("beta", "0.01"),
            ("clip_weight", "0"),
            ("preference_weight", "1"),
            ("loo_fid_weight", "0"),
            ("adaptive_entropy", "false"),
            ("entropy_coef", "0"),
        ],
    },
    Preset {
        name: "dancegrpo",
        sentence: "DanceGRPO's settings for Flux, as far as they reach from denoising to tokens. Expected here: a reward for taste alone, untied, so watch for hacking. The limit on advantages and its noise have no counterpart.",
        source: "DanceGRPO's Flux script for 8 GPUs, October 2025; 2 samples on each, 12 batches added up, groups of 12",
        set: &[
            ("updates", "300"),
            ("prompts", "16"),
            ("num_generations", "12"),
            ("guidance", "1"),
            ("learning_rate", "1e-5"),
            ("max_grad_norm", "0.01"),
            ("num_iterations", "1"),
            ("importance_sampling_level", "token"),
            ("epsilon", "1e-4"),
            ("epsilon_high", "1e-4"),
            ("beta", "0"),
            ("clip_weight", "0"),
            ("preference_weight", "1"),
            ("loo_fid_weight", "0"),
            ("adaptive_entropy", "false"),
            ("entropy_coef", "0"),
        ],
    },
    Preset {
        name: "trl-defaults",
        sentence: "What TRL's GRPO trainer does when nothing is set. Expected here: too timid to see anything in 50 updates. The falling learning rate has no counterpart, and TRL names no rewards: ours stand in.",
        source: "GRPOConfig of TRL, 2026; `bnpo` is its `dapo` where all sequences are equally long; its batch leaves the number of prompts to the user",
        set: &[
            ("num_generations", "8"),
            ("guidance", "1"),
            ("temperature", "1"),
            ("top_k", "0"),
            ("top_p", "1"),
            ("learning_rate", "1e-6"),
            ("adam_beta1", "0.9"),
            ("adam_beta2", "0.999"),
            ("weight_decay", "0"),
            ("max_grad_norm", "1"),
            ("num_iterations", "1"),
            ("loss_type", "bnpo"),
            ("importance_sampling_level", "token"),
            ("epsilon", "0.2"),
            ("epsilon_high", "0.2"),
            ("beta", "0"),
            ("scale_rewards", "true"),
            ("advantage_eps", "1e-4"),
            ("clip_weight", "1"),
            ("preference_weight", "1"),
            ("loo_fid_weight", "0"),
            ("adaptive_entropy", "false"),
            ("entropy_coef", "0"),
        ],
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
        assert_eq!(PRESETS[0].name, "full");
        assert_eq!(RunConfig::preset("full").unwrap(), RunConfig::default());
    }

    #[test]
    fn there_are_many_and_some_fail_on_purpose_each_in_its_own_way() {
        let fail: Vec<_> = PRESETS.iter().filter(|preset| preset.sentence.starts_with("Fails on purpose")).collect();
        assert!(PRESETS.len() >= 12 && fail.len() >= 5);
        for preset in PRESETS {
            assert!(preset.sentence.split_whitespace().count() <= 40, "{}", preset.name);
            let twin = PRESETS.iter().find(|other| other.name != preset.name && other.set == preset.set);
            assert!(twin.is_none(), "{} is {}", preset.name, twin.unwrap().name);
        }
    }

    #[test]
    fn an_unknown_preset_is_answered_with_the_nearest_and_all() {
        let message = RunConfig::preset("instance_only").unwrap_err().to_string();
        assert!(message.contains("did you mean `instance-only`?") && message.contains("no-anchor"), "{message}");
    }
}
