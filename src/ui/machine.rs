//! What computes and what draws, memory in use and forecast, and how long frames take.

use eframe::egui::{
    self, Align, Color32, FontId, Layout, Pos2, Rect, RichText, Sense, Stroke, Ui, WidgetInfo, accesskit::Role, vec2,
};
use egui_plot::{AxisHints, HLine, HoverPosition, Line, LineStyle, Plot, PlotPoints};

use super::frames::{BINS, Frames, Pulse, Trace};
use super::text::machine as words;
use super::theme;
use crate::platform::clock::Stopwatch;
use crate::platform::memory::{Memory, Meter, size};
use crate::session::{Event, Forecast, Machine};

/// Frames that the percentiles are over.
const FRAMES: usize = 300;
/// A second column starts where each has at least this width, in points.
const NARROWEST: f32 = 330.0;
/// Height of the memory chart, in points.
const CHART: f32 = 88.0;
/// Height of the forecast's bar, in points.
const BAR: f32 = 16.0;
/// Height of a line of small print in a table, in points.
const ROW: f32 = 15.0;
/// Seconds for which the button says that the report was copied.
const COPIED: f64 = 2.0;

/// The pane "Device and memory".
pub(super) struct Pane {
    machine: Option<Machine>,
    forecast: Option<Forecast>,
    meter: Meter,
    memory: Option<Memory>,
    trace: Trace,
    frames: Frames,
    pulse: Pulse,
    clock: Stopwatch,
    copied: Option<f64>,
}

impl Default for Pane {
    fn default() -> Self {
        Self {
            machine: None,
            forecast: None,
            meter: Meter::default(),
            memory: None,
            trace: Trace::default(),
            frames: Frames::new(FRAMES),
            pulse: Pulse::default(),
            clock: Stopwatch::start(),
            copied: None,
        }
    }
}

impl Pane {
    /// Takes in one event.
    pub(super) fn observe(&mut self, event: &Event) {
        self.pulse.observe(event, self.clock.seconds());
        match event {
            Event::Machine(machine) => self.machine = Some((**machine).clone()),
            Event::Forecast(forecast) => self.forecast = Some((**forecast).clone()),
            _ => {}
        }
    }

    /// Takes in the time that a frame took to lay out, and looks at memory: once a frame, also while the pane is hidden.
    pub(super) fn frame(&mut self, seconds: f32) {
        self.frames.push(seconds);
        self.memory = self.meter.read();
        if let Some(memory) = self.memory {
            self.trace.push(self.clock.seconds(), memory.process as f64);
        }
    }

    /// Draws the newest typical frame time and the memory in use, small; whether the user wants to see the pane.
    pub(super) fn corner(&mut self, ui: &mut Ui) -> bool {
        let typical = self.frames.percentiles().map(|p| p.p50);
        let line = words::corner(typical, self.memory.map(|memory| memory.process));
        if line.is_empty() {
            return false;
        }
        let button = egui::Button::new(RichText::new(&line).small().weak()).frame_when_inactive(false);
        ui.add(button).on_hover_text(words::CORNER_HELP).accessible_name(format!("{}: {line}", words::TITLE)).clicked()
    }

