//! The charts: what each shows, what it means, by what formula, and which settings act on it.

use super::worked::{self, Known};

/// What a chart shows.
pub(in crate::ui) struct Chart {
    pub(in crate::ui) title: &'static str,
    /// What it means, in plain words.
    pub(in crate::ui) help: &'static str,
    /// How it is computed.
    pub(in crate::ui) formula: &'static str,
    /// The formula with the newest numbers in it; `None` before there are any.
    pub(in crate::ui) worked: fn(&Known<'_>) -> Option<String>,
    pub(in crate::ui) source: Source,
    /// Names in `PARAMS` of the settings that act on it.
    pub(in crate::ui) settings: &'static [&'static str],
    /// Metrics on it: exact names, or beginnings that end in `*`.
    pub(in crate::ui) metrics: &'static [&'static str],
    pub(in crate::ui) shown: Shown,
}

/// What a figure is measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum Source {
    /// The pictures of the update.
    Pictures,
    /// The tokens of those pictures, by the policy.
    Tokens,
    /// Pictures of their own, drawn on the same seeds every time.
    Evaluation,
    /// A clock.
    Clock,
}

/// When a chart is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum Shown {
    /// Even while it has no points.
    Always,
    /// Once it has points.
    Measured,
    /// Once a point is above 0.
    AboveZero,
}

