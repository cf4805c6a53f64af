//! The pane of the tour, or of a teacher's lesson: one page at a time, each outlining the widget that it speaks of, and going on by itself once the
//! reader has done what it asks for.

mod head;
mod lesson;
mod point;

use std::time::Duration;

use eframe::egui::{
    Align, Button, Color32, Frame, Layout, Margin, Panel, Response, RichText, ScrollArea, Sense, Stroke, Ui, UiBuilder,
    accesskit::Role, vec2,
};
use serde::{Deserialize, Serialize};

use self::lesson::Reading;
use super::course::Course;
use super::text::learn as words;
use super::theme;
use super::tour::{Deed, Tour};
use crate::config::Lesson;
use crate::session::Event;

/// Seconds for which the check mark is seen before the next page comes.
const LINGER: f64 = 2.0;
/// Seconds for which the outline pulses when a page begins, or is asked to show its widget.
const PULSING: f64 = 4.8;
/// The text is never set wider than this, in points.
const WIDEST: f32 = 540.0;

/// The pane. What is remembered of it is the reader's place in the tour.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pane {
    tour: Tour,
    /// A lesson that is read in place of the tour.
    #[serde(skip)]
    lesson: Option<Reading>,
    /// What has happened to the page that is open.
    #[serde(skip)]
    visit: Visit,
}

/// The page that is open; times are those of the window, in seconds.
#[derive(Clone, Debug, Default)]
struct Visit {
    /// When it was first drawn.
    opened: Option<f64>,
    /// What it asks for has been done; whether that came by itself.
    done: Option<bool>,
    /// When the next page comes.
    leaves: Option<f64>,
    /// The reader wants to stay.
    stays: bool,
    /// Until when the outline pulses.
    pulses: f64,
}

/// What is read.
fn course<'a>(tour: &'a Tour, lesson: &'a Option<Reading>) -> &'a dyn Course {
    lesson.as_ref().map_or(tour, |lesson| lesson as &dyn Course)
}

impl Pane {
    fn course(&self) -> &dyn Course {
        course(&self.tour, &self.lesson)
    }

    fn course_mut(&mut self) -> &mut dyn Course {
        match &mut self.lesson {
            Some(lesson) => lesson,
            None => &mut self.tour,
        }
    }

    /// Reads a lesson in place of the tour, or the tour again; what is wrong with the lesson.
    pub(super) fn teach(&mut self, lesson: Option<Lesson>) -> Vec<String> {
        let (reading, complaints) = lesson.map(Reading::new).unzip();
        (self.lesson, self.visit) = (reading, Visit::default());
        complaints.unwrap_or_default()
    }

    /// Takes in something that the user did, or that happened. Only what the open page asks for counts, and only
    /// after the reader has seen the page.
    pub(super) fn note(&mut self, deed: &Deed) {
        if self.visit.opened.is_some() && self.course_mut().note(deed) && !self.visit.stays {
            self.visit.done.get_or_insert(deed.comes_by_itself());
        }
    }

    /// Takes in what happened by itself.
    pub(super) fn observe(&mut self, event: &Event) {
        if let Event::Update { update, .. } | Event::Rewound { update, .. } | Event::Ready { update, .. } = event {
            self.course_mut().saw(*update);
        }
        match event {
            Event::Update { update, .. } => self.note(&Deed::SawUpdate(*update)),
            Event::Evaluation { .. } => self.note(&Deed::Evaluated),
            _ => {}
        }
    }

    /// Whether there is something left to read.
    fn is_active(&self) -> bool {
        !self.course().is_over()
    }

