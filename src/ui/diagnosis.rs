//! What is wrong with the run, why, and what helps; or that all is well, and what was looked at.

use eframe::egui::{
    self, Align, Button, CollapsingHeader, Color32, Label, Layout, Rect, RichText, Sense, Shape, Stroke, Ui,
    WidgetInfo, accesskit::Role, pos2, vec2,
};

use super::text::diagnosis as words;
use super::theme;
use crate::config::{Param, RunConfig};
use crate::session::History;
use crate::session::diagnosis::{Evidence, Finding, Remedy, Severity, Watch, watch};

/// Size of a sparkline, in points.
const SPARK: egui::Vec2 = vec2(76.0, 20.0);
/// Room for a figure's name, and for its two values, in points.
const NAME: f32 = 220.0;
const NUMBERS: f32 = 140.0;
/// Below this width a figure's name stands above its sparkline, not beside it.
const NARROW: f32 = 330.0;
/// Below this width a check's limit has no room beside its name.
const TIGHT: f32 = 290.0;
/// Side of a mark, in points.
const MARK: f32 = 13.0;
/// Before so many updates most checks have nothing to go by.
const EARLY: u64 = 12;
/// For so many updates after a knob was turned, it is not offered again: its effect is not to be seen yet.
const PATIENCE: f64 = 5.0;

/// What the user wants done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    /// A knob turned: the name of an entry of `PARAMS` and its new value as text.
    Set { name: String, value: String },
    /// The model as it was after this update. Wishes are to be granted in order: knobs are turned after a rewind.
    Rewind(u64),
}

/// The diagnosis pane.
#[derive(Default)]
pub(super) struct Pane {
    watches: Vec<Watch>,
    /// What the watches were computed from: edition and size of the history, and the settings.
    of: Option<((u64, usize), RunConfig)>,
}

/// The worst severity and the number of findings, for the tab; `None` where all is well.
pub(super) fn badge(findings: &[Finding]) -> Option<(Severity, usize)> {
    Some((findings.iter().map(|finding| finding.severity).max()?, findings.len()))
}

/// The colour of a severity. Its word and its mark always stand beside it.
pub(super) fn colour(ui: &Ui, severity: Severity) -> Color32 {
    match severity {
        Severity::Notice => theme::accent(ui),
        Severity::Warning => ui.visuals().warn_fg_color,
        Severity::Serious => ui.visuals().error_fg_color,
    }
}

impl Pane {
    /// Draws the pane; what the user wants done, in order. `findings` are those of `session::diagnosis::diagnose`.
    pub(super) fn show(
        &mut self,
        ui: &mut Ui,
        findings: &[Finding],
        history: &History,
        config: &RunConfig,
    ) -> Vec<Wish> {
        self.refresh(history, config);
        let mut wishes = Vec::new();
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 6.0;
            if findings.is_empty() {
                self.calm(ui, history.update());
                return;
            }
            ui.heading(words::found(findings.len())).on_hover_text(words::TITLE_HELP);
            for finding in findings {
                ui.push_id(finding.kind, |ui| card(ui, finding, history, config, &mut wishes));
            }
            CollapsingHeader::new(words::WATCHED)
                .default_open(false)
                .show_unindented(ui, |ui| self.watched(ui, findings));
        });
        wishes
    }

    fn refresh(&mut self, history: &History, config: &RunConfig) {
        let points: usize = history.names().map(|name| history.series(name).len()).sum();
        let measured = (history.edition(), points + history.knobs().len());
        if self.of.as_ref().is_none_or(|of| of.0 != measured || of.1 != *config) {
            self.watches = watch(history, config);
            self.of = Some((measured, config.clone()));
        }
    }

    /// Nothing is wrong: what was looked at.
    fn calm(&self, ui: &mut Ui, newest: u64) {
        let (title, help) = match newest {
            0 => (words::NOTHING, words::NOTHING_HELP),
            n if n < EARLY => (words::EARLY, words::EARLY_HELP),
            _ => (words::WELL, words::WELL_HELP),
        };
        ui.heading(title).on_hover_text(words::TITLE_HELP);
        ui.add(Label::new(RichText::new(help).weak()).wrap());
        ui.add_space(2.0);
        self.watched(ui, &[]);
    }

    /// The checks with their levels.
    fn watched(&self, ui: &mut Ui, findings: &[Finding]) {
        ui.spacing_mut().item_spacing = vec2(6.0, 3.0);
        for check in &self.watches {
            let (name, help) = words::watched(check.kind, &check.metric);
            let [level, limit] = words::level(check.kind, &check.metric, check.level, check.limit, check.below);
            let both = format!("{level}  ·  {limit}");
            // In little room the limit stands in the tooltip only.
            let written = if ui.available_width() < TIGHT { &level } else { &both };
            let beyond = |level: f64| if check.below { level < check.limit } else { level >= check.limit };
            let found = findings.iter().find(|finding| finding.kind == check.kind && check.level.is_some_and(beyond));
            let row = ui.horizontal(|ui| {
                mark(ui, check.level.is_some(), found.map(|finding| finding.severity));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    ui.label(RichText::new(written).small().weak());
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| ui.add(Label::new(&name).truncate()));
                });
            });
            row.response.on_hover_ui(|ui| {
                ui.strong(&name);
                ui.label(help);
                ui.weak(&both);
            });
        }
    }
}

