//! Why input was refused, in words for programs and for people.

use std::time::Duration;

use kinora_base::{ErrorKind, WallTime};
use kinora_store::Cause;

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

impl Refusal {
    /// What it means for the media of the session that it ends.
    pub(super) fn cause(&self) -> Cause {
        match (self.code, self.kind) {
            ("connection_lost", _) => Cause::ConnectionLost,
            ("producer_stalled", _) => Cause::Stall,
            ("superseded", _) => Cause::Replaced,
            ("server_stopping", _) => Cause::ServerDown,
            (_, ErrorKind::StorageFull | ErrorKind::Unavailable) => Cause::DiskRefused,
            _ => Cause::InputRefused,
        }
    }

    /// The sentence, with the place in the body where there is one.
    pub(super) fn detail(&self) -> String {
        match self.offset {
            Some(offset) => format!("{} (at byte {offset} of the body)", self.message),
            None => self.message.clone(),
        }
    }
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
            ErrorKind::StorageFull => (
                "storage_full",
                Some("free space on the server's data volume or delete streams, then push again"),
            ),
            ErrorKind::LimitExceeded => ("limit_exceeded", None),
            ErrorKind::InvalidInput => ("invalid_input", None),
            ErrorKind::NotFound => ("stream_deleted", None),
            ErrorKind::Unavailable => {
                ("store_unavailable", Some("push again later; what was persisted is kept"))
            }
            _ => ("store_failed", None),
        };
        let message = message_for_others(&error);
        Self { kind: error.kind, code, message, hint: hint.map(Into::into), offset: None }
    }
}

/// What producers are told: they have no use for the names of the server's files, which only the
/// log has.
fn message_for_others(error: &kinora_store::Error) -> String {
    let told = match error.kind {
        _ if !error.message.contains('/') => return error.message.clone(),
        ErrorKind::StorageFull => "the server's disk is full",
        ErrorKind::Unavailable => "the server cannot store anything now",
        _ => return error.message.clone(),
    };
    tracing::error!(error = %error.message, kind = error.kind.as_str(), "the store refused");
    told.to_owned()
}

pub(super) fn no_media(offset: u64) -> Refusal {
    Refusal {
        kind: ErrorKind::InvalidInput,
        code: "no_media",
        message: "the body ended before a sample came".into(),
        hint: Some("check that the source delivers: ffprobe it".into()),
        offset: Some(offset),
    }
}

pub(super) fn no_configuration() -> Refusal {
    kinora_store::Error::new(ErrorKind::Internal, "a fragment began before its tracks were known").into()
}

pub(super) fn superseded_by_newer() -> Refusal {
    kinora_store::Error::new(ErrorKind::Conflict, "a newer connection took this stream over").into()
}

pub(super) fn stopping() -> Refusal {
    Refusal {
        kind: ErrorKind::Unavailable,
        code: "server_stopping",
        message: "the server is stopping".into(),
        hint: Some("push again when it is back; what was persisted is kept".into()),
        offset: None,
    }
}

pub(super) fn connection_lost(reason: &str, offset: u64) -> Refusal {
    Refusal {
        kind: ErrorKind::InvalidInput,
        code: "connection_lost",
        message: format!("the connection broke in the middle of the body: {}", reason),
        hint: Some("push again; repeated fragments are recognized".into()),
        offset: Some(offset),
    }
}

pub(super) fn stalled(after: Duration, offset: u64) -> Refusal {
    Refusal {
        kind: ErrorKind::InvalidInput,
        code: "producer_stalled",
        message: format!("no complete sample arrived for {} seconds", after.as_secs()),
        hint: Some("push again when the camera delivers".into()),
        offset: Some(offset),
    }
}

pub(super) fn impossible_time(timecode: i64, producer_time: WallTime) -> Refusal {
    Refusal {
        kind: ErrorKind::InvalidInput,
        code: "producer_time_out_of_range",
        message: format!(
            "timecode {timecode} makes the producer time {producer_time}, outside {} to {}",
            WallTime::EARLIEST,
            WallTime::LATEST
        ),
        hint: Some("check start=, and use timecode=absolute only for timecodes that count from 1970".into()),
        offset: None,
    }
}
