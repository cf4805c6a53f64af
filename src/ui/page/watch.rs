//! What the page does besides drawing: it takes the start screen away, names the tab, says what went wrong outside the
//! canvas where the canvas cannot, and begins again when the graphics device is lost.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use eframe::WebRunner;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::{KEPT, RUNS};
use crate::platform::{clock, files, page, task};
use crate::session::{Event, State, kept};
use crate::ui::text::page as text;
use crate::ui::window::Window;

/// Under which words the tab keeps what it was doing when the device was lost, and how often that has happened.
const LEFT: &str = "artune-left";
const LOSSES: &str = "artune-losses";
/// The page gives up after so many losses, each within so many seconds of the page's beginning.
const MOST: u32 = 3;
const SOON: f64 = 60.0;
/// Seconds that the engine is given to save what it has in memory: little where it computes with the device that was
/// lost, and else as long as a piece of work may take.
const PATIENCE: (f64, f64) = (5.0, 120.0);

thread_local! {
    /// The page is about to begin again.
    static LEAVING: Cell<bool> = const { Cell::new(false) };
    /// The folder that the engine works in.
    static IN_USE: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// What the tab was doing when it lost its device.
#[derive(Serialize, Deserialize)]
pub(super) struct Left {
    /// The page's whole address: another one asks for something else.
    address: String,
    /// The run folder; `None` where no run had begun.
    pub(super) folder: Option<PathBuf>,
    /// Whether it was running.
    pub(super) running: bool,
}

impl Left {
    /// What was left at this address, once.
    pub(super) fn take() -> Option<Self> {
        let text = page::recall(LEFT);
        page::remember(LEFT, None);
        serde_json::from_str::<Self>(&text?).ok().filter(|left| left.address == page::address())
    }
}

/// The run that was kept last, besides the one at hand.
pub(in crate::ui) fn last_run() -> Option<PathBuf> {
    let in_use = IN_USE.with_borrow(Clone::clone);
    kept::all(Path::new(RUNS)).into_iter().find(|folder| Some(folder) != in_use.as_ref())
}

/// From now on the page looks after itself.
pub(super) fn begin(runner: &WebRunner) {
    let Some(window) = web_sys::window() else { return };
    let seen = runner.clone();
    let shown =
        Closure::<dyn FnMut()>::new(move || seen.app_mut::<Window>().iter().for_each(|window| name_tab(window)));
    if let Some(document) = window.document() {
        let _ = document.add_event_listener_with_callback("visibilitychange", shown.as_ref().unchecked_ref());
    }
    let watched = runner.clone();
    let lost = Closure::<dyn FnMut()>::new(move || {
        if !LEAVING.replace(true) {
            wasm_bindgen_futures::spawn_local(begin_again(watched.clone()));
        }
    });
    // Sent by assets/page/page.js.
    let _ = window.add_event_listener_with_callback("artune-lost", lost.as_ref().unchecked_ref());
    // Both are called as long as the page is there.
    shown.forget();
    lost.forget();
}

/// What there is to do with every frame.
pub(in crate::ui) fn frame(window: &mut Window) {
    page::started();
    name_tab(window);
    files::private::trouble().into_iter().for_each(|why| window.app.observe(Event::Warning(why)));
    // Long enough without a loss: the next one is the first again.
    if !LEAVING.get() && clock::since_start() > SOON {
        page::remember(LOSSES, None);
    }
}

/// What an event of the engine means for the page as a whole.
pub(in crate::ui) fn observe(event: &Event) {
    match event {
        Event::Failed { error, .. } if !LEAVING.get() && error.contains("/assets/") => {
            page::problem(text::NO_WEIGHTS, error);
        }
        Event::Ready { folder, .. } | Event::Rewound { folder, .. } => {
            kept::prune(Path::new(RUNS), folder.as_deref(), KEPT);
            IN_USE.set(folder.clone());
        }
        _ => {}
    }
}

fn name_tab(window: &Window) {
    let running = window.app.state() == State::Running;
    let (update, total) = window.app.progress();
    page::title(&text::title(update, total, running, task::is_hidden()));
}

/// Saves what is in memory, and loads the page anew: a device that is lost cannot be had again in this one.
async fn begin_again(runner: WebRunner) {
    let losses = page::recall(LOSSES).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0) + 1;
    page::remember(LOSSES, Some(&losses.to_string()));
    // Where nothing can be remembered the page would begin again for ever.
    if losses > MOST || page::recall(LOSSES).is_none() {
        return page::problem(text::LOST, text::LOST_HELP);
    }
    let (mut folder, mut running, mut patience, mut work) = (None, false, PATIENCE.0, None);
    if let Some(mut window) = runner.app_mut::<Window>() {
        running = window.app.state() == State::Running || window.options.autostart && window.app.folder().is_none();
        folder = window.app.folder().or_else(|| window.options.out.clone().filter(|_| window.options.resume));
        if let Some(session) = window.session.take() {
            patience = if session.computes_with_a_device() { PATIENCE.0 } else { PATIENCE.1 };
            work = session.leave();
        }
    }
    let begun = clock::since_start();
    while work.as_ref().is_some_and(|work| !work.is_finished()) && clock::since_start() - begun < patience {
        task::sleep(0.05).await;
    }
    files::private::flush().await;
    let left = Left { address: page::address(), folder, running };
    page::remember(LEFT, serde_json::to_string(&left).ok().as_deref());
    page::reload();
}
