//! A run as the checks see it: its curves with their starts and their noise.

use super::checks::{MOVED, TUG};
use super::robust::{median, noise, rolling};
use super::{Evidence, History, Kind, Severity};
use crate::config::{PARAMS, RunConfig, Value};

/// Points whose median is the start of a curve: fewer are too noisy, more would hide what the first updates did.
const START: usize = 5;
/// Points whose median is the present: of so many the noise is about half of a single one's.
pub(super) const RECENT: usize = 5;
/// The same for curves that are mostly noise, rewards and diversity.
pub(super) const SMOOTH: usize = 9;
/// Newest points that levels are computed from: what began earlier than that is shown as having begun there.
pub(super) const HORIZON: usize = 1000;
/// A level that wanders by a fifth around its limit, which medians of a few updates do, makes one finding and not many.
const RELEASE: f64 = 0.8;
/// Noise is taken to be at least this share of a curve's start: smaller changes are nobody's concern.
const LEAST_NOISE: f64 = 1e-3;
/// Points before a moment that tell its noise. Only those before it: what was once said of an update then stands.
const NOISE: usize = 50;
/// But so many at least, of the first ones where there are no more: eleven differences make a median worth having.
const LEAST_NOISE_POINTS: usize = 12;

/// One check on one curve.
pub(super) struct Check {
    pub kind: Kind,
    pub metric: String,
    /// `[update, level]`, oldest first.
    pub levels: Vec<[f64; 2]>,
    pub limit: f64,
    /// Limit from which the finding is serious, if ever.
    pub serious: Option<f64>,
    /// Share of the limit that a level must come back to before the finding ends.
    pub release: f64,
    /// Severity before that.
    pub mildest: Severity,
    pub below: bool,
    /// When it began, where the levels do not say.
    pub since: Option<u64>,
}

/// A run as the checks see it.
pub(super) struct Seen<'a> {
    history: &'a History,
    pub config: &'a RunConfig,
    /// Last update at which a knob was turned that changes what is drawn.
    pub drawn: f64,
    /// Last update at which one was turned that changes what is drawn or what is paid.
    pub paid: f64,
}

/// A curve with its start.
pub(super) struct Curve {
    pub points: Vec<[f64; 2]>,
    start: f64,
}

impl<'a> Seen<'a> {
    pub fn new(history: &'a History, config: &'a RunConfig) -> Self {
        let turned = |wanted: &dyn Fn(&str) -> bool| {
            let name = |knob: &'a (f64, String)| knob.1.split(" =").next().unwrap_or_default();
            let last = history.knobs().iter().filter(|knob| wanted(name(knob))).map(|knob| knob.0);
            last.fold(f64::NEG_INFINITY, f64::max)
        };
        let draws = |name: &str| PARAMS.iter().any(|param| param.group == "Rollout" && param.name == name);
        let drawn = turned(&draws);
        let paid = turned(&|name: &str| draws(name) || part(name).is_some());
        Self { history, config, drawn, paid }
    }

    /// The points of a curve after `era`.
    pub fn points(&self, name: &str, era: f64) -> Vec<[f64; 2]> {
        let points = self.history.series(name);
        points[points.partition_point(|point| point[0] <= era)..].to_vec()
    }

    pub fn curve(&self, name: &str, era: f64) -> Option<Curve> {
        let mut points = self.points(name, era);
        let start = middle(points.get(..START)?)?;
        points.drain(..points.len().saturating_sub(HORIZON));
        Some(Curve { points, start })
    }

    /// Running medians of a whole curve's newest part.
    pub fn smooth(&self, name: &str, width: usize) -> Vec<[f64; 2]> {
        let mut points = self.points(name, f64::NEG_INFINITY);
        points.drain(..points.len().saturating_sub(HORIZON));
        rolling(&points, width)
    }

    /// The paid parts of the instance reward with their weights.
    pub fn parts(&self) -> Vec<(&'static str, f64)> {
        parts(self.config).filter(|(_, weight)| *weight != 0.0).collect()
    }

    pub fn distribution_paid(&self) -> bool {
        self.config.loo_fid_weight > 0.0 && self.config.lambda_fid > 0.0
    }

    /// How far the policy has moved, in nats per token. At sequence level the measured figure is that of the token
    /// mean `d` of log-ratios, about `d * d / 2`, while the divergence of a token is about `d`.
    pub fn nats(&self) -> Vec<[f64; 2]> {
        let sequence = self.config.importance_sampling_level == "sequence";
        let nats = |kl: f64| if sequence { (2.0 * kl.max(0.0)).sqrt() } else { kl };
        self.smooth("kl", RECENT).into_iter().map(|[update, kl]| [update, nats(kl)]).collect()
    }

    /// The usual length of a gradient.
    pub fn gradient(&self) -> Option<f64> {
        self.smooth("grad_norm", SMOOTH).last().map(|point| point[1])
    }

    /// Names of paid parts that have fallen, and of those that have risen, in the direction that is paid.
    pub fn tug(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let moved = |sign: f64| {
            let beyond = |(_, levels): &(&str, Vec<[f64; 2]>)| levels.last().is_some_and(|level| sign * level[1] > TUG);
            self.moves().into_iter().filter(beyond).map(|(name, _)| name).collect()
        };
        (moved(-1.0), moved(1.0))
    }

    /// Rise of each paid part since its start, in standard deviations of its noise, in the direction that is paid.
    pub fn moves(&self) -> Vec<(&'static str, Vec<[f64; 2]>)> {
        let rise = |(name, weight): (&'static str, f64)| {
            let curve = self.curve(&mean(name), self.drawn)?;
            Some((name, curve.moves(weight.signum())))
        };
        self.parts().into_iter().filter_map(rise).collect()
    }

