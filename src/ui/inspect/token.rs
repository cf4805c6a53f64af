//! One token in numbers and in words, and what could have been written in its place.

use eframe::egui::{
    self, Align, Align2, Color32, FontId, Layout, Rect, RichText, Sense, StrokeKind, TextStyle, Ui, Vec2, WidgetInfo,
    accesskit::Role, pos2, vec2,
};

use super::super::{text, theme};
use super::film::{Film, on_grid};
use crate::session::Inspection;
use crate::session::inspect::{Crops, Token};

/// Height of a candidate's row, and the side of its small picture, in points.
const ROW: f32 = 34.0;
const THUMB: f32 = 28.0;
/// Room for a probability at the right of a bar.
const PERCENT: f32 = 62.0;

/// Draws the card of the token at `position`; returns the candidate that is to be put in.
pub(super) fn show(
    ui: &mut Ui,
    seen: &Inspection,
    position: usize,
    crops: Option<&Crops>,
    film: &mut Film,
) -> Option<u32> {
    let token = seen.tokens.get(position)?;
    theme::card(ui)
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            titled(ui, 320.0, |ui| {
                ui.strong(text::inspect::token_of(position, seen.tokens.len()));
                ui.weak(format!("{}  ·  {}", text::inspect::place(position, seen.grid), text::inspect::code(token.id)));
            });
            let pull = seen.advantage.0 + seen.lambda * seen.advantage.1;
            ui.label(text::inspect::in_words(token, seen.in_loss, pull));
            ui.add_space(2.0);
            figures(ui, token);
            ui.add_space(4.0);
            candidates(ui, token, crops.filter(|crops| crops.position == position), film)
        })
        .inner
}

/// A title with what belongs to it: beside it where there are `wide` points, else below.
pub(super) fn titled(ui: &mut Ui, wide: f32, draw: impl FnOnce(&mut Ui)) {
    if ui.available_width() < wide {
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            draw(ui);
        });
    } else {
        ui.horizontal(draw);
    }
}

fn figures(ui: &mut Ui, token: &Token) {
    let line = |ui: &mut Ui, (name, help): (&str, &str), value: String| {
        row(ui, name, help, &value);
    };
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 3.0;
        line(ui, text::inspect::ROW_PROBABILITY, text::inspect::percent(token.probability));
        if let Some(pushed) = token.pushed {
            line(ui, text::inspect::ROW_OLD, text::inspect::percent(pushed.old_probability));
        }
        line(ui, text::inspect::ROW_REFERENCE, text::inspect::percent(token.reference));
        line(ui, text::inspect::ROW_ENTROPY, text::number(token.entropy));
        if let Some(pushed) = token.pushed {
            line(ui, text::inspect::ROW_RATIO, text::number(pushed.ratio));
            line(ui, text::inspect::ROW_PUSH, text::signed(pushed.push));
        }
    });
}

/// A name at the left, its number at the right, and what it means under the pointer.
pub(super) fn row(ui: &mut Ui, name: &str, help: &str, value: &str) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(name).weak()).on_hover_text(help);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| ui.monospace(value).on_hover_text(help));
    });
}

fn candidates(ui: &mut Ui, token: &Token, crops: Option<&Crops>, film: &mut Film) -> Option<u32> {
    ui.label(RichText::new(text::inspect::CANDIDATES).strong()).on_hover_text(text::inspect::CANDIDATES_HELP);
    // All small pictures one below the other in one texture.
    let thumbs = crops.and_then(|crops| film.id(ui, &crops.rgb.concat(), crops.side));
    let count = token.candidates.len() as f32;
    let most = token.candidates.iter().map(|c| c.1).fold(f64::MIN_POSITIVE, f64::max);
    let mut chosen = None;
    ui.spacing_mut().item_spacing.y = 2.0;
    for (index, &(id, probability)) in token.candidates.iter().enumerate() {
        let written = id == token.id;
        let sense = if written { Sense::hover() } else { Sense::click() };
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), sense);
        let name = match written {
            true => text::inspect::candidate(id, probability),
            false => text::inspect::put_in(id),
        };
        response.widget_info(|| WidgetInfo::labeled(if written { Role::Label } else { Role::Button }, true, &name));
        let look = if written { ui.visuals().widgets.noninteractive } else { *ui.style().interact(&response) };
        let painter = ui.painter();
        if !written && (response.hovered() || response.has_focus()) {
            painter.rect_filled(rect, 6.0, look.weak_bg_fill);
        }
        let thumb = Rect::from_center_size(pos2(rect.left() + 3.0 + THUMB / 2.0, rect.center().y), Vec2::splat(THUMB));
        let thumb = on_grid(ui, thumb);
        match thumbs {
            Some(texture) => {
                let (top, bottom) = (index as f32 / count, (index as f32 + 1.0) / count);
                let uv = Rect::from_min_max(pos2(0.0, top), pos2(1.0, bottom));
                painter.image(texture, thumb, uv, Color32::WHITE);
            }
            None => {
                painter.rect_filled(thumb, 3.0, ui.visuals().widgets.inactive.weak_bg_fill);
            }
        }
        let ring = if written { (2.0, theme::accent(ui)) } else { (1.0, ui.visuals().window_stroke.color) };
        painter.rect_stroke(thumb, 0.0, ring, StrokeKind::Outside);

        let left = thumb.right() + 9.0;
        let room = rect.right() - left - PERCENT;
        let track = Rect::from_min_size(pos2(left, rect.bottom() - 12.0), vec2(room, 6.0));
        let share = (probability / most).clamp(0.0, 1.0) as f32;
        painter.rect_filled(track, 3.0, ui.visuals().widgets.inactive.weak_bg_fill);
        let bar = Rect::from_min_size(track.min, vec2((room * share).max(2.0), track.height()));
        let colour = theme::accent(ui);
        painter.rect_filled(bar, 3.0, if written { colour } else { colour.gamma_multiply(0.65) });
        let (font, ink) = (TextStyle::Small.resolve(ui.style()), look.fg_stroke.color);
        let words = if written {
            format!("{}  ·  {}", text::inspect::code(id), text::inspect::WRITTEN)
        } else {
            text::inspect::code(id)
        };
        painter.text(pos2(left, rect.top() + 4.0), Align2::LEFT_TOP, words, font, ink);
        let mono = FontId::monospace(12.0);
        let at = pos2(rect.right() - 4.0, rect.center().y);
        painter.text(at, Align2::RIGHT_CENTER, text::inspect::percent(probability), mono, ink);
        if !written && response.on_hover_text(name).on_hover_cursor(egui::CursorIcon::PointingHand).clicked() {
            chosen = Some(id);
        }
    }
    if token.candidates.iter().all(|c| c.0 != token.id) {
        ui.weak(text::inspect::ABSENT);
    }
    chosen
}
