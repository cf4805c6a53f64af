//! A zip archive of stored members, written from front to back. Source: PKWARE's APPNOTE.TXT, sections 4.3 to 4.5.

use std::io::Write;

use crate::formats::FormatError;

/// From here on a size or an offset does not fit into 32 bits.
const WIDE: u64 = 0xffff_ffff;
/// Flag: the name is UTF-8.
const UTF8: u16 = 1 << 11;
/// Flag: the checksum follows the data.
const FOLLOWS: u16 = 1 << 3;
/// 1 January 1980, the first day there is: equal content gives equal files.
const DATE: u16 = 0x21;

/// Where a member's checksum comes from.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Check {
    /// It is known before the member is written.
    Known(u32),
    /// It is computed on the way, and follows the member.
    Computed,
}

/// The member being written.
struct Open {
    name: String,
    size: u64,
    /// Bytes that are still to come.
    left: u64,
    check: Check,
    sum: flate2::Crc,
    /// Where its header begins.
    offset: u64,
}

/// An archive being written.
pub(super) struct Zip<W> {
    out: W,
    at: u64,
    /// The central directory so far.
    directory: Vec<u8>,
    count: u64,
    open: Option<Open>,
}

impl<W: Write> Zip<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, at: 0, directory: vec![], count: 0, open: None }
    }

    /// Begins a member of `size` bytes, at a multiple of `alignment` bytes.
    pub(super) fn begin(&mut self, name: &str, size: u64, check: Check, alignment: u64) -> Result<(), FormatError> {
        let offset = self.at;
        let mut extra = wide(&[size, size]);
        if alignment > 1 {
            // A field of its own, as PyTorch's writer has it (`FB`), fills the rest.
            let end = offset + 30 + name.len() as u64 + extra.len() as u64 + 4;
            let padding = end.next_multiple_of(alignment) - end;
            extra.extend([b'F', b'B', padding as u8, 0]);
            extra.extend(std::iter::repeat_n(b'Z', padding as usize));
        }
        let crc = if let Check::Known(crc) = check { crc } else { 0 };
        let mut header = vec![];
        header.extend(0x0403_4b50u32.to_le_bytes());
        common(&mut header, check, size, crc, name, extra.len())?;
        header.extend(name.as_bytes());
        header.extend(extra);
        self.put(&header)?;
        let sum = flate2::Crc::new();
        self.open = Some(Open { name: name.to_owned(), size, left: size, check, sum, offset });
        Ok(())
    }

    /// Writes more of the member.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        let Some(open) = self.open.as_mut().filter(|open| bytes.len() as u64 <= open.left) else {
            return Err(FormatError::Written(format!("{} bytes more than were announced", bytes.len())));
        };
        open.left -= bytes.len() as u64;
        if open.check == Check::Computed {
            open.sum.update(bytes);
        }
        self.put(bytes)
    }

    /// Ends the member, where there is one.
    pub(super) fn end(&mut self) -> Result<(), FormatError> {
        let Some(Open { name, size, left, check, sum, offset }) = self.open.take() else { return Ok(()) };
        if left > 0 {
            return Err(FormatError::Written(format!("{name} lacks {left} of its {size} bytes")));
        }
        let crc = match check {
            Check::Known(crc) => crc,
            Check::Computed => {
                let mut end = 0x0807_4b50u32.to_le_bytes().to_vec();
                end.extend(sum.sum().to_le_bytes());
                for _ in 0..2 {
                    match size < WIDE {
                        true => end.extend((size as u32).to_le_bytes()),
                        false => end.extend(size.to_le_bytes()),
                    }
                }
                self.put(&end)?;
                sum.sum()
            }
        };
        let mut fields = vec![];
        if size >= WIDE {
            fields.extend([size, size]);
        }
        if offset >= WIDE {
            fields.push(offset);
        }
        let extra = wide(&fields);
        self.directory.extend(0x0201_4b50u32.to_le_bytes());
        self.directory.extend(45u16.to_le_bytes());
        common(&mut self.directory, check, size, crc, &name, extra.len())?;
        self.directory.extend([0; 10]); // no comment, the first disk, no attributes
        self.directory.extend(low(offset).to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.directory.extend(extra);
        self.count += 1;
        Ok(())
    }

    /// Writes the directory.
    pub(super) fn finish(mut self) -> Result<W, FormatError> {
        let (start, len, count) = (self.at, self.directory.len() as u64, self.count);
        let mut end = std::mem::take(&mut self.directory);
        if start >= WIDE || len >= WIDE || count >= 0xffff {
            let record = start + len;
            end.extend(0x0606_4b50u32.to_le_bytes());
            end.extend(44u64.to_le_bytes()); // what follows of this record
            end.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            for number in [count, count, len, start] {
                end.extend(number.to_le_bytes());
            }
            end.extend(0x0706_4b50u32.to_le_bytes());
            end.extend(0u32.to_le_bytes());
            end.extend(record.to_le_bytes());
            end.extend(1u32.to_le_bytes());
        }
        end.extend(0x0605_4b50u32.to_le_bytes());
        end.extend([0; 4]);
        for _ in 0..2 {
            end.extend((count.min(0xffff) as u16).to_le_bytes());
        }
        end.extend(low(len).to_le_bytes());
        end.extend(low(start).to_le_bytes());
        end.extend([0; 2]); // no comment
        self.put(&end)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// What a member's own header and its entry in the directory have in common.
fn common(out: &mut Vec<u8>, check: Check, size: u64, crc: u32, name: &str, extra: usize) -> Result<(), FormatError> {
    let Ok(length) = u16::try_from(name.len()) else {
        return Err(FormatError::Written(format!("a name of {} bytes is too long", name.len())));
    };
    let flags = if check == Check::Computed { UTF8 | FOLLOWS } else { UTF8 };
    for number in [45, flags, 0, 0, DATE] {
        out.extend(number.to_le_bytes());
    }
    for number in [crc, low(size), low(size)] {
        out.extend(number.to_le_bytes());
    }
    for number in [length, extra as u16] {
        out.extend(number.to_le_bytes());
    }
    Ok(())
}

/// The field of numbers that do not fit elsewhere, where there are any.
fn wide(numbers: &[u64]) -> Vec<u8> {
    if numbers.iter().all(|&number| number < WIDE) {
        return vec![];
    }
    let mut field = vec![1, 0, 8 * numbers.len() as u8, 0];
    numbers.iter().for_each(|number| field.extend(number.to_le_bytes()));
    field
}

/// A number as its 32-bit field has it.
fn low(number: u64) -> u32 {
    number.min(WIDE) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Source;
    use crate::formats::zip::members;

    /// An archive whose first member is left out.
    struct Sparse {
        bytes: Vec<u8>,
        hole: std::ops::Range<u64>,
    }

    impl Source for Sparse {
        fn len(&self) -> u64 {
            Source::len(&self.bytes) + self.hole.end - self.hole.start
        }

        fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
            for (at, byte) in (offset..).zip(into) {
                let at = if at < self.hole.start { at } else { at.saturating_sub(self.hole.end - self.hole.start) };
                self.bytes.read_at(at, std::slice::from_mut(byte))?;
            }
            Ok(())
        }
    }

    #[test]
    fn archives_above_four_gigabytes_have_wide_numbers() {
        let size = (5 << 30) + 7;
        let mut zip = Zip::new(vec![]);
        zip.begin("large", size, Check::Computed, 64).unwrap();
        let hole = zip.at..zip.at + size;
        (zip.at, zip.open.as_mut().unwrap().left) = (hole.end, 0);
        zip.end().unwrap();
        zip.begin("small", 2, Check::Known(9), 64).unwrap();
        zip.write(b"ab").unwrap();
        zip.end().unwrap();
        let source = Sparse { bytes: zip.finish().unwrap(), hole };
        let members = members(&source).unwrap();
        assert_eq!((members["large"].offset, members["large"].size), (source.hole.start, size));
        let small = members["small"];
        assert_eq!((small.size, small.crc, small.offset % 64), (2, 9, 0));
        let mut found = [0; 2];
        source.read_at(small.offset, &mut found).unwrap();
        assert_eq!(&found, b"ab");
    }
}
