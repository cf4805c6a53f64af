//! The entropy bonus and its controller: keeps the policy from collapsing onto a few pictures.
//!
//! The loss subtracts `alpha * H`, with `H` the mean token entropy. `alpha` follows a schedule (warm-up, flat,
//! cosine decay) and is raised when the entropy is below its target and lowered when above (method: adaptive
//! entropy regularisation). The controller is proportional and memoryless: nothing but its settings need be saved.

use serde::{Deserialize, Serialize};

/// Settings of the adaptive coefficient; the defaults are the paper's code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdaptiveEntropy {
    /// Coefficient of the flat phase, per nat.
    pub base: f64,
    /// Smallest coefficient ever returned.
    pub min: f64,
    /// Largest coefficient ever returned.
    pub max: f64,
    /// Target of the normalised entropy, in `[0, 1]`; best set to the measured entropy of the pretrained model.
    pub target: f64,
    /// Error up to which the schedule is left alone.
    pub deadband: f64,
    /// Gain `k` of the correction `exp(k * error)`.
    pub gain: f64,
    /// Share of the run in which the coefficient rises linearly from 0.
    pub warmup: f64,
    /// Share of the run after which the coefficient falls to 0 along a half cosine.
    pub decay_start: f64,
}

impl Default for AdaptiveEntropy {
    fn default() -> Self {
        Self {
            base: 2.2e-3,
            min: 7e-5,
            max: 4e-3,
            target: 0.78,
            deadband: 0.015,
            gain: 3.0,
            warmup: 0.05,
            decay_start: 0.85,
        }
    }
}

impl AdaptiveEntropy {
    /// The coefficient before correction, at `progress` = updates done / updates planned.
    pub fn schedule(&self, progress: f64) -> f64 {
        if progress < self.warmup {
            self.base * progress / self.warmup
        } else if progress < self.decay_start || self.decay_start >= 1.0 {
            self.base
        } else {
            let phase = ((progress - self.decay_start) / (1.0 - self.decay_start)).min(1.0);
            self.base * 0.5 * (1.0 + (std::f64::consts::PI * phase).cos())
        }
    }
}

/// Gives the entropy coefficient of each update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntropyController {
    /// The same coefficient in every update; 0 switches the bonus off.
    Fixed(f64),
    /// Schedule and correction towards a target.
    Adaptive(AdaptiveEntropy),
}

impl EntropyController {
    /// The coefficient `alpha`, per nat and without gradient, at `progress` in `[0, 1]` of the run, for the
    /// normalised entropy `h_norm` (see [`normalized`]). A non-finite entropy leaves the schedule uncorrected.
    pub fn coefficient(&self, progress: f64, h_norm: f64) -> f64 {
        match self {
            Self::Fixed(alpha) => *alpha,
            Self::Adaptive(a) => {
                let scheduled = a.schedule(progress);
                let error = a.target - h_norm.clamp(0.0, 1.0);
                let corrected = if error.abs() > a.deadband { scheduled * (a.gain * error).exp() } else { scheduled };
                corrected.max(a.min).min(a.max)
            }
        }
    }
}

/// Entropy in nats as a share of the largest possible one, `ln vocab`, clamped to `[0, 1]`.
pub fn normalized(nats: f64, vocab: usize) -> f64 {
    if vocab < 2 { 0.0 } else { (nats / (vocab as f64).ln()).clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64) {
        assert!((got - want).abs() < 5e-6, "{got} is not {want}");
    }

    #[test]
    fn flat_phase_matches_the_worked_examples() {
        let c = EntropyController::Adaptive(AdaptiveEntropy::default());
        for (h, alpha) in
            [(0.5, 4e-3), (0.6, 3.775e-3), (0.7, 2.797e-3), (0.78, 2.2e-3), (0.79, 2.2e-3), (0.9, 1.535e-3)]
        {
            near(c.coefficient(0.5, h), alpha);
        }
    }

    #[test]
    fn schedule_warms_up_and_decays() {
        let a = AdaptiveEntropy::default();
        near(a.schedule(0.0), 0.0);
        near(a.schedule(0.025), 1.1e-3);
        near(a.schedule(0.5), 2.2e-3);
        near(a.schedule(0.925), 1.1e-3);
        near(a.schedule(1.0), 0.0);
        near(a.schedule(2.0), 0.0);
        near(AdaptiveEntropy { warmup: 0.0, decay_start: 1.0, ..a.clone() }.schedule(0.0), 2.2e-3);
        near(AdaptiveEntropy { warmup: 0.0, decay_start: 1.0, ..a }.schedule(1.0), 2.2e-3);
    }

    #[test]
    fn fixed_mode_ignores_progress_and_entropy() {
        assert_eq!(EntropyController::Fixed(0.01).coefficient(0.0, 0.1), 0.01);
        assert_eq!(EntropyController::Fixed(0.0).coefficient(0.7, 0.9), 0.0);
    }

    #[test]
    fn non_finite_entropy_falls_back_to_the_schedule() {
        let c = EntropyController::Adaptive(AdaptiveEntropy::default());
        assert_eq!(c.coefficient(0.5, f64::NAN), 2.2e-3);
    }

    #[test]
    fn normalized_entropy_is_a_share_of_ln_vocab() {
        near(normalized((512f64).ln(), 512), 1.0);
        near(normalized(0.5 * (512f64).ln(), 512), 0.5);
        assert_eq!((normalized(9.0, 2), normalized(1.0, 1)), (1.0, 0.0));
    }

    #[test]
    fn settings_survive_a_checkpoint() {
        let c = EntropyController::Adaptive(AdaptiveEntropy { target: 0.61, ..AdaptiveEntropy::default() });
        let text = serde_json::to_string(&c).unwrap();
        assert_eq!(serde_json::from_str::<EntropyController>(&text).unwrap(), c);
    }
}
