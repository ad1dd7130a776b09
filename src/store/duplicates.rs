//! The newest fragments of a stream, to recognise one that a producer sends again.
//!
//! What is sent again begins at the same producer time and has the same content; what the head
//! says, such as tags, may differ from one connection to the next. Content is known by its
//! checksum only.

use std::collections::VecDeque;

use kinora_base::WallTime;

use crate::{Flags, Fragment};

/// The newest fragments of a stream, in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct Newest(VecDeque<Fragment>);

impl Newest {
    /// How many fragments are remembered: at one fragment a second, what a producer that lost its
    /// connection for four minutes may repeat.
    pub(crate) const COUNT: usize = 256;

    /// At most so many sealed segments are read for them when the server starts.
    pub(crate) const MAX_SEGMENTS: usize = 32;

    /// Remembers `fragment`, forgetting the oldest if need be.
    pub(crate) fn push(&mut self, fragment: Fragment) {
        if self.0.len() >= Self::COUNT {
            self.0.pop_front();
        }
        self.0.push_back(fragment);
    }

    /// The newest.
    pub(crate) fn last(&self) -> Option<&Fragment> {
        self.0.back()
    }

    /// Those that began at `time`.
    pub(crate) fn begun_at(&self, time: WallTime) -> impl Iterator<Item = &Fragment> {
        self.0.iter().filter(move |fragment| fragment.producer_time == time)
    }

    /// The one that began at `time` and has this content. One that broke off, though exactly at
    /// its end, is no repeat of anything but what broke off, too: whoever sends it whole wants it
    /// known as whole, and what is durable does not change its flags.
    pub(crate) fn find(&self, time: WallTime, content_crc: u32, is_partial: bool) -> Option<&Fragment> {
        let same = |fragment: &&Fragment| fragment.content_crc == content_crc;
        let broke_off = |fragment: &&Fragment| fragment.flags.has(Flags::PARTIAL);
        let whole = self.begun_at(time).filter(same).find(|fragment| !broke_off(fragment));
        whole.or_else(|| self.begun_at(time).filter(same).find(|_| is_partial))
    }

    /// Forgets those with numbers above `number`, which were lost.
    pub(crate) fn forget_after(&mut self, number: u64) {
        self.0.retain(|fragment| fragment.number.get() <= number);
    }
}
