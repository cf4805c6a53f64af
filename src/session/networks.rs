//! Files of published networks: which network a file holds, the same in this program's form, and files that stand in
//! for networks that nobody has downloaded yet.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use half::f16;

use crate::formats::{Dtype, FormatError, Info, Tensors, write};
use crate::model::published::procedural::{self, Procedural};
use crate::model::published::recognise::{ARCHITECTURE, GUESSED, NETWORK, Recognised, listing, recognise};
use crate::model::published::{Architecture, Published};
use crate::platform::files;

/// An open file and the network in it.
pub struct Examined {
    path: PathBuf,
    file: Tensors,
    found: Recognised,
}

/// Tells which network the file at `path` holds; `name` is the published network that the caller says it is.
///
/// # Errors
/// Where the file cannot be read or holds no known network. One that resembles a network and does not fit is none.
pub fn examine(path: &Path, name: Option<&str>) -> Result<Examined> {
    let place = || path.display().to_string();
    let file = Tensors::open(files::source(path).with_context(place)?).with_context(place)?;
    let title = path.file_name().unwrap_or_default().to_string_lossy();
    let found = recognise(&listing(&file), file.notes(), &title, name).with_context(place)?;
    Ok(Examined { path: path.to_owned(), file, found })
}

impl Examined {
    /// The network.
    pub fn found(&self) -> &Recognised {
        &self.found
    }

    /// Writes the network as `safetensors` at `out`, with its own key names and what is known of it in the header; with
    /// `half`, matrices and tables in half precision. One tensor is in memory at a time, and `out` appears when it is
    /// complete.
    ///
    /// # Errors
    /// Where the file does not fit its network, `out` is the file itself, or reading or writing fails.
    pub fn import(&self, half: bool, out: &Path) -> Result<()> {
        ensure!(self.found.fits(), "the file does not fit the network, so nothing was written");
        let same = |path: &Path| files::canonicalize(path).ok();
        ensure!(same(out).is_none() || same(out) != same(&self.path), "{} is the file itself", out.display());
        let mut notes = notes(self.found.network, &self.found.architecture)?;
        if !self.found.guessed.is_empty() {
            notes.insert(GUESSED.into(), self.found.guessed.join(", "));
        }
        let title = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        notes.insert("imported_from".into(), title);
        notes.insert("sha256".into(), files::sha256(&self.path)?);
        if let Some(note) = self.file.notes().get(procedural::NOTE) {
            notes.insert(procedural::NOTE.into(), note.clone());
        }
        let tensors = self.found.architecture.manifest().into_iter().filter_map(|(key, _)| {
            let Info { dtype, shape } = self.file.info(&key)?.clone();
            let dtype = kept(dtype, &shape, half);
            Some((key, Info { dtype, shape }))
        });
        let tensors: BTreeMap<_, _> = tensors.collect();
        write(out, &tensors, &notes, &mut |key| self.file.finite(key, tensors[key].dtype))
    }
}

impl fmt::Display for Examined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tensors, container) = (self.file.names().count(), self.file.container());
        let wrapper = self.file.wrapper().map_or(String::new(), |wrapper| format!(", in its {wrapper:?}"));
        write!(f, "{}: {tensors} tensors, {container}{wrapper}\n{}", self.path.display(), self.found)?;
        if self.file.notes().contains_key(procedural::NOTE) {
            f.write_str("\n  its numbers stand in for the network's own: it was never trained")?;
        }
        Ok(())
    }
}

/// Writes a file of the published network `name`'s full size whose numbers merely stand in for its own; with `half`,
/// matrices and tables in half precision. Says what was written.
///
/// # Errors
/// Where there is no such network or the file cannot be written.
pub fn stand_in(name: &str, half: bool, out: &Path) -> Result<String> {
    let known = || Published::all().iter().map(|network| network.name).collect::<Vec<_>>().join(", ");
    let network = Published::named(name)
        .with_context(|| format!("no published network is called {name:?}; there are {}", known()))?;
    let mut notes = notes(Some(network), &network.architecture)?;
    notes.insert(procedural::NOTE.into(), "procedural numbers: never trained".into());
    let tensors: BTreeMap<_, _> = network
        .architecture
        .manifest()
        .into_iter()
        .map(|(key, shape)| (key, Info { dtype: kept(Dtype::F32, &shape, half), shape }))
        .collect();
    write(out, &tensors, &notes, &mut |key| Ok(numbers(key, &tensors[key])))?;
    let bytes: usize = tensors.values().filter_map(Info::bytes).sum();
    Ok(format!("{}: {} tensors, {:.2} GB, a stand-in for {name}", out.display(), tensors.len(), bytes as f64 / 1e9))
}

/// What is published, a line each: name, what it is, where it is from.
pub fn published() -> String {
    let line = |network: &Published| {
        let file = network.file.map_or(String::new(), |file| format!(": {file}"));
        let licence = network.licence.map_or(String::new(), |licence| format!(" ({licence})"));
        format!("{:<20} {}\n{:<20} {}{file}{licence}\n", network.name, network.about, "", network.repository)
    };
    Published::all().iter().map(line).collect()
}

