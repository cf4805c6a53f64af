//! Questions about one sample, and their answers: how it was written, why it is pushed, what would have followed
//! another token, and what other policies make of the same random numbers. Plain data, as all of the protocol.

pub(in crate::session) mod answer;

use serde::{Deserialize, Serialize};

pub(super) use answer::Inspector;

/// Candidates that an answer names for each token.
pub const CANDIDATES: usize = 8;

/// What a face wants to know about a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Update of the sample, from 1: the newest that was scored, or one whose sample has been asked about lately.
    pub update: u64,
    /// Where it stands in its batch: group by group.
    pub sample: usize,
    /// Tokens to put at the beginning instead of its own. The policy of now writes the rest, with the sample's own
    /// random numbers. Empty: the sample as it was drawn.
    pub prefix: Vec<u32>,
    /// Other policies that are to write this sample again, class and random numbers being the same.
    pub compare: Vec<Version>,
    /// Position of a token whose candidates are wanted as pictures.
    pub position: Option<usize>,
}

/// A policy of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    /// The frozen reference, from which the tuning began.
    Before,
    /// As it is when the question is answered.
    Now,
    /// As the run folder's checkpoint after so many updates has it.
    At(u64),
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Inspection {
    /// What was asked.
    pub question: Question,
    /// Updates that the policy of now has behind it.
    pub policy: u64,
    /// Index of the sample's class.
    pub class: usize,
    /// Its prompt, in words.
    pub prompt: String,
    /// Where it stands in its group, from 0, and how many are in the group.
    pub place: (usize, usize),
    /// Side of the pictures, in pixels.
    pub side: usize,
    /// Rows and columns of the token grid.
    pub grid: usize,
    /// Number of tokens to choose from.
    pub vocabulary: usize,
    /// The sample as it was drawn, `side * side * 3` bytes of RGB.
    pub drawn: Vec<u8>,
    /// The picture of [`Inspection::tokens`]: the same as `drawn` where nothing was put in.
    pub rgb: Vec<u8>,
    /// The tokens that all of this is about: drawn, or put in and written on.
    pub tokens: Vec<Token>,
    /// Its rewards by name, before their weights.
    pub rewards: Vec<(String, f64)>,
    /// Instance and distribution advantage.
    pub advantage: (f64, f64),
    /// Weight of the distribution advantage in the loss.
    pub lambda: f64,
    /// How the loss sees the sample as it was drawn; `None` where tokens were put in.
    pub in_loss: Option<InLoss>,
    /// The training picture that is nearest to `rgb`.
    pub nearest: Option<Neighbour>,
    /// What the policies of `question.compare` wrote, `side * side * 3` bytes of RGB each.
    pub versions: Vec<(Version, Vec<u8>)>,
    /// Policies of `question.compare` that could not write, and why.
    pub missing: Vec<(Version, String)>,
    /// Updates of the checkpoints that can be compared with, oldest first.
    pub at: Vec<u64>,
    /// What the picture would be near `question.position` with each candidate there.
    pub crops: Option<Crops>,
}

/// One token of the sample, as the policy of now sees it: at temperature 1, without guidance and without a cut, given
/// the class and the tokens before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its index in the codebook.
    pub id: u32,
    /// Its probability.
    pub probability: f64,
    /// Its probability under the frozen reference.
    pub reference: f64,
    /// Entropy of the whole choice, as a share of ln(vocabulary): 0 is certain, 1 a blind guess.
    pub entropy: f64,
    /// What the update does to it; `None` where tokens were put in.
    pub pushed: Option<Pushed>,
    /// The [`CANDIDATES`] likeliest tokens with their probabilities, likeliest first.
    pub candidates: Vec<(u32, f64)>,
}

/// What the sample's update does to one of its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pushed {
    /// Its probability when the update began.
    pub old_probability: f64,
    /// Its importance ratio: its probability over `old_probability`.
    pub ratio: f64,
    /// How strongly the gradient of the policy loss raises (above 0) or lowers its logit; see [`crate::rl::push`].
    pub push: f64,
}

/// How the loss sees the sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InLoss {
    /// Importance ratio of the sequence: the exponential of the mean difference of its log-probabilities.
    pub ratio: f64,
    /// Whether the loss takes the ratio of each token instead.
    pub per_token: bool,
    /// Ratios outside of this are clipped.
    pub range: (f64, f64),
}

/// A training picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// What it shows.
    pub name: String,
    /// Its class.
    pub class: String,
    /// `side * side * 3` bytes of RGB, on the background and the way round on which it comes nearest.
    pub rgb: Vec<u8>,
    /// Mean squared difference of the pixels, 0 (the same) to 1.
    pub distance: f64,
    /// How it was found.
    pub protocol: String,
}

/// The picture near one token, with each of its candidates in that place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Crops {
    /// Position of the token.
    pub position: usize,
    /// Side of a crop, in pixels: three cells, or the whole picture where it has fewer.
    pub side: usize,
    /// `side * side * 3` bytes of RGB for each candidate, in their order.
    pub rgb: Vec<Vec<u8>>,
}
