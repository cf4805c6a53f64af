//! Everything in the picture but its samples: grid, Gaussians, the model's way, names.

use eframe::egui::{
    Align2, Color32, FontId, Mesh, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, Ui, Vec2, pos2, vec2,
};

use super::view::{CORNERS, Map};
use crate::session::Ellipse;
use crate::ui::theme;

/// Size of the numbers at the axes, in points.
const MARKS: f32 = 10.0;
/// Least distance of two lines of the grid, in points.
const GRID: f64 = 64.0;
/// How far a Gaussian glows, in standard deviations, and in how many rings.
const GLOW: f32 = 2.7;
const RINGS: usize = 14;

/// The colours of the picture.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) back: Color32,
    pub(super) real: Color32,
    pub(super) model: Color32,
    pub(super) strong: Color32,
    pub(super) weak: Color32,
    grid: Color32,
    dark: bool,
}

impl Look {
    pub(super) fn of(ui: &Ui) -> Self {
        let visuals = ui.visuals();
        Self {
            back: visuals.extreme_bg_color,
            real: theme::curve(ui, 2),
            model: theme::curve(ui, 3),
            strong: visuals.strong_text_color(),
            weak: visuals.weak_text_color(),
            grid: visuals.widgets.noninteractive.bg_stroke.color,
            dark: visuals.dark_mode,
        }
    }

    /// The line around a dot, which keeps neighbours apart and white ones visible.
    pub(super) fn edge(&self) -> Stroke {
        let colour = if self.dark { Color32::from_black_alpha(200) } else { Color32::from_black_alpha(110) };
        Stroke::new(1.0, colour)
    }
}

/// The grid with its numbers, which stand outside of the picture at the left and below.
pub(super) fn grid(painter: &Painter, inside: &Painter, map: &Map, look: &Look) {
    let step = map.step(GRID);
    let [low, high] = [map.plane(map.rect.left_bottom()), map.plane(map.rect.right_top())];
    let lines = |axis: usize| {
        let (first, last) = ((low[axis] / step).ceil() as i64, (high[axis] / step).floor() as i64);
        // A view is at most some thousand points wide.
        (first..=last).take(200).map(move |k| (k as f64 * step, k == 0))
    };
    let font = FontId::proportional(MARKS);
    let stroke = |zero: bool| Stroke::new(1.0, if zero { look.grid } else { look.grid.gamma_multiply(0.55) });
    for (x, zero) in lines(0) {
        let at = map.screen([x, 0.0]).x;
        inside.vline(at, map.rect.y_range(), stroke(zero));
        if map.rect.shrink(8.0).x_range().contains(at) {
            let below = pos2(at, map.rect.bottom() + 3.0);
            painter.text(below, Align2::CENTER_TOP, mark(x, step), font.clone(), look.weak);
        }
    }
    for (y, zero) in lines(1) {
        let at = map.screen([0.0, y]).y;
        inside.hline(map.rect.x_range(), at, stroke(zero));
        if map.rect.shrink(6.0).y_range().contains(at) {
            let beside = pos2(map.rect.left() - 4.0, at);
            painter.text(beside, Align2::RIGHT_CENTER, mark(y, step), font.clone(), look.weak);
        }
    }
}

/// A number at an axis, with as many decimals as the steps have.
fn mark(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{:.decimals$}", value.abs())
}

/// A colour farther from grey, for thin light: over dark or white it loses much of its own.
fn vivid(colour: Color32) -> Color32 {
    let channels = [colour.r(), colour.g(), colour.b()].map(f32::from);
    let grey = channels.iter().sum::<f32>() / 3.0;
    let [red, green, blue] = channels.map(|c| (grey + 1.6 * (c - grey)).clamp(0.0, 255.0) as u8);
    Color32::from_rgb(red, green, blue)
}

/// A Gaussian as a soft light, its brightness falling as the density does.
pub(super) fn glow(painter: &Painter, map: &Map, ellipse: &Ellipse, colour: Color32, strength: f32) {
    let (middle, rim, colour) = (map.screen(ellipse.mean), map.ellipse(ellipse, 1.0), vivid(colour));
    let mut mesh = Mesh::default();
    mesh.colored_vertex(middle, colour.gamma_multiply(strength));
    for ring in 1..=RINGS {
        let k = GLOW * ring as f32 / RINGS as f32;
        let fade = if ring == RINGS { 0.0 } else { (-0.5 * k * k).exp() };
        let colour = colour.gamma_multiply(strength * fade);
        rim.iter().for_each(|corner| mesh.colored_vertex(middle + (*corner - middle) * k, colour));
        let (outer, inner) = (1 + (ring - 1) * CORNERS, (ring >= 2).then(|| 1 + (ring - 2) * CORNERS));
        for i in 0..CORNERS {
            let next = (i + 1) % CORNERS;
            let [a, b] = [outer + i, outer + next].map(|v| v as u32);
            match inner.map(|inner| [inner + i, inner + next].map(|v| v as u32)) {
                None => mesh.add_triangle(0, a, b),
                Some([c, d]) => {
                    mesh.add_triangle(a, b, c);
                    mesh.add_triangle(b, c, d);
                }
            }
        }
    }
    painter.add(mesh);
}

/// The ellipses of 1 and 2 standard deviations, and the mean.
pub(super) fn rims(painter: &Painter, map: &Map, ellipse: &Ellipse, colour: Color32) {
    for (k, width, strength) in [(1.0, 1.6, 0.95), (2.0, 1.2, 0.6)] {
        let stroke = Stroke::new(width, colour.gamma_multiply(strength));
        painter.add(Shape::closed_line(map.ellipse(ellipse, k), stroke));
    }
    let mean = map.screen(ellipse.mean);
    for arm in [vec2(4.5, 0.0), vec2(0.0, 4.5)] {
        painter.line_segment([mean - arm, mean + arm], Stroke::new(1.6, colour));
    }
}

