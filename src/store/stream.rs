//! One stream: its writer, its tail, its index.
//!
//! How records are written, and how queries read footers, is told elsewhere.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kinora_base::{ErrorKind, FragmentNumber, StreamName, WallTime};
use tokio::sync::watch;

use crate::segment::{Appender, ReadFailed, Sealed, read_record};
use crate::segments::Location;
use crate::state::State;
use crate::statistics::{add, subtract};
use crate::sync::lock;
use crate::volume::Volume;
use crate::{ConfigurationId, Error, Fragment, OpenFragment, Query, Run, query};

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
    /// Server time of the newest part or fragment.
    pub last_received: Option<WallTime>,
    /// Whether a writer holds the stream.
    pub has_writer: bool,
}

/// A consistent view of the newest end of a stream.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    /// The newest complete fragments in arrival order, as many as asked for.
    pub fragments: Vec<Fragment>,
    /// The fragment under way.
    pub open: Option<OpenFragment>,
}

/// A stream of the store.
#[derive(Debug)]
pub struct Stream {
    pub(crate) name: StreamName,
    pub(crate) created: WallTime,
    /// Its identifier in the index.
    pub(crate) id: i64,
    pub(crate) folder: PathBuf,
    pub(crate) volume: Arc<Volume>,
    pub(crate) changes: watch::Sender<u64>,
    pub(crate) state: Mutex<State>,
    /// The end of the open segment. Locked before `state`, never after.
    pub(crate) appender: Mutex<Option<Appender>>,
    /// Held while a file of the stream gets its final name; tells whether the folder is gone.
    pub(crate) folder_gone: Mutex<bool>,
}

impl Stream {
    pub(crate) fn new(
        volume: &Arc<Volume>,
        name: &StreamName,
        created: WallTime,
        id: i64,
        (state, appender): (State, Option<Appender>),
    ) -> Self {
        Self {
            name: name.clone(),
            created,
            id,
            folder: volume.streams().join(name.as_str()),
            volume: Arc::clone(volume),
            changes: watch::Sender::new(0),
            state: Mutex::new(state),
            appender: Mutex::new(appender),
            folder_gone: Mutex::new(false),
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
        Summary {
            numbers: sums.numbers,
            producer_range: sums.producer_range,
            fragments: sums.fragments,
            bytes: sums.bytes,
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

    /// The newest `count` fragments and the one under way, without touching the disk where they
    /// are in the open segment.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn tail(&self, count: usize) -> Result<Tail, Error> {
        let mut tail = Tail::default();
        let below = {
            let state = lock(&self.state);
            self.exists(&state)?;
            let pending = state.pending.iter().rev().map(|pending| pending.fragment.clone());
            tail.fragments.extend(pending.chain(state.segments.newest_first()).take(count));
            tail.open = state.under_way.as_ref().and_then(|under_way| {
                let begin = under_way.begin;
                Some(OpenFragment {
                    number: FragmentNumber::new(under_way.number?)?,
                    ordinal: state.coming_ordinal(),
                    producer_time: begin.producer_time,
                    server_time: begin.server_time,
                    configuration: begin.configuration,
                    discontinuity: begin.discontinuity,
                    parts: under_way.parts.clone(),
                })
            });
            state.segments.first_in_memory()
        };
        if tail.fragments.len() < count {
            query::older(self, below, count, &mut tail.fragments)?;
        }
        tail.fragments.reverse();
        Ok(tail)
    }

    /// Lists fragments. May read footers from disk: blocks.
    ///
    /// # Errors
    /// `Unavailable` for input and output errors, `Corrupt` for a damaged footer.
    pub fn fragments(&self, query: &Query) -> Result<Vec<Fragment>, Error> {
        query::list(self, query)
    }

    /// The fragment `number`. May read a footer from disk: blocks.
    ///
    /// # Errors
    /// `NotFound`, else as [`Self::fragments`].
    pub fn fragment(&self, number: FragmentNumber) -> Result<Fragment, Error> {
        {
            let state = lock(&self.state);
            self.exists(&state)?;
            let found = state.pending.iter().find(|pending| pending.fragment.number == number);
            if let Some(pending) = found {
                return Ok(pending.fragment.clone());
            }
        }
        Ok(self.locate(number)?.fragment)
    }

    /// The payload of a fragment, from memory or disk, its checksum verified: blocks. It comes
    /// in the pieces it was written in, or in one.
    ///
    /// # Errors
    /// `NotFound` if it is gone, `Corrupt` if the checksum fails, `Unavailable` for input and
    /// output errors.
    pub fn read(&self, number: FragmentNumber) -> Result<Vec<Bytes>, Error> {
        {
            let state = lock(&self.state);
            self.exists(&state)?;
            let found = state.pending.iter().find(|pending| pending.fragment.number == number);
            if let Some(pending) = found {
                return Ok(pending.payload.clone());
            }
            if let Some(payload) = state.ring.get(number.get()) {
                return Ok(payload);
            }
        }
        let place = self.locate(number)?;
        let record = read_record(place.file.as_ref(), place.segment, place.offset, place.fragment.bytes);
        match record {
            Ok((record, payload)) if record.number == number.get() => Ok(vec![payload]),
            Ok((record, _)) => Err(self.damaged(number, format!("its place holds {}", record.number))),
            Err(ReadFailed::Damaged(reason)) => Err(self.damaged(number, format!("the record {reason}"))),
            Err(ReadFailed::Io(error)) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("cannot read fragment {number} of stream '{}': {error}", self.name),
            )),
        }
    }

