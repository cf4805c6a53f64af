//! A session: the engine on its own thread, spoken to by commands and heard by events.
//!
//! The window, the command line, tests and (later) the page all speak this one protocol. It carries plain data,
//! never tensors: small events in order, and pictures through a latest-wins [`slot::Slot`], so that a slow face never
//! holds up the engine.

pub mod checkpoint;
pub mod compare;
pub mod evaluate;
mod exhibit;
pub mod export;
pub mod handle;
pub mod history;
pub mod opening;
pub mod origin;
pub mod pretraining;
pub mod protocol;
pub mod record;
pub mod sheets;
pub mod slot;
pub mod studio;
pub mod tools;
mod worker;

pub use handle::{DrawSetup, Session, start, start_for_window};
pub use history::History;
pub use opening::Opened;
pub use protocol::{Command, Event, Gallery, Group, Metrics, Options, Phase, Sample, Span, State};
pub use sheets::{Sheet, Sheets};
