//! What a producer is told: how far each fragment has got, and why its input was refused.

use kinora_base::{FragmentNumber, WallTime};

use super::refusal::Refusal;

/// One acknowledgement, in the order in which it became true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ack {
    /// The fragment has begun to arrive.
    Buffering(AckedFragment),
    /// It is complete, and live readers can have all of it.
    Received(AckedFragment),
    /// It survives a power cut.
    Persisted(AckedFragment),
    /// The input was refused; nothing after this is taken.
    Error(Refusal),
    /// Nothing has arrived for a while; the session is still open.
    Idle,
}

/// The fragment that an acknowledgement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckedFragment {
    /// Its number.
    pub number: FragmentNumber,
    /// Its time as the producer wrote it, in the producer's ticks.
    pub timecode: i64,
    /// When it was captured, according to the producer.
    pub producer_time: WallTime,
    /// When its first byte arrived.
    pub server_time: WallTime,
    /// Media duration in microseconds; none before it is complete.
    pub duration_us: Option<u64>,
    /// Payload bytes; none before it is complete.
    pub bytes: Option<u32>,
    /// It broke off: more of it is yet to be sent.
    pub partial: bool,
}
