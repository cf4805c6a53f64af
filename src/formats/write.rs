//! Writing files of named tensors, one tensor at a time: what is written never lies in memory as a whole.

mod zip;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Write;

use self::zip::{Check, Zip};
use super::{FormatError, Info, npy, torch};

/// Writes a `safetensors` file of `tensors`, with `notes` in its header. Equal tensors give equal files.
/// `read` is asked for each tensor's bytes in turn: contiguous, row by row, little-endian.
///
/// # Errors
/// Where `read` fails or gives another number of bytes than its tensor has, and whatever `out` refuses. What was
/// written is then of no use.
pub fn safetensors(
    out: &mut dyn Write,
    tensors: &BTreeMap<String, Info>,
    notes: &BTreeMap<String, String>,
    read: &mut dyn FnMut(&str) -> Result<Vec<u8>, FormatError>,
) -> Result<(), FormatError> {
    // Wide numbers first, so that each lies at a multiple of its size, as the format's own writer has it.
    let mut order: Vec<(&String, &Info)> = tensors.iter().collect();
    order.sort_by_key(|(_, info)| Reverse(info.dtype.size()));
    let mut header = serde_json::Map::new();
    if !notes.is_empty() {
        header.insert("__metadata__".into(), serde_json::json!(notes));
    }
    let mut at = 0;
    for (name, info) in &order {
        let end = bytes(name, info)?.checked_add(at);
        let end = end.ok_or_else(|| FormatError::Written("no memory holds all tensors together".into()))?;
        let entry = serde_json::json!({ "dtype": info.dtype.name(), "shape": info.shape, "data_offsets": [at, end] });
        header.insert((*name).clone(), entry);
        at = end;
    }
    let mut text = serde_json::Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(&text)?;
    for (name, info) in order {
        out.write_all(&tensor(name, info, read)?)?;
    }
    Ok(out.flush()?)
}

/// Writes what `torch.save({'model': OrderedDict(...)}, ...)` writes: `torch.load` gives it back, also with
/// `weights_only=True`. `read` as for [`safetensors()`].
///
/// # Errors
/// As [`safetensors()`].
pub fn torch(
    out: &mut dyn Write,
    tensors: &BTreeMap<String, Info>,
    read: &mut dyn FnMut(&str) -> Result<Vec<u8>, FormatError>,
) -> Result<(), FormatError> {
    // PyTorch maps storages into memory where they begin at multiples of this.
    const ALIGNMENT: u64 = 64;
    let mut zip = Zip::new(out);
    let mut whole = |name: &str, bytes: &[u8]| {
        zip.begin(&format!("model/{name}"), bytes.len() as u64, Check::Known(checksum(bytes)), ALIGNMENT)?;
        zip.write(bytes)?;
        zip.end()
    };
    whole("data.pkl", &pickle(tensors)?)?;
    whole("byteorder", b"little")?;
    for (index, (name, info)) in tensors.iter().enumerate() {
        whole(&format!("data/{index}"), &tensor(name, info, read)?)?;
    }
    whole("version", b"3\n")?;
    zip.finish()?;
    Ok(())
}