    /// Draws the pane into all of `ui`, and the outline around the widget that the page speaks of. Returns the pane
    /// that the reader wants to be opened, by its name among the anchors.
    pub(super) fn show(&mut self, ui: &mut Ui) -> Option<&'static str> {
        self.go_on(ui);
        let whole = ui.available_rect_before_wrap();
        // Longer lines are hard to read.
        let column = whole.with_max_x(whole.right().min(whole.left() + WIDEST));
        ui.scope_builder(UiBuilder::new().max_rect(column), |ui| self.column(ui)).inner
    }

    fn column(&mut self, ui: &mut Ui) -> Option<&'static str> {
        if let Some(page) = head::show(ui, self.course()) {
            self.turn_to(ui, page);
        }
        let foot = Frame::new().inner_margin(Margin { top: 6, ..Margin::ZERO });
        Panel::bottom("learn foot").frame(foot).show_separator_line(false).show(ui, |ui| self.foot(ui));
        let scroll = ScrollArea::vertical().id_salt(("learn", self.course().at())).auto_shrink(false);
        let opens = scroll.show(ui, |ui| {
            let page = self.course().leaf();
            ui.add_space(2.0);
            ui.heading(page.title);
            ui.add_space(2.0);
            ui.label(page.body);
            ui.add_space(6.0);
            match (page.ask.is_empty(), self.visit.done) {
                (true, _) => None,
                (false, None) => self.ask(ui),
                (false, Some(_)) => self.praise(ui),
            }
        });
        if let Some(name) = self.course().leaf().anchor.filter(|_| self.is_active()) {
            point::outline(ui, name, &self.visit);
        }
        opens.inner
    }

    /// Turns to the next page when it is time.
    fn go_on(&mut self, ui: &Ui) {
        let now = ui.input(|input| input.time);
        if self.visit.opened.is_none() {
            self.visit.pulses = now + PULSING;
            self.visit.done = self.course_mut().is_met().then_some(true);
        }
        let opened = *self.visit.opened.get_or_insert(now);
        let Some(by_itself) = self.visit.done else { return };
        if self.course().is_last() {
            return;
        }
        let read = if by_itself { opened + self.course().leaf().seconds() } else { 0.0 };
        let leaves = *self.visit.leaves.get_or_insert((now + LINGER).max(read));
        if now >= leaves {
            self.turn_to(ui, self.course().at() + 1);
        } else {
            ui.ctx().request_repaint_after(Duration::from_secs_f64(leaves - now));
        }
    }

    fn turn_to(&mut self, ui: &Ui, page: usize) {
        self.course_mut().turn_to(page);
        self.visit = Visit::default();
        ui.ctx().request_repaint();
    }

    /// What there is to do, and where.
    fn ask(&mut self, ui: &mut Ui) -> Option<&'static str> {
        let course = course(&self.tour, &self.lesson);
        let (page, done) = (course.leaf(), course.is_done(course.at()));
        let mut opens = None;
        card(ui, |ui| {
            match done {
                true => _ = check(ui),
                false => _ = ui.label(RichText::new(words::TRY).strong().color(theme::accent(ui))),
            }
            ui.label(page.ask.as_ref());
            opens = page.anchor.and_then(|name| point::way(ui, name, &mut self.visit));
        });
        opens
    }

    /// It has been done.
    fn praise(&mut self, ui: &mut Ui) -> Option<&'static str> {
        card(ui, |ui| {
            let done = check(ui);
            // A screen reader says it without being asked.
            ui.ctx().accesskit_node_builder(done.id, |node| {
                node.set_role(Role::Status);
                node.set_label(words::DONE);
            });
            if self.course().is_last() {
                ui.label(words::LAST_DONE);
                return;
            }
            ui.label(words::GOES_ON);
            if button(ui, words::STAY, words::STAY_HELP) {
                (self.visit.done, self.visit.leaves, self.visit.stays) = (None, None, true);
            }
        });
        None
    }

    fn foot(&mut self, ui: &mut Ui) {
        let (at, last, begun) = (self.course().at(), self.course().is_last(), self.course().is_begun());
        let button = |ui: &mut Ui, enabled, button: Button<'_>, help, why_not| {
            let response = ui.add_enabled(enabled, button.min_size(vec2(0.0, 28.0)));
            response.on_hover_text(help).on_disabled_hover_text(why_not).clicked()
        };
        ui.horizontal(|ui| {
            if button(ui, at > 0, Button::new(words::BACK), words::BACK_HELP, words::FIRST_HELP) {
                self.turn_to(ui, at - 1);
            }
            if button(ui, begun, Button::new(words::OVER), words::OVER_HELP, words::FIRST_HELP) {
                self.course_mut().start_over();
                self.turn_to(ui, 0);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let next = match last {
                    true => Button::new(words::NEXT),
                    false => {
                        Button::new(RichText::new(words::NEXT).strong().color(Color32::WHITE)).fill(theme::primary())
                    }
                };
                if button(ui, !last, next, words::NEXT_HELP, words::LAST_HELP) {
                    self.course_mut().read();
                    self.turn_to(ui, at + 1);
                }
            });
        });
    }
}

