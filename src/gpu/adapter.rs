//! The graphics adapters of this machine, as wgpu sees them.

use std::fmt;
#[cfg(not(target_family = "wasm"))]
use std::sync::OnceLock;

use burn::prelude::DeviceKind;
use burn::tensor::wgpu::WgpuBackend;
use serde::Serialize;
#[cfg(not(target_family = "wasm"))]
use wgpu::Instance;
use wgpu::{Backend, DeviceType};

/// What an adapter is made of. The order is that of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterKind {
    /// A card with its own memory.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU seen through a virtual machine, or of a kind that its driver does not tell.
    Virtual,
    /// A program on the CPU that behaves like a GPU.
    Software,
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Software => "software rasteriser",
        })
    }
}

/// The limits of an adapter that decide how large a model it can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AdapterLimits {
    /// Largest buffer, in bytes.
    pub max_buffer: u64,
    /// Largest part of a buffer that a kernel sees at once, in bytes.
    pub max_binding: u64,
    /// Memory that the invocations of one workgroup share, in bytes.
    pub workgroup_memory: u32,
    /// Most invocations in one workgroup.
    pub workgroup_invocations: u32,
}

/// An adapter that this machine offers.
#[derive(Clone, Debug, Serialize)]
pub struct AdapterInfo {
    /// Position in the list of [`adapters`]: what `--device INDEX` takes.
    pub index: usize,
    /// Name, as its driver gives it.
    pub name: String,
    /// Maker of the device.
    pub vendor: String,
    /// Driver and its version.
    pub driver: String,
    /// Graphics API by which it is reached, such as `vulkan`.
    pub backend: String,
    /// What it is made of.
    pub kind: AdapterKind,
    /// Its limits.
    pub limits: AdapterLimits,
    /// Names of the optional wgpu features it has.
    pub features: Vec<String>,
    /// How burn selects it; `None` for one that burn has no selector for, and on a page, which has no choice.
    #[cfg_attr(target_family = "wasm", expect(dead_code))]
    #[serde(skip)]
    pub(super) selector: Option<(WgpuBackend, DeviceKind)>,
}

impl AdapterInfo {
    /// Name, kind and API in one line.
    pub fn label(&self) -> String {
        format!("{} ({}, {})", self.name, self.kind, self.backend)
    }

    /// Whether a user who writes `wanted` (in lower case) can mean this adapter.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn answers_to(&self, wanted: &str) -> bool {
        // Mesa's Vulkan rasteriser is known as lavapipe but calls itself llvmpipe.
        let alias = if self.name.starts_with("llvmpipe") { "lavapipe" } else { "" };
        [self.name.as_str(), &self.vendor, &self.driver, alias].iter().any(|text| text.to_lowercase().contains(wanted))
    }
}

/// An adapter as probed, with the instance it lives in. (A page is offered one adapter, and only when it asks: nothing can
/// be listed there.)
#[cfg(not(target_family = "wasm"))]
pub(super) struct Probed {
    pub info: AdapterInfo,
    pub adapter: wgpu::Adapter,
    pub instance: Instance,
}

/// All adapters, GPUs and software rasterisers, probed once per process. Empty where there is no driver at all.
#[cfg(not(target_family = "wasm"))]
pub fn adapters() -> Vec<AdapterInfo> {
    probed().iter().map(|p| p.info.clone()).collect()
}

/// The adapters of the first API with a GPU, or else of the first with anything. Further APIs show the same cards by
/// other names. Kept for the life of the process: instances that come and go crash some Vulkan loaders.
#[cfg(not(target_family = "wasm"))]
pub(super) fn probed() -> &'static [Probed] {
    static PROBED: OnceLock<Vec<Probed>> = OnceLock::new();
    PROBED.get_or_init(|| {
        let mut software = Vec::new();
        for api in [Backend::Metal, Backend::Vulkan, Backend::Dx12, Backend::Gl] {
            let found = probe(api);
            if found.iter().any(|p| p.info.kind != AdapterKind::Software) {
                return found;
            }
            if software.is_empty() {
                software = found;
            }
        }
        software
    })
}

