//! How the window is drawn: the bar, the panes, the menus, and what the user asked for in any of them.

use eframe::egui::{self, CentralPanel, Id, Key, Label, Modifiers, Panel, RichText, Ui};

use super::App;
use crate::session::compare::RunSummary;
use crate::session::{Command, State};
use crate::ui::classroom::Then;
use crate::ui::desk::{Desk, Place};
use crate::ui::files::{self, FileWish};
use crate::ui::log::Weight;
use crate::ui::tour::Deed;
use crate::ui::{anchor, bar, compare, diagnosis, gallery, mix, text, theme};

/// What the user pointed at or asked for in the panes of one frame.
#[derive(Default)]
struct Wishes {
    commands: Vec<Command>,
    /// What a chosen preset turns: not the user's own doing, as far as the tour is concerned.
    preset: Vec<Command>,
    deeds: Vec<Deed>,
    /// What was asked for in the menu of files.
    files: Vec<FileWish>,
    /// A setting to show.
    sought: Option<&'static str>,
    /// A sample pointed at: its group, and its place in it.
    pointed: Option<(usize, usize)>,
    /// A sample to look at closely.
    picked: Option<(usize, usize)>,
    /// A pane to bring to the front.
    opens: Option<Place>,
    /// A pane that the tour speaks of.
    teaches: Option<Place>,
}

impl App {
    /// Draws the window into all of `ui` and returns what the user asked for.
    pub fn show(&mut self, ui: &mut Ui) -> Vec<Command> {
        let mut wishes = Wishes::default();
        self.shortcuts(ui);
        self.head(ui, &mut wishes);
        if let Some(then) = self.classroom.show(ui) {
            self.leave_for(then);
        }
        if self.log.failure.is_some() {
            Panel::top("failure").frame(theme::panel(ui, 8, 4)).show(ui, |ui| self.restart |= self.log.banner(ui));
        }
        CentralPanel::default().frame(theme::panel(ui, 0, 0)).show(ui, |ui| self.panes(ui, &mut wishes));
        self.key_table(ui);
        self.fulfil(wishes)
    }

    /// Does what concerns the window alone; what concerns the engine is returned.
    fn fulfil(&mut self, wishes: Wishes) -> Vec<Command> {
        let Wishes { mut commands, mut preset, deeds, files, sought, pointed, picked, opens, teaches } = wishes;
        deeds.iter().chain(&commands.iter().filter_map(deed_of).collect::<Vec<_>>()).for_each(|d| self.learn.note(d));
        commands.append(&mut preset);
        self.pointed = pointed;
        if let Some(spot) = picked {
            self.look_at(spot);
        }
        if let Some(name) = sought {
            self.controls.seek(name);
            self.desk.open(Place::Settings);
        }
        if let Some(place) = opens {
            self.desk.open(place);
        }
        if let Some(place) = teaches {
            self.desk.open_beside_tour(place);
        }
        for wish in files {
            match wish {
                FileWish::Command(command) => commands.push(command),
                FileWish::Open(opened) => self.open_or_ask(Then::Open(opened)),
                FileWish::Follow(link) => self.open_or_ask(Then::Follow(link)),
                FileWish::Say(line) => self.log.say(self.bar.update, Weight::Notice, line),
                FileWish::Complain(line) => self.log.say(self.bar.update, Weight::Warning, line),
                FileWish::Compare(run) => self.compare_with(*run),
            }
        }
        // A run that is no longer compared has no curves either.
        self.curves.keep_others(&self.compare.runs().map(|run| run.name.as_str()).collect::<Vec<_>>());
        for complaint in std::mem::take(&mut self.controls.complaints) {
            self.log.say(self.bar.update, Weight::Warning, complaint);
        }
        if commands.iter().any(|command| matches!(command, Command::Reset)) {
            self.recorded = None;
            self.curves.clear();
            self.sheets.clear();
            self.findings.clear();
            self.forget_pictures();
        }
        if self.bar.failed {
            commands.clear(); // nobody listens
        }
        commands
    }

