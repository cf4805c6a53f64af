//! How hard an update pushes one token: the gradient of the policy loss at the logit of the token that was written.
//!
//! [`crate::rl::grpo`] minimises, over `n` sequences of `T` tokens, the mean of `-min(rho A, clip(rho) A)`, for the
//! instance advantage and, times `lambda_fid`, for the distribution advantage. With `z` the logit of the written token
//! at position `t`, `p` its probability, and `d log p / d z = 1 - p`:
//!
//! - **Sequence level**: `rho = exp(mean_t(log p_t - log p_old_t))`, so `d rho / d z = rho (1 - p) / T`. The ratio, and
//!   whether it is clipped, are the same at every token of a sequence.
//! - **Token level**: `rho_t = p_t / p_old_t`, so `d rho_t / d z = rho_t (1 - p)`; the mean over the sequence's tokens
//!   divides by `T` (all three loss types do, since every sequence is `T` long). Each token is clipped by itself.
//!
//! Either way, downhill on `n` times the loss (so that the figure does not depend on the batch size), the logit goes by
//!
//! `push_t = (A_instance [free] + lambda_fid A_distribution [free]) rho (1 - p_t) / T`
//!
//! where a part is free unless its clip holds the ratio for the sign of its advantage; then its gradient is 0. Above 0
//! the token becomes likelier. The parts of the loss that do not ask what a picture was paid (the pull to the reference
//! and the entropy bonus) are left out, and so is what the optimiser makes of the gradient.

use super::grpo::{Level, LossConfig};

/// The push of one token. `ratio` is the importance ratio of its term (the sequence's or its own, by the level),
/// `probability` that of the token now, `advantages` the instance and the distribution advantage of its sample, and
/// `length` the tokens of the sequence.
pub fn push(config: &LossConfig, ratio: f64, probability: f64, advantages: (f64, f64), length: usize) -> f64 {
    let part = |advantage: f64| if is_held(config, ratio, advantage) { 0.0 } else { advantage };
    let pull = part(advantages.0) + config.lambda_fid * part(advantages.1);
    pull * ratio * (1.0 - probability) / length.max(1) as f64
}

/// Whether the clip holds a ratio for an advantage of this sign: then the gradient of that part is 0.
fn is_held(config: &LossConfig, ratio: f64, advantage: f64) -> bool {
    // The standard form stops what goes on in the direction of the advantage, the optimistic one what goes against it.
    let rising = (advantage > 0.0) != config.optimistic_clip;
    let clipped = if rising { ratio > 1.0 + config.epsilon_high } else { ratio < 1.0 - config.epsilon_low };
    clipped || config.delta.is_some_and(|cap| ratio > cap)
}

/// The importance ratios of a sequence's tokens and of the sequence as a whole, from log-probabilities `[t]` now and
/// when the update began.
pub fn ratios(logp: &[f64], old: &[f64]) -> (Vec<f64>, f64) {
    let drifts = || logp.iter().zip(old).map(|(now, before)| now - before);
    (drifts().map(f64::exp).collect(), (drifts().sum::<f64>() / logp.len().max(1) as f64).exp())
}

/// The ratio of the term that a token belongs to: the sequence's or its own.
pub fn term(config: &LossConfig, own: f64, sequence: f64) -> f64 {
    if config.level == Level::Token { own } else { sequence }
}

#[cfg(test)]
mod tests {
    use burn::prelude::*;

    use super::*;
    use crate::rl::grpo::{LossInput, LossType, Normaliser, loss, token_log_probs};

    const ROWS: usize = 6;
    const LENGTH: usize = 3;
    const VOCAB: usize = 5;
    const INSTANCE: [f32; ROWS] = [1.5, -0.7, 1.1, -1.2, 0.6, -0.4];
    const DISTRIBUTION: [f32; ROWS] = [-0.3, -0.9, 0.8, 0.5, -2.0, 0.0];

    /// How far each row has drifted from its old log-probabilities: within the clip, beyond it upwards and downwards.
    const DRIFT: [f32; ROWS] = [0.05, 0.5, 0.6, -0.5, -0.7, -0.02];

