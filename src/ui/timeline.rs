//! The timeline: how far the run is, where knobs were turned, and the way back to any earlier update.

use eframe::egui::{
    Color32, CursorIcon, EventFilter, Id, Key, Rect, Sense, StrokeKind, Ui, WidgetInfo, accesskit::Role, pos2, vec2,
};

use super::{anchor, text, theme};

/// Its height, in points.
const HEIGHT: f32 = 20.0;

/// What the timeline shows.
pub(super) struct Timeline<'a> {
    /// Updates done.
    pub(super) update: u64,
    /// Updates of the whole run.
    pub(super) total: u64,
    /// Updates that are gone back to at once.
    pub(super) keyframes: &'a [u64],
    /// Updates at which a knob was turned.
    pub(super) knobs: &'a [(f64, String)],
    /// Whether going back is possible now.
    pub(super) enabled: bool,
}

impl Timeline<'_> {
    /// The first update that can be gone back to.
    fn earliest(&self) -> u64 {
        self.keyframes.first().copied().unwrap_or(self.update)
    }

    /// Draws it over the width that is left; the update that the user wants to go back to, once let go.
    pub(super) fn show(&self, ui: &mut Ui, width: f32) -> Option<u64> {
        let sense = if self.enabled { Sense::click_and_drag() } else { Sense::hover() };
        let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), sense);
        anchor::mark(ui, "timeline", rect);
        let id = Id::unique("timeline").with("wanted");
        let rail = Rect::from_center_size(rect.center(), vec2(rect.width() - 12.0, 6.0));
        let total = self.total.max(self.update).max(1) as f32;
        let x = |update: f32| rail.left() + rail.width() * update / total;
        let at = |x: f32| ((x - rail.left()) / rail.width() * total).round().clamp(0.0, total) as u64;

        let mut wanted: Option<u64> = ui.data(|data| data.get_temp(id)).flatten();
        let mut chosen = None;
        let range = self.earliest()..=self.update;
        if self.enabled {
            if let Some(pointer) = response.interact_pointer_pos() {
                wanted = Some(at(pointer.x).clamp(*range.start(), *range.end()));
            }
            if response.drag_stopped() || response.clicked() {
                chosen = wanted.take().filter(|to| *to < self.update);
            }
            if response.has_focus() {
                let arrows = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
                ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, arrows));
                // Enter is a click.
                let (back, on) = ui.input(|i| (i.key_pressed(Key::ArrowLeft), i.key_pressed(Key::ArrowRight)));
                let now = wanted.unwrap_or(self.update);
                wanted = match (back, on) {
                    (true, _) => Some(now.saturating_sub(1).max(*range.start())),
                    (_, true) => Some((now + 1).min(*range.end())),
                    _ => wanted,
                };
            } else if !response.dragged() && !response.is_pointer_button_down_on() {
                wanted = None;
            }
        }
        ui.data_mut(|data| data.insert_temp(id, wanted));
        self.paint(ui, rail, &x, wanted);

        let shown = wanted.unwrap_or(self.update);
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::Slider, self.enabled, text::TIMELINE);
            info.value = Some(shown as f64);
            info
        });
        let response = if self.enabled { response.on_hover_cursor(CursorIcon::ResizeHorizontal) } else { response };
        response.on_hover_ui_at_pointer(|ui| {
            ui.strong(match wanted.filter(|to| *to < self.update) {
                Some(to) => text::let_go_to_rewind(to),
                None => text::update_of(self.update, Some(self.total)),
            });
            if let Some(pointer) = ui.ctx().pointer_hover_pos() {
                let near = |update: &f64| (x(*update as f32) - pointer.x).abs() < 5.0;
                self.knobs.iter().filter(|(update, _)| near(update)).for_each(|(_, what)| _ = ui.monospace(what));
            }
            ui.weak(text::TIMELINE_HELP);
        });
        chosen
    }

    fn paint(&self, ui: &Ui, rail: Rect, x: &dyn Fn(f32) -> f32, wanted: Option<u64>) {
        let (painter, visuals) = (ui.painter(), ui.visuals());
        let accent = theme::accent(ui);
        painter.rect_filled(rail, 3.0, visuals.widgets.inactive.weak_bg_fill);
        let done = Rect::from_min_max(rail.min, pos2(x(self.update as f32), rail.bottom()));
        painter.rect_filled(done, 3.0, accent.gamma_multiply(0.45));
        // More marks than pixels would only be a smear.
        let every = (self.keyframes.len() / (rail.width() as usize / 4).max(1)).max(1);
        for frame in self.keyframes.iter().step_by(every) {
            let place = pos2(x(*frame as f32), rail.center().y);
            painter.circle_filled(place, 1.6, accent);
        }
        for (update, _) in self.knobs.iter().rev().take(200) {
            let place = x(*update as f32);
            painter.vline(place, rail.top() - 4.0..=rail.top() - 1.0, (1.5, visuals.warn_fg_color));
        }
        let handle = |update: f32, fill: Color32| {
            let place = Rect::from_center_size(pos2(x(update), rail.center().y), vec2(7.0, 14.0));
            painter.rect_filled(place, 3.0, fill);
            painter.rect_stroke(place, 3.0, (1.0, visuals.panel_fill), StrokeKind::Outside);
        };
        handle(self.update as f32, if wanted.is_some() { accent.gamma_multiply(0.5) } else { accent });
        if let Some(wanted) = wanted {
            handle(wanted as f32, visuals.strong_text_color());
        }
    }
}
