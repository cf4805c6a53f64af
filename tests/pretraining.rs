//! Pretraining: a training that was stopped and resumed equals one that was not, and nothing is overwritten.

use std::fs;
use std::path::Path;

use artune::session::pretraining::{Order, train};
use safetensors::SafeTensors;

fn order(out: &Path, resume: bool) -> Order {
    Order {
        network: "features".into(),
        device: "cpu".into(),
        data: None,
        weights: None,
        out: out.to_owned(),
        resume,
        steps: Some(4),
        batch: Some(4),
        learning_rate: None,
        seed: 3,
        every: 4,
    }
}

/// The trained numbers; the file's notes also hold the time it took.
fn numbers(out: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(out.join("features.safetensors")).expect("weights");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut tensors: Vec<_> = file.tensors().into_iter().map(|(name, t)| (name, t.data().to_vec())).collect();
    tensors.sort();
    tensors
}

#[test]
fn a_training_that_was_stopped_and_resumed_equals_one_that_was_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    train(&order(&whole, false), &mut |_, _, _| true).expect("trained");

    let stopped = train(&order(&parts, false), &mut |step, _, _| step < 2).expect("stopped");
    assert_eq!((stopped.step, stopped.weights), (2, None));
    // A training that was killed leaves a line of a step that no checkpoint has.
    let log = parts.join("log.jsonl");
    fs::write(&log, fs::read_to_string(&log).expect("a log") + "{\"step\":3,\"loss\":9.0}\n").expect("written");
    let again = train(&order(&parts, false), &mut |_, _, _| true).expect_err("it holds a training").to_string();
    assert!(again.contains("--resume"), "{again}");
    train(&order(&parts, true), &mut |_, _, _| true).expect("resumed");

    assert!(numbers(&whole) == numbers(&parts), "the weights differ");
    let lines = |out: &Path| fs::read_to_string(out.join("log.jsonl")).expect("a log");
    assert_eq!(lines(&whole), lines(&parts));
    assert_eq!(lines(&whole).lines().count(), 4);
}

#[test]
fn settings_that_cannot_train_are_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let wrong = [
        Order { batch: Some(0), ..order(dir.path(), false) },
        Order { steps: Some(0), ..order(dir.path(), false) },
        Order { learning_rate: Some(f64::NAN), ..order(dir.path(), false) },
        Order { network: "prioor".into(), ..order(dir.path(), false) },
    ];
    for order in wrong {
        train(&order, &mut |_, _, _| true).expect_err("refused");
    }
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0);
}
