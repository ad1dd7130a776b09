//! The store as a whole: opening, streams, closing.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use kinora_base::{Clock, ErrorKind, StreamName};

use crate::configurations::Configurations;
use crate::deleted;
use crate::disk::{replace_small, sync_failed};
use crate::expiry::{outlook, pass};
use crate::folder::{FolderLock, put_clean, taken};
use crate::format::{Clean, CleanStream, StreamFile};
use crate::index::Database;
use crate::keys::{StreamKeys, check_streams};
use crate::lane::{Lane, Stop};
use crate::ledger;
use crate::open::{self, Files, open_streams};
use crate::retention::Ballast;
use crate::scrub::{self, Scrubber};
use crate::state::State;
use crate::stream::{Lanes, Streams};
use crate::sync::lock;
use crate::volume::{Health, Volume};
use crate::workers::{ByHand, Workers};
use crate::{
    Arrival, Cause, Defaults, Disk, Error, Foreign, LocalDisk, Options, Outlook, Recovery, Scrubbed, Space,
    Statistics, Stream,
};

/// All streams under one data directory. Cheap to clone; the last clone to go does not close it:
/// it stops as in a crash, and the next opening recovers.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    volume: Arc<Volume>,
    lanes: Lanes,
    streams: Streams,
    recovery: Recovery,
    /// How an orderly shutdown left the streams that are out of service.
    untouched: Vec<CleanStream>,
    /// Held while streams are created and deleted; tells whether the store is closing.
    changing: Mutex<bool>,
    running: Mutex<Option<Running>>,
    by_hand: Option<Arc<ByHand>>,
}

/// What ends with the store.
#[derive(Debug)]
struct Running {
    workers: Workers,
    scrubber: Option<Scrubber>,
    _lock: FolderLock,
}

impl Store {
    /// Opens `data_dir`, creating it if needed, and recovers what a crash left.
    ///
    /// # Errors
    /// `Conflict` if another process has it open, `Corrupt` if the format is unknown,
    /// `Unavailable` for input and output errors.
    pub fn open(data_dir: &Path, options: Options, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::open_on(Arc::new(LocalDisk), data_dir, options, clock)
    }