    /// A codec configuration, from memory or disk: blocks.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn configuration(&self, id: ConfigurationId) -> Result<Bytes, Error> {
        {
            let state = lock(&self.state);
            self.exists(&state)?;
            if let Some(content) = state.configurations.get(id.0) {
                return Ok(content.clone());
            }
        }
        self.volume.database.configuration(self.id, id.0)?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("stream '{}' has no codec configuration {}", self.name, id.0),
            )
        })
    }

    /// The stretches of producer time that fragments between `start` and `end` cover, in order.
    /// A fragment that only reaches into the range counts whole.
    ///
    /// # Errors
    /// As [`Self::fragments`].
    pub fn runs(&self, start: WallTime, end: WallTime) -> Result<Vec<Run>, Error> {
        query::runs(self, start, end)
    }

    fn damaged(&self, number: FragmentNumber, reason: String) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            format!("fragment {number} of stream '{}' is damaged: {reason}", self.name),
        )
    }

    /// Where a durable fragment lies.
    fn locate(&self, number: FragmentNumber) -> Result<Location, Error> {
        let missing =
            || Error::new(ErrorKind::NotFound, format!("stream '{}' has no fragment {number}", self.name));
        let below = {
            let state = lock(&self.state);
            if let Some(location) = state.segments.find(number.get()) {
                return Ok(location);
            }
            state.segments.first_in_memory()
        };
        let row = self.volume.database.segment_of(self.id, number.get())?;
        let row = row.filter(|row| row.first < below).ok_or_else(missing)?;
        if number.get() > row.last {
            return Err(missing());
        }
        Location::in_sealed(self.sealed(row)?.as_ref(), number.get()).ok_or_else(missing)
    }

    /// The sealed segment of an index row, from the cache or the disk.
    pub(crate) fn sealed(&self, row: crate::index::SegmentRow) -> Result<Arc<Sealed>, Error> {
        let key = (self.id, row.first);
        if let Some(sealed) = self.volume.cache.get(key) {
            return Ok(sealed);
        }
        let path = self.folder.join(row.file_name());
        let sealed = Arc::new(Sealed::load(self.volume.disk.as_ref(), &path)?);
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
    pub(crate) fn give_up(&self, error: &Error) {
        let (lost, bytes) = {
            let mut state = lock(&self.state);
            if !state.grounded {
                state.mark_failed = Some(error.clone());
            }
            state.give_up()
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
