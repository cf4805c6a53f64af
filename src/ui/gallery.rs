//! The newest rollouts: one row per prompt, each picture framed by its advantage.

use eframe::egui::{
    self, Align, Color32, ColorImage, Layout, Rect, Response, RichText, Sense, Stroke, StrokeKind, TextStyle,
    TextureFilter, TextureHandle, TextureOptions, Ui, WidgetInfo, accesskit::Role, pos2, vec2,
};

use super::{text, theme};
use crate::session::{Gallery, Group, Sample};

/// Width of the frame that shows the advantage, in points.
const FRAME: f32 = 3.0;
const GAP: f32 = 4.0;
/// Room for the prompt at the left of a row.
const PROMPT: f32 = 70.0;
/// Pictures are never shown larger than this, in points: two rows of few samples should not fill a wall.
const LARGEST: f32 = 160.0;
/// A group breaks into two or three lines before its pictures become smaller than this, in points.
const SMALLEST: f32 = 48.0;

/// Colours in the legend, as it runs from one end of the scale to the other.
const STEPS: u32 = 48;

/// Which advantage the frames show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Shown {
    #[default]
    Sum,
    Instance,
    Distribution,
}

impl Shown {
    const ALL: [(Self, &str); 3] =
        [(Self::Sum, "Both"), (Self::Instance, "Instance"), (Self::Distribution, "Distribution")];

    /// `lambda` is the weight of the distribution part in the loss.
    fn of(self, (instance, distribution): (f64, f64), lambda: f64) -> f64 {
        match self {
            Self::Sum => instance + lambda * distribution,
            Self::Instance => instance,
            Self::Distribution => distribution,
        }
    }
}

/// Why there are no pictures, in words.
#[derive(Clone, Copy)]
pub(super) enum Empty {
    /// Something is under way.
    Until(&'static str),
    /// Nothing is, because of this.
    Because(&'static str),
}

impl Empty {
    fn show(self, ui: &mut Ui) {
        ui.vertical_centered(|ui| {
            ui.add_space(ui.available_height() * 0.35);
            match self {
                Self::Until(what) => {
                    ui.add(egui::Spinner::new().size(28.0));
                    ui.label(what);
                }
                Self::Because(why) => {
                    ui.label(RichText::new(text::GALLERY_EMPTY).text_style(TextStyle::Heading));
                    ui.weak(why);
                }
            }
        });
    }
}

/// The gallery pane.
#[derive(Default)]
pub(super) struct Pane {
    gallery: Gallery,
    /// One strip of pictures per group.
    strips: Vec<TextureHandle>,
    /// The textures do not show `gallery` yet.
    stale: bool,
    shown: Shown,
    /// The sample that was clicked: its update and its place in the batch.
    picked: Option<(u64, usize)>,
}

impl Pane {
    /// The sample that was clicked since the last call: its update, and its place in the batch.
    pub(super) fn picked(&mut self) -> Option<(u64, usize)> {
        self.picked.take()
    }

    /// Takes newer pictures; they go to the GPU when next drawn.
    pub(super) fn replace(&mut self, gallery: Gallery) {
        self.gallery = gallery;
        self.stale = true;
    }

    /// Forgets all pictures.
    pub(super) fn clear(&mut self) {
        *self = Self { shown: self.shown, ..Self::default() };
    }

    /// Draws the pane; `lambda` is the weight of the distribution advantage against the instance advantage.
    pub(super) fn show(&mut self, ui: &mut Ui, lambda: f64, empty: Empty) {
        self.upload(ui);
        self.header(ui);
        ui.add_space(4.0);
        if self.gallery.groups.is_empty() {
            return empty.show(ui);
        }
        egui::ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            let scale = Scale::fit(ui, &self.gallery);
            ui.spacing_mut().item_spacing = vec2(GAP, GAP);
            let mut first = 0;
            for (group, strip) in self.gallery.groups.iter().zip(&self.strips) {
                if let Some(sample) = row(ui, group, strip, scale, (self.shown, lambda)) {
                    self.picked = Some((self.gallery.update, first + sample));
                }
                first += group.samples.len();
            }
        });
    }

