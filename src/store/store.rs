//! The store as a whole: opening, streams, closing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kinora_base::{Clock, StreamName};

use crate::{Error, Stream};

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

/// All streams under one data directory. Cheap to clone; the last clone to go does not close it.
#[derive(Debug, Clone)]
pub struct Store {}

impl Store {
    /// Opens `data_dir`, creating it if needed, and recovers what a crash left.
    ///
    /// # Errors
    /// `Conflict` if another process has it open, `Corrupt` if the format is unknown,
    /// `Unavailable` for input and output errors.
    pub fn open(_data_dir: &Path, _options: Options, _clock: Arc<dyn Clock>) -> Result<Self, Error> {
        unimplemented!()
    }

    /// The stream `name`, created (durably) if it does not exist.
    ///
    /// # Errors
    /// As [`Store::open`], and `StorageFull`.
    pub fn create_stream(&self, _name: &StreamName) -> Result<Arc<Stream>, Error> {
        unimplemented!()
    }

    /// The stream `name`, if it exists.
    #[must_use]
    pub fn stream(&self, _name: &StreamName) -> Option<Arc<Stream>> {
        unimplemented!()
    }

    /// All streams, by name.
    #[must_use]
    pub fn streams(&self) -> Vec<Arc<Stream>> {
        unimplemented!()
    }

    /// Deletes a stream and its files. Blocks.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` for input and output errors.
    pub fn delete_stream(&self, _name: &StreamName) -> Result<(), Error> {
        unimplemented!()
    }

    /// Waits until everything queued is durable, writes watermarks and marks the shutdown clean.
    /// Writers get `Unavailable` from now on. Blocks.
    pub fn close(&self) {}
}
