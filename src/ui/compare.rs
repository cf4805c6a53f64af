//! The Compare pane: the run at hand beside others, in settings, figures and samples from the same seeds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;

use eframe::egui::{
    self, Align, Button, Color32, ColorImage, Context, Grid, Image, Label, Layout, RichText, ScrollArea, Sense, Slider,
    TextStyle, TextureFilter, TextureHandle, TextureOptions, Ui, WidgetInfo, accesskit::Role, vec2,
};

use super::job::Job;
use super::text::{self, compare as words};
use super::theme;
use crate::config::RunConfig;
use crate::session::compare::{self, FIGURES, LAST, RunSummary};
use crate::session::sheets::Raster;
use crate::session::{History, Sheet as Drawn, Sheets};

/// Runs beside the one at hand.
const MOST: usize = 3;
/// Letters of a run's name in the head of a column.
const LETTERS: usize = 18;
/// From this width on the two tables stand beside each other, in points.
const BESIDE: f32 = 820.0;
/// The first column of a table is no wider than this, and than this share of the pane.
const FIRST: (f32, f32) = (200.0, 0.34);
/// A sheet is never shown wider than this, in points.
const WIDEST: f32 = 1100.0;

/// The run at hand.
#[derive(Clone, Copy)]
pub(super) struct Current<'a> {
    /// Its settings in force.
    pub(super) config: &'a RunConfig,
    /// Everything measured.
    pub(super) history: &'a History,
    /// How its evaluations were measured; empty where there was none.
    pub(super) protocol: &'a str,
    /// Its sheets of samples.
    pub(super) sheets: &'a Sheets,
}

/// The Compare pane.
#[derive(Default)]
pub(super) struct Pane {
    runs: Vec<Shown>,
    /// The sheet of the run at hand, and that which was drawn for it.
    own: Sheet,
    drawn: Option<Arc<Drawn>>,
    /// Update whose sheets are shown; the newest common one where none was chosen.
    chosen: Option<u64>,
}

/// A run that is compared with.
struct Shown {
    summary: RunSummary,
    figures: BTreeMap<&'static str, f64>,
    sheet: Sheet,
}

/// A sheet of samples on its way to the screen.
#[derive(Default)]
struct Sheet {
    update: Option<u64>,
    reading: Option<Job<Result<Raster, String>>>,
    texture: Option<TextureHandle>,
    failed: Option<String>,
}

impl Sheet {
    /// Reads the file of `update`, unless that has been done.
    fn read(&mut self, ctx: &Context, update: u64, path: &Path) {
        if self.update != Some(update) {
            let path = path.to_owned();
            let reading = Job::start(ctx, move || async move { compare::picture(&path) });
            // The last one stays on the screen until the next has come.
            *self = Self { update: Some(update), reading: Some(reading), texture: self.texture.take(), failed: None };
        }
        if let Some(Poll::Ready(result)) = self.reading.as_ref().map(Job::poll) {
            self.reading = None;
            match result.unwrap_or_else(|| Err(text::files::LOST.into())) {
                Ok(raster) => self.show(ctx, &raster),
                Err(why) => (self.texture, self.failed) = (None, Some(why)),
            }
        }
    }

    fn show(&mut self, ctx: &Context, raster: &Raster) {
        // Crisp when enlarged, smooth when shrunk.
        let options = TextureOptions { minification: TextureFilter::Linear, ..TextureOptions::NEAREST };
        let image = ColorImage::from_rgb([raster.width, raster.height], &raster.rgb);
        self.texture = Some(ctx.load_texture("sheet", image, options));
    }
}

/// What is known of one column.
struct Column<'a> {
    name: &'a str,
    path: String,
    config: Option<&'a RunConfig>,
    protocol: &'a str,
    updates: u64,
    figures: BTreeMap<&'static str, f64>,
    drawn: Vec<u64>,
}

