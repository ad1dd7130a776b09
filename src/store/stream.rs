//! One stream: what belongs to it, and its figures.
//!
//! How it is written, taken over, listed and read is told elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use kinora_base::{ErrorKind, FragmentNumber, StreamName, WallTime};
use tokio::sync::watch;

use crate::damages::Damages;
use crate::index::SegmentRow;
use crate::keys::StreamKeys;
use crate::lane::Lane;
use crate::ledger::Stop;
use crate::segment::{Appender, Flaw, LoadFailed, Sealed};
use crate::state::State;
use crate::statistics::{add, subtract};
use crate::sync::lock;
use crate::volume::Volume;
use crate::{Cause, DamagedPlace, Error};

/// A stream's figures at a glance, from memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lowest and highest stored number.
    pub numbers: Option<(FragmentNumber, FragmentNumber)>,
    /// Earliest producer start and latest producer end.
    pub producer_range: Option<(WallTime, WallTime)>,
    /// Stored fragments.
    pub fragments: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Duration in microseconds of the longest fragment that was ever stored; only rebuilding the
    /// index forgets those that expired.
    pub longest_us: u64,
    /// Server time of the newest part or fragment.
    pub last_received: Option<WallTime>,
    /// Whether a writer holds the stream.
    pub has_writer: bool,
}

/// The streams by name, shared with the keeper.
pub(crate) type Streams = Arc<Mutex<BTreeMap<StreamName, Arc<Stream>>>>;

/// The committers' queues.
pub(crate) type Lanes = Vec<Arc<Lane<Arc<Stream>>>>;

/// A stream of the store.
#[derive(Debug)]
pub struct Stream {
    pub(crate) name: StreamName,
    pub(crate) created: WallTime,
    /// Its identifier in the index.
    pub(crate) id: i64,
    pub(crate) folder: PathBuf,
    pub(crate) volume: Arc<Volume>,
    lane: Arc<Lane<Arc<Self>>>,
    pub(crate) changes: watch::Sender<u64>,
    pub(crate) state: Mutex<State>,
    /// The end of the open segment. Locked before `state`, never after.
    pub(crate) appender: Mutex<Option<Appender>>,
    /// Held while a file of the stream gets its final name; tells whether the folder is gone.
    pub(crate) folder_gone: Mutex<bool>,
    pub(crate) keys: StreamKeys,
    pub(crate) damages: Mutex<Damages>,
    /// Held while limits are put into effect or changed. Locked before all others.
    pub(crate) retaining: Mutex<()>,
    /// First numbers of segments that are gone but for their rows, for want of room.
    pub(crate) stale_rows: Mutex<Vec<u64>>,
}

