//! The bar at the top: what can be done, and below it what is being done.

use eframe::egui::{
    self, Align, Align2, Button, Color32, FontId, Id, Key, Layout, Modifiers, Rect, Response, RichText, Sense,
    StrokeKind, Ui, WidgetInfo, accesskit::Role, vec2,
};

use super::timeline::Timeline;
use super::{anchor, text, theme};
use crate::platform::clock::Stopwatch;
use crate::session::{Command, History, Phase, Span, State};

/// What the bar knows about the engine, and what the user has chosen in it.
pub(super) struct Bar {
    pub(super) state: State,
    pub(super) device: String,
    pub(super) model: String,
    /// Update being made or last made, from 1.
    pub(super) update: u64,
    /// Updates of the whole run.
    pub(super) total: Option<u64>,
    /// The phase at hand with its steps done and in all.
    pub(super) phase: Option<(Phase, usize, usize)>,
    /// Seconds per update.
    seconds: Option<f64>,
    /// A clock started when this update was complete, since which nothing has changed the speed.
    since: Option<(Stopwatch, u64)>,
    /// Seconds that the engine says it took for the updates since then.
    worked: f64,
    /// Bytes that have arrived of what the engine needs, and in all.
    pub(super) fetching: Option<(u64, u64)>,
    /// The run has failed: there is nobody to command.
    pub(super) failed: bool,
    /// An evaluation was asked for and has not come yet.
    pub(super) evaluating: bool,
    /// A pause was asked for and has not come yet.
    pausing: bool,
    /// Run was pressed while the engine was starting.
    wants_run: bool,
    span: Span,
    /// Index of the speed chosen, in [`text::SPEEDS`].
    speed: usize,
    asks_reset: bool,
    keyframes: Vec<u64>,
    /// The earliest update that can be gone back to.
    earliest: Option<u64>,
    /// The update that the run is on its way back to.
    pub(super) going: Option<u64>,
}

impl Default for Bar {
    fn default() -> Self {
        Self {
            state: State::Loading,
            device: String::new(),
            model: String::new(),
            update: 0,
            total: None,
            phase: None,
            fetching: None,
            seconds: None,
            since: None,
            worked: 0.0,
            failed: false,
            evaluating: false,
            pausing: false,
            wants_run: false,
            span: Span::Update,
            speed: 0,
            asks_reset: false,
            keyframes: vec![],
            earliest: None,
            going: None,
        }
    }
}

/// Whether keys are for the window as a whole: no text field, menu or dialog has them.
pub(super) fn listens(ctx: &egui::Context) -> bool {
    !ctx.egui_wants_keyboard_input() && !egui::Popup::is_any_open(ctx) && ctx.memory(|m| m.top_modal_layer().is_none())
}

/// Says that the keyboard is with a figure, which wants the arrows only.
pub(super) fn figure(ctx: &egui::Context, id: Id) {
    ctx.data_mut(|data| data.insert_temp(Id::unique("figure with the keyboard"), id));
}

/// Whether the keyboard is with a figure.
fn is_with_figure(ctx: &egui::Context) -> bool {
    let figure: Option<Id> = ctx.data(|data| data.get_temp(Id::unique("figure with the keyboard")));
    figure.is_some() && figure == ctx.memory(|memory| memory.focused())
}

impl Bar {
    /// Takes in what the engine does now.
    pub(super) fn set_state(&mut self, state: State) {
        self.state = state;
        self.pausing = false;
        self.time_anew();
    }

    /// Another engine is starting.
    pub(super) fn renew(&mut self) {
        *self = Self { span: self.span, total: self.total, update: self.update, ..Self::default() };
    }

    /// Takes in which updates are gone back to at once.
    pub(super) fn set_keyframes(&mut self, keyframes: Vec<u64>) {
        self.earliest = keyframes.first().copied();
        self.keyframes = keyframes;
    }

    /// What was timed so far tells nothing about the speed from now on.
    pub(super) fn time_anew(&mut self) {
        self.since = None;
    }

