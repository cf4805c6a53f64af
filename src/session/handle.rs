//! Starting an engine and talking to it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Result;

use super::exhibit::{Exhibit, Painter, Wall};
use super::protocol::{Command, Event, Options, State};
use super::slot::Slot;
use super::worker::{Engine, advice};
use crate::gpu::{Chosen, open};
use crate::platform::task::{self, Work};

/// The graphics device that the window draws with: the engine's own, where it computes on one.
pub type DrawSetup = burn::tensor::wgpu::WgpuSetup;

/// A running engine. Dropping it asks the engine to save and end.
pub struct Session {
    commands: Sender<Command>,
    events: Receiver<Event>,
    work: Option<Work>,
    /// The newest rollouts.
    pub gallery: Slot<Exhibit>,
    draws_with: Slot<(wgpu::Device, wgpu::Queue)>,
    /// The graphics device that the engine computes with, where a window can draw with it too.
    computes_with: Option<wgpu::Device>,
}

impl Session {
    /// Sends a command; one that comes after the engine's end is dropped.
    pub fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// A sender of commands for another thread (a Ctrl-C handler).
    pub fn sender(&self) -> Sender<Command> {
        self.commands.clone()
    }

    /// Says that the face draws with `device` and its `queue`, and shows [`Exhibit::atlas`]. If the engine computes with
    /// the same one, pictures are from now on painted where they are, and not read back to be shown.
    pub fn draws_with(&self, device: &wgpu::Device, queue: &wgpu::Queue) {
        if self.computes_with.as_ref() == Some(device) {
            self.draws_with.put((device.clone(), queue.clone()));
        }
    }

    /// Whether the engine computes with a graphics device that a window may draw with.
    pub fn computes_with_a_device(&self) -> bool {
        self.computes_with.is_some()
    }

    /// The events since the last call, without waiting.
    pub fn poll(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// The next event; `None` once the engine has ended.
    pub fn wait(&self) -> Option<Event> {
        self.events.recv().ok()
    }

    /// Asks the engine to save and end, and waits until it has, where waiting is allowed.
    pub fn join(mut self) {
        self.quit().into_iter().for_each(Work::wait);
    }

    /// Asks the engine to save and end, without waiting for it.
    pub fn leave(mut self) -> Option<Work> {
        self.quit()
    }

    fn quit(&mut self) -> Option<Work> {
        self.send(Command::Quit);
        self.work.take()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.quit().into_iter().for_each(Work::wait);
    }
}

/// Starts an engine that nobody draws for; the device is opened on its thread.
pub fn start(options: Options) -> Session {
    spawn(options, None)
}

/// A device on which an engine can be started, and what draws the window, where we know.
pub type Opening = (OpenDevice, Option<DrawSetup>);

/// A device for both computing and drawing, on which an engine can be started.
pub struct OpenDevice(Chosen);

/// Opens the device for both computing and drawing. The window is to be open before the engine starts: a surface cannot
/// be made on a device that is hard at work.
///
/// # Errors
/// Where the named device does not exist.
pub async fn open_for_window(device: &str) -> Result<Opening> {
    let mut chosen = open(device, true).await?;
    let setup = chosen.setup.take();
    if let Some(setup) = &setup {
        setup.device.on_uncaptured_error(Arc::new(complain));
    }
    Ok((OpenDevice(chosen), setup))
}

/// What a graphics device could not do, said outside the canvas, which that device draws.
#[cfg(target_family = "wasm")]
fn complain(error: wgpu::Error) {
    use crate::platform::page::problem;
    match error {
        wgpu::Error::OutOfMemory { .. } => problem(
            "The graphics device is out of memory",
            "Close other tabs and programs that use it, then try again; or begin with fewer pictures at a time: add \
             micro_batch=4&prompts=8 to this page's address.",
        ),
        error => problem("The graphics device failed", &format!("It says: {error}")),
    }
}

/// What a graphics device could not do. A window that is resized while the engine works may fail to take its new size;
/// it keeps the old one and is asked again with the next frame.
#[cfg(not(target_family = "wasm"))]
fn complain(error: wgpu::Error) {
    let text = error.to_string();
    assert!(text.contains("before reconfiguring the Surface"), "the graphics device failed: {text}");
}

/// Starts an engine on a device that a window may draw with; `setup` is what [`open_for_window`] gave.
pub fn start_for_window(options: Options, device: OpenDevice, setup: Option<&DrawSetup>) -> Session {
    // Where the CPU computes, the window still draws with a graphics device.
    let on_the_cpu = device.0.device == burn::tensor::Device::flex();
    let computes_with = setup.filter(|_| !on_the_cpu).map(|setup| setup.device.clone());
    let mut session = spawn(options, Some(device.0));
    session.computes_with = computes_with;
    session
}

fn spawn(options: Options, chosen: Option<Chosen>) -> Session {
    let (commands, inbox) = channel();
    let (outbox, events) = channel();
    let wall = Wall::default();
    let painter = Painter::new(wall.clone());
    let last = outbox.clone();
    let run = move || async move { Engine::open(options, chosen, inbox, outbox, painter).await?.serve().await };
    // A panic in a backend must not leave the face waiting for ever.
    let end = move |result: Result<Result<()>, String>| {
        let stopped = |words| Err(anyhow::anyhow!("the engine stopped unexpectedly: {words}"));
        if let Err(error) = result.unwrap_or_else(stopped) {
            let advice = advice(&error);
            let _ = last.send(Event::Failed { error: format!("{error:#}"), advice });
        }
        let _ = last.send(Event::State(State::Ended));
    };
    // burn orders a graphics card's work by thread: one thread owns every tensor.
    let work = task::start("engine", run, end);
    Session {
        commands,
        events,
        work: Some(work),
        gallery: wall.newest,
        draws_with: wall.draws_with,
        computes_with: None,
    }
}
