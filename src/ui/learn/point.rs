//! Pointing at the widget that a page speaks of.

use eframe::egui::{RichText, Ui};

use super::{PULSING, Visit, button};
use crate::ui::anchor::{self, Sight};
use crate::ui::text::learn as words;
use crate::ui::theme;

/// Says where the widget is and offers to show it, or to open its pane, whose name is returned.
pub(super) fn way(ui: &mut Ui, name: &str, visit: &mut Visit) -> Option<&'static str> {
    let pane = anchor::pane(name);
    let open = pane.is_none_or(|pane| anchor::sight(ui.ctx(), pane) != Sight::Absent);
    match (anchor::sight(ui.ctx(), name), pane) {
        (Sight::Shown(_) | Sight::Scrolled, _) => {
            if button(ui, words::SHOW, words::SHOW_HELP) {
                anchor::seek(ui.ctx(), name);
                visit.pulses = ui.input(|input| input.time) + PULSING;
            }
        }
        (Sight::Absent, Some(pane)) if !open => {
            let title = words::pane(pane);
            ui.weak(words::closed(title));
            return button(ui, &words::open(title), words::OPEN_HELP).then_some(pane);
        }
        (Sight::Absent, Some(pane)) => {
            let wait = words::not_yet(words::pane(pane));
            ui.weak(anchor::heading(name).map_or(wait, words::folded));
        }
        (Sight::Absent, None) => _ = ui.label(RichText::new(words::ABSENT).weak()),
    }
    None
}

/// Outlines the widget; where it is folded away, its pane is what there is to see.
pub(super) fn outline(ui: &Ui, name: &str, visit: &Visit) {
    let folded = anchor::sight(ui.ctx(), name) == Sight::Absent;
    let name = anchor::pane(name).filter(|_| folded).unwrap_or(name);
    let pulsing = ui.input(|input| input.time) < visit.pulses;
    anchor::highlight(ui.ctx(), name, theme::accent(ui), pulsing);
}
