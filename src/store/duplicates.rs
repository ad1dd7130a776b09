//! The newest fragments of a stream, to recognise one that a producer sends again.
//!
//! Payloads are known by length and checksum only.

use std::collections::VecDeque;

use kinora_base::WallTime;

use crate::Fragment;

/// The newest fragments of a stream with their payloads' checksums.
#[derive(Debug, Default)]
pub(crate) struct Newest(VecDeque<(Fragment, u32)>);

impl Newest {
    /// How many fragments are remembered: at one fragment a second, what a producer that lost its
    /// connection for four minutes may repeat.
    pub(crate) const COUNT: usize = 256;

    /// Remembers `fragment`, forgetting the oldest if need be.
    pub(crate) fn push(&mut self, fragment: Fragment, payload_crc: u32) {
        if self.0.len() >= Self::COUNT {
            self.0.pop_front();
        }
        self.0.push_back((fragment, payload_crc));
    }

    /// Whether one of them began at `time`.
    pub(crate) fn has_time(&self, time: WallTime) -> bool {
        self.0.iter().any(|(fragment, _)| fragment.producer_time == time)
    }

    /// The one that began at `time` and has this content.
    pub(crate) fn find(&self, time: WallTime, bytes: u32, payload_crc: u32) -> Option<&Fragment> {
        self.0
            .iter()
            .find(|(f, crc)| f.producer_time == time && f.bytes == bytes && *crc == payload_crc)
            .map(|(fragment, _)| fragment)
    }

    /// Forgets those with numbers above `number`, which were lost.
    pub(crate) fn forget_after(&mut self, number: u64) {
        self.0.retain(|(fragment, _)| fragment.number.get() <= number);
    }
}
