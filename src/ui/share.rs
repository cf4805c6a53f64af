//! A link made for others: the settings as they stand, and what is to be fixed, hidden and shown where it is opened.

use eframe::egui::{self, Checkbox, ComboBox, Context, Id, RichText, TextEdit, Ui};

use super::text::{self, teach as words};
use crate::config::link::{Names, PANES};
use crate::config::{Link, PARAMS, RunConfig};

/// The dialog, while it is open.
#[derive(Default)]
pub(super) struct Dialog {
    link: Link,
}

/// What the user did in the dialog.
pub(super) enum Answer {
    /// Nothing yet.
    Open,
    /// Took the link, which is copied.
    Copied(String),
    /// Closed it.
    Closed,
}

impl Dialog {
    /// Draws the dialog for these settings; `page` is the address at which the program lives, if it is a page.
    pub(super) fn show(&mut self, ctx: &Context, config: &RunConfig, page: Option<&str>) -> Answer {
        self.link.config = config.clone();
        let mut answer = Answer::Open;
        let modal = egui::Modal::new(Id::unique("link for others")).show(ctx, |ui| {
            ui.set_width(440.0);
            ui.heading(words::SHARE_TITLE);
            ui.label(words::SHARE_HELP);
            ui.add_space(6.0);
            ui.checkbox(&mut self.link.autostart, words::SHARE_RUN);
            ui.horizontal(|ui| {
                ui.label(words::SHARE_SHOW);
                let shown = self.link.show.map_or_else(|| words::SHARE_AS_IS.into(), text::humanise);
                let list = ComboBox::from_id_salt("share show").selected_text(shown).show_ui(ui, |ui| {
                    ui.selectable_value(&mut self.link.show, None, words::SHARE_AS_IS);
                    for pane in PANES {
                        ui.selectable_value(&mut self.link.show, Some(pane), text::humanise(pane));
                    }
                });
                list.response.accessible_name(words::SHARE_SHOW);
            });
            let mut groups: Vec<&str> = PARAMS.iter().map(|param| param.group).collect();
            groups.dedup();
            toggles(ui, words::SHARE_LOCK, words::fixes, &mut self.link.lock, &groups);
            toggles(ui, words::SHARE_HIDE, words::hides, &mut self.link.hide, &PANES);
            ui.add_space(8.0);
            let link = page.map_or_else(|| self.link.to_string(), |page| self.link.page(page));
            let mut written = link.as_str();
            let field = TextEdit::multiline(&mut written).desired_rows(2).desired_width(f32::INFINITY);
            ui.add(field.font(egui::TextStyle::Monospace)).accessible_name(words::SHARE_LINK);
            ui.add_space(8.0);
            ui.horizontal(|ui| {
                if ui.button(words::SHARE_COPY).clicked() {
                    ui.ctx().copy_text(link.clone());
                    answer = Answer::Copied(link);
                }
                ui.button(text::CLOSE).clicked()
            })
            .inner
        });
        match answer {
            Answer::Open if modal.inner || modal.should_close() => Answer::Closed,
            answer => answer,
        }
    }
}

/// A box to tick for each name; `says` is what a screen reader reads of it.
fn toggles(ui: &mut Ui, title: &str, says: fn(&str) -> String, chosen: &mut Names, names: &[&'static str]) {
    ui.add_space(4.0);
    ui.label(RichText::new(title).strong());
    ui.horizontal_wrapped(|ui| {
        for name in names {
            let (mut on, shown) = (chosen.has(name), text::humanise(name));
            if ui.add(Checkbox::new(&mut on, &shown)).accessible_name(says(&shown)).changed() {
                chosen.set(name, on);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use eframe::egui::accesskit::Role;
    use egui_kittest::{Harness, kittest::Queryable};

    use super::*;
    use crate::ui::theme;

    #[test]
    fn what_is_ticked_stands_in_the_link_that_is_copied() {
        let draw = |ui: &mut Ui, (dialog, copied): &mut (Dialog, Option<String>)| {
            let config = RunConfig { beta: 0.5, ..RunConfig::default() };
            if let Answer::Copied(link) = dialog.show(ui.ctx(), &config, Some("https://example.org/artune/")) {
                *copied = Some(link);
            }
        };
        let builder = Harness::builder().with_size([700.0, 600.0]).with_context_setup(theme::apply);
        let mut window = builder.build_ui_state(draw, (Dialog::default(), None));
        window.run_ok();
        for label in [words::SHARE_RUN.to_string(), words::fixes("Loss"), words::fixes("Run"), words::hides("Log")] {
            window.get_by_role_and_label(Role::CheckBox, &label).click();
            window.run_ok();
        }
        window.get_by_role_and_label(Role::CheckBox, &words::fixes("Run")).click();
        window.run_ok();
        window.get_by_label(words::SHARE_COPY).click();
        window.run_ok();
        let copied = window.state().1.clone().unwrap();
        assert_eq!(copied, "https://example.org/artune/?beta=0.5&seed=0&lock=loss&hide=log&autostart=true");
        assert_eq!(Link::parse(&copied).unwrap(), window.state().0.link);
    }
}
