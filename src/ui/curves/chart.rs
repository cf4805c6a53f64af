//! One chart: its title, its newest numbers and its plot.

use eframe::egui::{
    self, Align, Button, Color32, Direction, FontId, Id, Label, Layout, Popup, PopupAnchor, PopupCloseBehavior, Rect,
    Response, RichText, Sense, Tooltip, Ui, WidgetInfo, accesskit::Role, vec2,
};
use egui_plot::{AxisHints, FilledArea, HLine, Line, LineStyle, Plot, PlotPoints, PlotUi, Points, VLine};

use super::scale::{self, Sight};
use super::{Pane, card};
use crate::config::RunConfig;
use crate::session::Pyramid;
use crate::ui::text::charts::{self, Source};
use crate::ui::text::curves as words;
use crate::ui::text::worked::Known;
use crate::ui::{anchor, text, theme};

/// Height of a plot that is not enlarged, in points.
pub(super) const HEIGHT: f32 = 76.0;
/// Size of the numbers at the axes, in points.
const MARKS: f32 = 10.0;
/// Curves with fewer points in sight also show the points themselves.
const FEW: usize = 40;
/// A line of more points is not dashed: it is too rough to follow in pieces, and each piece costs.
const DENSE: usize = 160;
/// What steers the entropy; drawn as a dashed line in its band.
const TARGET: &str = "entropy_target";
/// Room left of a plot for the numbers of its axis, in points.
const AXIS: f32 = 34.0;
/// From here to the pointer a turned knob counts as pointed at, in points.
const NEAR: f64 = 6.0;

/// One chart, with the metrics that it draws now.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) help: String,
    pub(super) formula: String,
    pub(super) kind: Kind,
    pub(super) series: Vec<String>,
}

/// Where a chart's words come from.
pub(super) enum Kind {
    /// The table of charts.
    Listed(&'static charts::Chart),
    /// A part of the reward, by its name.
    Part(String),
}

/// What all charts of a frame share.
pub(super) struct Scene<'a> {
    pub(super) config: &'a RunConfig,
    /// The newest update.
    pub(super) newest: f64,
    /// The ends of the axis.
    pub(super) range: (f64, f64),
    /// The update under the pointer.
    pub(super) hovered: Option<f64>,
    /// Updates at which knobs were turned, with what they became.
    pub(super) markers: Vec<(f64, Vec<String>)>,
    /// A setting that the user wants to see.
    pub(super) asked: Option<&'static str>,
}

/// A line that is ready to be drawn.
struct Stroke {
    id: (usize, usize, bool),
    points: Vec<[f64; 2]>,
    colour: Color32,
    width: f32,
    style: LineStyle,
    dots: bool,
}

impl Chart {
    /// Whether a text in small letters is found in it; every chart has the empty one.
    pub(super) fn has(&self, wanted: &str) -> bool {
        let texts = [&self.title, &self.help].into_iter().chain(&self.series);
        wanted.is_empty() || texts.into_iter().any(|text| text.to_lowercase().contains(wanted))
    }
}

impl Pane {
    /// Draws a chart, `height` points high without its title.
    pub(super) fn chart(&mut self, ui: &mut Ui, chart: &Chart, height: f32, scene: &mut Scene<'_>) {
        ui.push_id(&chart.title, |ui| {
            let card = theme::card(ui).show(ui, |ui| {
                ui.spacing_mut().item_spacing = vec2(6.0, 2.0);
                self.title(ui, chart, scene);
                if chart.series.is_empty() {
                    let room = vec2(ui.available_width(), height * 0.4);
                    let layout = Layout::centered_and_justified(Direction::TopDown);
                    ui.allocate_ui_with_layout(room, layout, |ui| ui.weak(words::NO_POINTS));
                } else {
                    self.numbers(ui, chart, scene);
                    self.plot(ui, chart, height, scene);
                }
            });
            let name = format!("curve/{}", chart.title);
            if anchor::is_known(&name) {
                anchor::mark(ui, &name, card.response.rect);
            }
        });
    }

