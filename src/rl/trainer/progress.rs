//! How far an update is, and what a piece of work has finished.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Rollouts;

/// The four phases of an update in order, as the authors' code logs them, so that speeds compare line by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Writing tokens and decoding them to pictures.
    Generate,
    /// Scoring the pictures, instance and distribution rewards; then the advantages.
    Reward,
    /// Log-probabilities under the policy before the update, and under the reference.
    OldLogProb,
    /// The inner gradient steps.
    Train,
}

impl Phase {
    /// All phases in order.
    pub const ALL: [Self; 4] = [Self::Generate, Self::Reward, Self::OldLogProb, Self::Train];

    /// The phase's name in progress lines and metric keys (`time/<name>`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Reward => "reward",
            Self::OldLogProb => "old_logp",
            Self::Train => "train",
        }
    }
}

/// What one call of [`Trainer::advance`](super::Trainer::advance) did.
#[derive(Clone, Debug)]
pub struct Advance {
    /// In which phase.
    pub phase: Phase,
    /// Steps of the phase done, and in all.
    pub done: (usize, usize),
    /// What it finished, if anything.
    pub outcome: Outcome,
}

/// What a piece of work finished.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Nothing worth showing.
    None,
    /// The pictures of some sequences are complete.
    Drawn,
    /// The pictures are scored; in a second step each is measured against its group.
    Scored(Box<Rollouts>),
    /// The update is complete; scalars by their TRL names.
    Update(BTreeMap<String, f64>),
}
