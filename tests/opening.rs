//! Beginning with one checkpoint of another run, and the sheets of samples that a window is sent.

use std::fs;
use std::path::Path;

use artune::config::RunConfig;
use artune::session::{Command, Event, Metrics, Opened, Options, Session, Sheet, Span, State, opening, start};

/// The tiny family on the CPU, two small updates, nothing evaluated.
fn options(out: Option<&Path>) -> Options {
    let mut config = RunConfig::default();
    let settings = [
        ("model", "tiny"),
        ("updates", "2"),
        ("prompts", "2"),
        ("num_generations", "2"),
        ("num_iterations", "1"),
        ("eval_every", "0"),
        ("sample_every", "1"),
        ("checkpoint_every", "1"),
    ];
    config.apply(settings).expect("valid settings");
    Options { config, device: "cpu".into(), out: out.map(Path::to_owned), ..Options::default() }
}

/// Everything said until `state`; a failure of the engine fails the test.
fn listen(session: &Session, state: State) -> Vec<Event> {
    let mut said = vec![];
    loop {
        let event = session.wait().expect("the engine lives");
        assert!(!matches!(event, Event::Failed { .. }), "{event:?}");
        let last = matches!(event, Event::State(now) if now == state);
        said.push(event);
        if last {
            return said;
        }
    }
}

/// Scalars of an update that do not depend on the clock.
fn timeless(said: &[Event], wanted: u64) -> Metrics {
    let found = said.iter().find_map(|event| match event {
        Event::Update { update, metrics } if *update == wanted => Some(metrics.clone()),
        _ => None,
    });
    let is_clock = |name: &String| ["time", "tokens_per_second", "step_time"].iter().any(|t| name.starts_with(t));
    found.expect("the update was made").into_iter().filter(|(name, _)| !is_clock(name)).collect()
}

#[test]
fn a_run_begins_with_a_checkpoint_of_another_which_stays_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let session = start(Options { autostart: true, ..options(Some(&first)) });
    let whole = listen(&session, State::Finished);
    session.join();

    let path = first.join("checkpoints/000001.safetensors");
    let bytes = fs::read(&path).expect("a checkpoint");
    let opened = opening::recognise(&path).expect("a checkpoint");
    assert_eq!(opened, Opened::Checkpoint { path: path.clone(), update: 1 });

    // Whatever else the window was set to, the run is the checkpoint's.
    let now = Options { config: RunConfig { seed: 9, ..RunConfig::default() }, device: "cpu".into(), ..options(None) };
    let begun = opening::options(opened, &now, second.clone());
    let session = start(begun);
    let said = listen(&session, State::Paused);
    let ready = said.iter().find_map(|event| match event {
        Event::Ready { update, config, folder, .. } => Some((*update, config.seed, folder.clone())),
        _ => None,
    });
    assert_eq!(ready, Some((1, 0, Some(second.clone()))));
    session.send(Command::Run);
    let said = listen(&session, State::Finished);
    session.join();
    assert_eq!(timeless(&said, 2), timeless(&whole, 2), "the second update is made from the first, bit for bit");

    assert!(fs::read(&path).expect("it is still there") == bytes);
    assert!(second.join("checkpoints/000002.safetensors").is_file());
    let settings = fs::read_to_string(second.join("run.toml")).expect("settings");
    assert!(settings.contains("000001.safetensors"), "where it began: {settings}");
    assert_eq!(opening::recognise(&second).expect("a run"), Opened::Run(second.clone()));

    // The whole file is checked once it is begun with; its header, looked at before, may be sound.
    let mut damaged = bytes;
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let bad = dir.path().join("bad.safetensors");
    fs::write(&bad, damaged).expect("written");
    let session = start(Options { checkpoint: Some(bad), ..options(None) });
    let error = std::iter::from_fn(|| session.wait()).find_map(|event| match event {
        Event::Failed { error, .. } => Some(error),
        _ => None,
    });
    assert!(error.is_some_and(|error| error.contains("checksum")));
}

#[test]
fn a_window_is_sent_the_same_seeds_before_the_first_update_and_after_each() {
    let session = start(Options { watched: true, ..options(None) });
    let early = listen(&session, State::Paused);
    assert!(!early.iter().any(|event| matches!(event, Event::Sheet(_))), "start-up does not wait for a sheet");
    session.send(Command::Step(Span::Update));
    let said = listen(&session, State::Paused);
    session.join();
    let sheets: Vec<&Sheet> =
        said.iter().filter_map(|e| if let Event::Sheet(s) = e { Some(&**s) } else { None }).collect();
    let [before, after] = sheets.as_slice() else { panic!("{} sheets", sheets.len()) };
    assert_eq!((before.update, after.update), (0, 1));
    assert!(before.is_whole() && after.is_whole());
    assert_eq!((before.pictures.len(), before.columns, &before.classes), (16, 8, &after.classes));
    assert!(
        said.iter().position(|e| matches!(e, Event::Sheet(_)))
            < said.iter().position(|e| matches!(e, Event::Progress { .. }))
    );

    let unwatched = start(Options { autostart: true, ..options(None) });
    let said = listen(&unwatched, State::Finished);
    unwatched.join();
    assert!(!said.iter().any(|event| matches!(event, Event::Sheet(_))), "nobody looks on");
}
