//! The words of the diagnosis: what happened, why, and what helps.

use super::{capitalise, humanise, number};
use crate::session::diagnosis::{Kind, Remedy, Severity};

pub(in crate::ui) const TITLE_HELP: &str = "Every check below looks at the curves after each update, by medians over several \
    of them. What is wrong is said here, with what speaks for it and which knob helps.";
pub(in crate::ui) const NOTHING: &str = "Nothing measured yet";
pub(in crate::ui) const NOTHING_HELP: &str =
    "After the first updates this pane says whether the run goes well, and if not, why and which knob helps.";
pub(in crate::ui) const EARLY: &str = "Nothing wrong so far";
pub(in crate::ui) const EARLY_HELP: &str =
    "It is early: most checks compare the present with the first updates and need a dozen, the reward's rise forty.";
pub(in crate::ui) const WELL: &str = "All is well";
pub(in crate::ui) const WELL_HELP: &str = "No check found anything. These are the checks, their levels now and where each \
    would speak up.";
pub(in crate::ui) const WATCHED: &str = "What is watched";
pub(in crate::ui) const HELPS: &str = "What helps";
pub(in crate::ui) const TOO_EARLY: &str = "too early to say";
pub(in crate::ui) const MARK_WELL: &str = "within its limit";
pub(in crate::ui) const MARK_FOUND: &str = "beyond its limit";

/// What a kind of finding means.
pub(in crate::ui) struct Words {
    /// What happened, as a headline.
    pub(in crate::ui) what: &'static str,
    pub(in crate::ui) why: &'static str,
    pub(in crate::ui) helps: &'static str,
}

/// The words for a kind of finding.
pub(in crate::ui) fn words(kind: Kind) -> Words {
    let (what, why, helps) = match kind {
        Kind::RatioNotOne => (
            "The ratio is not 1 before the first step",
            "Nothing has been learnt yet when it is taken, so old and new policy are the same and every ratio must be \
             1. Here they differ: gradients point in wrong directions.",
            "Label dropout in updates does this by design: switch it off. If it is off already, the device computes \
             wrongly: try another one.",
        ),
        Kind::NotFinite => (
            "Updates or samples were left out",
            "A loss, a gradient or a score was not a finite number. It was kept out of the weights, but what is left \
             out teaches nothing, and it tends to come again.",
            "Smaller steps and a shorter gradient. If it goes on, go back to a checkpoint from before.",
        ),
        Kind::KlExploding => (
            "The model has moved far from its pretrained self",
            "Each token is now drawn from a quite different distribution. Scores mean little there, because the \
             networks that give them know pictures like the first ones.",
            "Smaller steps, or a stronger tie to the pretrained model (beta). What is lost comes back only by a \
             rewind.",
        ),
        Kind::Collapse => (
            "Pictures become alike",
            "The model has found a few pictures that are paid well and writes them again and again. Nothing pays it for \
             variety, or too little.",
            "Pay for the distribution, and let the entropy be steered; smaller steps slow the collapse down. Variety \
             that is lost comes back only by a rewind.",
        ),
        Kind::Hacking => (
            "The reward rises, the pictures get worse",
            "The model has learnt what the scorer likes and not what was meant: figures that nothing is paid for have \
             got worse while a paid one rose.",
            "Pay for the distribution as well, tie the model closer to its pretrained self (beta), or stop earlier: \
             rewind to where both were well.",
        ),
        Kind::RewardFalls => (
            "The reward falls",
            "It was higher before, by more than its noise. Mostly the steps are too large: they overshoot, and samples \
             of a spoilt model teach it little.",
            "Smaller steps, fewer inner steps on the same samples; and a rewind to the best.",
        ),
        Kind::DeadGroups => (
            "Samples of a group are paid the same",
            "A sample is compared with the others of its prompt only. Where all are alike, all advantages are zero, and \
             the group teaches nothing.",
            "Let the samples differ: a temperature of 1, no limit on the tokens drawn from, moderate guidance.",
        ),
        Kind::Saturated => (
            "There is little reward left to gain",
            "The reward is near its ceiling, or samples of a group hardly differ in it any more. Advantages then \
             amplify small differences that mean nothing.",
            "Stop here, or pay for something else as well: the match with the prompt, preference, the distribution.",
        ),
        Kind::TugOfWar => (
            "Two rewards pull against each other",
            "One paid part of the reward has risen while another has fallen, both by more than their noise. The sum \
             hides it.",
            "Raise the weight of the part that falls, or lower that of the one that rises; or accept the trade.",
        ),
        Kind::EntropyBelow => (
            "The model has become too sure",
            "It puts its probability on few tokens. Samples then differ little, and there is less and less to choose \
             from.",
            "Let the entropy be steered towards its target, with a larger bonus.",
        ),
        Kind::EntropyAbove => (
            "The model has become undecided",
            "It spreads its probability over many tokens, and pictures turn to noise. The entropy bonus is too strong, \
             or steps are too large.",
            "A smaller entropy bonus, steered towards its target; smaller steps if that is not it.",
        ),
        Kind::Clipped => (
            "Ratios leave the clipping range",
            "In one update the policy moves so far that many samples no longer count, and those that do are weighted by \
             large ratios.",
            "Smaller steps, or fewer inner steps on each batch.",
        ),
        Kind::GradientPeaks => (
            "A gradient was many times longer than usual",
            "Single batches, or single samples in them, shake the model. Cutting long gradients keeps the damage small.",
            "Cut gradients at one and a half times their usual length, or take smaller steps.",
        ),
        Kind::GradientCut => (
            "Every gradient is cut to a small part",
            "Their usual length is several times what they are cut to. AdamW does not mind that much, but quiet and loud \
             batches now count alike.",
            "Cut nearer to the usual length.",
        ),
        Kind::StepsTooSmall => (
            "The model has hardly moved",
            "After many updates its tokens are drawn as at the start: steps are too small, or the tie to the pretrained \
             model is too strong, to see anything.",
            "A larger learning rate. Watch the KL divergence: it should rise slowly.",
        ),
        Kind::NoProgress => (
            "The reward does not rise",
            "Its slope over all updates is no larger than its noise would make it. The model moves, but not towards \
             more reward.",
            "More prompts an update make the reward's noise smaller; a larger rate makes the signal larger; the \
             distribution reward may weigh too much.",
        ),
    };
    Words { what, why, helps }
}

