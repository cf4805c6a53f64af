//! What a session computes on, in plain data for its faces and for reports of errors.

use serde::{Deserialize, Serialize};

use crate::gpu::{AdapterInfo, AdapterKind, Chosen};
use crate::platform::{memory, processor};

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The processor itself.
    #[default]
    Cpu,
    /// A card with its own memory.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU seen through a virtual machine, or of a kind that its driver does not tell.
    Virtual,
    /// A program on the processor that behaves like a GPU.
    Software,
}

impl Kind {
    /// Whether what it computes with lies in the machine's main memory.
    pub fn shares_memory(self) -> bool {
        !matches!(self, Self::Discrete | Self::Virtual)
    }
}

/// What draws the window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Drawing {
    /// There is no window.
    #[default]
    Nothing,
    /// The device that computes: pictures need not leave it.
    Same,
    /// Another adapter, in words.
    Other(String),
    /// A device that the window opened for itself.
    Own,
}

/// Limits of a graphics device that matter to a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest buffer, in bytes.
    pub max_buffer: u64,
    /// Largest part of a buffer that a kernel sees at once, in bytes.
    pub max_binding: u64,
    /// Memory that the invocations of a workgroup share, in bytes.
    pub workgroup_memory: u32,
    /// Most invocations in a workgroup.
    pub workgroup_invocations: u32,
    /// Whether it can compute with numbers of half the size.
    pub f16: bool,
    /// Whether neighbouring invocations can exchange numbers directly.
    pub subgroups: bool,
    /// Whether it can say how long a piece of its work took.
    pub timestamps: bool,
}

/// The machine and the device that a session works on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The program's version.
    pub version: String,
    /// The operating system with its version; `None` where it does not tell.
    pub system: Option<String>,
    /// Name of what computes: the adapter's or the processor's.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its maker; empty for the processor.
    pub vendor: String,
    /// Its driver and that one's version; empty for the processor.
    pub driver: String,
    /// The graphics API by which it is reached; empty for the processor.
    pub api: String,
    /// Its limits; `None` for the processor.
    pub limits: Option<Limits>,
    /// What draws the window.
    pub drawing: Drawing,
    /// The processor's name; `None` where the system does not tell.
    pub processor: Option<String>,
    /// Threads that the processor runs at once.
    pub threads: usize,
    /// Its architecture and vector instructions.
    pub instructions: String,
    /// Main memory that there is, in bytes; `None` where the system does not tell.
    pub memory: Option<u64>,
    /// Why this device, where it is not the one hoped for.
    pub notice: Option<String>,
}

impl Machine {
    /// The machine, computing on `chosen`; `window` says whether one is drawn.
    pub fn of(chosen: &Chosen, window: bool) -> Self {
        let processor = processor::name();
        let adapter = chosen.adapter.as_ref();
        let drawing = match (&chosen.drawn_by, adapter) {
            _ if !window => Drawing::Nothing,
            (Some(other), _) => Drawing::Other(other.clone()),
            // OpenGL has to know the display before its instance is made: the window opens its own.
            (None, Some(adapter)) if adapter.backend != "gl" => Drawing::Same,
            (None, _) => Drawing::Own,
        };
        let text = |get: fn(&AdapterInfo) -> &String| adapter.map(get).cloned().unwrap_or_default();
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            system: processor::system(),
            name: adapter.map_or_else(
                || processor.clone().unwrap_or_else(|| chosen.label.clone()),
                |adapter| adapter.name.clone(),
            ),
            kind: adapter.map_or(Kind::Cpu, |adapter| adapter.kind.into()),
            vendor: text(|a| &a.vendor),
            driver: text(|a| &a.driver),
            api: text(|a| &a.backend),
            limits: adapter.map(Limits::from),
            drawing,
            processor,
            threads: processor::threads(),
            instructions: processor::instructions(),
            memory: memory::now().map(|memory| memory.total),
            notice: chosen.notice.clone(),
        }
    }
}

impl From<AdapterKind> for Kind {
    fn from(kind: AdapterKind) -> Self {
        match kind {
            AdapterKind::Discrete => Self::Discrete,
            AdapterKind::Integrated => Self::Integrated,
            AdapterKind::Virtual => Self::Virtual,
            AdapterKind::Software => Self::Software,
        }
    }
}

impl From<&AdapterInfo> for Limits {
    fn from(adapter: &AdapterInfo) -> Self {
        let has = |name: &str| adapter.features.iter().any(|feature| feature == name);
        let limits = adapter.limits;
        Self {
            max_buffer: limits.max_buffer,
            max_binding: limits.max_binding,
            workgroup_memory: limits.workgroup_memory,
            workgroup_invocations: limits.workgroup_invocations,
            f16: has("shader_f16"),
            subgroups: has("subgroup"),
            timestamps: has("timestamp_query"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{adapters, choose};

    #[test]
    fn the_processor_is_described_without_limits() {
        let machine = Machine::of(&choose("cpu").unwrap(), false);
        assert_eq!((machine.kind, machine.limits, machine.drawing), (Kind::Cpu, None, Drawing::Nothing));
        assert!(!machine.name.is_empty() && machine.threads > 0 && machine.kind.shares_memory());
    }

    #[test]
    fn what_draws_is_the_same_device_another_or_the_windows_own() {
        let mut chosen = choose("cpu").unwrap();
        assert_eq!(Machine::of(&chosen, true).drawing, Drawing::Own);
        chosen.drawn_by = Some("a card".into());
        assert_eq!(Machine::of(&chosen, true).drawing, Drawing::Other("a card".into()));
        let Some(adapter) = adapters().into_iter().find(|a| a.backend != "gl") else { return };
        (chosen.adapter, chosen.drawn_by) = (Some(adapter), None);
        let machine = Machine::of(&chosen, true);
        assert_eq!(machine.drawing, Drawing::Same);
        assert!(machine.limits.is_some_and(|limits| limits.max_buffer > 0) && machine.kind != Kind::Cpu);
    }

    #[test]
    fn features_are_found_by_the_names_that_wgpu_gives_them() {
        let names: Vec<String> = wgpu::Features::all().iter_names().map(|(name, _)| name.to_lowercase()).collect();
        assert!(["shader_f16", "subgroup", "timestamp_query"].iter().all(|name| names.iter().any(|n| n == name)));
    }
}
