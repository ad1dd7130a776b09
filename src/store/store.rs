//! The store as a whole: opening, streams, closing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use kinora_base::{Clock, ErrorKind, StreamName};

use crate::commit::{self, Stop};
use crate::configurations::Configurations;
use crate::disk::{replace_small, sync_failed};
use crate::folder::{FolderLock, put_clean, take_clean};
use crate::format::{Clean, CleanStream, StreamFile};
use crate::index::Database;
use crate::keeper::{Job, Keeper};
use crate::open::{Known, open_stream};
use crate::state::State;
use crate::sync::lock;
use crate::volume::{Health, Volume};
use crate::{Damage, Disk, Error, LocalDisk, Recovery, Statistics, Stream};

/// Settings of a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// Size at which a segment is sealed, in bytes.
    pub segment_bytes: u64,
    /// How much room is allocated ahead of an open segment, in bytes.
    pub preallocate_bytes: u64,
    /// Threads that write and sync.
    pub committers: usize,
    /// Largest payload of one fragment, in bytes.
    pub max_fragment_bytes: u32,
    /// Most payload bytes of one stream that may wait for the disk.
    pub max_uncommitted_bytes: u64,
    /// How long a writer that is taken over may use to finish.
    pub takeover_grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            preallocate_bytes: 16 << 20,
            committers: 4,
            max_fragment_bytes: 50 << 20,
            max_uncommitted_bytes: 64 << 20,
            takeover_grace: Duration::from_secs(2),
        }
    }
}

/// The streams by name, shared with the keeper.
pub(crate) type Streams = Arc<Mutex<BTreeMap<StreamName, Arc<Stream>>>>;

/// All streams under one data directory. Cheap to clone; the last clone to go does not close it:
/// it stops as in a crash, and the next opening recovers.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    volume: Arc<Volume>,
    streams: Streams,
    recovery: Recovery,
    /// Held while streams are created and deleted; tells whether the store is closing.
    changing: Mutex<bool>,
    running: Mutex<Option<Running>>,
}

/// What ends with the store.
#[derive(Debug)]
struct Running {
    committers: Vec<JoinHandle<()>>,
    keeper: JoinHandle<()>,
    abrupt: Arc<AtomicBool>,
    _lock: FolderLock,
}

/// Threads that look at streams while a store is opened: this is mostly waiting for the disk.
const OPENING_THREADS: usize = 8;

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
        let folder_lock = FolderLock::take(data_dir)?;
        let (keeper, jobs) = mpsc::channel();
        let database = Database::open(&data_dir.join(Database::NAME))?;
        let volume = Arc::new(Volume::new((data_dir, disk), options, clock, database, keeper));
        let (streams, recovery) = open_streams(&volume)?;
        let streams: Streams = Arc::new(Mutex::new(streams));
        let abrupt = Arc::new(AtomicBool::new(false));
        let mut committers = Vec::new();
        for index in 0..volume.lanes.len() {
            let volume = Arc::clone(&volume);
            committers.push(spawn(format!("commit-{index}"), move || {
                if let Some(lane) = volume.lanes.get(index) {
                    commit::run(&volume, lane);
                }
            })?);
        }
        let thread = Keeper::new(Arc::clone(&volume), Arc::clone(&streams), Arc::clone(&abrupt));
        let keeper = spawn("keeper".to_owned(), move || thread.run(&jobs))?;
        let running = Running { committers, keeper, abrupt, _lock: folder_lock };
        Ok(Self(Arc::new(Inner {
            volume,
            streams,
            recovery,
            changing: Mutex::new(false),
            running: Mutex::new(Some(running)),
        })))
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
        let volume = &self.0.volume;
        if *closing {
            return Err(closed());
        }
        if let Some(failure) = volume.failure() {
            return Err(failure.clone());
        }
        let created = volume.clock.wall();
        let (disk, parent) = (volume.disk.as_ref(), volume.streams());
        let folder = parent.join(name.as_str());
        disk.create_folder(&folder)
            .and_then(|()| replace_small(disk, &folder, StreamFile::NAME, &StreamFile { created }.encode()))
            .and_then(|()| disk.sync_folder(&parent).map_err(sync_failed))
            .map_err(|error| Error::io("create", &folder, &error))?;
        let id = volume.database.add_stream(name, created)?;
        let state = State::new(Configurations::new(Vec::new(), 1, 0));
        let stream = Arc::new(Stream::new(volume, name, created, id, (state, None)));
        lock(&self.0.streams).insert(name.clone(), Arc::clone(&stream));
        Ok(stream)
    }

    /// The stream `name`, if it exists.
    #[must_use]
    pub fn stream(&self, name: &StreamName) -> Option<Arc<Stream>> {
        lock(&self.0.streams).get(name).cloned()
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

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name)
        .spawn(work)
        .map_err(|error| Error::new(ErrorKind::Unavailable, format!("cannot start a thread: {error}")))
}

