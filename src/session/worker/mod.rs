//! The engine's thread: it owns every tensor, does one piece of work at a time, and between two pieces listens.

mod admission;
mod chores;
mod time;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use anyhow::Result;

use super::exhibit::Painter;
use super::keyframes::Keyframes;
use super::machine::Machine;
use super::protocol::{Command, Event, Options, Phase, Span, State};
use super::record::Record;
use super::room::Refusal;
use super::studio::Studio;
use crate::config::{Param, RunConfig};
use crate::gpu::read::rest;
use crate::gpu::{Chosen, open};
use crate::platform::assets;
use crate::platform::clock::Stopwatch;
use crate::platform::files::unused_folder;
use crate::platform::task;
use crate::rl::trainer::{Advance, Outcome, Rollouts};
use admission::Gate;
use time::Time;

/// Seconds between two previews of unfinished pictures, at least.
const PREVIEW_SECONDS: f64 = 0.7;
/// Previews take no more than about one part in so many of the time.
const PREVIEW_SHARE: f64 = 20.0;

/// How often a hidden tab looks whether it is seen again.
const HIDDEN_LOOK: Duration = Duration::from_millis(250);

/// What to do about a failure.
pub(super) fn advice(error: &anyhow::Error) -> String {
    if let Some(refusal) = error.downcast_ref::<Box<Refusal>>() {
        return refusal.remedy();
    }
    let text = format!("{error:#}");
    let advice = if text.contains("--resume") || text.contains("--data") || text.contains("--weights") {
        return String::new(); // it says itself what to do
    } else if text.contains("memory") || text.contains("alloc") {
        "Lower `prompts`, `num_generations` or `micro_batch`, or choose another device."
    } else if text.contains("has no weights yet") {
        "Train the network named above, then pass its folder with --weights."
    } else if text.contains("device") || text.contains("adapter") {
        "Choose another device; `artune devices` lists them, and `--device cpu` always works."
    } else {
        "If there is a checkpoint, it is whole: correct the cause, then go on with --resume."
    };
    advice.into()
}

/// What the engine is about to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Waiting,
    Running,
    /// One span, then wait.
    Step(Span),
    /// Making updates again until so many are done, on the way back to an earlier one.
    Replaying(u64),
}

/// The engine's state; lives on its own thread.
pub(super) struct Engine {
    options: Options,
    studio: Studio,
    record: Option<Record>,
    device_label: String,
    device: burn::tensor::Device,
    gate: Gate,
    inbox: Receiver<Command>,
    outbox: Sender<Event>,
    painter: Painter,
    pace: Pace,
    /// Updates that were done when this run was opened.
    opened_at: u64,
    /// A face looks on, and has not seen yet what the model draws before this session's first update.
    sheet_due: bool,
    last_preview: Stopwatch,
    /// Seconds that the last preview took.
    preview_cost: f64,
    started: Stopwatch,
    time: Time,
}

