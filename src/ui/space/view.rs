//! Which part of the plane is on the screen, and how the hand moves it.

use std::f64::consts::TAU;

use eframe::egui::{self, Key, Modifiers, Pos2, Rect, Response, Ui, Vec2, pos2};

use crate::session::Ellipse;

/// Seconds in which a movement does two thirds of its way.
const PACE: f64 = 0.07;
/// One press of a zoom button or key.
pub(super) const ZOOM: f64 = 1.4;
/// How far in and out one can zoom, against everything shown.
const RANGE: [f64; 2] = [0.25, 200.0];
/// Corners of the polygon that an ellipse is drawn as.
pub(super) const CORNERS: usize = 72;

/// Numbers that glide to where they should be.
#[derive(Default)]
pub(super) struct Glide<const N: usize>(Option<[f64; N]>);

impl<const N: usize> Glide<N> {
    /// A step towards `target`; asks for another frame until it is there.
    pub(super) fn towards(&mut self, ui: &Ui, target: [f64; N]) -> [f64; N] {
        let step = 1.0 - (-f64::from(ui.input(|input| input.stable_dt.min(0.1))) / PACE).exp();
        let from = self.0.unwrap_or(target);
        let mut now: [f64; N] = std::array::from_fn(|i| from[i] + step * (target[i] - from[i]));
        let size = target.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
        let still = ui.style().animation_time == 0.0;
        if still || now.iter().zip(target).all(|(x, t)| (x - t).abs() <= 1e-3 * size) {
            now = target;
        } else {
            ui.ctx().request_repaint();
        }
        self.0 = Some(now);
        now
    }
}

/// A window onto the plane, with one scale for both axes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct View {
    centre: [f64; 2],
    /// Points of the screen per unit of the plane.
    scale: f64,
}

/// Where a point of the plane stands on the screen; the second axis points up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Map {
    pub(super) rect: Rect,
    view: View,
    /// How much larger than with everything shown.
    pub(super) zoom: f64,
}

impl Map {
    /// Everything between `low` and `high` in the middle of `rect`.
    pub(super) fn fitting(rect: Rect, [low, high]: [[f64; 2]; 2]) -> Self {
        let room = |points: f32, size: f64| f64::from(points) * 0.94 / size.max(1e-9);
        let scale = room(rect.width(), high[0] - low[0]).min(room(rect.height(), high[1] - low[1]));
        Self { rect, view: View { centre: [0, 1].map(|i| 0.5 * (low[i] + high[i])), scale }, zoom: 1.0 }
    }

    pub(super) fn screen(&self, at: [f64; 2]) -> Pos2 {
        let [x, y] = [0, 1].map(|i| ((at[i] - self.view.centre[i]) * self.view.scale) as f32);
        self.rect.center() + Vec2::new(x, -y)
    }

    pub(super) fn plane(&self, at: Pos2) -> [f64; 2] {
        let from = at - self.rect.center();
        let [x, y] = [from.x, -from.y].map(|x| f64::from(x) / self.view.scale);
        [self.view.centre[0] + x, self.view.centre[1] + y]
    }

    /// The ellipse of `k` standard deviations as a polygon.
    pub(super) fn ellipse(&self, ellipse: &Ellipse, k: f64) -> Vec<Pos2> {
        let [u, v] = ellipse.half_axes();
        let corner = |i: usize| {
            let (sin, cos) = (TAU * i as f64 / CORNERS as f64).sin_cos();
            self.screen([0, 1].map(|axis| ellipse.mean[axis] + k * (cos * u[axis] + sin * v[axis])))
        };
        (0..CORNERS).map(corner).collect()
    }

    /// Distance of the grid's lines, in units of the plane: 1, 2 or 5 times a power of ten, at least `room` points.
    pub(super) fn step(&self, room: f64) -> f64 {
        let least = room / self.view.scale;
        let decade = 10f64.powf(least.log10().floor());
        [1.0, 2.0, 5.0].map(|k| k * decade).into_iter().find(|step| *step >= least).unwrap_or(10.0 * decade)
    }
}

/// The part of the plane that is shown: everything, until the hand takes hold of it.
#[derive(Default)]
pub(super) struct Camera {
    free: Option<View>,
    bounds: Glide<4>,
}

