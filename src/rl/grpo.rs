//! The GRPO loss: from log-probabilities and advantages to one number whose gradient tunes the policy.
//!
//! Two forms share the code below. **Sequence** (method: one training iteration): one importance ratio per picture,
//! `rho = exp(mean_t log pi - mean_t log pi_old)`, so a picture is trusted or clipped as a whole. **Token** (TRL
//! `GRPOTrainer`, AR-GRPO): one ratio per token. Either way, per term,
//!
//! `loss = surrogate(A_instance) + lambda_fid * surrogate(A_distribution) + beta * k3 - alpha * entropy`
//!
//! with `surrogate(A) = -min(rho A, clip(rho, 1 - epsilon_low, 1 + epsilon_high) A)` and `k3 = e^d - d - 1`,
//! `d = log pi_ref - log pi`, an unbiased and never negative estimate of the KL divergence to the reference.
//! All parts are summed before the one backward pass. Every function only enqueues tensor work.

use burn::prelude::*;
use serde::{Deserialize, Serialize};

/// Where the importance ratio is taken (TRL's `importance_sampling_level`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// One ratio per sequence, of the token-mean log-probability; KL likewise. The paper's form.
    #[default]
    Sequence,
    /// One ratio per token.
    Token,
}

/// How token losses are averaged (TRL's `loss_type`). Sequences are always averaged over sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossType {
    /// Mean over sequences of each sequence's token mean.
    #[default]
    Grpo,
    /// Mean over all tokens of the batch.
    Bnpo,
    /// Token sum over (sequences times the longest length): no bias towards short sequences.
    DrGrpo,
}

/// Settings of [`loss`]; the defaults are the paper's code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LossConfig {
    /// Where the ratio is taken.
    pub level: Level,
    /// How token losses are averaged; only for [`Level::Token`].
    pub loss_type: LossType,
    /// Trust region below 1 (TRL's `epsilon`).
    pub epsilon_low: f64,
    /// Trust region above 1 (TRL's `epsilon_high`).
    pub epsilon_high: f64,
    /// Weight of the KL divergence to the reference policy.
    pub beta: f64,
    /// Weight of the distribution-level surrogate.
    pub lambda_fid: f64,
    /// Take the larger instead of the smaller surrogate: the sign quirk of the authors' released code, which clips
    /// only against the direction of the advantage.
    pub optimistic_clip: bool,
    /// Upper cap of the ratio in the unclipped surrogate (two-sided clipping, TRL's `delta`).
    pub delta: Option<f64>,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            level: Level::Sequence,
            loss_type: LossType::Grpo,
            epsilon_low: 0.2,
            epsilon_high: 0.2,
            beta: 3.0,
            lambda_fid: 2.0,
            optimistic_clip: false,
            delta: None,
        }
    }
}

/// Counts of the WHOLE batch by which every micro-batch divides, so that micro-batch losses (and gradients) add up
/// exactly to the loss of the whole batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normaliser {
    /// Sequences.
    pub rows: f64,
    /// Tokens that count (ones of the mask).
    pub tokens: f64,
    /// Longest possible sequence (TRL's `max_completion_length`), for [`LossType::DrGrpo`].
    pub max_length: f64,
}

impl Normaliser {
    /// Counts of an unmasked batch of `rows` sequences of `length` tokens.
    pub fn full(rows: usize, length: usize) -> Self {
        Self { rows: rows as f64, tokens: (rows * length) as f64, max_length: length as f64 }
    }
}

/// One (micro-)batch for [`loss`]. Only `logp` and `entropy` carry gradients.
pub struct LossInput {
    /// Log-probabilities of the tokens under the current policy, `[batch, seq]`, from [`token_log_probs`].
    pub logp: Tensor<2>,
    /// Token entropies of the current policy, nats, `[batch, seq]`, from [`token_log_probs`].
    pub entropy: Tensor<2>,
    /// Log-probabilities when the update began, `[batch, seq]`.
    pub old_logp: Tensor<2>,
    /// Log-probabilities under the frozen reference, `[batch, seq]`. Without it the KL is 0 and `beta` acts on nothing.
    pub ref_logp: Option<Tensor<2>>,
    /// 1 where a token counts and 0 where not, `[batch, seq]`; all count without it.
    pub mask: Option<Tensor<2>>,
    /// Advantages of the instance rewards, `[batch]`.
    pub instance_advantage: Tensor<1>,
    /// Advantages of the distribution reward (LOO-FID), `[batch]`.
    pub distribution_advantage: Option<Tensor<1>>,
    /// Entropy coefficient, per nat, from [`crate::rl::entropy`].
    pub alpha: f64,
    /// Counts of the whole batch.
    pub normaliser: Normaliser,
}

