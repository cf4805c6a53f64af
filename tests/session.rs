//! The session protocol: steps add up to a run, knobs turn without a reset, and a killed run goes on bit for bit.

use std::fs;
use std::path::Path;

use artune::config::{Kind, PARAMS, RunConfig};
use artune::platform::rng::Key;
use artune::session::{
    Command, Event, Gallery, Metrics, Options, Question, Session, Span, State, start, tools, whatif,
};

/// The tiny family on the CPU, a few small updates, nothing evaluated.
fn options(out: Option<&Path>) -> Options {
    let mut config = RunConfig::default();
    let settings = [
        ("model", "tiny"),
        ("updates", "4"),
        ("prompts", "2"),
        ("num_generations", "4"),
        ("num_iterations", "2"),
        ("eval_every", "0"),
        ("sample_every", "0"),
        ("checkpoint_every", "1"),
    ];
    config.apply(settings).expect("valid settings");
    Options { config, device: "cpu".into(), out: out.map(Path::to_owned), ..Options::default() }
}

/// Waits for an event that `pick` accepts; a failure of the engine fails the test.
fn wait<T>(session: &Session, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
    loop {
        let event = session.wait().expect("the engine lives");
        if let Event::Failed { error, advice } = &event {
            panic!("{error}\n{advice}");
        }
        if let Some(found) = pick(&event) {
            return found;
        }
    }
}

fn next_update(session: &Session) -> (u64, Metrics) {
    wait(session, |e| match e {
        Event::Update { update, metrics } => Some((*update, metrics.clone())),
        _ => None,
    })
}

fn until(session: &Session, state: State) {
    wait(session, |e| matches!(e, Event::State(s) if *s == state).then_some(()));
}

/// Scalars that do not depend on the clock.
fn timeless(metrics: &Metrics) -> Metrics {
    metrics
        .iter()
        .filter(|(name, _)| !["time", "tokens_per_second", "step_time"].iter().any(|t| name.starts_with(t)))
        .map(|(name, value)| (name.clone(), *value))
        .collect()
}

/// The policy's weights of the newest checkpoint, as the user would export them.
fn policy(out: &Path) -> Vec<u8> {
    let path = out.join("policy.safetensors");
    tools::export(&options(None), out, false, &path).expect("exported");
    fs::read(path).expect("bytes")
}

#[test]
fn a_run_that_was_stopped_and_resumed_equals_one_that_was_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));

    let session = start(Options { autostart: true, ..options(Some(&whole)) });
    until(&session, State::Finished);
    session.join();

    let session = start(options(Some(&parts)));
    until(&session, State::Paused);
    session.send(Command::Step(Span::Update));
    next_update(&session);
    session.send(Command::Step(Span::Update));
    next_update(&session);
    // In the middle of the third update: its tokens are thrown away and written again, the same.
    session.send(Command::Step(Span::Token));
    session.join();
    let session = start(Options { resume: true, autostart: true, ..options(Some(&parts)) });
    let (update, _) = next_update(&session);
    assert_eq!(update, 3);
    until(&session, State::Finished);
    session.join();

    assert!(policy(&whole) == policy(&parts), "the weights differ");
    let lines = |out: &Path| -> Vec<Metrics> {
        let text = fs::read_to_string(out.join("metrics.jsonl")).expect("metrics");
        text.lines().map(|l| timeless(&serde_json::from_str(l).expect("a line of scalars"))).collect()
    };
    assert_eq!(lines(&whole), lines(&parts));
    assert_eq!(lines(&whole).len(), 4);
}

#[test]
fn steps_of_every_size_add_up_to_a_run() {
    let run = start(Options { autostart: true, ..options(None) });
    let (_, want) = next_update(&run);
    run.join();

    let session = start(Options { watched: true, ..options(None) });
    until(&session, State::Paused);
    // The token step begins all pictures together, so that the first picture to be complete completes the rollout.
    for span in [Span::Token, Span::Image, Span::Reward, Span::Advantage] {
        session.send(Command::Step(span));
        until(&session, State::Paused);
    }
    session.send(Command::Step(Span::Update));
    let (_, got) = next_update(&session);
    assert_eq!(timeless(&got), timeless(&want));
}

