//! Every setting of the run: a slider or field for what may be turned while it runs, plain text for what may not.

use std::collections::BTreeMap;

use eframe::egui::{
    self, Align, Button, Checkbox, CollapsingHeader, ComboBox, DragValue, Label, Layout, RichText, Slider, TextEdit,
    Ui, vec2,
};

use super::classroom::Limits;
use super::{anchor, text};
use crate::config::{Kind, PARAMS, PRESETS, Param, Preset, RunConfig};
use crate::session::Command;

/// Width of a field of words.
const FIELD: f32 = 104.0;
/// Width of a field of digits.
const NUMBER: f32 = 60.0;
/// Groups that are closed at first: they are seldom turned.
const CLOSED: [&str; 4] = ["Run", "Networks", "Evaluation", "Quirks"];

/// The settings pane.
pub(super) struct Pane {
    config: RunConfig,
    /// Numbers being dragged and texts being typed: sent when let go, so that a drag is one command.
    drafts: BTreeMap<&'static str, String>,
    filter: String,
    /// What a teacher's link fixes and hides.
    pub(super) limits: Limits,
    /// What to tell the user about a setting that could not be applied.
    pub(super) complaints: Vec<String>,
}

impl Pane {
    pub(super) fn new(config: RunConfig) -> Self {
        let (drafts, filter, limits, complaints) = Default::default();
        Self { config, drafts, filter, limits, complaints }
    }

    /// Takes the engine's own config.
    pub(super) fn replace(&mut self, config: RunConfig) {
        self.config = config;
        self.drafts.clear();
    }

    /// Takes in that a knob was turned.
    pub(super) fn changed(&mut self, name: &str, value: &str) {
        if let Err(error) = self.config.set(name, value) {
            self.complaints.push(text::invalid(name, &error.to_string()));
        }
    }

