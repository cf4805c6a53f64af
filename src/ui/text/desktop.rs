//! Words that only the window on a desktop says.

pub(in crate::ui) const TITLE: &str = "Artune: tune an image model, live";
pub(in crate::ui) const NO_DISPLAY: &str = "Artune tunes autoregressive image models with reinforcement learning, live. Without \
    arguments it opens a window, and this machine has no display for one (neither DISPLAY nor WAYLAND_DISPLAY is \
    set).\n\nThe same work runs without a window:\n    artune tune --preset full\n    artune --help";
pub(in crate::ui) const NO_WINDOW: &str = "Artune tunes autoregressive image models with reinforcement learning, live. Without \
    arguments it opens a window, and the system did not give it one.\n\nThe same work runs without a window:\n    \
    artune tune --preset full\n    artune --help";
pub(in crate::ui) const NO_DIALOG: &str = "No file was chosen. Where no dialog appears, this system has none to offer: \
    files can be opened by dropping them on the window.";
