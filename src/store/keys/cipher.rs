//! The payload of one record, encrypted: AES-256-GCM in chunks, under a key that belongs to this
//! record alone.
//!
//! The record's key follows from the data key, a random salt and every byte of the record's header
//! that is known before it is encrypted. So a payload under another header, or a header that was
//! changed, opens with no tag right; and two records share a key only if both salt and header are
//! the same. Within a record the nonce is the chunk's place, and whether it is the last.

use std::io;
use std::ops::Range;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};

use super::Secret;
use super::secret::refused;
use crate::format::{
    CHUNK_BYTES, Malformed, Record, SALT_BYTES, TAG_BYTES, chunk_count, plain_length, stored_length,
};

/// What encrypts and decrypts one record's payload.
#[derive(Debug)]
pub(crate) struct RecordCipher {
    key: LessSafeKey,
    /// Bytes of plaintext.
    plain: u32,
}

impl RecordCipher {
    /// The cipher of `record`, whose length is that of the encrypted payload. Its checksum of the
    /// payload may be anything: it covers what this cipher makes.
    pub(crate) fn new(data_key: &Secret, record: &Record, salt: &[u8; SALT_BYTES]) -> io::Result<Self> {
        let (header, _) = Record { payload_crc: 0, ..*record }.encode();
        let key = data_key.derive(&[b"kinora record", &header, salt])?.cipher()?;
        let plain = plain_length(record.length)
            .ok_or_else(|| io::Error::other("no encrypted payload has such a length"))?;
        Ok(Self { key, plain })
    }

    /// The payload as stored: `salt`, then `pieces`, joined and encrypted.
    pub(crate) fn seal<'a>(
        &self,
        salt: &[u8; SALT_BYTES],
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> io::Result<Vec<u8>> {
        let mut stored = Vec::with_capacity(stored_length(self.plain) as usize);
        stored.extend_from_slice(salt);
        let mut chunk = stored.len();
        let mut index = 0;
        for mut piece in pieces {
            while !piece.is_empty() {
                let room = CHUNK_BYTES - (stored.len() - chunk);
                if room == 0 {
                    self.close(&mut stored, chunk, index)?;
                    chunk = stored.len();
                    index += 1;
                    continue;
                }
                let (now, later) = piece.split_at(room.min(piece.len()));
                stored.extend_from_slice(now);
                piece = later;
            }
        }
        self.close(&mut stored, chunk, index)?;
        if stored.len() as u64 == stored_length(self.plain) {
            Ok(stored)
        } else {
            Err(io::Error::other("a payload has another length than its record says"))
        }
    }

    /// Encrypts what stands in `stored` from `chunk` on, and puts the tag behind it.
    fn close(&self, stored: &mut Vec<u8>, chunk: usize, index: u32) -> io::Result<()> {
        let content = stored.get_mut(chunk..).unwrap_or_default();
        let nonce = self.nonce(index);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), content).map_err(refused)?;
        stored.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// The plaintext of `chunks`, which `stored` holds with their tags.
    pub(crate) fn open(&self, stored: &[u8], chunks: Range<u32>) -> Result<Vec<u8>, Malformed> {
        let wrong = Malformed::Because("has a payload that fails its tag");
        let mut plain = vec![0; stored.len().saturating_sub(TAG_BYTES * chunks.len())];
        let mut room = plain.chunks_mut(CHUNK_BYTES);
        let mut pieces = stored.chunks(CHUNK_BYTES + TAG_BYTES);
        for index in chunks {
            let piece = pieces.next().and_then(|piece| piece.split_last_chunk::<TAG_BYTES>());
            let (content, tag) = piece.ok_or(wrong)?;
            let to = room.next().unwrap_or_default();
            let opened = self.key.open_separate_gather(self.nonce(index), Aad::empty(), content, tag, to);
            opened.map_err(|_| wrong)?;
        }
        if pieces.next().is_some() { Err(wrong) } else { Ok(plain) }
    }

    /// The plaintext of a whole stored payload.
    pub(crate) fn open_all(&self, stored: &[u8]) -> Result<Vec<u8>, Malformed> {
        self.open(stored.get(SALT_BYTES..).unwrap_or_default(), 0..chunk_count(self.plain))
    }

    /// Bytes of plaintext.
    pub(crate) fn plain(&self) -> u32 {
        self.plain
    }

    /// The one nonce of a chunk. That the last one is marked shows when chunks behind it are
    /// missing.
    fn nonce(&self, index: u32) -> Nonce {
        let last = index + 1 == chunk_count(self.plain);
        let mut nonce = [0; 12];
        for (to, from) in nonce.iter_mut().zip(index.to_le_bytes().into_iter().chain([u8::from(last)])) {
            *to = from;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

#[cfg(test)]
#[path = "cipher_test.rs"]
mod tests;
