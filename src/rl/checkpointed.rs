//! The gradient of an update in less memory: activations are computed again where the backward pass needs them.
//!
//! A backward pass keeps what every block computed, and several tensors over the vocabulary. Here the blocks first run
//! without a record, and only what goes *into* each is kept. Then, from the end to the beginning:
//!
//! 1. The head runs over a few positions at a time, and gives log-probabilities and entropies, nothing else.
//! 2. The loss is a function of these alone. It couples all tokens of a sequence (by the mean ratio), so it needs all
//!    of them; its gradients with respect to them, `g` and `h`, are as small as they are.
//! 3. The head runs again over a few positions at a time, with a record: the gradient of `Σ g log p + h H` is that of
//!    the loss, by the chain rule.
//! 4. Each block runs again, last to first, with a record of itself alone: the gradient of `Σ y · dy` with respect to its
//!    input is the `dy` of the block before.
//!
//! The result is the plain gradient up to rounding. The price is one more forward pass of the blocks and two of the head.
//! (Chen et al. 2016, arXiv 1604.06174, with one segment per block; the chunked head is that of Liger-Kernel's
//! `FusedLinearCrossEntropy`, arXiv 2410.10989, for a loss that is not a sum over tokens.)

use std::ops::Range;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::prelude::*;

use super::grpo::{LossOutput, token_log_probs};
use crate::gpu::read::rest;
use crate::model::policy::Policy;

/// Logits that are computed together, at most: 16 MB.
pub const LOGITS: usize = 1 << 22;

/// Log-probabilities and entropies of all `tokens` `[n, t]`, each `[n, t]`, as [`token_log_probs`] of all logits would
/// give them, but never with more than `most` logits (or those of one position) at a time; [`LOGITS`] will do.
pub async fn log_probs(
    model: &Policy,
    classes: Tensor<1, Int>,
    tokens: Tensor<2, Int>,
    most: usize,
) -> (Tensor<2>, Tensor<2>) {
    let (mut x, mask) = begin(model, classes, tokens.clone());
    for block in 0..model.config().n_layer() {
        x = model.block(block, x, mask.clone());
        rest(&x.device()).await;
    }
    head(model, model.predicting(x), tokens, most).await
}

/// Adds the gradient of a loss to `gradients`, and gives the loss back.
///
/// `learner` records gradients, and `acting` is the same network without; `classes` `[n]` and `tokens` `[n, t]` are
/// plain, and `loss` takes log-probabilities and entropies of the tokens, `[n, t]` each, that record gradients. `most`
/// is as for [`log_probs`].
pub async fn backward(
    (learner, acting): (&Policy, &Policy),
    classes: Tensor<1, Int>,
    tokens: Tensor<2, Int>,
    loss: impl FnOnce(Tensor<2>, Tensor<2>) -> LossOutput,
    gradients: &mut GradientsAccumulator<Policy>,
    most: usize,
) -> LossOutput {
    let (mut x, mask) = begin(acting, classes.clone(), tokens.clone());
    let device = x.device();
    let mut inputs = Vec::with_capacity(acting.config().n_layer());
    for block in 0..acting.config().n_layer() {
        inputs.push(x.clone());
        x = acting.block(block, x, mask.clone());
        rest(&device).await;
    }
    let given = x.dims()[1] - tokens.dims()[1]; // positions in front that predict nothing
    let hidden = acting.predicting(x);

    let (logp, entropy) = head(acting, hidden.clone(), tokens.clone(), most).await;
    let (logp, entropy) = (logp.autodiff().require_grad(), entropy.autodiff().require_grad());
    let output = loss(logp.clone(), entropy.clone());
    let slopes = output.total.backward();
    let slopes = (logp.grad(&slopes), entropy.grad(&slopes));

    let mut slope = head_backward(learner, hidden, tokens.clone(), slopes, gradients, most).await;
    if given > 0 {
        let [n, _, dim] = slope.dims();
        slope = Tensor::cat(vec![Tensor::zeros([n, given, dim], &device), slope], 1);
    }
    let mask = mask.autodiff();
    for (block, x) in inputs.into_iter().enumerate().rev() {
        let x = x.autodiff().require_grad();
        let y = learner.block(block, x.clone(), mask.clone());
        let mut grads = (y * slope.autodiff()).sum().backward();
        slope = x.grad_remove(&mut grads).unwrap_or_else(|| x.clone().inner().zeros_like());
        gradients.accumulate(learner, GradientsParams::from_grads(grads, learner));
        rest(&device).await;
    }
    let x = learner.embed(classes.autodiff(), but_the_last(tokens).autodiff());
    let grads = (x * slope.autodiff()).sum().backward();
    gradients.accumulate(learner, GradientsParams::from_grads(grads, learner));
    output
}

