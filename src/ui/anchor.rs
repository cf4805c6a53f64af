//! Where widgets are in this frame, so that the tour can point at the one it speaks of.
//!
//! A widget says where it is by [`mark`], whenever it is drawn. [`highlight`] outlines it, and [`seek`] scrolls to it.

use std::time::Duration;

use eframe::egui::{Align, Color32, Context, Id, LayerId, Order, Rect, Stroke, StrokeKind, Ui};

use super::text;
use crate::config::{PARAMS, Param, hint};

/// Names under which widgets may be marked; besides these `setting/<name in PARAMS>` and `curve/<title of a chart>`.
pub(super) const ANCHORS: &[&str] = &[
    "run",
    "step",
    "span",
    "presets",
    "evaluate",
    "save",
    "timeline",
    "reset",
    "gallery",
    "frames-legend",
    "settings",
    "faders",
    "curves",
    "feature-space",
    "inspector",
    "diagnosis",
    "log",
];

/// Of these, the panes: the user may have closed them.
const PANES: &[&str] = &["gallery", "settings", "faders", "curves", "feature-space", "inspector", "diagnosis", "log"];

/// Seconds from one brightest moment of the outline to the next.
const PULSE: f64 = 1.2;
/// Time between two frames of the pulse.
const FRAME: Duration = Duration::from_millis(33);

/// Where a marked widget is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sight {
    /// On screen, in this rectangle of points.
    Shown(Rect),
    /// Drawn, but outside what its scroll area shows.
    Scrolled,
    /// Not drawn: its pane is closed, or it is folded away.
    Absent,
}

/// What [`mark`] leaves behind.
#[derive(Clone, Copy)]
struct Mark {
    pass: u64,
    visible: Rect,
}

/// Whether widgets may be marked under this name.
pub(super) fn is_known(name: &str) -> bool {
    match name.split_once('/') {
        Some(("setting", param)) => PARAMS.iter().any(|p| p.name == param),
        Some(("curve", title)) => text::charts::CHARTS.iter().any(|chart| chart.title == title),
        Some(_) => false,
        None => ANCHORS.contains(&name),
    }
}

/// The known name nearest to one that is not, as `; did you mean ...?`, or nothing.
pub(super) fn nearest(name: &str) -> String {
    let settings = PARAMS.iter().map(|param| format!("setting/{}", param.name));
    let curves = text::charts::CHARTS.iter().map(|chart| format!("curve/{}", chart.title));
    let names: Vec<String> = ANCHORS.iter().map(|name| name.to_string()).chain(settings).chain(curves).collect();
    hint(name, names.iter().map(String::as_str))
}

/// All names under which widgets may be marked.
pub(super) fn names() -> impl Iterator<Item = String> {
    let settings = PARAMS.iter().map(|param| format!("setting/{}", param.name));
    let curves = text::charts::CHARTS.iter().map(|chart| format!("curve/{}", chart.title));
    ANCHORS.iter().map(|name| name.to_string()).chain(settings).chain(curves)
}

/// The pane that the anchor is in, or is; `None` for what is always on screen.
pub(super) fn pane(name: &str) -> Option<&'static str> {
    let wanted = match name.split_once('/') {
        Some(("setting", _)) => "settings",
        Some(("curve", _)) => "curves",
        _ if name == "frames-legend" => "gallery",
        _ => name,
    };
    PANES.iter().find(|pane| **pane == wanted).copied()
}

/// The heading under which a setting is found; `None` for anything else.
pub(super) fn heading(name: &str) -> Option<&'static str> {
    Param::find(name.strip_prefix("setting/")?).ok().map(|param| param.group)
}

fn id(name: &str) -> Id {
    Id::unique("anchor").with(name)
}

/// Says that the widget `name` has been drawn in `rect` by `ui`.
pub(super) fn mark(ui: &Ui, name: &str, rect: Rect) {
    debug_assert!(is_known(name), "no anchor is called {name}");
    if ui.is_sizing_pass() || !ui.is_visible() {
        return;
    }
    let pass = ui.ctx().cumulative_pass_nr();
    let visible = rect.intersect(ui.clip_rect());
    let sought = ui.data_mut(|data| {
        data.insert_temp(id(name), Mark { pass, visible });
        let sought = data.get_temp::<Id>(Id::unique("anchor sought")) == Some(id(name));
        if sought {
            data.remove::<Id>(Id::unique("anchor sought"));
        }
        sought
    });
    if sought {
        ui.scroll_to_rect(rect, Some(Align::Center));
    }
}

/// Scrolls to the widget `name` when it is next drawn.
pub(super) fn seek(ctx: &Context, name: &str) {
    ctx.data_mut(|data| data.insert_temp(Id::unique("anchor sought"), id(name)));
    ctx.request_repaint();
}

