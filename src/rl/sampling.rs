//! From logits to a token: guidance, temperature, top-k, top-p, and the draw itself.
//!
//! Nothing here sorts. Sorting on a graphics card goes through the host, and in a browser it cannot; what top-k and
//! top-p need of the order is one *threshold* per row, and a bisection finds that with comparisons and sums.

use burn::prelude::*;
use burn::tensor::activation::softmax;

/// Halvings of the search interval: logits that differ by more than 2⁻⁴⁰ of their row's range are told apart, which
/// is finer than f32 itself for all but the smallest of them.
const BISECTIONS: usize = 40;

/// Lowest temperature, as in LlamaGen's `sample`: below it the draw is greedy anyway.
const MIN_TEMPERATURE: f64 = 1e-5;

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingConfig {
    /// Classifier-free guidance scale `s` in `uncond + s (cond - uncond)`; 1 is off.
    pub guidance: f64,
    /// Logits are divided by this; below 1 likely tokens become likelier.
    pub temperature: f64,
    /// Keep only the `top_k` likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep only the likeliest tokens that together reach this probability; 1 keeps all.
    pub top_p: f64,
    /// With `n > -1`, guide the first `n + 2` tokens only (LlamaGen's rule); -1 guides all.
    pub cfg_interval: i64,
}

impl Default for SamplingConfig {
    /// The policy itself: no guidance, no cut.
    fn default() -> Self {
        Self { guidance: 1.0, temperature: 1.0, top_k: 0, top_p: 1.0, cfg_interval: -1 }
    }
}

impl SamplingConfig {
    /// Whether the token at `position` (0 is the first) is guided.
    pub fn guides(&self, position: usize) -> bool {
        self.guidance != 1.0 && (self.cfg_interval < 0 || position as i64 <= self.cfg_interval + 1)
    }

    /// Guided logits `[batch, vocab]` → logits to draw from: temperature, then top-k, then top-p.
    pub fn warp(&self, logits: Tensor<2>) -> Tensor<2> {
        filter_logits(logits / self.temperature.max(MIN_TEMPERATURE), self.top_k, self.top_p)
    }
}

/// Classifier-free guidance: `uncond + scale (cond - uncond)`, all `[batch, vocab]`.
pub fn guide(cond: Tensor<2>, uncond: Tensor<2>, scale: f64) -> Tensor<2> {
    uncond.clone() + (cond - uncond) * scale
}

/// Logits `[batch, vocab]` with all but the `top_k` likeliest tokens (0: all stay), and of these all but the
/// likeliest that together reach probability `top_p` (1: all stay), set to minus infinity.
///
/// Tokens as likely as the last one kept are kept too, and so is the token that crosses `top_p`: at least one stays.
/// Source: LlamaGen generate.py, `top_k_top_p_filtering` (which keeps only some of the tokens that tie at `top_p`).
pub fn filter_logits(logits: Tensor<2>, top_k: usize, top_p: f64) -> Tensor<2> {
    let mut logits = logits;
    if top_k > 0 && top_k < logits.dims()[1] {
        let ones = logits.ones_like();
        logits = keep(logits, ones, top_k as f64 - 0.5); // fewer than k tokens are likelier
    }
    if top_p < 1.0 {
        let probabilities = softmax(logits.clone(), 1);
        logits = keep(logits, probabilities, top_p);
    }
    logits
}

/// Keeps a token if the tokens *above* it weigh `limit` at most together: `logits` and `weights` `[batch, vocab]`.
///
/// The weight above a threshold only falls as the threshold rises, so the lowest threshold that keeps within `limit`
/// is found by halving an interval.
fn keep(logits: Tensor<2>, weights: Tensor<2>, limit: f64) -> Tensor<2> {
    let shape = logits.dims();
    // `[batch, 1]` → `[batch, 1]`: whether a token of exactly this logit may stay
    let stays = |threshold: Tensor<2>| {
        let below = logits.clone().lower_equal(threshold.expand(shape));
        weights.clone().mask_fill(below, 0.0).sum_dim(1).lower_equal_elem(limit)
    };
    // Tokens that an earlier filter cut are minus infinity; the search is among the others.
    let cut = logits.clone().lower_elem(f32::MIN / 2.0);
    let mut low = logits.clone().mask_fill(cut, f32::MAX).min_dim(1); // [batch, 1]
    let mut high = logits.clone().max_dim(1); // [batch, 1]; nothing is above: it stays
    for _ in 0..BISECTIONS {
        let middle = (low.clone() + high.clone()) * 0.5;
        let stays = stays(middle.clone());
        high = high.mask_where(stays.clone(), middle.clone());
        low = low.mask_where(stays.bool_not(), middle);
    }
    let threshold = high.clone().mask_where(stays(low.clone()), low); // the lowest that stays
    let below = logits.clone().lower(threshold.expand(shape));
    logits.mask_fill(below, f32::NEG_INFINITY)
}

