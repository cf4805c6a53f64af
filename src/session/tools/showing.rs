//! How long decoded pictures take to become a texture: painted where they are, and by way of the host.

use anyhow::Result;
use burn::prelude::*;
use burn::tensor::Distribution;

use super::{Timing, timing};
use crate::data::grid::rgb_pictures;
use crate::gpu::choose;
use crate::gpu::read::read;
use crate::gpu::texture::{AtlasLayout, Easel};
use crate::platform::clock::Stopwatch;

const PICTURES: usize = 128;
const SIDE: usize = 32;
const GRID: usize = 8;

/// Both ways to a texture, each until the device has finished; none where the CPU computes.
///
/// # Errors
/// Where the device fails.
pub(super) fn timings(device: &str, repeats: usize) -> Result<Vec<Timing>> {
    let chosen = choose(device)?;
    let Some(setup) = chosen.setup else { return Ok(vec![]) };
    let mut easel = pollster::block_on(Easel::new(&setup.device, &setup.queue))?;
    let limit = setup.device.limits().max_texture_dimension_2d as usize;
    let Some(layout) = AtlasLayout::of(PICTURES, SIDE, limit) else { return Ok(vec![]) };
    let uploaded = setup.device.create_texture(&wgpu::TextureDescriptor {
        label: Some("uploaded pictures"),
        size: extent(layout),
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    let mut runs = [vec![], vec![]];
    for round in 0..=2 * repeats + 1 {
        let noise = Distribution::Uniform(0.0, 1.0);
        let pictures = Tensor::<4>::random([PICTURES, 3, SIDE, SIDE], noise, &chosen.device);
        chosen.device.sync().map_err(|error| anyhow::anyhow!("{error}"))?;
        let clock = Stopwatch::start();
        if round % 2 == 0 {
            pollster::block_on(easel.paint(&pictures, GRID, &[GRID * GRID; PICTURES]))?;
        } else {
            let pixels = pollster::block_on(read(pictures))?;
            let rgba = sheet(layout, &rgb_pictures(&pixels, SIDE));
            let row = wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(4 * layout.size()[0] as u32),
                rows_per_image: None,
            };
            setup.queue.write_texture(uploaded.as_image_copy(), &rgba, row, extent(layout));
            setup.queue.submit([]);
        }
        setup.device.poll(wgpu::PollType::wait_indefinitely())?;
        // The first of each kind is the warm-up.
        if round > 1 {
            runs[round % 2].push(clock.seconds());
        }
    }
    let size = format!("{PICTURES} pictures of {SIDE}x{SIDE}, from the tensor until a finished texture");
    let ways = ["show/painted", "show/read back"].into_iter().zip(runs);
    Ok(ways.map(|(what, runs)| timing(what, runs, size.clone(), PICTURES as f64, "pictures/s")).collect())
}

fn extent(layout: AtlasLayout) -> wgpu::Extent3d {
    let [width, height] = layout.size().map(|n| n as u32);
    wgpu::Extent3d { width, height, depth_or_array_layers: 1 }
}

/// RGB pictures side by side as RGBA.
fn sheet(layout: AtlasLayout, pictures: &[Vec<u8>]) -> Vec<u8> {
    let [width, height] = layout.size();
    let mut rgba = vec![255; 4 * width * height];
    for (index, rgb) in pictures.iter().enumerate() {
        let [left, top] = layout.corner(index);
        for (i, pixel) in rgb.chunks_exact(3).enumerate() {
            let at = 4 * ((top + i / layout.side) * width + left + i % layout.side);
            rgba[at..at + 3].copy_from_slice(pixel);
        }
    }
    rgba
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::texture::tests::gpu;

    #[test]
    fn both_ways_are_timed_on_a_graphics_device_and_none_on_the_cpu() {
        assert!(timings("cpu", 1).expect("timed").is_empty());
        let Some((chosen, _)) = gpu() else { return eprintln!("skipped: no adapter that paints here") };
        let index = crate::gpu::adapters().into_iter().find(|a| a.label() == chosen.label).expect("listed").index;
        let timings = timings(&index.to_string(), 2).expect("timed");
        assert_eq!(timings.iter().map(|t| t.runs.len()).collect::<Vec<_>>(), [2, 2]);
        timings.iter().for_each(|t| println!("{} {:.2} ms", t.what, 1e3 * t.seconds));
    }
}
