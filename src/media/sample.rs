//! A sample, and the tags that travel beside samples.

use bytes::Bytes;

/// One access unit of video or one frame of audio or data, in decoding order within its track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Number of the track it belongs to.
    pub track: u32,
    /// Decoding time in ticks of the track's timescale.
    pub dts_ticks: i64,
    /// Presentation time in ticks of the track's timescale.
    pub pts_ticks: i64,
    /// Duration in ticks if the container gave one; else 0, and the next sample's decoding time
    /// tells.
    pub duration_ticks: u32,
    /// Whether decoding can start here. Every audio sample of the codecs we know is one.
    pub sync: bool,
    /// The coded bytes, framed as [`crate::Codec`] says.
    pub data: Bytes,
}

/// A name and a value that a producer attached to its media (a Matroska SimpleTag).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The tag's name, UTF-8, at most [`Tag::MAX_NAME_BYTES`].
    pub name: String,
    /// The tag's value, UTF-8, at most [`Tag::MAX_VALUE_BYTES`]; may be empty.
    pub value: String,
}

impl Tag {
    /// Longest name in bytes.
    pub const MAX_NAME_BYTES: usize = 1024;
    /// Longest value in bytes.
    pub const MAX_VALUE_BYTES: usize = 16 * 1024;
    /// Most tags that one fragment keeps.
    pub const MAX_PER_FRAGMENT: usize = 64;
}