#[test]
fn pictures_can_be_written_one_after_another_and_are_the_same() {
    let run = start(Options { watched: true, ..options(None) });
    until(&run, State::Paused);
    run.send(Command::Step(Span::Rollout));
    until(&run, State::Running);
    until(&run, State::Paused);
    run.send(Command::Step(Span::Reward));
    until(&run, State::Running);
    until(&run, State::Paused);
    let together = run.gallery.take().expect("pictures").gallery;

    let session = start(Options { watched: true, ..options(None) });
    until(&session, State::Paused);
    for image in 1..=8 {
        session.send(Command::Step(Span::Image));
        until(&session, State::Running);
        until(&session, State::Paused);
        let gallery = session.gallery.take();
        if image < 8 {
            let (done, all) = gallery.expect("a preview").gallery.tokens;
            assert_eq!(done * 8, all * image, "whole pictures");
        }
    }
    session.send(Command::Step(Span::Reward));
    until(&session, State::Running);
    until(&session, State::Paused);
    let alone = session.gallery.take().expect("pictures").gallery;
    let pictures = |gallery: &Gallery| -> Vec<Vec<u8>> {
        gallery.groups.iter().flat_map(|group| group.samples.iter().map(|sample| sample.rgb.clone())).collect()
    };
    assert!(pictures(&together) == pictures(&alone), "the pictures differ");
}

/// One update, and its scalars.
fn step(session: &Session) -> Metrics {
    session.send(Command::Step(Span::Update));
    let (_, metrics) = next_update(session);
    timeless(&metrics)
}

fn set(session: &Session, name: &str, value: &str) {
    session.send(Command::Set { name: name.into(), value: value.into() });
    wait(session, |e| matches!(e, Event::Changed { .. }).then_some(()));
}

fn rewind(session: &Session, to: u64) -> (u64, RunConfig) {
    session.send(Command::Rewind(to));
    wait(session, |e| match e {
        Event::Rewound { update, config, .. } => Some((*update, (**config).clone())),
        _ => None,
    })
}

#[test]
fn rewinding_brings_back_weights_and_settings_exactly_from_a_keyframe_or_by_replaying() {
    // One byte: only the first and the newest keyframe stay, so that the way back leads over updates made again.
    for keyframe_bytes in [usize::MAX, 1] {
        let session = start(Options { watched: true, keyframe_bytes, ..options(None) });
        until(&session, State::Paused);
        step(&session);
        set(&session, "learning_rate", "1e-3");
        let second = step(&session);
        set(&session, "guidance", "2.5");
        let third = step(&session);

        let (update, config) = rewind(&session, 2);
        assert_eq!((update, config.learning_rate, config.guidance), (2, 1e-3, RunConfig::default().guidance));
        set(&session, "guidance", "2.5");
        assert_eq!(step(&session), third, "after going back with {keyframe_bytes} bytes");

        let (update, config) = rewind(&session, 1);
        assert_eq!((update, config.learning_rate), (1, RunConfig::default().learning_rate));
        set(&session, "learning_rate", "1e-3");
        assert_eq!(step(&session), second);
    }
}

#[test]
fn a_rewound_run_goes_on_in_a_new_folder_and_the_old_one_keeps_what_came_after() {
    let dir = tempfile::tempdir().expect("a folder");
    let (old, new) = (dir.path().join("run"), dir.path().join("run-2"));
    let session = start(Options { watched: true, ..options(Some(&old)) });
    until(&session, State::Paused);
    (0..3).for_each(|_| _ = step(&session));
    rewind(&session, 1);
    step(&session);
    session.join();
    assert_eq!((updates(&old), updates(&new)), (vec![1, 2, 3], vec![1, 2]));
    assert!(old.join("checkpoints/000003.safetensors").exists() && new.join("checkpoints/000002.safetensors").exists());
}

#[test]
fn a_fader_moved_before_the_training_pays_the_waiting_pictures_anew() {
    let session = start(Options { watched: true, ..options(None) });
    until(&session, State::Paused);
    session.send(Command::Step(Span::Advantage));
    until(&session, State::Running);
    until(&session, State::Paused);
    let before = session.gallery.take().expect("pictures").gallery;
    set(&session, "clip_weight", "0");
    set(&session, "preference_weight", "0");
    set(&session, "brightness_weight", "1");
    let after = session.gallery.take().expect("pictures paid anew").gallery;
    let config = RunConfig { clip_weight: 0.0, preference_weight: 0.0, brightness_weight: 1.0, ..Default::default() };
    let want = whatif::advantages_under(&before, &config).expect("scored");
    let got: Vec<Vec<(f64, f64)>> = (after.groups.iter())
        .map(|group| group.samples.iter().filter_map(|sample| sample.advantage).collect())
        .collect();
    assert_eq!(got, want);
    assert_ne!(whatif::advantages_under(&before, &RunConfig::default()), Some(want));
}

