//! A fragment as the index knows it, and how to ask for fragments.
//!
//! The payload's inside is unknown here.

use kinora_base::{FragmentNumber, WallTime};

/// Identifies one codec configuration of one stream: from 1, in order of first use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigurationId(pub u32);

/// Facts about a fragment that one bit can tell. The numeric values are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flags(u16);

impl Flags {
    /// Decoding can start at the first sample: it is a key frame, or the stream has no video.
    pub const KEY_FRAME_START: Self = Self(1);
    /// Media time, tracks or codec configuration do not continue from the fragment before it.
    pub const DISCONTINUITY: Self = Self(2);
    /// The producer vanished, stalled or was replaced before the fragment was complete.
    pub const PARTIAL: Self = Self(4);
    /// The payload carries tags.
    pub const TAGS: Self = Self(8);

    /// The bits as stored.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Flags from stored bits; bits of later versions are kept.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// These flags and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags and `other` if `condition`.
    #[must_use]
    pub const fn with_if(self, other: Self, condition: bool) -> Self {
        if condition { self.with(other) } else { self }
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How far a fragment has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Complete and numbered, not yet known to survive a power cut.
    Buffered,
    /// Survives a power cut.
    Persisted,
}

impl State {
    /// `buffered` or `persisted`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::Persisted => "persisted",
        }
    }
}

/// One complete fragment: everything the index knows of it. The payload is read with
/// [`crate::Stream::read`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Its number.
    pub number: FragmentNumber,
    /// Its place among the fragments ever stored in this stream, from 0, without holes: the next
    /// stored fragment has the next ordinal, even where the number jumps.
    pub ordinal: u64,
    /// When its first sample was captured, according to the producer (see `ingest`).
    pub producer_time: WallTime,
    /// When its first byte arrived.
    pub server_time: WallTime,
    /// Presentation time of its first sample on the producer's own timeline, in microseconds.
    pub media_us: i64,
    /// Media duration in microseconds.
    pub duration_us: u64,
    /// Payload length in bytes.
    pub bytes: u32,
    /// Which codec configuration its samples need.
    pub configuration: ConfigurationId,
    /// See [`Flags`].
    pub flags: Flags,
    /// CRC-32C of the content, see [`crate::Finish::data`].
    pub content_crc: u32,
    /// How many fragments ever stored in this stream have [`Flags::DISCONTINUITY`], up to this one
    /// and with it.
    pub discontinuities: u32,
    /// See [`State`].
    pub state: State,
}

impl Fragment {
    /// Producer time at which its media ends.
    #[must_use]
    pub fn producer_end(&self) -> WallTime {
        self.producer_time.offset_micros(i64::try_from(self.duration_us).unwrap_or(i64::MAX))
    }

    /// Its start on `axis`; for [`Axis::Arrival`] the server time.
    #[must_use]
    pub fn start(&self, axis: Axis) -> WallTime {
        match axis {
            Axis::Producer => self.producer_time,
            Axis::Server | Axis::Arrival => self.server_time,
        }
    }
}

/// What a query selects and sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Producer time, then number.
    Producer,
    /// Server time, then number.
    Server,
    /// Number alone; time bounds are read as server time.
    Arrival,
}

/// A position in a sorted list of fragments: exactly after this fragment (before it, when
/// descending).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The fragment's start on the query's axis.
    pub time: WallTime,
    /// The fragment's number.
    pub number: FragmentNumber,
}

/// Which fragments to list.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// What `start` and `end` mean and what the result is sorted by.
    pub axis: Axis,
    /// Only fragments that end after this time (so one that began earlier and reaches into the
    /// range is included). On the server axis a fragment spans its media duration from its
    /// server time on.
    pub start: Option<WallTime>,
    /// Only fragments that start before this time.
    pub end: Option<WallTime>,
    /// Newest first.
    pub descending: bool,
    /// Continue after this position.
    pub after: Option<Cursor>,
    /// At most so many fragments.
    pub limit: usize,
}

/// A stretch of producer time that fragments cover without a hole larger than
/// [`Run::LARGEST_HOLE_US`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Producer time of the first fragment's start.
    pub start: WallTime,
    /// Producer time of the last fragment's end.
    pub end: WallTime,
    /// How many fragments.
    pub fragments: u64,
    /// Their payload bytes.
    pub bytes: u64,
}

impl Run {
    /// Two fragments belong to one run if the second starts at most this many microseconds after
    /// the first ends: rounding in a container, not an absence.
    pub const LARGEST_HOLE_US: i64 = 500_000;
}