/// The charts in the order in which they are shown. The parts of the reward follow the first one.
pub(in crate::ui) const CHARTS: &[Chart] = &[
    Chart {
        title: "Reward",
        help: "Mean over the batch of the weighted sum of all instance rewards, before it is normalised inside each \
            prompt's group.",
        formula: "r = Σ_k w_k · r_k, mean over the pictures",
        worked: worked::reward,
        source: Source::Pictures,
        settings: &[
            "clip_weight",
            "preference_weight",
            "colour_weight",
            "brightness_weight",
            "symmetry_weight",
            "compressibility_weight",
        ],
        metrics: &["reward"],
        shown: Shown::Always,
    },
    Chart {
        title: "Held-out distance",
        help: "Fréchet distance between features of generated and of real pictures (those that the prior learnt from, \
            gently augmented); lower is better. No reward uses this feature network.",
        formula: "FD = ‖μ − μ_r‖² + tr(Σ + Σ_r − 2 (Σ Σ_r)^½)\nμ, Σ: mean and covariance of the features; r: real",
        worked: |known| known.change(&["eval/fd"]),
        source: Source::Evaluation,
        settings: &["eval_every", "lambda_fid", "loo_fid_weight", "beta"],
        metrics: &["eval/fd"],
        shown: Shown::Always,
    },
    Chart {
        title: "Diversity",
        help: "How different the pictures of one batch are: mean cosine distance between their features, in the \
            network of the distribution reward. It falls when the model collapses onto a few pictures.",
        formula: "D = 1 − mean over pairs i ≠ j of cos(f_i, f_j)",
        worked: worked::diversity,
        source: Source::Pictures,
        settings: &["lambda_fid", "loo_fid_weight", "entropy_coef", "beta"],
        metrics: &["diversity"],
        shown: Shown::Always,
    },
    Chart {
        title: "Entropy",
        help: "How undecided the model is about the next token, as a share of the largest possible entropy, over all \
            positions. The adaptive controller holds it near its target (dashed), that of the pretrained model unless \
            you set another; inside the band it leaves the bonus alone.",
        formula: "H = −Σ_v p(v) ln p(v), mean over positions\nshare = H / ln V, V: size of the vocabulary",
        worked: worked::entropy,
        source: Source::Tokens,
        settings: &["entropy_target", "entropy_deadband", "entropy_gain", "adaptive_entropy", "temperature"],
        metrics: &["entropy_norm", "entropy_target"],
        shown: Shown::Always,
    },
    Chart {
        title: "Entropy bonus",
        help: "Weight of the entropy bonus in the loss, per nat, as the adaptive controller sets it: raised while the \
            entropy is below its target, lowered while it is above.",
        formula: "α = schedule · exp(gain · (target − share)),\nheld between entropy_min and entropy_max;\n\
            inside the deadband α = schedule",
        worked: worked::bonus,
        source: Source::Tokens,
        settings: &[
            "entropy_coef",
            "entropy_min",
            "entropy_max",
            "entropy_gain",
            "entropy_warmup",
            "entropy_decay_from",
        ],
        metrics: &["entropy_coef"],
        shown: Shown::Measured,
    },
    Chart {
        title: "KL to the reference",
        help: "How far the policy has moved from the pretrained model, by the k3 estimate on the tokens written. It \
            is never negative, and 0 while nothing has changed.",
        formula: "k3 = exp(d) − d − 1,  d = log p_ref − log p\nmean over the pictures; d: mean over the tokens",
        worked: worked::kl,
        source: Source::Tokens,
        settings: &["beta", "learning_rate"],
        metrics: &["kl"],
        shown: Shown::Always,
    },
    Chart {
        title: "Ratio",
        help: "Probability of the written tokens under the policy now, over that before the update: in the last inner \
            step, and before the first, where it must be 1.",
        formula: "ρ = exp(mean over tokens of (log p_now − log p_before))",
        worked: worked::ratio,
        source: Source::Tokens,
        settings: &["epsilon", "epsilon_high", "num_iterations", "learning_rate", "importance_sampling_level"],
        metrics: &["ratio", "ratio/first"],
        shown: Shown::Always,
    },
    Chart {
        title: "First ratio, off 1 by",
        help: "Before the first inner step nothing has changed, so every ratio must be 1: this is the largest distance \
            from it over all samples. More than rounding means that the loss is wrong, or that a quirk scores samples \
            without their class.",
        formula: "max over i of |ρ_i − 1|, before the first inner step",
        worked: worked::deviation,
        source: Source::Tokens,
        settings: &["quirk_label_dropout"],
        metrics: &["ratio/max_deviation/first"],
        shown: Shown::Measured,
    },
    Chart {
        title: "Share clipped",
        help: "Share of ratios that left the clipping range in the last inner step, below and above: they no longer \
            push the policy. With a distribution reward, the mean of both kinds of advantage.",
        formula: "low: share of ρ < 1 − epsilon where A < 0\nhigh: share of ρ > 1 + epsilon_high where A > 0",
        worked: worked::clipped,
        source: Source::Tokens,
        settings: &["epsilon", "epsilon_high", "quirk_optimistic_clip", "num_iterations"],
        metrics: &["clip_ratio/*"],
        shown: Shown::Always,
    },
    Chart {
        title: "Gradient norm",
        help: "Length of the whole gradient before it is clipped, mean over the inner steps. Sudden peaks call for a \
            smaller learning rate.",
        formula: "‖g‖ = √(Σ g²)\napplied: g · min(1, max_grad_norm / ‖g‖)",
        worked: worked::gradient,
        source: Source::Tokens,
        settings: &["max_grad_norm", "learning_rate"],
        metrics: &["grad_norm"],
        shown: Shown::Always,
    },
    Chart {
        title: "Loss",
        help: "What the last inner step minimised, with its two policy parts. Its height says little: advantages have \
            mean 0, so it hovers near the other two terms. Watch the reward instead.",
        formula: "L = L_instance + λ L_distribution + β KL − α H\nL_A = −mean min(ρ A, clip(ρ) A), A: advantage",
        worked: worked::loss,
        source: Source::Tokens,
        settings: &["lambda_fid", "beta", "entropy_coef", "loss_type"],
        metrics: &["loss", "policy_loss/*"],
        shown: Shown::Measured,
    },
    Chart {
        title: "Spread inside groups",
        help: "Standard deviation of the reward among the samples of one prompt, mean over the prompts. Without \
            spread there is nothing to compare, and nothing to learn.",
        formula: "s_g = std of r in group g, mean over g\nadvantage: A_i = (r_i − mean_g) / (s_g + advantage_eps)",
        worked: worked::spread,
        source: Source::Pictures,
        settings: &["num_generations", "scale_rewards", "advantage_eps", "temperature"],
        metrics: &["reward_std"],
        shown: Shown::Measured,
    },
    Chart {
        title: "Groups without spread",
        help: "Share of prompts whose samples were all rewarded alike: they teach nothing in this update. It rises \
            when the model collapses, or when a reward is saturated.",
        formula: "groups with s_g = 0 / all groups",
        worked: worked::flat,
        source: Source::Pictures,
        settings: &["prompts", "num_generations", "temperature"],
        metrics: &["frac_reward_zero_std"],
        shown: Shown::Measured,
    },
    Chart {
        title: "Left out",
        help: "Samples whose reward was not finite, and inner steps whose gradient was not: both were left out. More \
            than a stray one calls for a smaller learning rate.",
        formula: "counts, per update",
        worked: worked::skipped,
        source: Source::Pictures,
        settings: &["learning_rate", "max_grad_norm"],
        metrics: &["samples_skipped", "updates_skipped"],
        shown: Shown::AboveZero,
    },
    Chart {
        title: "Rewarded distance",
        help: "Fréchet distance in the features that the distribution reward sees, over the running moments of what \
            was generated. Compare with the held-out distance, which nothing is paid for.",
        formula: "F = ‖m − m_r‖² + ‖s − s_r‖² (diagonal form)\nm, s: running mean and deviation of each feature",
        worked: |known| known.change(&["frechet/rewarded"]),
        source: Source::Pictures,
        settings: &["lambda_fid", "loo_fid_weight", "ema_beta", "loo_fid_form"],
        metrics: &["frechet/*"],
        shown: Shown::Measured,
    },
    Chart {
        title: "Held-out diversity",
        help: "Mean cosine distance between pictures of the same class, in the features of the held-out network.",
        formula: "D = 1 − mean of cos(f_i, f_j) over pairs of one class,\nmean over the classes",
        worked: |known| known.change(&["eval/diversity"]),
        source: Source::Evaluation,
        settings: &["eval_every", "lambda_fid", "entropy_coef"],
        metrics: &["eval/diversity"],
        shown: Shown::Measured,
    },
    Chart {
        title: "Class accuracy",
        help: "Share of generated pictures that a classifier which nothing is rewarded by takes for their class.",
        formula: "pictures taken for their class / all pictures",
        worked: |known| known.change(&["eval/class_accuracy"]),
        source: Source::Evaluation,
        settings: &["eval_every", "clip_weight", "eval_guidance"],
        metrics: &["eval/class_accuracy"],
        shown: Shown::Measured,
    },
    Chart {
        title: "Precision and recall",
        help: "Precision: share of generated pictures that look real. Recall: share of real pictures that the model \
            can make. Both by nearest neighbours among held-out features.",
        formula: "precision: share of fakes inside a ball around a real\nrecall: share of reals inside a ball around a \
            fake\nball: out to the 5th nearest of its own kind",
        worked: |known| known.change(&["eval/precision", "eval/recall"]),
        source: Source::Evaluation,
        settings: &["eval_every"],
        metrics: &["eval/precision", "eval/recall"],
        shown: Shown::Measured,
    },
    Chart {
        title: "Density and coverage",
        help: "Steadier forms of precision and recall: how closely real pictures surround the generated ones, and how \
            many real pictures have a generated one near.",
        formula: "density: mean count of real balls around a fake, / 5\ncoverage: share of real balls that hold a fake",
        worked: |known| known.change(&["eval/density", "eval/coverage"]),
        source: Source::Evaluation,
        settings: &["eval_every"],
        metrics: &["eval/density", "eval/coverage"],
        shown: Shown::Measured,
    },
    Chart {
        title: "Kernel distance",
        help: "Kernel distance on the held-out features; lower is better. It is unbiased in the number of samples.",
        formula: "KID = mean k(f, f') + mean k(r, r') − 2 mean k(f, r)\nk: cubic kernel; f: generated, r: real",
        worked: |known| known.change(&["eval/kid"]),
        source: Source::Evaluation,
        settings: &["eval_every"],
        metrics: &["eval/kid"],
        shown: Shown::Measured,
    },
    Chart {
        title: "Effective number of pictures",
        help: "Vendi score on the held-out features: how many clearly different pictures an evaluation holds.",
        formula: "exp(−Σ λ_i ln λ_i)\nλ: eigenvalues of the similarity matrix, over N",
        worked: |known| known.change(&["eval/vendi"]),
        source: Source::Evaluation,
        settings: &["eval_every"],
        metrics: &["eval/vendi"],
        shown: Shown::Measured,
    },
    Chart {
        title: "Seconds per update",
        help: "Seconds of work in one update, whole and in each of its four phases.",
        formula: "update = generate + reward + old log-prob + train",
        worked: worked::seconds,
        source: Source::Clock,
        settings: &["prompts", "num_iterations", "micro_batch", "guidance"],
        metrics: &["step_time", "time/*"],
        shown: Shown::Measured,
    },
    Chart {
        title: "Tokens per second",
        help: "Tokens of the batch over the seconds of each phase: how fast that phase goes through the batch once.",
        formula: "tokens of the batch / seconds of the phase",
        worked: worked::speed,
        source: Source::Clock,
        settings: &["prompts", "num_iterations", "micro_batch", "guidance"],
        metrics: &["tokens_per_second/*"],
        shown: Shown::Measured,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Param;

    #[test]
    fn every_chart_names_settings_that_exist_and_has_a_title_of_its_own() {
        for chart in CHARTS {
            chart.settings.iter().for_each(|name| assert!(Param::find(name).is_ok(), "{}: {name}", chart.title));
            assert!(!chart.settings.is_empty() && !chart.formula.is_empty(), "{}", chart.title);
            assert_eq!(CHARTS.iter().filter(|other| other.title == chart.title).count(), 1);
        }
    }
}
