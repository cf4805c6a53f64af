//! Words of the inspector.

use super::number;
use crate::session::Version;
use crate::session::inspect::{InLoss, Token};

pub(in crate::ui) const INSPECTOR: &str = "Inspector";
pub(in crate::ui) const HELP: &str = "One picture up close: how it was written, token by token, and how its update pushes \
    each token. Looking never changes the run.";
pub(in crate::ui) const OPEN: &str = "Click to look closely.";
pub(in crate::ui) const EMPTY: &str = "Click a picture";
pub(in crate::ui) const EMPTY_HELP: &str = "in the gallery, to see how it was written, token by token, and why its tokens \
    are pushed up or down.";
pub(in crate::ui) const WAITING: &str = "Reading the picture's tokens…";
pub(in crate::ui) const WRITING: &str = "Writing on…";
pub(in crate::ui) const AGAIN: &str = "Look again";
pub(in crate::ui) const AGAIN_HELP: &str = "The policy has moved since these figures were taken. Take them anew.";

pub(in crate::ui) const CANVAS: &str = "Tokens of the picture";
pub(in crate::ui) const CANVAS_HELP: &str = "Each cell is one token, written in reading order. Point at a cell for its \
    figures, click to keep it, then use the arrow keys.";
pub(in crate::ui) const COLOURS: &str = "Colour the cells by";
pub(in crate::ui) const PLAY: &str = "Play";
pub(in crate::ui) const STOP: &str = "Stop";
pub(in crate::ui) const PLAY_HELP: &str = "Watch the picture being written, token by token.";
pub(in crate::ui) const SCRUB: &str = "Tokens written";
pub(in crate::ui) const SCRUB_HELP: &str = "The finished picture as far as it was written; grey where no token had been \
    written yet.";

pub(in crate::ui) const EDITED: &str = "Edited";
pub(in crate::ui) const DRAWN: &str = "As drawn";
pub(in crate::ui) const UNDO: &str = "Undo";
pub(in crate::ui) const UNDO_HELP: &str = "Take the last token that was put in out again.";
pub(in crate::ui) const EDIT_HELP: &str = "A token was put in by hand; the policy of now wrote what follows, with the same \
    random numbers. The run does not notice: this picture is not scored and nothing is learnt from it.";

pub(in crate::ui) const CANDIDATES: &str = "Likeliest here";
pub(in crate::ui) const CANDIDATES_HELP: &str = "The eight likeliest tokens in this place by the policy of now, at \
    temperature 1 and without guidance. Each small picture shows the neighbourhood with that token put in and all others \
    as they are. Bars are drawn relative to the likeliest. Click one to put it in and let the policy write on.";
pub(in crate::ui) const WRITTEN: &str = "written";
pub(in crate::ui) const ABSENT: &str = "The written token is not among the eight likeliest.";

pub(in crate::ui) const REWARDS: &str = "Rewards and advantages";
pub(in crate::ui) const REWARDS_HELP: &str = "What this sample was paid, part by part, before the weights; and how far that \
    lies above or below its group, in standard deviations of the group.";
pub(in crate::ui) const TOTAL: &str = "In the loss, together";
pub(in crate::ui) const TOTAL_HELP: &str = "Instance advantage plus Lambda fid times the distribution advantage: what every \
    token of this sample is pushed with, up or down.";
pub(in crate::ui) const SEQUENCE: &str = "Ratio of the picture";
pub(in crate::ui) const SEQUENCE_HELP: &str = "How much likelier, per token on average, the policy of now finds this picture than the one \
    that its update began with: the exponential of the mean difference of the tokens' log-probabilities.";

pub(in crate::ui) const NEAREST: &str = "Nearest training picture";
pub(in crate::ui) const NEAREST_HELP: &str = "The training picture that looks most like this one. If they are the same, the \
    model has learnt it by heart.";
pub(in crate::ui) const NO_NEAREST: &str = "There is no training picture to compare with.";
pub(in crate::ui) const SAMPLE: &str = "This sample";

pub(in crate::ui) const COMPARE: &str = "Same random numbers, another policy";
pub(in crate::ui) const COMPARE_HELP: &str = "This sample written again, with the same prompt and the same random numbers, \
    by the policy as it was at other times. Any difference is what the tuning did. Drag the line across.";
