//! The window, driven by the names that a screen reader would read: first against a scripted engine, then a real one.

use std::time::{Duration, Instant};

use artune::config::{Kind, PARAMS, RunConfig};
use artune::session::recording::Recording;
use artune::session::{self, Command, Event, Gallery, Group, Options, Phase, Sample, Session, Span, State, whatif};
use artune::ui::{App, Remembered, theme};
use eframe::egui::{self, accesskit::Role};
use egui_kittest::kittest::{NodeT, Queryable};
use egui_kittest::{Harness, SnapshotOptions, SnapshotResults};

/// A window and what it asked for.
struct Stage {
    app: App,
    sent: Vec<Command>,
}

fn open(config: RunConfig, size: [f32; 2]) -> Harness<'static, Stage> {
    open_remembering(config, size, Remembered::default())
}

fn open_remembering(config: RunConfig, size: [f32; 2], remembered: Remembered) -> Harness<'static, Stage> {
    let stage = Stage { app: App::new(config, remembered), sent: Vec::new() };
    Harness::builder()
        .with_size(size)
        .with_max_steps(40)
        .with_context_setup(theme::apply)
        .build_ui_state(|ui, stage: &mut Stage| stage.sent.extend(stage.app.show(ui)), stage)
}

fn tell(window: &mut Harness<'_, Stage>, events: impl IntoIterator<Item = Event>) {
    events.into_iter().for_each(|event| window.state_mut().app.observe(event));
    window.run_ok();
}

fn click(window: &mut Harness<'_, Stage>, label: &str) {
    window.get_by_role_and_label(Role::Button, label).click();
    window.run_ok();
}

/// What was asked for since the last call.
fn sent(window: &mut Harness<'_, Stage>) -> Vec<String> {
    window.state_mut().sent.drain(..).map(|command| format!("{command:?}")).collect()
}

fn ready() -> [Event; 2] {
    let ready = Event::Ready {
        device: "scripted device".into(),
        model: "tiny".into(),
        classes: vec!["cat".into()],
        config: Box::default(),
        update: 0,
        folder: Some("runs/window-2".into()),
    };
    [ready, Event::State(State::Paused)]
}

fn update(update: u64) -> Event {
    let x = update as f64;
    let metrics = [
        ("reward", 0.2 + 0.01 * x),
        ("rewards/clip/mean", 0.25 + 0.002 * x),
        ("rewards/loo_fid/mean", -1e-3 + 1e-5 * x * x),
        ("entropy_norm", 0.78 - 0.002 * x),
        ("entropy_target", 0.78),
        ("kl", 1e-3 * x),
        ("ratio", 1.0 + 1e-3 * x.sin()),
        ("ratio/first", 1.0),
        ("clip_ratio/low", 0.0),
        ("clip_ratio/high", 0.01 * (x * 0.7).sin().abs()),
        ("grad_norm", 0.4 + 0.1 * (x * 1.3).cos()),
        ("diversity", 0.5 - 0.003 * x),
        ("step_time", 2.4),
    ];
    Event::Update { update, metrics: metrics.map(|(name, value)| (name.to_string(), value)).into() }
}

/// Two prompts of eight samples; the later the sample, the better its advantage.
fn gallery() -> Gallery {
    let sample = |seed: usize| Sample {
        rgb: (0..32 * 32 * 3).map(|i| ((i / 3 % 32) * 8 + seed * 30 + i % 3 * 50) as u8).collect(),
        rewards: vec![("clip".into(), 0.2), ("loo_fid".into(), 1e-3)],
        advantage: Some((seed as f64 * 0.5 - 1.75, 0.25)),
        tokens: vec![],
    };
    let group = |name: &str| Group { prompt: name.into(), class: 0, samples: (0..8).map(sample).collect() };
    Gallery {
        update: 3,
        side: 32,
        tokens: (64, 64),
        groups: vec![group("a photo of a cat"), group("a photo of a bus")],
        space: None,
    }
}

