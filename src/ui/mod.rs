//! The window: the engine's events drawn, and the user's wishes sent as commands.
//!
//! [`App`] is the whole state of the window and knows no engine: events go in by [`App::observe`], commands come out
//! of [`App::show`]. `Window` ties it to a [`Session`](crate::session::Session) and to the screen; `run` opens it on a
//! desktop, `page::run` in a browser tab.

mod anchor;
mod app;
mod bar;
mod classroom;
mod compare;
mod controls;
mod course;
mod curves;
mod desk;
#[cfg(not(target_family = "wasm"))]
mod desktop;
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
#[cfg(target_family = "wasm")]
pub mod page;
mod pictures;
mod report;
mod share;
mod space;
mod text;
pub mod theme;
mod timeline;
mod tour;
mod window;

#[cfg(not(target_family = "wasm"))]
pub use desktop::{Staging, WindowError, run};

pub use app::{App, Remembered, Restart};
