//! Wall-clock time, for progress and throughput only; nothing that is computed depends on it.

use std::sync::OnceLock;
use web_time::Instant;

/// A stopwatch.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts counting.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Seconds since the program began: since the first call of this function, which `main` makes before all else.
pub fn since_start() -> f64 {
    static START: OnceLock<Stopwatch> = OnceLock::new();
    START.get_or_init(Stopwatch::start).seconds()
}
