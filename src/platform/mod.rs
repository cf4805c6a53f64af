//! What differs between machines, and what must not: random numbers, files that are never half written.

pub mod assets;
pub mod bundle;
pub mod clock;
pub mod files;
pub mod memory;
#[cfg(target_family = "wasm")]
pub mod page;
pub mod processor;
pub mod rng;
pub mod source;
pub mod task;
