//! Which device computes: `auto`, `cpu`, `gpu`, an adapter's name or its index.
//!
//! A software rasteriser such as lavapipe runs the GPU code correctly but about 25 times slower than the CPU backend,
//! so that only its name or index chooses it.

use std::sync::{Mutex, PoisonError};

use burn::prelude::Device;
use burn::tensor::wgpu::WgpuSetup;
use wgpu::Backend;

use super::adapter::{AdapterInfo, AdapterKind, adapters, probed};
use super::device::{Chosen, DeviceError, cpu, cpu_label, is_auto};

/// What a specification comes to.
#[derive(Clone, Debug, PartialEq)]
enum Pick {
    Cpu { notice: Option<String> },
    Adapter(usize),
}

/// Opens the device that `spec` names: `auto` (or nothing) takes the best GPU and else the CPU, with a notice; `gpu`
/// takes the best GPU; `cpu` the CPU; anything else is an index in [`adapters`] or a part of a name, maker or driver.
///
/// The same adapter is opened once per process and shared from then on.
///
/// # Errors
/// [`DeviceError`], which lists what there is. `auto` never fails.
pub fn choose(spec: &str) -> Result<Chosen, DeviceError> {
    let adapters = adapters();
    match pick(spec, &adapters)? {
        Pick::Cpu { notice } => Ok(cpu(notice)),
        Pick::Adapter(index) => match open_adapter(&adapters[index], &adapters) {
            Err(error) if is_auto(spec) => Ok(cpu(Some(format!("{error}. Computing on the CPU.")))),
            opened => opened,
        },
    }
}

/// As [`choose`], and where the CPU computes it also opens a device to draw a window with, if there is any.
///
/// `setup` is `None` where the toolkit must open one by itself: without any adapter, and for OpenGL, whose instance
/// has to know the display before it is made.
///
/// # Errors
/// As [`choose`].
pub fn choose_for_window(spec: &str) -> Result<Chosen, DeviceError> {
    let mut chosen = choose(spec)?;
    chosen.setup = match chosen.setup {
        None => {
            let (setup, label) = drawing_setup().unzip();
            chosen.drawn_by = label;
            setup
        }
        Some(setup) => Some(setup).filter(|s| s.backend != Backend::Gl),
    };
    Ok(chosen)
}

/// As [`choose`], or for a window [`choose_for_window`]: the form that a page has too, where opening takes a while.
///
/// # Errors
/// As [`choose`].
pub async fn open(spec: &str, window: bool) -> Result<Chosen, DeviceError> {
    if window { choose_for_window(spec) } else { choose(spec) }
}

/// What [`choose`] would take, in words, without opening it.
///
/// # Errors
/// As [`choose`], but for an adapter that cannot be opened.
pub fn describe(spec: &str) -> Result<String, DeviceError> {
    let adapters = adapters();
    Ok(match pick(spec, &adapters)? {
        Pick::Cpu { .. } => cpu_label(),
        Pick::Adapter(index) => adapters[index].label(),
    })
}

fn pick(spec: &str, adapters: &[AdapterInfo]) -> Result<Pick, DeviceError> {
    let wanted = spec.trim().to_lowercase();
    let best = |fits: &dyn Fn(&AdapterInfo) -> bool| {
        // `min_by_key` takes the first of equals, so that the driver's own order decides between two alike.
        adapters.iter().filter(|a| fits(a)).min_by_key(|a| a.kind).map(|a| a.index)
    };
    let gpu = best(&|a| a.kind != AdapterKind::Software);
    match wanted.as_str() {
        "" | "auto" => Ok(gpu.map_or_else(|| Pick::Cpu { notice: Some(no_gpu_notice(adapters)) }, Pick::Adapter)),
        "cpu" => Ok(Pick::Cpu { notice: None }),
        "gpu" => gpu.map(Pick::Adapter).ok_or_else(|| DeviceError::NoGpu { known: known(adapters) }),
        _ => wanted
            .parse::<usize>()
            .ok()
            .filter(|index| *index < adapters.len())
            // A number too large for an index may still be part of a name, such as 4090.
            .or_else(|| best(&|a| a.answers_to(&wanted)))
            .map(Pick::Adapter)
            .ok_or_else(|| DeviceError::Unknown { spec: spec.trim().into(), known: known(adapters) }),
    }
}

fn no_gpu_notice(adapters: &[AdapterInfo]) -> String {
    match adapters.first() {
        None => "No GPU was found: computing on the CPU.".into(),
        Some(software) => {
            format!("No GPU was found, only {}: computing on the CPU, which is faster.", software.label())
        }
    }
}

/// What may be asked for, in one line.
fn known(adapters: &[AdapterInfo]) -> String {
    let mut names = vec!["cpu".to_owned()];
    names.extend(adapters.iter().map(|a| format!("{}: {}", a.index, a.label())));
    names.join(", ")
}

