//! Words that only the page says.

pub(in crate::ui) const STOPPED: &str = "The program has stopped";
pub(in crate::ui) const STOPPED_HELP: &str = "It met an error that it could not handle; the browser's console has the details. Trying again starts it afresh; a run \
     that was saved is opened by File.";
pub(in crate::ui) const NOT_STARTED: &str = "Artune could not start";
pub(in crate::ui) const OPENING: &str = "Opening the graphics device";
pub(in crate::ui) const NO_CANVAS: &str = "this browser lets the page draw neither by WebGPU nor by WebGL";
pub(in crate::ui) const LOST: &str = "The graphics device was lost again and again";
pub(in crate::ui) const LOST_HELP: &str = "Other programs may be using it up, or its driver fails. Close what else uses the graphics card, then try again; or \
     add device=cpu to this page's address to compute on the processor.";
pub(in crate::ui) const NOTHING_KEPT: &str =
    "This browser keeps no other run. One is kept from its first checkpoint on; Save makes one at once.";
pub(in crate::ui) const NO_FILE: &str = "The browser gave no file.";
pub(in crate::ui) const NO_WEIGHTS: &str = "The weights of the model could not be loaded";

pub(in crate::ui) const RECOVERED: &str =
    "The graphics device was lost and has been opened again; the run goes on after the last update that was made.";
pub(in crate::ui) const BEGUN_AGAIN: &str =
    "The graphics device was lost and has been opened again; nothing of the run could be kept, and it begins again.";

/// Title of the tab, by what is being done.
pub(in crate::ui) fn title(update: u64, total: Option<u64>, running: bool, hidden: bool) -> String {
    match (running, hidden) {
        (true, true) => "Artune (paused while hidden)".into(),
        (true, false) => format!("{update}{} · Artune", total.map(|total| format!("/{total}")).unwrap_or_default()),
        _ => "Artune".into(),
    }
}
