//! The state of the whole window, and where its panes stand.

use std::path::PathBuf;

use eframe::egui::{self, CentralPanel, Id, Key, Modifiers, Panel, Ui};
use serde::{Deserialize, Serialize};

use super::bar::Bar;
use super::desk::{Desk, Place};
use super::log::{Failure, Weight};
use super::{controls, curves, gallery, inspect, log, mix, space, text, theme};
use crate::config::RunConfig;
use crate::session::recording::Recording;
use crate::session::{Command, Event, Exhibit, History, Metrics, State};

/// The window without its engine: events go in, commands come out.
pub struct App {
    desk: Desk,
    bar: Bar,
    controls: controls::Pane,
    gallery: gallery::Pane,
    curves: curves::Pane,
    space: space::Pane,
    inspect: inspect::Pane,
    log: log::Pane,
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
        let mut bar = Bar::default();
        bar.total = controls.count("updates");
        let desk = Desk::restored(remembered.desk);
        let mut curves = curves::Pane::default();
        curves.choices = remembered.curves;
        let (gallery, space, inspect, log, selected, pointed) = Default::default();
        let (restart, recorded, keys, begun) = Default::default();
        Self {
            desk,
            bar,
            controls,
            gallery,
            curves,
            space,
            inspect,
            log,
            selected,
            pointed,
            restart,
            recorded,
            keys,
            begun,
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
            self.gallery.clear();
            self.space.clear();
        }
    }

    /// What is to be remembered until the next start.
    pub fn remember(&self) -> Remembered {
        Remembered { desk: Some(self.desk.clone()), curves: self.curves.choices.clone() }
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
    pub fn pictures(&mut self, newer: impl Into<Exhibit>) {
        self.gallery.replace(newer);
    }

    /// Takes in one event.
    pub fn observe(&mut self, event: Event) {
        if matches!(event, Event::Progress { .. } | Event::Update { .. } | Event::Evaluation { .. }) {
            self.stop_playing();
        }
        self.curves.history.observe(&event);
        self.inspect.observe(&event);
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
                self.gallery.clear();
                self.space.clear();
                self.curves.history.truncate(update);
                (self.bar.total, self.bar.update) = (self.controls.count("updates"), update);
                self.bar.phase = None;
                self.bar.time_anew();
            }
            Event::Keyframes(keyframes) => self.bar.set_keyframes(keyframes),
            Event::Saved { path } => say(Weight::Notice, text::saved(&path)),
            Event::Inspected(_) | Event::NotInspected { .. } => {}
            Event::Machine(_) | Event::Forecast(_) => {}
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
        if self.recorded.is_none() || update > 0 {
            self.recorded = None;
            self.curves.clear();
            self.gallery.clear();
            self.space.clear();
        }
        self.log.failure = None;
        (self.bar.total, self.bar.update) = (self.controls.count("updates"), update);
        (self.bar.failed, self.bar.evaluating, self.bar.phase) = (false, false, None);
    }

    /// Draws the window into all of `ui` and returns what the user asked for.
    pub fn show(&mut self, ui: &mut Ui) -> Vec<Command> {
        let mut commands = Vec::new();
        self.shortcuts(ui);
        self.head(ui, &mut commands);
        if self.log.failure.is_some() {
            Panel::top("failure").frame(theme::panel(ui, 8, 4)).show(ui, |ui| self.restart |= self.log.banner(ui));
        }
        CentralPanel::default().frame(theme::panel(ui, 0, 0)).show(ui, |ui| self.panes(ui, &mut commands));
        self.key_table(ui);
        for complaint in std::mem::take(&mut self.controls.complaints) {
            self.log.say(self.bar.update, Weight::Warning, complaint);
        }
        if commands.iter().any(|command| matches!(command, Command::Reset)) {
            self.recorded = None;
            self.curves.clear();
            self.gallery.clear();
            self.space.clear();
            self.inspect = inspect::Pane::default();
        }
        if self.bar.failed {
            commands.clear(); // nobody listens
        }
        commands
    }

    /// The bar at the top.
    fn head(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        let Self { bar, controls, desk, curves, keys, .. } = self;
        Panel::top("bar").frame(theme::panel(ui, 14, 9)).show(ui, |ui| {
            let (mut turned, ready) = (Vec::new(), bar.is_ready());
            bar.buttons(ui, commands, |ui| {
                ui.add_enabled_ui(ready, |ui| controls.presets(ui, &mut turned));
                view_menu(ui, desk, keys);
            });
            commands.append(&mut turned);
            ui.add_space(4.0);
            let back = bar.status(ui, &curves.history, |_| {});
            commands.extend(back.map(Command::Rewind));
        });
    }

    /// Everything below the bar.
    fn panes(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        let Self { desk, bar, controls, gallery, curves, space, inspect, log, selected, recorded, .. } = self;
        // After a failure settings may be turned too: they are what another start is made with.
        let ready = bar.is_ready() || bar.failed;
        let empty = match bar.state {
            _ if bar.failed => gallery::Empty::Because(text::NO_ENGINE),
            State::Loading if bar.device.is_empty() => gallery::Empty::Until(text::GALLERY_LOADING),
            State::Loading => gallery::Empty::Until(text::GALLERY_RESETTING),
            _ => gallery::Empty::Because(text::GALLERY_EMPTY_HELP),
        };
        gallery.revalue(controls.config());
        let (mut sought, mut pointed, mut picked) = (None, None, None);
        let marked = self.pointed;
        desk.show(ui, &|_| None, &mut |ui, place| match place {
            Place::Settings => controls.show(ui, ready, commands),
            Place::Mix => {
                _ = ui.add_enabled_ui(ready, |ui| {
                    mix::show(ui, controls, gallery.gallery(), gallery.what_if(), commands);
                })
            }
            Place::Rollouts => {
                if let Some(recorded) = recorded {
                    theme::card(ui).show(ui, |ui| ui.add(egui::Label::new(recorded.as_str()).wrap()));
                    ui.add_space(4.0);
                }
                let touched = gallery.show(ui, controls.number("lambda_fid"), empty, marked);
                pointed = touched.hovered.or(pointed);
                picked = touched.clicked.or(picked);
            }
            Place::Curves => sought = curves.show(ui, controls.config(), |part| controls.is_paid(part)).or(sought),
            Place::Space => {
                let touched = space.show(ui, gallery.gallery(), marked.or(*selected));
                if touched.cleared {
                    *selected = None;
                }
                pointed = touched.hovered.or(pointed);
                picked = touched.clicked.or(picked);
            }
            Place::Inspector => commands.append(&mut inspect.show(ui)),
            Place::Log => log.show(ui),
            _ => {}
        });
        self.pointed = pointed;
        if let Some((group, sample)) = picked {
            self.selected = picked;
            let gallery = self.gallery.gallery();
            let before: usize = gallery.groups[..group].iter().map(|group| group.samples.len()).sum();
            self.inspect.open(gallery.update, before + sample);
            self.desk.open(Place::Inspector);
        }
        if let Some(name) = sought {
            self.controls.seek(name);
            self.desk.open(Place::Settings);
        }
    }

    /// Keys for the window itself.
    fn shortcuts(&mut self, ui: &mut Ui) {
        if ui.ctx().egui_wants_keyboard_input() {
            return;
        }
        const DIGITS: [Key; 9] =
            [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];
        let mut pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
        let place = DIGITS.into_iter().position(|key| pressed(Modifiers::COMMAND, key));
        self.keys ^= pressed(Modifiers::NONE, Key::F1);
        let theme = pressed(Modifiers::NONE, Key::T);
        if let Some(place) = place {
            self.desk.open(Place::ALL[place]);
        }
        if theme {
            switch_theme(ui);
        }
    }

    /// The list of keys, where it was asked for.
    fn key_table(&mut self, ui: &Ui) {
        if !self.keys {
            return;
        }
        let modal = egui::Modal::new(Id::unique("keys")).show(ui.ctx(), |ui| {
            ui.heading(text::KEYS);
            egui::Grid::new("keys").num_columns(2).spacing([24.0, 6.0]).show(ui, |ui| {
                for (key, what) in text::KEY_TABLE {
                    ui.monospace(key);
                    ui.label(what);
                    ui.end_row();
                }
            });
            ui.add_space(8.0);
            ui.button(text::CLOSE).clicked()
        });
        self.keys = !modal.inner && !modal.should_close();
    }
}

