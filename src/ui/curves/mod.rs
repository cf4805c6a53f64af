//! What has been measured so far, as small charts over a common axis of updates.

mod card;
mod chart;
mod scale;
mod smooth;

use std::collections::BTreeSet;

use eframe::egui::{
    Align, Button, ComboBox, Layout, Rangef, ScrollArea, Sense, Shape, Slider, Stroke, TextEdit, Ui, WidgetInfo,
    accesskit::Role, pos2, vec2,
};
use serde::{Deserialize, Serialize};

use self::chart::{Chart, Kind, Scene};
use self::scale::Sight;
use self::smooth::Smoother;
use super::text::charts::{CHARTS, Shown};
use super::text::curves as words;
use super::{text, theme};
use crate::config::RunConfig;
use crate::session::{History, Pyramid};

/// A second column starts where each chart has at least this width, in points.
const NARROWEST: f32 = 230.0;
/// From this width on all tools stand in one row.
const WIDE: f32 = 460.0;
/// Other runs that are drawn at once.
const MOST_OTHERS: usize = 3;
/// Dash and gap of another run's line, in points, by its place.
const DASHES: [(f32, f32); MOST_OTHERS] = [(8.0, 4.0), (4.0, 3.0), (1.5, 3.0)];
/// Places along the axis that turned knobs are gathered at.
const MARKERS: f64 = 120.0;

/// The curves pane: everything measured, and how.
#[derive(Default)]
pub(super) struct Pane {
    pub(super) history: History,
    pub(super) choices: Choices,
    others: Vec<Other>,
    filter: String,
    sight: Sight,
    /// Title of the chart that is drawn large.
    enlarged: Option<String>,
    /// The update under the pointer, in whichever chart it is.
    hovered: Option<f64>,
    smoother: Smoother,
}

/// What the user has chosen and will want again the next time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Choices {
    /// Weight of the past in the moving average; 0 shows the raw curves.
    smoothing: f64,
    /// Titles of the charts with a logarithmic scale.
    logarithmic: BTreeSet<String>,
}

/// Another run, for comparison.
struct Other {
    name: String,
    history: History,
}

impl Pane {
    /// Forgets the curves of this run; other runs and what the user has chosen stay.
    pub(super) fn clear(&mut self) {
        self.history = History::default();
        self.sight = Sight::All;
        self.smoother.clear();
    }

    /// Draws the curves of another run too. A run of the same name is replaced; beyond three the oldest goes.
    pub(super) fn overlay(&mut self, name: String, history: History) {
        self.others.retain(|other| other.name != name);
        if self.others.len() >= MOST_OTHERS {
            self.others.remove(0);
        }
        self.others.push(Other { name, history });
        self.smoother.clear();
    }

    /// Leaves out other runs that are not among these.
    pub(super) fn keep_others(&mut self, names: &[&str]) {
        if self.others.iter().any(|other| !names.contains(&other.name.as_str())) {
            self.others.retain(|other| names.contains(&other.name.as_str()));
            self.smoother.clear();
        }
    }

