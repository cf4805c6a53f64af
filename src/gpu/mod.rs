//! The device that computes: a GPU adapter or the CPU, chosen at run time; and kernels of our own on it.

pub mod adapter;
#[cfg(not(target_family = "wasm"))]
pub mod choose;
pub mod device;
pub mod gumbel;
#[cfg(target_family = "wasm")]
mod page;
pub mod read;
pub mod texture;

#[cfg(not(target_family = "wasm"))]
pub use adapter::adapters;
pub use adapter::{AdapterInfo, AdapterKind, AdapterLimits};
#[cfg(not(target_family = "wasm"))]
pub use choose::{choose, choose_for_window, describe, open};
pub use device::{Chosen, DeviceError, supports_half};
pub use gumbel::add_gumbel;
#[cfg(target_family = "wasm")]
pub use page::open;
