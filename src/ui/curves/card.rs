//! What a curve means: the formula, the same with the newest numbers, how it is measured, and what acts on it.

use eframe::egui::{Button, Label, RichText, ScrollArea, Ui, vec2};

use super::chart::{Chart, Kind};
use crate::config::Param;
use crate::ui::text::charts::Source;
use crate::ui::text::curves as words;
use crate::ui::text::worked::{self, Known};
use crate::ui::{text, theme};

const WIDTH: f32 = 350.0;

/// Draws the card and returns the name of a setting that the user wants to see.
pub(super) fn show(ui: &mut Ui, chart: &Chart, known: &Known<'_>) -> Option<&'static str> {
    ui.set_width(WIDTH.min(ui.ctx().content_rect().width() - 40.0));
    let most = ui.ctx().content_rect().height() - 60.0;
    ScrollArea::vertical()
        .max_height(most)
        .min_scrolled_height(most)
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(6.0, 4.0);
            ui.strong(&chart.title);
            ui.add(Label::new(&chart.help).wrap());
            part(ui, words::FORMULA, |ui| formula(ui, &chart.formula));
            let numbers = match &chart.kind {
                Kind::Listed(listed) => (listed.worked)(known),
                Kind::Part(name) => worked::reward_part(known, name),
            };
            // An evaluation is as old as it says itself.
            let newest = chart.series.iter().filter_map(|name| known.history.series(name).last()).map(|p| p[0]);
            let heading = words::with_numbers(newest.fold(0.0, f64::max) as u64);
            match numbers {
                Some(numbers) => part(ui, &heading, |ui| formula(ui, &numbers)),
                None => _ = ui.weak(words::NO_NUMBERS),
            }
            let source = chart.source();
            part(ui, words::MEASURED, |ui| _ = ui.add(Label::new(worked::measured(source, known)).wrap()));
            let mut asked = None;
            let settings: Vec<&'static str> = match &chart.kind {
                Kind::Listed(listed) => listed.settings.to_vec(),
                Kind::Part(name) => part_settings(name),
            };
            if !settings.is_empty() {
                part(ui, words::SETTINGS, |ui| {
                    ui.horizontal_wrapped(|ui| {
                        for name in settings {
                            let button = ui.add(Button::new(text::humanise(name)).small());
                            if button.on_hover_text(words::SETTINGS_HELP).clicked() {
                                asked = Some(name);
                                ui.close();
                            }
                        }
                    });
                });
            }
            asked
        })
        .inner
}

/// The settings of one part of the reward.
fn part_settings(name: &str) -> Vec<&'static str> {
    let more: &[&str] = if name == "loo_fid" { &["lambda_fid", "ema_beta", "loo_fid_form"] } else { &[] };
    let weight = format!("{name}_weight");
    let names = [weight.as_str()].into_iter().chain(more.iter().copied());
    names.filter_map(|name| Param::find(name).ok()).map(|param| param.name).collect()
}

fn part(ui: &mut Ui, heading: &str, content: impl FnOnce(&mut Ui)) {
    ui.add_space(4.0);
    ui.label(RichText::new(heading).small().weak());
    content(ui);
}

fn formula(ui: &mut Ui, lines: &str) {
    theme::card(ui).fill(ui.visuals().extreme_bg_color).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.add(Label::new(RichText::new(lines).monospace()).wrap().selectable(true));
    });
}

impl Chart {
    /// What its figures are measured on.
    pub(super) fn source(&self) -> Source {
        match &self.kind {
            Kind::Listed(listed) => listed.source,
            Kind::Part(_) => Source::Pictures,
        }
    }
}
