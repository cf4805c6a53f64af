//! The engine's thread: it owns every tensor, does one piece of work at a time, and between two pieces listens.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::checkpoint::{self, Saved};
use super::evaluate::Request;
use super::exhibit::gallery_of;
use super::protocol::{Command, Event, Gallery, Options, Phase, Span, State};
use super::record::Record;
use super::slot::Slot;
use super::studio::Studio;
use crate::config::{Param, RunConfig};
use crate::gpu::{Chosen, choose};
use crate::platform::clock::Stopwatch;
use crate::platform::files::unused_folder;
use crate::rl::sampling::SamplingConfig;
use crate::rl::trainer::{self, Advance, Outcome, Rollouts};

/// Seconds between two previews of unfinished pictures.
const PREVIEW_SECONDS: f64 = 0.7;
/// How far from 1 a ratio may be before the first inner step: rounding, on any device.
const RATIO_TOLERANCE: f64 = 1e-4;
/// Samples of each class on a sheet.
const SHEET: usize = 4;

/// What to do about a failure.
pub(super) fn advice(error: &anyhow::Error) -> String {
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
}

/// The engine's state; lives on its own thread.
pub(super) struct Engine {
    options: Options,
    studio: Studio,
    record: Option<Record>,
    device_label: String,
    device: burn::tensor::Device,
    inbox: Receiver<Command>,
    outbox: Sender<Event>,
    gallery: Slot<Gallery>,
    pace: Pace,
    finished: bool,
    last_preview: Stopwatch,
    started: Stopwatch,
}

