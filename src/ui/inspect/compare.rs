//! Two policies side by side: the same prompt and random numbers, with a line to drag between the two pictures.

use std::collections::BTreeMap;

use eframe::egui::{
    self, Color32, ComboBox, CursorIcon, Rect, RichText, Sense, Slider, StrokeKind, Ui, Vec2, pos2, vec2,
};

use super::super::{text, theme};
use super::film::{Film, WHOLE, fit, on_grid};
use crate::session::{Inspection, Version};

/// The pictures are never larger, in points.
const LARGEST: f32 = 320.0;

/// A choice is written short below this width, in points.
const SHORT: f32 = 180.0;

/// One side of the line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    /// The sample as it was drawn.
    Drawn,
    Of(Version),
}

/// The comparison of one sample.
pub(super) struct Compare {
    sides: [Side; 2],
    /// Where the line is, 0 at the left.
    line: f32,
    pictures: BTreeMap<Version, Vec<u8>>,
    /// Why a version could not write.
    missing: BTreeMap<Version, String>,
    /// Versions that were asked for, whether or not they have come.
    asked: Vec<Version>,
    /// Updates that the policy of now had behind it when it wrote.
    policy: u64,
    films: [Film; 2],
}

impl Default for Compare {
    fn default() -> Self {
        Self {
            sides: [Side::Of(Version::Before), Side::Of(Version::Now)],
            line: 0.5,
            pictures: BTreeMap::new(),
            missing: BTreeMap::new(),
            asked: vec![],
            policy: 0,
            films: Default::default(),
        }
    }
}

impl Compare {
    /// Turns to another sample. A checkpoint that was chosen stays so.
    pub(super) fn turn(&mut self) {
        let (sides, line) = (self.sides, self.line);
        *self = Self { sides, line, ..Self::default() };
    }

    /// The policy has moved on: what it wrote before is not what it writes now.
    pub(super) fn forget_now(&mut self) {
        self.asked.retain(|version| *version != Version::Now);
    }

    /// Takes in what was written.
    pub(super) fn take(&mut self, seen: &Inspection) {
        self.missing.extend(seen.missing.iter().cloned());
        for (version, rgb) in &seen.versions {
            self.pictures.insert(*version, rgb.clone());
            if *version == Version::Now {
                self.policy = seen.policy;
            }
        }
    }

    /// The versions that have to be asked for; they count as asked for from here on.
    pub(super) fn wanted(&mut self) -> Vec<Version> {
        let mut wanted = vec![];
        for side in self.sides {
            if let Side::Of(version) = side
                && !self.asked.contains(&version)
            {
                self.asked.push(version);
                wanted.push(version);
            }
        }
        wanted
    }

    /// Whether there is a version to be asked for.
    pub(super) fn is_wanting(&self) -> bool {
        self.sides.iter().any(|side| matches!(side, Side::Of(version) if !self.asked.contains(version)))
    }

    /// Draws the card.
    pub(super) fn show(&mut self, ui: &mut Ui, seen: &Inspection) {
        theme::card(ui).show(ui, |ui| {
            ui.set_width(ui.available_width());
            let title = egui::Label::new(RichText::new(text::inspect::COMPARE).strong()).wrap();
            ui.add(title).on_hover_text(text::inspect::COMPARE_HELP);
            self.choices(ui, seen);
            let width = ui.available_width();
            let size = fit(ui, seen.side, width.min(LARGEST));
            let margin = ((width - size) / 2.0).floor();
            ui.spacing_mut().item_spacing.x = 0.0;
            ui.horizontal(|ui| {
                ui.add_space(margin);
                self.pictures(ui, seen, size);
            });
            ui.horizontal(|ui| {
                ui.add_space(margin);
                ui.spacing_mut().slider_width = size;
                let slider = ui.add(Slider::new(&mut self.line, 0.0..=1.0).show_value(false));
                slider.on_hover_text(text::inspect::COMPARE_HELP).accessible_name(text::inspect::WIPE);
            });
            let [left, right] = self.sides.map(|side| self.rgb(side, seen));
            if self.sides[0] != self.sides[1] && left.is_some() && left == right {
                ui.weak(text::inspect::SAME);
            }
            for why in self.sides.iter().filter_map(|side| self.why_missing(*side)) {
                ui.colored_label(ui.visuals().warn_fg_color, why);
            }
        });
    }