/// Where the widget `name` is: as it was marked in this frame or, if its turn has not come yet, in the last.
pub(super) fn sight(ctx: &Context, name: &str) -> Sight {
    let now = ctx.cumulative_pass_nr();
    match ctx.data(|data| data.get_temp::<Mark>(id(name))) {
        Some(mark) if mark.pass + 1 >= now => match mark.visible.is_positive() {
            true => Sight::Shown(mark.visible),
            false => Sight::Scrolled,
        },
        _ => Sight::Absent,
    }
}

/// Outlines the widget `name`, above all panes and below menus and dialogs; it pulses if that is wanted and the
/// user's animations are not off. Draws nothing where the widget is not on screen.
pub(super) fn highlight(ctx: &Context, name: &str, accent: Color32, pulsing: bool) {
    let Sight::Shown(rect) = sight(ctx, name) else { return };
    let moving = pulsing && ctx.global_style().animation_time > 0.0;
    let wave = if moving {
        let turn = ctx.input(|input| input.time) / PULSE;
        ctx.request_repaint_after(FRAME);
        (0.5 - 0.5 * (std::f64::consts::TAU * turn).cos()) as f32
    } else {
        // Strong while it is to be found, soft afterwards.
        if pulsing { 1.0 } else { 0.0 }
    };
    let painter = ctx.layer_painter(LayerId::new(Order::Middle, Id::unique("anchor outline")));
    // A pane at the window's edge has its outline inside.
    let window = ctx.content_rect().shrink(1.0);
    for (distance, strength) in [(2.0, 0.55 + 0.45 * wave), (4.5, 0.4 * wave), (7.0, 0.18 * wave)] {
        let rect = rect.expand(distance).intersect(window);
        painter.rect_stroke(rect, 8.0, Stroke::new(2.0, accent.gamma_multiply(strength)), StrokeKind::Middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eframe::egui::{ScrollArea, vec2};
    use egui_kittest::Harness;

    #[test]
    fn names_are_known_and_lie_in_their_panes() {
        assert!(ANCHORS.iter().all(|name| is_known(name)) && PANES.iter().all(|name| is_known(name)));
        assert!(is_known("setting/beta") && is_known("curve/Ratio"));
        assert!(!is_known("setting/betta") && !is_known("curve/ratio") && !is_known("Run") && !is_known("pane/run"));
        let panes = ["setting/beta", "curve/Ratio", "frames-legend", "inspector", "run"].map(pane);
        assert_eq!(panes, [Some("settings"), Some("curves"), Some("gallery"), Some("inspector"), None]);
        assert_eq!((heading("setting/beta"), heading("curves")), (Some("Loss"), None));
    }

    /// A bar with a button, and a list whose last row is marked; the flag tells whether the button is there.
    fn stage() -> Harness<'static, bool> {
        Harness::builder().with_size([200.0, 200.0]).build_ui_state(
            |ui, bar: &mut bool| {
                if *bar {
                    let button = ui.button("Run");
                    mark(ui, "run", button.rect);
                }
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    let (rect, _) = ui.allocate_exact_size(vec2(50.0, 900.0), eframe::egui::Sense::hover());
                    mark(ui, "setting/beta", Rect::from_min_max(rect.right_bottom() - vec2(50.0, 20.0), rect.max));
                });
                highlight(ui.ctx(), "run", Color32::RED, true);
            },
            true,
        )
    }

    #[test]
    fn what_is_no_longer_drawn_is_absent() {
        let mut stage = stage();
        stage.run();
        assert!(matches!(sight(&stage.ctx, "run"), Sight::Shown(rect) if rect.width() > 20.0));
        assert_eq!(sight(&stage.ctx, "log"), Sight::Absent);
        *stage.state_mut() = false;
        stage.run_steps(3);
        assert_eq!(sight(&stage.ctx, "run"), Sight::Absent);
    }

    #[test]
    fn what_is_scrolled_away_is_scrolled_to_when_sought() {
        let mut stage = stage();
        stage.run();
        assert_eq!(sight(&stage.ctx, "setting/beta"), Sight::Scrolled);
        seek(&stage.ctx, "setting/beta");
        stage.run_steps(20);
        assert!(matches!(sight(&stage.ctx, "setting/beta"), Sight::Shown(rect) if rect.height() > 19.0));
    }

    #[test]
    fn the_outline_pulses_only_where_things_may_move() {
        let mut stage = stage();
        stage.run();
        let drawn = |stage: &Harness<'_, bool>| stage.output().viewport_output.values().map(|v| v.repaint_delay).min();
        stage.ctx.global_style_mut(|style| style.animation_time = 0.0);
        stage.run_steps(2);
        assert!(drawn(&stage).is_some_and(|delay| delay > FRAME));
        stage.ctx.global_style_mut(|style| style.animation_time = 0.2);
        stage.run_steps(2);
        assert!(drawn(&stage).is_some_and(|delay| delay <= FRAME));
    }
}