    /// Draws the pane; `config` holds the settings in force, and `paid` tells whether a part of the reward counts.
    /// Returns the name of a setting that the user wants to see.
    pub(super) fn show(
        &mut self,
        ui: &mut Ui,
        config: &RunConfig,
        paid: impl Fn(&str) -> bool,
    ) -> Option<&'static str> {
        self.tools(ui);
        self.legend(ui);
        ui.add_space(4.0);
        let newest = self.newest();
        let range = self.sight.range(newest);
        let mut scene =
            Scene { config, newest, range, hovered: self.hovered.take(), markers: self.markers(range), asked: None };
        let wanted = self.filter.trim().to_lowercase();
        let charts: Vec<Chart> = self.charts(paid).into_iter().filter(|chart| chart.has(&wanted)).collect();
        let (large, small): (Vec<_>, Vec<_>) =
            charts.iter().partition(|chart| self.enlarged.as_ref() == Some(&chart.title));
        let height = (ui.available_height() * 0.5).clamp(160.0, 420.0);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            if charts.is_empty() {
                ui.weak(words::NOTHING_FOUND);
            }
            ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
            for chart in large {
                self.chart(ui, chart, height, &mut scene);
            }
            let columns = ((ui.available_width() / NARROWEST) as usize).clamp(1, 3);
            ui.columns(columns, |columns| {
                let count = columns.len();
                for (index, chart) in small.into_iter().enumerate() {
                    self.chart(&mut columns[index % count], chart, chart::HEIGHT, &mut scene);
                }
            });
        });
        scene.asked
    }

    /// Everything that acts on all charts.
    fn tools(&mut self, ui: &mut Ui) {
        ui.horizontal(|ui| {
            ui.weak(words::ABOUT).on_hover_text(words::HELP);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let everything = ui.add_enabled(self.sight != Sight::All, Button::new(words::EVERYTHING));
                if everything.on_hover_text(words::EVERYTHING_HELP).clicked() {
                    self.sight = Sight::All;
                }
            });
        });
        if ui.available_width() >= WIDE {
            ui.horizontal(|ui| {
                self.find(ui, ui.available_width() - 320.0);
                self.range(ui);
                self.smoothing(ui);
            });
            ui.skip_ahead_auto_ids(1);
        } else {
            ui.horizontal(|ui| {
                self.find(ui, ui.available_width() - 116.0);
                self.range(ui);
            });
            ui.horizontal(|ui| self.smoothing(ui));
        }
    }

    fn find(&mut self, ui: &mut Ui, width: f32) {
        let find = TextEdit::singleline(&mut self.filter).hint_text(words::FIND);
        ui.add_sized(vec2(width, ui.spacing().interact_size.y), find).accessible_name(words::FIND);
    }

    fn range(&mut self, ui: &mut Ui) {
        let name = |sight: Sight| match sight {
            Sight::All => words::ALL_UPDATES.to_string(),
            Sight::Newest(count) => words::newest(count),
            Sight::Range(from, to) => words::updates(from, to),
        };
        let list = ComboBox::from_id_salt("updates in sight").selected_text(name(self.sight)).width(108.0).truncate();
        let list = list.show_ui(ui, |ui| {
            for sight in [Sight::All, Sight::Newest(100), Sight::Newest(1000), Sight::Newest(10_000)] {
                ui.selectable_value(&mut self.sight, sight, name(sight));
            }
        });
        list.response.on_hover_text(words::RANGE_HELP).accessible_name(words::RANGE);
    }

    fn smoothing(&mut self, ui: &mut Ui) {
        ui.label(words::SMOOTHING).on_hover_text(words::SMOOTHING_HELP);
        ui.spacing_mut().slider_width = (ui.available_width() - 46.0).clamp(40.0, 160.0);
        let slider = Slider::new(&mut self.choices.smoothing, 0.0..=smooth::MOST).step_by(0.005).show_value(false);
        ui.add(slider).on_hover_text(words::SMOOTHING_HELP).accessible_name(words::SMOOTHING);
        ui.monospace(text::number(self.choices.smoothing));
    }

    /// The weight of the past in the averages, whatever a file of choices has said.
    fn weight(&self) -> f64 {
        if self.choices.smoothing.is_finite() { self.choices.smoothing.clamp(0.0, smooth::MOST) } else { 0.0 }
    }

    /// Which line is which run, where others are drawn.
    fn legend(&mut self, ui: &mut Ui) {
        if self.others.is_empty() {
            // What follows keeps its identity when a run is added.
            return ui.skip_ahead_auto_ids(1);
        }
        let mut gone = None;
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 5.0;
            sample(ui, None);
            ui.label(words::THIS_RUN);
            for (place, other) in self.others.iter().enumerate() {
                ui.add_space(6.0);
                sample(ui, Some(place));
                let name: String = match other.name.chars().count() > 24 {
                    true => other.name.chars().take(23).chain(['…']).collect(),
                    false => other.name.clone(),
                };
                ui.label(name).on_hover_ui(|ui| {
                    ui.label(words::other_run(&other.name, other.history.update()));
                    if !other.history.protocol().is_empty() && other.history.protocol() != self.history.protocol() {
                        ui.label(words::OTHER_PROTOCOL);
                        ui.weak(other.history.protocol());
                    }
                });
                let remove = words::remove(&other.name);
                let cross = ui.add(Button::new("×").frame(false)).on_hover_text(&remove).accessible_name(remove);
                if cross.clicked() {
                    gone = Some(place);
                }
            }
        });
        if let Some(place) = gone {
            self.others.remove(place);
            self.smoother.clear();
        }
    }

    /// The charts of [`CHARTS`], with one for each part of the reward: those that are paid behind the first, the others,
    /// which are only measured, at the end.
    fn charts(&self, paid: impl Fn(&str) -> bool) -> Vec<Chart> {
        let names: BTreeSet<&str> =
            self.others.iter().map(|other| &other.history).chain([&self.history]).flat_map(History::names).collect();
        let part = |name| -> Option<&str> { str::strip_suffix(str::strip_prefix(name, "rewards/")?, "/mean") };
        let (mut first, last): (Vec<_>, Vec<_>) =
            names.iter().filter_map(|name| Some((part(name)?, *name))).partition(|(part, _)| paid(part));
        let draw = |(part, name): (&str, &str)| {
            let (title, help, formula) = words::reward_part(part);
            Chart { title, help, formula, kind: Kind::Part(part.into()), series: vec![name.into()] }
        };
        let mut charts = Vec::new();
        for listed in CHARTS {
            let series: Vec<String> =
                names.iter().filter(|name| matches(listed.metrics, name)).map(|name| name.to_string()).collect();
            let shown = match listed.shown {
                Shown::Always => true,
                Shown::Measured => !series.is_empty(),
                Shown::AboveZero => {
                    let largest = |name: &String| self.history.curve(name).and_then(Pyramid::extent);
                    series.iter().filter_map(largest).any(|(_, high)| high > 0.0)
                }
            };
            if shown {
                let (title, help, formula) = (listed.title.into(), listed.help.into(), listed.formula.into());
                charts.push(Chart { title, help, formula, kind: Kind::Listed(listed), series });
            }
            charts.extend(first.drain(..).map(draw));
        }
        charts.extend(last.into_iter().map(draw));
        charts
    }

    /// The newest update that any run has: all axes end there.
    fn newest(&self) -> f64 {
        self.others.iter().map(|other| &other.history).chain([&self.history]).map(History::update).max().unwrap_or(0)
            as f64
    }

    /// Turned knobs in sight, those that stand too near to tell apart together.
    fn markers(&self, (from, to): (f64, f64)) -> Vec<(f64, Vec<String>)> {
        let slot = (to - from).max(1.0) / MARKERS;
        let mut markers: Vec<(f64, Vec<String>)> = Vec::new();
        for (at, what) in self.history.knobs().iter().filter(|(at, _)| (from..=to).contains(at)) {
            match markers.last_mut() {
                Some((place, list)) if (at - *place).abs() < slot => list.push(what.clone()),
                _ => markers.push((*at, vec![what.clone()])),
            }
        }
        markers
    }
}

/// A piece of the line that a run is drawn with.
fn sample(ui: &mut Ui, place: Option<usize>) {
    let (rect, response) = ui.allocate_exact_size(vec2(24.0, 12.0), Sense::hover());
    response.widget_info(|| WidgetInfo::new(Role::GraphicsSymbol));
    let colour = theme::curve(ui, 0);
    let Rangef { min, max } = rect.x_range();
    let ends = [pos2(min, rect.center().y), pos2(max, rect.center().y)];
    match place.and_then(|place| DASHES.get(place)) {
        None => _ = ui.painter().line_segment(ends, Stroke::new(1.8, colour)),
        Some(&(dash, gap)) => {
            ui.painter().extend(Shape::dashed_line(&ends, Stroke::new(1.2, colour), dash, gap));
        }
    }
}

/// Whether `name` belongs to a chart: see [`text::charts::Chart::metrics`].
fn matches(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *pattern,
    })
}

#[cfg(test)]
mod tests;
