//! The checks: which curve, what level, where its limit is and why there.
//!
//! Where a reason speaks of measured runs, these are runs of the embedded model on the CPU, described in
//! `docs/results.md`: nine of 50 updates with the present defaults, which stayed sound or nearly so, and three of 100
//! updates with smaller batches and two inner steps, two of which collapsed. Excerpts are in `tests/recorded`.

use super::robust::{median, rolling, trend};
use super::seen::{Check, Curve, HORIZON, RECENT, SMOOTH, Seen, best, mean, parts, reached};
use super::{Kind, Severity};

/// Parts of the reward that tell whether a picture is any good, paid or not; the others are for teaching.
const JUDGES: [&str; 2] = ["clip", "preference"];
/// A level below this share of its limit is clearly well, so that a rewind goes to where there was no sign of trouble.
pub(super) const CLEARLY_WELL: f64 = 0.7;

/// One of the last ten updates lost: a single broken number is worth a word.
const LOST: f64 = 0.1;
/// Half of the updates lost: the run goes nowhere.
const LOST_SERIOUS: f64 = 0.5;
/// Rounding leaves 1e-6 on the CPU (measured) and up to 1e-4 on graphics cards; a real mistake leaves far more.
const FIRST_RATIO: f64 = 1e-3;
/// Beyond one in a hundred gradients are biased visibly.
const FIRST_RATIO_SERIOUS: f64 = 1e-2;
/// In nats per token. Sound runs ended at 0.07 at most; those at 0.18 to 0.2 had lost a third to a half of their class
/// accuracy.
const KL: f64 = 0.15;
/// At 0.3 nats a token the policy gives its pictures of 64 tokens e^19 times the probability that its old self did.
const KL_SERIOUS: f64 = 0.3;
/// Sound runs lose nothing; a run whose effective number of pictures fell by a quarter lost a tenth of the diversity of
/// its batches, which counts the differences between classes too.
const DIVERSITY_LOST: f64 = 0.07;
/// A quarter lost: pictures of different classes have become alike.
const DIVERSITY_LOST_SERIOUS: f64 = 0.25;
/// Effective pictures lost: 9 % at most in sound runs, 23 and 37 % in collapsed ones.
const VENDI_LOST: f64 = 0.15;
/// Half of the effective pictures lost.
const VENDI_LOST_SERIOUS: f64 = 0.5;
/// The held-out distance moved by 2 % at most without a reason, and rose by 3 to 10 % when it paid for the reward.
const DISTANCE_ROSE: f64 = 0.05;
/// Collapsed runs: 38 and 51 %.
const DISTANCE_ROSE_SERIOUS: f64 = 0.25;
/// The number of evaluated pictures that the two limits above are made for; they grow with the noise of fewer.
const DISTANCE_SAMPLES: f64 = 256.0;
/// The distance in the features of the distribution reward, where it is not paid for: to 1.8 times its best in sound
/// runs, 7 and 15 times in collapsed ones. The rise is counted, so 1.5 is two and a half times the best.
const UNPAID_DISTANCE_ROSE: f64 = 1.5;
/// Five times the best.
const UNPAID_DISTANCE_ROSE_SERIOUS: f64 = 4.0;
/// Class accuracy lost, in standard errors of the difference of two shares, and never less than eight points.
const ACCURACY_ERRORS: f64 = 3.0;
const ACCURACY_LOST: f64 = 0.08;
/// CLIP or preference score lost while not paid: 9 % at most in a sound run, 15 to 25 % in spoilt ones.
const UNPAID_LOST: f64 = 0.15;
const UNPAID_LOST_SERIOUS: f64 = 0.4;
/// A paid part has risen or fallen by this many standard deviations of its noise: medians of five and nine differ by
/// 0.7 of one by chance.
pub(super) const MOVED: f64 = 2.0;
/// Two parts have moved against each other: both must be beyond doubt, so three.
pub(super) const TUG: f64 = 3.0;
/// The reward is below its best by this many standard deviations of its noise.
const FELL: f64 = 3.0;
const FELL_SERIOUS: f64 = 8.0;
/// Half of the groups teach nothing.
const DEAD: f64 = 0.5;
const DEAD_SERIOUS: f64 = 0.9;
/// Differences inside a group have shrunk to a quarter: what is left is mostly the scorer's noise.
const SPREAD_LOST: f64 = 0.75;
const SPREAD_LOST_SERIOUS: f64 = 0.9;
/// Teaching rewards end at 1: above this there is nothing left to gain.
const CEILING: f64 = 0.95;
/// Entropy off its target, as a share of the largest possible. Sound runs and collapsed ones alike stayed within 0.035;
/// a tenth of the model's own entropy is 0.055.
const ENTROPY_OFF: f64 = 0.05;
/// But never inside what the controller is told to leave alone: as many dead bands.
const ENTROPY_BANDS: f64 = 3.0;
/// A third of the model's own entropy: three limits.
const ENTROPY_SERIOUS: f64 = 3.0;
/// Share of ratios clipped: a first step clips up to 0.4 and then none, so that 0.3 of several updates is no start-up.
const CLIPPED: f64 = 0.3;
const CLIPPED_SERIOUS: f64 = 0.6;
/// Mean ratio off 1: half of the usual clipping range.
const RATIO_OFF: f64 = 0.1;
const RATIO_OFF_SERIOUS: f64 = 0.3;
/// Largest of the last ten gradients against the usual: never above 1.5 in sound runs.
const PEAK: f64 = 5.0;
const PEAK_SERIOUS: f64 = 25.0;
const PEAK_WINDOW: usize = 10;
/// Updates that tell which gradient is usual.
const PEAK_USUAL: usize = 40;
/// Usual gradient against what it is cut to: AdamW does not mind a steady cut, but beyond a fifth quiet and loud
/// batches count alike.
const CUT: f64 = 5.0;
/// Nats per token moved after [`STEPS_UPDATES`]: the slowest sound run had moved by 0.02 to 0.03.
const MOVED_LEAST: f64 = 0.01;
const STEPS_UPDATES: usize = 25;
/// Standard errors that the reward has risen by after [`PROGRESS_UPDATES`] or more: sound runs by 3 to 9. Below one
/// there is no rise; from two on there is one.
const PROGRESS: f64 = 1.0;
const PROGRESS_RELEASE: f64 = 0.5;
const PROGRESS_UPDATES: usize = 40;
/// It is looked at after every so many updates, and so many times.
const PROGRESS_EVERY: usize = 5;
const PROGRESS_TIMES: usize = 12;

