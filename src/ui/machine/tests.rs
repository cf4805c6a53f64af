use egui_kittest::{Harness, kittest::Queryable};

use super::*;
use crate::session::forecast::{Moment, Part, Use};
use crate::session::machine::{Drawing, Kind, Limits};

fn pane() -> Pane {
    let limits = Limits { max_buffer: 2_000_000_000, f16: true, ..Limits::default() };
    let machine = Machine {
        name: "a card".into(),
        kind: Kind::Discrete,
        api: "vulkan".into(),
        limits: Some(limits),
        drawing: Drawing::Same,
        threads: 8,
        ..Machine::default()
    };
    let part = |what, bytes| Part { what, bytes };
    let forecast = Forecast {
        parts: vec![part(Use::Program, 150_000_000), part(Use::Activations, 850_000_000)],
        moment: Moment::Train,
        total: 1_000_000_000,
        moments: vec![(Moment::Generate, 480_000_000), (Moment::Train, 1_000_000_000)],
        largest: part(Use::Logits, 33_000_000),
    };
    let mut pane = Pane::default();
    pane.observe(&Event::Machine(Box::new(machine)));
    pane.observe(&Event::Forecast(Box::new(forecast)));
    [0.004, 0.007, 0.007, 0.050].into_iter().for_each(|seconds| pane.frame(seconds));
    pane
}

fn open(size: [f32; 2]) -> Harness<'static, (Pane, bool)> {
    Harness::builder().with_size(size).with_context_setup(theme::apply).build_ui_state(
        |ui, (pane, asked): &mut (Pane, bool)| {
            *asked |= pane.corner(ui);
            pane.show(ui);
        },
        (pane(), false),
    )
}

#[test]
fn everything_is_named_in_a_narrow_and_in_a_wide_pane() {
    for size in [[240.0, 1400.0], [900.0, 420.0]] {
        let mut window = open(size);
        window.run_ok();
        for label in ["a card", "1.0 GB at its fullest (gradient step)", "Activations", "2.0 GB", "7.0 ms", "50 ms"] {
            assert!(window.query_all_by_label(label).next().is_some(), "{label} at {size:?}");
        }
        let figures = [words::FRAMES, "1.0 GB at its fullest (gradient step)"];
        for figure in figures {
            window.get_by_role_and_label(Role::Figure, figure);
        }
    }
}

#[test]
fn the_button_copies_a_report_with_every_figure() {
    let mut window = open([700.0, 600.0]);
    window.run_ok();
    window.get_by_role_and_label(Role::Button, words::COPY).click();
    window.run_ok();
    window.get_by_role_and_label(Role::Button, words::COPIED);
    let report = window.state().0.report();
    for part in ["a card", "vulkan", "the same device draws this window", "850 MB", "p50 7.0 ms", "over 4 frames"] {
        assert!(report.contains(part), "{part} is not in\n{report}");
    }
}

#[test]
fn the_corner_shows_frame_and_memory_and_asks_for_the_pane() {
    let mut window = open([500.0, 300.0]);
    window.run_ok();
    let memory = window.state().0.memory.map(|memory| memory.process);
    let line = format!("{}: {}", words::TITLE, words::corner(Some(0.007), memory));
    assert!(line.contains("frame 7 ms"), "{line}");
    assert!(!window.state().1);
    window.get_by_role_and_label(Role::Button, &line).click();
    window.run_ok();
    assert!(window.state().1);
}
