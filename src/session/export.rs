//! A run's pictures and curves as files that other programs read. Everything is bounded, and what is too large is
//! refused in words.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, ExtendedColorType, Frame, ImageFormat, RgbaImage};
use serde_json::{Map, Value, json};

use super::history::History;
use super::protocol::{Gallery, Sample};
use super::sheets::Sheet;
use crate::data::grid;
use crate::platform::files;

/// No picture is larger than this, in pixels.
const MAX_PIXELS: usize = 64 << 20;
/// No animation has more pixels than this, all frames together.
const MAX_ANIMATED: usize = 256 << 20;
/// Small pictures are enlarged by whole pixels to at least this side.
const SIDE: usize = 96;
/// The same for an animation, whose files grow with every frame.
const ANIMATED_SIDE: usize = 64;
/// Between the pictures, and around them.
const GAP: usize = 2;
/// Width of a frame that shows an advantage.
const FRAME: usize = 3;
/// Height of the bar under an animation.
const BAR: usize = 2;
/// How much longer than the others the last frame is shown.
const REST: u32 = 6;
/// What lies between the pictures: neither white nor a tint.
const GROUND: [u8; 3] = [205, 208, 214];
/// How much of the run has gone by.
const DONE: [u8; 3] = [28, 104, 212];

/// Why something cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is nothing to write.
    #[error("there is nothing to write yet: {0}")]
    Nothing(&'static str),
    /// It would be too large.
    #[error("{width} x {height} pixels{frames} are too many for one file")]
    TooLarge {
        /// Pixels across.
        width: usize,
        /// Pixels down.
        height: usize,
        /// ` in N frames`, or nothing.
        frames: String,
    },
    /// The pictures do not fit together.
    #[error("{0}")]
    Uneven(&'static str),
    /// The encoder failed.
    #[error("the pictures could not be encoded: {0}")]
    Encode(String),
    /// The file system failed.
    #[error(transparent)]
    Write(#[from] std::io::Error),
}

/// An RGB canvas.
struct Canvas {
    rgb: Vec<u8>,
    width: usize,
    height: usize,
}

impl Canvas {
    /// `frames` is how many canvases of this size there will be.
    fn new(width: usize, height: usize, frames: usize, most: usize) -> Result<Self, ExportError> {
        let pixels = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(frames));
        if pixels.is_none_or(|pixels| pixels > most) {
            let frames = if frames > 1 { format!(" in {frames} frames") } else { String::new() };
            return Err(ExportError::TooLarge { width, height, frames });
        }
        Ok(Self { rgb: GROUND.repeat(width * height), width, height })
    }

    fn fill(&mut self, (left, top): (usize, usize), (width, height): (usize, usize), colour: [u8; 3]) {
        for y in top..(top + height).min(self.height) {
            for x in left..(left + width).min(self.width) {
                let to = (y * self.width + x) * 3;
                self.rgb[to..to + 3].copy_from_slice(&colour);
            }
        }
    }

    /// A picture of `side * side` pixels, each `scale` times as large.
    fn picture(&mut self, (left, top): (usize, usize), rgb: &[u8], side: usize, scale: usize) {
        for (index, pixel) in rgb.chunks_exact(3).enumerate().take(side * side) {
            let corner = (left + index % side * scale, top + index / side * scale);
            self.fill(corner, (scale, scale), [pixel[0], pixel[1], pixel[2]]);
        }
    }
}

/// The pictures of a gallery as a PNG file: a row per prompt, small ones enlarged by whole pixels. Around each picture
/// lies a thin frame of the colour that `frame` gives it, if any.
///
/// # Errors
/// Where there are no pictures, or too many.
pub fn png_grid(gallery: &Gallery, frame: impl Fn(&Sample) -> Option<[u8; 3]>) -> Result<Vec<u8>, ExportError> {
    let (rows, side) = (gallery.groups.len(), gallery.side);
    let columns = gallery.groups.iter().map(|group| group.samples.len()).max().unwrap_or(0);
    if rows * columns * side == 0 {
        return Err(ExportError::Nothing("no pictures have been drawn"));
    }
    let scale = SIDE.div_ceil(side);
    let framed = gallery.groups.iter().flat_map(|group| &group.samples).any(|sample| frame(sample).is_some());
    let edge = if framed { FRAME } else { 0 };
    let cell = side.saturating_mul(scale).saturating_add(2 * edge + GAP);
    let size = |count: usize| cell.saturating_mul(count).saturating_add(GAP);
    let mut canvas = Canvas::new(size(columns), size(rows), 1, MAX_PIXELS)?;
    for (row, group) in gallery.groups.iter().enumerate() {
        for (column, sample) in group.samples.iter().enumerate() {
            let (left, top) = (GAP + column * cell, GAP + row * cell);
            if let Some(colour) = frame(sample) {
                canvas.fill((left, top), (cell - GAP, cell - GAP), colour);
            }
            canvas.picture((left + edge, top + edge), &sample.rgb, side, scale);
        }
    }
    grid::encode_png(&canvas.rgb, canvas.width, canvas.height).map_err(|error| ExportError::Encode(error.to_string()))
}

/// Writes RGBA bytes `[height, width, 4]` to `path` as a picture of the kind that the ending of its name says.
///
/// # Errors
/// Where the ending is of no kind that is known, the length is another, or the file system refuses.
pub fn save_rgba(path: &Path, rgba: &[u8], width: u32, height: u32) -> Result<(), ExportError> {
    let failed = |error: image::ImageError| ExportError::Encode(error.to_string());
    let format = ImageFormat::from_path(path).map_err(failed)?;
    // The encoder takes a wrong length for a mistake of the program.
    if rgba.len() as u64 != 4 * u64::from(width) * u64::from(height) {
        return Err(ExportError::Uneven("the picture is of another size than its bytes"));
    }
    let mut file = Cursor::new(vec![]);
    image::write_buffer_with_format(&mut file, rgba, width, height, ExtendedColorType::Rgba8, format)
        .map_err(failed)?;
    Ok(files::write_atomic(path, file.get_ref())?)
}

/// The pictures numbered `pictures` of each sheet as an animated GIF that repeats: a frame per sheet, each shown for
/// `delay` milliseconds and the last one six times as long. They lie as on the sheet; the bar under them grows with the
/// updates.
///
/// # Errors
/// Where there are fewer than two sheets, they are not of one size, or the file would be too large.
pub fn gif(sheets: &[Arc<Sheet>], pictures: Range<usize>, delay: u32) -> Result<Vec<u8>, ExportError> {
    let [first, _, ..] = sheets else {
        return Err(ExportError::Nothing(
            "an animation needs two sheets of samples, which come every `sample_every` updates",
        ));
    };
    let side = first.side;
    if sheets.iter().any(|sheet| !sheet.is_whole() || sheet.side != side) {
        return Err(ExportError::Uneven("the sheets hold pictures of different sizes"));
    }
    let count = pictures.len();
    if count == 0 || sheets.iter().any(|sheet| pictures.end > sheet.pictures.len()) {
        return Err(ExportError::Uneven("not every sheet has the pictures asked for"));
    }
    let (columns, scale) = (first.columns.clamp(1, count), ANIMATED_SIDE.div_ceil(side));
    let cell = side * scale + GAP;
    let (width, height) = (columns * cell + GAP, count.div_ceil(columns) * cell + GAP + BAR);
    let last = sheets[sheets.len() - 1].update.max(1);
    let mut bytes = Vec::new();
    let failed = |error: image::ImageError| ExportError::Encode(error.to_string());
    // From 1, slow and best, to 30.
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    encoder.set_repeat(Repeat::Infinite).map_err(failed)?;
    for (number, sheet) in sheets.iter().enumerate() {
        let mut canvas = Canvas::new(width, height, sheets.len(), MAX_ANIMATED)?;
        for (index, rgb) in sheet.pictures[pictures.clone()].iter().enumerate() {
            canvas.picture((GAP + index % columns * cell, GAP + index / columns * cell), rgb, side, scale);
        }
        let done = (sheet.update as f64 / last as f64 * width as f64) as usize;
        canvas.fill((0, height - BAR), (done, BAR), DONE);
        let rgba = canvas.rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
        let image = RgbaImage::from_raw(width as u32, height as u32, rgba)
            .ok_or(ExportError::Uneven("the frames are not of one size"))?;
        let delay = if number + 1 == sheets.len() { delay.saturating_mul(REST) } else { delay };
        let delay = Delay::from_numer_denom_ms(delay, 1);
        encoder.encode_frame(Frame::from_parts(image, 0, 0, delay)).map_err(failed)?;
    }
    drop(encoder);
    Ok(bytes)
}

/// All curves as a table: a line per update, a column per scalar.
///
/// # Errors
/// Where nothing has been measured.
pub fn csv(history: &History) -> Result<String, ExportError> {
    measured(history)?;
    Ok(history.to_csv())
}

/// All curves as lines of JSON, as a run folder's `metrics.jsonl` has them: a line per update, and one for each knob
/// that was turned.
///
/// # Errors
/// Where nothing has been measured.
pub fn jsonl(history: &History) -> Result<String, ExportError> {
    measured(history)?;
    let mut lines: BTreeMap<u64, Map<String, Value>> = BTreeMap::new();
    for name in history.names() {
        for [update, value] in history.series(name) {
            lines.entry(*update as u64).or_default().insert(name.to_string(), json!(value));
        }
    }
    let mut knobs = history.knobs().iter().peekable();
    let mut text = String::new();
    for (update, mut line) in lines {
        // A knob turned after an update counts from the next one on.
        while let Some((at, turned)) = knobs.next_if(|(at, _)| *at < update as f64) {
            text += &turned_line(*at, turned);
        }
        line.insert("update".into(), update.into());
        text += &format!("{}\n", Value::Object(line));
    }
    knobs.for_each(|(at, turned)| text += &turned_line(*at, turned));
    Ok(text)
}

fn turned_line(at: f64, turned: &str) -> String {
    let (name, value) = turned.split_once(" = ").unwrap_or((turned, ""));
    format!("{}\n", json!({ "update": at as u64, "changed": name, "value": value }))
}

fn measured(history: &History) -> Result<(), ExportError> {
    match history.names().next() {
        Some(_) => Ok(()),
        None => Err(ExportError::Nothing("nothing has been measured")),
    }
}

#[cfg(test)]
mod tests {
    use image::AnimationDecoder;
    use image::codecs::gif::GifDecoder;

    use super::*;
    use crate::session::{Event, Group};

    fn gallery(side: usize, columns: usize) -> Gallery {
        let sample = |i: usize| Sample {
            rgb: vec![10 * i as u8; side * side * 3],
            advantage: (i > 0).then_some((1.0, 0.0)),
            ..Sample::default()
        };
        let group = || Group { samples: (0..columns).map(sample).collect(), ..Group::default() };
        Gallery { side, groups: vec![group(), group()], ..Gallery::default() }
    }

    fn sheet(update: u64, level: u8) -> Arc<Sheet> {
        let pictures = vec![vec![level; 32 * 32 * 3]; 4];
        Arc::new(Sheet { update, side: 32, columns: 2, classes: vec![0; 4], pictures })
    }

    #[test]
    fn pictures_come_back_in_their_places_inside_their_frames() {
        let bytes = png_grid(&gallery(32, 3), |s| s.advantage.map(|_| [255, 0, 0])).expect("written");
        let back = image::load_from_memory(&bytes).expect("a picture").into_rgb8();
        let cell = 96 + 2 * 3 + 2;
        assert_eq!(back.dimensions(), (3 * cell + 2, 2 * cell + 2));
        let at = |x: u32, y: u32| back.get_pixel(x, y).0;
        assert_eq!([at(0, 0), at(6, 6)], [GROUND, [0; 3]], "an unscored picture has no frame");
        assert_eq!([at(2 + cell, 3), at(2 + cell + 3, 5), at(2 + 2 * cell + 98, 100)], [[255, 0, 0], [10; 3], [20; 3]]);

        let plain = png_grid(&gallery(32, 3), |_| None).expect("written");
        let plain = image::load_from_memory(&plain).expect("a picture");
        assert_eq!((plain.width(), plain.height()), (3 * 98 + 2, 2 * 98 + 2));
    }

    #[test]
    fn what_is_missing_or_too_large_is_said_in_words() {
        let none = png_grid(&Gallery::default(), |_| None).expect_err("nothing").to_string();
        assert!(none.contains("no pictures"), "{none}");
        let mut large = gallery(1, 1);
        large.side = 1 << 40;
        assert!(png_grid(&large, |_| None).expect_err("too large").to_string().contains("too many"));
        let alone = gif(&[sheet(0, 1)], 0..1, 100).expect_err("too few").to_string();
        assert!(alone.contains("sample_every"), "{alone}");
        assert!(
            gif(&[sheet(0, 1), sheet(1, 1)], 2..9, 100).is_err() && gif(&[sheet(0, 1), sheet(1, 1)], 2..2, 9).is_err()
        );
        assert!(csv(&History::default()).is_err() && jsonl(&History::default()).is_err());
    }

    #[test]
    fn a_picture_is_written_as_its_name_says_or_refused_in_words() {
        let dir = tempfile::tempdir().expect("a folder");
        let (picture, rgba) = (dir.path().join("new/window.png"), [10, 20, 30, 255].repeat(6));
        save_rgba(&picture, &rgba, 3, 2).expect("written");
        let back = image::open(&picture).expect("a picture").into_rgba8();
        assert_eq!((back.dimensions(), back.into_raw()), ((3, 2), rgba.clone()));
        assert!(
            save_rgba(&picture, &rgba, 3, 3).is_err()
                && save_rgba(&picture.with_extension("doc"), &rgba, 3, 2).is_err()
        );
    }

    #[test]
    fn an_animation_has_a_frame_per_sheet_and_a_bar_that_grows() {
        let sheets = [sheet(0, 0), sheet(10, 120), sheet(20, 240)];
        let bytes = gif(&sheets, 0..4, 100).expect("written");
        let frames =
            GifDecoder::new(Cursor::new(bytes)).expect("a GIF").into_frames().collect_frames().expect("frames");
        assert_eq!(frames.len(), 3);
        let near = |a: u8, b: u8| a.abs_diff(b) < 12;
        for (frame, (level, done)) in frames.iter().zip([(0, 0.0), (120, 0.5), (240, 1.0)]) {
            let (width, height) = frame.buffer().dimensions();
            assert_eq!((width, height), (2 * 66 + 2, 2 * 66 + 2 + 2));
            assert!(near(frame.buffer().get_pixel(10, 10)[0], level));
            let filled = (0..width).filter(|x| frame.buffer().get_pixel(*x, height - 1)[0] < 110).count();
            assert!((filled as f64 / f64::from(width) - done).abs() < 0.02, "{filled} of {width}");
        }
        let delays = frames.iter().map(|frame| frame.delay().numer_denom_ms());
        assert_eq!(delays.collect::<Vec<_>>(), [(100, 1), (100, 1), (600, 1)]);
        let row = gif(&sheets, 2..4, 100).expect("a row");
        assert_eq!(image::load_from_memory(&row).expect("a GIF").height(), 66 + 2 + 2);
    }

    #[test]
    fn curves_come_back_from_both_texts() {
        let mut history = History::default();
        history.observe(&Event::Update { update: 1, metrics: [("kl".into(), 0.25), ("reward".into(), 1.5)].into() });
        history.observe(&Event::Changed { name: "beta".into(), value: "0.1".into() });
        history.observe(&Event::Update { update: 2, metrics: [("reward".into(), -2e-9)].into() });
        assert_eq!(csv(&history).expect("written"), "update,kl,reward\n1,0.25,1.5\n2,,-0.000000002\n");
        let lines: Vec<Value> =
            jsonl(&history).expect("written").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines[0], json!({ "update": 1, "kl": 0.25, "reward": 1.5 }));
        assert_eq!(lines[1], json!({ "update": 1, "changed": "beta", "value": "0.1" }));
        assert_eq!(lines[2], json!({ "update": 2, "reward": -2e-9 }));
    }
}