impl Stream {
    pub(crate) fn new(
        (volume, lanes): (&Arc<Volume>, &Lanes),
        name: &StreamName,
        created: WallTime,
        id: i64,
        keys: StreamKeys,
        (state, appender): (State, Option<Appender>),
    ) -> Self {
        Self {
            name: name.clone(),
            created,
            id,
            folder: volume.stream_folder(name),
            volume: Arc::clone(volume),
            lane: usize::try_from(id)
                .ok()
                .and_then(|id| lanes.get(id.checked_rem(lanes.len())?))
                .map(Arc::clone)
                .unwrap_or_default(),
            changes: watch::Sender::new(0),
            state: Mutex::new(state),
            appender: Mutex::new(appender),
            folder_gone: Mutex::new(false),
            keys,
            damages: Mutex::default(),
            retaining: Mutex::default(),
            stale_rows: Mutex::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// When it was created.
    #[must_use]
    pub fn created(&self) -> WallTime {
        self.created
    }

    /// Its figures, without touching the disk.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let state = lock(&self.state);
        let mut sums = state.sums;
        for pending in &state.pending {
            sums.add(&pending.fragment);
        }
        let (hidden, hidden_bytes) = state.kept.hidden();
        let fragments = sums.fragments.saturating_sub(hidden);
        let lowest = state.kept.lowest_shown();
        let only_pinned = sums.fragments == state.kept.all_below().0;
        let highest = state.kept.highest_pinned().filter(|_| only_pinned);
        let last = highest.and_then(|(number, _)| FragmentNumber::new(number));
        let last = last.or(sums.numbers.map(|(_, last)| last)).filter(|_| fragments > 0);
        let end = highest.map(|(_, end)| end).or(sums.producer_range.map(|(_, end)| end));
        let end = end.filter(|_| fragments > 0);
        let first = lowest.and_then(|(number, _)| FragmentNumber::new(number));
        // What was lowest before anything expired is told only while nothing has.
        let ever = Some(sums).filter(|_| state.kept.expired.floor == 0);
        Summary {
            numbers: last
                .map(|last| (first.or(ever.and_then(|sums| Some(sums.numbers?.0))).unwrap_or(last), last)),
            producer_range: end.map(|end| {
                let start = lowest.map(|(_, start)| start);
                (start.or(ever.and_then(|sums| Some(sums.producer_range?.0))).unwrap_or(end), end)
            }),
            fragments,
            bytes: sums.bytes.saturating_sub(hidden_bytes),
            longest_us: sums.longest_us,
            last_received: state.last_received,
            has_writer: state.writer.is_some(),
        }
    }

    /// Changes whenever a part or fragment is published, a fragment becomes durable, or the
    /// writer comes or goes. The value counts the changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The sealed segment of an index row, from the cache or the disk.
    pub(crate) fn sealed(&self, row: SegmentRow) -> Result<Arc<Sealed>, Error> {
        let key = (self.id, row.first);
        if let Some(sealed) = self.volume.cache.get(key) {
            return Ok(sealed);
        }
        let path = self.folder.join(row.file_name());
        let loaded = Sealed::load_or_salvage(self.volume.disk.as_ref(), &path, &self.name, Some(&row));
        let (sealed, flaws) = loaded.map_err(|failed| self.load_failed(&row, failed))?;
        let sealed = Arc::new(sealed);
        self.quarantine(self.places(&row, flaws));
        if sealed.row != row {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "{} is not the file that the index describes (rebuild-index may help)",
                    path.display()
                ),
            ));
        }
        self.volume.cache.put(key, Arc::clone(&sealed));
        Ok(sealed)
    }

    /// The sealed segment that begins at the number `first`; none if it cannot be had.
    pub(crate) fn sealed_at(&self, first: u64) -> Option<Arc<Sealed>> {
        let row = self.volume.database.segment_of(self.id, first).ok().flatten()?;
        self.listed(row).ok().flatten()
    }

    /// As [`Self::sealed`], for lists: none if the file is gone, or so damaged that nothing in it can
    /// be told. What is lost by that counts as absent.
    pub(crate) fn listed(&self, row: SegmentRow) -> Result<Option<Arc<Sealed>>, Error> {
        match self.sealed(row) {
            Err(error) if error.kind == ErrorKind::Corrupt => Ok(None),
            result => result.map(Some),
        }
    }

    fn load_failed(&self, row: &SegmentRow, failed: LoadFailed) -> Error {
        if let LoadFailed::Damaged(offset, reason) = &failed {
            let flaw = Flaw { offset: *offset, number: None, reason: format!("the segment {reason}") };
            self.quarantine(self.places(row, vec![flaw]));
        }
        failed.at(&self.folder.join(row.file_name()))
    }

    fn places(&self, row: &SegmentRow, flaws: Vec<Flaw>) -> Vec<DamagedPlace> {
        let found = self.volume.clock.wall();
        let place = |flaw: Flaw| DamagedPlace {
            segment: row.first,
            file: row.file_name(),
            offset: flaw.offset,
            fragment: flaw.number.and_then(FragmentNumber::new),
            reason: flaw.reason,
            found,
        };
        flaws.into_iter().map(place).collect()
    }

    /// As [`Self::listed`]; none as well if nothing of it is shown any more.
    pub(crate) fn shown(&self, row: SegmentRow) -> Result<Option<Arc<Sealed>>, Error> {
        let shown = || lock(&self.state).kept.view().shows_some(&row);
        if !shown() {
            return Ok(None);
        }
        match self.listed(row.clone()) {
            // Its file may have expired just now.
            _ if !shown() => Ok(None),
            listed => listed,
        }
    }

    /// Tells the stream's committer that there is something to write.
    pub(crate) fn enqueue(self: &Arc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.queued, true) {
            self.lane.push(Arc::clone(self));
        }
    }

    /// Writes a stop down, when its committer comes to it.
    pub(crate) fn note(self: &Arc<Self>, state: &mut State, stop: Stop) {
        if let Some(count) = self.volume.counters.stops.get(stop.cause as usize) {
            add(count, 1);
        }
        if !state.deleted && state.ledger.add(stop) {
            self.enqueue(state);
        }
    }

    /// Refuses if the stream was deleted.
    pub(crate) fn exists(&self, state: &State) -> Result<(), Error> {
        if !state.deleted {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, format!("the stream '{}' was deleted", self.name)))
    }

    /// Tells everybody who waits for a change.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Gives up everything that waits for the disk, because of `error`.
    pub(crate) fn give_up(self: &Arc<Self>, error: &Error) {
        let (lost, bytes) = {
            let mut state = lock(&self.state);
            if !state.grounded {
                state.mark_failed = Some(error.clone());
            }
            let (lost, bytes) = state.give_up();
            if !lost.is_empty()
                && let Some(ended) = state.newest_end()
            {
                let refused = error.kind == ErrorKind::StorageFull || self.volume.failure().is_some();
                let cause = if refused { Cause::DiskRefused } else { Cause::ServerDown };
                let number = state.next_number.saturating_sub(1);
                let times = (ended, self.volume.clock.wall());
                self.note(&mut state, Stop::new(times, cause, &error.message, number));
            }
            (lost, bytes)
        };
        let counters = &self.volume.counters;
        subtract(&counters.queued_bytes, bytes);
        add(&counters.lost_fragments, lost.len() as u64);
        for pending in lost {
            for waiting in pending.waiting {
                // Whoever dropped the promise does not care.
                let _ = waiting.send(Err(error.clone()));
            }
        }
        self.changed();
    }
}