    /// Draws the pane.
    pub(super) fn show(&mut self, ui: &mut Ui) {
        self.header(ui);
        ui.add_space(4.0);
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let columns = ((ui.available_width() / NARROWEST) as usize).clamp(1, 3);
            ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
            ui.columns(columns, |columns| {
                let last = columns.len() - 1;
                self.memory_card(&mut columns[0]);
                self.frames_card(&mut columns[last.min(1)]);
                self.device_card(&mut columns[last]);
            });
        });
    }

    fn header(&mut self, ui: &mut Ui) {
        // The button first: in a narrow pane it is the title that gives way.
        let line = vec2(ui.available_width(), ui.spacing().interact_size.y);
        ui.allocate_ui_with_layout(line, Layout::right_to_left(Align::Center), |ui| {
            let now = self.clock.seconds();
            let copied = self.copied.is_some_and(|when| now - when < COPIED);
            let button = ui.button(if copied { words::COPIED } else { words::COPY });
            if button.on_hover_text(words::COPY_HELP).clicked() {
                ui.ctx().copy_text(self.report());
                self.copied = Some(now);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let title = egui::Label::new(RichText::new(words::TITLE).heading()).truncate();
                ui.add(title).on_hover_text(words::TITLE_HELP);
            });
        });
    }

    /// Everything in this pane as text.
    fn report(&self) -> String {
        let frames = (&self.frames, self.pulse);
        words::report(self.machine.as_ref(), self.memory.as_ref(), self.forecast.as_ref(), frames)
    }

    fn memory_card(&self, ui: &mut Ui) {
        card(ui, words::MEMORY, words::MEMORY_HELP, |ui| {
            match &self.memory {
                None => _ = ui.weak(words::NO_MEMORY),
                Some(memory) => {
                    let line = format!("{} {}", size(memory.process), words::IN_USE);
                    ui.label(RichText::new(line).monospace().color(theme::curve(ui, 0)));
                    ui.add(egui::Label::new(RichText::new(words::memory(memory)).small().weak()).wrap());
                    self.chart(ui);
                }
            }
            if self.machine.as_ref().is_some_and(|machine| !machine.kind.shares_memory()) {
                ui.add(egui::Label::new(RichText::new(words::ON_CARD).small()).wrap());
            }
        });
        let Some(forecast) = &self.forecast else { return };
        card(ui, words::FORECAST, words::FORECAST_HELP, |ui| {
            ui.add(egui::Label::new(RichText::new(words::forecast(forecast)).monospace()).wrap());
            self.bar(ui, forecast);
            parts(ui, forecast);
            ui.add(egui::Label::new(RichText::new(words::moments(forecast)).small().weak()).wrap());
        });
    }

    /// Memory over time, with the forecast as a line.
    fn chart(&self, ui: &mut Ui) {
        let weak = ui.visuals().weak_text_color();
        let (used, expected) = (theme::curve(ui, 0), theme::curve(ui, 1));
        let highest = self.trace.points.iter().map(|point| point[1]).fold(0.0, f64::max);
        let forecast = self.forecast.as_ref().map(|forecast| forecast.total as f64);
        let top = highest.max(forecast.unwrap_or(0.0)) * 1.1;
        let marks = |axis: AxisHints<'static>, room| {
            axis.tick_label_font(FontId::proportional(10.0)).tick_label_color(weak).label_spacing(room)
        };
        let plot = Plot::new(words::MEMORY)
            .height(CHART)
            .allow_zoom(false)
            .allow_drag(false)
            .allow_scroll(false)
            .allow_boxed_zoom(false)
            .show_background(false)
            .include_y(0.0)
            .include_y(top)
            .include_x(0.0)
            .include_x(10.0)
            .set_margin_fraction(vec2(0.01, 0.02))
            .custom_x_axes(vec![marks(AxisHints::new_x(), 40.0..=70.0).formatter(|mark, _| words::passed(mark.value))])
            .custom_y_axes(vec![
                marks(AxisHints::new_y(), 14.0..=22.0)
                    .formatter(|mark, _| size(mark.value.max(0.0) as u64))
                    .min_thickness(46.0),
            ])
            .label_formatter(|at| match at {
                HoverPosition::NearDataPoint { plot_name, position, .. } => {
                    Some(format!("{plot_name}: {}", size(position.y.max(0.0) as u64)))
                }
                HoverPosition::Elsewhere { .. } => None,
            });
        let shown = plot.show(ui, |plot| {
            if let Some(forecast) = forecast {
                let line = HLine::new(words::FORECAST, forecast).color(expected).width(1.2);
                plot.hline(line.style(LineStyle::dashed_dense()));
            }
            plot.line(Line::new(words::MEMORY, PlotPoints::new(self.trace.points.clone())).color(used).width(1.8));
        });
        shown.response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, words::MEMORY));
    }

    /// The parts of the forecast side by side, each as wide as its share; a mark where memory stands.
    fn bar(&self, ui: &mut Ui, forecast: &Forecast) {
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), BAR), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, words::forecast(forecast)));
        let scale = f64::from(rect.width()) / forecast.total.max(1) as f64;
        let mut start = 0;
        for (index, part) in forecast.parts.iter().enumerate() {
            let end = start + part.bytes;
            let [left, right] = [start, end].map(|bytes| rect.left() + (bytes as f64 * scale) as f32);
            let piece = Rect::from_x_y_ranges(left..=right, rect.y_range());
            ui.painter().rect_filled(piece, 0, colour(ui, index));
            let (name, help) = words::part(part.what);
            let hovered = ui.interact(piece, response.id.with(index), Sense::hover());
            hovered.on_hover_text(format!("{name}: {}\n{help}", size(part.bytes)));
            start = end;
        }
        if let Some(memory) = self.memory {
            let x = (rect.left() + (memory.process as f64 * scale) as f32).min(rect.right());
            let mark = ui.visuals().strong_text_color();
            ui.painter().vline(x, rect.top() - 3.0..=rect.bottom() + 3.0, Stroke::new(2.0, mark));
            response.on_hover_text(words::MARK);
        }
    }

    fn frames_card(&self, ui: &mut Ui) {
        card(ui, words::FRAMES, words::FRAMES_HELP, |ui| {
            let Some(percentiles) = self.frames.percentiles() else {
                ui.weak(words::NO_FRAMES);
                return;
            };
            ui.horizontal_wrapped(|ui| {
                for ((name, help), seconds) in
                    [(words::HALF, percentiles.p50), (words::MOST, percentiles.p95), (words::SLOWEST, percentiles.max)]
                {
                    ui.label(RichText::new(name).small().weak());
                    ui.label(RichText::new(words::milliseconds(seconds)).monospace()).on_hover_text(help);
                }
            });
            self.histogram(ui);
            if let (Some(share), Some(pace)) = (self.pulse.share(), self.pulse.per_minute()) {
                let line = RichText::new(words::share(share, pace)).small();
                ui.add(egui::Label::new(line).wrap()).on_hover_text(words::SHARE_HELP);
            }
        });
    }

    fn histogram(&self, ui: &mut Ui) {
        let counts = self.frames.histogram();
        let most = counts.iter().copied().max().unwrap_or(0).max(1) as f32;
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 46.0), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, words::FRAMES));
        let width = rect.width() / counts.len() as f32;
        let (floor, weak) = (rect.bottom() - 13.0, ui.visuals().weak_text_color());
        let font = FontId::proportional(10.0);
        for (index, &count) in counts.iter().enumerate() {
            let left = rect.left() + width * index as f32;
            let height = (floor - rect.top()) * count as f32 / most;
            let column = Rect::from_x_y_ranges(left..=left + width, rect.y_range());
            let filled = Rect::from_x_y_ranges(left + 1.0..=left + width - 1.0, floor - height..=floor);
            ui.painter().rect_filled(filled, 1, theme::curve(ui, 0));
            if let Some(end) = BINS.get(index) {
                // The number stands under the border between two columns, which it is the place of.
                let at = Pos2::new(left + width, floor + 1.0);
                ui.painter().text(at, egui::Align2::CENTER_TOP, end.to_string(), font.clone(), weak);
            }
            let from = index.checked_sub(1).map(|i| BINS[i]);
            let line = words::bin(from, BINS.get(index).copied(), count, self.frames.len());
            ui.interact(column, response.id.with(index), Sense::hover()).on_hover_text(line);
        }
        ui.painter().text(rect.right_bottom(), egui::Align2::RIGHT_BOTTOM, "ms", font, weak);
        ui.painter().hline(rect.x_range(), floor, Stroke::new(1.0, weak));
    }

    fn device_card(&self, ui: &mut Ui) {
        let Some(machine) = &self.machine else {
            return card(ui, words::DEVICE, words::TITLE_HELP, |ui| _ = ui.weak(words::OPENING));
        };
        card(ui, words::DEVICE, words::TITLE_HELP, |ui| {
            ui.add(egui::Label::new(RichText::new(&machine.name).strong()).wrap());
            if let Some(notice) = &machine.notice {
                ui.add(egui::Label::new(RichText::new(notice).small().color(ui.visuals().warn_fg_color)).wrap());
            }
            table(ui, "device", &words::facts(machine));
        });
        if let Some(limits) = &machine.limits {
            card(ui, words::LIMITS, words::LIMITS_HELP, |ui| table(ui, "limits", &words::limits(limits)));
        }
    }
}

