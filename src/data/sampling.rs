//! Which pictures are trained on, and batches drawn evenly from them.

use std::collections::BTreeMap;

use burn::prelude::*;
use sha2::{Digest, Sha256};

use super::augment::{self, AugmentConfig, Background};
use super::{Picture, Pictures};
use crate::platform::rng::Stream;

/// Indices into [`Pictures::pictures`]; no name is on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Pictures to learn from.
    pub train: Vec<usize>,
    /// Pictures whose names were never seen in training, in any style.
    pub held_out: Vec<usize>,
}

/// Pictures by class, then by name: what an even draw needs.
#[derive(Clone, Debug)]
pub struct Groups {
    /// Per class that has pictures: its id, and per name the pictures.
    classes: Vec<(usize, Vec<Vec<usize>>)>,
}

/// Pictures on the host, ready for a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[n, 3, side, side]` in [0, 1].
    pub pixels: Vec<f32>,
    /// Width and height in pixels.
    pub side: usize,
    /// Class of each picture.
    pub classes: Vec<usize>,
    /// Name of each picture.
    pub names: Vec<usize>,
    /// Where each picture stands in [`Pictures::pictures`].
    pub indices: Vec<usize>,
}

impl Batch {
    /// The pictures, `[n, 3, side, side]` in [0, 1].
    pub fn images(&self, device: &Device) -> Tensor<4> {
        let shape = [self.indices.len(), 3, self.side, self.side];
        Tensor::from_data(TensorData::new(self.pixels.clone(), shape), device)
    }

    /// The classes, `[n]`.
    pub fn class_ids(&self, device: &Device) -> Tensor<1, Int> {
        let ids: Vec<i32> = self.classes.iter().map(|&class| class as i32).collect();
        Tensor::from_data(TensorData::new(ids, [self.classes.len()]), device)
    }
}

impl Groups {
    /// `n` pictures: even over classes (their counts differ by at most one), then over names, then over styles.
    /// Nothing is drawn from an empty set.
    pub fn draw(&self, n: usize, stream: &mut Stream) -> Vec<usize> {
        let mut picked = Vec::with_capacity(n);
        while picked.len() < n && !self.classes.is_empty() {
            // One round through all classes in random order; the last round may be cut short.
            for class in stream.choose(n - picked.len(), self.classes.len()) {
                picked.push(one_of(&self.classes[class].1, stream));
            }
        }
        picked
    }

    /// One picture of `class`, even over its names and then styles; none if the class has none here.
    pub fn draw_class(&self, class: usize, stream: &mut Stream) -> Option<usize> {
        self.classes.iter().find(|(id, _)| *id == class).map(|(_, names)| one_of(names, stream))
    }
}

fn one_of(names: &[Vec<usize>], stream: &mut Stream) -> usize {
    let styles = &names[stream.below(names.len())];
    styles[stream.below(styles.len())]
}

impl Pictures {
    /// Holds out a share of the *names* of each class, with every style of them, so that evaluation never sees
    /// a drawing of something that was trained on. Which names depends on the names alone (their SHA-256), not on
    /// their order or a seed. A class with two names or more keeps at least one on both sides.
    pub fn split(&self, held_out_fraction: f64) -> Split {
        let mut names: BTreeMap<usize, BTreeMap<[u8; 32], usize>> = BTreeMap::new();
        for picture in &self.pictures {
            names.entry(picture.class).or_default().entry(self.name_hash(picture)).or_insert(picture.name);
        }
        let mut held_out = vec![false; self.image_names.len()];
        for by_hash in names.values() {
            let wanted = (by_hash.len() as f64 * held_out_fraction).round() as usize;
            let most = by_hash.len() - 1;
            let count = if held_out_fraction > 0.0 { wanted.max(1).min(most) } else { 0 };
            by_hash.values().take(count).for_each(|&name| held_out[name] = true);
        }
        let (held_out, train) = (0..self.len()).partition(|&i| held_out[self.pictures[i].name]);
        Split { train, held_out }
    }

    fn name_hash(&self, picture: &Picture) -> [u8; 32] {
        let (class, name) = (&self.class_names[picture.class], &self.image_names[picture.name]);
        Sha256::digest(format!("{class}/{name}")).into()
    }

    /// Sorts `indices` by class and name, for [`Groups::draw`] and [`Pictures::sample_batch`].
    pub fn groups(&self, indices: &[usize]) -> Groups {
        let mut classes: BTreeMap<usize, BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
        for &index in indices {
            let picture = &self.pictures[index];
            classes.entry(picture.class).or_default().entry(picture.name).or_default().push(index);
        }
        Groups { classes: classes.into_iter().map(|(id, names)| (id, names.into_values().collect())).collect() }
    }

    /// `n` augmented pictures, drawn as [`Groups::draw`] says.
    pub fn sample_batch(&self, groups: &Groups, n: usize, config: &AugmentConfig, stream: &mut Stream) -> Batch {
        let indices = groups.draw(n, stream);
        self.augmented_batch(indices, config, stream)
    }