/// Finishes what a crash interrupted and opens all streams.
fn open_streams(volume: &Arc<Volume>) -> Result<(BTreeMap<StreamName, Arc<Stream>>, Recovery), Error> {
    let disk = volume.disk.as_ref();
    let mut folders = Ok(());
    for folder in [volume.streams(), volume.deleted()] {
        folders = folders.and_then(|()| disk.create_folder(&folder));
    }
    folders
        .and_then(|()| disk.sync_folder(&volume.folder).map_err(sync_failed))
        .map_err(|error| Error::io("create folders in", &volume.folder, &error))?;
    remove_deleted(volume)?;
    let listed = |path: &Path| disk.list(path).map_err(|error| Error::io("list", path, &error));
    let names: Vec<_> =
        listed(&volume.streams())?.iter().filter_map(|name| StreamName::new(name).ok()).collect();
    let (clean, flaw) = take_clean(disk, &volume.folder)?;
    let mut report = Recovery { clean: clean.is_some() || names.is_empty(), ..Recovery::default() };
    if let Some(reason) = flaw {
        let file = Clean::NAME.into();
        report.damages.push(Damage {
            stream: None,
            file,
            offset: 0,
            fragment: None,
            message: reason.to_string(),
        });
    }
    let mut rows: BTreeMap<_, _> =
        volume.database.streams()?.into_iter().map(|row| (row.name.clone(), row)).collect();
    let marks: BTreeMap<_, _> =
        volume.database.watermarks()?.into_iter().map(|mark| (mark.stream, mark)).collect();
    let mut left: BTreeMap<_, _> =
        clean.unwrap_or_default().streams.into_iter().map(|left| (left.name.clone(), left)).collect();
    let work: Vec<_> = names
        .into_iter()
        .map(|name| {
            let row = rows.remove(&name);
            let watermark = row.as_ref().and_then(|row| marks.get(&row.id).copied());
            let clean = left.remove(&name);
            (name, Mutex::new(Some(Known { row, clean, watermark })))
        })
        .collect();
    for gone in rows.values() {
        volume.database.remove_stream(gone.id)?;
    }
    let streams = open_all(volume, &work, &mut report)?;
    let counters = &volume.counters;
    let open = streams.values().filter(|stream| lock(&stream.state).segments.open.is_some()).count();
    crate::statistics::add(&counters.open_segments, open as u64);
    crate::statistics::add(&counters.discarded_bytes, report.discarded_bytes);
    crate::statistics::add(&counters.damaged_places, report.damages.len() as u64);
    Ok((streams, report))
}

/// Opens streams on several threads.
fn open_all(
    volume: &Arc<Volume>,
    work: &[(StreamName, Mutex<Option<Known>>)],
    report: &mut Recovery,
) -> Result<BTreeMap<StreamName, Arc<Stream>>, Error> {
    let next = AtomicUsize::new(0);
    let opened = Mutex::new((BTreeMap::new(), std::mem::take(report), None));
    std::thread::scope(|scope| {
        for _ in 0..OPENING_THREADS.min(work.len()) {
            scope.spawn(|| {
                while let Some((name, known)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Some(known) = lock(known).take() else { continue };
                    let mut found = Recovery::default();
                    let result = open_stream(volume, name, known, &mut found);
                    let mut opened = lock(&opened);
                    opened.1.merge(found);
                    match result {
                        Ok(Some(stream)) => {
                            opened.0.insert(name.clone(), Arc::new(stream));
                        }
                        Ok(None) => {}
                        Err(error) => opened.2 = Some(error),
                    }
                }
            });
        }
    });
    let (streams, found, error) = opened.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    *report = found;
    error.map_or(Ok(streams), Err)
}

/// Removes the files of streams that were deleted.
fn remove_deleted(volume: &Volume) -> Result<(), Error> {
    let (disk, deleted) = (volume.disk.as_ref(), volume.deleted());
    let failed = |error: std::io::Error| Error::io("empty", &deleted, &error);
    for name in disk.list(&deleted).map_err(failed)? {
        let folder = deleted.join(name);
        for file in disk.list(&folder).map_err(failed)? {
            disk.remove_file(&folder.join(file)).map_err(failed)?;
        }
        disk.remove_folder(&folder).map_err(failed)?;
    }
    Ok(())
}

impl Inner {
    fn delete(&self, stream: &Stream) -> Result<(), Error> {
        let volume = &self.volume;
        let (disk, parent) = (volume.disk.as_ref(), volume.streams());
        let gone = Error::new(ErrorKind::NotFound, format!("the stream '{}' was deleted", stream.name));
        {
            let mut appender = lock(&stream.appender);
            let mut folder_gone = lock(&stream.folder_gone);
            let name = format!("{}.{}", stream.name, stream.created.as_micros());
            // The rename is what deletes: after it the stream is gone, whatever happens next.
            disk.rename(&stream.folder, &volume.deleted().join(name))
                .and_then(|()| disk.sync_folder(&volume.deleted()).map_err(sync_failed))
                .and_then(|()| disk.sync_folder(&parent).map_err(sync_failed))
                .map_err(|error| Error::io("delete", &stream.folder, &error))?;
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
        remove_deleted(volume)?;
        volume.database.remove_stream(stream.id)
    }

    fn stop(&self, how: Stop) {
        let Some(running) = lock(&self.running).take() else { return };
        let streams: Vec<_> = lock(&self.streams).values().cloned().collect();
        for stream in &streams {
            let mut state = lock(&stream.state);
            state.ended.get_or_insert_with(closed);
            state.under_way = None;
            drop(state);
            stream.changed();
        }
        running.abrupt.store(how == Stop::Abruptly, Ordering::Release);
        for lane in &self.volume.lanes {
            lane.stop(how);
        }
        let mut sound = true;
        for thread in running.committers {
            sound &= thread.join().is_ok();
        }
        // It waits for the end of its own queue, or sees that it shall not.
        let _ = self.volume.keeper.send(Job::Stop);
        sound &= running.keeper.join().is_ok();
        if how == Stop::Drained && sound && self.volume.failure().is_none() {
            let clean = Clean { streams: streams.iter().map(|stream| clean_stream(stream)).collect() };
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
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop(Stop::Abruptly);
    }
}
