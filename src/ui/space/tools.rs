//! The row above the picture: what is drawn, how near, and what the colours mean.

use eframe::egui::{Button, Sense, Ui, vec2};

use super::draw;
use super::view::ZOOM;
use crate::ui::text::space as text;

/// What the buttons ask of the camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ask {
    Nothing,
    /// To zoom by this factor.
    Zoom(f64),
    /// To show everything.
    Everything,
}

/// Draws the row; it becomes two where there is little room. `full` is the reward with which a colour is full.
pub(super) fn show(ui: &mut Ui, pictures: &mut bool, full: f64) -> Ask {
    let narrow = ui.available_width() < 420.0;
    let asked = ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        let toggle = ui.add(Button::new(text::PICTURES).selected(*pictures)).on_hover_text(text::PICTURES_HELP);
        *pictures ^= toggle.clicked();
        let mut asked = Ask::Nothing;
        for (face, name, help, ask) in [
            ("−", text::ZOOM_OUT, text::ZOOM_OUT_HELP, Ask::Zoom(1.0 / ZOOM)),
            ("+", text::ZOOM_IN, text::ZOOM_IN_HELP, Ask::Zoom(ZOOM)),
            ("Fit", text::FIT, text::FIT_HELP, Ask::Everything),
        ] {
            let button = ui.add(Button::new(face).min_size(vec2(28.0, 0.0)));
            if button.on_hover_text(help).accessible_name(name).clicked() {
                asked = ask;
            }
        }
        if !narrow {
            ui.add_space(10.0);
            legend(ui, full);
        }
        asked
    });
    if narrow {
        ui.horizontal(|ui| legend(ui, full));
    }
    asked.inner
}

/// The scale of the samples' colours.
fn legend(ui: &mut Ui, full: f64) {
    ui.spacing_mut().item_spacing.x = 6.0;
    let band = (ui.available_width() - 2.0 * 74.0).clamp(40.0, 110.0);
    ui.small(format!("{} {}", text::HARMFUL, text::reward(-full)));
    let (rect, response) = ui.allocate_exact_size(vec2(band, 10.0), Sense::hover());
    draw::band(ui.painter(), rect, ui.visuals().window_stroke);
    response.on_hover_text(text::LEGEND_HELP);
    ui.small(format!("{} {}", text::reward(full), text::HELPFUL));
}
