//! Every word that the window shows, and how it writes numbers.

pub(super) mod charts;
pub(super) mod compare;
pub(super) mod curves;
#[cfg(not(target_family = "wasm"))]
pub(super) mod desktop;
pub(super) mod diagnosis;
pub(super) mod files;
pub(super) mod inspect;
pub(super) mod learn;
pub(super) mod machine;
#[cfg(target_family = "wasm")]
pub(super) mod page;
pub(super) mod space;
pub(super) mod teach;
pub(super) mod worked;

use super::desk::Place;
use crate::session::{Phase, Span, State};

pub(super) const NAME: &str = "Artune";
pub(super) const TAGLINE: &str = "An image model writes pictures token by token. Artune scores them and tunes the model \
    with policy gradients, here, while you watch.";

pub(super) const RUN: &str = "Run";
pub(super) const RUN_HELP: &str = "Update after update until you pause. Key: Space.";
pub(super) const PAUSE: &str = "Pause";
pub(super) const PAUSE_HELP: &str = "Stop before the next piece of work. Nothing is lost. Key: Space.";
pub(super) const PAUSING: &str = "Pausing…";
pub(super) const PAUSING_HELP: &str = "The engine stops when the piece of work at hand is done.";
pub(super) const STEP: &str = "Step";
pub(super) const STEP_HELP: &str = "Go on by the amount chosen to the right, then pause. Key: right arrow.";
pub(super) const SPAN: &str = "Step size";
pub(super) const SPAN_HELP: &str = "How far a step goes: to the end of the next such piece. Keys: up and down arrow.";
pub(super) const SPEED: &str = "Speed";
pub(super) const SPEED_HELP: &str = "Slow motion: wait a little after each piece of work, so that you see every token \
    being written.";
/// Speeds with the seconds that each waits after a piece of work.
pub(super) const SPEEDS: [(&str, f64); 4] = [("full speed", 0.0), ("slow", 0.1), ("slower", 0.4), ("very slow", 1.2)];
pub(super) const WILL_RUN: &str = "Runs at once when the engine has started. Press again to change your mind.";
pub(super) const BACK: &str = "Back";
pub(super) const BACK_HELP: &str =
    "Go back by one update, exactly. What came after stays in its run folder. Key: left arrow.";
pub(super) const NO_WAY_BACK: &str = "There is no earlier update that was made in this window.";
pub(super) const RECORDED_PICTURE: &str = "These pictures are recorded: press Run, then click one of your own.";
pub(super) const TIMELINE: &str = "Timeline: go back to an update";
pub(super) const TIMELINE_HELP: &str = "Drag back and let go to rewind: the model, the settings and the curves are then as \
    they were. Dots mark updates that are reached at once; others are made again from the dot before. Ticks mark turned \
    knobs. What came after stays in its run folder.";
pub(super) const VIEW: &str = "View";
pub(super) const VIEW_HELP: &str = "Panes, theme, size of the letters, keys.";
pub(super) const LAYOUT_RESET: &str = "Put all panes back";
pub(super) const LAYOUT_RESET_HELP: &str = "Every pane where it was at first.";
pub(super) const ZOOM: &str = "Size of everything";
pub(super) const KEYS: &str = "Keys";
pub(super) const KEYS_HELP: &str = "All keys. Key: F1.";
/// Every shortcut, and what it does.
pub(super) const KEY_TABLE: [(&str, &str); 12] = [
    ("Space", "Run or pause"),
    ("Right arrow", "One step"),
    ("Left arrow", "Back by one update"),
    ("Up, down arrow", "Longer or shorter steps"),
    ("E", "Evaluate now"),
    ("S", "Save a checkpoint"),
    ("R", "Reset (asks first)"),
    ("T", "Light or dark"),
    ("Ctrl + 1 … 9", "Bring a pane to the front"),
    ("Ctrl + plus, minus, 0", "Larger, smaller, as it was"),
    ("Tab, then arrows", "Move through the controls; turn the one in focus"),
    ("F1", "This list"),
];
pub(super) const CLOSE: &str = "Close";
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

pub(super) const GALLERY_HELP: &str = "One row per prompt. The samples of a row are compared with each other only: a sample \
    better than its row's mean has a positive advantage and becomes likelier, the others less likely.";
pub(super) const GALLERY_LOADING: &str = "Opening the device and reading the weights…";
/// How much of the weights has arrived.
pub(super) fn fetching(received: u64, total: u64) -> String {
    format!("Loading weights and pictures: {:.1} of {:.1} MB…", received as f64 / 1e6, total as f64 / 1e6)
}

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

pub(super) const WHAT_IF_TITLE: &str = "what if";
pub(super) const RANKED: &str = "Best first";
pub(super) const RANKED_HELP: &str = "Put the pictures of each row in the order of the advantage shown.";
pub(super) const MIX_HELP: &str = "What pictures are paid for. Move a fader while paused: the same pictures are paid \
    anew at once, and their frames change. Orange bars show how much each part decides inside the groups.";
