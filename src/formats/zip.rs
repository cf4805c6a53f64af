//! The directory of a zip archive, and members that are read from it.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

use rawzip::{CompressionMethod, ErrorKind, ReaderAt, ZipLocator};

use super::{FormatError, Source, reserve};

/// How many times larger a compressed member may be than what it is stored in: a few bytes could otherwise ask for a
/// thousand times as many. Statistics and pictures reach 3.
const MAX_RATIO: u64 = 32;
/// Bytes that a compressed member may have whatever its ratio.
const SMALL: u64 = 1 << 20;
/// Bytes of the directory that are read at a time; the longest record of a sound archive fits.
const BUFFER: usize = 1 << 18;

/// How a member is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// As it is.
    Stored,
    /// Compressed by deflate.
    Deflated,
    /// In a way that is not read here: encrypted, or compressed otherwise.
    Other,
}

/// A file in the archive; what is stored lies within the archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Bytes stored.
    pub stored: u64,
    /// Bytes that the file has.
    pub size: u64,
    /// How it is stored.
    pub method: Method,
    /// Its checksum, CRC-32.
    pub crc: u32,
}

/// All members by name.
///
/// # Errors
/// Where the directory is missing, contradicts itself or the archive's length, or names two members alike.
pub(super) fn members(source: &dyn Source) -> Result<BTreeMap<String, Member>, FormatError> {
    let len = source.len();
    let mut buffer = reserve(BUFFER)?;
    let archive =
        ZipLocator::new().locate_in_reader(Archive(source), &mut buffer, len).map_err(|(_, error)| trouble(error))?;
    let mut entries = archive.entries(&mut buffer);
    let mut members = BTreeMap::new();
    while let Some(entry) = entries.next_entry().map_err(trouble)? {
        let Ok(name) = std::str::from_utf8(entry.file_path().as_bytes()) else { continue };
        let name = name.to_owned();
        let (size, crc, encrypted) = (entry.uncompressed_size_hint(), entry.crc32(), entry.flags().is_encrypted());
        let method = match entry.compression_method() {
            CompressionMethod::STORE if !encrypted => Method::Stored,
            CompressionMethod::DEFLATE if !encrypted => Method::Deflated,
            _ => Method::Other,
        };
        let (offset, end) = archive.get_entry(entry.wayfinder()).map_err(trouble)?.compressed_data_range();
        if end > len {
            return Err(FormatError::cut(&format!("its member {name:?}"), end, len));
        }
        let stored = end - offset;
        if method == Method::Stored && stored != size {
            return Err(FormatError::Damaged(format!("the member {name:?} of the zip archive has two sizes")));
        }
        let member = Member { offset, stored, size, method, crc };
        if members.insert(name.clone(), member).is_some() {
            return Err(FormatError::Damaged(format!("two members of the zip archive are called {name:?}")));
        }
    }
    Ok(members)
}

impl Member {
    /// Its bytes from the beginning on, unpacked.
    ///
    /// # Errors
    /// In words, where it is stored in a way that is not read, or is compressed beyond reason.
    pub(super) fn open<'a>(&self, source: &'a dyn Source) -> Result<Box<dyn Read + 'a>, String> {
        let stored = Range { source, at: self.offset, end: self.offset + self.stored };
        match self.method {
            Method::Stored => Ok(Box::new(stored)),
            Method::Deflated if self.size / MAX_RATIO > self.stored && self.size > SMALL => {
                Err(format!("{} bytes compressed to {}", self.size, self.stored))
            }
            Method::Deflated => Ok(Box::new(flate2::bufread::DeflateDecoder::new(BufReader::new(stored)))),
            Method::Other => Err("it is encrypted, or compressed in an unknown way".into()),
        }
    }
}

/// Bytes of a source one after the other.
struct Range<'a> {
    source: &'a dyn Source,
    at: u64,
    end: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = (self.end - self.at).min(into.len() as u64) as usize;
        if count > 0 {
            self.source.read_at(self.at, &mut into[..count])?;
            self.at += count as u64;
        }
        Ok(count)
    }
}

/// A source as `rawzip` reads it.
struct Archive<'a>(&'a dyn Source);

impl ReaderAt for Archive<'_> {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.0.len().saturating_sub(offset).min(into.len() as u64) as usize;
        if count > 0 {
            self.0.read_at(offset, &mut into[..count])?;
        }
        Ok(count)
    }
}

fn trouble(error: rawzip::Error) -> FormatError {
    match error.into_kind() {
        ErrorKind::IO(error) if error.kind() != io::ErrorKind::UnexpectedEof => FormatError::Io(error),
        ErrorKind::MissingEndOfCentralDirectory => {
            FormatError::Cut("the directory at the end of the zip archive is missing".into())
        }
        kind => FormatError::Damaged(format!("the zip archive: {kind}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// An archive of stored members.
    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = rawzip::ZipArchiveWriter::new(vec![]);
        for (name, bytes) in members {
            let (mut entry, config) = writer.new_file(*name).start().unwrap();
            let mut data = config.wrap(&mut entry);
            data.write_all(bytes).unwrap();
            let (_, end) = data.finish().unwrap();
            entry.finish(end).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn members_are_found_and_read() {
        let bytes = archive(&[("a/one", b"first"), ("two", b"")]);
        let members = members(&bytes).unwrap();
        assert_eq!(members.keys().collect::<Vec<_>>(), ["a/one", "two"]);
        let mut found = vec![];
        members["a/one"].open(&bytes).unwrap().read_to_end(&mut found).unwrap();
        assert_eq!(found, b"first");
    }

    #[test]
    fn archives_that_are_cut_or_name_members_twice_are_refused() {
        let bytes = archive(&[("one", b"first"), ("two", b"second")]);
        for len in 30..bytes.len() {
            assert!(members(&bytes[..len].to_vec()).is_err(), "{len} of {} bytes", bytes.len());
        }
        let cut = members(&bytes[..50].to_vec()).unwrap_err().to_string();
        assert!(cut.starts_with("the file is cut short: the directory at the end"), "{cut}");
        let twice = members(&archive(&[("one", b"first"), ("one", b"second")])).unwrap_err().to_string();
        assert!(twice.contains("two members"), "{twice}");
    }

    #[test]
    fn what_is_compressed_beyond_reason_is_not_unpacked() {
        let member = Member { offset: 0, stored: 10_000, size: 1 << 30, method: Method::Deflated, crc: 0 };
        assert!(member.open(&vec![0u8; 10_000]).err().unwrap().contains("1073741824 bytes compressed to 10000"));
    }
}