    /// The value of a setting that is a whole number.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.value(name).parse().ok()
    }

    /// The value of a setting that is a number; 0 for any other.
    pub(super) fn number(&self, name: &str) -> f64 {
        self.value(name).parse().unwrap_or(0.0)
    }

    /// The settings as they stand here.
    pub(super) fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Whether a part of the reward has any weight.
    pub(super) fn is_paid(&self, part: &str) -> bool {
        !same(&self.value(&format!("{part}_weight")), "0")
    }

    fn value(&self, name: &str) -> String {
        self.config.get(name).map_or_else(String::new, |value| value.to_string())
    }

    /// Turns a knob at once here, and by command in the engine.
    pub(super) fn set(&mut self, name: &str, value: String, commands: &mut Vec<Command>) {
        if self.is_fixed(name) {
            self.complaints.push(text::teach::stays(name));
            return;
        }
        match self.config.set(name, &value) {
            Ok(()) => commands.push(Command::Set { name: name.into(), value }),
            Err(error) => self.complaints.push(text::invalid(name, &error.to_string())),
        }
    }

    /// Whether a teacher's link has fixed the setting of this name.
    pub(super) fn is_fixed(&self, name: &str) -> bool {
        Param::find(name).is_ok_and(|param| self.limits.fix(param))
    }

    /// As [`Pane::set`], but silent about a refusal.
    fn try_set(&mut self, name: &str, value: String, commands: &mut Vec<Command>) -> bool {
        let permitted = self.config.set(name, &value).is_ok();
        if permitted {
            commands.push(Command::Set { name: name.into(), value });
        }
        permitted
    }

    /// Draws the menu of presets; the one that was chosen.
    pub(super) fn presets(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) -> Option<&'static str> {
        let mut chosen = None;
        let menu = ui.menu_button(text::PRESETS, |ui| {
            ui.set_width(340.0);
            for preset in PRESETS {
                let name = Button::new(RichText::new(preset.name).strong()).min_size(vec2(ui.available_width(), 0.0));
                if ui.add(name).on_hover_text(preset.source).clicked() {
                    self.choose(preset, commands);
                    chosen = Some(preset.name);
                    ui.close();
                }
                // A menu justifies its lines; a sentence should not be.
                ui.vertical(|ui| ui.add(Label::new(RichText::new(preset.sentence).weak()).wrap()));
                ui.add_space(6.0);
            }
        });
        anchor::mark(ui, "presets", menu.response.rect);
        menu.response.on_hover_text(text::PRESETS_HELP);
        chosen
    }

    /// Turns the knobs as a preset has them, and says which of its settings cannot be turned any more. What no preset
    /// is about, such as the length of the run, stays as it is.
    fn choose(&mut self, preset: &Preset, commands: &mut Vec<Command>) {
        let Ok(target) = RunConfig::preset(preset.name) else { return };
        let names = |preset: &Preset, param: &Param| preset.set.iter().any(|(name, _)| *name == param.name);
        let meant = |param: &&Param| {
            names(preset, param) || param.group != "Run" && PRESETS.iter().any(|other| names(other, param))
        };
        let (taught, free): (Vec<_>, Vec<_>) = PARAMS
            .iter()
            .filter(meant)
            .filter_map(|param| {
                Some((param, target.get(param.name).filter(|v| self.config.get(param.name).as_ref() != Some(v))?))
            })
            .partition(|(param, _)| self.limits.fix(param));
        let (live, fixed): (Vec<_>, Vec<_>) = free.into_iter().partition(|(param, _)| param.live);
        // Two values may be permitted in one order only: what is refused is tried again once the others stand.
        let refused: Vec<_> =
            live.into_iter().filter(|(p, v)| !self.try_set(p.name, v.to_string(), commands)).collect();
        refused.into_iter().for_each(|(param, value)| self.set(param.name, value.to_string(), commands));
        for (left, words) in
            [(fixed, text::preset_left_out as fn(&str, &str) -> String), (taught, text::teach::preset_left)]
        {
            let names: Vec<String> = left.iter().map(|(param, _)| text::humanise(param.name)).collect();
            self.complaints.extend((!names.is_empty()).then(|| words(preset.name, &names.join(", "))));
        }
    }

    /// Draws the pane and adds what was turned.
    pub(super) fn show(&mut self, ui: &mut Ui, ready: bool, commands: &mut Vec<Command>) {
        let find = TextEdit::singleline(&mut self.filter).hint_text(text::FIND).desired_width(f32::INFINITY);
        ui.add(find).accessible_name(text::FIND);
        ui.add_space(2.0);
        let wanted = self.filter.trim().to_lowercase();
        let found = |param: &&Param| {
            wanted.is_empty()
                || [param.name, &text::humanise(param.name), param.doc]
                    .iter()
                    .any(|t| t.to_lowercase().contains(&wanted))
        };
        let mut groups: Vec<(&str, Vec<&'static Param>)> = Vec::new();
        for param in PARAMS.iter().filter(|param| found(param) && !self.limits.hide(param)) {
            match groups.iter_mut().find(|(group, _)| *group == param.group) {
                Some((_, params)) => params.push(param),
                None => groups.push((param.group, vec![param])),
            }
        }
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            if groups.is_empty() {
                ui.weak(text::NOTHING_FOUND);
            }
            for (group, mut params) in groups {
                params.sort_by_key(|param| !param.live);
                let header = CollapsingHeader::new(RichText::new(text::humanise(group)).strong());
                let header = header.default_open(!CLOSED.contains(&group)).open((!wanted.is_empty()).then_some(true));
                header.show_unindented(ui, |ui| {
                    ui.spacing_mut().item_spacing.y = 4.0;
                    for param in params {
                        match param.live {
                            true => self.adjustable(ui, param, ready, commands),
                            false => self.fixed(ui, param),
                        }
                    }
                    ui.add_space(8.0);
                });
            }
        });
    }

    /// Shows the setting of this name.
    pub(super) fn seek(&mut self, name: &str) {
        self.filter = text::humanise(name);
    }

    /// Draws one setting by itself; whether it is shown at all.
    pub(super) fn fader(&mut self, ui: &mut Ui, name: &str, commands: &mut Vec<Command>) -> bool {
        let param = Param::find(name).ok().filter(|param| !self.limits.hide(param));
        param.into_iter().for_each(|param| self.adjustable(ui, param, true, commands));
        param.is_some()
    }

    /// A setting that may be turned, if no teacher's link has fixed it.
    fn adjustable(&mut self, ui: &mut Ui, param: &'static Param, ready: bool, commands: &mut Vec<Command>) {
        let taught = self.limits.fix(param);
        let row = ui.add_enabled_ui(ready && !taught, |ui| self.live(ui, param, commands));
        if taught {
            row.response.on_disabled_hover_ui(|ui| {
                help(ui, param);
                ui.label(text::teach::FIXED);
            });
        }
    }

    /// A setting that cannot be turned any more.
    fn fixed(&self, ui: &mut Ui, param: &Param) {
        let row = ui.horizontal(|ui| {
            let name = ui.add(Label::new(RichText::new(label(param)).weak()).truncate());
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.add(Label::new(RichText::new(written(param, &self.value(param.name))).weak()).truncate());
            });
            name
        });
        for response in [row.inner, row.response] {
            response.on_hover_ui(|ui| {
                help(ui, param);
                ui.label(text::FIXED);
            });
        }
    }

    /// A setting that may be turned.
    fn live(&mut self, ui: &mut Ui, param: &'static Param, commands: &mut Vec<Command>) {
        let now = self.drafts.get(param.name).cloned().unwrap_or_else(|| self.value(param.name));
        let name = text::humanise(param.name);
        let default = param.default.to_string();
        let mut turn = Turn::default();
        let row = ui.horizontal(|ui| {
            // The field first, from the right: the name takes what room is left.
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                turn.field(ui, param, &now);
                let back = text::reset_to_default(&name, &written(param, &default));
                let button = Button::new("↺").frame(false).min_size(vec2(18.0, 18.0));
                let button = ui.add_visible(!same(&now, &default), button).on_hover_text(&back).accessible_name(back);
                if button.clicked() {
                    turn.to = Some(default);
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.add(Label::new(label(param)).truncate()).on_hover_ui(|ui| help(ui, param));
                });
            });
        });
        anchor::mark(ui, &format!("setting/{}", param.name), row.response.rect);
        let range = match param.kind {
            Kind::Float { min, max, log } => Some((min, max, log, 0.0)),
            // Small counts are the common ones: a long range is drawn out at its lower end.
            Kind::Int { min, max } => Some((min as f64, max as f64, max - min > 100, 1.0)),
            _ => None,
        };
        if let Some((min, max, log, step)) = range {
            let mut number = now.parse().unwrap_or(min);
            ui.spacing_mut().interact_size.y = 14.0;
            ui.spacing_mut().slider_width = ui.available_width() - 4.0;
            let slider = Slider::new(&mut number, min..=max).logarithmic(log).step_by(step).show_value(false);
            let slider = ui.add(slider).on_hover_ui(|ui| help(ui, param)).accessible_name(name);
            turn.number(&slider, number);
        }
        if let Some(value) = turn.to {
            self.drafts.insert(param.name, value);
        }
        if !turn.held
            && let Some(value) = self.drafts.remove(param.name)
            && !same(&value, &self.value(param.name))
        {
            self.set(param.name, value, commands);
        }
    }
}

