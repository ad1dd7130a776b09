//! Runs to longer runs, and bytes to buckets, while runs come by in the order of their starts.
//!
//! Pure; where the runs come from is unknown here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use kinora_base::WallTime;

use crate::Run;

/// Joins runs that are less than a given time apart. Those that come late, but not later than the
/// last call of [`Joining::settle`] said, are put where they belong.
#[derive(Debug)]
pub(super) struct Joining {
    apart_us: i64,
    waiting: BinaryHeap<Reverse<Ordered>>,
    current: Option<Run>,
    joined: Vec<Run>,
    /// Absences that were joined over.
    pub(super) hidden: u64,
}

/// A run by its start.
#[derive(Debug, PartialEq, Eq)]
struct Ordered(Run);

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.start, self.0.end).cmp(&(other.0.start, other.0.end))
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Joining {
    /// Joins what is at most `apart_us` apart; what is no absence is joined always.
    pub(super) fn new(apart_us: i64) -> Self {
        Self {
            apart_us: apart_us.max(Run::LARGEST_HOLE_US),
            waiting: BinaryHeap::new(),
            current: None,
            joined: Vec::new(),
            hidden: 0,
        }
    }

    pub(super) fn add(&mut self, run: Run) {
        // Most runs go on where the one before ended. Nothing that is still to come changes that.
        let goes_on = |current: &Run| {
            run.start >= current.start && run.start.micros_since(current.end) <= Run::LARGEST_HOLE_US
        };
        if self.waiting.is_empty() && self.current.as_ref().is_some_and(goes_on) {
            self.join(run);
        } else {
            self.waiting.push(Reverse(Ordered(run)));
        }
    }

    /// Notes that no run to come starts before `time`.
    pub(super) fn settle(&mut self, time: WallTime) {
        while let Some(Reverse(Ordered(run))) = self.waiting.peek() {
            if run.start > time {
                return;
            }
            let run = *run;
            self.waiting.pop();
            self.join(run);
        }
    }

    fn join(&mut self, run: Run) {
        let Some(current) = &mut self.current else {
            self.current = Some(run);
            return;
        };
        let hole_us = run.start.micros_since(current.end);
        if hole_us > self.apart_us {
            self.joined.push(std::mem::replace(current, run));
            return;
        }
        self.hidden += u64::from(hole_us > Run::LARGEST_HOLE_US);
        current.end = current.end.max(run.end);
        current.fragments += run.fragments;
        current.bytes += run.bytes;
    }

    /// The runs that are complete so far, which are forgotten here.
    pub(super) fn take(&mut self) -> Vec<Run> {
        std::mem::take(&mut self.joined)
    }

    /// All that is left.
    pub(super) fn finish(mut self) -> (Vec<Run>, u64) {
        self.settle(WallTime::from_micros(i64::MAX));
        self.joined.extend(self.current);
        (self.joined, self.hidden)
    }
}

/// Bytes by equal stretches of time.
#[derive(Debug)]
pub(super) struct Buckets {
    start: WallTime,
    length_us: i64,
    bytes: Vec<u64>,
}

impl Buckets {
    /// `count` buckets from `start` to `end`, each a whole number of microseconds.
    pub(super) fn new(start: WallTime, end: WallTime, count: usize) -> Self {
        let count_us = i64::try_from(count.max(1)).unwrap_or(i64::MAX);
        let span_us = end.micros_since(start).max(1);
        let length_us = span_us / count_us + i64::from(span_us % count_us != 0);
        Self { start, length_us, bytes: vec![0; count] }
    }

    /// How long one is.
    pub(super) fn length_us(&self) -> i64 {
        self.length_us
    }

    /// Spreads the bytes of a run evenly over its time.
    pub(super) fn add(&mut self, run: &Run) {
        let from_us = run.start.micros_since(self.start);
        let length_us = run.end.micros_since(run.start).max(1);
        let first = from_us.div_euclid(self.length_us).max(0);
        let last = from_us.saturating_add(length_us).saturating_sub(1).div_euclid(self.length_us);
        let skip = usize::try_from(first).unwrap_or(usize::MAX);
        let count = usize::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(0);
        for (place, bytes) in self.bytes.iter_mut().enumerate().skip(skip).take(count) {
            let bucket_us = (place as i64).saturating_mul(self.length_us);
            let overlap_us =
                (bucket_us + self.length_us).min(from_us.saturating_add(length_us)) - bucket_us.max(from_us);
            let share = u128::from(run.bytes) * u128::from(overlap_us.max(0).unsigned_abs());
            *bytes += u64::try_from(share / u128::from(length_us.unsigned_abs())).unwrap_or(u64::MAX);
        }
    }

    /// How long one is, and what is in each.
    pub(super) fn finish(self) -> (i64, Vec<u64>) {
        (self.length_us, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::index::merge_runs;

    fn run(start_ms: i64, length_ms: i64) -> Run {
        let start = WallTime::from_millis(1_800_000_000_000 + start_ms);
        Run { start, end: start.offset_micros(length_ms * 1000), fragments: 1, bytes: 1000 }
    }

    #[test]
    fn bytes_are_spread_over_the_time_they_cover() {
        let buckets = |runs: &[Run]| {
            let mut buckets = Buckets::new(run(0, 0).start, run(10_000, 0).start, 10);
            runs.iter().for_each(|run| buckets.add(run));
            buckets.finish().1
        };
        assert_eq!(buckets(&[run(0, 1000)]), [1000, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(buckets(&[run(2500, 2000)]), [0, 0, 250, 500, 250, 0, 0, 0, 0, 0]);
        assert_eq!(buckets(&[run(-3000, 4000)]), [250, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(buckets(&[run(9000, 4000), run(20_000, 1)]), [0, 0, 0, 0, 0, 0, 0, 0, 0, 250]);
        assert_eq!(buckets(&[run(-3000, 1000), run(0, 0)]), [1000, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn joining_as_they_come_is_joining_all_at_once(
            times in proptest::collection::vec((0_i64..60_000, 0_i64..4000), 0..60),
            settle_every in 1_usize..8,
        ) {
            let mut runs: Vec<Run> = times.iter().map(|(start, length)| run(*start, *length)).collect();
            runs.sort_by_key(|run| run.start);
            let mut joining = Joining::new(0);
            let mut joined = Vec::new();
            for (place, run) in runs.iter().enumerate() {
                if place % settle_every == 0 {
                    joining.settle(run.start);
                    joined.extend(joining.take());
                }
                joining.add(*run);
            }
            let (rest, hidden) = joining.finish();
            joined.extend(rest);
            prop_assert_eq!(hidden, 0);
            prop_assert_eq!(joined, merge_runs(runs));
        }

        #[test]
        fn what_is_hidden_is_counted(
            times in proptest::collection::vec((0_i64..600_000, 0_i64..4000), 0..60),
            apart_ms in 0_i64..100_000,
        ) {
            let runs: Vec<Run> = times.iter().map(|(start, length)| run(*start, *length)).collect();
            let mut joining = Joining::new(apart_ms * 1000);
            runs.iter().for_each(|run| joining.add(*run));
            let (joined, hidden) = joining.finish();
            let all = merge_runs(runs);
            prop_assert_eq!(joined.len() as u64 + hidden, all.len() as u64);
            prop_assert_eq!(joined.iter().map(|r| r.bytes).sum::<u64>(), all.iter().map(|r| r.bytes).sum::<u64>());
        }
    }
}
