//! What a muxer makes of a stored payload: bytes of its own, and ranges of the payload between
//! them.
//!
//! It holds no sample's bytes and does not know where the payload lies.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// Writes the pieces of a [`Splice`] one after another.
#[derive(Debug, Default)]
pub struct SpliceWriter {
    made: BytesMut,
    pieces: Vec<Piece>,
    length: u64,
}

/// Bytes in pieces, in order. Its memory depends on how many samples there are, not on their size.
#[derive(Debug, Clone)]
pub struct Splice {
    made: Bytes,
    pieces: Vec<Piece>,
    length: u64,
}

/// One piece of a [`Splice`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spliced {
    /// Bytes that were made.
    Made(Bytes),
    /// A range of the payload.
    Stored(Range<u64>),
}

/// A payload has less than 4 GiB, and so has what is made beside it.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Where it begins in the whole.
    start: u64,
    /// Where its bytes are: in the payload, or in what was made.
    from: u32,
    length: u32,
    stored: bool,
}

impl SpliceWriter {
    /// Adds bytes.
    pub fn make(&mut self, bytes: &[u8]) {
        let from = self.made.len() as u64;
        self.made.extend_from_slice(bytes);
        self.add(from..self.made.len() as u64, false);
    }

    /// Adds a range of the payload, which has less than 4 GiB.
    pub fn take(&mut self, range: Range<u64>) {
        self.add(range, true);
    }

    fn add(&mut self, range: Range<u64>, stored: bool) {
        let length = range.end.saturating_sub(range.start) as u32;
        if length == 0 {
            return;
        }
        let from = range.start as u32;
        match self.pieces.last_mut() {
            Some(last) if last.stored == stored && last.from.wrapping_add(last.length) == from => {
                last.length = last.length.saturating_add(length);
            }
            _ => self.pieces.push(Piece { start: self.length, from, length, stored }),
        }
        self.length = self.length.saturating_add(u64::from(length));
    }

    /// What was written.
    #[must_use]
    pub fn finish(mut self) -> Splice {
        self.pieces.shrink_to_fit();
        Splice { made: self.made.freeze(), pieces: self.pieces, length: self.length }
    }
}

#[expect(clippy::len_without_is_empty, reason = "every container begins with a header")]
impl Splice {
    /// How many bytes it is in all.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.length
    }

    /// The pieces of the bytes in `range`, in order.
    pub fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Spliced> {
        let ends_after = |piece: &Piece| piece.start.saturating_add(piece.length.into()) > range.start;
        let first = self.pieces.partition_point(|piece| !ends_after(piece));
        let begun = self.pieces.iter().skip(first).take_while(move |piece| piece.start < range.end);
        begun.map(move |piece| {
            let skipped = range.start.saturating_sub(piece.start);
            let taken = u64::from(piece.length).min(range.end - piece.start);
            let (from, to) = (u64::from(piece.from) + skipped, u64::from(piece.from) + taken);
            if piece.stored {
                Spliced::Stored(from..to)
            } else {
                Spliced::Made(self.made.slice(from as usize..to as usize))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes that the pieces of a range are.
    fn resolve(splice: &Splice, payload: &[u8], range: Range<u64>) -> Vec<u8> {
        let bytes = |piece| match piece {
            Spliced::Made(bytes) => bytes.to_vec(),
            Spliced::Stored(range) => payload[range.start as usize..range.end as usize].to_vec(),
        };
        splice.pieces(range).flat_map(bytes).collect()
    }

    proptest! {
        #[test]
        fn every_range_is_that_of_the_whole(
            parts in prop::collection::vec((any::<bool>(), 0_u64..40, 0_u64..9), 0..20),
            start in 0_u64..200,
            length in 0_u64..200,
        ) {
            let payload: Vec<u8> = (0..50).collect();
            let mut writer = SpliceWriter::default();
            let mut whole = Vec::new();
            for (stored, from, length) in parts {
                if stored {
                    writer.take(from..from + length);
                    whole.extend_from_slice(&payload[from as usize..(from + length) as usize]);
                } else {
                    let made = vec![100 + from as u8; length as usize];
                    writer.make(&made);
                    whole.extend(made);
                }
            }
            let splice = writer.finish();
            prop_assert_eq!(splice.len(), whole.len() as u64);
            let start = start.min(splice.len());
            let end = (start + length).min(splice.len());
            prop_assert_eq!(resolve(&splice, &payload, start..end), &whole[start as usize..end as usize]);
        }
    }

    #[test]
    fn what_follows_in_the_payload_is_one_piece() {
        let mut writer = SpliceWriter::default();
        writer.make(b"head");
        for at in 0..1000 {
            writer.take(at * 10..at * 10 + 10);
        }
        let pieces: Vec<Spliced> = writer.finish().pieces(2..8000).collect();
        assert_eq!(pieces, [Spliced::Made(Bytes::from_static(b"ad")), Spliced::Stored(0..7996)]);
    }
}
