//! Which knobs help against what, and the values to turn them to.

use super::seen::{Seen, parts};
use super::{Kind, Remedy};
use crate::config::{Kind as Values, Param, RunConfig, Value};

/// More than so many suggestions are no help.
const MOST: usize = 3;
/// A change smaller than this share of a value is none.
const LEAST_CHANGE: f64 = 0.02;
/// The paper's KL weight, also our default: what to return to from less.
const BETA: f64 = 3.0;
/// The paper's weight of the entropy bonus, also our default.
const ENTROPY_COEF: f64 = 2.2e-3;
/// A rate at which the embedded model is measured to learn well; our default.
const LEARNING_RATE: f64 = 5e-5;

/// What helps against a finding of this kind, the best first: live parameters with permitted values that differ from
/// the present ones.
pub(super) fn remedies(kind: Kind, seen: &Seen<'_>) -> Vec<Remedy> {
    let c = seen.config;
    let mut bag = Bag { config: c, found: Vec::new() };
    match kind {
        Kind::RatioNotOne => bag.switch("quirk_label_dropout", false),
        Kind::NotFinite => {
            bag.number("learning_rate", c.learning_rate / 2.0);
            bag.number("max_grad_norm", c.max_grad_norm / 2.0);
        }
        Kind::KlExploding => {
            bag.number("learning_rate", c.learning_rate / 2.0);
            bag.number("beta", (2.0 * c.beta).max(BETA));
            bag.number("num_iterations", 1.0);
        }
        Kind::Collapse => {
            bag.pay_distribution();
            bag.keep_entropy();
            bag.number("learning_rate", c.learning_rate / 2.0);
        }
        Kind::Hacking => {
            bag.pay_distribution();
            bag.number("beta", (2.0 * c.beta).max(BETA));
            bag.number("learning_rate", c.learning_rate / 2.0);
        }
        Kind::RewardFalls => {
            bag.number("learning_rate", c.learning_rate / 2.0);
            bag.number("num_iterations", 1.0);
            bag.number("beta", (2.0 * c.beta).max(BETA));
        }
        Kind::DeadGroups => {
            bag.text("top_k", "0");
            bag.number("temperature", c.temperature.max(1.0));
            bag.number("top_p", 1.0);
            bag.number("guidance", c.guidance.min(1.5));
        }
        Kind::Saturated => {
            for (name, default) in [("clip_weight", c.clip_weight), ("preference_weight", c.preference_weight)] {
                if default == 0.0 {
                    bag.number(name, 1.0);
                }
            }
            bag.pay_distribution();
        }
        Kind::TugOfWar => {
            let (fallen, risen) = seen.tug();
            let weight = |name: &str| parts(c).find(|(part, _)| *part == name).map_or(0.0, |(_, weight)| weight);
            for (names, factor) in [(fallen, 2.0), (risen, 0.5)] {
                for name in names {
                    bag.number(&format!("{name}_weight"), weight(name) * factor);
                }
            }
        }
        Kind::EntropyBelow => {
            bag.keep_entropy();
            bag.number("entropy_max", 2.0 * c.entropy_max);
            bag.number("entropy_coef", 2.0 * c.entropy_coef.max(ENTROPY_COEF / 2.0));
        }
        Kind::EntropyAbove => {
            bag.number("entropy_coef", (c.entropy_coef / 4.0).min(ENTROPY_COEF));
            bag.switch("adaptive_entropy", true);
            bag.number("learning_rate", c.learning_rate / 2.0);
        }
        Kind::Clipped => {
            bag.number("learning_rate", c.learning_rate / 2.0);
            bag.number("num_iterations", (c.num_iterations / 2).max(1) as f64);
            bag.number("epsilon", c.epsilon.max(0.2));
        }
        Kind::GradientPeaks => {
            if let Some(usual) = seen.gradient() {
                bag.number("max_grad_norm", (1.5 * usual).min(c.max_grad_norm));
            }
            bag.number("learning_rate", c.learning_rate / 2.0);
        }
        Kind::GradientCut => {
            if let Some(usual) = seen.gradient() {
                bag.number("max_grad_norm", 1.5 * usual);
            }
        }
        Kind::StepsTooSmall => {
            bag.number("learning_rate", (5.0 * c.learning_rate).min(LEARNING_RATE).max(2.0 * c.learning_rate));
            bag.number("beta", c.beta.min(BETA));
        }
        Kind::NoProgress => {
            bag.number("prompts", 2.0 * c.prompts as f64);
            bag.number("learning_rate", 2.0 * c.learning_rate);
            if seen.distribution_paid() {
                bag.number("lambda_fid", c.lambda_fid / 2.0);
            }
        }
    }
    bag.found.truncate(MOST);
    bag.found
}

