//! Properties of the policy-gradient arithmetic: finite differences of the loss in both forms, advantages, clipping,
//! micro-batches, the first-step ratio, and the KL estimate. All on the CPU device.

use artune::platform::rng::Key;
use artune::rl::advantage::group_advantages;
use artune::rl::grpo::{
    Level, LossConfig, LossInput, LossOutput, LossType, Normaliser, STATS, loss, merge_stats, token_log_probs,
};
use burn::prelude::*;
use burn::tensor::DType;
use proptest::prelude::*;

/// A whole batch on the host, in f64 so that finite differences are sharp.
#[derive(Clone)]
struct Batch {
    size: [usize; 3],
    logits: Vec<f64>,
    tokens: Vec<i32>,
    old: Vec<f64>,
    reference: Vec<f64>,
    mask: Option<Vec<f64>>,
    instance: Vec<f64>,
    distribution: Option<Vec<f64>>,
    alpha: f64,
}

impl Batch {
    /// Random logits; old and reference log-probabilities `spread` away from the current ones.
    fn random(seed: u64, size: [usize; 3], spread: f64) -> Self {
        let [b, t, v] = size;
        let normals = |salt: u64, n: usize| normals(Key::new(seed).fold(salt), n);
        let logits: Vec<f64> = normals(0, b * t * v).iter().map(|x| 1.5 * x).collect();
        let mut ids = Key::new(seed).fold(1).stream();
        let tokens: Vec<i32> = (0..b * t).map(|_| ids.below(v) as i32).collect();
        let mut batch = Self {
            size,
            logits,
            tokens,
            old: vec![],
            reference: vec![],
            mask: None,
            instance: normals(2, b),
            distribution: Some(normals(3, b)),
            alpha: 0.02,
        };
        let logp = values(batch.log_probs(0..b).0);
        let near = |salt: u64| logp.iter().zip(normals(salt, b * t)).map(|(l, n)| l + spread * n).collect();
        (batch.old, batch.reference) = (near(4), near(5));
        batch
    }

    /// Hides the last token of every other row.
    fn masked(mut self) -> Self {
        let [b, t, _] = self.size;
        self.mask = Some((0..b * t).map(|i| if i / t % 2 == 1 && i % t == t - 1 { 0.0 } else { 1.0 }).collect());
        self
    }

    fn normaliser(&self) -> Normaliser {
        let [b, t, _] = self.size;
        let tokens = self.mask.as_ref().map_or((b * t) as f64, |m| m.iter().sum());
        Normaliser { tokens, ..Normaliser::full(b, t) }
    }

    /// Tracked logits of some rows, `[rows, seq, vocab]`.
    fn logits(&self, rows: std::ops::Range<usize>) -> Tensor<3> {
        let [_, t, v] = self.size;
        let data = self.logits[rows.start * t * v..rows.end * t * v].to_vec();
        tensor(data, [rows.len(), t, v]).require_grad()
    }

    fn log_probs(&self, rows: std::ops::Range<usize>) -> (Tensor<2>, Tensor<2>, Tensor<3>) {
        let (t, logits) = (self.size[1], self.logits(rows.clone()));
        let ids = TensorData::new(self.tokens[rows.start * t..rows.end * t].to_vec(), [rows.len(), t]);
        let (logp, entropy) = token_log_probs(logits.clone(), Tensor::from_data(ids, &device()));
        (logp, entropy, logits)
    }

    /// Loss of some rows, divided by the counts of the whole batch, and the logits to differentiate by.
    fn loss(&self, config: &LossConfig, rows: std::ops::Range<usize>) -> (LossOutput, Tensor<3>) {
        let t = self.size[1];
        let (logp, entropy, logits) = self.log_probs(rows.clone());
        let per_token = |x: &[f64]| tensor(x[rows.start * t..rows.end * t].to_vec(), [rows.len(), t]);
        let per_row = |x: &[f64]| tensor(x[rows.clone()].to_vec(), [rows.len()]);
        let input = LossInput {
            logp,
            entropy,
            old_logp: per_token(&self.old),
            ref_logp: Some(per_token(&self.reference)),
            mask: self.mask.as_deref().map(per_token),
            instance_advantage: per_row(&self.instance),
            distribution_advantage: self.distribution.as_deref().map(per_row),
            alpha: self.alpha,
            normaliser: self.normaliser(),
        };
        (loss(config, input), logits)
    }

