//! Files of named tensors: safetensors, PyTorch's checkpoints, numpy's archives. Read without running anything that
//! is in them, one tensor at a time.
//!
//! A file is opened by reading its directory only; every size in it is checked against the file before a byte is
//! reserved for it. Nothing here knows a network or a device: names, shapes and bytes are all there is.

mod layout;
mod npy;
mod pickle;
mod safetensors;
mod torch;
mod zip;

use std::collections::BTreeMap;
use std::fmt;

use half::{bf16, f16};
use thiserror::Error;

use self::layout::Layout;
pub use crate::platform::source::Source;

/// Most dimensions that a tensor may have.
const MAX_DIMENSIONS: usize = 8;

/// Kinds of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// Half precision: 5 bits of exponent, 10 of fraction.
    F16,
    /// The upper half of an [`Dtype::F32`].
    BF16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Bytes.
    U8,
    /// Signed bytes.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// One byte each: 0 or 1.
    Bool,
}

impl Dtype {
    /// Bytes that one number takes.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    /// Whether it is a floating-point number.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    /// What `safetensors` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::F32 => "F32",
            Self::F64 => "F64",
            Self::U8 => "U8",
            Self::I8 => "I8",
            Self::I16 => "I16",
            Self::I32 => "I32",
            Self::I64 => "I64",
            Self::Bool => "BOOL",
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is known of a tensor without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Kind of its numbers.
    pub dtype: Dtype,
    /// Its shape; empty for a single number.
    pub shape: Vec<usize>,
}

impl Info {
    /// Bytes that its numbers take; `None` where no computer could hold them.
    pub fn bytes(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape.iter().try_fold(self.dtype.size(), |bytes, &size| bytes.checked_mul(size))
    }
}

/// How a file holds its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// `safetensors`.
    Safetensors,
    /// What `torch.save` writes since PyTorch 1.6.
    TorchZip,
    /// What it wrote before.
    TorchLegacy,
    /// What `torch.jit.save` writes.
    TorchScript,
    /// What `numpy.savez` and `numpy.savez_compressed` write.
    Npz,
    /// What `numpy.save` writes: one tensor, called `arr_0` here.
    Npy,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::TorchZip => "PyTorch (zip)",
            Self::TorchLegacy => "PyTorch (before 1.6)",
            Self::TorchScript => "TorchScript",
            Self::Npz => "npz",
            Self::Npy => "npy",
        })
    }
}

/// Why a file of tensors could not be read or written.
#[derive(Debug, Error)]
pub enum FormatError {
    /// The file system refused.
    #[error("the file cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// It is something else.
    #[error("not a file of tensors: {0}")]
    Unknown(String),
    /// A part of it is missing, which the words name.
    #[error("the file is cut short: {0}; copy or download it again")]
    Cut(String),
    /// It contradicts itself.
    #[error("damaged file: {0}")]
    Damaged(String),
    /// It is sound, but holds what is not read here.
    #[error("this file cannot be read: {0}")]
    Unsupported(String),
    /// No tensor has this name.
    #[error("the file has no tensor {0:?}")]
    Missing(String),
    /// The tensor's numbers are no floats.
    #[error("the tensor {name:?} holds {dtype} where floating-point numbers are needed")]
    NotFloat {
        /// The tensor.
        name: String,
        /// What it holds.
        dtype: Dtype,
    },
}

impl FormatError {
    /// For a part that should reach to byte `end` of a file that has `len` bytes only.
    fn cut(what: &str, end: u64, len: u64) -> Self {
        Self::Cut(format!("{what} should reach to byte {end}, but the file has {len}"))
    }
}

/// A tensor of a file: what it is, and where its bytes lie.
#[derive(Debug)]
struct Entry {
    info: Info,
    layout: Layout,
}

/// What a reader of one container finds.
struct Directory {
    container: Container,
    entries: BTreeMap<String, Entry>,
    notes: BTreeMap<String, String>,
}

/// An open file of named tensors, whatever its container; each tensor is read only when asked for.
pub struct Tensors {
    source: Box<dyn Source>,
    directory: Directory,
}

impl Tensors {
    /// Opens a file; its container is told by its content.
    ///
    /// # Errors
    /// Where it is none of the [`Container`]s, or is damaged or cut short.
    pub fn open(source: impl Source + 'static) -> Result<Self, FormatError> {
        let source: Box<dyn Source> = Box::new(source);
        let directory = open(&*source)?;
        Ok(Self { source, directory })
    }

