//! The same numbers on a graphics card and on the CPU: every network's forward pass, the tokens of a rollout, and one
//! whole update. Runs on whatever adapter there is (a software one will do); without any it says so and passes.

use artune::config::RunConfig;
use artune::gpu::{adapters, choose};
use artune::model::clip::ClipConfig;
use artune::model::efficientnet::EfficientNetLite0Config;
use artune::model::family::{Family, Folders};
use artune::model::policy::Policy;
use artune::model::weights;
use artune::platform::rng::Key;
use artune::rl::rollout::Rollout;
use artune::rl::sampling::SamplingConfig;
use artune::rl::trainer::Outcome;
use artune::session::studio::Studio;
use artune::session::{self, Command, Event, Exhibit, Metrics, Options, Session, Span, State};
use burn::prelude::*;
use safetensors::SafeTensors;

const EFFICIENTNET: &[u8] = include_bytes!("../assets/efficientnet_lite0_f16.safetensors");

/// The first adapter's device, if there is one. Where `ARTUNE_REQUIRE_GPU` is set there must be.
fn gpu() -> Option<Device> {
    let Some(adapter) = adapters().into_iter().next() else {
        assert!(std::env::var_os("ARTUNE_REQUIRE_GPU").is_none(), "no adapter was found, and one is required");
        println!("no adapter here: nothing to compare");
        return None;
    };
    println!("comparing the CPU with {}", adapter.name);
    Some(choose(&adapter.index.to_string()).expect("a listed adapter opens").device)
}

fn tiny() -> RunConfig {
    RunConfig { model: "tiny".into(), ..RunConfig::default() }
}

fn floats<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().iter::<f32>().collect()
}

fn near(what: &str, a: Vec<f32>, b: Vec<f32>, tolerance: f32) {
    assert_eq!(a.len(), b.len(), "{what}");
    let scale = a.iter().fold(1.0f32, |m, x| m.max(x.abs()));
    let worst = a.iter().zip(&b).fold(0.0f32, |m, (x, y)| m.max((x - y).abs())) / scale;
    println!("{what}: largest difference {worst:.1e} of the largest value");
    assert!(worst <= tolerance, "{what}: {worst}");
}

/// All numbers of a policy, one after the other.
fn parameters(policy: &Policy) -> Vec<f32> {
    let bytes = weights::save_bytes(policy, false, &[]).expect("bytes");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut tensors = file.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let number = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    tensors.iter().flat_map(|(_, t)| t.data().chunks_exact(4).map(number)).collect()
}

/// Pictures `[4, 3, 8, 8]` in [0, 1] that are the same on every device.
fn pictures(device: &Device) -> Tensor<4> {
    let mut random = Key::new(1).stream();
    let values: Vec<f32> = (0..4 * 3 * 64).map(|_| random.uniform()).collect();
    Tensor::from_data(TensorData::new(values, [4, 3, 8, 8]), device)
}

