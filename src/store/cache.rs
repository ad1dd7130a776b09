//! Sealed segments whose footers were read lately, within bounds.
//!
//! What a footer means is unknown here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::segment::Sealed;
use crate::sync::lock;

/// Most segments kept; each holds a file open.
const MOST_SEGMENTS: usize = 128;

/// Most bytes of footer entries kept: about 400,000 fragments.
const MOST_BYTES: usize = 16 << 20;

/// A segment's identity: the stream's, and the segment's first number.
type Key = (i64, u64);

#[derive(Debug, Default)]
struct Kept {
    segments: HashMap<Key, (Arc<Sealed>, u64)>,
    bytes: usize,
    uses: u64,
}

/// The cache. What was used longest ago goes first.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<Kept>);

impl Cache {
    /// The segment, if it is kept.
    pub(crate) fn get(&self, key: Key) -> Option<Arc<Sealed>> {
        let mut kept = lock(&self.0);
        kept.uses += 1;
        let now = kept.uses;
        kept.segments.get_mut(&key).map(|(segment, used)| {
            *used = now;
            Arc::clone(segment)
        })
    }

    /// Keeps a segment, and lets go of others while there is too much.
    pub(crate) fn put(&self, key: Key, segment: Arc<Sealed>) {
        let mut kept = lock(&self.0);
        kept.uses += 1;
        let now = kept.uses;
        kept.bytes += segment.memory_bytes();
        if let Some((old, _)) = kept.segments.insert(key, (segment, now)) {
            kept.bytes -= old.memory_bytes();
        }
        while kept.segments.len() > 1 && (kept.segments.len() > MOST_SEGMENTS || kept.bytes > MOST_BYTES) {
            let Some(oldest) = kept.segments.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key)
            else {
                break;
            };
            if let Some((segment, _)) = kept.segments.remove(&oldest) {
                kept.bytes -= segment.memory_bytes();
            }
        }
    }

    /// Lets go of one segment, so that its file's room is free once it is deleted.
    pub(crate) fn forget_segment(&self, key: Key) {
        let mut kept = lock(&self.0);
        if let Some((segment, _)) = kept.segments.remove(&key) {
            kept.bytes -= segment.memory_bytes();
        }
    }

    /// Lets go of everything of a stream.
    pub(crate) fn forget(&self, stream: i64) {
        let mut kept = lock(&self.0);
        let mut freed = 0;
        kept.segments.retain(|key, (segment, _)| {
            let stays = key.0 != stream;
            if !stays {
                freed += segment.memory_bytes();
            }
            stays
        });
        kept.bytes -= freed;
    }
}
