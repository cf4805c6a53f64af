//! What the page does besides drawing: it takes the start screen away, names the tab, says what went wrong outside the
//! canvas where the canvas cannot, and begins again when the graphics device is lost.

use std::cell::Cell;
use std::path::PathBuf;

use eframe::WebRunner;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::platform::{clock, files, page, task};
use crate::session::{Event, Session, State};
use crate::ui::text::page as text;
use crate::ui::window::Window;

/// Under which word the tab keeps what it was doing when the device was lost.
const LEFT: &str = "artune-left";
/// Seconds that the engine is given to save what it has in memory.
const PATIENCE: f64 = 5.0;
/// So many losses, each within so many seconds of the page's beginning, and the page gives up.
const LOSSES: (u32, f64) = (3, 60.0);

thread_local! {
    /// The page is about to begin again.
    static LEAVING: Cell<bool> = const { Cell::new(false) };
}

/// What the tab was doing when it lost its device.
#[derive(Serialize, Deserialize)]
pub(super) struct Left {
    pub(super) folder: PathBuf,
    pub(super) update: u64,
    running: bool,
    /// Losses that came one soon after the other.
    losses: u32,
}

impl Left {
    /// What was left, once.
    pub(super) fn take() -> Option<Self> {
        serde_json::from_str(&page::recall(LEFT)?).ok()
    }

    /// Whether the run goes on by itself.
    pub(super) fn goes_on(&self) -> bool {
        self.running
    }
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
    if clock::since_start() > LOSSES.1 {
        page::remember(LEFT, None);
    }
}

/// What an event of the engine means for the page as a whole.
pub(in crate::ui) fn observe(event: &Event) {
    if let Event::Failed { error, .. } = event
        && !LEAVING.get()
        && error.contains("/assets/")
    {
        page::problem(text::NO_WEIGHTS, error);
    }
}

fn name_tab(window: &Window) {
    let running = window.app.state() == State::Running;
    let (update, total) = window.app.progress();
    page::title(&text::title(update, total, running, task::is_hidden()));
}

/// Saves what is in memory, and loads the page anew: a device that is lost cannot be had again in this one.
async fn begin_again(runner: WebRunner) {
    let before = Left::take().map_or(0, |left| left.losses);
    let Some((work, left)) = runner.app_mut::<Window>().map(|mut window| {
        let (update, _) = window.app.progress();
        let left = window.app.folder().map(|folder| Left {
            folder,
            update,
            running: window.app.state() == State::Running,
            losses: before + 1,
        });
        (window.session.take().and_then(Session::leave), left)
    }) else {
        return page::reload();
    };
    if before >= LOSSES.0 {
        return page::problem(text::LOST, text::LOST_HELP);
    }
    let begun = clock::since_start();
    while work.as_ref().is_some_and(|work| !work.is_finished()) && clock::since_start() - begun < PATIENCE {
        task::sleep(0.05).await;
    }
    files::private::flush().await;
    page::remember(LEFT, left.and_then(|left| serde_json::to_string(&left).ok()).as_deref());
    page::reload();
}
