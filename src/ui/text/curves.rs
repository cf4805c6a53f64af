//! Words of the curves pane; its charts are in [`super::charts`].

use super::humanise;

pub(in crate::ui) const HELP: &str = "Every curve runs over the updates. Drag to move and Ctrl and scroll to zoom, all \
    charts together; double-click enlarges a chart. Dotted lines mark updates at which a knob was turned.";
pub(in crate::ui) const NO_POINTS: &str = "no points yet";
pub(in crate::ui) const BASELINE: &str = "dashed: the untouched model";
pub(in crate::ui) const FIND: &str = "Find a curve";
pub(in crate::ui) const NOTHING_FOUND: &str = "No curve has this in its name or description.";
pub(in crate::ui) const SMOOTHING: &str = "Smoothing";
pub(in crate::ui) const SMOOTHING_HELP: &str = "Draws each curve as an exponential moving average over the faint raw one: \
    each point keeps this share of the average before it. 0 is off. The start is corrected for having no past. Numbers \
    beside the curves stay raw.";
pub(in crate::ui) const EVERYTHING: &str = "Show everything";
pub(in crate::ui) const EVERYTHING_HELP: &str = "All updates again, from the first to the newest, in all charts.";
pub(in crate::ui) const RANGE: &str = "Updates in sight";
pub(in crate::ui) const RANGE_HELP: &str = "Which updates all charts show. The newest ones move along with the run.";
pub(in crate::ui) const ALL_UPDATES: &str = "All updates";
pub(in crate::ui) const LOGARITHMIC: &str = "log";
pub(in crate::ui) const ONLY_POSITIVE: &str = "A logarithmic scale has no place for 0 and below, and this chart has such \
    values.";
pub(in crate::ui) const THIS_RUN: &str = "this run";
pub(in crate::ui) const FORMULA: &str = "Formula";
pub(in crate::ui) const MEASURED: &str = "How it is measured";
pub(in crate::ui) const SETTINGS: &str = "Settings that act on it";
pub(in crate::ui) const SETTINGS_HELP: &str = "Find this setting among the settings.";
pub(in crate::ui) const NO_NUMBERS: &str = "no numbers yet";
pub(in crate::ui) const OTHER_PROTOCOL: &str =
    "Its evaluations were made in another way, so those curves do not compare:";

/// Title, meaning and formula of the chart of one part of the reward.
pub(in crate::ui) fn reward_part(name: &str) -> (String, String, String) {
    let (help, formula) = match name {
        "loo_fid" => (
            "Mean over the batch of the distribution reward, as measured: what each picture does for the distance of all \
            pictures from the real ones. Above 0 where the batch would be further away without it."
                .into(),
            "r_i = F(all without picture i) − F(all)".into(),
        ),
        _ => (
            format!(
                "Mean over the batch of the reward part `{name}`, as measured, before its weight and before it is \
                normalised. Parts without a weight are measured too: they show what the others do to them."
            ),
            format!("mean over the pictures of r_{name}"),
        ),
    };
    (format!("Reward: {}", humanise(name)), help, formula)
}

/// A metric's name on a chart that holds several.
pub(in crate::ui) fn label(name: &str) -> String {
    match name {
        "old_logp" | "time/old_logp" | "tokens_per_second/old_logp" => "Old log-prob".into(),
        "step_time" => "Whole".into(),
        "entropy_norm" => "Entropy".into(),
        "entropy_target" => "Target".into(),
        "ratio" => "Last step".into(),
        "ratio/first" => "First step".into(),
        "samples_skipped" => "Samples".into(),
        "updates_skipped" => "Inner steps".into(),
        "loss" => "Loss".into(),
        _ => humanise(name.rsplit('/').next().unwrap_or(name)),
    }
}

/// A switch to a logarithmic scale.
pub(in crate::ui) fn logarithmic(title: &str) -> String {
    format!("Logarithmic scale: {title}")
}

pub(in crate::ui) fn enlarge(title: &str) -> String {
    format!("Enlarge {title}")
}

pub(in crate::ui) fn shrink(title: &str) -> String {
    format!("Put {title} back in its place")
}

pub(in crate::ui) fn meaning(title: &str) -> String {
    format!("What {title} means")
}

pub(in crate::ui) fn explain(help: &str) -> String {
    format!("{help}\n\nClick for the formula, with the newest numbers in it.")
}

/// Heading of a formula with numbers in it.
pub(in crate::ui) fn with_numbers(update: u64) -> String {
    format!("With the numbers of update {update}")
}

pub(in crate::ui) fn newest(count: u64) -> String {
    format!("Newest {count}")
}

pub(in crate::ui) fn updates(from: f64, to: f64) -> String {
    format!("{:.0} to {:.0}", from.ceil().max(0.0), to.floor().max(0.0))
}

pub(in crate::ui) fn update(update: f64) -> String {
    format!("Update {update:.0}")
}

/// A value that stands at another update than the one asked for.
pub(in crate::ui) fn elsewhere(value: &str, update: f64) -> String {
    format!("{value}  (update {update:.0})")
}

pub(in crate::ui) fn turned(what: &str) -> String {
    format!("Turned: {what}")
}

pub(in crate::ui) fn more_turned(count: usize) -> String {
    format!("and {count} more")
}

pub(in crate::ui) fn remove(name: &str) -> String {
    format!("Remove the curves of {name}")
}

/// What a run drawn for comparison is.
pub(in crate::ui) fn other_run(name: &str, updates: u64) -> String {
    format!("{name}: another run, of {updates} updates, drawn thinner")
}
