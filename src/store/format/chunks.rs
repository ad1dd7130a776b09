//! How an encrypted payload is laid out: salt, then chunks, each followed by its tag.
//!
//! Only lengths and places; what encrypts is unknown here.

use std::ops::Range;

/// Random bytes that an encrypted payload begins with, so that no two records share a key.
pub(crate) const SALT_BYTES: usize = 16;

/// Plaintext bytes in a chunk; the last may have fewer. Reading a range touches whole chunks, and a
/// tag costs 16 bytes: at 64 KiB that is 0.02 %.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;

/// Bytes of the tag that follows each chunk.
pub(crate) const TAG_BYTES: usize = 16;

const SALT: u64 = SALT_BYTES as u64;
const CHUNK: u64 = CHUNK_BYTES as u64;
const TAG: u64 = TAG_BYTES as u64;

/// Chunks of a payload of `plain` bytes. An empty one has a chunk, too: its tag is what shows that
/// nothing was taken away.
pub(crate) fn chunk_count(plain: u32) -> u32 {
    plain.div_ceil(CHUNK_BYTES as u32).max(1)
}

/// How many bytes a payload of `plain` bytes takes once it is encrypted.
pub(crate) fn stored_length(plain: u32) -> u64 {
    SALT + u64::from(plain) + TAG * u64::from(chunk_count(plain))
}

/// How many bytes of plaintext a stored payload of `stored` bytes holds; none if no payload is
/// stored so.
pub(crate) fn plain_length(stored: u32) -> Option<u32> {
    let body = u64::from(stored).checked_sub(SALT)?;
    let plain = body.checked_sub(TAG * body.div_ceil(CHUNK + TAG).max(1))?;
    let plain = u32::try_from(plain).ok()?;
    (stored_length(plain) == u64::from(stored)).then_some(plain)
}

/// The chunks that hold the bytes `range` of a payload of `plain` bytes.
pub(crate) fn chunks_of(range: Range<u32>, plain: u32) -> Range<u32> {
    let last = chunk_count(plain);
    let first = (range.start / CHUNK_BYTES as u32).min(last - 1);
    first..range.end.div_ceil(CHUNK_BYTES as u32).clamp(first + 1, last)
}

/// Where in the stored payload the bytes of `chunks` lie, tags included, in a payload of `plain`
/// bytes.
pub(crate) fn stored_range(chunks: Range<u32>, plain: u32) -> Range<u64> {
    let start = SALT + u64::from(chunks.start) * (CHUNK + TAG);
    let end = SALT + u64::from(chunks.end) * (CHUNK + TAG);
    start..end.min(stored_length(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_from_each_other() {
        for plain in [0, 1, 65_535, 65_536, 65_537, 131_072, 131_073, 4 << 20, (52 << 20) + 7] {
            let stored = u32::try_from(stored_length(plain)).unwrap();
            assert_eq!(plain_length(stored), Some(plain));
        }
        // Less than salt and tag, or a last chunk that would be nothing but a part of its tag.
        for stored in [0, 15, 16, 31, 16 + 65_552 + 1, 16 + 65_552 + 16] {
            assert_eq!(plain_length(stored), None, "{stored}");
        }
    }

    #[test]
    fn a_range_touches_only_its_chunks() {
        assert_eq!(chunks_of(0..1, 200_000), 0..1);
        assert_eq!(chunks_of(65_535..65_537, 200_000), 0..2);
        assert_eq!(chunks_of(131_072..200_000, 200_000), 2..4);
        assert_eq!(chunks_of(0..0, 0), 0..1);
        assert_eq!(stored_range(0..1, 200_000), 16..16 + 65_552);
        assert_eq!(stored_range(3..4, 200_000), 16 + 3 * 65_552..stored_length(200_000));
        assert_eq!(stored_range(0..1, 0), 16..32);
    }
}