    /// Evidence for a check: its own curve, then what belongs to its kind.
    pub fn evidence(&self, check: &Check) -> Vec<Evidence> {
        let others: &[&str] = match check.kind {
            Kind::Collapse => &["diversity", "reward", "entropy_norm"],
            Kind::Hacking => &["reward", "eval/fd", "eval/class_accuracy"],
            Kind::KlExploding | Kind::RewardFalls => &["kl", "reward", "diversity"],
            Kind::EntropyBelow | Kind::EntropyAbove => &["entropy_norm", "entropy_target", "entropy_coef"],
            Kind::Clipped => &["clip_ratio/low", "clip_ratio/high", "ratio"],
            Kind::DeadGroups | Kind::Saturated => &["reward", "reward_std"],
            Kind::NoProgress | Kind::StepsTooSmall => &["reward", "kl"],
            Kind::RatioNotOne | Kind::NotFinite | Kind::TugOfWar | Kind::GradientPeaks | Kind::GradientCut => &[],
        };
        let mut metrics = vec![check.metric.clone()];
        metrics.extend(
            others.iter().filter(|name| **name != "reward" || !self.parts().is_empty()).map(ToString::to_string),
        );
        if check.kind == Kind::TugOfWar {
            metrics.extend(self.parts().into_iter().map(|(name, _)| mean(name)));
        }
        let mut evidence: Vec<Evidence> = Vec::new();
        for metric in metrics {
            let points = self.points(&metric, f64::NEG_INFINITY);
            let window = if metric.starts_with("eval/") { 1.min(points.len()) } else { RECENT.min(points.len()) };
            let then = middle(&points[..window]);
            let now = middle(&points[points.len() - window..]);
            if let (Some(then), Some(now)) = (then, now)
                && !evidence.iter().any(|known| known.metric == metric)
            {
                evidence.push(Evidence { metric, then, now });
            }
        }
        evidence
    }
}

impl Check {
    /// A check whose levels are bad above `limit`.
    pub fn above(kind: Kind, metric: &str, levels: Vec<[f64; 2]>, limit: f64, serious: f64) -> Self {
        let (metric, serious, mildest) = (metric.into(), Some(serious), Severity::Warning);
        Self { kind, metric, levels, limit, serious, mildest, release: RELEASE, below: false, since: None }
    }
}

impl Curve {
    /// Share of the start that is lost, where that is more than noise.
    pub fn lost(&self) -> Vec<[f64; 2]> {
        let sound = self.start > 0.0;
        let lost = |z: f64, now: f64| if sound && z < -MOVED { 1.0 - now / self.start } else { 0.0 };
        self.moves(1.0).into_iter().zip(self.smooth()).map(|([update, z], now)| [update, lost(z, now[1])]).collect()
    }

    /// Rise since the start times `sign`, in standard deviations of the noise.
    pub fn moves(&self, sign: f64) -> Vec<[f64; 2]> {
        let rise = |(i, [update, now]): (usize, [f64; 2])| {
            let noise = self.noise(i + SMOOTH);
            [update, if noise > 0.0 { sign * (now - self.start) / noise } else { 0.0 }]
        };
        self.smooth().into_iter().enumerate().map(rise).collect()
    }

    fn smooth(&self) -> Vec<[f64; 2]> {
        rolling(&self.points, SMOOTH)
    }

    /// Standard deviation of the noise as the first `end` points show it.
    pub fn noise(&self, end: usize) -> f64 {
        let end = end.max(LEAST_NOISE_POINTS).min(self.points.len());
        noise(&self.points[end.saturating_sub(NOISE)..end]).max(LEAST_NOISE * self.start.abs())
    }

    /// Fall from the best so far, in standard deviations of the noise.
    pub fn fell(&self) -> Vec<[f64; 2]> {
        let mut best = f64::NEG_INFINITY;
        let below = |[update, rise]: [f64; 2]| {
            best = best.max(rise);
            [update, best - rise]
        };
        self.moves(1.0).into_iter().map(below).collect()
    }
}

/// The instance parts of the reward with their weights, in the order of the table.
pub(super) fn parts(config: &RunConfig) -> impl Iterator<Item = (&'static str, f64)> {
    PARAMS.iter().filter_map(|param| match (part(param.name), config.get(param.name)) {
        (Some(name), Some(Value::Float(weight))) => Some((name, weight)),
        _ => None,
    })
}

/// The part of the instance reward that a parameter is the weight of.
fn part(name: &str) -> Option<&str> {
    name.strip_suffix("_weight").filter(|part| *part != "loo_fid")
}

/// Name of the curve of a part of the reward.
pub(super) fn mean(part: &str) -> String {
    format!("rewards/{part}/mean")
}

fn middle(points: &[[f64; 2]]) -> Option<f64> {
    median(&points.iter().map(|point| point[1]).collect::<Vec<_>>())
}

/// Each value against the best before it.
pub(super) fn best(
    points: &[[f64; 2]],
    against: impl Fn(f64, f64) -> f64,
    better: impl Fn(f64, f64) -> f64,
) -> Vec<[f64; 2]> {
    let mut best = f64::NAN;
    let level = |&[update, now]: &[f64; 2]| {
        // The other of the two where one is no number.
        best = better(best, now);
        [update, against(now, best)]
    };
    points.iter().map(level).filter(|level| level[1].is_finite()).collect()
}

/// The last level at or before `update`.
pub(super) fn reached(levels: &[[f64; 2]], update: f64) -> Option<f64> {
    levels.iter().rev().find(|level| level[0] <= update).map(|level| level[1])
}