/// A check mark, a triangle, or a dot where it is too early to say.
fn mark(ui: &mut Ui, known: bool, found: Option<Severity>) {
    let (rect, response) = ui.allocate_exact_size(vec2(MARK, MARK), Sense::hover());
    let at = |x: f32, y: f32| rect.min + vec2(x, y) * MARK;
    let says = match found {
        Some(severity) => {
            triangle(ui, rect, colour(ui, severity));
            words::MARK_FOUND
        }
        None if known => {
            let stroke = Stroke::new(1.8, theme::accent(ui));
            ui.painter().line(vec![at(0.15, 0.55), at(0.4, 0.8), at(0.88, 0.2)], stroke);
            words::MARK_WELL
        }
        None => {
            ui.painter().circle_filled(rect.center(), 1.8, ui.visuals().weak_text_color());
            words::TOO_EARLY
        }
    };
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, says));
}

fn triangle(ui: &Ui, rect: Rect, colour: Color32) {
    let rect = rect.shrink(1.0);
    let corners = vec![rect.left_bottom(), pos2(rect.center().x, rect.top()), rect.right_bottom()];
    ui.painter().add(Shape::convex_polygon(corners, colour, Stroke::NONE));
}

/// One finding: what, why, what speaks for it, what helps.
fn card(ui: &mut Ui, finding: &Finding, history: &History, config: &RunConfig, wishes: &mut Vec<Wish>) {
    let said = words::words(finding.kind);
    let colour = colour(ui, finding.severity);
    let frame = theme::card(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 4.0;
        ui.add(Label::new(RichText::new(said.what).strong().size(15.0)).wrap());
        ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(MARK, MARK), Sense::hover());
            triangle(ui, rect, colour);
            ui.label(RichText::new(words::since(finding.severity, finding.since)).small().color(colour));
        });
        ui.add(Label::new(said.why).wrap());
        for figure in &finding.evidence {
            evidence(ui, figure, finding.since, history, colour);
        }
        ui.add_space(2.0);
        ui.strong(words::HELPS);
        ui.add(Label::new(said.helps).wrap());
        buttons(ui, finding, history, config, wishes);
    });
    let edge = frame.response.rect;
    let stripe = Rect::from_min_max(edge.min + vec2(0.0, 6.0), pos2(edge.left() + 3.0, edge.bottom() - 6.0));
    ui.painter().rect_filled(stripe, 1.5, colour);
}

