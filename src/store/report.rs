//! What recovery and verification found out, for people to read.
//!
//! Nothing is repaired here.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use kinora_base::{FragmentNumber, StreamName};

use crate::Error;

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

/// Something in a place of ours that is not ours. It is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Where it is, relative to the data directory.
    pub path: PathBuf,
    /// Why it is not ours.
    pub reason: &'static str,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.reason)
    }
}

/// A stream whose files cannot be used. They are left as they are; everybody who asks for the
/// stream is refused until the next start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfService {
    /// Its name, as its folder says.
    pub stream: StreamName,
    /// What is wrong, and where.
    pub error: Error,
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
    /// What lies about that is not ours.
    pub foreign: Vec<Foreign>,
    /// Streams that could not be opened; all others were.
    pub out_of_service: Vec<OutOfService>,
    /// Open segments with damage, which take no more fragments.
    pub(crate) damaged_segments: BTreeSet<PathBuf>,
}

impl Recovery {
    /// Adds what was found in another stream.
    pub(crate) fn merge(&mut self, other: Self) {
        self.discarded_bytes += other.discarded_bytes;
        self.indexed_segments += other.indexed_segments;
        self.damages.extend(other.damages);
        self.foreign.extend(other.foreign);
        self.out_of_service.extend(other.out_of_service);
        self.damaged_segments.extend(other.damaged_segments);
    }
}