    /// As [`Store::open`], with the data files on `disk`. Index and lock are always local.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        Self::open_as((disk, data_dir), options, clock, false)
    }

    /// As [`Store::open_on`], without threads: after opening, nothing is written, sealed or
    /// indexed but in [`Store::turn`]. So a simulation decides what happens when.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_by_hand(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        Self::open_as((disk, data_dir), options, clock, true)
    }

    fn open_as(
        (disk, data_dir): (Arc<dyn Disk>, &Path),
        options: Options,
        clock: Arc<dyn Clock>,
        by_hand: bool,
    ) -> Result<Self, Error> {
        let folder_lock = FolderLock::take(data_dir)?;
        check_streams(disk.as_ref(), &data_dir.join("streams"), options.keys.as_deref())?;
        Ballast::prepare(disk.as_ref(), data_dir, options.limits.keep_free_bytes)?;
        let database = Database::open(&data_dir.join(Database::NAME))?;
        let lanes: Lanes = (0..options.committers.max(1)).map(|_| Arc::new(Lane::default())).collect();
        let mut volume = Volume::new((data_dir, disk), options, clock, database)?;
        volume.by_hand = by_hand;
        let volume = Arc::new(volume);
        let opened = open_streams(&volume, &lanes)?;
        let streams: Streams = Arc::new(Mutex::new(opened.streams));
        let workers = Workers::start(&volume, &lanes, &streams)?;
        let by_hand = match &workers {
            Workers::ByHand(workers) => Some(Arc::clone(workers)),
            Workers::Threads(_) => None,
        };
        // What has expired is not shown even for a moment. What cannot be deleted is tried again.
        let _ = pass(&volume, &streams);
        let rate = Some(volume.options.scrub_bytes_per_second).filter(|rate| *rate > 0 && by_hand.is_none());
        let scrubber = rate.map(|rate| Scrubber::start(&volume, &streams, rate)).transpose()?;
        let running = Running { workers, scrubber, _lock: folder_lock };
        Ok(Self(Arc::new(Inner {
            volume,
            lanes,
            streams,
            recovery: opened.report,
            untouched: opened.untouched,
            changing: Mutex::new(false),
            running: Mutex::new(Some(running)),
            by_hand,
        })))
    }

    /// In a store without threads, lets a worker do what waits for it: those below
    /// [`Options::committers`] write, sync and acknowledge, the one behind them seals and keeps
    /// the index. Nothing happens if that worker is in the middle of a turn.
    pub fn turn(&self, worker: usize) {
        if let Some(workers) = &self.0.by_hand {
            workers.turn(worker);
        }
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.0.recovery
    }

    /// Whether fragments can become durable. Once they cannot, they never can before a restart.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.volume.health()
    }

    /// The place of a producer that arrives now among all that did. To be drawn where arrivals
    /// are seen in their order: under load requests may be read in any.
    #[must_use]
    pub fn arrival(&self) -> Arrival {
        self.0.volume.arrivals.next()
    }

    /// How much room there is, and what that means. Looks at the volume.
    #[must_use]
    pub fn space(&self) -> Space {
        self.0.volume.look();
        self.0.volume.watch.space()
    }

    /// Why no fragments are taken although the volume is sound, if none are: it is full.
    #[must_use]
    pub fn refusal(&self) -> Option<Error> {
        self.0.volume.watch.refusal()
    }

    /// Reads everything that is sealed once, without the rate that the scrubber keeps to, and
    /// remembers what is damaged. Blocks.
    #[must_use]
    pub fn scrub(&self) -> Scrubbed {
        let never = &mut |_| ControlFlow::Continue(());
        scrub::pass(&self.0.volume, &self.0.streams, never).unwrap_or_default()
    }

    /// Puts all limits into effect now, instead of within a second. Blocks.
    ///
    /// # Errors
    /// The first failure to delete something; it is tried again.
    pub fn enforce(&self) -> Result<(), Error> {
        pass(&self.0.volume, &self.0.streams)
    }

    /// The limits of streams that set none, and of all together.
    #[must_use]
    pub fn default_limits(&self) -> Arc<Defaults> {
        self.0.volume.limits()
    }

    /// Changes them until the store is closed. What no longer may stay goes with the next
    /// [`Self::enforce`].
    pub fn set_default_limits(&self, limits: Defaults) {
        self.0.volume.set_limits(limits);
    }

    /// When room runs out at the present rate, and what would go first. Blocks.
    ///
    /// # Errors
    /// Whatever the index reports.
    pub fn outlook(&self) -> Result<Outlook, Error> {
        outlook(&self.0.volume, &self.0.streams)
    }

    /// By how many microseconds the clock is ahead of what it would say without its last jump. Until a
    /// jump has lasted as long as it is wide, recordings expire by the earlier of the two times.
    #[must_use]
    pub fn clock_ahead_us(&self) -> i64 {
        self.0.volume.clock_ahead_us()
    }

    /// What the store has counted since it was opened.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.0.volume.counters.read()
    }

    /// The stream `name`, created (durably) if it does not exist.
    ///
    /// # Errors
    /// As [`Store::open`], and `StorageFull`.
    pub fn create_stream(&self, name: &StreamName) -> Result<Arc<Stream>, Error> {
        if let Some(stream) = self.stream(name) {
            return Ok(stream);
        }
        let closing = lock(&self.0.changing);
        if let Some(stream) = self.stream(name) {
            return Ok(stream);
        }
        if let Some(error) = self.out_of_service(name) {
            return Err(error);
        }
        let volume = &self.0.volume;
        if *closing {
            return Err(closed());
        }
        if let Some(failure) = volume.failure() {
            return Err(failure.clone());
        }
        volume.look();
        if let Some(full) = volume.watch.refusal() {
            return Err(full);
        }
        let created = volume.clock.wall();
        let (disk, parent) = (volume.disk.as_ref(), volume.streams());
        let folder = volume.stream_folder(name);
        if self.streams().iter().any(|stream| stream.folder == folder) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("the name '{name}' looks like that of another stream on disk; choose another"),
            ));
        }
        let content = StreamFile { name: name.clone(), created }.encode();
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => taken(&folder),
            _ => Error::io("create", &folder, &error),
        };
        disk.create_folder(&folder).map_err(failed)?;
        // An earlier attempt may have left it bare; anything more in it would become the stream's.
        let files = Files::list(disk, &folder)?;
        if !files.foreign.is_empty() || !files.sealed.is_empty() || !files.open.is_empty() {
            return Err(taken(&folder));
        }
        replace_small(disk, &folder, StreamFile::NAME, &content)
            .and_then(|()| disk.sync_folder(&parent).map_err(sync_failed))
            .map_err(|error| volume.failed_to("create", &folder, &error))?;
        let ring = volume.options.keys.as_ref();
        let (keys, _) = StreamKeys::load(disk, &folder, (name, created), ring)?;
        let id = volume.database.add_stream(name, created)?;
        let state = State::new(Configurations::new(Vec::new(), 1, 0));
        let stream = Arc::new(Stream::new((volume, &self.0.lanes), name, created, id, keys, (state, None)));
        lock(&self.0.streams).insert(name.clone(), Arc::clone(&stream));
        Ok(stream)
    }

    /// The stream `name`, if it exists.
    #[must_use]
    pub fn stream(&self, name: &StreamName) -> Option<Arc<Stream>> {
        lock(&self.0.streams).get(name).cloned()
    }

    /// Looks whether the folders of all streams are as the index says, which opening after an orderly
    /// shutdown takes for granted; gives what is not ours. What is missing is remembered as damage.
    /// Blocks for as long as listing every folder takes.
    #[must_use]
    pub fn survey(&self) -> Vec<Foreign> {
        let mut foreign = Vec::new();
        for stream in self.streams() {
            if *lock(&self.0.changing) {
                break;
            }
            match open::survey(&stream) {
                Ok(found) => {
                    foreign.extend(found.foreign);
                    for file in found.unknown {
                        tracing::warn!(
                            stream = stream.name().as_str(),
                            "{} is not in the index, so that it is not served; stop the server and run `kinora rebuild-index`",
                            stream.folder.join(file).display()
                        );
                    }
                }
                Err(error) => tracing::warn!(stream = stream.name().as_str(), "cannot look around: {error}"),
            }
        }
        foreign
    }

    /// Why the stream `name` is out of service, if its files could not be opened.
    #[must_use]
    pub fn out_of_service(&self, name: &StreamName) -> Option<Error> {
        let mut refused = self.0.recovery.out_of_service.iter();
        let refused = refused.find(|refused| refused.stream == *name)?;
        let message = format!("the stream '{name}' is out of service: {}", refused.error);
        Some(Error::new(ErrorKind::Unavailable, message))
    }

    /// All streams, by name.
    #[must_use]
    pub fn streams(&self) -> Vec<Arc<Stream>> {
        lock(&self.0.streams).values().cloned().collect()
    }

    /// Deletes a stream and its files. Blocks. Its writer is fenced off; a crash leaves either
    /// the whole stream or none of it.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` for input and output errors.
    pub fn delete_stream(&self, name: &StreamName) -> Result<(), Error> {
        let _changing = lock(&self.0.changing);
        let stream = self
            .stream(name)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no stream '{name}'")))?;
        self.0.delete(&stream)
    }

    /// Waits until everything queued is durable, writes watermarks and marks the shutdown clean.
    /// Writers get `Unavailable` from now on. Blocks.
    pub fn close(&self) {
        *lock(&self.0.changing) = true;
        self.0.stop(Stop::Drained);
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closing")
}

