//! Whole-byte fields of configuration records, every read naming the field it is for.

use super::configured::Invalid;

/// A cursor over the bytes of a record.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// A cursor at the first byte.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not yet read.
    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], Invalid> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| {
            if self.rest.is_empty() {
                Invalid::ends_inside(field)
            } else {
                Invalid::new(format!("{field} has {count} bytes, but only {} are left", self.rest.len()))
            }
        })?;
        self.rest = rest;
        Ok(taken)
    }

    /// Passes over `count` bytes.
    pub(crate) fn skip(&mut self, count: usize, field: &'static str) -> Result<(), Invalid> {
        self.take(count, field).map(|_| ())
    }

    /// The next byte.
    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, Invalid> {
        Ok(self.take(1, field)?.iter().fold(0, |_, byte| *byte))
    }

    /// The next two bytes, big-endian.
    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, Invalid> {
        Ok(self.take(2, field)?.iter().fold(0, |sum, byte| sum << 8 | u16::from(*byte)))
    }

    /// The next four bytes, big-endian.
    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, Invalid> {
        Ok(self.take(4, field)?.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }

    /// Bytes preceded by their count in two bytes.
    pub(crate) fn counted(&mut self, length: &'static str, field: &'static str) -> Result<&'a [u8], Invalid> {
        let count = self.u16(length)?;
        self.take(usize::from(count), field)
    }
}