/// What the user does with one setting in this frame.
#[derive(Default)]
struct Turn {
    /// The value now wanted.
    to: Option<String>,
    /// The user has not let go yet: there may be more to come.
    held: bool,
}

impl Turn {
    /// Takes in a number that may be dragged.
    fn number(&mut self, response: &egui::Response, number: f64) {
        if response.changed() {
            self.to = Some(text::number(number));
        }
        self.held |= response.dragged();
    }

    /// Draws the field of a setting.
    fn field(&mut self, ui: &mut Ui, param: &Param, now: &str) {
        let name = text::humanise(param.name);
        let size = vec2(NUMBER, ui.spacing().interact_size.y);
        let response = match param.kind {
            Kind::Float { min, max, .. } => {
                let mut number = now.parse().unwrap_or(min);
                let speed = (f64::abs(number) * 0.01).max((max - min) * 1e-5);
                let drag = DragValue::new(&mut number).range(min..=max).speed(speed).update_while_editing(false);
                let drag = drag.custom_formatter(|x, _| text::number(x)).custom_parser(|t| t.trim().parse().ok());
                let response = ui.add_sized(size, drag).accessible_name(text::value_of(&name));
                self.number(&response, number);
                response
            }
            Kind::Int { min, max } => {
                let mut number: i64 = now.parse().unwrap_or(min);
                let drag = DragValue::new(&mut number).range(min..=max).speed(0.1).update_while_editing(false);
                let response = ui.add_sized(size, drag).accessible_name(text::value_of(&name));
                if response.changed() {
                    self.to = Some(number.to_string());
                }
                self.held |= response.dragged();
                response
            }
            Kind::Bool => {
                let mut on = now == "true";
                let response = ui.add(Checkbox::without_text(&mut on)).accessible_name(name);
                if response.changed() {
                    self.to = Some(on.to_string());
                }
                response
            }
            Kind::Choice(choices) => {
                let list = ComboBox::from_id_salt(param.name).selected_text(now).width(FIELD).truncate();
                let list = list.show_ui(ui, |ui| {
                    for choice in choices {
                        if ui.selectable_label(now == *choice, *choice).clicked() {
                            self.to = Some(choice.to_string());
                        }
                    }
                });
                list.response.accessible_name(name)
            }
            Kind::Text => {
                let mut words = now.to_string();
                let response =
                    ui.add_sized(vec2(FIELD, size.y), TextEdit::singleline(&mut words)).accessible_name(name);
                if response.changed() {
                    self.to = Some(words);
                }
                self.held |= response.has_focus();
                response
            }
        };
        response.on_hover_ui(|ui| help(ui, param));
    }
}

