//! The pictures of a gallery as textures: the engine's own, where the window draws with the device that painted them,
//! else uploaded from bytes.

use eframe::egui::{
    self, Color32, ColorImage, Id, Rect, TextureFilter, TextureHandle, TextureId, TextureOptions, pos2, vec2,
};
use eframe::egui_wgpu::{RenderState, wgpu};
use send_wrapper::SendWrapper;

use crate::session::{Atlas, AtlasLayout, Gallery};

/// Crisp when enlarged; smooth when a large picture has to be shrunk.
const OPTIONS: TextureOptions = TextureOptions {
    magnification: TextureFilter::Nearest,
    minification: TextureFilter::Linear,
    ..TextureOptions::NEAREST
};
/// Before pictures have come.
const GREY: Color32 = Color32::from_gray(128);

/// Lets the window of `ctx`, which `renderer` draws, show textures that the engine painted.
pub(super) fn show_painted(ctx: &egui::Context, renderer: RenderState) {
    ctx.data_mut(|data| data.insert_temp(Id::NULL, SendWrapper::new(renderer)));
}

/// The pictures of one gallery on the graphics device.
#[derive(Default)]
pub(super) struct Pictures {
    /// Index of each group's first picture, and after the last group the number of pictures.
    starts: Vec<usize>,
    /// The engine's texture.
    painted: Option<Painted>,
    /// Textures of our own, each filled before the next.
    uploaded: Vec<(AtlasLayout, TextureHandle)>,
}

impl Pictures {
    /// Shows the pictures of `gallery` from now on: from `atlas`, where there is one and the window can draw it, else
    /// from their own bytes; a sample without them is grey. Call it before anything of the frame is drawn from here.
    pub(super) fn update(&mut self, ctx: &egui::Context, gallery: &Gallery, atlas: Option<&Atlas>) {
        self.starts = std::iter::once(0)
            .chain(gallery.groups.iter().scan(0, |end, group| {
                *end += group.samples.len();
                Some(*end)
            }))
            .collect();
        let renderer = ctx.data(|data| data.get_temp::<SendWrapper<RenderState>>(Id::NULL)).map(SendWrapper::take);
        self.painted = match (atlas, renderer, self.painted.take()) {
            (Some(atlas), _, Some(painted)) => Some(painted.showing(atlas)),
            (Some(atlas), Some(renderer), None) => Some(Painted::new(renderer, atlas)),
            _ => None,
        };
        if self.painted.is_some() {
            self.uploaded.clear();
        } else {
            self.upload(ctx, gallery, ctx.input(|input| input.max_texture_side));
        }
    }

    /// The texture that has the picture of sample `sample` of group `group`, and where in it.
    pub(super) fn cell(&self, group: usize, sample: usize) -> Option<(TextureId, Rect)> {
        let [start, end] = [self.starts.get(group)?, self.starts.get(group + 1)?];
        let mut index = (start + sample < *end).then_some(start + sample)?;
        if let Some(painted) = &self.painted {
            let layout = painted.atlas.layout();
            return (index < layout.capacity()).then(|| (painted.id, part(layout, index)));
        }
        for (layout, texture) in &self.uploaded {
            if index < layout.capacity() {
                return Some((texture.id(), part(*layout, index)));
            }
            index -= layout.capacity();
        }
        None
    }

    /// Makes textures of at most `limit` pixels along a side from the samples' own bytes.
    fn upload(&mut self, ctx: &egui::Context, gallery: &Gallery, limit: usize) {
        let samples: Vec<&[u8]> =
            gallery.groups.iter().flat_map(|group| &group.samples).map(|sample| sample.rgb.as_slice()).collect();
        // As many as are sure to fit one texture; the last may have fewer, and so be smaller.
        let together = limit.checked_div(gallery.side).map_or(0, |along| along * along);
        let chunks = samples.chunks(together.max(1));
        let sheets: Vec<_> =
            chunks.filter_map(|chunk| Some((AtlasLayout::of(chunk.len(), gallery.side, limit)?, chunk))).collect();
        self.uploaded.truncate(sheets.len());
        for (number, (layout, chunk)) in sheets.into_iter().enumerate() {
            let image = sheet(layout, chunk);
            match self.uploaded.get_mut(number) {
                Some((old, texture)) => {
                    *old = layout;
                    texture.set(image, OPTIONS);
                }
                None => self.uploaded.push((layout, ctx.load_texture(format!("pictures {number}"), image, OPTIONS))),
            }
        }
    }
}

