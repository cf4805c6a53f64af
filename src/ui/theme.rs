//! Colours, type and spacing, for the light and the dark theme.
//!
//! Every scale here is readable with any of the common colour-vision deficiencies: curves take Okabe and Ito's
//! palette (jfly.uni-koeln.de/color), advantages a diverging blue, white and orange one. No meaning hangs on red
//! against green, and nothing is told by colour alone: each has a number in its tooltip.

use eframe::egui::{
    Align2, Color32, Context, CornerRadius, FontDefinitions, FontFamily, FontId, Frame, Margin, Mesh, Painter, Rect,
    RichText, Spinner, Stroke, Style, TextStyle, Theme, Ui, Visuals, lerp, pos2, vec2,
};

/// Advantage, in standard deviations, at which a frame has its full colour.
pub const FULL_ADVANTAGE: f64 = 2.0;
/// Colours in a band, as it runs from one end of its scale to the other.
const BAND_STEPS: u32 = 48;

/// A positive advantage in full.
const BLUE: [f32; 3] = [24.0, 104.0, 200.0];
/// No advantage.
const WHITE: [f32; 3] = [244.0, 244.0, 242.0];
/// A negative advantage in full.
const ORANGE: [f32; 3] = [224.0, 106.0, 8.0];

/// Gives both themes their look. Which of the two is shown follows the system until the user chooses.
pub fn apply(ctx: &Context) {
    let mut fonts = FontDefinitions::default();
    // The text face has no symbols; the fixed-width face lends its own.
    fonts.families.entry(FontFamily::Proportional).or_default().push("Hack".into());
    ctx.set_fonts(fonts);
    for theme in [Theme::Dark, Theme::Light] {
        ctx.style_mut_of(theme, |style| {
            style.visuals = visuals(theme);
            space(style);
        });
    }
}

fn space(style: &mut Style) {
    style.text_styles = [
        (TextStyle::Small, 11.0, FontFamily::Proportional),
        (TextStyle::Body, 13.5, FontFamily::Proportional),
        (TextStyle::Button, 13.5, FontFamily::Proportional),
        (TextStyle::Heading, 19.0, FontFamily::Proportional),
        (TextStyle::Monospace, 12.0, FontFamily::Monospace),
    ]
    .map(|(name, size, family)| (name, FontId::new(size, family)))
    .into();
    style.spacing.item_spacing = vec2(8.0, 6.0);
    style.spacing.button_padding = vec2(10.0, 5.0);
    style.spacing.interact_size = vec2(40.0, 22.0);
    style.spacing.tooltip_width = 380.0;
    style.spacing.menu_margin = Margin::same(8);
    style.spacing.slider_rail_height = 5.0;
    style.spacing.scroll.floating = true;
    style.interaction.selectable_labels = false;
}

fn visuals(theme: Theme) -> Visuals {
    let dark = theme == Theme::Dark;
    let mut look = if dark { Visuals::dark() } else { Visuals::light() };
    let grey = |dark_level: u8, light_level: u8| {
        let level = if dark { dark_level } else { light_level };
        Color32::from_rgb(level, level, level.saturating_add(if dark { 5 } else { 2 }))
    };
    look.panel_fill = grey(23, 246);
    look.window_fill = grey(30, 253);
    look.extreme_bg_color = grey(15, 253);
    look.faint_bg_color = grey(29, 253);
    look.window_stroke = Stroke::new(1.0, grey(56, 212));
    look.warn_fg_color = if dark { Color32::from_rgb(240, 178, 60) } else { Color32::from_rgb(160, 92, 0) };
    look.error_fg_color = if dark { Color32::from_rgb(255, 128, 108) } else { Color32::from_rgb(184, 40, 20) };
    look.selection.bg_fill = accent_of(dark).gamma_multiply(if dark { 0.75 } else { 0.45 });
    look.selection.stroke.color = if dark { Color32::WHITE } else { Color32::from_rgb(10, 40, 80) };
    look.hyperlink_color = accent_of(dark);
    look.slider_trailing_fill = true;
    look.indent_has_left_vline = false;
    look.window_corner_radius = CornerRadius::same(10);
    look.menu_corner_radius = CornerRadius::same(8);

    let widgets = &mut look.widgets;
    widgets.noninteractive.bg_stroke = Stroke::new(1.0, grey(48, 220));
    widgets.noninteractive.fg_stroke.color = grey(206, 46);
    widgets.inactive.fg_stroke.color = grey(222, 36);
    widgets.inactive.weak_bg_fill = grey(44, 234);
    widgets.inactive.bg_fill = grey(56, 218);
    widgets.hovered.weak_bg_fill = grey(58, 224);
    widgets.active.weak_bg_fill = grey(70, 210);
    for state in [
        &mut widgets.noninteractive,
        &mut widgets.inactive,
        &mut widgets.hovered,
        &mut widgets.active,
        &mut widgets.open,
    ] {
        state.corner_radius = CornerRadius::same(6);
        state.expansion = 0.0;
    }
    look
}

fn accent_of(dark: bool) -> Color32 {
    if dark { Color32::from_rgb(92, 160, 255) } else { Color32::from_rgb(20, 96, 190) }
}

/// The one colour that says "this is what is going on".
pub fn accent(ui: &Ui) -> Color32 {
    accent_of(ui.visuals().dark_mode)
}

/// Fill of the one button that matters most; its text is white in both themes.
pub fn primary() -> Color32 {
    Color32::from_rgb(28, 104, 212)
}

