//! PyTorch's checkpoints: a pickle that describes tensors, and the storages that they are views of, each a member of a
//! zip archive (`torch/csrc/jit/serialization`, `torch/serialization.py`) or, before PyTorch 1.6, one after the other
//! (`_legacy_load`). TorchScript archives are the same with modules in place of dictionaries.

mod names;
pub(super) mod objects;

use std::collections::BTreeMap;

use self::objects::{Storage, Tensor};
use super::layout::Layout;
use super::pickle::{self, Pickle, Trouble, Value};
use super::zip::{Member, Method};
use super::{Container, Directory, Entry, FormatError, Info, Source, reserve};

/// Longest pickle accepted, in bytes. The largest published network here needs some 200 kB, three times
/// that with an optimiser.
const MAX_PICKLE: u64 = 16 << 20;
/// Longest name of a storage.
const MAX_KEY: usize = 256;
/// What the first pickle of a file from before PyTorch 1.6 holds (`MAGIC_NUMBER`), little-endian.
const MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

type Members = BTreeMap<String, Member>;
/// Where a storage lies: its first byte, and how many it has.
type Place = (u64, u64);
/// Finds a storage by its name.
type Find<'a> = &'a dyn Fn(&[u8]) -> Result<Place, FormatError>;

/// The folder of a zip archive that has PyTorch's pickle in it; `None` where none has.
pub(super) fn folder(members: &Members) -> Result<Option<&str>, FormatError> {
    let mut folders = members.keys().filter_map(|name| name.strip_suffix("/data.pkl")).filter(|f| !f.contains('/'));
    let folder = folders.next();
    match folders.next() {
        Some(_) => Err(FormatError::Damaged("two folders of the zip archive have a data.pkl".into())),
        None => Ok(folder),
    }
}

/// Reads the pickle of a zip archive.
pub(super) fn open(source: &dyn Source, members: &Members, folder: &str) -> Result<Directory, FormatError> {
    let stored = |name: &str| -> Result<Option<&Member>, FormatError> {
        match members.get(&format!("{folder}/{name}")) {
            Some(member) if member.method != Method::Stored => Err(FormatError::Unsupported(format!(
                "its member {name} is compressed, which torch.save never does; pack it again without compression"
            ))),
            member => Ok(member),
        }
    };
    if let Some(order) = stored("byteorder")?
        && read(source, order.offset, order.size.min(16))? == b"big"
    {
        return Err(big_endian());
    }
    let Some(member) = stored("data.pkl")? else {
        return Err(FormatError::Damaged("the zip archive has no data.pkl".into()));
    };
    if member.size > MAX_PICKLE {
        return Err(FormatError::Unsupported(format!("its pickle has {} bytes", member.size)));
    }
    let bytes = read(source, member.offset, member.size)?;
    let pickle = pickle::run(&bytes, 0).map_err(trouble)?;
    let is_script = members.contains_key(&format!("{folder}/constants.pkl"))
        || members.keys().any(|name| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with("/code/")));
    let container = if is_script { Container::TorchScript } else { Container::TorchZip };
    directory(container, source.len(), &pickle, &|key| {
        let key = String::from_utf8_lossy(key);
        let member = stored(&format!("data/{key}"))?
            .ok_or_else(|| FormatError::Damaged(format!("the member data/{key} of the zip archive is missing")))?;
        Ok((member.offset, member.size))
    })
}

/// Whether a file that starts with these bytes is one from before PyTorch 1.6.
pub(super) fn is_legacy(start: &[u8]) -> bool {
    pickle::run(start, 0).is_ok_and(|magic| matches!(magic.root, Value::Long(number) if number.of(start) == MAGIC))
}

/// Reads the pickles of a file from before PyTorch 1.6.
pub(super) fn open_legacy(source: &dyn Source) -> Result<Directory, FormatError> {
    let len = source.len();
    let mut have = 1 << 16;
    loop {
        have = len.min(MAX_PICKLE).min(have);
        let bytes = read(source, 0, have)?;
        match Legacy::read(&bytes) {
            Ok(legacy) if legacy.big_endian => return Err(big_endian()),
            Ok(legacy) => {
                let storages = legacy.storages(source)?;
                let find = |key: &[u8]| match storages.get(key) {
                    Some(place) => Ok(*place),
                    None => Err(FormatError::Damaged(format!("the storage {} is missing", key.escape_ascii()))),
                };
                return directory(Container::TorchLegacy, len, &legacy.pickle, &find);
            }
            // How long the pickles are shows only as they are run.
            Err(Trouble::Short) if have < len.min(MAX_PICKLE) => have *= 8,
            Err(Trouble::Short) if len > MAX_PICKLE => {
                return Err(FormatError::Unsupported(format!("its pickle has more than {MAX_PICKLE} bytes")));
            }
            Err(error) => return Err(trouble(error)),
        }
    }
}

/// The pickles of a file from before PyTorch 1.6.
struct Legacy<'a> {
    /// What was saved.
    pickle: Pickle<'a>,
    /// Names of the storages, in the order in which they follow.
    keys: Pickle<'a>,
    big_endian: bool,
}

