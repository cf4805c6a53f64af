//! The feature space: the batch among the real pictures, and what leaving one picture out does to the whole.

mod batch;
mod card;
mod draw;
mod sheet;
mod tools;
mod view;

use std::collections::BTreeMap;

use eframe::egui::{
    self, EventFilter, Key, Modifiers, PointerButton, Pos2, Rect, Response, RichText, Sense, Stroke, StrokeKind,
    TextStyle, Ui, Vec2, WidgetInfo, accesskit::Role, pos2, vec2,
};

use super::text::space as text;
use super::{bar, theme};
use crate::session::{Ellipse, Gallery};
use batch::Batch;
use draw::{Look, Name};
use sheet::Sheet;
use tools::Ask;
use view::{Camera, Glide, Map};

/// Means of the model's Gaussian that are remembered.
const TRAIL: usize = 100;
/// A pointer this near to a sample means it, in points.
const REACH: f32 = 12.0;
/// Room for the numbers at the left of the picture and below it, in points.
const MARGIN: Vec2 = vec2(30.0, 16.0);

/// A group and a sample in it.
type Spot = (usize, usize);

/// What the hand does in the pane: samples by group and place in the group, of the newest scored batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Touched {
    /// Under the pointer.
    pub(super) hovered: Option<Spot>,
    /// Clicked, or reached by the keyboard, in this frame.
    pub(super) clicked: Option<Spot>,
    /// A click beside all samples, or the key Escape: nothing is selected any more.
    pub(super) cleared: bool,
}

/// The feature space pane.
#[derive(Default)]
pub(super) struct Pane {
    /// The newest scored batch; it stays while the next one is being written.
    batch: Option<Batch>,
    sheet: Option<Sheet>,
    /// Mean of the model's Gaussian after each of the last updates.
    trail: BTreeMap<u64, [f64; 2]>,
    camera: Camera,
    /// The Gaussian on the screen: mean and covariance.
    drawn: Glide<5>,
    pictures: bool,
    chosen: Option<Spot>,
    /// A key chose it: a pointer that rests on another sample does not count until it moves.
    keyed: bool,
    /// Under the pointer in the card.
    pointed: Option<Spot>,
    /// Said to be under the pointer in the last frame: it is not news when it comes back from elsewhere.
    reported: Option<Spot>,
    /// What was selected elsewhere in the last frame.
    told: Option<Spot>,
}

impl Pane {
    /// Forgets the run.
    pub(super) fn clear(&mut self) {
        *self = Self { pictures: self.pictures, ..Self::default() };
    }

    /// Draws the pane. `selected` is the sample that is selected or pointed at elsewhere, of `gallery`.
    pub(super) fn show(&mut self, ui: &mut Ui, gallery: &Gallery, selected: Option<Spot>) -> Touched {
        self.take(gallery);
        // While the next batch is being written, the samples here are not those that are shown elsewhere.
        let same = gallery.space.is_some();
        let selected = selected.filter(|spot| Some(*spot) != self.reported);
        if same && selected != self.told {
            (self.told, self.chosen) = (selected, selected);
        }
        let Some(batch) = self.batch.take() else {
            empty(ui);
            return Touched::default();
        };
        let touched = self.draw(ui, &batch, gallery.update);
        self.batch = Some(batch);
        let touched = if same { touched } else { Touched::default() };
        self.reported = touched.hovered;
        touched
    }

    /// Takes in what is shown now: also while the pane is hidden, so that the model's way is whole.
    pub(super) fn take(&mut self, gallery: &Gallery) {
        let known = self.batch.as_ref().map(|batch| &batch.space);
        if gallery.space.is_none() || gallery.space.as_ref() == known {
            return;
        }
        self.batch = Batch::new(gallery);
        self.sheet = None;
        if let Some(batch) = &self.batch {
            self.trail.insert(batch.space.update, batch.all.mean);
            while self.trail.len() > TRAIL {
                self.trail.pop_first();
            }
        }
    }

