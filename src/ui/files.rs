//! The File menu, and files dropped on the window. Dialogs, reading and writing go on beside the window, which is drawn
//! all the while; what came of them is told in sentences.

mod dialog;

use std::path::{Path, PathBuf};
use std::task::Poll;

use eframe::egui::{
    self, Align2, Area, Button, Context, Frame, Id, Key, LayerId, Margin, Order, RichText, TextEdit, Ui,
    ViewportCommand, vec2,
};

use super::job::Job;
use super::text::{files as text, teach};
use super::{share, theme};
use crate::config::{Link, RunConfig};
use crate::platform::files::write_atomic;
use crate::session::compare::{self, RunSummary};
use crate::session::export::{self, ExportError};
use crate::session::{Command, Gallery, History, Opened, Sheets, opening};

/// Milliseconds per frame of an animation.
const DELAY: u32 = 200;
/// Runs that are opened at once to compare with.
const COMPARED: usize = 3;

/// What the user asked for by a file.
#[derive(Debug)]
pub(super) enum FileWish {
    /// A command for the engine.
    Command(Command),
    /// Another session.
    Open(Opened),
    /// A link to follow: besides settings it fixes or hides something, or begins a lesson.
    Follow(String),
    /// A run to compare with.
    Compare(Box<RunSummary>),
    /// A sentence for the log.
    Say(String),
    /// A sentence for the log about something that did not work.
    Complain(String),
}

/// What there is to save and to export.
#[derive(Clone, Copy)]
pub(super) struct FilesContext<'a> {
    /// The newest pictures.
    pub(super) gallery: &'a Gallery,
    /// Everything measured.
    pub(super) history: &'a History,
    /// The sheets of samples so far.
    pub(super) sheets: &'a Sheets,
    /// The settings in force.
    pub(super) config: &'a RunConfig,
    /// Whether the engine takes commands.
    pub(super) ready: bool,
}

/// What a dialog asks for.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    /// A folder to open.
    Folder,
    /// A file to open.
    File,
    /// Where to write a file of this name and extension.
    Save {
        /// Name without extension.
        name: String,
        /// Extension without a dot.
        extension: &'static str,
    },
}

type Chooser = Box<dyn Fn(&Ask) -> dialog::Answer>;
type Wishes = Job<Vec<FileWish>>;

/// The File menu.
pub(super) struct Menu {
    choose: Chooser,
    /// A dialog, or what follows from it.
    asking: Option<Wishes>,
    /// What was dropped and is being looked at.
    dropped: Vec<Wishes>,
    hover: Option<Hover>,
    /// The field for pasted settings, while it is open.
    pasting: Option<Pasting>,
    /// The dialog for a link for others, while it is open.
    sharing: Option<share::Dialog>,
    /// The address at which the program lives, if it is a page.
    pub(super) page: Option<String>,
}

/// Settings being pasted.
#[derive(Default)]
struct Pasting {
    words: String,
    /// The field has been drawn, and was given the keyboard.
    begun: bool,
}

/// A file that is held over the window.
struct Hover {
    path: PathBuf,
    looking: Option<Job<Result<String, String>>>,
    said: Option<Result<String, String>>,
}

impl Default for Menu {
    fn default() -> Self {
        Self {
            choose: Box::new(dialog::ask),
            asking: None,
            dropped: vec![],
            hover: None,
            pasting: None,
            sharing: None,
            page: None,
        }
    }
}

impl Menu {
    /// Draws the button with its menu, and takes in what is dropped on the window; returns what is asked for.
    pub(super) fn show(&mut self, ui: &mut Ui, context: FilesContext<'_>) -> Vec<FileWish> {
        let mut wishes = vec![];
        let button = ui.menu_button(text::FILE, |ui| {
            ui.set_min_width(220.0);
            self.entries(ui, context, &mut wishes);
        });
        button.response.on_hover_text(text::FILE_HELP);
        self.paste(ui.ctx(), &mut wishes);
        self.share(ui.ctx(), context.config, &mut wishes);
        self.hovered(ui.ctx());
        self.drops(ui.ctx(), &mut wishes);
        self.collect(&mut wishes);
        wishes
    }