pub(in crate::ui) const LEFT: &str = "Left picture";
pub(in crate::ui) const RIGHT: &str = "Right picture";
pub(in crate::ui) const WIPE: &str = "Line between the two pictures";
pub(in crate::ui) const SAME: &str = "Both policies write exactly the same picture.";

pub(in crate::ui) const ROW_PROBABILITY: (&str, &str) = (
    "Probability now",
    "Of this token in this place by the policy of now, given the prompt and the tokens before it, at temperature 1 and \
    without guidance: as the loss sees it.",
);
pub(in crate::ui) const ROW_OLD: (&str, &str) =
    ("When its update began", "The same probability by the policy that this sample's update began with.");
pub(in crate::ui) const ROW_REFERENCE: (&str, &str) =
    ("Before the tuning", "The same probability by the frozen reference, from which the tuning began.");
pub(in crate::ui) const ROW_ENTROPY: (&str, &str) = (
    "Entropy of the choice",
    "How open the choice was, as a share of the largest there can be: 0 is certain, 1 a blind guess among all tokens.",
);
pub(in crate::ui) const ROW_RATIO: (&str, &str) =
    ("Ratio", "Probability now over that when its update began: the importance ratio of this token.");
pub(in crate::ui) const ROW_PUSH: (&str, &str) = (
    "Push",
    "How strongly the gradient of the policy loss raises (+) or lowers (−) the logit of this token: the sample's advantage \
    times its ratio times (1 − probability), divided by the number of tokens; 0 where the ratio is clipped. The pull to the \
    reference and the entropy bonus are not in it.",
);

/// The ways to colour the cells: name, what the colour says, and the words at the ends of the scale.
pub(in crate::ui) const OVERLAYS: [(&str, &str, [&str; 2]); 5] = [
    ("Picture", "The picture as it is.", ["", ""]),
    ("Probability", ROW_PROBABILITY.1, ["blind guess", "certain"]),
    ("Entropy", ROW_ENTROPY.1, ["certain", "blind guess"]),
    ("Ratio", ROW_RATIO.1, ["rarer now", "likelier now"]),
    ("Push", ROW_PUSH.1, ["made rarer", "made likelier"]),
];
pub(in crate::ui) const NOT_PUSHED: &str = "Known only for pictures that the model drew by itself.";

/// `12.3 %`.
pub(in crate::ui) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p > 0.0 && p < 0.01 => "< 0.01 %".into(),
        p if p < 9.995 => format!("{p:.2} %"),
        p => format!("{p:.1} %"),
    }
}

/// A share in as few letters as a cell has room for.
pub(in crate::ui) fn brief_percent(share: f64) -> String {
    match share * 100.0 {
        p if p > 0.0 && p < 0.5 => "<1%".into(),
        p => format!("{p:.0}%"),
    }
}

/// A number with a sign and two digits that count.
pub(in crate::ui) fn brief_signed(value: f64) -> String {
    let size = value.abs();
    let sign = if value < 0.0 { "−" } else { "+" };
    match size {
        0.0 => "0".into(),
        s if s < 1e-4 => format!("{sign}{s:.0e}"),
        s => {
            let decimals = (1 - s.log10().floor() as i32).clamp(0, 5) as usize;
            format!("{sign}{s:.decimals$}")
        }
    }
}

pub(in crate::ui) fn sample_of(update: u64, (place, group): (usize, usize)) -> String {
    format!("update {update}  ·  sample {} of {group}", place + 1)
}

pub(in crate::ui) fn seen_by(policy: u64) -> String {
    match policy {
        0 => "Figures by the policy before its first update.".into(),
        n => format!("Figures by the policy after update {n}."),
    }
}

pub(in crate::ui) fn written(tokens: usize, total: usize) -> String {
    format!("{tokens} of {total}")
}

pub(in crate::ui) fn token_of(position: usize, total: usize) -> String {
    format!("Token {} of {total}", position + 1)
}

pub(in crate::ui) fn place(position: usize, grid: usize) -> String {
    format!("row {}, column {}", position / grid + 1, position % grid + 1)
}

/// The name of a cell, for a screen reader.
pub(in crate::ui) fn cell(position: usize, grid: usize) -> String {
    format!("Token {}, {}", position + 1, place(position, grid))
}

/// A token's figures in one line.
pub(in crate::ui) fn at_a_glance(token: &Token) -> String {
    let push = token.pushed.map(|p| format!("  ·  push {}", brief_signed(p.push))).unwrap_or_default();
    format!("code {}  ·  {}{push}", token.id, percent(token.probability))
}

