//! Group commit: a few threads, each with its share of the streams, write what is queued, sync,
//! and only then tell those who wait.
//!
//! Sealing and the index are left to the keeper, so that they delay nobody's acknowledgement.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use bytes::Bytes;

use crate::error::{is_full, is_local, is_out_of_files};
use crate::format::{SegmentHeader, SegmentId};
use crate::keeper::Job;
use crate::lane::Lane;
use crate::ledger::Stop;
use crate::retention::Pressure;
use crate::segment::{Append, AppendFailed, Appended, Appender, Sealing};
use crate::segments::Open;
use crate::state::NUMBERS_IN_FLIGHT;
use crate::statistics::{add, subtract};
use crate::sync::lock;
use crate::volume::Volume;
use crate::{Error, State as FragmentState, Stream};

/// The committer's thread.
pub(crate) fn run(volume: &Volume, lane: &Lane<Arc<Stream>>, keeper: &Sender<Job>) {
    while let Some(streams) = lane.next() {
        turn(volume, streams, keeper);
    }
}

/// Writes what is queued of `streams`, syncs it and tells those who wait.
pub(crate) fn turn(volume: &Volume, streams: Vec<Arc<Stream>>, keeper: &Sender<Job>) {
    // A new segment costs two more syncs: those who do not need one shall not wait for it.
    let (going_on, beginning): (Vec<_>, Vec<_>) =
        streams.into_iter().partition(|stream| !needs_segment(stream, volume));
    for group in [going_on, beginning] {
        let written: Vec<_> = group
            .iter()
            .filter_map(|stream| write(stream, volume, keeper).map(|done| (stream, done)))
            .collect();
        for (stream, appended) in written {
            sync(stream, volume, &appended, keeper);
        }
    }
}

fn needs_segment(stream: &Stream, volume: &Volume) -> bool {
    let appender = lock(&stream.appender);
    let state = lock(&stream.state);
    let next = state.pending.front().map(|pending| &pending.fragment);
    appender.as_ref().is_none_or(|appender| appender.is_full(volume.bounds(), next))
}

/// What shall be written of one stream.
struct Batch {
    configurations: Vec<(u32, Bytes)>,
    fragments: Vec<Append>,
    stops: Vec<Stop>,
    mark: Option<u64>,
    first: u64,
    first_ordinal: u64,
    epoch: u64,
}

impl Batch {
    fn is_empty(&self) -> bool {
        !self.is_waited_for() && self.stops.is_empty()
    }

    /// Whether anybody must be told if it cannot be written. Stops just wait on.
    fn is_waited_for(&self) -> bool {
        !self.configurations.is_empty() || !self.fragments.is_empty() || self.mark.is_some()
    }
}

/// Takes what is queued of a stream, as much as the open segment may get; seals the segment if
/// it is full.
fn take(stream: &Arc<Stream>, slot: &mut Option<Appender>, keeper: &Sender<Job>) -> Option<Batch> {
    let volume = &stream.volume;
    let bounds = volume.bounds();
    let mut state = lock(&stream.state);
    state.queued = false;
    if state.deleted {
        return None;
    }
    let rotate = std::mem::take(&mut state.rotate);
    let next = state.pending.front().map(|pending| &pending.fragment);
    let is_due =
        |appender: &mut Appender| appender.is_full(bounds, next) || (rotate && appender.fragments > 0);
    if let Some(full) = slot.take_if(is_due) {
        let entries = state.segments.open.take().map(|open| open.entries).unwrap_or_default();
        let sealing = Sealing::new(&full, entries, false);
        state.segments.rotate(Arc::clone(&sealing.sealed));
        subtract(&volume.counters.open_segments, 1);
        // The keeper is gone only after all committers.
        let _ = keeper.send(Job::Seal(Arc::clone(stream), sealing));
    }
    let stops = slot.as_ref().map_or(0, |open| open.stops.len());
    let at = slot.as_ref().map_or((SegmentHeader::BYTES_U64, 0), |open| (open.end, open.fragments));
    let coming = state.pending.iter().map(|p| u64::from(p.fragment.bytes) + p.configuration.len() as u64);
    let count = Appender::take(bounds, at, coming);
    let fragments: Vec<Append> = state.pending.iter().take(count).map(Append::from).collect();
    let batch = Batch {
        configurations: state.configurations.waiting(),
        mark: std::mem::take(&mut state.mark).then(|| state.next_number.saturating_sub(1)),
        first: state.lowest_coming(),
        first_ordinal: state.next_ordinal,
        epoch: state.epoch,
        stops: state.ledger.waiting(Appender::MOST_STOPS.saturating_sub(stops)),
        fragments,
    };
    if count < state.pending.len() {
        stream.enqueue(&mut state);
    }
    (!batch.is_empty()).then_some(batch)
}