/// A figure's name, its curve in small, and its values then and now.
fn evidence(ui: &mut Ui, figure: &Evidence, since: u64, history: &History, colour: Color32) {
    let name = words::metric(&figure.metric);
    let says = words::spark(&name, figure.then, figure.now);
    let numbers = RichText::new(words::change(figure.then, figure.now)).monospace();
    let points = history.series(&figure.metric);
    if ui.available_width() < NARROW {
        ui.add(Label::new(&name).truncate());
        ui.horizontal(|ui| {
            spark(ui, points, since, colour, says);
            ui.add(Label::new(numbers).truncate());
        });
        return;
    }
    ui.horizontal(|ui| {
        // The same place for all curves of a card, whatever their names and numbers.
        let room = vec2((ui.available_width() - SPARK.x - NUMBERS).min(NAME), SPARK.y);
        ui.allocate_ui_with_layout(room, Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_width(room.x);
            ui.add(Label::new(&name).truncate())
        });
        spark(ui, points, since, colour, says);
        ui.label(numbers);
    });
}

/// A curve in small, with a line at the update at which the finding began.
fn spark(ui: &mut Ui, points: &[[f64; 2]], since: u64, colour: Color32, says: String) {
    let (rect, response) = ui.allocate_exact_size(SPARK, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, &says));
    response.on_hover_text(&says);
    let [first, .., last] = points else { return };
    // One value for each point of the screen: the mean of those that fall on it.
    let size = points.len().div_ceil(SPARK.x as usize);
    let mean = |chunk: &[[f64; 2]], axis: usize| chunk.iter().map(|p| p[axis]).sum::<f64>() / chunk.len() as f64;
    let thinned: Vec<[f64; 2]> = points.chunks(size).map(|chunk| [mean(chunk, 0), mean(chunk, 1)]).collect();
    let bounds = |(low, high): (f64, f64), p: &[f64; 2]| (low.min(p[1]), high.max(p[1]));
    let (low, high) = thinned.iter().fold((f64::INFINITY, f64::NEG_INFINITY), bounds);
    let inner = rect.shrink(2.0);
    let share = |value: f64, low: f64, high: f64| if high > low { ((value - low) / (high - low)) as f32 } else { 0.5 };
    let x = |update: f64| inner.left() + inner.width() * share(update, first[0], last[0]).clamp(0.0, 1.0);
    let y = |value: f64| inner.bottom() - inner.height() * share(value, low, high);
    let weak = ui.visuals().weak_text_color();
    ui.painter().vline(x(since as f64), rect.y_range(), Stroke::new(1.0, weak.gamma_multiply(0.6)));
    let line: Vec<egui::Pos2> = thinned.iter().map(|p| pos2(x(p[0]), y(p[1]))).collect();
    let end = line.last().copied();
    ui.painter().line(line, Stroke::new(1.4, theme::curve(ui, 0)));
    if let Some(end) = end {
        ui.painter().circle_filled(end, 2.2, colour);
    }
}

fn buttons(ui: &mut Ui, finding: &Finding, history: &History, config: &RunConfig, wishes: &mut Vec<Wish>) {
    let set = |remedy: &Remedy| Wish::Set { name: remedy.param.into(), value: remedy.value.clone() };
    let (waiting, offered): (Vec<&Remedy>, Vec<&Remedy>) =
        finding.remedies.iter().partition(|remedy| turned(history, remedy.param).is_some());
    let press = |ui: &mut Ui, label: String, help: &str| {
        let button = ui.add(Button::new(&label).wrap()).on_hover_text(help);
        button.clicked()
    };
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
        for remedy in &offered {
            let now = config.get(remedy.param).map_or_else(String::new, |value| value.to_string());
            let doc = Param::find(remedy.param).map_or("", |param| param.doc);
            if press(ui, words::set(remedy), &format!("{doc}\n\n{}", words::now(&now))) {
                wishes.push(set(remedy));
            }
        }
        if let Some(update) = finding.rewind_to {
            if press(ui, words::rewind(update), words::REWIND_HELP) {
                wishes.push(Wish::Rewind(update));
            }
            // Going back brings the old settings back and ends the finding: the knob is turned in the same breath.
            if let Some(remedy) = finding.remedies.first()
                && press(ui, words::rewind_and(update, remedy), words::REWIND_HELP)
            {
                wishes.extend([Wish::Rewind(update), set(remedy)]);
            }
        }
    });
    for remedy in waiting {
        if let Some(update) = turned(history, remedy.param) {
            ui.add(Label::new(RichText::new(words::wait(remedy.param, update)).small().weak()).wrap());
        }
    }
}

