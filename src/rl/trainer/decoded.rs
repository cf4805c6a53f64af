//! Pictures that are decoded but still on the device.

use burn::prelude::*;

use crate::data::grid::rgb_pictures;
use crate::gpu::read::{ReadError, read};

/// Level of what is not written yet.
const UNWRITTEN: u8 = 128;

/// Pictures where they were decoded: to be shown from there, or to be read back.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// `[n, 3, side, side]` in [0, 1].
    pub pictures: Tensor<4>,
    /// Tokens in a row of a picture.
    pub grid: usize,
    /// Tokens written of each picture; what the others will show is grey.
    pub written: Vec<usize>,
}

impl Decoded {
    /// The pictures as `side * side * 3` bytes of RGB each. One readback.
    ///
    /// # Errors
    /// Where the device fails.
    pub async fn read(self) -> Result<Vec<Vec<u8>>, ReadError> {
        let side = self.pictures.dims()[3];
        let mut pictures = rgb_pictures(&read(self.pictures).await?, side);
        let cell = (side / self.grid).max(1);
        for (picture, written) in pictures.iter_mut().zip(self.written) {
            if written < self.grid * self.grid {
                for (i, rgb) in picture.chunks_exact_mut(3).enumerate() {
                    if (i / side / cell) * self.grid + (i % side) / cell >= written {
                        rgb.fill(UNWRITTEN);
                    }
                }
            }
        }
        Ok(pictures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_not_written_yet_are_read_back_grey() {
        let pictures = Tensor::ones([3, 3, 4, 4], &Device::flex());
        let decoded = Decoded { pictures, grid: 2, written: vec![0, 3, 4] };
        let read = pollster::block_on(decoded.read()).expect("read");
        assert!(read[0].iter().all(|level| *level == 128) && read[2].iter().all(|level| *level == 255));
        let red: Vec<u8> = read[1].chunks_exact(3).map(|rgb| rgb[0]).collect();
        assert_eq!(red[..8], [255; 8]);
        assert_eq!(red[8..], [255, 255, 128, 128, 255, 255, 128, 128]);
    }
}
