//! The state of the whole window, and where its panes stand.

use std::path::PathBuf;

use eframe::egui::{CentralPanel, Panel, Ui};

use super::bar::Bar;
use super::log::{Failure, Weight};
use super::{controls, curves, gallery, log, text, theme};
use crate::config::RunConfig;
use crate::session::{Command, Event, Gallery, History, Metrics, State};

/// The window without its engine: events go in, commands come out.
pub struct App {
    bar: Bar,
    controls: controls::Pane,
    gallery: gallery::Pane,
    curves: curves::Pane,
    log: log::Pane,
    /// The user wants another engine after a failure.
    restart: bool,
    /// The engine has come up, and works in this folder, if in any.
    begun: Option<Option<PathBuf>>,
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
    pub fn new(config: RunConfig) -> Self {
        let controls = controls::Pane::new(config);
        let mut bar = Bar::default();
        bar.total = controls.count("updates");
        let (gallery, curves, log, restart, begun) = Default::default();
        Self { bar, controls, gallery, curves, log, restart, begun }
    }

    /// How to start another engine, once after the user has asked for one.
    pub fn restarts(&mut self) -> Option<Restart> {
        std::mem::take(&mut self.restart).then(|| {
            self.log.failure = None;
            (self.bar.failed, self.bar.device) = (false, String::new());
            self.bar.set_state(State::Loading);
            Restart { config: self.controls.config().clone(), begun: self.begun.take() }
        })
    }

    /// What the engine is doing, as far as this window knows.
    pub fn state(&self) -> State {
        self.bar.state
    }

    /// Everything measured so far.
    pub fn history(&self) -> &History {
        &self.curves.history
    }

    /// Takes newer pictures.
    pub fn pictures(&mut self, gallery: Gallery) {
        self.gallery.replace(gallery);
    }

    /// Takes in one event.
    pub fn observe(&mut self, event: Event) {
        self.curves.history.observe(&event);
        let at = self.bar.update;
        let mut say = |weight, line| self.log.say(at, weight, line);
        match event {
            Event::Ready { device, model, config, update, folder, .. } => {
                say(Weight::Notice, text::ready(&device, &model));
                self.begun = Some(folder);
                self.begin(*config, update);
                (self.bar.device, self.bar.model) = (device, model);
            }
            Event::State(state) => self.bar.set_state(state),
            Event::Progress { update, phase, done, total } => self.bar.progress(update, phase, done, total),
            Event::Update { update, metrics } => {
                self.bar.completed(update, metrics.get("step_time").copied());
            }
            Event::Evaluation { update, metrics, protocol } => {
                say(Weight::Notice, text::evaluated(update, &measures(&metrics)));
                self.curves.protocol = protocol;
                self.bar.evaluating = false;
            }
            Event::Changed { name, value } => {
                say(Weight::Notice, text::changed(&name, &value));
                self.controls.changed(&name, &value);
                self.bar.total = self.controls.count("updates");
                self.bar.time_anew();
            }
            Event::Saved { path } => say(Weight::Notice, text::saved(&path)),
            Event::Sheet(_) => {}
            Event::Notice(line) => say(Weight::Notice, line),
            Event::Warning(line) => say(Weight::Warning, line),
            Event::Failed { error, advice } => {
                say(Weight::Warning, format!("{error}\n{advice}"));
                self.log.failure = Some(Failure { error, advice });
                self.bar.failed = true;
            }
        }
    }

    /// A run begins, from new or from a checkpoint: what was measured before belongs to another.
    fn begin(&mut self, config: RunConfig, update: u64) {
        self.controls.replace(config);
        self.curves.clear();
        self.gallery.clear();
        self.log.failure = None;
        (self.bar.total, self.bar.update) = (self.controls.count("updates"), update);
        (self.bar.failed, self.bar.evaluating, self.bar.phase) = (false, false, None);
    }

    /// Draws the window into all of `ui` and returns what the user asked for.
    pub fn show(&mut self, ui: &mut Ui) -> Vec<Command> {
        let mut commands = Vec::new();
        let (bar, controls) = (&mut self.bar, &mut self.controls);
        Panel::top("bar").frame(theme::panel(ui, 14, 9)).show(ui, |ui| {
            let mut turned = Vec::new();
            bar.buttons(ui, &mut commands, |ui| controls.presets(ui, &mut turned));
            commands.append(&mut turned);
            ui.add_space(4.0);
            bar.status(ui);
        });
        if self.log.failure.is_some() {
            Panel::top("failure").frame(theme::panel(ui, 8, 4)).show(ui, |ui| self.restart |= self.log.banner(ui));
        }
        Panel::bottom("log").frame(theme::panel(ui, 14, 6)).resizable(true).default_size(106.0).show(ui, |ui| {
            self.log.show(ui);
        });
        let wide = ui.available_width() > 1150.0;
        // After a failure settings may be turned too: they are what another start is made with.
        let ready = self.bar.is_ready() || self.bar.failed;
        Panel::left("settings")
            .frame(theme::panel(ui, 12, 10))
            .default_size(if wide { 262.0 } else { 244.0 })
            .size_range(220.0..=420.0)
            .show(ui, |ui| self.controls.show(ui, ready, &mut commands));
        Panel::right("curves")
            .frame(theme::panel(ui, 12, 10))
            .default_size(if wide { 296.0 } else { 252.0 })
            .size_range(220.0..=760.0)
            .show(ui, |ui| self.curves.show(ui, |part| self.controls.is_paid(part)));
        let empty = match self.bar.state {
            _ if self.bar.failed => gallery::Empty::Because(text::NO_ENGINE),
            State::Loading if self.bar.device.is_empty() => gallery::Empty::Until(text::GALLERY_LOADING),
            State::Loading => gallery::Empty::Until(text::GALLERY_RESETTING),
            _ => gallery::Empty::Because(text::GALLERY_EMPTY_HELP),
        };
        let lambda = self.controls.number("lambda_fid");
        CentralPanel::default().frame(theme::panel(ui, 14, 10)).show(ui, |ui| self.gallery.show(ui, lambda, empty));
        for complaint in std::mem::take(&mut self.controls.complaints) {
            self.log.say(self.bar.update, Weight::Warning, complaint);
        }
        if commands.iter().any(|command| matches!(command, Command::Reset)) {
            self.curves.clear();
            self.gallery.clear();
        }
        if self.bar.failed {
            commands.clear(); // nobody listens
        }
        commands
    }
}

/// The figures of an evaluation in one line.
fn measures(metrics: &Metrics) -> String {
    let figure = |(name, value): (&String, &f64)| {
        format!("{} {}", text::humanise(name.strip_prefix("eval/").unwrap_or(name)), text::number(*value))
    };
    metrics.iter().map(figure).collect::<Vec<_>>().join("  ·  ")
}
