//! The scrubber: reads everything that is sealed, slowly and again and again, so that damage is
//! found while there may still be a copy, not when somebody wants to see it.
//!
//! What it finds is remembered by the streams. It needs no encryption key and changes no file.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use kinora_base::{FragmentNumber, StreamName};

use crate::index::SegmentRow;
use crate::statistics::add;
use crate::stream::Streams;
use crate::sync::lock;
use crate::verify::sealed_segment;
use crate::volume::Volume;
use crate::{DamagedPlace, Error, Stream};

/// A pass begins no earlier than this after the one before began, however small the archive is.
const PASS_EVERY: Duration = Duration::from_secs(60 * 60);

/// The first pass begins this long after the start, which has other things to read.
const FIRST_AFTER: Duration = Duration::from_secs(60);

/// Opening a file counts as reading so many bytes: quiet streams have many small segments.
const FILE_BYTES: u64 = 64 << 10;

/// It may be ahead of its rate by this much before it waits.
const AHEAD: Duration = Duration::from_millis(50);

/// Index rows that are fetched at a time.
const ROWS: usize = 32;

/// What one pass has read and found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Sealed segments.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Damaged places in them.
    pub damaged_places: u64,
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Scrubber {
    stopping: Arc<Stopping>,
    thread: JoinHandle<()>,
}

impl Scrubber {
    /// Starts it; it reads at most `bytes_per_second`.
    pub(crate) fn start(
        volume: &Arc<Volume>,
        streams: &Streams,
        bytes_per_second: u64,
    ) -> Result<Self, Error> {
        let stopping = Arc::new(Stopping::default());
        let (volume, streams) = (Arc::clone(volume), Arc::clone(streams));
        let pace = Pace { volume, stopping: Arc::clone(&stopping), bytes_per_second, ready_at: None };
        let thread = crate::workers::spawn("scrubber".to_owned(), move || run(pace, &streams))?;
        Ok(Self { stopping, thread })
    }

    /// Ends it, in the middle of a segment if need be.
    pub(crate) fn stop(self) {
        *lock(&self.stopping.flag) = true;
        self.stopping.wake.notify_all();
        // It holds nothing that anybody else needs.
        let _ = self.thread.join();
    }
}

#[derive(Debug, Default)]
struct Stopping {
    flag: Mutex<bool>,
    wake: Condvar,
}

impl Stopping {
    /// Waits; breaks off when it is time to end.
    fn wait(&self, time: Duration) -> ControlFlow<()> {
        let flag = lock(&self.flag);
        let waited = self.wake.wait_timeout_while(flag, time, |stop| !*stop);
        let (flag, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *flag { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Keeps to a rate.
struct Pace {
    volume: Arc<Volume>,
    stopping: Arc<Stopping>,
    bytes_per_second: u64,
    /// When what was read so far would have been read at that rate.
    ready_at: Option<Duration>,
}

impl Pace {
    fn read(&mut self, bytes: u64) -> ControlFlow<()> {
        let now = self.volume.clock.monotonic();
        let takes = Duration::from_micros(bytes.saturating_mul(1_000_000) / self.bytes_per_second.max(1));
        let ready = self.ready_at.map_or(now, |ready| ready.max(now)) + takes;
        self.ready_at = Some(ready);
        let ahead = ready.saturating_sub(now);
        if ahead < AHEAD { self.stopping.wait(Duration::ZERO) } else { self.stopping.wait(ahead) }
    }
}

fn run(mut pace: Pace, streams: &Streams) {
    let mut wait = FIRST_AFTER;
    while pace.stopping.wait(wait).is_continue() {
        let volume = Arc::clone(&pace.volume);
        let began = volume.clock.monotonic();
        if pass(&volume, streams, &mut |bytes| pace.read(bytes)).is_none() {
            return;
        }
        wait = PASS_EVERY.saturating_sub(volume.clock.monotonic().saturating_sub(began)).max(AHEAD);
    }
}

/// Reads everything that is sealed once; `pace` is told of every few bytes and may break it off.
pub(crate) fn pass(
    volume: &Volume,
    streams: &Streams,
    pace: &mut impl FnMut(u64) -> ControlFlow<()>,
) -> Option<Scrubbed> {
    let mut done = Scrubbed::default();
    let all: BTreeMap<StreamName, Arc<Stream>> = lock(streams).clone();
    for stream in all.values() {
        let mut from = 0;
        loop {
            let rows = volume.database.segments_by_number(stream.id, from, u64::MAX, false, ROWS);
            // An index that cannot be read just now is for others to report.
            let Ok(rows) = rows else { break };
            let Some(last) = rows.last() else { break };
            from = last.first + 1;
            for row in rows {
                if pace(FILE_BYTES).is_break() {
                    return None;
                }
                segment(volume, stream, &row, pace, &mut done)?;
            }
        }
    }
    volume.counters.scrub_passes.fetch_add(1, Ordering::Relaxed);
    volume.counters.scrubbed_at_us.store(volume.clock.wall().as_micros().unsigned_abs(), Ordering::Relaxed);
    Some(done)
}

/// Reads a segment; none if that was broken off.
fn segment(
    volume: &Volume,
    stream: &Stream,
    row: &SegmentRow,
    pace: &mut impl FnMut(u64) -> ControlFlow<()>,
    done: &mut Scrubbed,
) -> Option<()> {
    let path = stream.folder.join(row.file_name());
    let mut broken_off = false;
    let checked = sealed_segment(volume.disk.as_ref(), &path, stream.name(), &mut |bytes| {
        add(&volume.counters.scrubbed_bytes, bytes);
        done.bytes += bytes;
        let flow = pace(bytes);
        broken_off |= flow.is_break();
        flow
    });
    if broken_off {
        return None;
    }
    // Whoever deletes a segment removes the file first, then the row: what cannot be opened is
    // either gone or told by whoever wants to read it.
    let Ok(checked) = checked else { return Some(()) };
    let found = volume.clock.wall();
    let place = |(offset, number, reason): (u64, Option<u64>, String)| DamagedPlace {
        segment: row.first,
        file: row.file_name(),
        offset,
        fragment: number.and_then(FragmentNumber::new),
        reason,
        found,
    };
    done.segments += 1;
    done.damaged_places += checked.flaws.len() as u64;
    stream.checked(row.first, checked.flaws.into_iter().map(place).collect());
    Some(())
}