/// Panes, theme, size and keys.
fn view_menu(ui: &mut Ui, desk: &mut Desk, keys: &mut bool) {
    let menu = ui.menu_button(text::VIEW, |ui| {
        ui.set_min_width(230.0);
        desk.menu(ui);
        ui.separator();
        ui.horizontal(|ui| {
            ui.label(text::ZOOM);
            let mut zoom = ui.ctx().zoom_factor();
            let field = egui::DragValue::new(&mut zoom).range(0.6..=3.0).speed(0.01).fixed_decimals(2).suffix(" ×");
            if ui.add(field.update_while_editing(false)).accessible_name(text::ZOOM).changed() {
                ui.ctx().set_zoom_factor(zoom);
            }
        });
        if ui.button(text::THEME).clicked() {
            switch_theme(ui);
        }
        if ui.button(text::KEYS).on_hover_text(text::KEYS_HELP).clicked() {
            *keys = true;
            ui.close();
        }
    });
    menu.response.on_hover_text(text::VIEW_HELP);
}

fn switch_theme(ui: &Ui) {
    let dark = ui.visuals().dark_mode;
    ui.ctx().set_theme(if dark { egui::Theme::Light } else { egui::Theme::Dark });
}

/// The figures of an evaluation in one line.
fn measures(metrics: &Metrics) -> String {
    let figure = |(name, value): (&String, &f64)| {
        format!("{} {}", text::humanise(name.strip_prefix("eval/").unwrap_or(name)), text::number(*value))
    };
    metrics.iter().map(figure).collect::<Vec<_>>().join("  ·  ")
}