    fn title(&mut self, ui: &mut Ui, chart: &Chart, scene: &mut Scene<'_>) {
        let positive = self.is_positive(chart);
        ui.horizontal(|ui| {
            // The tools first, from the right: the name takes what room is left.
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.spacing_mut().button_padding = vec2(4.0, 2.0);
                let large = self.enlarged.as_ref() == Some(&chart.title);
                let name = if large { words::shrink(&chart.title) } else { words::enlarge(&chart.title) };
                let button = Button::new("").frame_when_inactive(false).min_size(vec2(20.0, 18.0)).selected(large);
                let button = ui.add(button);
                corners(ui, &button, large);
                if button.on_hover_text(&name).accessible_name(name).clicked() {
                    self.enlarge(&chart.title);
                }
                if !chart.series.is_empty() {
                    let name = words::logarithmic(&chart.title);
                    let on = positive && self.choices.logarithmic.contains(&chart.title);
                    let button = Button::selectable(on, RichText::new(words::LOGARITHMIC).small());
                    let button = ui.add_enabled(positive, button.frame_when_inactive(on));
                    let button = button.on_hover_text(&name).on_disabled_hover_text(words::ONLY_POSITIVE);
                    if button.accessible_name(name).clicked() && !self.choices.logarithmic.remove(&chart.title) {
                        self.choices.logarithmic.insert(chart.title.clone());
                    }
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.spacing_mut().button_padding.x = 0.0;
                    let name = Button::new(RichText::new(&chart.title).strong()).frame_when_inactive(false).truncate();
                    let name = ui.add(name);
                    let card = Popup::from_toggle_button_response(&name)
                        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
                        .accessible_name(words::meaning(&chart.title));
                    if !card.is_open() {
                        name.clone().on_hover_text(words::explain(&chart.help));
                    }
                    let known = Known { history: &self.history, config: scene.config };
                    let asked = card.show(|ui| card::show(ui, chart, &known)).and_then(|card| card.inner);
                    scene.asked = scene.asked.or(asked);
                    name.accessible_name(words::meaning(&chart.title));
                });
            });
        });
    }

    /// Makes a chart large, or small again.
    fn enlarge(&mut self, title: &str) {
        self.enlarged = if self.enlarged.as_deref() == Some(title) { None } else { Some(title.into()) };
    }

    /// The value of each curve: under the pointer where it is in a chart, else the newest.
    fn numbers(&self, ui: &mut Ui, chart: &Chart, scene: &Scene<'_>) {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 8.0;
            for (index, name) in chart.series.iter().enumerate() {
                let Some(value) = self.value(name, scene) else { continue };
                let label = if chart.series.len() > 1 { format!("{} ", words::label(name)) } else { String::new() };
                let number = RichText::new(label + &text::number(value)).small().color(theme::curve(ui, index));
                ui.add(Label::new(number).extend());
            }
        });
    }

    fn value(&self, name: &str, scene: &Scene<'_>) -> Option<f64> {
        match scene.hovered {
            Some(update) => self.history.curve(name)?.nearest(update).map(|point| point[1]),
            None => self.history.last(name),
        }
    }

    /// Whether a logarithm has a place for all values of a chart.
    fn is_positive(&self, chart: &Chart) -> bool {
        let runs = self.others.iter().map(|other| &other.history).chain([&self.history]);
        let mut curves = runs.flat_map(|run| chart.series.iter().filter_map(|name| run.curve(name)));
        curves.all(|curve| curve.extent().is_none_or(|(low, _)| low > 0.0))
    }

    /// The lines of a chart, from the back to the front: other runs, raw curves behind their averages, averages.
    fn strokes(
        &mut self,
        ui: &Ui,
        chart: &Chart,
        scene: &Scene<'_>,
        columns: usize,
        place: fn(f64) -> f64,
    ) -> Vec<Stroke> {
        let weight = self.weight();
        let range = scene.range.0..=scene.range.1;
        let visible = |curve: &Pyramid| -> Vec<[f64; 2]> {
            let mut points = curve.visible(range.clone(), columns);
            points.iter_mut().for_each(|point| point[1] = place(point[1]));
            points
        };
        let mut strokes = Vec::new();
        for (run, other) in self.others.iter().enumerate() {
            for (index, name) in chart.series.iter().enumerate().filter(|(_, name)| *name != TARGET) {
                let Some(curve) = other.history.curve(name) else { continue };
                let points = visible(self.smoother.curve(weight, run + 1, name, &other.history).unwrap_or(curve));
                let style = match (points.len() > DENSE, run) {
                    (true, _) => LineStyle::Solid,
                    (_, 0) => LineStyle::Dashed { length: 8.0 },
                    (_, 1) => LineStyle::Dashed { length: 4.0 },
                    _ => LineStyle::Dotted { spacing: 4.0 },
                };
                let colour = theme::curve(ui, index).gamma_multiply([0.8, 0.65, 0.5][run.min(2)]);
                strokes.push(Stroke { id: (run + 1, index, false), points, colour, width: 1.0, style, dots: false });
            }
        }
        for (index, name) in chart.series.iter().enumerate() {
            let Some(curve) = self.history.curve(name) else { continue };
            let points = visible(curve);
            let colour = theme::curve(ui, index);
            let dots = points.len() < FEW;
            let mut stroke =
                Stroke { id: (0, index, false), points, colour, width: 1.8, style: LineStyle::Solid, dots };
            if name == TARGET {
                (stroke.width, stroke.style, stroke.dots) = (1.2, LineStyle::dashed_dense(), false);
                if stroke.points.len() > DENSE {
                    stroke.style = LineStyle::Solid;
                }
            } else if let Some(average) = self.smoother.curve(weight, 0, name, &self.history) {
                let points = visible(average);
                (stroke.width, stroke.colour) = (1.0, colour.gamma_multiply(0.35));
                strokes.push(stroke);
                let (id, style) = ((0, index, true), LineStyle::Solid);
                stroke = Stroke { id, points, colour, width: 1.8, style, dots: false };
            }
            strokes.push(stroke);
        }
        strokes
    }

    /// The band around the entropy's target in which the bonus is left alone, where it is steered.
    fn band(
        &self,
        ui: &Ui,
        chart: &Chart,
        scene: &Scene<'_>,
        columns: usize,
        place: fn(f64) -> f64,
    ) -> Option<FilledArea> {
        let index = chart.series.iter().position(|name| name == TARGET)?;
        let half = scene.config.entropy_deadband;
        if !scene.config.adaptive_entropy || half <= 0.0 {
            return None;
        }
        let points = self.history.curve(TARGET)?.visible(scene.range.0..=scene.range.1, columns);
        let side = |sign: f64| -> Vec<f64> { points.iter().map(|p| place((p[1] + sign * half).max(1e-9))).collect() };
        let updates: Vec<f64> = points.iter().map(|p| p[0]).collect();
        let colour = theme::curve(ui, index).gamma_multiply(0.18);
        Some(FilledArea::new("", &updates, &side(-1.0), &side(1.0)).fill_color(colour).allow_hover(false).id("band"))
    }

    /// The value of the untouched model, to compare an evaluation with. Only a point at update 0 is that.
    fn baseline(&self, chart: &Chart) -> Option<f64> {
        match (chart.source(), chart.series.as_slice()) {
            (Source::Evaluation, [name]) => match self.history.series(name) {
                [[update, value], _, ..] if *update == 0.0 => Some(*value),
                _ => None,
            },
            _ => None,
        }
    }

    fn plot(&mut self, ui: &mut Ui, chart: &Chart, height: f32, scene: &mut Scene<'_>) {
        let size = vec2(ui.available_width(), height);
        let named = |response: &Response| {
            response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, &chart.title));
        };
        if !ui.is_rect_visible(Rect::from_min_size(ui.cursor().min, size)) {
            return named(&ui.allocate_exact_size(size, Sense::hover()).1);
        }
        let log = self.choices.logarithmic.contains(&chart.title) && self.is_positive(chart);
        let place: fn(f64) -> f64 = if log { f64::log10 } else { |value| value };
        let columns = (((size.x - AXIS) * ui.pixels_per_point()) as usize).clamp(32, 4096);
        let strokes = self.strokes(ui, chart, scene, columns, place);
        let band = self.band(ui, chart, scene, columns, place);
        let baseline = self.baseline(chart).map(place);
        let weak = ui.visuals().weak_text_color();
        let dots: Vec<([f64; 2], Color32)> = chart
            .series
            .iter()
            .enumerate()
            .filter_map(|(index, name)| {
                let [x, y] = self.history.curve(name)?.nearest(scene.hovered?)?;
                Some(([x, place(y)], theme::curve(ui, index)))
            })
            .collect();
        let flat = flat(&strokes, log);
        let draw = |plot: &mut PlotUi<'_>| {
            plot.set_plot_bounds_x(scene.range.0..=scene.range.1);
            if let Some(band) = band {
                plot.add(band);
            }
            for (at, _) in &scene.markers {
                let line = VLine::new("", *at).color(weak).width(1.0).style(LineStyle::dotted_dense());
                plot.vline(line.allow_hover(false).id(("knob", at.to_bits())));
            }
            if let Some(value) = baseline {
                let line = HLine::new("", value).color(weak).width(1.0).style(LineStyle::dashed_dense());
                plot.hline(line.allow_hover(false).id("baseline"));
            }
            for Stroke { id, points, colour, width, style, dots } in strokes {
                if dots {
                    let dots = Points::new("", PlotPoints::new(points.clone())).color(colour).radius(2.2);
                    plot.points(dots.allow_hover(false).id((id, "dots")));
                }
                let line = Line::new("", PlotPoints::new(points)).color(colour).width(width).style(style);
                // Already as coarse as the screen: gathered once more, pixel by pixel, it would have gaps.
                plot.line(line.allow_band(false).allow_hover(false).id(id));
            }
            for (index, (point, colour)) in dots.into_iter().enumerate() {
                let dot = Points::new("", PlotPoints::new(vec![point])).color(colour).radius(3.2);
                plot.points(dot.allow_hover(false).id(("hovered", index)));
            }
        };
        let mut plot = bare(ui, &chart.title, height, log);
        if let Some((low, high)) = flat {
            plot = plot.include_y(low).include_y(high);
        }
        let shown = plot.show(ui, draw);
        named(&shown.response);
        if shown.response.double_clicked() {
            self.enlarge(&chart.title);
        }
        let bounds = shown.transform.bounds();
        let (from, to) = (bounds.min()[0], bounds.max()[0]);
        let tolerance = 1e-9 * (scene.range.1 - scene.range.0);
        if (from - scene.range.0).abs() > tolerance || (to - scene.range.1).abs() > tolerance {
            // The other charts follow in the next frame.
            self.sight = Sight::moved(from, to, scene.newest);
            ui.ctx().request_repaint();
        }
        if let Some(pointer) = shown.response.hover_pos() {
            let x = shown.transform.value_from_position(pointer).x;
            let update = x.round().clamp(0.0, scene.newest);
            self.hovered = Some(update);
            let near = NEAR / shown.transform.dpos_dvalue_x().abs().max(1e-12);
            let turned = scene.markers.iter().filter(|(at, _)| (at - x).abs() < near).flat_map(|(_, list)| list);
            let turned: Vec<&str> = turned.map(String::as_str).collect();
            self.tooltip(ui, &shown.response, chart, update, &turned);
        }
    }

    /// Every value of a chart at one update, and which knobs were turned there.
    fn tooltip(&self, ui: &Ui, response: &Response, chart: &Chart, update: f64, turned: &[&str]) {
        let value = |curve: Option<&Pyramid>| -> Option<String> {
            let [at, value] = curve?.nearest(update)?;
            let number = text::number(value);
            Some(if at == update { number } else { words::elsewhere(&number, at) })
        };
        let tooltip = Tooltip::always_open(ui.ctx().clone(), response.layer_id, response.id, PopupAnchor::Pointer);
        tooltip.gap(12.0).show(|ui| {
            ui.strong(words::update(update));
            for (index, name) in chart.series.iter().enumerate() {
                let label = if chart.series.len() > 1 { words::label(name) } else { chart.title.clone() };
                if let Some(value) = value(self.history.curve(name)) {
                    ui.colored_label(theme::curve(ui, index), format!("{label}  {value}"));
                }
                for other in self.others.iter().filter(|_| name != TARGET) {
                    if let Some(value) = value(other.history.curve(name)) {
                        ui.weak(format!("{label}  {value}  ·  {}", other.name));
                    }
                }
            }
            if let Some(value) = self.baseline(chart) {
                ui.weak(format!("{}, {}", words::BASELINE, text::number(value)));
            }
            for what in turned.iter().take(4) {
                ui.label(words::turned(what));
            }
            if turned.len() > 4 {
                ui.weak(words::more_turned(turned.len() - 4));
            }
        });
    }
}

