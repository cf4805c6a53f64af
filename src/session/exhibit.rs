//! Rollouts as a face shows them: in groups of one prompt, each picture with what it was paid.

use super::protocol::{Gallery, Group, Sample};
use crate::data::prompts::class_prompt;
use crate::rl::trainer::Rollouts;

/// `rollouts` in groups of `group` consecutive samples; `rewards` names the columns of their scores, `classes` what
/// their class numbers stand for.
pub(super) fn gallery_of(rollouts: &Rollouts, rewards: &[&str], classes: &[String], group: usize) -> Gallery {
    let sample = |i: usize| {
        let scores = rollouts.scores.get(i).map(Vec::as_slice).unwrap_or_default();
        let mut paid: Vec<(String, f64)> =
            rewards.iter().zip(scores).map(|(name, score)| (name.to_string(), *score)).collect();
        paid.extend(rollouts.loo_fid.get(i).map(|r| ("loo_fid".to_string(), *r)));
        Sample { rgb: rollouts.pictures[i].clone(), rewards: paid, advantage: rollouts.advantages.get(i).copied() }
    };
    let groups = rollouts.classes.chunks(group).enumerate().map(|(g, members)| Group {
        prompt: class_prompt(&classes[members[0]]),
        class: members[0],
        samples: (0..members.len()).map(|i| sample(g * group + i)).collect(),
    });
    Gallery {
        update: rollouts.update,
        side: rollouts.side,
        tokens: rollouts.written,
        groups: groups.collect(),
        space: None,
    }
}