impl Engine {
    /// Opens device, networks and run folder, and says so.
    pub(super) async fn open(
        options: Options,
        chosen: Option<Chosen>,
        inbox: Receiver<Command>,
        outbox: Sender<Event>,
        painter: Painter,
    ) -> Result<Self> {
        let started = Stopwatch::start();
        let _ = outbox.send(Event::State(State::Loading));
        let window = chosen.is_some();
        let chosen = match chosen {
            Some(chosen) => chosen,
            None => open(&options.device, false).await?,
        };
        if let Some(notice) = &chosen.notice {
            let _ = outbox.send(Event::Notice(notice.clone()));
        }
        let machine = Machine::of(&chosen, window);
        let _ = outbox.send(Event::Machine(Box::new(machine.clone())));
        let keyframes = if options.watched { options.keyframe_bytes as u64 } else { 0 };
        let gate = Gate { machine, watched: options.watched, keyframes, outbox: outbox.clone() };
        let total = assets::STARTUP.iter().map(|asset| asset.bytes()).sum();
        let fetching = |progress: assets::Progress| {
            // One comes after the other.
            let before = assets::STARTUP.iter().take_while(|asset| **asset != progress.asset);
            let received = before.map(|asset| asset.bytes()).sum::<u64>() + progress.received;
            let _ = outbox.send(Event::Fetching { received, total });
        };
        assets::fetch(assets::STARTUP, fetching).await?;
        let studio = Studio::open_if(&options, &chosen.device, |c, begun| gate.open(c, begun)).await?;
        let record = match &options.out {
            Some(out) => Some(Record::open(out, studio.trainer.config(), &studio.origin, studio.trainer.update())?),
            None => None,
        };
        for (name, value) in &studio.changed {
            record.iter().try_for_each(|record| record.turned(studio.trainer.update(), name, value))?;
        }
        let pace = if options.autostart { Pace::Running } else { Pace::Waiting };
        let opened_at = studio.trainer.update();
        let mut engine = Self {
            studio,
            record,
            device_label: chosen.label,
            device: chosen.device,
            time: Time::new(options.keyframe_bytes),
            gate,
            opened_at,
            sheet_due: options.watched,
            options,
            inbox,
            outbox,
            painter,
            pace,
            last_preview: Stopwatch::start(),
            preview_cost: 0.0,
            started,
        };
        engine.announce();
        engine.keep_frame().await?;
        Ok(engine)
    }

    fn say(&self, event: Event) {
        let _ = self.outbox.send(event);
    }

    fn announce(&self) {
        let trainer = &self.studio.trainer;
        let family = &trainer.family().config;
        self.studio.notices.iter().for_each(|n| self.say(Event::Notice(n.clone())));
        self.say(Event::Ready {
            device: self.device_label.clone(),
            model: format!(
                "{} ({}): {side}x{side} pictures of {} tokens, vocabulary {}, {} layers of width {}",
                family.name,
                trainer.family().origin(),
                family.gpt.block_size(),
                family.gpt.vocab_size(),
                family.gpt.n_layer(),
                family.gpt.dim(),
                side = family.side,
            ),
            classes: self.studio.pictures.class_names.clone(),
            config: Box::new(trainer.config().clone()),
            update: trainer.update(),
            folder: self.record.as_ref().map(|record| record.folder().to_owned()),
        });
    }

    /// Serves commands and works until told to quit. Where that ends with an error (the device is lost, say), the
    /// last update that was kept in memory goes to the run folder.
    pub(super) async fn serve(&mut self) -> Result<()> {
        let served = self.serve_until_told().await;
        if served.is_err() {
            self.rescue();
        }
        served
    }

    async fn serve_until_told(&mut self) -> Result<()> {
        if self.record.is_some() && self.studio.trainer.update() == 0 {
            let config = self.studio.trainer.config();
            // A window opens sooner without; its first sheet comes with its first update.
            let unwatched = !self.options.watched;
            let (evaluate, sheet) = (config.eval_every > 0 && unwatched, config.sample_every > 0 && unwatched);
            if evaluate {
                self.measure().await?;
            }
            if sheet {
                self.sheet().await?;
            }
        }
        self.tell_state();
        loop {
            let next = match self.next_command().await {
                Some(command) if matches!(self.pace, Pace::Replaying(_)) && !matches!(command, Command::Quit) => {
                    self.defer(command).await?;
                    continue;
                }
                next => next,
            };
            match next {
                Some(Command::Quit) => return self.close().await,
                Some(command) => self.obey(command).await?,
                None if self.pace == Pace::Waiting => {}
                None => self.work().await?,
            }
        }
    }

