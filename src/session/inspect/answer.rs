//! Answering questions about a sample. Nothing here changes the run.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{CANDIDATES, Crops, InLoss, Inspection, Neighbour, Pushed, Question, Token, Version};
use crate::data::grid::rgb_from_chw;
use crate::data::{Background, Nearest, Pictures, augment};
use crate::model::policy::Policy;
use crate::platform::files;
use crate::rl::trainer::Specimen;
use crate::session::checkpoint;
use crate::session::keyframes::Keyframes;
use crate::session::studio::Studio;

/// Samples that can still be asked about after their batch has gone.
const KEPT: usize = 16;
/// Policies that one question may compare.
const VERSIONS: usize = 8;
/// Pixels of training pictures that one search looks at, at most: about half a second.
const SEARCHED: usize = 1 << 24;

/// What answering remembers.
#[derive(Default)]
pub(in crate::session) struct Inspector {
    /// Samples that were asked about, the latest last.
    specimens: VecDeque<Specimen>,
    /// The last sequence that was written on after a prefix. It stays as it is while the policy moves on: otherwise the
    /// picture would change under the eyes of whoever looks at it.
    written: Option<Written>,
    /// The last checkpoint that was compared with.
    checkpoint: Option<Loaded>,
    /// The last picture whose nearest was looked for.
    nearest: Option<(Vec<u8>, Option<Neighbour>)>,
}

struct Written {
    update: u64,
    sample: usize,
    prefix: Vec<u32>,
    tokens: Vec<u32>,
}

struct Loaded {
    path: PathBuf,
    modified: Option<files::Time>,
    policy: Policy,
}

impl Studio {
    /// Answers a question; `checkpoints` is the folder of the run's checkpoints, if it has one, and `keyframes` what is
    /// kept in memory.
    ///
    /// # Errors
    /// Where the sample is not known (any more), the question does not fit it, or the device fails. The run is untouched
    /// in every case.
    pub(in crate::session) async fn inspect(
        &mut self,
        question: &Question,
        checkpoints: Option<&Path>,
        keyframes: &Keyframes,
    ) -> Result<Inspection> {
        let specimen = self.find(question).await?;
        let family = &self.trainer.family().config;
        let (side, grid, vocabulary) = (family.side, family.grid, family.gpt.vocab_size());
        check(question, specimen.tokens.len(), vocabulary)?;
        let (tokens, rgb) = if specimen.tokens.starts_with(&question.prefix) {
            (specimen.tokens.clone(), specimen.picture.clone())
        } else {
            let tokens = self.write_on(question, &specimen).await?;
            let rgb = self.trainer.pictures(&[&tokens]).await?.remove(0);
            (tokens, rgb)
        };
        let readings = self.trainer.readings(specimen.class, &tokens, CANDIDATES).await?;
        let as_drawn = specimen.old_logp.as_ref().filter(|_| tokens == specimen.tokens);
        let pushes = as_drawn.map(|old| self.trainer.pushes(&specimen, &readings, old));
        let in_loss = pushes.as_ref().map(|p| InLoss { ratio: p.sequence, per_token: p.per_token, range: p.range });
        let pushed = |t: usize| {
            let (pushes, old) = (pushes.as_ref()?, as_drawn?);
            Some(Pushed { old_probability: old[t].exp(), ratio: pushes.ratios[t], push: pushes.pushes[t] })
        };
        let tokens_of = |(t, (reading, &id)): (usize, (&crate::rl::trainer::Reading, &u32))| Token {
            id,
            probability: reading.logp.exp(),
            reference: reading.reference_logp.exp(),
            entropy: reading.entropy,
            pushed: pushed(t),
            candidates: reading.candidates.clone(),
        };
        let described: Vec<Token> = readings.iter().zip(&tokens).enumerate().map(tokens_of).collect();
        let available = checkpoints.map(checkpoint::available).unwrap_or_default();
        let at: BTreeSet<u64> = available.iter().map(|(update, _)| *update).chain(keyframes.updates()).collect();
        let (mut versions, mut missing) = (vec![], vec![]);
        for &version in question.compare.iter().take(VERSIONS) {
            match self.picture_by(version, &specimen, &available, keyframes).await {
                Ok(rgb) => versions.push((version, rgb)),
                Err(error) => missing.push((version, format!("{error:#}"))),
            }
        }
        let crops = match question.position {
            Some(position) => Some(self.crops(position, &tokens, &described[position].candidates).await?),
            None => None,
        };
        let names = self.trainer.rewards().names();
        let mut rewards: Vec<(String, f64)> =
            names.iter().zip(&specimen.scores).map(|(name, score)| (name.to_string(), *score)).collect();
        rewards.push(("loo_fid".into(), specimen.loo_fid));
        Ok(Inspection {
            question: question.clone(),
            policy: self.trainer.update(),
            class: specimen.class,
            prompt: self.trainer.prompts()[specimen.class].clone(),
            place: (specimen.sample % specimen.group.max(1), specimen.group),
            side,
            grid,
            vocabulary,
            nearest: self.nearest(&rgb, specimen.class),
            drawn: specimen.picture,
            rgb,
            tokens: described,
            rewards,
            advantage: specimen.advantages,
            lambda: self.trainer.config().lambda_fid,
            in_loss,
            versions,
            missing,
            at: at.into_iter().collect(),
            crops,
        })
    }