/// Where picture `index` lies, in shares of the texture.
fn part(layout: AtlasLayout, index: usize) -> Rect {
    let [size, corner] = [layout.size(), layout.corner(index)].map(|[x, y]| vec2(x as f32, y as f32));
    let left_top = corner / size;
    Rect::from_min_size(pos2(left_top.x, left_top.y), egui::Vec2::splat(layout.side as f32) / size)
}

/// RGB pictures side by side; one of another size than the layout's stays grey.
fn sheet(layout: AtlasLayout, pictures: &[&[u8]]) -> ColorImage {
    let ([width, height], side) = (layout.size(), layout.side);
    let mut image = ColorImage::filled([width, height], GREY);
    for (index, rgb) in pictures.iter().enumerate().filter(|(_, rgb)| rgb.len() == side * side * 3) {
        let [left, top] = layout.corner(index);
        for (y, row) in rgb.chunks_exact(side * 3).enumerate() {
            let start = (top + y) * width + left;
            for (pixel, rgb) in image.pixels[start..start + side].iter_mut().zip(row.chunks_exact(3)) {
                *pixel = Color32::from_rgb(rgb[0], rgb[1], rgb[2]);
            }
        }
    }
    image
}

/// A texture of the engine's, known to the window's renderer by a name that stays.
struct Painted {
    atlas: Atlas,
    id: TextureId,
    renderer: RenderState,
}

impl Painted {
    fn new(renderer: RenderState, atlas: &Atlas) -> Self {
        let view = atlas.texture().create_view(&wgpu::TextureViewDescriptor::default());
        let id =
            renderer.renderer.write().register_native_texture_with_sampler_options(&renderer.device, &view, sampler());
        Self { atlas: atlas.clone(), id, renderer }
    }

    /// The same name for another texture.
    fn showing(mut self, atlas: &Atlas) -> Self {
        let view = atlas.texture().create_view(&wgpu::TextureViewDescriptor::default());
        self.renderer.renderer.write().update_egui_texture_from_wgpu_texture_with_sampler_options(
            &self.renderer.device,
            &view,
            sampler(),
            self.id,
        );
        self.atlas = atlas.clone();
        self
    }
}

impl Drop for Painted {
    fn drop(&mut self) {
        self.renderer.renderer.write().free_texture(&self.id);
    }
}

