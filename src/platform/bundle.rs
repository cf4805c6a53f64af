//! One file that holds everything of a checkpoint, and knows whether it is whole.
//!
//! The container is safetensors, so any reader of it can look inside: each part is a `U8` tensor, and the metadata
//! carries a JSON header and the SHA-256 of all parts. A file that was cut, flipped or half written is refused.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::files;
use super::source::Source;

/// What safetensors calls the numbers of a part.
const DTYPE: &str = "U8";
/// Bytes that are read together of a part that is only checked.
const PIECE: u64 = 1 << 20;
/// No header of ours is longer than this.
const MAX_HEADER: u64 = 64 << 20;

/// Why a bundle was refused.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The file system failed.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is not a bundle, or is damaged.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The file is whole, but carries no header of ours.
    #[error("{path} holds weights, but is no checkpoint of a run")]
    Foreign {
        /// Which file.
        path: String,
    },
}

/// A JSON header and named parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bundle {
    /// Header, as JSON text.
    pub header: String,
    /// Parts by name.
    pub parts: HashMap<String, Vec<u8>>,
}

impl Bundle {
    /// Writes the bundle to `path`, wholly or not at all. Nothing of it is copied on the way.
    ///
    /// # Errors
    /// [`BundleError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), BundleError> {
        let io = |source| BundleError::Io { path: path.display().to_string(), source };
        let mut entries = Map::new();
        entries.insert("__metadata__".into(), json!({ "header": self.header, "sha256": self.hash() }));
        let (parts, mut at) = (self.sorted(), 0);
        for (name, bytes) in &parts {
            let end = at + bytes.len();
            let entry = json!({ "dtype": DTYPE, "shape": [bytes.len()], "data_offsets": [at, end] });
            entries.insert((*name).clone(), entry);
            at = end;
        }
        let mut text = Value::Object(entries).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut file = files::create(path).map_err(io)?;
        let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(io);
        put(&(text.len() as u64).to_le_bytes())?;
        put(&text)?;
        parts.iter().try_for_each(|(_, bytes)| put(bytes))?;
        file.finish().map_err(io)
    }

    /// Reads a bundle, one part after the other.
    ///
    /// # Errors
    /// [`BundleError`], also where a single bit differs from what was written.
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        Self::read_where(path, |_| true)
    }

    /// As [`Self::read`], but only the parts whose name `wanted` accepts are kept; the others are checked.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_where(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self, BundleError> {
        let io = |source| BundleError::Io { path: path.display().to_string(), source };
        let wrong = |why: String| BundleError::Damaged { path: path.display().to_string(), why };
        let source = files::source(path).map_err(io)?;
        let Layout { header, sha256, parts, data } = Layout::of(path, &source)?;
        let (mut hasher, mut kept, mut piece) = (hasher(&header), HashMap::new(), vec![]);
        for (name, range) in parts {
            begin(&mut hasher, &name, range.end - range.start);
            let whole = wanted(&name);
            let size = if whole { range.end - range.start } else { PIECE.min(range.end - range.start) };
            let mut bytes = if whole { vec![] } else { std::mem::take(&mut piece) };
            let room = usize::try_from(size).ok().filter(|size| bytes.try_reserve_exact(*size).is_ok());
            bytes.resize(room.ok_or_else(|| wrong(format!("no memory holds its part {name}")))?, 0);
            let mut at = range.start;
            while at < range.end {
                let here = &mut bytes[..(range.end - at).min(size) as usize];
                source.read_at(data + at, here).map_err(io)?;
                hasher.update(&*here);
                at += here.len() as u64;
            }
            if whole {
                kept.insert(name, bytes);
            } else {
                piece = bytes;
                piece.clear();
            }
        }
        if hex(hasher) != sha256 {
            return Err(wrong("its checksum does not match".into()));
        }
        Ok(Self { header, parts: kept })
    }

    /// The header alone. Nothing else of the file is read, so that its checksum stays unknown; but one that was cut, or
    /// is of another kind, is noticed.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn header(path: &Path) -> Result<String, BundleError> {
        let source = files::source(path);
        let source = source.map_err(|source| BundleError::Io { path: path.display().to_string(), source })?;
        Ok(Layout::of(path, &source)?.header)
    }

    /// Takes a part out.
    ///
    /// # Errors
    /// [`BundleError::Damaged`] where there is none of that name.
    pub fn take(&mut self, name: &str) -> Result<Vec<u8>, BundleError> {
        self.parts
            .remove(name)
            .ok_or_else(|| BundleError::Damaged { path: "checkpoint".into(), why: format!("it has no part {name}") })
    }

    fn sorted(&self) -> Vec<(&String, &Vec<u8>)> {
        let mut parts: Vec<_> = self.parts.iter().collect();
        parts.sort();
        parts
    }

    fn hash(&self) -> String {
        let mut hasher = hasher(&self.header);
        for (name, bytes) in self.sorted() {
            begin(&mut hasher, name, bytes.len() as u64);
            hasher.update(bytes);
        }
        hex(hasher)
    }
}

