//! The formulas of the charts with the newest numbers in them, and how each figure is measured.

use super::charts::Source;
use super::number;
use crate::config::{RunConfig, Value};
use crate::session::History;

/// What the formulas are filled in from: the newest figures, and the settings as they stand.
#[derive(Clone, Copy)]
pub(in crate::ui) struct Known<'a> {
    pub(in crate::ui) history: &'a History,
    pub(in crate::ui) config: &'a RunConfig,
}

impl Known<'_> {
    fn last(&self, name: &str) -> Option<f64> {
        self.history.last(name)
    }

    /// The value of a setting that is a number; 0 for any other.
    fn setting(&self, name: &str) -> f64 {
        match self.config.get(name) {
            Some(Value::Float(x)) => x,
            Some(Value::Int(x)) => x as f64,
            _ => 0.0,
        }
    }

    /// Pictures of an update.
    fn pictures(&self) -> f64 {
        (self.config.prompts * self.config.num_generations) as f64
    }

    /// How far figures have come since they were first measured, one line each.
    pub(in crate::ui) fn change(&self, names: &[&str]) -> Option<String> {
        let lines: Vec<String> = names.iter().filter_map(|name| self.change_of(name, names.len() > 1)).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn change_of(&self, name: &str, named: bool) -> Option<String> {
        let points = self.history.series(name);
        let (first, last) = (points.first()?, points.last()?);
        let name = if named { format!("{}: ", super::curves::label(name)) } else { String::new() };
        let (before, now) = (number(first[1]), number(last[1]));
        if points.len() < 2 {
            return Some(format!("{name}{now}, after update {}: the only one so far", last[0]));
        }
        let share = match first[1] {
            0.0 => String::new(),
            start => format!(" ({} %)", super::signed(100.0 * (last[1] - start) / start.abs())),
        };
        Some(format!(
            "{name}{before} → {now}: {}{share}\nfrom update {} to update {}",
            super::signed(last[1] - first[1]),
            first[0],
            last[0]
        ))
    }
}

/// A number with six decimals: ratios differ from 1 by little.
fn fine(value: f64) -> String {
    format!("{value:.6}")
}

/// A term of a sum, with its sign in front unless it is the first and positive.
fn term(first: bool, value: f64, words: &str) -> String {
    let sign = match (first, value < 0.0) {
        (true, false) => "",
        (true, true) => "−",
        (false, false) => " + ",
        (false, true) => " − ",
    };
    format!("{sign}{}{words}", number(value.abs()))
}

fn counted(count: f64, one: &str) -> String {
    format!("{} {one}{}", number(count), if count == 1.0 { "" } else { "s" })
}

pub(super) fn reward(known: &Known<'_>) -> Option<String> {
    let measured = known.last("reward")?;
    let (mut sum, mut terms) = (0.0, String::new());
    for name in known.history.names() {
        let Some(part) = name.strip_prefix("rewards/").and_then(|name| name.strip_suffix("/mean")) else { continue };
        let weight = if part == "loo_fid" { 0.0 } else { known.setting(&format!("{part}_weight")) };
        if weight != 0.0 {
            let score = known.last(name)?;
            terms += &term(terms.is_empty(), weight, &format!(" · {} ({})", number(score), super::humanise(part)));
            sum += weight * score;
        }
    }
    if terms.is_empty() {
        return Some("no part of it has a weight: r = 0 for every picture".into());
    }
    let mut lines = format!("{terms} = {}", number(sum));
    if (sum - measured).abs() > 1e-3 * measured.abs().max(1e-3) {
        lines += &format!(
            "\nmeasured: {}. A weight was turned since, or a score was not finite and was left out.",
            number(measured)
        );
    }
    Some(lines)
}

/// What a part of the reward adds to it.
pub(in crate::ui) fn reward_part(known: &Known<'_>, part: &str) -> Option<String> {
    let score = known.last(&format!("rewards/{part}/mean"))?;
    if part == "loo_fid" {
        let weight = known.setting("lambda_fid");
        let paid = known.setting("loo_fid_weight") > 0.0;
        let share = if paid { format!("lambda_fid = {}", number(weight)) } else { "nothing: it is off".into() };
        return Some(format!("mean of r_i = {}\nweight of its advantage in the loss: {share}", number(score)));
    }
    let weight = known.setting(&format!("{part}_weight"));
    Some(format!("{} · {} = {} of the reward", number(weight), number(score), number(weight * score)))
}

pub(super) fn diversity(known: &Known<'_>) -> Option<String> {
    let diversity = known.last("diversity")?;
    Some(format!("1 − {} = {}", number(1.0 - diversity), number(diversity)))
}

