//! The coarse kinds that every room's errors fall into: what the caller should do, not what broke.

/// What the receiver of an error can do about it. One function in `api` maps it to a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The input is wrong and will be wrong again: correct it.
    InvalidInput,
    /// The input is sound but asks for something this version cannot do.
    Unsupported,
    /// The thing named does not exist (any more).
    NotFound,
    /// Somebody else holds or has replaced what the caller wants to change.
    Conflict,
    /// A named limit was reached: send less, or raise the limit.
    LimitExceeded,
    /// There is no room left on the volume.
    StorageFull,
    /// It may work later, unchanged: the server starts, stops, or a volume has failed.
    Unavailable,
    /// Stored bytes are damaged.
    Corrupt,
    /// A defect of ours.
    Internal,
}

impl ErrorKind {
    /// A stable lower-case word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Unsupported => "unsupported",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::LimitExceeded => "limit_exceeded",
            Self::StorageFull => "storage_full",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}