/// What [`loss`] gives back.
pub struct LossOutput {
    /// The loss to differentiate, `[1]`.
    pub total: Tensor<1>,
    /// Figures in the order of [`STATS`], `[STATS.len()]`, without gradient; add up with [`merge_stats`].
    pub stats: Tensor<1>,
    /// The same per term, for inspection.
    pub terms: Terms,
}

/// Values of single terms without gradient, `[batch, 1]` for [`Level::Sequence`], else `[batch, seq]`.
pub struct Terms {
    /// Importance ratio, before any clipping.
    pub ratio: Tensor<2>,
    /// k3 estimate of the KL divergence to the reference.
    pub kl: Tensor<2>,
    /// The loss of the term.
    pub loss: Tensor<2>,
}

/// Names of the figures in [`LossOutput::stats`]. `loss` and `policy_loss*` are summed as in the loss; `kl`, `entropy`
/// (nats), `ratio` and the clip fractions are means over sequences or tokens; the last is a maximum of `|ratio - 1|`.
pub const STATS: [&str; 10] = [
    "loss",
    "policy_loss",
    "policy_loss/instance",
    "policy_loss/distribution",
    "kl",
    "entropy",
    "ratio",
    "clip_ratio/low",
    "clip_ratio/high",
    "ratio/max_deviation",
];

/// Figures of two micro-batches together: sums add up, the maximum is kept. `[STATS.len()]` each.
pub fn merge_stats(a: Tensor<1>, b: Tensor<1>) -> Tensor<1> {
    let sums = STATS.len() - 1;
    let max = a.clone().narrow(0, sums, 1).max_pair(b.clone().narrow(0, sums, 1));
    Tensor::cat(vec![(a + b).narrow(0, 0, sums), max], 0)
}

/// Log-probability of each token and full-vocabulary entropy (nats), both at temperature 1.
///
/// `logits` `[batch, seq, vocab]` (position t predicts token t) and `tokens` `[batch, seq]` give two `[batch, seq]`.
/// Logits must be finite, but may be as low as any mask value (`-1e30`).
pub fn token_log_probs(logits: Tensor<3>, tokens: Tensor<2, Int>) -> (Tensor<2>, Tensor<2>) {
    // The vocabulary is the largest axis of the whole program. With s = l - max and z = sum e^s, both results come
    // from s and e^s alone: log p = s - ln z and H = ln z - sum(s e^s) / z, without storing p or log p. Both parts
    // of H are >= 0, so nothing cancels.
    let max = logits.clone().inner().max_dim(2); // a constant: the shift does not change the function
    let shifted = logits - max;
    let exp = shifted.clone().exp();
    let z = exp.clone().sum_dim(2);
    let log_z = z.clone().log();
    let chosen = shifted.clone().gather(2, tokens.unsqueeze_dim(2)); // [batch, seq, 1]
    let logp = chosen - log_z.clone();
    let entropy = log_z - (exp * shifted).sum_dim(2) / z;
    (logp.squeeze_dim(2), entropy.squeeze_dim(2))
}

