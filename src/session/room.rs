//! Whether a run fits: its [forecast](super::forecast) against the room there is, and settings that fit where not.

use super::forecast::{Forecast, Moment, Use, forecast};
use super::machine::Machine;
use crate::config::RunConfig;
use crate::model::family::FamilyConfig;
use crate::platform::memory::{self, size};

/// What a run may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes for this process in all; `None` where nobody tells, as for a card's own memory.
    pub memory: Option<u64>,
    /// Bytes of the largest tensor; `None` where only memory limits it.
    pub tensor: Option<u64>,
}

impl Room {
    /// The room there is now on `machine`: what is free, and what this process has already.
    pub fn now(machine: &Machine) -> Self {
        // A card's memory is its own: the machine's says nothing about it.
        let memory = memory::now().filter(|_| machine.kind.shares_memory());
        Self {
            memory: memory.map(|memory| memory.available + memory.process),
            tensor: machine.limits.map(|limits| limits.max_buffer.min(limits.max_binding)),
        }
    }
}

/// What there is too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Memory, at its fullest moment.
    Memory(Moment),
    /// Room for a single tensor.
    Tensor(Use),
}

/// Why a run does not begin, or a knob is not turned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Refusal {
    /// What there is too little of.
    pub what: Lack,
    /// Bytes needed.
    pub needed: u64,
    /// Bytes there are.
    pub available: u64,
    /// Settings with which it fits, by name.
    pub advice: Vec<(&'static str, u64)>,
    /// All of them are needed together; otherwise any one of them is enough.
    pub together: bool,
}

impl Refusal {
    fn sentence(&self) -> String {
        let (needed, available) = (size(self.needed), size(self.available));
        match self.what {
            Lack::Memory(moment) => format!(
                "this run would need about {needed} of memory, most of all {}, and {available} can be had",
                match moment {
                    Moment::Opening => "while it is opened",
                    Moment::Generate => "while it writes tokens",
                    Moment::Reward => "while it scores pictures",
                    Moment::OldLogProb => "for log-probabilities",
                    Moment::Train => "in a gradient step",
                    Moment::Evaluation => "while it evaluates",
                }
            ),
            Lack::Tensor(what) => format!(
                "this run would need one buffer of {needed} for {}, and the device takes {available} at most",
                match what {
                    Use::Logits => "the logits",
                    Use::Cache => "the keys of a rollout",
                    Use::Pictures => "a map of the pictures",
                    _ => "the activations",
                }
            ),
        }
    }

    /// What to do about it, in a sentence.
    pub fn remedy(&self) -> String {
        let settings: Vec<String> = self.advice.iter().map(|(name, value)| format!("{name}={value}")).collect();
        match (settings.is_empty(), self.together) {
            (true, _) => "No smaller batch fits either: free some memory, or choose another device.".into(),
            (_, true) => format!("It fits with {}.", settings.join(" and ")),
            (_, false) => format!("It fits with {}.", settings.join(", or with ")),
        }
    }
}

/// Whether a run fits: what there is too little of, needed and available, where it does not.
fn lack(forecast: &Forecast, room: &Room) -> Option<(Lack, u64, u64)> {
    if let Some(tensor) = room.tensor.filter(|tensor| forecast.largest.bytes > *tensor) {
        return Some((Lack::Tensor(forecast.largest.what), forecast.largest.bytes, tensor));
    }
    let memory = room.memory.filter(|memory| forecast.total > *memory)?;
    Some((Lack::Memory(forecast.moment), forecast.total, memory))
}

