//! One file that holds everything of a checkpoint, and knows whether it is whole.
//!
//! The container is safetensors, so any reader of it can look inside: each part is a `U8` tensor, and the metadata
//! carries a JSON header and the SHA-256 of all parts. A file that was cut, flipped or half written is refused.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::files;

/// Files beyond this size are not ours and are not read into memory.
const MAX_BYTES: u64 = 16 << 30;
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
    /// Writes the bundle to `path`, wholly or not at all.
    ///
    /// # Errors
    /// [`BundleError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), BundleError> {
        let wrong = |why: String| BundleError::Damaged { path: path.display().to_string(), why };
        let mut views = vec![];
        for (name, bytes) in &self.parts {
            let view = TensorView::new(Dtype::U8, vec![bytes.len()], bytes).map_err(|e| wrong(e.to_string()))?;
            views.push((name.as_str(), view));
        }
        let metadata = [("header".to_string(), self.header.clone()), ("sha256".to_string(), self.hash())].into();
        let bytes = serialize(views, Some(metadata)).map_err(|e| wrong(e.to_string()))?;
        files::write_atomic(path, &bytes).map_err(|source| BundleError::Io { path: path.display().to_string(), source })
    }

    /// Reads and checks the bundle at `path`.
    ///
    /// # Errors
    /// [`BundleError::Io`], or [`BundleError::Damaged`] where a single bit differs from what was written.
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let io = |source| BundleError::Io { path: path.display().to_string(), source };
        let wrong = |why: String| BundleError::Damaged { path: path.display().to_string(), why };
        let size = files::metadata(path).map_err(io)?.len;
        if size > MAX_BYTES {
            return Err(wrong(format!("{size} bytes is no checkpoint of ours")));
        }
        let bytes = files::read(path).map_err(io)?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| wrong(e.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| wrong(e.to_string()))?;
        let metadata = header.metadata().as_ref().ok_or_else(|| wrong("it has no header".into()))?;
        let text = |key: &str| metadata.get(key).cloned().ok_or_else(|| wrong(format!("it has no {key}")));
        let bundle = Self {
            header: text("header")?,
            parts: file.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect(),
        };
        if bundle.hash() != text("sha256")? {
            return Err(wrong("its checksum does not match".into()));
        }
        Ok(bundle)
    }

    /// The header alone. Nothing else of the file is read, so that its checksum stays unknown; but one that was cut, or
    /// is of another kind, is noticed.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn header(path: &Path) -> Result<String, BundleError> {
        let io = |source| BundleError::Io { path: path.display().to_string(), source };
        let wrong = |why: &str| BundleError::Damaged { path: path.display().to_string(), why: why.into() };
        let size = files::metadata(path).map_err(io)?.len;
        let mut file = files::open(path).map_err(io)?;
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| wrong("it is too short"))?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER || length > size.saturating_sub(8) {
            return Err(wrong("it is cut, or no safetensors file"));
        }
        let mut text = Vec::new();
        file.take(length).read_to_end(&mut text).map_err(io)?;
        let mut entries: Map<String, Value> =
            serde_json::from_slice(&text).map_err(|_| wrong("it is no safetensors file"))?;
        let metadata = entries.remove("__metadata__");
        let end = entries.values().filter_map(|entry| entry["data_offsets"][1].as_u64()).max().unwrap_or(0);
        if size - 8 - length != end {
            return Err(wrong("it is not of the length that it says"));
        }
        match metadata.as_ref().map(|metadata| &metadata["header"]) {
            Some(Value::String(header)) => Ok(header.clone()),
            _ => Err(BundleError::Foreign { path: path.display().to_string() }),
        }
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

    fn hash(&self) -> String {
        let mut names: Vec<&String> = self.parts.keys().collect();
        names.sort();
        let mut hasher = Sha256::new();
        hasher.update(self.header.as_bytes());
        for name in names {
            hasher.update(name.as_bytes());
            hasher.update((self.parts[name].len() as u64).to_le_bytes());
            hasher.update(&self.parts[name]);
        }
        hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()
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