impl Engine {
    /// Opens device, networks and run folder, and says so.
    pub(super) fn open(
        options: Options,
        chosen: Option<Chosen>,
        inbox: Receiver<Command>,
        outbox: Sender<Event>,
        gallery: Slot<Gallery>,
    ) -> Result<Self> {
        let started = Stopwatch::start();
        let _ = outbox.send(Event::State(State::Loading));
        let chosen = match chosen {
            Some(chosen) => chosen,
            None => choose(&options.device)?,
        };
        if let Some(notice) = &chosen.notice {
            let _ = outbox.send(Event::Notice(notice.clone()));
        }
        let studio = pollster::block_on(Studio::open(&options, &chosen.device))?;
        let record = match &options.out {
            Some(out) => Some(Record::open(out, studio.trainer.config(), &studio.origin, studio.trainer.update())?),
            None => None,
        };
        for (name, value) in &studio.changed {
            record.iter().try_for_each(|record| record.turned(studio.trainer.update(), name, value))?;
        }
        let pace = if options.autostart { Pace::Running } else { Pace::Waiting };
        let engine = Self {
            studio,
            record,
            device_label: chosen.label,
            device: chosen.device,
            options,
            inbox,
            outbox,
            gallery,
            pace,
            finished: false,
            last_preview: Stopwatch::start(),
            started,
        };
        engine.announce();
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
                family.gpt.block_size,
                family.gpt.vocab_size,
                family.gpt.n_layer,
                family.gpt.dim,
                side = family.side,
            ),
            classes: self.studio.pictures.class_names.clone(),
            config: Box::new(trainer.config().clone()),
            update: trainer.update(),
            folder: self.record.as_ref().map(|record| record.folder().to_owned()),
        });
    }

    /// Serves commands and works until told to quit.
    pub(super) fn serve(&mut self) -> Result<()> {
        if self.record.is_some() && self.studio.trainer.update() == 0 {
            let config = self.studio.trainer.config();
            let (evaluate, sheet) = (config.eval_every > 0 && !self.options.watched, config.sample_every > 0);
            if evaluate {
                self.measure()?;
            }
            if sheet {
                self.sheet()?;
            }
        }
        self.tell_state();
        loop {
            let next = if self.pace == Pace::Waiting {
                match self.inbox.recv_timeout(Duration::from_secs(3600)) {
                    Ok(command) => Some(command),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => Some(Command::Quit),
                }
            } else {
                match self.inbox.try_recv() {
                    Ok(command) => Some(command),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => Some(Command::Quit),
                }
            };
            match next {
                Some(Command::Quit) => return self.close(),
                Some(command) => self.obey(command)?,
                None if self.pace == Pace::Waiting => {}
                None => self.work()?,
            }
        }
    }

    fn obey(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Run => self.go(Pace::Running),
            Command::Pause => self.go(Pace::Waiting),
            Command::Step(span) => self.go(Pace::Step(span)),
            Command::Set { name, value } => self.turn(&name, &value)?,
            Command::Evaluate => self.measure()?,
            Command::Save => self.save()?,
            Command::Reset => self.reset()?,
            Command::Quit => {}
        }
        Ok(())
    }

    /// Begins again with the settings as they are. The run so far stays in its folder; the new one gets another.
    fn reset(&mut self) -> Result<()> {
        self.say(Event::State(State::Loading));
        let config = self.studio.trainer.config().clone();
        // A resumed run has its pictures and networks from its checkpoint.
        let (data, weights) = (self.studio.origin.data.clone(), self.studio.origin.weights.clone());
        self.options = Options { config, data, weights, resume: false, ..self.options.clone() };
        if let Some(record) = &self.record
            && self.studio.trainer.update() > 0
        {
            self.options.out = Some(unused_folder(record.folder()));
            self.save()?;
            self.summarise()?;
        }
        self.studio = pollster::block_on(Studio::open(&self.options, &self.device))?;
        if let Some(out) = &self.options.out {
            self.record = Some(Record::open(out, self.studio.trainer.config(), &self.studio.origin, 0)?);
        }
        self.started = Stopwatch::start();
        self.announce();
        self.go(Pace::Waiting);
        Ok(())
    }

    fn go(&mut self, pace: Pace) {
        self.pace = pace;
        self.tell_state();
    }

    fn tell_state(&mut self) {
        let trainer = &self.studio.trainer;
        self.finished = trainer.update() >= trainer.config().updates;
        if self.finished && self.pace != Pace::Waiting {
            self.pace = Pace::Waiting;
        }
        self.say(Event::State(match self.pace {
            _ if self.finished => State::Finished,
            Pace::Waiting => State::Paused,
            _ => State::Running,
        }));
    }

    fn turn(&mut self, name: &str, value: &str) -> Result<()> {
        if Param::find(name).is_ok_and(|param| !param.live) {
            self.say(Event::Warning(format!("{name} is fixed once a run has begun; begin another to change it")));
            return Ok(());
        }
        let mut config: RunConfig = self.studio.trainer.config().clone();
        match config.set(name, value).and_then(|()| config.validate()) {
            Ok(()) => {
                if let Some(record) = &self.record {
                    record.turned(self.studio.trainer.update(), name, value)?;
                }
                self.studio.trainer.set_config(config);
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
    fn work(&mut self) -> Result<()> {
        let update = self.studio.trainer.update() + 1;
        let Advance { phase, done, outcome } = pollster::block_on(self.studio.trainer.advance())?;
        let phase_ends = done.0 == done.1;
        self.say(Event::Progress { update, phase: phase.into(), done: done.0, total: done.1 });
        let one_token = self.pace == Pace::Step(Span::Token);
        if phase == trainer::Phase::Generate && (one_token || self.last_preview.seconds() > PREVIEW_SECONDS) {
            if self.options.watched
                && let Some(rollouts) = pollster::block_on(self.studio.trainer.preview())?
            {
                self.show(&rollouts);
            }
            self.last_preview = Stopwatch::start();
        }
        let mut update_ends = false;
        match outcome {
            Outcome::None => {}
            Outcome::Scored(rollouts) => self.show(&rollouts),
            Outcome::Update(metrics) => {
                update_ends = true;
                self.complete(update, metrics)?;
            }
        }
        let stop = match self.pace {
            Pace::Step(Span::Token) => true,
            Pace::Step(Span::Phase) => phase_ends,
            Pace::Step(Span::Update) => update_ends,
            _ => false,
        };
        if stop {
            self.pace = Pace::Waiting;
        }
        if stop || update_ends && self.studio.trainer.update() >= self.studio.trainer.config().updates {
            self.tell_state();
        }
        Ok(())
    }

    /// Makes the inner steps that are still to do: in their midst the weights belong to no update.
    fn finish_update(&mut self) -> Result<()> {
        while !self.studio.trainer.at_boundary() {
            let update = self.studio.trainer.update() + 1;
            if let Outcome::Update(metrics) = pollster::block_on(self.studio.trainer.advance())?.outcome {
                self.complete(update, metrics)?;
                if matches!(self.pace, Pace::Step(_)) {
                    self.pace = Pace::Waiting; // the step that was asked for ends here
                }
                self.tell_state();
            }
        }
        Ok(())
    }

    /// Everything that is due after an update.
    fn complete(&mut self, update: u64, metrics: super::Metrics) -> Result<()> {
        for (name, what) in [
            ("samples_skipped", "samples had a reward that is not finite and were left out"),
            ("updates_skipped", "gradients were not finite and were not applied"),
        ] {
            if let Some(n) = metrics.get(name).filter(|n| **n > 0.0) {
                self.say(Event::Warning(format!("update {update}: {n} {what}")));
            }
        }
        let deviation = metrics.get("ratio/max_deviation/first").copied().unwrap_or(0.0);
        if deviation > RATIO_TOLERANCE && !self.studio.trainer.config().quirk_label_dropout {
            self.say(Event::Warning(format!(
                "update {update}: before its first step a ratio was {deviation:.1e} away from 1; this device computes \
                 the same pass in two ways, and the loss is off by as much"
            )));
        }
        if let Some(record) = &self.record {
            record.line(update, &metrics, None)?;
        }
        self.say(Event::Update { update, metrics });
        let config = self.studio.trainer.config();
        let last = update >= config.updates;
        let due = |every: u64| every > 0 && (last || update.is_multiple_of(every));
        let (evaluate, sheet) = (due(config.eval_every), due(config.sample_every));
        let save = last || due(config.checkpoint_every);
        if evaluate {
            self.measure()?;
        }
        if sheet {
            self.sheet()?;
        }
        if save {
            self.save()?;
        }
        if last {
            self.summarise()?;
        }
        Ok(())
    }

    fn measure(&mut self) -> Result<()> {
        self.finish_update()?;
        let trainer = &self.studio.trainer;
        let (update, config) = (trainer.update(), trainer.config());
        let request = Request {
            samples: config.eval_samples as usize,
            guidance: config.eval_guidance,
            temperature: 1.0,
            seed: config.seed,
        };
        if self.options.watched {
            self.say(Event::Notice(format!("measuring {} samples…", request.samples)));
        }
        let evaluation = pollster::block_on(self.studio.evaluate(&request))?;
        if let Some(record) = &self.record {
            record.line(update, &evaluation.metrics, Some(&evaluation.protocol))?;
        }
        self.say(Event::Evaluation { update, metrics: evaluation.metrics, protocol: evaluation.protocol });
        Ok(())
    }

    /// A sheet of samples: always the same classes, seeds and guidance.
    fn sheet(&self) -> Result<()> {
        let Some(record) = &self.record else { return Ok(()) };
        let trainer = &self.studio.trainer;
        let (config, family) = (trainer.config(), &trainer.family().config);
        let classes: Vec<usize> = (0..family.gpt.num_classes).flat_map(|c| std::iter::repeat_n(c, SHEET)).collect();
        let sampling = SamplingConfig { guidance: config.eval_guidance, ..SamplingConfig::default() };
        let pictures = pollster::block_on(self.studio.sample(&classes, config.seed, &sampling))?;
        record.samples(trainer.update(), &pictures, family.side, 4 * SHEET)
    }

    fn save(&mut self) -> Result<()> {
        self.finish_update()?;
        let Some(record) = &self.record else {
            self.say(Event::Notice("nothing is saved: this session has no run folder".into()));
            return Ok(());
        };
        let Studio { trainer, origin, .. } = &self.studio;
        let (config, origin) = (trainer.config().clone(), origin.clone());
        let saved = Saved { config, origin, seconds: self.seconds(), state: trainer.state()? };
        let path = checkpoint::save(&Record::checkpoints(record.folder()), saved)?;
        self.say(Event::Saved { path });
        Ok(())
    }

    /// Seconds of this run, earlier sessions included.
    fn seconds(&self) -> f64 {
        self.studio.seconds + self.started.seconds()
    }

    fn summarise(&self) -> Result<()> {
        let Some(record) = &self.record else { return Ok(()) };
        let trainer = &self.studio.trainer;
        let evaluations = record.evaluations();
        record.summary(&json!({
            "updates": trainer.update(),
            "seconds": self.seconds(),
            "device": self.device_label,
            "origin": self.studio.origin,
            "config": trainer.config(),
            // Only the untouched model is "before".
            "before": evaluations.first().filter(|e| e["update"] == 0),
            "after": evaluations.last().filter(|e| e["update"] == trainer.update()),
        }))
    }

    fn close(&mut self) -> Result<()> {
        self.finish_update()?;
        // Whoever asked for a run can go on with it from its very start; a window that was only opened leaves nothing.
        if self.studio.trainer.update() == 0 && self.options.watched {
            self.record.take().into_iter().for_each(Record::discard);
        }
        if self.record.is_some() {
            self.save()?;
            self.summarise()?;
        }
        Ok(())
    }

    fn show(&self, rollouts: &Rollouts) {
        let (trainer, classes) = (&self.studio.trainer, &self.studio.pictures.class_names);
        let group = trainer.config().num_generations.max(1) as usize;
        self.gallery.put(gallery_of(rollouts, &trainer.rewards().names(), classes, group));
    }
}

impl From<trainer::Phase> for Phase {
    fn from(phase: trainer::Phase) -> Self {
        match phase {
            trainer::Phase::Generate => Self::Generate,
            trainer::Phase::Reward => Self::Reward,
            trainer::Phase::OldLogProb => Self::OldLogProb,
            trainer::Phase::Train => Self::Train,
        }
    }
}