    /// The next command; waits for one where there is nothing else to do, and a moment in slow motion.
    async fn next_command(&mut self) -> Option<Command> {
        if !matches!(self.pace, Pace::Replaying(_))
            && let Some(command) = self.time.next_deferred()
        {
            return Some(command);
        }
        let patience = match self.pace {
            Pace::Waiting => Duration::from_secs(3600),
            Pace::Replaying(_) => Duration::ZERO,
            _ => Duration::from_secs_f64(self.time.rest()),
        };
        let mut waited = false;
        loop {
            let hidden = self.pace != Pace::Waiting && task::is_hidden();
            let patience = if hidden { HIDDEN_LOOK } else { patience };
            match task::next(&self.inbox, patience).await {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Timeout) if hidden => waited = true,
                Err(RecvTimeoutError::Timeout) => {
                    if waited {
                        self.say(Event::Notice("the run waited while its tab was hidden".into()));
                    }
                    return None;
                }
                Err(RecvTimeoutError::Disconnected) => return Some(Command::Quit),
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Run => self.go(Pace::Running),
            Command::Pause => self.go(Pace::Waiting),
            Command::Step(span) => self.go(Pace::Step(span)),
            Command::Set { name, value } => self.turn(&name, &value).await?,
            Command::Evaluate => self.measure().await?,
            Command::Save => self.save().await?,
            Command::Inspect(question) => self.inspect(question).await,
            Command::Reset => self.reset().await?,
            Command::Rewind(to) => self.rewind(to).await?,
            Command::Slow(delay) => self.slow(delay),
            Command::Quit => {}
        }
        Ok(())
    }

    /// Begins again with the settings as they are. The run so far stays in its folder; the new one gets another.
    async fn reset(&mut self) -> Result<()> {
        self.say(Event::State(State::Loading));
        let config = self.studio.trainer.config().clone();
        // A resumed run has its pictures and networks from its checkpoint.
        let files = self.studio.origin.files.clone();
        let before = self.options.clone();
        self.options = Options { config, files, resume: false, checkpoint: None, ..before.clone() };
        if let Some(record) = &self.record
            && self.studio.trainer.update() > 0
        {
            self.options.out = Some(unused_folder(record.folder()));
            self.save().await?;
            self.summarise()?;
        }
        // Not both in memory at once.
        self.time.keyframes = Keyframes::new(self.options.keyframe_bytes);
        let admit = |config: &RunConfig, begun| self.gate.open(config, begun);
        match Studio::open_if(&self.options, &self.device, admit).await {
            Ok(studio) => self.studio = studio,
            Err(error) => {
                self.options = before;
                self.say(Event::Warning(format!("the run goes on as it was: {error:#}")));
                self.keep_frame().await?;
                self.go(Pace::Waiting);
                return Ok(());
            }
        }
        if let Some(out) = &self.options.out {
            self.record = Some(Record::open(out, self.studio.trainer.config(), &self.studio.origin, 0)?);
        }
        self.started = Stopwatch::start();
        (self.sheet_due, self.opened_at) = (self.options.watched, 0);
        self.announce();
        self.keep_frame().await?;
        self.go(Pace::Waiting);
        Ok(())
    }

    fn go(&mut self, pace: Pace) {
        self.pace = pace;
        self.tell_state();
    }

    fn tell_state(&mut self) {
        let trainer = &self.studio.trainer;
        // On the way back the settings may be those of a run that was to be shorter.
        let replaying = matches!(self.pace, Pace::Replaying(_));
        let finished = !replaying && trainer.update() >= trainer.config().updates;
        if finished {
            self.pace = Pace::Waiting;
        }
        self.say(Event::State(match self.pace {
            _ if finished => State::Finished,
            Pace::Waiting => State::Paused,
            _ => State::Running,
        }));
    }

