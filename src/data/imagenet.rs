//! The classes of ImageNet-1k: what the class ids of the published class-conditional networks mean.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::platform::assets::{self, Asset, AssetError};

/// Names of each class in the order of the ids, all of them: "tench, Tinca tinca" is 0. Two classes, the bird (134) and
/// the machine (517), are called "crane" and nothing else, and 638 and 639 share the first of their names: what must be
/// told apart has to be told apart by id.
///
/// # Errors
/// Where a page has not fetched [`Asset::ImageNetClasses`].
pub fn names() -> Result<Vec<String>, AssetError> {
    let mut text = String::new();
    GzDecoder::new(assets::get(Asset::ImageNetClasses)?)
        .read_to_string(&mut text)
        .expect("the embedded list is valid gzip and UTF-8");
    Ok(text.lines().map(str::to_owned).collect())
}

/// The first of the names of a class: "tench". Names themselves have no commas.
pub fn first_alias(names: &str) -> &str {
    names.split(',').next().unwrap_or(names).trim()
}

/// What a class is asked for by in the fine-tuning paper (its code: `grpo.py`, `--prompt-template`): "a photo of a tench",
/// with "a" before every name, also "a photo of a African elephant".
pub fn class_prompt(names: &str) -> String {
    format!("a photo of a {}", first_alias(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_classes_stand_in_their_order() {
        let names = names().expect("embedded");
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|line| line.is_ascii() && !first_alias(line).is_empty() && line.trim() == line));
        let known = [
            (0, "tench, Tinca tinca"),
            (134, "crane"),
            (207, "golden retriever"),
            (388, "giant panda, panda, panda bear, coon bear, Ailuropoda melanoleuca"),
            (517, "crane"),
            (999, "toilet tissue, toilet paper, bathroom tissue"),
        ];
        known.into_iter().for_each(|(id, name)| assert_eq!(names[id], name));
    }

    #[test]
    fn prompts_are_the_papers() {
        assert_eq!(class_prompt("tench, Tinca tinca"), "a photo of a tench");
        assert_eq!(class_prompt("golden retriever"), "a photo of a golden retriever");
    }
}
