//! A stored fragment opened for playing: its sample table at once, its samples' bytes as they are
//! asked for.
//!
//! What is made of them is decided elsewhere; who takes them, and how fast, is unknown here.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use kinora_base::ErrorKind;
use kinora_media::packed::Head;
use kinora_media::{Splice, Spliced};
use kinora_store::{Error, Payload};

/// See the module. A small payload is held, a large one is not.
#[derive(Debug)]
pub struct Source {
    head: Head,
    held: Option<Vec<Bytes>>,
    payload: Payload,
}

/// A file or segment made of a fragment: heads of our own and the fragment's samples.
#[derive(Debug)]
pub struct Media {
    splice: Splice,
    source: Source,
}

/// The head of a payload, without reading what follows it. Blocks.
///
/// # Errors
/// Whatever the store reports, and `Corrupt` if it is no head.
pub fn head(payload: &Payload) -> Result<Head, Error> {
    let length = Head::length(&payload.peek(Head::PREFIX_BYTES)?).map_err(|why| damaged(payload, &why))?;
    parse(payload, &payload.head(length)?)
}

fn parse(payload: &Payload, head: &[u8]) -> Result<Head, Error> {
    Head::parse(head, payload.len()).map_err(|why| damaged(payload, &why))
}

fn damaged(payload: &Payload, why: &kinora_media::Error) -> Error {
    let number = payload.fragment().number;
    Error::new(ErrorKind::Corrupt, format!("fragment {number} is damaged: {why}"))
}

impl Source {
    /// Opens a payload: reads all of a small one; of a large one the head, after all of it was
    /// checked. Blocks.
    ///
    /// # Errors
    /// As [`head`].
    pub fn open(payload: Payload) -> Result<Self, Error> {
        if payload.len() <= Payload::WHOLE_BYTES {
            let held = payload.whole()?;
            // Whoever wrote it put the head in the first piece.
            let head = parse(&payload, held.first().map_or(&[], |first| first.as_ref()))?;
            return Ok(Self { head, held: Some(held), payload });
        }
        let prefix = payload.read(0..Head::PREFIX_BYTES)?;
        let length = Head::length(&prefix).map_err(|why| damaged(&payload, &why))?;
        let head = parse(&payload, &payload.read(0..length)?)?;
        Ok(Self { head, held: None, payload })
    }

    /// Its sample table.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What `splice` makes of it.
    #[must_use]
    pub fn media(self, splice: Splice) -> Media {
        Media { splice, source: self }
    }
}

#[expect(clippy::len_without_is_empty, reason = "every container begins with a header")]
impl Media {
    /// How many bytes it is.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.splice.len()
    }

    /// The bytes in `range` without copying them, if they are held.
    #[must_use]
    pub fn held(&self, range: Range<u64>) -> Option<Vec<Bytes>> {
        let held = self.source.held.as_ref()?;
        let mut pieces = Vec::new();
        for piece in self.splice.pieces(range) {
            match piece {
                Spliced::Made(bytes) => pieces.push(bytes),
                Spliced::Stored(place) => slices(held, place, &mut pieces),
            }
        }
        Some(pieces)
    }

    /// The next bytes of `range`: at most [`Payload::PIECE_BYTES`], and none only if the range or
    /// the media ends. Blocks.
    ///
    /// # Errors
    /// As [`Payload::read`].
    pub fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let end = range.end.min(range.start.saturating_add(Payload::PIECE_BYTES));
        let pieces: Vec<Spliced> = self.splice.pieces(range.start..end).collect();
        if let [Spliced::Stored(place)] = pieces.as_slice() {
            return self.source.payload.read(place.clone());
        }
        // Samples of several tracks lie apart, but not far: reading what is between them costs less
        // than reading each.
        let stored = || {
            pieces.iter().filter_map(|piece| match piece {
                Spliced::Stored(place) => Some(place),
                Spliced::Made(_) => None,
            })
        };
        let start = stored().map(|place| place.start).min().unwrap_or(0);
        let around = start..stored().map(|place| place.end).max().unwrap_or(0);
        let near = around.end.saturating_sub(start) <= 2 * Payload::PIECE_BYTES;
        let around = if near { self.source.payload.read(around)? } else { Bytes::new() };
        let mut bytes = BytesMut::with_capacity(end.saturating_sub(range.start) as usize);
        for piece in pieces {
            match piece {
                Spliced::Made(made) => bytes.extend_from_slice(&made),
                Spliced::Stored(place) if near => {
                    let within = (place.start - start) as usize..(place.end - start) as usize;
                    bytes.extend_from_slice(around.get(within).unwrap_or_default());
                }
                Spliced::Stored(place) => bytes.extend_from_slice(&self.source.payload.read(place)?),
            }
        }
        Ok(bytes.freeze())
    }
}

/// Adds the slices of `pieces` that make up `range`.
fn slices(pieces: &[Bytes], range: Range<u64>, to: &mut Vec<Bytes>) {
    let (mut start, end) = (0_u64, range.end);
    for piece in pieces {
        let stop = start.saturating_add(piece.len() as u64);
        if stop > range.start && start < end {
            let (from, until) = (range.start.max(start) - start, end.min(stop) - start);
            to.push(piece.slice(from as usize..until as usize));
        }
        start = stop;
    }
}
