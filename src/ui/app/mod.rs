//! The state of the whole window: what the engine has told it.

mod show;
mod status;
mod teach;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::bar::Bar;
use super::classroom::Classroom;
use super::desk::{Desk, Place};
use super::log::{Failure, Weight};
use super::{compare, controls, curves, diagnosis, files, gallery, inspect, learn, log, machine, space, text};
use crate::config::RunConfig;
use crate::session::diagnosis::{Finding, diagnose};
use crate::session::recording::Recording;
use crate::session::{self, Event, Exhibit, History, Metrics, Opened, Phase, Sheets, State};

/// The window without its engine: events go in, commands come out.
pub struct App {
    desk: Desk,
    bar: Bar,
    controls: controls::Pane,
    gallery: gallery::Pane,
    curves: curves::Pane,
    space: space::Pane,
    inspect: inspect::Pane,
    machine: machine::Pane,
    learn: learn::Pane,
    compare: compare::Pane,
    diagnosis: diagnosis::Pane,
    files: files::Menu,
    log: log::Pane,
    /// What a teacher's link fixes and hides, and its lesson.
    classroom: Classroom,
    /// What the model draws from the same seeds, over the run.
    sheets: Sheets,
    /// What is wrong with the run.
    findings: Vec<Finding>,
    /// Something to go on with in place of the run at hand.
    opened: Option<Opened>,
    /// The sample that the user chose: its group, and its place in it.
    selected: Option<(usize, usize)>,
    /// The sample pointed at in another pane.
    pointed: Option<(usize, usize)>,
    /// The user wants another engine after a failure.
    restart: bool,
    /// What is shown is a recording, made so; nothing has been measured here yet.
    recorded: Option<String>,
    /// The list of keys is open.
    keys: bool,
    /// The engine has come up, and works in this folder, if in any.
    begun: Option<Option<PathBuf>>,
}

/// What the window remembers from one start to the next.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    desk: Option<Desk>,
    curves: curves::Choices,
    learn: learn::Pane,
}

/// How another engine is to be started after a failure.
#[derive(Clone, Debug)]
pub struct Restart {
    /// The settings as they stand.
    pub config: RunConfig,
    /// The folder in which the last engine worked; `None` where it never came up.
    pub begun: Option<Option<PathBuf>>,
}

impl App {
    /// A window on a run with these settings that has not started yet.
    pub fn new(config: RunConfig, remembered: Remembered) -> Self {
        let controls = controls::Pane::new(config);
        let (mut bar, mut curves) = (Bar::default(), curves::Pane::default());
        (bar.total, curves.choices) = (controls.count("updates"), remembered.curves);
        Self {
            desk: Desk::restored(remembered.desk),
            bar,
            controls,
            gallery: gallery::Pane::default(),
            curves,
            space: space::Pane::default(),
            inspect: inspect::Pane::default(),
            machine: machine::Pane::default(),
            learn: remembered.learn,
            compare: compare::Pane::default(),
            diagnosis: diagnosis::Pane::default(),
            files: files::Menu::default(),
            log: log::Pane::default(),
            classroom: Classroom::default(),
            sheets: Sheets::default(),
            findings: vec![],
            opened: None,
            selected: None,
            pointed: None,
            restart: false,
            recorded: None,
            keys: false,
            begun: None,
        }
    }

    /// Shows a recorded run until the engine makes one of its own.
    pub fn play(&mut self, recording: Recording) {
        recording.events.iter().for_each(|event| self.curves.history.observe(event));
        let last = recording.gallery.update;
        self.gallery.replace(recording.gallery);
        self.recorded = Some(text::recorded(last, &recording.device, &recording.settings));
    }

    /// Leaves the recording.
    fn stop_playing(&mut self) {
        if self.recorded.take().is_some() {
            self.curves.clear();
            self.findings.clear();
            self.forget_pictures();
        }
    }

    /// Nothing that was shown is there any more.
    fn forget_pictures(&mut self) {
        self.gallery.clear();
        self.space.clear();
        self.inspect.clear();
        (self.selected, self.pointed) = (None, None);
    }

    /// What is to be remembered until the next start.
    pub fn remember(&self) -> Remembered {
        Remembered { desk: Some(self.desk.whole()), curves: self.curves.choices.clone(), learn: self.learn.clone() }
    }

    /// How to start another engine, once after the user has asked for one.
    pub fn restarts(&mut self) -> Option<Restart> {
        std::mem::take(&mut self.restart).then(|| {
            self.log.failure = None;
            self.bar.renew();
            Restart { config: self.controls.config().clone(), begun: self.begun.take() }
        })
    }

    /// What the user opened, once, and how the run at hand stands.
    pub fn opens(&mut self) -> Option<(Opened, Restart)> {
        let opened = self.opened.take()?;
        self.restart = true;
        Some((opened, self.restarts()?))
    }

    /// What the engine is doing, as far as this window knows.
    pub fn state(&self) -> State {
        self.bar.state
    }

    /// Whether pictures are being written: something new is to be seen every moment.
    pub fn is_writing(&self) -> bool {
        self.bar.phase.is_some_and(|(phase, ..)| phase == Phase::Generate)
    }

    /// Whether the pictures of the update after `update` are being written and half done.
    pub fn is_half_way_after(&self, update: u64) -> bool {
        let writing = self.bar.phase.is_some_and(|(phase, done, total)| phase == Phase::Generate && 2 * done >= total);
        self.bar.update > update && (writing || self.bar.update > update + 1)
    }

