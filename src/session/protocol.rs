//! The words that the engine and its faces exchange. Plain serde data: a recorded stream of them replays a run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::forecast::Forecast;
use super::inspect::{Inspection, Question};
use super::keyframes::BUDGET;
use super::machine::Machine;
use super::sheets::Sheet;
use super::space::Space;
use crate::config::RunConfig;
pub use crate::rl::trainer::Phase;

/// Files of a person's own that a run works with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenFiles {
    /// A folder of pictures in place of the embedded emoji set.
    pub data: Option<PathBuf>,
    /// A folder with the files of published networks, or whose `<role>.safetensors` files stand in for the weights that
    /// ship.
    pub weights: Option<PathBuf>,
    /// Statistics of real pictures for the distribution reward, in place of pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<PathBuf>,
    /// Captions for a text-conditional network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captions: Option<PathBuf>,
}

impl GivenFiles {
    /// These, and of `others` those that are not named here.
    pub fn or(&self, others: &Self) -> Self {
        let either = |mine: &Option<PathBuf>, other: &Option<PathBuf>| mine.clone().or(other.clone());
        Self {
            data: either(&self.data, &others.data),
            weights: either(&self.weights, &others.weights),
            reference: either(&self.reference, &others.reference),
            captions: either(&self.captions, &others.captions),
        }
    }
}

/// What a session starts with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Every parameter of the run.
    pub config: RunConfig,
    /// `auto`, `cpu`, `gpu`, an adapter's name or its index.
    pub device: String,
    /// What it works with besides what ships.
    pub files: GivenFiles,
    /// Run folder for metrics, samples and checkpoints; nothing is written where it is `None`.
    pub out: Option<PathBuf>,
    /// Go on from the newest valid checkpoint in `out`, with the settings, pictures and networks it was saved with.
    pub resume: bool,
    /// A checkpoint to begin with, its settings, pictures and networks included; what is learnt from then on goes to
    /// `out`, and the file stays as it is. Not looked at where `resume` and `out` say which run to go on with.
    pub checkpoint: Option<PathBuf>,
    /// Settings that a resumed run is to go on with instead of its own, by name: live ones only.
    pub changes: Vec<(String, String)>,
    /// A face looks on: pictures are shown while they are drawn, and nothing is measured before the first update.
    pub watched: bool,
    /// Start running at once instead of waiting for [`Command::Run`].
    pub autostart: bool,
    /// Memory for going back to earlier updates, in bytes; only used where a face looks on.
    pub keyframe_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: RunConfig::default(),
            device: String::new(),
            files: GivenFiles::default(),
            out: None,
            resume: false,
            checkpoint: None,
            changes: vec![],
            watched: false,
            autostart: false,
            keyframe_bytes: BUDGET,
        }
    }
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
    /// Go back to the model as it was after an earlier update, exactly: from the nearest keyframe, with what was turned
    /// since. What came after stays in its run folder; the run goes on in another.
    Rewind(u64),
    /// Slow motion: wait so many seconds after each piece of work; 0 is full speed.
    Slow(f64),
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
    /// Look closely at one sample; the run does not notice.
    Inspect(Question),
    /// Save and end.
    Quit,
}

/// How much work one [`Command::Step`] does: to the next end of such a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Span {
    /// One token of every sequence at work; outside the rollout, the smallest piece there is.
    Token,
    /// One picture. Pictures that are begun under it are written one after another.
    Image,
    /// All pictures of the update.
    Rollout,
    /// The raw rewards of all pictures.
    Reward,
    /// The rewards mixed, and each picture measured against its group.
    Advantage,
    /// The gradient steps, and with them the update.
    Update,
}

impl Span {
    /// All spans, the shortest first.
    pub const ALL: [Self; 6] = [Self::Token, Self::Image, Self::Rollout, Self::Reward, Self::Advantage, Self::Update];
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
    /// What the engine computes on; comes before [`Event::Ready`].
    Machine(Box<Machine>),
    /// The memory that the run is going to take: before [`Event::Ready`], and again when a knob that changes it is turned.
    Forecast(Box<Forecast>),
    /// How much has arrived of what the engine needs to come up, in bytes: only on a page, which fetches it.
    Fetching {
        /// Bytes that have arrived.
        received: u64,
        /// Bytes in all.
        total: u64,
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
    /// The run stands again after an earlier update; what was measured after it belongs to another run.
    Rewound {
        /// Updates done.
        update: u64,
        /// Where the run goes on being recorded.
        folder: Option<PathBuf>,
        /// The settings as they were then.
        config: Box<RunConfig>,
    },
    /// Updates to which [`Command::Rewind`] goes back at once; to others it replays the updates between.
    Keyframes(Vec<u64>),
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
    /// A sample was looked at.
    Inspected(Box<Inspection>),
    /// A question about a sample has no answer; the run goes on.
    NotInspected {
        /// What was asked.
        question: Question,
        /// Why there is no answer.
        why: String,
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
    /// Tokens written so far of all pictures, and in all.
    pub tokens: (usize, usize),
    /// One entry per prompt.
    pub groups: Vec<Group>,
    /// Where the pictures lie among the real ones; `None` until they are scored.
    #[serde(default)]
    pub space: Option<Space>,
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
    /// Its tokens; empty until all are written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
}
