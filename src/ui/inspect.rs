//! The inspector: one picture up close. How it was written, token by token; how its update pushes each token; what
//! would have followed another one; and what the policies of other times make of the same random numbers.

mod canvas;
mod compare;
mod film;
mod overlay;
mod token;

use std::collections::BTreeMap;

use eframe::egui::{self, RichText, TextStyle, Ui, vec2};

use super::{text, theme};
use crate::session::inspect::Crops;
use crate::session::{Command, Event, Inspection, Phase, Question};
use canvas::{Canvas, LARGEST};
use compare::Compare;
use film::Film;

/// From this width on, in points, the cards stand in two columns.
const TWO_COLUMNS: f32 = 580.0;
/// Pictures beside each other on a card are never larger, in points.
const SMALL: f32 = 112.0;

/// The inspector pane.
#[derive(Default)]
pub(super) struct Pane {
    /// The sample looked at: its update and its place in the batch.
    subject: Option<(u64, usize)>,
    seen: Option<Inspection>,
    /// Questions that have no answer yet.
    waiting: Vec<Question>,
    /// What is to be sent.
    commands: Vec<Command>,
    /// Why the last question has no answer.
    trouble: Option<String>,
    /// Beginnings with tokens that were put in, the newest last.
    edits: Vec<Vec<u32>>,
    crops: BTreeMap<usize, Crops>,
    /// Updates that are done, as far as this window knows.
    update: u64,
    canvas: Canvas,
    compare: Compare,
    /// The sample and its nearest, the sample as drawn and as edited, the candidates.
    films: [Film; 5],
}

impl Pane {
    /// Forgets the sample; what it knows of the run stays.
    pub(super) fn clear(&mut self) {
        *self = Self { update: self.update, ..Self::default() };
    }

    /// Turns to a sample: its update and its place in the batch, group by group.
    pub(super) fn open(&mut self, update: u64, sample: usize) {
        if self.subject == Some((update, sample)) && self.seen.is_some() {
            return;
        }
        self.subject = Some((update, sample));
        (self.seen, self.trouble) = (None, None);
        self.waiting.clear();
        self.edits.clear();
        self.crops.clear();
        self.canvas.turn();
        self.compare.turn();
        self.ask(None);
    }

    /// Takes in one event; all but the inspector's own answers only tell it what has changed.
    pub(super) fn observe(&mut self, event: &Event) {
        match event {
            Event::Inspected(seen) => self.take(seen),
            Event::NotInspected { question, why } if self.subject == Some((question.update, question.sample)) => {
                self.waiting.retain(|q| q != question);
                self.trouble = Some(why.clone());
                if self.seen.as_ref().is_some_and(|seen| seen.question.prefix != question.prefix) {
                    self.edits.pop();
                }
            }
            Event::Update { update, .. } => self.update = *update,
            // A picture that was clicked before it was finished is scored now.
            Event::Progress { update, phase: Phase::Reward, .. }
                if self.seen.is_none() && self.trouble.is_some() && self.subject.is_some_and(|s| s.0 == *update) =>
            {
                self.trouble = None;
                self.ask(None);
            }
            Event::Ready { update, .. } | Event::Rewound { update, .. } => {
                *self = Self { update: *update, ..Self::default() };
            }
            _ => {}
        }
    }

    fn take(&mut self, seen: &Inspection) {
        if self.subject != Some((seen.question.update, seen.question.sample)) {
            return;
        }
        self.waiting.retain(|question| *question != seen.question);
        self.compare.take(seen);
        if seen.question.prefix != self.prefix() {
            return; // of an edit that was undone meanwhile
        }
        let ids = |seen: &Inspection| seen.tokens.iter().map(|token| token.id).collect::<Vec<_>>();
        if self.seen.as_ref().is_none_or(|before| ids(before) != ids(seen)) {
            self.crops.clear();
        }
        if let Some(crops) = &seen.crops {
            self.crops.insert(crops.position, crops.clone());
        }
        self.trouble = None;
        self.update = self.update.max(seen.policy);
        if self.canvas.selected.is_none() {
            self.canvas.selected = most_telling(seen);
        }
        self.seen = Some(seen.clone());
    }

    /// The beginning that was put in; empty for the sample as it was drawn.
    fn prefix(&self) -> Vec<u32> {
        self.edits.last().cloned().unwrap_or_default()
    }

