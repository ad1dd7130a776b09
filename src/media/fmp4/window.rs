//! The input that has arrived and not been read: a queue of chunks that is read by slicing.
//!
//! It knows nothing of boxes.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// Chunks shorter than this are copied together, so that an input of single bytes does not cost a
/// queue entry and an allocation for each.
const SMALL_CHUNK_BYTES: usize = 1024;
/// How large the buffers are in which small chunks are put together.
const COLLECTING_BYTES: usize = 16 * 1024;
/// A slice may keep alive a buffer of at most so many times its own size; a smaller piece is
/// copied. So 4 KiB out of a 64 KiB read are a slice, and an audio frame of 300 bytes is a copy:
/// what is kept in memory for live readers never pins more than 16 times what it accounts for.
const MOST_PINNED_PER_BYTE: usize = 16;

/// Bytes between what was read and what has arrived.
#[derive(Debug, Default)]
pub(super) struct Window {
    chunks: VecDeque<Chunk>,
    /// Small chunks since the last large one; they come after `chunks`.
    collecting: BytesMut,
    /// Offset in the input of the first unread byte.
    position: u64,
    /// Unread bytes.
    available: usize,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    /// Size of the buffer that `bytes` keeps alive, as far as is known.
    pins: usize,
}

impl Window {
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    pub(super) const fn available(&self) -> usize {
        self.available
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        self.available += chunk.len();
        if chunk.len() >= SMALL_CHUNK_BYTES {
            self.settle();
            self.chunks.push_back(Chunk { pins: chunk.len(), bytes: chunk });
            return;
        }
        if self.collecting.capacity() - self.collecting.len() < chunk.len() {
            self.settle();
            self.collecting = BytesMut::with_capacity(COLLECTING_BYTES);
        }
        self.collecting.extend_from_slice(&chunk);
    }

    /// Makes what was collected readable.
    fn settle(&mut self) {
        if !self.collecting.is_empty() {
            let bytes = self.collecting.split().freeze();
            self.chunks.push_back(Chunk { bytes, pins: COLLECTING_BYTES });
        }
    }

    /// Copies the next bytes into `out` without reading them; gives how many there were.
    pub(super) fn peek(&self, out: &mut [u8]) -> usize {
        let mut filled = 0;
        let chunks = self.chunks.iter().map(|chunk| &chunk.bytes[..]);
        for bytes in chunks.chain(std::iter::once(&self.collecting[..])) {
            let place = out.get_mut(filled..).unwrap_or_default();
            let count = place.len().min(bytes.len());
            if let (Some(place), Some(bytes)) = (place.get_mut(..count), bytes.get(..count)) {
                place.copy_from_slice(bytes);
            }
            filled += count;
            if filled == out.len() {
                break;
            }
        }
        filled
    }

    /// Reads past up to `count` bytes; gives how many there were.
    pub(super) fn skip(&mut self, count: u64) -> u64 {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.available);
        let mut left = count;
        while left > 0 {
            let Some(front) = self.chunks.front_mut() else {
                self.collecting.advance(left);
                break;
            };
            let step = left.min(front.bytes.len());
            front.bytes.advance(step);
            left -= step;
            if front.bytes.is_empty() {
                self.chunks.pop_front();
            }
        }
        self.passed(count);
        count as u64
    }

    /// The next `count` bytes, if they have all arrived: a slice of the input if they lie in one
    /// chunk and are no tiny part of it, else a copy in a buffer of exactly that size.
    pub(super) fn take(&mut self, count: usize) -> Option<Bytes> {
        if self.available < count {
            return None;
        }
        if self.chunks.front().is_none_or(|front| front.bytes.len() < count) {
            self.settle();
        }
        let taken = match self.chunks.front_mut() {
            Some(front) if front.bytes.len() >= count => {
                let slice = front.bytes.split_to(count);
                let copies = count.saturating_mul(MOST_PINNED_PER_BYTE) < front.pins;
                if front.bytes.is_empty() {
                    self.chunks.pop_front();
                }
                if copies { Bytes::copy_from_slice(&slice) } else { slice }
            }
            _ => self.gather(count),
        };
        self.passed(count);
        Some(taken)
    }

    fn gather(&mut self, count: usize) -> Bytes {
        let mut gathered = Vec::with_capacity(count);
        while let Some(front) = self.chunks.front_mut() {
            let step = (count - gathered.len()).min(front.bytes.len());
            gathered.extend_from_slice(&front.bytes.split_to(step));
            if !front.bytes.is_empty() {
                break;
            }
            self.chunks.pop_front();
        }
        Bytes::from(gathered)
    }

    fn passed(&mut self, count: usize) {
        self.available -= count;
        self.position = self.position.saturating_add(count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_large_piece_is_a_slice_and_a_tiny_one_lets_the_chunk_go() {
        let chunk = Bytes::from(vec![7; 64 * 1024]);
        let inside = |piece: &Bytes| chunk.as_ptr_range().contains(&piece.as_ptr());
        let mut window = Window::default();
        window.push(chunk.clone());
        assert!(inside(&window.take(4096).unwrap()));
        assert!(!inside(&window.take(4095).unwrap()));
        assert!(window.take(64 * 1024).is_none());
        assert_eq!(window.position(), 8191);
    }

    #[test]
    fn single_bytes_are_collected() {
        let mut window = Window::default();
        for byte in 0..100_000_u32 {
            window.push(Bytes::from(vec![byte as u8]));
        }
        assert!(window.chunks.len() < 10);
        let all = window.take(100_000).unwrap();
        assert!(all.iter().enumerate().all(|(place, &byte)| byte == place as u8));
    }

    proptest! {
        #[test]
        fn reads_what_was_pushed(
            chunks in prop::collection::vec(0_usize..3000, 0..20), reads in prop::collection::vec((0_u8..3, 0_usize..4000), 0..40)
        ) {
            let mut window = Window::default();
            let mut all = Vec::new();
            for length in chunks {
                let chunk: Vec<u8> = (0..length).map(|i| (i * 31 + length) as u8).collect();
                all.extend_from_slice(&chunk);
                window.push(chunk.into());
            }
            let mut position = 0;
            for (what, count) in reads {
                let rest = &all[position..];
                prop_assert_eq!(window.available(), rest.len());
                match what {
                    0 => {
                        let taken = window.take(count);
                        prop_assert_eq!(taken.as_deref(), rest.get(..count));
                        position += taken.map_or(0, |taken| taken.len());
                    }
                    1 => {
                        let skipped = window.skip(count as u64) as usize;
                        prop_assert_eq!(skipped, count.min(rest.len()));
                        position += skipped;
                    }
                    _ => {
                        let mut seen = [0; 16];
                        let length = window.peek(&mut seen);
                        prop_assert_eq!(length, rest.len().min(16));
                        prop_assert_eq!(&seen[..length], &rest[..length]);
                    }
                }
                prop_assert_eq!(window.position(), position as u64);
            }
        }
    }
}
