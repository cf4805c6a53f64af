//! Following a teacher's link, and leaving its lesson.

use super::App;
use crate::config::{Lesson, Link};
use crate::session::Opened;
use crate::ui::classroom::{Classroom, Limits, Then};
use crate::ui::desk::Place;
use crate::ui::log::Weight;
use crate::ui::text::teach as text;

impl App {
    /// Fixes and hides what a link says, shows its pane, and its lesson in place of the tour. The settings themselves
    /// are those that [`App::new`] or the engine was given.
    pub fn teach(&mut self, link: &Link, lesson: Option<Lesson>) {
        self.leave();
        self.classroom = Classroom::new(link, lesson.as_ref().map(|lesson| lesson.title.as_str()));
        self.controls.limits = Limits::of(link);
        let reads = lesson.is_some();
        let hidden = |place: &Place| link.hide.has(&place.in_links()) && !(reads && *place == Place::Learn);
        self.desk.withhold(Place::ALL.into_iter().filter(hidden));
        for complaint in self.learn.teach(lesson) {
            self.log.say(self.bar.update, Weight::Warning, complaint);
        }
        let shown = link.show.and_then(Place::by_title);
        if reads {
            self.desk.open(Place::Learn);
            shown.into_iter().for_each(|place| self.desk.open_beside_tour(place));
        } else {
            shown.into_iter().for_each(|place| self.desk.open(place));
        }
    }

    /// Says at which address the program lives, where it is a page: links are then the page's own.
    pub fn lives_at(&mut self, page: String) {
        self.files.page = Some(page);
    }

    /// Begins a run with a link that was pasted.
    pub(super) fn follow(&mut self, text: &str) {
        match Link::parse(text).map_err(|error| error.to_string()).and_then(|link| with_lesson(link, text)) {
            Ok((link, lesson)) => {
                self.opened = Some(Opened::Settings(Box::new(link.config.clone())));
                self.teach(&link, lesson);
            }
            Err(why) => self.log.say(self.bar.update, Weight::Warning, why),
        }
    }

    /// Opens something, after asking where that would end a lesson.
    pub(super) fn open_or_ask(&mut self, then: Then) {
        if self.classroom.is_on() {
            self.classroom.ask(then);
        } else {
            self.go_on_with(then);
        }
    }

    /// Leaves the lesson, and does what it was left for.
    pub(super) fn leave_for(&mut self, then: Then) {
        self.leave();
        self.go_on_with(then);
    }

    fn go_on_with(&mut self, then: Then) {
        match then {
            Then::Stay => {}
            Then::Open(opened) => self.opened = Some(opened),
            Then::Follow(link) => self.follow(&link),
        }
    }

    fn leave(&mut self) {
        (self.classroom, self.controls.limits) = (Classroom::default(), Limits::default());
        self.desk.give_back();
        self.learn.teach(None);
    }
}

/// A link with the lesson that it names, if that ships.
fn with_lesson(link: Link, text: &str) -> Result<(Link, Option<Lesson>), String> {
    let Some(name) = &link.lesson else { return Ok((link, None)) };
    let lesson = Lesson::shipped(name).ok_or_else(|| text::no_lesson(name))?.map_err(|error| error.to_string())?;
    let link = lesson.link.clone().over(text).map_err(|error| error.to_string())?;
    Ok((link, Some(lesson)))
}
