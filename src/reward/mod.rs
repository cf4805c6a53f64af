//! What a finished picture is paid.
//!
//! *Instance* rewards look at one picture ([`clip`], [`preference`], [`simple`]); the *distribution* reward looks at
//! the whole batch ([`loo_fid`]). `mix` keeps the parts apart, so that the screen can show each.

pub mod clip;
pub mod loo_fid;
pub mod mix;
pub mod moments;
pub mod preference;
pub mod simple;

use burn::prelude::*;

/// A batch of finished pictures and the class each was asked for.
#[derive(Clone, Debug)]
pub struct RewardBatch {
    /// `[n, 3, h, w]` in [0, 1], rounded to the 256 levels a person sees.
    pub pictures: Tensor<4>,
    /// The class of each picture's prompt, `n` of them.
    pub classes: Vec<usize>,
}

/// A reward that looks at one picture at a time.
pub trait Reward {
    /// Short name, as in `rewards/<name>/mean`.
    fn name(&self) -> &'static str;

    /// How the number is made, in one sentence with its formula.
    fn protocol(&self) -> String;

    /// Scores `[n]`, higher is better. Only enqueues work: nothing is read back.
    fn score(&self, batch: &RewardBatch) -> Tensor<1>;

    /// Whether there is anything to score with.
    fn is_scored(&self) -> bool {
        true
    }
}
