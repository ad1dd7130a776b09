//! The thread behind the committers: it seals full segments and keeps the index, neither of which
//! any acknowledgement waits for.
//!
//! It does not write fragments.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use bytes::Bytes;
use kinora_base::ErrorKind;

use crate::error::{is_full, is_local, is_out_of_files};
use crate::expiry::pass_unless_busy;
use crate::index::Watermark;
use crate::retention::{Ballast, Pressure};
use crate::segment::{Sealing, seal};
use crate::statistics::add;
use crate::stream::Streams;
use crate::sync::lock;
use crate::volume::Volume;
use crate::{Error, Stream};

/// How often watermarks are written, and what failed for want of room is tried again. What lies
/// behind the watermark is read again after a crash.
const INTERVAL: Duration = Duration::from_secs(5);

/// How often limits are put into effect.
const RETAIN_EVERY: Duration = Duration::from_secs(1);

/// How soon after the last time, when there is little room.
const RETAIN_AT_MOST_EVERY: Duration = Duration::from_millis(100);

/// Work for the keeper.
#[derive(Debug)]
pub(crate) enum Job {
    /// Seal this segment and add it to the index.
    Seal(Arc<Stream>, Sealing),
    /// Add this sealed segment to the index.
    Index(Arc<Stream>, Sealing),
    /// Add these codec configurations to the index, as they were recorded.
    Configurations(Arc<Stream>, Vec<(u32, Bytes)>),
    /// Add the durable stops of this stream to the index.
    Stops(Arc<Stream>),
    /// There is little room: see what may go.
    Retain,
    /// End, after everything sent before.
    Stop,
}

/// The keeper.
#[derive(Debug)]
pub(crate) struct Keeper {
    volume: Arc<Volume>,
    streams: Streams,
    abrupt: Arc<AtomicBool>,
    /// What failed for want of room, or of the right to write in the stream's folder.
    again: Vec<Job>,
    marked: HashMap<i64, u64>,
    floors: HashMap<i64, u64>,
    last: Duration,
    /// When limits were last put into effect, and why that failed.
    retained: (Duration, Option<String>),
}

impl Keeper {
    /// A keeper that ends without finishing its work once `abrupt` is set.
    pub(crate) fn new(volume: Arc<Volume>, streams: Streams, abrupt: Arc<AtomicBool>) -> Self {
        let last = volume.clock.monotonic();
        Self {
            volume,
            streams,
            abrupt,
            again: Vec::new(),
            marked: HashMap::new(),
            floors: HashMap::new(),
            last,
            retained: (last, None),
        }
    }