/// A setting's name with its unit.
fn label(param: &Param) -> String {
    let name = text::humanise(param.name);
    if param.unit.is_empty() || name.to_lowercase().contains(param.unit) {
        name
    } else {
        format!("{name}, {}", param.unit)
    }
}

/// A value as the fields write it.
fn written(param: &Param, value: &str) -> String {
    match (param.kind, value.parse()) {
        (Kind::Float { .. }, Ok(number)) => text::number(number),
        _ => value.into(),
    }
}

/// A setting's tooltip.
fn help(ui: &mut Ui, param: &Param) {
    ui.strong(label(param));
    ui.label(param.doc);
    ui.weak(text::permitted(&param.kind.to_string()));
    ui.monospace(text::as_argument(param.name, &param.default.to_string()));
}

/// Whether two texts stand for the same value.
fn same(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_turns_the_live_knobs_only_and_names_the_others() {
        let mut pane = Pane::new(RunConfig::default());
        let mut commands = Vec::new();
        let paper = PRESETS.iter().find(|preset| preset.name == "paper").unwrap();
        pane.choose(paper, &mut commands);
        let set = |wanted: &str| commands.iter().any(|c| matches!(c, Command::Set { name, .. } if name == wanted));
        assert!(set("learning_rate") && set("prompts") && !set("num_generations"));
        assert!(pane.complaints[0].contains("Num generations"));
        commands.clear();
        pane.choose(&PRESETS[0], &mut commands);
        assert_eq!(Some(pane.value("learning_rate")), RunConfig::default().get("learning_rate").map(|v| v.to_string()));
        assert_eq!(pane.count("updates"), Some(600));
    }

    #[test]
    fn a_refused_value_is_reported_and_not_sent() {
        let mut pane = Pane::new(RunConfig::default());
        let mut commands = Vec::new();
        pane.set("temperature", "-1".into(), &mut commands);
        assert!(commands.is_empty() && pane.complaints[0].starts_with("Temperature"));
    }
}