#[test]
fn a_knob_turns_without_a_reset_and_a_wrong_one_is_refused() {
    let session = start(options(None));
    until(&session, State::Paused);
    session.send(Command::Step(Span::Update));
    next_update(&session);
    session.send(Command::Set { name: "learning_rate".into(), value: "0".into() });
    session.send(Command::Set { name: "learning_rat".into(), value: "1".into() });
    session.send(Command::Set { name: "guidance".into(), value: "2.5".into() });
    let (mut changed, mut warnings) = (vec![], vec![]);
    wait(&session, |e| {
        match e {
            Event::Changed { name, value } => changed.push(format!("{name}={value}")),
            Event::Warning(text) => warnings.push(text.clone()),
            _ => {}
        }
        (changed.iter().any(|c| c.starts_with("guidance"))).then_some(())
    });
    assert!(changed.contains(&"guidance=2.5".to_string()));
    assert!(warnings.iter().any(|w| w.contains("learning_rat")), "{warnings:?}");
    session.send(Command::Step(Span::Update));
    assert_eq!(next_update(&session).0, 2, "the run went on where it was");
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let session = start(Options { autostart: true, ..options(Some(dir.path())) });
    until(&session, State::Finished);
    session.join();
    let newest = dir.path().join("checkpoints/000004.safetensors");
    let bytes = fs::read(&newest).expect("bytes");
    fs::write(&newest, &bytes[..bytes.len() / 2]).expect("cut");

    let session = start(Options { resume: true, ..options(Some(dir.path())) });
    let mut notices = vec![];
    let update = wait(&session, |e| match e {
        Event::Notice(text) => {
            notices.push(text.clone());
            None
        }
        Event::Ready { update, .. } => Some(*update),
        _ => None,
    });
    assert_eq!(update, 3);
    assert!(notices.iter().any(|n| n.contains("000004") && n.contains("damaged")), "{notices:?}");
}

/// Lines of `metrics.jsonl` that are updates: their numbers.
fn updates(out: &Path) -> Vec<u64> {
    let text = fs::read_to_string(out.join("metrics.jsonl")).expect("metrics");
    let lines = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).expect("a line"));
    lines.filter(|l| l.get("reward").is_some()).filter_map(|l| l["update"].as_u64()).collect()
}

#[test]
fn a_reset_begins_in_a_new_folder_and_keeps_the_run_so_far() {
    let dir = tempfile::tempdir().expect("a folder");
    let (old, new) = (dir.path().join("run"), dir.path().join("run-2"));
    let session = start(options(Some(&old)));
    until(&session, State::Paused);
    for _ in 0..2 {
        session.send(Command::Step(Span::Update));
        next_update(&session);
    }
    session.send(Command::Reset);
    wait(&session, |e| matches!(e, Event::Ready { update: 0, .. }).then_some(()));
    session.send(Command::Step(Span::Update));
    assert_eq!(next_update(&session).0, 1);
    session.join();
    assert_eq!((updates(&old), updates(&new)), (vec![1, 2], vec![1]));
    assert!(old.join("checkpoints/000002.safetensors").exists() && new.join("checkpoints/000001.safetensors").exists());
}

#[test]
fn a_run_stopped_between_inner_steps_finishes_its_update_and_one_stopped_before_any_can_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let session = start(options(Some(dir.path())));
    until(&session, State::Paused);
    session.join();
    let session = start(Options { resume: true, ..options(Some(dir.path())) });
    assert_eq!(wait(&session, |e| if let Event::Ready { update, .. } = e { Some(*update) } else { None }), 0);
    until(&session, State::Paused);
    for span in [Span::Rollout, Span::Advantage, Span::Token, Span::Token] {
        session.send(Command::Step(span));
        until(&session, State::Paused);
    }
    session.join();
    assert_eq!(updates(dir.path()), [1]);
    assert!(dir.path().join("checkpoints/000001.safetensors").exists());
}

#[test]
fn a_resumed_run_takes_live_changes_and_refuses_others() {
    let dir = tempfile::tempdir().expect("a folder");
    let session = start(options(Some(dir.path())));
    until(&session, State::Paused);
    session.send(Command::Set { name: "num_generations".into(), value: "8".into() });
    let warning = wait(&session, |e| if let Event::Warning(text) = e { Some(text.clone()) } else { None });
    assert!(warning.contains("num_generations is fixed"), "{warning}");
    session.send(Command::Step(Span::Update));
    next_update(&session);
    session.join();

    let resume = |name: &str, value: &str| {
        let changes = vec![(name.to_string(), value.to_string())];
        start(Options { resume: true, changes, ..options(Some(dir.path())) })
    };
    let session = resume("guidance", "2.5");
    let guidance = wait(&session, |e| if let Event::Ready { config, .. } = e { Some(config.guidance) } else { None });
    assert_eq!(guidance, 2.5);
    session.join();
    let session = resume("seed", "7");
    let failed = loop {
        if let Event::Failed { error, .. } = session.wait().expect("an event") {
            break error;
        }
    };
    assert!(failed.contains("seed is fixed") && failed.contains("began with 0"), "{failed}");
}

