//! The pane, driven by the names that a screen reader would read.

use eframe::egui::{Key, Ui, accesskit::Role};
use egui_kittest::{Harness, kittest::Queryable};

use super::Pane;
use crate::session::inspect::{Crops, InLoss, Inspection, Neighbour, Pushed, Question, Token, Version};
use crate::session::{Command, Event, Phase};
use crate::ui::theme;

/// A disc on a tinted background, `[side, side, 3]`, its radius and hue by `seed`.
fn disc(side: usize, seed: usize) -> Vec<u8> {
    let middle = side as f32 / 2.0 - 0.5;
    let radius = side as f32 * (0.28 + 0.03 * (seed % 5) as f32);
    let pixel = |i: usize| {
        let (x, y) = ((i % side) as f32 - middle, (i / side) as f32 - middle);
        let (inside, light) = (x.hypot(y) < radius, (160.0 - x * 4.0 - y * 6.0).clamp(40.0, 255.0) as u8);
        match inside {
            true => [light, light / 2, 40 + 30 * (seed % 6) as u8],
            false => [236, 240, 250],
        }
    };
    (0..side * side).flat_map(pixel).collect()
}

/// The answer about sample 2 of update 12, with 8x8 tokens out of 1,024.
pub(super) fn inspection() -> Inspection {
    let token = |at: usize| {
        let id = (at * 131 % 1024) as u32;
        let middle = ((at % 8) as f64 - 3.5).hypot((at / 8) as f64 - 3.5);
        let probability = 0.02 + 0.9 / (1.0 + (middle - 3.0).abs() * 6.0);
        let others = (0..7).map(|k| ((id + 17 * (k + 1)) % 1024, (1.0 - probability) * 0.4 / f64::from(1 << k)));
        let mut candidates: Vec<(u32, f64)> = std::iter::once((id, probability)).chain(others).collect();
        candidates.sort_by(|a, b| b.1.total_cmp(&a.1));
        let ratio = 1.0 + 0.06 * (at as f64 * 0.7).sin();
        let push = 1.42 * ratio * (1.0 - probability) / 64.0 * if at % 9 == 4 { -0.4 } else { 1.0 };
        Token {
            id,
            probability,
            reference: probability * 0.8,
            entropy: (1.0 - probability) * 0.7,
            pushed: Some(Pushed { old_probability: probability / ratio, ratio, push }),
            candidates,
        }
    };
    Inspection {
        question: Question { update: 12, sample: 2, ..Question::default() },
        policy: 12,
        class: 3,
        prompt: "a picture of a ball".into(),
        place: (2, 8),
        side: 32,
        grid: 8,
        vocabulary: 1024,
        drawn: disc(32, 1),
        rgb: disc(32, 1),
        tokens: (0..64).map(token).collect(),
        rewards: vec![("clip".into(), 0.2713), ("preference".into(), 0.5127), ("loo_fid".into(), 1.4e-3)],
        advantage: (0.62, 0.4),
        lambda: 2.0,
        in_loss: Some(InLoss { ratio: 1.013, per_token: false, range: (0.8, 1.2) }),
        nearest: Some(Neighbour {
            name: "soccer ball".into(),
            class: "ball".into(),
            rgb: disc(32, 3),
            distance: 0.0213,
            protocol: "least mean squared difference of the pixels among 2967 training pictures".into(),
        }),
        at: vec![4, 8, 12],
        ..Inspection::default()
    }
}

struct Stage {
    pane: Pane,
    sent: Vec<Question>,
}

fn open(size: [f32; 2]) -> Harness<'static, Stage> {
    let stage = Stage { pane: Pane::default(), sent: vec![] };
    let draw = |ui: &mut Ui, stage: &mut Stage| {
        for command in stage.pane.show(ui) {
            match command {
                Command::Inspect(question) => stage.sent.push(question),
                other => panic!("the inspector sent {other:?}"),
            }
        }
    };
    Harness::builder().with_size(size).with_max_steps(30).with_context_setup(theme::apply).build_ui_state(draw, stage)
}

/// Draws a few frames: something is always awaited here, and its sign moves.
fn draw(pane: &mut Harness<'_, Stage>) {
    pane.run_steps(4);
}

fn sent(pane: &mut Harness<'_, Stage>) -> Vec<Question> {
    std::mem::take(&mut pane.state_mut().sent)
}

/// Answers all that was asked, as an engine would.
fn answer(pane: &mut Harness<'_, Stage>) -> Vec<Question> {
    let questions = sent(pane);
    for question in questions.clone() {
        let mut seen = inspection();
        seen.versions =
            question.compare.iter().map(|v| (*v, disc(32, if *v == Version::Before { 0 } else { 2 }))).collect();
        seen.crops =
            question.position.map(|position| Crops { position, side: 12, rgb: (0..8).map(|k| disc(12, k)).collect() });
        if !question.prefix.is_empty() {
            seen.rgb = disc(32, 4);
            seen.in_loss = None;
            seen.tokens.iter_mut().for_each(|token| token.pushed = None);
            seen.tokens.iter_mut().zip(&question.prefix).for_each(|(token, id)| token.id = *id);
        }
        seen.question = question;
        pane.state_mut().pane.observe(&Event::Inspected(Box::new(seen)));
    }
    draw(pane);
    questions
}

