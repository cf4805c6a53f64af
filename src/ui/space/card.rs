//! What is known about the sample at hand, or about the whole batch, beside the picture.

use eframe::egui::{
    Align, Align2, FontId, Grid, Label, Layout, Rect, RichText, ScrollArea, Sense, Stroke, StrokeKind, Ui, Vec2,
    WidgetInfo, accesskit::Role, vec2,
};

use super::draw::framed;
use super::sheet::Sheet;
use super::{Batch, Touched};
use crate::ui::text::space as text;
use crate::ui::theme;

/// From this width on, in points, text and numbers stand side by side.
pub(super) const WIDE: f32 = 430.0;
/// Side of the enlarged picture, in points.
const PICTURE: f32 = 78.0;
/// Side of a picture in a row, and room for it with its number, in points.
const SMALL: f32 = 38.0;
const CELL: f32 = 46.0;
/// Most samples in a row.
const ROW: usize = 5;
/// From this height on, in points, there are two rows of each kind.
const TALL: f32 = 330.0;
/// Width of a column of numbers, and of what names its lines, in points.
const NUMBERS: f32 = 84.0;
const NAMES: f32 = 66.0;

/// Draws the card: `active`, the sample at hand, or the batch.
pub(super) fn show(ui: &mut Ui, batch: &Batch, active: Option<usize>, sheet: &Sheet) -> Touched {
    let card = theme::card(ui).show(ui, |ui| {
        ui.spacing_mut().item_spacing = vec2(8.0, 4.0);
        ui.set_min_size(ui.available_size());
        let scroll = ScrollArea::vertical().id_salt(active.is_some()).auto_shrink(false);
        scroll.show(ui, |ui| match active {
            Some(i) => {
                details(ui, batch, i, sheet);
                Touched::default()
            }
            None => summary(ui, batch, sheet),
        })
    });
    card.inner.inner
}

/// The whole batch: its distance, and the samples that help and harm most.
fn summary(ui: &mut Ui, batch: &Batch, sheet: &Sheet) -> Touched {
    ui.label(text::summary(&batch.space));
    let mut touched = Touched::default();
    let wide = ui.available_width() > WIDE;
    let room = ui.available_width() / if wide { 2.0 } else { 1.0 };
    let columns = ((room / CELL) as usize).clamp(1, ROW);
    let lines = if ui.available_height() > TALL { 2 } else { 1 };
    let [best, worst] = batch.extremes(columns * lines);
    let rows = |ui: &mut Ui| {
        for (title, samples) in [(text::BEST, best), (text::WORST, worst)] {
            ui.vertical(|ui| {
                ui.label(RichText::new(title).small().weak());
                for line in samples.chunks(columns) {
                    ui.horizontal(|ui| {
                        ui.spacing_mut().item_spacing.x = 0.0;
                        line.iter().for_each(|i| small(ui, batch, *i, sheet, &mut touched));
                    });
                }
            });
        }
    };
    if wide {
        ui.horizontal(rows);
    } else {
        rows(ui);
    }
    ui.label(RichText::new(text::HINT).small().weak());
    notes(ui, batch);
    touched
}

/// A sample in a row, with its reward below.
fn small(ui: &mut Ui, batch: &Batch, i: usize, sheet: &Sheet, touched: &mut Touched) {
    let (cell, response) = ui.allocate_exact_size(vec2(CELL, SMALL + 13.0), Sense::click());
    let picture = Rect::from_min_size(cell.min, Vec2::splat(SMALL));
    let (weak, strong) = (ui.visuals().weak_text_color(), ui.visuals().strong_text_color());
    framed(ui.painter(), picture, sheet.picture(i), batch.colour(i).unwrap_or(weak));
    if response.hovered() || response.has_focus() {
        ui.painter().rect_stroke(picture, 3.0, Stroke::new(2.0, strong), StrokeKind::Inside);
        touched.hovered = Some(batch.spots[i]);
    }
    if let Some(reward) = batch.reward(i) {
        let below = picture.center_bottom() + vec2(0.0, 1.0);
        let font = FontId::proportional(9.5);
        ui.painter().text(below, Align2::CENTER_TOP, text::reward(reward), font, weak);
    }
    if response.clicked() {
        touched.clicked = Some(batch.spots[i]);
    }
    let said = batch.said(i);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &said));
    response.on_hover_text(said);
}

