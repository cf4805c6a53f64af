//! What the colours of the cells say.

use eframe::egui::{self, Align2, Color32, FontId, Rect, Sense, StrokeKind, Ui, pos2, vec2};

use super::super::{text, theme};
use crate::session::Inspection;
use crate::session::inspect::Token;

/// Ratios this near to 1, and pushes this small, are rounding: the scale never ends closer.
const ROUNDING: f64 = 1e-4;

/// What the cells are coloured by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Overlay {
    /// Nothing: the picture as it is.
    #[default]
    Picture,
    Probability,
    Entropy,
    Ratio,
    Push,
}

impl Overlay {
    const ALL: [Self; 5] = [Self::Picture, Self::Probability, Self::Entropy, Self::Ratio, Self::Push];

    fn words(self) -> (&'static str, &'static str, [&'static str; 2]) {
        text::inspect::OVERLAYS[self as usize]
    }

    /// Whether it is known only for what the model drew by itself.
    fn is_of_the_loss(self) -> bool {
        matches!(self, Self::Ratio | Self::Push)
    }

    /// What a cell's colour stands for.
    pub(super) fn value(self, token: &Token) -> Option<f64> {
        match self {
            Self::Picture => None,
            Self::Probability => Some(token.probability),
            Self::Entropy => Some(token.entropy),
            Self::Ratio => token.pushed.map(|p| p.ratio),
            Self::Push => token.pushed.map(|p| p.push),
        }
    }

    /// A value in as few letters as a cell has room for.
    pub(super) fn brief(self, value: f64) -> String {
        match self {
            Self::Picture => String::new(),
            Self::Probability => text::inspect::brief_percent(value),
            Self::Entropy => format!("{value:.2}"),
            Self::Ratio => format!("{value:.3}"),
            Self::Push => text::inspect::brief_signed(value),
        }
    }

    /// Lets the user choose.
    pub(super) fn choose(&mut self, ui: &mut Ui, inspection: &Inspection) {
        let known = inspection.in_loss.is_some();
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            for overlay in Self::ALL {
                let (name, help, _) = overlay.words();
                let can = known || !overlay.is_of_the_loss();
                let label = egui::Button::selectable(*self == overlay, name);
                let response = ui.add_enabled(can, label).on_hover_ui(|ui| {
                    ui.strong(text::inspect::COLOURS);
                    ui.label(help);
                });
                if response.on_disabled_hover_text(text::inspect::NOT_PUSHED).clicked() {
                    *self = overlay;
                }
            }
        });
    }
}

/// From values to colours, fitted to one sample.
pub(super) struct Scale {
    overlay: Overlay,
    /// ln(vocabulary) for probabilities; the largest size for ratios (their logarithms) and pushes.
    full: f64,
}

impl Scale {
    /// `None` where there is nothing to colour by.
    pub(super) fn of(overlay: Overlay, inspection: &Inspection) -> Option<Self> {
        let values = || inspection.tokens.iter().filter_map(|token| overlay.value(token));
        values().next()?;
        let largest =
            |of: fn(f64) -> f64| values().map(|v| of(v).abs()).filter(|v| v.is_finite()).fold(ROUNDING, f64::max);
        let full = match overlay {
            Overlay::Picture => return None,
            Overlay::Probability => (inspection.vocabulary.max(2) as f64).ln(),
            Overlay::Entropy => 1.0,
            Overlay::Ratio => largest(f64::ln),
            Overlay::Push => largest(|v| v),
        };
        Some(Self { overlay, full })
    }

    /// The value at a share (0 to 1) of the scale.
    fn at(&self, share: f64) -> f64 {
        match self.overlay {
            // Equal steps are equal factors, from one in the vocabulary to certain.
            Overlay::Probability => ((share - 1.0) * self.full).exp(),
            Overlay::Ratio => ((2.0 * share - 1.0) * self.full).exp(),
            Overlay::Push => (2.0 * share - 1.0) * self.full,
            _ => share * self.full,
        }
    }

    /// Where a value stands on the scale, 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let share = match self.overlay {
            Overlay::Probability => 1.0 + value.ln() / self.full,
            Overlay::Ratio => 0.5 + 0.5 * value.ln() / self.full,
            Overlay::Push => 0.5 + 0.5 * value / self.full,
            _ => value / self.full,
        };
        share.clamp(0.0, 1.0)
    }

    /// The colour of a value.
    pub(super) fn colour(&self, value: f64) -> Color32 {
        let share = self.share(value);
        match self.overlay {
            Overlay::Ratio | Overlay::Push => theme::diverging((2.0 * share - 1.0) * theme::FULL_ADVANTAGE),
            _ => theme::sequential(share),
        }
    }

    /// Draws the scale with its numbers, `width` points wide.
    pub(super) fn legend(&self, ui: &mut Ui, width: f32) {
        let (name, help, [low, high]) = self.overlay.words();
        let (rect, response) = ui.allocate_exact_size(vec2(width, 26.0), Sense::hover());
        let bar = Rect::from_min_size(rect.min, vec2(rect.width(), 9.0));
        let painter = ui.painter();
        theme::band(painter, bar, |share| self.colour(self.at(share)));
        painter.rect_stroke(bar, 2.0, ui.visuals().window_stroke, StrokeKind::Outside);
        let number = |share: f64| match self.overlay {
            Overlay::Push => text::inspect::brief_signed(self.at(share)),
            Overlay::Ratio => text::number(self.at(share)),
            _ => text::brief(self.at(share)),
        };
        let (font, colour) = (FontId::proportional(11.0), ui.visuals().weak_text_color());
        let below = bar.bottom() + 3.0;
        let write = |x: f32, align: Align2, words: String| {
            painter.text(pos2(x, below), align, words, font.clone(), colour);
        };
        write(bar.left(), Align2::LEFT_TOP, format!("{}  {low}", number(0.0)));
        write(bar.right(), Align2::RIGHT_TOP, format!("{high}  {}", number(1.0)));
        if width > 260.0 {
            write(bar.center().x, Align2::CENTER_TOP, number(0.5));
        }
        response.on_hover_ui(|ui| {
            ui.strong(name);
            ui.label(help);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::inspection;
    use super::*;

    #[test]
    fn scales_run_from_end_to_end_and_their_middle_is_neutral() {
        let seen = inspection();
        for overlay in Overlay::ALL.into_iter().skip(1) {
            let scale = Scale::of(overlay, &seen).expect("values");
            for share in [0.0, 0.25, 0.5, 1.0] {
                assert!((scale.share(scale.at(share)) - share).abs() < 1e-9, "{overlay:?} {share}");
            }
            assert!(seen.tokens.iter().filter_map(|t| overlay.value(t)).all(|v| (0.0..=1.0).contains(&scale.share(v))));
        }
        let ratio = Scale::of(Overlay::Ratio, &seen).expect("values");
        assert_eq!(ratio.colour(1.0), theme::diverging(0.0));
        assert!(Scale::of(Overlay::Picture, &seen).is_none());
        let mut edited = seen;
        edited.tokens.iter_mut().for_each(|token| token.pushed = None);
        assert!(Scale::of(Overlay::Push, &edited).is_none());
    }
}
