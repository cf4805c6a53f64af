//! What a file or folder is that somebody wants to open, and the session that begins with it.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use super::checkpoint;
use super::protocol::{GivenFiles, Options};
use super::record::Record;
use crate::config::networks::{CLIPS, FEATURES, PAPER, POLICIES, PREFERENCES, TOKENIZERS};
use crate::config::{ConfigError, PRESETS, RunConfig};
use crate::formats::Tensors;
use crate::metrics::Statistics;
use crate::model::family::is_there;
use crate::platform::files;

/// A longer file holds no settings.
const MAX_SETTINGS: u64 = 1 << 20;
/// A longer line is none of `metrics.jsonl`.
const MAX_LINE: u64 = 1 << 20;
/// Entries of a folder that are looked at.
const MAX_ENTRIES: usize = 4096;

/// Something that can be opened.
#[derive(Clone, Debug, PartialEq)]
pub enum Opened {
    /// A run folder with a checkpoint: the run goes on.
    Run(PathBuf),
    /// One checkpoint: a new run begins with what it holds, and the file stays as it is.
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Updates done when it was written.
        update: u64,
    },
    /// Settings: a new run begins with them.
    Settings(Box<RunConfig>),
    /// The curves of a run, to be laid beside others.
    Metrics(PathBuf),
    /// Pictures in folders by class: a new run begins on them.
    Pictures(PathBuf),
    /// A published network: a new run begins with it.
    Network {
        /// The file.
        path: PathBuf,
        /// What was recognised, in words.
        about: String,
        /// Settings that put it in its place.
        settings: Vec<(&'static str, String)>,
    },
    /// Statistics of real pictures: a new run compares its samples with them.
    Statistics {
        /// The file.
        path: PathBuf,
        /// Whose they are.
        about: String,
    },
}

/// Why something cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A run folder that cannot be gone on with.
    #[error(
        "{} is a run folder without a checkpoint, so there is nothing to go on from; open its run.toml to begin again \
         with its settings, or compare with it", .0.display()
    )]
    NoCheckpoint(PathBuf),
    /// A safetensors file that is none of ours, or damaged.
    #[error("this is no checkpoint to begin with: {0}")]
    Checkpoint(String),
    /// A file that should hold settings and does not.
    #[error("{} holds no settings: {why}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file that should hold curves and does not.
    #[error("{} holds no curves: its first line is not one that a run writes into metrics.jsonl", .0.display())]
    Metrics(PathBuf),
    /// Pictures that are not in folders by class.
    #[error(
        "{} has pictures, but not in at least two folders named after their classes (such as {}/cat/*.png)",
        .0.display(), .0.display()
    )]
    Classes(PathBuf),
    /// A network that cannot be put in any place.
    #[error("{}: {why}", path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// What it is, and why it does not serve.
        why: String,
    },
    /// Nothing that is known.
    #[error(
        "{} cannot be opened. What can be: a run folder, a checkpoint (.safetensors), a published network (.pt, .pth, \
         .ckpt, .safetensors), statistics of pictures (.npz), settings (.toml), the curves of a run (metrics.jsonl), or a folder with a folder of \
         pictures for each class", .0.display()
    )]
    Unknown(PathBuf),
}

/// Says what `path` is. Reads no more than that needs: of a checkpoint the header, of curves the first line.
///
/// # Errors
/// [`OpenError`], in words for the person who opens it.
pub fn recognise(path: &Path) -> Result<Opened, OpenError> {
    let about = files::metadata(path).map_err(|source| OpenError::Io { path: path.into(), source })?;
    if about.is_dir {
        return folder(path);
    }
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match extension.as_str() {
        // A pipe would be waited for without end.
        _ if !about.is_file => Err(OpenError::Unknown(path.into())),
        "safetensors" => match checkpoint::glance(path) {
            Ok(glance) => Ok(Opened::Checkpoint { path: path.into(), update: glance.update }),
            Err(error) => network(path).map_err(|other| match other {
                OpenError::Network { .. } => other,
                _ => OpenError::Checkpoint(format!("{error:#}")),
            }),
        },
        "pt" | "pth" | "ckpt" | "bin" => network(path),
        "npz" => statistics(path),
        "toml" => Ok(Opened::Settings(Box::new(settings(path, about.len)?))),
        "jsonl" => curves(path),
        _ => Err(OpenError::Unknown(path.into())),
    }
}

