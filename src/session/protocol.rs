//! The words that the engine and its faces exchange. Plain serde data: a recorded stream of them replays a run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::sheets::Sheet;
use crate::config::RunConfig;

/// What a session starts with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Every parameter of the run.
    pub config: RunConfig,
    /// `auto`, `cpu`, `gpu`, an adapter's name or its index.
    pub device: String,
    /// A folder of pictures in place of the embedded emoji set.
    pub data: Option<PathBuf>,
    /// A folder whose `<role>.safetensors` files stand in for the weights that ship.
    pub weights: Option<PathBuf>,
    /// Run folder for metrics, samples and checkpoints; nothing is written where it is `None`.
    pub out: Option<PathBuf>,
    /// Go on from the newest valid checkpoint in `out`, with the settings, pictures and networks it was saved with.
    pub resume: bool,
    /// A checkpoint to begin with, its settings, pictures and networks included; what is learnt from then on goes to
    /// `out`, and the file stays as it is. Not looked at where `resume` finds a run to go on with.
    pub checkpoint: Option<PathBuf>,
    /// Settings that a resumed run is to go on with instead of its own, by name: live ones only.
    pub changes: Vec<(String, String)>,
    /// A face looks on: pictures are shown while they are drawn, and nothing is measured before the first update.
    pub watched: bool,
    /// Start running at once instead of waiting for [`Command::Run`].
    pub autostart: bool,
}

/// What a face asks of the engine. Applied in order, at the next step boundary; none of them resets the run but
/// [`Command::Reset`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Update after update until paused or finished.
    Run,
    /// Stop before the next token, reward or inner step. Nothing is lost.
    Pause,
    /// Go on by one piece of work, then pause.
    Step(Span),
    /// Throw the tuning away and begin again from the pretrained weights.
    Reset,
    /// Turn one knob: the name of an entry of `PARAMS` and its new value as text.
    Set {
        /// Name in `PARAMS`.
        name: String,
        /// New value, as it would stand in a file.
        value: String,
    },
    /// Measure the held-out distance, diversity and the rest now.
    Evaluate,
    /// Write a checkpoint now.
    Save,
    /// Save and end.
    Quit,
}

/// How much work one [`Command::Step`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Span {
    /// One token of every sequence.
    Token,
    /// To the end of the phase at hand: rollout, reward, old log-prob or train.
    Phase,
    /// To the end of the update.
    Update,
}

/// The four phases of an update, as the authors' code logs them, so that speeds compare line by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Writing tokens and decoding them to pictures.
    Generate,
    /// Scoring the pictures, instance and distribution rewards, and the advantages.
    Reward,
    /// Log-probabilities under the policy before the update, and under the reference.
    OldLogProb,
    /// The inner gradient steps.
    Train,
}

impl Phase {
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

/// What the engine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Opening the device, reading weights, measuring the untouched model.
    Loading,
    /// Waiting for a command.
    Paused,
    /// Updating.
    Running,
    /// All `updates` done.
    Finished,
    /// Ended: saved, or failed.
    Ended,
}

/// Scalars by name; names as RL readers know them from TRL (`reward`, `kl`, `entropy`, `rewards/clip/mean`, …).
pub type Metrics = BTreeMap<String, f64>;

/// What the engine tells its faces.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The engine is up.
    Ready {
        /// The device that computes, in words.
        device: String,
        /// The networks in use, in words: sizes and where the weights are from.
        model: String,
        /// Names of the classes.
        classes: Vec<String>,
        /// The config in force (a resumed run's may differ from the one asked for).
        config: Box<RunConfig>,
        /// Updates already done.
        update: u64,
        /// The run folder: after a reset not the one asked for.
        folder: Option<PathBuf>,
    },
    /// The engine changed what it is doing.
    State(State),
    /// How far the phase at hand is.
    Progress {
        /// Update being made, from 1.
        update: u64,
        /// Its phase.
        phase: Phase,
        /// Steps done in this phase.
        done: usize,
        /// Steps in this phase.
        total: usize,
    },
    /// An update is complete.
    Update {
        /// Its number, from 1.
        update: u64,
        /// Its scalars.
        metrics: Metrics,
    },
    /// An evaluation is complete.
    Evaluation {
        /// Updates done before it; 0 is the untouched model.
        update: u64,
        /// Its scalars, named `eval/...`.
        metrics: Metrics,
        /// How each was measured: network, N, guidance, temperature, seed, reference.
        protocol: String,
    },
    /// The same classes and seeds, drawn anew; only for a face that looks on.
    Sheet(Box<Sheet>),
    /// A knob was turned.
    Changed {
        /// Name in `PARAMS`.
        name: String,
        /// Its value now.
        value: String,
    },
    /// A checkpoint was written.
    Saved {
        /// Where.
        path: PathBuf,
    },
    /// Something to know; the run goes on.
    Notice(String),
    /// Something the user should act on; the run goes on.
    Warning(String),
    /// The run cannot go on.
    Failed {
        /// What failed and why.
        error: String,
        /// What to do about it.
        advice: String,
    },
}

/// The newest rollouts, for showing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Gallery {
    /// Update these belong to, from 1.
    pub update: u64,
    /// Side of the pictures in pixels.
    pub side: usize,
    /// Tokens written so far of each picture, and in all.
    pub tokens: (usize, usize),
    /// One entry per prompt.
    pub groups: Vec<Group>,
}

/// The samples of one prompt, which are compared with each other.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Group {
    /// The prompt in words.
    pub prompt: String,
    /// Index of its class.
    pub class: usize,
    /// Its samples.
    pub samples: Vec<Sample>,
}

/// One sample of a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// `side * side * 3` bytes of RGB.
    pub rgb: Vec<u8>,
    /// Its rewards by name; empty until scored.
    pub rewards: Vec<(String, f64)>,
    /// Normalised instance and distribution advantages; `None` until computed.
    pub advantage: Option<(f64, f64)>,
}
