//! Measured figures of the window itself, for comparing two versions of it: `--report FILE` writes them when it closes.

// A page writes no report about itself.
#![cfg_attr(target_family = "wasm", allow(dead_code))]

use serde_json::{Value, json};

use super::frames::{Frames, Pulse};
use crate::platform::clock;
use crate::platform::memory::Meter;
use crate::session::{Event, Machine, State};

/// Frames that the percentiles are over, at most: the newest.
const FRAMES: usize = 20_000;
/// Updates after which memory is noted.
const MARKS: [u64; 2] = [20, 500];

/// What is measured while the window is open.
pub(super) struct Report {
    machine: Option<Machine>,
    running: bool,
    /// Seconds from the start of the program to the first frame, and to the first picture.
    first: [Option<f64>; 2],
    frames: Frames,
    pulse: Pulse,
    meter: Meter,
    /// Memory of the process after the updates of [`MARKS`] and after the last, in bytes.
    memory: Vec<(u64, u64)>,
    update: u64,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            machine: None,
            running: false,
            first: [None; 2],
            frames: Frames::new(FRAMES),
            pulse: Pulse::default(),
            meter: Meter::default(),
            memory: Vec::new(),
            update: 0,
        }
    }
}

impl Report {
    /// Takes in one event.
    pub(super) fn observe(&mut self, event: &Event) {
        self.pulse.observe(event, clock::since_start());
        match event {
            Event::Machine(machine) => self.machine = Some((**machine).clone()),
            Event::State(state) => self.running = *state == State::Running,
            Event::Update { update, .. } => {
                self.update = *update;
                if MARKS.contains(update) {
                    self.note();
                }
            }
            _ => {}
        }
    }

    /// Takes in a frame that took `seconds` to draw.
    pub(super) fn frame(&mut self, seconds: f32) {
        self.first[0].get_or_insert_with(clock::since_start);
        if self.running {
            self.frames.push(seconds);
        }
    }

    /// Pictures have come.
    pub(super) fn pictures(&mut self) {
        self.first[1].get_or_insert_with(clock::since_start);
    }

    fn note(&mut self) {
        if let Some(memory) = self.meter.read() {
            self.memory.retain(|(update, _)| *update != self.update);
            self.memory.push((self.update, memory.process));
        }
    }

    /// Everything measured, each figure with how it was; `null` where it was not.
    pub(super) fn json(&mut self) -> Value {
        self.note();
        let peak = self.meter.read().and_then(|memory| memory.peak);
        let percentiles = self.frames.percentiles();
        let memory: Vec<Value> = self
            .memory
            .iter()
            .map(|(update, bytes)| json!({ "after_update": update, "resident_bytes": bytes }))
            .collect();
        json!({
            "machine": self.machine,
            "start": {
                "first_frame_seconds": self.first[0],
                "first_picture_seconds": self.first[1],
                "how": "by the wall clock, from the first line of the program's main function",
            },
            "frames": {
                "count": self.frames.len(),
                "p50_seconds": percentiles.map(|p| p.p50),
                "p95_seconds": percentiles.map(|p| p.p95),
                "max_seconds": percentiles.map(|p| p.max),
                "how": "processor time of the window's thread for one frame while the engine runs: laid out, tessellated and handed to the graphics device; the newest 20,000 frames",
            },
            "memory": {
                "resident": memory,
                "peak_resident_bytes": peak,
                "how": "resident set of this process, as the system reports it; the last entry is from the end",
            },
            "updates": {
                "done": self.update,
                "counted": self.pulse.updates,
                "per_minute": self.pulse.per_minute(),
                "share_of_time": self.pulse.share(),
                "how": "updates that followed another without a pause, by the wall clock, with everything between them",
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(update: u64) -> Event {
        Event::Update { update, metrics: [("step_time".to_string(), 0.0)].into() }
    }

    #[test]
    fn frames_count_only_while_the_engine_runs() {
        let mut report = Report::default();
        report.frame(0.5);
        report.observe(&Event::State(State::Running));
        [0.01, 0.02, 0.03].into_iter().for_each(|seconds| report.frame(seconds));
        let json = report.json();
        assert_eq!(json["frames"]["count"], 3);
        assert_eq!(json["frames"]["p50_seconds"], json!(0.02_f32));
        assert!(json["start"]["first_frame_seconds"].is_f64() && json["start"]["first_picture_seconds"].is_null());
        report.pictures();
        assert!(report.json()["start"]["first_picture_seconds"].is_f64());
    }

    #[test]
    fn memory_is_noted_after_twenty_updates_and_after_the_last() {
        let mut report = Report::default();
        (1..=23).map(update).for_each(|event| report.observe(&event));
        let json = report.json();
        assert_eq!((json["updates"]["done"].as_u64(), json["updates"]["counted"].as_u64()), (Some(23), Some(22)));
        if crate::platform::memory::now().is_some() {
            let noted: Vec<_> =
                json["memory"]["resident"].as_array().unwrap().iter().map(|m| &m["after_update"]).collect();
            assert_eq!(noted, [20, 23]);
        }
    }
}