/// Writes what is queued of a stream; nothing is durable yet.
fn write(stream: &Arc<Stream>, volume: &Volume, keeper: &Sender<Job>) -> Option<Appended> {
    if let Some(failure) = volume.failure() {
        lock(&stream.state).queued = false;
        stream.give_up(failure);
        return None;
    }
    if volume.watch.refusal().is_some() {
        // Somebody may have made room.
        volume.look();
        if volume.watch.refusal().is_some() {
            // What may go can make room, too, and its producers are slowed rather than refused.
            ask_for_room(volume, keeper);
            volume.wait_for_pass();
        }
    }
    let mut slot = lock(&stream.appender);
    let batch = take(stream, &mut slot, keeper)?;
    let appender = match slot.as_mut() {
        Some(appender) => appender,
        None => slot.insert(begin_segment(stream, volume, &batch)?),
    };
    // Once per segment, so that a thousand streams do not make their new keys in the same second.
    if appender.key.is_none() || appender.fragments == 0 {
        match stream.keys.of_day(volume.disk.as_ref(), &stream.folder, volume.clock.wall()) {
            Ok(key) => appender.key = key,
            Err(error) => {
                stream.give_up(&no_key(stream, volume, &error));
                return None;
            }
        }
    }
    let with = (volume.bounds(), appender.key.as_ref());
    let Batch { configurations, fragments, stops, mark, .. } = &batch;
    let appended = appender.append(with, configurations, fragments, stops, *mark);
    match appended {
        Ok((appended, allocated)) => {
            let grown = allocated > appender.allocated;
            appender.reserved(allocated);
            if grown {
                volume.look();
                ask_for_room(volume, keeper);
            }
            add(&volume.counters.written_bytes, appended.bytes);
            Some(appended)
        }
        Err(AppendFailed::Full(error)) => {
            let full = volume.full(&error);
            if let Err(error) = appender.cut() {
                volume.fail("cut", &appender.path, &error);
            }
            if batch.is_waited_for() {
                stream.give_up(&full);
            }
            None
        }
        Err(AppendFailed::Io(error)) => {
            let failure = volume.fail("write to", &appender.path, &error);
            stream.give_up(&failure);
            None
        }
    }
}

/// What it means that there is no data key to write with.
fn no_key(stream: &Stream, volume: &Volume, error: &std::io::Error) -> Error {
    if is_full(error) {
        return volume.full(error);
    }
    if is_out_of_files(error) {
        return Error::io("add a key in", &stream.folder, error);
    }
    volume.fail("add a key in", &stream.folder, error)
}

/// Tells the keeper if there is little room, unless it knows.
fn ask_for_room(volume: &Volume, keeper: &Sender<Job>) {
    let is_little = volume.watch.space().pressure != Pressure::Ample;
    if is_little && !volume.retain_asked.swap(true, Ordering::Relaxed) {
        // The keeper is gone only after all committers.
        let _ = keeper.send(Job::Retain);
    }
}