impl Camera {
    /// How the plane lies in `rect`; `bounds` are the least and the largest place of what should be seen.
    pub(super) fn map(&mut self, ui: &Ui, rect: Rect, bounds: [[f64; 2]; 2]) -> Map {
        let [x, y, right, top] = self.bounds.towards(ui, [bounds[0][0], bounds[0][1], bounds[1][0], bounds[1][1]]);
        let fit = Map::fitting(rect, [[x, y], [right, top]]);
        let view = self.free.unwrap_or(fit.view);
        Map { rect, view, zoom: view.scale / fit.view.scale }
    }

    /// Shows everything again.
    pub(super) fn reset(&mut self) {
        self.free = None;
    }

    /// Zooms so that the point under `about` stays where it is.
    pub(super) fn zoom(&mut self, map: &Map, factor: f64, about: Pos2) {
        let factor = factor.clamp(RANGE[0] / map.zoom, RANGE[1] / map.zoom);
        let fixed = map.plane(about);
        let centre = [0, 1].map(|i| fixed[i] + (map.view.centre[i] - fixed[i]) / factor);
        self.free = Some(View { centre, scale: map.view.scale * factor });
    }

    /// Scrolling zooms, dragging moves, a double-click shows everything, and so do the keys + and − where the picture
    /// has the keyboard.
    pub(super) fn obey(&mut self, ui: &Ui, response: &Response, map: &Map) {
        if let Some(pointer) = response.hover_pos() {
            let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta.y, input.zoom_delta()));
            let factor = f64::from(pinch) * (f64::from(scroll) / 180.0).exp();
            if factor != 1.0 {
                self.zoom(map, factor, pointer);
                ui.input_mut(|input| input.smooth_scroll_delta = Vec2::ZERO); // what lies around stays
            }
        }
        if response.dragged() {
            let by = response.drag_delta();
            let centre = map.plane(pos2(map.rect.center().x - by.x, map.rect.center().y - by.y));
            self.free = Some(View { centre, scale: map.view.scale });
        }
        if response.double_clicked() {
            self.reset();
        }
        if response.has_focus() {
            let pressed = |key| ui.input_mut(|input: &mut egui::InputState| input.consume_key(Modifiers::NONE, key));
            if pressed(Key::Plus) || pressed(Key::Equals) {
                self.zoom(map, ZOOM, map.rect.center());
            }
            if pressed(Key::Minus) {
                self.zoom(map, 1.0 / ZOOM, map.rect.center());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(scale: f64) -> Map {
        let rect = Rect::from_min_size(pos2(10.0, 20.0), Vec2::new(200.0, 100.0));
        Map { rect, view: View { centre: [1.0, -2.0], scale }, zoom: 1.0 }
    }

    #[test]
    fn the_screen_and_the_plane_are_each_others_inverse_and_the_second_axis_points_up() {
        let map = map(40.0);
        let [x, y] = map.plane(map.screen([1.5, -1.25]));
        assert!((x - 1.5).abs() < 1e-6 && (y + 1.25).abs() < 1e-6);
        assert!(map.screen([1.0, -1.0]).y < map.screen([1.0, -2.0]).y);
    }

    #[test]
    fn zooming_leaves_the_point_under_the_pointer_where_it_is() {
        let (before, mut camera) = (map(40.0), Camera::default());
        let pointer = pos2(30.0, 90.0);
        camera.zoom(&before, 3.0, pointer);
        let after = Map { view: camera.free.unwrap(), ..before };
        let [x, y] = [0, 1].map(|i| (before.plane(pointer)[i] - after.plane(pointer)[i]).abs());
        assert!(x < 1e-6 && y < 1e-6 && (after.view.scale - 120.0).abs() < 1e-9);
        camera.zoom(&before, 1e9, pointer);
        assert_eq!(camera.free.map(|view| view.scale), Some(40.0 * RANGE[1]));
    }

    #[test]
    fn grid_lines_stand_at_round_numbers_with_room_between_them() {
        for (scale, want) in [(100.0, 1.0), (40.0, 2.0), (18.0, 5.0), (7.5, 10.0)] {
            assert!((map(scale).step(70.0) - want).abs() < 1e-9, "{scale}");
        }
    }
}
