use eframe::egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use super::*;
use crate::config::Lesson;
use crate::session::{Command, Event, State};
use crate::ui::{App, Remembered, theme};

struct Stage {
    app: App,
    sent: Vec<Command>,
}

/// The window as a link begins it, with an engine that is ready.
fn open(link: &str, lesson: Option<Lesson>) -> Harness<'static, Stage> {
    let link = Link::parse(link).unwrap();
    let mut app = App::new(link.config.clone(), Remembered::default());
    app.teach(&link, lesson);
    let ready = Event::Ready {
        device: "scripted device".into(),
        model: "tiny".into(),
        classes: vec![],
        config: Box::new(link.config),
        update: 0,
        folder: None,
    };
    [ready, Event::State(State::Paused)].into_iter().for_each(|event| app.observe(event));
    let mut window = Harness::builder()
        .with_size([1280.0, 800.0])
        .with_max_steps(40)
        .with_context_setup(theme::apply)
        .build_ui_state(|ui, stage: &mut Stage| stage.sent.extend(stage.app.show(ui)), Stage { app, sent: vec![] });
    window.run_ok();
    window
}

fn click(window: &mut Harness<'_, Stage>, label: &str) {
    window.get_by_role_and_label(Role::Button, label).click();
    window.run_ok();
}

fn is_disabled(window: &Harness<'_, Stage>, label: &str) -> bool {
    window.get_by_role_and_label(Role::Slider, label).accesskit_node().is_disabled()
}

fn slider(window: &Harness<'_, Stage>, label: &str) -> bool {
    window.query_by_role_and_label(Role::Slider, label).is_some()
}

fn sent(window: &mut Harness<'_, Stage>) -> Vec<String> {
    window.state_mut().sent.drain(..).map(|command| format!("{command:?}")).collect()
}

