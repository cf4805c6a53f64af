//! Words of the Compare pane.

use crate::session::compare::Better;

pub(in crate::ui) const TITLE: &str = "Compare";
pub(in crate::ui) const HELP: &str = "The run at hand beside up to three others: in what they were set differently, what \
    came of it, and what they draw from the same seeds.";
pub(in crate::ui) const ADD: &str = "Compare with…";
pub(in crate::ui) const ADD_HELP: &str = "Choose the folder of another run. A folder, or a file metrics.jsonl, may also \
    be dropped on the window while Shift is held.";
pub(in crate::ui) const EMPTY: &str = "Nothing to compare with yet";
pub(in crate::ui) const EMPTY_HELP: &str = "Choose the folder of another run, or drop one on the window while Shift is held. \
    Runs are kept in the folder `runs`, beside where the program was started.";
pub(in crate::ui) const FULL: &str = "Three runs are compared with already: remove one first.";
pub(in crate::ui) const THIS: &str = "This run";
pub(in crate::ui) const FIGURES: &str = "Figures";
pub(in crate::ui) const FIGURE: &str = "Figure";
pub(in crate::ui) const BEST: &str = "best";
pub(in crate::ui) const BEST_HELP: &str = "The best of this line.";
pub(in crate::ui) const UPDATES: &str = "Updates";
pub(in crate::ui) const UPDATES_HELP: &str = "Updates made so far.";
pub(in crate::ui) const UNKNOWN: &str = "–";
pub(in crate::ui) const UNKNOWN_HELP: &str = "Not measured in this run.";
pub(in crate::ui) const SETTINGS: &str = "Settings that differ";
pub(in crate::ui) const SETTING: &str = "Setting";
pub(in crate::ui) const SAME_SETTINGS: &str = "All settings that are known are the same.";
pub(in crate::ui) const SETTING_UNKNOWN: &str = "The settings of this run are not known: only its curves were opened.";
pub(in crate::ui) const NOT_ALIKE: &str = "The evaluations were not measured alike, so none of theirs is marked as the best. \
    How each was measured stands in its tooltip.";
pub(in crate::ui) const OTHER_WEIGHTS: &str = "The runs weight the parts of the reward differently, so their rewards are \
    different quantities and none is marked as the best.";
pub(in crate::ui) const SHEETS: &str = "Samples from the same seeds";
pub(in crate::ui) const SHEETS_HELP: &str = "Each run draws the same classes from the same seeds every `sample_every` \
    updates. The slider goes over the updates after which all of them did.";
pub(in crate::ui) const NO_SHEETS: &str = "No run has drawn a sheet of samples yet.";
pub(in crate::ui) const NO_COMMON: &str = "There is no update after which all of these runs drew samples.";
pub(in crate::ui) const OTHER_SEEDS: &str = "These runs have different seeds, classes, models or guidance, so their samples \
    do not pair up picture by picture.";
pub(in crate::ui) const SLIDER: &str = "Update of the samples";
pub(in crate::ui) const LOADING: &str = "Reading the picture…";

/// Title of a figure.
pub(in crate::ui) fn figure(name: &str, better: Better) -> String {
    let title = match name {
        "reward" => "Reward",
        "eval/fd" => "Held-out distance",
        "eval/kid" => "Kernel distance",
        "eval/diversity" => "Held-out diversity",
        "eval/vendi" => "Effective number of pictures",
        "eval/precision" => "Precision",
        "eval/recall" => "Recall",
        "eval/class_accuracy" => "Class accuracy",
        "eval/reward/clip" => "CLIP, evaluated",
        "eval/reward/preference" => "Preference, evaluated",
        other => other,
    };
    let arrow = if better == Better::Lower { "↓" } else { "↑" };
    format!("{title} {arrow}")
}

/// What a figure is and how it was measured.
pub(in crate::ui) fn figure_help(name: &str, better: Better, last: usize) -> String {
    let what = match name {
        "reward" => {
            return format!(
                "Mean over the last {last} updates of the weighted sum of all instance rewards, as far as there are so \
                 many. Higher is better, for the same weights."
            );
        }
        "eval/fd" => "Fréchet distance between held-out features of generated and of real pictures.",
        "eval/kid" => "Kernel distance on the held-out features.",
        "eval/diversity" => "Mean cosine distance between pictures of the same class, in held-out features.",
        "eval/vendi" => "Vendi score: how many clearly different pictures an evaluation holds.",
        "eval/precision" => "Share of generated pictures that look real, by nearest neighbours.",
        "eval/recall" => "Share of real pictures that the model can make, by nearest neighbours.",
        "eval/class_accuracy" => {
            "Share of generated pictures that a classifier which pays nothing takes for their class."
        }
        _ => "Mean of this part of the reward over the pictures of an evaluation, without its weight.",
    };
    let way = if better == Better::Lower { "Lower" } else { "Higher" };
    format!("{what} From the last evaluation. {way} is better.")
}

pub(in crate::ui) fn remove(name: &str) -> String {
    format!("Remove {name} from the comparison")
}

pub(in crate::ui) fn after(update: u64) -> String {
    match update {
        0 => "the untouched model".into(),
        update => format!("after update {update}"),
    }
}

/// What a screen reader says of a sheet.
pub(in crate::ui) fn sheet(name: &str, update: u64) -> String {
    format!("Samples of {name}, {}", after(update))
}
