//! Rollouts as a face shows them: in groups of one prompt, each picture with what it was paid.

use anyhow::Result;

use super::protocol::{Gallery, Group, Sample};
use super::slot::Slot;
use super::space::Space;
use crate::gpu::texture::{Atlas, Easel};
use crate::rl::trainer::{Decoded, Rollouts};

/// The newest rollouts as a window shows them.
#[derive(Clone, Debug, Default)]
pub struct Exhibit {
    /// What there is to see. Samples that are not scored yet have no pixels of their own where `atlas` has them.
    pub gallery: Gallery,
    /// All pictures, in order, as a texture of the window's own device; `None` where they had to be read back.
    pub atlas: Option<Atlas>,
}

impl From<Gallery> for Exhibit {
    fn from(gallery: Gallery) -> Self {
        Self { gallery, atlas: None }
    }
}

/// Where the engine hangs rollouts for a face to see.
#[derive(Clone, Debug, Default)]
pub(super) struct Wall {
    /// The newest rollouts.
    pub newest: Slot<Exhibit>,
    /// What the face draws with, from when on it can show painted pictures.
    pub draws_with: Slot<(wgpu::Device, wgpu::Queue)>,
}

/// [`Wall`] as the engine has it.
#[derive(Debug)]
pub(super) struct Painter {
    wall: Wall,
    easel: Option<Easel>,
}

impl Painter {
    pub(super) fn new(wall: Wall) -> Self {
        Self { wall, easel: None }
    }

    /// Hangs `rollouts`, arranged as by [`gallery_of`]: painted where the face can show that, else read back, where
    /// that has not been done yet. Returns what the user should know about it.
    ///
    /// # Errors
    /// Where the device fails.
    pub(super) async fn hang(
        &mut self,
        mut rollouts: Rollouts,
        space: Option<Space>,
        rewards: &[&str],
        prompts: &[String],
        group: usize,
    ) -> Result<Option<String>> {
        let (mut atlas, mut notice) = (None, None);
        if let Some(decoded) = rollouts.decoded.take() {
            (atlas, notice) = self.paint(&decoded).await;
            if atlas.is_none() && rollouts.pictures.is_empty() {
                rollouts.pictures = decoded.read().await?;
            }
        }
        let gallery = Gallery { space, ..gallery_of(&rollouts, rewards, prompts, group) };
        self.wall.newest.put(Exhibit { gallery, atlas });
        Ok(notice)
    }

    /// The painting, if there is an easel. One that fails is not tried again.
    async fn paint(&mut self, decoded: &Decoded) -> (Option<Atlas>, Option<String>) {
        let easel = match (self.wall.draws_with.take(), self.easel.take()) {
            (Some((device, queue)), _) => Easel::new(&device, &queue).await,
            (None, Some(easel)) => Ok(easel),
            (None, None) => return (None, None),
        };
        let painted = match easel {
            Ok(easel) => {
                let atlas = self.easel.insert(easel).paint(&decoded.pictures, decoded.grid, &decoded.written);
                atlas.await
            }
            Err(error) => Err(error),
        };
        match painted {
            Ok(atlas) => (Some(atlas), None),
            Err(error) => {
                self.easel = None;
                (None, Some(format!("pictures are read back from the device to be shown: {error}")))
            }
        }
    }
}

/// `rollouts` in groups of `group` consecutive samples; `rewards` names the columns of their scores, `prompts` are
/// those of their classes.
fn gallery_of(rollouts: &Rollouts, rewards: &[&str], prompts: &[String], group: usize) -> Gallery {
    let sample = |i: usize| {
        let scores = rollouts.scores.get(i).map(Vec::as_slice).unwrap_or_default();
        let mut paid: Vec<(String, f64)> =
            rewards.iter().zip(scores).map(|(name, score)| (name.to_string(), *score)).collect();
        paid.extend(rollouts.loo_fid.get(i).map(|r| ("loo_fid".to_string(), *r)));
        let rgb = rollouts.pictures.get(i).cloned().unwrap_or_default();
        let tokens = rollouts.tokens.get(i).cloned().unwrap_or_default();
        Sample { rgb, rewards: paid, advantage: rollouts.advantages.get(i).copied(), tokens }
    };
    let groups = rollouts.classes.chunks(group).enumerate().map(|(g, members)| Group {
        prompt: prompts[members[0]].clone(),
        class: members[0],
        samples: (0..members.len()).map(|i| sample(g * group + i)).collect(),
    });
    Gallery {
        update: rollouts.update,
        side: rollouts.side,
        tokens: rollouts.written,
        groups: groups.collect(),
        space: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::texture::tests::gpu;
    use burn::prelude::{Device, Tensor};

    fn half_written(device: &Device) -> Rollouts {
        let pictures = Tensor::ones([3, 3, 4, 4], device);
        let decoded = Some(Decoded { pictures, grid: 2, written: vec![2; 3] });
        Rollouts { side: 4, classes: vec![0, 0, 1], written: (2, 4), decoded, ..Rollouts::default() }
    }

    fn hung(wall: &Wall, painter: &mut Painter, device: &Device) -> (Exhibit, Option<String>) {
        let prompts = ["a picture of a cat".to_string(), "a picture of a bus".to_string()];
        let notice = pollster::block_on(painter.hang(half_written(device), None, &[], &prompts, 2)).expect("hung");
        (wall.newest.take().expect("an exhibit"), notice)
    }

    #[test]
    fn without_an_easel_pictures_are_read_back() {
        let wall = Wall::default();
        let (exhibit, notice) = hung(&wall, &mut Painter::new(wall.clone()), &Device::flex());
        assert!(exhibit.atlas.is_none() && notice.is_none());
        let groups = exhibit.gallery.groups;
        assert_eq!(groups.iter().map(|group| group.samples.len()).collect::<Vec<_>>(), [2, 1]);
        let rgb = &groups[1].samples[0].rgb;
        assert_eq!((rgb.len(), rgb[0], rgb[47]), (48, 255, 128));
    }

    #[test]
    fn with_an_easel_nothing_is_read_back_and_one_that_fails_is_put_away() {
        let Some((chosen, setup)) = gpu() else { return eprintln!("skipped: no adapter that paints here") };
        let wall = Wall::default();
        let mut painter = Painter::new(wall.clone());
        wall.draws_with.put((setup.device.clone(), setup.queue.clone()));
        let (exhibit, notice) = hung(&wall, &mut painter, &chosen.device);
        assert!(notice.is_none() && exhibit.gallery.groups[0].samples[0].rgb.is_empty());
        assert_eq!(exhibit.atlas.expect("painted").layout().size(), [8, 8]);
        // Pictures on another device than the easel's.
        let (exhibit, notice) = hung(&wall, &mut painter, &Device::flex());
        assert!(exhibit.atlas.is_none() && notice.expect("said").contains("read back"));
        assert_eq!(exhibit.gallery.groups[0].samples[0].rgb.len(), 48);
        assert!(hung(&wall, &mut painter, &Device::flex()).1.is_none(), "said once");
    }
}