impl<'a> Legacy<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Trouble> {
        let magic = pickle::run(bytes, 0)?;
        let version = pickle::run(bytes, magic.end)?;
        if version.root != Value::Int(1001) {
            return Err(Trouble::Bad("it is not of version 1001, the only one there was".into()));
        }
        let system = pickle::run(bytes, version.end)?;
        let order = system.heap.dict(system.root).and_then(|dict| system.get(dict, "little_endian"));
        let big_endian = order == Some(Value::Bool(false));
        let pickle = pickle::run(bytes, system.end)?;
        let keys = pickle::run(bytes, pickle.end)?;
        Ok(Self { pickle, keys, big_endian })
    }

    /// Where each storage lies.
    fn storages(&self, source: &dyn Source) -> Result<BTreeMap<&[u8], Place>, FormatError> {
        let Value::List(keys) = self.keys.root else {
            return Err(FormatError::Damaged("its list of storages is none".into()));
        };
        let text = |storage: &Storage| storage.key.of(self.pickle.bytes);
        let short = self.pickle.heap.storages.iter().filter(|storage| storage.key.len as usize <= MAX_KEY);
        let sizes: BTreeMap<_, _> = short.map(|storage| (text(storage), storage.element.size)).collect();
        let (mut at, len) = (self.keys.end as u64, source.len());
        let mut places = BTreeMap::new();
        for key in &self.keys.heap.lists[keys as usize] {
            let key = self.keys.text(*key).filter(|key| key.len() <= MAX_KEY);
            let Some((key, size)) = key.and_then(|key| Some((key, *sizes.get(key)?))) else {
                return Err(FormatError::Damaged("it has a storage that no tensor is a view of".into()));
            };
            let what = format!("the storage {}", key.escape_ascii());
            if at + 8 > len {
                return Err(FormatError::cut(&what, at + 8, len));
            }
            let mut count = [0; 8];
            source.read_at(at, &mut count)?;
            let end = u64::from_le_bytes(count).checked_mul(size.into()).and_then(|bytes| bytes.checked_add(at + 8));
            let Some(end) = end.filter(|&end| end <= len) else {
                return Err(FormatError::cut(&what, end.unwrap_or(u64::MAX), len));
            };
            if places.insert(key, (at + 8, end - at - 8)).is_some() {
                return Err(FormatError::Damaged(format!("{what} is there twice")));
            }
            at = end;
        }
        Ok(places)
    }
}

/// Puts names, shapes and places together.
fn directory(container: Container, len: u64, pickle: &Pickle, find: Find) -> Result<Directory, FormatError> {
    let mut entries = BTreeMap::new();
    let named = names::named(pickle, container == Container::TorchScript)?;
    for (name, tensor) in named.tensors {
        let entry = entry(len, pickle, &pickle.heap.tensors[tensor as usize], find).map_err(|error| match error {
            FormatError::Damaged(why) => FormatError::Damaged(format!("the tensor {name:?}: {why}")),
            error => error,
        })?;
        entries.insert(name, entry);
    }
    Ok(Directory { wrapper: named.wrapper, ..Directory::new(container, entries) })
}

fn entry(len: u64, pickle: &Pickle, tensor: &Tensor, find: Find) -> Result<Entry, FormatError> {
    let damaged = |why: &str| FormatError::Damaged(why.into());
    let storage = &pickle.heap.storages[tensor.storage as usize];
    if storage.key.len as usize > MAX_KEY {
        return Err(damaged("its storage has no sound name"));
    }
    if tensor.shape.len.max(tensor.strides.len) as usize > super::MAX_DIMENSIONS {
        return Err(damaged("it has too many dimensions"));
    }
    let numbers = |span: pickle::Span| -> Option<Vec<u64>> {
        span.of(&pickle.heap.tuples).iter().map(|&value| objects::whole(value)).collect()
    };
    let shape = numbers(tensor.shape).and_then(|shape| shape.into_iter().map(|n| usize::try_from(n).ok()).collect());
    let (Some(shape), Some(strides)) = (shape, numbers(tensor.strides)) else {
        return Err(damaged("its shape or strides are no numbers"));
    };
    let (at, stored) = find(storage.key.of(pickle.bytes))?;
    let size = u64::from(storage.element.size);
    // The whole storage, or the part of it that this one is.
    let part = storage.first.checked_mul(size).zip(storage.count.checked_mul(size));
    let Some((skip, bytes)) = part.filter(|(skip, bytes)| skip.checked_add(*bytes).is_some_and(|end| end <= stored))
    else {
        return Err(damaged(&format!("{} numbers are said to lie in {stored} bytes", storage.count)));
    };
    let info = Info { dtype: tensor.dtype, shape };
    let layout = Layout::strided(&info, (at + skip, bytes), tensor.first, &strides, len);
    Ok(Entry { layout: layout.map_err(FormatError::Damaged)?, info })
}

fn read(source: &dyn Source, at: u64, len: u64) -> Result<Vec<u8>, FormatError> {
    let mut bytes = reserve(len as usize)?;
    source.read_at(at, &mut bytes)?;
    Ok(bytes)
}

fn trouble(trouble: Trouble) -> FormatError {
    match trouble {
        Trouble::Short => FormatError::Cut("its pickle goes on after the end".into()),
        Trouble::Bad(why) => FormatError::Damaged(format!("its pickle: {why}")),
    }
}

fn big_endian() -> FormatError {
    FormatError::Unsupported("its numbers are big-endian; save it again on a usual computer".into())
}

#[cfg(test)]
mod tests;