/// Opens an adapter through burn, which asks for every feature and limit it may use later.
fn open_adapter(adapter: &AdapterInfo, adapters: &[AdapterInfo]) -> Result<Chosen, DeviceError> {
    // burn refuses to open one adapter twice. The lock is held while opening: Vulkan's loader does not bear two
    // instances made at once.
    static OPENED: Mutex<Vec<(usize, Device, WgpuSetup)>> = Mutex::new(Vec::new());
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let chosen = |device: Device, setup: WgpuSetup| Chosen {
        device,
        label: adapter.label(),
        notice: (adapter.kind == AdapterKind::Software)
            .then(|| format!("{} is slower than `--device cpu`: good for tests only.", adapter.label())),
        setup: Some(setup),
        adapter: Some(adapter.clone()),
        drawn_by: None,
    };
    if let Some((_, device, setup)) = opened.iter().find(|(index, ..)| *index == adapter.index) {
        return Ok(chosen(device.clone(), setup.clone()));
    }
    let failed = |reason: String| DeviceError::Open { label: adapter.label(), reason, known: known(adapters) };
    let Some((api, kind)) = adapter.selector.clone() else {
        return Err(failed("only the first adapter of this kind can be selected".into()));
    };
    let (device, setup) = Device::wgpu_options()
        .device_kind(kind)
        .graphics_api(api)
        .init_with_setup()
        .map_err(|error| failed(error.to_string()))?;
    opened.push((adapter.index, device.clone(), setup.clone()));
    Ok(chosen(device, setup))
}

/// A device for drawing only, on the best adapter there is, software included; and that adapter in words.
fn drawing_setup() -> Option<(WgpuSetup, String)> {
    let best = probed().iter().filter(|p| p.adapter.get_info().backend != Backend::Gl).min_by_key(|p| p.info.kind)?;
    let descriptor = wgpu::DeviceDescriptor { required_limits: best.adapter.limits(), ..Default::default() };
    let (device, queue) = pollster::block_on(best.adapter.request_device(&descriptor)).ok()?;
    let (instance, adapter) = (best.instance.clone(), best.adapter.clone());
    let backend = adapter.get_info().backend;
    Some((WgpuSetup { instance, adapter, device, queue, backend }, best.info.label()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::AdapterLimits;

    fn fake(index: usize, name: &str, kind: AdapterKind) -> AdapterInfo {
        AdapterInfo {
            index,
            name: name.into(),
            vendor: "NVIDIA".into(),
            driver: String::new(),
            backend: "vulkan".into(),
            kind,
            limits: AdapterLimits::default(),
            features: Vec::new(),
            selector: None,
        }
    }

    fn machine() -> Vec<AdapterInfo> {
        vec![
            fake(0, "llvmpipe (LLVM 15)", AdapterKind::Software),
            fake(1, "Iris Xe", AdapterKind::Integrated),
            fake(2, "GeForce RTX 4090", AdapterKind::Discrete),
        ]
    }

    #[test]
    fn auto_and_gpu_take_a_discrete_card_before_an_integrated_one() {
        for spec in ["auto", "", "GPU"] {
            assert_eq!(pick(spec, &machine()).unwrap(), Pick::Adapter(2), "{spec}");
        }
        assert_eq!(pick("auto", &machine()[..2]).unwrap(), Pick::Adapter(1));
    }

    #[test]
    fn a_name_in_any_case_an_index_and_a_number_in_a_name_choose() {
        for (spec, index) in [("geforce", 2), ("1", 1), ("4090", 2), ("LLVMpipe", 0), ("lavapipe", 0), ("nvidia", 2)] {
            assert_eq!(pick(spec, &machine()).unwrap(), Pick::Adapter(index), "{spec}");
        }
    }

    #[test]
    fn auto_never_takes_a_software_rasteriser_and_says_so() {
        let Pick::Cpu { notice: Some(notice) } = pick("auto", &machine()[..1]).unwrap() else { panic!("not the CPU") };
        assert!(notice.contains("llvmpipe") && notice.contains("CPU"), "{notice}");
        let Pick::Cpu { notice: Some(notice) } = pick("auto", &[]).unwrap() else { panic!("not the CPU") };
        assert_eq!(notice, "No GPU was found: computing on the CPU.");
        assert_eq!(pick("cpu", &machine()).unwrap(), Pick::Cpu { notice: None });
    }

    #[test]
    fn refusals_say_what_there_is() {
        let none = pick("gpu", &machine()[..1]).unwrap_err().to_string();
        assert!(none.contains("cpu") && none.contains("0: llvmpipe"), "{none}");
        let unknown = pick("radeon", &machine()).unwrap_err().to_string();
        assert!(unknown.contains("`radeon`") && unknown.contains("2: GeForce"), "{unknown}");
        assert!(matches!(open_adapter(&machine()[1], &machine()), Err(DeviceError::Open { .. })));
    }

    #[test]
    fn the_cpu_can_always_be_had() {
        let chosen = choose("cpu").unwrap();
        assert!(chosen.setup.is_none() && chosen.notice.is_none() && chosen.label.starts_with("CPU"));
        assert!(choose("auto").is_ok() && choose_for_window("auto").is_ok());
        assert!(matches!(choose("no such device"), Err(DeviceError::Unknown { .. })));
    }

    #[test]
    fn a_software_rasteriser_can_be_named_is_opened_once_and_computes() {
        let Some(software) = adapters().into_iter().find(|a| a.kind == AdapterKind::Software) else {
            return eprintln!("skipped: this machine has no software rasteriser");
        };
        let first = choose(&software.name).unwrap();
        let second = choose(&software.index.to_string()).unwrap();
        assert_eq!(first.device, second.device);
        assert!(first.setup.is_some() && first.notice.is_some());
        let x = burn::prelude::Tensor::<1>::from_floats([1.0, 2.0], &first.device);
        assert_eq!((x * 2.0).into_data().try_to_vec::<f32>().unwrap(), [2.0, 4.0]);
    }

    #[test]
    fn a_window_gets_a_device_to_draw_with_even_where_the_cpu_computes() {
        let drawable = adapters().iter().any(|a| a.backend != "gl");
        assert_eq!(choose_for_window("cpu").unwrap().setup.is_some(), drawable);
    }
}
