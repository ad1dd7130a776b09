//! What a stream shall keep: limits by age and size, and pins.
//!
//! What it holds, and what follows from that, is told elsewhere.

use std::collections::BTreeMap;

use kinora_base::{StreamName, WallTime};

use crate::Fragment;

/// One limit of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Limit {
    /// The one that the settings give to all streams.
    #[default]
    Inherited,
    /// None.
    Unlimited,
    /// At most so much.
    Most(u64),
}

impl Limit {
    /// What it comes to when all streams are given `default`.
    #[must_use]
    pub fn or(self, default: Option<u64>) -> Option<u64> {
        match self {
            Self::Inherited => default,
            Self::Unlimited => None,
            Self::Most(most) => Some(most),
        }
    }
}

/// The limits of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Seconds since a fragment arrived.
    pub age_s: Limit,
    /// Payload bytes of all fragments that are not only pinned.
    pub bytes: Limit,
}

/// A named stretch of producer time that is kept whatever the limits say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its name, unlike that of any other pin of the stream.
    pub name: String,
    /// Fragments that end after this time ...
    pub start: WallTime,
    /// ... and begin before this one are kept.
    pub end: WallTime,
    /// When it was set.
    pub created: WallTime,
    /// Who set it, in their words.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
}

impl Pin {
    /// Most pins of a stream.
    pub const MOST: usize = 1000;
    /// Longest name, in bytes.
    pub const LONGEST_NAME: usize = 64;
    /// Longest text about who and why, in bytes.
    pub const LONGEST_TEXT: usize = 400;

    /// Whether media between these times is pinned.
    pub(crate) fn touches(&self, start: WallTime, end: WallTime) -> bool {
        // Media that lasts no time still lies at one.
        self.start < end.max(start.offset_micros(1)) && start < self.end
    }

    /// Whether the fragment is pinned.
    pub(crate) fn holds(&self, fragment: &Fragment) -> bool {
        self.touches(fragment.producer_time, fragment.producer_end())
    }
}

/// What a stream has given up for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expired {
    /// Fragments with lower numbers are gone, but for those that a pin holds.
    pub floor: u64,
    /// Fragments whose files were deleted.
    pub fragments: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Their earliest producer start and latest producer end.
    pub range: Option<(WallTime, WallTime)>,
    /// The highest number that a deleted file recorded as spent.
    pub(crate) spent: u64,
    /// The ordinal after the last one in a deleted file.
    pub(crate) next_ordinal: u64,
    /// The highest epoch in a deleted file.
    pub(crate) epoch: u64,
    /// The lowest configuration identifier that is certain to be new.
    pub(crate) next_configuration: u32,
}

/// The limits that the settings give.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Defaults {
    /// To streams without their own, in seconds since arrival.
    pub age_s: Option<u64>,
    /// To streams without their own, in payload bytes.
    pub bytes: Option<u64>,
    /// To all streams together, in bytes on disk.
    pub total_bytes: Option<u64>,
    /// How much of the volume shall stay free, in bytes: a fiftieth of it, 16 MiB to 1 GiB, if not
    /// given. The oldest segments go for it; when only a quarter of it is left, fragments are refused.
    pub keep_free_bytes: Option<u64>,
    /// What counts instead of the first two for streams of these names, whether they exist or not.
    pub streams: BTreeMap<StreamName, Limits>,
}

impl Defaults {
    /// What the stream `name` may keep if it sets nothing itself: seconds, then bytes.
    #[must_use]
    pub fn of(&self, name: &StreamName) -> (Option<u64>, Option<u64>) {
        let named = self.streams.get(name).copied().unwrap_or_default();
        (named.age_s.or(self.age_s), named.bytes.or(self.bytes))
    }
}