    async fn turn(&mut self, name: &str, value: &str) -> Result<()> {
        if Param::find(name).is_ok_and(|param| !param.live) {
            self.say(Event::Warning(format!("{name} is fixed once a run has begun; begin another to change it")));
            return Ok(());
        }
        let mut config: RunConfig = self.studio.trainer.config().clone();
        let admitted = config.set(name, value).map_err(anyhow::Error::from);
        match admitted.and_then(|()| self.studio.admits(&config)) {
            Ok(()) => {
                if let Err(refusal) = self.gate.turn(self.studio.trainer.config(), &config) {
                    let remedy = refusal.remedy();
                    self.say(Event::Warning(format!("{name} stays as it was: {refusal}. {remedy}")));
                    return Ok(());
                }
                if let Some(record) = &self.record {
                    record.turned(self.studio.trainer.update(), name, value)?;
                }
                let midway = self.studio.trainer.is_midway();
                self.time.keyframes.turned(self.studio.trainer.update(), midway, name, value);
                self.studio.trainer.set_config(config);
                // Pictures that wait to be learnt from are paid by the knobs as they stand now.
                if let Some(rollouts) = self.studio.trainer.revalue()? {
                    self.show(rollouts).await?;
                }
                self.say(Event::Changed { name: name.into(), value: value.into() });
                if name == "updates" {
                    self.tell_state();
                }
            }
            Err(error) => self.say(Event::Warning(format!("{name} stays as it was: {error}"))),
        }
        Ok(())
    }

    /// One piece of work.
    async fn work(&mut self) -> Result<()> {
        if std::mem::take(&mut self.sheet_due) && self.studio.trainer.config().sample_every > 0 {
            self.sheet().await?;
        }
        if matches!(self.pace, Pace::Replaying(_)) && !self.studio.trainer.is_midway() {
            self.replay_turns()?;
        }
        let update = self.studio.trainer.update() + 1;
        let one_by_one = matches!(self.pace, Pace::Step(Span::Image));
        self.studio.trainer.set_together(one_by_one.then_some(1));
        let advance = self.studio.trainer.advance().await?;
        rest(&self.device).await;
        let Advance { phase, done, .. } = advance;
        self.time.worked = Stopwatch::start();
        if one_by_one && phase == Phase::Generate {
            // Written together these pictures are the same but for rounding: not exactly enough to be made again.
            self.time.keyframes.pin();
        }
        self.say(Event::Progress { update, phase, done: done.0, total: done.1 });
        let closely = matches!(self.pace, Pace::Step(Span::Token | Span::Image)) || self.time.delay > 0.0;
        let pause = PREVIEW_SECONDS.max(PREVIEW_SHARE * self.preview_cost);
        if self.options.watched && phase == Phase::Generate && (closely || self.last_preview.seconds() > pause) {
            let clock = Stopwatch::start();
            if let Some(rollouts) = self.studio.trainer.preview() {
                self.show(rollouts).await?;
                self.preview_cost = clock.seconds();
            }
            self.last_preview = Stopwatch::start();
        }
        let stop = matches!(self.pace, Pace::Step(span) if time::ends(span, &advance));
        let mut last = false;
        match advance.outcome {
            Outcome::None | Outcome::Drawn => {}
            Outcome::Scored(rollouts) => self.show(*rollouts).await?,
            Outcome::Update(metrics) => {
                if let Pace::Replaying(to) = self.pace {
                    return self.replayed(to).await;
                }
                self.complete(update, metrics).await?;
                last = self.studio.trainer.update() >= self.studio.trainer.config().updates;
            }
        }
        if stop {
            self.pace = Pace::Waiting;
        }
        if stop || last {
            self.tell_state();
        }
        Ok(())
    }

    async fn show(&mut self, rollouts: Rollouts) -> Result<()> {
        let space = self.studio.scene.space_of(&rollouts, self.studio.trainer.config());
        let trainer = &self.studio.trainer;
        let group = trainer.config().num_generations.max(1) as usize;
        let notice = self.painter.hang(rollouts, space, &trainer.rewards().names(), trainer.prompts(), group).await?;
        notice.into_iter().for_each(|line| self.say(Event::Notice(line)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