pub(in crate::ui) fn code(id: u32) -> String {
    format!("code {id}")
}

pub(in crate::ui) fn put_in(id: u32) -> String {
    format!("Put code {id} here and write on")
}

pub(in crate::ui) fn candidate(id: u32, probability: f64) -> String {
    format!("Code {id}, {}, written", percent(probability))
}

pub(in crate::ui) fn put_in_at(positions: &[usize]) -> String {
    let places: Vec<String> = positions.iter().map(|p| (p + 1).to_string()).collect();
    match places.as_slice() {
        [one] => format!("Token {one} was put in by hand; the policy wrote on from there."),
        _ => format!("Tokens {} were put in by hand, one after the other.", places.join(", ")),
    }
}

/// A version where there is little room.
pub(in crate::ui) fn short_version(version: Version) -> String {
    match version {
        Version::Before => "Before".into(),
        Version::Now => "Now".into(),
        Version::At(update) => format!("Update {update}"),
    }
}

pub(in crate::ui) fn version(version: Version, policy: u64) -> String {
    match version {
        Version::Before => "Before the tuning".into(),
        Version::Now => format!("Now (after update {policy})"),
        Version::At(update) => format!("Checkpoint {update}"),
    }
}

/// How a nearest picture was found, as a sentence.
pub(in crate::ui) fn measured(protocol: &str) -> String {
    format!("Found by the {protocol}. 0: the same picture.")
}

pub(in crate::ui) fn differs_by(distance: f64) -> String {
    format!("Mean squared difference {}", number(distance))
}

/// How open the choice was, and what the update does to the token. `pull` is the sample's advantage in the loss.
pub(in crate::ui) fn in_words(token: &Token, in_loss: Option<InLoss>, pull: f64) -> String {
    let open = match token.entropy {
        e if e < 0.15 => "The policy is all but certain here.",
        e if e < 0.4 => "The policy has a few tokens in mind here.",
        e if e < 0.7 => "The policy has many tokens in mind here.",
        _ => "The policy could write almost anything here.",
    };
    let (Some(pushed), Some(in_loss)) = (token.pushed, in_loss) else { return open.into() };
    let done = if pushed.push > 0.0 {
        "Its update makes this token likelier.".into()
    } else if pushed.push < 0.0 {
        "Its update makes this token less likely.".into()
    } else if pull == 0.0 {
        "Its update leaves this token alone: the sample was paid no more and no less than its group.".into()
    } else {
        let (what, ratio) =
            if in_loss.per_token { ("its ratio", pushed.ratio) } else { ("the picture's ratio", in_loss.ratio) };
        let (low, high) = in_loss.range;
        format!(
            "Its update leaves this token alone: {what}, {}, is beyond the clip ({} to {}).",
            number(ratio),
            number(low),
            number(high)
        )
    };
    format!("{open} {done}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::inspect::Pushed;

    #[test]
    fn shares_and_pushes_are_short_and_keep_what_counts() {
        assert_eq!(
            [0.1234, 0.0456, 1.0, 0.00001, 0.0].map(percent),
            ["12.3 %", "4.56 %", "100.0 %", "< 0.01 %", "0.00 %"]
        );
        assert_eq!([0.001, 0.0456, 1.0, 0.0].map(brief_percent), ["<1%", "5%", "100%", "0%"]);
        assert_eq!([0.0123, -0.1, 2.34, 0.0, -1e-6].map(brief_signed), ["+0.012", "−0.10", "+2.3", "0", "−1e-6"]);
    }

    #[test]
    fn a_token_that_is_not_pushed_is_told_apart_by_its_reason() {
        let of = |push, ratio| Token { pushed: Some(Pushed { push, ratio, old_probability: 0.5 }), ..Token::default() };
        let clip = Some(InLoss { ratio: 1.3, per_token: false, range: (0.8, 1.2) });
        assert!(in_words(&of(0.1, 1.0), clip, 1.0).contains("likelier"));
        assert!(in_words(&of(-0.1, 1.0), clip, -1.0).contains("less likely"));
        assert!(in_words(&of(0.0, 1.0), clip, 0.0).contains("no more and no less"));
        assert!(in_words(&of(0.0, 1.0), clip, 1.0).contains("picture's ratio, 1.3, is beyond the clip (0.8 to 1.2)"));
    }
}