pub(super) const MIX_REWARD: &str = "reward";
pub(super) const MIX_REWARD_HELP: &str = "The instance reward of one picture: raw scores times their weights, added.";
pub(super) const MIX_ADVANTAGE: &str = "push";
pub(super) const MIX_INSTANCE: &str = "A(reward)";
pub(super) const MIX_DISTRIBUTION: &str = "A(LOO-FID)";
pub(super) const MIX_ADVANTAGE_HELP: &str = "A is how far a picture lies above the mean of its row, in standard \
    deviations. Instance and distribution rewards are normalised apart, and Lambda fid weighs one against the other in \
    the loss.";
pub(super) const FIND: &str = "Find a setting";
pub(super) const NOTHING_FOUND: &str = "No setting has this in its name or description.";
pub(super) const FIXED: &str =
    "Fixed when the run starts, because the networks, the data or the run folder depend on it.";

pub(super) const FAILED: &str = "The run stopped";
pub(super) const AGAIN: &str = "Start again";
pub(super) const AGAIN_HELP: &str = "Start another engine with the settings as they are now: from the last checkpoint of \
    this run, or from the beginning where there is none.";
pub(super) const ADVICE: &str = "What to do:";
pub(super) const COPY: &str = "Copy the message";

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

/// A number with two digits that count, for the ends of a scale.
pub(super) fn brief(value: f64) -> String {
    let decimals = (1 - value.abs().max(1e-9).log10().floor() as i32).clamp(0, 9) as usize;
    trim(&format!("{value:.decimals$}")).to_string()
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
        Span::Image => "one picture",
        Span::Rollout => "the rollout",
        Span::Reward => "the rewards",
        Span::Advantage => "the advantages",
        Span::Update => "one update",
    }
}

/// What a step of this size does.
pub(super) fn span_help(span: Span) -> &'static str {
    match span {
        Span::Token => "Write the next token of every picture at work, or do the next smallest piece of what follows.",
        Span::Image => "Write one picture to its end. Pictures begun this way are written one after another.",
        Span::Rollout => "Write all pictures of this update.",
        Span::Reward => "Go on until every picture has its raw rewards.",
        Span::Advantage => "Go on until the rewards are mixed and each picture is measured against its row.",
        Span::Update => "Go on until the model has learnt from these pictures.",
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

/// A pane's title, and what it is for.
pub(super) fn place(place: Place) -> (&'static str, &'static str) {
    match place {
        Place::Settings => ("Settings", "Every parameter of the run; turning one resets nothing."),
        Place::Mix => ("Rewards", "What pictures are paid for, as faders."),
        Place::Learn => ("Learn", "A tour in short pages, for whoever has not seen this before."),
        Place::Rollouts => ("Pictures", "The newest pictures, one row per prompt, framed by their advantage."),
        Place::Space => ("Feature space", "The pictures among the real ones, and what each is paid for."),
        Place::Inspector => ("Inspector", "One picture, token by token."),
        Place::Compare => ("Compare", "Runs side by side, from the same seeds."),
        Place::Curves => ("Curves", "Everything measured, over the updates."),
        Place::Diagnosis => ("Diagnosis", "What is going wrong, why, and what helps."),
        Place::Machine => ("Device", "The device, its memory, and how fast the window draws."),
        Place::Log => ("Log", "What the engine said."),
    }
}

/// The shortcut of the pane at this place of the menu.
pub(super) fn place_key(index: usize) -> String {
    if index < 9 { format!("Ctrl + {}", index + 1) } else { String::new() }
}

pub(super) fn recorded(updates: u64, device: &str, settings: &str) -> String {
    let settings = if settings.is_empty() { "the default settings".into() } else { settings.replace('&', ", ") };
    format!(
        "A recorded run, to look at first: {updates} updates with {settings}, on {device}. Press Run to tune the model \
        here; every number is then your own."
    )
}

pub(super) fn let_go_to_rewind(update: u64) -> String {
    format!("Let go to rewind to update {update}")
}

pub(super) fn rewound(update: u64, folder: Option<&std::path::Path>) -> String {
    match folder {
        Some(folder) => format!("Back at update {update}. The run goes on in {}", folder.display()),
        None => format!("Back at update {update}"),
    }
}

pub(super) fn what_if(turned: usize) -> String {
    let pictures = if turned == 1 { "1 picture changes".to_string() } else { format!("{turned} pictures change") };
    format!(
        "What if: these pictures were paid by other weights. Under the present ones {pictures} sides of its row's mean."
    )
}

pub(super) fn decides(name: &str, share: f64) -> String {
    let part = humanise(name.trim_end_matches("_weight"));
    format!("{part} makes {:.0} % of the differences inside the rows shown.", share * 100.0)
}

pub(super) fn mix_mean(count: usize, update: u64) -> String {
    format!("Means over the {count} pictures shown, of update {update}.")
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