/// One sample: its picture, and how its reward arises.
fn details(ui: &mut Ui, batch: &Batch, i: usize, sheet: &Sheet) {
    let numbers = batch.subtraction(i);
    let wide = ui.available_width() > WIDE;
    ui.with_layout(Layout::left_to_right(Align::Min).with_main_wrap(false), |ui| {
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(PICTURE), Sense::hover());
        framed(ui.painter(), rect, sheet.picture(i), batch.colour(i).unwrap_or(ui.visuals().weak_text_color()));
        let side = if wide { NAMES + 2.0 * NUMBERS + 20.0 } else { 0.0 };
        let room = vec2(ui.available_width() - side, PICTURE);
        ui.allocate_ui_with_layout(room, Layout::top_down(Align::Min), |ui| {
            ui.set_width(room.x);
            ui.add(Label::new(RichText::new(batch.name(i)).strong()).wrap());
            if let Some(reward) = batch.reward(i) {
                ui.label(if reward > 0.0 { text::HELPS } else { text::HARMS });
            }
        });
        if let (true, Some(numbers)) = (wide, &numbers) {
            ui.add_space(12.0);
            ui.vertical(|ui| table(ui, batch, i, numbers));
        }
    });
    ui.label(numbers.as_ref().map_or(text::BROKEN.into(), |numbers| text::sentence(numbers, batch.space.paid)));
    if let Some(numbers) = &numbers {
        if !wide {
            table(ui, batch, i, numbers);
        }
        if batch.times > 1.0 {
            ui.label(RichText::new(text::exaggerated(batch.times)).small().weak());
        }
    }
    notes(ui, batch);
}

/// The subtraction in all features, and its shadow in the plane.
fn table(ui: &mut Ui, batch: &Batch, i: usize, numbers: &[String; 3]) {
    let [all, axes] = text::measured_in(batch.space.features);
    let plane = batch.in_plane(i);
    let width = (0.5 * (ui.available_width() - NAMES)).clamp(40.0, NUMBERS);
    let cell = |ui: &mut Ui, words: RichText| {
        ui.allocate_ui_with_layout(vec2(width, 16.0), Layout::right_to_left(Align::Center), |ui| {
            ui.set_min_width(width);
            ui.label(words);
        });
    };
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = 16.0;
        Grid::new("subtraction").num_columns(3).spacing([2.0, 1.0]).min_col_width(0.0).show(ui, |ui| {
            ui.allocate_exact_size(vec2(NAMES, 0.0), Sense::hover());
            cell(ui, RichText::new(all).small());
            cell(ui, RichText::new(axes).small().weak());
            ui.end_row();
            for (k, name) in [text::WITHOUT, text::WITH, text::DIFFERENCE].into_iter().enumerate() {
                let face = |words: &str| if k == 2 { RichText::new(words).strong() } else { RichText::new(words) };
                ui.label(face(name));
                cell(ui, face(&numbers[k]).monospace());
                cell(ui, RichText::new(plane.as_ref().map_or("", |plane| &plane[k])).monospace().weak());
                ui.end_row();
            }
        });
    });
}

/// What the picture leaves out.
fn notes(ui: &mut Ui, batch: &Batch) {
    let space = &batch.space;
    for (holds, note) in [(!space.paid, text::MEASURED), (space.before.is_none(), text::RESUMED)] {
        if holds {
            ui.label(RichText::new(note).small().color(ui.visuals().warn_fg_color));
        }
    }
    ui.label(RichText::new(text::honesty(space)).small().weak());
}
