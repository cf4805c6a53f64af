//! Opening a device on a page, where the browser is asked and answers later.

use std::cell::RefCell;

use burn::prelude::Device;
use burn::tensor::wgpu::WgpuSetup;
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wgpu::{Adapter, Backends, DeviceType, Instance, InstanceDescriptor};

use super::adapter::info;
use super::device::{Chosen, DeviceError, cpu, is_auto};

/// Without so much a device cannot run our kernels: storage buffers that one kernel sees, invocations of a workgroup, and
/// bytes of one buffer.
const LEAST: (u32, u32, u64) = (8, 256, 128 << 20);

thread_local! {
    /// The device that computes, once it is open.
    static OPENED: RefCell<Option<Chosen>> = const { RefCell::new(None) };
}

/// Opens the device that `spec` names: `auto` (or nothing) takes the GPU that the browser offers and else the CPU, with a
/// notice; `gpu` takes the GPU, a software one too; `cpu` the CPU. For a `window` a device to draw with comes too, where
/// there is any.
///
/// # Errors
/// [`DeviceError`], but never for `auto`.
pub async fn open(spec: &str, window: bool) -> Result<Chosen, DeviceError> {
    let known = || "auto, cpu, gpu".to_string();
    let auto = is_auto(spec);
    match spec.trim().to_lowercase().as_str() {
        "cpu" => return Ok(Chosen { setup: if window { drawing().await } else { None }, ..cpu(None) }),
        "" | "auto" | "gpu" => {}
        other => return Err(DeviceError::Unknown { spec: other.into(), known: known() }),
    }
    if let Some(chosen) = OPENED.with_borrow(Clone::clone) {
        return Ok(chosen);
    }
    match gpu(auto).await {
        Ok(chosen) => {
            OPENED.set(Some(chosen.clone()));
            Ok(chosen)
        }
        Err(why) if auto => {
            let notice = format!("{why}: computing on the processor, which is slower.");
            Ok(Chosen { setup: if window { drawing().await } else { None }, ..cpu(Some(notice)) })
        }
        Err(reason) => Err(DeviceError::Open { label: "WebGPU".into(), reason, known: known() }),
    }
}

/// The browser's GPU; why there is none, in words.
async fn gpu(auto: bool) -> Result<Chosen, String> {
    let (_, adapter) = adapter().await?;
    let mut found = info(0, &adapter, 0);
    if let Some(name) = name().await.filter(|_| found.name.is_empty()) {
        found.name = name;
    }
    if auto && adapter.get_info().device_type == DeviceType::Cpu {
        return Err("this browser offers no GPU, only a program that behaves like one".into());
    }
    let limits = adapter.limits();
    let has = (
        limits.max_storage_buffers_per_shader_stage,
        limits.max_compute_invocations_per_workgroup,
        limits.max_storage_buffer_binding_size,
    );
    if has.0 < LEAST.0 || has.1 < LEAST.1 || has.2 < LEAST.2 {
        return Err(format!("the limits of {} are too small ({has:?}; needed are {LEAST:?})", found.name));
    }
    let (device, setup) = Device::wgpu_options()
        .init_with_setup_async()
        .await
        .map_err(|error| format!("the GPU does not open ({error})"))?;
    Ok(Chosen { device, label: found.label(), notice: None, setup: Some(setup), adapter: Some(found), drawn_by: None })
}

/// What WebGPU offers.
async fn adapter() -> Result<(Instance, Adapter), String> {
    if gpu_object().is_none() {
        return Err("this browser has no WebGPU".into());
    }
    let descriptor =
        InstanceDescriptor { backends: Backends::BROWSER_WEBGPU, ..InstanceDescriptor::new_without_display_handle() };
    let instance = Instance::new(descriptor);
    let options =
        wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
    let adapter = instance.request_adapter(&options).await;
    adapter.map(|adapter| (instance, adapter)).map_err(|_| "WebGPU is there, but it finds no graphics adapter".into())
}

/// A device to draw with while the CPU computes.
async fn drawing() -> Option<WgpuSetup> {
    let (instance, adapter) = adapter().await.ok()?;
    let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await.ok()?;
    let backend = adapter.get_info().backend;
    Some(WgpuSetup { instance, adapter, device, queue, backend })
}

fn gpu_object() -> Option<JsValue> {
    let gpu = Reflect::get(&web_sys::window()?.navigator(), &"gpu".into()).ok()?;
    (!gpu.is_undefined() && !gpu.is_null()).then_some(gpu)
}

/// What the browser calls its adapter: most tell maker and architecture only.
async fn name() -> Option<String> {
    let gpu = gpu_object()?;
    let request: Function = Reflect::get(&gpu, &"requestAdapter".into()).ok()?.dyn_into().ok()?;
    let adapter: Promise = request.call0(&gpu).ok()?.dyn_into().ok()?;
    let info = Reflect::get(&JsFuture::from(adapter).await.ok()?, &"info".into()).ok()?;
    let text = |key: &str| Reflect::get(&info, &key.into()).ok()?.as_string().filter(|text| !text.is_empty());
    text("description").or_else(|| Some([text("vendor")?, text("architecture").unwrap_or_default()].join(" ")))
}