impl Inner {
    fn delete(&self, stream: &Arc<Stream>) -> Result<(), Error> {
        let volume = &self.volume;
        let (disk, parent) = (volume.disk.as_ref(), volume.streams());
        let gone = Error::new(ErrorKind::NotFound, format!("the stream '{}' was deleted", stream.name));
        let place;
        {
            let mut appender = lock(&stream.appender);
            let mut folder_gone = lock(&stream.folder_gone);
            let failed = |error| Error::io("delete", &stream.folder, &error);
            place =
                deleted::place(disk, &volume.deleted(), (&stream.name, stream.created)).map_err(failed)?;
            // The rename is what deletes: after it the stream is gone, whatever happens next.
            disk.rename(&stream.folder, &place)
                .and_then(|()| disk.sync_folder(&volume.deleted()).map_err(sync_failed))
                .and_then(|()| disk.sync_folder(&parent).map_err(sync_failed))
                .map_err(|error| volume.failed_to("delete", &stream.folder, &error))?;
            *folder_gone = true;
            let mut state = lock(&stream.state);
            state.ended = Some(gone.clone());
            state.deleted = true;
            state.writer = None;
            state.under_way = None;
            state.ring.clear();
            if appender.take().is_some() {
                crate::statistics::subtract(&volume.counters.open_segments, 1);
            }
        }
        stream.give_up(&gone);
        stream.changed();
        lock(&self.streams).remove(&stream.name);
        volume.cache.forget(stream.id);
        stream.forget_all_damages();
        match deleted::empty(disk, &place) {
            Ok(true) => {}
            Ok(false) => tracing::warn!(
                stream = stream.name.as_str(),
                "the stream is deleted; what was in its folder and is not a stream's was kept in {}",
                place.display()
            ),
            // The next start tries again.
            Err(error) => tracing::warn!(
                stream = stream.name.as_str(),
                "the stream is deleted, but still takes room: cannot empty {}: {error}",
                place.display()
            ),
        }
        match volume.database.remove_stream(stream.id, stream.created) {
            Err(error) if error.kind == ErrorKind::StorageFull => {
                // The stream is gone whether the index knows it or not; the keeper tries again, and
                // so does the next start.
                lock(&volume.to_forget).push((stream.id, stream.created));
                Ok(())
            }
            result => result,
        }
    }