    /// The sample that is asked about: of the newest batch, or one that was asked about before.
    async fn find(&mut self, question: &Question) -> Result<Specimen> {
        let (update, sample) = (question.update, question.sample);
        let kept = &mut self.inspector.specimens;
        let at = kept.iter().position(|s| (s.update, s.sample) == (update, sample));
        let before = at.and_then(|at| kept.remove(at));
        // What the trainer has is the newer: another run of the same update may have taken the first one's place.
        let found = self.trainer.specimen(update, sample).or(before);
        let Some(mut specimen) = found else {
            let newest = self.trainer.scored_update().unwrap_or(self.trainer.update());
            anyhow::ensure!(update <= newest, "these pictures are still being written and scored");
            anyhow::ensure!(update == newest, "the pictures of update {update} have given way to newer ones");
            anyhow::bail!("update {update} has no sample {sample}, counted from 0");
        };
        if specimen.old_logp.is_none() {
            // The policy moves only after the update's own pass over them, so until then this is the same pass.
            let readings = self.trainer.readings(specimen.class, &specimen.tokens, 0).await?;
            specimen.old_logp = Some(readings.iter().map(|reading| reading.logp).collect());
        }
        kept_last(&mut self.inspector.specimens, specimen.clone());
        Ok(specimen)
    }

    /// The tokens after the question's prefix; those of the last such question are kept.
    async fn write_on(&mut self, question: &Question, specimen: &Specimen) -> Result<Vec<u32>> {
        let Question { update, sample, prefix, .. } = question.clone();
        if let Some(last) = &self.inspector.written
            && (last.update, last.sample, &last.prefix) == (update, sample, &prefix)
        {
            return Ok(last.tokens.clone());
        }
        let tokens = self.trainer.write_again(self.trainer.policy(), specimen, &prefix).await?;
        self.inspector.written = Some(Written { update, sample, prefix, tokens: tokens.clone() });
        Ok(tokens)
    }

    /// What a policy makes of the sample's class and random numbers.
    async fn picture_by(
        &mut self,
        version: Version,
        specimen: &Specimen,
        available: &[(u64, PathBuf)],
        keyframes: &Keyframes,
    ) -> Result<Vec<u8>> {
        if let Version::At(update) = version
            && let Some(record) = keyframes.policy(update)
        {
            let policy = self.trainer.policy_of(record.to_vec())?;
            let tokens = self.trainer.write_again(&policy, specimen, &[]).await?;
            return Ok(self.trainer.pictures(&[&tokens]).await?.remove(0));
        }
        if let Version::At(update) = version {
            let found = available.iter().find(|(at, _)| *at == update);
            let path = &found.ok_or_else(|| anyhow::anyhow!("there is no checkpoint of update {update} any more"))?.1;
            let modified = files::metadata(path).ok().and_then(|about| about.modified);
            let fits = |c: &Loaded| c.path == *path && c.modified == modified;
            if !self.inspector.checkpoint.as_ref().is_some_and(fits) {
                let policy = self.trainer.policy_of(checkpoint::policy(path)?)?;
                self.inspector.checkpoint = Some(Loaded { path: path.clone(), modified, policy });
            }
        }
        let trainer = &self.trainer;
        let policy = match (version, &self.inspector.checkpoint) {
            (Version::At(_), Some(loaded)) => &loaded.policy,
            (Version::Before, _) => &trainer.family().prior,
            _ => trainer.policy(),
        };
        let tokens = trainer.write_again(policy, specimen, &[]).await?;
        Ok(trainer.pictures(&[&tokens]).await?.remove(0))
    }

    /// The picture near `position` with each candidate there and the other tokens as they are.
    async fn crops(&self, position: usize, tokens: &[u32], candidates: &[(u32, f64)]) -> Result<Crops> {
        let family = &self.trainer.family().config;
        let (side, cell) = (family.side, family.side / family.grid);
        let swapped: Vec<Vec<u32>> = candidates
            .iter()
            .map(|&(id, _)| {
                let mut tokens = tokens.to_vec();
                tokens[position] = id;
                tokens
            })
            .collect();
        let swapped: Vec<&[u32]> = swapped.iter().map(Vec::as_slice).collect();
        let pictures = self.trainer.pictures(&swapped).await?;
        let width = (3 * cell).min(side);
        let start = |index: usize| (index * cell).saturating_sub(cell).min(side - width);
        let corner = (start(position % family.grid), start(position / family.grid));
        Ok(Crops { position, side: width, rgb: pictures.iter().map(|rgb| crop(rgb, side, corner, width)).collect() })
    }

