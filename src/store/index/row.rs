//! One sealed segment as the index knows it.

use kinora_base::WallTime;

use super::merge_runs;
use crate::Run;
use crate::format::{Entry, Footer, SegmentFileName, SegmentHeader, Trailer};

/// The times that the fragments of a segment cover on one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Earliest start.
    pub(crate) first: WallTime,
    /// Latest start.
    pub(crate) last: WallTime,
    /// Latest end.
    pub(crate) end: WallTime,
}

impl Span {
    fn of(starts_and_durations: impl Iterator<Item = (WallTime, u32)>) -> Self {
        let mut span =
            Self { first: WallTime::LATEST, last: WallTime::from_micros(0), end: WallTime::from_micros(0) };
        for (start, duration_us) in starts_and_durations {
            span.first = span.first.min(start);
            span.last = span.last.max(start);
            span.end = span.end.max(start.offset_micros(i64::from(duration_us)));
        }
        span
    }

    /// From the earliest start to the latest end, in microseconds.
    pub(crate) fn length_us(&self) -> i64 {
        self.end.micros_since(self.first)
    }
}

/// A row of the table `segments`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    /// First number it may hold: its identity in the stream.
    pub(crate) first: u64,
    /// Number of its first fragment.
    pub(crate) lowest: u64,
    /// Number of its last fragment.
    pub(crate) last: u64,
    /// Highest number that is spent.
    pub(crate) spent: u64,
    pub(crate) epoch: u64,
    pub(crate) first_ordinal: u64,
    /// Fragments in it.
    pub(crate) count: u32,
    /// Their payload bytes.
    pub(crate) bytes: u64,
    /// Length of the file.
    pub(crate) file_bytes: u64,
    pub(crate) producer: Span,
    pub(crate) server: Span,
    pub(crate) damaged: bool,
    /// Duration of the longest fragment.
    pub(crate) longest_us: u64,
    /// The continuous runs of producer time.
    pub(crate) runs: Vec<Run>,
}

impl SegmentRow {
    /// The row of a segment with this content.
    pub(crate) fn new(header: &SegmentHeader, footer: &Footer, trailer: &Trailer) -> Self {
        let entries = &footer.entries;
        let times = |time: fn(&Entry) -> WallTime| entries.iter().map(move |e| (time(e), e.duration_us));
        let runs = entries.iter().map(|entry| Run {
            start: entry.producer_time,
            end: entry.producer_time.offset_micros(i64::from(entry.duration_us)),
            fragments: 1,
            bytes: u64::from(entry.length),
        });
        Self {
            first: header.first,
            lowest: header.first + entries.first().map_or(0, |entry| u64::from(entry.number)),
            last: header.first + entries.last().map_or(0, |entry| u64::from(entry.number)),
            spent: trailer.spent,
            epoch: trailer.epoch,
            first_ordinal: header.first_ordinal,
            count: trailer.counts.fragments,
            bytes: entries.iter().map(|entry| u64::from(entry.length)).sum(),
            file_bytes: trailer.footer_offset + Footer::length(trailer.counts) + Trailer::BYTES_U64,
            producer: Span::of(times(|entry| entry.producer_time)),
            server: Span::of(times(|entry| entry.server_time)),
            damaged: trailer.damaged,
            longest_us: entries.iter().map(|entry| u64::from(entry.duration_us)).max().unwrap_or(0),
            runs: merge_runs(runs.collect()),
        }
    }

    /// The name of its file.
    pub(crate) fn file_name(&self) -> String {
        let (start, end) = (self.producer.first, self.producer.end);
        SegmentFileName::Sealed { first: self.first, start, end, count: self.count }.to_string()
    }
}