/// A card with a title, over the whole width.
fn card(ui: &mut Ui, title: &str, help: &str, content: impl FnOnce(&mut Ui)) {
    theme::card(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        // Columns justify what they hold; sentences are easier to read ragged.
        ui.with_layout(Layout::top_down(Align::Min), |ui| {
            ui.spacing_mut().item_spacing = vec2(8.0, 4.0);
            ui.strong(title).on_hover_text(help);
            content(ui);
        });
    });
}

/// Names at the left, values at the right; long values break.
fn table(ui: &mut Ui, id: &str, rows: &[(&str, String)]) {
    let width = ui.available_width();
    egui::Grid::new(id).num_columns(2).spacing([12.0, 3.0]).min_row_height(ROW).show(ui, |ui| {
        for (name, value) in rows {
            ui.label(RichText::new(*name).small().weak());
            // The names take what they need; a value gets at least half of the card.
            ui.scope(|ui| {
                ui.set_max_width((width - 150.0).max(width * 0.5));
                ui.add(egui::Label::new(RichText::new(value).small()).selectable(true).wrap());
            });
            ui.end_row();
        }
    });
}

/// What the colours of the bar mean, with sizes.
fn parts(ui: &mut Ui, forecast: &Forecast) {
    let columns = ((ui.available_width() / 165.0) as usize).clamp(1, 3);
    egui::Grid::new("parts").num_columns(columns).spacing([14.0, 2.0]).min_row_height(ROW).show(ui, |ui| {
        for (index, part) in forecast.parts.iter().enumerate() {
            let (name, help) = words::part(part.what);
            let cell = ui.horizontal(|ui| {
                ui.spacing_mut().interact_size.y = ROW;
                let (swatch, _) = ui.allocate_exact_size(vec2(9.0, 9.0), Sense::hover());
                ui.painter().rect_filled(swatch, 2, colour(ui, index));
                ui.label(RichText::new(name).small());
                ui.label(RichText::new(size(part.bytes)).small().weak());
            });
            cell.response.on_hover_text(help);
            if (index + 1) % columns == 0 {
                ui.end_row();
            }
        }
    });
}

