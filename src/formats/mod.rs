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
pub mod write;
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
    /// It would not hold what it should.
    #[error("the file cannot be written: {0}")]
    Written(String),
    /// A number of a tensor is infinite or none, or would be in the precision that is asked for.
    #[error("the tensor {name:?} holds {number}, which is no finite number in {dtype}: {}", 
        if .number.is_finite() { "keep it in single precision" } else { "the file is of no use, take another" })]
    NotFinite {
        /// The tensor.
        name: String,
        /// What it holds.
        number: f32,
        /// What it was to be.
        dtype: Dtype,
    },
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
    /// What the tensors were wrapped in.
    wrapper: Option<&'static str>,
    /// Tensors that cannot be read, though the others can, and why.
    refused: BTreeMap<String, String>,
}

impl Directory {
    fn new(container: Container, entries: BTreeMap<String, Entry>) -> Self {
        Self { container, entries, notes: BTreeMap::new(), wrapper: None, refused: BTreeMap::new() }
    }

    /// The same without what `DistributedDataParallel` (`module.`) and `torch.compile` (`_orig_mod.`) put before every
    /// name.
    fn without_prefixes(mut self) -> Self {
        const PREFIXES: [&str; 2] = ["module.", "_orig_mod."];
        let (Some((first, _)), Some((last, _))) = (self.entries.first_key_value(), self.entries.last_key_value())
        else {
            return self;
        };
        // Names are in order: what the first and the last share, all share.
        let shared = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
        let mut len = 0;
        while let Some(prefix) = PREFIXES.iter().find(|prefix| first[len..].starts_with(*prefix)) {
            if len + prefix.len() > shared || len + prefix.len() == first.len() {
                break;
            }
            len += prefix.len();
        }
        if len > 0 {
            let entries = std::mem::take(&mut self.entries);
            self.entries = entries.into_iter().map(|(name, entry)| (name[len..].to_owned(), entry)).collect();
        }
        self
    }
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
        let directory = match open(&*source)? {
            // Whatever stands before an attribute of TorchScript or an array is its name.
            found if matches!(found.container, Container::TorchScript | Container::Npz | Container::Npy) => found,
            found => found.without_prefixes(),
        };
        Ok(Self { source, directory })
    }

    /// How the file holds its tensors.
    pub fn container(&self) -> Container {
        self.directory.container
    }

    /// What the tensors were wrapped in, such as `model` for `{'model': …}`; `None` for nothing, and where a container
    /// has no such thing.
    pub fn wrapper(&self) -> Option<&'static str> {
        self.directory.wrapper
    }

    /// The names of all tensors, in alphabetical order. What PyTorch's checkpoints wrap them in (`{'model': …}`,
    /// `{'state_dict': …}`) is taken off, and so are `module.` and `_orig_mod.` where every name of a checkpoint or of a
    /// safetensors file begins with them.
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

    /// The numbers of a tensor as bytes, row by row, little-endian, in its own kind or, floats, as `dtype`: single or half
    /// precision. All of them are finite.
    ///
    /// # Errors
    /// As [`Tensors::f32`]; [`FormatError::NotFinite`] where a number is not finite, or too large for `dtype`.
    pub fn finite(&self, name: &str, dtype: Dtype) -> Result<Vec<u8>, FormatError> {
        if self.entry(name)?.info.dtype == dtype {
            let bytes = self.bytes(name)?;
            match dtype {
                Dtype::F16 => check(name, dtype, bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32())),
                Dtype::BF16 => check(name, dtype, bytes.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32())),
                Dtype::F32 => check(name, dtype, bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))),
                _ => Ok(()),
            }?;
            return Ok(bytes);
        }
        let numbers = self.f32(name)?;
        check(name, dtype, numbers.iter().copied())?;
        Ok(match dtype {
            Dtype::F16 => numbers.iter().flat_map(|&number| f16::from_f32(number).to_le_bytes()).collect(),
            _ => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        })
    }

    /// The free-form notes of the file: `safetensors` metadata; empty elsewhere.
    pub fn notes(&self) -> &BTreeMap<String, String> {
        &self.directory.notes
    }

    fn entry(&self, name: &str) -> Result<&Entry, FormatError> {
        self.directory.entries.get(name).ok_or_else(|| match self.directory.refused.get(name) {
            Some(why) => FormatError::Unsupported(format!("the tensor {name:?}: {why}")),
            None => FormatError::Missing(name.to_owned()),
        })
    }
}

impl fmt::Debug for Tensors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensors({}, {} tensors)", self.container(), self.directory.entries.len())
    }
}

/// Fails at the first number that is not finite once it is a `dtype`.
pub(crate) fn check(name: &str, dtype: Dtype, mut numbers: impl Iterator<Item = f32>) -> Result<(), FormatError> {
    let unsound = |&number: &f32| match dtype {
        Dtype::F16 => !f16::from_f32(number).is_finite(),
        _ => !number.is_finite(),
    };
    match numbers.find(unsound) {
        Some(number) => Err(FormatError::NotFinite { name: name.to_owned(), number, dtype }),
        None => Ok(()),
    }
}

/// Tells the container by its first bytes, and reads its directory.
fn open(source: &dyn Source) -> Result<Directory, FormatError> {
    let mut start = vec![0; source.len().min(64) as usize];
    source.read_at(0, &mut start)?;
    match start.as_slice() {
        // A safetensors file begins with a length, whose bytes may be anything but these: it would be absurd.
        [b'P', b'K', 3, 4, ..] => {
            let members = zip::members(source)?;
            match torch::folder(&members)? {
                Some(folder) => torch::open(source, &members, folder),
                None => npy::open_all(source, &members),
            }
        }
        [0x80, ..] if torch::is_legacy(&start) => torch::open_legacy(source),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => npy::open(source),
        [_, _, _, _, _, _, _, _, b'{', ..] => safetensors::open(source),
        [0x80, 2..=5, ..] => Err(FormatError::Unknown("it is a pickle, but none that torch.save wrote".into())),
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
