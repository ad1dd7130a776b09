//! The key file of a stream: its data keys, each wrapped by a key-encryption key.
//!
//! What wraps and unwraps is unknown here, and so is which key is wanted.

use bytes::{Buf, BufMut};

use super::{Malformed, VERSION, checked_body, sealed_block};

/// A wrapped data key, `FORMAT.md` "Key file".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrappedKey {
    /// What record headers call it: unlike that of any other key of the stream, never 0.
    pub(crate) id: u32,
    /// The day it was made for, in days since 1970-01-01.
    pub(crate) day: u32,
    /// Fingerprint of the key-encryption key that it is wrapped with.
    pub(crate) fingerprint: [u8; 8],
    pub(crate) nonce: [u8; 12],
    /// The encrypted key and its tag.
    pub(crate) wrapped: [u8; 48],
}

impl WrappedKey {
    /// Length in bytes.
    pub(crate) const BYTES: usize = 128;
    const MAGIC: [u8; 4] = *b"KNRK";

    fn encode(&self) -> [u8; Self::BYTES] {
        let mut body = Vec::with_capacity(Self::BYTES);
        body.put_slice(&Self::MAGIC);
        body.put_u16_le(VERSION);
        body.put_u16_le(0);
        body.put_u32_le(self.id);
        body.put_u32_le(self.day);
        body.put_slice(&self.fingerprint);
        body.put_slice(&self.nonce);
        body.put_slice(&self.wrapped);
        sealed_block(&body)
    }

    fn decode(block: &[u8; Self::BYTES]) -> Result<Self, Malformed> {
        if !block.starts_with(&Self::MAGIC) {
            return Err(Malformed::Because("does not begin with a key"));
        }
        let (mut body, _) = checked_body(block)?;
        body.advance(4);
        let version = body.get_u16_le();
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        body.advance(2);
        let (id, day) = (body.get_u32_le(), body.get_u32_le());
        let mut key = Self { id, day, fingerprint: [0; 8], nonce: [0; 12], wrapped: [0; 48] };
        body.copy_to_slice(&mut key.fingerprint);
        body.copy_to_slice(&mut key.nonce);
        body.copy_to_slice(&mut key.wrapped);
        Ok(key)
    }
}

/// A place in a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySlot {
    Whole(WrappedKey),
    /// Its bytes are no key any more, in neither copy. They are kept as they are.
    Damaged([u8; WrappedKey::BYTES]),
}

/// The key file of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct KeyFile {
    /// In the order in which they were made.
    pub(crate) slots: Vec<KeySlot>,
}

impl KeyFile {
    /// Its name in the stream's folder.
    pub(crate) const NAME: &'static str = "keys";
    /// Largest file that is read: two copies of 32,768 keys, 89 years of days.
    pub(crate) const LARGEST: usize = 8 << 20;
    /// Each copy is padded to a multiple of this, so that no sector holds a part of both.
    const ALIGNMENT: usize = 4096;

    /// The file as stored: its keys, twice.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(self.slots.len() * WrappedKey::BYTES);
        for slot in &self.slots {
            match slot {
                KeySlot::Whole(key) => copy.put_slice(&key.encode()),
                KeySlot::Damaged(bytes) => copy.put_slice(bytes),
            }
        }
        copy.resize(copy.len().next_multiple_of(Self::ALIGNMENT), 0);
        copy.repeat(2)
    }

    /// Reads the file. Of each key, the copy that is whole counts.
    pub(crate) fn decode(content: &[u8]) -> Result<Self, Malformed> {
        if !content.len().is_multiple_of(2 * Self::ALIGNMENT) {
            return Err(Malformed::Because("has not the length of a key file"));
        }
        let (one, two) = content.split_at(content.len() / 2);
        let blocks = one.as_chunks::<{ WrappedKey::BYTES }>().0.iter();
        let mut slots = Vec::new();
        for (one, two) in blocks.zip(two.as_chunks::<{ WrappedKey::BYTES }>().0) {
            let unused = |block: &[u8; WrappedKey::BYTES]| block.iter().all(|byte| *byte == 0);
            slots.push(match WrappedKey::decode(one).or_else(|_| WrappedKey::decode(two)) {
                Ok(key) => KeySlot::Whole(key),
                Err(Malformed::Version(version)) => return Err(Malformed::Version(version)),
                Err(_) => KeySlot::Damaged(if unused(one) { *two } else { *one }),
            });
        }
        // Padding; in front of a key it is damage.
        while slots.pop_if(|slot| *slot == KeySlot::Damaged([0; WrappedKey::BYTES])).is_some() {}
        Ok(Self { slots })
    }

    /// The keys that are whole, in the order in which they were made.
    pub(crate) fn keys(&self) -> impl DoubleEndedIterator<Item = &WrappedKey> {
        self.slots.iter().filter_map(|slot| match slot {
            KeySlot::Whole(key) => Some(key),
            KeySlot::Damaged(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u32) -> WrappedKey {
        WrappedKey {
            id,
            day: 0x2122_2324,
            fingerprint: *b"12345678",
            nonce: *b"abcdefghijkl",
            wrapped: [0x77; 48],
        }
    }

    fn file() -> KeyFile {
        KeyFile { slots: vec![KeySlot::Whole(key(0x1112_1314)), KeySlot::Whole(key(2))] }
    }

    #[test]
    fn every_byte_is_as_it_always_was() {
        let bytes = file().encode();
        assert_eq!(bytes.len(), 8192);
        assert_eq!(bytes[..4096], bytes[4096..]);
        let hex = bytes[..128].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex,
            format!(
                "4b4e524b01000000141312112423222131323334353637386162636465666768696a6b6c{}{}{}",
                "77".repeat(48),
                "00".repeat(40),
                "e49eff14"
            )
        );
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(KeyFile::decode(&file().encode()), Ok(file()));
        assert_eq!(KeyFile::decode(&[]), Ok(KeyFile::default()));
        assert!(KeyFile::decode(&[0; 100]).is_err());
    }

    #[test]
    fn one_sound_copy_is_enough() {
        for place in [3, 127, 200, 4096, 4096 + 250] {
            let mut bytes = file().encode();
            bytes[place] ^= 0x40;
            assert_eq!(KeyFile::decode(&bytes), Ok(file()), "flip at {place}");
        }
    }

    #[test]
    fn a_damaged_key_costs_only_itself_and_is_kept() {
        let mut bytes = file().encode();
        bytes[70] ^= 1;
        bytes[4096 + 71] ^= 1;
        let read = KeyFile::decode(&bytes).unwrap();
        assert_eq!(read.keys().map(|key| key.id).collect::<Vec<_>>(), [2]);
        let again = KeyFile::decode(&read.encode()).unwrap();
        assert_eq!(again, read);
        let KeySlot::Damaged(kept) = again.slots[0] else { panic!("{again:?}") };
        assert_eq!(kept[..], bytes[..128]);
        // Zeros in place of a key are not the end of the file.
        bytes[..128].fill(0);
        bytes[4096..4096 + 128].fill(0);
        assert_eq!(KeyFile::decode(&bytes).unwrap().slots.len(), 2);
    }
}