    fn value(&self, config: &LossConfig) -> f64 {
        values(self.loss(config, 0..self.size[0]).0.total)[0]
    }

    fn gradient(&self, config: &LossConfig, rows: std::ops::Range<usize>) -> Vec<f64> {
        let (out, logits) = self.loss(config, rows);
        values(logits.grad(&out.total.backward()).expect("the loss depends on the logits"))
    }
}

fn normals(key: Key, n: usize) -> Vec<f64> {
    let mut stream = key.stream();
    (0..n).map(|_| f64::from(stream.normal())).collect()
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn tensor<const D: usize>(data: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(data, shape), (&device(), DType::F64))
}

fn values<const D: usize>(t: Tensor<D>) -> Vec<f64> {
    t.into_data().convert::<f64>().try_to_vec::<f64>().expect("f64 values")
}

fn stat(stats: &Tensor<1>, name: &str) -> f64 {
    values(stats.clone())[STATS.iter().position(|n| *n == name).expect("a name of STATS")]
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { m.max(d) })
}

/// Every form of the loss.
fn forms() -> Vec<LossConfig> {
    let base = LossConfig { beta: 0.5, epsilon_high: 0.28, ..LossConfig::default() };
    let token = |loss_type| LossConfig { level: Level::Token, loss_type, ..base.clone() };
    vec![
        base.clone(),
        LossConfig { optimistic_clip: true, ..base.clone() },
        LossConfig { delta: Some(1.1), ..base.clone() },
        token(LossType::Grpo),
        token(LossType::Bnpo),
        token(LossType::DrGrpo),
        LossConfig { delta: Some(1.5), ..token(LossType::Grpo) },
        LossConfig { optimistic_clip: true, ..token(LossType::Bnpo) },
    ]
}

#[test]
fn gradients_match_finite_differences() {
    const H: f64 = 1e-5;
    for (i, config) in forms().iter().enumerate() {
        for masked in [false, true] {
            let batch = Batch::random(11 + i as u64, [4, 3, 5], 0.3);
            let batch = if masked { batch.masked() } else { batch };
            let gradient = batch.gradient(config, 0..4);
            let numeric: Vec<f64> = (0..batch.logits.len())
                .map(|j| {
                    let moved = |by: f64| {
                        let mut moved = batch.clone();
                        moved.logits[j] += by;
                        moved.value(config)
                    };
                    (moved(H) - moved(-H)) / (2.0 * H)
                })
                .collect();
            let d = largest_difference(&gradient, &numeric);
            let size = gradient.iter().fold(0.0f64, |m, g| m.max(g.abs()));
            println!("{config:?} masked {masked}: max |d| = {d:.2e} of {size:.2e}");
            assert!(size > 1e-3 && d < 1e-7, "{config:?}, masked {masked}: {d:.3e} of {size:.3e}");
        }
    }
}

#[test]
fn micro_batches_add_up_to_the_big_batch() {
    for config in forms() {
        let batch = Batch::random(3, [8, 5, 7], 0.3).masked();
        let whole = batch.gradient(&config, 0..8);
        let stats = batch.loss(&config, 0..8).0.stats;
        for cuts in [vec![0..4, 4..8], vec![0..1, 1..3, 3..8], (0..8).map(|i| i..i + 1).collect()] {
            let parts: Vec<f64> = cuts.iter().flat_map(|rows| batch.gradient(&config, rows.clone())).collect();
            let d = largest_difference(&parts, &whole);
            assert!(d < 1e-12, "{config:?}, {cuts:?}: gradients differ by {d:.3e}");
            let merged = cuts.iter().map(|rows| batch.loss(&config, rows.clone()).0.stats).reduce(merge_stats);
            let d = largest_difference(&values(merged.expect("at least one part")), &values(stats.clone()));
            assert!(d < 1e-12, "{config:?}, {cuts:?}: figures differ by {d:.3e}");
        }
    }
}

