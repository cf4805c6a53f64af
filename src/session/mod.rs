//! A session: the engine on its own thread, spoken to by commands and heard by events.
//!
//! The window, the command line, tests and (later) the page all speak this one protocol. It carries plain data,
//! never tensors: small events in order, and pictures through a latest-wins [`slot::Slot`], so that a slow face never
//! holds up the engine. Only a window that draws with the engine's own device is handed a texture of it besides.

pub mod checkpoint;
pub mod compare;
pub mod diagnosis;
mod drawing;
pub mod evaluate;
mod exhibit;
pub mod export;
mod figures;
pub mod forecast;
pub mod handle;
pub mod history;
pub mod inspect;
pub mod kept;
pub mod keyframes;
pub mod machine;
pub mod networks;
pub mod opening;
pub mod origin;
#[cfg(not(target_family = "wasm"))]
pub mod pretraining;
pub mod protocol;
pub mod pyramid;
pub mod record;
pub mod recording;
mod reference;
pub mod room;
pub mod sheets;
pub mod slot;
pub mod space;
pub mod statistics;
pub mod studio;
#[cfg(not(target_family = "wasm"))]
pub mod tools;
pub mod whatif;
mod worker;

pub use crate::gpu::texture::{Atlas, AtlasLayout};
pub use exhibit::Exhibit;
pub use forecast::Forecast;
pub use handle::{DrawSetup, OpenDevice, Opening, Session, open_for_window, start, start_for_window};
pub use history::History;
pub use inspect::{Inspection, Question, Version};
pub use machine::Machine;
pub use opening::Opened;
pub use protocol::{Command, Event, Gallery, GivenFiles, Group, Metrics, Options, Phase, Sample, Span, State};
pub use pyramid::Pyramid;
pub use sheets::{Sheet, Sheets};
pub use space::{Ellipse, Place, Space};