/// Writes `safetensors` at `out`, which appears when it is complete.
fn write(
    out: &Path,
    tensors: &BTreeMap<String, Info>,
    notes: &BTreeMap<String, String>,
    read: &mut dyn FnMut(&str) -> Result<Vec<u8>, FormatError>,
) -> Result<()> {
    let place = || out.display().to_string();
    let mut file = files::create(out).with_context(place)?;
    write::safetensors(&mut file, tensors, notes, read).with_context(place)?;
    file.finish().with_context(place)
}

fn notes(network: Option<&Published>, architecture: &Architecture) -> Result<BTreeMap<String, String>> {
    let mut notes = BTreeMap::from([
        ("format".to_string(), "pt".to_string()),
        (ARCHITECTURE.to_string(), serde_json::to_string(architecture)?),
    ]);
    notes.extend(network.map(|network| (NETWORK.to_string(), network.name.to_string())));
    Ok(notes)
}

/// The kind of number that a tensor is written in. What has one dimension is small, and variances would vanish in half
/// precision.
fn kept(dtype: Dtype, shape: &[usize], half: bool) -> Dtype {
    match dtype {
        _ if half && shape.len() > 1 => Dtype::F16,
        Dtype::F64 => Dtype::F32,
        _ => dtype,
    }
}

/// Little-endian bytes of numbers, in half precision or in single.
fn stored(numbers: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F16 => numbers.iter().flat_map(|&number| f16::from_f32(number).to_le_bytes()).collect(),
        _ => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
    }
}

/// The bytes of a tensor of a stand-in, made in parts that fit into the processor's cache.
fn numbers(key: &str, info: &Info) -> Vec<u8> {
    let (made, count) = (Procedural::new(key, &info.shape), info.shape.iter().product::<usize>());
    let mut bytes = Vec::with_capacity(count * info.dtype.size());
    let mut part = vec![0.0; 1 << 14];
    for start in (0..count).step_by(part.len()) {
        let part = &mut part[..(count - start).min(1 << 14)];
        made.fill(start, part);
        bytes.extend(stored(part, info.dtype));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::published::recognise::Notes;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn tensors(path: &Path) -> Tensors {
        Tensors::open(files::source(path).expect("a file")).expect("a file of tensors")
    }

    #[test]
    fn a_stand_in_is_a_network_of_full_size_that_says_what_it_is() {
        let dir = folder();
        let [full, half, again] = ["full", "half", "again"].map(|name| dir.path().join(name));
        let text = stand_in("efficientnet-lite0", false, &full).expect("written");
        assert!(text.contains("0.02 GB, a stand-in for efficientnet-lite0"), "{text}");
        let examined = examine(&full, None).expect("a network");
        assert!(examined.found().fits() && examined.to_string().contains("never trained"), "{examined}");
        let file = tensors(&full);
        assert_eq!(file.f32("conv_stem.weight").unwrap(), procedural::tensor("conv_stem.weight", &[32, 3, 3, 3]));
        stand_in("efficientnet-lite0", true, &half).expect("written");
        let [narrow, wide] =
            ["classifier.weight", "bn1.running_var"].map(|key| tensors(&half).info(key).unwrap().dtype);
        assert_eq!((narrow, wide), (Dtype::F16, Dtype::F32));
        // What is imported is the same network, says where it is from, and stays a stand-in.
        examine(&full, None).expect("a network").import(true, &again).expect("written");
        let (ours, theirs) = (tensors(&again), tensors(&half));
        for key in theirs.names() {
            assert_eq!(ours.bytes(key).unwrap(), theirs.bytes(key).unwrap(), "{key}");
        }
        let notes: &Notes = ours.notes();
        assert_eq!((notes["network"].as_str(), notes["imported_from"].as_str()), ("efficientnet-lite0", "full"));
        assert_eq!(notes["sha256"], files::sha256(&full).unwrap());
        assert!(notes.contains_key(procedural::NOTE) && examine(&again, None).expect("a network").found().fits());
    }

    #[test]
    fn what_does_not_fit_is_not_written_and_no_file_replaces_itself() {
        let dir = folder();
        let [path, out] = ["clip.safetensors", "out"].map(|name| dir.path().join(name));
        stand_in("efficientnet-lite0", false, &path).expect("written");
        let examined = examine(&path, Some("vq-16")).expect("a file of tensors");
        let error = examined.import(false, &out).expect_err("another network").to_string();
        assert!(error.contains("nothing was written") && !files::exists(&out), "{error}");
        let examined = examine(&path, None).expect("a network");
        assert!(examined.import(true, &path).expect_err("itself").to_string().contains("is the file itself"));
        let error = format!("{:#}", examine(&dir.path().join("none"), None).err().expect("no file"));
        assert!(error.contains("none"), "{error}");
        let error = stand_in("llamagen", false, &out).expect_err("no such network").to_string();
        assert!(error.contains("llamagen-b, llamagen-b-384"), "{error}");
    }

    #[test]
    fn what_is_published_is_listed() {
        let text = published();
        assert!(text.contains("github.com/FoundationVision/LlamaGen: c2i_B_256.pt (MIT)"), "{text}");
        assert_eq!(text.lines().count(), 2 * Published::all().len());
    }
}
