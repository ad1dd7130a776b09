//! Variable-length integers of our own stored forms: seven bits a byte, least significant first
//! (LEB128); signed ones zigzag-coded first.
//!
//! Not used for any container's wire format.

use bytes::{BufMut, BytesMut};

use crate::{Error, Fault};

/// Appends `value`.
pub(crate) fn put(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value as u8) | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Appends a signed `value`.
pub(crate) fn put_signed(out: &mut BytesMut, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a length and the bytes.
pub(crate) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.put_slice(bytes);
}

/// Reads stored bytes from the front; every failure names the position.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.position >= self.bytes.len()
    }

    pub(crate) fn fault(&self, message: impl Into<String>) -> Error {
        Error::new(Fault::Stored, self.position as u64, message)
    }

    pub(crate) fn byte(&mut self, what: &str) -> Result<u8, Error> {
        let byte = self.bytes.get(self.position).copied();
        let byte = byte.ok_or_else(|| self.fault(format!("stored media ends inside {what}")))?;
        self.position += 1;
        Ok(byte)
    }

    pub(crate) fn varint(&mut self, what: &str) -> Result<u64, Error> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let low = u64::from(byte & 0x7F);
            if shift == 63 && low > 1 {
                break;
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.fault(format!("{what} does not fit 64 bits")))
    }

    pub(crate) fn signed(&mut self, what: &str) -> Result<i64, Error> {
        let raw = self.varint(what)?;
        Ok(((raw >> 1) as i64) ^ -((raw & 1) as i64))
    }

    /// A varint that must fit `T`.
    pub(crate) fn small<T: TryFrom<u64>>(&mut self, what: &str) -> Result<T, Error> {
        let value = self.varint(what)?;
        T::try_from(value).map_err(|_| self.fault(format!("{what} has the impossible value {value}")))
    }

    pub(crate) fn bytes(&mut self, what: &str) -> Result<&'a [u8], Error> {
        let length: usize = self.small(what)?;
        let end = self.position.checked_add(length);
        let taken = end.and_then(|end| self.bytes.get(self.position..end));
        let taken = taken.ok_or_else(|| self.fault(format!("stored media ends inside {what}")))?;
        self.position += length;
        Ok(taken)
    }

    pub(crate) fn text(&mut self, what: &str) -> Result<String, Error> {
        let bytes = self.bytes(what)?;
        let text = std::str::from_utf8(bytes);
        Ok(text.map_err(|_| self.fault(format!("{what} is not UTF-8")))?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_survive(unsigned in any::<u64>(), signed in any::<i64>()) {
            let mut out = BytesMut::new();
            put(&mut out, unsigned);
            put_signed(&mut out, signed);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint("a").unwrap(), unsigned);
            prop_assert_eq!(reader.signed("b").unwrap(), signed);
            prop_assert!(reader.is_empty());
        }
    }

    #[test]
    fn overlong_and_cut_integers_are_refused() {
        assert!(Reader::new(&[0xFF; 10]).varint("a").is_err());
        assert!(Reader::new(&[0x80]).varint("a").is_err());
        assert!(Reader::new(&[5, 1, 2]).bytes("a").is_err());
    }
}