    fn upload(&mut self, ui: &Ui) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        // Crisp when enlarged; smooth when a large picture has to be shrunk.
        let options = TextureOptions {
            magnification: TextureFilter::Nearest,
            minification: TextureFilter::Linear,
            ..TextureOptions::NEAREST
        };
        self.strips.truncate(self.gallery.groups.len());
        for (index, group) in self.gallery.groups.iter().enumerate() {
            let image = strip(group, self.gallery.side);
            match self.strips.get_mut(index) {
                Some(texture) => texture.set(image, options),
                None => self.strips.push(ui.ctx().load_texture(format!("group {index}"), image, options)),
            }
        }
    }

    fn header(&mut self, ui: &mut Ui) {
        ui.horizontal(|ui| {
            ui.heading(text::GALLERY).on_hover_text(text::GALLERY_HELP);
            if !self.gallery.groups.is_empty() {
                ui.weak(text::gallery_update(self.gallery.update, self.gallery.tokens));
            }
        });
        ui.horizontal(|ui| {
            ui.set_row_height(26.0);
            ui.weak(text::ADVANTAGE).on_hover_text(text::LEGEND_HELP);
            for (shown, name) in Shown::ALL {
                ui.selectable_value(&mut self.shown, shown, name).on_hover_text(text::LEGEND_HELP);
            }
            legend(ui);
        });
    }
}

/// How the pictures of a group lie on the screen.
#[derive(Clone, Copy)]
struct Scale {
    /// Side of a picture, in points.
    picture: f32,
    /// Side of a picture, in its own pixels.
    side: usize,
    /// Pictures per line: a group is one line where there is room.
    columns: usize,
}

impl Scale {
    /// The largest whole number of screen pixels per picture pixel at which a line fits, so that every pixel is a
    /// square of one size. A group takes more lines where its pictures would be too small on one; pictures too large
    /// even then are shrunk.
    fn fit(ui: &Ui, gallery: &Gallery) -> Self {
        let count = gallery.groups.iter().map(|g| g.samples.len()).max().unwrap_or(1).max(1);
        let on = |lines: usize| {
            let columns = count.div_ceil(lines);
            let room = (ui.available_width() - PROMPT - 12.0) / columns as f32 - 2.0 * FRAME - GAP;
            let pixels = room.clamp(20.0, LARGEST) * ui.pixels_per_point() / gallery.side.max(1) as f32;
            let times = if pixels >= 1.0 { pixels.floor() } else { pixels };
            Self { picture: times * gallery.side as f32 / ui.pixels_per_point(), side: gallery.side, columns }
        };
        (1..4).map(on).find(|scale| scale.picture >= SMALLEST).unwrap_or_else(|| on(3))
    }

    fn cell(self) -> f32 {
        self.picture + 2.0 * FRAME
    }
}

/// All pictures of a group side by side, so that a row is one texture.
fn strip(group: &Group, side: usize) -> ColorImage {
    let width = side * group.samples.len().max(1);
    let mut image = ColorImage::filled([width, side.max(1)], Color32::from_gray(128));
    for (column, sample) in group.samples.iter().enumerate().filter(|(_, s)| s.rgb.len() == side * side * 3) {
        for (index, pixel) in sample.rgb.chunks_exact(3).enumerate() {
            let (y, x) = (index / side, index % side);
            image.pixels[y * width + column * side + x] = Color32::from_rgb(pixel[0], pixel[1], pixel[2]);
        }
    }
    image
}

/// One prompt and its samples; the sample that was clicked.
fn row(
    ui: &mut Ui,
    group: &Group,
    strip: &TextureHandle,
    scale: Scale,
    (shown, lambda): (Shown, f64),
) -> Option<usize> {
    let mut clicked = None;
    ui.horizontal(|ui| {
        let room = vec2(PROMPT, scale.cell());
        ui.allocate_ui_with_layout(room, Layout::top_down(Align::Min).with_main_align(Align::Center), |ui| {
            ui.set_min_size(room);
            ui.add(egui::Label::new(&group.prompt).wrap()).on_hover_text(text::GALLERY_HELP);
        });
        let count = group.samples.len() as f32;
        ui.vertical(|ui| {
            for (line, samples) in group.samples.chunks(scale.columns).enumerate() {
                ui.horizontal(|ui| {
                    for (column, sample) in samples.iter().enumerate() {
                        let index = line * scale.columns + column;
                        let left = pos2(index as f32 / count, 0.0);
                        let uv = Rect::from_min_size(left, vec2(1.0 / count, 1.0));
                        let frame = sample.advantage.map(|both| theme::diverging(shown.of(both, lambda)));
                        let response = picture(ui, strip.id(), uv, scale.picture, frame);
                        let name = text::sample(&group.prompt, index);
                        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
                        let response =
                            response.on_hover_ui(|ui| details(ui, &name, sample, strip.id(), uv, scale.side));
                        if response.clicked() {
                            clicked = Some(index);
                        }
                    }
                });
            }
        });
    });
    clicked
}

