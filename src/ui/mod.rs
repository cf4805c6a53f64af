//! The window: the engine's events drawn, and the user's wishes sent as commands.
//!
//! [`App`] is the whole state of the window and knows no engine: events go in by [`App::observe`], commands come out
//! of [`App::show`]. [`run`] ties it to a [`Session`] and to the screen.

mod anchor;
mod app;
mod bar;
mod compare;
mod controls;
mod curves;
mod desk;
mod diagnosis;
mod files;
mod frames;
mod gallery;
mod inspect;
mod job;
mod learn;
mod log;
mod machine;
mod mix;
mod pictures;
mod report;
mod space;
mod text;
pub mod theme;
mod timeline;
mod tour;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use eframe::{egui, egui_wgpu};

pub use app::{App, Remembered, Restart};
use report::Report;

use crate::config::PARAMS;
use crate::platform::files::{is_dir, unused_folder, write_atomic};
use crate::session::recording::Recording;
use crate::session::{self, DrawSetup, Event, Opened, Options, Session, State, opening};

/// Why there is no window.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// Nothing to draw on.
    #[error("{}", text::NO_DISPLAY)]
    NoDisplay,
    /// The system refused a window.
    #[error("{}\n\n{why}", text::NO_WINDOW)]
    Refused {
        /// The system's own words.
        why: String,
    },
}

/// How the window opens, and what it is to do by itself.
#[derive(Clone, Debug, Default)]
pub struct Staging {
    /// Save a picture of the window here, and close.
    pub screenshot: Option<PathBuf>,
    /// Take the picture while the update after this one is being made; without it once the run is finished.
    pub after: Option<u64>,
    /// The pane to bring to the front, by its title.
    pub show: Option<String>,
    /// Dark or light, in place of what the system has.
    pub dark: Option<bool>,
    /// Width and height of the window, in points.
    pub size: Option<[f32; 2]>,
    /// Write figures about the window here when it closes.
    pub report: Option<PathBuf>,
}

/// Opens the window and stays until it is closed; closing saves.
///
/// # Errors
/// [`WindowError`], where there is no display or the system refuses a window; also where the device that was named
/// does not exist.
pub fn run(options: Options, staging: Staging) -> Result<()> {
    let Staging { screenshot, after, show, dark, size, report } = staging;
    if !has_display() {
        return Err(WindowError::NoDisplay.into());
    }
    let (device, setup) = session::open_for_window(&options.device)?;
    let failed = Arc::new(Mutex::new(None));
    let screenshot =
        screenshot.map(|path| Screenshot { path, after, show: show.clone(), frames: 0, failed: failed.clone() });
    let report = report.map(|path| (path, Report::default()));
    let unwritten = failed.clone();
    let result = eframe::run_native(
        "artune",
        native_options(setup.as_ref(), size),
        Box::new(|context| {
            theme::apply(&context.egui_ctx);
            let theme = |dark| if dark { egui::Theme::Dark } else { egui::Theme::Light };
            dark.into_iter().for_each(|dark| context.egui_ctx.set_theme(theme(dark)));
            let renderer = context.wgpu_render_state.clone();
            renderer.iter().for_each(|r| pictures::show_painted(&context.egui_ctx, r.clone()));
            // The surface stands: from now on the device may be kept busy.
            let session = session::start_for_window(options.clone(), device, setup.as_ref());
            renderer.iter().for_each(|r| session.draws_with(&r.device, &r.queue));
            // A picture for a document is of the layout that everybody has.
            let storage = context.storage.filter(|_| screenshot.is_none());
            let remembered = storage.and_then(|storage| eframe::get_value(storage, STORAGE)).unwrap_or_default();
            let mut app = App::new(options.config.clone(), remembered);
            if !options.autostart && !options.resume {
                app.play(Recording::shipped()?);
            }
            show.map_or(Ok(()), |title| app.bring_forward(&title))?;
            let session = Some(session);
            let (ending, before) = (None, None);
            Ok(Box::new(Window { app, options, session, ending, before, screenshot, renderer, report, unwritten }))
        }),
    );
    result.map_err(|error| WindowError::Refused { why: error.to_string() })?;
    match failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(why) => anyhow::bail!("{why}"),
        None => Ok(()),
    }
}