impl Pane {
    /// Adds a run; one that is there already is read anew.
    ///
    /// # Errors
    /// A sentence, where there are three already.
    pub(super) fn add(&mut self, summary: RunSummary) -> Result<(), &'static str> {
        self.runs.retain(|run| run.summary.path != summary.path);
        if self.runs.len() >= MOST {
            return Err(words::FULL);
        }
        let figures = compare::figures(&summary.history);
        self.runs.push(Shown { summary, figures, sheet: Sheet::default() });
        Ok(())
    }

    /// The runs compared with, for curves that are laid over those of the run at hand; the first is in the colour
    /// `theme::curve(1)`, and so on.
    pub(super) fn runs(&self) -> impl Iterator<Item = &RunSummary> {
        self.runs.iter().map(|run| &run.summary)
    }

    /// Draws the pane; whether the user wants to choose another run to compare with.
    pub(super) fn show(&mut self, ui: &mut Ui, current: Current<'_>) -> bool {
        let mut asks = false;
        ui.horizontal(|ui| {
            ui.heading(words::TITLE).on_hover_text(words::HELP);
            if !self.runs.is_empty() {
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    asks = add_button(ui, self.runs.len() < MOST)
                });
            }
        });
        ui.add_space(4.0);
        if self.runs.is_empty() {
            ui.vertical_centered(|ui| {
                ui.add_space(ui.available_height() * 0.25);
                ui.label(RichText::new(words::EMPTY).text_style(TextStyle::Heading));
                ui.add(Label::new(RichText::new(words::EMPTY_HELP).weak()).wrap());
                ui.add_space(6.0);
                asks = add_button(ui, true);
            });
            return asks;
        }
        let mut gone = None;
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let columns = self.columns(current);
            if ui.available_width() > BESIDE {
                ui.columns_const(|[left, right]| {
                    figures(left, &columns, &mut gone);
                    settings(right, &columns);
                });
            } else {
                figures(ui, &columns, &mut gone);
                ui.add_space(10.0);
                settings(ui, &columns);
            }
            for complaint in self.runs.iter().flat_map(|run| &run.summary.complaints) {
                note(ui, &format!("▲ {complaint}"), ui.visuals().warn_fg_color);
            }
            ui.add_space(10.0);
            ui.strong(words::SHEETS).on_hover_text(words::SHEETS_HELP);
            let common = common(&columns);
            self.sheets(ui, current, &common);
        });
        if let Some(index) = gone {
            self.runs.remove(index);
        }
        asks
    }

    fn columns<'a>(&'a self, current: Current<'a>) -> Vec<Column<'a>> {
        let own = Column {
            name: words::THIS,
            path: words::HELP.into(),
            config: Some(current.config),
            protocol: current.protocol,
            updates: compare::updates(current.history),
            figures: compare::figures(current.history),
            drawn: current.sheets.all().iter().map(|sheet| sheet.update).collect(),
        };
        let others = self.runs.iter().map(|Shown { summary, figures, .. }| Column {
            name: &summary.name,
            path: summary.path.display().to_string(),
            config: summary.config.as_ref(),
            protocol: &summary.protocol,
            updates: compare::updates(&summary.history),
            figures: figures.clone(),
            drawn: summary.sheets.iter().map(|sheet| sheet.0).collect(),
        });
        std::iter::once(own).chain(others).collect()
    }

    /// The slider, and below it a sheet of each run.
    fn sheets(&mut self, ui: &mut Ui, current: Current<'_>, common: &Common) {
        let Some(&newest) = common.updates.last() else {
            note(ui, if common.any { words::NO_COMMON } else { words::NO_SHEETS }, ui.visuals().weak_text_color());
            return;
        };
        let chosen = self.chosen.unwrap_or(newest);
        let mut index = common.updates.partition_point(|update| *update < chosen).min(common.updates.len() - 1);
        ui.horizontal_wrapped(|ui| {
            if common.updates.len() > 1 {
                let slider = Slider::new(&mut index, 0..=common.updates.len() - 1).show_value(false);
                let slider = ui.add(slider).on_hover_text(words::SHEETS_HELP).accessible_name(words::SLIDER);
                if slider.changed() {
                    // At its end it stays with the newest, however many are still to come.
                    self.chosen = Some(common.updates[index]).filter(|update| *update < newest);
                }
            }
            ui.label(words::after(common.updates[index]));
        });
        if !common.paired {
            note(ui, words::OTHER_SEEDS, ui.visuals().weak_text_color());
        }
        let update = common.updates[index];
        let ctx = ui.ctx().clone();
        if let Some(sheet) = current.sheets.at(update) {
            if !self.drawn.as_ref().is_some_and(|drawn| Arc::ptr_eq(drawn, sheet)) {
                self.own.show(&ctx, &sheet.raster());
                (self.own.update, self.drawn) = (Some(update), Some(sheet.clone()));
            }
            sheet_row(ui, 0, words::THIS, &self.own);
        }
        for (index, run) in self.runs.iter_mut().enumerate() {
            if let Some((_, path)) = run.summary.sheets.iter().find(|sheet| sheet.0 == update) {
                run.sheet.read(&ctx, update, path);
                sheet_row(ui, index + 1, &run.summary.name, &run.sheet);
            }
        }
    }
}

