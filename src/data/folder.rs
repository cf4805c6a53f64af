//! A user's own pictures: `DIR/<class name>/*.{png,jpg,jpeg,webp}`.
//!
//! Nothing a file holds can stop the loading: whatever cannot be read is named, with the reason, and skipped.

use std::fmt;
use std::io::{BufRead, Seek};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbaImage};

use sha2::{Digest, Sha256};

use super::preprocess::{adm_center_crop, halve};
use super::resize::{Filter, Raster};
use super::{DataError, Picture, Pictures};
use crate::platform::files;

/// Files above this are refused unread, in bytes.
const MAX_FILE: u64 = 256 << 20;
/// Pictures wider or higher than this are refused by their header, in pixels.
const MAX_SIDE: u32 = 16_384;
/// Pictures that need more memory than this decoded are refused by their header, in bytes (89 million RGB pixels).
const MAX_DECODED: u64 = 256 << 20;

/// Pictures wider than this are kept only up to [`MOST`]: at 256 pixels each takes a quarter of a megabyte.
const SMALL: usize = 64;
/// Large pictures that are kept of a folder, evenly by class: more than are ever compared with.
const MOST: usize = 8192;

/// A file or folder that was skipped, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFile {
    /// Where it is.
    pub path: PathBuf,
    /// Why it was skipped, for a person to read.
    pub reason: String,
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

/// Why one picture was refused.
#[derive(Debug, thiserror::Error)]
enum PictureError {
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("not a picture that can be decoded: {0}")]
    Decode(image::ImageError),
    #[error("too large: {0}")]
    TooLarge(String),
    #[error("wholly transparent")]
    Transparent,
}

impl From<image::ImageError> for PictureError {
    fn from(error: image::ImageError) -> Self {
        match error {
            image::ImageError::Limits(limit) => Self::TooLarge(limit.to_string()),
            image::ImageError::IoError(error) => Self::Read(error),
            error => Self::Decode(error),
        }
    }
}

pub(super) fn open(dir: &Path, side: usize) -> Result<(Pictures, Vec<BadFile>), DataError> {
    if !(4..=1024).contains(&side) {
        return Err(DataError::Side(side));
    }
    let entries = list(dir).map_err(|source| DataError::Folder { path: dir.to_path_buf(), source })?;
    let (mut class_names, mut image_names, mut pictures, mut bad) = (vec![], vec![], vec![], vec![]);
    let folders: Vec<PathBuf> = entries.into_iter().filter(|path| files::is_dir(path)).collect();
    let share = if side > SMALL { (MOST / folders.len().max(1)).max(1) } else { usize::MAX };
    for class_dir in folders {
        let refuse = |reason: String| BadFile { path: class_dir.clone(), reason };
        let files = match list(&class_dir) {
            Ok(files) if files.len() > share => {
                bad.push(refuse(format!("{share} of its {} pictures are enough, chosen by their names", files.len())));
                chosen(files, share)
            }
            Ok(files) => files,
            Err(error) => {
                bad.push(refuse(format!("the folder cannot be read: {error}")));
                continue;
            }
        };
        let class = class_names.len();
        // Styles of one name, such as `rose.png` and `rose.jpg`, share it.
        let first_name = image_names.len();
        for path in files {
            match load(&path, side) {
                Ok(rgba) => {
                    let stem = text(path.file_stem());
                    let known = image_names[first_name..].iter().position(|name| *name == stem);
                    let name = first_name + known.unwrap_or(image_names.len() - first_name);
                    if known.is_none() {
                        image_names.push(stem);
                    }
                    pictures.push(Picture { rgba, class, style: 0, name });
                }
                Err(error) => bad.push(BadFile { path, reason: error.to_string() }),
            }
        }
        if pictures.last().is_some_and(|picture| picture.class == class) {
            class_names.push(text(class_dir.file_name()));
        } else {
            bad.push(refuse("no usable picture in it, so it is no class".into()));
        }
    }
    match class_names.as_slice() {
        [] => {
            let example = bad.first().map(|file| format!(", the first: {file}")).unwrap_or_default();
            Err(DataError::NoPictures { path: dir.to_path_buf(), bad: bad.len(), example })
        }
        [class] => Err(DataError::OneClass { path: dir.to_path_buf(), class: class.clone() }),
        _ => Ok((Pictures::new(side, class_names, vec!["picture".into()], image_names, pictures), bad)),
    }
}