/// A pane on a sample, with everything that it asked for by itself.
fn opened(size: [f32; 2]) -> Harness<'static, Stage> {
    let mut pane = open(size);
    pane.state_mut().pane.open(12, 2);
    draw(&mut pane);
    let first = answer(&mut pane);
    assert_eq!(first[0].compare, [Version::Before, Version::Now]);
    let second = answer(&mut pane);
    assert!(second.len() == 1 && second[0].position.is_some(), "pictures of the candidates: {second:?}");
    pane
}

#[test]
fn an_empty_pane_says_what_to_do_and_an_unfinished_picture_is_asked_about_again() {
    let mut pane = open([300.0, 600.0]);
    draw(&mut pane);
    assert!(pane.query_by_label("Click a picture").is_some());
    pane.state_mut().pane.open(13, 1);
    draw(&mut pane);
    let question = sent(&mut pane).remove(0);
    let why = "these pictures are still being written and scored".to_string();
    pane.state_mut().pane.observe(&Event::NotInspected { question: question.clone(), why: why.clone() });
    draw(&mut pane);
    assert!(pane.query_by_label(&why).is_some() && sent(&mut pane).is_empty());
    pane.state_mut().pane.observe(&Event::Progress { update: 13, phase: Phase::Reward, done: 1, total: 1 });
    draw(&mut pane);
    assert_eq!(sent(&mut pane)[0].sample, question.sample);
}

#[test]
fn a_token_is_described_under_the_pointer_by_a_click_and_by_the_arrow_keys() {
    for size in [[300.0, 2400.0], [900.0, 1400.0]] {
        let mut pane = opened(size);
        pane.get_by_label("Token 13, row 2, column 5").hover();
        draw(&mut pane);
        assert!(pane.query_by_label("Token 13 of 64").is_some());
        pane.get_by_label("Token 20, row 3, column 4").click();
        draw(&mut pane);
        assert!(pane.query_by_label("Token 20 of 64").is_some());
        assert_eq!(answer(&mut pane)[0].position, Some(19));
        pane.remove_cursor();
        pane.key_press(Key::ArrowDown);
        draw(&mut pane);
        pane.key_press(Key::ArrowLeft);
        draw(&mut pane);
        assert!(pane.query_by_label("Token 27 of 64").is_some());
    }
}

#[test]
fn a_candidate_is_put_in_and_taken_out_again() {
    let mut pane = opened([900.0, 1400.0]);
    pane.get_by_label("Token 3, row 1, column 3").click();
    draw(&mut pane);
    answer(&mut pane);
    let seen = inspection();
    let other = seen.tokens[2].candidates.iter().find(|c| c.0 != seen.tokens[2].id).expect("another").0;
    pane.get_by_role_and_label(Role::Button, &format!("Put code {other} here and write on")).click();
    draw(&mut pane);
    let asked = answer(&mut pane);
    assert_eq!(asked[0].prefix, [seen.tokens[0].id, seen.tokens[1].id, other]);
    assert!(pane.query_by_label_contains("Token 3 was put in by hand").is_some());
    assert!(pane.query_by_label("Edited").is_some());
    pane.get_by_role_and_label(Role::Button, "Undo").click();
    draw(&mut pane);
    assert!(answer(&mut pane).last().expect("asked").prefix.is_empty());
    assert!(pane.query_by_label("Edited").is_none());
}

#[test]
fn the_picture_is_scrubbed_and_other_policies_are_asked_for_once() {
    let mut pane = opened([300.0, 2400.0]);
    pane.get_by_role_and_label(Role::Slider, "Tokens written").set_value_accesskit(20.0);
    draw(&mut pane);
    assert!(pane.query_by_label("20 of 64").is_some());
    assert!(sent(&mut pane).is_empty());

    pane.get_by_role_and_label(Role::Button, "Play").click();
    draw(&mut pane);
    assert!(pane.query_by_label("20 of 64").is_none(), "it goes on from there");
    pane.get_by_role_and_label(Role::Button, "Stop").click();
    draw(&mut pane);

    pane.get_by_label("Right picture").click();
    draw(&mut pane);
    pane.get_by_label("Checkpoint 8").click();
    draw(&mut pane);
    let asked = answer(&mut pane);
    assert_eq!(asked.iter().map(|q| q.compare.clone()).collect::<Vec<_>>(), [[Version::At(8)]]);
    draw(&mut pane);
    assert!(sent(&mut pane).is_empty());
}

#[test]
fn figures_are_taken_anew_once_the_policy_has_moved() {
    let mut pane = opened([900.0, 1400.0]);
    assert!(pane.query_by_label("Look again").is_none());
    pane.state_mut().pane.observe(&Event::Update { update: 13, metrics: Default::default() });
    draw(&mut pane);
    pane.get_by_label("Look again").click();
    draw(&mut pane);
    assert_eq!(sent(&mut pane)[0].compare, [Version::Now]);
}
