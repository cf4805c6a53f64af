//! The directory of a `safetensors` file: eight bytes that tell the length of a header, the header in JSON, and the
//! tensors back to back (<https://github.com/huggingface/safetensors>, "Format").

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::layout::Layout;
use super::{Container, Directory, Dtype, Entry, FormatError, Info, MAX_DIMENSIONS, Source, reserve};

/// Longest header accepted, in bytes. The largest published network here has some 1200 tensors: well below 1 MiB.
const MAX_HEADER: u64 = 32 << 20;

/// Reads the directory; the tensors must lie back to back and end exactly where the file does.
pub(super) fn open(source: &dyn Source) -> Result<Directory, FormatError> {
    let len = source.len();
    let mut length = [0; 8];
    source.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(FormatError::Damaged(format!("a safetensors header of {length} bytes")));
    }
    let start = 8 + length;
    if start > len {
        return Err(FormatError::cut("the header", start, len));
    }
    let mut text = reserve(length as usize)?;
    source.read_at(8, &mut text)?;
    let header: Header =
        serde_json::from_slice(&text).map_err(|e| FormatError::Damaged(format!("the safetensors header: {e}")))?;

    let mut tensors = header.tensors;
    tensors.sort_by_key(|(_, raw)| raw.data_offsets);
    let mut entries = BTreeMap::new();
    let mut next = 0;
    for (name, raw) in tensors {
        let dtype = dtype(&raw.dtype)
            .ok_or_else(|| FormatError::Unsupported(format!("the tensor {name:?} holds {}", raw.dtype)))?;
        let info = Info { dtype, shape: raw.shape };
        let (from, to) = raw.data_offsets;
        let fits = from == next && to >= from && info.bytes().is_some_and(|bytes| to - from == bytes as u64);
        if !fits || info.shape.len() > MAX_DIMENSIONS {
            let Info { dtype, shape } = info;
            let why = format!("the tensor {name:?} ({dtype} {shape:?}) is said to lie in bytes {from} to {to}");
            return Err(FormatError::Damaged(why));
        }
        let end = start.saturating_add(to);
        if end > len {
            return Err(FormatError::cut(&format!("the tensor {name:?}"), end, len));
        }
        next = to;
        let layout = Layout::contiguous(start + from);
        if let Some(Entry { .. }) = entries.insert(name.clone(), Entry { info, layout }) {
            return Err(FormatError::Damaged(format!("two tensors are called {name:?}")));
        }
    }
    if start + next != len {
        return Err(FormatError::Damaged(format!("{} bytes follow the last tensor", len - start - next)));
    }
    Ok(Directory { notes: header.notes, ..Directory::new(Container::Safetensors, entries) })
}

fn dtype(name: &str) -> Option<Dtype> {
    use Dtype::{BF16, Bool, F16, F32, F64, I8, I16, I32, I64, U8};
    [F16, BF16, F32, F64, U8, I8, I16, I32, I64, Bool].into_iter().find(|dtype| dtype.name() == name)
}

/// One tensor as the header describes it.
#[derive(serde::Deserialize)]
struct Raw {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// The header, with names that occur twice still in it: a map would hide them.
#[derive(Default)]
struct Header {
    tensors: Vec<(String, Raw)>,
    notes: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name != "__metadata__" {
                        header.tensors.push((name, map.next_value()?));
                    } else if header.notes.is_empty() {
                        header.notes = map.next_value::<Option<_>>()?.unwrap_or_default();
                    } else {
                        return Err(de::Error::duplicate_field("__metadata__"));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::{Container, Dtype, FormatError, Info, Tensors};

    fn file(header: &str, tensors: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), tensors].concat()
    }

    fn refused(header: &str, tensors: &[u8]) -> FormatError {
        Tensors::open(file(header, tensors)).err().unwrap_or_else(|| panic!("accepted: {header}"))
    }

    const TWO: &str = r#"{"__metadata__":{"step":"12"},
        "b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#;

    #[test]
    fn each_tensor_is_read_from_its_place() {
        let open = Tensors::open(file(TWO, &[0, 0, 0xc0, 0x3f, 0, 0x3c, 0, 0xc0])).unwrap();
        assert_eq!(open.container(), Container::Safetensors);
        assert_eq!(open.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(open.info("b"), Some(&Info { dtype: Dtype::F16, shape: vec![2] }));
        assert_eq!(open.f32("a").unwrap(), [1.5]);
        assert_eq!(open.f32("b").unwrap(), [1.0, -2.0]);
        assert_eq!(open.bytes("b").unwrap(), [0, 0x3c, 0, 0xc0]);
        assert_eq!(open.notes()["step"], "12");
        assert!(matches!(open.bytes("c"), Err(FormatError::Missing(_))));
    }

    #[test]
    fn tensors_that_overlap_leave_gaps_or_miss_the_end_are_refused() {
        let tensor = |at: &str| format!(r#"{{"a":{{"dtype":"U8","shape":[2],"data_offsets":{at}}}}}"#);
        for at in ["[1,3]", "[0,1]", "[2,0]", "[0,3]", "[18446744073709551615,1]"] {
            assert!(matches!(refused(&tensor(at), &[0; 3]), FormatError::Damaged(_)), "{at}");
        }
        assert!(matches!(refused(&tensor("[0,2]"), &[0]), FormatError::Cut(_)));
        let more = refused(&tensor("[0,2]"), &[0; 9]).to_string();
        assert_eq!(more, "damaged file: 7 bytes follow the last tensor");
    }

    #[test]
    fn headers_that_lie_are_refused() {
        let absurd = r#"{"a":{"dtype":"U8","shape":[18446744073709551615,2],"data_offsets":[0,2]}}"#;
        assert!(matches!(refused(absurd, &[0; 2]), FormatError::Damaged(_)));
        let twice = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
            "a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
        assert_eq!(refused(twice, &[0; 2]).to_string(), "damaged file: two tensors are called \"a\"");
        let strange = r#"{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}}"#;
        assert!(matches!(refused(strange, &[0]), FormatError::Unsupported(_)));
        assert!(matches!(refused("{", &[]), FormatError::Damaged(_)));
        let mut long = file(TWO, &[0; 8]);
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(Tensors::open(long), Err(FormatError::Damaged(_))));
        assert!(matches!(Tensors::open(file(TWO, &[0; 8])[..40].to_vec()), Err(FormatError::Cut(_))));
    }
}
