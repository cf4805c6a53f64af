//! What a teacher's link does to the window: settings that are fixed, things that are hidden, and the way out.

use eframe::egui::{self, Align, Id, Label, Layout, RichText, Ui};

use super::text::teach as text;
use super::theme;
use crate::config::link::Names;
use crate::config::{Link, Param};
use crate::session::Opened;

/// What a link fixes and hides.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    lock: Names,
    hide: Names,
}

impl Limits {
    pub(super) fn of(link: &Link) -> Self {
        Self { lock: link.lock.clone(), hide: link.hide.clone() }
    }

    /// Whether a setting stays as it is: what is hidden is not to change unseen either.
    pub(super) fn fix(&self, param: &Param) -> bool {
        self.lock.covers(param) || self.hide.covers(param)
    }

    /// Whether every setting stays as it is.
    pub(super) fn fix_all(&self) -> bool {
        self.lock.has_all() || self.hide.has_all()
    }

    /// Whether a setting is not shown.
    pub(super) fn hide(&self, param: &Param) -> bool {
        self.hide.covers(param)
    }

    /// Whether a menu or pane of this name, as links have it, is not shown.
    pub(super) fn hide_named(&self, name: &str) -> bool {
        self.hide.has(name)
    }
}

/// What is to happen once the lesson is left.
#[derive(Debug)]
pub(super) enum Then {
    /// Nothing more.
    Stay,
    /// Something is opened.
    Open(Opened),
    /// Another link is followed.
    Follow(String),
}

/// The lesson at hand.
#[derive(Debug, Default)]
pub(super) struct Classroom {
    /// What the bar says of it; `None` where there is no lesson, and nothing is fixed or hidden.
    about: Option<String>,
    /// The user is being asked whether to leave.
    leaving: Option<Then>,
}

impl Classroom {
    /// What a link begins, with a lesson of this title or without one.
    pub(super) fn new(link: &Link, lesson: Option<&str>) -> Self {
        let title = lesson.map(text::lesson);
        Self { about: title.or(link.restricts().then(|| text::LINK.into())), leaving: None }
    }

    /// Whether there is a lesson to leave.
    pub(super) fn is_on(&self) -> bool {
        self.about.is_some()
    }

    /// Asks whether the lesson is to be left for this.
    pub(super) fn ask(&mut self, then: Then) {
        self.leaving = Some(then);
    }

    /// Draws the bar and, where it is asked, the question; what is to happen if the user leaves.
    pub(super) fn show(&mut self, ui: &mut Ui) -> Option<Then> {
        let about = self.about.as_ref()?;
        egui::Panel::top("lesson").frame(theme::panel(ui, 14, 4)).show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.label(RichText::new(about).strong().color(theme::accent(ui)));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if ui.button(text::LEAVE).on_hover_text(text::LEAVE_HELP).clicked() {
                        self.leaving = Some(Then::Stay);
                    }
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                        ui.add(Label::new(RichText::new(text::GREY).weak()).truncate());
                    });
                });
            });
        });
        self.question(ui)
    }

    fn question(&mut self, ui: &Ui) -> Option<Then> {
        let then = self.leaving.as_ref()?;
        let question = if matches!(then, Then::Stay) { text::LEAVE_QUESTION } else { text::OPEN_QUESTION };
        let mut leaves = false;
        let answer = egui::Modal::new(Id::unique("leave the lesson")).show(ui.ctx(), |ui| {
            ui.set_max_width(360.0);
            ui.heading(text::LEAVE_TITLE);
            ui.label(question);
            ui.add_space(8.0);
            ui.horizontal(|ui| {
                let stays = ui.button(text::STAY).clicked();
                leaves = ui.button(text::LEAVE_NOW).clicked();
                stays
            })
            .inner
        });
        if leaves {
            return self.leaving.take();
        }
        if answer.inner || answer.should_close() {
            self.leaving = None;
        }
        None
    }
}

#[cfg(test)]
mod tests;
