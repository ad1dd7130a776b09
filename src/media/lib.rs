//! Bytes to samples and back, sans-IO: Matroska and MP4 in and out, codec configurations, and the
//! packed form in which fragments are kept.
//!
//! It never sees a clock, a file, a socket or a task, and it does not know that a store exists.
//!
//! ```text
//! bytes → demux ─┬─ mkv::Demuxer ──┐            ┌─ mkv::Muxer  → bytes
//!                └─ fmp4::Demuxer ─┴→ elementary ┤
//!                    (container::Event)  (Event) └─ packed ─ fmp4::Muxer → bytes
//! ```

pub mod codec;
pub mod configuration;
pub mod container;
pub mod demux;
pub mod elementary;
pub mod error;
pub mod fmp4;
pub mod mkv;
pub mod packed;
pub mod reorder;
pub mod sample;
pub mod splice;
pub mod track;
mod varint;

pub use demux::{Demuxer, Event};
pub use error::{Error, Fault};
pub use sample::{Sample, Tag};
pub use splice::{Splice, SpliceWriter, Spliced};
pub use track::{Codec, Shape, Track, TrackKind};
