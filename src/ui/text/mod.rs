//! Every word that the window shows, and how it writes numbers.

pub(super) mod diagnosis;

use crate::session::{Phase, Span, State};

pub(super) const NAME: &str = "Artune";
pub(super) const TITLE: &str = "Artune: tune an image model, live";
pub(super) const TAGLINE: &str = "An image model writes pictures token by token. Artune scores them and tunes the model \
    with policy gradients, here, while you watch.";

pub(super) const NO_DISPLAY: &str = "Artune tunes autoregressive image models with reinforcement learning, live. Without \
    arguments it opens a window, and this machine has no display for one (neither DISPLAY nor WAYLAND_DISPLAY is \
    set).\n\nThe same work runs without a window:\n    artune tune --preset full\n    artune --help";
pub(super) const NO_WINDOW: &str = "Artune tunes autoregressive image models with reinforcement learning, live. Without \
    arguments it opens a window, and the system did not give it one.\n\nThe same work runs without a window:\n    \
    artune tune --preset full\n    artune --help";

pub(super) const RUN: &str = "Run";
pub(super) const RUN_HELP: &str = "Update after update until you pause. Key: Space.";
pub(super) const PAUSE: &str = "Pause";
pub(super) const PAUSE_HELP: &str = "Stop before the next piece of work. Nothing is lost. Key: Space.";
pub(super) const PAUSING: &str = "Pausing…";
pub(super) const PAUSING_HELP: &str = "The engine stops when the piece of work at hand is done.";
pub(super) const STEP: &str = "Step";
pub(super) const STEP_HELP: &str = "Go on by the amount chosen to the right, then pause. Key: right arrow.";
pub(super) const SPAN: &str = "Step size";
pub(super) const RESET: &str = "Reset";
pub(super) const RESET_HELP: &str = "Throw this tuning away and begin again from the pretrained weights. Key: R.";
pub(super) const RESET_TITLE: &str = "Begin again?";
pub(super) const RESET_NOW: &str = "Reset the model";
pub(super) const KEEP: &str = "Keep this tuning";
pub(super) const EVALUATE: &str = "Evaluate";
pub(super) const EVALUATE_HELP: &str = "Measure the held-out distance, diversity and the rest now, on the same seeds as \
    always. Key: E.";
pub(super) const EVALUATING: &str = "Evaluating…";
pub(super) const SAVE: &str = "Save";
pub(super) const SAVE_HELP: &str = "Write a checkpoint into the run folder now. Closing the window saves too. Key: S.";
pub(super) const PRESETS: &str = "Presets";
pub(super) const PRESETS_HELP: &str = "Settings that belong together. Choosing one turns the knobs and resets nothing.";
pub(super) const THEME: &str = "Switch between light and dark";
pub(super) const NOT_READY: &str = "The engine is still starting.";
pub(super) const FINISHED: &str = "All updates are done: raise Updates, in the settings under Run, to go on.";
pub(super) const NO_ENGINE: &str = "The engine has stopped; what went wrong stands above.";

pub(super) const GALLERY: &str = "Newest pictures";
pub(super) const GALLERY_HELP: &str = "One row per prompt. The samples of a row are compared with each other only: a sample \
    better than its row's mean has a positive advantage and becomes likelier, the others less likely.";
pub(super) const GALLERY_LOADING: &str = "Opening the device and reading the weights…";
pub(super) const GALLERY_RESETTING: &str = "Going back to the pretrained model…";
pub(super) const GALLERY_EMPTY: &str = "No pictures yet";
pub(super) const GALLERY_EMPTY_HELP: &str = "Press Run, or the space bar, and watch the model write.";
pub(super) const ADVANTAGE: &str = "Frames";
pub(super) const LEGEND_LESS: &str = "less likely";
pub(super) const LEGEND_MORE: &str = "likelier";
pub(super) const LEGEND_HELP: &str = "A frame shows the advantage of its picture: how far its reward lies above (blue) or \
    below (orange) the mean of its row, in standard deviations. Both adds the distribution advantage, times Lambda fid, to the instance advantage, as the loss does. Grey: not scored yet.";
pub(super) const INSTANCE: &str = "Instance advantage";
pub(super) const DISTRIBUTION: &str = "Distribution advantage";
pub(super) const NOT_SCORED: &str = "Not scored yet.";

pub(super) const SETTINGS: &str = "Settings";
pub(super) const FIND: &str = "Find a setting";
pub(super) const NOTHING_FOUND: &str = "No setting has this in its name or description.";
pub(super) const FIXED: &str =
    "Fixed when the run starts, because the networks, the data or the run folder depend on it.";

pub(super) const CURVES: &str = "Curves";
pub(super) const CURVES_HELP: &str = "Every curve runs over the updates. Drag to move, Ctrl and scroll to zoom, all together; \
    double-click shows everything again. Dotted lines mark updates at which a knob was turned.";
pub(super) const NO_POINTS: &str = "no points yet";
pub(super) const BASELINE: &str = "untouched model";

