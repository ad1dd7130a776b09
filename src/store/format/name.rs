//! The names of streams' folders, and of segment files, which carry the main columns of the index.

use kinora_base::{StreamName, WallTime};

use super::{KeyFile, RetentionFile, StreamFile, checksum};

/// Longest name of a folder (`NAME_MAX` of Linux), one less than a stream's name may have.
const LONGEST: usize = 255;

/// The name of the folder of the stream `name`: the same, unless it is too long for a folder;
/// then its beginning, a `~`, which no stream's name has, and a checksum of the whole.
pub(crate) fn folder_name(name: &StreamName) -> String {
    let text = name.as_str();
    let Some(beginning) = text.get(..LONGEST - 17).filter(|_| text.len() > LONGEST) else {
        return text.to_owned();
    };
    let reversed: Vec<u8> = text.bytes().rev().collect();
    format!("{beginning}~{:08x}{:08x}", checksum(text.as_bytes()), checksum(&reversed))
}

/// Digits of the first number: names sort as numbers do.
const DIGITS: usize = 20;

/// The name of the open segment that begins at number `first`.
pub(crate) fn open_name(first: u64) -> String {
    format!("{first:0DIGITS$}.open")
}

/// What the name of a file in a stream's folder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentFileName {
    /// A segment that is being written, or was when the server stopped.
    Open {
        /// The first number it may hold.
        first: u64,
    },
    /// A sealed segment.
    Sealed {
        /// The first number it may hold.
        first: u64,
        /// Earliest producer start.
        start: WallTime,
        /// Latest producer end.
        end: WallTime,
        /// Fragments in it.
        count: u32,
    },
}

impl SegmentFileName {
    /// The first number that the segment may hold.
    pub(crate) fn first(self) -> u64 {
        match self {
            Self::Open { first } | Self::Sealed { first, .. } => first,
        }
    }

    /// Reads a file name; none if it names no segment.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let number = |text: &str| {
            (text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit()))
                .then(|| text.parse::<u64>().ok())
                .flatten()
        };
        if let Some(first) = name.strip_suffix(".open") {
            return Some(Self::Open { first: number(first)? });
        }
        let mut fields = name.strip_suffix(".seg")?.split('_');
        let parsed = Self::Sealed {
            first: number(fields.next()?)?,
            start: WallTime::from_micros(fields.next()?.parse().ok()?),
            end: WallTime::from_micros(fields.next()?.parse().ok()?),
            count: fields.next()?.parse().ok()?,
        };
        (fields.next().is_none() && parsed.to_string() == name).then_some(parsed)
    }
}

impl std::fmt::Display for SegmentFileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open { first } => f.write_str(&open_name(*first)),
            Self::Sealed { first, start, end, count } => {
                write!(f, "{first:0DIGITS$}_{}_{}_{count}.seg", start.as_micros(), end.as_micros())
            }
        }
    }
}

/// What a file in a stream's folder is for, as its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileName {
    Segment(SegmentFileName),
    /// The stream file.
    Stream,
    /// The key file.
    Keys,
    /// The retention file.
    Retention,
    /// An open segment of which nothing could be read.
    SetAside,
    /// A small file that was being put in place.
    Unfinished,
}

impl FileName {
    /// Reads a file name; none if it is none of ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let aside = || Some(open_name(name.strip_suffix(".damaged")?.parse().ok()?));
        match SegmentFileName::parse(name) {
            Some(segment) => Some(Self::Segment(segment)),
            None if name == StreamFile::NAME => Some(Self::Stream),
            None if name == KeyFile::NAME => Some(Self::Keys),
            None if name == RetentionFile::NAME => Some(Self::Retention),
            None if matches!(
                name.strip_suffix(".new"),
                Some(StreamFile::NAME | KeyFile::NAME | RetentionFile::NAME)
            ) =>
            {
                Some(Self::Unfinished)
            }
            None if aside()?.strip_suffix(".open") == name.strip_suffix(".damaged") => Some(Self::SetAside),
            None => None,
        }
    }
}