    fn draw(&mut self, ui: &mut Ui, batch: &Batch, newest: u64) -> Touched {
        ui.horizontal(|ui| {
            ui.heading(text::TITLE).on_hover_text(text::HELP);
            ui.add(egui::Label::new(RichText::new(text::batch(batch.space.update, newest)).weak()).truncate());
        });
        let asked = tools::show(ui, &mut self.pictures, theme::FULL_ADVANTAGE * batch.size);
        let room = ui.available_size();
        let beside = room.x > 620.0 && room.x > 1.25 * room.y;
        let card = match (beside, room.x > card::WIDE) {
            (true, _) => vec2(256.0, room.y),
            (false, true) => vec2(room.x, 192.0_f32.min(0.45 * room.y)),
            (false, false) => vec2(room.x, 300.0_f32.min(0.5 * room.y)),
        };
        let gap = ui.spacing().item_spacing;
        let plot = if beside { vec2(room.x - card.x - gap.x, room.y) } else { vec2(room.x, room.y - card.y - gap.y) };
        let layout = if beside { egui::Layout::left_to_right(egui::Align::Min) } else { *ui.layout() };
        ui.with_layout(layout, |ui| {
            let (rect, response) = ui.allocate_exact_size(plot.max(vec2(60.0, 60.0)), Sense::click_and_drag());
            let new = || Sheet::new(ui.ctx(), &batch.samples(), batch.gallery.side);
            let sheet = self.sheet.get_or_insert_with(new).clone();
            let (mut touched, active) = self.plot(ui, batch, (rect, &response), asked, &sheet);
            let down = egui::Layout::top_down(egui::Align::Min);
            let in_card = ui.allocate_ui_with_layout(card, down, |ui| card::show(ui, batch, active, &sheet)).inner;
            self.pointed = in_card.hovered;
            touched.hovered = touched.hovered.or(in_card.hovered);
            touched.clicked = touched.clicked.or(in_card.clicked);
            if touched.clicked.is_some() || touched.cleared {
                self.chosen = touched.clicked;
            }
            touched
        })
        .inner
    }

