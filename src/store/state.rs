//! What a stream knows in memory: who writes it, what is under way, what waits for the disk, and
//! where its newest fragments are.
//!
//! Nothing here touches the disk. The one lock of a stream guards all of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kinora_base::{FragmentNumber, WallTime};
use tokio::sync::{oneshot, watch};

use crate::configurations::Configurations;
use crate::duplicates::Newest;
use crate::index::{SegmentRow, Totals};
use crate::kept::Kept;
use crate::ledger::Ledger;
use crate::segment::Append;
use crate::segments::Segments;
use crate::server_time::ServerTime;
use crate::{Arrival, Begin, Error, Fragment, Part};

/// Most numbers that may be begun and not yet recorded on disk. After an unclean stop a stream
/// continues this many numbers further on, so that no number is given twice, not even one that
/// only live readers saw. Never lower it: data written under the higher value relies on it.
pub(crate) const NUMBERS_IN_FLIGHT: u64 = 256;

/// The present writer.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) epoch: u64,
    pub(crate) arrival: Arrival,
    pub(crate) superseded: watch::Sender<bool>,
}

/// The fragment that the writer has begun.
#[derive(Debug)]
pub(crate) struct UnderWay {
    /// None while it may be a repeated one.
    pub(crate) number: Option<u64>,
    pub(crate) begin: Begin,
    /// Content of its codec configuration.
    pub(crate) configuration: Bytes,
    pub(crate) parts: Vec<Arc<Part>>,
    /// Bytes in the parts.
    pub(crate) bytes: u64,
}

/// A fragment that is complete and not durable.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) fragment: Fragment,
    pub(crate) payload: Vec<Bytes>,
    pub(crate) payload_crc: u32,
    pub(crate) configuration: Bytes,
    pub(crate) epoch: u64,
    /// When it was finished, on the monotonic clock.
    pub(crate) finished: Duration,
    pub(crate) waiting: Vec<oneshot::Sender<Result<(), Error>>>,
}

/// Payloads of the newest durable fragments, kept for live readers.
#[derive(Debug, Default)]
pub(crate) struct Ring(VecDeque<(FragmentNumber, Vec<Bytes>, u64)>);

impl Ring {
    /// Most fragments kept: the one that players are fetching.
    const FRAGMENTS: usize = 1;
    /// Most bytes kept. What does not fit is read back from the page cache.
    const BYTES: u64 = 1 << 20;

    pub(crate) fn push(&mut self, fragment: &Fragment, payload: Vec<Bytes>) {
        self.0.push_back((fragment.number, payload, u64::from(fragment.bytes)));
        let mut bytes: u64 = self.0.iter().map(|(_, _, bytes)| bytes).sum();
        while self.0.len() > Self::FRAGMENTS || bytes > Self::BYTES {
            let Some((_, _, gone)) = self.0.pop_front() else { break };
            bytes -= gone;
        }
    }

    pub(crate) fn get(&self, number: FragmentNumber) -> Option<&[Bytes]> {
        self.0.iter().find(|(kept, _, _)| *kept == number).map(|(_, payload, _)| payload.as_slice())
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Sums over all durable fragments.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    pub(crate) numbers: Option<(FragmentNumber, FragmentNumber)>,
    pub(crate) producer_range: Option<(WallTime, WallTime)>,
    pub(crate) fragments: u64,
    pub(crate) bytes: u64,
    /// Length of the files of segments that the index has.
    pub(crate) file_bytes: u64,
    /// Duration of the longest that was ever stored.
    pub(crate) longest_us: u64,
}

impl Sums {
    pub(crate) fn add(&mut self, fragment: &Fragment) {
        let number = fragment.number;
        let (low, high) = self.numbers.unwrap_or((number, number));
        self.numbers = Some((low.min(number), high.max(number)));
        let (start, end) = (fragment.producer_time, fragment.producer_end());
        let (low, high) = self.producer_range.unwrap_or((start, end));
        self.producer_range = Some((low.min(start), high.max(end)));
        self.fragments += 1;
        self.bytes += u64::from(fragment.bytes);
        self.longest_us = self.longest_us.max(fragment.duration_us);
    }

