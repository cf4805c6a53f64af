//! The device that computes: a GPU adapter or the CPU, chosen at run time.

pub mod adapter;
pub mod device;
pub mod read;

pub use adapter::{AdapterInfo, AdapterKind, AdapterLimits, adapters};
pub use device::{Chosen, DeviceError, choose, choose_for_window, describe};
