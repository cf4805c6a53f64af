//! Words of the pane that shows the batch among the real pictures.

use crate::session::Space;

pub(in crate::ui) const TITLE: &str = "Feature space";
pub(in crate::ui) const HELP: &str = "Each dot is a picture, placed by what the feature network sees in it: near dots \
    look alike to it. The plane is spanned by the two directions in which the real pictures vary most. The ellipses are \
    1 and 2 standard deviations of the real pictures, and of the model's: a moving average over its updates, this batch \
    included. LOO-FID measures the distance F between the two, leaves one picture out, measures again, and pays that \
    picture the difference: what it does for the whole set.";
pub(in crate::ui) const EMPTY: &str = "No batch scored yet";
pub(in crate::ui) const EMPTY_HELP: &str = "Once a batch is scored, this shows where its pictures lie among the real \
    ones, and what each is paid for.";

pub(in crate::ui) const PICTURES: &str = "Pictures";
pub(in crate::ui) const PICTURES_HELP: &str = "Draw each sample as its picture instead of a dot.";
pub(in crate::ui) const ZOOM_IN: &str = "Zoom in";
pub(in crate::ui) const ZOOM_IN_HELP: &str = "Zoom in. Also: scroll over the picture, or the key +.";
pub(in crate::ui) const ZOOM_OUT: &str = "Zoom out";
pub(in crate::ui) const ZOOM_OUT_HELP: &str = "Zoom out. Also: scroll over the picture, or the key −.";
pub(in crate::ui) const FIT: &str = "Show everything";
pub(in crate::ui) const FIT_HELP: &str = "Show everything again. Also: double-click.";
pub(in crate::ui) const HARMFUL: &str = "harms";
pub(in crate::ui) const HELPFUL: &str = "helps";
pub(in crate::ui) const LEGEND_HELP: &str = "Colour of a sample: its LOO-FID reward. Blue: the distance from the real \
    pictures is smaller with it than without it. Orange: it is larger. Full colour from twice the root mean square of \
    this batch's rewards.";

pub(in crate::ui) const REAL: &str = "Real pictures";
pub(in crate::ui) const MODEL: &str = "Model's pictures";
pub(in crate::ui) const WITH: &str = "With it";
pub(in crate::ui) const WITHOUT: &str = "Without it";
pub(in crate::ui) const DIFFERENCE: &str = "Reward";
pub(in crate::ui) const BEST: &str = "Help most";
pub(in crate::ui) const WORST: &str = "Harm most";
pub(in crate::ui) const HINT: &str = "Point at a sample to leave it out. Click keeps it, Esc lets go; \
    arrow keys lead from one to the next.";
pub(in crate::ui) const RESUMED: &str = "The run went on from a checkpoint: in this picture the model's Gaussian begins \
    with this batch. The rewards do not.";
pub(in crate::ui) const MEASURED: &str = "The reward is only measured in this run: its weight is 0.";
pub(in crate::ui) const BROKEN: &str = "Its features or its reward are not finite numbers: it has no place here and is \
    left out of the update.";
pub(in crate::ui) const HELPS: &str = "It brings the model's pictures closer to the real ones.";
pub(in crate::ui) const HARMS: &str = "It takes the model's pictures away from the real ones.";

/// Under the heading: which batch is shown, while another may be being written.
pub(in crate::ui) fn batch(shown: u64, newest: u64) -> String {
    if newest > shown { format!("update {shown}; {newest} is being written") } else { format!("update {shown}") }
}

/// Name of an axis, and how much it shows.
pub(in crate::ui) fn axis(number: usize, share: f64) -> String {
    format!("Axis {number}: {} of the variance", percent(share))
}

/// Label of the ellipse without a picture, and a shorter one.
pub(in crate::ui) fn without(times: f64) -> [String; 2] {
    let long = if times > 1.0 { format!("{WITHOUT}, change drawn {times}×") } else { WITHOUT.into() };
    [long, WITHOUT.into()]
}

/// How much larger than it is a change is drawn.
pub(in crate::ui) fn exaggerated(times: f64) -> String {
    format!(
        "Dashed: the model's Gaussian with it. Solid: without it, the change drawn {times} times as large as it is."
    )
}

/// Heads of the two columns: where the distances are measured.
pub(in crate::ui) fn measured_in(features: usize) -> [String; 2] {
    [format!("{features} features"), "2 axes".into()]
}

/// How a reward arises, in one sentence.
pub(in crate::ui) fn sentence([without, with, reward]: &[String; 3], paid: bool) -> String {
    let verb = if paid { "it is paid" } else { "its reward is" };
    format!("Without it: F\u{a0}=\u{a0}{without}, with it: F\u{a0}=\u{a0}{with}, so {verb} {reward}.")
}

/// What the whole batch does.
pub(in crate::ui) fn summary(space: &Space) -> String {
    let rewards = || space.samples.iter().flatten().map(|place| place.reward);
    let (helpful, count) = (rewards().filter(|reward| *reward > 0.0).count(), rewards().count());
    format!(
        "Distance of the model's pictures from the real ones: F\u{a0}=\u{a0}{}. {helpful} of {count} samples bring it down.",
        super::number(space.distance)
    )
}

/// What the picture leaves out.
pub(in crate::ui) fn honesty(space: &Space) -> String {
    let form = if space.full { "with full covariances" } else { "from the mean and variance of each" };
    format!(
        "F is computed in all {} features, {form}. The two axes show {} of the real pictures' variance, so what one sees \
        here can differ from the reward.",
        space.features,
        percent(space.explained.iter().sum())
    )
}

/// What a screen reader says of the whole picture.
pub(in crate::ui) fn described(space: &Space, selected: Option<&str>) -> String {
    let selected = selected.map(|selected| format!(" Selected: {selected}")).unwrap_or_default();
    format!("{TITLE}, update {}. {}{selected}", space.update, summary(space))
}

/// A reward in two digits.
pub(in crate::ui) fn reward(value: f64) -> String {
    let decimals = (1.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{}{:.decimals$}", if value < 0.0 { "−" } else { "+" }, value.abs())
}

fn percent(share: f64) -> String {
    format!("{:.0}\u{a0}%", 100.0 * share)
}

/// A distance without a picture, with it, and the difference, with so many decimals that the difference has three
/// digits and the subtraction can be followed.
pub(in crate::ui) fn subtraction(without: f64, with: f64) -> [String; 3] {
    let difference = without - with;
    let digits = if difference == 0.0 { 4.0 } else { 2.0 - difference.abs().log10().floor() };
    let decimals = digits.clamp(1.0, 9.0) as usize;
    let sign = if difference < 0.0 { "−" } else { "+" };
    [format!("{without:.decimals$}"), format!("{with:.decimals$}"), format!("{sign}{:.decimals$}", difference.abs())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtraction_can_be_followed() {
        assert_eq!(subtraction(12.34879, 12.345673), ["12.34879", "12.34567", "+0.00312"]);
        assert_eq!(subtraction(1.0, 3.5), ["1.00", "3.50", "−2.50"]);
        assert_eq!(subtraction(1.0, 1.0)[2], "+0.0000");
        assert_eq!([0.00501, -0.0021, 12.3].map(reward), ["+0.0050", "−0.0021", "+12"]);
        let [without, with, reward] = subtraction(0.5, 0.25);
        assert_eq!(
            sentence(&[without, with, reward], true),
            "Without it: F\u{a0}=\u{a0}0.500, with it: F\u{a0}=\u{a0}0.250, so it is paid +0.250."
        );
    }
}
