//! An [`App`] tied to a [`Session`] and to the screen, be that a window or a page.

// A page takes no picture of itself, and is never closed in an orderly way.
#![cfg_attr(target_family = "wasm", allow(dead_code))]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use anyhow::Result;
use eframe::{egui, egui_wgpu};

use super::app::{App, Restart};
use super::job::Job;
use super::report::Report;
use super::theme;
use crate::config::PARAMS;
#[cfg(not(target_family = "wasm"))]
use crate::platform::files::write_atomic;
use crate::platform::files::{is_dir, unused_folder};
use crate::platform::task::Work;
use crate::session::{self, DrawSetup, Event, OpenDevice, Opened, Opening, Options, Session, State, opening};

/// An [`App`] on the screen, fed by a session.
pub(super) struct Window {
    /// What it is drawn in.
    pub(super) context: egui::Context,
    pub(super) app: App,
    pub(super) options: Options,
    pub(super) session: Option<Session>,
    /// A device that is being opened for another engine.
    pub(super) opening: Option<Job<Result<Opening>>>,
    /// A session that saves and ends, and what is to be opened then.
    pub(super) ending: Option<(Option<Work>, Opened)>,
    /// The options before something was opened, in case that does not come up.
    pub(super) before: Option<Options>,
    pub(super) screenshot: Option<Screenshot>,
    /// What draws the window; a new engine is told of it.
    pub(super) renderer: Option<egui_wgpu::RenderState>,
    /// Figures about the window, and the file that they go to.
    pub(super) report: Option<(PathBuf, Report)>,
    /// Why the report could not be written.
    pub(super) unwritten: Arc<Mutex<Option<String>>>,
}

/// A picture of the window that is still to be taken.
pub(super) struct Screenshot {
    pub(super) path: PathBuf,
    pub(super) after: Option<u64>,
    /// The pane that it is of.
    pub(super) show: Option<String>,
    /// Frames drawn since there was something to show.
    pub(super) frames: u32,
    /// Why it did not come to a picture of a finished run.
    pub(super) failed: Arc<Mutex<Option<String>>>,
}

/// The newest pictures and curves have surely been drawn after so many frames.
const SETTLED: u32 = 12;

/// Starts an engine that is told what `renderer` draws with.
pub(super) fn engine(
    options: &Options,
    device: OpenDevice,
    setup: Option<&DrawSetup>,
    renderer: Option<&egui_wgpu::RenderState>,
) -> Session {
    let session = session::start_for_window(options.clone(), device, setup);
    renderer.iter().for_each(|r| session.draws_with(&r.device, &r.queue));
    session
}

impl Window {
    /// What shows `app` and, once it runs, `session`.
    pub(super) fn new(
        context: egui::Context,
        app: App,
        options: Options,
        session: Option<Session>,
        renderer: Option<egui_wgpu::RenderState>,
    ) -> Self {
        let window = Self {
            context,
            app,
            options,
            session,
            opening: None,
            ending: None,
            before: None,
            screenshot: None,
            renderer,
            report: None,
            unwritten: Arc::default(),
        };
        if window.draws_in_software() {
            theme::calm(&window.context);
        }
        window
    }

    /// Starts another engine after a failure: where the last checkpoint was, or from the beginning.
    fn restart(&mut self, ctx: &egui::Context, Restart { config, begun }: Restart) {
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
        self.start(ctx);
    }

    /// Lets the session at hand save and end, without waiting for it; then another begins with what was opened.
    fn open(&mut self, opened: Opened, Restart { config, begun }: Restart) {
        self.options.config = config;
        // After a reset the folder is another than was asked for.
        self.options.out = begun.unwrap_or_else(|| self.options.out.take());
        self.ending = Some((self.session.take().and_then(Session::leave), opened));
    }

    /// Begins with what was opened, once the last session has ended.
    fn begin_opened(&mut self, ctx: &egui::Context) {
        let ended = |ending: &Option<Work>| ending.as_ref().is_none_or(Work::is_finished);
        let Some((_, opened)) = self.ending.take_if(|(ending, _)| ended(ending)) else { return };
        let options = opening::options(opened, &self.options, unused_folder(Path::new("runs/window")));
        self.before = Some(std::mem::replace(&mut self.options, options));
        self.start(ctx);
    }

    /// Takes in what the engine has said since the last time.
    pub(super) fn listen(&mut self) {
        if let Some(session) = &self.session {
            for event in session.poll() {
                self.report.iter_mut().for_each(|(_, report)| report.observe(&event));
                #[cfg(target_family = "wasm")]
                super::page::observe(&event);
                self.app.observe(event);
            }
            if let Some(exhibit) = session.gallery.take() {
                self.report.iter_mut().for_each(|(_, report)| report.pictures());
                self.app.pictures(exhibit);
            }
        }
    }

    /// Opens a device for another engine.
    fn start(&mut self, ctx: &egui::Context) {
        let device = self.options.device.clone();
        self.opening = Some(Job::start(ctx, move || async move { session::open_for_window(&device).await }));
    }

    /// Starts the engine once its device is open.
    fn begin(&mut self) {
        let Some(Poll::Ready(opened)) = self.opening.as_ref().map(Job::poll) else { return };
        self.opening = None;
        match opened.unwrap_or_else(|| Err(anyhow::anyhow!("opening the device broke off"))) {
            Ok((device, setup)) => {
                self.session = Some(engine(&self.options, device, setup.as_ref(), self.renderer.as_ref()));
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
pub(super) const STORAGE: &str = "window";

impl eframe::App for Window {
    #[cfg(target_family = "wasm")]
    fn as_any_mut(&mut self) -> Option<&mut dyn std::any::Any> {
        Some(self)
    }

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
        #[cfg(target_family = "wasm")]
        super::page::frame(self);
        // Of the frame before: laid out, tessellated and handed to the graphics device.
        if let Some(seconds) = frame.info().cpu_usage {
            self.app.frame(seconds);
            self.report.iter_mut().for_each(|(_, report)| report.frame(seconds));
        }
        self.listen();
        let commands = self.app.show(ui);
        if let Some(session) = &self.session {
            commands.into_iter().for_each(|command| session.send(command));
        }
        if let Some((opened, restart)) = self.app.opens() {
            self.open(opened, restart);
        }
        if let Some(restart) = self.app.restarts() {
            self.restart(ui.ctx(), restart);
        }
        self.begin_opened(ui.ctx());
        self.begin();
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
            State::Loading if self.draws_in_software() => 500,
            State::Loading | State::Running => 80,
            _ => 300,
        };
        ui.ctx().request_repaint_after(Duration::from_millis(pause));
    }

    #[cfg(not(target_family = "wasm"))]
    fn on_exit(&mut self) {
        if let Some(session) = self.session.take() {
            session.join();
        }
        if let Some((Some(ending), _)) = self.ending.take() {
            ending.wait();
        }
        if let Some((path, report)) = &mut self.report
            && let Err(error) = write_atomic(path, format!("{:#}\n", report.json()).as_bytes())
        {
            let why = format!("{}: {error}", path.display());
            self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        }
    }
}
