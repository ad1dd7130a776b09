//! What one frame turned out to be.

use bytes::Bytes;

use super::configured::{Configured, Invalid};

/// A frame in canonical framing.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) data: Bytes,
    /// Decoding can start here.
    pub(crate) sync: bool,
    /// The configuration that begins with this frame, if it is another than before.
    pub(crate) configured: Option<Configured>,
}

/// Why a frame is not a sample.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// Its bytes contradict its codec; the sentence says how.
    Broken(String),
    /// It carries only parameter sets or messages, which have been noted.
    NoPicture,
    /// No usable configuration is known yet, and this frame could not bring one.
    NoConfiguration,
    /// It should have brought the first usable configuration, and did not.
    Configuration(Invalid),
}
