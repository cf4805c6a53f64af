//! What a run's curves say about it: what happened, since when, how sure that is, and which knob helps.
//!
//! [`diagnose`] is a pure function of what was measured: the same history gives the same findings, live or replayed. It
//! is built of checks (see [`watch`] for the list with its current figures), each of which turns some curve into a
//! level that is compared with a limit. Levels are medians over several updates, limits have reasons beside them, and a
//! finding that has begun ends only once its level is clearly back inside: nothing flickers.

mod checks;
mod remedies;
mod robust;
mod seen;

use serde::Serialize;

use super::History;
use crate::config::RunConfig;
use seen::{Check, Seen};

/// What can go wrong; in the order in which equally serious findings are shown, causes before effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Kind {
    /// Before the first inner step the policy is what wrote the samples, and yet the ratio is not 1.
    RatioNotOne,
    /// Updates or samples were left out because a number was not finite.
    NotFinite,
    /// The policy is far from the pretrained model.
    KlExploding,
    /// Pictures become alike.
    Collapse,
    /// What is paid rises while what is only measured gets worse.
    Hacking,
    /// The reward fell back from its best.
    RewardFalls,
    /// All samples of most groups are paid the same: nothing can be learnt from them.
    DeadGroups,
    /// The reward is at its ceiling, or its differences have shrunk.
    Saturated,
    /// One paid part of the reward rises at the cost of another.
    TugOfWar,
    /// The model is much surer of its tokens than its target says.
    EntropyBelow,
    /// The model is much less sure of its tokens than its target says.
    EntropyAbove,
    /// Ratios leave the clipping range.
    Clipped,
    /// Some gradients are many times longer than usual.
    GradientPeaks,
    /// Every gradient is cut to a small part of its length.
    GradientCut,
    /// The policy has hardly moved.
    StepsTooSmall,
    /// The reward does not rise beyond its noise.
    NoProgress,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Severity {
    /// Worth knowing; nothing is lost by going on.
    Notice,
    /// Going on as it is will probably spoil the run.
    Warning,
    /// The run is being spoilt, or its figures mean nothing.
    Serious,
}

/// One figure of a finding's evidence: a robust mean at the start of the run, and now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// Name of the scalar in the history.
    pub metric: String,
    /// Median of its first values (of an evaluation: the first value).
    pub then: f64,
    /// Median of its newest values (of an evaluation: the newest value).
    pub now: f64,
}

/// A knob that helps, and what to turn it to: permitted by [`RunConfig::set`] and live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// Name in `PARAMS`.
    pub param: &'static str,
    /// The value to set, computed from the present one, as it would stand in a file.
    pub value: String,
}

/// Something that is wrong with the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// How much it matters.
    pub severity: Severity,
    /// Update at which it began.
    pub since: u64,
    /// What speaks for it, the deciding figures first.
    pub evidence: Vec<Evidence>,
    /// What helps, the best first.
    pub remedies: Vec<Remedy>,
    /// The last update at which this was clearly well, for findings whose damage stays in the weights; 0 is the
    /// untouched model.
    pub rewind_to: Option<u64>,
}

/// The state of one check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Watch {
    /// What it looks for.
    pub kind: Kind,
    /// The scalar it looks at.
    pub metric: String,
    /// Its level now; `None` while there is too little to go by.
    pub level: Option<f64>,
    /// Where the level becomes a finding.
    pub limit: f64,
    /// Whether levels below the limit are the bad ones.
    pub below: bool,
}

/// Everything that is wrong with the run, the most serious first; empty where all is well or nothing is known yet.
///
/// Costs about a millisecond, up to some ten in a run of 100,000 updates: call it once for each event, not for each
/// frame.
pub fn diagnose(history: &History, config: &RunConfig) -> Vec<Finding> {
    let seen = Seen::new(history, config);
    let mut findings: Vec<Finding> = Vec::new();
    for check in seen.checks() {
        let Some(found) = finding(&seen, &check) else { continue };
        match findings.iter_mut().find(|other| other.kind == found.kind) {
            Some(other) => {
                other.severity = other.severity.max(found.severity);
                other.since = other.since.min(found.since);
                // The finer curve knows better where it was still well.
                let first = other.since.saturating_sub(1);
                other.rewind_to = other.rewind_to.max(found.rewind_to).map(|update| update.min(first));
                let new = found.evidence.into_iter().filter(|e| !other.evidence.iter().any(|o| o.metric == e.metric));
                let new: Vec<Evidence> = new.collect();
                other.evidence.extend(new);
            }
            None => findings.push(found),
        }
    }
    let present: Vec<Kind> = findings.iter().map(|found| found.kind).collect();
    findings.retain(|found| !explained(found.kind).iter().any(|cause| present.contains(cause)));
    findings.sort_by_key(|found| (std::cmp::Reverse(found.severity), found.kind));
    findings
}

/// The checks that apply to this run, with their figures now.
pub fn watch(history: &History, config: &RunConfig) -> Vec<Watch> {
    let state = |check: Check| Watch {
        level: check.levels.last().map(|level| level[1]),
        kind: check.kind,
        metric: check.metric,
        limit: check.limit,
        below: check.below,
    };
    Seen::new(history, config).checks().into_iter().map(state).collect()
}

/// Kinds that explain another so fully that the other would only distract.
fn explained(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::Saturated => &[Kind::DeadGroups],
        Kind::NoProgress => &[Kind::DeadGroups, Kind::Saturated, Kind::StepsTooSmall, Kind::RewardFalls],
        _ => &[],
    }
}

fn finding(seen: &Seen<'_>, check: &Check) -> Option<Finding> {
    let latched = |limit| robust::latch(&check.levels, limit, check.release, check.below);
    let began = latched(check.limit)?;
    let serious = check.serious.is_some_and(|limit| latched(limit).is_some());
    let severity = if serious { Severity::Serious } else { check.mildest };
    let since = check.since.unwrap_or(began);
    let before = check.levels.iter().take_while(|level| (level[0] as u64) < since);
    let well = before.filter(|level| level[1] < check.limit * checks::CLEARLY_WELL).last();
    Some(Finding {
        kind: check.kind,
        severity,
        since,
        evidence: seen.evidence(check),
        remedies: remedies::remedies(check.kind, seen),
        rewind_to: stays(check.kind).then(|| well.map_or(0, |level| level[0] as u64)),
    })
}

/// Whether the damage is in the weights, so that turning a knob alone does not undo it.
fn stays(kind: Kind) -> bool {
    use Kind::{Collapse, EntropyAbove, EntropyBelow, Hacking, KlExploding, RewardFalls};
    matches!(kind, Collapse | EntropyAbove | EntropyBelow | Hacking | KlExploding | RewardFalls)
}

#[cfg(test)]
mod tests;
