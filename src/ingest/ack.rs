//! What a producer is told: how far each fragment has got, and why its input was refused.

use kinora_base::{ErrorKind, FragmentNumber, WallTime};

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
}

/// Why input was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the producer can do about it.
    pub kind: ErrorKind,
    /// A stable word for programs.
    pub code: &'static str,
    /// One sentence for people.
    pub message: String,
    /// Advice, where there is something better than the sentence.
    pub hint: Option<String>,
    /// Byte offset in the body, where the fault lies in the media.
    pub offset: Option<u64>,
}

impl From<kinora_media::Error> for Refusal {
    fn from(error: kinora_media::Error) -> Self {
        Self {
            kind: error.fault.kind(),
            code: error.fault.code(),
            message: error.message,
            hint: error.hint,
            offset: Some(error.offset),
        }
    }
}

impl From<kinora_store::Error> for Refusal {
    fn from(error: kinora_store::Error) -> Self {
        let (code, hint) = match error.kind {
            ErrorKind::Conflict => (
                "superseded",
                Some(
                    "a newer connection pushes to this stream; stop one of the two, or give each its own stream",
                ),
            ),
            ErrorKind::StorageFull => {
                ("storage_full", Some("free space on the server's data volume, then push again"))
            }
            ErrorKind::LimitExceeded => ("limit_exceeded", None),
            ErrorKind::NotFound => ("stream_deleted", None),
            ErrorKind::Unavailable => {
                ("store_unavailable", Some("push again later; what was persisted is kept"))
            }
            _ => ("store_failed", None),
        };
        Self { kind: error.kind, code, message: error.message, hint: hint.map(Into::into), offset: None }
    }
}