#[test]
fn a_window_that_was_only_opened_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("window");
    let mut asked = options(Some(&out));
    asked.config.sample_every = 10;
    let session = start(Options { watched: true, ..asked });
    until(&session, State::Paused);
    assert!(out.exists());
    session.join();
    assert!(!out.exists());
}

#[test]
fn resuming_nothing_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let session = start(Options { resume: true, ..options(Some(dir.path())) });
    let failed = loop {
        match session.wait().expect("an event") {
            Event::Failed { error, .. } => break error,
            _ => continue,
        }
    };
    assert!(failed.contains("--resume"), "{failed}");
}

#[test]
fn a_scored_batch_is_shown_among_the_real_pictures() {
    let session = start(options(None));
    until(&session, State::Paused);
    session.send(Command::Step(Span::Update));
    let (_, metrics) = next_update(&session);
    let gallery = session.gallery.take().expect("pictures").gallery;
    let space = gallery.space.expect("scored");
    let pictures: Vec<_> = gallery.groups.iter().flat_map(|group| &group.samples).collect();
    assert_eq!((space.update, space.samples.len()), (1, pictures.len()));
    assert!(space.before.is_some() && !space.reference.is_empty());
    assert_eq!(space.distance, metrics["frechet/rewarded"]);
    for (place, picture) in space.samples.iter().zip(pictures) {
        let paid = picture.rewards.iter().find(|(name, _)| name == "loo_fid").map(|(_, reward)| *reward);
        assert_eq!(place.map(|place| place.reward), paid);
    }
}

#[test]
fn fifty_random_command_sequences_leave_the_session_alive() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut asked = options(Some(&dir.path().join("run")));
    asked.config.updates = 10_000;
    asked.config.checkpoint_every = 0;
    let session = start(Options { watched: true, ..asked });
    until(&session, State::Paused);
    let live: Vec<_> =
        PARAMS.iter().filter(|param| param.live && !["updates", "eval_every"].contains(&param.name)).collect();
    for sequence in 0..50u64 {
        let mut random = Key::new(sequence).stream();
        let mut pick = |n: usize| (random.uniform() * n as f32) as usize % n;
        for _ in 0..6 {
            let command = match pick(12) {
                0 => Command::Run,
                1 | 2 => Command::Pause,
                3..=5 => Command::Step(Span::ALL[pick(6)]),
                6 => Command::Rewind(pick(6) as u64),
                7 => Command::Slow([0.0, 0.001, f64::NAN][pick(3)]),
                8 => Command::Save,
                9 => Command::Inspect(Question { update: pick(4) as u64, sample: pick(9), ..Question::default() }),
                10 if sequence % 17 == 0 => Command::Reset,
                _ => {
                    let param = live[pick(live.len())];
                    let value = match param.kind {
                        // Small batches and few steps: this is about staying alive, not about time.
                        Kind::Int { min, max } => (min + pick(2) as i64).min(max).to_string(),
                        Kind::Float { min, max, .. } => {
                            (min + (max - min) * f64::from(pick(5) as u8) / 4.0).to_string()
                        }
                        Kind::Bool => ["true", "false"][pick(2)].into(),
                        Kind::Choice(names) => names[pick(names.len())].into(),
                        Kind::Text => ["all", "cat", "nonsense"][pick(3)].into(),
                    };
                    Command::Set { name: param.name.into(), value }
                }
            };
            session.send(command);
        }
    }
    session.send(Command::Slow(0.0));
    session.send(Command::Pause);
    // Whatever the knobs are by now: they are put back, and the run goes on.
    for param in live {
        session.send(Command::Set { name: param.name.into(), value: param.default.to_string() });
    }
    session.send(Command::Set { name: "prompts".into(), value: "2".into() });
    session.send(Command::Set { name: "sample_every".into(), value: "0".into() });
    wait(&session, |e| {
        matches!(e, Event::Changed { name, value } if name == "sample_every" && value == "0").then_some(())
    });
    let (update, _) = {
        session.send(Command::Step(Span::Update));
        next_update(&session)
    };
    assert!(update >= 1);
}
