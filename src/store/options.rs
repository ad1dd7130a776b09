//! The store's settings. Where they come from is not known here.

use std::sync::Arc;
use std::time::Duration;

use crate::{Defaults, Keyring};

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
    /// What is kept at first; see [`crate::Store::set_default_limits`].
    pub limits: Defaults,
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
            limits: Defaults::default(),
            // A terabyte in a bit more than a day, at a tenth of what a single disk reads.
            scrub_bytes_per_second: 10_000_000,
            takeover_grace: Duration::from_secs(2),
            keys: None,
        }
    }
}
