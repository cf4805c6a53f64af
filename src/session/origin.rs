//! Where a run's pictures and networks are from: what settings alone do not say, and what must not change under it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::protocol::GivenFiles;
use crate::data::Pictures;
use crate::model::family::{Family, Source};

/// What a run works with besides its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Files of a person's own.
    #[serde(flatten)]
    pub files: GivenFiles,
    /// The checkpoint of another run that this one began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<PathBuf>,
    /// [`Pictures::fingerprint`].
    pub pictures: String,
    /// Where each network is from; empty for procedural weights.
    pub networks: BTreeMap<String, Source>,
}

impl Origin {
    /// Of what has been opened from `files`.
    pub fn of(files: GivenFiles, pictures: &Pictures, family: &Family) -> Self {
        let (pictures, networks) = (pictures.fingerprint.clone(), family.sources.clone());
        Self { files, checkpoint: None, pictures, networks }
    }

    /// Refuses to go on with other pictures or networks than the run began with.
    ///
    /// # Errors
    /// A sentence that names what differs.
    pub fn check(&self, began: &Self) -> Result<()> {
        anyhow::ensure!(
            self.pictures == began.pictures,
            "these are not the pictures that the run began with ({}, fingerprint {}); name them with --data",
            began.files.data.as_ref().map_or_else(|| "the embedded ones".into(), |d| d.display().to_string()),
            began.pictures,
        );
        let differs =
            |(role, source): &(&String, &Source)| self.networks.get(*role).map(|s| &s.hash) != Some(&source.hash);
        let changed: Vec<&str> = began.networks.iter().filter(differs).map(|(role, _)| role.as_str()).collect();
        anyhow::ensure!(
            changed.is_empty(),
            "not the networks that the run began with: {} changed (they were from {}); name the folder with --weights",
            changed.join(", "),
            began.files.weights.as_ref().map_or_else(|| "this program".into(), |w| w.display().to_string()),
        );
        Ok(())
    }

    /// The command that repeats a run from its `run.toml`, as a comment for its head.
    pub fn comment(&self) -> String {
        let mut command = "artune tune --config run.toml".to_string();
        let GivenFiles { data, weights, reference, captions } = &self.files;
        let given = [("--data", data), ("--weights", weights), ("--reference", reference), ("--captions", captions)];
        for (flag, folder) in given {
            if let Some(folder) = folder {
                command += &format!(" {flag} {:?}", folder.display().to_string());
            }
        }
        let repeat = match &self.checkpoint {
            Some(path) => format!("Repeat this run: open {:?} in the window", path.display().to_string()),
            None => format!("Repeat this run: {command}"),
        };
        let mut lines = vec![
            repeat,
            "Settings at its start; a knob turned later is a line of metrics.jsonl.".into(),
            format!("Pictures: fingerprint {}", self.pictures),
        ];
        lines.extend(self.networks.iter().map(|(role, source)| format!("{role}: SHA-256 {}…", source.hash)));
        lines.into_iter().map(|line| format!("# {line}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_pictures_or_networks_than_at_the_start_are_refused_by_name() {
        let source = |hash: &str| Source { path: None, hash: hash.into() };
        let networks = |hash| [("clip".to_string(), source(hash)), ("prior".to_string(), source("p"))].into();
        let began = Origin { pictures: "a".into(), networks: networks("c"), ..Origin::default() };
        began.check(&began).expect("the same");
        let error = Origin { pictures: "b".into(), ..began.clone() }.check(&began).expect_err("other pictures");
        assert!(error.to_string().contains("--data"));
        let error = Origin { networks: networks("d"), ..began.clone() }.check(&began).expect_err("another clip");
        assert!(error.to_string().contains("clip changed"), "{error}");
    }
}