#[test]
fn run_a_slider_and_pause_send_their_commands_and_nothing_resets() {
    let mut window = open(RunConfig::default(), [1280.0, 800.0]);
    window.run_ok();
    click(&mut window, "Run");
    assert!(sent(&mut window).is_empty(), "an engine that is loading takes no commands");

    tell(&mut window, ready());
    assert_eq!(sent(&mut window), ["Run"], "but it runs as soon as it can");

    tell(&mut window, [Event::State(State::Running), update(1), update(2)]);
    window.state_mut().app.pictures(gallery());
    window.get_by_role_and_label(Role::Slider, "Learning rate").set_value_accesskit(2e-4);
    window.run_ok();
    assert_eq!(sent(&mut window), [r#"Set { name: "learning_rate", value: "2e-4" }"#]);
    assert_eq!(window.state().app.history().series("reward").len(), 2);

    click(&mut window, "Pause");
    assert_eq!(sent(&mut window), ["Pause"]);
    tell(&mut window, [Event::State(State::Paused)]);
    click(&mut window, "Reset Learning rate to its default, 5e-5");
    assert_eq!(sent(&mut window), [r#"Set { name: "learning_rate", value: "5e-5" }"#]);
}

#[test]
fn keys_run_pause_and_step_but_never_while_typing() {
    let mut window = open(RunConfig::default(), [1280.0, 800.0]);
    tell(&mut window, ready());
    window.key_press(egui::Key::Space);
    window.run_ok();
    window.key_press(egui::Key::ArrowRight);
    window.run_ok();
    assert_eq!(sent(&mut window), ["Run".to_string(), format!("{:?}", Command::Step(Span::Update))]);

    window.get_by_role_and_label(Role::TextInput, "Find a setting").focus();
    window.run_ok();
    window.key_press(egui::Key::Space);
    window.run_ok();
    assert!(sent(&mut window).is_empty());
}

#[test]
fn a_reset_asks_first() {
    let mut window = open(RunConfig::default(), [1280.0, 800.0]);
    tell(&mut window, ready());
    tell(&mut window, [update(1)]);
    click(&mut window, "Reset");
    click(&mut window, "Keep this tuning");
    assert!(sent(&mut window).is_empty());
    click(&mut window, "Reset");
    click(&mut window, "Reset the model");
    assert_eq!(sent(&mut window), ["Reset"]);
    assert!(window.state().app.history().series("reward").is_empty());
}

#[test]
fn every_sample_is_named_and_a_failure_says_what_to_do() {
    for size in [[1280.0, 800.0], [1024.0, 768.0]] {
        let mut window = open(RunConfig::default(), size);
        tell(&mut window, ready());
        tell(&mut window, [Event::Progress { update: 3, phase: Phase::Train, done: 1, total: 2 }]);
        window.state_mut().app.pictures(gallery());
        window.run_ok();
        assert!(window.query_by_label("Sample 8 of a photo of a bus").is_some());
        let failed = Event::Failed { error: "out of memory".into(), advice: "Lower `prompts`.".into() };
        tell(&mut window, [failed, Event::State(State::Ended)]);
        assert!(window.query_by_label("Lower `prompts`.").is_some());
        click(&mut window, "Run");
        assert!(sent(&mut window).is_empty());
    }
}

#[test]
fn the_window_is_drawn_on_whatever_adapter_there_is() {
    if artune::gpu::adapters().is_empty() {
        assert!(std::env::var_os("ARTUNE_REQUIRE_GPU").is_none(), "no adapter was found, and one is required");
        return println!("no adapter here: nothing to draw with");
    }
    let mut window = open(RunConfig::default(), [1024.0, 768.0]);
    tell(&mut window, ready());
    tell(&mut window, (1..=12).map(update));
    window.state_mut().app.pictures(gallery());
    window.run_ok();
    let image = window.render().expect("drawn");
    // The scripted pictures run through hundreds of colours: a window without them has a few dozen.
    let colours: std::collections::BTreeSet<[u8; 4]> = image.pixels().map(|p| p.0).collect();
    assert!(colours.len() > 500, "only {} colours", colours.len());
}

/// Pictures that a designer has looked at. Another rasteriser draws edges a little differently, so that only the software
/// one is held to them; `UPDATE_SNAPSHOTS=1` makes them anew.
#[test]
fn the_window_looks_as_it_did_when_last_looked_at() {
    if !artune::gpu::adapters().iter().any(|adapter| adapter.name.contains("llvmpipe")) {
        return println!("no software rasteriser here");
    }
    let options = SnapshotOptions::new().threshold(1.5).max_failed_pixels(1500);
    let mut results = SnapshotResults::new();
    for (name, pane, dark) in
        [("pictures", "Pictures", true), ("rewards", "Rewards", false), ("diagnosis", "Diagnosis", true)]
    {
        let mut window = open(RunConfig::default(), [900.0, 600.0]);
        window.ctx.set_theme(if dark { egui::Theme::Dark } else { egui::Theme::Light });
        tell(&mut window, ready());
        tell(&mut window, (1..=12).map(update));
        window.state_mut().app.pictures(gallery());
        window.state_mut().app.bring_forward(pane).expect("a pane");
        window.run_ok();
        window.snapshot_options(name, &options);
        results.extend_harness(&mut window);
    }
}

#[test]
fn after_a_failure_settings_can_be_turned_and_the_engine_started_again() {
    let mut window = open(RunConfig::default(), [1280.0, 800.0]);
    tell(&mut window, ready());
    let failed = Event::Failed { error: "out of memory".into(), advice: "Lower `prompts`.".into() };
    tell(&mut window, [failed, Event::State(State::Ended)]);
    window.get_by_role_and_label(Role::Slider, "Learning rate").set_value_accesskit(2e-4);
    window.run_ok();
    assert!(sent(&mut window).is_empty(), "nobody is there to command");
    assert!(window.state_mut().app.restarts().is_none());
    click(&mut window, "Start again");
    let restart = window.state_mut().app.restarts().expect("asked for");
    assert!((restart.config.learning_rate - 2e-4).abs() < 1e-9);
    assert_eq!(restart.begun, Some(Some("runs/window-2".into())));
    window.run_ok();
    assert!(window.query_by_label("out of memory").is_none());
}

/// Lets a real engine and the window talk until `done`.
fn converse(window: &mut Harness<'_, Stage>, session: &Session, done: impl Fn(&App) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(240);
    while !done(&window.state().app) {
        assert!(Instant::now() < deadline, "the engine did not get there in time");
        for event in session.poll() {
            assert!(!matches!(event, Event::Failed { .. }), "{event:?}");
            window.state_mut().app.observe(event);
        }
        if let Some(exhibit) = session.gallery.take() {
            window.state_mut().app.pictures(exhibit.gallery);
        }
        window.step();
        window.state_mut().sent.drain(..).for_each(|command| session.send(command));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A small run that would go on for long.
fn tiny() -> RunConfig {
    let mut config = RunConfig::default();
    let settings = [
        ("model", "tiny"),
        ("prompts", "2"),
        ("num_generations", "2"),
        ("num_iterations", "1"),
        ("updates", "1000"),
        ("eval_every", "0"),
        ("sample_every", "0"),
        ("checkpoint_every", "0"),
    ];
    config.apply(settings).expect("valid settings");
    config
}

#[test]
fn the_window_runs_a_real_engine_turns_a_knob_without_a_reset_and_pauses() {
    let config = tiny();
    let session = session::start(Options { config: config.clone(), device: "cpu".into(), ..Options::default() });
    let mut window = open(config, [1024.0, 768.0]);
    converse(&mut window, &session, |app| app.state() == State::Paused);

    window.get_by_role_and_label(Role::Button, "Run").click();
    converse(&mut window, &session, |app| app.history().series("reward").len() >= 2);

    window.get_by_role_and_label(Role::Slider, "Learning rate").set_value_accesskit(3e-4);
    converse(&mut window, &session, |app| !app.history().knobs().is_empty());
    assert_eq!(window.state().app.history().knobs()[0].1, "learning_rate = 3e-4");
    let before = window.state().app.history().series("reward").len();
    converse(&mut window, &session, |app| app.history().series("reward").len() > before);

    window.get_by_role_and_label(Role::Button, "Pause").click();
    converse(&mut window, &session, |app| app.state() == State::Paused);
    session.join();
}

#[test]
fn every_button_and_key_of_the_bar_sends_its_command() {
    let mut window = open(RunConfig::default(), [1280.0, 800.0]);
    tell(&mut window, ready());
    tell(&mut window, [update(1), update(2), Event::Keyframes(vec![0, 1, 2])]);
    for (label, command) in [("Evaluate", "Evaluate"), ("Save", "Save"), ("Back", "Rewind(1)"), ("Run", "Run")] {
        click(&mut window, label);
        assert_eq!(sent(&mut window), [command], "{label}");
    }
    for (key, command) in
        [(egui::Key::S, "Save"), (egui::Key::ArrowLeft, "Rewind(0)"), (egui::Key::ArrowRight, "Step(Update)")]
    {
        window.key_press(key);
        window.run_ok();
        assert_eq!(sent(&mut window), [command], "{key:?}");
    }
    // The arrow down makes steps shorter, one size at a time.
    for span in ["Advantage", "Reward", "Rollout", "Image", "Token"] {
        window.key_press(egui::Key::ArrowDown);
        window.run_ok();
        click(&mut window, "Step");
        assert_eq!(sent(&mut window), [format!("Step({span})")]);
    }
}

#[test]
fn turning_every_knob_while_running_sends_it_and_resets_nothing() {
    let mut window = open(RunConfig::default(), [1280.0, 800.0]);
    tell(&mut window, ready());
    tell(&mut window, [Event::State(State::Running), update(1), update(2)]);
    let mut config = RunConfig::default();
    for param in PARAMS.iter().filter(|param| param.live) {
        let search = window.get_by_role_and_label(Role::TextInput, "Find a setting");
        search.focus();
        window.run_ok();
        window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
        window.get_by_role_and_label(Role::TextInput, "Find a setting").type_text(param.name);
        window.run_ok();
        let words = param.name.replace('_', " ");
        let named = |node: &egui_kittest::Node<'_>| {
            node.accesskit_node().label().is_some_and(|label| label.to_lowercase() == words)
        };
        let before = config.get(param.name).expect("a value").to_string();
        let to = match param.kind {
            Kind::Float { min, max, .. } => (min + (max - min) * 0.37).to_string(),
            Kind::Int { min, max } => (min + (max - min) / 3).to_string(),
            Kind::Bool => {
                let node = window.get_all_by_role(Role::CheckBox).find(named).expect(param.name);
                node.click();
                window.run_ok();
                (before != "true").to_string()
            }
            Kind::Choice(_) | Kind::Text => continue, // a menu and a field of words: tested in the pane
        };
        if let Kind::Float { .. } | Kind::Int { .. } = param.kind {
            let node = window.get_all_by_role(Role::Slider).find(named).expect(param.name);
            node.set_value_accesskit(to.parse().expect("a number"));
            window.run_ok();
        }
        let commands = sent(&mut window);
        let wanted = format!("Set {{ name: {:?}", param.name);
        let refused = config.set(param.name, &to).is_err();
        assert!(refused || commands.iter().any(|c| c.starts_with(&wanted)), "{}: {commands:?}", param.name);
        config = RunConfig::default();
    }
    assert_eq!(window.state().app.history().series("reward").len(), 2, "nothing was reset");
}

#[test]
fn the_timeline_rewinds_by_keyboard() {
    let mut window = open(RunConfig::default(), [1280.0, 800.0]);
    tell(&mut window, ready());
    tell(&mut window, (1..=5).map(update));
    tell(&mut window, [Event::Keyframes(vec![0, 3, 5])]);
    window.get_by_role_and_label(Role::Slider, "Timeline: go back to an update").focus();
    window.run_ok();
    for _ in 0..3 {
        window.key_press(egui::Key::ArrowLeft);
        window.run_ok();
    }
    window.key_press(egui::Key::Enter);
    window.run_ok();
    assert_eq!(sent(&mut window), ["Rewind(2)"]);
    let config = Box::default();
    tell(&mut window, [Event::Rewound { update: 2, folder: None, config }, Event::Keyframes(vec![0, 2])]);
    assert_eq!(window.state().app.history().series("reward").len(), 2);
}

#[test]
fn a_fader_moved_while_paused_pays_the_same_pictures_anew() {
    let mut window = open(RunConfig::default(), [1280.0, 800.0]);
    tell(&mut window, ready());
    let names = ["clip", "preference", "colour", "brightness", "symmetry", "compressibility", "loo_fid"];
    let mut shown = gallery();
    for group in &mut shown.groups {
        for (index, sample) in group.samples.iter_mut().enumerate() {
            sample.rewards = names.iter().map(|name| (name.to_string(), 0.0)).collect();
            sample.rewards[0].1 = index as f64;
            sample.rewards[3].1 = -(index as f64);
        }
    }
    let paid = whatif::advantages_under(&shown, &RunConfig::default()).expect("scored");
    for (group, paid) in shown.groups.iter_mut().zip(paid) {
        group.samples.iter_mut().zip(paid).for_each(|(sample, advantage)| sample.advantage = Some(advantage));
    }
    window.state_mut().app.pictures(shown);
    window.run_ok();
    assert!(window.query_by_label_contains("what if").is_none());
    click(&mut window, "Rewards");
    window.get_by_role_and_label(Role::Slider, "Brightness weight").set_value_accesskit(10.0);
    window.run_ok();
    assert_eq!(sent(&mut window), [r#"Set { name: "brightness_weight", value: "10" }"#]);
    assert!(window.query_by_label_contains("what if").is_some());
    assert!(window.query_by_label_contains("16 pictures change sides").is_some(), "the order is turned round");
}

#[test]
fn every_pane_opens_from_the_menu_is_drawn_in_both_themes_and_sizes_and_is_remembered() {
    for (size, dark) in [([1280.0, 800.0], true), ([1024.0, 768.0], false)] {
        let mut window = open(RunConfig::default(), size);
        window.ctx.set_theme(if dark { egui::Theme::Dark } else { egui::Theme::Light });
        tell(&mut window, ready());
        tell(&mut window, (1..=12).map(update));
        window.state_mut().app.pictures(gallery());
        for pane in
            ["Rewards", "Learn", "Feature space", "Inspector", "Compare", "Diagnosis", "Device", "Pictures", "Settings"]
        {
            window.state_mut().app.bring_forward(pane).expect("a pane of this title");
            window.run_ok();
        }
        assert!(window.state_mut().app.bring_forward("nothing").is_err());
        let remembered = serde_json::to_string(&window.state().app.remember()).expect("remembered");
        let again: Remembered = serde_json::from_str(&remembered).expect("read");
        let mut window = open_remembering(RunConfig::default(), size, again);
        tell(&mut window, ready());
        window.run_ok();
    }
}

#[test]
fn the_recording_is_there_at_once_and_gives_way_to_the_first_real_picture() {
    let mut window = open(RunConfig::default(), [1280.0, 800.0]);
    window.state_mut().app.play(Recording::shipped().expect("ships"));
    window.run_ok();
    assert!(window.query_by_label_contains("A recorded run").is_some());
    assert!(window.state().app.history().series("reward").len() >= 20);
    tell(&mut window, ready());
    assert!(window.query_by_label_contains("A recorded run").is_some(), "still, until something is made here");
    tell(&mut window, [Event::Progress { update: 1, phase: Phase::Generate, done: 1, total: 64 }]);
    assert!(window.query_by_label_contains("A recorded run").is_none());
    assert!(window.state().app.history().series("reward").is_empty());
}

#[test]
fn one_click_leads_from_opening_to_a_tuned_picture() {
    let config = tiny();
    let session =
        session::start(Options { watched: true, config: config.clone(), device: "cpu".into(), ..Options::default() });
    let mut window = open(config, [1280.0, 800.0]);
    window.state_mut().app.play(Recording::shipped().expect("ships"));
    window.run_ok();
    // While the engine is still starting: the click is remembered.
    click(&mut window, "Run");
    converse(&mut window, &session, |app| app.history().series("reward").len() >= 2);
    assert!(window.query_all_by_label_contains("Sample 2 of").next().is_some());
    session.join();
}