/// How much a finding matters, in a word.
pub(in crate::ui) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "Notice",
        Severity::Warning => "Warning",
        Severity::Serious => "Serious",
    }
}

pub(in crate::ui) fn since(level: Severity, update: u64) -> String {
    format!("{}  ·  since update {update}", severity(level))
}

/// The heading over the findings.
pub(in crate::ui) fn found(count: usize) -> String {
    if count == 1 { "One finding".into() } else { format!("{count} findings") }
}

/// The title of a scalar.
pub(in crate::ui) fn metric(name: &str) -> String {
    let part = name.strip_prefix("rewards/").and_then(|rest| rest.strip_suffix("/mean"));
    match (name, part) {
        (_, Some(part)) => format!("Reward: {}", humanise(part)),
        ("reward_std", _) => "Reward spread in a group".into(),
        ("diversity", _) => "Diversity of a batch".into(),
        ("entropy_norm", _) => "Entropy".into(),
        ("entropy_target", _) => "Entropy wanted".into(),
        ("entropy_coef", _) => "Entropy bonus".into(),
        ("kl", _) => "KL to the reference".into(),
        ("ratio/max_deviation/first", _) => "First ratio, off 1 by".into(),
        ("clip_ratio/low", _) => "Share clipped below".into(),
        ("clip_ratio/high", _) => "Share clipped above".into(),
        ("frac_reward_zero_std", _) => "Groups without a spread".into(),
        ("frechet/rewarded", _) => "Rewarded distance".into(),
        ("eval/fd", _) => "Held-out distance".into(),
        ("eval/vendi", _) => "Effective pictures".into(),
        _ => humanise(name.strip_prefix("eval/").unwrap_or(name)),
    }
}

