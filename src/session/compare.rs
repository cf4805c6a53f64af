//! Runs laid side by side: what a run folder says of its run, as plain data. Whatever is damaged is told and left out.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use image::{ImageFormat, ImageReader, Limits, imageops};
use serde_json::{Map, Value};

use super::history::History;
use super::opening::{self, Opened};
use super::protocol::{Event, Metrics};
use super::sheets::Raster;
use crate::config::{PARAMS, RunConfig};
use crate::platform::files;

/// More of a file of curves is not read.
const MAX_CURVES: u64 = 128 << 20;
/// A longer line is none of ours.
const MAX_LINE: usize = 1 << 20;
/// A run has fewer scalars than this; those beyond are left out.
const MAX_SERIES: usize = 1024;
/// Sheets beyond this number are left out.
const MAX_SHEETS: usize = 10_000;
/// Larger pictures are refused, in bytes of the file and in pixels of a side.
const MAX_PICTURE: (u64, u32) = (256 << 20, 32_768);
/// Wider sheets are shrunk to this before they are shown.
const WIDEST: u32 = 2048;
/// A reward is noisy: its last updates are averaged.
pub const LAST: usize = 10;

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The higher.
    Higher,
    /// The lower.
    Lower,
}

/// Figures in which runs are compared, most important first: scalars by name, and which way they are better.
pub const FIGURES: &[(&str, Better)] = &[
    ("reward", Better::Higher),
    ("eval/fd", Better::Lower),
    ("eval/kid", Better::Lower),
    ("eval/diversity", Better::Higher),
    ("eval/vendi", Better::Higher),
    ("eval/precision", Better::Higher),
    ("eval/recall", Better::Higher),
    ("eval/class_accuracy", Better::Higher),
    ("eval/reward/clip", Better::Higher),
    ("eval/reward/preference", Better::Higher),
];

/// What is known of a run.
#[derive(Clone, Debug, Default)]
pub struct RunSummary {
    /// What it is called: its folder's name.
    pub name: String,
    /// Its folder or its file of curves; empty for a run that has none.
    pub path: PathBuf,
    /// Its settings as they were at the end; `None` where only curves are known.
    pub config: Option<RunConfig>,
    /// Its curves.
    pub history: History,
    /// How its evaluations were measured; empty where there are none.
    pub protocol: String,
    /// Its sheets of samples with the updates after which they were drawn, oldest first.
    pub sheets: Vec<(u64, PathBuf)>,
    /// What could not be read, in sentences.
    pub complaints: Vec<String>,
}

/// Why a run cannot be compared with.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The file system failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Neither a run folder nor a file of curves.
    #[error("{} is neither a run folder nor the curves of a run (metrics.jsonl), so there is nothing to compare", .0.display())]
    NoRun(PathBuf),
    /// Nothing has been measured in it.
    #[error("{} has no curves yet: nothing can be compared", .0.display())]
    Empty(PathBuf),
}

/// Reads a run folder, or a file of curves. A file that lies in a run folder stands for the folder.
///
/// # Errors
/// [`CompareError`], where it is no run or nothing was measured. What is only damaged is told in
/// [`RunSummary::complaints`].
pub fn read(path: &Path) -> Result<RunSummary, CompareError> {
    if files::is_dir(path) {
        return folder(path);
    }
    match path.parent() {
        Some(parent) if path.ends_with("metrics.jsonl") && files::is_file(&parent.join("run.toml")) => folder(parent),
        _ if !files::exists(path) => {
            Err(CompareError::Io { path: path.into(), source: io::ErrorKind::NotFound.into() })
        }
        _ => match opening::recognise(path) {
            Ok(Opened::Metrics(file)) => curves(&file),
            _ => Err(CompareError::NoRun(path.into())),
        },
    }
}