/// The GRPO loss of one (micro-)batch with its figures; see the head of this file for the formula.
pub fn loss(config: &LossConfig, input: LossInput) -> LossOutput {
    let old_logp = input.old_logp.inner();
    let mask = input.mask.map_or_else(|| old_logp.ones_like(), Tensor::inner);
    // Filling, not multiplying, because 0 * inf would let a hidden token poison the loss.
    let hidden = mask.clone().equal_elem(0.0);
    let visible = |x: Tensor<2>| x.mask_fill(hidden.clone(), 0.0);
    let lengths = mask.clone().sum_dim(1).clamp_min(1.0); // [batch, 1]
    let n = input.normaliser;

    // A term is a sequence or a token; from here on `[batch, terms]` with terms = 1 or seq.
    let terms = |x: Tensor<2>| match config.level {
        Level::Sequence => visible(x).sum_dim(1) / lengths.clone(),
        Level::Token => visible(x),
    };
    let (loss_weight, mean_weight) = match config.level {
        Level::Sequence => (lengths.ones_like() / n.rows, lengths.ones_like() / n.rows),
        Level::Token => {
            let mean = mask.clone() / n.tokens.max(1.0);
            match config.loss_type {
                LossType::Grpo => (mask / (lengths.clone() * n.rows), mean),
                LossType::Bnpo => (mean.clone(), mean),
                LossType::DrGrpo => (mask / (n.rows * n.max_length), mean),
            }
        }
    };
    // Differences are averaged, not averages subtracted: equal log-probabilities give a ratio of exactly 1.
    let ratio = terms(input.logp.clone() - old_logp).exp();
    let entropy = terms(input.entropy);
    let kl = match input.ref_logp {
        Some(reference) => {
            let drift = terms(reference.inner() - input.logp);
            drift.clone().exp() - drift - 1.0
        }
        None => ratio.clone().inner().zeros_like(),
    };

    let instance = surrogate(config, ratio.clone(), input.instance_advantage, &mean_weight);
    let distribution = input
        .distribution_advantage
        .map(|a| surrogate(config, ratio.clone(), a, &mean_weight).scaled(config.lambda_fid));
    let mut term_loss = instance.loss.clone();
    if let Some(distribution) = &distribution {
        term_loss = term_loss + distribution.loss.clone();
    }
    // Parts without weight stay out of the graph: their backward pass over the vocabulary is then never run.
    if config.beta != 0.0 {
        term_loss = term_loss + kl.clone() * config.beta;
    }
    if input.alpha != 0.0 {
        term_loss = term_loss - entropy.clone() * input.alpha;
    }
    let total = (term_loss.clone() * loss_weight.clone()).sum();

    let terms = Terms { ratio: ratio.inner(), kl: kl.inner(), loss: term_loss.inner() };
    let in_loss = |x: &Surrogate| (x.loss.clone().inner() * loss_weight.clone()).sum();
    let mean = |x: Tensor<2>| (x * mean_weight.clone()).sum();
    let (instance_loss, zero) = (in_loss(&instance), total.clone().inner().zeros_like());
    let distribution_loss = distribution.as_ref().map_or(zero, in_loss);
    let (low, high) = match distribution {
        Some(d) => ((instance.clip_low + d.clip_low) * 0.5, (instance.clip_high + d.clip_high) * 0.5),
        None => (instance.clip_low, instance.clip_high),
    };
    let stats = Tensor::cat(
        vec![
            total.clone().inner(),
            instance_loss.clone() + distribution_loss.clone(),
            instance_loss,
            distribution_loss,
            mean(terms.kl.clone()),
            mean(entropy.inner()),
            mean(terms.ratio.clone()),
            low,
            high,
            (terms.ratio.clone() - 1.0).abs().max(), // hidden tokens have ratio 1
        ],
        0,
    );
    LossOutput { total, stats, terms }
}

/// The clipped policy loss for one kind of advantage.
struct Surrogate {
    /// Per term, `[batch, terms]`.
    loss: Tensor<2>,
    /// Share of terms held by the lower bound, `[1]`.
    clip_low: Tensor<1>,
    /// Share of terms held by the upper bound, `[1]`.
    clip_high: Tensor<1>,
}

impl Surrogate {
    fn scaled(self, factor: f64) -> Self {
        Self { loss: self.loss * factor, ..self }
    }
}