    /// Asks for a run to compare with, as the menu does.
    pub(super) fn ask_compare(&mut self, ctx: &Context) {
        self.ask(ctx, &Ask::Folder, compared);
    }

    fn entries(&mut self, ui: &mut Ui, context: FilesContext<'_>, wishes: &mut Vec<FileWish>) {
        let free = self.asking.is_none();
        let ctx = ui.ctx().clone();
        if entry(ui, free, text::OPEN_FOLDER, text::OPEN_FOLDER_HELP, text::ASKING) {
            self.ask(&ctx, &Ask::Folder, opened);
        }
        for (name, help) in [(text::OPEN_FILE, text::OPEN_FILE_HELP), (text::LOAD_MODEL, text::LOAD_MODEL_HELP)] {
            if entry(ui, free, name, help, text::ASKING) {
                self.ask(&ctx, &Ask::File, opened);
            }
        }
        if entry(ui, free, text::COMPARE, text::COMPARE_HELP, text::ASKING) {
            self.ask_compare(&ctx);
        }
        ui.separator();
        if entry(ui, context.ready, text::SAVE, text::SAVE_HELP, text::NOT_READY) {
            wishes.push(FileWish::Command(Command::Save));
        }
        ui.menu_button(text::EXPORT, |ui| {
            ui.set_min_width(180.0);
            self.exports(ui, context);
        });
        ui.separator();
        if entry(ui, true, text::COPY_LINK, text::COPY_LINK_HELP, "") {
            let link = Link::from(context.config.clone());
            let link = self.page.as_ref().map_or_else(|| link.to_string(), |page| link.page(page));
            wishes.push(FileWish::Say(text::copied(&link)));
            ctx.copy_text(link);
        }
        if entry(ui, true, teach::SHARE, teach::SHARE_TOOLTIP, "") {
            self.sharing = Some(share::Dialog::default());
        }
        if entry(ui, true, text::PASTE, text::PASTE_HELP, "") {
            self.pasting = Some(Pasting::default());
        }
    }

    fn exports(&mut self, ui: &mut Ui, FilesContext { gallery, history, sheets, config, .. }: FilesContext<'_>) {
        let free = self.asking.is_none();
        let why = |there: bool, missing: &'static str| if there { text::ASKING } else { missing };
        let ctx = ui.ctx().clone();
        let update = compare::updates(history).max(gallery.update);

        let drawn = !gallery.groups.is_empty();
        if entry(ui, free && drawn, text::PNG, text::PNG_HELP, why(drawn, text::NO_PICTURES)) {
            let (gallery, lambda) = (gallery.clone(), config.lambda_fid);
            self.save(&ctx, format!("pictures-{:06}", gallery.update), "png", move || {
                export::png_grid(&gallery, |sample| {
                    let (instance, distribution) = sample.advantage?;
                    let [red, green, blue, _] = theme::diverging(instance + lambda * distribution).to_array();
                    Some([red, green, blue])
                })
            });
        }
        let measured = history.names().next().is_some();
        if entry(ui, free && measured, text::CSV, text::CSV_HELP, why(measured, text::NO_CURVES)) {
            let history = history.clone();
            let make = move || export::csv(&history).map(String::into_bytes);
            self.save(&ctx, format!("curves-{update:06}"), "csv", make);
        }
        if entry(ui, free && measured, text::JSONL, text::JSONL_HELP, why(measured, text::NO_CURVES)) {
            let history = history.clone();
            let make = move || export::jsonl(&history).map(String::into_bytes);
            self.save(&ctx, format!("curves-{update:06}"), "jsonl", make);
        }
        let moves = sheets.all().len() >= 2;
        if entry(ui, free && moves, text::GIF, text::GIF_HELP, why(moves, text::NO_SHEETS)) {
            let sheets = sheets.all().to_vec();
            self.save(&ctx, format!("samples-{update:06}"), "gif", move || {
                let all = sheets.iter().map(|sheet| sheet.pictures.len()).min().unwrap_or(0);
                export::gif(&sheets, 0..all, DELAY)
            });
        }
    }

