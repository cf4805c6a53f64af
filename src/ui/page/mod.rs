//! The page: the same window on a canvas.

mod script;
mod watch;

use std::panic;
use std::path::Path;

use anyhow::{Context, Result};
use eframe::{WebOptions, WebRunner, egui_wgpu};

pub(super) use watch::{frame, last_run, observe};

use super::app::App;
use super::window::{STORAGE, Window, engine};
use super::{pictures, text, theme};
use crate::config::lesson::LONGEST;
use crate::config::{Lesson, Link};
use crate::platform::assets::{self, Asset};
use crate::platform::{clock, files, page};
use crate::session::recording::Recording;
use crate::session::{self, DrawSetup, Options, kept};
use watch::Left;

/// Where the browser keeps runs, and how many of them besides the one at hand.
const RUNS: &str = "runs";
const KEPT: usize = 2;

/// Begins the page, and returns at once.
pub fn run() {
    clock::since_start();
    panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        page::problem(text::page::STOPPED, text::page::STOPPED_HELP);
    }));
    wasm_bindgen_futures::spawn_local(async {
        if let Err(error) = open().await {
            page::problem(text::page::NOT_STARTED, &format!("{error:#}"));
        }
    });
}

async fn open() -> Result<()> {
    let address = page::address();
    let (link, lesson) = asked(&address).await?;
    page::starting(text::page::OPENING, None);
    // Without storage of its own the page works all the same, and says so: nothing outlives it.
    let _ = files::private::open().await;
    page::forget_uploads();
    let left = Left::take();
    let options = options(&link, left.as_ref());
    let recording = if options.autostart || options.resume {
        None
    } else {
        // Something to look at until the weights are there. Without it there is nothing to look at, and no harm done.
        let fetched = assets::fetch(&[Asset::Recording], |_| ()).await;
        fetched.ok().and_then(|()| Recording::shipped().ok())
    };
    let (device, setup) = session::open_for_window(&options.device).await?;
    let canvas = page::canvas().context("the page has no canvas")?;
    let runner = WebRunner::new();
    script::offer(&runner);
    watch::begin(&runner);
    let setup_of_the_engine = setup.clone();
    let creator = Box::new(move |context: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, _> {
        theme::apply(&context.egui_ctx);
        let renderer = context.wgpu_render_state.clone();
        renderer.iter().for_each(|r| pictures::show_painted(&context.egui_ctx, r.clone()));
        let session = engine(&options, device, setup_of_the_engine.as_ref(), renderer.as_ref());
        let remembered = context.storage.and_then(|storage| eframe::get_value(storage, STORAGE)).unwrap_or_default();
        let mut app = App::new(options.config.clone(), remembered);
        recording.into_iter().for_each(|recording| app.play(recording));
        app.teach(&link, lesson);
        app.lives_at(address);
        if left.is_some() {
            let said = if options.resume { text::page::RECOVERED } else { text::page::BEGUN_AGAIN };
            app.observe(session::Event::Warning(said.into()));
        }
        Ok(Box::new(Window::new(context.egui_ctx.clone(), app, options, Some(session), renderer)))
    });
    let started = runner.start(canvas, web_options(setup.as_ref()), creator).await;
    started.map_err(|error| anyhow::anyhow!("{}", page::words(&error))).context(text::page::NO_CANVAS)
}

/// What the page's address asks for.
async fn asked(address: &str) -> Result<(Link, Option<Lesson>)> {
    let link = Link::default().over(address)?;
    let Some(source) = &link.lesson else { return Ok((link, None)) };
    let lesson = match Lesson::shipped(source) {
        Some(lesson) => lesson?,
        None => {
            let text = page::text(source, LONGEST).await.map_err(anyhow::Error::msg)?;
            Lesson::parse(&text).with_context(|| source.clone())?
        }
    };
    // The address has the last word.
    Ok((lesson.link.clone().over(address)?, Some(lesson)))
}

/// What the run is to be: the link's, in a new folder that the browser keeps, or the one that lost its device.
fn options(link: &Link, left: Option<&Left>) -> Options {
    let kept = kept::all(Path::new(RUNS));
    let begun = left.and_then(|left| left.folder.as_ref()).filter(|folder| kept.contains(folder));
    Options {
        config: link.config.clone(),
        device: link.device.unwrap_or_default().into(),
        out: Some(begun.cloned().unwrap_or_else(|| files::unused_folder(&Path::new(RUNS).join("page")))),
        resume: begun.is_some(),
        watched: true,
        autostart: left.map_or(link.autostart, |left| left.running),
        ..Options::default()
    }
}

/// Draws with the engine's own GPU device where there is one, and else by WebGL.
fn web_options(setup: Option<&DrawSetup>) -> WebOptions {
    let mut options = WebOptions { renderer: eframe::Renderer::Glow, ..WebOptions::default() };
    if let Some(DrawSetup { instance, adapter, device, queue, .. }) = setup.cloned() {
        options.renderer = eframe::Renderer::Wgpu;
        options.wgpu_options.wgpu_setup =
            egui_wgpu::WgpuSetup::Existing(egui_wgpu::WgpuSetupExisting { instance, adapter, device, queue });
    }
    options
}