    /// Draws the picture. Also returns the sample at hand.
    fn plot(
        &mut self,
        ui: &mut Ui,
        batch: &Batch,
        (rect, response): (Rect, &Response),
        asked: Ask,
        sheet: &Sheet,
    ) -> (Touched, Option<usize>) {
        let look = Look::of(ui);
        let inner = inside(rect);
        let mut map = self.camera.map(ui, inner, batch.bounds());
        match asked {
            Ask::Nothing => self.camera.obey(ui, response, &map),
            Ask::Zoom(factor) => self.camera.zoom(&map, factor, inner.center()),
            Ask::Everything => self.camera.reset(),
        }
        map = self.camera.map(ui, inner, batch.bounds());

        let under = |pointer: Pos2| {
            let reach = if self.pictures { 0.5 * thumbnail(&map, batch).max(2.0 * REACH) } else { REACH };
            let near = |i: usize| Some((i, (map.screen(batch.place(i)?) - pointer).length()));
            let nearest = (0..batch.spots.len()).filter_map(near).min_by(|a, b| a.1.total_cmp(&b.1));
            nearest.filter(|(_, distance)| *distance <= reach).map(|(i, _)| i)
        };
        self.keyed &= ui.input(|input| input.pointer.delta() == Vec2::ZERO);
        let pointer = response.hover_pos().filter(|at| inner.contains(*at) && !self.keyed);
        let hovered = pointer.and_then(under);
        let mut touched = Touched { hovered: hovered.map(|i| batch.spots[i]), ..Touched::default() };
        if response.clicked_by(PointerButton::Primary) {
            bar::figure(ui.ctx(), response.id);
            response.request_focus();
            touched.clicked = touched.hovered;
            touched.cleared = hovered.is_none();
        }
        if let Some(i) = self.arrow(ui, batch, response) {
            touched.clicked = Some(batch.spots[i]);
            (self.keyed, touched.hovered) = (true, None);
        }
        let hovered = hovered.filter(|_| !self.keyed);
        let lets_go = response.has_focus() && self.chosen.is_some();
        touched.cleared |= lets_go && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape));
        let chosen = if touched.clicked.is_some() || touched.cleared { touched.clicked } else { self.chosen };
        // The card goes on showing the batch while one points at a picture in it.
        let active = hovered.or_else(|| batch.index(chosen));
        let marked = active.or_else(|| batch.index(self.pointed));

        let outside = ui.painter().with_clip_rect(ui.clip_rect());
        let painter = ui.painter().with_clip_rect(inner.intersect(ui.clip_rect()));
        outside.rect_filled(inner, 6.0, look.back);
        draw::grid(&outside, &painter, &map, &look);
        draw::dust(&painter, &map, &batch.space.reference, &look);
        self.gaussians(ui, &painter, batch, &map, marked, &look);
        self.dots(&painter, batch, &map, marked, (&look, sheet));
        let shares = batch.space.explained;
        let taken = draw::axes(&painter, &map, [0, 1].map(|i| text::axis(i + 1, shares[i])), &look);
        draw::names(&painter, &map, &names(batch, marked, &look), &taken, &look);
        let edge = if response.has_focus() { Stroke::new(1.5, theme::accent(ui)) } else { ui.visuals().window_stroke };
        outside.rect_stroke(inner, 6.0, edge, StrokeKind::Outside);
        let said = active.map(|i| batch.said(i));
        let words = text::described(&batch.space, said.as_deref());
        response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, &words));
        (touched, active)
    }

    /// The sample that an arrow key leads to, where the picture has the keyboard.
    fn arrow(&self, ui: &Ui, batch: &Batch, response: &Response) -> Option<usize> {
        if !response.has_focus() {
            return None;
        }
        let escape = self.chosen.is_some();
        let arrows = EventFilter { horizontal_arrows: true, vertical_arrows: true, escape, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, arrows));
        let keys = [Key::ArrowRight, Key::ArrowLeft, Key::ArrowDown, Key::ArrowUp];
        let pressed = ui.input_mut(|input| keys.into_iter().find(|key| input.consume_key(Modifiers::NONE, *key)))?;
        batch.step(batch.index(self.chosen), pressed)
    }

    /// Both Gaussians and the model's way here. With a sample at hand the model's whole one stands dashed behind the
    /// one without it.
    fn gaussians(
        &mut self,
        ui: &Ui,
        painter: &egui::Painter,
        batch: &Batch,
        map: &Map,
        active: Option<usize>,
        look: &Look,
    ) {
        let real = &batch.space.reference_gaussian;
        let target = active.and_then(|i| batch.drawn_without(i)).unwrap_or(batch.all);
        let ([x, y], [a, b, c]) = (target.mean, target.cov);
        let [x, y, a, b, c] = self.drawn.towards(ui, [x, y, a, b, c]);
        let drawn = Ellipse { mean: [x, y], cov: [a, b, c] };
        let way: Vec<[f64; 2]> = self.trail.range(..=batch.space.update).map(|(_, mean)| *mean).collect();
        draw::glow(painter, map, real, look.real, 0.24);
        draw::glow(painter, map, &drawn, look.model, 0.36);
        draw::trail(painter, map, &way, look.model);
        draw::rims(painter, map, real, look.real);
        if active.is_some() {
            draw::dashed(painter, map, &batch.all, look.strong);
        }
        draw::rims(painter, map, &drawn, look.model);
    }

    /// The samples, those with the largest rewards above the others, the one at hand above all.
    fn dots(
        &self,
        painter: &egui::Painter,
        batch: &Batch,
        map: &Map,
        active: Option<usize>,
        (look, sheet): (&Look, &Sheet),
    ) {
        let strength = |i: &usize| batch.reward(*i).map_or(0.0, f64::abs);
        let mut order: Vec<usize> = (0..batch.spots.len()).filter(|i| batch.place(*i).is_some()).collect();
        order.sort_by(|a, b| (Some(*a) == active).cmp(&(Some(*b) == active)).then(strength(a).total_cmp(&strength(b))));
        let thumbnail = thumbnail(map, batch);
        let radius = if order.len() > 200 { 3.2 } else { 4.2 };
        for i in order {
            let (Some(at), Some(colour)) = (batch.place(i).map(|at| map.screen(at)), batch.colour(i)) else { continue };
            if !map.rect.expand(thumbnail).contains(at) {
                continue;
            }
            let own = Some(i) == active;
            match (self.pictures, own) {
                (true, _) => {
                    let cell = Rect::from_center_size(at, Vec2::splat(if own { 1.5 * thumbnail } else { thumbnail }));
                    draw::framed(painter, cell, sheet.picture(i), colour);
                    let edge = if own { Stroke::new(2.0, look.strong) } else { look.edge() };
                    painter.rect_stroke(cell, 3.0, edge, StrokeKind::Outside);
                }
                (false, true) => {
                    painter.circle(at, radius + 2.5, colour, look.edge());
                    painter.circle_stroke(at, radius + 5.5, Stroke::new(2.0, look.strong));
                }
                (false, false) => {
                    painter.circle(at, radius, colour, look.edge());
                }
            }
        }
    }
}

/// The part of the pane's figure that shows the plane: without the numbers at the axes.
fn inside(figure: Rect) -> Rect {
    Rect::from_min_max(pos2(figure.left() + MARGIN.x, figure.top()), figure.max - vec2(0.0, MARGIN.y))
}

/// Side of a sample's picture in the plane, in points: larger where there are few, and when one looks closer.
fn thumbnail(map: &Map, batch: &Batch) -> f32 {
    let room = (map.rect.area() / batch.spots.len().max(1) as f32).sqrt();
    (0.5 * room).clamp(16.0, 44.0) * (map.zoom as f32).sqrt().clamp(1.0, 2.5)
}

/// What is written into the picture.
fn names(batch: &Batch, active: Option<usize>, look: &Look) -> Vec<Name> {
    let real = batch.space.reference_gaussian;
    let same = |text: &str| [text, text].map(String::from);
    let name = |text: [String; 2], beside: Ellipse, away: [f64; 2], colour| Name { text, beside, away, colour };
    let mut names = vec![name(same(text::REAL), real, batch.all.mean, look.real)];
    match active.and_then(|i| batch.drawn_without(i)) {
        Some(without) => {
            names.push(name(text::without(batch.times), without, real.mean, look.model));
            names.push(name(same(text::WITH), batch.all, without.mean, look.strong));
        }
        None => names.push(name(same(text::MODEL), batch.all, real.mean, look.model)),
    }
    names
}

