//! Each kind on a run that has it and on its healthy neighbour; then recorded runs.

use std::collections::BTreeMap;

use super::*;
use crate::config::{PARAMS, Param};
use crate::platform::rng::Key;
use crate::session::Event;

/// Updates in the scripted runs, and the one at which things go wrong.
const LENGTH: u64 = 60;
const TURN: f64 = 20.0;

type Curve = Box<dyn Fn(f64) -> f64>;

/// Noise of unit size that is the same in every run: twelve uniform numbers make one that is nearly normal.
fn jitter(update: f64, stream: f64) -> f64 {
    let mut random = Key::new(0).fold(update as u64).fold(stream.to_bits()).stream();
    (0..12).map(|_| f64::from(random.uniform())).sum::<f64>() - 6.0
}

/// A value that leaves `from` at [`TURN`] and moves by `slope` an update from there on.
fn after_turn(from: f64, slope: f64) -> impl Fn(f64) -> f64 {
    move |update| from + slope * (update - TURN).max(0.0)
}

/// A sound run: the figures are those of the recorded one.
fn sound() -> BTreeMap<&'static str, Curve> {
    let curves: [(&'static str, Curve); 18] = [
        ("reward", Box::new(|u| 1.42 + 0.003 * u + 0.04 * jitter(u, 1.0))),
        ("reward_std", Box::new(|u| 0.4 + 0.03 * jitter(u, 2.0))),
        ("frac_reward_zero_std", Box::new(|_| 0.0)),
        ("diversity", Box::new(|u| 0.56 + 0.006 * jitter(u, 3.0))),
        ("entropy_norm", Box::new(|u| 0.54 + 0.004 * jitter(u, 4.0))),
        ("entropy_target", Box::new(|_| 0.552)),
        ("kl", Box::new(|u| 4e-5 * u)),
        ("ratio", Box::new(|_| 1.0)),
        ("ratio/max_deviation/first", Box::new(|_| 6e-7)),
        ("clip_ratio/low", Box::new(|_| 0.0)),
        ("clip_ratio/high", Box::new(|_| 0.0)),
        ("grad_norm", Box::new(|u| 0.9 + 0.04 * jitter(u, 5.0))),
        ("updates_skipped", Box::new(|_| 0.0)),
        ("samples_skipped", Box::new(|_| 0.0)),
        ("frechet/rewarded", Box::new(|u| 0.2 + 0.01 * jitter(u, 6.0))),
        ("rewards/clip/mean", Box::new(|u| 0.545 + 0.01 * jitter(u, 7.0))),
        ("rewards/preference/mean", Box::new(|u| 0.33 + 0.0015 * u + 0.015 * jitter(u, 8.0))),
        ("rewards/brightness/mean", Box::new(|u| 0.77 + 0.007 * jitter(u, 9.0))),
    ];
    let evaluations: [(&'static str, Curve); 3] = [
        ("eval/fd", Box::new(|u| 660.0 + 5.0 * jitter(u, 1.0))),
        ("eval/class_accuracy", Box::new(|u| 0.48 + 0.02 * jitter(u, 2.0))),
        ("eval/vendi", Box::new(|u| 39.0 + jitter(u, 3.0))),
    ];
    curves.into_iter().chain(evaluations).collect()
}

/// Plays a run, and calls `look` after each update.
fn play(curves: &BTreeMap<&'static str, Curve>, mut look: impl FnMut(u64, &History)) -> History {
    let mut history = History::default();
    for update in 0..=LENGTH {
        let some = |evaluated: bool| {
            let wanted = curves.iter().filter(|(name, _)| name.starts_with("eval/") == evaluated);
            wanted.map(|(name, curve)| (name.to_string(), curve(update as f64))).collect()
        };
        if update > 0 {
            history.observe(&Event::Update { update, metrics: some(false) });
        }
        if update.is_multiple_of(15) {
            history.observe(&Event::Evaluation { update, metrics: some(true), protocol: String::new() });
        }
        look(update, &history);
    }
    history
}

/// A sound run with some curves replaced.
fn with(changes: Vec<(&'static str, Curve)>) -> BTreeMap<&'static str, Curve> {
    let mut curves = sound();
    curves.extend(changes);
    curves
}

fn curve(name: &'static str, curve: impl Fn(f64) -> f64 + 'static) -> Vec<(&'static str, Curve)> {
    vec![(name, Box::new(curve))]
}

fn config(settings: &[(&str, &str)]) -> RunConfig {
    let mut config = RunConfig::default();
    config.apply(settings.iter().copied()).unwrap();
    config
}

/// A kind, settings, a run that has it and one that has not quite.
type Case = (Kind, RunConfig, Vec<(&'static str, Curve)>, Vec<(&'static str, Curve)>);

fn cases() -> Vec<Case> {
    let plain = RunConfig::default;
    let two = |a: Vec<(&'static str, Curve)>, b: Vec<(&'static str, Curve)>| a.into_iter().chain(b).collect();
    let noisy =
        |name, from, slope, noise: f64| curve(name, move |u| after_turn(from, slope)(u) + noise * jitter(u, from));
    let reward = |slope: f64| noisy("reward", 1.45, slope, 0.04);
    let spike = |at: f64, size: f64| {
        curve("grad_norm", move |u| if (u - at).abs() < 0.5 { size } else { 0.9 + 0.04 * jitter(u, 5.0) })
    };
    let dropout = config(&[("quirk_label_dropout", "true")]);
    let bright = config(&[("brightness_weight", "1"), ("clip_weight", "0"), ("preference_weight", "0")]);
    let bright = || bright.clone();
    vec![
        (
            Kind::RatioNotOne,
            dropout,
            curve("ratio/max_deviation/first", |_| 0.2),
            curve("ratio/max_deviation/first", |_| 1e-4),
        ),
        (
            Kind::NotFinite,
            plain(),
            curve("updates_skipped", |u| f64::from(u > 57.0)),
            curve("updates_skipped", |u| f64::from(u == 30.0)),
        ),
        (Kind::KlExploding, plain(), curve("kl", after_turn(1e-3, 1e-3)), curve("kl", after_turn(1e-3, 1e-4))),
        (
            Kind::Collapse,
            config(&[("loo_fid_weight", "0"), ("adaptive_entropy", "false"), ("entropy_coef", "0")]),
            two(noisy("diversity", 0.56, -0.004, 0.006), reward(0.005)),
            noisy("diversity", 0.56, -4e-4, 0.006),
        ),
        (
            Kind::Hacking,
            plain(),
            two(curve("eval/fd", after_turn(660.0, 4.0)), reward(0.005)),
            // The distance is no worse than without any change, although the reward rises.
            reward(0.005),
        ),
        (Kind::Hacking, bright(), two(reward(0.01), noisy("rewards/clip/mean", 0.545, -0.004, 0.01)), reward(0.01)),
        (Kind::RewardFalls, plain(), reward(-0.01), reward(-0.0005)),
        (
            Kind::DeadGroups,
            config(&[("top_k", "1")]),
            curve("frac_reward_zero_std", |u| if u < TURN { 0.1 } else { 0.8 }),
            curve("frac_reward_zero_std", |u| if u < TURN { 0.1 } else { 0.3 }),
        ),
        (
            Kind::Saturated,
            bright(),
            curve("rewards/brightness/mean", |u| 0.99 - 0.2 * (-u / 10.0).exp()),
            curve("rewards/brightness/mean", |u| 0.9 - 0.2 * (-u / 10.0).exp()),
        ),
        (Kind::Saturated, plain(), noisy("reward_std", 0.4, -0.009, 0.01), noisy("reward_std", 0.4, -0.004, 0.01)),
        (
            Kind::TugOfWar,
            plain(),
            two(noisy("rewards/preference/mean", 0.33, 0.004, 0.015), noisy("rewards/clip/mean", 0.545, -0.003, 0.01)),
            noisy("rewards/preference/mean", 0.33, 0.004, 0.015),
        ),
        (
            Kind::EntropyBelow,
            plain(),
            noisy("entropy_norm", 0.54, -0.004, 0.004),
            noisy("entropy_norm", 0.54, -0.0005, 0.004),
        ),
        (
            Kind::EntropyAbove,
            config(&[("adaptive_entropy", "false"), ("entropy_coef", "0.1")]),
            noisy("entropy_norm", 0.56, 0.004, 0.004),
            noisy("entropy_norm", 0.56, 0.0005, 0.004),
        ),
        (
            Kind::Clipped,
            config(&[("num_iterations", "4")]),
            curve("clip_ratio/high", |u| if u < TURN { 0.1 } else { 0.5 }),
            // A first step may clip a lot.
            curve("clip_ratio/high", |u| if u < 2.0 { 0.5 } else { 0.1 }),
        ),
        (Kind::Clipped, plain(), curve("ratio", after_turn(1.0, 0.01)), curve("ratio", after_turn(1.0, -0.001))),
        (Kind::GradientPeaks, plain(), spike(55.0, 9.0), spike(55.0, 2.0)),
        (Kind::GradientCut, plain(), curve("grad_norm", |_| 9.0), curve("grad_norm", |_| 2.0)),
        (
            Kind::StepsTooSmall,
            config(&[("learning_rate", "1e-6")]),
            curve("kl", |u| 1e-8 * u),
            curve("kl", |u| 1e-5 * u),
        ),
        (Kind::NoProgress, plain(), curve("reward", |u| 1.42 + 0.04 * jitter(u, 1.0)), reward(0.003)),
    ]
}

#[test]
fn a_sound_run_has_no_finding_at_any_time() {
    play(&sound(), |update, history| {
        let found = diagnose(history, &RunConfig::default());
        assert!(found.is_empty(), "update {update}: {found:?}");
    });
    assert!(diagnose(&History::default(), &RunConfig::default()).is_empty());
}

#[test]
fn each_kind_is_found_where_it_is_and_not_on_its_healthy_neighbour() {
    for (kind, config, bad, well) in cases() {
        let found = diagnose(&play(&with(bad), |_, _| ()), &config);
        assert!(found.iter().any(|finding| finding.kind == kind), "{kind:?} is missed: {found:?}");
        let found = diagnose(&play(&with(well), |_, _| ()), &config);
        assert!(!found.iter().any(|finding| finding.kind == kind), "{kind:?} is imagined: {found:?}");
    }
}

#[test]
fn every_remedy_is_permitted_live_and_new() {
    for (kind, config, bad, _) in cases() {
        let found = diagnose(&play(&with(bad), |_, _| ()), &config);
        let Some(finding) = found.iter().find(|finding| finding.kind == kind) else { panic!("{kind:?}") };
        assert!(!finding.remedies.is_empty() && finding.remedies.len() <= 3, "{kind:?}");
        for remedy in &finding.remedies {
            let mut turned = config.clone();
            turned.set(remedy.param, &remedy.value).unwrap();
            assert!(Param::find(remedy.param).unwrap().live && turned != config, "{kind:?}: {remedy:?}");
        }
    }
}

#[test]
fn a_finding_once_made_keeps_its_beginning_and_does_not_flicker() {
    for (kind, config, bad, _) in cases() {
        // A peak is meant to pass.
        if kind == Kind::GradientPeaks {
            continue;
        }
        let mut beginnings: Vec<Option<u64>> = Vec::new();
        play(&with(bad), |_, history| {
            let since = diagnose(history, &config).iter().find(|finding| finding.kind == kind).map(|f| f.since);
            if beginnings.last() != Some(&since) {
                beginnings.push(since);
            }
        });
        // Several checks of one kind may set in one after the other: the beginning then moves to the earlier one.
        let made = beginnings.iter().position(Option::is_some).unwrap();
        assert!(beginnings[made..].iter().all(Option::is_some), "{kind:?}: {beginnings:?}");
        assert!(beginnings.len() - made <= 2, "{kind:?}: {beginnings:?}");
    }
}

#[test]
fn damage_in_the_weights_can_be_rewound_to_before_it_began() {
    let (kind, config, bad, _) = cases().swap_remove(3);
    let found = diagnose(&play(&with(bad), |_, _| ()), &config);
    let collapse = found.iter().find(|finding| finding.kind == kind).unwrap();
    let to = collapse.rewind_to.unwrap();
    assert!(collapse.since > TURN as u64 && to < collapse.since && to >= 10, "{collapse:?}");
    assert!(collapse.evidence[0].metric == "diversity" && collapse.evidence[0].now < collapse.evidence[0].then);
    assert_eq!(collapse.remedies[0], Remedy { param: "loo_fid_weight", value: "1".into() });
}

#[test]
fn a_turned_reward_weight_starts_the_reward_anew() {
    let falls = |history: &History| {
        diagnose(history, &RunConfig::default()).iter().any(|finding| finding.kind == Kind::RewardFalls)
    };
    let curves = with(curve("reward", |u| if u <= 30.0 { 1.4 } else { 0.7 } + 0.04 * jitter(u, 1.0)));
    assert!(falls(&play(&curves, |_, _| ())));
    let mut history = History::default();
    for update in 1..=LENGTH {
        let metrics = curves.iter().map(|(name, curve)| (name.to_string(), curve(update as f64))).collect();
        history.observe(&Event::Update { update, metrics });
        if update == 30 {
            history.observe(&Event::Changed { name: "clip_weight".into(), value: "0.5".into() });
        }
    }
    assert!(!falls(&history));
}

#[test]
fn what_a_rewind_has_overtaken_counts_no_more() {
    let mut history = History::default();
    let mut say = |update: u64, kl: f64| {
        history.observe(&Event::Update { update, metrics: [("kl".to_string(), kl)].into() });
    };
    (1..=30).for_each(|update| say(update, 0.1));
    (5..=30).for_each(|update| say(update, 1e-3));
    assert!(diagnose(&history, &RunConfig::default()).iter().all(|finding| finding.kind != Kind::KlExploding));
}

#[test]
fn without_instance_rewards_nothing_is_said_of_them() {
    let config = config(&[("clip_weight", "0"), ("preference_weight", "0")]);
    let flat = with(vec![("reward", Box::new(|_| 0.0)), ("frac_reward_zero_std", Box::new(|_| 1.0))]);
    assert!(diagnose(&play(&flat, |_, _| ()), &config).is_empty());
    let of_reward = |w: &Watch| w.metric == "reward" || w.kind == Kind::DeadGroups;
    assert!(!watch(&History::default(), &config).iter().any(of_reward));
    assert!(watch(&History::default(), &RunConfig::default()).iter().any(of_reward));
}

/// A recorded run of the embedded model, from `tests/recorded`.
fn recorded(csv: &str) -> History {
    let mut lines = csv.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut history = History::default();
    for line in lines {
        let row: Vec<(&str, f64)> =
            names.iter().zip(line.split(',')).filter_map(|(name, text)| Some((*name, text.parse().ok()?))).collect();
        let metrics = row[1..].iter().map(|(name, value)| (name.to_string(), *value)).collect();
        history.observe(&Event::Update { update: row[0].1 as u64, metrics });
    }
    history
}

#[test]
fn recorded_runs_are_read_as_the_results_read_them() {
    let kinds = |csv, config: &RunConfig| -> Vec<(Kind, Severity)> {
        diagnose(&recorded(csv), config).iter().map(|finding| (finding.kind, finding.severity)).collect()
    };
    let evaluated = ("eval_samples", "512");
    let full = config(&[evaluated]);
    assert_eq!(kinds(include_str!("../../../tests/recorded/full.csv"), &full), []);
    let alone = [("loo_fid_weight", "0"), ("adaptive_entropy", "false"), ("entropy_coef", "0"), evaluated];
    let hacked = kinds(include_str!("../../../tests/recorded/instance-only.csv"), &config(&alone));
    assert_eq!(hacked, [(Kind::Hacking, Severity::Warning)]);
    let mut settings = alone.to_vec();
    settings.extend([
        ("num_generations", "4"),
        ("num_iterations", "2"),
        ("clip_weight", "1"),
        ("learning_rate", "4e-5"),
    ]);
    let collapsed = kinds(include_str!("../../../tests/recorded/collapsed.csv"), &config(&settings));
    assert_eq!(collapsed[0], (Kind::Hacking, Severity::Serious));
    let has = |kind| collapsed.iter().any(|found| found.0 == kind);
    assert!(has(Kind::Collapse) && has(Kind::KlExploding) && has(Kind::TugOfWar), "{collapsed:?}");
}

#[test]
fn knobs_that_change_what_is_drawn_are_those_of_the_rollout() {
    // The checks tell them by their group.
    let group = |name: &str| PARAMS.iter().find(|param| param.name == name).map(|param| param.group);
    assert!(["temperature", "guidance", "top_k", "prompts"].map(group).iter().all(|g| *g == Some("Rollout")));
}
