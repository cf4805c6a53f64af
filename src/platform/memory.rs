//! How much memory this process has, and how much the machine has left.

use std::time::Duration;

#[cfg(not(target_family = "wasm"))]
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, get_current_pid};
use web_time::Instant;

/// Readings are at least this far apart: asking the system oftener tells nothing new.
const PAUSE: Duration = Duration::from_millis(500);

/// One reading, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Main memory that this process occupies now (its resident set).
    pub process: u64,
    /// The most it ever occupied; `None` where the system does not tell (all but Linux).
    pub peak: Option<u64>,
    /// Main memory that there is: the machine's, or less where this process is held to less (a container).
    pub total: u64,
    /// Main memory that can be had without others having to give way.
    pub available: u64,
}

/// Reads memory, at most twice a second.
#[cfg_attr(target_family = "wasm", derive(Default))]
pub struct Meter {
    #[cfg(not(target_family = "wasm"))]
    system: System,
    #[cfg(not(target_family = "wasm"))]
    process: Option<Pid>,
    last: Option<(Instant, Option<Memory>)>,
}

#[cfg(not(target_family = "wasm"))]
impl Default for Meter {
    fn default() -> Self {
        Self { system: System::new(), process: get_current_pid().ok(), last: None }
    }
}

impl Meter {
    /// The newest reading, at most half a second old. `None` where the system tells nothing.
    pub fn read(&mut self) -> Option<Memory> {
        match self.last {
            Some((when, memory)) if when.elapsed() < PAUSE => memory,
            _ => {
                let memory = self.refresh();
                self.last = Some((Instant::now(), memory));
                memory
            }
        }
    }

    /// A page's memory only grows, to 4 GiB at most. (What a graphics device has is not part of it.)
    #[cfg(target_family = "wasm")]
    fn refresh(&mut self) -> Option<Memory> {
        let process = core::arch::wasm32::memory_size(0) as u64 * 65536;
        let total = 1 << 32;
        Some(Memory { process, peak: Some(process), total, available: total - process })
    }

    /// Looks at the memory of this process only, and at the machine's.
    #[cfg(not(target_family = "wasm"))]
    fn refresh(&mut self) -> Option<Memory> {
        let id = self.process?;
        let what = ProcessRefreshKind::nothing().with_memory().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, what);
        self.system.refresh_memory();
        let process = self.system.process(id)?;
        let (total, available) = (self.system.total_memory(), self.system.available_memory());
        // What a container has used counts its file cache too, which gives way: only its processes' own memory is gone.
        let (total, available) = match process.cgroup_limits().filter(|limits| limits.total_memory > 0) {
            Some(limits) if limits.total_memory < total => {
                (limits.total_memory, available.min(limits.total_memory.saturating_sub(limits.rss)))
            }
            _ => (total, available),
        };
        let process = process.memory();
        (process > 0 && total > 0).then(|| Memory { process, peak: peak(), total, available })
    }
}

/// One reading, for whoever needs no more than that.
pub fn now() -> Option<Memory> {
    Meter::default().read()
}

/// Bytes as people say them, in decimal units: `412 MB`, `1.6 GB`.
pub fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        b if b < 1e3 => format!("{b:.0} B"),
        b if b < 999.5e3 => format!("{:.0} kB", b / 1e3),
        b if b < 999.5e6 => format!("{:.0} MB", b / 1e6),
        b if b < 9.95e9 => format!("{:.1} GB", b / 1e9),
        b => format!("{:.0} GB", b / 1e9),
    }
}

/// The most memory this process ever occupied, in bytes.
#[cfg(target_os = "linux")]
fn peak() -> Option<u64> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

#[cfg(not(any(target_os = "linux", target_family = "wasm")))]
fn peak() -> Option<u64> {
    None
}

/// The high-water mark in the text of `/proc/self/status`, in bytes.
#[cfg(any(target_os = "linux", test))]
fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_plausible_where_there_is_one() {
        let Some(memory) = now() else {
            return if cfg!(target_os = "linux") {
                panic!("Linux tells")
            };
        };
        assert!(memory.process > 1 << 20 && memory.process < memory.total, "{memory:?}");
        assert!(memory.available <= memory.total, "{memory:?}");
        // The kernel updates its counters lazily: the mark may lag a little behind.
        assert!(memory.peak.is_none_or(|peak| peak + (8 << 20) >= memory.process), "{memory:?}");
    }

    #[test]
    fn asking_again_at_once_asks_the_system_once() {
        let mut meter = Meter::default();
        let first = meter.read();
        let when = meter.last.map(|(when, _)| when);
        assert_eq!(meter.read(), first);
        assert_eq!(meter.last.map(|(when, _)| when), when);
    }

    #[test]
    fn sizes_are_said_in_the_unit_that_fits() {
        let said = [0, 12_400, 412_000_000, 999_700_000, 1_633_000_000, 24_100_000_000].map(size);
        assert_eq!(said, ["0 B", "12 kB", "412 MB", "1.0 GB", "1.6 GB", "24 GB"]);
    }

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        assert_eq!(peak_in("Name:\tartune\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n"), Some(2 << 20));
        assert_eq!(peak_in("Name:\tartune\n"), None);
    }
}
