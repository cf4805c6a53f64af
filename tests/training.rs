//! The method as a whole, on the tiny family and the CPU.

use artune::config::RunConfig;
use artune::metrics::Features;
use artune::model::family::{Family, Folders};
use artune::model::mingpt::MinGptConfig;
use artune::model::permuter::Permuter;
use artune::model::policy::PolicyConfig;
use artune::model::weights;
use artune::platform::rng::Key;
use artune::reward::loo_fid::LooFid;
use artune::reward::moments::Moments;
use artune::rl::trainer::{Outcome, Trainer, decode_levels};
use artune::session::studio::Studio;
use artune::session::{Metrics, Options};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;

fn studio(settings: &[(&str, &str)]) -> Studio {
    let mut config = RunConfig::default();
    config
        .apply([("model", "tiny"), ("prompts", "2"), ("num_generations", "4"), ("num_iterations", "2")])
        .expect("valid");
    config.apply(settings.iter().copied()).expect("valid");
    let options = Options { config, device: "cpu".into(), ..Options::default() };
    pollster::block_on(Studio::open(&options, &Device::flex())).expect("a studio")
}

fn update(trainer: &mut Trainer) -> Metrics {
    loop {
        if let Outcome::Update(metrics) = pollster::block_on(trainer.advance()).expect("an update").outcome {
            return metrics;
        }
    }
}

fn policy(trainer: &Trainer) -> Vec<u8> {
    weights::save_bytes(trainer.policy(), false, &[]).expect("bytes")
}

#[test]
fn the_ratio_is_one_before_the_first_inner_step_at_every_batch_size() {
    for (prompts, group, micro) in [("1", "2", "0"), ("3", "5", "4"), ("4", "8", "0"), ("8", "8", "16")] {
        let mut studio = studio(&[("prompts", prompts), ("num_generations", group), ("micro_batch", micro)]);
        let metrics = update(&mut studio.trainer);
        let deviation = metrics["ratio/max_deviation/first"];
        assert!(deviation <= 1e-6, "{prompts} x {group}, micro-batches of {micro}: {deviation}");
        assert!(metrics["ratio/max_deviation"] > 0.0, "the second inner step sees moved weights");
    }
}

#[test]
fn micro_batches_make_the_same_update_as_the_whole_batch() {
    let run = |micro| {
        let mut studio = studio(&[("micro_batch", micro)]);
        (update(&mut studio.trainer), update(&mut studio.trainer))
    };
    let (whole, parts) = (run("0"), run("3"));
    for (a, b) in [(&whole.0, &parts.0), (&whole.1, &parts.1)] {
        for name in ["loss", "kl", "entropy", "grad_norm", "ratio", "reward"] {
            assert!((a[name] - b[name]).abs() <= 1e-4 * (1.0 + a[name].abs()), "{name}: {} {}", a[name], b[name]);
        }
    }
}

#[test]
fn recomputed_activations_make_the_same_update() {
    let run = |checkpointing, micro| {
        let mut studio = studio(&[("checkpointing", checkpointing), ("micro_batch", micro)]);
        (update(&mut studio.trainer), update(&mut studio.trainer))
    };
    let plain = run("false", "0");
    for again in [run("true", "0"), run("true", "3")] {
        for (a, b) in [(&plain.0, &again.0), (&plain.1, &again.1)] {
            for name in ["loss", "kl", "entropy", "grad_norm", "ratio", "reward"] {
                assert!((a[name] - b[name]).abs() <= 1e-4 * (1.0 + a[name].abs()), "{name}: {} {}", a[name], b[name]);
            }
        }
        assert!(again.0["ratio/max_deviation/first"] <= 1e-6, "{}", again.0["ratio/max_deviation/first"]);
    }
}

#[test]
fn the_same_seed_makes_the_same_run_and_another_does_not() {
    let run = |seed| {
        let mut studio = studio(&[("seed", seed)]);
        update(&mut studio.trainer);
        policy(&studio.trainer)
    };
    assert!(run("5") == run("5"));
    assert!(run("5") != run("6"));
}

#[test]
fn a_closed_form_reward_rises_when_it_is_tuned_for() {
    // The shipped model on one class, paid for redness alone: the plainest thing that tuning can do.
    let mut studio = studio(&[
        ("model", "small"),
        ("classes", "heart"),
        ("prompts", "1"),
        ("num_generations", "32"),
        ("clip_weight", "0"),
        ("preference_weight", "0"),
        ("colour_weight", "1"),
        ("loo_fid_weight", "0"),
        ("adaptive_entropy", "false"),
        ("entropy_coef", "0"),
        ("beta", "0"),
        ("learning_rate", "0.0005"),
        ("updates", "12"),
    ]);
    let updates: Vec<Metrics> = (0..12).map(|_| update(&mut studio.trainer)).collect();
    let mean = |u: &[Metrics]| u.iter().map(|m| m["reward"]).sum::<f64>() / u.len() as f64;
    let (first, last, spread) = (mean(&updates[..2]), mean(&updates[10..]), updates[0]["reward_std"]);
    println!("redness {first:.4} -> {last:.4}, spread within a group {spread:.4}");
    assert!(last > first + 0.5 * spread, "redness went from {first:.4} to {last:.4}; spread {spread:.4}");
}

