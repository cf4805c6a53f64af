//! The gate of the engine: what cannot fit into memory does not begin.

use std::sync::mpsc::Sender;

use anyhow::Result;

use super::super::forecast::forecast;
use super::super::machine::Machine;
use super::super::protocol::Event;
use super::super::room::{Refusal, Room, fits};
use crate::config::RunConfig;
use crate::model::family::FamilyConfig;

/// Lets settings through that fit, and tells the face what they will take.
pub(super) struct Gate {
    /// What computes.
    pub(super) machine: Machine,
    /// A window looks on.
    pub(super) watched: bool,
    /// Bytes set aside for going back to earlier states of the run.
    pub(super) keyframes: u64,
    pub(super) outbox: Sender<Event>,
}

impl Gate {
    /// Before a run is opened; `begun` where it goes on from a checkpoint.
    pub(super) fn open(&self, config: &RunConfig, begun: bool) -> Result<()> {
        self.check(config, begun)?;
        Ok(())
    }

    /// Before a knob is turned from `old` to `new`. One that asks for no more than before always may: it cannot make
    /// things worse.
    pub(super) fn turn(&self, old: &RunConfig, new: &RunConfig) -> Result<(), Box<Refusal>> {
        let [before, after] =
            [old, new].map(|config| forecast(config, &FamilyConfig::of(config), self.watched, self.keyframes));
        if after == before {
            return Ok(());
        }
        if after.total > before.total || after.largest.bytes > before.largest.bytes {
            return self.check(new, true);
        }
        let _ = self.outbox.send(Event::Forecast(Box::new(after)));
        Ok(())
    }

    fn check(&self, config: &RunConfig, begun: bool) -> Result<(), Box<Refusal>> {
        let room = Room::now(&self.machine);
        let forecast = fits(config, &FamilyConfig::of(config), (self.watched, self.keyframes), &room, begun)?;
        let _ = self.outbox.send(Event::Forecast(Box::new(forecast)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::session::machine::{Kind, Limits};

    /// A card with buffers of `max_buffer` bytes, whatever memory this machine has.
    fn card(max_buffer: u64) -> Machine {
        let limits = Limits { max_buffer, max_binding: max_buffer, ..Limits::default() };
        Machine { kind: Kind::Discrete, limits: Some(limits), ..Machine::default() }
    }

    #[test]
    fn a_knob_that_asks_for_more_than_fits_is_refused_and_one_that_asks_for_less_never() {
        let (outbox, events) = channel();
        let gate = Gate { machine: card(20 << 20), watched: false, keyframes: 0, outbox };
        let with = |micro_batch| RunConfig { micro_batch, ..RunConfig::default() };
        assert!(gate.open(&with(16), false).is_ok());
        assert!(matches!(events.try_recv(), Ok(Event::Forecast(_))));
        let refusal = gate.turn(&with(16), &with(100)).unwrap_err();
        assert!(refusal.to_string().contains("the device takes 21 MB at most"), "{refusal}");
        assert!(events.try_recv().is_err());
        assert!(gate.turn(&with(100), &with(90)).is_ok());
        assert!(matches!(events.try_recv(), Ok(Event::Forecast(_))));
        assert!(gate.turn(&with(16), &RunConfig { beta: 1.0, ..with(16) }).is_ok());
        assert!(events.try_recv().is_err(), "nothing changed that memory depends on");
        let error = gate.open(&with(0), false).unwrap_err();
        assert!(error.downcast_ref::<Box<Refusal>>().is_some(), "{error}");
    }
}
