//! Pictures: the embedded emoji set, a user's own folder, augmentation, captions and grids.
//!
//! Everything here works on the host in plain `f32` and `u8`; a [`Batch`] is the one place that makes tensors.
//! Reading order: [`Pictures`], [`augment`] (how one picture becomes many), [`sampling`] (the held-out split and evenly
//! drawn batches), [`prompts`] (what a picture is called), [`preprocess`] (what networks are shown).

pub mod augment;
mod emoji;
pub mod folder;
pub mod grid;
pub mod imagenet;
pub mod nearest;
pub mod preprocess;
pub mod prompts;
pub mod resize;
pub mod sampling;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::platform::assets::AssetError;

pub use augment::{AugmentConfig, Background};
pub use folder::BadFile;
pub use nearest::Nearest;
pub use sampling::{Batch, Groups, Split};

/// Why a picture set could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The set that ships inside the program does not read: the program file itself is damaged.
    #[error("the embedded picture set is damaged: {0}")]
    Embedded(String),
    /// The set has not been fetched, which happens on a page only.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// A folder could not be listed.
    #[error("cannot read the folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder has no class folder with a readable picture in it.
    #[error(
        "{path} holds no pictures (looked for {path}/<class name>/*.png, *.jpg, *.jpeg and *.webp; {bad} files or \
         folders could not be used{example})"
    )]
    NoPictures {
        /// The folder.
        path: PathBuf,
        /// How many files and folders were refused.
        bad: usize,
        /// The first refusal, or nothing.
        example: String,
    },
    /// A class-conditional model needs something to tell apart.
    #[error("{path} holds pictures of one class only, \"{class}\"; make a second folder beside it")]
    OneClass {
        /// The folder.
        path: PathBuf,
        /// The one class.
        class: String,
    },
    /// The asked side cannot be used.
    #[error("pictures of side {0} cannot be made (4 to 1024)")]
    Side(usize),
    /// The pictures are of other classes than the networks know.
    #[error("the pictures and the networks are of different classes{}{}; rename the folders, or train a family for \
        these pictures: `artune pretrain NETWORK --data DIR --weights FAMILY --out FAMILY/NETWORK` for features, \
        tokenizer, prior, clip, preference and judge, in this order, then pass --weights FAMILY",
        listed("only the pictures have", .unknown), listed("only the networks know", .missing))]
    Classes {
        /// Classes of the pictures that the networks do not know.
        unknown: Vec<String>,
        /// Classes of the networks that have no picture.
        missing: Vec<String>,
    },
    /// A grid of pictures that no viewer would open, and that would not fit into memory.
    #[error("a sheet of {width} x {height} pixels is too large for one file; draw fewer pictures at a time")]
    Sheet {
        /// Pixels from left to right.
        width: usize,
        /// Pixels from top to bottom.
        height: usize,
    },
    /// A picture could not be written as PNG.
    #[error("cannot encode a picture: {0}")]
    Encode(#[from] image::ImageError),
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// `; what: a, b`, or nothing for an empty list.
fn listed(what: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; {what}: {}", names.join(", ")) }
}

/// One picture, as drawn: nothing behind it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// `[side, side, 4]` row by row, straight alpha; colour is 0 where alpha is 0.
    pub rgba: Vec<u8>,
    /// Index into [`Pictures::class_names`].
    pub class: usize,
    /// Index into [`Pictures::style_names`].
    pub style: usize,
    /// Index into [`Pictures::image_names`]; a name belongs to one class.
    pub name: usize,
}

/// A labelled set of pictures of one size.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// Width and height of every picture, in pixels.
    pub side: usize,
    /// What each class is called.
    pub class_names: Vec<String>,
    /// What each drawing style is called.
    pub style_names: Vec<String>,
    /// What the pictures show, more exactly than their class ("red heart"); every style draws the same names.
    pub image_names: Vec<String>,
    /// The pictures.
    pub pictures: Vec<Picture>,
    /// Sixteen hex digits of SHA-256 over side, names, labels and pixels: equal only for equal content.
    pub fingerprint: String,
}

