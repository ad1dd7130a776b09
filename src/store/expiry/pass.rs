//! All limits put into effect at once: those of each stream, then those of all streams together, for
//! which the oldest segments go first, whichever stream they belong to.
//!
//! What may go of one stream is told in `enforce`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, TryLockError};

use kinora_base::{StreamName, WallTime};

use crate::index::SegmentRow;
use crate::retention::{Left, Outlook, Pressure};
use crate::stream::Streams;
use crate::sync::lock;
use crate::volume::Volume;
use crate::{Error, Stream};

/// Rows that are searched at a time for one that no pin holds.
const ROWS: usize = 16;

/// Puts the limits into effect. The first failure is told, after all else was tried.
pub(crate) fn pass(volume: &Volume, streams: &Streams) -> Result<(), Error> {
    let _turn = lock(&volume.passing);
    put_into_effect(volume, streams)
}

/// As [`pass`], unless somebody is at it: the keeper has other work that must not wait for that.
pub(crate) fn pass_unless_busy(volume: &Volume, streams: &Streams) -> Result<(), Error> {
    match volume.passing.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(()),
        _turn => put_into_effect(volume, streams),
    }
}

fn put_into_effect(volume: &Volume, streams: &Streams) -> Result<(), Error> {
    let now = volume.trusted_now();
    lock(&volume.rate).note(volume.clock.monotonic(), volume.counters.read().written_bytes);
    let streams: Vec<Arc<Stream>> = lock(streams).values().cloned().collect();
    let limits = volume.limits();
    let mut result = Ok(());
    for stream in &streams {
        let rule = lock(&stream.state).kept.rule(limits.of(&stream.name), now);
        let done = stream.delete_stale_rows().and(stream.retain(rule));
        result = result.and(done);
    }
    let excess = excess(volume, &streams);
    if excess > 0 {
        result = result.and(evict(&streams, excess));
        volume.look();
    }
    result
}

/// What lies ahead at the present rate.
pub(crate) fn outlook(volume: &Volume, streams: &Streams) -> Result<Outlook, Error> {
    let streams: Vec<Arc<Stream>> = lock(streams).values().cloned().collect();
    let used_bytes = streams.iter().map(|stream| stream.disk_bytes()).sum();
    let (now, written) = (volume.clock.monotonic(), volume.counters.read().written_bytes);
    let bytes_per_second = lock(&volume.rate).per_second(now, written);
    let space = volume.watch.space();
    let left = Left {
        total: volume.limits().total_bytes.map(|most| most.saturating_sub(used_bytes)),
        disk: space.free_bytes.map(|free| free.saturating_sub(space.keep_free_bytes)),
    };
    let (full_at, by_total) = left.runs_out(volume.clock.wall(), bytes_per_second);
    let mut next = None;
    for stream in &streams {
        if let Some(row) = stream.oldest_unpinned()? {
            let first = (row.server.first, stream.name.clone());
            next = Some(next.map_or(first.clone(), |other: (WallTime, StreamName)| other.min(first)));
        }
    }
    Ok(Outlook {
        used_bytes,
        bytes_per_second,
        full_at,
        by_total,
        next: next.map(|(time, name)| (name, time)),
    })
}

/// Bytes that have to go, whosever they are.
fn excess(volume: &Volume, streams: &[Arc<Stream>]) -> u64 {
    let used = || streams.iter().map(|stream| stream.disk_bytes()).sum::<u64>();
    let too_much = volume.limits().total_bytes.map_or(0, |most| used().saturating_sub(most));
    volume.look();
    let space = volume.watch.space();
    let too_little_free = match (space.pressure, space.free_bytes) {
        (Pressure::Low | Pressure::Full, Some(free)) => space.keep_free_bytes.saturating_sub(free),
        _ => 0,
    };
    too_much.max(too_little_free)
}

/// Deletes the oldest segments that no pin holds, until `excess` bytes are gone.
fn evict(streams: &[Arc<Stream>], mut excess: u64) -> Result<(), Error> {
    let mut oldest = BinaryHeap::new();
    for (index, stream) in streams.iter().enumerate() {
        if let Some(row) = stream.oldest_unpinned()? {
            oldest.push(Reverse((row.server.last, index, row.first, row.last, row.file_bytes)));
        }
    }
    while excess > 0 {
        let Some(Reverse((_, index, first, last, bytes))) = oldest.pop() else { break };
        let Some(stream) = streams.get(index) else { break };
        tracing::info!(
            stream = stream.name.as_str(),
            first,
            bytes,
            "deleting the oldest segment to make room"
        );
        stream.give_up_to(last)?;
        excess = excess.saturating_sub(bytes);
        if let Some(row) = stream.oldest_unpinned()? {
            oldest.push(Reverse((row.server.last, index, row.first, row.last, row.file_bytes)));
        }
    }
    Ok(())
}

impl Stream {
    /// Bytes that its files take, but for what is reserved ahead.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let state = lock(&self.state);
        let open = state.segments.open.as_ref().map_or(0, |open| open.durable_to);
        let waiting =
            state.segments.full.iter().filter(|full| !full.is_indexed()).map(|full| full.row.file_bytes);
        state.sums.file_bytes + open + waiting.sum::<u64>()
    }

    /// The oldest sealed segment that could be deleted: no pin holds any of it.
    fn oldest_unpinned(&self) -> Result<Option<SegmentRow>, Error> {
        let (view, mut from) = {
            let state = lock(&self.state);
            if state.kept.suspended.is_some() || state.deleted {
                return Ok(None);
            }
            (state.kept.view(), state.kept.expired.floor)
        };
        let database = &self.volume.database;
        from =
            database.segment_of(self.id, from)?.filter(|row| row.last >= from).map_or(from, |row| row.first);
        loop {
            let rows = database.segments_by_number(self.id, from, u64::MAX, false, ROWS)?;
            let complete = rows.len() < ROWS;
            for row in rows {
                from = row.first + 1;
                if !view.is_pinned(&row) {
                    return Ok(Some(row));
                }
            }
            if complete {
                return Ok(None);
            }
        }
    }
}
