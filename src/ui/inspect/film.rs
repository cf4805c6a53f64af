//! Pictures on the graphics device.

use eframe::egui::{
    Color32, ColorImage, Rect, Sense, StrokeKind, TextureFilter, TextureHandle, TextureId, TextureOptions, Ui, Vec2,
    pos2,
};

/// All of a texture.
pub(super) const WHOLE: Rect = Rect { min: pos2(0.0, 0.0), max: pos2(1.0, 1.0) };

/// A picture that is sent to the graphics device again only when its bytes change.
#[derive(Default)]
pub(super) struct Film {
    texture: Option<TextureHandle>,
    rgb: Vec<u8>,
}

impl Film {
    /// The texture of RGB bytes in rows of `width`; `None` where they are no whole rows.
    pub(super) fn id(&mut self, ui: &Ui, rgb: &[u8], width: usize) -> Option<TextureId> {
        self.developed(ui, rgb, width, |pixel| pixel)
    }

    /// The same in shades of grey that are light enough to be tinted.
    pub(super) fn grey(&mut self, ui: &Ui, rgb: &[u8], width: usize) -> Option<TextureId> {
        self.developed(ui, rgb, width, |[red, green, blue]| {
            let luma = 0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue);
            [(165.0 + 0.35 * luma) as u8; 3]
        })
    }

    fn developed(&mut self, ui: &Ui, rgb: &[u8], width: usize, tone: impl Fn([u8; 3]) -> [u8; 3]) -> Option<TextureId> {
        if width == 0 || rgb.is_empty() || !rgb.len().is_multiple_of(3 * width) {
            return None;
        }
        if self.texture.is_none() || self.rgb != rgb {
            let pixels =
                rgb.chunks_exact(3).map(|p| tone([p[0], p[1], p[2]])).map(|[r, g, b]| Color32::from_rgb(r, g, b));
            let image = ColorImage::new([width, rgb.len() / 3 / width], pixels.collect());
            // Crisp when enlarged; smooth when a large picture has to be shrunk.
            let options = TextureOptions {
                magnification: TextureFilter::Nearest,
                minification: TextureFilter::Linear,
                ..TextureOptions::NEAREST
            };
            match &mut self.texture {
                Some(texture) => texture.set(image, options),
                None => self.texture = Some(ui.ctx().load_texture("inspected", image, options)),
            }
            self.rgb = rgb.to_vec();
        }
        self.texture.as_ref().map(TextureHandle::id)
    }

    /// Draws a square picture of `side` pixels, at most `room` points wide.
    pub(super) fn show(&mut self, ui: &mut Ui, rgb: &[u8], side: usize, room: f32) {
        let size = fit(ui, side, room);
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(size), Sense::hover());
        if let Some(texture) = self.id(ui, rgb, side) {
            ui.painter().image(texture, on_grid(ui, rect), WHOLE, Color32::WHITE);
            ui.painter().rect_stroke(on_grid(ui, rect), 0.0, ui.visuals().window_stroke, StrokeKind::Outside);
        }
    }
}

/// The largest size within `room` points at which each pixel of a picture is a whole number of screen pixels.
pub(super) fn fit(ui: &Ui, side: usize, room: f32) -> f32 {
    let (grid, side) = (ui.pixels_per_point(), side.max(1) as f32);
    let times = room.max(16.0) * grid / side;
    let times = if times >= 1.0 { times.floor() } else { times };
    times * side / grid
}

/// `rect` with its corner on the screen's pixels.
pub(super) fn on_grid(ui: &Ui, rect: Rect) -> Rect {
    let grid = ui.pixels_per_point();
    Rect::from_min_size(((rect.min.to_vec2() * grid).round() / grid).to_pos2(), rect.size())
}
