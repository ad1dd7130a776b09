//! The bytes pushed and not yet read: a queue of chunks that is walked once, front to back.
//!
//! **Copies and memory.** What lies in one chunk is handed out as a slice of it. What spans chunks
//! is gathered: each of its bytes is copied once, as it arrives, into a buffer of exactly its size
//! (above [`GATHER_RESERVE_BYTES`] the buffer grows once more when that much has truly arrived). A
//! slice keeps its whole chunk in memory, so something shorter than the chunk divided by
//! [`PIN_RATIO`] is copied out instead.
//!
//! It knows what an element header looks like, so that it can gather one, and no other meaning.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::ebml::{self, Header, MAX_HEADER_BYTES, Parsed};
use super::limit::{GATHER_RESERVE_BYTES, PIN_RATIO};

/// The chunk queue. `chunk` is empty only if the queue is.
#[derive(Debug, Default)]
pub(super) struct Input {
    chunk: Bytes,
    /// Length of `chunk` as it was pushed.
    chunk_bytes: usize,
    queue: VecDeque<Bytes>,
    position: u64,
    /// A header whose end has not arrived.
    partial: [u8; MAX_HEADER_BYTES],
    partial_bytes: usize,
    /// Something whose end has not arrived.
    gathering: Vec<u8>,
}

/// What [`Input::header`] finds.
#[derive(Debug)]
pub(super) enum Next {
    Header(Header),
    /// More bytes are needed.
    More,
    Invalid(&'static str),
}

impl Input {
    pub(super) fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        if self.chunk.is_empty() {
            self.chunk_bytes = chunk.len();
            self.chunk = chunk;
        } else {
            self.queue.push_back(chunk);
        }
    }

    /// How many bytes of the input have been taken.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Whether an element header has begun and not ended.
    pub(super) const fn inside_header(&self) -> bool {
        self.partial_bytes > 0
    }

    /// The bytes of the header that has begun.
    pub(super) fn partial_header(&self) -> &[u8] {
        self.partial.get(..self.partial_bytes).unwrap_or_default()
    }

    /// Takes an element header.
    #[inline]
    pub(super) fn header(&mut self) -> Next {
        if self.partial_bytes == 0 {
            match ebml::header(&self.chunk) {
                Parsed::Header(header) => {
                    self.advance(header.length);
                    return Next::Header(header);
                }
                Parsed::Invalid(why) => return Next::Invalid(why),
                Parsed::More => {}
            }
        }
        self.header_across_chunks()
    }

    #[cold]
    fn header_across_chunks(&mut self) -> Next {
        while let Some(&byte) = self.chunk.first() {
            if let Some(slot) = self.partial.get_mut(self.partial_bytes) {
                *slot = byte;
            }
            self.partial_bytes += 1;
            self.advance(1);
            match ebml::header(self.partial_header()) {
                Parsed::Header(header) => {
                    self.partial_bytes = 0;
                    return Next::Header(header);
                }
                Parsed::Invalid(why) => return Next::Invalid(why),
                Parsed::More => {}
            }
        }
        Next::More
    }

    /// Takes `size` bytes in one piece, or gathers what is there and returns `None`. Ask for the
    /// same `size` until it is given.
    #[inline]
    pub(super) fn take(&mut self, size: usize) -> Option<Bytes> {
        if self.gathering.is_empty() && self.chunk.len() >= size {
            let taken = if size < self.chunk_bytes / PIN_RATIO {
                Bytes::copy_from_slice(self.chunk.get(..size).unwrap_or_default())
            } else {
                self.chunk.slice(..size)
            };
            self.advance(size);
            return Some(taken);
        }
        self.gather(size)
    }

    fn gather(&mut self, size: usize) -> Option<Bytes> {
        while !self.chunk.is_empty() {
            let missing = size - self.gathering.len();
            if self.gathering.len() == self.gathering.capacity() {
                self.gathering.reserve_exact(if self.gathering.is_empty() {
                    missing.min(GATHER_RESERVE_BYTES)
                } else {
                    missing
                });
            }
            let room = self.gathering.capacity() - self.gathering.len();
            let count = missing.min(room).min(self.chunk.len());
            self.gathering.extend_from_slice(self.chunk.get(..count).unwrap_or_default());
            self.advance(count);
            if self.gathering.len() == size {
                return Some(Bytes::from(std::mem::take(&mut self.gathering)));
            }
        }
        None
    }

    /// Passes over at most `count` bytes and says over how many.
    pub(super) fn skip(&mut self, count: u64) -> u64 {
        let mut left = count;
        while left > 0 && !self.chunk.is_empty() {
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(self.chunk.len());
            self.advance(step);
            left -= step as u64;
        }
        count - left
    }

    #[inline]
    fn advance(&mut self, count: usize) {
        self.chunk.advance(count);
        self.position += count as u64;
        if self.chunk.is_empty() {
            self.chunk = self.queue.pop_front().unwrap_or_default();
            self.chunk_bytes = self.chunk.len();
        }
    }
}