fn folder(path: &Path) -> Result<RunSummary, CompareError> {
    let file = path.join("metrics.jsonl");
    if !files::is_file(&file) {
        return Err(CompareError::NoRun(path.into()));
    }
    let mut run = curves(&file)?;
    (run.name, run.path) = (name(path), path.to_owned());
    match opening::recognise(&path.join("run.toml")) {
        Ok(Opened::Settings(config)) => {
            let mut config = *config;
            for (_, turned) in run.history.knobs() {
                let (name, value) = turned.split_once(" = ").unwrap_or((turned, ""));
                if let Err(error) = config.set(name, value) {
                    run.complaints.push(format!("a turned knob is left out: {error}"));
                }
            }
            run.config = Some(config);
        }
        Ok(_) => {}
        Err(error) => run.complaints.push(error.to_string()),
    }
    if let Ok(entries) = files::list(&path.join("samples")) {
        let sheet = |entry: io::Result<files::Entry>| {
            let path = entry.ok()?.path;
            let update = path.file_stem()?.to_str()?.parse().ok()?;
            (path.extension()? == "png").then_some((update, path))
        };
        run.sheets = entries.take(MAX_SHEETS).filter_map(sheet).collect();
        run.sheets.sort();
    }
    Ok(run)
}

/// The last part of a path, or all of it where it has none.
fn name(path: &Path) -> String {
    let name = files::canonicalize(path).ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    name.unwrap_or_else(|| path.display().to_string())
}

fn curves(path: &Path) -> Result<RunSummary, CompareError> {
    let io = |source| CompareError::Io { path: path.into(), source };
    let mut run = RunSummary { name: name(path), path: path.into(), ..RunSummary::default() };
    if files::metadata(path).map_err(io)?.len > MAX_CURVES {
        run.complaints.push(format!("only the first {} MB of {} were read", MAX_CURVES >> 20, path.display()));
    }
    let mut lines = files::open(path).map_err(io)?.take(MAX_CURVES);
    let (mut bad, mut line) = (0_u64, Vec::new());
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(io)? == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match event(&line) {
            Some(mut event) => {
                if let Event::Update { metrics, .. } | Event::Evaluation { metrics, .. } = &mut event {
                    let known: Vec<&str> = run.history.names().collect();
                    if known.len() >= MAX_SERIES {
                        metrics.retain(|name, _| known.binary_search(&name.as_str()).is_ok());
                    }
                }
                if let Event::Evaluation { protocol, .. } = &event {
                    run.protocol.clone_from(protocol);
                }
                run.history.observe(&event);
            }
            None => bad += 1,
        }
    }
    if bad > 0 {
        run.complaints.push(format!("{bad} lines of {} could not be read and are left out", path.display()));
    }
    if run.history.names().next().is_none() {
        return Err(CompareError::Empty(path.into()));
    }
    Ok(run)
}

/// A line of `metrics.jsonl` as the event that wrote it; `None` where it is none.
fn event(line: &[u8]) -> Option<Event> {
    if line.len() > MAX_LINE {
        return None;
    }
    let mut line: Map<String, Value> = serde_json::from_slice(line).ok()?;
    let update = line.remove("update")?.as_u64()?;
    if let Some(name) = line.remove("changed") {
        let value = line.remove("value")?.as_str()?.to_string();
        return Some(Event::Changed { name: name.as_str()?.to_string(), value });
    }
    let protocol = line.remove("protocol");
    // A figure that was not finite is written as null.
    let metrics: Metrics = line.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect();
    Some(match protocol {
        Some(protocol) => Event::Evaluation { update, metrics, protocol: protocol.as_str()?.to_string() },
        None => Event::Update { update, metrics },
    })
}

/// The last value of each of [`FIGURES`]; of those that are measured in every update the mean over the last [`LAST`].
pub fn figures(history: &History) -> BTreeMap<&'static str, f64> {
    let last = |name: &str| {
        let points = history.series(name);
        let count = if name.starts_with("eval/") { 1 } else { LAST };
        let points = &points[points.len().saturating_sub(count)..];
        let sum: f64 = points.iter().map(|point| point[1]).sum();
        (!points.is_empty()).then(|| sum / points.len() as f64)
    };
    FIGURES.iter().filter_map(|(name, _)| Some((*name, last(name)?))).collect()
}