/// The options of the session that begins with `opened`, after a session with the options `now` that has ended: on the
/// same device, in the folder `unused` where it is a new run. Curves begin nothing: the options stay.
pub fn options(opened: Opened, now: &Options, unused: PathBuf) -> Options {
    let base = Options {
        config: now.config.clone(),
        device: now.device.clone(),
        out: Some(unused),
        watched: now.watched,
        ..Options::default()
    };
    match opened {
        Opened::Run(folder) => Options { out: Some(folder), resume: true, ..base },
        Opened::Checkpoint { path, .. } => Options { checkpoint: Some(path), ..base },
        Opened::Settings(config) => Options { config: *config, files: equipment(now), ..base },
        Opened::Pictures(folder) => {
            // What belonged to the pictures before does not belong to these.
            let files = GivenFiles { data: Some(folder), weights: equipment(now).weights, ..GivenFiles::default() };
            Options { files, ..base }
        }
        Opened::Network { path, settings, .. } => {
            let weights = path.parent().map(Path::to_path_buf);
            let files = GivenFiles { weights, ..equipment(now) };
            let is_policy = settings.iter().any(|(name, _)| *name == "model");
            // A policy brings settings of its own, another network only takes its place among those at hand.
            let mut config = if is_policy { RunConfig::default() } else { base.config.clone() };
            let compared = files.reference.is_some() || files.data.is_some();
            let unpaid = (is_policy && !compared).then_some(("loo_fid_weight", "0"));
            let settings = settings.iter().map(|(name, value)| (*name, value.as_str())).chain(unpaid);
            // Together they are free of contradictions, which the tests see to.
            let _ = config.apply(settings);
            Options { config, files, ..base }
        }
        Opened::Statistics { path, .. } => {
            let files = GivenFiles { reference: Some(path), ..equipment(now) };
            Options { files, ..base }
        }
        Opened::Metrics(_) => now.clone(),
    }
}

/// Files that a session with the options `now` worked with: its own, or those of the
/// checkpoint with which it began.
fn equipment(now: &Options) -> GivenFiles {
    let written = now.out.as_ref().and_then(|out| checkpoint::newest_file(&Record::checkpoints(out)));
    let origin = [written.as_deref(), now.checkpoint.as_deref()].into_iter().flatten().find_map(|path| {
        // A damaged file says nothing, and the next one is asked.
        checkpoint::glance(path).ok().map(|glance| glance.origin)
    });
    now.files.or(&origin.unwrap_or_default().files)
}

/// The published network in a file, and the settings that put it in its place.
fn network(path: &Path) -> Result<Opened, OpenError> {
    let wrong = |why: String| OpenError::Network { path: path.into(), why };
    let examined = super::networks::examine(path, None).map_err(|_| OpenError::Unknown(path.into()))?;
    let found = examined.found();
    if !found.fits() {
        return Err(wrong(format!("{found}")));
    }
    let Some(network) = found.network else {
        return Err(wrong(format!("{}: of no published size, so there is no place for it", found.architecture)));
    };
    let places = [
        ("model", POLICIES),
        ("tokenizer", TOKENIZERS),
        ("clip_network", CLIPS),
        ("preference_network", PREFERENCES),
        ("feature_network", FEATURES),
    ];
    let place = places.into_iter().find(|(_, names)| names.contains(&network.name));
    let Some((setting, _)) = place else {
        return Err(wrong(format!("this is {}, which no setting names; others of its kind can be used", network.name)));
    };
    if !found.is_certain() {
        let others = found.others.join(" or ");
        return Err(wrong(format!(
            "this may be {}, or {others}, which have the same tensors: give the file the name of the network, or let `artune \
             import --as NAME --out FILE` write it there",
            network.name
        )));
    }
    let mut about = format!("{}. {}", network.name, network.about);
    let mut settings = vec![(setting, network.name.to_string())];
    if setting == "model" {
        let beside = path.parent().unwrap_or(Path::new("."));
        let mut paid = false;
        settings.extend(paper().filter(|(name, _)| *name != "model"));
        // What scores lies beside it, or is left out.
        for (part, weight, papers) in
            [("clip_network", "clip_weight", "clip-vit-l-14"), ("preference_network", "preference_weight", "hpsv2.1")]
        {
            if is_there(papers, beside) {
                paid = true;
            } else {
                settings.extend([(part, "none".to_string()), (weight, "0".to_string())]);
            }
        }
        if !paid {
            settings.push(("brightness_weight", "1".into()));
            about += " No network that scores lies beside it, so brightness is paid.";
        }
    }
    Ok(Opened::Network { path: path.into(), about, settings })
}

/// The paper's own settings for a published policy.
fn paper() -> impl Iterator<Item = (&'static str, String)> {
    let preset = PRESETS.iter().find(|preset| preset.name == PAPER);
    preset.into_iter().flat_map(|preset| preset.set.iter().map(|(name, value)| (*name, value.to_string())))
}

