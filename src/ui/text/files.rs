//! Words of the File menu and of dropping files on the window.

use std::path::Path;

use crate::session::Opened;

pub(in crate::ui) const FILE: &str = "File";
pub(in crate::ui) const FILE_HELP: &str = "Open and save runs, write pictures and curves to files, and pass settings on. \
    Files and folders may also be dropped on the window.";
pub(in crate::ui) const OPEN_FOLDER: &str = "Open run or pictures…";
pub(in crate::ui) const OPEN_FOLDER_HELP: &str = "A run folder: that run goes on from its newest checkpoint. Or a folder \
    with a folder of pictures for each class: a run on your own pictures begins. The run at hand is saved first.";
pub(in crate::ui) const OPEN_FILE: &str = "Open checkpoint or settings…";
pub(in crate::ui) const OPEN_FILE_HELP: &str = "A checkpoint (.safetensors): a new run begins with it, and the file stays \
    as it is. Or settings (run.toml): a new run begins with them. The run at hand is saved first.";
pub(in crate::ui) const LOAD_MODEL: &str = "Load a model…";
pub(in crate::ui) const LOAD_MODEL_HELP: &str = "A file of a published network as its authors publish it (.pt, .pth, .ckpt, \
    .safetensors): LlamaGen, VQGAN, CLIP, HPSv2, Inception. It is recognised by what it holds, and a new run begins with \
    it in its place. Others that it needs are looked for in the same folder. The run at hand is saved first.";
pub(in crate::ui) const COMPARE: &str = "Compare with…";
pub(in crate::ui) const COMPARE_HELP: &str = "A run folder, whose curves, figures and samples are laid beside those of \
    the run at hand.";
pub(in crate::ui) const SAVE: &str = "Save checkpoint";
pub(in crate::ui) const SAVE_HELP: &str =
    "Write a checkpoint into the run folder now. Closing the window saves too. Key: S.";
pub(in crate::ui) const EXPORT: &str = "Export";
pub(in crate::ui) const PNG: &str = "Pictures as PNG";
pub(in crate::ui) const PNG_HELP: &str = "The newest pictures, a row per prompt, with their advantages as frames.";
pub(in crate::ui) const CSV: &str = "Curves as CSV";
pub(in crate::ui) const CSV_HELP: &str =
    "Everything measured so far, as a table: a line per update, a column per scalar.";
pub(in crate::ui) const JSONL: &str = "Curves as JSONL";
pub(in crate::ui) const JSONL_HELP: &str = "Everything measured so far, a line of JSON per update, and one for each knob \
    that was turned.";
pub(in crate::ui) const GIF: &str = "Animation as GIF";
pub(in crate::ui) const GIF_HELP: &str = "The samples that are drawn from the same seeds every `sample_every` updates, \
    one frame after the other. The bar below them shows how much of the run has gone by.";
pub(in crate::ui) const COPY_LINK: &str = "Copy link";
pub(in crate::ui) const COPY_LINK_HELP: &str = "Put every setting that differs from its default, and the seed, into one \
    line of text. Paste settings reads it anywhere.";
pub(in crate::ui) const PASTE: &str = "Paste settings…";
pub(in crate::ui) const PASTE_HELP: &str = "Begin a run with the settings of a link.";
pub(in crate::ui) const PASTE_TITLE: &str = "Settings from a link";
pub(in crate::ui) const PASTE_FIELD: &str = "Link or settings";
pub(in crate::ui) const PASTE_HINT: &str = "artune:?beta=0.01&seed=0";
pub(in crate::ui) const PASTE_NOW: &str = "Begin a run with these";
pub(in crate::ui) const PASTE_NOW_HELP: &str = "The run at hand is saved first, and stays in its folder.";
pub(in crate::ui) const CANCEL: &str = "Cancel";

pub(in crate::ui) const NO_PICTURES: &str = "No pictures have been drawn yet.";
pub(in crate::ui) const NO_CURVES: &str = "Nothing has been measured yet.";
pub(in crate::ui) const NO_SHEETS: &str = "An animation needs two sheets of samples: one is drawn before the first update, \
    and one every `sample_every` updates.";
pub(in crate::ui) const NOT_READY: &str = "The engine takes no commands now.";
pub(in crate::ui) const ASKING: &str = "A file dialog is open already, or what it chose is being worked on.";
pub(in crate::ui) const LOOKING: &str = "Looking at it…";
pub(in crate::ui) const DROP: &str = "Drop to open";
pub(in crate::ui) const DROP_COMPARE: &str = "Drop to compare";
pub(in crate::ui) const DROP_SHIFT: &str = "Hold Shift to compare with it instead.";
pub(in crate::ui) const LOST: &str = "What was under way with a file has ended without a result.";

/// What opening would do, as a sentence.
pub(in crate::ui) fn would(opened: &Opened) -> String {
    match opened {
        Opened::Run(_) => "A run folder: go on with this run from its newest checkpoint.".into(),
        Opened::Checkpoint { update, .. } => {
            format!("A checkpoint after update {update}: begin a new run with it. The file stays as it is.")
        }
        Opened::Settings(config) => {
            format!("Settings: begin a new run with them ({}).", changed(config.changes().count()))
        }
        Opened::Metrics(_) => "Curves: lay them beside those of the run at hand.".into(),
        Opened::Pictures(_) => "Pictures in folders by class: begin a new run on them.".into(),
        Opened::Statistics { about, .. } => {
            format!("{about}: begin a new run whose samples are compared with them.")
        }
        Opened::Network { about, .. } => {
            format!("{about} Begin a new run with it; others that it needs lie beside it.")
        }
    }
}

/// What opening does, for the log.
pub(in crate::ui) fn opening(opened: &Opened) -> String {
    let saved = "the run at hand is saved first";
    match opened {
        Opened::Run(path) => format!("going on with the run in {}; {saved}", path.display()),
        Opened::Checkpoint { path, update } => {
            format!("beginning a new run with {}, after update {update}; {saved}", path.display())
        }
        Opened::Settings(config) => {
            format!("beginning a new run, {}; {saved}", changed(config.changes().count()))
        }
        Opened::Metrics(path) => format!("comparing with {}", path.display()),
        Opened::Pictures(path) => format!("beginning a new run on the pictures in {}; {saved}", path.display()),
        Opened::Statistics { path, .. } => format!("beginning a new run, compared with {}; {saved}", path.display()),
        Opened::Network { path, about, .. } => format!("beginning a new run with {}: {about} {saved}", path.display()),
    }
}

fn changed(count: usize) -> String {
    match count {
        0 => "all settings at their defaults".into(),
        1 => "one setting not at its default".into(),
        n => format!("{n} settings not at their defaults"),
    }
}

pub(in crate::ui) fn pasted(count: usize) -> String {
    let text = changed(count);
    format!("{}{}.", text[..1].to_uppercase(), &text[1..])
}

pub(in crate::ui) fn compared(name: &str) -> String {
    format!("comparing with {name}")
}

pub(in crate::ui) fn written(path: &Path) -> String {
    format!("written to {}", path.display())
}

pub(in crate::ui) fn not_written(path: &Path, why: &str) -> String {
    format!("{} is not written: {why}", path.display())
}

pub(in crate::ui) fn copied(link: &str) -> String {
    format!("copied: {link}")
}

pub(in crate::ui) fn others_left(count: usize) -> String {
    format!("one thing is opened at a time; {count} more were dropped and are left out")
}
