//! What the store counts about itself, for metrics.
//!
//! Counting is all that happens here; names and exposition are `api`'s business.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Cause;

/// The store's figures since it was opened. All but the five before the last only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Fragments finished by writers, repeated ones not counted.
    pub received_fragments: u64,
    /// Their payload bytes.
    pub received_bytes: u64,
    /// Fragments that were recognised as repeated and not stored again.
    pub repeated_fragments: u64,
    /// Fragments that became durable.
    pub durable_fragments: u64,
    /// Fragments that writers were told are lost.
    pub lost_fragments: u64,
    /// Bytes written to data files, headers and footers included.
    pub written_bytes: u64,
    /// Times a data file was synced.
    pub syncs: u64,
    /// Segments sealed.
    pub sealed_segments: u64,
    /// How long it took from finish to durable: for each of [`Statistics::LATENCY_BOUNDS_US`] how
    /// many fragments took at most that long (and longer than the bound before), then how many
    /// took longer than the last.
    pub commit_latency: [u64; Self::LATENCY_BOUNDS_US.len() + 1],
    /// The sum of those times, in microseconds.
    pub commit_latency_us: u64,
    /// Bytes of unfinished writes that recovery discarded at opening.
    pub discarded_bytes: u64,
    /// Bytes that the scrubber has read.
    pub scrubbed_bytes: u64,
    /// Times that it has read everything.
    pub scrub_passes: u64,
    /// When it last had, in microseconds since 1970; 0 if never.
    pub scrubbed_at_us: u64,
    /// Damaged places that are known now.
    pub damaged_places: u64,
    /// Streams that could not be opened.
    pub out_of_service: u64,
    /// Payload bytes that wait for the disk now.
    pub queued_bytes: u64,
    /// Segments that were deleted because a limit was reached.
    pub expired_segments: u64,
    /// Segments open now.
    pub open_segments: u64,
    /// Stops noted, by cause in the order of [`Cause::ALL`].
    pub stops: [u64; Cause::ALL.len()],
}

impl Statistics {
    /// Upper bounds of the latency buckets, in microseconds.
    pub const LATENCY_BOUNDS_US: [u64; 12] =
        [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 5_000_000];
}

/// The figures while they are being counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) received_fragments: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) repeated_fragments: AtomicU64,
    pub(crate) durable_fragments: AtomicU64,
    pub(crate) lost_fragments: AtomicU64,
    pub(crate) written_bytes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) sealed_segments: AtomicU64,
    pub(crate) discarded_bytes: AtomicU64,
    pub(crate) scrubbed_bytes: AtomicU64,
    pub(crate) scrub_passes: AtomicU64,
    pub(crate) scrubbed_at_us: AtomicU64,
    pub(crate) damaged_places: AtomicU64,
    pub(crate) out_of_service: AtomicU64,
    pub(crate) queued_bytes: AtomicU64,
    pub(crate) expired_segments: AtomicU64,
    pub(crate) open_segments: AtomicU64,
    pub(crate) stops: [AtomicU64; Cause::ALL.len()],
    latency: [AtomicU64; Statistics::LATENCY_BOUNDS_US.len() + 1],
    latency_us: AtomicU64,
}

/// Adds to a figure.
pub(crate) fn add(figure: &AtomicU64, by: u64) {
    figure.fetch_add(by, Ordering::Relaxed);
}

/// Takes away from a figure.
pub(crate) fn subtract(figure: &AtomicU64, by: u64) {
    figure.fetch_sub(by, Ordering::Relaxed);
}

impl Counters {
    /// Counts a fragment that took `latency` from finish to durable.
    pub(crate) fn durable(&self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = Statistics::LATENCY_BOUNDS_US.partition_point(|bound| *bound < us);
        if let Some(bucket) = self.latency.get(bucket) {
            add(bucket, 1);
        }
        add(&self.latency_us, us);
        add(&self.durable_fragments, 1);
    }

    /// The figures now.
    pub(crate) fn read(&self) -> Statistics {
        let get = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        Statistics {
            received_fragments: get(&self.received_fragments),
            received_bytes: get(&self.received_bytes),
            repeated_fragments: get(&self.repeated_fragments),
            durable_fragments: get(&self.durable_fragments),
            lost_fragments: get(&self.lost_fragments),
            written_bytes: get(&self.written_bytes),
            syncs: get(&self.syncs),
            sealed_segments: get(&self.sealed_segments),
            commit_latency: std::array::from_fn(|bucket| self.latency.get(bucket).map_or(0, get)),
            commit_latency_us: get(&self.latency_us),
            discarded_bytes: get(&self.discarded_bytes),
            scrubbed_bytes: get(&self.scrubbed_bytes),
            scrub_passes: get(&self.scrub_passes),
            scrubbed_at_us: get(&self.scrubbed_at_us),
            damaged_places: get(&self.damaged_places),
            out_of_service: get(&self.out_of_service),
            queued_bytes: get(&self.queued_bytes),
            expired_segments: get(&self.expired_segments),
            open_segments: get(&self.open_segments),
            stops: std::array::from_fn(|cause| self.stops.get(cause).map_or(0, get)),
        }
    }
}