/// A raised card on a panel.
pub fn card(ui: &Ui) -> Frame {
    Frame::new()
        .fill(ui.visuals().faint_bg_color)
        .stroke(ui.visuals().widgets.noninteractive.bg_stroke)
        .corner_radius(8)
        .inner_margin(Margin::symmetric(10, 6))
}

/// A panel's own frame, without a border.
pub fn panel(ui: &Ui, x: i8, y: i8) -> Frame {
    Frame::new().fill(ui.visuals().panel_fill).inner_margin(Margin::symmetric(x, y))
}

/// The colour of the `index`-th curve of a chart.
pub fn curve(ui: &Ui, index: usize) -> Color32 {
    let dark = [
        [86, 180, 233],
        [230, 159, 0],
        [0, 178, 130],
        [230, 120, 170],
        [240, 228, 66],
        [236, 110, 40],
        [150, 150, 255],
    ];
    let light =
        [[0, 114, 178], [204, 120, 0], [0, 138, 100], [176, 78, 138], [120, 110, 0], [200, 84, 0], [70, 70, 190]];
    let palette = if ui.visuals().dark_mode { dark } else { light };
    let [red, green, blue] = palette[index % palette.len()];
    Color32::from_rgb(red, green, blue)
}

/// Fills `rect` from left to right with the colours of a scale, which takes shares from 0 to 1.
pub fn band(painter: &Painter, rect: Rect, colour: impl Fn(f64) -> Color32) {
    let mut band = Mesh::default();
    for step in 0..=BAND_STEPS {
        let share = step as f32 / BAND_STEPS as f32;
        let x = lerp(rect.x_range(), share);
        band.colored_vertex(pos2(x, rect.top()), colour(f64::from(share)));
        band.colored_vertex(pos2(x, rect.bottom()), colour(f64::from(share)));
        if step > 0 {
            let corner = 2 * step;
            band.add_triangle(corner - 2, corner - 1, corner);
            band.add_triangle(corner - 1, corner, corner + 1);
        }
    }
    painter.add(band);
}

/// Blue above zero, white at zero, orange below: full colour from [`FULL_ADVANTAGE`] on.
pub fn diverging(advantage: f64) -> Color32 {
    let share = (advantage / FULL_ADVANTAGE).clamp(-1.0, 1.0) as f32;
    let end = if share < 0.0 { ORANGE } else { BLUE };
    // A square root spreads the middle, where most samples of a group lie.
    let share = share.abs().sqrt();
    let [red, green, blue] = [0, 1, 2].map(|i| (WHITE[i] + (end[i] - WHITE[i]) * share) as u8);
    Color32::from_rgb(red, green, blue)
}

/// A scale without a middle, for shares from 0 (dark blue) to 1 (yellow): Cividis (Nuñez, Anderton, Renslow 2018), which
/// looks nearly the same with any colour vision and grows lighter evenly.
pub fn sequential(share: f64) -> Color32 {
    const STOPS: [[f32; 3]; 6] = [
        [0.0, 34.0, 78.0],
        [53.0, 69.0, 108.0],
        [102.0, 105.0, 112.0],
        [148.0, 142.0, 119.0],
        [200.0, 184.0, 102.0],
        [254.0, 232.0, 56.0],
    ];
    let place = share.clamp(0.0, 1.0) as f32 * (STOPS.len() - 1) as f32;
    let below = (place as usize).min(STOPS.len() - 2);
    let (from, to) = (STOPS[below], STOPS[below + 1]);
    let [red, green, blue] = [0, 1, 2].map(|i| (from[i] + (to[i] - from[i]) * (place - below as f32)) as u8);
    Color32::from_rgb(red, green, blue)
}

/// Stops everything that moves by itself: where the processor draws, each frame takes time from what is computed.
pub(super) fn calm(ctx: &Context) {
    ctx.all_styles_mut(|style| style.animation_time = 0.0);
}

/// As [`spinner`], painted in `rect`.
pub(super) fn spinner_in(ui: &Ui, rect: Rect) {
    if ui.style().animation_time > 0.0 {
        Spinner::new().paint_at(ui, rect);
    } else {
        let (font, colour) = (FontId::proportional(rect.height()), ui.visuals().weak_text_color());
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, "…", font, colour);
    }
}

/// Says that something is under way: by a turning circle, unless nothing is to move by itself.
pub(super) fn spinner(ui: &mut Ui, size: f32) {
    if ui.style().animation_time > 0.0 {
        ui.add(Spinner::new().size(size));
    } else {
        ui.label(RichText::new("…").size(size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advantages_run_from_orange_over_white_to_blue_and_saturate() {
        let [low, middle, high] = [-9.0, 0.0, 9.0].map(diverging);
        assert!(low.r() > low.b() && high.b() > high.r());
        assert_eq!(middle, Color32::from_rgb(244, 244, 242));
        assert_eq!(diverging(FULL_ADVANTAGE), high);
        assert_eq!(diverging(f64::NAN), diverging(f64::NAN));
    }

    #[test]
    fn shares_grow_lighter_from_end_to_end() {
        let light = |share: f64| {
            let [r, g, b, _] = sequential(share).to_array();
            0.3 * f32::from(r) + 0.6 * f32::from(g) + 0.1 * f32::from(b)
        };
        assert!((0..20).all(|i| light(f64::from(i) / 20.0) < light(f64::from(i + 1) / 20.0)));
        assert_eq!((sequential(-1.0), sequential(9.0)), (sequential(0.0), sequential(1.0)));
    }
}
