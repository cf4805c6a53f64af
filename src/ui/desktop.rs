//! The window on a desktop.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use eframe::{egui, egui_wgpu};

use super::app::App;
use super::report::Report;
use super::window::{STORAGE, Screenshot, Window, engine};
use super::{pictures, text, theme};
use crate::config::{Lesson, Link};
use crate::session::recording::Recording;
use crate::session::{self, DrawSetup, Options};

/// Why there is no window.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// Nothing to draw on.
    #[error("{}", text::desktop::NO_DISPLAY)]
    NoDisplay,
    /// The system refused a window.
    #[error("{}\n\n{why}", text::desktop::NO_WINDOW)]
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
    /// What a teacher's link fixes, hides and shows, and its lesson.
    pub teaches: Option<(Link, Option<Lesson>)>,
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
    let Staging { screenshot, after, show, teaches, dark, size, report } = staging;
    if !has_display() {
        return Err(WindowError::NoDisplay.into());
    }
    let (device, setup) = pollster::block_on(session::open_for_window(&options.device))?;
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
            let session = engine(&options, device, setup.as_ref(), renderer.as_ref());
            // A picture for a document is of the layout that everybody has.
            let storage = context.storage.filter(|_| screenshot.is_none());
            let remembered = storage.and_then(|storage| eframe::get_value(storage, STORAGE)).unwrap_or_default();
            let mut app = App::new(options.config.clone(), remembered);
            if !options.autostart && !options.resume {
                app.play(Recording::shipped()?);
            }
            teaches.into_iter().for_each(|(link, lesson)| app.teach(&link, lesson));
            show.map_or(Ok(()), |title| app.bring_forward(&title))?;
            let window = Window {
                screenshot,
                report,
                unwritten,
                ..Window::new(context.egui_ctx.clone(), app, options, Some(session), renderer)
            };
            Ok(Box::new(window))
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
            .with_title(text::desktop::TITLE)
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