pub(super) const LOG: &str = "Log";
pub(super) const FAILED: &str = "The run stopped";
pub(super) const AGAIN: &str = "Start again";
pub(super) const AGAIN_HELP: &str = "Start another engine with the settings as they are now: from the last checkpoint of \
    this run, or from the beginning where there is none.";
pub(super) const ADVICE: &str = "What to do:";
pub(super) const COPY: &str = "Copy the message";

/// What a chart shows: its title, what it means and how it is measured.
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) help: &'static str,
    /// Metrics on it: exact names, or beginnings that end in `*`.
    pub(super) metrics: &'static [&'static str],
    /// Shown even while it has no points.
    pub(super) always: bool,
}

/// The charts in the order in which they are shown. The parts of the reward follow the first one.
pub(super) const CHARTS: &[Chart] = &[
    Chart {
        title: "Reward",
        help: "Mean over the batch of the weighted sum of all instance rewards, before it is normalised inside each \
            prompt's group.",
        metrics: &["reward"],
        always: true,
    },
    Chart {
        title: "Held-out distance",
        help: "Fréchet distance between features of generated and of real pictures (those that the prior learnt from, \
            gently augmented); lower is better. No reward uses this feature network.",
        metrics: &["eval/fd"],
        always: true,
    },
    Chart {
        title: "Diversity",
        help: "How different the pictures of one batch are: mean cosine distance between their features. It falls \
            when the model collapses onto a few pictures.",
        metrics: &["diversity"],
        always: true,
    },
    Chart {
        title: "Entropy",
        help: "How undecided the model is about the next token, as a share of the largest possible entropy, over all \
            positions. The adaptive controller holds it near its target, that of the pretrained model.",
        metrics: &["entropy_norm", "entropy_target"],
        always: true,
    },
    Chart {
        title: "KL to the reference",
        help: "How far the policy has moved from the pretrained model, by the k3 estimate on the tokens written.",
        metrics: &["kl"],
        always: true,
    },
    Chart {
        title: "Ratio",
        help: "Probability of the written tokens under the policy now, over that before the update: in the last inner \
            step, and before the first, where it must be 1.",
        metrics: &["ratio", "ratio/first"],
        always: true,
    },
    Chart {
        title: "First ratio, off 1 by",
        help: "Before the first inner step nothing has changed, so every ratio must be 1: this is the largest distance \
            from it over all samples. More than rounding means that the loss is wrong.",
        metrics: &["ratio/max_deviation/first"],
        always: false,
    },
    Chart {
        title: "Share clipped",
        help: "Share of ratios that left the clipping range in the last inner step, below and above.",
        metrics: &["clip_ratio/*"],
        always: true,
    },
    Chart {
        title: "Gradient norm",
        help: "Length of the whole gradient before it is clipped, mean over the inner steps. Sudden peaks call for a \
            smaller learning rate.",
        metrics: &["grad_norm"],
        always: true,
    },
    Chart {
        title: "Entropy bonus",
        help: "Weight of the entropy bonus in the loss, as the adaptive controller sets it.",
        metrics: &["entropy_coef"],
        always: false,
    },
    Chart {
        title: "Rewarded distance",
        help: "Fréchet distance in the features that the distribution reward sees, over the running moments of what \
            was generated. Compare with the held-out distance, which nothing is paid for.",
        metrics: &["frechet/*"],
        always: false,
    },
    Chart {
        title: "Held-out diversity",
        help: "Mean cosine distance between pictures of the same class, in the features of the held-out network.",
        metrics: &["eval/diversity"],
        always: false,
    },
    Chart {
        title: "Class accuracy",
        help: "Share of generated pictures that a classifier which nothing is rewarded by takes for their class.",
        metrics: &["eval/class_accuracy"],
        always: false,
    },
    Chart {
        title: "Precision and recall",
        help: "Precision: share of generated pictures that look real. Recall: share of real pictures that the model \
            can make. Both by nearest neighbours among held-out features.",
        metrics: &["eval/precision", "eval/recall"],
        always: false,
    },
    Chart {
        title: "Density and coverage",
        help: "Steadier forms of precision and recall: how closely real pictures surround the generated ones, and how \
            many real pictures have a generated one near.",
        metrics: &["eval/density", "eval/coverage"],
        always: false,
    },
    Chart {
        title: "Kernel distance",
        help: "Kernel distance on the held-out features; lower is better. It is unbiased in the number of samples.",
        metrics: &["eval/kid"],
        always: false,
    },
    Chart {
        title: "Effective number of pictures",
        help: "Vendi score on the held-out features: how many clearly different pictures an evaluation holds.",
        metrics: &["eval/vendi"],
        always: false,
    },
];

/// Title and meaning of the chart of one part of the reward.
pub(super) fn reward_part(name: &str) -> (String, String) {
    let help = format!(
        "Mean over the batch of the reward part `{name}`, as measured, before its weight and before it is normalised."
    );
    (format!("Reward: {}", humanise(name)), help)
}