    /// The update being made or last made, and the updates of the whole run.
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.bar.update, self.bar.total)
    }

    /// The run folder, once the engine works in one.
    pub fn folder(&self) -> Option<PathBuf> {
        self.begun.clone().flatten()
    }

    /// Everything measured so far.
    pub fn history(&self) -> &History {
        &self.curves.history
    }

    /// Takes newer pictures.
    pub fn pictures(&mut self, newer: impl Into<Exhibit>) {
        self.gallery.replace(newer);
        self.space.take(self.gallery.gallery());
    }

    /// Brings a pane to the front, by its title; the inspector with a picture in it.
    ///
    /// # Errors
    /// The titles there are, where there is none like this.
    pub fn bring_forward(&mut self, title: &str) -> Result<(), String> {
        let place = Place::by_title(title).ok_or_else(|| {
            let titles = Place::ALL.map(|place| text::place(place).0);
            format!("there is no pane {title:?}; there are {}", titles.join(", "))
        })?;
        self.desk.open(place);
        if place == Place::Inspector && self.selected.is_none() && !self.gallery.gallery().groups.is_empty() {
            self.look_at((0, 0));
        }
        Ok(())
    }

    /// Takes in how long the last frame took, in seconds.
    pub fn frame(&mut self, seconds: f32) {
        self.machine.frame(seconds);
    }

    /// Takes in one event.
    pub fn observe(&mut self, event: Event) {
        if matches!(event, Event::Progress { .. } | Event::Update { .. } | Event::Evaluation { .. }) {
            self.stop_playing();
        }
        self.curves.history.observe(&event);
        self.inspect.observe(&event);
        self.machine.observe(&event);
        self.learn.observe(&event);
        let measured = matches!(
            event,
            Event::Update { .. }
                | Event::Evaluation { .. }
                | Event::Changed { .. }
                | Event::Rewound { .. }
                | Event::Ready { .. }
        );
        let at = match &event {
            Event::Ready { update, .. } | Event::Rewound { update, .. } | Event::Update { update, .. } => *update,
            _ => self.bar.update,
        };
        let mut say = |weight, line| self.log.say(at, weight, line);
        match event {
            Event::Ready { device, model, config, update, folder, .. } => {
                say(Weight::Notice, text::ready(&device, &model));
                self.begun = Some(folder);
                self.begin(*config, update);
                (self.bar.device, self.bar.model) = (device, model);
                self.recall(update);
            }
            Event::State(state) => self.bar.set_state(state),
            Event::Fetching { received, total } => self.bar.fetching = Some((received, total)),
            Event::Progress { update, phase, done, total } => self.bar.progress(update, phase, done, total),
            Event::Update { update, metrics } => {
                self.bar.completed(update, metrics.get("step_time").copied());
            }
            Event::Evaluation { update, metrics, .. } => {
                say(Weight::Notice, text::evaluated(update, &measures(&metrics)));
                self.bar.evaluating = false;
            }
            Event::Changed { name, value } => {
                say(Weight::Notice, text::changed(&name, &value));
                self.controls.changed(&name, &value);
                self.bar.total = self.controls.count("updates");
                self.bar.time_anew();
            }
            Event::Rewound { update, folder, config } => {
                say(Weight::Notice, text::rewound(update, folder.as_deref()));
                self.begun = Some(folder);
                self.controls.replace(*config);
                self.forget_pictures();
                self.curves.history.truncate(update);
                self.sheets.truncate(update);
                self.bar.going = None;
                (self.bar.total, self.bar.update) = (self.controls.count("updates"), update);
                self.bar.phase = None;
                self.bar.time_anew();
            }
            Event::Keyframes(keyframes) => self.bar.set_keyframes(keyframes),
            Event::Saved { path } => say(Weight::Notice, text::saved(&path)),
            Event::Inspected(_) | Event::NotInspected { .. } => {}
            Event::Machine(_) | Event::Forecast(_) => {}
            Event::Sheet(sheet) => self.sheets.push(*sheet),
            Event::Notice(line) => say(Weight::Notice, line),
            Event::Warning(line) => say(Weight::Warning, line),
            Event::Failed { error, advice } => {
                say(Weight::Warning, format!("{error}\n{advice}"));
                self.log.failure = Some(Failure { error, advice });
                self.bar.failed = true;
            }
        }
        if measured && self.recorded.is_none() {
            self.findings = diagnose(&self.curves.history, self.controls.config());
            let findings = self.findings.iter_mut();
            findings.for_each(|finding| finding.remedies.retain(|remedy| !self.controls.is_fixed(remedy.param)));
        }
    }

    /// Reads what a run that goes on has measured before.
    fn recall(&mut self, update: u64) {
        if let (Some(Some(folder)), true) = (&self.begun, update > 0)
            && let Ok(before) = session::compare::read(folder)
        {
            self.curves.history = before.history;
        }
    }

    /// A run begins, from new or from a checkpoint: what was measured before belongs to another.
    fn begin(&mut self, config: RunConfig, update: u64) {
        self.controls.replace(config);
        if self.recorded.is_none() || update > 0 {
            self.recorded = None;
            self.curves.clear();
            self.forget_pictures();
        }
        self.sheets.clear();
        self.log.failure = None;
        (self.bar.total, self.bar.update) = (self.controls.count("updates"), update);
        (self.bar.failed, self.bar.evaluating, self.bar.phase) = (false, false, None);
    }
}

/// The figures of an evaluation in one line.
fn measures(metrics: &Metrics) -> String {
    let figure = |(name, value): (&String, &f64)| {
        format!("{} {}", text::humanise(name.strip_prefix("eval/").unwrap_or(name)), text::number(*value))
    };
    metrics.iter().map(figure).collect::<Vec<_>>().join("  ·  ")
}