    /// Gradients `[rows, length]` of minus `rows` times the real loss at the written tokens, with the pushes.
    fn both(config: &LossConfig) -> Vec<(f64, f64)> {
        let device = Device::flex().autodiff();
        let logits: Vec<f32> = (0..ROWS * LENGTH * VOCAB).map(|i| ((i * 37 % 19) as f32 - 9.0) / 6.0).collect();
        let ids: Vec<i32> = (0..ROWS * LENGTH).map(|i| (i * 7 % VOCAB) as i32).collect();
        let logits = Tensor::<3>::from_data(TensorData::new(logits, [ROWS, LENGTH, VOCAB]), &device).require_grad();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids.clone(), [ROWS, LENGTH]), &device);
        let (logp, entropy) = token_log_probs(logits.clone(), tokens);
        let logp_host: Vec<f32> = logp.clone().inner().into_data().iter().collect();
        // Tokens of a row drift apart, so that the token level clips some of them only.
        let drift = |i: usize| DRIFT[i / LENGTH] * [0.4, 1.0, 1.6][i % LENGTH];
        let old: Vec<f32> = logp_host.iter().enumerate().map(|(i, logp)| logp - drift(i)).collect();
        let of = |v: &[f32]| Tensor::<1>::from_data(v, &device);
        let output = loss(
            config,
            LossInput {
                logp,
                entropy,
                old_logp: of(&old).reshape([ROWS, LENGTH]),
                ref_logp: None,
                mask: None,
                instance_advantage: of(&INSTANCE),
                distribution_advantage: Some(of(&DISTRIBUTION)),
                alpha: 0.0,
                normaliser: Normaliser::full(ROWS, LENGTH),
            },
        );
        let gradient = logits.grad(&output.total.backward()).expect("the loss depends on the logits");
        let gradient: Vec<f32> = gradient.into_data().iter().collect();
        let row = |values: &[f32], row: usize| -> Vec<f64> {
            values[row * LENGTH..(row + 1) * LENGTH].iter().map(|&x| f64::from(x)).collect()
        };
        (0..ROWS * LENGTH)
            .map(|i| {
                let (own, sequence) = ratios(&row(&logp_host, i / LENGTH), &row(&old, i / LENGTH));
                let advantages = (f64::from(INSTANCE[i / LENGTH]), f64::from(DISTRIBUTION[i / LENGTH]));
                let ratio = term(config, own[i % LENGTH], sequence);
                let probability = f64::from(logp_host[i]).exp();
                let downhill = -f64::from(gradient[i * VOCAB + ids[i] as usize]) * ROWS as f64;
                (push(config, ratio, probability, advantages, LENGTH), downhill)
            })
            .collect()
    }

    #[test]
    fn the_push_is_the_gradient_of_the_real_loss_at_both_levels_clipped_or_not() {
        let token = |loss_type| LossConfig { level: Level::Token, loss_type, ..LossConfig::default() };
        let forms = [
            LossConfig::default(),
            token(LossType::Grpo),
            token(LossType::Bnpo),
            token(LossType::DrGrpo),
            LossConfig { optimistic_clip: true, ..LossConfig::default() },
            LossConfig { optimistic_clip: true, ..token(LossType::Grpo) },
            LossConfig { delta: Some(1.5), lambda_fid: 0.5, ..LossConfig::default() },
        ];
        for config in forms {
            let config = LossConfig { beta: 0.0, ..config };
            let all = both(&config);
            for (i, (push, gradient)) in all.iter().enumerate() {
                assert!((push - gradient).abs() < 1e-5, "token {i}: {push} is not {gradient} with {config:?}");
            }
            assert!(all.iter().any(|(push, _)| *push == 0.0), "nothing is clipped with {config:?}");
            assert!(all.iter().any(|(push, _)| push.abs() > 0.05), "nothing is pushed with {config:?}");
        }
    }

    #[test]
    fn ratios_are_exactly_one_where_nothing_has_moved() {
        let (own, sequence) = ratios(&[-1.5, -0.25], &[-1.5, -0.25]);
        assert_eq!((own, sequence), (vec![1.0, 1.0], 1.0));
    }
}