/// Only Linux and its kin can lack a display in a way that is known beforehand.
fn has_display() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(all(unix, not(target_os = "macos"))) || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
}

/// The window's size and name; it draws on the engine's own GPU device where the engine has one.
fn native_options(setup: Option<&DrawSetup>, size: Option<[f32; 2]>) -> eframe::NativeOptions {
    let mut options = eframe::NativeOptions {
        renderer: eframe::Renderer::Wgpu,
        // A size that was asked for counts more than the one of the last time.
        persist_window: size.is_none(),
        viewport: egui::ViewportBuilder::default()
            .with_title(text::TITLE)
            .with_app_id("artune")
            .with_inner_size(size.unwrap_or([1280.0, 800.0]))
            .with_min_inner_size([880.0, 600.0]),
        ..Default::default()
    };
    if let Some(DrawSetup { instance, adapter, device, queue, .. }) = setup.cloned() {
        options.wgpu_options.wgpu_setup =
            egui_wgpu::WgpuSetup::Existing(egui_wgpu::WgpuSetupExisting { instance, adapter, device, queue });
    }
    options
}

/// An [`App`] on the screen, fed by a session.
struct Window {
    app: App,
    options: Options,
    session: Option<Session>,
    /// A session that saves and ends, and what is to be opened then.
    ending: Option<(JoinHandle<()>, Opened)>,
    /// The options before something was opened, in case that does not come up.
    before: Option<Options>,
    screenshot: Option<Screenshot>,
    /// What draws the window; a new engine is told of it.
    renderer: Option<egui_wgpu::RenderState>,
    /// Figures about the window, and the file that they go to.
    report: Option<(PathBuf, Report)>,
    /// Why the report could not be written.
    unwritten: Arc<Mutex<Option<String>>>,
}

/// A picture of the window that is still to be taken.
struct Screenshot {
    path: PathBuf,
    after: Option<u64>,
    /// The pane that it is of.
    show: Option<String>,
    /// Frames drawn since there was something to show.
    frames: u32,
    /// Why it did not come to a picture of a finished run.
    failed: Arc<Mutex<Option<String>>>,
}

/// The newest pictures and curves have surely been drawn after so many frames.
const SETTLED: u32 = 12;

impl Window {
    /// Starts another engine after a failure: where the last checkpoint was, or from the beginning.
    fn restart(&mut self, Restart { config, begun }: Restart) {
        self.session = None; // waits for the old one to end
        // An engine that never came up is started as it was asked for, or the one before it; one that did, where it was.
        if begun.is_none()
            && let Some(before) = self.before.take()
        {
            let resume = before.out.as_ref().is_some_and(|out| is_dir(&out.join("checkpoints")));
            self.options = Options { resume, changes: vec![], autostart: false, ..before };
        } else if let Some(folder) = begun {
            self.before = None;
            let live = PARAMS.iter().filter(|param| param.live);
            self.options.changes =
                live.filter_map(|p| Some((p.name.to_string(), config.get(p.name)?.to_string()))).collect();
            self.options.resume = folder.as_ref().is_some_and(|out| is_dir(&out.join("checkpoints")));
            self.options.out = folder;
        }
        self.options.config = config;
        self.start();
    }

    /// Lets the session at hand save and end, without waiting for it; then another begins with what was opened.
    fn open(&mut self, opened: Opened, Restart { config, begun }: Restart) {
        self.options.config = config;
        // After a reset the folder is another than was asked for.
        self.options.out = begun.unwrap_or_else(|| self.options.out.take());
        let session = self.session.take();
        self.ending = Some((thread::spawn(move || drop(session)), opened));
    }

    /// Begins with what was opened, once the last session has ended.
    fn begin_opened(&mut self) {
        let Some((_, opened)) = self.ending.take_if(|(ending, _)| ending.is_finished()) else { return };
        let options = opening::options(opened, &self.options, unused_folder(Path::new("runs/window")));
        self.before = Some(std::mem::replace(&mut self.options, options));
        self.start();
    }

    fn start(&mut self) {
        match session::open_for_window(&self.options.device) {
            Ok((device, setup)) => {
                let session = session::start_for_window(self.options.clone(), device, setup.as_ref());
                self.renderer.iter().for_each(|r| session.draws_with(&r.device, &r.queue));
                self.session = Some(session);
            }
            Err(error) => self.app.observe(Event::Failed { error: format!("{error:#}"), advice: String::new() }),
        }
    }

