//! Matroska and WebM in and out, as RFC 9559 and RFC 8794 say and live producers do.
//!
//! [`Demuxer`] turns bytes in chunks of any size into tracks, frames and tags; [`Muxer`] turns
//! tracks and samples into headers that go between the samples' own bytes.
//!
//! ```text
//! input ─ ebml ─ demux ─┬─ document, tracks (audio, codec_id, encoding), tags
//!                       └─ frames (block, timing)
//! ```

#[allow(dead_code, reason = "the muxer writes what the demuxer does not read")]
mod audio;
mod block;
#[allow(dead_code, reason = "the muxer writes what the demuxer does not read")]
mod codec_id;
mod demux;
mod document;
mod ebml;
mod encoding;
mod frames;
#[allow(dead_code, reason = "the muxer writes what the demuxer does not read")]
mod id;
mod input;
pub mod limit;
mod tags;
mod timing;
mod tracks;

pub use demux::Demuxer;
pub use tags::END_OF_FRAGMENT;