    /// The keeper's thread.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) {
        while self.turn(jobs.recv_timeout(RETAIN_EVERY)) {}
    }

    /// Does the job that came, if one did, and the routine when it is due; false at the end.
    pub(crate) fn turn(&mut self, job: Result<Job, RecvTimeoutError>) -> bool {
        if self.abrupt.load(Ordering::Acquire) {
            return false;
        }
        let now = self.volume.clock.monotonic();
        let mut wait = RETAIN_EVERY;
        let due = match job {
            Err(RecvTimeoutError::Disconnected) | Ok(Job::Stop) => {
                self.routine();
                return false;
            }
            Err(RecvTimeoutError::Timeout) => {
                wait = Duration::ZERO;
                self.volume.by_hand || now.saturating_sub(self.last) >= INTERVAL
            }
            Ok(job) => {
                if matches!(job, Job::Retain) {
                    // Whoever is refused for want of room waits for this.
                    let refused = self.volume.watch.refusal().is_some();
                    wait = if refused { Duration::ZERO } else { RETAIN_AT_MOST_EVERY };
                    self.volume.retain_asked.store(false, Ordering::Relaxed);
                }
                self.work(job);
                now.saturating_sub(self.last) >= INTERVAL
            }
        };
        if now.saturating_sub(self.retained.0) >= wait {
            self.retained.0 = now;
            self.retain();
        }
        if due {
            self.last = now;
            self.routine();
        }
        true
    }

    fn work(&mut self, job: Job) {
        if self.volume.failure().is_some() {
            // The files say all that the next start needs.
            return;
        }
        match job {
            Job::Seal(stream, sealing) => self.seal(stream, sealing),
            Job::Index(stream, sealing) => self.index(stream, sealing),
            Job::Configurations(stream, known) => {
                if let Err(error) = self.volume.database.add_configurations(stream.id, &known)
                    && self.must_repeat(&error)
                {
                    self.again.push(Job::Configurations(stream, known));
                }
            }
            Job::Stops(stream) => self.index_stops(stream),
            Job::Retain | Job::Stop => {}
        }
    }

    fn index_stops(&mut self, stream: Arc<Stream>) {
        let stops = lock(&stream.state).ledger.unindexed();
        let Some((first, offset, _)) = stops.last() else { return };
        let last = (*first, *offset);
        let added = {
            let gone = lock(&stream.folder_gone);
            if *gone {
                return;
            }
            self.volume.database.add_stops(stream.id, &stops)
        };
        match added {
            Ok(()) => lock(&stream.state).ledger.indexed(last),
            Err(error) if self.must_repeat(&error) => self.again.push(Job::Stops(stream)),
            Err(_) => {}
        }
    }

    fn seal(&mut self, stream: Arc<Stream>, sealing: Sealing) {
        let done = {
            let gone = lock(&stream.folder_gone);
            if *gone {
                return;
            }
            seal(self.volume.disk.as_ref(), &stream.folder, &sealing)
        };
        match done {
            Ok(()) => {
                add(&self.volume.counters.sealed_segments, 1);
                add(&self.volume.counters.written_bytes, sealing.extra_bytes());
                self.index(stream, sealing);
            }
            Err(error) if is_full(&error) || is_out_of_files(&error) || is_local(&error) => {
                self.again.push(Job::Seal(stream, sealing))
            }
            Err(error) => {
                self.volume.fail("seal", &sealing.path, &error);
            }
        }
    }

    fn index(&mut self, stream: Arc<Stream>, sealing: Sealing) {
        let added = {
            let gone = lock(&stream.folder_gone);
            if *gone {
                return;
            }
            self.volume.database.add_segments(stream.id, std::slice::from_ref(&sealing.sealed.row))
        };
        match added {
            Ok(()) => {
                let mut state = lock(&stream.state);
                sealing.sealed.set_indexed();
                state.sums.file_bytes += sealing.sealed.row.file_bytes;
                state.longest_producer_us =
                    state.longest_producer_us.max(sealing.sealed.row.producer.length_us());
                state.longest_server_us = state.longest_server_us.max(sealing.sealed.row.server.length_us());
                state.segments.trim();
            }
            Err(error) if self.must_repeat(&error) => self.again.push(Job::Index(stream, sealing)),
            Err(_) => {}
        }
    }

    /// Puts the limits into effect. What fails is tried again; the log tells it once.
    fn retain(&mut self) {
        self.volume.retain_asked.store(false, Ordering::Relaxed);
        if self.volume.failure().is_some() {
            return;
        }
        let complaint = pass_unless_busy(&self.volume, &self.streams).err().map(|error| error.message);
        if let Some(complaint) = complaint.as_ref().filter(|_| complaint != self.retained.1) {
            tracing::error!("what has expired cannot be deleted: {complaint}");
        }
        self.retained.1 = complaint;
        self.volume.passed();
    }

    /// Whether a failure of the index is only want of room. Any other is the volume's: SQLite's
    /// syncs may be repeated as little as ours.
    fn must_repeat(&self, error: &Error) -> bool {
        if error.kind == ErrorKind::StorageFull {
            return true;
        }
        let path = self.volume.folder.join(crate::index::Database::NAME);
        self.volume.fail("write", &path, &std::io::Error::other(error.message.clone()));
        false
    }

    fn routine(&mut self) {
        self.volume.look();
        // While the volume is full, what was given up is in use.
        let room = self.volume.watch.space().pressure != Pressure::Full;
        let folder = &self.volume.folder;
        if room && let Err(error) = Ballast::restore(self.volume.disk.as_ref(), folder) {
            tracing::warn!(%error, "cannot set room aside for a full disk");
        }
        let forget = std::mem::take(&mut *lock(&self.volume.to_forget));
        for (id, created) in forget {
            if let Err(error) = self.volume.database.remove_stream(id, created)
                && self.must_repeat(&error)
            {
                lock(&self.volume.to_forget).push((id, created));
            }
        }
        for job in std::mem::take(&mut self.again) {
            self.work(job);
        }
        if self.volume.failure().is_some() {
            return;
        }
        let streams: Vec<_> = lock(&self.streams).values().cloned().collect();
        let (mut marks, mut floors) = (Vec::new(), Vec::new());
        for stream in streams {
            let mut state = lock(&stream.state);
            if state.ledger.has_waiting() {
                // There was no room for them; perhaps there is now.
                stream.enqueue(&mut state);
            }
            let floor = state.kept.expired.floor;
            if floor > 0 && self.floors.insert(stream.id, floor) != Some(floor) {
                floors.push((stream.id, floor));
            }
            let Some(open) = state.segments.open.as_ref() else { continue };
            if self.marked.insert(stream.id, open.durable_to) != Some(open.durable_to) {
                marks.push(Watermark { stream: stream.id, segment: open.id.0, durable_to: open.durable_to });
            }
        }
        if let Err(error) = self.volume.database.set_watermarks(&marks, &floors, self.volume.trust()) {
            // Without room the watermarks stay as they are: recovery reads a little more.
            let _ = self.must_repeat(&error);
            self.marked.clear();
            self.floors.clear();
        }
    }
}
