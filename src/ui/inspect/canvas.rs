//! The picture, large, with its tokens over it: colours, a token to look at, and how far it is written.

use std::time::Duration;

use eframe::egui::{
    self, Align2, Color32, EventFilter, FontId, Id, Key, Modifiers, Rect, Response, Sense, Slider, Stroke, StrokeKind,
    Ui, Vec2, WidgetInfo, accesskit::Role, vec2,
};

use super::super::{bar, text, theme};
use super::film::{Film, WHOLE, fit, on_grid};
use super::overlay::{Overlay, Scale};
use crate::session::Inspection;

/// The picture is never larger, in points.
pub(super) const LARGEST: f32 = 448.0;
/// Seconds in which a picture is played, where its tokens are neither very few nor very many.
const PLAYED: f32 = 5.0;
/// A cell shows its number from this size on, in points.
const NUMBERED: f32 = 36.0;
/// Where nothing is written yet.
const UNWRITTEN: Color32 = Color32::from_gray(128);

/// What the user looks at in the picture.
#[derive(Default)]
pub(super) struct Canvas {
    pub(super) overlay: Overlay,
    /// The token that was chosen.
    pub(super) selected: Option<usize>,
    /// The token under the pointer.
    hovered: Option<usize>,
    /// Tokens that are shown as written; all where it is `None`.
    written: Option<usize>,
    playing: bool,
    /// Seconds since the last token was played.
    clock: f32,
    plain: Film,
    grey: Film,
}

impl Canvas {
    /// Turns to another picture.
    pub(super) fn turn(&mut self) {
        *self = Self { overlay: self.overlay, ..Self::default() };
    }

    /// The token to describe.
    pub(super) fn looked_at(&self) -> Option<usize> {
        self.hovered.or(self.selected)
    }

    /// Shows all of the picture.
    pub(super) fn show_all(&mut self) {
        (self.written, self.playing) = (None, false);
    }

    /// Draws picture, colours and slider, at most `room` points wide; the tokens in `marked` were put in by hand.
    pub(super) fn show(&mut self, ui: &mut Ui, seen: &Inspection, marked: &[usize], room: f32) {
        let size = fit(ui, seen.side, room.min(LARGEST));
        let (area, _) = ui.allocate_exact_size(vec2(room, size), Sense::hover());
        let rect = on_grid(ui, Rect::from_center_size(area.center(), Vec2::splat(size)));
        let base = ui.interact(rect, Id::unique("inspected picture"), Sense::focusable_noninteractive());
        base.widget_info(|| WidgetInfo::labeled(Role::Group, true, text::inspect::CANVAS));
        self.keys(ui, &base, seen);
        self.play(ui, seen.tokens.len());
        let scale = Scale::of(self.overlay, seen);
        self.paint(ui, rect, seen, scale.as_ref());
        self.cells(ui, rect, seen, &base);
        self.marks(ui, rect, seen.grid, marked);
        if base.has_focus() {
            ui.painter().rect_stroke(rect.expand(2.0), 2.0, (1.5, theme::accent(ui)), StrokeKind::Outside);
        }
        base.on_hover_text(text::inspect::CANVAS_HELP);
        ui.add_space(2.0);
        self.scrub(ui, seen.tokens.len(), room);
        self.overlay.choose(ui, seen);
        match scale {
            Some(scale) => scale.legend(ui, room),
            None => ui.add_space(2.0),
        }
    }