/// Creates the next segment of a stream, durable under its name before anything is in it.
fn begin_segment(stream: &Arc<Stream>, volume: &Volume, batch: &Batch) -> Option<Appender> {
    if let Some(full) = volume.watch.refusal() {
        if batch.is_waited_for() {
            stream.give_up(&full);
        }
        return None;
    }
    let created = volume.clock.wall();
    let header = SegmentHeader {
        id: SegmentId::derive(&stream.name, stream.created, batch.first, created),
        epoch: batch.epoch,
        first: batch.first,
        first_ordinal: batch.first_ordinal,
        created,
        stream: stream.name.clone(),
    };
    match Appender::create(volume.disk.as_ref(), &stream.folder, header, volume.bounds()) {
        Ok(appender) => {
            lock(&stream.state).segments.open = Some(Open::new(&appender, Vec::new()));
            add(&volume.counters.open_segments, 1);
            add(&volume.counters.syncs, 1);
            add(&volume.counters.written_bytes, appender.end);
            Some(appender)
        }
        Err(error) => {
            let reason = if is_full(&error) {
                volume.full(&error)
            } else if is_out_of_files(&error) || is_local(&error) {
                Error::io("create a segment in", &stream.folder, &error)
            } else {
                volume.fail("create a segment in", &stream.folder, &error)
            };
            if batch.is_waited_for() {
                stream.give_up(&reason);
            }
            None
        }
    }
}

/// Makes durable what was written, and tells those who wait for it.
fn sync(stream: &Arc<Stream>, volume: &Volume, appended: &Appended, keeper: &Sender<Job>) {
    if let Some(failure) = volume.failure() {
        return stream.give_up(failure);
    }
    if let Err(error) = appended.file.sync_data() {
        return stream.give_up(&volume.fail("sync", &appended.path, &error));
    }
    add(&volume.counters.syncs, 1);
    let now = volume.clock.monotonic();
    if let Some(appender) = lock(&stream.appender).as_mut() {
        appender.synced(appended);
    }
    let mut waiting = Vec::new();
    let mut configurations = Vec::new();
    {
        let mut state = lock(&stream.state);
        if let Some(open) = state.segments.open.as_mut() {
            open.entries.extend_from_slice(&appended.entries);
            open.configurations.extend_from_slice(&appended.configurations);
            open.durable_to = appended.end();
        }
        state.recorded = state.recorded.max(appended.spent);
        for stop in &appended.stops {
            state.ledger.durable(appended.first, stop.offset);
        }
        state.grounded = state.grounded || state.recorded + NUMBERS_IN_FLIGHT >= state.next_number;
        for (id, record) in &appended.configuration_records {
            if state.configurations.durable(*id) {
                configurations.push((*id, record.clone()));
            }
        }
        for _ in &appended.entries {
            // Deleting the stream meanwhile has emptied the queue.
            let Some(mut pending) = state.pending.pop_front() else { break };
            let bytes = u64::from(pending.fragment.bytes);
            state.pending_bytes = state.pending_bytes.saturating_sub(bytes);
            subtract(&volume.counters.queued_bytes, bytes);
            volume.counters.durable(now.saturating_sub(pending.finished));
            pending.fragment.state = FragmentState::Persisted;
            state.sums.add(&pending.fragment);
            state.kept.arrived(&pending.fragment);
            state.next_ordinal = pending.fragment.ordinal + 1;
            state.discontinuities = pending.fragment.discontinuities;
            state.ring.push(&pending.fragment, pending.payload);
            waiting.append(&mut pending.waiting);
        }
    }
    for waiting in waiting {
        // Whoever dropped the promise does not care.
        let _ = waiting.send(Ok(()));
    }
    stream.changed();
    // The keeper is gone only after all committers.
    if !configurations.is_empty() {
        let _ = keeper.send(Job::Configurations(Arc::clone(stream), configurations));
    }
    if !appended.stops.is_empty() {
        let _ = keeper.send(Job::Stops(Arc::clone(stream)));
    }
}
