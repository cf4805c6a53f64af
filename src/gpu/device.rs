//! A device ready for use, or why there is none.

use burn::prelude::Device;
use burn::tensor::DType;
use burn::tensor::wgpu::WgpuSetup;

use super::adapter::AdapterInfo;

/// A device ready for use.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Where tensors live. Without autodiff.
    pub device: Device,
    /// What it is, in words.
    pub label: String,
    /// One line that the user should see, where the choice is not the one hoped for.
    pub notice: Option<String>,
    /// The handles of the GPU device, to share with a window.
    pub setup: Option<WgpuSetup>,
    /// The adapter that computes; `None` for the CPU.
    pub adapter: Option<AdapterInfo>,
    /// The adapter that draws the window, in words, where it is another one than computes.
    pub drawn_by: Option<String>,
}

/// Why no device could be had. Every variant says what there is instead.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// `gpu` was asked for and there is none.
    #[error("no GPU was found; there are: {known}")]
    NoGpu {
        /// What may be asked for.
        known: String,
    },
    /// No adapter answers to that name or index.
    #[error("there is no device `{spec}`; there are: {known}")]
    Unknown {
        /// What was asked for.
        spec: String,
        /// What may be asked for.
        known: String,
    },
    /// The adapter is there but cannot be used.
    #[error("{label} cannot be opened: {reason}; there are: {known}")]
    Open {
        /// The adapter.
        label: String,
        /// What its driver says.
        reason: String,
        /// What may be asked for.
        known: String,
    },
}

/// Whether `device` can store numbers in half precision and widen them: every CPU, and adapters with `shader-f16`.
pub fn supports_half(device: &Device) -> bool {
    device.supports_dtype(DType::F16)
}

/// Whether `spec` leaves the choice to us.
pub(super) fn is_auto(spec: &str) -> bool {
    matches!(spec.trim().to_lowercase().as_str(), "" | "auto")
}

pub(super) fn cpu_label() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("CPU ({threads} thread{})", if threads == 1 { "" } else { "s" })
}

pub(super) fn cpu(notice: Option<String>) -> Chosen {
    Chosen { device: Device::flex(), label: cpu_label(), notice, setup: None, adapter: None, drawn_by: None }
}
