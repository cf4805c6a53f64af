//! A user's own pictures, of classes that the shipped networks never heard of: a family is trained for them, and tuned.

use std::fs;
use std::path::Path;

use artune::config::RunConfig;
use artune::data::Pictures;
use artune::model::family::Role;
use artune::session::pretraining::{Order, train};
use artune::session::{Command, Event, GivenFiles, Options, Session, Span, start};

/// Three classes of four drawings each, as files; one of them is no picture.
fn pictures(dir: &Path) {
    let set = Pictures::embedded().expect("embedded");
    for class in 0..3 {
        let folder = dir.join(["zebras", "apples", "kites"][class]);
        fs::create_dir_all(&folder).expect("a folder");
        for (i, picture) in set.pictures.iter().filter(|p| p.class == class).take(4).enumerate() {
            let side = set.side as u32;
            let image = image::RgbaImage::from_raw(side, side, picture.rgba.clone()).expect("a picture");
            image.save(folder.join(format!("drawing {i}.png"))).expect("saved");
        }
    }
    fs::write(dir.join("kites/broken.png"), b"no picture").expect("written");
}

/// Everything said until `done`.
fn listen(session: &Session, done: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut said = vec![];
    loop {
        let event = session.wait().expect("the engine lives");
        let last = done(&event);
        said.push(event);
        if last {
            return said;
        }
    }
}

#[test]
fn a_family_for_other_classes_is_trained_and_tuned_and_the_shipped_one_refuses_them_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, family) = (dir.path().join("data"), dir.path().join("family"));
    pictures(&data);

    let mut config = RunConfig::default();
    let settings =
        [("prompts", "2"), ("num_generations", "2"), ("updates", "1"), ("eval_every", "0"), ("sample_every", "0")];
    config.apply(settings).expect("valid settings");
    let options = Options {
        config,
        device: "cpu".into(),
        files: GivenFiles { data: Some(data.clone()), ..GivenFiles::default() },
        ..Options::default()
    };
    let said = listen(&start(options.clone()), |e| matches!(e, Event::Failed { .. }));
    let Some(Event::Failed { error, .. }) = said.last() else { unreachable!() };
    assert!(error.contains("zebras") && error.contains("smiley face") && error.contains("artune pretrain"), "{error}");

    // In the order in which they build upon each other.
    for role in [Role::Features, Role::Tokenizer, Role::Prior, Role::Clip, Role::Preference, Role::Judge] {
        let order = Order {
            network: role.name().into(),
            device: "cpu".into(),
            data: Some(data.clone()),
            weights: Some(family.clone()),
            out: family.join(role.name()),
            resume: false,
            steps: Some(1),
            batch: Some(4),
            learning_rate: None,
            seed: 0,
            every: 0,
        };
        train(&order, &mut |_, _, _| true).unwrap_or_else(|e| panic!("{role}: {e:#}"));
    }
    let out = Some(dir.path().join("run"));
    let session =
        start(Options { files: GivenFiles { weights: Some(family), ..options.files.clone() }, out, ..options });
    session.send(Command::Step(Span::Update));
    let said = listen(&session, |e| matches!(e, Event::Update { .. } | Event::Failed { .. }));
    assert!(matches!(said.last(), Some(Event::Update { update: 1, .. })), "{said:?}");
    assert!(said.iter().any(|e| matches!(e, Event::Notice(n) if n.contains("broken.png"))), "{said:?}");
    let classes =
        said.iter().find_map(|e| if let Event::Ready { classes, .. } = e { Some(classes.clone()) } else { None });
    assert_eq!(classes.expect("ready"), ["apples", "kites", "zebras"]);
    session.join();

    // The run remembers its pictures and networks.
    let resumed =
        start(Options { out: Some(dir.path().join("run")), resume: true, device: "cpu".into(), ..Options::default() });
    let said = listen(&resumed, |e| matches!(e, Event::Ready { .. } | Event::Failed { .. }));
    assert!(matches!(said.last(), Some(Event::Ready { update: 1, .. })), "{said:?}");
}
