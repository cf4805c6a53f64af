//! The run folder: everything needed to repeat a run, and everything it measured.
//!
//! ```text
//! run.toml            every parameter at the start, and how to repeat the run
//! metrics.jsonl       one line per update, evaluation and turned knob
//! samples/000020.png  the same seeds every time, so that before and after compare
//! checkpoints/        see `checkpoint`
//! summary.json        first and last evaluation, totals
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::origin::Origin;
use super::protocol::Metrics;
use crate::config::RunConfig;
use crate::data::grid;
use crate::platform::files;

/// An open run folder.
#[derive(Clone, Debug)]
pub struct Record {
    folder: PathBuf,
}

impl Record {
    /// Opens (or makes) `folder` for a run that has done `update` updates. Lines of later updates, written by a run
    /// that was killed after its last checkpoint, are dropped: they will be written again, the same.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn open(folder: &Path, config: &RunConfig, origin: &Origin, update: u64) -> Result<Self> {
        let record = Self { folder: folder.to_owned() };
        files::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        if update == 0 || !files::exists(&folder.join("run.toml")) {
            record.put("run.toml", format!("{}{}", origin.comment(), config.to_toml()).as_bytes())?;
        }
        let kept = match files::read_to_string(&record.metrics()) {
            Ok(text) if update > 0 => lines_where(&text, |at, _| at <= update),
            _ => String::new(),
        };
        record.put("metrics.jsonl", kept.as_bytes())?;
        Ok(record)
    }

    /// A folder for a run that goes on from this one after `update` updates, with what was measured until then.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn branch(&self, folder: &Path, config: &RunConfig, origin: &Origin, update: u64) -> Result<Self> {
        files::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let record = Self { folder: folder.to_owned() };
        let text = files::read_to_string(&self.metrics()).with_context(|| self.metrics().display().to_string())?;
        // What was turned after the last update that is kept belongs to the run that was left.
        let turned = |line: &Value| line.get("changed").is_some();
        let lines = lines_where(&text, |at, line| at < update || at == update && !turned(line));
        record.put("run.toml", format!("{}{}", origin.comment(), config.to_toml()).as_bytes())?;
        record.put("metrics.jsonl", lines.as_bytes())?;
        Ok(record)
    }

    /// Folder of the checkpoints.
    pub fn checkpoints(folder: &Path) -> PathBuf {
        folder.join("checkpoints")
    }

    /// The run folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.jsonl")
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        files::write_atomic(&path, bytes).with_context(|| path.display().to_string())
    }

    /// Appends one line of scalars; an evaluation also says its protocol.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn line(&self, update: u64, metrics: &Metrics, protocol: Option<&str>) -> Result<()> {
        let mut line = Map::new();
        line.insert("update".into(), update.into());
        if let Some(protocol) = protocol {
            line.insert("protocol".into(), protocol.into());
        }
        line.extend(metrics.iter().map(|(name, value)| (name.clone(), json!(value))));
        self.append(&Value::Object(line))
    }

    fn append(&self, line: &Value) -> Result<()> {
        let path = self.metrics();
        files::append(&path, format!("{line}\n").as_bytes()).with_context(|| path.display().to_string())
    }

    /// Writes a sheet of samples.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn samples(&self, update: u64, pictures: &[Vec<u8>], side: usize, columns: usize) -> Result<()> {
        let path = self.folder.join(format!("samples/{update:06}.png"));
        grid::save_png(&path, pictures, side, columns, grid::sheet_scale(side))?;
        Ok(())
    }

    /// Appends that a knob was turned after `update` updates.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn turned(&self, update: u64, name: &str, value: &str) -> Result<()> {
        self.append(&json!({ "update": update, "changed": name, "value": value }))
    }

    /// The evaluations of this run so far, oldest first, each as the summary has it.
    pub fn evaluations(&self) -> Vec<Value> {
        let text = files::read_to_string(&self.metrics()).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Map<String, Value>>(line).ok());
        lines
            .filter_map(|mut line| {
                let (update, protocol) = (line.remove("update")?, line.remove("protocol")?);
                Some(json!({ "update": update, "metrics": line, "protocol": protocol }))
            })
            .collect()
    }

    /// Removes a folder in which nothing has happened: no update, and nothing saved.
    pub fn discard(self) {
        if files::exists(&Self::checkpoints(&self.folder)) {
            return;
        }
        for name in ["run.toml", "metrics.jsonl", "samples/000000.png"] {
            let _ = files::remove_file(&self.folder.join(name));
        }
        // Refused where anything else is in them; there need be no samples.
        let _ = files::remove_dir(&self.folder.join("samples"));
        let _ = files::remove_dir(&self.folder);
    }

    /// Writes the summary.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn summary(&self, summary: &Value) -> Result<()> {
        self.put("summary.json", serde_json::to_string_pretty(summary)?.as_bytes())
    }
}

/// The lines of `metrics.jsonl` whose update, and whose whole, `keep` accepts; lines that are damaged go.
fn lines_where(text: &str, keep: impl Fn(u64, &Value) -> bool) -> String {
    let kept = |line: &&str| {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        line["update"].as_u64().is_some_and(|at| keep(at, &line))
    };
    text.lines().filter(kept).map(|line| format!("{line}\n")).collect()
}
