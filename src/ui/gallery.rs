//! The newest rollouts: one row per prompt, each picture framed by its advantage.

use std::borrow::Cow;

use eframe::egui::{
    self, Align, Color32, Layout, Rect, Response, RichText, Sense, Stroke, StrokeKind, TextStyle, TextureId, Ui,
    WidgetInfo, accesskit::Role, vec2,
};

use super::pictures::Pictures;
use super::{anchor, text, theme};
use crate::config::RunConfig;
use crate::session::{Exhibit, Gallery, Sample, whatif};

/// Width of the frame that shows the advantage, in points.
const FRAME: f32 = 3.0;
const GAP: f32 = 4.0;
/// Pictures are never shown larger than this, in points: two rows of few samples should not fill a wall.
const LARGEST: f32 = 160.0;
/// A group breaks into two or three lines before its pictures become smaller than this, in points.
const SMALLEST: f32 = 48.0;

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
#[derive(Clone)]
pub(super) enum Empty {
    /// Something is under way.
    Until(Cow<'static, str>),
    /// Nothing is, because of this.
    Because(&'static str),
}

impl Empty {
    fn show(self, ui: &mut Ui) {
        ui.vertical_centered(|ui| {
            ui.add_space(ui.available_height() * 0.35);
            match self {
                Self::Until(what) => {
                    theme::spinner(ui, 28.0);
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
    exhibit: Exhibit,
    pictures: Pictures,
    /// The pictures are not those of `exhibit` yet.
    stale: bool,
    shown: Shown,
    /// Advantages of the pictures under the settings as they are now; `None` before they are scored.
    advantages: Option<Vec<Vec<(f64, f64)>>>,
    /// The settings that `advantages` are for.
    valued: Option<RunConfig>,
    /// The best of a row first.
    ranked: bool,
}

/// The sample of the gallery that is meant.
#[derive(Default)]
pub(super) struct Touched {
    /// Under the pointer: its group, and its place in it.
    pub(super) hovered: Option<(usize, usize)>,
    /// Clicked.
    pub(super) clicked: Option<(usize, usize)>,
    /// The user chose which advantage the frames show.
    pub(super) switched: bool,
}

impl Pane {
    /// Takes newer pictures; they become textures when next drawn.
    pub(super) fn replace(&mut self, newer: impl Into<Exhibit>) {
        self.exhibit = newer.into();
        self.stale = true;
        self.valued = None;
    }

    /// Forgets all pictures. Their textures go when next drawn: this frame may still show them.
    pub(super) fn clear(&mut self) {
        self.replace(Exhibit::default());
    }

    /// The pictures.
    pub(super) fn gallery(&self) -> &Gallery {
        &self.exhibit.gallery
    }

    /// Values the pictures under the settings as they are now, if those have changed.
    pub(super) fn revalue(&mut self, config: &RunConfig) {
        if self.valued.as_ref() != Some(config) {
            self.advantages = whatif::advantages_under(&self.exhibit.gallery, config);
            self.valued = Some(config.clone());
        }
    }

    /// Where the pictures were learnt from under other weights: how many would now lie on the other side of their
    /// row's mean.
    pub(super) fn what_if(&self) -> Option<usize> {
        let now = self.advantages.iter().flatten().flatten();
        let paid = self.exhibit.gallery.groups.iter().flat_map(|group| &group.samples).map(|sample| sample.advantage);
        let pairs: Vec<_> = now.zip(paid).filter_map(|(now, paid)| Some((now, paid?))).collect();
        let differs =
            |(now, paid): &(&(f64, f64), (f64, f64))| (now.0 - paid.0).abs() > 1e-9 || (now.1 - paid.1).abs() > 1e-9;
        let turned = pairs.iter().filter(|(now, paid)| (now.0 > 0.0) != (paid.0 > 0.0)).count();
        pairs.iter().any(differs).then_some(turned)
    }

    /// Draws the pane; `lambda` is the weight of the distribution advantage against the instance advantage.
    /// `marked` is a sample that is pointed at elsewhere.
    pub(super) fn show(&mut self, ui: &mut Ui, lambda: f64, empty: Empty, marked: Option<(usize, usize)>) -> Touched {
        let mut touched = Touched::default();
        if std::mem::take(&mut self.stale) {
            self.pictures.update(ui.ctx(), &self.exhibit.gallery, self.exhibit.atlas.as_ref());
        }
        touched.switched = self.header(ui);
        ui.add_space(4.0);
        if self.exhibit.gallery.groups.is_empty() {
            empty.show(ui);
            return touched;
        }
        egui::ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            let gallery = &self.exhibit.gallery;
            let scale = Scale::fit(ui, gallery);
            ui.spacing_mut().item_spacing = vec2(GAP, GAP);
            for number in 0..gallery.groups.len() {
                let advantages = self.advantages.as_ref().and_then(|all| all.get(number));
                let value = |sample: usize| -> Option<f64> {
                    Some(self.shown.of(*advantages?.get(sample)?, lambda)).filter(|value| value.is_finite())
                };
                let mut order: Vec<usize> = (0..gallery.groups[number].samples.len()).collect();
                if self.ranked {
                    let key = |i: &usize| value(*i).unwrap_or(f64::NEG_INFINITY);
                    order.sort_by(|a, b| key(b).total_cmp(&key(a)));
                }
                let marked = marked.filter(|spot| spot.0 == number).map(|spot| spot.1);
                row(ui, (gallery, number), &self.pictures, scale, (&order, &value), marked, &mut touched);
            }
        });
        touched
    }

    /// What is shown and how; whether the user chose another advantage for the frames.
    fn header(&mut self, ui: &mut Ui) -> bool {
        let mut switched = false;
        ui.horizontal(|ui| {
            ui.set_row_height(24.0);
            ui.weak(text::ADVANTAGE).on_hover_text(text::LEGEND_HELP);
            for (shown, name) in Shown::ALL {
                let choice = ui.selectable_value(&mut self.shown, shown, name).on_hover_text(text::LEGEND_HELP);
                switched |= choice.changed();
            }
            let legend = legend(ui);
            anchor::mark(ui, "frames-legend", legend);
            ui.checkbox(&mut self.ranked, text::RANKED).on_hover_text(text::RANKED_HELP);
            if let Some(turned) = self.what_if() {
                let note = RichText::new(text::WHAT_IF_TITLE).color(ui.visuals().warn_fg_color).strong();
                ui.label(note).on_hover_text(text::what_if(turned));
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let gallery = &self.exhibit.gallery;
                // Cut off to a letter or two it would only be noise.
                if !gallery.groups.is_empty() && ui.available_width() > 64.0 {
                    let words = text::gallery_update(gallery.update, gallery.tokens);
                    ui.add(egui::Label::new(RichText::new(words).weak()).truncate());
                }
            });
        });
        switched
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
            let room = (ui.available_width() - 12.0) / columns as f32 - 2.0 * FRAME - GAP;
            let pixels = room.clamp(20.0, LARGEST) * ui.pixels_per_point() / gallery.side.max(1) as f32;
            let times = if pixels >= 1.0 { pixels.floor() } else { pixels };
            Self { picture: times * gallery.side as f32 / ui.pixels_per_point(), side: gallery.side, columns }
        };
        (1..4).map(on).find(|scale| scale.picture >= SMALLEST).unwrap_or_else(|| on(3))
    }
}

/// One prompt and its samples.
fn row(
    ui: &mut Ui,
    (gallery, number): (&Gallery, usize),
    pictures: &Pictures,
    scale: Scale,
    (order, value): (&[usize], &dyn Fn(usize) -> Option<f64>),
    marked: Option<usize>,
    touched: &mut Touched,
) {
    let group = &gallery.groups[number];
    ui.vertical(|ui| {
        ui.add(egui::Label::new(&group.prompt).truncate()).on_hover_text(text::GALLERY_HELP);
        ui.vertical(|ui| {
            for line in order.chunks(scale.columns) {
                ui.horizontal(|ui| {
                    for &index in line {
                        let sample = &group.samples[index];
                        let image = pictures.cell(number, index);
                        let frame = value(index).map(theme::diverging);
                        let response = picture(ui, image, scale.picture, frame, marked == Some(index));
                        let name = text::sample(&group.prompt, index);
                        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
                        if response.hovered() || response.has_focus() {
                            touched.hovered = Some((number, index));
                        }
                        if response.clicked() {
                            touched.clicked = Some((number, index));
                        }
                        response.on_hover_ui(|ui| details(ui, &name, sample, image, scale.side));
                    }
                });
            }
        });
        ui.add_space(4.0);
    });
}

/// One picture on the physical pixel grid, inside its frame.
fn picture(ui: &mut Ui, image: Option<(TextureId, Rect)>, size: f32, frame: Option<Color32>, marked: bool) -> Response {
    let (cell, response) = ui.allocate_exact_size(egui::Vec2::splat(size + 2.0 * FRAME), Sense::click());
    let grid = ui.pixels_per_point();
    let corner = ((cell.min + vec2(FRAME, FRAME)).to_vec2() * grid).round() / grid;
    let inside = Rect::from_min_size(corner.to_pos2(), egui::Vec2::splat(size));
    let outside = inside.expand(FRAME);
    let painter = ui.painter();
    painter.rect_filled(outside, 3.0, frame.unwrap_or(ui.visuals().widgets.inactive.bg_fill));
    if let Some((texture, uv)) = image {
        painter.image(texture, inside, uv, Color32::WHITE);
    }
    let edge = if marked {
        Stroke::new(3.0, theme::accent(ui))
    } else if response.hovered() || response.has_focus() {
        Stroke::new(2.0, ui.visuals().strong_text_color())
    } else {
        ui.visuals().window_stroke
    };
    painter.rect_stroke(outside, 3.0, edge, StrokeKind::Outside);
    response
}

/// The tooltip of a picture: it enlarged, every reward part and both advantages.
fn details(ui: &mut Ui, name: &str, sample: &Sample, image: Option<(TextureId, Rect)>, side: usize) {
    ui.strong(name);
    let times = (160.0 * ui.pixels_per_point() / side.max(1) as f32).floor().max(1.0);
    let size = egui::Vec2::splat((times * side as f32 / ui.pixels_per_point()).min(256.0));
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    if let Some((texture, uv)) = image {
        ui.painter().image(texture, rect, uv, Color32::WHITE);
    }
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
fn legend(ui: &mut Ui) -> Rect {
    let full = theme::FULL_ADVANTAGE;
    let words = ui.available_width() > 480.0;
    let end = |ui: &mut Ui, number: String, word: &str, first: bool| match (words, first) {
        (false, _) => ui.small(number),
        (true, true) => ui.small(format!("{word} {number}")),
        (true, false) => ui.small(format!("{number} {word}")),
    };
    end(ui, text::signed(-full), text::LEGEND_LESS, true);
    let (rect, response) = ui.allocate_exact_size(vec2(if words { 110.0 } else { 64.0 }, 10.0), Sense::hover());
    theme::band(ui.painter(), rect, |share| theme::diverging((2.0 * share - 1.0) * full));
    ui.painter().rect_stroke(rect, 2.0, ui.visuals().window_stroke, StrokeKind::Outside);
    end(ui, text::signed(full), text::LEGEND_MORE, false);
    response.on_hover_text(text::LEGEND_HELP);
    rect
}
