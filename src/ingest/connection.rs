//! What a producer's connection is given and how it ends.

use std::time::Duration;

use crate::ingest::cut_settings::CutSettings;
use crate::ingest::refusal::Refusal;

/// Settings of producers' connections.
#[derive(Debug, Clone)]
pub struct PutSettings {
    /// Where fragments and parts are cut.
    pub cut: CutSettings,
    /// A connection without a byte for this long is told that it is idle, and again after as long.
    pub idle_after: Duration,
    /// A connection without a complete sample for this long is ended, however many bytes it
    /// dribbles.
    pub stalled_after: Duration,
    /// Fragments that may wait for the disk before the body is read no further.
    pub max_in_flight: usize,
    /// The same in payload bytes. With the largest fragment on top it must stay below what the
    /// store takes.
    pub max_in_flight_bytes: u64,
}

impl Default for PutSettings {
    fn default() -> Self {
        Self {
            cut: CutSettings::default(),
            idle_after: Duration::from_secs(5),
            stalled_after: Duration::from_secs(60),
            max_in_flight: 8,
            max_in_flight_bytes: 8 << 20,
        }
    }
}

/// The connection broke: the reason as the transport gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyError(pub String);

/// How a connection ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// Why it ended before the producer ended it; none after a complete body.
    pub refusal: Option<Refusal>,
    /// Bytes of the body.
    pub bytes: u64,
    /// Fragments made of it.
    pub fragments: u64,
    /// Fragments among them that had been stored before.
    pub repeated: u64,
    /// Frames that could not be kept: empty, damaged, or of no use without what was damaged.
    pub lost_frames: u64,
    /// Acks that were dropped because the producer does not read them.
    pub dropped_acks: u64,
}