/// Remedies as they are collected.
struct Bag<'a> {
    config: &'a RunConfig,
    found: Vec<Remedy>,
}

impl Bag<'_> {
    /// Suggests a value as text, where it is permitted, new and live.
    fn text(&mut self, name: &str, text: &str) {
        let mut turned = self.config.clone();
        let Ok(param) = Param::find(name) else { return };
        let known = self.found.iter().any(|remedy| remedy.param == param.name);
        if known || !param.live || turned.set(name, text).is_err() || same(self.config.get(name), turned.get(name)) {
            return;
        }
        self.found.push(Remedy { param: param.name, value: text.into() });
    }

    /// Suggests a number, with two digits and no further than the parameter's range goes.
    fn number(&mut self, name: &str, value: f64) {
        let Ok(param) = Param::find(name) else { return };
        let text = match param.kind {
            Values::Float { min, max, .. } => Value::Float(two_digits(value).clamp(min, max)).to_string(),
            Values::Int { min, max } => Value::Int((value.round() as i64).clamp(min, max)).to_string(),
            _ => return,
        };
        self.text(name, &text);
    }

    fn switch(&mut self, name: &str, on: bool) {
        self.text(name, &on.to_string());
    }

    /// Variety is paid for, or paid more.
    fn pay_distribution(&mut self) {
        if self.config.loo_fid_weight <= 0.0 {
            self.number("loo_fid_weight", 1.0);
        }
        if self.config.lambda_fid <= 0.0 {
            self.number("lambda_fid", 1.0);
        } else if self.config.loo_fid_weight > 0.0 {
            self.number("lambda_fid", 2.0 * self.config.lambda_fid);
        }
    }

    /// The entropy is steered, with a bonus to steer.
    fn keep_entropy(&mut self) {
        self.number("entropy_coef", self.config.entropy_coef.max(ENTROPY_COEF));
        self.switch("adaptive_entropy", true);
    }
}

/// Whether two values are the same, or too near to each other to make a difference.
fn same(a: Option<Value>, b: Option<Value>) -> bool {
    match (a, b) {
        (Some(Value::Float(a)), Some(Value::Float(b))) => (a - b).abs() <= LEAST_CHANGE * a.abs(),
        (a, b) => a == b,
    }
}

/// A number with two significant digits, so that it can be read and said.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bag(config: &RunConfig, fill: impl Fn(&mut Bag<'_>)) -> Vec<(&'static str, String)> {
        let mut bag = Bag { config, found: Vec::new() };
        fill(&mut bag);
        bag.found.into_iter().map(|remedy| (remedy.param, remedy.value)).collect()
    }

    #[test]
    fn suggestions_stay_in_range_and_are_readable() {
        let config = RunConfig { learning_rate: 3.3333e-5, prompts: 40, ..Default::default() };
        let found = bag(&config, |bag| {
            bag.number("learning_rate", config.learning_rate / 2.0);
            bag.number("prompts", 80.0);
            bag.number("beta", 1e9);
        });
        assert_eq!(found, [("learning_rate", "1.7e-5".into()), ("prompts", "64".into()), ("beta", "20".into())]);
    }

    #[test]
    fn what_is_set_already_fixed_or_refused_is_not_suggested() {
        let config = RunConfig::default();
        let found = bag(&config, |bag| {
            bag.number("beta", 3.01);
            bag.switch("adaptive_entropy", true);
            bag.number("num_generations", 16.0);
            bag.number("entropy_min", 0.05);
            bag.text("nonsense", "1");
        });
        assert!(found.is_empty(), "{found:?}");
    }
}
