//! What has been measured so far, as small charts over a common axis of updates.

use std::collections::BTreeMap;

use eframe::egui::{self, Align, Color32, FontId, Id, Layout, RichText, Ui, WidgetInfo, accesskit::Role, vec2};
use egui_plot::{AxisHints, Corner, HLine, HoverPosition, Legend, Line, LineStyle, Plot, PlotPoints, Points, VLine};

use super::{text, theme};
use crate::session::History;

/// A second column starts where each chart has at least this width, in points.
const NARROWEST: f32 = 230.0;
const HEIGHT: f32 = 76.0;
/// Size of the numbers at the axes, in points.
const MARKS: f32 = 10.0;
/// Curves with fewer points also show the points themselves.
const FEW: usize = 40;

/// The curves pane: everything measured, and how.
#[derive(Default)]
pub(super) struct Pane {
    pub(super) history: History,
    /// How the newest evaluation was made.
    pub(super) protocol: String,
}

/// One chart, with the metrics that it draws now.
struct Chart<'a> {
    title: String,
    help: String,
    series: Vec<&'a str>,
    /// A rare measurement of the whole model, with the untouched model as its first point.
    evaluation: bool,
}

impl Pane {
    /// Forgets all curves.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Draws the pane; `paid` tells whether a part of the reward counts.
    pub(super) fn show(&self, ui: &mut Ui, paid: impl Fn(&str) -> bool) {
        ui.heading(text::CURVES).on_hover_text(text::CURVES_HELP);
        ui.add_space(4.0);
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let columns = ((ui.available_width() / NARROWEST) as usize).clamp(1, 3);
            ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
            let charts = self.charts(paid);
            ui.columns(columns, |columns| {
                let count = columns.len();
                for (index, chart) in charts.iter().enumerate() {
                    self.chart(&mut columns[index % count], chart);
                }
            });
        });
    }

    /// The charts of [`text::CHARTS`], with one for each part of the reward: those that are paid behind the first, the
    /// others, which are only measured, at the end.
    fn charts(&self, paid: impl Fn(&str) -> bool) -> Vec<Chart<'_>> {
        let part = |name| -> Option<&str> { str::strip_suffix(str::strip_prefix(name, "rewards/")?, "/mean") };
        let (mut first, last): (Vec<_>, Vec<_>) =
            self.history.names().filter_map(|name| Some((part(name)?, name))).partition(|(part, _)| paid(part));
        let draw = |(part, name)| {
            let (title, help) = text::reward_part(part);
            Chart { title, help, series: vec![name], evaluation: false }
        };
        let mut charts = Vec::new();
        for chart in text::CHARTS {
            let series: Vec<&str> = self.history.names().filter(|name| matches(chart.metrics, name)).collect();
            if chart.always || !series.is_empty() {
                let evaluation = series.first().is_some_and(|name| name.starts_with("eval/"));
                charts.push(Chart { title: chart.title.into(), help: chart.help.into(), series, evaluation });
            }
            charts.extend(first.drain(..).map(draw));
        }
        charts.extend(last.into_iter().map(draw));
        charts
    }

    /// The newest update that any curve has: all axes end there.
    fn newest(&self) -> f64 {
        let ends = self.history.names().filter_map(|name| self.history.series(name).last());
        ends.map(|point| point[0]).fold(0.0, f64::max)
    }

    fn chart(&self, ui: &mut Ui, chart: &Chart<'_>) {
        theme::card(ui).show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(6.0, 2.0);
            self.title(ui, chart);
            if chart.series.is_empty() {
                let room = vec2(ui.available_width(), HEIGHT * 0.4);
                ui.allocate_ui_with_layout(room, Layout::centered_and_justified(egui::Direction::TopDown), |ui| {
                    ui.weak(text::NO_POINTS)
                });
            } else {
                self.plot(ui, chart);
            }
        });
    }

    fn title(&self, ui: &mut Ui, chart: &Chart<'_>) {
        ui.horizontal(|ui| {
            let title = ui.add(egui::Label::new(RichText::new(&chart.title).strong()).truncate());
            title.on_hover_ui(|ui| {
                ui.strong(&chart.title);
                ui.label(&chart.help);
                if chart.evaluation && !self.protocol.is_empty() {
                    ui.weak(&self.protocol);
                }
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if let [name] = chart.series[..]
                    && let Some(value) = self.history.last(name)
                {
                    ui.label(RichText::new(text::number(value)).monospace().color(theme::curve(ui, 0)));
                }
            });
        });
    }

    fn plot(&self, ui: &mut Ui, chart: &Chart<'_>) {
        let names = short(&chart.series);
        let colours: Vec<Color32> = (0..names.len()).map(|index| theme::curve(ui, index)).collect();
        let weak = ui.visuals().weak_text_color();
        let linked = Id::unique("updates");
        let marks = |axis: AxisHints<'static>, room| {
            axis.tick_label_font(FontId::proportional(MARKS)).tick_label_color(weak).label_spacing(room)
        };
        let x_axis = marks(AxisHints::new_x(), 24.0..=36.0).formatter(|mark, _| whole(mark.value));
        let y_axis = marks(AxisHints::new_y(), 12.0..=18.0)
            .formatter(|mark, _| text::number(tidy(mark.value, mark.step_size)))
            .min_thickness(34.0);
        let plot = Plot::new(&chart.title)
            .height(HEIGHT)
            .link_axis(linked, [true, false])
            .link_cursor(linked, [true, false])
            .allow_zoom([true, false])
            .allow_drag([true, false])
            .allow_scroll(false)
            .allow_boxed_zoom(false)
            .show_background(false)
            .include_x(0.0)
            .include_x(self.newest().max(1.0))
            .set_margin_fraction(vec2(0.02, 0.12))
            .custom_x_axes(vec![x_axis])
            .custom_y_axes(vec![y_axis])
            .label_formatter(|at| match at {
                HoverPosition::NearDataPoint { plot_name, position, .. } => {
                    Some(format!("{plot_name}\nupdate {}\n{}", whole(position.x.round()), text::number(position.y)))
                }
                HoverPosition::Elsewhere { .. } => None,
            });
        let several = names.len() > 1;
        let plot = if several {
            plot.legend(
                Legend::default().position(Corner::LeftTop).text_style(egui::TextStyle::Small).background_alpha(0.6),
            )
        } else {
            plot
        };
        let shown = plot.show(ui, |plot| {
            for (update, what) in self.history.knobs() {
                // A name would put it into the legend, where there is one.
                let line = VLine::new(if several { "" } else { what }, *update)
                    .color(weak)
                    .width(1.0)
                    .style(LineStyle::dotted_dense());
                plot.vline(line.allow_hover(true).id(("knob", what, update.to_bits())));
            }
            for ((name, label), colour) in chart.series.iter().zip(&names).zip(colours) {
                let points = self.history.series(name);
                // Only a point at update 0 is the untouched model.
                if chart.evaluation
                    && !several
                    && let [first, _, ..] = points
                    && first[0] == 0.0
                {
                    let line = HLine::new(text::BASELINE, first[1]).color(weak).width(1.0);
                    plot.hline(line.style(LineStyle::dashed_dense()));
                }
                plot.line(Line::new(label, PlotPoints::new(points.to_vec())).color(colour).width(1.8));
                if points.len() < FEW {
                    let dots = Points::new(label, PlotPoints::new(points.to_vec())).color(colour).radius(2.2);
                    plot.points(dots.allow_hover(false));
                }
            }
        });
        shown.response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, &chart.title));
    }
}