#[cfg(not(target_family = "wasm"))]
fn probe(api: Backend) -> Vec<Probed> {
    if !Instance::enabled_backend_features().contains(api.into()) {
        return Vec::new();
    }
    let descriptor =
        wgpu::InstanceDescriptor { backends: api.into(), ..wgpu::InstanceDescriptor::new_without_display_handle() };
    let instance = Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(api.into()));
    let types: Vec<DeviceType> = adapters.iter().map(|a| a.get_info().device_type).collect();
    adapters
        .into_iter()
        .enumerate()
        .map(|(index, adapter)| {
            let before = types[..index].iter().filter(|t| **t == types[index]).count();
            Probed { info: info(index, &adapter, before), adapter, instance: instance.clone() }
        })
        .collect()
}

/// Describes an adapter that has `before` others of its type before it.
pub(super) fn info(index: usize, adapter: &wgpu::Adapter, before: usize) -> AdapterInfo {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let api = match info.backend {
        Backend::Vulkan => WgpuBackend::Vulkan,
        Backend::Metal => WgpuBackend::Metal,
        Backend::Dx12 => WgpuBackend::Dx12,
        Backend::Gl => WgpuBackend::Gl,
        Backend::BrowserWebGpu | Backend::Noop => WgpuBackend::Auto,
    };
    let (kind, selector) = match info.device_type {
        DeviceType::DiscreteGpu => (AdapterKind::Discrete, Some(DeviceKind::DiscreteGpu(before))),
        DeviceType::IntegratedGpu => (AdapterKind::Integrated, Some(DeviceKind::IntegratedGpu(before))),
        DeviceType::VirtualGpu => (AdapterKind::Virtual, Some(DeviceKind::VirtualGpu(before))),
        DeviceType::Cpu => (AdapterKind::Software, Some(DeviceKind::Cpu)),
        // OpenGL often does not tell; it then offers a single adapter, which is the default one.
        DeviceType::Other => (AdapterKind::Virtual, Some(DeviceKind::DefaultDevice)),
    };
    let indexed = !matches!(info.device_type, DeviceType::Cpu | DeviceType::Other);
    AdapterInfo {
        index,
        name: info.name.trim().to_owned(),
        vendor: vendor(info.vendor),
        driver: [info.driver.as_str(), info.driver_info.as_str()].join(" ").trim().to_owned(),
        backend: info.backend.to_string(),
        kind,
        limits: AdapterLimits {
            max_buffer: limits.max_buffer_size,
            max_binding: limits.max_storage_buffer_binding_size,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            workgroup_invocations: limits.max_compute_invocations_per_workgroup,
        },
        features: adapter.features().iter_names().map(|(name, _)| name.to_lowercase()).collect(),
        selector: selector.filter(|_| indexed || before == 0).map(|kind| (api, kind)),
    }
}

/// The maker behind a PCI or Khronos vendor number.
fn vendor(id: u32) -> String {
    match id {
        0x1002 => "AMD".into(),
        0x1010 => "Imagination".into(),
        0x106b => "Apple".into(),
        0x10de => "NVIDIA".into(),
        0x13b5 => "Arm".into(),
        0x1414 => "Microsoft".into(),
        0x14e4 => "Broadcom".into(),
        0x1ae0 => "Google".into(),
        0x5143 => "Qualcomm".into(),
        0x8086 => "Intel".into(),
        0x1_0005 => "Mesa".into(),
        0 => "unknown".into(),
        other => format!("{other:#06x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_adapter_has_a_name_an_index_and_limits() {
        for (i, adapter) in adapters().iter().enumerate() {
            assert_eq!(adapter.index, i);
            assert!(!adapter.name.is_empty() && !adapter.vendor.is_empty() && adapter.limits.max_binding > 0);
            assert!(adapter.label().contains(&adapter.name));
        }
    }

    #[test]
    fn kinds_are_ordered_by_preference() {
        use AdapterKind::{Discrete, Integrated, Software, Virtual};
        assert!(Discrete < Integrated && Integrated < Virtual && Virtual < Software);
    }

    #[test]
    fn an_unknown_vendor_is_shown_by_its_number() {
        assert_eq!([vendor(0x10de), vendor(0x1_0005), vendor(0xbeef)], ["NVIDIA", "Mesa", "0xbeef"]);
    }
}
