//! The pane on histories of its own, without an engine.

use std::time::Instant;

use eframe::egui::{self, Event as Input, accesskit::Role};
use egui_kittest::{Harness, kittest::Queryable};

use super::*;
use crate::session::Event;

struct Stage {
    pane: Pane,
    config: RunConfig,
    asked: Vec<&'static str>,
}

fn history(updates: u64, metrics: &[&str]) -> History {
    let mut history = History::default();
    for update in 1..=updates {
        let value = |i: usize| 1.0 + i as f64 + ((update * 7919) % 1009) as f64 / 1009.0;
        let metrics = metrics.iter().enumerate().map(|(i, name)| (name.to_string(), value(i))).collect();
        history.observe(&Event::Update { update, metrics });
    }
    history
}

fn open(history: History, size: [f32; 2]) -> Harness<'static, Stage> {
    let pane = Pane { history, ..Pane::default() };
    let stage = Stage { pane, config: RunConfig::default(), asked: Vec::new() };
    let mut window =
        Harness::builder().with_size(size).with_max_steps(40).with_context_setup(theme::apply).build_ui_state(
            |ui, stage: &mut Stage| stage.asked.extend(stage.pane.show(ui, &stage.config, |part| part == "clip")),
            stage,
        );
    window.run_ok();
    window
}

fn click(window: &mut Harness<'_, Stage>, label: &str) {
    window.get_by_role_and_label(Role::Button, label).click_accesskit();
    window.run_ok();
}

#[test]
fn parts_of_the_reward_that_are_paid_stand_behind_it_and_the_others_at_the_end() {
    let names = ["reward", "rewards/clip/mean", "rewards/colour/mean", "kl"];
    let pane = Pane { history: history(1, &names), ..Pane::default() };
    let charts = pane.charts(|part| part == "clip");
    assert_eq!(charts[0].series, ["reward"]);
    assert_eq!(charts[1].title, "Reward: CLIP");
    assert_eq!(charts.last().map(|chart| chart.title.as_str()), Some("Reward: Colour"));
    assert!(charts.iter().any(|chart| chart.series == ["kl"]));
}

#[test]
fn patterns_match_whole_names_and_beginnings() {
    let patterns = ["kl", "clip_ratio/*"];
    assert!(matches(&patterns, "kl") && matches(&patterns, "clip_ratio/low"));
    assert!(!matches(&patterns, "kl/max") && !matches(&patterns, "clip"));
}

#[test]
fn what_was_left_out_is_a_chart_only_where_something_was() {
    let mut pane = Pane::default();
    let left_out = |pane: &Pane| pane.charts(|_| true).iter().any(|chart| chart.title == "Left out");
    let metrics = |count| [("samples_skipped".to_string(), count), ("updates_skipped".to_string(), 0.0)].into();
    pane.history.observe(&Event::Update { update: 1, metrics: metrics(0.0) });
    assert!(!left_out(&pane));
    pane.history.observe(&Event::Update { update: 2, metrics: metrics(3.0) });
    assert!(left_out(&pane));
}

#[test]
fn a_curves_name_opens_its_meaning_with_numbers_and_leads_to_its_settings() {
    let mut window = open(history(3, &["reward", "grad_norm"]), [300.0, 2400.0]);
    click(&mut window, "What Gradient norm means");
    assert!(window.query_by_label_contains("scaled by min(1, 1 / ").is_some());
    assert!(window.query_by_label("With the numbers of update 3").is_some());
    click(&mut window, "Max grad norm");
    assert_eq!(window.state().asked, ["max_grad_norm"]);
    assert!(window.query_by_label_contains("scaled by min(1, 1 / ").is_none(), "the card is closed");
}

#[test]
fn every_chart_has_a_card_that_opens_also_without_numbers() {
    let names: Vec<&str> =
        CHARTS.iter().flat_map(|chart| chart.metrics).map(|name| name.trim_end_matches('*')).collect();
    let mut window = open(history(2, &names), [900.0, 3000.0]);
    for chart in CHARTS {
        click(&mut window, &words::meaning(chart.title));
        assert!(window.query_by_label(words::SETTINGS).is_some(), "{}", chart.title);
        window.key_press(egui::Key::Escape);
        window.run_ok();
        assert!(window.query_by_label(words::SETTINGS).is_none(), "{}", chart.title);
    }
}

#[test]
fn the_filter_finds_curves_by_title_and_by_metric() {
    let mut window = open(history(3, &["reward", "grad_norm"]), [300.0, 2400.0]);
    let shown =
        |window: &Harness<'_, Stage>, title: &str| window.query_by_role_and_label(Role::Figure, title).is_some();
    assert!(shown(&window, "Reward") && shown(&window, "Gradient norm"));
    window.state_mut().pane.filter = "GRAD_N".into();
    window.run_ok();
    assert!(!shown(&window, "Reward") && shown(&window, "Gradient norm"));
    window.state_mut().pane.filter = "no such thing".into();
    window.run_ok();
    assert!(window.query_by_label(words::NOTHING_FOUND).is_some());
}

