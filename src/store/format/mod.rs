//! The bytes on disk, as `FORMAT.md` describes them: what each record looks like, and whether
//! bytes that were read are one.
//!
//! It reads and writes byte slices; files, their order and their durability are unknown here.

mod chunks;
mod clean;
mod entry;
mod join;
mod keys;
mod name;
mod record;
mod retention;
mod segment;
mod stream;

pub(crate) use chunks::{
    CHUNK_BYTES, SALT_BYTES, TAG_BYTES, chunk_count, chunks_of, plain_length, stored_length, stored_range,
};
pub(crate) use clean::{Clean, CleanStream};
pub(crate) use entry::{ConfigurationEntry, Counts, Entry, Footer, StopEntry};
pub(crate) use keys::{KeyFile, KeySlot, WrappedKey};
pub(crate) use name::{FileName, SegmentFileName, folder_name, open_name};
pub(crate) use record::{Kind, Record};
pub(crate) use retention::RetentionFile;
pub(crate) use segment::{SegmentHeader, SegmentId, Trailer};
pub(crate) use stream::StreamFile;

use std::fmt;

/// The version of everything described in `FORMAT.md`. A reader refuses any other.
pub(crate) const VERSION: u16 = 1;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// They are of a version this program does not know.
    Version(u16),
    /// Anything else, in words that follow "the record …".
    Because(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(found) => {
                write!(f, "has format version {found}, this program knows version {VERSION} only")
            }
            Self::Because(reason) => f.write_str(reason),
        }
    }
}

/// CRC-32C (Castagnoli) of `bytes`.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// CRC-32C of `bytes` and of what came before them, whose CRC-32C is `crc`.
pub(crate) fn checksum_more(crc: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, bytes)
}

/// CRC-32C of `pieces` as if they were one, and their length.
pub(crate) fn checksum_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (u32, usize) {
    let add = |(crc, length), piece: &[u8]| (crc32c::crc32c_append(crc, piece), length + piece.len());
    pieces.into_iter().fold((0, 0), add)
}

/// CRC-32C of `head` and what follows it, of which checksum and length are known.
pub(crate) fn checksum_joined(head: &[u8], (crc, length): (u32, usize)) -> u32 {
    join::joined(checksum(head), crc, length)
}

/// Splits a block into its body and the checksum in its last four bytes, and compares them.
fn checked_body<const N: usize>(block: &[u8; N]) -> Result<(&[u8], u32), Malformed> {
    let (body, tail) =
        block.split_last_chunk::<4>().map(|(body, tail)| (body, *tail)).unwrap_or((block, [0; 4]));
    let stored = u32::from_le_bytes(tail);
    if checksum(body) == stored { Ok((body, stored)) } else { Err(Malformed::Because("fails its checksum")) }
}

/// A block of `N` bytes: `body`, zeros up to the last four bytes, the checksum of all before it.
fn sealed_block<const N: usize>(body: &[u8]) -> [u8; N] {
    let mut block = [0; N];
    if let Some((room, tail)) = block.split_last_chunk_mut::<4>() {
        for (to, from) in room.iter_mut().zip(body) {
            *to = *from;
        }
        *tail = checksum(room).to_le_bytes();
    }
    block
}

#[cfg(test)]
#[path = "format_test.rs"]
mod tests;