/// Statistics of real pictures.
fn statistics(path: &Path) -> Result<Opened, OpenError> {
    let wrong = |why: String| OpenError::Network { path: path.into(), why };
    let source = files::source(path).map_err(|source| OpenError::Io { path: path.into(), source })?;
    let file = Tensors::open(source).map_err(|error| wrong(error.to_string()))?;
    let found = Statistics::read(&file).map_err(|error| wrong(error.to_string()))?;
    let about = format!("Statistics of {} features, like those of {}", found.mean.len(), found.kind);
    Ok(Opened::Statistics { path: path.into(), about })
}

fn folder(path: &Path) -> Result<Opened, OpenError> {
    let checkpoints = Record::checkpoints(path);
    if files::is_dir(&checkpoints) || files::is_file(&path.join("run.toml")) {
        return match checkpoint::newest_file(&checkpoints) {
            Some(_) => Ok(Opened::Run(path.into())),
            None => Err(OpenError::NoCheckpoint(path.into())),
        };
    }
    let list = |path: &Path| -> io::Result<Vec<PathBuf>> {
        let entries = files::list(path)?.take(MAX_ENTRIES);
        Ok(entries.filter_map(|entry| Some(entry.ok()?.path)).filter(|path| !is_hidden(path)).collect())
    };
    let entries = list(path).map_err(|source| OpenError::Io { path: path.into(), source })?;
    let has_pictures = |folder: &PathBuf| list(folder).is_ok_and(|files| files.iter().any(|file| is_picture(file)));
    let classes = entries.iter().filter(|entry| files::is_dir(entry) && has_pictures(entry)).take(2).count();
    if classes == 2 {
        Ok(Opened::Pictures(path.into()))
    } else if classes == 1 || entries.iter().any(|entry| is_picture(entry)) {
        Err(OpenError::Classes(path.into()))
    } else {
        Err(OpenError::Unknown(path.into()))
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// By its name alone: what it holds shows when it is read.
fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    ["png", "jpg", "jpeg", "webp"].contains(&extension.as_str())
}

fn settings(path: &Path, size: u64) -> Result<RunConfig, OpenError> {
    let wrong = |why: String| OpenError::Settings { path: path.into(), why };
    if size > MAX_SETTINGS {
        return Err(wrong(format!("{size} bytes are too many")));
    }
    let text = files::read(path).map_err(|source| OpenError::Io { path: path.into(), source })?;
    let text = String::from_utf8(text).map_err(|_| wrong("it is no text".into()))?;
    RunConfig::from_toml(&text).map_err(|error| wrong(first_line(&error)))
}

/// A parser's error without the excerpt that it draws below.
fn first_line(error: &ConfigError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_string()
}

fn curves(path: &Path) -> Result<Opened, OpenError> {
    let io = |source| OpenError::Io { path: path.into(), source };
    let mut line = Vec::new();
    let file = files::open(path).map_err(io)?;
    file.take(MAX_LINE).read_until(b'\n', &mut line).map_err(io)?;
    let value: Option<serde_json::Value> = serde_json::from_slice(&line).ok();
    match value.and_then(|value| value.get("update")?.as_u64()) {
        Some(_) => Ok(Opened::Metrics(path.into())),
        None => Err(OpenError::Metrics(path.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn write(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn refused(path: &Path) -> String {
        recognise(path).expect_err("refused").to_string()
    }

    #[test]
    fn settings_and_curves_are_recognised_by_what_they_hold() {
        let dir = tempfile::tempdir().unwrap();
        let config = RunConfig { beta: 0.5, ..RunConfig::default() };
        let run = write(dir.path(), "any name.TOML", format!("# a comment\n{}", config.to_toml()).as_bytes());
        assert_eq!(recognise(&run).unwrap(), Opened::Settings(Box::new(config)));
        let curves = write(dir.path(), "metrics.jsonl", b"{\"update\":1,\"reward\":0.5}\n{broken");
        assert_eq!(recognise(&curves).unwrap(), Opened::Metrics(curves));

        assert!(refused(&write(dir.path(), "a.toml", b"betta = 1")).contains("did you mean"));
        assert!(refused(&write(dir.path(), "b.toml", &[0xff, 0xfe, 0])).contains("no text"));
        assert!(refused(&write(dir.path(), "c.toml", &vec![b'#'; 2 << 20])).contains("too many"));
        let broken = refused(&write(dir.path(), "d.toml", b"beta = = 1"));
        assert!(!broken.contains('\n'), "{broken}");
        assert!(refused(&write(dir.path(), "e.jsonl", b"")).contains("no curves"));
        assert!(refused(&write(dir.path(), "f.jsonl", &vec![b'['; 3 << 20])).contains("no curves"));
        assert!(refused(&write(dir.path(), "g.exe", b"MZ")).contains("What can be"));
        assert!(refused(&dir.path().join("nothing")).contains("nothing"));
    }

    #[test]
    fn files_that_are_no_checkpoint_are_refused_without_being_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, head: &str, rest: usize| {
            let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
            bytes.extend(head.as_bytes());
            bytes.extend(vec![0; rest]);
            refused(&write(dir.path(), name, &bytes))
        };
        let tensor = r#"{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
        assert!(file("weights.safetensors", tensor, 4).contains("holds weights, but is no checkpoint"));
        assert!(file("cut.safetensors", tensor, 3).contains("length"));
        assert!(file("words.safetensors", "hello", 0).contains("no safetensors file"));
        let header = |header: &str| format!("{{\"__metadata__\":{{\"header\":{header:?},\"sha256\":\"\"}}}}");
        let empty = file("empty.safetensors", &header("{}"), 0);
        assert!(empty.contains("version"), "{empty}");
        let old = r#"{"version":1,"update":3,"config":"","origin":{"pictures":"","networks":{}}}"#;
        assert!(file("old.safetensors", &header(old), 0).contains("version 1"));
        assert!(refused(&write(dir.path(), "short.safetensors", b"abc")).contains("too short"));
        // A length that no memory holds is not asked for.
        assert!(refused(&write(dir.path(), "huge.safetensors", &[0xff; 64])).contains("cut"));
    }

    #[test]
    fn the_settings_that_a_published_policy_brings_are_free_of_contradictions() {
        for beside in [vec![], vec![("clip_network", "none"), ("clip_weight", "0")]] {
            let settings: Vec<(&str, String)> = [("model", "llamagen-b".to_string())]
                .into_iter()
                .chain(paper().filter(|(name, _)| *name != "model"))
                .chain(beside.into_iter().map(|(name, value)| (name, value.to_string())))
                .collect();
            let opened = Opened::Network { path: "nets/c2i_B_256.pt".into(), about: String::new(), settings };
            let options = options(opened, &Options::default(), "runs/b".into());
            assert_eq!((options.config.model.as_str(), options.config.lambda_fid), ("llamagen-b", 2.0));
            assert_eq!(options.config.loo_fid_weight, 0.0, "nothing to compare with");
            assert_eq!(options.files.weights, Some("nets".into()));
        }
    }

    #[test]
    fn folders_are_runs_or_pictures_by_class_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        write(dir.path(), "run/run.toml", b"");
        assert!(refused(&at("run")).contains("without a checkpoint"));
        // Which of its checkpoints is whole shows when it is gone on with.
        write(dir.path(), "run/checkpoints/000001.safetensors", b"");
        assert_eq!(recognise(&at("run")).unwrap(), Opened::Run(at("run")));

        write(dir.path(), "own/cat/1.png", b"");
        write(dir.path(), "own/.git/2.png", b"");
        assert!(refused(&at("own")).contains("two folders"));
        write(dir.path(), "own/dog/1.JPG", b"");
        assert_eq!(recognise(&at("own")).unwrap(), Opened::Pictures(at("own")));
        assert!(refused(&at("own/cat")).contains("two folders"));
        fs::create_dir(at("empty")).unwrap();
        assert!(refused(&at("empty")).contains("What can be"));
    }

    #[test]
    fn another_session_keeps_the_device_and_nothing_that_belongs_to_the_last_run() {
        let now = Options {
            device: "cpu".into(),
            files: GivenFiles { data: Some("pictures".into()), ..GivenFiles::default() },
            out: Some("runs/a".into()),
            resume: true,
            changes: vec![("beta".into(), "1".into())],
            watched: true,
            ..Options::default()
        };
        let open = |opened| options(opened, &now, "runs/b".into());
        let run = open(Opened::Run("runs/c".into()));
        assert_eq!((run.out, run.resume, run.changes.len()), (Some("runs/c".into()), true, 0));
        assert!(run.files == GivenFiles::default() && run.watched && run.device == "cpu");
        let begun = open(Opened::Checkpoint { path: "x.safetensors".into(), update: 3 });
        assert_eq!((begun.out, begun.resume), (Some("runs/b".into()), false));
        assert_eq!((begun.checkpoint, begun.files.data), (Some("x.safetensors".into()), None));
        let set = open(Opened::Settings(Box::new(RunConfig { beta: 0.5, ..RunConfig::default() })));
        assert_eq!((set.config.beta, set.files.data, set.out), (0.5, Some("pictures".into()), Some("runs/b".into())));
        assert_eq!(open(Opened::Pictures("own".into())).files.data, Some("own".into()));
    }
}
