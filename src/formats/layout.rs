//! Where the numbers of one tensor lie in a file, and how they are brought into order.

use std::io::{self, Read};

use super::zip::Member;
use super::{FormatError, Info, MAX_DIMENSIONS, Source, reserve};

/// How much larger than its file a tensor may be that repeats its numbers (a stride of 0, or overlapping rows): a few
/// bytes could otherwise ask for any amount of memory.
const MAX_EXPANSION: u64 = 8;

/// A view of numbers in a file.
#[derive(Debug)]
pub(super) struct Layout {
    /// Where the first number lies, in bytes.
    offset: u64,
    /// From one number to the next along each dimension, in numbers; `None` where they are contiguous.
    strides: Option<Vec<usize>>,
    /// What the numbers must be unpacked from first.
    packed: Option<Packed>,
}

/// Numbers in a compressed member of a zip archive.
#[derive(Debug)]
pub(super) struct Packed {
    /// The member.
    pub member: Member,
    /// Bytes of it that come before the numbers.
    pub skip: usize,
}

impl Layout {
    /// Numbers that lie one after the other, row by row. The caller has checked that they lie in the file.
    pub(super) fn contiguous(offset: u64) -> Self {
        Self { offset, strides: None, packed: None }
    }

    /// A view as PyTorch describes it: of a storage at byte `at` that has `stored` bytes, from number `first` on, with
    /// `strides` in numbers. `file` is the length of the file, which holds the storage.
    ///
    /// # Errors
    /// In words, where the view leaves its storage or repeats too much of it.
    pub(super) fn strided(
        info: &Info,
        (at, stored): (u64, u64),
        first: u64,
        strides: &[u64],
        file: u64,
    ) -> Result<Self, String> {
        if info.shape.len() != strides.len() || strides.len() > MAX_DIMENSIONS {
            return Err(format!("{} dimensions with {} strides", info.shape.len(), strides.len()));
        }
        let size = info.dtype.size() as u64;
        let Some(bytes) = info.bytes() else {
            return Err(format!("a shape {:?} that no memory holds", info.shape));
        };
        if bytes == 0 {
            return Ok(Self::contiguous(at));
        }
        // One past the last number.
        let reach = info.shape.iter().zip(strides).try_fold(0u64, |reach, (&size, &stride)| {
            (size as u64 - 1).checked_mul(stride).and_then(|steps| reach.checked_add(steps))
        });
        let end = reach.and_then(|reach| first.checked_add(reach)?.checked_add(1)?.checked_mul(size));
        if end.is_none_or(|end| end > stored) {
            let (shape, stored) = (&info.shape, stored / size);
            return Err(format!("shape {shape:?} with strides {strides:?} from {first} on leaves {stored} numbers"));
        }
        if bytes as u64 > stored && bytes as u64 / MAX_EXPANSION > file {
            return Err(format!("{bytes} bytes that repeat {stored} stored ones"));
        }
        let mut next = 1;
        let contiguous = info.shape.iter().zip(strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == next;
            next *= size as u64;
            fits
        });
        let offset = at + first * size;
        let strides = (!contiguous).then(|| strides.iter().map(|&stride| stride as usize).collect());
        Ok(Self { offset, strides, packed: None })
    }

    /// The same of what `packed` holds, where it is.
    pub(super) fn packed(self, packed: Option<Packed>) -> Self {
        Self { packed, ..self }
    }

    /// Fills `into`, which has the tensor's length, with its numbers, row by row.
    pub(super) fn read(&self, source: &dyn Source, info: &Info, into: &mut [u8]) -> Result<(), FormatError> {
        if into.is_empty() {
            return Ok(());
        }
        let Some(strides) = &self.strides else { return self.fetch(source, into) };
        let size = info.dtype.size();
        let reach: usize = info.shape.iter().zip(strides).map(|(&size, &stride)| (size - 1) * stride).sum();
        let mut span = reserve((reach + 1) * size)?;
        self.fetch(source, &mut span)?;
        gather(&span, size, &info.shape, strides, into);
        Ok(())
    }

    /// Fills `into` with what the file holds.
    fn fetch(&self, source: &dyn Source, into: &mut [u8]) -> Result<(), FormatError> {
        match &self.packed {
            Some(packed) => packed
                .unpack(source, into)
                .map_err(|why| FormatError::Damaged(format!("a compressed array cannot be unpacked: {why}"))),
            None => Ok(source.read_at(self.offset, into)?),
        }
    }
}

impl Packed {
    /// Fills `into` with all that follows the header, and checks it.
    fn unpack(&self, source: &dyn Source, into: &mut [u8]) -> Result<(), String> {
        let mut reader = self.member.open(source)?;
        let mut fill = |into: &mut [u8]| reader.read_exact(into).map_err(|error: io::Error| error.to_string());
        let mut header = vec![0; self.skip];
        fill(&mut header)?;
        fill(into)?;
        let mut sum = flate2::Crc::new();
        sum.update(&header);
        sum.update(into);
        if sum.sum() != self.member.crc {
            return Err("its checksum is wrong".into());
        }
        Ok(())
    }
}

/// Copies numbers of `size` bytes from `span` in the order of `shape`, with `strides` in numbers.
fn gather(span: &[u8], size: usize, shape: &[usize], strides: &[usize], into: &mut [u8]) {
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    for number in into.chunks_exact_mut(size) {
        number.copy_from_slice(&span[at * size..][..size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= index[axis] * strides[axis];
            index[axis] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Dtype;

    fn view(shape: &[usize], first: u64, strides: &[u64]) -> Result<Vec<u8>, String> {
        let storage: Vec<u8> = (0..12).collect();
        let info = Info { dtype: Dtype::U8, shape: shape.to_vec() };
        let layout = Layout::strided(&info, (0, 12), first, strides, 12)?;
        let mut bytes = vec![0; info.bytes().unwrap()];
        layout.read(&storage, &info, &mut bytes).unwrap();
        Ok(bytes)
    }

    #[test]
    fn views_are_read_row_by_row() {
        assert_eq!(view(&[2, 3], 0, &[3, 1]).unwrap(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(view(&[3, 2], 0, &[1, 3]).unwrap(), [0, 3, 1, 4, 2, 5], "transposed");
        assert_eq!(view(&[2, 2], 5, &[4, 2]).unwrap(), [5, 7, 9, 11], "every other one, from an offset");
        assert_eq!(view(&[2, 3], 4, &[0, 1]).unwrap(), [4, 5, 6, 4, 5, 6], "expanded");
        assert_eq!(view(&[], 7, &[]).unwrap(), [7]);
        assert_eq!(view(&[1, 2], 0, &[999, 1]).unwrap(), [0, 1], "a dimension of one has no step");
        assert!(view(&[0, usize::MAX], 99, &[1, 1]).unwrap().is_empty());
    }

    #[test]
    fn views_that_leave_their_storage_or_repeat_it_without_end_are_refused() {
        for (shape, first, strides) in [
            (&[13][..], 0, &[1][..]),
            (&[2], 11, &[1]),
            (&[2], 0, &[u64::MAX]),
            (&[1], u64::MAX, &[1]),
            (&[usize::MAX, 2], 0, &[0, 1]),
            (&[2, 2], 0, &[1]),
        ] {
            assert!(view(shape, first, strides).is_err(), "{shape:?}");
        }
        assert!(view(&[8, 12], 0, &[0, 1]).is_ok());
        assert!(view(&[10, 12], 0, &[0, 1]).unwrap_err().contains("120 bytes that repeat 12"));
    }
}