    /// Takes in that an update is complete. The speed is by the clock, previews and evaluations included; until two
    /// updates have been timed it is the engine's own `step_time`.
    pub(super) fn completed(&mut self, update: u64, step_time: Option<f64>) {
        self.update = update;
        if self.since.is_none() {
            self.worked = -step_time.unwrap_or(0.0); // what the clock began after
        }
        self.worked += step_time.unwrap_or(0.0);
        let (clock, first) = *self.since.get_or_insert_with(|| (Stopwatch::start(), update));
        self.seconds = match update.saturating_sub(first) {
            0 => step_time.or(self.seconds),
            // Where frames are rarer than updates, several are heard of at once: they did not take less than they say.
            updates => Some(clock.seconds().max(self.worked) / updates as f64),
        };
    }

    /// Takes in how far the phase at hand is.
    pub(super) fn progress(&mut self, update: u64, phase: Phase, done: usize, total: usize) {
        self.update = update;
        self.phase = Some((phase, done, total));
    }

    /// Whether the engine takes commands.
    pub(super) fn is_ready(&self) -> bool {
        !self.failed && matches!(self.state, State::Paused | State::Running | State::Finished)
    }

    fn why_disabled(&self) -> &'static str {
        if self.state == State::Finished && !self.failed {
            return text::FINISHED;
        }
        if self.failed || self.state == State::Ended { text::NO_ENGINE } else { text::NOT_READY }
    }

    /// Draws the buttons and adds what was asked for; `menus` draws those that are not about time.
    pub(super) fn buttons(&mut self, ui: &mut Ui, commands: &mut Vec<Command>, menus: impl FnOnce(&mut Ui)) {
        let press = self.keys(ui);
        if self.wants_run && self.is_ready() {
            self.wants_run = false;
            commands.extend(self.can_go_on().then_some(Command::Run));
        }
        ui.horizontal(|ui| {
            ui.label(RichText::new(text::NAME).heading().strong()).on_hover_text(text::TAGLINE);
            ui.add_space(6.0);
            self.run_or_pause(ui, commands, press == Some(Key::Space));
            let step = self.button_if(ui, self.can_go_on(), text::STEP, text::STEP_HELP);
            anchor::mark(ui, "step", step.rect);
            if step.clicked() || self.can_go_on() && press == Some(Key::ArrowRight) {
                commands.push(Command::Step(self.span));
            }
            self.span(ui, press);
            self.speed(ui, commands);
            let back = ui.add_enabled(self.can_go_back(), Button::new(text::BACK).min_size(vec2(0.0, 28.0)));
            let nowhere = if self.is_ready() { text::NO_WAY_BACK } else { self.why_disabled() };
            let back = back.on_hover_text(text::BACK_HELP).on_disabled_hover_text(nowhere).clicked();
            if back || self.can_go_back() && press == Some(Key::ArrowLeft) {
                // On the way back already: one further.
                let from = self.going.unwrap_or(self.update);
                self.going = Some(from.saturating_sub(1).max(self.earliest.unwrap_or(0)));
                commands.extend(self.going.map(Command::Rewind));
            }
            let reset = self.button_if(ui, self.is_ready(), text::RESET, text::RESET_HELP);
            anchor::mark(ui, "reset", reset.rect);
            self.asks_reset |= reset.clicked() || press == Some(Key::R);
            ui.separator();
            menus(ui);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let save = self.button_if(ui, self.is_ready(), text::SAVE, text::SAVE_HELP);
                anchor::mark(ui, "save", save.rect);
                if save.clicked() || press == Some(Key::S) {
                    commands.push(Command::Save);
                }
                let label = if self.evaluating { text::EVALUATING } else { text::EVALUATE };
                let evaluate = self.button_if(ui, self.is_ready(), label, text::EVALUATE_HELP);
                anchor::mark(ui, "evaluate", evaluate.rect);
                if (evaluate.clicked() || press == Some(Key::E)) && !self.evaluating {
                    self.evaluating = true;
                    commands.push(Command::Evaluate);
                }
            });
        });
        self.reset_dialog(ui, commands);
    }

    /// The choice of how far a step goes.
    fn span(&mut self, ui: &mut Ui, press: Option<Key>) {
        let now = Span::ALL.iter().position(|span| *span == self.span).unwrap_or(0);
        match press {
            Some(Key::ArrowUp) => self.span = Span::ALL[(now + 1).min(Span::ALL.len() - 1)],
            Some(Key::ArrowDown) => self.span = Span::ALL[now.saturating_sub(1)],
            _ => {}
        }
        ui.add_enabled_ui(self.is_ready(), |ui| {
            let chosen = egui::ComboBox::from_id_salt("span").selected_text(text::span(self.span)).width(104.0);
            let chosen = chosen.show_ui(ui, |ui| {
                for span in Span::ALL {
                    ui.selectable_value(&mut self.span, span, text::span(span)).on_hover_text(text::span_help(span));
                }
            });
            anchor::mark(ui, "span", chosen.response.rect);
            chosen.response.on_hover_text(text::SPAN_HELP).accessible_name(text::SPAN);
        });
    }

    /// The choice of slow motion.
    fn speed(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        ui.add_enabled_ui(self.is_ready(), |ui| {
            let chosen = egui::ComboBox::from_id_salt("speed").selected_text(text::SPEEDS[self.speed].0).width(84.0);
            let chosen = chosen.show_ui(ui, |ui| {
                for (index, (name, delay)) in text::SPEEDS.into_iter().enumerate() {
                    if ui.selectable_value(&mut self.speed, index, name).changed() {
                        commands.push(Command::Slow(delay));
                    }
                }
            });
            chosen.response.on_hover_text(text::SPEED_HELP).accessible_name(text::SPEED);
        });
    }

    /// The shortcut pressed now, where no text field or other widget is listening to the keyboard.
    fn keys(&self, ui: &Ui) -> Option<Key> {
        let figure = is_with_figure(ui.ctx());
        if self.asks_reset || !(figure || listens(ui.ctx())) {
            return None;
        }
        let keys = [Key::Space, Key::ArrowRight, Key::ArrowLeft, Key::ArrowUp, Key::ArrowDown, Key::R, Key::E, Key::S];
        let press = ui.input_mut(|input| {
            // A key held down is pressed once.
            let held =
                |event: &egui::Event| matches!(event, egui::Event::Key { key, repeat: true, .. } if keys.contains(key));
            input.events.retain(|event| !held(event));
            let arrow = |key: &Key| [Key::ArrowRight, Key::ArrowLeft, Key::ArrowUp, Key::ArrowDown].contains(key);
            let mut wanted = keys.into_iter().filter(|key| !(figure && arrow(key)));
            wanted.find(|key| input.consume_key(Modifiers::NONE, *key))
        });
        press.filter(|key| self.is_ready() || *key == Key::Space)
    }

    /// Whether there is an earlier update to go back to.
    fn can_go_back(&self) -> bool {
        self.is_ready() && self.update > self.earliest.unwrap_or(u64::MAX)
    }

    /// Whether there are updates left to make.
    fn can_go_on(&self) -> bool {
        self.is_ready() && self.state != State::Finished
    }

    fn button_if(&self, ui: &mut Ui, enabled: bool, label: &str, help: &str) -> Response {
        let response = ui.add_enabled(enabled, Button::new(label).min_size(vec2(0.0, 28.0)));
        response.on_hover_text(help).on_disabled_hover_text(self.why_disabled())
    }

    fn run_or_pause(&mut self, ui: &mut Ui, commands: &mut Vec<Command>, pressed: bool) {
        let (running, loading) = (self.state == State::Running, self.state == State::Loading && !self.failed);
        let (icon, label, help) = match (running, self.pausing) {
            (true, true) => ("‖", text::PAUSING, text::PAUSING_HELP),
            (true, false) => ("‖", text::PAUSE, text::PAUSE_HELP),
            (false, _) if loading && self.wants_run => ("▶", text::RUN, text::WILL_RUN),
            (false, _) => ("▶", text::RUN, text::RUN_HELP),
        };
        let possible = self.can_go_on() || loading;
        let waits = if self.wants_run { " …" } else { "" };
        let face = RichText::new(format!("{icon}  {label}{waits}")).strong();
        let face = if possible { face.color(Color32::WHITE) } else { face };
        let mut button = Button::new(face).min_size(vec2(100.0, 28.0));
        if possible {
            button = button.fill(theme::primary());
        }
        let response = ui.add_enabled(possible, button);
        let response = response.on_hover_text(help).on_disabled_hover_text(self.why_disabled()).accessible_name(label);
        anchor::mark(ui, "run", response.rect);
        if !(response.clicked() || pressed) {
            return;
        }
        if loading {
            self.wants_run = !self.wants_run;
        } else if self.can_go_on() && !self.pausing {
            self.pausing = running;
            commands.push(if running { Command::Pause } else { Command::Run });
        }
    }

    fn reset_dialog(&mut self, ui: &Ui, commands: &mut Vec<Command>) {
        if !self.asks_reset {
            return;
        }
        let answer = egui::Modal::new(Id::unique("reset")).show(ui.ctx(), |ui| {
            ui.set_max_width(360.0);
            ui.heading(text::RESET_TITLE);
            ui.label(text::reset_question(self.update));
            ui.add_space(8.0);
            ui.horizontal(|ui| {
                let keep = ui.button(text::KEEP).clicked();
                let reset = ui.button(RichText::new(text::RESET_NOW).color(ui.visuals().error_fg_color)).clicked();
                if reset {
                    commands.push(Command::Reset);
                }
                keep || reset
            })
            .inner
        });
        self.asks_reset = !answer.inner && !answer.should_close();
    }

    /// Draws the line that says what is going on; `corner` draws its right end. The update that the user wants to go
    /// back to.
    pub(super) fn status(&self, ui: &mut Ui, history: &History, corner: impl FnOnce(&mut Ui)) -> Option<u64> {
        let mut back = None;
        ui.horizontal(|ui| {
            self.state_lamp(ui);
            ui.label(text::update_of(self.update, self.total));
            for phase in Phase::ALL {
                self.segment(ui, phase);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                corner(ui);
                if let Some(seconds) = self.seconds {
                    ui.weak(text::speed(seconds, self.total.map(|total| total.saturating_sub(self.update))));
                }
                let width = ui.available_width() - 8.0;
                if width > 60.0 {
                    let timeline = Timeline {
                        update: self.update,
                        total: self.total.unwrap_or(self.update),
                        keyframes: &self.keyframes,
                        knobs: history.knobs(),
                        enabled: self.can_go_back(),
                    };
                    back = timeline.show(ui, width);
                }
            });
        });
        back
    }

    fn state_lamp(&self, ui: &mut Ui) {
        let colour = match self.state {
            _ if self.failed => ui.visuals().error_fg_color,
            State::Running => theme::accent(ui),
            State::Loading => ui.visuals().warn_fg_color,
            _ => ui.visuals().weak_text_color(),
        };
        let (lamp, _) = ui.allocate_exact_size(vec2(10.0, 22.0), Sense::hover());
        ui.painter().circle_filled(lamp.center(), 4.5, colour);
        let name = if self.failed { text::FAILED } else { text::state(self.state) };
        ui.label(RichText::new(name).strong());
        ui.add_space(6.0);
    }

    /// One phase of the update: filled as far as it is done.
    fn segment(&self, ui: &mut Ui, phase: Phase) {
        let (name, help) = text::phase(phase);
        let now = self.phase.filter(|_| matches!(self.state, State::Running | State::Paused));
        let (share, is_now) = match now {
            Some((at, done, total)) if at == phase => (done as f32 / total.max(1) as f32, true),
            Some((at, ..)) if at > phase => (1.0, false),
            _ => (0.0, false),
        };
        let (rect, response) = ui.allocate_exact_size(vec2(74.0, 20.0), Sense::hover());
        let painter = ui.painter().with_clip_rect(rect);
        painter.rect_filled(rect, 4.0, ui.visuals().widgets.inactive.weak_bg_fill);
        let done = Rect::from_min_size(rect.min, vec2(rect.width() * share.clamp(0.0, 1.0), rect.height()));
        painter.rect_filled(done, 4.0, theme::accent(ui).gamma_multiply(if is_now { 0.55 } else { 0.28 }));
        if is_now {
            painter.rect_stroke(rect, 4.0, (1.0, theme::accent(ui)), StrokeKind::Inside);
        }
        let colour = if is_now { ui.visuals().strong_text_color() } else { ui.visuals().weak_text_color() };
        painter.text(rect.center(), Align2::CENTER_CENTER, name, FontId::proportional(11.5), colour);
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, name);
            info.value = Some(f64::from(share));
            info
        });
        response.on_hover_ui(|ui| {
            ui.strong(name);
            ui.label(help);
            if let Some((_, done, total)) = now.filter(|_| is_now) {
                ui.monospace(format!("{done} / {total}"));
            }
        });
    }
}