#[test]
fn tamings_prior_learns_by_the_same_trainer_and_goes_on_from_its_state() {
    let device = Device::flex();
    let mut family =
        Family::load(&RunConfig { model: "tiny".into(), ..RunConfig::default() }, Folders::default(), &device)
            .expect("procedural weights");
    let tokens = Tensor::<1, Int>::arange(0..16, &device).reshape([1, 16]);
    let picture = decode_levels(&family, tokens.clone());
    family.config.gpt =
        PolicyConfig::Taming(MinGptConfig { permuter: Permuter::AlternateParsing, ..MinGptConfig::tiny() });
    let written = family.config.gpt.in_turn(tokens);
    assert_eq!(decode_levels(&family, written).into_data(), picture.into_data(), "decoded in the order it was written");
    device.seed(1);
    family.prior = family.config.gpt.init_random_head(&device);
    let mut config = RunConfig::default();
    let settings = [("model", "tiny"), ("prompts", "2"), ("num_generations", "4"), ("quirk_label_dropout", "true")];
    config.apply(settings).expect("valid");
    let new = || {
        let width = family.config.features.features();
        let mut random = Key::new(1).stream();
        let features = Features::new(64, width, (0..64 * width).map(|_| f64::from(random.normal())).collect());
        let moments = Moments::diagonal(&features.expect("whole rows")).expect("enough rows");
        let loo = LooFid::new(moments.clone(), moments, 0.5).expect("of one width");
        let names = (0..16).map(|class| format!("class {class}")).collect();
        Trainer::new(config.clone(), family.clone(), &device, names, loo, 0.9)
    };
    let mut trainer = new();
    let before = policy(&trainer);
    let metrics = update(&mut trainer);
    assert!(metrics.values().all(|value| value.is_finite()), "{metrics:?}");
    assert_eq!((metrics["updates_skipped"], metrics["tokens"]), (0.0, 8.0 * 16.0));
    assert!((metrics["ratio/first"] - 1.0).abs() < 1e-4, "{}", metrics["ratio/first"]);
    assert!(policy(&trainer) != before, "the weights stayed");

    let state = pollster::block_on(trainer.state()).expect("a state");
    let mut again = new();
    again.restore(state).expect("the same shape");
    assert!(policy(&again) == policy(&trainer), "what is restored differs");
    update(&mut trainer);
    update(&mut again);
    assert!(policy(&again) == policy(&trainer), "what follows differs");
}

/// Replaces every number of a network.
struct Fill(f32);

/// Whether every parameter is a finite number.
struct AllFinite(bool);

impl ModuleVisitor for AllFinite {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 &= param.val().abs().sum().into_scalar::<f32>().is_finite();
    }
}

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = self.0;
        param.map(|t| t.zeros_like() + value)
    }
}

#[test]
fn broken_rewards_are_left_out_counted_and_never_reach_the_weights() {
    let mut studio = studio(&[("updates", "3")]);
    let mut family = studio.trainer.family().clone();
    let mut towers = family.clip.expect("the small family scores prompts");
    towers.clip = towers.clip.map(&mut Fill(f32::NAN));
    family.clip = Some(towers);
    studio.trainer.replace_rewards(&family);
    let metrics = update(&mut studio.trainer);
    assert_eq!(metrics["samples_skipped"], 8.0);
    assert!(metrics.values().all(|v| v.is_finite()), "{metrics:?}");
    let mut all = AllFinite(true);
    studio.trainer.policy().visit(&mut all);
    assert!(all.0);
}

#[test]
fn a_broken_gradient_skips_the_update_and_says_so() {
    let mut studio = studio(&[("updates", "3"), ("beta", "3")]);
    // A reference of NaN makes the penalty, and with it the loss and every gradient, NaN.
    let broken = studio.trainer.family().prior.clone().map(&mut Fill(f32::NAN));
    studio.trainer.replace_reference(broken);
    let before = policy(&studio.trainer);
    let metrics = update(&mut studio.trainer);
    assert_eq!(metrics["updates_skipped"], 2.0);
    assert!(policy(&studio.trainer) == before, "the weights moved");
}