#[test]
fn a_locked_setting_is_shown_and_cannot_be_turned_until_the_lesson_is_left() {
    let mut window = open("learning_rate=2e-4&lock=learning_rate", None);
    assert!(is_disabled(&window, "Learning rate") && !is_disabled(&window, "Max grad norm"));
    window.get_by_role_and_label(Role::Slider, "Learning rate").hover();
    window.run_steps(8);
    window.get_by_label(text::FIXED);
    window.get_by_role_and_label(Role::Slider, "Learning rate").set_value_accesskit(1e-3);
    window.run_ok();
    assert!(sent(&mut window).is_empty());

    click(&mut window, text::LEAVE);
    click(&mut window, text::STAY);
    assert!(is_disabled(&window, "Learning rate"));
    click(&mut window, text::LEAVE);
    click(&mut window, text::LEAVE_NOW);
    assert!(!is_disabled(&window, "Learning rate") && window.query_by_label(text::LEAVE).is_none());
    window.get_by_role_and_label(Role::Slider, "Learning rate").set_value_accesskit(1e-3);
    window.run_ok();
    assert_eq!(sent(&mut window), [r#"Set { name: "learning_rate", value: "0.001" }"#]);
}

#[test]
fn what_is_hidden_is_not_drawn_and_comes_back() {
    let mut window = open("hide=learning_rate,rollout,curves,presets,file", None);
    let heading = |window: &Harness<'_, Stage>, label: &str| window.query_all_by_label(label).next().is_some();
    assert!(!slider(&window, "Learning rate") && slider(&window, "Max grad norm"));
    assert!(!heading(&window, "Rollout") && heading(&window, "Optimiser"), "an empty group is not drawn");
    assert!(!heading(&window, "Curves") && !heading(&window, "Presets") && !heading(&window, "File"));
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num8);
    window.run_ok();
    assert!(!heading(&window, "Curves"), "no key brings it back");
    let remembered = serde_json::to_string(&window.state().app.remember()).unwrap();
    assert!(remembered.contains("\"invisible\":[]"), "nothing hidden is remembered");

    click(&mut window, text::LEAVE);
    click(&mut window, text::LEAVE_NOW);
    assert!(slider(&window, "Learning rate") && heading(&window, "Rollout") && heading(&window, "Curves"));
    assert!(heading(&window, "Presets") && heading(&window, "File"));
}

#[test]
fn a_hidden_part_of_the_mix_has_no_fader() {
    let mut window = open("hide=symmetry_weight&lock=clip_weight&show=rewards", None);
    assert!(!slider(&window, "Symmetry weight") && is_disabled(&window, "CLIP weight"));
    assert!(!is_disabled(&window, "Brightness weight"));
    window.state_mut().app.bring_forward("Pictures").unwrap();
    window.run_ok();
}

#[test]
fn a_preset_leaves_locked_and_hidden_settings_alone_and_says_so() {
    let mut window = open("lock=learning_rate&hide=beta", None);
    click(&mut window, "Presets");
    click(&mut window, "no-anchor");
    let commands = sent(&mut window).join(" ");
    assert!(commands.contains("loo_fid_weight") && !commands.contains("beta"), "{commands}");
    window.state_mut().app.bring_forward("Log").unwrap();
    window.run_ok();
    window.get_by_label_contains("Preset no-anchor: Beta stay");
}

#[test]
fn all_locked_is_all_locked() {
    let window = open("lock=all", None);
    assert!(is_disabled(&window, "Learning rate"));
    assert!(window.get_by_role_and_label(Role::Button, "Presets").accesskit_node().is_disabled());
    assert!(!window.get_by_role_and_label(Role::Button, "Run").accesskit_node().is_disabled());
}

#[test]
fn other_settings_are_pasted_only_after_leaving() {
    let mut window = open("lock=all", None);
    let paste = |window: &mut Harness<'_, Stage>, link: &str| {
        window.get_by_label("File").click();
        window.run_ok();
        window.get_by_label("Paste settings…").click();
        window.run_ok();
        window.event(egui::Event::Paste(link.into()));
        window.run_ok();
        click(window, "Begin a run with these");
    };
    paste(&mut window, "beta=0.5");
    assert!(window.state_mut().app.opens().is_none());
    window.get_by_label(text::OPEN_QUESTION);
    click(&mut window, text::STAY);
    assert!(window.state_mut().app.opens().is_none() && is_disabled(&window, "Learning rate"));

    paste(&mut window, "beta=0.5&lock=beta");
    click(&mut window, text::LEAVE_NOW);
    let Some((Opened::Settings(config), _)) = window.state_mut().app.opens() else { panic!() };
    assert_eq!(config.beta, 0.5);
    window.get_by_label(text::LINK);
}

#[test]
fn a_lesson_is_read_in_place_of_the_tour_and_goes_on_by_what_is_done() {
    let file = "title = 'Rates'\ntext = 'About steps.'\nlink = 'lock=beta'\n\
        [[steps]]\ntext = 'Turn it up.'\npoint = 'setting/learning_rate'\nwait = 'turned learning_rate'\n\
        [[steps]]\ntitle = 'Look'\ntext = 'That was it.'\npoint = 'curve/Reward'";
    let lesson = Lesson::parse(file).unwrap();
    let mut window = open("lock=beta&hide=learn&show=settings", Some(lesson));
    for words in ["Lesson: Rates", "Rates", "About steps."] {
        window.get_by_label(words);
    }
    click(&mut window, "Next");
    for words in ["Step 1", "Turn it up.", "Turn Learning rate."] {
        window.get_by_label(words);
    }
    window.get_by_role_and_label(Role::Slider, "Learning rate").set_value_accesskit(1e-3);
    window.run_ok();
    window.get_by_label("Done");
    click(&mut window, "Next");
    window.get_by_label("That was it.");
    assert!(window.get_by_role_and_label(Role::Button, "Next").accesskit_node().is_disabled());
    click(&mut window, text::LEAVE);
    click(&mut window, text::LEAVE_NOW);
    window.get_by_label("What you see");
}