/// What the sheets of all runs have in common.
struct Common {
    /// Updates after which all that drew any drew one.
    updates: Vec<u64>,
    /// Some run drew one.
    any: bool,
    /// They are of the same seeds.
    paired: bool,
}

fn common(columns: &[Column<'_>]) -> Common {
    let drawn: Vec<Vec<u64>> = columns.iter().map(|c| c.drawn.clone()).filter(|drawn| !drawn.is_empty()).collect();
    let configs: Vec<_> = columns.iter().filter(|column| !column.drawn.is_empty()).map(|c| c.config).collect();
    let matters = ["seed", "model", "eval_guidance"];
    let differ = compare::differences(&configs).iter().any(|(name, _)| matters.contains(name));
    Common { updates: compare::common_updates(&drawn), any: !drawn.is_empty(), paired: !differ }
}

fn add_button(ui: &mut Ui, room: bool) -> bool {
    let button = ui.add_enabled(room, Button::new(words::ADD));
    button.on_hover_text(words::ADD_HELP).on_disabled_hover_text(words::FULL).clicked()
}

fn note(ui: &mut Ui, sentence: &str, colour: Color32) {
    ui.add(Label::new(RichText::new(sentence).color(colour)).wrap());
}

/// The colour of a run, as its curves have it, and its name.
fn title(ui: &mut Ui, index: usize, name: &str) -> egui::Response {
    let (spot, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
    ui.painter().circle_filled(spot.center(), 5.0, theme::curve(ui, index));
    let short = if name.chars().count() > LETTERS {
        format!("{}…", name.chars().take(LETTERS - 1).collect::<String>())
    } else {
        name.to_string()
    };
    ui.label(RichText::new(short).strong())
}

/// A table with a head of run names, scrolled sideways where it is too wide.
fn table(
    ui: &mut Ui,
    id: &str,
    columns: &[Column<'_>],
    head: &str,
    rest: impl FnOnce(&mut Ui, f32),
    gone: &mut Option<usize>,
) {
    let first = FIRST.0.min(FIRST.1 * ui.available_width());
    ScrollArea::horizontal().id_salt(id).auto_shrink([false, true]).show(ui, |ui| {
        Grid::new(id).num_columns(columns.len() + 1).striped(true).spacing([18.0, 5.0]).show(ui, |ui| {
            ui.weak(head);
            for (index, column) in columns.iter().enumerate() {
                ui.horizontal(|ui| {
                    title(ui, index, column.name).on_hover_text(&column.path);
                    if index > 0 && id == "figures" {
                        let remove = words::remove(column.name);
                        let button = ui.add(Button::new("×").frame(false)).on_hover_text(&remove);
                        if button.accessible_name(remove).clicked() {
                            *gone = Some(index - 1);
                        }
                    }
                });
            }
            ui.end_row();
            rest(ui, first);
        });
    });
}

/// What a line is about, on as many lines as it needs.
fn first_cell(ui: &mut Ui, width: f32, words: &str) -> egui::Response {
    ui.scope(|ui| {
        ui.set_max_width(width);
        ui.add(Label::new(words).wrap())
    })
    .inner
}

fn figures(ui: &mut Ui, columns: &[Column<'_>], gone: &mut Option<usize>) {
    let configs: Vec<_> = columns.iter().map(|column| column.config).collect();
    let weighted = compare::differences(&configs).iter().any(|(name, _)| name.ends_with("_weight"));
    let protocols: Vec<&str> = columns.iter().map(|column| column.protocol).collect();
    let alike = compare::measured_alike(&protocols);
    ui.strong(words::FIGURES);
    let rows = |ui: &mut Ui, first: f32| {
        first_cell(ui, first, words::UPDATES).on_hover_text(words::UPDATES_HELP);
        for column in columns {
            ui.monospace(column.updates.to_string());
        }
        ui.end_row();
        for (name, better) in FIGURES {
            let values: Vec<Option<f64>> = columns.iter().map(|column| column.figures.get(name).copied()).collect();
            if values.iter().all(Option::is_none) {
                continue;
            }
            let comparable = if *name == "reward" { !weighted } else { alike };
            let best = compare::best(&values, *better);
            first_cell(ui, first, &words::figure(name, *better)).on_hover_text(words::figure_help(name, *better, LAST));
            for ((value, best), column) in values.iter().zip(best).zip(columns) {
                let Some(value) = value else {
                    ui.weak(words::UNKNOWN).on_hover_text(words::UNKNOWN_HELP);
                    continue;
                };
                let number = RichText::new(text::number(*value)).monospace();
                let help = if name.starts_with("eval/") { column.protocol } else { "" };
                ui.horizontal(|ui| {
                    let best = best && comparable;
                    let cell = ui.label(if best { number.strong() } else { number });
                    if !help.is_empty() {
                        cell.on_hover_text(help);
                    }
                    if best {
                        let mark = RichText::new(words::BEST).small().color(theme::accent(ui));
                        ui.label(mark).on_hover_text(words::BEST_HELP);
                    }
                });
            }
            ui.end_row();
        }
    };
    table(ui, "figures", columns, words::FIGURE, rows, gone);
    let evaluated = protocols.iter().filter(|protocol| !protocol.is_empty()).count() > 1;
    if !alike && evaluated {
        note(ui, words::NOT_ALIKE, ui.visuals().weak_text_color());
    }
    if weighted {
        note(ui, words::OTHER_WEIGHTS, ui.visuals().weak_text_color());
    }
}

fn settings(ui: &mut Ui, columns: &[Column<'_>]) {
    ui.strong(words::SETTINGS);
    let configs: Vec<_> = columns.iter().map(|column| column.config).collect();
    let differences = compare::differences(&configs);
    if differences.is_empty() {
        return note(ui, words::SAME_SETTINGS, ui.visuals().weak_text_color());
    }
    let rows = |ui: &mut Ui, first: f32| {
        for (name, values) in differences {
            first_cell(ui, first, &text::humanise(name)).on_hover_text(name);
            for value in values {
                match value {
                    Some(value) => ui.monospace(value),
                    None => ui.weak(words::UNKNOWN).on_hover_text(words::SETTING_UNKNOWN),
                };
            }
            ui.end_row();
        }
    };
    table(ui, "settings", columns, words::SETTING, rows, &mut None);
}

fn sheet_row(ui: &mut Ui, index: usize, name: &str, sheet: &Sheet) {
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        title(ui, index, name).on_hover_text(name);
        if sheet.reading.is_some() {
            ui.weak(words::LOADING);
        }
    });
    if let Some(why) = &sheet.failed {
        note(ui, why, ui.visuals().warn_fg_color);
    }
    let (Some(texture), Some(update)) = (&sheet.texture, sheet.update) else { return };
    let size = texture.size_vec2();
    let width = ui.available_width().clamp(40.0, WIDEST);
    let shown = vec2(width, (width * size.y / size.x.max(1.0)).max(1.0));
    let response = ui.add(Image::new((texture.id(), shown)).fit_to_exact_size(shown));
    let label = words::sheet(name, update);
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &label));
}

#[cfg(test)]
mod tests;
