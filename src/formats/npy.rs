//! numpy's arrays: one in a file (`npy`), or many in a zip archive (`npz`). Source: `numpy/lib/format.py`.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::layout::{Layout, Packed};
use super::zip::{Member, Method};
use super::{Container, Directory, Dtype, Entry, FormatError, Info, MAX_DIMENSIONS, Source};

/// Longest description of an array, in bytes. numpy's own limit is 10,000.
const MAX_HEADER: usize = 1 << 16;

/// Kinds of numbers as numpy writes them.
pub(super) const KINDS: &[(Dtype, &str)] = &[
    (Dtype::F16, "<f2"),
    (Dtype::F32, "<f4"),
    (Dtype::F64, "<f8"),
    (Dtype::U8, "|u1"),
    (Dtype::I8, "|i1"),
    (Dtype::I16, "<i2"),
    (Dtype::I32, "<i4"),
    (Dtype::I64, "<i8"),
    (Dtype::Bool, "|b1"),
];

/// What an array's header says.
struct Header {
    /// Kind of its numbers; `None` for text, objects and whatever else is no number that is read here.
    dtype: Option<Dtype>,
    /// Whether their bytes lie the other way round.
    big_endian: bool,
    /// Whether its first index runs fastest.
    fortran_order: bool,
    shape: Vec<usize>,
    /// Length of the header, in bytes: the numbers follow.
    len: usize,
}

/// Reads the directory of an archive of arrays. Arrays of text or objects are left out: they are never unpickled. One
/// that cannot be read for another reason says so when it is asked for: the others can be read all the same.
pub(super) fn open_all(source: &dyn Source, members: &BTreeMap<String, Member>) -> Result<Directory, FormatError> {
    let mut arrays = members.iter().filter_map(|(name, member)| Some((name.strip_suffix(".npy")?, member))).peekable();
    if arrays.peek().is_none() {
        return Err(FormatError::Unknown("it is a zip archive, but neither PyTorch's nor numpy's".into()));
    }
    let (mut entries, mut refused) = (BTreeMap::new(), BTreeMap::new());
    for (name, member) in arrays {
        match one(source, member) {
            Ok(Some(entry)) => drop(entries.insert(name.to_owned(), entry)),
            Ok(None) => {}
            Err(FormatError::Io(error)) => return Err(FormatError::Io(error)),
            Err(error) => drop(refused.insert(name.to_owned(), error)),
        }
    }
    if entries.is_empty() {
        return Err(match refused.pop_first() {
            Some((name, FormatError::Unsupported(why))) => {
                FormatError::Unsupported(format!("the array {name:?}: {why}"))
            }
            Some((name, error)) => FormatError::Damaged(format!("the array {name:?}: {error}")),
            None => FormatError::Unsupported("none of its arrays holds numbers".into()),
        });
    }
    let refused = refused.into_iter().map(|(name, error)| (name, error.to_string())).collect();
    Ok(Directory { refused, ..Directory::new(Container::Npz, entries) })
}

/// An array of an archive; `None` where it holds no numbers that are read here.
fn one(source: &dyn Source, member: &Member) -> Result<Option<Entry>, FormatError> {
    let mut reader = member.open(source).map_err(FormatError::Unsupported)?;
    let header = Header::read(&mut *reader).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            FormatError::Damaged(error.to_string())
        }
        _ => FormatError::Io(error),
    })?;
    if header.big_endian {
        return Err(FormatError::Unsupported("its numbers are big-endian".into()));
    }
    let packed = (member.method == Method::Deflated).then_some(Packed { member: *member, skip: header.len });
    let at = if packed.is_some() { 0 } else { member.offset + header.len as u64 };
    let entry = header.entry(at, member.size, source.len()).map_err(FormatError::Damaged)?;
    Ok(entry.map(|entry| Entry { layout: entry.layout.packed(packed), ..entry }))
}

/// Reads a file of one array, called `arr_0` as in an archive.
pub(super) fn open(source: &dyn Source) -> Result<Directory, FormatError> {
    let size = source.len();
    let all = Member { offset: 0, stored: size, size, method: Method::Stored, crc: 0 };
    let open = || {
        let header = Header::read(&mut *all.open(source)?).map_err(|error| error.to_string())?;
        header.entry(header.len as u64, size, size)?.ok_or_else(|| "it holds no numbers that can be read".to_owned())
    };
    let entry = open().map_err(|why| FormatError::Damaged(format!("the array: {why}")))?;
    Ok(Directory::new(Container::Npy, BTreeMap::from([("arr_0".to_owned(), entry)])))
}

impl Header {
    fn read(reader: &mut dyn Read) -> io::Result<Self> {
        let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut start = [0; 8];
        reader.read_exact(&mut start)?;
        let [0x93, b'N', b'U', b'M', b'P', b'Y', version, _] = start else {
            return Err(invalid("it does not begin as numpy's do"));
        };
        let width = if version == 1 { 2 } else { 4 };
        let mut length = [0; 4];
        reader.read_exact(&mut length[..width])?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_HEADER {
            return Err(invalid("its header is absurdly long"));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        Self::parse(&text, 8 + width + length).ok_or_else(|| invalid("its header cannot be understood"))
    }

    /// The header is a dictionary in Python, such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
    fn parse(text: &str, len: usize) -> Option<Self> {
        let value = |key: &str| Some(text.split_once(key)?.1.trim_start().strip_prefix(':')?.trim_start());
        let sizes = value("'shape'")?.strip_prefix('(')?.split_once(')')?.0;
        let sizes = sizes.split(',').map(|size| size.trim().trim_end_matches('L')).filter(|size| !size.is_empty());
        let shape = sizes.take(MAX_DIMENSIONS + 1).map(|size| size.parse().ok()).collect::<Option<Vec<_>>>()?;
        let order = value("'fortran_order'")?;
        let fortran_order = order.starts_with("True");
        // Fields with names of their own are a list here.
        let kind = value("'descr'")?.strip_prefix('\'').and_then(|rest| Some(rest.split_once('\'')?.0)).unwrap_or("");
        let known = fortran_order || order.starts_with("False");
        let dtype = KINDS.iter().find(|(_, known)| *known == kind).map(|(dtype, _)| *dtype);
        // Text may be big-endian too.
        let big_endian = kind.strip_prefix('>').is_some_and(|kind| KINDS.iter().any(|(_, known)| known[1..] == *kind));
        (known && shape.len() <= MAX_DIMENSIONS).then_some(Self { dtype, big_endian, fortran_order, shape, len })
    }

    /// The array as a tensor of a file of `file` bytes: its numbers lie at byte `at`, in the `size` bytes of the
    /// array's own file, where that is not packed.
    fn entry(&self, at: u64, size: u64, file: u64) -> Result<Option<Entry>, String> {
        let Some(dtype) = self.dtype else { return Ok(None) };
        let info = Info { dtype, shape: self.shape.clone() };
        let bytes = size.checked_sub(self.len as u64);
        if bytes.is_none() || info.bytes().map(|bytes| bytes as u64) != bytes {
            return Err(format!("shape {:?} of {dtype} in a file of {size} bytes", info.shape));
        }
        let layout = match self.fortran_order {
            true => {
                let strides = info.shape.iter().scan(1u64, |stride, &size| {
                    let this = *stride;
                    *stride = stride.saturating_mul(size as u64);
                    Some(this)
                });
                Layout::strided(&info, (at, bytes.unwrap_or(0)), 0, &strides.collect::<Vec<_>>(), file)?
            }
            false => Layout::contiguous(at),
        };
        Ok(Some(Entry { info, layout }))
    }
}

#[cfg(test)]
mod tests;