/// The `most` of these files whose names' hashes are lowest: the same ones every time, and no habit of naming decides.
fn chosen(mut files: Vec<PathBuf>, most: usize) -> Vec<PathBuf> {
    files.sort_by_cached_key(|path| <[u8; 32]>::from(Sha256::digest(text(path.file_name()))));
    files.truncate(most);
    files.sort();
    files
}

fn text(name: Option<&std::ffi::OsStr>) -> String {
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// What is in a folder, sorted by name; hidden entries (`.DS_Store`, `.git`) are no one's pictures.
fn list(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = files::list(dir)?.map(|entry| Ok(entry?.path)).collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| !text(path.file_name()).starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn load(path: &Path, side: usize) -> Result<Vec<u8>, PictureError> {
    let extension = text(path.extension()).to_lowercase();
    if !["png", "jpg", "jpeg", "webp"].contains(&extension.as_str()) {
        let unknown = std::io::Error::new(std::io::ErrorKind::Unsupported, "only png, jpg, jpeg and webp files are");
        return Err(unknown.into());
    }
    // A pipe would be waited for without end.
    let about = files::metadata(path)?;
    if !about.is_file {
        return Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "not a file").into());
    }
    if about.len > MAX_FILE {
        return Err(PictureError::TooLarge(format!("{} bytes", about.len)));
    }
    let pixels = decode(files::open(path)?)?;
    let (width, height) = pixels.dimensions();
    let picture = Raster::new(width as usize, height as usize, 4, pixels.into_raw());
    Ok(to_square(picture.ok_or(PictureError::Transparent)?, side)?.bytes)
}

/// Decodes by content rather than by extension, never more than the limits, upright as the camera was held.
fn decode(file: impl BufRead + Seek) -> Result<RgbaImage, PictureError> {
    let mut reader = ImageReader::new(file).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    // Not every decoder counts its output against `max_alloc`.
    if decoder.total_bytes() > MAX_DECODED {
        let (width, height) = decoder.dimensions();
        return Err(PictureError::TooLarge(format!("{width} x {height} pixels")));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgba8())
}

