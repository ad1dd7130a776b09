//! What recovery and verification found out, for people to read.
//!
//! Nothing is repaired here.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use kinora_base::{FragmentNumber, StreamName};

/// A place where stored bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The stream, if the place belongs to one.
    pub stream: Option<StreamName>,
    /// The file, relative to the data directory.
    pub file: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// The fragment that is damaged, where that can be told.
    pub fragment: Option<FragmentNumber>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.file.display(), self.offset)?;
        if let Some(stream) = &self.stream {
            write!(f, ", stream '{stream}'")?;
        }
        if let Some(fragment) = self.fragment {
            write!(f, ", fragment {fragment}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What opening a store found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Whether the last shutdown was orderly (or there was none yet).
    pub clean: bool,
    /// Bytes of unfinished, never acknowledged writes that were discarded.
    pub discarded_bytes: u64,
    /// Sealed segments that the index did not know, or that were sealed at opening.
    pub indexed_segments: u64,
    /// Damage to what was durable. Nothing of it was changed: what can be read is served.
    pub damages: Vec<Damage>,
    /// Open segments with damage, which take no more fragments.
    pub(crate) damaged_segments: BTreeSet<PathBuf>,
}

impl Recovery {
    /// Adds what was found in another stream.
    pub(crate) fn merge(&mut self, other: Self) {
        self.discarded_bytes += other.discarded_bytes;
        self.indexed_segments += other.indexed_segments;
        self.damages.extend(other.damages);
        self.damaged_segments.extend(other.damaged_segments);
    }
}