    /// Whether the window is drawn by the processor.
    fn draws_in_software(&self) -> bool {
        let info = self.renderer.as_ref().map(|renderer| renderer.adapter.get_info());
        info.is_some_and(|info| info.device_type == wgpu::DeviceType::Cpu || info.name.contains("llvmpipe"))
    }

    /// Asks for the picture once the run has ended; when it comes it is saved, and the window closes.
    fn photograph(&mut self, ctx: &egui::Context) {
        let ended = matches!(self.app.state(), State::Finished | State::Ended);
        let Some(screenshot) = &mut self.screenshot else {
            if ended && self.report.is_some() {
                ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            }
            return;
        };
        if !ended && !screenshot.after.is_some_and(|update| self.app.is_half_way_after(update)) {
            return;
        }
        screenshot.frames += 1;
        ctx.request_repaint();
        if screenshot.frames == 1
            && let Some(title) = &screenshot.show
        {
            // Now there is something to look at closely.
            let _ = self.app.bring_forward(title);
        }
        if screenshot.frames == SETTLED {
            let (path, window, failed) = (screenshot.path.clone(), ctx.clone(), screenshot.failed.clone());
            let unfinished = self.app.state() == State::Ended;
            ctx.request_screenshot(move |image| {
                let [width, height] = image.size.map(|n| n as u32);
                let saved = session::export::save_rgba(&path, image.as_raw(), width, height);
                let why = match saved {
                    Err(error) => Some(format!("{}: {error}", path.display())),
                    Ok(()) => unfinished.then(|| format!("the run failed: see {}", path.display())),
                };
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = why;
                window.send_viewport_cmd(egui::ViewportCommand::Close);
            });
        }
    }
}

/// Under which name the window's layout is remembered.
const STORAGE: &str = "window";

impl eframe::App for Window {
    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        if self.screenshot.is_none() {
            eframe::set_value(storage, STORAGE, &self.app.remember());
        }
    }

    fn raw_input_hook(&mut self, _ctx: &egui::Context, input: &mut egui::RawInput) {
        // A picture of the window is of nothing pointed at.
        if self.screenshot.is_some() {
            input.events.retain(|event| !matches!(event, egui::Event::PointerMoved(_)));
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        // Of the frame before: laid out, tessellated and handed to the graphics device.
        if let Some(seconds) = frame.info().cpu_usage {
            self.app.frame(seconds);
            self.report.iter_mut().for_each(|(_, report)| report.frame(seconds));
        }
        if let Some(session) = &self.session {
            for event in session.poll() {
                self.report.iter_mut().for_each(|(_, report)| report.observe(&event));
                self.app.observe(event);
            }
            if let Some(exhibit) = session.gallery.take() {
                self.report.iter_mut().for_each(|(_, report)| report.pictures());
                self.app.pictures(exhibit);
            }
        }
        let commands = self.app.show(ui);
        if let Some(session) = &self.session {
            commands.into_iter().for_each(|command| session.send(command));
        }
        if let Some((opened, restart)) = self.app.opens() {
            self.open(opened, restart);
        }
        if let Some(restart) = self.app.restarts() {
            self.restart(restart);
        }
        self.begin_opened();
        self.photograph(ui.ctx());
        // What the user does is drawn at once in any case. What the engine does is looked at often while something
        // happens, and seldom otherwise or where drawing takes its processor: at twelve frames a second a software
        // rasteriser makes an update on two cores take 1.7 times as long.
        let pause = match self.app.state() {
            State::Running if self.draws_in_software() => {
                if self.app.is_writing() {
                    700
                } else {
                    2000
                }
            }
            State::Loading | State::Running => 80,
            _ => 300,
        };
        ui.ctx().request_repaint_after(Duration::from_millis(pause));
    }

    fn on_exit(&mut self) {
        if let Some(session) = self.session.take() {
            session.join();
        }
        if let Some((ending, _)) = self.ending.take() {
            let _ = ending.join();
        }
        if let Some((path, report)) = &mut self.report
            && let Err(error) = write_atomic(path, format!("{:#}\n", report.json()).as_bytes())
        {
            let why = format!("{}: {error}", path.display());
            self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        }
    }
}
