//! Words of teachers' links and lessons.

use super::humanise;
use crate::config::lesson::Wait;

pub(in crate::ui) const FIXED: &str = "The teacher's link fixed this. It can be turned after leaving the lesson.";
pub(in crate::ui) const LINK: &str = "A teacher's link";
pub(in crate::ui) const GREY: &str = "What it fixes is grey, and some of the window may be hidden.";
pub(in crate::ui) const LEAVE: &str = "Leave the lesson";
pub(in crate::ui) const LEAVE_HELP: &str = "Have the whole window, with every setting free. The run stays as it is.";
pub(in crate::ui) const LEAVE_TITLE: &str = "Leave the lesson?";
pub(in crate::ui) const LEAVE_QUESTION: &str = "Every setting is then free, and what was hidden comes back. The run stays \
    as it is. The link begins the lesson again.";
pub(in crate::ui) const OPEN_QUESTION: &str = "To open something else is to leave the lesson: every setting is then free, \
    and what was hidden comes back. The link begins the lesson again.";
pub(in crate::ui) const LEAVE_NOW: &str = "Leave";
pub(in crate::ui) const STAY: &str = "Stay";
pub(in crate::ui) const LOOK: &str = "Look at what is outlined.";
pub(in crate::ui) const PASTED: &str = "This link also begins a lesson, or fixes or hides something.";

pub(in crate::ui) const SHARE: &str = "Link for others…";
pub(in crate::ui) const SHARE_TOOLTIP: &str =
    "Make a link that also fixes, hides or shows something: for a class, say.";
pub(in crate::ui) const SHARE_TITLE: &str = "A link for others";
pub(in crate::ui) const SHARE_HELP: &str = "Whoever opens it begins with the settings as they stand here, from the \
    pretrained model.";
pub(in crate::ui) const SHARE_RUN: &str = "Run at once";
pub(in crate::ui) const SHARE_SHOW: &str = "Pane in front";
pub(in crate::ui) const SHARE_AS_IS: &str = "as it is";
pub(in crate::ui) const SHARE_LOCK: &str = "Settings that cannot be changed";
pub(in crate::ui) const SHARE_HIDE: &str = "Panes that are not shown";
pub(in crate::ui) const SHARE_LINK: &str = "The link";
pub(in crate::ui) const SHARE_COPY: &str = "Copy the link";

/// The box that fixes a group of settings.
pub(in crate::ui) fn fixes(group: &str) -> String {
    format!("Fix {group}")
}

/// The box that hides a pane.
pub(in crate::ui) fn hides(pane: &str) -> String {
    format!("Hide {pane}")
}

/// The lesson's title, as the bar below the buttons has it.
pub(in crate::ui) fn lesson(title: &str) -> String {
    format!("Lesson: {title}")
}

/// The title of a step that has none.
pub(in crate::ui) fn step(number: usize) -> String {
    format!("Step {number}")
}

/// What a step asks for.
pub(in crate::ui) fn asks(wait: Wait) -> String {
    match wait {
        Wait::Update(update) => format!("Wait until update {update} is done. If nothing moves, press Run."),
        Wait::Turned(name) => format!("Turn {}.", humanise(name)),
        Wait::Chose(name) => format!("Choose {name} under Presets."),
        Wait::Ran => "Press Run, or the space bar.".into(),
        Wait::Paused => "Press Pause, or the space bar.".into(),
        Wait::Evaluated => "Press Evaluate, and wait for the figures.".into(),
        Wait::Inspected => "Click a picture.".into(),
        Wait::Rewound => "Press Back, or drag the timeline back and let go.".into(),
        Wait::Saved => "Press Save.".into(),
    }
}

/// `hint` is the nearest name, as `; did you mean ...?`, or nothing.
pub(in crate::ui) fn points_nowhere(step: usize, name: &str, hint: &str) -> String {
    let short: String = name.chars().take(40).collect();
    format!("Step {step} of the lesson points at `{short}`, and there is nothing of this name{hint}")
}

/// Said where something tried to turn a setting that is fixed.
pub(in crate::ui) fn stays(name: &str) -> String {
    format!("{} was not changed: the teacher's link fixed it", humanise(name))
}

/// Said where a preset left settings alone.
pub(in crate::ui) fn preset_left(preset: &str, names: &str) -> String {
    format!("Preset {preset}: {names} stay as the teacher's link has them")
}

/// Said of a link that names a lesson which cannot be read here.
pub(in crate::ui) fn no_lesson(lesson: &str) -> String {
    format!("The lesson {lesson} is not part of this program. Its page opens it, or: artune --lesson FILE")
}
