//! The device that computes: a GPU adapter or the CPU, chosen at run time; and kernels of our own on it.

pub mod adapter;
pub mod device;
pub mod gumbel;
pub mod read;
pub mod texture;

pub use adapter::{AdapterInfo, AdapterKind, AdapterLimits, adapters};
pub use device::{Chosen, DeviceError, choose, choose_for_window, describe, open};
pub use gumbel::add_gumbel;