/// Forecasts a run as [`forecast()`] does, and refuses one that cannot fit into `room`. With `begun` the advice names
/// no setting that is fixed once a run has begun.
///
/// # Errors
/// [`Refusal`], with settings that fit.
pub fn fits(
    config: &RunConfig,
    shape: &FamilyConfig,
    (watched, keyframes): (bool, u64),
    room: &Room,
    begun: bool,
) -> Result<Forecast, Box<Refusal>> {
    let wanted = forecast(config, shape, watched, keyframes);
    let Some((what, needed, available)) = lack(&wanted, room) else { return Ok(wanted) };
    let fit = |config: &RunConfig| lack(&forecast(config, shape, watched, keyframes), room).is_none();
    let rows = config.prompts * config.num_generations;
    let mut knobs: Vec<Knob> = vec![
        (
            "micro_batch",
            |c, value| c.micro_batch = value,
            1,
            if config.micro_batch == 0 { rows } else { config.micro_batch },
        ),
        (
            "rollout_batch",
            |c, value| c.rollout_batch = value,
            1,
            if config.rollout_batch == 0 { rows } else { config.rollout_batch },
        ),
        ("prompts", |c, value| c.prompts = value, 1, config.prompts),
    ];
    if !begun {
        knobs.push(("num_generations", |c, value| c.num_generations = value, 2, config.num_generations));
    }
    let mut advice: Vec<(&'static str, u64)> =
        knobs.iter().filter_map(|knob| Some((knob.0, largest(config, *knob, &fit)?))).collect();
    // Evaluating always takes passes of the same size: where that is what does not fit, it can be left out.
    if what == Lack::Memory(Moment::Evaluation) && fit(&RunConfig { eval_every: 0, ..config.clone() }) {
        advice.push(("eval_every", 0));
    }
    let mut together = false;
    if advice.is_empty() {
        // No single one is enough: each in turn as low as it goes, until the next one finds a value that fits.
        let mut config = config.clone();
        for knob in &knobs {
            if let Some(value) = largest(&config, *knob, &fit) {
                advice.push((knob.0, value));
                together = true;
                break;
            }
            knob.1(&mut config, knob.2);
            advice.push((knob.0, knob.2));
        }
        if !together {
            advice.clear();
        }
    }
    Err(Box::new(Refusal { what, needed, available, advice, together }))
}

/// A setting that memory depends on: its name, how it is set, its least value, and its value now.
type Knob = (&'static str, fn(&mut RunConfig, u64), u64, u64);

/// The largest value below the one at hand with which a run fits. More of any knob never needs less memory.
fn largest(config: &RunConfig, (_, set, least, now): Knob, fit: &impl Fn(&RunConfig) -> bool) -> Option<u64> {
    let with = |value| {
        let mut config = config.clone();
        set(&mut config, value);
        fit(&config)
    };
    if now <= least || !with(least) {
        return None;
    }
    let (mut low, mut high) = (least, now);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if with(middle) { low = middle } else { high = middle }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &RunConfig, room: &Room, begun: bool) -> Result<Forecast, Box<Refusal>> {
        fits(config, &FamilyConfig::of(config), (false, 0), room, begun)
    }

    fn with(config: &RunConfig, advice: &[(&'static str, u64)]) -> RunConfig {
        let mut config = config.clone();
        advice.iter().for_each(|(name, value)| config.set(name, &value.to_string()).unwrap());
        config
    }

    #[test]
    fn a_run_that_fits_is_let_through_and_without_knowledge_all_are() {
        let room = Room { memory: Some(4_000_000_000), tensor: Some(1 << 30) };
        assert!(check(&RunConfig::default(), &room, false).is_ok());
        let large = with(&RunConfig::default(), &[("prompts", 64), ("num_generations", 64)]);
        assert!(check(&large, &Room::default(), false).is_ok());
    }

    #[test]
    fn every_single_advice_then_fits_and_one_more_does_not() {
        let config = RunConfig::default();
        for room in [Room { memory: Some(900_000_000), tensor: None }, Room { memory: None, tensor: Some(16 << 20) }] {
            let refusal = check(&config, &room, false).unwrap_err();
            assert!(!refusal.together && refusal.needed > refusal.available);
            let names: Vec<&str> = refusal.advice.iter().map(|(name, _)| *name).collect();
            assert_eq!((names[0], names.contains(&"prompts")), ("micro_batch", true), "{refusal}");
            for &(name, value) in &refusal.advice {
                assert!(check(&with(&config, &[(name, value)]), &room, false).is_ok(), "{name}={value}");
                assert!(check(&with(&config, &[(name, value + 1)]), &room, false).is_err(), "{name}={value}");
            }
        }
    }

    #[test]
    fn where_no_single_knob_is_enough_several_are_turned_together() {
        let config = with(&RunConfig::default(), &[("prompts", 64), ("num_generations", 64)]);
        let room = Room { memory: Some(600_000_000), tensor: None };
        let refusal = check(&config, &room, false).unwrap_err();
        assert!(refusal.together && refusal.advice.len() > 1, "{}", refusal.remedy());
        assert!(check(&with(&config, &refusal.advice), &room, false).is_ok(), "{}", refusal.remedy());
        assert!(refusal.remedy().contains(" and "));
    }

    #[test]
    fn where_only_the_evaluation_does_not_fit_it_may_be_left_out() {
        let config = with(&RunConfig::default(), &[("micro_batch", 1)]);
        let refusal = check(&config, &Room { memory: Some(430_000_000), tensor: None }, true).unwrap_err();
        assert_eq!(refusal.what, Lack::Memory(Moment::Evaluation));
        assert!(refusal.advice.contains(&("eval_every", 0)), "{refusal:?}");
    }

    #[test]
    fn a_run_that_has_begun_is_advised_live_knobs_only() {
        let room = Room { memory: Some(900_000_000), tensor: None };
        let refusal = check(&RunConfig::default(), &room, true).unwrap_err();
        assert!(refusal.advice.iter().all(|(name, _)| *name != "num_generations"), "{refusal:?}");
    }

    #[test]
    fn a_machine_far_too_small_is_told_so() {
        let refusal = check(&RunConfig::default(), &Room { memory: Some(1_000_000), tensor: None }, false).unwrap_err();
        assert!(refusal.advice.is_empty() && refusal.remedy().contains("another device"));
        assert!(refusal.to_string().contains("1 MB can be had"), "{refusal}");
    }
}
