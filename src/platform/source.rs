//! Random access to bytes, wherever they lie.

use std::borrow::Cow;
use std::io::{self, ErrorKind};

/// Bytes that can be read from any place: those of an open file, or anything in memory (`Vec<u8>`,
/// `Cow<'static, [u8]>`).
pub trait Source: Send + Sync {
    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `into` with the bytes from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` where there are fewer; whatever the file system refuses. `into` is then of no use.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

/// Reads from memory, as [`Source::read_at`] does.
pub(crate) fn copy(bytes: &[u8], offset: u64, into: &mut [u8]) -> io::Result<()> {
    let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
    let found = rest.and_then(|rest| rest.get(..into.len())).ok_or(ErrorKind::UnexpectedEof)?;
    into.copy_from_slice(found);
    Ok(())
}

// Each on its own: an implementation for all that is `AsRef<[u8]>` would hide the `len` of slices.
impl Source for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        copy(self, offset, into)
    }
}

impl Source for Cow<'static, [u8]> {
    fn len(&self) -> u64 {
        self.as_ref().len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        copy(self, offset, into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_any_place_and_never_past_its_end() {
        let mut two = [0; 2];
        let bytes: Cow<'static, [u8]> = Cow::Borrowed(b"abcd");
        bytes.read_at(2, &mut two).unwrap();
        assert_eq!(&two, b"cd");
        for offset in [3, 4, 5, u64::MAX] {
            assert_eq!(vec![1u8; 4].read_at(offset, &mut two).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        }
        assert!(Source::is_empty(&Vec::<u8>::new()));
    }
}