/// `-min(rho A, clip(rho) A)` of `ratio` `[batch, terms]` and `advantage` `[batch]`.
fn surrogate(config: &LossConfig, ratio: Tensor<2>, advantage: Tensor<1>, mean_weight: &Tensor<2>) -> Surrogate {
    let (low, high) = (1.0 - config.epsilon_low, 1.0 + config.epsilon_high);
    let advantage = advantage.inner().unsqueeze_dim::<2>(1).expand(ratio.dims());
    // TRL clips first and caps with delta after, so delta acts in the unclipped branch only.
    let clipped = ratio.clone().clamp(low, high);
    let free = match config.delta {
        Some(delta) => ratio.clamp_max(delta),
        None => ratio,
    };
    // A bound holds where it makes the surrogate worse (standard) or better (optimistic) than the free one.
    let (bound_low, bound_high) = match config.optimistic_clip {
        false => (advantage.clone().lower_elem(0.0), advantage.clone().greater_elem(0.0)),
        true => (advantage.clone().greater_elem(0.0), advantage.clone().lower_elem(0.0)),
    };
    let fixed = free.clone().inner();
    let share = |held: Tensor<2, Bool>| mean_weight.clone().mask_fill(held.bool_not(), 0.0).sum();
    let clip_low = share(fixed.clone().lower_elem(low).bool_and(bound_low));
    let clip_high = share(fixed.greater_elem(high).bool_and(bound_high));
    let (free, clipped) = (free * advantage.clone(), clipped * advantage);
    let loss = if config.optimistic_clip { -free.max_pair(clipped) } else { -free.min_pair(clipped) };
    Surrogate { loss, clip_low, clip_high }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(logp: [[f32; 2]; 2], old: [[f32; 2]; 2]) -> LossInput {
        let device = Device::flex();
        let of = |v: [[f32; 2]; 2]| Tensor::<2>::from_data(v, &device);
        LossInput {
            logp: of(logp),
            entropy: of([[1.0; 2]; 2]),
            old_logp: of(old),
            ref_logp: None,
            mask: None,
            instance_advantage: Tensor::from_data([1.0, -1.0], &device),
            distribution_advantage: None,
            alpha: 0.0,
            normaliser: Normaliser::full(2, 2),
        }
    }

    fn stat(stats: &Tensor<1>, name: &str) -> f32 {
        let at = STATS.iter().position(|n| *n == name).expect("a name of STATS");
        stats.clone().into_data().try_to_vec::<f32>().unwrap()[at]
    }

    fn near(got: f32, want: f32) {
        assert!((got - want).abs() < 1e-6, "{got} is not {want}");
    }

    #[test]
    fn uniform_logits_have_log_vocab_entropy() {
        let device = Device::flex();
        let (logp, h) = token_log_probs(Tensor::zeros([1, 2, 8], &device), Tensor::from_data([[3, 7]], &device));
        for x in logp.into_data().try_to_vec::<f32>().unwrap() {
            near(x, -(8f32).ln());
        }
        for x in h.into_data().try_to_vec::<f32>().unwrap() {
            near(x, (8f32).ln());
        }
    }

    #[test]
    fn hand_worked_sequence_loss_is_clipped_for_the_good_sample_only() {
        // Ratios e^{0.5} = 1.6487 for both rows: A = 1 is clipped to 1.2, A = -1 is not.
        let out = loss(&LossConfig::default(), input([[-1.0, -1.0]; 2], [[-2.0, -1.0]; 2]));
        let rho = 0.5f32.exp();
        near(stat(&out.stats, "loss"), (-1.2 + rho) / 2.0);
        near(stat(&out.stats, "ratio"), rho);
        near(stat(&out.stats, "ratio/max_deviation"), rho - 1.0);
        near(stat(&out.stats, "clip_ratio/high"), 0.5);
        near(stat(&out.stats, "clip_ratio/low"), 0.0);
    }

    #[test]
    fn entropy_bonus_and_kl_enter_with_their_weights() {
        let device = Device::flex();
        let mut i = input([[-1.0; 2]; 2], [[-1.0; 2]; 2]);
        i.alpha = 0.1;
        i.ref_logp = Some(Tensor::from_data([[-1.5f32, -1.5], [-1.0, -1.0]], &device));
        let out = loss(&LossConfig { beta: 2.0, ..LossConfig::default() }, i);
        let kl = ((-0.5f32).exp() + 0.5 - 1.0) / 2.0;
        near(stat(&out.stats, "kl"), kl);
        near(stat(&out.stats, "entropy"), 1.0);
        near(stat(&out.stats, "loss"), 2.0 * kl - 0.1);
    }

    #[test]
    fn merged_stats_add_sums_and_keep_the_maximum() {
        let device = Device::flex();
        let a: Tensor<1> = Tensor::from_data([1., 2., 3., 4., 5., 6., 7., 8., 9., 0.5], &device);
        let merged = merge_stats(a.clone(), a * 2.0).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(merged, [3., 6., 9., 12., 15., 18., 21., 24., 27., 1.0]);
    }

    #[test]
    fn hidden_tokens_cannot_poison_the_loss() {
        let device = Device::flex();
        for level in [Level::Sequence, Level::Token] {
            let mut i = input([[-1.0, f32::NEG_INFINITY]; 2], [[-1.0, f32::NAN]; 2]);
            i.mask = Some(Tensor::from_data([[1.0, 0.0]; 2], &device));
            i.normaliser.tokens = 2.0;
            let out = loss(&LossConfig { level, ..LossConfig::default() }, i);
            near(stat(&out.stats, "loss"), 0.0);
            near(stat(&out.stats, "ratio"), 1.0);
        }
    }
}