    fn ask(&mut self, position: Option<usize>) {
        let Some((update, sample)) = self.subject else { return };
        let compare = self.compare.wanted();
        let question = Question { update, sample, prefix: self.prefix(), compare, position };
        self.waiting.push(question.clone());
        self.commands.push(Command::Inspect(question));
    }

    /// Draws the pane and returns what it asks for.
    pub(super) fn show(&mut self, ui: &mut Ui) -> Vec<Command> {
        match self.seen.take() {
            Some(seen) => {
                let again = self.header(ui, &seen);
                let put_in = self.cards(ui, &seen);
                self.seen = Some(seen);
                self.follow(again, put_in);
            }
            None => self.nothing(ui),
        }
        std::mem::take(&mut self.commands)
    }

    /// Asks for what the user wants to see and what is not here yet.
    fn follow(&mut self, again: bool, put_in: Option<(usize, u32)>) {
        let Some(seen) = &self.seen else { return };
        if let Some((position, id)) = put_in {
            let mut prefix: Vec<u32> = seen.tokens[..position].iter().map(|token| token.id).collect();
            prefix.push(id);
            self.edits.push(prefix);
            self.canvas.show_all();
            self.ask(None);
        } else if again {
            self.compare.forget_now();
            self.ask(None);
        } else if seen.question.prefix == self.prefix() {
            let missing = self.canvas.selected.filter(|at| !self.crops.contains_key(at));
            let missing = missing.filter(|at| self.waiting.iter().all(|q| q.position != Some(*at)));
            let compared = self.compare.is_wanting();
            if self.trouble.is_none() && missing.is_some() || compared {
                self.ask(missing);
            }
        }
    }

    fn nothing(&self, ui: &mut Ui) {
        ui.heading(text::inspect::INSPECTOR).on_hover_text(text::inspect::HELP);
        ui.vertical_centered(|ui| {
            ui.add_space(ui.available_height() * 0.3);
            match (&self.trouble, self.subject) {
                (Some(why), _) => {
                    ui.label(why);
                }
                (None, Some(_)) => {
                    theme::spinner(ui, 28.0);
                    ui.label(text::inspect::WAITING);
                }
                (None, None) => {
                    ui.label(RichText::new(text::inspect::EMPTY).text_style(TextStyle::Heading));
                    ui.weak(text::inspect::EMPTY_HELP);
                }
            }
        });
    }

    /// What is looked at, and by which policy; whether the user wants newer figures.
    fn header(&self, ui: &mut Ui, seen: &Inspection) -> bool {
        let mut again = false;
        token::titled(ui, 420.0, |ui| {
            ui.heading(&seen.prompt).on_hover_text(text::inspect::HELP);
            ui.weak(text::inspect::sample_of(seen.question.update, seen.place));
        });
        ui.horizontal_wrapped(|ui| {
            ui.weak(text::inspect::seen_by(seen.policy));
            if self.update > seen.policy && self.waiting.is_empty() {
                again = ui.small_button(text::inspect::AGAIN).on_hover_text(text::inspect::AGAIN_HELP).clicked();
            }
            if self.waiting.iter().any(|question| question.prefix != seen.question.prefix) {
                theme::spinner(ui, 14.0);
                ui.weak(text::inspect::WRITING);
            }
        });
        if let Some(why) = &self.trouble {
            ui.colored_label(ui.visuals().warn_fg_color, why);
        }
        ui.add_space(4.0);
        again
    }