/// The pickle of `{'model': OrderedDict(...)}` in protocol 2, whose tensors are views of the storages `0`, `1`, …
fn pickle(tensors: &BTreeMap<String, Info>) -> Result<Vec<u8>, FormatError> {
    fn text(out: &mut Vec<u8>, text: &str) {
        out.push(b'X');
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    }
    fn number(out: &mut Vec<u8>, number: usize) {
        match (u8::try_from(number), i32::try_from(number)) {
            (Ok(number), _) => out.extend([b'K', number]),
            (_, Ok(number)) => {
                out.push(b'J');
                out.extend(number.to_le_bytes());
            }
            _ => {
                out.extend([0x8a, 8]);
                out.extend((number as u64).to_le_bytes());
            }
        }
    }
    fn tuple(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = usize>) {
        out.push(b'(');
        numbers.into_iter().for_each(|size| number(out, size));
        out.push(b't');
    }
    const EMPTY: &[u8] = b"ccollections\nOrderedDict\n)R";
    let mut out = b"\x80\x02}".to_vec();
    text(&mut out, "model");
    out.extend(EMPTY);
    out.push(b'(');
    for (index, (name, info)) in tensors.iter().enumerate() {
        let class =
            torch::objects::CLASSES.iter().find(|(dtype, _)| *dtype == info.dtype).map_or("", |(_, class)| class);
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(format!("ctorch\n{class}Storage\n").as_bytes());
        text(&mut out, &index.to_string());
        text(&mut out, "cpu");
        number(&mut out, bytes(name, info)? / info.dtype.size());
        out.extend(b"tQK\0");
        tuple(&mut out, info.shape.iter().copied());
        // The product of all sizes that follow; the sizes of an empty tensor count as one, as in PyTorch.
        let after = |axis: usize| {
            info.shape[axis + 1..].iter().fold(1usize, |product, &size| product.saturating_mul(size.max(1)))
        };
        tuple(&mut out, (0..info.shape.len()).map(after));
        out.push(0x89);
        out.extend(EMPTY);
        out.extend(b"tR");
    }
    out.extend(b"us.");
    Ok(out)
}

/// An archive of arrays as `numpy.savez` writes it, each written in as many parts as one likes.
pub struct Npz<W: Write> {
    zip: Zip<W>,
}

impl<W: Write> Npz<W> {
    /// An archive without arrays.
    pub fn new(out: W) -> Self {
        Self { zip: Zip::new(out) }
    }

    /// Begins the array `name`; the one before must be complete.
    ///
    /// # Errors
    /// Where the array before lacks bytes, or numpy has no such numbers (bfloat16); whatever the file system refuses.
    pub fn array(&mut self, name: &str, info: &Info) -> Result<(), FormatError> {
        let Some((_, kind)) = npy::KINDS.iter().find(|(dtype, _)| *dtype == info.dtype) else {
            return Err(FormatError::Written(format!("numpy has no {} for the array {name:?}", info.dtype)));
        };
        let sizes: String = info.shape.iter().map(|size| format!("{size}, ")).collect();
        // One size needs its comma, more do without the last.
        let sizes = if info.shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
        let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sizes}), }}");
        // The numbers begin at a multiple of 64 bytes; the last of the header is a line break.
        let filled = (10 + header.len() + 1).next_multiple_of(64) - 11;
        header.extend(std::iter::repeat_n(' ', filled - header.len()));
        header.push('\n');
        let size = 10 + header.len() as u64 + bytes(name, info)? as u64;
        self.zip.end()?;
        self.zip.begin(&format!("{name}.npy"), size, Check::Computed, 1)?;
        self.zip.write(b"\x93NUMPY\x01\0")?;
        self.zip.write(&(header.len() as u16).to_le_bytes())?;
        self.zip.write(header.as_bytes())
    }

    /// Writes more of the array that was begun last: row by row, little-endian.
    ///
    /// # Errors
    /// Where that is more than it has; whatever the file system refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        self.zip.write(bytes)
    }

    /// Writes the archive's directory; gives back what was written to.
    ///
    /// # Errors
    /// Where the last array lacks bytes; whatever the file system refuses.
    pub fn finish(mut self) -> Result<W, FormatError> {
        self.zip.end()?;
        self.zip.finish()
    }
}

/// Bytes of a tensor that is to be written.
fn bytes(name: &str, info: &Info) -> Result<usize, FormatError> {
    info.bytes().ok_or_else(|| FormatError::Written(format!("no memory holds {name:?} of shape {:?}", info.shape)))
}

/// A tensor's bytes, of which there must be as many as it has.
fn tensor(
    name: &str,
    info: &Info,
    read: &mut dyn FnMut(&str) -> Result<Vec<u8>, FormatError>,
) -> Result<Vec<u8>, FormatError> {
    let (found, expected) = (read(name)?, bytes(name, info)?);
    if found.len() != expected {
        return Err(FormatError::Written(format!("{name:?} has {} bytes instead of {expected}", found.len())));
    }
    Ok(found)
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

#[cfg(test)]
mod tests;
