//! The stops of a stream that the index does not have yet, and the newest one.

use std::collections::VecDeque;

use super::Stop;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Not durable, in order.
    waiting: VecDeque<Stop>,
    /// Durable in a segment, in order, each with that segment's first number and its offset.
    unindexed: VecDeque<(u64, u32, Stop)>,
    /// The newest, wherever it is.
    last: Option<Stop>,
}

impl Ledger {
    /// Most stops that wait for the disk. Only sessions that stored something add one, so that
    /// many wait only if the disk takes fragments and refuses what follows them; further ones are
    /// dropped then, and their gaps have the cause of the newest that was kept.
    const MOST_WAITING: usize = 256;
    /// Most durable stops that wait for the index; the oldest are left to the next opening, which
    /// indexes them anew.
    const MOST_UNINDEXED: usize = 4096;

    /// A ledger of which all is indexed.
    pub(crate) fn new(last: Option<Stop>) -> Self {
        Self { last, ..Self::default() }
    }

    /// Adds a stop; whether there is something new to write.
    pub(crate) fn add(&mut self, stop: Stop) -> bool {
        let same = |last: &Stop| (last.ended, last.cause) == (stop.ended, stop.cause);
        if let Some(last) = self.last.as_mut().filter(|last| same(last)) {
            let known = stop.number <= last.number;
            last.number = last.number.max(stop.number);
            if let Some(waiting) = self.waiting.back_mut() {
                // That is the same one, and one record can say both.
                waiting.number = waiting.number.max(stop.number);
                return false;
            }
            if known {
                return false;
            }
        }
        if self.waiting.len() >= Self::MOST_WAITING {
            return false;
        }
        self.last = Some(stop.clone());
        self.waiting.push_back(stop);
        true
    }

    /// The newest stop.
    pub(crate) fn last(&self) -> Option<&Stop> {
        self.last.as_ref()
    }

    /// Whether there are stops to write.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The first `most` stops to write.
    pub(crate) fn waiting(&self, most: usize) -> Vec<Stop> {
        self.waiting.iter().take(most).cloned().collect()
    }

    /// Notes that the next stop to write is durable at `offset` of the segment `first`.
    pub(crate) fn durable(&mut self, first: u64, offset: u32) {
        if let Some(stop) = self.waiting.pop_front() {
            if self.unindexed.len() >= Self::MOST_UNINDEXED {
                self.unindexed.pop_front();
            }
            self.unindexed.push_back((first, offset, stop));
        }
    }

    /// The stops that the index lacks, though they are durable.
    pub(crate) fn unindexed(&self) -> Vec<(u64, u32, Stop)> {
        self.unindexed.iter().cloned().collect()
    }

    /// Notes that the index has all durable stops up to the one at `offset` of the segment `first`.
    pub(crate) fn indexed(&mut self, (first, offset): (u64, u32)) {
        self.unindexed.retain(|(of, at, _)| (*of, *at) > (first, offset));
    }

    /// The stops that the index may lack, oldest first.
    pub(crate) fn in_memory(&self) -> impl Iterator<Item = &Stop> {
        self.unindexed.iter().map(|(_, _, stop)| stop).chain(&self.waiting)
    }
}