    /// Arrow keys move the choice while the picture has the keyboard.
    fn keys(&mut self, ui: &Ui, base: &Response, seen: &Inspection) {
        if !base.has_focus() {
            return;
        }
        let arrows = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(base.id, arrows));
        let (grid, total) = (seen.grid as isize, seen.tokens.len() as isize);
        let steps = [(Key::ArrowLeft, -1), (Key::ArrowRight, 1), (Key::ArrowUp, -grid), (Key::ArrowDown, grid)];
        for (key, step) in steps {
            if ui.input_mut(|input| input.consume_key(Modifiers::NONE, key)) {
                let from = self.selected.map_or(0, |at| at as isize + step);
                if (0..total).contains(&from) {
                    (self.selected, self.hovered) = (Some(from as usize), None);
                }
            }
        }
    }

    /// Lets the picture be written a little further.
    fn play(&mut self, ui: &Ui, total: usize) {
        if !self.playing {
            return;
        }
        let pause = (PLAYED / total.max(1) as f32).clamp(0.01, 0.12);
        self.clock += ui.input(|input| input.stable_dt).min(0.5);
        let tokens = (self.clock / pause) as usize;
        self.clock -= tokens as f32 * pause;
        let written = self.written.unwrap_or(0) + tokens;
        self.written = Some(written);
        if written >= total {
            self.show_all();
        }
        ui.ctx().request_repaint_after(Duration::from_secs_f32(pause));
    }

    fn paint(&mut self, ui: &Ui, rect: Rect, seen: &Inspection, scale: Option<&Scale>) {
        let Some(plain) = self.plain.id(ui, &seen.rgb, seen.side) else { return };
        let painter = ui.painter();
        painter.image(plain, rect, WHOLE, Color32::WHITE);
        let grey = scale.and_then(|_| self.grey.grey(ui, &seen.rgb, seen.side));
        let numbered = rect.width() / seen.grid as f32 >= NUMBERED;
        let written = self.written.unwrap_or(usize::MAX);
        for (position, token) in seen.tokens.iter().enumerate() {
            let cell = cell(rect, seen.grid, position);
            if position >= written {
                painter.rect_filled(cell, 0.0, UNWRITTEN);
                continue;
            }
            let (Some(scale), Some(grey), Some(value)) = (scale, grey, self.overlay.value(token)) else { continue };
            let colour = scale.colour(value);
            painter.image(grey, cell, self::cell(WHOLE, seen.grid, position), colour);
            if numbered {
                let font = FontId::proportional(10.0);
                let at = cell.center_bottom() - vec2(0.0, 3.0);
                painter.text(at, Align2::CENTER_BOTTOM, self.overlay.brief(value), font, ink_on(colour));
            }
        }
        // The token that is being written now.
        if written < seen.tokens.len() {
            painter.rect_stroke(cell(rect, seen.grid, written), 0.0, (2.0, theme::accent(ui)), StrokeKind::Inside);
        }
        let line = Stroke::new(1.0, Color32::from_rgba_unmultiplied(128, 128, 132, 72));
        for index in 1..seen.grid {
            let share = index as f32 / seen.grid as f32;
            painter.vline(egui::lerp(rect.x_range(), share), rect.y_range(), line);
            painter.hline(rect.x_range(), egui::lerp(rect.y_range(), share), line);
        }
        painter.rect_stroke(rect, 0.0, ui.visuals().window_stroke, StrokeKind::Outside);
    }

    /// One thing to point at for each token.
    fn cells(&mut self, ui: &Ui, rect: Rect, seen: &Inspection, base: &Response) {
        self.hovered = None;
        for (position, token) in seen.tokens.iter().enumerate() {
            // Not a stop of the tab key each: the picture is one, and the arrow keys go from cell to cell.
            let response = ui.interact(cell(rect, seen.grid, position), base.id.with(position), Sense::CLICK);
            let selected = self.selected == Some(position);
            response.widget_info(|| {
                WidgetInfo::selected(Role::Button, true, selected, text::inspect::cell(position, seen.grid))
            });
            if response.clicked() {
                self.selected = Some(position);
                base.request_focus();
                bar::figure(ui.ctx(), base.id);
            }
            if response.hovered() {
                self.hovered = Some(position);
            }
            response.on_hover_ui(|ui| {
                ui.strong(text::inspect::cell(position, seen.grid));
                ui.label(text::inspect::at_a_glance(token));
            });
        }
        let frame = |position: usize, width: f32| {
            let cell = cell(rect, seen.grid, position);
            let painter = ui.painter();
            painter.rect_stroke(cell, 1.0, (width + 2.0, Color32::from_black_alpha(190)), StrokeKind::Middle);
            painter.rect_stroke(cell, 1.0, (width, Color32::WHITE), StrokeKind::Middle);
        };
        if let Some(position) = self.selected.filter(|at| *at < seen.tokens.len()) {
            frame(position, 2.5);
        }
        if let Some(position) = self.hovered.filter(|at| self.selected != Some(*at)) {
            frame(position, 1.0);
        }
    }

    /// A dot on each token that was put in by hand.
    fn marks(&self, ui: &Ui, rect: Rect, grid: usize, marked: &[usize]) {
        for &position in marked {
            let at = cell(rect, grid, position).left_top() + vec2(7.0, 7.0);
            ui.painter().circle(at, 4.0, theme::accent(ui), (1.5, Color32::WHITE));
        }
    }

    /// How far the picture is written.
    fn scrub(&mut self, ui: &mut Ui, total: usize, width: f32) {
        ui.horizontal(|ui| {
            let (icon, name) = if self.playing { ("‖", text::inspect::STOP) } else { ("▶", text::inspect::PLAY) };
            let button = ui.add(egui::Button::new(icon).min_size(vec2(30.0, 24.0)));
            if button.on_hover_text(text::inspect::PLAY_HELP).accessible_name(name).clicked() {
                self.playing = !self.playing;
                if self.playing && self.written.is_none() {
                    (self.written, self.clock) = (Some(0), 0.0);
                }
            }
            let mut written = self.written.unwrap_or(total);
            ui.spacing_mut().slider_width = (width - 30.0 - 76.0).max(60.0);
            let slider = ui.add(Slider::new(&mut written, 0..=total).show_value(false));
            let slider = slider.on_hover_text(text::inspect::SCRUB_HELP).accessible_name(text::inspect::SCRUB);
            if slider.changed() {
                (self.written, self.playing) = (Some(written).filter(|w| *w < total), false);
            }
            ui.weak(text::inspect::written(written, total)).on_hover_text(text::inspect::SCRUB_HELP);
        });
    }
}

/// The place of a token in `rect`.
fn cell(rect: Rect, grid: usize, position: usize) -> Rect {
    let size = rect.size() / grid.max(1) as f32;
    let (row, column) = (position / grid.max(1), position % grid.max(1));
    Rect::from_min_size(rect.min + vec2(column as f32 * size.x, row as f32 * size.y), size)
}

/// Black or white, whichever can be read on `colour`.
fn ink_on(colour: Color32) -> Color32 {
    let [red, green, blue, _] = colour.to_array().map(f32::from);
    let light = 0.299 * red + 0.587 * green + 0.114 * blue;
    if light > 118.0 { Color32::from_black_alpha(220) } else { Color32::from_white_alpha(235) }
}