/// How far the entropy lies below its target.
fn entropy_error(known: &Known<'_>) -> Option<f64> {
    Some(known.last("entropy_target")? - known.last("entropy_norm")?.clamp(0.0, 1.0))
}

pub(super) fn entropy(known: &Known<'_>) -> Option<String> {
    let share = known.last("entropy_norm")?;
    let mut lines = Vec::new();
    if let Some(nats) = known.last("entropy").filter(|nats| *nats > 0.0 && share > 0.0) {
        let largest = nats / share;
        lines.push(format!("{} / ln {:.0} = {} / {}", number(nats), largest.exp(), number(nats), number(largest)));
        lines.push(format!("= {}", number(share)));
    } else {
        lines.push(format!("share = {}", number(share)));
    }
    if let Some(error) = entropy_error(known).filter(|_| known.config.adaptive_entropy) {
        let band = known.config.entropy_deadband;
        lines.push(format!("target {} ± {}", number(share + error), number(band)));
        let side = if error < 0.0 { "above" } else { "below" };
        lines.push(match error.abs() > band {
            true => format!(
                "{} {side} it: bonus · exp({} · {}) = bonus · {}",
                number(error.abs()),
                number(known.config.entropy_gain),
                super::signed(error),
                number((known.config.entropy_gain * error).exp())
            ),
            false => format!("{} {side} it, inside the band: bonus unchanged", number(error.abs())),
        });
    }
    Some(lines.join("\n"))
}

pub(super) fn bonus(known: &Known<'_>) -> Option<String> {
    let (alpha, config) = (known.last("entropy_coef")?, known.config);
    if !config.adaptive_entropy {
        return Some(format!("α = entropy_coef = {}: not steered", number(config.entropy_coef)));
    }
    let error = entropy_error(known)?;
    let factor = if error.abs() > config.entropy_deadband { (config.entropy_gain * error).exp() } else { 1.0 };
    let reason = match factor == 1.0 {
        true => format!("error {}, inside ± {}", super::signed(error), number(config.entropy_deadband)),
        false => format!("exp({} · {}) = {}", number(config.entropy_gain), super::signed(error), number(factor)),
    };
    let result = match alpha {
        a if a <= config.entropy_min => format!("α = {}, held up by entropy_min", number(a)),
        a if a >= config.entropy_max => format!("α = {}, held down by entropy_max", number(a)),
        a => format!("α = {} · {} = {}", number(a / factor), number(factor), number(a)),
    };
    Some(format!("{reason}\n{result}"))
}

pub(super) fn kl(known: &Known<'_>) -> Option<String> {
    let (kl, beta) = (known.last("kl")?, known.config.beta);
    Some(format!(
        "k3 = {} nats: as from d = ± {}\nin the loss: beta · k3 = {} · {} = {}",
        number(kl),
        number((2.0 * kl.max(0.0)).sqrt()),
        number(beta),
        number(kl),
        number(beta * kl)
    ))
}

pub(super) fn ratio(known: &Known<'_>) -> Option<String> {
    let ratio = known.last("ratio")?;
    let range = (1.0 - known.config.epsilon, 1.0 + known.config.epsilon_high);
    Some(format!(
        "exp({}) = {}\nclipped outside [{}, {}]",
        fine(ratio.max(f64::MIN_POSITIVE).ln()),
        fine(ratio),
        number(range.0),
        number(range.1)
    ))
}

pub(super) fn deviation(known: &Known<'_>) -> Option<String> {
    let off = known.last("ratio/max_deviation/first")?;
    Some(format!("largest of {} samples: {}", number(known.pictures()), number(off)))
}

pub(super) fn clipped(known: &Known<'_>) -> Option<String> {
    let config = known.config;
    let (terms, what) = match config.importance_sampling_level.as_str() {
        "token" => (known.last("tokens")?, "token"),
        _ => (known.pictures(), "sample"),
    };
    let line = |side: &str, bound: f64, name: &str| {
        let share = known.last(name)?;
        Some(format!(
            "{side} {}: {} · {} = {}",
            number(bound),
            number(share),
            number(terms),
            counted(share * terms, what)
        ))
    };
    let low = line("below", 1.0 - config.epsilon, "clip_ratio/low")?;
    let high = line("above", 1.0 + config.epsilon_high, "clip_ratio/high")?;
    let quirk = if config.quirk_optimistic_clip { "\nquirk Q1 is on: the signs of A are swapped" } else { "" };
    Some(format!("{low}\n{high}{quirk}"))
}