    fn stop(&self, how: Stop) {
        let Some(running) = lock(&self.running).take() else { return };
        let streams: Vec<_> = lock(&self.streams).values().cloned().collect();
        for stream in &streams {
            let mut state = lock(&stream.state);
            state.ended.get_or_insert_with(closed);
            state.under_way = None;
            // Whoever still holds it will not come to say why its media ended.
            let left = state.writer.take().and_then(|_| state.newest_end());
            if let Some(ended) = left.filter(|_| how == Stop::Drained) {
                let times = (ended, self.volume.clock.wall());
                let number = state.next_number.saturating_sub(1);
                let detail = "the server stopped";
                stream.note(&mut state, ledger::Stop::new(times, Cause::ServerDown, detail, number));
            }
            drop(state);
            stream.changed();
        }
        if let Some(scrubber) = running.scrubber {
            scrubber.stop();
        }
        let sound = running.workers.stop(how);
        if how == Stop::Drained && sound && self.volume.failure().is_none() {
            let left = streams.iter().map(|stream| clean_stream(stream));
            let clean = Clean { streams: left.chain(self.untouched.iter().cloned()).collect() };
            // Without it the next start recovers as after a crash, which loses nothing.
            let _ = put_clean(self.volume.disk.as_ref(), &self.volume.folder, &clean);
        }
        for stream in &streams {
            stream.give_up(&closed());
        }
    }
}

fn clean_stream(stream: &Stream) -> CleanStream {
    let appender = lock(&stream.appender);
    let state = lock(&stream.state);
    CleanStream {
        name: stream.name.clone(),
        next_number: state.next_number,
        next_configuration: state.configurations.next(),
        epoch: state.epoch,
        open_first: appender.as_ref().map_or(0, |appender| appender.header.first),
        open_end: appender.as_ref().map_or(0, |appender| appender.end),
        newest_sealed: state.segments.newest_indexed(),
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop(Stop::Abruptly);
    }
}