    /// Opens a dialog; what it chooses is handed to `then` on another thread.
    fn ask(&mut self, ctx: &Context, ask: &Ask, then: impl FnOnce(&Path) -> Vec<FileWish> + Send + 'static) {
        if self.asking.is_some() {
            return;
        }
        let answer = (self.choose)(ask);
        self.asking = Some(Job::start(ctx, move || async move {
            match answer.await {
                Ok(Some(path)) => then(&path),
                Ok(None) => vec![],
                Err(why) => vec![FileWish::Complain(why)],
            }
        }));
    }

    fn save(
        &mut self,
        ctx: &Context,
        name: String,
        extension: &'static str,
        make: impl FnOnce() -> Result<Vec<u8>, ExportError> + Send + 'static,
    ) {
        self.ask(ctx, &Ask::Save { name, extension }, move |path| {
            // Not every system's dialog adds it.
            let path = if path.extension().is_some() { path.to_owned() } else { path.with_extension(extension) };
            let bytes = make().map_err(|error| error.to_string());
            let written = bytes.and_then(|bytes| write_atomic(&path, &bytes).map_err(|error| error.to_string()));
            vec![match written.and_then(|()| dialog::written(&path)) {
                Ok(()) => FileWish::Say(text::written(&path)),
                Err(why) => FileWish::Complain(text::not_written(&path, &why)),
            }]
        });
    }

    /// The field for pasted settings.
    fn paste(&mut self, ctx: &Context, wishes: &mut Vec<FileWish>) {
        let Some(Pasting { words, begun }) = &mut self.pasting else { return };
        let mut link = None;
        let answer = egui::Modal::new(Id::unique("paste settings")).show(ctx, |ui| {
            ui.set_width(420.0);
            ui.heading(text::PASTE_TITLE);
            let field = TextEdit::singleline(words).hint_text(text::PASTE_HINT).desired_width(f32::INFINITY);
            let field = ui.add(field).on_hover_text(text::PASTE_HELP).accessible_name(text::PASTE_FIELD);
            if !std::mem::replace(begun, true) {
                field.request_focus();
                ui.ctx().send_viewport_cmd(ViewportCommand::RequestPaste);
            }
            let read = (!words.trim().is_empty()).then(|| Link::parse(words));
            match &read {
                None => ui.weak(text::PASTE_HELP),
                Some(Ok(link)) => {
                    let said = ui.label(text::pasted(link.config.changes().count()));
                    if teaches(link) { ui.label(teach::PASTED) } else { said }
                }
                Some(Err(error)) => ui.colored_label(ui.visuals().warn_fg_color, error.to_string()),
            };
            ui.add_space(8.0);
            let good = read.and_then(Result::ok);
            let entered = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            ui.horizontal(|ui| {
                let now = ui.add_enabled(good.is_some(), Button::new(text::PASTE_NOW));
                if now.on_hover_text(text::PASTE_NOW_HELP).clicked() || entered {
                    link = good;
                }
                ui.button(text::CANCEL).clicked()
            })
            .inner
        });
        if let Some(link) = link {
            match teaches(&link) {
                true => wishes.push(FileWish::Follow(std::mem::take(words))),
                false => open(Opened::Settings(Box::new(link.config)), wishes),
            }
            self.pasting = None;
        } else if answer.inner || answer.should_close() {
            self.pasting = None;
        }
    }

    /// The dialog for a link for others.
    fn share(&mut self, ctx: &Context, config: &RunConfig, wishes: &mut Vec<FileWish>) {
        let Some(dialog) = &mut self.sharing else { return };
        match dialog.show(ctx, config, self.page.as_deref()) {
            share::Answer::Open => return,
            share::Answer::Copied(link) => wishes.push(FileWish::Say(text::copied(&link))),
            share::Answer::Closed => {}
        }
        self.sharing = None;
    }