    /// The nearest training picture; that of the last picture asked about is kept.
    fn nearest(&mut self, rgb: &[u8], class: usize) -> Option<Neighbour> {
        if let Some((of, found)) = &self.inspector.nearest
            && of == rgb
        {
            return found.clone();
        }
        let found = neighbour(&self.pictures, &self.split.train, rgb, class);
        self.inspector.nearest = Some((rgb.to_vec(), found.clone()));
        found
    }
}

/// Keeps a sample as the latest, and as many before it as there is room for.
fn kept_last(specimens: &mut VecDeque<Specimen>, specimen: Specimen) {
    specimens.push_back(specimen);
    if specimens.len() > KEPT {
        specimens.pop_front();
    }
}

/// Whether a question can be asked about a sequence of `length` tokens.
fn check(question: &Question, length: usize, vocabulary: usize) -> Result<()> {
    anyhow::ensure!(question.prefix.len() <= length, "a picture has {length} tokens");
    anyhow::ensure!(
        question.prefix.iter().all(|&id| (id as usize) < vocabulary),
        "there are {vocabulary} tokens to choose from, counted from 0"
    );
    anyhow::ensure!(question.position.is_none_or(|position| position < length), "a picture has {length} tokens");
    Ok(())
}

/// The square of `width` pixels at `corner` (column, row) of a picture of `side` pixels.
fn crop(rgb: &[u8], side: usize, corner: (usize, usize), width: usize) -> Vec<u8> {
    let row = |y: usize| &rgb[(y * side + corner.0) * 3..][..width * 3];
    (corner.1..corner.1 + width).flat_map(row).copied().collect()
}

/// The training picture whose pixels are nearest to `rgb`. Where there are too many to look through, among those of
/// the sample's own class, and evenly among these.
fn neighbour(pictures: &Pictures, train: &[usize], rgb: &[u8], class: usize) -> Option<Neighbour> {
    let (side, plane) = (pictures.side, pictures.side * pictures.side);
    if rgb.len() != plane * 3 {
        return None;
    }
    let room = (SEARCHED / plane).max(1);
    let (among, which): (Vec<usize>, _) = if train.len() <= room {
        (train.to_vec(), "training pictures")
    } else {
        let own: Vec<usize> = train.iter().copied().filter(|&i| pictures.pictures[i].class == class).collect();
        let step = own.len().div_ceil(room).max(1);
        (own.into_iter().step_by(step).collect(), "training pictures of its class")
    };
    let pixels: Vec<f32> =
        (0..3).flat_map(|c| rgb.iter().skip(c).step_by(3).map(|&level| f32::from(level) / 255.0)).collect();
    let Nearest { index, distance, mirrored } = pictures.nearest(&pixels, &among)?;
    let found = &pictures.pictures[index];
    let corners = [0, side - 1, plane - side, plane - 1];
    let behind = std::array::from_fn(|c| corners.iter().map(|&i| pixels[c * plane + i]).sum::<f32>() / 4.0);
    let mut seen = rgb_from_chw(&augment::plain(found, Background::Solid(behind)), side);
    if mirrored {
        seen = seen.chunks(side * 3).flat_map(|row| row.rchunks(3).flatten().copied()).collect();
    }
    Some(Neighbour {
        name: pictures.image_names[found.name].clone(),
        class: pictures.class_names[found.class].clone(),
        rgb: seen,
        distance,
        protocol: format!(
            "least mean squared difference of the pixels among {} {which}, either way round, each set on the colour of \
             the sample's corners",
            among.len()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_picture_finds_itself_and_its_mirror_image_is_shown_mirrored() {
        let pictures = Pictures::embedded().expect("embedded");
        let train: Vec<usize> = (0..pictures.len()).collect();
        let own = &pictures.pictures[1200];
        let rgb = rgb_from_chw(&augment::plain(own, Background::Solid([1.0; 3])), pictures.side);
        let found = neighbour(&pictures, &train, &rgb, own.class).expect("a picture");
        assert_eq!((found.name, found.rgb == rgb), (pictures.image_names[own.name].clone(), true));
        assert!(found.distance < 1e-6 && found.protocol.contains("3297 training pictures"), "{}", found.protocol);
        let mirrored: Vec<u8> = rgb.chunks(32 * 3).flat_map(|row| row.rchunks(3).flatten().copied()).collect();
        let found = neighbour(&pictures, &train, &mirrored, own.class).expect("a picture");
        assert!(found.rgb == mirrored);
    }

    #[test]
    fn a_crop_is_the_square_at_its_corner() {
        let rgb: Vec<u8> = (0..16).flat_map(|i| [i, i, i]).collect();
        let levels: Vec<u8> = crop(&rgb, 4, (1, 2), 2).chunks(3).map(|pixel| pixel[0]).collect();
        assert_eq!(levels, [9, 10, 13, 14]);
    }
}