/// What goes into the first block, and the mask.
fn begin(model: &Policy, classes: Tensor<1, Int>, tokens: Tensor<2, Int>) -> (Tensor<3>, Tensor<4>) {
    let x = model.embed(classes.clone(), but_the_last(tokens));
    let mask = model.mask(classes, x.dims()[1]);
    (x, mask)
}

/// The last token is predicted, and predicts nothing.
fn but_the_last(tokens: Tensor<2, Int>) -> Tensor<2, Int> {
    let [_, t] = tokens.dims();
    tokens.narrow(1, 0, t - 1)
}

/// Log-probabilities and entropies of `tokens` `[n, t]` from what the last block gives, `[n, t, dim]`.
async fn head(model: &Policy, hidden: Tensor<3>, tokens: Tensor<2, Int>, most: usize) -> (Tensor<2>, Tensor<2>) {
    let (shape, device) = (tokens.dims(), hidden.device());
    let (hidden, tokens, chunks) = rows(hidden, tokens, most / model.config().vocab_size());
    let (mut logp, mut entropy) = (vec![], vec![]);
    for Range { start, end } in chunks {
        let part = hidden.clone().narrow(1, start, end - start);
        let (l, h) = token_log_probs(model.logits(part), tokens.clone().narrow(1, start, end - start));
        logp.push(l);
        entropy.push(h);
        rest(&device).await;
    }
    (Tensor::cat(logp, 1).reshape(shape), Tensor::cat(entropy, 1).reshape(shape))
}

/// The gradient of `Σ g log p + h H` with respect to `hidden` `[n, t, dim]`, for `slopes` `(g, h)`; that of the head's
/// parameters is added to `gradients`.
async fn head_backward(
    learner: &Policy,
    hidden: Tensor<3>,
    tokens: Tensor<2, Int>,
    slopes: (Option<Tensor<2>>, Option<Tensor<2>>),
    gradients: &mut GradientsAccumulator<Policy>,
    most: usize,
) -> Tensor<3> {
    let (shape, device) = (hidden.dims(), hidden.device());
    let (hidden, tokens, chunks) = rows(hidden, tokens, most / learner.config().vocab_size());
    let (g, h) = slopes;
    let [g, h] = [g, h].map(|slope| slope.map(|slope| slope.reshape(tokens.dims())));
    let mut parts = vec![];
    for Range { start, end } in chunks {
        let cut = |slope: &Tensor<2>| slope.clone().narrow(1, start, end - start).autodiff();
        let part = hidden.clone().narrow(1, start, end - start).autodiff().require_grad();
        let chosen = tokens.clone().narrow(1, start, end - start).autodiff();
        let (logp, entropy) = token_log_probs(learner.logits(part.clone()), chosen);
        // A figure that the loss does not use has no slope: its pass over the vocabulary is then never run.
        let weighted =
            [(logp, &g), (entropy, &h)].into_iter().filter_map(|(x, slope)| Some((x * cut(slope.as_ref()?)).sum()));
        let slope = match weighted.reduce(|a, b| a + b) {
            None => part.inner().zeros_like(),
            Some(sum) => {
                let mut grads = sum.backward();
                let slope = part.grad_remove(&mut grads);
                gradients.accumulate(learner, GradientsParams::from_grads(grads, learner));
                slope.unwrap_or_else(|| part.inner().zeros_like())
            }
        };
        parts.push(slope);
        rest(&device).await;
    }
    Tensor::cat(parts, 1).reshape(shape)
}

