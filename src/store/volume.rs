//! What all streams of one data directory share: disk, clock, index, health and
//! figures.
//!
//! It does not know which streams exist.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use kinora_base::{Clock, ErrorKind, StreamName, WallTime};

use crate::arrival::Arrivals;
use crate::cache::Cache;
use crate::error::{is_full, is_out_of_files};
use crate::format::folder_name;
use crate::index::Database;
use crate::retention::{Pressure, Rate, Trust, Watch};
use crate::segment::Bounds;
use crate::statistics::Counters;
use crate::sync::lock;
use crate::verified::Verified;
use crate::{Defaults, Disk, Error, Options};

/// How long a committer waits for room that deleting what may go makes.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);

/// Whether a store still does what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether fragments can become durable.
    pub ok: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Volume {
    pub(crate) folder: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    /// Without limits: those change.
    pub(crate) options: Options,
    limits: Mutex<Arc<Defaults>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) database: Database,
    pub(crate) cache: Cache,
    pub(crate) verified: Verified,
    pub(crate) counters: Counters,
    pub(crate) arrivals: Arrivals,
    /// Whether there are no threads: everything happens when it is asked for, in that order.
    pub(crate) by_hand: bool,
    pub(crate) watch: Watch,
    /// Deleted streams, by identifier and time of creation, whose rows could not be deleted yet.
    pub(crate) to_forget: Mutex<Vec<(i64, WallTime)>>,
    /// Which time recordings expire by.
    trust: Mutex<Trust>,
    /// Whether the keeper has been told that there is little room.
    pub(crate) retain_asked: AtomicBool,
    /// How fast data files grow.
    pub(crate) rate: Mutex<Rate>,
    /// How often limits were put into effect; those who need room wait for the next time.
    passes: (Mutex<u64>, Condvar),
    /// Held while the limits of all streams are put into effect.
    pub(crate) passing: Mutex<()>,
    failure: OnceLock<Error>,
}

impl Volume {
    /// A sound volume.
    pub(crate) fn new(
        (folder, disk): (&Path, Arc<dyn Disk>),
        mut options: Options,
        clock: Arc<dyn Clock>,
        database: Database,
    ) -> Result<Self, Error> {
        let limits = std::mem::take(&mut options.limits);
        let watch = Watch::new(limits.keep_free_bytes);
        watch.look(disk.as_ref(), folder);
        let trust = Trust::resume(database.last_seen()?, clock.wall(), clock.monotonic());
        Ok(Self {
            folder: folder.to_owned(),
            disk,
            options,
            limits: Mutex::new(Arc::new(limits)),
            clock,
            database,
            cache: Cache::default(),
            verified: Verified::default(),
            counters: Counters::default(),
            arrivals: Arrivals::default(),
            by_hand: false,
            watch,
            to_forget: Mutex::default(),
            trust: Mutex::new(trust),
            retain_asked: AtomicBool::new(false),
            rate: Mutex::default(),
            passes: (Mutex::new(0), Condvar::new()),
            passing: Mutex::default(),
            failure: OnceLock::new(),
        })
    }

    /// The limits of streams that set none, and of all together.
    pub(crate) fn limits(&self) -> Arc<Defaults> {
        Arc::clone(&lock(&self.limits))
    }

    /// Changes them.
    pub(crate) fn set_limits(&self, limits: Defaults) {
        self.watch.keep_free(limits.keep_free_bytes);
        *lock(&self.limits) = Arc::new(limits);
    }

    /// The folder that holds one folder per stream.
    pub(crate) fn streams(&self) -> PathBuf {
        self.folder.join("streams")
    }

    /// The folder of the stream `name`.
    pub(crate) fn stream_folder(&self, name: &StreamName) -> PathBuf {
        self.streams().join(folder_name(name))
    }

    /// The folder that holds streams whose deletion is under way.
    pub(crate) fn deleted(&self) -> PathBuf {
        self.folder.join("deleted")
    }

    pub(crate) fn bounds(&self) -> Bounds {
        let pressure = self.watch.space().pressure;
        Bounds {
            segment_bytes: self.options.segment_bytes,
            preallocate_bytes: if pressure == Pressure::Ample { self.options.preallocate_bytes } else { 0 },
            may_grow: pressure != Pressure::Full,
        }
    }

    /// Notes that the volume failed to do `what` with `path`. From here on nothing becomes
    /// durable: after a failed sync the kernel may drop the very pages it could not write, and a
    /// second sync would succeed without them. Only the first failure is kept.
    pub(crate) fn fail(&self, what: &str, path: &Path, error: &io::Error) -> Error {
        let failure = Error::new(
            ErrorKind::Unavailable,
            format!(
                "the volume failed and takes nothing until it was checked and the server restarted: \
                 cannot {what} {}: {error}",
                path.display()
            ),
        );
        self.failure
            .get_or_init(|| {
                tracing::error!("{}", failure.message);
                failure
            })
            .clone()
    }

    /// As [`Self::fail`], unless `error` only says that there is no room or no file to spare.
    pub(crate) fn failed_to(&self, what: &str, path: &Path, error: &io::Error) -> Error {
        if is_full(error) || is_out_of_files(error) {
            return Error::io(what, path, error);
        }
        self.fail(what, path, error)
    }

    /// The failure, if the volume failed.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failure.get()
    }

    pub(crate) fn health(&self) -> Health {
        let reason = self.failure().map(|error| error.message.clone());
        Health { ok: reason.is_none(), reason }
    }

    /// The time that recordings expire by.
    pub(crate) fn trusted_now(&self) -> WallTime {
        lock(&self.trust).look(self.clock.wall(), self.clock.monotonic())
    }

    /// What the next run must know of the time.
    pub(crate) fn trust(&self) -> (WallTime, i64) {
        let mut trust = lock(&self.trust);
        trust.look(self.clock.wall(), self.clock.monotonic());
        trust.kept()
    }

    /// By how many microseconds the clock is ahead of the time without its last jump.
    pub(crate) fn clock_ahead_us(&self) -> i64 {
        lock(&self.trust).ahead_us()
    }

    /// Notes that limits were put into effect.
    pub(crate) fn passed(&self) {
        *lock(&self.passes.0) += 1;
        self.passes.1.notify_all();
    }

    /// Waits until limits were put into effect once more, or for [`ROOM_PATIENCE`].
    pub(crate) fn wait_for_pass(&self) {
        if self.by_hand {
            return;
        }
        let (count, passed) = &self.passes;
        let before = *lock(count);
        let waited = passed.wait_timeout_while(lock(count), ROOM_PATIENCE, |count| *count == before);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Looks how much room is left.
    pub(crate) fn look(&self) {
        self.watch.look(self.disk.as_ref(), &self.folder);
    }

    /// Notes that `error` refused room for a fragment; says so in words for producers.
    pub(crate) fn full(&self, error: &io::Error) -> Error {
        self.look();
        self.watch.refused();
        self.watch.refusal().unwrap_or_else(|| Error::new(ErrorKind::StorageFull, error.to_string()))
    }
}