/// A photograph (no transparent pixel) is cropped to its centre, byte for byte as ADM and LlamaGen prepare their training
/// pictures; a drawing is fitted whole into 30 of 32 parts of the side, as the embedded set is.
fn to_square(mut picture: Raster, side: usize) -> Result<Raster, PictureError> {
    if picture.bytes.chunks_exact(4).all(|p| p[3] == 255) {
        return Ok(adm_center_crop(&picture, side));
    }
    let (mut left, mut top, mut right, mut bottom) = (picture.width, picture.height, 0, 0);
    for (i, pixel) in picture.bytes.chunks_exact_mut(4).enumerate() {
        let (x, y, alpha) = (i % picture.width, i / picture.width, u32::from(pixel[3]));
        // Premultiplied, so that the unseen colour of transparent pixels has no weight in the mean.
        pixel[..3].iter_mut().for_each(|c| *c = ((u32::from(*c) * alpha + 127) / 255) as u8);
        if alpha > 0 {
            (left, top, right, bottom) = (left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1));
        }
    }
    if right == 0 {
        return Err(PictureError::Transparent);
    }
    let drawing = picture.crop(left, top, right - left, bottom - top);
    let inner = side * 30 / 32;
    let longer = drawing.width.max(drawing.height);
    let [width, height] = [drawing.width, drawing.height].map(|n| (n * inner).div_ceil(longer).clamp(1, inner));
    let larger = |now: &Raster| now.width >= 2 * width && now.height >= 2 * height;
    let small = halve(drawing, larger).resize(width, height, Filter::Bicubic);

    let mut square = vec![0; side * side * 4];
    let (x, y) = ((side - width) / 2, (side - height) / 2);
    for (row, from) in small.bytes.chunks_exact(width * 4).enumerate() {
        let to = ((y + row) * side + x) * 4;
        square[to..to + width * 4].copy_from_slice(from);
    }
    for pixel in square.chunks_exact_mut(4) {
        let alpha = u32::from(pixel[3]);
        // A cubic mix may overshoot: no colour can exceed its own coverage.
        let straight = |c: u8| (u32::from(c).min(alpha) * 255 + alpha / 2).checked_div(alpha).unwrap_or(0) as u8;
        pixel[..3].iter_mut().for_each(|c| *c = straight(*c));
    }
    Ok(Raster { width: side, height: side, channels: 4, bytes: square })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use image::Rgba;

    fn write(dir: &Path, name: &str, picture: &RgbaImage) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        if name.ends_with("jpg") {
            DynamicImage::from(picture.clone()).into_rgb8().save(path).expect("saved");
        } else {
            picture.save(path).expect("saved");
        }
    }

    fn plain(width: u32, height: u32, colour: [u8; 4]) -> RgbaImage {
        RgbaImage::from_pixel(width, height, Rgba(colour))
    }

    fn raster(picture: RgbaImage) -> Raster {
        let (width, height) = picture.dimensions();
        Raster::new(width as usize, height as usize, 4, picture.into_raw()).expect("a picture")
    }

    /// A PNG that claims `width` x `height` pixels and holds none.
    fn png_header(width: u32, height: u32) -> Vec<u8> {
        let mut chunk = b"IHDR".to_vec();
        chunk.extend(width.to_be_bytes());
        chunk.extend(height.to_be_bytes());
        chunk.extend([8, 6, 0, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&chunk);
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        bytes.extend(&chunk);
        bytes.extend(crc.sum().to_be_bytes());
        bytes.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        bytes
    }

    #[test]
    fn of_many_files_the_same_few_are_chosen_every_time() {
        let files = || (0..100).map(|i| PathBuf::from(format!("{i:03}.png"))).collect::<Vec<_>>();
        let few = chosen(files(), 10);
        assert_eq!((few.len(), few.is_sorted()), (10, true));
        assert_eq!(few, chosen(files().into_iter().rev().collect(), 10));
        assert_ne!(few, files()[..10]);
    }

    #[test]
    fn a_folder_of_classes_loads_and_bad_files_are_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path();
        write(root, "rose/red_rose.png", &plain(40, 20, [200, 10, 10, 255]));
        write(root, "rose/pink.WEBP.webp", &plain(9, 9, [250, 150, 150, 255]));
        write(root, "boat/sail.jpg", &plain(64, 64, [10, 10, 200, 255]));
        write(root, "boat/.hidden.png", &plain(4, 4, [0; 4]));
        write(root, "boat/empty.png", &plain(4, 4, [0; 4]));
        write(root, "nothing/x.png", &plain(4, 4, [0; 4]));
        fs::write(root.join("boat/broken.png"), b"\x89PNG\r\n\x1a\n and then no more").expect("written");
        fs::write(root.join("boat/notes.txt"), "not a picture").expect("written");
        fs::write(root.join("boat/huge.png"), png_header(100_000, 100_000)).expect("written");
        fs::write(root.join("boat/bomb.png"), png_header(16_000, 16_000)).expect("written");
        let whole = fs::read(root.join("rose/red_rose.png")).expect("read");
        fs::write(root.join("rose/torn.png"), &whole[..whole.len() / 2]).expect("written");
        // A wrong extension is no reason to refuse a picture.
        fs::copy(root.join("boat/sail.jpg"), root.join("boat/really_a_jpg.png")).expect("copied");

        let (set, bad) = open(root, 16).expect("two classes");
        assert_eq!(set.class_names, ["boat", "rose"]);
        assert_eq!(set.class_counts(), [2, 2]);
        assert_eq!(set.image_names, ["really_a_jpg", "sail", "pink.WEBP", "red_rose"]);
        assert!(set.pictures.iter().all(|p| p.rgba.len() == 16 * 16 * 4));
        assert_eq!(set.pictures[3].rgba[..4], [200, 10, 10, 255]);
        let bad: Vec<(String, &str)> = bad.iter().map(|b| (text(b.path.file_name()), b.reason.as_str())).collect();
        let names: Vec<&str> = bad.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["bomb.png", "broken.png", "empty.png", "huge.png", "notes.txt", "x.png", "nothing", "torn.png"]
        );
        for (name, reason) in &bad {
            let too_large = ["bomb.png", "huge.png"].contains(&name.as_str());
            assert_eq!(reason.starts_with("too large"), too_large, "{name}: {reason}");
        }
        assert_eq!(open(root, 16).expect("again").0.fingerprint, set.fingerprint);
    }

    #[test]
    fn folders_that_cannot_be_used_say_why() {
        let dir = tempfile::tempdir().expect("a folder");
        let said = |root: &Path, side| open(root, side).map(|_| ()).expect_err("refused").to_string();
        assert!(said(&dir.path().join("missing"), 16).contains("missing"));
        assert!(said(dir.path(), 16).contains("<class name>"));
        write(dir.path(), "loose.png", &plain(4, 4, [1, 2, 3, 255]));
        assert!(said(dir.path(), 16).contains("holds no pictures"));
        write(dir.path(), "heart/one.png", &plain(4, 4, [1, 2, 3, 255]));
        assert!(said(dir.path(), 16).contains("one class only, \"heart\""));
        assert!(said(dir.path(), 0).contains("side 0"));
    }

    #[test]
    fn photographs_are_cropped_to_their_centre() {
        let mut photo = plain(300, 100, [255, 0, 0, 255]);
        for y in 0..100 {
            (100..200).for_each(|x| photo.put_pixel(x, y, Rgba([0, 255, 0, 255])));
        }
        let square = to_square(raster(photo), 32).expect("a picture");
        let green = square.bytes.chunks_exact(4).filter(|p| *p == [0, 255, 0, 255]).count();
        // The filter of the resize reaches a column beyond the edges.
        assert!(green >= 28 * 32 && square.bytes.len() == 32 * 32 * 4, "{green}");
    }

    #[test]
    fn the_longest_and_narrowest_picture_that_is_accepted_loads() {
        let line = plain(MAX_SIDE, 1, [9, 8, 7, 255]);
        let square = to_square(raster(line), 1024).expect("a picture");
        assert_eq!(square.bytes, [9, 8, 7, 255].repeat(1024 * 1024));
    }

    #[test]
    fn drawings_are_fitted_whole_with_clean_edges() {
        // A red bar on transparent green: no green may come out.
        let mut drawing = plain(500, 500, [0, 255, 0, 0]);
        for y in 200..230 {
            (50..450).for_each(|x| drawing.put_pixel(x, y, Rgba([255, 0, 0, 255])));
        }
        let square = to_square(raster(drawing), 32).expect("a picture").bytes;
        assert!(square.chunks_exact(4).all(|p| p[1] == 0 && (p[3] == 0) == (p[0] == 0)));
        let covered = || square.chunks_exact(4).enumerate().filter(|(_, p)| p[3] > 128).map(|(i, _)| i % 32);
        assert_eq!((covered().min(), covered().max()), (Some(1), Some(30)));
    }
}
