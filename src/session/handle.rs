//! Starting an engine and talking to it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::Result;

use super::exhibit::{Exhibit, Painter, Wall};
use super::protocol::{Command, Event, Options, State};
use super::slot::Slot;
use super::worker::{Engine, advice};
use crate::gpu::texture::Easel;
use crate::gpu::{Chosen, choose_for_window};

/// The graphics device that the window draws with: the engine's own, where it computes on one.
pub type DrawSetup = burn::tensor::wgpu::WgpuSetup;

/// A running engine. Dropping it asks the engine to save and end.
pub struct Session {
    commands: Sender<Command>,
    events: Receiver<Event>,
    thread: Option<JoinHandle<()>>,
    /// The newest rollouts.
    pub gallery: Slot<Exhibit>,
    easels: Slot<Easel>,
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
        if self.computes_with.as_ref() == Some(device)
            && let Ok(easel) = Easel::new(device, queue)
        {
            self.easels.put(easel);
        }
    }

    /// The events since the last call, without waiting.
    pub fn poll(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// The next event; `None` once the engine has ended.
    pub fn wait(&self) -> Option<Event> {
        self.events.recv().ok()
    }

    /// Asks the engine to save and end, and waits until it has.
    pub fn join(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.send(Command::Quit);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts an engine that nobody draws for; the device is opened on its thread.
pub fn start(options: Options) -> Session {
    spawn(options, None)
}

/// A device for both computing and drawing, on which an engine can be started.
pub struct OpenDevice(Chosen);

/// Opens the device for both computing and drawing. The window is to be open before the engine starts: a surface cannot
/// be made on a device that is hard at work.
///
/// # Errors
/// Where the named device does not exist.
pub fn open_for_window(device: &str) -> Result<(OpenDevice, Option<DrawSetup>)> {
    let mut chosen = choose_for_window(device)?;
    let setup = chosen.setup.take();
    if let Some(setup) = &setup {
        setup.device.on_uncaptured_error(Arc::new(complain));
    }
    Ok((OpenDevice(chosen), setup))
}

/// What a graphics device could not do. A window that is resized while the engine works may fail to take its new size;
/// it keeps the old one and is asked again with the next frame.
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
    let body = move || {
        let failed = outbox.clone();
        let run = || Engine::open(options, chosen, inbox, outbox, painter).and_then(|mut engine| engine.serve());
        // A panic in a backend must not leave the face waiting for ever.
        let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(anyhow::anyhow!(words(&*panic))));
        if let Err(error) = result {
            let advice = advice(&error);
            let _ = failed.send(Event::Failed { error: format!("{error:#}"), advice });
        }
        let _ = failed.send(Event::State(State::Ended));
    };
    // burn orders a graphics card's work by thread: one thread owns every tensor. Deep graphs need stack.
    let thread = std::thread::Builder::new().name("engine".into()).stack_size(32 << 20).spawn(body).ok();
    Session { commands, events, thread, gallery: wall.newest, easels: wall.easels, computes_with: None }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned().or_else(|| Some((*panic.downcast_ref::<&str>()?).to_string()));
    format!("the engine stopped unexpectedly: {}", text.unwrap_or_else(|| "no reason given".into()))
}