fn empty(ui: &mut Ui) {
    ui.heading(text::TITLE).on_hover_text(text::HELP);
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.35);
        ui.label(RichText::new(text::EMPTY).text_style(TextStyle::Heading));
        ui.weak(text::EMPTY_HELP);
    });
}

#[cfg(test)]
mod tests {
    use super::batch::scripted;
    use super::*;
    use egui_kittest::{
        Harness,
        kittest::{NodeT, Queryable},
    };

    /// The pane on a scored batch, and what was last done in it.
    fn open(size: [f32; 2]) -> Harness<'static, (Pane, Gallery, Touched)> {
        open_on(size, scripted())
    }

    fn open_on(size: [f32; 2], gallery: Gallery) -> Harness<'static, (Pane, Gallery, Touched)> {
        let state = (Pane::default(), gallery, Touched::default());
        Harness::builder().with_size(size).with_max_steps(60).with_context_setup(theme::apply).build_ui_state(
            |ui, (pane, gallery, touched): &mut (Pane, Gallery, Touched)| {
                let now = pane.show(ui, gallery, None);
                touched.hovered = now.hovered;
                touched.clicked = now.clicked.or(touched.clicked);
            },
            state,
        )
    }

    const LAST: &str = "Without it: F\u{a0}=\u{a0}1.25700, with it: F\u{a0}=\u{a0}1.25000, so it is paid +0.00700.";

    fn figure<'a>(window: &'a Harness<'_, (Pane, Gallery, Touched)>) -> egui_kittest::Node<'a> {
        window.get_by_role(Role::Figure)
    }

    #[test]
    fn arrow_keys_select_a_sample_and_say_how_its_reward_arises() {
        let mut window = open([300.0, 640.0]);
        window.run_ok();
        assert!(window.query_by_label(LAST).is_none() && window.query_by_label(text::HINT).is_some());
        figure(&window).focus();
        window.run_ok();
        for key in [Key::ArrowRight, Key::ArrowDown, Key::ArrowRight, Key::ArrowRight, Key::ArrowRight] {
            window.key_press(key);
            window.run_ok();
        }
        assert_eq!(window.state().2.clicked, Some((1, 3)));
        assert!(window.query_by_label(LAST).is_some());
        let said = figure(&window).accesskit_node().label().unwrap_or_default();
        assert!(said.contains("Sample 4 of a picture of a bus") && said.contains(LAST), "{said}");
        window.key_press(Key::Escape);
        window.run_ok();
        assert!(window.query_by_label(LAST).is_none() && window.query_by_label(text::HINT).is_some());
    }

    #[test]
    fn pointing_at_a_sample_leaves_it_out_and_pointing_away_brings_it_back() {
        let mut window = open([900.0, 500.0]);
        window.run_ok();
        let batch = Batch::new(&scripted()).unwrap();
        let map = Map::fitting(inside(figure(&window).rect()), batch.bounds());
        window.hover_at(map.screen(batch.place(7).unwrap()));
        window.run_ok();
        assert_eq!(window.state().2.hovered, Some((1, 3)));
        assert!(window.query_by_label(LAST).is_some());
        figure(&window).focus();
        window.key_press(Key::ArrowRight);
        window.run_ok();
        assert_eq!(window.state().2, Touched { clicked: Some((0, 0)), ..Touched::default() }, "the pointer rests");
        window.hover_at(pos2(2.0, 2.0));
        window.run_ok();
        assert_eq!(window.state().2.hovered, None);
        assert!(window.query_by_label(LAST).is_none());
    }

    #[test]
    fn the_batch_stays_while_the_next_one_is_written_and_the_models_way_is_remembered() {
        let mut pane = Pane::default();
        let mut gallery = scripted();
        for update in 1..=TRAIL as u64 + 5 {
            gallery.space.as_mut().unwrap().update = update;
            pane.take(&gallery);
        }
        assert_eq!((pane.trail.len(), pane.trail.first_key_value().map(|(update, _)| *update)), (TRAIL, Some(6)));
        pane.take(&Gallery { space: None, ..scripted() });
        assert!(pane.batch.is_some());
        pane.clear();
        assert!(pane.batch.is_none() && pane.trail.is_empty());
    }

    #[test]
    fn without_a_batch_the_pane_says_what_it_will_show() {
        let mut window = open_on([240.0, 300.0], Gallery { space: None, ..scripted() });
        window.run_ok();
        assert!(window.query_by_label(text::EMPTY).is_some());
    }
}
