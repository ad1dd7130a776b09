//! What all streams of one data directory share: disk, clock, index, health and
//! figures.
//!
//! It does not know which streams exist.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use kinora_base::{Clock, ErrorKind, StreamName, WallTime};

use crate::arrival::Arrivals;
use crate::cache::Cache;
use crate::error::{is_full, is_out_of_files};
use crate::format::folder_name;
use crate::index::Database;
use crate::retention::{Pressure, Watch};
use crate::segment::Bounds;
use crate::statistics::Counters;
use crate::verified::Verified;
use crate::{Disk, Error, Options};

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
    pub(crate) options: Options,
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
    failure: OnceLock<Error>,
}

impl Volume {
    /// A sound volume.
    pub(crate) fn new(
        (folder, disk): (&Path, Arc<dyn Disk>),
        options: Options,
        clock: Arc<dyn Clock>,
        database: Database,
    ) -> Self {
        let watch = Watch::new(options.keep_free_bytes);
        watch.look(disk.as_ref(), folder);
        Self {
            folder: folder.to_owned(),
            disk,
            options,
            clock,
            database,
            cache: Cache::default(),
            verified: Verified::default(),
            counters: Counters::default(),
            arrivals: Arrivals::default(),
            by_hand: false,
            watch,
            to_forget: Mutex::default(),
            failure: OnceLock::new(),
        }
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