impl Seen<'_> {
    /// Every check that applies to this run, with its levels.
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = self.soundness();
        checks.extend(self.distribution());
        checks.extend(self.steps());
        if !self.parts().is_empty() {
            checks.extend(self.reward());
        }
        checks
    }

    /// Are the numbers themselves to be trusted?
    fn soundness(&self) -> Vec<Check> {
        let first = "ratio/max_deviation/first";
        let config = self.config;
        let lost = self.share("updates_skipped", |skipped| f64::from(skipped > 0.0));
        let batch = (config.prompts * config.num_generations).max(1) as f64;
        let samples = self.share("samples_skipped", |skipped| skipped / batch);
        // From the first update on: an error here is one from the beginning.
        let ratio = self.smooth(first, 3.min(self.points(first, f64::NEG_INFINITY).len()));
        vec![
            Check::above(Kind::RatioNotOne, first, ratio, FIRST_RATIO, FIRST_RATIO_SERIOUS),
            Check::above(Kind::NotFinite, "updates_skipped", lost, LOST, LOST_SERIOUS),
            Check::above(Kind::NotFinite, "samples_skipped", samples, LOST, LOST_SERIOUS),
        ]
    }

    /// Mean over the last [`PEAK_WINDOW`] updates of what `of` makes of a count, the missing ones taken as nothing.
    fn share(&self, name: &str, of: impl Fn(f64) -> f64) -> Vec<[f64; 2]> {
        let points = self.points(name, f64::NEG_INFINITY);
        let from = points.len().saturating_sub(HORIZON);
        let window = |end: usize| &points[end.saturating_sub(PEAK_WINDOW - 1)..=end];
        let mean = |end: usize| window(end).iter().map(|point| of(point[1])).sum::<f64>() / PEAK_WINDOW as f64;
        (from..points.len()).map(|end| [points[end][0], mean(end)]).collect()
    }

    /// Does the model keep what it could do?
    fn distribution(&self) -> Vec<Check> {
        let diversity = self.curve("diversity", self.drawn).map(|curve| curve.lost()).unwrap_or_default();
        let vendi = best(&self.points("eval/vendi", f64::NEG_INFINITY), |now, best| 1.0 - now / best, f64::max);
        let rises = self.rises();
        let gate = |levels: Vec<[f64; 2]>| -> Vec<[f64; 2]> {
            // A median stands in the middle of its window: later ones were not known at `update`.
            let known = |update: f64| update - (SMOOTH / 2) as f64;
            let risen = |update: f64| rises.iter().any(|rise| reached(rise, known(update)).is_some_and(|z| z > MOVED));
            levels.into_iter().map(|[update, level]| [update, if risen(update) { level } else { 0.0 }]).collect()
        };
        let samples = self.config.eval_samples as f64;
        let factor = (DISTANCE_SAMPLES / samples).sqrt().max(1.0);
        let distance = best(&self.points("eval/fd", f64::NEG_INFINITY), |now, best| now / best - 1.0, f64::min);
        let accuracy_points = self.points("eval/class_accuracy", f64::NEG_INFINITY);
        let accuracy = best(&accuracy_points, |now, best| best - now, f64::max);
        // A share's variance is a quarter at most, that of a difference twice as much.
        let least = (ACCURACY_ERRORS * (0.5 / samples).sqrt()).max(ACCURACY_LOST);
        let entropy = |sign: f64| -> Vec<[f64; 2]> {
            let targets = self.smooth("entropy_target", RECENT);
            let off = |(at, target): (&[f64; 2], &[f64; 2])| [at[0], sign * (at[1] - target[1])];
            self.smooth("entropy_norm", RECENT).iter().zip(&targets).map(off).collect()
        };
        let band = ENTROPY_OFF.max(ENTROPY_BANDS * self.config.entropy_deadband);
        let mut checks = vec![
            Check::above(Kind::KlExploding, "kl", self.nats(), KL, KL_SERIOUS),
            Check::above(Kind::Collapse, "diversity", diversity, DIVERSITY_LOST, DIVERSITY_LOST_SERIOUS),
            Check::above(Kind::Collapse, "eval/vendi", vendi, VENDI_LOST, VENDI_LOST_SERIOUS),
            Check::above(
                Kind::Hacking,
                "eval/fd",
                gate(distance),
                DISTANCE_ROSE * factor,
                DISTANCE_ROSE_SERIOUS * factor,
            ),
            Check::above(Kind::Hacking, "eval/class_accuracy", gate(accuracy), least, 2.0 * least),
            Check::above(Kind::EntropyBelow, "entropy_norm", entropy(-1.0), band, ENTROPY_SERIOUS * band),
            Check::above(Kind::EntropyAbove, "entropy_norm", entropy(1.0), band, ENTROPY_SERIOUS * band),
        ];
        if !self.distribution_paid() {
            let rose = best(&self.smooth("frechet/rewarded", RECENT), |now, best| now / best - 1.0, f64::min);
            let limits = (UNPAID_DISTANCE_ROSE, UNPAID_DISTANCE_ROSE_SERIOUS);
            checks.push(Check::above(Kind::Hacking, "frechet/rewarded", gate(rose), limits.0, limits.1));
        }
        for (name, _) in parts(self.config).filter(|(name, weight)| *weight == 0.0 && JUDGES.contains(name)) {
            let fell = self.curve(&mean(name), self.drawn).map(|curve| curve.lost()).unwrap_or_default();
            checks.push(Check::above(Kind::Hacking, &mean(name), gate(fell), UNPAID_LOST, UNPAID_LOST_SERIOUS));
        }
        checks
    }

    /// Rises of all that is paid, in standard deviations of their noise.
    fn rises(&self) -> Vec<Vec<[f64; 2]>> {
        let mut rises: Vec<_> = self.moves().into_iter().map(|(_, levels)| levels).collect();
        if !self.parts().is_empty() {
            rises.extend(self.curve("reward", self.paid).map(|curve| curve.moves(1.0)));
        }
        if self.distribution_paid() {
            rises.extend(self.curve("frechet/rewarded", self.drawn).map(|curve| curve.moves(-1.0)));
        }
        rises
    }

    /// Are the steps of the right size?
    fn steps(&self) -> Vec<Check> {
        let zip = |a: Vec<[f64; 2]>, b: Vec<[f64; 2]>| -> Vec<[f64; 2]> {
            a.iter().zip(&b).map(|(a, b)| [a[0], a[1] + b[1]]).collect()
        };
        let clipped = zip(self.smooth("clip_ratio/low", RECENT), self.smooth("clip_ratio/high", RECENT));
        let off =
            self.smooth("ratio", RECENT).into_iter().map(|[update, ratio]| [update, (ratio - 1.0).abs()]).collect();
        let norms = self.points("grad_norm", f64::NEG_INFINITY);
        let from = norms.len().saturating_sub(HORIZON).max(PEAK_WINDOW);
        let peak = |end: usize| {
            let usual: Vec<f64> = norms[end.saturating_sub(PEAK_USUAL)..=end].iter().map(|point| point[1]).collect();
            let newest = norms[end + 1 - PEAK_WINDOW..=end].iter().map(|point| point[1]).fold(0.0, f64::max);
            Some([norms[end][0], newest / median(&usual).filter(|usual| *usual > 0.0)?])
        };
        let peaks = (from..norms.len()).filter_map(peak).collect();
        let cut = self.config.max_grad_norm;
        let lengths = self.smooth("grad_norm", SMOOTH).into_iter().map(|[update, norm]| [update, norm / cut]).collect();
        let moved = self.nats().into_iter().skip(STEPS_UPDATES.saturating_sub(RECENT)).collect();
        let notice = |check: Check| Check { serious: None, mildest: Severity::Notice, ..check };
        let moved = Check::above(Kind::StepsTooSmall, "kl", moved, MOVED_LEAST, 0.0);
        vec![
            Check::above(Kind::Clipped, "clip_ratio/high", clipped, CLIPPED, CLIPPED_SERIOUS),
            Check::above(Kind::Clipped, "ratio", off, RATIO_OFF, RATIO_OFF_SERIOUS),
            Check::above(Kind::GradientPeaks, "grad_norm", peaks, PEAK, PEAK_SERIOUS),
            notice(Check::above(Kind::GradientCut, "grad_norm", lengths, CUT, 0.0)),
            notice(Check { below: true, ..moved }),
        ]
    }

    /// Does the reward teach anything, and is it learnt?
    fn reward(&self) -> Vec<Check> {
        // A spread below what is added to it when it divides is none: advantages then vanish.
        let none = |spread: f64| f64::from(spread < self.config.advantage_eps);
        let mut flat = self.points("reward_std", f64::NEG_INFINITY);
        flat.iter_mut().for_each(|point| point[1] = none(point[1]));
        let zero = self.points("frac_reward_zero_std", f64::NEG_INFINITY);
        let dead: Vec<_> = zero.iter().zip(&flat).map(|(zero, flat)| [zero[0], zero[1].max(flat[1])]).collect();
        let spread = self.curve("reward_std", self.paid).map(|curve| curve.lost());
        let parts = self.parts();
        let full = |(name, weight): &(&'static str, f64)| {
            let full = |x: f64| if *weight < 0.0 { 1.0 - x } else { x };
            self.smooth(&mean(name), RECENT).into_iter().map(|[update, x]| [update, full(x)]).collect::<Vec<_>>()
        };
        let lowest =
            |a: Vec<[f64; 2]>, b: Vec<[f64; 2]>| a.iter().zip(&b).map(|(a, b)| [a[0], a[1].min(b[1])]).collect();
        let ceiling: Vec<[f64; 2]> = parts.iter().map(full).reduce(lowest).unwrap_or_default();
        let reward = self.curve("reward", self.paid);
        let fell = reward.as_ref().map(Curve::fell).unwrap_or_default();
        let rises = |curve: &Curve| {
            let ends = (PROGRESS_UPDATES..curve.points.len() + 1).step_by(PROGRESS_EVERY).rev().take(PROGRESS_TIMES);
            let rise = |end: usize| Some([curve.points[end - 1][0], trend(&curve.points[..end], curve.noise(end))?]);
            let mut rises: Vec<[f64; 2]> = ends.filter_map(rise).collect();
            rises.reverse();
            rises
        };
        let progress = reward.as_ref().map(rises).unwrap_or_default();
        let mut checks = vec![
            Check::above(Kind::DeadGroups, "frac_reward_zero_std", rolling(&dead, RECENT), DEAD, DEAD_SERIOUS),
            Check::above(Kind::Saturated, "reward_std", spread.unwrap_or_default(), SPREAD_LOST, SPREAD_LOST_SERIOUS),
            Check { serious: None, ..Check::above(Kind::Saturated, "reward", ceiling, CEILING, 0.0) },
            Check::above(Kind::RewardFalls, "reward", fell, FELL, FELL_SERIOUS),
            Check {
                below: true,
                serious: None,
                mildest: Severity::Notice,
                release: PROGRESS_RELEASE,
                since: reward.and_then(|curve| curve.points.first().map(|point| point[0] as u64)),
                ..Check::above(Kind::NoProgress, "reward", progress, PROGRESS, 0.0)
            },
        ];
        if parts.len() > 1 {
            let moves: Vec<_> = self.moves().into_iter().map(|(_, levels)| levels).collect();
            let pull = |i: usize| {
                let at = |sign: f64| moves.iter().filter_map(|m| Some(sign * m.get(i)?[1])).fold(0.0, f64::max);
                Some([moves.first()?.get(i)?[0], at(1.0).min(at(-1.0))])
            };
            let pulls = (0..moves.first().map_or(0, Vec::len)).filter_map(pull).collect();
            checks.push(Check { serious: None, ..Check::above(Kind::TugOfWar, "reward", pulls, TUG, 0.0) });
        }
        checks
    }
}
