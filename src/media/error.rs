//! What can be wrong with media, where, and what the sender can do about it.

use std::fmt;

use kinora_base::ErrorKind;

/// Which part of the contract the input broke. The words are stable: they appear in acks and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The bytes are neither Matroska nor MP4, or break the container's grammar.
    Container,
    /// The input ended inside an element, box or sample.
    Truncated,
    /// A sound construct that is not supported, with advice what to send instead.
    Unsupported,
    /// A named limit on sizes, counts or nesting was exceeded.
    Limit,
    /// A frame names a track that was never declared.
    UnknownTrack,
    /// A codec configuration that no player could use.
    CodecConfiguration,
    /// A frame whose bytes contradict its codec.
    Bitstream,
    /// Our own packed bytes or configuration do not read back: damage on disk, or a defect.
    Stored,
}

impl Fault {
    /// The stable code of this fault.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Container => "invalid_container",
            Self::Truncated => "truncated_media",
            Self::Unsupported => "unsupported_media",
            Self::Limit => "media_limit_exceeded",
            Self::UnknownTrack => "unknown_track",
            Self::CodecConfiguration => "invalid_codec_configuration",
            Self::Bitstream => "invalid_bitstream",
            Self::Stored => "stored_media_damaged",
        }
    }

    /// What the receiver of the error can do.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::Unsupported => ErrorKind::Unsupported,
            Self::Limit => ErrorKind::LimitExceeded,
            Self::Stored => ErrorKind::Corrupt,
            _ => ErrorKind::InvalidInput,
        }
    }
}

/// A fault in media, located. `Display` writes the sentence and the byte offset, not the hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Which rule was broken.
    pub fault: Fault,
    /// Byte offset from the start of the input (the whole body, not the present chunk) of the
    /// element, box or frame that is wrong.
    pub offset: u64,
    /// One sentence without the offset, e.g. `the SimpleBlock names track 7, which was never declared`.
    pub message: String,
    /// What to do about it, if there is something better than "send correct media".
    pub hint: Option<String>,
}

impl Error {
    /// An error without a hint.
    pub fn new(fault: Fault, offset: u64, message: impl Into<String>) -> Self {
        Self { fault, offset, message: message.into(), hint: None }
    }

    /// The same error with advice for the sender.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.offset)
    }
}

impl std::error::Error for Error {}