/// All positions of all sequences in one row, `[1, n * t, dim]` and `[1, n * t]`, and what of it is done together: `most`
/// positions, but at least one.
fn rows(hidden: Tensor<3>, tokens: Tensor<2, Int>, most: usize) -> (Tensor<3>, Tensor<2, Int>, Vec<Range<usize>>) {
    let [n, t, dim] = hidden.dims();
    let size = most.max(1);
    let chunks = (0..n * t).step_by(size).map(|start| start..(start + size).min(n * t)).collect();
    (hidden.reshape([1, n * t, dim]), tokens.reshape([1, n * t]), chunks)
}

#[cfg(test)]
mod tests {
    use burn::module::{ModuleVisitor, Param};

    use super::*;
    use crate::gpu::{adapters, choose};
    use crate::model::transformer::{GptConfig, ModelType};
    use crate::rl::grpo::{self, Level, LossConfig, LossInput, Normaliser};

    /// Every gradient, by parameter; empty where there is none.
    struct All<'a>(&'a GradientsParams, Vec<Vec<f32>>);

    impl ModuleVisitor for All<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values = self.0.get::<D>(param.id).map(|grad| grad.into_data().iter::<f32>().collect());
            self.1.push(values.unwrap_or_default());
        }
    }

    fn all(model: &Policy, mut gradients: GradientsAccumulator<Policy>) -> Vec<Vec<f32>> {
        let gradients = gradients.grads();
        let mut all = All(&gradients, vec![]);
        model.visit(&mut all);
        all.1
    }

    const ROWS: usize = 4;
    /// Of the tiny network's 64 positions, 11 together: the last part is smaller than the others.
    const MOST: usize = 11 * 64;

    /// A tiny network of classes or of captions, two of them padded.
    fn learner(config: &GptConfig, device: &Device) -> Policy {
        let model = config.init_random_head(device);
        if config.model_type == ModelType::C2i {
            return Policy::LlamaGen(model);
        }
        let numbers = ROWS * config.cls_token_num * config.caption_dim;
        let features: Vec<f32> = (0..numbers).map(|i| (i as f32).sin()).collect();
        let features = TensorData::new(features, [ROWS, config.cls_token_num, config.caption_dim]);
        let mask = Tensor::from_data([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]], device);
        Policy::LlamaGen(model.with_captions(Tensor::from_data(features, device), mask).expect("captions that fit"))
    }

    fn loss(level: Level, logp: Tensor<2>, entropy: Tensor<2>) -> LossOutput {
        let [rows, length] = logp.dims();
        // Ratios on both sides of the bounds, and a reference that is neither.
        let moved = |by: f32| {
            let steps: Vec<f32> = (0..rows * length).map(|i| by * (i as f32 * 0.7).sin()).collect();
            logp.clone().inner()
                + Tensor::from_data(TensorData::new(steps, [rows, length]), &logp.clone().inner().device())
        };
        let config = LossConfig { level, ..LossConfig::default() };
        let input = LossInput {
            old_logp: moved(0.4).autodiff(),
            ref_logp: Some(moved(-0.3).autodiff()),
            mask: None,
            instance_advantage: Tensor::from_data([1.0, -0.5, 0.25, -2.0], &logp.device()),
            distribution_advantage: Some(Tensor::from_data([-1.0, 0.5, 1.5, 0.0], &logp.device())),
            alpha: 0.01,
            normaliser: Normaliser::full(rows, length),
            logp,
            entropy,
        };
        grpo::loss(&config, input)
    }

    fn same_gradient_and_figures(config: &GptConfig, level: Level, plain: &Device) {
        let learner = learner(config, &plain.clone().autodiff());
        let acting = learner.valid();
        let classes = Tensor::<1, Int>::from_data([0, 3, 1, 2], plain);
        let tokens: Vec<i32> = (0..ROWS * config.block_size).map(|i| (i * 37 % config.vocab_size) as i32).collect();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [ROWS, config.block_size]), plain);

        let ids = tokens.clone().autodiff();
        let logits = learner.forward(classes.clone().autodiff(), but_the_last(tokens.clone()).autodiff());
        let (logp, entropy) = token_log_probs(logits, ids);
        let want = loss(level, logp, entropy);
        let mut wanted = GradientsAccumulator::new();
        wanted.accumulate(&learner, GradientsParams::from_grads(want.total.backward(), &learner));

        let mut got = GradientsAccumulator::new();
        let pass = backward((&learner, &acting), classes, tokens, |l, h| loss(level, l, h), &mut got, MOST);
        let output = pollster::block_on(pass);

        let figures = |output: LossOutput| output.stats.inner().into_data().iter::<f32>().collect::<Vec<_>>();
        for ((name, got), want) in grpo::STATS.iter().zip(figures(output)).zip(figures(want)) {
            assert!((got - want).abs() <= 1e-5 * (1.0 + want.abs()), "{name}: {got}, not {want}");
        }
        let (got, wanted) = (all(&learner, got), all(&learner, wanted));
        let with = wanted.iter().filter(|gradient| !gradient.is_empty()).count();
        assert_eq!(with, learner_tensors(config), "parameters with a gradient");
        for (i, (got, want)) in got.iter().zip(&wanted).enumerate() {
            assert_eq!(got.len(), want.len(), "parameter {i}");
            let largest = want.iter().fold(0f32, |m, x| m.max(x.abs()));
            let worst = got.iter().zip(want).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            println!("parameter {i}: {worst:.1e} of {largest:.1e}");
            assert!(worst <= 1e-5 * largest, "parameter {i}: {worst} of {largest}");
        }
    }

    /// Condition, tokens, final norm and head; two norms, two attention and three feed-forward weights per block.
    fn learner_tensors(config: &GptConfig) -> usize {
        let condition = if config.model_type == ModelType::C2i { 1 } else { 2 };
        condition + 3 + 7 * config.n_layer
    }

    fn text() -> GptConfig {
        GptConfig { model_type: ModelType::T2i, cls_token_num: 3, caption_dim: 8, ..GptConfig::tiny() }
    }

    #[test]
    fn the_gradient_is_the_plain_one_of_classes_and_captions_at_both_levels() {
        let device = Device::flex();
        let shared = GptConfig { n_kv_head: Some(1), ..GptConfig::tiny() };
        for config in [GptConfig::tiny(), shared, text()] {
            for level in [Level::Sequence, Level::Token] {
                same_gradient_and_figures(&config, level, &device);
            }
        }
    }

    #[test]
    fn the_gradient_is_the_plain_one_on_a_graphics_device() {
        let Some(adapter) = adapters().into_iter().next() else {
            return println!("no adapter here: nothing to compare");
        };
        let device = choose(&adapter.index.to_string()).expect("a listed adapter opens").device;
        for config in [GptConfig::tiny(), text()] {
            same_gradient_and_figures(&config, Level::Sequence, &device);
        }
    }

    #[test]
    fn log_probabilities_are_those_of_all_logits_together() {
        let device = Device::flex();
        let model = Policy::LlamaGen(GptConfig::tiny().init_random_head(&device));
        let tokens: Vec<i32> = (0..5 * 16).map(|i| i * 37 % 64).collect();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [5, 16]), &device);
        let classes = Tensor::<1, Int>::from_data([0, 3, 1, 2, 16], &device);
        let want = token_log_probs(model.forward(classes.clone(), but_the_last(tokens.clone())), tokens.clone());
        let got = pollster::block_on(log_probs(&model, classes, tokens, MOST));
        for (got, want) in [(got.0, want.0), (got.1, want.1)] {
            let worst = (got - want).abs().max().into_scalar::<f32>();
            assert!(worst < 1e-6, "{worst}");
        }
    }
}