/// Ends of the axis for curves that are all one level line, which has no height of its own.
fn flat(strokes: &[Stroke], log: bool) -> Option<(f64, f64)> {
    let mut values = strokes.iter().flat_map(|stroke| &stroke.points).map(|point| point[1]);
    let value = values.next()?;
    let room = if value == 0.0 || log { 0.5 } else { 0.2 * value.abs() };
    values.all(|other| (other - value).abs() <= 1e-6 * room).then_some((value - room, value + room))
}

/// Draws the corners of a frame on a button: pointing outwards to enlarge, inwards to shrink.
fn corners(ui: &Ui, button: &Response, large: bool) {
    let stroke = egui::Stroke::new(1.2, ui.style().interact_selectable(button, large).fg_stroke.color);
    let (reach, length) = (4.5, if large { -3.0 } else { 3.0 });
    let out = if large { reach + length } else { reach };
    for (x, y) in [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)] {
        let at = |dx: f32, dy: f32| button.rect.center() + vec2(x * (out - dx), y * (out - dy));
        ui.painter().line_segment([at(0.0, 0.0), at(length, 0.0)], stroke);
        ui.painter().line_segment([at(0.0, 0.0), at(0.0, length)], stroke);
    }
}

/// A plot with its axes and without curves.
fn bare<'a>(ui: &Ui, title: &str, height: f32, log: bool) -> Plot<'a> {
    let weak = ui.visuals().weak_text_color();
    let marks = |axis: AxisHints<'a>, room| {
        axis.tick_label_font(FontId::proportional(MARKS)).tick_label_color(weak).label_spacing(room)
    };
    let x_axis = marks(AxisHints::new_x(), 24.0..=36.0).formatter(|mark, _| scale::whole(mark.value));
    let y_axis = marks(AxisHints::new_y(), 12.0..=18.0).min_thickness(AXIS).formatter(move |mark, _| {
        text::number(if log { 10f64.powf(mark.value) } else { scale::tidy(mark.value, mark.step_size) })
    });
    let plot = Plot::new(title)
        .height(height)
        .link_cursor(Id::unique("updates"), [true, false])
        .show_y(false)
        .label_formatter(|_| None)
        .allow_zoom([true, false])
        .allow_drag([true, false])
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_background(false)
        .grid_color(weak.gamma_multiply(0.45))
        .set_margin_fraction(vec2(0.0, 0.12))
        .custom_x_axes(vec![x_axis])
        .custom_y_axes(vec![y_axis]);
    let plot = plot.x_grid_spacer(|input| scale::linear(input, 44.0, 1.0));
    if log {
        plot.y_grid_spacer(scale::logarithmic)
    } else {
        plot.y_grid_spacer(|input| scale::linear(input, 22.0, 0.0))
    }
}