/// Updates of which anything is known; 0 is the untouched model.
pub fn updates(history: &History) -> u64 {
    history.names().filter_map(|name| history.series(name).last()).map(|point| point[0] as u64).max().unwrap_or(0)
}

/// Whether evaluations by these protocols can be compared: but for the seed they must say the same. Runs without an
/// evaluation, whose protocol is empty, do not matter.
pub fn measured_alike(protocols: &[&str]) -> bool {
    let parts = |protocol: &&str| -> Vec<String> {
        protocol.split(", ").filter(|part| !part.starts_with("seed ")).map(str::to_string).collect()
    };
    let mut known = protocols.iter().filter(|protocol| !protocol.is_empty()).map(parts);
    known.next().is_none_or(|first| known.all(|other| other == first))
}

/// Which of `values` is the best: all that equal it where there are at least two to compare and they are not all the
/// same.
pub fn best(values: &[Option<f64>], better: Better) -> Vec<bool> {
    let known: Vec<f64> = values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
    let ends = known.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    let goal = if better == Better::Lower { ends.0 } else { ends.1 };
    let differ = known.len() > 1 && ends.0 < ends.1;
    values.iter().map(|value| differ && *value == Some(goal)).collect()
}

/// A parameter that is not the same in all of some runs, with its value in each; `None` where a run's settings are not
/// known.
pub type Difference = (&'static str, Vec<Option<String>>);

/// The parameters in which runs differ, in the order of the table.
pub fn differences(configs: &[Option<&RunConfig>]) -> Vec<Difference> {
    let values = |name: &str| {
        configs.iter().map(|config| Some(config.as_ref()?.get(name)?.to_string())).collect::<Vec<Option<String>>>()
    };
    let differ = |values: &[Option<String>]| {
        let mut known = values.iter().flatten();
        known.next().is_some_and(|first| known.any(|value| value != first))
    };
    PARAMS.iter().map(|param| (param.name, values(param.name))).filter(|(_, values)| differ(values)).collect()
}

/// Updates after which every run has drawn a sheet, oldest first; none where `sheets` is empty.
pub fn common_updates(sheets: &[Vec<u64>]) -> Vec<u64> {
    let Some((first, others)) = sheets.split_first() else { return vec![] };
    first.iter().copied().filter(|update| others.iter().all(|sheet| sheet.contains(update))).collect()
}

/// Reads a sheet of samples, shrunk where it is very wide.
///
/// # Errors
/// A sentence that names the file.
pub fn picture(path: &Path) -> Result<Raster, String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let (bytes, side) = MAX_PICTURE;
    if files::metadata(path).map_err(|error| said(&error))?.len > bytes {
        return Err(said(&"the file is too large for a sheet of samples"));
    }
    let file = files::open(path).map_err(|error| said(&error))?;
    let mut reader = ImageReader::with_format(file, ImageFormat::Png);
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height, limits.max_alloc) = (Some(side), Some(side), Some(bytes));
    reader.limits(limits);
    let mut image = reader.decode().map_err(|error| said(&error))?.into_rgb8();
    let longest = image.width().max(image.height());
    if longest > WIDEST {
        let shrunk = |side: u32| (u64::from(side) * u64::from(WIDEST) / u64::from(longest)).max(1) as u32;
        image = imageops::thumbnail(&image, shrunk(image.width()), shrunk(image.height()));
    }
    Ok(Raster { width: image.width() as usize, height: image.height() as usize, rgb: image.into_raw() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::grid::save_png;

    /// A run folder with two updates, a turned knob, an evaluation and a line cut short.
    fn write(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let config = RunConfig { beta: 0.1, ..RunConfig::default() };
        fs::write(folder.join("run.toml"), config.to_toml()).unwrap();
        let lines = "{\"eval/fd\":300.0,\"protocol\":\"by eye\",\"update\":0}\n{\"reward\":1.0,\"kl\":null,\"update\":1}\n\
             {\"update\":1,\"changed\":\"beta\",\"value\":\"0.5\"}\n\n{\"reward\":2.0,\"update\":2}\n{\"rewa";
        fs::write(folder.join("metrics.jsonl"), lines).unwrap();
        for update in [0, 2] {
            save_png(&folder.join(format!("samples/{update:06}.png")), &[vec![7; 12]], 2, 1, 3).unwrap();
        }
        fs::write(folder.join("samples/notes.txt"), "").unwrap();
    }

    #[test]
    fn a_run_folder_is_read_and_what_is_damaged_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("full-0");
        write(&folder);
        let run = read(&folder).unwrap();
        assert_eq!((run.name.as_str(), run.protocol.as_str()), ("full-0", "by eye"));
        assert_eq!(run.config.as_ref().map(|config| config.beta), Some(0.5), "as the knob was turned");
        assert_eq!(run.sheets.iter().map(|sheet| sheet.0).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(figures(&run.history), [("eval/fd", 300.0), ("reward", 1.5)].into());
        assert!(matches!(run.complaints.as_slice(), [one] if one.starts_with("1 lines of")), "{:?}", run.complaints);
        assert_eq!(picture(&run.sheets[0].1).map(|p| (p.width, p.height)), Ok((10, 10)));

        assert_eq!(read(&folder.join("metrics.jsonl")).unwrap().name, "full-0", "the file stands for its folder");
        let alone = dir.path().join("curves.jsonl");
        fs::copy(folder.join("metrics.jsonl"), &alone).unwrap();
        assert!(read(&alone).unwrap().config.is_none());
        fs::write(folder.join("run.toml"), "beta = ").unwrap();
        assert_eq!(read(&folder).unwrap().complaints.len(), 2);
    }

    #[test]
    fn what_is_no_run_is_refused_and_what_is_no_picture_too() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(dir.path()), Err(CompareError::NoRun(_))));
        assert!(matches!(read(&dir.path().join("none")), Err(CompareError::Io { .. })));
        let file = dir.path().join("metrics.jsonl");
        fs::write(&file, [0xff; 100]).unwrap();
        assert!(matches!(read(&file), Err(CompareError::NoRun(_))));
        fs::write(dir.path().join("metrics.jsonl"), "{\"update\":1}\n").unwrap();
        assert!(matches!(read(&file), Err(CompareError::Empty(_))));
        assert!(picture(&file).unwrap_err().contains("metrics.jsonl"));
    }

    #[test]
    fn the_best_is_marked_only_where_there_is_something_to_compare() {
        assert_eq!(best(&[Some(1.0), None, Some(3.0)], Better::Higher), [false, false, true]);
        assert_eq!(best(&[Some(1.0), Some(3.0), Some(1.0)], Better::Lower), [true, false, true]);
        assert_eq!(best(&[Some(1.0), None], Better::Lower), [false, false]);
        assert_eq!(best(&[Some(2.0), Some(2.0), Some(f64::NAN)], Better::Lower), [false; 3]);
    }

    #[test]
    fn only_settings_that_differ_are_listed() {
        let (a, b) = (RunConfig::default(), RunConfig { beta: 0.5, seed: 2, ..RunConfig::default() });
        let found = differences(&[Some(&a), None, Some(&b)]);
        let names: Vec<&str> = found.iter().map(|difference| difference.0).collect();
        assert!(names.len() == 2 && names.contains(&"beta") && names.contains(&"seed"), "{names:?}");
        assert!(found.iter().all(|(_, values)| values[1].is_none()));
        assert!(differences(&[Some(&a), Some(&a)]).is_empty() && differences(&[]).is_empty());
        assert!(measured_alike(&["N = 8, seed 0, x", "", "N = 8, seed 1, x"]) && measured_alike(&[]));
        assert!(!measured_alike(&["N = 8, seed 0, x", "N = 9, seed 0, x"]));
        assert_eq!(common_updates(&[vec![0, 5, 10], vec![0, 10, 20]]), [0, 10]);
    }
}
