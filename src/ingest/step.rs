//! What a session asks for, one step at a time.
//!
//! A step names no writer and no stream; `put` knows whose they are.

use bytes::Bytes;
use kinora_base::WallTime;
use kinora_store::{Flags, Part};

/// What to do with the store's writer, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The fragments that follow have this codec configuration (`kinora_media::configuration`).
    Configure(Bytes),
    /// A fragment begins.
    Begin {
        /// Its time as the producer wrote it, in the producer's ticks.
        timecode: i64,
        /// When it was captured, according to the producer.
        producer_time: WallTime,
        /// See [`kinora_store::Fragment::media_us`].
        media_us: i64,
        /// When its first sample had arrived.
        server_time: WallTime,
        /// It does not continue the fragment before it.
        discontinuity: bool,
    },
    /// A part of it can be published.
    Part(Part),
    /// It is complete.
    Finish {
        /// Media duration in microseconds.
        duration_us: u64,
        /// What is known of it.
        flags: Flags,
        /// The head of the packed payload.
        head: Bytes,
        /// The samples' bytes, in pieces.
        data: Vec<Bytes>,
    },
}