/// As in training: scored once for the whole batch in f32, then again in micro-batches of another size.
#[test]
fn the_ratio_is_exactly_one_at_the_first_step_at_every_batch_size() {
    let (t, v) = (6, 33);
    let logits: Vec<f32> = normals(Key::new(5), 64 * t * v).iter().map(|x| 4.0 * *x as f32).collect();
    let logits = Tensor::<1>::from_data(logits.as_slice(), &Device::flex()).reshape([64, t, v]);
    let mut ids = Key::new(6).stream();
    let tokens: Vec<i32> = (0..64 * t).map(|_| ids.below(v) as i32).collect();
    let tokens = Tensor::<1, Int>::from_data(tokens.as_slice(), &Device::flex()).reshape([64, t]);
    let (old, _) = token_log_probs(logits.clone(), tokens.clone());
    for level in [Level::Sequence, Level::Token] {
        for size in 1..=64 {
            let first = |x: Tensor<2>| x.narrow(0, 0, size);
            let batch = logits.clone().narrow(0, 0, size).autodiff().require_grad();
            let (logp, entropy) = token_log_probs(batch, tokens.clone().narrow(0, 0, size));
            let out = loss(
                &LossConfig { level, ..LossConfig::default() },
                LossInput {
                    logp,
                    entropy,
                    old_logp: first(old.clone()),
                    ref_logp: Some(first(old.clone())),
                    mask: None,
                    instance_advantage: Tensor::ones([size], &Device::flex()),
                    distribution_advantage: None,
                    alpha: 0.0,
                    normaliser: Normaliser::full(size, t),
                },
            );
            assert_eq!(stat(&out.stats, "ratio/max_deviation"), 0.0, "{level:?}, batch {size}");
            assert!(stat(&out.stats, "kl").abs() < 1e-7, "{level:?}, batch {size}");
        }
    }
}

#[test]
fn mask_like_logits_give_no_nan() {
    for low in [-1e4f32, -1e9, -1e30, f32::MIN] {
        let logits = Tensor::<3>::from_data([[[low, 0.5, low], [1.0, low, 2.0]]], &device()).require_grad();
        // The second token is itself one of the impossible ones.
        let (logp, entropy) = token_log_probs(logits.clone(), Tensor::from_data([[1, 1]], &device()));
        let [a, b] = values(logp.clone())[..] else { unreachable!("two tokens") };
        assert!(a.abs() < 1e-6 && b < -9e3, "{low}: {a} {b}");
        let h = values(entropy.clone());
        assert!(h[0].abs() < 1e-6 && (h[1] - 0.582_203).abs() < 1e-5, "{low}: {h:?}");
        let out = loss(
            &LossConfig::default(),
            LossInput {
                old_logp: logp.clone().detach(),
                ref_logp: Some(logp.clone().detach()),
                logp,
                entropy,
                mask: None,
                instance_advantage: Tensor::ones([1], &device()),
                distribution_advantage: None,
                alpha: 0.01,
                normaliser: Normaliser::full(1, 2),
            },
        );
        let gradient = values(logits.grad(&out.total.backward()).expect("the loss depends on the logits"));
        assert!(gradient.iter().chain(&values(out.stats)).all(|x| x.is_finite()), "{low}: {gradient:?}");
    }
}

