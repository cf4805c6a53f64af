//! How long frames take to draw, how much of its time the engine works, and memory over time: small and bounded.

use std::collections::VecDeque;

use crate::session::{Event, State};

/// Upper ends of the histogram's bins, in milliseconds; the last bin has none.
pub(super) const BINS: [f32; 6] = [4.0, 8.0, 16.0, 33.0, 66.0, 133.0];

/// The newest frame times, oldest first, in seconds.
pub(super) struct Frames {
    times: VecDeque<f32>,
    capacity: usize,
}

/// Percentiles of frame times, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Percentiles {
    /// Half of the frames were at least as fast.
    pub(super) p50: f32,
    /// Nineteen of twenty were.
    pub(super) p95: f32,
    /// The slowest.
    pub(super) max: f32,
}

impl Frames {
    /// Room for so many frames; older ones are forgotten.
    pub(super) fn new(capacity: usize) -> Self {
        Self { times: VecDeque::new(), capacity }
    }

    /// Takes in the time of one frame, in seconds; a time that is no time is left out.
    pub(super) fn push(&mut self, seconds: f32) {
        if !seconds.is_finite() || seconds < 0.0 {
            return;
        }
        if self.times.len() >= self.capacity {
            self.times.pop_front();
        }
        self.times.push_back(seconds);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// Percentiles by nearest rank; `None` without a frame.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let mut sorted: Vec<f32> = self.times.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        let max = *sorted.last()?;
        // The smallest time that at least this share of the frames did not exceed.
        let rank = |share: f64| sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1];
        Some(Percentiles { p50: rank(0.5), p95: rank(0.95), max })
    }

    /// How many frames fall into each bin of [`BINS`], and behind the last.
    pub(super) fn histogram(&self) -> [usize; BINS.len() + 1] {
        let mut counts = [0; BINS.len() + 1];
        for seconds in &self.times {
            counts[BINS.iter().position(|end| seconds * 1e3 <= *end).unwrap_or(BINS.len())] += 1;
        }
        counts
    }
}

/// The pace of the engine: whole updates that it made without a pause, by the clock on the wall.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pulse {
    /// When the last update ended that another may follow.
    last: Option<f64>,
    /// Updates made without a pause.
    pub(super) updates: u64,
    /// Seconds that they took, everything included.
    pub(super) seconds: f64,
    /// Seconds of work on tensors in them.
    work: f64,
}

impl Pulse {
    /// Takes in an event that came at `now`, in seconds on any one clock.
    pub(super) fn observe(&mut self, event: &Event, now: f64) {
        match event {
            Event::Update { metrics, .. } => {
                if let Some(last) = self.last.replace(now) {
                    self.updates += 1;
                    self.seconds += now - last;
                    self.work += metrics.get("step_time").copied().unwrap_or(0.0);
                }
            }
            Event::State(state) if *state != State::Running => self.last = None,
            Event::Ready { .. } => *self = Self::default(),
            _ => {}
        }
    }

    /// Updates per minute; `None` before two updates followed each other.
    pub(super) fn per_minute(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| 60.0 * self.updates as f64 / self.seconds)
    }

    /// Share of the time that went into the updates themselves, from 0 to 1; the rest went into evaluating, saving and
    /// showing.
    pub(super) fn share(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| (self.work / self.seconds).clamp(0.0, 1.0))
    }
}

/// Memory over the whole session in few points: when there are too many, every second one goes.
pub(super) struct Trace {
    /// Seconds since the window opened, and bytes.
    pub(super) points: Vec<[f64; 2]>,
    /// Seconds between two points.
    every: f64,
}

impl Default for Trace {
    fn default() -> Self {
        Self { points: Vec::new(), every: 0.5 }
    }
}

impl Trace {
    /// Most points.
    const ROOM: usize = 480;

    /// Takes in a reading, unless it comes too soon after the last.
    pub(super) fn push(&mut self, seconds: f64, bytes: f64) {
        if self.points.last().is_some_and(|last| seconds - last[0] < self.every) {
            return;
        }
        self.points.push([seconds, bytes]);
        if self.points.len() >= Self::ROOM {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.every *= 2.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(milliseconds: impl IntoIterator<Item = u32>, capacity: usize) -> Frames {
        let mut frames = Frames::new(capacity);
        milliseconds.into_iter().for_each(|ms| frames.push(ms as f32 / 1e3));
        frames
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let hundred = frames((1..=100).rev(), 300).percentiles().unwrap();
        assert_eq!(hundred, Percentiles { p50: 0.05, p95: 0.095, max: 0.1 });
        let one = frames([7], 300).percentiles().unwrap();
        assert_eq!((one.p50, one.p95, one.max), (0.007, 0.007, 0.007));
        assert_eq!(frames([], 300).percentiles(), None);
    }

    #[test]
    fn only_the_newest_are_kept_and_no_nonsense() {
        let mut ring = frames(1..=10, 4);
        assert_eq!((ring.len(), ring.percentiles().unwrap().p50), (4, 0.008));
        ring.push(f32::NAN);
        ring.push(-1.0);
        assert_eq!((ring.len(), ring.percentiles().unwrap().max), (4, 0.01));
    }

    #[test]
    fn every_frame_is_in_one_bin() {
        let counts = frames([1, 4, 5, 16, 17, 500], 300).histogram();
        assert_eq!(counts, [2, 1, 1, 1, 0, 0, 1]);
    }

    #[test]
    fn the_pace_leaves_pauses_out() {
        let update = |seconds| Event::Update { update: 1, metrics: [("step_time".to_string(), seconds)].into() };
        let mut pulse = Pulse::default();
        pulse.observe(&update(1.0), 10.0);
        assert_eq!(pulse.per_minute(), None);
        pulse.observe(&update(1.5), 12.0);
        pulse.observe(&Event::State(State::Paused), 13.0);
        pulse.observe(&update(1.0), 100.0);
        pulse.observe(&update(1.5), 102.0);
        assert_eq!((pulse.updates, pulse.per_minute(), pulse.share()), (2, Some(30.0), Some(0.75)));
    }

    #[test]
    fn memory_of_a_long_session_stays_in_few_points() {
        let mut trace = Trace::default();
        (0..20_000).for_each(|i| trace.push(f64::from(i) * 0.5, f64::from(i)));
        let (first, last) = (trace.points[0], trace.points[trace.points.len() - 1]);
        assert!(trace.points.len() < Trace::ROOM && first[0] == 0.0 && last[0] > 9_900.0, "{last:?}");
    }
}
