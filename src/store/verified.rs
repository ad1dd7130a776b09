//! Which large payloads were found whole lately, so that each reader need not check them again.
//!
//! How a payload is checked is unknown here.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::format::SegmentId;
use crate::sync::lock;

/// Locks, so that only readers of the same payload wait for each other while it is checked.
const SHARDS: usize = 16;

/// Payloads remembered behind each lock: with those too large to be held, over a gigabyte in all.
const MOST_PER_SHARD: usize = 64;

/// Where a payload's record begins. Segments are never written twice, so it tells the bytes.
type Key = (SegmentId, u64);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Verified([Mutex<VecDeque<Key>>; SHARDS]);

impl Verified {
    /// Does `verify` for the payload at `offset` of `segment` unless it succeeded lately. Of many
    /// who ask for one payload at the same time, one does it and the others wait.
    pub(crate) fn once<E>(
        &self,
        segment: SegmentId,
        offset: u64,
        verify: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let key = (segment, offset);
        let sum =
            segment.0.iter().fold(offset, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
        let Some(shard) = self.0.get(sum as usize % SHARDS) else { return verify() };
        let mut known = lock(shard);
        if !known.contains(&key) {
            verify()?;
            known.push_back(key);
            if known.len() > MOST_PER_SHARD {
                known.pop_front();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_whole_is_not_read_again_until_it_is_forgotten() {
        let verified = Verified::default();
        let mut reads = 0;
        let mut once = |segment: u8, offset| {
            verified.once(SegmentId([segment; 16]), offset, || {
                reads += 1;
                Ok::<_, ()>(())
            })
        };
        for (segment, offset) in [(1, 512), (1, 512), (1, 600), (2, 512), (1, 512)] {
            once(segment, offset).unwrap();
        }
        for other in 1000..1000 + (SHARDS * MOST_PER_SHARD * 2) as u64 {
            once(3, other).unwrap();
        }
        once(1, 512).unwrap();
        assert_eq!(reads, 3 + SHARDS * MOST_PER_SHARD * 2 + 1);
    }

    #[test]
    fn damage_is_found_each_time() {
        let verified = Verified::default();
        for _ in 0..2 {
            assert!(verified.once(SegmentId([1; 16]), 512, || Err(())).is_err());
        }
        assert!(verified.once(SegmentId([1; 16]), 512, || Ok::<_, ()>(())).is_ok());
    }
}