/// `learning_rate` as a reader would write it: `Learning rate`.
pub(super) fn humanise(name: &str) -> String {
    let words = name.replace(['_', '-', '/', '.'], " ");
    let words: Vec<String> = words
        .split_whitespace()
        .enumerate()
        .map(|(i, word)| match word {
            "kl" | "cfg" | "fid" | "loo" | "ema" | "kid" | "fd" => word.to_uppercase(),
            "clip" if i == 0 => "CLIP".into(),
            _ if i == 0 => capitalise(word),
            _ => word.to_string(),
        })
        .collect();
    words.join(" ")
}

fn capitalise(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A number with four significant digits and no needless noughts.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".into()
    } else if !(1e-3..1e6).contains(&size) {
        let text = format!("{value:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        format!("{}e{exponent}", trim(digits))
    } else {
        let decimals = (3 - size.log10().floor() as i32).max(0) as usize;
        trim(&format!("{value:.decimals$}")).to_string()
    }
}

/// `number` with its sign in front, as advantages are read.
pub(super) fn signed(value: f64) -> String {
    format!("{}{}", if value < 0.0 { "−" } else { "+" }, number(value.abs()))
}

fn trim(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// A duration in the unit one would say it in.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Loading => "Loading",
        State::Paused => "Paused",
        State::Running => "Running",
        State::Finished => "Finished",
        State::Ended => "Ended",
    }
}

pub(super) fn span(span: Span) -> &'static str {
    match span {
        Span::Token => "one token",
        Span::Phase => "one phase",
        Span::Update => "one update",
    }
}

/// A phase's name on screen, and what happens in it.
pub(super) fn phase(phase: Phase) -> (&'static str, &'static str) {
    match phase {
        Phase::Generate => ("Generate", "Write the tokens of every sequence and decode them to pictures."),
        Phase::Reward => ("Reward", "Score the pictures, one by one and as a set, and compare them in their groups."),
        Phase::OldLogProb => (
            "Old log-prob",
            "Log-probabilities of the tokens before the update and under the \
            pretrained reference.",
        ),
        Phase::Train => ("Train", "The inner gradient steps."),
    }
}

pub(super) fn update_of(update: u64, total: Option<u64>) -> String {
    match total {
        Some(total) => format!("Update {update} of {total}"),
        None => format!("Update {update}"),
    }
}

/// The speed, and how long the rest will take where that is known.
pub(super) fn speed(seconds: f64, left: Option<u64>) -> String {
    let pace = format!("{} per update", duration(seconds));
    match left {
        Some(left) if left > 0 => format!("{pace}  ·  about {} left", duration(seconds * left as f64)),
        _ => pace,
    }
}

pub(super) fn gallery_update(update: u64, (written, total): (usize, usize)) -> String {
    if written < total {
        format!("update {update}  ·  {written} of {total} tokens written")
    } else {
        format!("update {update}")
    }
}

pub(super) fn reset_question(update: u64) -> String {
    format!(
        "This throws {update} updates of tuning away and begins again from the pretrained weights. Checkpoints \
        already written stay."
    )
}

pub(super) fn reset_to_default(name: &str, default: &str) -> String {
    format!("Reset {name} to its default, {default}")
}

pub(super) fn value_of(name: &str) -> String {
    format!("{name}, as a number")
}

pub(super) fn permitted(kind: &str) -> String {
    format!("Takes {kind}.")
}

/// The name of a setting in files and on the command line.
pub(super) fn as_argument(name: &str, default: &str) -> String {
    format!("--set {name}=…   default {default}")
}

pub(super) fn sample(group: &str, index: usize) -> String {
    format!("Sample {} of {group}", index + 1)
}

pub(super) fn preset_left_out(preset: &str, names: &str) -> String {
    format!(
        "Preset {preset}: {names} are fixed once a run has started. For the whole preset start with `artune tune \
        --preset {preset}`."
    )
}

pub(super) fn ready(device: &str, model: &str) -> String {
    format!("Ready on {device}. {model}")
}

pub(super) fn changed(name: &str, value: &str) -> String {
    format!("{} is now {value}", humanise(name))
}

pub(super) fn saved(path: &std::path::Path) -> String {
    format!("Checkpoint written: {}", path.display())
}

pub(super) fn evaluated(update: u64, measures: &str) -> String {
    format!("Evaluation after update {update}: {measures}")
}

pub(super) fn invalid(name: &str, error: &str) -> String {
    format!("{} was not changed: {error}", humanise(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_significant_digits() {
        let written = [0.0, 1e-5, 0.2, 12.3456, 1234.56, 2.5e7, -0.00002].map(number);
        assert_eq!(written, ["0", "1e-5", "0.2", "12.35", "1235", "2.5e7", "-2e-5"]);
        assert_eq!(signed(-1.5), "−1.5");
    }

    #[test]
    fn names_read_as_words() {
        assert_eq!(humanise("learning_rate"), "Learning rate");
        assert_eq!(humanise("loo_fid"), "LOO FID");
    }
}