fn ids<const D: usize>(n: usize, below: usize, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    let mut random = Key::new(2).stream();
    let values: Vec<i32> = (0..n).map(|_| random.below(below) as i32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[test]
fn every_network_gives_the_same_on_the_gpu_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let cpu = Device::flex();
    let (a, b) = (
        Family::load(&tiny(), Folders::default(), &cpu).expect("tiny"),
        Family::load(&tiny(), Folders::default(), &gpu).expect("tiny"),
    );
    let text = ClipConfig::tiny().text;
    let run = |f: &Family, d: &Device| {
        let x = pictures(d);
        let (Some(towers), Some(taste)) = (&f.clip, &f.preference) else { panic!("the tiny family scores") };
        let (reconstruction, encoded) = f.tokenizer.forward(x.clone() * 2.0 - 1.0);
        vec![
            ("tokenizer: encoder", floats(encoded.z)),
            ("tokenizer: reconstruction", floats(reconstruction)),
            ("prior: logits", floats(f.prior.forward(ids(4, 16, [4], d), ids(60, 64, [4, 15], d)))),
            ("clip: pictures", floats(towers.clip.encode_image(x.clone()))),
            (
                "clip: text",
                floats(towers.clip.encode_text(ids(
                    2 * text.context_length,
                    text.vocab_size,
                    [2, text.context_length],
                    d,
                ))),
            ),
            ("preference: pictures", floats(taste.clip.encode_image(x.clone()))),
            (
                "preference: text",
                floats(taste.clip.encode_text(ids(
                    2 * text.context_length,
                    text.vocab_size,
                    [2, text.context_length],
                    d,
                ))),
            ),
            ("features", floats(f.features.features(x.clone()))),
            ("judge: logits", floats(f.judge.logits(f.judge.features(x)))),
        ]
    };
    for ((what, on_cpu), (_, on_gpu)) in run(&a, &cpu).into_iter().zip(run(&b, &gpu)) {
        near(what, on_cpu, on_gpu, 1e-4);
    }
    // The evaluation network, with the weights that ship.
    let deep = |d: &Device| {
        let mut network = EfficientNetLite0Config::default().init(d);
        weights::load(&mut network, EFFICIENTNET).expect("the evaluation network");
        floats(network.features(pictures(d).narrow(0, 0, 1)))
    };
    near("efficientnet: features", deep(&cpu), deep(&gpu), 1e-4);
}

#[test]
fn the_same_seed_writes_the_same_tokens_on_the_gpu() {
    let Some(gpu) = gpu() else { return };
    let tokens = |device: &Device| {
        let family = Family::load(&tiny(), Folders::default(), device).expect("tiny");
        let keys = (0..8).map(|i| Key::new(3).fold(i)).collect();
        let sampling = SamplingConfig { guidance: 2.0, top_k: 40, top_p: 0.95, ..SamplingConfig::default() };
        let tokens =
            Rollout::new(&family.prior, &[0, 1, 2, 3, 4, 5, 6, 7], keys, sampling, device).finish(&family.prior);
        pollster::block_on(tokens).into_data().iter::<i32>().collect::<Vec<_>>()
    };
    let (a, b) = (tokens(&Device::flex()), tokens(&gpu));
    let same = a.iter().zip(&b).filter(|(x, y)| x == y).count();
    println!("{same} of {} tokens are equal", a.len());
    assert!(same as f64 >= 0.99 * a.len() as f64, "{same} of {}", a.len());
}

#[test]
fn one_update_makes_the_same_of_the_policy_on_the_gpu() {
    let Some(gpu) = gpu() else { return };
    let update = |device: &Device| -> (Metrics, Vec<f32>, Vec<f32>) {
        let mut config = RunConfig::default();
        config.apply([("model", "tiny"), ("prompts", "2"), ("num_generations", "2")]).expect("valid");
        let options = Options { config, ..Options::default() };
        let mut studio = pollster::block_on(Studio::open(&options, device)).expect("a studio");
        let before = parameters(studio.trainer.policy());
        loop {
            if let Outcome::Update(metrics) = pollster::block_on(studio.trainer.advance()).expect("an update").outcome {
                break (metrics, before, parameters(studio.trainer.policy()));
            }
        }
    };
    let ((a, before, on_cpu), (b, _, on_gpu)) = (update(&Device::flex()), update(&gpu));
    // Adam's first steps are almost of one size in every weight, so a gradient near 0 that rounds to the other side
    // moves its weight the other way: few may, and the moves as a whole must be the same.
    let (mut same, mut squares, mut moved) = (0, [0.0f64; 2], 0.0f64);
    for ((w, x), y) in before.iter().zip(&on_cpu).zip(&on_gpu) {
        let (x, y) = (f64::from(x - w), f64::from(y - w));
        same += usize::from((x - y).abs() <= 0.05 * x.abs().max(1e-6));
        squares[0] += x * x;
        squares[1] += y * y;
        moved += x * y;
    }
    let (share, cosine) = (same as f64 / before.len() as f64, moved / (squares[0] * squares[1]).sqrt());
    println!("{:.2} % of the weights moved alike; cosine of the whole move {cosine:.6}", 100.0 * share);
    assert!(share > 0.97 && cosine > 0.99, "{share} {cosine}");
    for name in ["reward", "entropy", "loss", "kl", "grad_norm", "ratio", "frechet/rewarded"] {
        println!("{name}: {} on the CPU, {} on the GPU", a[name], b[name]);
        assert!((a[name] - b[name]).abs() <= 2e-3 * (1.0 + a[name].abs()), "{name}: {} {}", a[name], b[name]);
    }
    assert!(b["ratio/max_deviation/first"] <= 1e-4, "{}", b["ratio/max_deviation/first"]);
}

/// Lets the engine do `span` and takes what it then shows, if that is something new.
fn shown_after(session: &Session, span: Span) -> Option<Exhibit> {
    session.send(Command::Step(span));
    loop {
        match session.wait().expect("an engine") {
            Event::State(State::Paused) => break,
            Event::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
    session.gallery.take()
}

#[test]
fn pictures_are_painted_for_a_window_on_the_engines_own_gpu_and_read_back_for_any_other() {
    let Some(adapter) = adapters().into_iter().find(|adapter| adapter.backend != "gl") else {
        return println!("no adapter that a window could share");
    };
    let mut config = RunConfig::default();
    config.apply([("model", "tiny"), ("prompts", "2"), ("num_generations", "2")]).expect("valid");
    let options = Options { config, device: adapter.index.to_string(), watched: true, ..Options::default() };
    let (opened, setup) = pollster::block_on(session::open_for_window(&options.device)).expect("a device");
    let session = session::start_for_window(options, opened, setup.as_ref());
    let setup = setup.expect("a device to draw with");
    while !matches!(session.wait().expect("an engine"), Event::State(State::Paused)) {}

    let read_back = shown_after(&session, Span::Token).expect("a preview");
    assert!(read_back.atlas.is_none());
    assert_eq!(read_back.gallery.groups[1].samples[1].rgb.len(), read_back.gallery.side.pow(2) * 3);

    session.draws_with(&setup.device, &setup.queue);
    let painted = shown_after(&session, Span::Token).expect("a preview");
    let layout = painted.atlas.expect("painted").layout();
    assert_eq!((layout.side, layout.capacity()), (painted.gallery.side, 4));
    assert!(painted.gallery.groups.iter().flat_map(|group| &group.samples).all(|sample| sample.rgb.is_empty()));

    let _ = shown_after(&session, Span::Rollout); // writes the other tokens
    let scored = shown_after(&session, Span::Reward).expect("scored pictures");
    assert!(scored.atlas.is_some());
    assert!(scored.gallery.groups.iter().flat_map(|group| &group.samples).all(|sample| !sample.rgb.is_empty()));
    session.join();
}