/// The update at which a knob was turned, if that is so recent that its effect is not to be seen yet.
fn turned(history: &History, param: &str) -> Option<u64> {
    let name = |knob: &str| knob.split_once(" =").is_some_and(|(name, _)| name == param);
    let last = history.knobs().iter().rev().find(|knob| name(&knob.1))?.0;
    (history.update() as f64 - last < PATIENCE).then_some(last as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Event;
    use crate::session::diagnosis::diagnose;
    use egui_kittest::{Harness, kittest::Queryable};

    /// A run that collapses at update 20, seen by the pane, and what was wished.
    struct Scene {
        pane: Pane,
        history: History,
        config: RunConfig,
        wishes: Vec<Wish>,
    }

    fn scene(updates: u64, fall: f64) -> Scene {
        let mut history = History::default();
        for update in 1..=updates {
            let past = update.saturating_sub(20) as f64;
            let metrics = [("reward", 1.4 + 0.003 * update as f64), ("diversity", 0.56 - fall * past), ("kl", 1e-3)];
            let metrics = metrics.map(|(name, value)| (name.to_string(), value)).into();
            history.observe(&Event::Update { update, metrics });
        }
        let config = RunConfig { loo_fid_weight: 0.0, ..Default::default() };
        Scene { pane: Pane::default(), history, config, wishes: vec![] }
    }

    fn open(scene: Scene, width: f32) -> Harness<'static, Scene> {
        let draw = |ui: &mut Ui, scene: &mut Scene| {
            let findings = diagnose(&scene.history, &scene.config);
            let wishes = scene.pane.show(ui, &findings, &scene.history, &scene.config);
            scene.wishes.extend(wishes);
        };
        let builder = Harness::builder().with_size([width, 900.0]).with_context_setup(theme::apply);
        builder.build_ui_state(draw, scene)
    }

    #[test]
    fn a_collapse_is_told_and_its_buttons_turn_the_knob_and_rewind() {
        for width in [240.0, 900.0] {
            let mut window = open(scene(40, 0.005), width);
            window.get_by_label("Pictures become alike");
            window.get_by_label_contains("Diversity of a batch: 0.56 at first");
            window.get_by_role_and_label(Role::Button, "Set LOO FID weight to 1").click();
            window.run_ok();
            let rewind = window.state().wishes.len();
            window.get_by_label_contains(", then set LOO FID weight to 1").click();
            window.run_ok();
            let set = Wish::Set { name: "loo_fid_weight".into(), value: "1".into() };
            let wishes = &window.state().wishes;
            assert_eq!((rewind, &wishes[0]), (1, &set));
            assert!(
                matches!(wishes[rewind..], [Wish::Rewind(update), ref last] if (20..30).contains(&update) && *last == set)
            );
        }
    }

    #[test]
    fn a_knob_just_turned_is_not_offered_again() {
        let mut scene = scene(40, 0.005);
        scene.history.observe(&Event::Changed { name: "loo_fid_weight".into(), value: "1".into() });
        let window = open(scene, 400.0);
        assert!(window.query_by_label("Set LOO FID weight to 1").is_none());
        window.get_by_label_contains("LOO FID weight was turned at update 40");
    }

    #[test]
    fn a_sound_run_shows_what_is_watched() {
        let window = open(scene(40, 0.0), 400.0);
        window.get_by_label("All is well");
        window.get_by_label("Diversity lost");
        window.get_by_label("0 %  ·  limit 7 %");
        open(scene(0, 0.0), 400.0).get_by_label("Nothing measured yet");
        open(scene(3, 0.0), 400.0).get_by_label("Nothing wrong so far");
    }

    #[test]
    fn the_badge_counts_and_shows_the_worst() {
        assert_eq!(badge(&[]), None);
        let Scene { history, config, .. } = scene(60, 0.005);
        let found = diagnose(&history, &config);
        assert_eq!(badge(&found), Some((Severity::Serious, found.len())));
    }
}
