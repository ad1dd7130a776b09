//! What a stream knows in memory of its retention: limits, pins, the floor, and what of its segments
//! lies below the floor.
//!
//! Nothing here touches the disk, and nothing decides what goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use kinora_base::WallTime;

use crate::Fragment;
use crate::format::RetentionFile;
use crate::index::SegmentRow;
use crate::limits::{Expired, Limits, Pin};
use crate::retention::Rule;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) limits: Limits,
    pub(crate) pins: Arc<[Pin]>,
    pub(crate) expired: Expired,
    /// Why nothing expires: what shall be kept cannot be read.
    pub(crate) suspended: Option<String>,
    /// Segments with fragments below the floor, by first number.
    pub(crate) below: BTreeMap<u64, Below>,
    /// Lowest number and earliest producer start at or above the floor; not known before the floor
    /// is first raised.
    pub(crate) lowest: Option<(u64, WallTime)>,
    /// When the oldest fragment at or above the floor arrived, where known.
    pub(crate) oldest: Option<WallTime>,
}

/// The part of a segment that lies below the floor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Below {
    /// Fragments in it, and their bytes.
    pub(crate) all: (u64, u64),
    /// Those of them that no pin holds.
    pub(crate) hidden: (u64, u64),
    /// Lowest number and earliest producer start of those that a pin holds.
    pub(crate) pinned_lowest: Option<(u64, WallTime)>,
    /// Highest number and latest producer end of them.
    pub(crate) pinned_highest: Option<(u64, WallTime)>,
    /// Whether all of the segment lies below the floor, and no pin holds any of it.
    pub(crate) is_doomed: bool,
}

impl Below {
    /// Measures what of `fragments`, all those of a segment, lies below `floor`.
    pub(crate) fn measure(fragments: &[Fragment], floor: u64, pins: &[Pin]) -> Self {
        let mut below = Self { is_doomed: true, ..Self::default() };
        for fragment in fragments {
            let number = fragment.number.get();
            if number >= floor {
                below.is_doomed = false;
                continue;
            }
            let bytes = u64::from(fragment.bytes);
            below.all = (below.all.0 + 1, below.all.1 + bytes);
            if pins.iter().any(|pin| pin.holds(fragment)) {
                below.is_doomed = false;
                below.pinned_lowest = lower(below.pinned_lowest, number, fragment.producer_time);
                below.pinned_highest = higher(below.pinned_highest, number, fragment.producer_end());
            } else {
                below.hidden = (below.hidden.0 + 1, below.hidden.1 + bytes);
            }
        }
        below
    }

    /// A segment that lies below the floor whole, with no pin near.
    pub(crate) fn doomed(count: u64, bytes: u64) -> Self {
        Self { all: (count, bytes), hidden: (count, bytes), is_doomed: true, ..Self::default() }
    }
}

/// The lower of two lowest numbers and earliest times.
pub(crate) fn lower(
    lowest: Option<(u64, WallTime)>,
    number: u64,
    start: WallTime,
) -> Option<(u64, WallTime)> {
    Some(lowest.map_or((number, start), |(low, early)| (low.min(number), early.min(start))))
}

/// The higher of two highest numbers and latest times.
fn higher(highest: Option<(u64, WallTime)>, number: u64, end: WallTime) -> Option<(u64, WallTime)> {
    Some(highest.map_or((number, end), |(high, late)| (high.max(number), late.max(end))))
}

impl Kept {
    /// What a file tells.
    pub(crate) fn of(file: RetentionFile) -> Self {
        Self { limits: file.limits, pins: file.pins.into(), expired: file.expired, ..Self::default() }
    }

    /// What of it a file shall tell.
    pub(crate) fn file(&self) -> RetentionFile {
        RetentionFile { limits: self.limits, pins: self.pins.to_vec(), expired: self.expired }
    }

    /// What readers may see.
    pub(crate) fn view(&self) -> View {
        View { floor: self.expired.floor, pins: Arc::clone(&self.pins) }
    }

    /// What the limits come to at `now`, where the settings give the stream these, by age and by
    /// bytes; none while nothing expires.
    pub(crate) fn rule(&self, given: (Option<u64>, Option<u64>), now: WallTime) -> Option<Rule> {
        if self.suspended.is_some() {
            return None;
        }
        Some(Rule {
            cutoff: self.age_us(given.0).map(|age| now.offset_micros(age.saturating_neg())),
            most_bytes: self.limits.bytes.or(given.1),
        })
    }

    /// When the oldest fragment has reached the limit by age, as far as it is known.
    pub(crate) fn too_old(&self, given_age_s: Option<u64>) -> Option<WallTime> {
        let at = self.oldest?.offset_micros(self.age_us(given_age_s)?);
        Some(at).filter(|at| *at <= WallTime::LATEST)
    }

    /// The limit by age, in microseconds.
    fn age_us(&self, given_s: Option<u64>) -> Option<i64> {
        let age_s = self.limits.age_s.or(given_s)?;
        Some(i64::try_from(age_s.saturating_mul(1_000_000)).unwrap_or(i64::MAX))
    }

    /// Fragments and bytes that are stored and not shown.
    pub(crate) fn hidden(&self) -> (u64, u64) {
        self.sum(|below| below.hidden)
    }

    /// Fragments and bytes that are stored and lie below the floor, shown or not.
    pub(crate) fn all_below(&self) -> (u64, u64) {
        self.sum(|below| below.all)
    }

    fn sum(&self, part: impl Fn(&Below) -> (u64, u64)) -> (u64, u64) {
        self.below.values().map(part).fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
    }

    /// Lowest number and earliest producer start that are shown, if the floor was ever raised.
    pub(crate) fn lowest_shown(&self) -> Option<(u64, WallTime)> {
        let pinned = self.below.values().filter_map(|below| below.pinned_lowest);
        pinned.fold(self.lowest, |lowest, (number, start)| lower(lowest, number, start))
    }

    /// Highest number and latest producer end that are shown, if all that is shown is pinned.
    pub(crate) fn highest_pinned(&self) -> Option<(u64, WallTime)> {
        let pinned = self.below.values().filter_map(|below| below.pinned_highest);
        pinned.fold(None, |highest, (number, end)| higher(highest, number, end))
    }

    /// Notes that a fragment became durable.
    pub(crate) fn arrived(&mut self, fragment: &Fragment) {
        if self.expired.floor > 0 {
            self.lowest = lower(self.lowest, fragment.number.get(), fragment.producer_time);
        }
    }
}

/// What of a stream readers may see. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    floor: u64,
    pins: Arc<[Pin]>,
}

impl View {
    /// The pins.
    pub(crate) fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// Whether the fragment is shown.
    pub(crate) fn shows(&self, fragment: &Fragment) -> bool {
        fragment.number.get() >= self.floor || self.pins.iter().any(|pin| pin.holds(fragment))
    }

    /// Whether any fragment of the segment may be shown.
    pub(crate) fn shows_some(&self, row: &SegmentRow) -> bool {
        row.last >= self.floor || self.is_pinned(row)
    }

    /// Whether a pin may hold any fragment of the segment.
    pub(crate) fn is_pinned(&self, row: &SegmentRow) -> bool {
        let pins = || self.pins.iter().filter(|pin| pin.touches(row.producer.first, row.producer.end));
        row.runs.iter().any(|run| pins().any(|pin| pin.touches(run.start, run.end)))
    }
}
