//! The store's settings. Where they come from is not known here.

use std::sync::Arc;
use std::time::Duration;

use crate::Keyring;

/// Settings of a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// Size at which a segment is sealed, in bytes.
    pub segment_bytes: u64,
    /// How much room is allocated ahead of an open segment, in bytes.
    pub preallocate_bytes: u64,
    /// Threads that write and sync.
    pub committers: usize,
    /// Largest payload of one fragment, in bytes: 50 MiB of samples, and room for their table.
    pub max_fragment_bytes: u32,
    /// Most payload bytes of one stream that may wait for the disk.
    pub max_uncommitted_bytes: u64,
    /// How long fragments are kept since they arrived, unless their stream says otherwise.
    pub max_age: Option<Duration>,
    /// How many payload bytes a stream keeps, unless it says otherwise.
    pub max_bytes: Option<u64>,
    /// How many bytes the files of all streams may take together.
    pub max_total_bytes: Option<u64>,
    /// How much of the volume shall stay free, in bytes: a fiftieth of it, 16 MiB to 1 GiB, if not
    /// given. The oldest segments go for it; when only a quarter of it is left, fragments are refused.
    pub keep_free_bytes: Option<u64>,
    /// How fast everything that is sealed is read again in the background, to find damage, in bytes a
    /// second; 0: not at all.
    pub scrub_bytes_per_second: u64,
    /// How long a writer that is taken over may use to finish.
    pub takeover_grace: Duration,
    /// What new records are encrypted with, and old ones that are can be read with. What was stored
    /// without stays as it is.
    pub keys: Option<Arc<Keyring>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            preallocate_bytes: 16 << 20,
            // They wait for the disk, not for a processor, and disks sync several files at a time: at
            // 200 fragments a second half wait a third as long as with four.
            committers: 8,
            max_fragment_bytes: 52 << 20,
            max_uncommitted_bytes: 64 << 20,
            max_age: None,
            max_bytes: None,
            max_total_bytes: None,
            keep_free_bytes: None,
            // A terabyte in a bit more than a day, at a tenth of what a single disk reads.
            scrub_bytes_per_second: 10_000_000,
            takeover_grace: Duration::from_secs(2),
            keys: None,
        }
    }
}
