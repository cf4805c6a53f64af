//! Painted pixels against those of the host, on whatever adapter there is.

use super::*;
use crate::gpu::{Chosen, adapters, choose};
use burn::prelude::Device;
use burn::tensor::TensorData;
use burn::tensor::wgpu::WgpuSetup;

/// The level of `[picture, channel, y, x]` in the test pictures: no two neighbours alike.
pub(crate) fn level([n, c, y, x]: [usize; 4]) -> u8 {
    ((n * 37 + c * 71 + y * 13 + x * 5) % 256) as u8
}

/// Pictures with those levels.
pub(crate) fn pictures(count: usize, side: usize, device: &Device) -> Tensor<4> {
    let axis = |n: usize| 0..n;
    let values: Vec<f32> = axis(count)
        .flat_map(|n| axis(3).flat_map(move |c| axis(side).map(move |y| [n, c, y])))
        .flat_map(|[n, c, y]| axis(side).map(move |x| f32::from(level([n, c, y, x])) / 255.0))
        .collect();
    Tensor::from_data(TensorData::new(values, [count, 3, side, side]), device)
}

/// The first adapter, opened for computing, and what it draws with; `None` where there is none that can paint.
pub(crate) fn gpu() -> Option<(Chosen, WgpuSetup)> {
    let adapter = adapters().into_iter().find(|adapter| adapter.backend != "gl")?;
    let chosen = choose(&adapter.index.to_string()).expect("a listed adapter opens");
    let setup = chosen.setup.clone()?;
    Some((chosen, setup))
}

/// The RGB of a texture, row by row; alpha must be full everywhere.
fn rgb(texture: &wgpu::Texture, setup: &WgpuSetup) -> Vec<[u8; 3]> {
    let (width, height) = (texture.width(), texture.height());
    let row = (4 * width).next_multiple_of(256);
    let buffer = setup.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(row * height),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = setup.device.create_command_encoder(&Default::default());
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout: wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None },
        },
        texture.size(),
    );
    setup.queue.submit([encoder.finish()]);
    buffer.slice(..).map_async(wgpu::MapMode::Read, |mapped| mapped.expect("mapped"));
    setup.device.poll(wgpu::PollType::wait_indefinitely()).expect("waited");
    let bytes = buffer.slice(..).get_mapped_range().expect("mapped").to_vec();
    let pixels = bytes.chunks(row as usize).flat_map(|row| row[..4 * width as usize].chunks_exact(4));
    pixels
        .map(|p| {
            assert_eq!(p[3], 255);
            [p[0], p[1], p[2]]
        })
        .collect()
}

/// What the texture must hold at a pixel, if all tokens are written.
fn expected(layout: AtlasLayout, count: usize, x: usize, y: usize) -> [u8; 3] {
    let index = y / layout.side * layout.columns + x / layout.side;
    if index >= count {
        return [128; 3];
    }
    [0, 1, 2].map(|c| level([index, c, y % layout.side, x % layout.side]))
}

fn assert_painted(atlas: &Atlas, setup: &WgpuSetup, expected: impl Fn(usize, usize) -> [u8; 3]) {
    let [width, height] = atlas.layout().size();
    let pixels = rgb(atlas.texture(), setup);
    assert_eq!(pixels.len(), width * height);
    for (i, pixel) in pixels.iter().enumerate() {
        assert_eq!(*pixel, expected(i % width, i / width), "{:?}, pixel {i}", atlas.layout());
    }
}

#[test]
fn a_layout_is_about_square_holds_every_picture_and_keeps_the_limit() {
    let shape = |count, limit| AtlasLayout::of(count, 20, limit).map(|l| [l.columns, l.rows]);
    assert_eq!(shape(1, 20), Some([1, 1]));
    assert_eq!(shape(16, 400), Some([4, 4]));
    assert_eq!(shape(130, 400), Some([12, 11]));
    assert_eq!(shape(9, 60), Some([3, 3]));
    assert_eq!(AtlasLayout::of(5, 20, 64).map(AtlasLayout::size), Some([60, 40]));
    assert_eq!(AtlasLayout::of(5, 20, 64).map(|l| l.corner(4)), Some([20, 20]));
    assert_eq!(AtlasLayout::of(10, 20, 64), None);
    assert_eq!([AtlasLayout::of(0, 20, 64), AtlasLayout::of(3, 0, 64), AtlasLayout::of(1, 65, 64)], [None; 3]);
}

#[test]
fn a_painted_texture_is_what_is_read_back_at_odd_sizes_and_after_work_in_place() {
    let Some((chosen, setup)) = gpu() else { return eprintln!("skipped: no adapter that paints here") };
    let mut easel = pollster::block_on(Easel::new(&setup.device, &setup.queue)).expect("an easel");
    for (count, side) in [(1, 8), (5, 20), (130, 8), (5, 32)] {
        let tensor = pictures(count, side, &chosen.device);
        let atlas = pollster::block_on(easel.paint(&tensor, 4, &vec![16; count])).expect("painted");
        // The only tensor left: burn works in its buffer.
        let doubled = tensor * 255.0 + 7.0;
        assert_painted(&atlas, &setup, |x, y| expected(atlas.layout(), count, x, y));
        let first = doubled.into_data().iter::<f32>().next().expect("a number");
        assert_eq!(first, 7.0);
    }
}