/// What is summed up: the header, and then the name, length and bytes of each part in the order of their names.
fn hasher(header: &str) -> Sha256 {
    let mut hasher = Sha256::new();
    hasher.update(header.as_bytes());
    hasher
}

fn begin(hasher: &mut Sha256, name: &str, length: u64) {
    hasher.update(name.as_bytes());
    hasher.update(length.to_le_bytes());
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where everything in a file lies.
struct Layout {
    header: String,
    sha256: String,
    /// Where each part lies behind `data`, sorted by name.
    parts: BTreeMap<String, Range<u64>>,
    /// Where the parts begin.
    data: u64,
}

impl Layout {
    fn of(path: &Path, source: &impl Source) -> Result<Self, BundleError> {
        let wrong = |why: &str| BundleError::Damaged { path: path.display().to_string(), why: why.into() };
        let io = |source| BundleError::Io { path: path.display().to_string(), source };
        let size = source.len();
        let mut length = [0; 8];
        source.read_at(0, &mut length).map_err(|_| wrong("it is too short"))?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER || length > size.saturating_sub(8) {
            return Err(wrong("it is cut, or no safetensors file"));
        }
        let mut text = vec![0; length as usize];
        source.read_at(8, &mut text).map_err(io)?;
        let mut entries: Map<String, Value> =
            serde_json::from_slice(&text).map_err(|_| wrong("it is no safetensors file"))?;
        let metadata = entries.remove("__metadata__").unwrap_or_default();
        let data = 8 + length;
        let mut parts = BTreeMap::new();
        for (name, entry) in &entries {
            let [start, end] = [0, 1].map(|i| entry["data_offsets"][i].as_u64());
            let range = start.zip(end).filter(|(start, end)| start <= end && *end <= size - data);
            let (start, end) = range.ok_or_else(|| wrong("it is not of the length that it says"))?;
            parts.insert(name.clone(), start..end);
        }
        if parts.values().map(|range| range.end).max().unwrap_or(0) != size - data {
            return Err(wrong("it is not of the length that it says"));
        }
        let Value::String(header) = &metadata["header"] else {
            return Err(BundleError::Foreign { path: path.display().to_string() });
        };
        if entries.values().any(|entry| entry["dtype"] != DTYPE) {
            return Err(wrong("its parts are no bytes"));
        }
        let sha256 = metadata["sha256"].as_str().ok_or_else(|| wrong("it has no checksum"))?;
        Ok(Self { header: header.clone(), sha256: sha256.into(), parts, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_bundle_comes_back_and_any_flipped_byte_or_cut_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.ckpt");
        let parts = [("weights".to_string(), vec![1, 2, 3]), ("state".to_string(), vec![])].into();
        let bundle = Bundle { header: "{\"step\":3}".into(), parts };
        bundle.write(&path).expect("written");
        assert_eq!(Bundle::read(&path).expect("read"), bundle);

        assert_eq!(Bundle::header(&path).expect("read"), bundle.header);
        let part = Bundle::read_where(&path, |name| name == "state").expect("read");
        assert_eq!((part.header, part.parts), (bundle.header.clone(), [("state".to_string(), vec![])].into()));
        let theirs = safetensors::SafeTensors::deserialize(&fs::read(&path).expect("bytes"))
            .map(|file| file.tensor("weights").map(|view| view.data().to_vec()));
        assert_eq!(theirs.expect("a safetensors file").expect("a part"), [1, 2, 3]);

        let good = fs::read(&path).expect("bytes");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).expect("written");
            // A flip may hit JSON whitespace; what must not happen is different content that passes.
            if let Ok(read) = Bundle::read(&path) {
                assert_eq!(read, bundle, "byte {at}");
            }
        }
        for cut in 0..good.len() {
            fs::write(&path, &good[..cut]).expect("written");
            assert!(Bundle::read(&path).is_err() && Bundle::header(&path).is_err(), "cut at {cut}");
        }
    }
}