    /// All cards; the token that is to be put in, and where.
    fn cards(&mut self, ui: &mut Ui, seen: &Inspection) -> Option<(usize, u32)> {
        let mut put_in = None;
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
            let width = ui.available_width() - 4.0; // the frame around the keyboard's cell
            if width < TWO_COLUMNS {
                ui.set_max_width(width);
                self.picture(ui, seen, width);
                put_in = self.described(ui, seen);
                self.rewards(ui, seen);
                self.compare.show(ui, seen);
                self.nearest(ui, seen);
                return;
            }
            // As wide as the picture is, so that everything below it ends where it does.
            let left = film::fit(ui, seen.side, (width * 0.54).min(LARGEST));
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = 12.0;
                ui.vertical(|ui| {
                    ui.set_width(left);
                    self.picture(ui, seen, left);
                    self.compare.show(ui, seen);
                });
                ui.vertical(|ui| {
                    ui.set_width(width - left - 12.0);
                    put_in = self.described(ui, seen);
                    self.rewards(ui, seen);
                    self.nearest(ui, seen);
                });
            });
        });
        put_in
    }

    fn picture(&mut self, ui: &mut Ui, seen: &Inspection, width: f32) {
        let marked: Vec<usize> = self.edits.iter().map(|prefix| prefix.len() - 1).collect();
        let is_edited = !seen.question.prefix.is_empty();
        ui.scope(|ui| {
            ui.spacing_mut().item_spacing.y = 6.0;
            self.canvas.show(ui, seen, if is_edited { &marked } else { &[] }, width);
        });
        if is_edited {
            self.edited(ui, seen, &marked);
        }
    }

    /// The sample as drawn and as edited, and the way back.
    fn edited(&mut self, ui: &mut Ui, seen: &Inspection, marked: &[usize]) {
        let mut undo = false;
        theme::card(ui).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(text::inspect::put_in_at(marked)).on_hover_text(text::inspect::EDIT_HELP);
            let [_, _, drawn, edited, _] = &mut self.films;
            pair(
                ui,
                seen.side,
                [(text::inspect::DRAWN, drawn, &seen.drawn), (text::inspect::EDITED, edited, &seen.rgb)],
            );
            undo = ui.button(text::inspect::UNDO).on_hover_text(text::inspect::UNDO_HELP).clicked();
        });
        if undo {
            self.edits.pop();
            self.ask(None);
        }
    }

    /// The card of the token looked at; the candidate that is to be put in.
    fn described(&mut self, ui: &mut Ui, seen: &Inspection) -> Option<(usize, u32)> {
        let position = self.canvas.looked_at()?;
        let crops = self.crops.get(&position);
        token::show(ui, seen, position, crops, &mut self.films[4]).map(|id| (position, id))
    }

    fn rewards(&self, ui: &mut Ui, seen: &Inspection) {
        theme::card(ui).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 3.0;
            ui.strong(text::inspect::REWARDS).on_hover_text(text::inspect::REWARDS_HELP);
            ui.add_space(2.0);
            let help = text::inspect::REWARDS_HELP;
            for (name, value) in &seen.rewards {
                token::row(ui, &text::humanise(name), help, &text::number(*value));
            }
            let (instance, distribution) = seen.advantage;
            token::row(ui, text::INSTANCE, help, &text::signed(instance));
            token::row(ui, text::DISTRIBUTION, help, &text::signed(distribution));
            let pull = instance + seen.lambda * distribution;
            token::row(ui, text::inspect::TOTAL, text::inspect::TOTAL_HELP, &text::signed(pull));
            if let Some(in_loss) = seen.in_loss {
                token::row(ui, text::inspect::SEQUENCE, text::inspect::SEQUENCE_HELP, &text::number(in_loss.ratio));
            }
        });
    }

    fn nearest(&mut self, ui: &mut Ui, seen: &Inspection) {
        theme::card(ui).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.strong(text::inspect::NEAREST).on_hover_text(text::inspect::NEAREST_HELP);
            let Some(nearest) = &seen.nearest else {
                ui.weak(text::inspect::NO_NEAREST);
                return;
            };
            let [own, other, ..] = &mut self.films;
            pair(ui, seen.side, [(text::inspect::SAMPLE, own, &seen.rgb), (&nearest.name, other, &nearest.rgb)]);
            let words = ui.label(text::inspect::differs_by(nearest.distance));
            words.on_hover_text(text::inspect::measured(&nearest.protocol));
        });
    }
}

/// Two pictures beside each other, each over its name.
fn pair(ui: &mut Ui, side: usize, pictures: [(&str, &mut Film, &[u8]); 2]) {
    let room = ((ui.available_width() - 12.0) / 2.0).min(SMALL);
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing = vec2(12.0, 3.0);
        for (name, film, rgb) in pictures {
            ui.vertical(|ui| {
                ui.set_width(room);
                film.show(ui, rgb, side, room);
                ui.add(egui::Label::new(RichText::new(name).weak()).truncate()).on_hover_text(name);
            });
        }
    });
}

/// The token to begin with: the one that is pushed hardest, or the one that was the greatest surprise.
fn most_telling(seen: &Inspection) -> Option<usize> {
    let weight = |at: usize| match seen.tokens[at].pushed {
        Some(pushed) if pushed.push != 0.0 => (1, pushed.push.abs()),
        _ => (0, -seen.tokens[at].probability),
    };
    (0..seen.tokens.len()).max_by(|a, b| {
        let ((kind_a, a), (kind_b, b)) = (weight(*a), weight(*b));
        kind_a.cmp(&kind_b).then(a.total_cmp(&b))
    })
}

#[cfg(test)]
mod tests;