#[test]
fn a_logarithmic_scale_is_for_positive_values_only() {
    let mut window = open(history(3, &["reward", "grad_norm"]), [300.0, 2400.0]);
    click(&mut window, "Logarithmic scale: Reward");
    assert!(window.state().pane.choices.logarithmic.contains("Reward"));
    let metrics = [("reward".to_string(), -1.0)].into();
    window.state_mut().pane.history.observe(&Event::Update { update: 4, metrics });
    window.run_ok();
    click(&mut window, "Logarithmic scale: Reward");
    assert!(window.state().pane.choices.logarithmic.contains("Reward"), "the switch is off and the choice is kept");
    click(&mut window, "Logarithmic scale: Gradient norm");
    click(&mut window, "Logarithmic scale: Gradient norm");
    assert_eq!(window.state().pane.choices.logarithmic.len(), 1);
}

#[test]
fn zooming_one_chart_zooms_all_and_one_button_shows_everything_again() {
    let mut window = open(history(1000, &["reward", "kl"]), [300.0, 900.0]);
    let over = window.get_by_role_and_label(Role::Figure, "Reward").rect().center();
    window.hover_at(over);
    window.run_ok();
    assert!(window.query_by_label_contains("Update ").is_some(), "the values under the pointer");
    window.event(Input::Zoom(4.0));
    window.run_ok();
    let Sight::Range(from, to) = window.state().pane.sight else { panic!("not zoomed") };
    assert!(to - from < 300.0, "{from} to {to}");
    click(&mut window, words::EVERYTHING);
    assert_eq!(window.state().pane.sight, Sight::All);
    window.run_ok();
    assert_eq!(window.state().pane.sight, Sight::All, "and it stays so");
}

#[test]
fn a_chart_is_enlarged_and_put_back_by_its_button() {
    let mut window = open(history(3, &["reward", "kl"]), [300.0, 900.0]);
    let height = |window: &Harness<'_, Stage>| window.get_by_role_and_label(Role::Figure, "Reward").rect().height();
    let small = height(&window);
    click(&mut window, "Enlarge Reward");
    assert!(height(&window) > 1.5 * small);
    click(&mut window, "Put Reward back in its place");
    assert_eq!(height(&window), small);
}

#[test]
fn other_runs_are_drawn_until_they_are_removed() {
    let mut window = open(history(3, &["reward"]), [300.0, 900.0]);
    for name in ["a", "b", "c", "d"] {
        window.state_mut().pane.overlay(name.into(), history(900, &["reward", "kl"]));
    }
    window.state_mut().pane.choices.smoothing = 0.9;
    window.run_ok();
    assert_eq!(window.state().pane.newest(), 900.0);
    assert!(window.query_by_label("a").is_none(), "three at most");
    for name in ["b", "c", "d"] {
        click(&mut window, &words::remove(name));
    }
    assert_eq!((window.state().pane.others.len(), window.state().pane.newest()), (0, 3.0));
}

#[test]
fn choices_survive_a_restart_and_bad_ones_do_no_harm() {
    let choices = Choices { smoothing: 0.9, logarithmic: ["Reward".to_string()].into() };
    let text = serde_json::to_string(&choices).unwrap();
    assert_eq!(serde_json::from_str::<Choices>(&text).unwrap(), choices);
    assert_eq!(serde_json::from_str::<Choices>("{}").unwrap(), Choices::default());
    for smoothing in [f64::NAN, -1.0, 7.0] {
        let pane = Pane { choices: Choices { smoothing, ..Choices::default() }, ..Pane::default() };
        assert!((0.0..=smooth::MOST).contains(&pane.weight()));
    }
}

/// Says how long a frame takes; how fast it must be is not for a shared machine to judge.
#[test]
fn a_hundred_thousand_updates_are_drawn() {
    let names: Vec<&str> =
        CHARTS.iter().flat_map(|chart| chart.metrics).map(|name| name.trim_end_matches('*')).collect();
    let few = open(history(100, &names), [900.0, 2600.0]);
    let many = open(history(100_000, &names), [900.0, 2600.0]);
    let timed = |mut window: Harness<'_, Stage>, what: &str| {
        let drawn = window.state().pane.charts(|_| true).len();
        for smoothing in [0.0, 0.9] {
            window.state_mut().pane.choices.smoothing = smoothing;
            window.run_ok();
            let clock = Instant::now();
            (0..20).for_each(|_| window.step());
            let layout = clock.elapsed().as_secs_f64() * 1e3 / 20.0;
            let clock = Instant::now();
            let meshes = window.ctx.tessellate(window.output().shapes.clone(), 1.0);
            let triangles = clock.elapsed().as_secs_f64() * 1e3;
            println!(
                "{drawn} charts, {what}, smoothing {smoothing}: {layout:.1} ms a frame, {triangles:.1} ms for the \
                triangles of {} meshes",
                meshes.len()
            );
        }
    };
    timed(few, "100 points a curve");
    timed(many, "100,000 points a curve");
}
