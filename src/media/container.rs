//! What a container demuxer yields: tracks as declared and frames as framed by the container.
//!
//! Nothing here knows what is inside a frame; `elementary` turns frames into samples.

use bytes::Bytes;
use kinora_base::WallTime;

use crate::{Tag, Track};

/// One step of a container demuxer, in input order.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The declared tracks, complete, before the first frame. Comes again when a new header
    /// follows in the same input (a concatenation). `configuration` holds the container's own
    /// bytes for the codec, not yet checked and not yet canonical.
    Tracks(Vec<DeclaredTrack>),
    /// A Cluster, or a movie fragment, begins.
    Boundary(Boundary),
    /// A frame of a declared track.
    Frame(Frame),
    /// Tags, in the order sent, for the fragment under way or the one that just ended.
    Tags(Vec<Tag>),
    /// The producer says when a media time was captured (`prft`).
    ProducerTime(ProducerTime),
    /// The producer says that the fragment under way is complete
    /// (tag `AWS_KINESISVIDEO_END_OF_FRAGMENT`).
    EndOfFragment,
}

/// A track as the container declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredTrack {
    /// The track; `configuration` is still the container's (CodecPrivate, or the payload of
    /// `avcC`, `hvcC`, `av1C`, `vpcC`, `esds`' AudioSpecificConfig, `dOps` …).
    pub track: Track,
    /// Which container's conventions `configuration` and the frames follow.
    pub convention: Convention,
    /// Byte offset of the declaration in the input.
    pub offset: u64,
}

/// Whose conventions a track's configuration and frames follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// Matroska: CodecPrivate, presentation times only.
    Matroska,
    /// ISO base media: sample entry boxes, decoding times and composition offsets.
    Mp4,
}

/// Where a Cluster or movie fragment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    /// The time as the producer wrote it, in its own ticks: a Cluster's Timestamp, or a movie
    /// fragment's first decode time.
    pub timecode: i64,
    /// Ticks per second of `timecode`.
    pub timescale: u32,
}

/// One frame as the container frames it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Number of its track.
    pub track: u32,
    /// Presentation time in the track's ticks.
    pub pts_ticks: i64,
    /// Decoding time in the track's ticks, where the container has one.
    pub dts_ticks: Option<i64>,
    /// Duration in the track's ticks; 0 if the container does not say.
    pub duration_ticks: u32,
    /// Whether the container marks it as a key frame.
    pub key: bool,
    /// The frame's bytes: a slice of the input where the input held them in one piece.
    pub data: Bytes,
    /// Byte offset in the input of the block or sample.
    pub offset: u64,
}

/// A producer reference time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerTime {
    /// Number of the track that `media_ticks` belongs to.
    pub track: u32,
    /// Media time in the track's ticks.
    pub media_ticks: i64,
    /// UTC time of it according to the producer.
    pub wall: WallTime,
}
