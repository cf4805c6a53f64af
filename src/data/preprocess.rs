//! What is done to a picture before a published network sees it, exact to the byte.

use burn::prelude::*;

use super::resize::{Filter, Raster};

/// The square of `side` pixels in the middle, as ADM and LlamaGen prepare their training pictures (`center_crop_arr`):
/// halved while the shorter side is at least twice `side`, then made to fit.
///
/// # Panics
/// Panics if `side` is 0.
pub fn adm_center_crop(picture: &Raster, side: usize) -> Raster {
    let picture = halve(picture.clone(), |now| now.shorter() >= 2 * side);
    let scale = side as f64 / picture.shorter() as f64;
    // Python rounds half to even.
    let whole = [picture.width, picture.height].map(|n| (n as f64 * scale).round_ties_even() as usize);
    picture.resize_part(whole, whole.map(|n| (n - side) / 2), [side; 2], Filter::Bicubic)
}

/// `picture` halved by block means as often as `larger` says so: many times faster than one resize of a large photograph.
pub(super) fn halve(mut picture: Raster, larger: impl Fn(&Raster) -> bool) -> Raster {
    while larger(&picture) {
        picture = picture.resize(picture.width / 2, picture.height / 2, Filter::Box);
    }
    picture
}

/// The square of `side` pixels in the middle, as OpenAI's CLIP and open_clip prepare pictures (torchvision's `Resize`,
/// bicubic, and `CenterCrop`). Still bytes: [`to_tensor`] and [`crate::model::clip::preprocess`] do the rest.
///
/// # Panics
/// Panics if `side` is 0.
pub fn clip_center_crop(picture: &Raster, side: usize) -> Raster {
    let shorter = picture.shorter();
    let whole = [picture.width, picture.height].map(|n| side * n / shorter);
    let corner = whole.map(|n| ((n - side) as f64 / 2.0).round_ties_even() as usize);
    picture.resize_part(whole, corner, [side; 2], Filter::Bicubic)
}

/// A picture as `[1, channels, height, width]` in [0, 1] (torchvision's `ToTensor`).
pub fn to_tensor(picture: &Raster, device: &Device) -> Tensor<4> {
    let pixels: Vec<f32> = picture.bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let shape = [1, picture.height, picture.width, picture.channels];
    Tensor::<4>::from_data(TensorData::new(pixels, shape), device).permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(width: usize, height: usize) -> Raster {
        let bytes = (0..width * height).map(|i| (i % width) as u8).collect();
        Raster::new(width, height, 1, bytes).expect("a picture")
    }

    #[test]
    fn the_middle_is_kept_whatever_the_shape() {
        for (width, height) in [(255, 31), (31, 255), (8, 8), (9, 8), (3, 2), (200, 130), (1, 1), (17, 16)] {
            for crop in [adm_center_crop, clip_center_crop] {
                let square = crop(&wide(width, height), 8);
                assert_eq!((square.width, square.height, square.bytes.len()), (8, 8, 64), "{width} x {height}");
                let middle = square.bytes[32 + 3].abs_diff((width / 2) as u8);
                assert!(usize::from(middle) <= width.min(height) / 8 + 1, "{width} x {height}: {middle} off");
            }
        }
    }

    #[test]
    fn a_picture_of_the_right_size_is_not_touched() {
        let picture = wide(8, 8);
        assert_eq!(adm_center_crop(&picture, 8), picture);
        assert_eq!(clip_center_crop(&picture, 8), picture);
    }

    #[test]
    fn a_tensor_has_its_channels_first() {
        let picture = Raster::new(2, 1, 3, vec![255, 0, 51, 0, 255, 102]).expect("a picture");
        let tensor = to_tensor(&picture, &Device::flex());
        assert_eq!(tensor.dims(), [1, 3, 1, 2]);
        assert_eq!(tensor.into_data().try_to_vec::<f32>().expect("values"), [1.0, 0.0, 0.0, 1.0, 0.2, 0.4]);
    }
}
