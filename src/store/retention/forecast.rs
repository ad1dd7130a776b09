//! When room runs out at the present rate, and what would go first.
//!
//! Pure: rates, sizes and the time come in. What is deleted when is decided elsewhere.

use std::collections::VecDeque;
use std::time::Duration;

use kinora_base::{StreamName, WallTime};

/// What lies ahead if recording goes on as it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Bytes that the files of all streams take.
    pub used_bytes: u64,
    /// Bytes written per second lately.
    pub bytes_per_second: u64,
    /// When the oldest recordings begin to go for want of room; none if they never do at this rate.
    pub full_at: Option<WallTime>,
    /// Whether that is for the limit of all streams together, else for the disk.
    pub by_total: bool,
    /// Whose recording would go first, and when that arrived.
    pub next: Option<(StreamName, WallTime)>,
}

/// When a stream's own limits let go of something next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextExpiry {
    /// When; not before the present.
    pub at: WallTime,
    /// Whether that is for the limit by bytes, else for that by age.
    pub by_bytes: bool,
}

impl NextExpiry {
    /// The earlier of two times: when the oldest fragment is too old, and when `left` bytes have come
    /// at this rate.
    pub(crate) fn of(
        now: WallTime,
        too_old: Option<WallTime>,
        left: Option<u64>,
        bytes_per_second: u64,
    ) -> Option<Self> {
        let (too_much, _) = Left { total: left, disk: None }.runs_out(now, bytes_per_second);
        let by_age = too_old.map(|at| Self { at: at.max(now), by_bytes: false });
        let by_bytes = too_much.map(|at| Self { at, by_bytes: true });
        by_age.into_iter().chain(by_bytes).min_by_key(|next| next.at)
    }
}

/// How many bytes may still come: until the total is reached, and until the disk runs low.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    pub(crate) total: Option<u64>,
    pub(crate) disk: Option<u64>,
}

impl Left {
    /// When the first of them is used up at this rate, and whether that is the total.
    pub(crate) fn runs_out(self, now: WallTime, bytes_per_second: u64) -> (Option<WallTime>, bool) {
        let by_total = self.total.is_some_and(|total| self.disk.is_none_or(|disk| total <= disk));
        let left = if by_total { self.total } else { self.disk };
        let after_us = left.and_then(|left| {
            let us =
                u128::from(left) * 1_000_000 / u128::from(std::num::NonZeroU64::new(bytes_per_second)?.get());
            i64::try_from(us).ok()
        });
        // Whatever lies beyond the last time that can be told is never.
        let at = after_us.map(|us| now.offset_micros(us)).filter(|at| *at <= WallTime::LATEST);
        (at, by_total && at.is_some())
    }
}

/// Measures how fast a count grows.
#[derive(Debug, Default)]
pub(crate) struct Rate(VecDeque<(Duration, u64)>);

impl Rate {
    /// The rate is measured over so long: cameras pause and come back.
    const OVER: Duration = Duration::from_secs(600);
    /// How far samples lie apart.
    const STEP: Duration = Duration::from_secs(10);

    /// Notes that the count is `count` at `now`.
    pub(crate) fn note(&mut self, now: Duration, count: u64) {
        if self.0.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= Self::STEP) {
            self.0.push_back((now, count));
        }
        while self.0.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= Self::OVER) {
            self.0.pop_front();
        }
    }

    /// Growth per second up to `count` at `now`.
    pub(crate) fn per_second(&self, now: Duration, count: u64) -> u64 {
        let Some((at, before)) = self.0.front() else { return 0 };
        let ms = now.saturating_sub(*at).as_millis().max(1);
        u64::try_from(u128::from(count.saturating_sub(*before)) * 1000 / ms).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> WallTime {
        WallTime::from_micros(s * 1_000_000)
    }

    #[test]
    fn what_is_used_up_first_is_told() {
        let left = |total, disk| Left { total, disk }.runs_out(at(0), 10);
        assert_eq!(left(Some(1000), Some(500)), (Some(at(50)), false));
        assert_eq!(left(Some(300), Some(500)), (Some(at(30)), true));
        assert_eq!(left(None, Some(0)), (Some(at(0)), false));
        assert_eq!(left(None, None), (None, false));
        assert_eq!(Left { total: Some(1), disk: None }.runs_out(at(0), 0), (None, false), "nothing comes");
        assert_eq!(Left { total: Some(u64::MAX), disk: None }.runs_out(at(0), 1), (None, false));
    }

    #[test]
    fn of_a_streams_own_limits_the_one_that_is_reached_first_is_told() {
        let next = |too_old: Option<i64>, left, rate| {
            NextExpiry::of(at(100), too_old.map(at), left, rate).map(|next| (next.at, next.by_bytes))
        };
        assert_eq!(next(None, None, 10), None);
        assert_eq!(next(Some(200), None, 10), Some((at(200), false)));
        assert_eq!(next(Some(200), Some(500), 10), Some((at(150), true)));
        assert_eq!(next(Some(120), Some(500), 10), Some((at(120), false)));
        assert_eq!(next(None, Some(500), 0), None, "nothing comes");
        assert_eq!(next(Some(20), None, 0), Some((at(100), false)), "at once, not in the past");
    }

    #[test]
    fn rates_are_those_of_the_last_minutes() {
        let mut rate = Rate::default();
        let s = Duration::from_secs;
        assert_eq!(rate.per_second(s(0), 5), 0);
        rate.note(s(0), 0);
        assert_eq!(rate.per_second(s(4), 400), 100);
        for second in 0..2000 {
            rate.note(s(second), if second < 1000 { second * 100 } else { 100_000 + (second - 1000) * 7 });
        }
        assert_eq!(rate.per_second(s(2000), 107_000), 7);
        assert!(rate.0.len() < 100);
    }
}
