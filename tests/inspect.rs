//! Looking closely at a sample: the figures are those of the loss, another token is written on as the model would, and
//! the run does not notice.

use std::fs;
use std::path::Path;

use artune::config::RunConfig;
use artune::session::{Command, Event, Inspection, Metrics, Options, Question, Session, Span, State, Version};
use artune::session::{start, tools};

/// The tiny family on the CPU: pictures of 16 tokens out of 64.
fn options(out: Option<&Path>) -> Options {
    let mut config = RunConfig::default();
    let settings = [
        ("model", "tiny"),
        ("updates", "3"),
        ("prompts", "2"),
        ("num_generations", "4"),
        ("num_iterations", "2"),
        ("learning_rate", "0.003"),
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
        assert!(!matches!(event, Event::Failed { .. }), "{event:?}");
        if let Some(found) = pick(&event) {
            return found;
        }
    }
}

fn until(session: &Session, state: State) {
    wait(session, |e| matches!(e, Event::State(s) if *s == state).then_some(()));
}

fn step(session: &Session, span: Span) {
    session.send(Command::Step(span));
    until(session, State::Paused);
}

/// A session that has scored its first pictures.
fn scored(out: Option<&Path>) -> Session {
    let session = start(options(out));
    until(&session, State::Paused);
    step(&session, Span::Advantage);
    session
}

fn ask(session: &Session, question: Question) -> Result<Inspection, String> {
    session.send(Command::Inspect(question));
    wait(session, |e| match e {
        Event::Inspected(inspection) => Some(Ok((**inspection).clone())),
        Event::NotInspected { why, .. } => Some(Err(why.clone())),
        _ => None,
    })
}

fn about(update: u64, sample: usize) -> Question {
    Question { update, sample, ..Question::default() }
}

fn ids(inspection: &Inspection) -> Vec<u32> {
    inspection.tokens.iter().map(|token| token.id).collect()
}