/// A button on a card; whether it was pressed.
fn button(ui: &mut Ui, label: &str, help: &str) -> bool {
    let edge = Stroke::new(1.0, theme::accent(ui).gamma_multiply(0.45));
    ui.add(Button::new(label).stroke(edge)).on_hover_text(help).clicked()
}

/// A check mark, drawn because no font here has one, and its word.
fn check(ui: &mut Ui) -> Response {
    let accent = theme::accent(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        let (rect, _) = ui.allocate_exact_size(vec2(12.0, 12.0), Sense::hover());
        let points = [(0.08, 0.55), (0.38, 0.85), (0.95, 0.15)].map(|(x, y)| rect.min + vec2(x, y) * rect.size());
        ui.painter().line(points.to_vec(), Stroke::new(2.2, accent));
        ui.label(RichText::new(words::DONE).strong().color(accent))
    })
    .inner
}

/// What there is to do, set apart.
fn card(ui: &mut Ui, content: impl FnOnce(&mut Ui)) {
    let accent = theme::accent(ui);
    let frame = theme::card(ui).fill(accent.gamma_multiply(0.09)).stroke(Stroke::new(1.0, accent.gamma_multiply(0.45)));
    frame.inner_margin(Margin::symmetric(10, 8)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        content(ui);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::anchor::{self, mark};
    use crate::ui::tour::PAGES;
    use eframe::egui::{CentralPanel, Key};
    use egui_kittest::{Harness, kittest::Queryable};

    /// The pane, the widgets that are marked beside it, and the pane that it asked to be opened.
    #[derive(Default)]
    struct Stage {
        pane: Pane,
        marked: Vec<&'static str>,
        opens: Option<&'static str>,
    }

    /// The pane alone in a window of this size; every step is a quarter of a second.
    fn open(size: [f32; 2]) -> Harness<'static, Stage> {
        let draw = |ui: &mut Ui, stage: &mut Stage| {
            let rect = ui.max_rect();
            stage.marked.iter().for_each(|name| mark(ui, name, rect.with_max_y(20.0)));
            CentralPanel::default().frame(theme::panel(ui, 12, 10)).show(ui, |ui| {
                stage.opens = stage.pane.show(ui).or(stage.opens);
            });
        };
        let builder = Harness::builder().with_size(size).with_context_setup(theme::apply);
        let mut pane = builder.build_ui_state(draw, Stage::default());
        pane.run();
        pane
    }

    fn at(pane: &Harness<'_, Stage>) -> usize {
        pane.state().pane.tour.at()
    }

    fn click(pane: &mut Harness<'_, Stage>, label: &str) {
        pane.get_by_role_and_label(Role::Button, label).click();
        pane.run();
    }

    fn note(pane: &mut Harness<'_, Stage>, deed: Deed) {
        pane.state_mut().pane.note(&deed);
        pane.run();
    }

    #[test]
    fn the_tour_is_read_by_its_buttons_from_first_to_last_and_begun_again() {
        let mut pane = open([300.0, 560.0]);
        for page in PAGES {
            pane.get_by_label(page.words.title);
            pane.get_by_label(page.words.body);
            assert!(page.words.ask.is_empty() || pane.query_by_label(page.words.ask).is_some());
            click(&mut pane, "Next");
        }
        assert_eq!(at(&pane), PAGES.len() - 1);
        click(&mut pane, "Back");
        pane.get_by_label("Measure honestly");
        click(&mut pane, "Page 2: A picture is 64 tokens");
        assert_eq!(at(&pane), 1);
        click(&mut pane, "Start over");
        assert_eq!((at(&pane), pane.state().pane.tour == Tour::default()), (0, true));
    }

    #[test]
    fn the_keyboard_alone_turns_pages() {
        let mut pane = open([300.0, 560.0]);
        let next = |pane: &Harness<'_, Stage>| pane.get_by_role_and_label(Role::Button, "Next").is_focused();
        for _ in 0..8 {
            if !next(&pane) {
                pane.key_press(Key::Tab);
                pane.run();
            }
        }
        assert!(next(&pane), "Next is not reached by Tab");
        (0..2).for_each(|_| {
            pane.key_press(Key::Space);
            pane.run();
        });
        assert_eq!(at(&pane), 2);
    }

    #[test]
    fn a_page_shows_its_check_mark_and_then_goes_on_by_itself() {
        let mut pane = open([300.0, 560.0]);
        note(&mut pane, Deed::Paused);
        pane.run_steps(20);
        assert_eq!((at(&pane), pane.query_by_label(words::DONE).is_some()), (0, false));
        note(&mut pane, Deed::Ran);
        pane.get_by_label(words::DONE);
        assert_eq!(at(&pane), 0);
        pane.run_steps((LINGER * 4.0) as usize + 1);
        assert_eq!(at(&pane), 1);
        pane.get_by_label("Page 1: What you see, done");
    }

    #[test]
    fn what_the_engine_did_waits_until_the_page_can_have_been_read() {
        let mut pane = open([300.0, 560.0]);
        let rollout = PAGES.iter().position(|page| page.name == "rollout").unwrap();
        (0..rollout).for_each(|_| click(&mut pane, "Next"));
        note(&mut pane, Deed::SawUpdate(1));
        let reading = pane.state().pane.course().leaf().seconds();
        pane.run_steps((reading * 4.0) as usize - 4);
        assert_eq!(at(&pane), rollout);
        pane.run_steps(8);
        assert_eq!(at(&pane), rollout + 1);
    }

    #[test]
    fn the_reader_may_stay() {
        let mut pane = open([300.0, 560.0]);
        note(&mut pane, Deed::Ran);
        click(&mut pane, "Stay here");
        note(&mut pane, Deed::Ran);
        pane.run_steps(40);
        assert_eq!(at(&pane), 0);
        click(&mut pane, "Next");
        note(&mut pane, Deed::Inspected);
        pane.run_steps(12);
        assert_eq!(at(&pane), 2);
    }

    #[test]
    fn deeds_before_the_page_was_seen_do_not_count() {
        let mut pane = Pane::default();
        pane.note(&Deed::Ran);
        assert!(pane.is_active() && pane.tour == Tour::default());
    }

    #[test]
    fn show_me_pulses_and_what_is_closed_can_be_opened() {
        let mut pane = open([300.0, 560.0]);
        assert!(pane.query_by_label(words::SHOW).is_none());
        pane.get_by_label(words::ABSENT);
        pane.state_mut().marked = vec!["run"];
        pane.run_steps(30);
        let pulses = |pane: &Harness<'_, Stage>| pane.state().pane.visit.pulses;
        let before = pulses(&pane);
        click(&mut pane, "Show me");
        assert!(pulses(&pane) > before);

        let temperature = PAGES.iter().position(|page| page.name == "chance").unwrap();
        (0..temperature).for_each(|_| click(&mut pane, "Next"));
        click(&mut pane, "Open Settings");
        assert_eq!(pane.state().opens, Some("settings"));
        pane.state_mut().marked = vec!["settings"];
        pane.run_steps(3);
        pane.get_by_label(&words::folded("Rollout"));
    }

    #[test]
    fn every_page_fits_a_small_pane() {
        let mut pane = open([260.0, 500.0]);
        for page in PAGES {
            // The taller of the cards: the pane of the widget is closed, and can be opened.
            let foot = pane.get_by_role_and_label(Role::Button, "Next").rect();
            let last = anchor::pane(page.anchor.unwrap()).map(|pane| words::open(words::pane(pane)));
            let last = match (page.words.ask.is_empty(), &last) {
                (true, _) => page.words.body,
                (false, Some(button)) => button,
                (false, None) => words::ABSENT,
            };
            let rect = pane.get_by_label(last).rect();
            let heading = pane.get_by_label(page.words.title).rect();
            assert!(rect.bottom() + 8.0 <= foot.top(), "{}: {} over {}", page.name, rect.bottom(), foot.top());
            assert!(heading.height() < 30.0, "{}: the title takes two lines", page.name);
            assert!(rect.right() <= 248.0 && foot.right() <= 248.5 && foot.bottom() <= 492.0, "{}", page.name);
            click(&mut pane, "Next");
        }
    }

    #[test]
    fn the_place_survives_being_saved() {
        let mut pane = open([300.0, 560.0]);
        click(&mut pane, "Next");
        note(&mut pane, Deed::Inspected);
        let json = serde_json::to_string(&pane.state().pane).unwrap();
        let again: Pane = serde_json::from_str(&json).unwrap();
        assert_eq!((again.tour.at(), again.tour.is_done(1), again.visit.opened), (1, true, None));
    }
}
