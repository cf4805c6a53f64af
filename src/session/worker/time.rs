//! Control of time: steps of every size, slow motion, and going back.

use std::collections::VecDeque;

use anyhow::Result;

use super::super::inspect::answer::Inspector;
use super::super::keyframes::{Keyframes, Moment};
use super::super::protocol::{Command, Event, Phase, Span};
use super::{Engine, Pace};
use crate::config::networks::is_own;
use crate::model::family::Role;
use crate::platform::clock::Stopwatch;
use crate::platform::files::unused_folder;
use crate::platform::memory;
use crate::rl::trainer::{Advance, Outcome};

/// The longest that slow motion waits after a piece of work, in seconds.
const SLOWEST: f64 = 5.0;

/// What the engine knows of time.
pub(super) struct Time {
    pub(super) keyframes: Keyframes,
    /// Seconds to wait after each piece of work.
    pub(super) delay: f64,
    /// Since the last piece of work.
    pub(super) worked: Stopwatch,
    /// Commands that came while updates were being made again.
    deferred: VecDeque<Command>,
}

impl Time {
    /// Full speed, and memory for so many bytes of keyframes.
    pub(super) fn new(keyframe_bytes: usize) -> Self {
        Self {
            keyframes: Keyframes::new(keyframe_bytes),
            delay: 0.0,
            worked: Stopwatch::start(),
            deferred: VecDeque::new(),
        }
    }

    /// Seconds of slow motion left after the last piece of work.
    pub(super) fn rest(&self) -> f64 {
        (self.delay - self.worked.seconds()).max(0.0)
    }

    /// The next command that had to wait.
    pub(super) fn next_deferred(&mut self) -> Option<Command> {
        self.deferred.pop_front()
    }
}

/// Whether a piece of work that ended so is the end of a span.
pub(super) fn ends(span: Span, advance: &Advance) -> bool {
    let (first, last) = (advance.done.0 == 1, advance.done.0 == advance.done.1);
    match span {
        Span::Token => true,
        Span::Image => matches!(advance.outcome, Outcome::Drawn),
        Span::Rollout => advance.phase == Phase::Generate && last,
        Span::Reward => advance.phase == Phase::Reward && first,
        Span::Advantage => advance.phase == Phase::Reward && last,
        Span::Update => matches!(advance.outcome, Outcome::Update(_)),
    }
}

impl Engine {
    /// Slow motion from now on.
    pub(super) fn slow(&mut self, delay: f64) {
        self.time.delay = if delay.is_nan() { 0.0 } else { delay.clamp(0.0, SLOWEST) };
    }

    /// Keeps the state after the update just made, where somebody looks on who may want it back.
    pub(super) async fn keep_frame(&mut self) -> Result<()> {
        let trainer = &self.studio.trainer;
        let shapes = &trainer.family().config;
        // Weights and two moments. A published policy may be larger than all that is set aside for going back.
        let frame = 12 * shapes.parameters(Role::Prior);
        let fits = is_own(&shapes.name) || frame <= self.options.keyframe_bytes as u64;
        if self.options.watched && self.options.keyframe_bytes > 0 && !fits && trainer.update() == 0 {
            self.say(Event::Notice(format!(
                "earlier states are not kept for going back: one would take {}",
                memory::size(frame)
            )));
        }
        if self.options.watched && self.options.keyframe_bytes > 0 && fits {
            let trainer = &self.studio.trainer;
            let (config, state, average) =
                (trainer.config().clone(), trainer.state().await?, self.studio.scene.average());
            self.time.keyframes.keep(Moment { config, state, average });
            self.say(Event::Keyframes(self.time.keyframes.updates()));
        }
        Ok(())
    }

    /// Goes back to the state after `to` updates. The run so far is saved in its folder; it goes on in another.
    pub(super) async fn rewind(&mut self, to: u64) -> Result<()> {
        self.finish_update().await?;
        let trainer = &self.studio.trainer;
        let Some(Moment { config, state, average }) = self.time.keyframes.before(to).filter(|_| to < trainer.update())
        else {
            let now = trainer.update();
            self.say(Event::Warning(match to < now {
                true => format!("there is no way back to update {to}: it was not made while the window was open"),
                false => format!("there is no way back to update {to}: the run is at update {now}"),
            }));
            return Ok(());
        };
        if self.record.is_some() {
            self.save().await?;
            self.summarise()?;
        }
        self.studio.trainer.set_config(config);
        self.studio.trainer.restore(state)?;
        self.studio.scene.restore(average);
        self.studio.inspector = Inspector::default();
        self.go(Pace::Replaying(to));
        let at = self.studio.trainer.update();
        if at < to {
            self.say(Event::Notice(format!("going back to update {to}: making updates {} to {to} again", at + 1)));
            return Ok(());
        }
        self.arrive().await
    }

    /// Before an update is made again: turns what was turned before it, as it was then.
    pub(super) fn replay_turns(&mut self) -> Result<()> {
        let mut config = self.studio.trainer.config().clone();
        for turn in self.time.keyframes.turns(self.studio.trainer.update()) {
            config.set(&turn.name, &turn.value)?;
        }
        self.studio.trainer.set_config(config);
        Ok(())
    }

    /// An update has been made again.
    pub(super) async fn replayed(&mut self, to: u64) -> Result<()> {
        self.studio.scene.commit();
        if self.studio.trainer.update() < to { Ok(()) } else { self.arrive().await }
    }

    /// Back where the run was to go back to: from here on it is another.
    async fn arrive(&mut self) -> Result<()> {
        let (config, update) = (self.studio.trainer.config().clone(), self.studio.trainer.update());
        self.time.keyframes.forget_after(update);
        self.go(Pace::Waiting);
        if let Some(record) = &self.record {
            let folder = unused_folder(record.folder());
            self.record = Some(record.branch(&folder, &config, &self.studio.origin, update)?);
            self.options.out = Some(folder);
            self.save().await?;
        }
        let folder = self.record.as_ref().map(|record| record.folder().to_owned());
        self.say(Event::Rewound { update, folder, config: Box::new(config) });
        self.say(Event::Keyframes(self.time.keyframes.updates()));
        Ok(())
    }

    /// Commands while updates are made again: a pause stops after the one at hand, others wait.
    pub(super) async fn defer(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Pause => {
                // What was to run after the way back is not to run any more.
                self.time.deferred.retain(|command| !matches!(command, Command::Run | Command::Step(_)));
                let trainer = &self.studio.trainer;
                if !trainer.is_midway() {
                    return self.arrive().await;
                }
                self.pace = Pace::Replaying(trainer.update() + 1);
            }
            other => self.time.deferred.push_back(other),
        }
        Ok(())
    }
}