#[test]
fn before_the_first_step_every_ratio_is_one_and_old_and_new_policies_write_the_same() {
    let session = scored(None);
    let compare = vec![Version::Before, Version::Now];
    let seen = ask(&session, Question { compare, position: Some(5), ..about(1, 6) }).expect("an answer");
    let gallery = session.gallery.take().expect("pictures").gallery;
    assert_eq!((seen.place, seen.grid, seen.vocabulary, seen.policy), ((2, 4), 4, 64, 0));
    assert_eq!(seen.prompt, gallery.groups[1].prompt);
    let sample = &gallery.groups[1].samples[2];
    assert!(seen.drawn == sample.rgb && seen.rgb == sample.rgb);
    assert_eq!((Some(seen.advantage), &seen.rewards), (sample.advantage, &sample.rewards));
    let own = seen.in_loss.expect("drawn by the model");
    assert!((own.ratio - 1.0).abs() < 1e-5);
    assert!(seen.versions.iter().all(|(_, rgb)| *rgb == seen.drawn), "the same policy, the same random numbers");

    let pull = seen.advantage.0 + seen.lambda * seen.advantage.1;
    assert_eq!(seen.tokens.len(), 16);
    for token in &seen.tokens {
        let pushed = token.pushed.expect("drawn by the model");
        assert!((pushed.ratio - 1.0).abs() < 1e-4 && (pushed.old_probability - token.probability).abs() < 1e-5);
        assert!((token.reference - token.probability).abs() < 1e-5, "nothing is tuned yet");
        assert!((pushed.push - pull * (1.0 - token.probability) / 16.0).abs() < 1e-4);
        assert!(token.entropy > 0.0 && token.entropy <= 1.0 + 1e-6);
        let total: f64 = token.candidates.iter().map(|c| c.1).sum();
        assert!(token.candidates.len() == 8 && (8.0 / 64.0 - 1e-6..=1.0 + 1e-6).contains(&total));
        assert!(token.candidates.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        match token.candidates.iter().find(|c| c.0 == token.id) {
            Some((_, p)) => assert!((p - token.probability).abs() < 1e-5, "two ways to the same number"),
            None => assert!(token.probability <= token.candidates[7].1 + 1e-6),
        }
    }
    let crops = seen.crops.expect("asked for");
    assert_eq!((crops.position, crops.rgb.len(), crops.rgb[0].len()), (5, 8, crops.side * crops.side * 3));
    let nearest = seen.nearest.expect("a training picture");
    assert!(nearest.distance > 0.0 && nearest.rgb.len() == seen.drawn.len());
}

#[test]
fn own_tokens_put_in_change_nothing_and_another_is_written_on() {
    let session = scored(None);
    let drawn = ask(&session, about(1, 3)).expect("an answer");
    let same = ask(&session, Question { prefix: ids(&drawn)[..7].to_vec(), ..about(1, 3) }).expect("an answer");
    assert_eq!((ids(&same), same.in_loss.is_some()), (ids(&drawn), true));

    let mut prefix = ids(&drawn)[..7].to_vec();
    prefix[6] = drawn.tokens[6].candidates.iter().find(|c| c.0 != prefix[6]).expect("another").0;
    let asked = Question { prefix: prefix.clone(), ..about(1, 3) };
    let edited = ask(&session, asked.clone()).expect("an answer");
    assert_eq!(ids(&edited)[..7], prefix);
    assert!(edited.drawn == drawn.rgb && edited.rgb != drawn.rgb);
    assert!(edited.in_loss.is_none() && edited.tokens.iter().all(|token| token.pushed.is_none()));
    // Written on once: the policy has moved meanwhile, the picture has not.
    step(&session, Span::Update);
    assert!(ask(&session, asked).expect("an answer").rgb == edited.rgb);
}

#[test]
fn questions_without_an_answer_say_why_and_the_run_goes_on() {
    let session = scored(None);
    let why = |question| ask(&session, question).expect_err("no answer");
    assert!(why(about(2, 0)).contains("still being written"));
    assert!(why(about(0, 0)).contains("given way"));
    assert!(why(about(1, 8)).contains("no sample 8"));
    assert!(why(Question { prefix: vec![64], ..about(1, 0) }).contains("64 tokens"));
    assert!(why(Question { prefix: vec![0; 17], ..about(1, 0) }).contains("16 tokens"));
    assert!(why(Question { position: Some(16), ..about(1, 0) }).contains("16 tokens"));
    let seen = ask(&session, Question { compare: vec![Version::At(4)], ..about(1, 0) }).expect("an answer");
    assert!(seen.versions.is_empty() && seen.missing[0].1.contains("no checkpoint of update 4"));
    step(&session, Span::Update);
    // Lately asked about: kept. Never asked about: gone with its batch.
    step(&session, Span::Advantage);
    assert!(ask(&session, about(1, 0)).is_ok());
    assert!(why(about(1, 1)).contains("given way"));
}

/// Everything measured that does not depend on the clock, update by update, and the weights at the end.
fn run(out: &Path, inspected: bool) -> (Vec<Metrics>, Vec<u8>) {
    let session = start(options(Some(out)));
    until(&session, State::Paused);
    let mut measured = vec![];
    for update in 1..=3 {
        let mut done = false;
        let (spans, mut piece) = ([Span::Rollout, Span::Advantage, Span::Update], 0);
        while !done {
            session.send(Command::Step(spans[piece % 3]));
            piece += 1;
            if inspected {
                let mut prefix = vec![update as u32; 4];
                prefix.push(9);
                let compare = vec![Version::Before, Version::Now];
                for question in [
                    Question { compare, position: Some(3), ..about(update, 2) },
                    Question { prefix, ..about(update, 5) },
                ] {
                    session.send(Command::Inspect(question));
                }
            }
            wait(&session, |e| {
                if let Event::Update { metrics, .. } = e {
                    done = true;
                    let timeless =
                        |name: &&String| !["time", "tokens_per", "step_time"].iter().any(|t| name.starts_with(t));
                    measured.push(
                        metrics.iter().filter(|(name, _)| timeless(name)).map(|(n, v)| (n.clone(), *v)).collect(),
                    );
                }
                matches!(e, Event::State(State::Paused | State::Finished)).then_some(())
            });
        }
    }
    if inspected {
        let compare = vec![Version::Now, Version::At(3), Version::At(1)];
        let seen = ask(&session, Question { compare, ..about(3, 2) }).expect("an answer");
        assert_eq!((seen.policy, seen.at.clone()), (3, vec![1, 2, 3]));
        assert!(seen.versions[0].1 == seen.versions[1].1, "the newest checkpoint is the policy of now");
        assert!(seen.tokens.iter().any(|token| (token.pushed.expect("drawn").ratio - 1.0).abs() > 1e-3));
        assert!(seen.tokens.iter().any(|token| (token.reference - token.probability).abs() > 1e-4));
    }
    session.join();
    let path = out.join("policy.safetensors");
    tools::export(&options(None), out, false, &path).expect("exported");
    (measured, fs::read(path).expect("bytes"))
}

#[test]
fn a_run_that_is_looked_at_equals_one_that_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let alone = run(&dir.path().join("alone"), false);
    let watched = run(&dir.path().join("watched"), true);
    assert_eq!(alone.0, watched.0);
    assert!(alone.1 == watched.1, "the weights differ");
}