    /// Sets another run beside this one.
    fn compare_with(&mut self, run: RunSummary) {
        self.curves.overlay(run.name.clone(), run.history.clone());
        match self.compare.add(run) {
            Ok(()) => self.desk.open(Place::Compare),
            Err(why) => self.log.say(self.bar.update, Weight::Warning, why.to_string()),
        }
    }

    /// Opens a sample of the gallery in the inspector.
    pub(super) fn look_at(&mut self, (group, sample): (usize, usize)) {
        if self.recorded.is_some() {
            self.log.say(self.bar.update, Weight::Notice, text::RECORDED_PICTURE.into());
            self.desk.open(Place::Log);
            return;
        }
        self.selected = Some((group, sample));
        let gallery = self.gallery.gallery();
        let before: usize = gallery.groups.iter().take(group).map(|group| group.samples.len()).sum();
        self.inspect.open(gallery.update, before + sample);
        self.desk.open(Place::Inspector);
        self.learn.note(&Deed::Inspected);
    }

    /// The bar at the top.
    fn head(&mut self, ui: &mut Ui, wishes: &mut Wishes) {
        let Self { bar, controls, desk, curves, gallery, sheets, files, machine, keys, .. } = self;
        Panel::top("bar").frame(theme::panel(ui, 14, 9)).show(ui, |ui| {
            let (mut turned, ready) = (Vec::new(), bar.is_ready());
            let (deeds, opens) = (&mut wishes.deeds, &mut wishes.opens);
            let (asked, files_context) = (
                &mut wishes.files,
                files::FilesContext {
                    gallery: gallery.gallery(),
                    history: &curves.history,
                    sheets,
                    config: &controls.config().clone(),
                    ready,
                },
            );
            bar.buttons(ui, &mut wishes.commands, |ui| {
                if !controls.limits.hide_named("file") {
                    *asked = files.show(ui, files_context);
                }
                if !controls.limits.hide_named("presets") {
                    let free = ready && !controls.limits.fix_all();
                    let chosen = ui.add_enabled_ui(free, |ui| controls.presets(ui, &mut turned));
                    deeds.extend(chosen.inner.map(|name| Deed::ChosePreset(name.into())));
                    if controls.limits.fix_all() {
                        chosen.response.on_disabled_hover_text(text::teach::FIXED);
                    }
                }
                *opens = view_menu(ui, desk, keys);
            });
            ui.add_space(4.0);
            let back = bar.status(ui, &curves.history, |ui| {
                if machine.corner(ui) {
                    *opens = Some(Place::Machine);
                }
            });
            wishes.commands.extend(back.map(Command::Rewind));
            wishes.preset = turned;
        });
    }