/// The colour of a part of the forecast: the curves' colours, and then the same once more, paler.
fn colour(ui: &Ui, index: usize) -> Color32 {
    let palette = 7;
    let colour = theme::curve(ui, index % palette);
    if index < palette { colour } else { ui.visuals().panel_fill.lerp_to_gamma(colour, 0.5) }
}

#[cfg(test)]
mod tests {
    use egui_kittest::{Harness, kittest::Queryable};

    use super::*;
    use crate::session::forecast::{Moment, Part, Use};
    use crate::session::machine::{Drawing, Kind, Limits};

    fn pane() -> Pane {
        let limits = Limits { max_buffer: 2_000_000_000, f16: true, ..Limits::default() };
        let machine = Machine {
            name: "a card".into(),
            kind: Kind::Discrete,
            api: "vulkan".into(),
            limits: Some(limits),
            drawing: Drawing::Same,
            threads: 8,
            ..Machine::default()
        };
        let part = |what, bytes| Part { what, bytes };
        let forecast = Forecast {
            parts: vec![part(Use::Program, 150_000_000), part(Use::Activations, 850_000_000)],
            moment: Moment::Train,
            total: 1_000_000_000,
            moments: vec![(Moment::Generate, 480_000_000), (Moment::Train, 1_000_000_000)],
            largest: part(Use::Logits, 33_000_000),
        };
        let mut pane = Pane::default();
        pane.observe(&Event::Machine(Box::new(machine)));
        pane.observe(&Event::Forecast(Box::new(forecast)));
        [0.004, 0.007, 0.007, 0.050].into_iter().for_each(|seconds| pane.frame(seconds));
        pane
    }

    fn open(size: [f32; 2]) -> Harness<'static, (Pane, bool)> {
        Harness::builder().with_size(size).with_context_setup(theme::apply).build_ui_state(
            |ui, (pane, asked): &mut (Pane, bool)| {
                *asked |= pane.corner(ui);
                pane.show(ui);
            },
            (pane(), false),
        )
    }

    #[test]
    fn everything_is_named_in_a_narrow_and_in_a_wide_pane() {
        for size in [[240.0, 1400.0], [900.0, 420.0]] {
            let mut window = open(size);
            window.run_ok();
            for label in ["a card", "1.0 GB at its fullest (gradient step)", "Activations", "2.0 GB", "7.0 ms", "50 ms"]
            {
                assert!(window.query_all_by_label(label).next().is_some(), "{label} at {size:?}");
            }
            let figures = [words::FRAMES, "1.0 GB at its fullest (gradient step)"];
            for figure in figures {
                window.get_by_role_and_label(Role::Figure, figure);
            }
        }
    }

    #[test]
    fn the_button_copies_a_report_with_every_figure() {
        let mut window = open([700.0, 600.0]);
        window.run_ok();
        window.get_by_role_and_label(Role::Button, words::COPY).click();
        window.run_ok();
        window.get_by_role_and_label(Role::Button, words::COPIED);
        let report = window.state().0.report();
        for part in ["a card", "vulkan", "the same device draws this window", "850 MB", "p50 7.0 ms", "over 4 frames"] {
            assert!(report.contains(part), "{part} is not in\n{report}");
        }
    }

    #[test]
    fn the_corner_shows_frame_and_memory_and_asks_for_the_pane() {
        let mut window = open([500.0, 300.0]);
        window.run_ok();
        let memory = window.state().0.memory.map(|memory| memory.process);
        let line = format!("{}: {}", words::TITLE, words::corner(Some(0.007), memory));
        assert!(line.contains("frame 7 ms"), "{line}");
        assert!(!window.state().1);
        window.get_by_role_and_label(Role::Button, &line).click();
        window.run_ok();
        assert!(window.state().1);
    }
}