    /// Takes a segment out whose file was deleted. Numbers and times stay as they were.
    pub(crate) fn forget(&mut self, row: &SegmentRow) {
        self.fragments = self.fragments.saturating_sub(u64::from(row.count));
        self.bytes = self.bytes.saturating_sub(row.bytes);
        self.file_bytes = self.file_bytes.saturating_sub(row.file_bytes);
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    /// Why the stream takes nothing any more, if it does not.
    pub(crate) ended: Option<Error>,
    /// Whether it was deleted.
    pub(crate) deleted: bool,
    pub(crate) writer: Option<Holder>,
    pub(crate) epoch: u64,
    /// The one that waits to be the writer: of several, who arrived last.
    pub(crate) taker: Option<Arrival>,
    pub(crate) next_number: u64,
    /// This number and all below are recorded on disk as spent.
    pub(crate) recorded: u64,
    /// Whether the disk holds a record that numbers given out now can be counted from after a
    /// crash. Before it does, nobody gets the right to write.
    pub(crate) grounded: bool,
    /// Why it could not be made so.
    pub(crate) mark_failed: Option<Error>,
    pub(crate) under_way: Option<UnderWay>,
    /// In order of their numbers. The committer takes copies from the front and removes them
    /// when they are durable.
    pub(crate) pending: VecDeque<Pending>,
    pub(crate) pending_bytes: u64,
    /// Whether a mark shall be written.
    pub(crate) mark: bool,
    /// Whether the open segment shall be sealed although there is room in it.
    pub(crate) rotate: bool,
    /// Whether the committer has been told of the stream.
    pub(crate) queued: bool,
    pub(crate) ledger: Ledger,
    pub(crate) newest: Newest,
    pub(crate) ring: Ring,
    pub(crate) segments: Segments,
    pub(crate) configurations: Configurations,
    pub(crate) sums: Sums,
    /// What shall be kept, and what has expired.
    pub(crate) kept: Kept,
    /// Longest span of an indexed segment on the producer axis, in microseconds: how much earlier
    /// than a time a segment may begin that reaches it.
    pub(crate) longest_producer_us: i64,
    /// The same on the server axis.
    pub(crate) longest_server_us: i64,
    pub(crate) last_received: Option<WallTime>,
    pub(crate) server_time: ServerTime,
    /// Ordinal of the next fragment to become durable.
    pub(crate) next_ordinal: u64,
    /// [`Fragment::discontinuities`] of the newest durable fragment.
    pub(crate) discontinuities: u32,
}

impl State {
    /// A stream of which nothing is known.
    pub(crate) fn new(configurations: Configurations) -> Self {
        Self {
            ended: None,
            deleted: false,
            writer: None,
            epoch: 0,
            taker: None,
            next_number: 1,
            recorded: 0,
            grounded: false,
            mark_failed: None,
            under_way: None,
            pending: VecDeque::new(),
            pending_bytes: 0,
            mark: false,
            rotate: false,
            queued: false,
            ledger: Ledger::default(),
            newest: Newest::default(),
            ring: Ring::default(),
            segments: Segments::default(),
            configurations,
            sums: Sums::default(),
            kept: Kept::default(),
            longest_producer_us: 0,
            longest_server_us: 0,
            last_received: None,
            server_time: ServerTime::default(),
            next_ordinal: 0,
            discontinuities: 0,
        }
    }

    /// The payload of the fragment `number` in its pieces, if it is in memory.
    pub(crate) fn payload(&self, number: FragmentNumber) -> Option<&[Bytes]> {
        let pending = self.pending.iter().find(|pending| pending.fragment.number == number);
        pending.map(|pending| pending.payload.as_slice()).or_else(|| self.ring.get(number))
    }

    /// Producer time at which the newest fragment ends.
    pub(crate) fn newest_end(&self) -> Option<WallTime> {
        self.newest.last().map(Fragment::producer_end)
    }

    /// The lowest number that a record still to be written can have.
    pub(crate) fn lowest_coming(&self) -> u64 {
        let pending = self.pending.front().map(|pending| pending.fragment.number.get());
        let under_way = self.under_way.as_ref().and_then(|under_way| under_way.number);
        [pending, under_way].into_iter().flatten().fold(self.next_number, u64::min)
    }

    /// The ordinal of the next fragment to be finished.
    pub(crate) fn coming_ordinal(&self) -> u64 {
        self.next_ordinal + self.pending.len() as u64
    }

    /// How many fragments with [`crate::Flags::DISCONTINUITY`] have been finished.
    pub(crate) fn discontinuities(&self) -> u32 {
        self.pending.back().map_or(self.discontinuities, |pending| pending.fragment.discontinuities)
    }

    /// Gives up everything that is not durable; returns who waited for it, and its bytes. Numbers
    /// stay spent, ordinals do not.
    pub(crate) fn give_up(&mut self) -> (Vec<Pending>, u64) {
        let lost = self.pending.drain(..).collect();
        let bytes = std::mem::take(&mut self.pending_bytes);
        let durable = self.sums.numbers.map_or(0, |(_, last)| last.get());
        self.newest.forget_after(durable);
        (lost, bytes)
    }
}

impl From<&Pending> for Append {
    fn from(pending: &Pending) -> Self {
        Self {
            fragment: pending.fragment.clone(),
            payload: pending.payload.clone(),
            payload_crc: pending.payload_crc,
            epoch: pending.epoch,
            configuration: pending.configuration.clone(),
        }
    }
}

impl From<Totals> for Sums {
    fn from(totals: Totals) -> Self {
        let numbers = FragmentNumber::new(totals.first).zip(FragmentNumber::new(totals.last));
        Self {
            numbers,
            producer_range: Some((totals.producer_first, totals.producer_end)),
            fragments: totals.count,
            bytes: totals.bytes,
            file_bytes: totals.file_bytes,
            longest_us: 0,
        }
    }
}
