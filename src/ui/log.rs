//! What the engine said, newest last, and the banner of a run that cannot go on.

use std::collections::VecDeque;

use eframe::egui::{self, Color32, Frame, Margin, RichText, Stroke, Ui};

use super::text;

/// Older lines are forgotten.
const LONGEST: usize = 400;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Weight {
    /// To know.
    Notice,
    /// To act on.
    Warning,
}

/// A failure: what failed and why, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) error: String,
    pub(super) advice: String,
}

/// The log pane.
#[derive(Default)]
pub(super) struct Pane {
    lines: VecDeque<(u64, Weight, String)>,
    pub(super) failure: Option<Failure>,
}

impl Pane {
    /// Adds a line said during `update`.
    pub(super) fn say(&mut self, update: u64, weight: Weight, line: String) {
        self.lines.push_back((update, weight, line));
        if self.lines.len() > LONGEST {
            self.lines.pop_front();
        }
    }

    /// Draws the lines.
    pub(super) fn show(&self, ui: &mut Ui) {
        egui::ScrollArea::vertical().auto_shrink(false).stick_to_bottom(true).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 3.0;
            for (update, weight, line) in &self.lines {
                let colour = match weight {
                    Weight::Notice => ui.visuals().text_color(),
                    Weight::Warning => ui.visuals().warn_fg_color,
                };
                ui.horizontal_wrapped(|ui| {
                    ui.label(RichText::new(format!("{update:>5}")).monospace().weak());
                    if *weight == Weight::Warning {
                        ui.colored_label(colour, "▲");
                    }
                    ui.add(egui::Label::new(RichText::new(line).color(colour)).selectable(true).wrap());
                });
            }
        });
    }

    /// Draws the banner of a failed run; whether the user wants to start again.
    pub(super) fn banner(&self, ui: &mut Ui) -> bool {
        let Some(Failure { error, advice }) = &self.failure else { return false };
        let mut again = false;
        let colour = ui.visuals().error_fg_color;
        banner_frame(colour).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                ui.label(RichText::new(text::FAILED).color(colour).heading());
                again = ui.button(text::AGAIN).on_hover_text(text::AGAIN_HELP).clicked();
                if ui.button(text::COPY).clicked() {
                    ui.ctx().copy_text(format!("{error}\n{advice}"));
                }
            });
            ui.add(egui::Label::new(error).selectable(true).wrap());
            if !advice.is_empty() {
                ui.horizontal_wrapped(|ui| {
                    ui.strong(text::ADVICE);
                    ui.add(egui::Label::new(advice).selectable(true).wrap());
                });
            }
        });
        again
    }
}

fn banner_frame(colour: Color32) -> Frame {
    Frame::new()
        .fill(colour.gamma_multiply(0.12))
        .stroke(Stroke::new(1.0, colour))
        .corner_radius(8)
        .inner_margin(Margin::symmetric(12, 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_keeps_the_newest_lines_only() {
        let mut pane = Pane::default();
        (0..LONGEST as u64 + 5).for_each(|update| pane.say(update, Weight::Notice, "line".into()));
        assert_eq!(pane.lines.len(), LONGEST);
        assert_eq!(pane.lines.front().map(|line| line.0), Some(5));
    }
}