#[test]
fn a_part_of_a_tensor_and_a_turned_one_are_painted_as_they_are_seen() {
    let Some((chosen, setup)) = gpu() else { return eprintln!("skipped: no adapter that paints here") };
    let mut easel = pollster::block_on(Easel::new(&setup.device, &setup.queue)).expect("an easel");
    let whole = pictures(5, 8, &chosen.device);
    let part = pollster::block_on(easel.paint(&whole.clone().narrow(0, 3, 2), 4, &[16; 2])).expect("painted");
    let turned = pollster::block_on(easel.paint(&whole.swap_dims(2, 3), 4, &[16; 5])).expect("painted");
    let seen = |index: usize, y: usize, x: usize| [0, 1, 2].map(|c| level([index, c, y, x]));
    assert_painted(&part, &setup, |x, y| seen(3 + x / 8, y, x % 8));
    assert_painted(&turned, &setup, |x, y| match y / 8 * 3 + x / 8 {
        index @ 0..5 => seen(index, x % 8, y % 8),
        _ => [128; 3],
    });
}

#[test]
fn what_is_not_written_yet_is_grey() {
    let Some((chosen, setup)) = gpu() else { return eprintln!("skipped: no adapter that paints here") };
    let mut easel = pollster::block_on(Easel::new(&setup.device, &setup.queue)).expect("an easel");
    let written = [0, 1, 7, 16];
    let atlas = pollster::block_on(easel.paint(&pictures(4, 20, &chosen.device), 4, &written)).expect("painted");
    assert_painted(&atlas, &setup, |x, y| {
        let token = y % 20 / 5 * 4 + x % 20 / 5;
        let index = y / 20 * 2 + x / 20;
        if token < written[index] { expected(atlas.layout(), 4, x, y) } else { [128; 3] }
    });
}

#[test]
fn levels_are_those_of_the_host_whatever_the_number() {
    let Some((chosen, setup)) = gpu() else { return eprintln!("skipped: no adapter that paints here") };
    let mut easel = pollster::block_on(Easel::new(&setup.device, &setup.queue)).expect("an easel");
    let mut values: Vec<f32> = (0..256).map(|level| level as f32 / 255.0).collect();
    values[..8].copy_from_slice(&[f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, -3.0, 7.0, 1e-40]);
    values[8..12].copy_from_slice(&[f32::MAX, f32::MIN, 0.999, 0.001]);
    values.resize(3 * 256, 0.5);
    let tensor = Tensor::<4>::from_data(TensorData::new(values.clone(), [1, 3, 16, 16]), &chosen.device);
    let atlas = pollster::block_on(easel.paint(&tensor, 4, &[16])).expect("painted");
    let levels: Vec<u8> = values.iter().map(|value| (value * 255.0 + 0.5) as u8).collect();
    assert_eq!(levels[..8], [0, 0, 255, 0, 0, 0, 255, 0]);
    assert_painted(&atlas, &setup, |x, y| [0, 1, 2].map(|c| levels[c * 256 + y * 16 + x]));
}

#[test]
fn a_texture_is_painted_on_again_only_when_nobody_looks_at_it() {
    let Some((chosen, setup)) = gpu() else { return eprintln!("skipped: no adapter that paints here") };
    let mut easel = pollster::block_on(Easel::new(&setup.device, &setup.queue)).expect("an easel");
    let tensor = pictures(4, 8, &chosen.device);
    let first = pollster::block_on(easel.paint(&tensor, 4, &[16; 4])).expect("painted");
    let second = pollster::block_on(easel.paint(&tensor, 4, &[0; 4])).expect("painted");
    assert_ne!(first.texture(), second.texture());
    assert_painted(&first, &setup, |x, y| expected(first.layout(), 4, x, y));
    let texture = first.texture().clone();
    drop(first);
    let third = pollster::block_on(easel.paint(&tensor, 4, &[16; 4])).expect("painted");
    assert_eq!(*third.texture(), texture);
    assert_eq!(easel.textures.len(), 2);
}

#[test]
fn what_cannot_be_painted_says_so() {
    let Some((chosen, setup)) = gpu() else { return eprintln!("skipped: no adapter that paints here") };
    let mut easel = pollster::block_on(Easel::new(&setup.device, &setup.queue)).expect("an easel");
    let on_the_cpu = pollster::block_on(easel.paint(&pictures(1, 8, &Device::flex()), 4, &[16]));
    assert!(matches!(on_the_cpu, Err(PaintError::Tensor(_))), "{on_the_cpu:?}");
    let wide = Tensor::<4>::zeros([1, 3, 1, 2], &chosen.device);
    assert!(matches!(pollster::block_on(easel.paint(&wide, 1, &[1])), Err(PaintError::Tensor(_))));
    let limit = setup.device.limits().max_texture_dimension_2d as usize;
    let huge = Tensor::<4>::zeros([1, 3, 1, 1], &chosen.device).expand([1, 3, limit + 1, limit + 1]);
    assert!(matches!(pollster::block_on(easel.paint(&huge, 1, &[1])), Err(PaintError::TooLarge { .. })));
    // An empty texture is against the rules: the device's complaint comes back instead of ending the program.
    let refused = pollster::block_on(guarded(&setup.device, || easel.blank(0, 0)));
    assert!(matches!(refused, Err(PaintError::Device(_))), "{refused:?}");
}