pub(super) fn gradient(known: &Known<'_>) -> Option<String> {
    let (norm, most) = (known.last("grad_norm")?, known.config.max_grad_norm);
    let factor = (most / (norm + 1e-6)).min(1.0);
    let what = if factor < 1.0 { "shortened" } else { "applied as it is" };
    Some(format!(
        "‖g‖ = {}\nscaled by min(1, {} / {}) = {}: {what}",
        number(norm),
        number(most),
        number(norm),
        number(factor)
    ))
}

pub(super) fn loss(known: &Known<'_>) -> Option<String> {
    let beta = known.config.beta;
    let (kl, alpha, entropy) = (known.last("kl")?, known.last("entropy_coef")?, known.last("entropy")?);
    let (instance, distribution) =
        (known.last("policy_loss/instance")?, known.last("policy_loss/distribution").unwrap_or(0.0));
    let terms = [
        term(true, instance, " (instance)"),
        term(false, distribution, " (distribution)"),
        term(false, beta, &format!(" · {} (KL)", number(kl))),
        term(false, -alpha, &format!(" · {} (entropy)", number(entropy))),
    ];
    let sum = instance + distribution + beta * kl - alpha * entropy;
    let measured = known.last("loss")?;
    Some(format!(
        "{} = {}\nmeasured: {}; the entropy here is that before the first inner step",
        terms.concat(),
        number(sum),
        number(measured)
    ))
}

pub(super) fn spread(known: &Known<'_>) -> Option<String> {
    let (std, eps) = (known.last("reward_std")?, known.config.advantage_eps);
    Some(match known.config.scale_rewards {
        true => format!(
            "mean s_g = {}\none deviation above the mean: A = {} / ({} + {}) = {}",
            number(std),
            number(std),
            number(std),
            number(eps),
            number(std / (std + eps))
        ),
        false => format!("mean s_g = {}\nnot divided by: A_i = r_i − mean_g", number(std)),
    })
}

pub(super) fn flat(known: &Known<'_>) -> Option<String> {
    let (share, groups) = (known.last("frac_reward_zero_std")?, known.config.prompts as f64);
    Some(format!("{} · {} groups = {}", number(share), number(groups), counted(share * groups, "group")))
}

pub(super) fn skipped(known: &Known<'_>) -> Option<String> {
    let (samples, steps) = (known.last("samples_skipped")?, known.last("updates_skipped")?);
    Some(format!(
        "{} of {} samples\n{} of {}",
        number(samples),
        number(known.pictures()),
        number(steps),
        counted(known.config.num_iterations as f64, "inner step")
    ))
}

const PHASES: [&str; 4] = ["generate", "reward", "old_logp", "train"];

pub(super) fn seconds(known: &Known<'_>) -> Option<String> {
    let whole = known.last("step_time")?;
    let mut lines = Vec::new();
    for phase in PHASES {
        let seconds = known.last(&format!("time/{phase}"))?;
        let share = 100.0 * seconds / whole.max(1e-9);
        lines.push(format!("{}: {} s, {share:.0} %", super::curves::label(phase), number(seconds)));
    }
    lines.push(format!("together {} s", number(whole)));
    Some(lines.join("\n"))
}

pub(super) fn speed(known: &Known<'_>) -> Option<String> {
    let tokens = known.last("tokens")?;
    let line = |name: &str, seconds: f64, speed: f64| {
        format!("{name}: {} / {} s = {}", number(tokens), number(seconds), number(speed))
    };
    let mut lines = Vec::new();
    for phase in PHASES {
        let (seconds, speed) =
            (known.last(&format!("time/{phase}"))?, known.last(&format!("tokens_per_second/{phase}"))?);
        lines.push(line(&super::curves::label(phase), seconds, speed));
    }
    if let (Some(seconds), Some(speed)) = (known.last("step_time"), known.last("tokens_per_second")) {
        lines.push(line("Whole update", seconds, speed));
    }
    Some(lines.join("\n"))
}

