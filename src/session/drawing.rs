//! Pictures of given classes, drawn by the policy as it is: for sheets, and for sets that others measure.

use anyhow::Result;

use super::studio::{Studio, purpose};
use crate::data::grid::rgb_pictures;
use crate::gpu::read::read;
use crate::platform::rng::Key;
use crate::rl::rollout::Rollout;
use crate::rl::sampling::SamplingConfig;
use crate::rl::trainer::decode_levels;

/// Rows per pass, where the settings do not ask for fewer.
const PASS: usize = 64;

/// At most `most` of the classes `0..count`, evenly spread over them.
pub(super) fn spread(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let n = count.min(most);
    (0..n).map(move |i| i * count / n)
}

impl Studio {
    /// Rows that are drawn in one pass.
    pub(super) fn pass(&self) -> usize {
        match self.trainer.config().rollout_batch as usize {
            0 => PASS,
            set => set.min(PASS),
        }
    }

    /// Draws pictures of `classes` in one pass: RGB bytes `[side, side, 3]` of each. The random numbers of a picture depend on
    /// `seed` and on its place alone, of which the first is `first`.
    ///
    /// # Errors
    /// Where the device fails.
    pub(super) async fn draw(
        &self,
        first: usize,
        classes: &[usize],
        seed: u64,
        sampling: &SamplingConfig,
    ) -> Result<Vec<Vec<u8>>> {
        let (model, family) = (self.trainer.policy(), self.trainer.family());
        let key = Key::new(seed).fold(purpose::SAMPLES);
        let keys = (0..classes.len()).map(|i| key.fold((first + i) as u64)).collect();
        let tokens = Rollout::new(model, classes, keys, *sampling, &self.device).finish(model).await;
        Ok(rgb_pictures(&read(decode_levels(family, tokens)).await?, family.config.side))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_spread_evenly_and_few_are_all_taken() {
        assert_eq!(spread(3, 16).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(1000, 4).collect::<Vec<_>>(), [0, 250, 500, 750]);
        assert_eq!(spread(0, 4).count(), 0);
    }
}