    /// Says over the window what dropping would do.
    fn hovered(&mut self, ctx: &Context) {
        let (path, shift) = ctx.input(|input| {
            let path = input.raw.hovered_files.iter().find_map(|file| file.path.clone());
            (path, input.modifiers.shift)
        });
        let Some(path) = path else {
            self.hover = None;
            return;
        };
        if self.hover.as_ref().is_none_or(|hover| hover.path != path) {
            let at = path.clone();
            let look = move || async move {
                opening::recognise(&at).map(|it| text::would(&it)).map_err(|error| error.to_string())
            };
            self.hover = Some(Hover { path, looking: Some(Job::start(ctx, look)), said: None });
        }
        let Some(hover) = &mut self.hover else { return };
        if let Some(Poll::Ready(said)) = hover.looking.as_ref().map(Job::poll) {
            (hover.looking, hover.said) = (None, Some(said.unwrap_or_else(|| Err(text::LOST.into()))));
        }
        let whole = ctx.content_rect();
        let layer = LayerId::new(Order::Foreground, Id::unique("drop ground"));
        ctx.layer_painter(layer).rect_filled(whole, 0.0, egui::Color32::from_black_alpha(140));
        let area = Area::new(Id::unique("drop")).order(Order::Tooltip).anchor(Align2::CENTER_CENTER, vec2(0.0, 0.0));
        area.interactable(false).show(ctx, |ui| {
            Frame::popup(ui.style()).inner_margin(Margin::same(20)).show(ui, |ui| {
                ui.set_max_width((whole.width() - 80.0).clamp(120.0, 460.0));
                ui.heading(if shift { text::DROP_COMPARE } else { text::DROP });
                ui.label(RichText::new(hover.path.display().to_string()).weak());
                match (&hover.said, shift) {
                    (_, true) => ui.label(text::COMPARE_HELP),
                    (None, _) => ui.label(text::LOOKING),
                    (Some(Ok(would)), _) => ui.label(would),
                    (Some(Err(why)), _) => ui.colored_label(ui.visuals().warn_fg_color, why),
                };
                if !shift {
                    ui.weak(text::DROP_SHIFT);
                }
            });
        });
    }

    fn drops(&mut self, ctx: &Context, wishes: &mut Vec<FileWish>) {
        let (files, shift) =
            ctx.input_mut(|input| (std::mem::take(&mut input.raw.dropped_files), input.modifiers.shift));
        let taken = if shift { COMPARED } else { 1 };
        let left = files.len().saturating_sub(taken);
        for file in files.into_iter().take(taken) {
            let then = move || async move {
                match dialog::arrived(&*file).await {
                    Ok(path) if shift => compared(&path),
                    Ok(path) => opened(&path),
                    Err(why) => vec![FileWish::Complain(why)],
                }
            };
            self.dropped.push(Job::start(ctx, then));
        }
        if left > 0 {
            wishes.push(FileWish::Say(text::others_left(left)));
        }
    }

    /// What has been done meanwhile.
    fn collect(&mut self, wishes: &mut Vec<FileWish>) {
        let mut done = |job: &Wishes| match job.poll() {
            Poll::Ready(result) => {
                wishes.extend(result.unwrap_or_else(|| vec![FileWish::Complain(text::LOST.into())]));
                true
            }
            Poll::Pending => false,
        };
        if self.asking.as_ref().is_some_and(&mut done) {
            self.asking = None;
        }
        self.dropped.retain(|job| !done(job));
    }
}

/// A line of the menu.
fn entry(ui: &mut Ui, enabled: bool, label: &str, help: &str, why_not: &str) -> bool {
    let clicked =
        ui.add_enabled(enabled, Button::new(label)).on_hover_text(help).on_disabled_hover_text(why_not).clicked();
    if clicked {
        ui.close();
    }
    clicked
}

/// Whether a link says more than settings.
fn teaches(link: &Link) -> bool {
    link.restricts() || link.lesson.is_some()
}

fn open(opened: Opened, wishes: &mut Vec<FileWish>) {
    wishes.extend([FileWish::Say(text::opening(&opened)), FileWish::Open(opened)]);
}

/// What follows from opening `path`.
fn opened(path: &Path) -> Vec<FileWish> {
    let mut wishes = vec![];
    match opening::recognise(path) {
        Ok(Opened::Metrics(path)) => return compared(&path),
        Ok(opened) => open(opened, &mut wishes),
        Err(error) => wishes.push(FileWish::Complain(error.to_string())),
    }
    wishes
}

/// What follows from comparing with `path`.
fn compared(path: &Path) -> Vec<FileWish> {
    match compare::read(path) {
        Ok(run) => vec![FileWish::Say(text::compared(&run.name)), FileWish::Compare(Box::new(run))],
        Err(error) => vec![FileWish::Complain(error.to_string())],
    }
}

#[cfg(test)]
mod tests;