/// The same in dashes: what is compared with.
pub(super) fn dashed(painter: &Painter, map: &Map, ellipse: &Ellipse, colour: Color32) {
    for k in [1.0, 2.0] {
        let mut rim = map.ellipse(ellipse, k);
        rim.extend(rim.first().copied());
        painter.extend(Shape::dashed_line(&rim, Stroke::new(1.2, colour.gamma_multiply(0.75)), 5.0, 4.0));
    }
}

/// The means of the model's Gaussian over the updates, older ones fainter.
pub(super) fn trail(painter: &Painter, map: &Map, means: &[[f64; 2]], colour: Color32) {
    let count = means.len().max(2) as f32 - 1.0;
    for (i, pair) in means.windows(2).enumerate() {
        let age = (i + 1) as f32 / count;
        let [from, to] = [0, 1].map(|end| map.screen(pair[end]));
        let colour = colour.gamma_multiply(0.08 + 0.82 * age * age);
        painter.line_segment([from, to], Stroke::new(1.0 + 1.2 * age, colour));
        painter.circle_filled(from, 0.8 + age, colour);
    }
}

/// The real pictures as dust.
pub(super) fn dust(painter: &Painter, map: &Map, points: &[[f32; 2]], look: &Look) {
    let colour = look.real.gamma_multiply(if look.dark { 0.5 } else { 0.55 });
    for at in points.iter().map(|point| map.screen(point.map(f64::from))) {
        if map.rect.expand(2.0).contains(at) {
            painter.circle_filled(at, 1.3, colour);
        }
    }
}

/// A name that wants to stand beside an ellipse.
pub(super) struct Name {
    /// What it says, and what it says where there is less room.
    pub(super) text: [String; 2],
    pub(super) beside: Ellipse,
    /// What it should keep away from.
    pub(super) away: [f64; 2],
    pub(super) colour: Color32,
}

/// Writes names around the outer rims of their ellipses: inside the picture, over no other name, and as far from what
/// they should avoid as possible. Names without a free place are left out.
pub(super) fn names(painter: &Painter, map: &Map, names: &[Name], taken: &[Rect], look: &Look) {
    let mut taken = taken.to_vec();
    for name in names {
        let (mean, away) = (map.screen(name.beside.mean), map.screen(name.away));
        let rim = map.ellipse(&name.beside, 2.0);
        let placed = name.text.iter().find_map(|text| {
            let galley = painter.layout_no_wrap(text.clone(), FontId::proportional(12.0), name.colour);
            let size = galley.size() + vec2(10.0, 4.0);
            let place = |corner: &Pos2| {
                // The box touches the rim from outside, on the side that looks away from the mean.
                let out = (*corner - mean).normalized();
                Rect::from_center_size(*corner + out * 6.0 + 0.5 * out * size, size)
            };
            let room = map.rect.shrink(4.0);
            let free = |rect: &Rect| room.contains_rect(*rect) && !taken.iter().any(|t| t.intersects(*rect));
            let distance = |rect: &Rect| (rect.center() - away).length();
            let best = rim.iter().map(place).filter(free).max_by(|a, b| distance(a).total_cmp(&distance(b)));
            best.map(|rect| (rect, galley))
        });
        let Some((rect, galley)) = placed else { continue };
        painter.rect_filled(rect, 4.0, look.back.gamma_multiply(0.8));
        painter.galley(rect.min + vec2(5.0, 2.0), galley, name.colour);
        taken.push(rect);
    }
}

/// What each axis is, in the corners of the picture where it ends. Returns the room taken.
pub(super) fn axes(painter: &Painter, map: &Map, titles: [String; 2], look: &Look) -> [Rect; 2] {
    let font = FontId::proportional(MARKS + 0.5);
    let [x, y] = titles;
    let corners = [
        (map.rect.right_bottom() - vec2(6.0, 5.0), Align2::RIGHT_BOTTOM, format!("{x} →")),
        (map.rect.left_top() + vec2(6.0, 5.0), Align2::LEFT_TOP, format!("↑ {y}")),
    ];
    corners.map(|(at, anchor, title)| painter.text(at, anchor, title, font.clone(), look.weak).expand(2.0))
}

/// A band with the colours of the rewards.
pub(super) fn band(painter: &Painter, rect: Rect, edge: Stroke) {
    theme::band(painter, rect, |share| theme::diverging((2.0 * share - 1.0) * theme::FULL_ADVANTAGE));
    painter.rect_stroke(rect, 2.0, edge, StrokeKind::Outside);
}

/// A picture in a frame of a colour, in the middle of `rect`.
pub(super) fn framed(painter: &Painter, rect: Rect, picture: (eframe::egui::TextureId, Rect), frame: Color32) {
    let (texture, part) = picture;
    let width = (rect.width() * 0.07).clamp(1.5, 3.5);
    painter.rect_filled(rect, 3.0, frame);
    painter.image(
        texture,
        Rect::from_center_size(rect.center(), rect.size() - Vec2::splat(2.0 * width)),
        part,
        Color32::WHITE,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_have_the_decimals_of_their_steps() {
        assert_eq!(mark(-0.5, 0.5), "−0.5");
        assert_eq!(mark(0.0, 2.0), "0");
        assert_eq!(mark(0.15, 0.05), "0.15");
        assert_eq!(mark(200.0, 100.0), "200");
    }
}