/// How a figure is measured.
pub(in crate::ui) fn measured(source: Source, known: &Known<'_>) -> String {
    let config = known.config;
    let batch = format!(
        "the {} pictures of each update ({} prompts of {} samples; guidance {}, temperature {}; random numbers from seed \
        {} and the update's number)",
        known.pictures(),
        config.prompts,
        config.num_generations,
        number(config.guidance),
        number(config.temperature),
        config.seed
    );
    match source {
        Source::Pictures => format!("On {batch}. Each point is one batch, with that batch's noise."),
        Source::Tokens => format!(
            "On the tokens of {batch}, by the policy itself, unguided and at temperature 1. Each point is one batch, \
            with that batch's noise."
        ),
        Source::Evaluation if known.history.protocol().is_empty() => {
            format!("By an evaluation of {} pictures; there has been none yet.", config.eval_samples)
        }
        Source::Evaluation => known.history.protocol().to_string(),
        Source::Clock => "By the clock, on this device. Only work counts, not pauses; each phase ends with a result \
            read back, so that none is booked on the next."
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Event;

    fn worked(metrics: &[(&str, f64)], settings: &[(&str, &str)], formula: fn(&Known<'_>) -> Option<String>) -> String {
        let mut history = History::default();
        let metrics = metrics.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        history.observe(&Event::Update { update: 3, metrics });
        let mut config = RunConfig::default();
        config.apply(settings.iter().copied()).unwrap();
        formula(&Known { history: &history, config: &config }).unwrap_or_default()
    }

    #[test]
    fn the_reward_is_the_weighted_sum_of_its_parts_and_says_where_it_is_not() {
        let parts = [("rewards/clip/mean", 0.25), ("rewards/preference/mean", -0.5), ("rewards/loo_fid/mean", 9.0)];
        let with = |reward| worked(&[&parts[..], &[("reward", reward)]].concat(), &[], reward_of);
        fn reward_of(known: &Known<'_>) -> Option<String> {
            reward(known)
        }
        assert_eq!(with(0.0), "2 · 0.25 (CLIP) + 1 · -0.5 (Preference) = 0");
        assert!(with(0.75).contains("measured: 0.75."));
        assert_eq!(worked(&[], &[], reward_of), "", "nothing is made up before the first update");
    }

    #[test]
    fn the_entropy_is_a_share_and_its_error_sets_the_bonus() {
        let metrics =
            [("entropy", 0.5 * 512f64.ln()), ("entropy_norm", 0.5), ("entropy_target", 0.6), ("entropy_coef", 3e-3)];
        let text = worked(&metrics, &[], entropy);
        assert!(text.contains("3.119 / ln 512") && text.contains("0.1 below it"), "{text}");
        let text = worked(&metrics, &[], bonus);
        assert!(text.contains("exp(3 · +0.1) = 1.35") && text.ends_with("· 1.35 = 0.003"), "{text}");
        let text = worked(&metrics, &[("entropy_deadband", "0.2")], bonus);
        assert!(text.contains("inside ± 0.2"), "{text}");
        assert!(worked(&metrics, &[("adaptive_entropy", "false")], bonus).contains("not steered"));
    }

    #[test]
    fn a_long_gradient_is_shortened_and_a_short_one_is_not() {
        assert!(worked(&[("grad_norm", 4.0)], &[], gradient).ends_with("min(1, 1 / 4) = 0.25: shortened"));
        assert!(worked(&[("grad_norm", 0.5)], &[], gradient).ends_with("= 1: applied as it is"));
    }

    #[test]
    fn ratios_shares_and_terms_come_out_as_measured() {
        assert!(worked(&[("ratio", 1.003_1)], &[], ratio).starts_with("exp(0.003095) = 1.003100"));
        let text = worked(&[("clip_ratio/low", 0.0), ("clip_ratio/high", 0.015_625)], &[], clipped);
        assert!(
            text.contains("below 0.8: 0 · 128 = 0 samples") && text.contains("above 1.2: 0.01562 · 128 = 2 samples"),
            "{text}"
        );
        assert!(worked(&[("frac_reward_zero_std", 0.0625)], &[], flat).ends_with("= 1 group"));
        assert!(worked(&[("kl", 2e-3)], &[], kl).ends_with("3 · 0.002 = 0.006"));
        let parts =
            [("policy_loss/instance", -0.5), ("kl", 0.1), ("entropy_coef", 0.01), ("entropy", 4.0), ("loss", -0.24)];
        assert!(
            worked(&parts, &[], loss)
                .starts_with("−0.5 (instance) + 0 (distribution) + 3 · 0.1 (KL) − 0.01 · 4 (entropy) = -0.24")
        );
    }

    #[test]
    fn a_change_is_counted_from_the_first_measurement() {
        let mut history = History::default();
        for (update, value) in [(0, 40.0), (25, 30.0)] {
            let metrics = [("eval/fd".to_string(), value)].into();
            history.observe(&Event::Evaluation { update, metrics, protocol: "FD".into() });
        }
        let known = Known { history: &history, config: &RunConfig::default() };
        let text = known.change(&["eval/fd"]).unwrap();
        assert_eq!(text, "40 → 30: −10 (−25 %)\nfrom update 0 to update 25");
        assert_eq!(measured(Source::Evaluation, &known), "FD");
    }
}
