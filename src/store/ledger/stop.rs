//! One end of media and its cause, as a segment keeps it.

use std::fmt;

use kinora_base::WallTime;

/// Why media is absent. The codes are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The producer ended its session as it should.
    ProducerStopped,
    /// The connection to the producer broke.
    ConnectionLost,
    /// The producer was connected and delivered nothing.
    Stall,
    /// What the producer sent could not be taken.
    InputRefused,
    /// A newer producer took the stream over.
    Replaced,
    /// The server was stopped, or crashed.
    ServerDown,
    /// The disk was full or failed.
    DiskRefused,
    /// The producer's time jumped while it went on delivering.
    ClockStep,
    /// It was recorded and is deleted, as its retention demands. Never on disk.
    Expired,
    /// It was recorded and cannot be read any more. Never on disk.
    Damaged,
    /// Nobody wrote it down. Never on disk.
    Unknown,
}

impl Cause {
    /// All causes, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::ProducerStopped,
        Self::ConnectionLost,
        Self::Stall,
        Self::InputRefused,
        Self::Replaced,
        Self::ServerDown,
        Self::DiskRefused,
        Self::ClockStep,
        Self::Expired,
        Self::Damaged,
        Self::Unknown,
    ];

    /// A stable lower-case word for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProducerStopped => "producer_stopped",
            Self::ConnectionLost => "connection_lost",
            Self::Stall => "stall",
            Self::InputRefused => "input_refused",
            Self::Replaced => "replaced",
            Self::ServerDown => "server_down",
            Self::DiskRefused => "disk_refused",
            Self::ClockStep => "clock_step",
            Self::Expired => "expired",
            Self::Damaged => "damaged",
            Self::Unknown => "unknown",
        }
    }

    /// The code in a stop's record.
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::ProducerStopped => 1,
            Self::ConnectionLost => 2,
            Self::Stall => 3,
            Self::InputRefused => 4,
            Self::Replaced => 5,
            Self::ServerDown => 6,
            Self::DiskRefused => 7,
            Self::ClockStep => 8,
            Self::Expired | Self::Damaged | Self::Unknown => 0,
        }
    }

    /// The cause with this code. One of a later version is unknown here.
    pub(crate) fn from_code(code: u16) -> Self {
        Self::ALL.into_iter().find(|cause| cause.code() == code && code != 0).unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Media ended here, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Producer time at which the last media ended.
    pub ended: WallTime,
    /// Server time at which that was noticed.
    pub noticed: WallTime,
    /// Why.
    pub cause: Cause,
    /// More in words, such as the error; may be empty.
    pub detail: String,
    /// All fragments before it have numbers up to this one.
    pub(crate) number: u64,
}

impl Stop {
    /// Longest [`Stop::detail`] that is kept, in bytes.
    pub const MAX_DETAIL_BYTES: usize = 1024;

    /// A stop behind the fragments up to `number`; a long `detail` is cut short.
    pub(crate) fn new(
        (ended, noticed): (WallTime, WallTime),
        cause: Cause,
        detail: &str,
        number: u64,
    ) -> Self {
        let cut = detail.floor_char_boundary(Self::MAX_DETAIL_BYTES);
        Self { ended, noticed, cause, detail: detail.get(..cut).unwrap_or_default().to_owned(), number }
    }
}