/// How a level is written.
#[derive(Clone, Copy)]
enum Unit {
    Share,
    Times,
    Plain(&'static str),
}

/// What a check is called, what its level is, and how that is written.
fn check(kind: Kind, metric: &str) -> (&'static str, &'static str, Unit) {
    match (kind, metric) {
        (Kind::RatioNotOne, _) => (
            "First ratio off 1",
            "The largest distance of any sample's ratio from 1 before the first inner step.",
            Unit::Plain(""),
        ),
        (Kind::NotFinite, "samples_skipped") => {
            ("Samples left out", "Share of the samples of the last ten updates without a finite score.", Unit::Share)
        }
        (Kind::NotFinite, _) => {
            ("Updates left out", "Share of the last ten updates with a gradient that was not finite.", Unit::Share)
        }
        (Kind::KlExploding, _) => (
            "Distance moved",
            "Divergence from the pretrained model in nats per token, from the KL curve.",
            Unit::Plain(" nats"),
        ),
        (Kind::Collapse, "diversity") => {
            ("Diversity lost", "Share of the first updates' batch diversity that is lost.", Unit::Share)
        }
        (Kind::Collapse, _) => (
            "Effective pictures lost",
            "Share of the best evaluation's effective number of pictures (Vendi score) that is lost.",
            Unit::Share,
        ),
        (Kind::Hacking, "eval/fd") => (
            "Held-out distance up",
            "Rise of the Fréchet distance over the best evaluation; counted only while something paid has risen.",
            Unit::Share,
        ),
        (Kind::Hacking, "eval/class_accuracy") => (
            "Class accuracy down",
            "Share of pictures lost to other classes since the best evaluation; counted only while something paid has \
             risen.",
            Unit::Share,
        ),
        (Kind::Hacking, "frechet/rewarded") => (
            "Unpaid distance up",
            "Rise over its best of the distance in the distribution reward's features, which is not paid for here; \
             counted only while something paid has risen.",
            Unit::Share,
        ),
        (Kind::Hacking, _) => (
            "Unpaid score down",
            "Share of a score's start that is lost while it is not paid; counted only while something paid has risen.",
            Unit::Share,
        ),
        (Kind::RewardFalls, _) => (
            "Reward below its best",
            "Distance of the reward from its best so far, in standard deviations of its noise.",
            Unit::Plain(" sd"),
        ),
        (Kind::DeadGroups, _) => {
            ("Groups without a spread", "Share of groups whose samples are all paid the same.", Unit::Share)
        }
        (Kind::Saturated, "reward_std") => (
            "Reward spread lost",
            "Share of the first updates' spread of the reward inside groups that is lost.",
            Unit::Share,
        ),
        (Kind::Saturated, _) => (
            "Nearness to the ceiling",
            "The lowest of the paid parts of the reward, as a share of the highest that a score from 0 to 1 can be.",
            Unit::Share,
        ),
        (Kind::TugOfWar, _) => (
            "Rewards against each other",
            "One paid part has risen and another has fallen by at least this many standard deviations of their noise.",
            Unit::Plain(" sd"),
        ),
        (Kind::EntropyBelow, _) => (
            "Entropy below its target",
            "How far the entropy is below its target, both as shares of the largest possible.",
            Unit::Plain(""),
        ),
        (Kind::EntropyAbove, _) => (
            "Entropy above its target",
            "How far the entropy is above its target, both as shares of the largest possible.",
            Unit::Plain(""),
        ),
        (Kind::Clipped, "ratio") => {
            ("Mean ratio off 1", "Distance of the last inner step's mean ratio from 1.", Unit::Plain(""))
        }
        (Kind::Clipped, _) => {
            ("Ratios clipped", "Share of ratios outside the clipping range in the last inner step.", Unit::Share)
        }
        (Kind::GradientPeaks, _) => (
            "Largest gradient",
            "The longest of the last ten gradients, as a multiple of the median of the last forty.",
            Unit::Times,
        ),
        (Kind::GradientCut, _) => {
            ("Usual gradient", "The usual length of the gradient, as a multiple of what it is cut to.", Unit::Times)
        }
        (Kind::StepsTooSmall, _) => (
            "Moved at all",
            "Divergence from the pretrained model in nats per token, once there are 25 updates.",
            Unit::Plain(" nats"),
        ),
        (Kind::NoProgress, _) => (
            "Rise of the reward",
            "Rise of a robust straight line through the reward, in standard errors, once there are 40 updates.",
            Unit::Plain(" se"),
        ),
    }
}

/// The name of a check and what its level is.
pub(in crate::ui) fn watched(kind: Kind, metric_name: &str) -> (String, &'static str) {
    let (name, help, _) = check(kind, metric_name);
    match kind {
        // One check for each such score: which one, the title of its curve says.
        Kind::Hacking if metric_name.starts_with("rewards/") => (format!("{name}: {}", metric(metric_name)), help),
        _ => (name.into(), help),
    }
}

/// A level, and its limit.
pub(in crate::ui) fn level(kind: Kind, metric: &str, level: Option<f64>, limit: f64, below: bool) -> [String; 2] {
    let unit = check(kind, metric).2;
    let write = |value: f64| match unit {
        Unit::Share => format!("{} %", two_digits(100.0 * value)),
        Unit::Times => format!("{}×", two_digits(value)),
        Unit::Plain(unit) => format!("{}{unit}", two_digits(value)),
    };
    let bound = if below { "at least" } else { "limit" };
    // A level is a distance: below nothing it is nothing.
    let now = level.map_or_else(|| "–".into(), |level| write(if below { level } else { level.max(0.0) }));
    [now, format!("{bound} {}", write(limit))]
}

fn two_digits(value: f64) -> String {
    number(format!("{value:.1e}").parse().unwrap_or(value))
}

/// A remedy as a command: `set Learning rate to 2.5e-5`.
fn command(remedy: &Remedy) -> String {
    let name = humanise(remedy.param);
    match remedy.value.as_str() {
        "true" => format!("switch {name} on"),
        "false" => format!("switch {name} off"),
        value => format!("set {name} to {value}"),
    }
}

/// What the button of a remedy says.
pub(in crate::ui) fn set(remedy: &Remedy) -> String {
    capitalise(&command(remedy))
}

/// What the value of a remedy's parameter is now.
pub(in crate::ui) fn now(value: &str) -> String {
    format!("Now: {value}. Nothing is reset; it counts from the next piece of work on.")
}

/// A knob that was turned so recently that its effect is not to be seen yet.
pub(in crate::ui) fn wait(param: &str, update: u64) -> String {
    format!("{} was turned at update {update}: give it a few updates.", humanise(param))
}

pub(in crate::ui) fn rewind(update: u64) -> String {
    if update == 0 { "Rewind to the untouched model".into() } else { format!("Rewind to update {update}") }
}

pub(in crate::ui) fn rewind_and(update: u64, remedy: &Remedy) -> String {
    format!("{}, then {}", rewind(update), command(remedy))
}

pub(in crate::ui) const REWIND_HELP: &str = "Go back to the model and the settings as they were then, the last time that \
    this was clearly well. With the same settings the same happens again, so a knob should be turned as well.";

/// What a sparkline shows, for those who cannot see it and in its tooltip.
pub(in crate::ui) fn spark(name: &str, then: f64, now: f64) -> String {
    format!("{name}: {} at first, {} now", number(then), number(now))
}

pub(in crate::ui) fn change(then: f64, now: f64) -> String {
    format!("{} → {}", figure(then), figure(now))
}

/// A figure with three digits, or two where there is an exponent as well: what is compared at a glance needs no more.
fn figure(value: f64) -> String {
    if (1e-3..1e6).contains(&value.abs()) {
        number(format!("{value:.2e}").parse().unwrap_or(value))
    } else {
        two_digits(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::*;

    const KINDS: [Kind; 16] = [
        RatioNotOne,
        NotFinite,
        KlExploding,
        Collapse,
        Hacking,
        RewardFalls,
        DeadGroups,
        Saturated,
        TugOfWar,
        EntropyBelow,
        EntropyAbove,
        Clipped,
        GradientPeaks,
        GradientCut,
        StepsTooSmall,
        NoProgress,
    ];

    #[test]
    fn every_kind_is_said_in_few_words() {
        for kind in KINDS {
            let Words { what, why, helps } = words(kind);
            for text in [what, why, helps] {
                assert!((2..=40).contains(&text.split_whitespace().count()), "{kind:?}: {text}");
                assert!(!text.contains('!') && !text.contains("  "), "{kind:?}: {text}");
            }
        }
    }

    #[test]
    fn levels_are_written_in_their_units() {
        assert_eq!(level(Collapse, "diversity", Some(0.0312), 0.07, false), ["3.1 %", "limit 7 %"]);
        assert_eq!(level(GradientPeaks, "grad_norm", None, 5.0, false), ["–", "limit 5×"]);
        assert_eq!(level(NoProgress, "reward", Some(-2.0), 1.0, true), ["-2 se", "at least 1 se"]);
    }

    #[test]
    fn buttons_say_what_they_do() {
        let remedy = |param, value: &str| Remedy { param, value: value.into() };
        assert_eq!(set(&remedy("learning_rate", "2.5e-5")), "Set Learning rate to 2.5e-5");
        assert_eq!(set(&remedy("adaptive_entropy", "true")), "Switch Adaptive entropy on");
        assert_eq!(rewind_and(7, &remedy("beta", "6")), "Rewind to update 7, then set Beta to 6");
        assert_eq!(rewind(0), "Rewind to the untouched model");
    }
}