    /// The pictures at `indices`, each augmented in its own way.
    pub fn augmented_batch(&self, indices: Vec<usize>, config: &AugmentConfig, stream: &mut Stream) -> Batch {
        let size = 3 * self.side * self.side;
        let mut pixels = vec![0.0; indices.len() * size];
        for (&index, out) in indices.iter().zip(pixels.chunks_exact_mut(size)) {
            augment::augment_into(&self.pictures[index], self.side, config, stream, out);
        }
        self.batch(indices, pixels)
    }

    /// The pictures at `indices` as they are, on white: for evaluation.
    pub fn plain_batch(&self, indices: &[usize]) -> Batch {
        let pixels = indices.iter().flat_map(|&i| augment::plain(&self.pictures[i], Background::WHITE)).collect();
        self.batch(indices.to_vec(), pixels)
    }

    fn batch(&self, indices: Vec<usize>, pixels: Vec<f32>) -> Batch {
        let label = |of: fn(&Picture) -> usize| indices.iter().map(|&i| of(&self.pictures[i])).collect();
        Batch { pixels, side: self.side, classes: label(|p| p.class), names: label(|p| p.name), indices }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::platform::rng::Key;

    fn names_of(set: &Pictures, indices: &[usize]) -> BTreeSet<usize> {
        indices.iter().map(|&i| set.pictures[i].name).collect()
    }

    #[test]
    fn a_tenth_of_the_names_is_held_out_and_never_trained_on() {
        let set = Pictures::embedded().expect("embedded");
        let split = set.split(0.1);
        let (train, held_out) = (names_of(&set, &split.train), names_of(&set, &split.held_out));
        assert!(train.is_disjoint(&held_out));
        assert_eq!((train.len(), held_out.len()), (485 - 48, 48));
        assert_eq!(split.train.len() + split.held_out.len(), 3297);
        for side in [&split.train, &split.held_out] {
            let classes: BTreeSet<usize> = side.iter().map(|&i| set.pictures[i].class).collect();
            assert_eq!(classes.len(), 16, "every class is on both sides");
        }
    }

    #[test]
    fn the_split_does_not_depend_on_the_order_of_the_pictures() {
        let set = Pictures::embedded().expect("embedded");
        let mut reversed = set.clone();
        reversed.pictures.reverse();
        assert_eq!(set.split(0.1), set.split(0.1));
        let names = names_of(&set, &set.split(0.1).held_out);
        assert_eq!(names, names_of(&reversed, &reversed.split(0.1).held_out));
    }

    #[test]
    fn extreme_fractions_leave_something_to_learn_from() {
        let set = Pictures::embedded().expect("embedded");
        assert!(set.split(0.0).held_out.is_empty());
        let all = set.split(1.0);
        assert_eq!(names_of(&set, &all.train).len(), 16, "one name a class stays");
    }

    #[test]
    fn batches_are_even_over_classes_and_repeatable() {
        let set = Pictures::embedded().expect("embedded");
        let groups = set.groups(&set.split(0.1).train);
        let draw = |seed, n| set.sample_batch(&groups, n, &AugmentConfig::default(), &mut Key::new(seed).stream());
        let batch = draw(5, 72);
        assert_eq!(batch.pixels.len(), 72 * 3 * 32 * 32);
        let mut counts = [0; 16];
        batch.classes.iter().for_each(|&class| counts[class] += 1);
        assert!(counts.iter().all(|&count| count == 4 || count == 5), "{counts:?}");
        for (i, &index) in batch.indices.iter().enumerate() {
            let picture = &set.pictures[index];
            assert_eq!((batch.classes[i], batch.names[i]), (picture.class, picture.name));
        }
        assert_eq!(batch, draw(5, 72));
        assert_ne!(batch.indices, draw(6, 72).indices);
    }

    #[test]
    fn names_are_drawn_evenly_within_a_class() {
        let set = Pictures::embedded().expect("embedded");
        let all: Vec<usize> = (0..set.len()).collect();
        let groups = set.groups(&all);
        let boat = set.class_names.iter().position(|name| name == "boat").expect("boats");
        let mut stream = Key::new(9).stream();
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for _ in 0..7000 {
            let index = groups.draw_class(boat, &mut stream).expect("a boat");
            *counts.entry(set.pictures[index].name).or_default() += 1;
        }
        assert_eq!(counts.len(), 7);
        assert!(counts.values().all(|&count| (850..1150).contains(&count)), "{counts:?}");
        assert!(set.groups(&[]).draw(4, &mut stream).is_empty());
    }

    #[test]
    fn a_batch_becomes_tensors() {
        let set = Pictures::embedded().expect("embedded");
        let batch = set.plain_batch(&[0, 100, 2000]);
        let device = Device::flex();
        assert_eq!(batch.images(&device).dims(), [3, 3, 32, 32]);
        let ids: Vec<i64> = batch.class_ids(&device).into_data().iter::<i64>().collect();
        assert_eq!(ids, batch.classes.iter().map(|&c| c as i64).collect::<Vec<_>>());
    }
}
