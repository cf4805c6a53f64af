//! Control of time: steps of every size, slow motion, and going back.

use std::collections::VecDeque;

use anyhow::Result;

use super::super::keyframes::{Keyframes, Moment};
use super::super::protocol::{Command, Event, Phase, Span};
use super::{Engine, Pace};
use crate::platform::files::unused_folder;
use crate::rl::trainer::{Advance, Outcome};

/// The longest that slow motion waits after a piece of work, in seconds.
const SLOWEST: f64 = 5.0;

/// What the engine knows of time.
pub(super) struct Time {
    pub(super) keyframes: Keyframes,
    /// Seconds to wait after each piece of work.
    pub(super) delay: f64,
    /// Commands that came while updates were being made again.
    deferred: VecDeque<Command>,
}

impl Time {
    /// Full speed, and memory for so many bytes of keyframes.
    pub(super) fn new(keyframe_bytes: usize) -> Self {
        Self { keyframes: Keyframes::new(keyframe_bytes), delay: 0.0, deferred: VecDeque::new() }
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
        self.time.delay = if delay.is_finite() { delay.clamp(0.0, SLOWEST) } else { 0.0 };
    }

    /// Keeps the state after the update just made, where somebody looks on who may want it back.
    pub(super) fn keep_frame(&mut self) -> Result<()> {
        if self.options.watched {
            let trainer = &self.studio.trainer;
            let (config, state, average) = (trainer.config().clone(), trainer.state()?, self.studio.scene.average());
            self.time.keyframes.keep(Moment { config, state, average });
            self.say(Event::Keyframes(self.time.keyframes.updates()));
        }
        Ok(())
    }

    /// Goes back to the state after `to` updates. The run so far stays in its folder; it goes on in another.
    pub(super) fn rewind(&mut self, to: u64) -> Result<()> {
        self.finish_update()?;
        let trainer = &self.studio.trainer;
        let Moment { config, state, average } = match self.time.keyframes.before(to) {
            Some(found) if to <= trainer.update() => found,
            _ => {
                let why = format!("there is no way back to update {to}: it was not made while the window was open");
                self.say(Event::Warning(why));
                return Ok(());
            }
        };
        if to < trainer.update() && self.record.is_some() {
            self.save()?;
            self.summarise()?;
            if let Some(record) = &self.record {
                let folder = unused_folder(record.folder());
                self.record = Some(record.branch(&folder, &config, &self.studio.origin, to)?);
                self.options.out = Some(folder);
            }
        }
        self.studio.trainer.set_config(config);
        self.studio.trainer.restore(state)?;
        self.studio.scene.restore(average);
        self.go(Pace::Replaying(to));
        if self.studio.trainer.update() < to {
            let from = self.studio.trainer.update() + 1;
            self.say(Event::Notice(format!("going back to update {to}: making updates {from} to {to} again")));
            self.replay_turns()?;
        } else {
            self.arrive(to);
        }
        Ok(())
    }

    /// Turns what was turned before the next update, as it was then.
    fn replay_turns(&mut self) -> Result<()> {
        let mut config = self.studio.trainer.config().clone();
        for turn in self.time.keyframes.turns(self.studio.trainer.update()) {
            config.set(&turn.name, &turn.value)?;
        }
        self.studio.trainer.set_config(config);
        Ok(())
    }

    /// An update has been made again.
    pub(super) fn replayed(&mut self, to: u64) -> Result<()> {
        self.studio.scene.commit();
        if self.studio.trainer.update() < to {
            return self.replay_turns();
        }
        self.arrive(self.studio.trainer.update());
        Ok(())
    }

    fn arrive(&mut self, update: u64) {
        self.time.keyframes.forget_after(update);
        self.go(Pace::Waiting);
        let folder = self.record.as_ref().map(|record| record.folder().to_owned());
        self.say(Event::Rewound { update, folder, config: Box::new(self.studio.trainer.config().clone()) });
        self.say(Event::Keyframes(self.time.keyframes.updates()));
    }

    /// Commands while updates are made again: a pause stops after the one at hand, others wait.
    pub(super) fn defer(&mut self, command: Command) {
        match command {
            Command::Pause => {
                let trainer = &self.studio.trainer;
                let to = trainer.update() + u64::from(trainer.is_midway());
                self.pace = Pace::Replaying(to);
                if !trainer.is_midway() {
                    self.arrive(to);
                }
            }
            other => self.time.deferred.push_back(other),
        }
    }
}
