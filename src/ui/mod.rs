//! The window: the engine's events drawn, and the user's wishes sent as commands.
//!
//! [`App`] is the whole state of the window and knows no engine: events go in by [`App::observe`], commands come out
//! of [`App::show`]. [`run`] ties it to a [`Session`] and to the screen.

mod app;
mod bar;
mod controls;
mod curves;
mod diagnosis;
mod gallery;
mod log;
mod text;
pub mod theme;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use eframe::{egui, egui_wgpu};

pub use app::{App, Restart};

use crate::config::PARAMS;
use crate::session::{self, DrawSetup, Event, Options, Session, State};

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

/// Opens the window and stays until it is closed; closing saves. With `screenshot` it saves a picture of itself there
/// once the run is finished, and closes.
///
/// # Errors
/// [`WindowError`], where there is no display or the system refuses a window; also where the device that was named
/// does not exist.
pub fn run(options: Options, screenshot: Option<PathBuf>) -> Result<()> {
    if !has_display() {
        return Err(WindowError::NoDisplay.into());
    }
    let app = App::new(options.config.clone());
    let (session, setup) = session::start_for_window(options.clone())?;
    let failed = Arc::new(Mutex::new(None));
    let screenshot = screenshot.map(|path| Screenshot { path, frames: 0, failed: failed.clone() });
    let result = eframe::run_native(
        "artune",
        native_options(setup),
        Box::new(|context| {
            theme::apply(&context.egui_ctx);
            Ok(Box::new(Window { app, options, session: Some(session), screenshot }))
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
fn native_options(setup: Option<DrawSetup>) -> eframe::NativeOptions {
    let mut options = eframe::NativeOptions {
        renderer: eframe::Renderer::Wgpu,
        viewport: egui::ViewportBuilder::default()
            .with_title(text::TITLE)
            .with_app_id("artune")
            .with_inner_size([1280.0, 800.0])
            .with_min_inner_size([880.0, 600.0]),
        ..Default::default()
    };
    if let Some(DrawSetup { instance, adapter, device, queue, .. }) = setup {
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
    screenshot: Option<Screenshot>,
}

/// A picture of the window that is still to be taken.
struct Screenshot {
    path: PathBuf,
    /// Frames drawn since there was something to show.
    frames: u32,
    /// Why it did not come to a picture of a finished run.
    failed: Arc<Mutex<Option<String>>>,
}

/// The newest pictures and curves have surely been drawn after so many frames.
const SETTLED: u32 = 6;

impl Window {
    /// Starts another engine after a failure: where the last checkpoint was, or from the beginning.
    fn restart(&mut self, Restart { config, begun }: Restart) {
        self.session = None; // waits for the old one to end
        // An engine that never came up is started as it was asked for; one that did, where it was.
        if let Some(folder) = begun {
            let live = PARAMS.iter().filter(|param| param.live);
            self.options.changes =
                live.filter_map(|p| Some((p.name.to_string(), config.get(p.name)?.to_string()))).collect();
            self.options.resume = folder.as_ref().is_some_and(|out| out.join("checkpoints").is_dir());
            self.options.out = folder;
        }
        self.options.config = config;
        match session::start_for_window(self.options.clone()) {
            Ok((session, _)) => self.session = Some(session),
            Err(error) => self.app.observe(Event::Failed { error: format!("{error:#}"), advice: String::new() }),
        }
    }

    /// Asks for the picture once the run has ended; when it comes it is saved, and the window closes.
    fn photograph(&mut self, ctx: &egui::Context) {
        let Some(screenshot) = &mut self.screenshot else { return };
        if !matches!(self.app.state(), State::Finished | State::Ended) {
            return;
        }
        screenshot.frames += 1;
        if screenshot.frames == SETTLED {
            let (path, window, failed) = (screenshot.path.clone(), ctx.clone(), screenshot.failed.clone());
            let unfinished = self.app.state() == State::Ended;
            ctx.request_screenshot(move |image| {
                let [width, height] = image.size.map(|n| n as u32);
                let colour = image::ExtendedColorType::Rgba8;
                let saved = image::save_buffer(&path, image.as_raw(), width, height, colour);
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

impl eframe::App for Window {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        if let Some(session) = &self.session {
            session.poll().into_iter().for_each(|event| self.app.observe(event));
            if let Some(gallery) = session.gallery.take() {
                self.app.pictures(gallery);
            }
        }
        let commands = self.app.show(ui);
        if let Some(session) = &self.session {
            commands.into_iter().for_each(|command| session.send(command));
        }
        if let Some(restart) = self.app.restarts() {
            self.restart(restart);
        }
        self.photograph(ui.ctx());
        // Drawing may share its processor with the engine: look often while something happens, seldom otherwise.
        let pause = if matches!(self.app.state(), State::Loading | State::Running) { 80 } else { 300 };
        ui.ctx().request_repaint_after(Duration::from_millis(pause));
    }

    fn on_exit(&mut self) {
        if let Some(session) = self.session.take() {
            session.join();
        }
    }
}