/// The likeliest token of each row, `[batch, vocab]` → `[batch, 1]`. Of logits with standard Gumbel noise
/// ([`crate::gpu::add_gumbel`]) that is a draw from `softmax(logits)`. Of tokens that tie, the lowest id wins.
pub fn likeliest(logits: Tensor<2>) -> Tensor<2, Int> {
    logits.argmax(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows<const N: usize>(values: [f32; N]) -> Tensor<2> {
        Tensor::from_data([values], &Device::flex())
    }

    fn host(t: Tensor<2>) -> Vec<f32> {
        t.into_data().try_to_vec().unwrap()
    }

    /// Which tokens survive.
    fn kept(logits: Tensor<2>, top_k: usize, top_p: f64) -> Vec<usize> {
        let logits = host(filter_logits(logits, top_k, top_p));
        (0..logits.len()).filter(|&i| logits[i].is_finite()).collect()
    }

    #[test]
    fn top_k_keeps_the_likeliest_and_ties_with_the_last() {
        assert_eq!(kept(rows([1.0, 3.0, 2.0, -4.0]), 1, 1.0), [1]);
        assert_eq!(kept(rows([1.0, 3.0, 2.0, -4.0]), 2, 1.0), [1, 2]);
        assert_eq!(kept(rows([2.0, 3.0, 2.0, -4.0]), 2, 1.0), [0, 1, 2]);
        assert_eq!(kept(rows([2.0, 3.0, 2.0, -4.0]), 0, 1.0), [0, 1, 2, 3]);
        assert_eq!(kept(rows([2.0, 3.0, 2.0, -4.0]), 9, 1.0), [0, 1, 2, 3]);
        assert_eq!(kept(rows([1.0, 1.0, 1.0]), 1, 1.0), [0, 1, 2]);
    }

    #[test]
    fn top_p_keeps_the_token_that_crosses() {
        let logits = rows([0.5f32.ln(), 0.3f32.ln(), 0.15f32.ln(), 0.05f32.ln()]);
        assert_eq!(kept(logits.clone(), 0, 0.0), [0]);
        assert_eq!(kept(logits.clone(), 0, 0.4), [0]);
        assert_eq!(kept(logits.clone(), 0, 0.6), [0, 1]);
        assert_eq!(kept(logits.clone(), 0, 0.9), [0, 1, 2]);
        assert_eq!(kept(logits.clone(), 0, 0.99), [0, 1, 2, 3]);
        // Top-k first: the two left have 5/8 and 3/8.
        assert_eq!(kept(logits, 2, 0.6), [0]);
    }

    #[test]
    fn guidance_extrapolates_and_stops_after_its_interval() {
        assert_eq!(host(guide(rows([1.0, 2.0]), rows([0.0, 4.0]), 1.5)), [1.5, 1.0]);
        let on = |cfg_interval, position| {
            SamplingConfig { guidance: 2.0, cfg_interval, ..Default::default() }.guides(position)
        };
        assert!(on(-1, 60) && on(5, 6) && !on(5, 7));
        assert!(!SamplingConfig::default().guides(0));
    }

    #[test]
    fn a_draw_is_greedy_without_noise_and_never_takes_what_is_cut() {
        let ids = |t: Tensor<2, Int>| t.into_data().convert::<i32>().try_to_vec::<i32>().unwrap();
        assert_eq!(ids(likeliest(rows([1.0, 3.0, 3.0]))), [1], "the lowest id of a tie");
        let cut = filter_logits(rows([1.0, 3.0, 2.0]), 1, 1.0);
        assert_eq!(ids(likeliest(cut + rows([99.0, 0.0, 99.0]))), [1], "what is cut is never drawn");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn filters_agree_with_sorting(
            logits in prop::collection::vec(-12f32..12.0, 33),
            top_k in 1usize..34,
            top_p in 0.05f64..0.95,
        ) {
            let tensor: Tensor<2> = Tensor::from_data(TensorData::new(logits.clone(), [1, 33]), &Device::flex());
            let mut order: Vec<usize> = (0..33).collect();
            order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
            let kth = logits[order[top_k - 1]];
            let want: Vec<usize> = (0..33).filter(|&i| logits[i] >= kth).collect();
            prop_assert_eq!(kept(tensor.clone(), top_k, 1.0), want);

            let weight = |i: usize| ((logits[i] - logits[order[0]]) as f64).exp();
            let total: f64 = (0..33).map(weight).sum();
            let mut above = 0.0;
            let mut want = vec![];
            for &i in &order {
                // Too close to call in f32.
                prop_assume!((above / total - top_p).abs() > 1e-5);
                if above / total <= top_p {
                    want.push(i);
                }
                above += weight(i);
            }
            want.sort();
            prop_assert_eq!(kept(tensor, 0, top_p), want);
        }
    }
}
