//! The reward mix: a fader for each part, the formula they make, and what it would have paid these very pictures.

use eframe::egui::{self, Rect, RichText, Sense, Ui, WidgetInfo, accesskit::Role, vec2};

use super::{controls, text, theme};
use crate::config::RunConfig;
use crate::session::{Command, Gallery, whatif};

/// The parts of the mix, as the settings name their weights; the distribution part and its weight in the loss last.
const FADERS: [&str; 8] = [
    "clip_weight",
    "preference_weight",
    "colour_weight",
    "brightness_weight",
    "symmetry_weight",
    "compressibility_weight",
    "loo_fid_weight",
    "lambda_fid",
];

/// Draws the pane and adds what was turned; `what_if`: the pictures shown were paid by other weights.
pub(super) fn show(
    ui: &mut Ui,
    controls: &mut controls::Pane,
    gallery: &Gallery,
    what_if: Option<usize>,
    commands: &mut Vec<Command>,
) {
    egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.add(egui::Label::new(RichText::new(text::MIX_HELP).weak()).wrap());
        ui.add_space(6.0);
        let spread = spread(gallery, controls.config());
        for (index, name) in FADERS.into_iter().enumerate() {
            let shown = controls.fader(ui, name, commands);
            if let Some(share) = spread.get(index).filter(|_| shown) {
                bar(ui, *share, name);
            }
            if index == 5 {
                ui.separator();
            }
            ui.add_space(3.0);
        }
        ui.separator();
        formula(ui, controls.config(), gallery);
        if let Some(turned) = what_if {
            ui.add_space(6.0);
            let note = egui::Label::new(RichText::new(text::what_if(turned)).color(ui.visuals().warn_fg_color)).wrap();
            theme::card(ui).show(ui, |ui| ui.add(note));
        }
    });
}

/// How much of the differences inside the groups each instance part makes under its weight, as shares that add up to
/// one: parts are added before they are normalised, so the one that spreads most decides.
fn spread(gallery: &Gallery, config: &RunConfig) -> Vec<f64> {
    let weights = whatif::weights(config);
    let parts = weights.len() - 1;
    let mut sums = vec![0.0; parts];
    for group in &gallery.groups {
        for (part, sum) in sums.iter_mut().enumerate() {
            let scores: Vec<f64> = group
                .samples
                .iter()
                .filter_map(|s| s.rewards.get(part))
                .map(|r| r.1)
                .filter(|x| x.is_finite())
                .collect();
            let n = scores.len().max(1) as f64;
            let mean = scores.iter().sum::<f64>() / n;
            let variance = scores.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            *sum += weights[part].abs() * variance.sqrt();
        }
    }
    let total: f64 = sums.iter().sum();
    if total > 0.0 { sums.into_iter().map(|sum| sum / total).collect() } else { vec![] }
}

/// A thin bar of the share that a part has in what decides.
fn bar(ui: &mut Ui, share: f64, name: &str) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 4.0), Sense::hover());
    let filled = Rect::from_min_size(rect.min, vec2(rect.width() * share as f32, rect.height()));
    ui.painter().rect_filled(rect, 2.0, ui.visuals().widgets.inactive.weak_bg_fill);
    ui.painter().rect_filled(filled, 2.0, theme::curve(ui, 1));
    let says = text::decides(name, share);
    response.widget_info(|| WidgetInfo::labeled(Role::Meter, true, &says));
    response.on_hover_text(&says);
}

/// The formula with the weights as they stand, and with the means of the pictures shown.
fn formula(ui: &mut Ui, config: &RunConfig, gallery: &Gallery) {
    let weights = whatif::weights(config);
    let samples = || gallery.groups.iter().flat_map(|group| &group.samples).filter(|s| !s.rewards.is_empty());
    let names: Vec<String> = match samples().next() {
        Some(sample) => sample.rewards.iter().map(|(name, _)| name.clone()).collect(),
        None => FADERS.iter().take(7).map(|name| name.trim_end_matches("_weight").to_string()).collect(),
    };
    let paid: Vec<usize> = (0..6).filter(|&i| weights[i] != 0.0).collect();
    let symbols: Vec<String> =
        paid.iter().map(|&i| format!("{} · {}", text::number(weights[i]), text::humanise(&names[i]))).collect();
    let symbols = if symbols.is_empty() { "0".into() } else { symbols.join(" + ") };
    let line = |ui: &mut Ui, words: String| ui.add(egui::Label::new(RichText::new(words).monospace()).wrap());
    line(ui, format!("{} = {symbols}", text::MIX_REWARD)).on_hover_text(text::MIX_REWARD_HELP);
    let count = samples().count();
    if count > 0 && !paid.is_empty() {
        let mean = |i: usize| {
            let finite: Vec<f64> = samples().map(|s| s.rewards[i].1).filter(|x| x.is_finite()).collect();
            finite.iter().sum::<f64>() / finite.len().max(1) as f64
        };
        let terms: Vec<String> =
            paid.iter().map(|&i| format!("{} · {}", text::number(weights[i]), text::number(mean(i)))).collect();
        let total: f64 = paid.iter().map(|&i| weights[i] * mean(i)).sum();
        line(ui, format!("= {} = {}", terms.join(" + "), text::number(total)))
            .on_hover_text(text::mix_mean(count, gallery.update));
    }
    ui.add_space(4.0);
    let distribution = if config.loo_fid_weight > 0.0 { text::number(config.lambda_fid) } else { "0".into() };
    line(ui, format!("{} = {} + {distribution} · {}", text::MIX_ADVANTAGE, text::MIX_INSTANCE, text::MIX_DISTRIBUTION))
        .on_hover_text(text::MIX_ADVANTAGE_HELP);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Group, Sample};

    #[test]
    fn the_part_that_spreads_most_under_its_weight_decides() {
        let sample = |clip: f64, preference: f64| {
            let scores = [clip, preference, 0.5, 0.5, 0.5, 0.5, 0.0];
            Sample { rewards: scores.map(|score| (String::new(), score)).into(), ..Sample::default() }
        };
        let group = Group { samples: vec![sample(0.1, 0.0), sample(0.3, 0.6)], ..Group::default() };
        let gallery = Gallery { groups: vec![group], ..Gallery::default() };
        let shares = spread(&gallery, &RunConfig { clip_weight: 1.0, preference_weight: 1.0, ..RunConfig::default() });
        assert!((shares[0] - 0.25).abs() < 1e-9 && (shares[1] - 0.75).abs() < 1e-9 && shares[2] == 0.0);
        assert!(spread(&Gallery::default(), &RunConfig::default()).is_empty());
    }
}