/// The policy loss alone: its gradient is 0 where the bound holds, and pushes with the advantage's sign elsewhere.
#[test]
fn clipping_stops_the_gradient_outside_the_trust_region_in_the_right_direction() {
    for level in [Level::Sequence, Level::Token] {
        // (log-ratio, advantage, does the standard loss stop, does the optimistic one)
        for (log_ratio, advantage, standard, optimistic) in [
            (0.5, 1.0, true, false),
            (0.5, -1.0, false, true),
            (-0.5, 1.0, false, true),
            (-0.5, -1.0, true, false),
            (0.1, 1.0, false, false),
            (-0.1, -1.0, false, false),
        ] {
            for (optimistic_clip, stops) in [(false, standard), (true, optimistic)] {
                let mut batch = Batch::random(9, [1, 4, 6], 0.0);
                batch.old.iter_mut().for_each(|l| *l -= log_ratio);
                (batch.instance, batch.distribution, batch.alpha) = (vec![advantage], None, 0.0);
                let config = LossConfig { level, optimistic_clip, beta: 0.0, ..LossConfig::default() };
                let (out, logits) = batch.loss(&config, 0..1);
                let name = if log_ratio > 0.0 { "clip_ratio/high" } else { "clip_ratio/low" };
                let share = stat(&out.stats, name);
                assert!((share - if stops { 1.0 } else { 0.0 }).abs() < 1e-12, "{name} = {share}");
                let gradient = values(logits.grad(&out.total.backward()).expect("a gradient"));
                if stops {
                    assert!(gradient.iter().all(|g| *g == 0.0), "{level:?} {log_ratio} {advantage}: {gradient:?}");
                } else {
                    // Descent raises the logit of the chosen token exactly when the advantage is positive.
                    for (row, &token) in batch.tokens.iter().enumerate() {
                        assert!(gradient[row * 6 + token as usize] * advantage < 0.0);
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn advantages_sum_to_zero_with_unit_spread(
        rewards in prop::collection::vec(-10.0..10.0f64, 24), group in prop::sample::select(vec![2, 3, 4, 6, 8, 12, 24]),
    ) {
        for chunk in group_advantages(&rewards, group, true, 0.0).unwrap().values.chunks(group) {
            let n = chunk.len() as f64;
            let sum: f64 = chunk.iter().sum();
            let spread = chunk.iter().map(|a| (a - sum / n).powi(2)).sum::<f64>() / (n - 1.0);
            prop_assert!(sum.abs() < 1e-9);
            prop_assert!((spread - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn advantages_ignore_shift_and_scale_of_the_rewards(
        rewards in prop::collection::vec(-1.0..1.0f64, 12), shift in -5.0..5.0f64, scale in 0.1..10.0f64,
    ) {
        let moved: Vec<f64> = rewards.iter().map(|r| scale * r + shift).collect();
        let plain = group_advantages(&rewards, 4, true, 0.0).unwrap().values;
        let moved = group_advantages(&moved, 4, true, 0.0).unwrap().values;
        prop_assert!(largest_difference(&plain, &moved) < 1e-6);
    }

    #[test]
    fn one_broken_reward_leaves_its_siblings_as_if_it_were_absent(
        rewards in prop::collection::vec(-1.0..1.0f64, 6), at in 0..6usize,
        broken in prop::sample::select(vec![f64::NAN, f64::INFINITY]),
    ) {
        let mut with = rewards.clone();
        with[at] = broken;
        let mut without = rewards;
        without.remove(at);
        let mut with = group_advantages(&with, 6, true, 1e-4).unwrap();
        prop_assert_eq!((with.skipped, with.values.remove(at)), (1, 0.0));
        prop_assert_eq!(with.values, group_advantages(&without, 5, true, 1e-4).unwrap().values);
    }

    #[test]
    fn the_kl_estimate_is_never_negative_and_zero_at_the_reference(seed in 0..1000u64, spread in 0.0..2.0f64) {
        for level in [Level::Sequence, Level::Token] {
            let config = LossConfig { level, ..LossConfig::default() };
            let mut batch = Batch::random(seed, [2, 3, 5], spread);
            // e^d - d - 1 loses about one unit in the last place of 1.
            prop_assert!(values(batch.loss(&config, 0..2).0.terms.kl).iter().all(|k| *k > -1e-15));
            batch.reference = values(batch.log_probs(0..2).0);
            prop_assert!(values(batch.loss(&config, 0..2).0.terms.kl).iter().all(|k| *k == 0.0));
        }
    }

    #[test]
    fn entropy_lies_between_zero_and_log_vocab(seed in 0..1000u64) {
        let batch = Batch::random(seed, [2, 3, 17], 0.0);
        let (logp, entropy, _) = batch.log_probs(0..2);
        prop_assert!(values(entropy).iter().all(|h| (0.0..=17f64.ln()).contains(h)));
        prop_assert!(values(logp).iter().all(|l| *l <= 0.0));
    }
}
