//! The live tail of a stream in memory: parts of the fragment under way and the newest fragments.
//!
//! A part's inside is unknown here.

use bytes::Bytes;
use kinora_base::{FragmentNumber, WallTime};

use crate::fragment::ConfigurationId;

/// A run of samples published before its fragment is complete. Opaque but for what a live
/// playlist needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Position in its fragment, from 0.
    pub index: u32,
    /// Start relative to the fragment's producer time, in microseconds.
    pub offset_us: u64,
    /// Media duration in microseconds.
    pub duration_us: u64,
    /// Whether decoding can start here.
    pub independent: bool,
    /// The writer's description of the data (its sample table).
    pub head: Bytes,
    /// The samples' bytes, in pieces.
    pub data: Vec<Bytes>,
}

/// The fragment under way, as far as it has been published.
#[derive(Debug, Clone)]
pub struct OpenFragment {
    /// The number it will have.
    pub number: FragmentNumber,
    /// The ordinal it will have.
    pub ordinal: u64,
    /// When its first sample was captured, according to the producer.
    pub producer_time: WallTime,
    /// When its first byte arrived.
    pub server_time: WallTime,
    /// Which codec configuration its samples need.
    pub configuration: ConfigurationId,
    /// Whether it does not continue from the fragment before it.
    pub discontinuity: bool,
    /// What has been published of it, in order.
    pub parts: Vec<std::sync::Arc<Part>>,
}
