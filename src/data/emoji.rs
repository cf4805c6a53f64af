//! The embedded picture set: one lossless WebP atlas and its labels (see assets/README.md).

use serde::Deserialize;

use super::{DataError, Picture, Pictures};
use crate::platform::assets::{self, Asset};

static LABELS: &str = include_str!("../../assets/emoji16.json");

/// Picture `k` is the tile in row `k / columns`, column `k % columns` of the atlas.
#[derive(Deserialize)]
struct Labels {
    side: usize,
    columns: usize,
    class_names: Vec<String>,
    style_names: Vec<String>,
    image_names: Vec<String>,
    classes: Vec<usize>,
    styles: Vec<usize>,
    names: Vec<usize>,
}

fn labels() -> Result<Labels, DataError> {
    serde_json::from_str(LABELS).map_err(|e| DataError::Embedded(e.to_string()))
}

/// What the classes are called, without decoding a picture.
pub(super) fn class_names() -> Result<Vec<String>, DataError> {
    Ok(labels()?.class_names)
}

pub(super) fn load() -> Result<Pictures, DataError> {
    let damaged = |what: &str| DataError::Embedded(what.to_string());
    let labels = labels()?;
    let atlas = image::load_from_memory_with_format(assets::get(Asset::Pictures)?, image::ImageFormat::WebP)
        .map_err(|e| DataError::Embedded(e.to_string()))?
        .into_rgba8();
    let (side, columns, n) = (labels.side, labels.columns, labels.classes.len());
    if labels.styles.len() != n || labels.names.len() != n {
        return Err(damaged("its lists of labels differ in length"));
    }
    if columns == 0
        || atlas.width() as usize != columns * side
        || (atlas.height() as usize) < n.div_ceil(columns) * side
    {
        return Err(damaged("the atlas is too small for its labels"));
    }
    let within = |ids: &[usize], names: &[String]| ids.iter().all(|&id| id < names.len());
    if !within(&labels.classes, &labels.class_names)
        || !within(&labels.styles, &labels.style_names)
        || !within(&labels.names, &labels.image_names)
    {
        return Err(damaged("a label has no name"));
    }
    let bytes = atlas.as_raw();
    let pictures = (0..n)
        .map(|k| {
            let (top, left) = (k / columns * side, k % columns * side);
            let row = |y: usize| {
                let start = ((top + y) * columns * side + left) * 4;
                &bytes[start..start + side * 4]
            };
            Picture {
                rgba: (0..side).flat_map(row).copied().collect(),
                class: labels.classes[k],
                style: labels.styles[k],
                name: labels.names[k],
            }
        })
        .collect();
    Ok(Pictures::new(side, labels.class_names, labels.style_names, labels.image_names, pictures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_set_is_complete() {
        let set = load().expect("embedded");
        assert_eq!((set.side, set.len()), (32, 3297));
        let counts: Vec<(&str, usize)> = set.class_names.iter().map(String::as_str).zip(set.class_counts()).collect();
        let expected = [
            ("smiley face", 700),
            ("heart", 158),
            ("animal", 574),
            ("bird", 130),
            ("sea creature", 116),
            ("insect", 92),
            ("flower", 89),
            ("tree or leaf", 107),
            ("fruit or vegetable", 252),
            ("dessert", 106),
            ("drink", 129),
            ("car or train", 260),
            ("aircraft", 86),
            ("boat", 52),
            ("building", 241),
            ("clock", 205),
        ];
        assert_eq!(counts, expected);
        assert_eq!(set.style_names.len(), 8);
        assert_eq!(set.image_names.len(), 485);
        assert!(set.pictures.iter().all(|p| p.rgba.len() == 32 * 32 * 4));
    }

    #[test]
    fn the_embedded_set_is_lossless() {
        // The same hash, computed from the source arrays by the script that made the atlas.
        assert_eq!(load().expect("embedded").fingerprint, "10fee5e87f35138a");
    }

    #[test]
    fn a_name_belongs_to_one_class() {
        let set = load().expect("embedded");
        let mut class_of = vec![None; set.image_names.len()];
        for picture in &set.pictures {
            assert_eq!(*class_of[picture.name].get_or_insert(picture.class), picture.class);
        }
        assert!(class_of.iter().all(Option::is_some), "every name is drawn");
    }

    #[test]
    fn hidden_pixels_have_no_colour() {
        let set = load().expect("embedded");
        let hidden = set.pictures.iter().flat_map(|p| p.rgba.chunks_exact(4)).filter(|pixel| pixel[3] == 0);
        assert!(hidden.clone().count() > 0 && hidden.into_iter().all(|pixel| pixel == [0, 0, 0, 0]));
    }
}