    /// Everything below the bar.
    fn panes(&mut self, ui: &mut Ui, wishes: &mut Wishes) {
        let Self {
            desk,
            bar,
            controls,
            gallery,
            curves,
            space,
            inspect,
            machine,
            learn,
            compare,
            diagnosis,
            files,
            sheets,
            log,
            ..
        } = self;
        let (recorded, selected, marked) = (&self.recorded, &mut self.selected, self.pointed);
        let findings = &self.findings;
        let warning = diagnosis::badge(findings).map(|(severity, count)| (diagnosis::colour(ui, severity), count));
        let badge = |place| {
            let (colour, count) = warning.filter(|_| place == Place::Diagnosis)?;
            Some(RichText::new(format!("{} ({count})", text::place(place).0)).color(colour).strong())
        };
        // After a failure settings may be turned too: they are what another start is made with.
        let ready = bar.is_ready() || bar.failed;
        let empty = match bar.state {
            _ if bar.failed => gallery::Empty::Because(text::NO_ENGINE),
            State::Loading if bar.device.is_empty() => match bar.fetching {
                Some((received, total)) if received < total => {
                    gallery::Empty::Until(text::fetching(received, total).into())
                }
                _ => gallery::Empty::Until(text::GALLERY_LOADING.into()),
            },
            State::Loading => gallery::Empty::Until(text::GALLERY_RESETTING.into()),
            _ => gallery::Empty::Because(text::GALLERY_EMPTY_HELP),
        };
        gallery.revalue(controls.config());
        desk.show(ui, &badge, &mut |ui, place| {
            if let Some(name) = place.anchor() {
                anchor::mark(ui, name, ui.max_rect());
            }
            match place {
                Place::Settings => controls.show(ui, ready, &mut wishes.commands),
                Place::Mix => {
                    ui.add_enabled_ui(ready, |ui| {
                        mix::show(ui, controls, gallery.gallery(), gallery.what_if(), &mut wishes.commands);
                    });
                }
                Place::Learn => wishes.teaches = learn.show(ui).and_then(Place::by_anchor),
                Place::Rollouts => {
                    if let Some(recorded) = recorded {
                        theme::card(ui).show(ui, |ui| ui.add(Label::new(recorded.as_str()).wrap()));
                        ui.add_space(4.0);
                    }
                    let touched = gallery.show(ui, controls.number("lambda_fid"), empty.clone(), marked);
                    wishes.deeds.extend(touched.hovered.map(|_| Deed::HoveredSample));
                    wishes.deeds.extend(touched.switched.then_some(Deed::SwitchedFrames));
                    wishes.pointed = touched.hovered.or(wishes.pointed);
                    wishes.picked = touched.clicked.or(wishes.picked);
                }
                Place::Space => {
                    let touched = space.show(ui, gallery.gallery(), marked.or(*selected));
                    if touched.cleared {
                        *selected = None;
                    }
                    wishes.deeds.extend(touched.hovered.map(|_| Deed::PointedAtDot));
                    wishes.pointed = touched.hovered.or(wishes.pointed);
                    wishes.picked = touched.clicked.or(wishes.picked);
                }
                Place::Inspector => wishes.commands.append(&mut inspect.show(ui)),
                Place::Curves => {
                    let sought = curves.show(ui, controls.config(), |part| controls.is_paid(part));
                    wishes.sought = sought.or(wishes.sought);
                }
                Place::Machine => machine.show(ui),
                Place::Log => log.show(ui),
                Place::Compare => {
                    let (config, history) = (controls.config(), &curves.history);
                    let current = compare::Current { config, history, protocol: history.protocol(), sheets };
                    if compare.show(ui, current) {
                        files.ask_compare(ui.ctx());
                    }
                }
                Place::Diagnosis => {
                    let asked = ui.add_enabled_ui(bar.is_ready(), |ui| {
                        diagnosis.show(ui, findings, &curves.history, controls.config())
                    });
                    wishes.commands.extend(asked.inner.into_iter().map(|wish| match wish {
                        diagnosis::Wish::Set { name, value } => Command::Set { name, value },
                        diagnosis::Wish::Rewind(update) => Command::Rewind(update),
                    }));
                }
            }
        });
    }

    /// Keys for the window itself.
    fn shortcuts(&mut self, ui: &mut Ui) {
        if !bar::listens(ui.ctx()) {
            return;
        }
        const DIGITS: [Key; 9] =
            [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];
        let pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
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

/// What the tour takes a command for.
fn deed_of(command: &Command) -> Option<Deed> {
    Some(match command {
        Command::Run => Deed::Ran,
        Command::Pause => Deed::Paused,
        Command::Step(span) => Deed::Stepped(*span),
        Command::Set { name, .. } => Deed::Turned(name.clone()),
        Command::Save => Deed::Saved,
        Command::Rewind(_) => Deed::Rewound,
        Command::Inspect(question) if !question.prefix.is_empty() => Deed::EditedToken,
        _ => return None,
    })
}

/// Panes, theme, size and keys; the pane that was opened.
fn view_menu(ui: &mut Ui, desk: &mut Desk, keys: &mut bool) -> Option<Place> {
    let mut opened = None;
    let menu = ui.menu_button(text::VIEW, |ui| {
        ui.set_min_width(230.0);
        opened = desk.menu(ui);
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
    opened
}

fn switch_theme(ui: &Ui) {
    let dark = ui.visuals().dark_mode;
    ui.ctx().set_theme(if dark { egui::Theme::Light } else { egui::Theme::Dark });
}