impl Pictures {
    /// The 3,297 emoji pictures (32x32, 16 classes, 8 styles) inside the program; credits in NOTICE.
    ///
    /// # Errors
    /// [`DataError::Embedded`] if the program file is damaged; [`DataError::Asset`] if a page has not fetched them.
    pub fn embedded() -> Result<Self, DataError> {
        emoji::load()
    }

    /// Names of the classes of the embedded pictures, in their order; cheap, nothing is decoded.
    ///
    /// # Errors
    /// As [`Self::embedded`].
    pub fn embedded_classes() -> Result<Vec<String>, DataError> {
        emoji::class_names()
    }

    /// No pictures, of these classes: for networks that write pictures nobody has given.
    pub fn none_of(class_names: Vec<String>, side: usize) -> Self {
        Self::new(side, class_names, vec![], vec![], vec![])
    }

    /// The pictures of `dir/<class name>/*.{png,jpg,jpeg,webp}`, brought to `side` pixels: photographs exactly as
    /// [`preprocess::adm_center_crop`] does, drawings (with transparent pixels) fitted whole. Classes are sorted by name.
    /// Files that cannot be used are returned beside the pictures, with the reason, and left out.
    ///
    /// # Errors
    /// If `dir` cannot be listed, `side` is outside 4 to 1024, or fewer than two classes have a readable picture.
    pub fn open(dir: &Path, side: usize) -> Result<(Self, Vec<BadFile>), DataError> {
        folder::open(dir, side)
    }

    fn new(
        side: usize,
        class_names: Vec<String>,
        style_names: Vec<String>,
        image_names: Vec<String>,
        pictures: Vec<Picture>,
    ) -> Self {
        let mut set = Self { side, class_names, style_names, image_names, pictures, fingerprint: String::new() };
        set.fingerprint = set.hash();
        set
    }