/// Whether `name` belongs to a chart: see [`text::Chart::metrics`].
fn matches(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *pattern,
    })
}

/// Names of curves for a legend: without what they all begin with.
fn short(names: &[&str]) -> Vec<String> {
    let folders: BTreeMap<&str, ()> = names.iter().map(|n| (n.rsplit_once('/').map_or("", |(f, _)| f), ())).collect();
    names
        .iter()
        .map(|name| match name.rsplit_once('/') {
            Some((_, last)) if folders.len() == 1 => text::humanise(last),
            _ => text::humanise(name.strip_prefix("eval/").unwrap_or(name)),
        })
        .collect()
}

/// Updates are whole: a mark between two of them has no number.
fn whole(value: f64) -> String {
    if (value - value.round()).abs() < 1e-6 { format!("{}", value.round()) } else { String::new() }
}

/// A mark of the axis without the rounding error of its place.
fn tidy(value: f64, step: f64) -> f64 {
    if step > 0.0 && value.abs() < step * 1e-6 { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Event;

    #[test]
    fn parts_of_the_reward_that_are_paid_stand_behind_it_and_the_others_at_the_end() {
        let mut pane = Pane::default();
        let names = ["reward", "rewards/clip/mean", "rewards/colour/mean", "kl"];
        let metrics = names.map(|name| (name.to_string(), 1.0)).into();
        pane.history.observe(&Event::Update { update: 1, metrics });
        let charts = pane.charts(|part| part == "clip");
        assert_eq!(charts[0].series, ["reward"]);
        assert_eq!(charts[1].title, "Reward: CLIP");
        assert_eq!(charts.last().map(|chart| chart.title.as_str()), Some("Reward: Colour"));
        assert!(charts.iter().any(|chart| chart.series == ["kl"]));
    }

    #[test]
    fn patterns_match_whole_names_and_beginnings() {
        let patterns = ["kl", "clip_ratio/*"];
        assert!(matches(&patterns, "kl") && matches(&patterns, "clip_ratio/low"));
        assert!(!matches(&patterns, "kl/max") && !matches(&patterns, "clip"));
    }

    #[test]
    fn a_legend_leaves_out_what_all_names_share() {
        assert_eq!(short(&["clip_ratio/high", "clip_ratio/low"]), ["High", "Low"]);
        assert_eq!(short(&["eval/recall", "kl"]), ["Recall", "KL"]);
    }
}