    fn choices(&mut self, ui: &mut Ui, seen: &Inspection) {
        let at = seen.at.iter().map(|update| Side::Of(Version::At(*update)));
        let all: Vec<Side> =
            [Side::Drawn, Side::Of(Version::Before), Side::Of(Version::Now)].into_iter().chain(at).collect();
        ui.columns(2, |columns| {
            for (index, name) in [text::inspect::LEFT, text::inspect::RIGHT].into_iter().enumerate() {
                let ui = &mut columns[index];
                let chosen = match self.sides[index] {
                    Side::Of(version) if ui.available_width() < SHORT => text::inspect::short_version(version),
                    side => self.words(side, seen),
                };
                let side = &mut self.sides[index];
                let combo = ComboBox::from_id_salt(name).selected_text(chosen).width(ui.available_width()).truncate();
                let response = combo
                    .show_ui(ui, |ui| {
                        for choice in &all {
                            ui.selectable_value(side, *choice, words(*choice, seen.policy));
                        }
                    })
                    .response;
                response.on_hover_text(text::inspect::COMPARE_HELP).accessible_name(name);
            }
        });
    }

    fn words(&self, side: Side, seen: &Inspection) -> String {
        let has_come = self.pictures.contains_key(&Version::Now);
        words(side, if has_come { self.policy } else { seen.policy })
    }

    fn why_missing(&self, side: Side) -> Option<&str> {
        match side {
            Side::Of(version) if !self.pictures.contains_key(&version) => Some(self.missing.get(&version)?),
            _ => None,
        }
    }

    fn rgb<'a>(&'a self, side: Side, seen: &'a Inspection) -> Option<&'a Vec<u8>> {
        match side {
            Side::Drawn => Some(&seen.drawn),
            Side::Of(version) => self.pictures.get(&version),
        }
    }

    /// The left picture up to the line, the right one from there on.
    fn pictures(&mut self, ui: &mut Ui, seen: &Inspection, size: f32) {
        let (area, response) = ui.allocate_exact_size(Vec2::splat(size), Sense::CLICK | Sense::DRAG);
        let rect = on_grid(ui, area);
        if let Some(pointer) = response.interact_pointer_pos() {
            self.line = ((pointer.x - rect.left()) / rect.width()).clamp(0.0, 1.0);
        }
        let line = egui::lerp(rect.x_range(), self.line);
        let parts = [(rect.left(), line, 0.0, self.line), (line, rect.right(), self.line, 1.0)];
        for (index, (from, to, low, high)) in parts.into_iter().enumerate() {
            let part = Rect::from_min_max(pos2(from, rect.top()), pos2(to, rect.bottom()));
            let rgb = self.rgb(self.sides[index], seen).cloned();
            let texture = rgb.and_then(|rgb| self.films[index].id(ui, &rgb, seen.side));
            match texture {
                Some(texture) => {
                    let uv = Rect::from_min_max(pos2(low, WHOLE.top()), pos2(high, WHOLE.bottom()));
                    ui.painter().image(texture, part, uv, Color32::WHITE);
                }
                None => {
                    ui.painter().rect_filled(part, 0.0, ui.visuals().widgets.inactive.weak_bg_fill);
                    if part.width() > 40.0 && self.why_missing(self.sides[index]).is_none() {
                        let spinner = Rect::from_center_size(part.center(), Vec2::splat(22.0));
                        theme::spinner_in(ui, spinner);
                    }
                }
            }
        }
        let painter = ui.painter();
        painter.rect_stroke(rect, 0.0, ui.visuals().window_stroke, StrokeKind::Outside);
        painter.vline(line, rect.y_range(), (4.0, Color32::from_black_alpha(120)));
        painter.vline(line, rect.y_range(), (2.0, Color32::WHITE));
        let handle = pos2(line, rect.center().y);
        painter.circle(handle, 10.0, Color32::WHITE, (1.0, Color32::from_black_alpha(120)));
        for way in [-1.0, 1.0] {
            let tip = handle + vec2(6.5 * way, 0.0);
            let back = handle + vec2(2.5 * way, 0.0);
            let arrow = vec![tip, back - vec2(0.0, 3.5), back + vec2(0.0, 3.5)];
            painter.add(egui::Shape::convex_polygon(arrow, Color32::from_gray(70), egui::Stroke::NONE));
        }
        response.on_hover_cursor(CursorIcon::ResizeHorizontal).on_hover_text(text::inspect::COMPARE_HELP);
    }
}

fn words(side: Side, policy: u64) -> String {
    match side {
        Side::Drawn => text::inspect::DRAWN.into(),
        Side::Of(version) => text::inspect::version(version, policy),
    }
}