/// What [`OPTIONS`] are to the renderer.
fn sampler() -> wgpu::SamplerDescriptor<'static> {
    wgpu::SamplerDescriptor {
        label: Some("pictures"),
        mag_filter: wgpu::FilterMode::Nearest,
        min_filter: wgpu::FilterMode::Linear,
        ..wgpu::SamplerDescriptor::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::texture::{Easel, tests as painted};
    use crate::session::{Group, Sample};
    use eframe::egui_wgpu::{RendererOptions, WgpuSetup, WgpuSetupExisting};
    use egui_kittest::Harness;
    use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state};

    const SIDE: usize = 8;

    /// Groups of three, two and one samples, with the levels of the painter's own test pictures.
    fn gallery() -> Gallery {
        let sample = |n: usize| {
            let pixel = |i: usize| [0, 1, 2].map(|c| painted::level([n, c, i / SIDE, i % SIDE]));
            Sample { rgb: (0..SIDE * SIDE).flat_map(pixel).collect(), ..Sample::default() }
        };
        let group = |range: std::ops::Range<usize>| Group { samples: range.map(sample).collect(), ..Group::default() };
        Gallery { side: SIDE, groups: vec![group(0..3), group(3..5), group(5..6)], ..Gallery::default() }
    }

    #[test]
    fn each_sample_has_the_cell_with_its_own_pixels_however_small_a_texture_may_be() {
        let gallery = gallery();
        for limit in [2048, 2 * SIDE, SIDE] {
            let ctx = egui::Context::default();
            let mut pictures = Pictures::default();
            let output = ctx.run_ui(egui::RawInput::default(), |ui| {
                pictures.update(ui.ctx(), &gallery, None);
                pictures.upload(ui.ctx(), &gallery, limit);
            });
            for (g, group) in gallery.groups.iter().enumerate() {
                for (s, sample) in group.samples.iter().enumerate() {
                    let (id, uv) = pictures.cell(g, s).expect("a cell");
                    let (_, delta) = output.textures_delta.set.iter().find(|(set, _)| **set == id).expect("uploaded");
                    let egui::ImageData::Color(image) = &delta.last().expect("an image").image;
                    let [width, height] = image.size;
                    assert!(width <= limit && height <= limit, "{width} {height}");
                    let [left, top] = [uv.left() * width as f32, uv.top() * height as f32].map(|x| x.round() as usize);
                    let pixel = |i: usize| image.pixels[(top + i / SIDE) * width + left + i % SIDE];
                    let rgb: Vec<u8> = (0..SIDE * SIDE).flat_map(|i| pixel(i).to_array()[..3].to_vec()).collect();
                    assert_eq!(rgb, sample.rgb, "limit {limit}, sample {s} of group {g}");
                }
            }
            assert!(pictures.cell(0, 3).is_none() && pictures.cell(3, 0).is_none());
        }
    }

    #[test]
    fn a_sample_without_pixels_is_grey_and_one_larger_than_any_texture_has_no_cell() {
        let layout = AtlasLayout { side: 2, columns: 2, rows: 1 };
        let image = sheet(layout, &[&[], &[9; 12]]);
        assert_eq!(image.pixels.iter().map(|pixel| pixel.r()).collect::<Vec<_>>(), [128, 128, 9, 9, 128, 128, 9, 9]);
        let ctx = egui::Context::default();
        let mut pictures = Pictures::default();
        let _ = ctx.run_ui(egui::RawInput::default(), |ui| {
            pictures.update(ui.ctx(), &gallery(), None);
            pictures.upload(ui.ctx(), &gallery(), SIDE - 1);
        });
        assert!(pictures.cell(0, 0).is_none());
    }

    /// The window's picture of all cells in a row, each enlarged.
    fn drawn(renderer: RenderState, atlas: Option<Atlas>) -> image::RgbaImage {
        let context = renderer.clone();
        let mut pictures = Pictures::default();
        let mut gallery = gallery();
        if atlas.is_some() {
            gallery.groups.iter_mut().flat_map(|group| &mut group.samples).for_each(|sample| sample.rgb.clear());
        }
        let mut harness = Harness::builder()
            .with_size([400.0, 80.0])
            .renderer(WgpuTestRenderer::from_render_state(renderer))
            .with_context_setup(move |ctx| show_painted(ctx, context))
            .build_ui(move |ui| {
                pictures.update(ui.ctx(), &gallery, atlas.as_ref());
                for (i, (group, sample)) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0)].into_iter().enumerate() {
                    let (id, uv) = pictures.cell(group, sample).expect("a cell");
                    let at = Rect::from_min_size(pos2(8.0 + 60.0 * i as f32, 8.0), vec2(48.0, 48.0));
                    ui.painter().image(id, at, uv, Color32::WHITE);
                }
            });
        harness.run_ok();
        harness.render().expect("drawn")
    }

    #[test]
    fn the_window_shows_the_same_whether_pictures_were_painted_or_uploaded() {
        let Some((chosen, setup)) = painted::gpu() else { return eprintln!("skipped: no adapter that paints here") };
        let mut easel = pollster::block_on(Easel::new(&setup.device, &setup.queue)).expect("an easel");
        let atlas =
            pollster::block_on(easel.paint(&painted::pictures(6, SIDE, &chosen.device), 4, &[16; 6])).expect("painted");
        let state = || {
            let setup = setup.clone();
            let existing = WgpuSetupExisting {
                instance: setup.instance,
                adapter: setup.adapter,
                device: setup.device,
                queue: setup.queue,
            };
            create_render_state(WgpuSetup::Existing(existing), RendererOptions::PREDICTABLE)
        };
        let [a, b] = [drawn(state(), Some(atlas)), drawn(state(), None)];
        assert_eq!((a.width(), a.height()), (b.width(), b.height()));
        let colours: std::collections::BTreeSet<[u8; 4]> = b.pixels().map(|pixel| pixel.0).collect();
        assert!(colours.len() > 100, "only {} colours", colours.len());
        let worst = a.pixels().zip(b.pixels()).flat_map(|(a, b)| (0..4).map(|c| a.0[c].abs_diff(b.0[c]))).max();
        assert!(worst <= Some(1), "{worst:?}");
    }
}