    /// How the file holds its tensors.
    pub fn container(&self) -> Container {
        self.directory.container
    }

    /// The names of all tensors, in alphabetical order. What checkpoints wrap them in (`{'model': …}`,
    /// `{'state_dict': …}`, a prefix `module.`) is taken off.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.directory.entries.keys().map(String::as_str)
    }

    /// What is known of a tensor.
    pub fn info(&self, name: &str) -> Option<&Info> {
        self.directory.entries.get(name).map(|entry| &entry.info)
    }

    /// The numbers of a tensor as bytes: contiguous, row by row, little-endian.
    ///
    /// # Errors
    /// Where there is no such tensor, or the file cannot be read there.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, FormatError> {
        let Entry { info, layout } = self.entry(name)?;
        let mut bytes = reserve(info.bytes().unwrap_or(usize::MAX))?;
        layout.read(&*self.source, info, &mut bytes)?;
        Ok(bytes)
    }

    /// The numbers of a tensor, row by row: floats of any width, widened or narrowed.
    ///
    /// # Errors
    /// As [`Tensors::bytes`]; where its numbers are no floats.
    pub fn f32(&self, name: &str) -> Result<Vec<f32>, FormatError> {
        let Entry { info, layout } = self.entry(name)?;
        let bytes = match info.dtype {
            Dtype::F32 => {
                let mut numbers = reserve::<f32>(info.bytes().unwrap_or(usize::MAX) / 4)?;
                layout.read(&*self.source, info, bytemuck::cast_slice_mut(&mut numbers))?;
                for number in &mut numbers {
                    *number = f32::from_bits(u32::from_le(number.to_bits()));
                }
                return Ok(numbers);
            }
            Dtype::F16 | Dtype::BF16 | Dtype::F64 => self.bytes(name)?,
            dtype => return Err(FormatError::NotFloat { name: name.to_owned(), dtype }),
        };
        Ok(match info.dtype {
            Dtype::F16 => bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
            Dtype::BF16 => bytes.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
            _ => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        })
    }

    /// The free-form notes of the file: `safetensors` metadata; empty elsewhere.
    pub fn notes(&self) -> &BTreeMap<String, String> {
        &self.directory.notes
    }

    fn entry(&self, name: &str) -> Result<&Entry, FormatError> {
        self.directory.entries.get(name).ok_or_else(|| FormatError::Missing(name.to_owned()))
    }
}

/// Tells the container by its first bytes, and reads its directory.
fn open(source: &dyn Source) -> Result<Directory, FormatError> {
    let mut start = vec![0; source.len().min(64) as usize];
    source.read_at(0, &mut start)?;
    match start.as_slice() {
        [_, _, _, _, _, _, _, _, b'{', ..] => safetensors::open(source),
        [b'P', b'K', 3, 4, ..] => {
            let members = zip::members(source)?;
            match torch::folder(&members)? {
                Some(folder) => torch::open(source, &members, folder),
                None => npy::open_all(source, &members),
            }
        }
        [0x80, ..] if torch::is_legacy(&start) => torch::open_legacy(source),
        [0x80, 2..=5, ..] => Err(FormatError::Unknown("it is a pickle, but none that torch.save wrote".into())),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => npy::open(source),
        [] => Err(FormatError::Unknown("it is empty".into())),
        _ => Err(FormatError::Unknown(begins(&start))),
    }
}

/// What a stranger's file looks like, so that its owner knows what it is.
fn begins(start: &[u8]) -> String {
    let text = start.trim_ascii_start();
    if text.starts_with(b"<") {
        return "it is a web page; download the file itself".into();
    }
    if text.starts_with(b"version https://git-lfs") {
        return "it is a pointer of Git LFS; fetch the file itself with `git lfs pull`".into();
    }
    format!("it begins with \"{}\"", start[..start.len().min(16)].escape_ascii())
}

/// `count` zeros, or an error where there is no memory for them.
fn reserve<T: bytemuck::Zeroable + Clone>(count: usize) -> Result<Vec<T>, FormatError> {
    let mut numbers = vec![];
    numbers.try_reserve_exact(count).map_err(|_| {
        let bytes = count.saturating_mul(size_of::<T>());
        FormatError::Unsupported(format!("a tensor of {bytes} bytes does not fit into memory"))
    })?;
    numbers.resize(count, T::zeroed());
    Ok(numbers)
}

#[cfg(test)]
mod tests;
