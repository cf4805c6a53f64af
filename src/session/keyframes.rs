//! Keyframes: the whole state after some of the updates, in memory, and every knob turned between them. Any earlier
//! update is reached exactly by going to the keyframe before it and making the updates between again.

use std::collections::BTreeMap;

use super::space::Ellipse;
use crate::config::RunConfig;
use crate::rl::trainer::TrainerState;

/// Memory for keyframes, in bytes; older ones give way first, so that they lie the closer the newer they are.
pub const BUDGET: usize = 400 << 20;

/// Everything that an update leaves behind.
#[derive(Clone)]
pub(super) struct Moment {
    pub(super) config: RunConfig,
    pub(super) state: TrainerState,
    /// The average of the model's pictures in the plane that is shown.
    pub(super) average: Option<Ellipse>,
}

/// The state after one update.
struct Frame {
    moment: Moment,
    /// A knob was turned in the midst of this update: replaying would turn it at the update's start instead.
    pinned: bool,
}

impl Frame {
    fn bytes(&self) -> usize {
        self.moment.state.policy.len() + self.moment.state.optimizer.len()
    }
}

/// A knob that was turned after so many updates.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) update: u64,
    pub(super) name: String,
    pub(super) value: String,
}

/// The keyframes of a run.
pub(super) struct Keyframes {
    /// Bytes they may take.
    budget: usize,
    frames: BTreeMap<u64, Frame>,
    turns: Vec<Turn>,
    /// The next keyframe is to be pinned.
    pin: bool,
}

impl Keyframes {
    /// None yet, and memory for so many bytes of them.
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, frames: BTreeMap::new(), turns: vec![], pin: false }
    }

    /// Keeps the state after an update.
    pub(super) fn keep(&mut self, moment: Moment) {
        let pinned = std::mem::take(&mut self.pin);
        self.frames.insert(moment.state.update, Frame { moment, pinned });
        self.thin();
    }

    /// Takes in that a knob was turned, after `update` updates; `midway`: in the midst of the next.
    pub(super) fn turned(&mut self, update: u64, midway: bool, name: &str, value: &str) {
        self.turns.push(Turn { update, name: name.into(), value: value.into() });
        self.pin |= midway;
    }

    /// The update at hand cannot be made again exactly: its keyframe is to stay.
    pub(super) fn pin(&mut self) {
        self.pin = true;
    }

    /// Updates that have a keyframe.
    pub(super) fn updates(&self) -> Vec<u64> {
        self.frames.keys().copied().collect()
    }

    /// The policy's record after exactly `update` updates.
    pub(super) fn policy(&self, update: u64) -> Option<&[u8]> {
        self.frames.get(&update).map(|frame| frame.moment.state.policy.as_slice())
    }

    /// The newest keyframe not after `update`.
    pub(super) fn before(&self, update: u64) -> Option<Moment> {
        self.frames.range(..=update).next_back().map(|(_, frame)| frame.moment.clone())
    }

    /// What was turned after exactly `update` updates.
    pub(super) fn turns(&self, update: u64) -> Vec<Turn> {
        self.turns.iter().filter(|turn| turn.update == update).cloned().collect()
    }

    /// Forgets what came after `update`.
    pub(super) fn forget_after(&mut self, update: u64) {
        self.frames.retain(|at, _| *at <= update);
        self.turns.retain(|turn| turn.update < update);
        self.pin = false;
    }

    /// Drops keyframes until they take no more than the budget; the first and the newest stay.
    fn thin(&mut self) {
        while self.frames.values().map(Frame::bytes).sum::<usize>() > self.budget && self.frames.len() > 2 {
            let updates = self.updates();
            let newest = updates[updates.len() - 1];
            // The gap that dropping a frame would leave, as a share of its age: even on a logarithmic scale.
            let cost = |window: &[u64]| (window[2] - window[0]) as f64 / (newest - window[1] + 1) as f64;
            let among = |pinned: bool| {
                let inner = updates.windows(3).filter(|w| self.frames.get(&w[1]).is_some_and(|f| f.pinned == pinned));
                inner.min_by(|a, b| cost(a).total_cmp(&cost(b))).map(|window| window[1])
            };
            let Some(victim) = among(false).or_else(|| among(true)) else { return };
            self.frames.remove(&victim);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::moments::{Cov, Moments};

    fn moment(update: u64) -> Moment {
        let moments = Moments { mean: vec![0.0], cov: Cov::Diagonal(vec![1.0]) };
        let state =
            TrainerState { update, policy: vec![0; 60], optimizer: vec![0; 40], moments, entropy_measured: 0.7 };
        Moment { config: RunConfig::default(), state, average: None }
    }

    #[test]
    fn keyframes_fit_their_budget_and_lie_closer_the_newer_they_are() {
        let mut frames = Keyframes::new(1200);
        for update in 0..=200 {
            frames.keep(moment(update));
        }
        let updates = frames.updates();
        assert_eq!((updates.len(), updates[0], updates[11]), (12, 0, 200));
        let gap = |w: &[u64]| w[1] - w[0];
        assert!(gap(&updates[10..]) <= 3 && gap(&updates[..2]) > 20, "{updates:?}");
        assert_eq!(frames.before(150).map(|moment| moment.state.update <= 150), Some(true));
    }

    #[test]
    fn a_keyframe_after_a_turn_in_the_midst_of_an_update_outlives_its_neighbours() {
        let mut frames = Keyframes::new(800);
        for update in 0..=100 {
            if update == 30 {
                frames.turned(29, true, "beta", "0");
            }
            frames.keep(moment(update));
        }
        assert!(frames.updates().contains(&30));
        assert_eq!(frames.turns(29).len(), 1);
        frames.forget_after(29);
        assert!(frames.updates().iter().all(|at| *at <= 29) && frames.turns(29).is_empty());
    }
}