    fn hash(&self) -> String {
        let mut sha = Sha256::new();
        // Lengths go in too, so that two lists of names never hash alike by running together.
        let number = |sha: &mut Sha256, n: usize| sha.update((n as u32).to_le_bytes());
        number(&mut sha, self.side);
        for names in [&self.class_names, &self.style_names, &self.image_names] {
            number(&mut sha, names.len());
            for name in names {
                number(&mut sha, name.len());
                sha.update(name.as_bytes());
            }
        }
        number(&mut sha, self.pictures.len());
        for picture in &self.pictures {
            for label in [picture.class, picture.style, picture.name] {
                number(&mut sha, label);
            }
            sha.update(&picture.rgba);
        }
        sha.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The same pictures at another side: each new pixel is the mean of the patch it covers, weighted by opacity.
    pub fn at_side(self, side: usize) -> Self {
        if side == self.side {
            return self;
        }
        let resize = |picture: Picture| {
            let plane = self.side * self.side;
            let alpha = |i: usize| f32::from(picture.rgba[4 * i + 3]) / 255.0;
            let channel = |c: usize| -> Vec<f32> {
                let value = |i: usize| if c < 3 { f32::from(picture.rgba[4 * i + c]) * alpha(i) } else { alpha(i) };
                grid::resize_chw(&(0..plane).map(value).collect::<Vec<_>>(), self.side, side)
            };
            let channels = [0, 1, 2, 3].map(channel);
            let pixel = |i: usize| {
                let alpha = channels[3][i];
                let straight = |c: usize| (channels[c][i] / alpha.max(1e-6)).round() as u8;
                [straight(0), straight(1), straight(2), (alpha * 255.0).round() as u8]
            };
            Picture { rgba: (0..side * side).flat_map(pixel).collect(), ..picture }
        };
        let pictures = self.pictures.into_iter().map(resize).collect();
        Self::new(side, self.class_names, self.style_names, self.image_names, pictures)
    }

    /// The same pictures with their classes in the order of `names`, which a network was trained on.
    ///
    /// # Errors
    /// [`DataError::Classes`] where the names are not the same set.
    pub fn in_order_of(self, names: &[String]) -> Result<Self, DataError> {
        if self.class_names == names {
            return Ok(self);
        }
        let only_in = |a: &[String], b: &[String]| -> Vec<String> {
            a.iter().filter(|name| !b.contains(name)).cloned().collect()
        };
        let (unknown, missing) = (only_in(&self.class_names, names), only_in(names, &self.class_names));
        if !unknown.is_empty() || !missing.is_empty() {
            return Err(DataError::Classes { unknown, missing });
        }
        let place = |class: usize| names.iter().position(|n| *n == self.class_names[class]).unwrap_or(class);
        let pictures =
            self.pictures.iter().map(|picture| Picture { class: place(picture.class), ..picture.clone() }).collect();
        Ok(Self::new(self.side, names.to_vec(), self.style_names, self.image_names, pictures))
    }

    /// The same pictures among `classes`, of which they may be only some. Folders may bear a class's name, any of its
    /// names where commas part several, or, where there is one folder for each, ImageNet's numbers (`n01440764`), whose
    /// order is that of the classes.
    ///
    /// # Errors
    /// [`DataError::Classes`] where a folder is no class.
    pub fn among(self, classes: &[String]) -> Result<Self, DataError> {
        let is_number =
            |name: &String| name.strip_prefix('n').is_some_and(|n| n.len() == 8 && n.parse::<u32>().is_ok());
        let numbered = self.class_names.len() == classes.len() && self.class_names.iter().all(is_number);
        let clean = |name: &str| prompts::clean(name.trim());
        let place = |own: usize| {
            let wanted = clean(&self.class_names[own]);
            let known = |class: &String| clean(class) == wanted || class.split(',').any(|name| clean(name) == wanted);
            if numbered { Some(own) } else { classes.iter().position(known) }
        };
        let places: Vec<Option<usize>> = (0..self.class_names.len()).map(place).collect();
        let unknown: Vec<String> =
            places.iter().zip(&self.class_names).filter(|(p, _)| p.is_none()).map(|(_, name)| name.clone()).collect();
        if !unknown.is_empty() {
            return Err(DataError::Classes { unknown, missing: vec![] });
        }
        let moved = |picture: &Picture| places[picture.class].map(|class| Picture { class, ..picture.clone() });
        let pictures = self.pictures.iter().filter_map(moved).collect();
        Ok(Self::new(self.side, classes.to_vec(), self.style_names, self.image_names, pictures))
    }

    /// How many pictures there are.
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// Whether there is no picture (never so for a set that was opened).
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// How many pictures each class has, in the order of [`Pictures::class_names`].
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.class_names.len()];
        for picture in &self.pictures {
            counts[picture.class] += 1;
        }
        counts
    }

    /// The caption of picture `index` by one of [`prompts::TEMPLATES`] (`template` wraps around).
    pub fn caption(&self, index: usize, template: usize) -> String {
        let picture = &self.pictures[index];
        prompts::caption(&self.image_names[picture.name], &self.class_names[picture.class], template)
    }

    /// What CLIP and the preference tower compare a sample of `class` with, as the paper does.
    pub fn class_prompt(&self, class: usize) -> String {
        prompts::class_prompt(&self.class_names[class])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_order_that_a_network_was_trained_in() {
        let set = Pictures::embedded().expect("embedded");
        let mut sorted = set.class_names.clone();
        sorted.sort();
        assert_ne!(sorted, set.class_names);
        let moved = set.clone().in_order_of(&sorted).expect("the same names");
        assert_ne!(moved.pictures[0].class, set.pictures[0].class);
        let back = moved.in_order_of(&set.class_names).expect("the same names");
        assert_eq!((back.fingerprint, back.pictures[0].class), (set.fingerprint.clone(), set.pictures[0].class));

        let mut other = set.class_names.clone();
        other[3] = "teapot".into();
        let error = set.in_order_of(&other).expect_err("other names").to_string();
        assert!(error.contains("teapot") && error.contains("artune pretrain"), "{error}");
    }

    #[test]
    fn the_fingerprint_follows_the_content() {
        let set = Pictures::embedded().expect("embedded");
        let mut other = set.clone();
        assert_eq!(other.hash(), set.fingerprint);
        other.pictures[17].rgba[1000] ^= 1;
        assert_ne!(other.hash(), set.fingerprint, "a pixel");
        let mut other = set.clone();
        other.class_names[3].push('s');
        assert_ne!(other.hash(), set.fingerprint, "a name");
    }
}