/// One picture on the physical pixel grid, inside its frame.
fn picture(ui: &mut Ui, strip: egui::TextureId, uv: Rect, size: f32, frame: Option<Color32>) -> Response {
    let (cell, response) = ui.allocate_exact_size(egui::Vec2::splat(size + 2.0 * FRAME), Sense::click());
    let grid = ui.pixels_per_point();
    let corner = ((cell.min + vec2(FRAME, FRAME)).to_vec2() * grid).round() / grid;
    let inside = Rect::from_min_size(corner.to_pos2(), egui::Vec2::splat(size));
    let outside = inside.expand(FRAME);
    let painter = ui.painter();
    painter.rect_filled(outside, 3.0, frame.unwrap_or(ui.visuals().widgets.inactive.bg_fill));
    painter.image(strip, inside, uv, Color32::WHITE);
    let edge = if response.hovered() || response.has_focus() {
        Stroke::new(2.0, ui.visuals().strong_text_color())
    } else {
        ui.visuals().window_stroke
    };
    painter.rect_stroke(outside, 3.0, edge, StrokeKind::Outside);
    response
}

/// The tooltip of a picture: it enlarged, every reward part and both advantages.
fn details(ui: &mut Ui, name: &str, sample: &Sample, strip: egui::TextureId, uv: Rect, side: usize) {
    ui.strong(name);
    let times = (160.0 * ui.pixels_per_point() / side.max(1) as f32).floor().max(1.0);
    let size = egui::Vec2::splat((times * side as f32 / ui.pixels_per_point()).min(256.0));
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    ui.painter().image(strip, rect, uv, Color32::WHITE);
    if sample.rewards.is_empty() && sample.advantage.is_none() {
        ui.weak(text::NOT_SCORED);
        return;
    }
    let advantages = sample.advantage.map(|(instance, distribution)| {
        [(text::INSTANCE, text::signed(instance)), (text::DISTRIBUTION, text::signed(distribution))]
    });
    egui::Grid::new("details").num_columns(2).spacing([16.0, 3.0]).show(ui, |ui| {
        let mut line = |name: &str, value: String| {
            ui.label(name);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| ui.monospace(value));
            ui.end_row();
        };
        sample.rewards.iter().for_each(|(name, value)| line(&text::humanise(name), text::number(*value)));
        advantages.into_iter().flatten().for_each(|(name, value)| line(name, value));
    });
    ui.weak(text::inspect::OPEN);
}

/// The scale of the frame colours, with words where there is room for them.
fn legend(ui: &mut Ui) {
    let full = theme::FULL_ADVANTAGE;
    let words = ui.available_width() > 270.0;
    let end = |ui: &mut Ui, number: String, word: &str, first: bool| match (words, first) {
        (false, _) => ui.small(number),
        (true, true) => ui.small(format!("{word} {number}")),
        (true, false) => ui.small(format!("{number} {word}")),
    };
    end(ui, text::signed(-full), text::LEGEND_LESS, true);
    let (rect, response) = ui.allocate_exact_size(vec2(if words { 110.0 } else { 64.0 }, 10.0), Sense::hover());
    let mut band = egui::Mesh::default();
    for step in 0..=STEPS {
        let share = step as f32 / STEPS as f32;
        let colour = theme::diverging((2.0 * f64::from(share) - 1.0) * full);
        let x = egui::lerp(rect.x_range(), share);
        band.colored_vertex(pos2(x, rect.top()), colour);
        band.colored_vertex(pos2(x, rect.bottom()), colour);
        if step > 0 {
            let corner = 2 * step;
            band.add_triangle(corner - 2, corner - 1, corner);
            band.add_triangle(corner - 1, corner, corner + 1);
        }
    }
    ui.painter().add(band);
    ui.painter().rect_stroke(rect, 2.0, ui.visuals().window_stroke, StrokeKind::Outside);
    end(ui, text::signed(full), text::LEGEND_MORE, false);
    response.on_hover_text(text::LEGEND_HELP);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_holds_the_pictures_of_a_group_side_by_side() {
        let sample = |level: u8| Sample { rgb: vec![level; 12], ..Sample::default() };
        let group = Group { samples: vec![sample(10), sample(20), Sample::default()], ..Group::default() };
        let image = strip(&group, 2);
        assert_eq!(image.size, [6, 2]);
        let top: Vec<u8> = image.pixels[..6].iter().map(|p| p.r()).collect();
        assert_eq!(top, [10, 10, 20, 20, 128, 128]);
    }
}
