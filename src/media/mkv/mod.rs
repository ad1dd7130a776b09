//! Matroska and WebM in and out, as RFC 9559 and RFC 8794 say and live producers do.
//!
//! [`Demuxer`] turns bytes in chunks of any size into tracks, frames and tags; [`Muxer`] turns
//! tracks and samples into headers that go between the samples' own bytes.
//!
//! ```text
//! input, ebml, place ─ demux ─ segment ─┬─ document, tracks (audio, codec_id, encoding), tags
//!                                       └─ frames (block, timing)
//! tracks, samples ─ mux (header, codec_id, write) ─ output
//! ```

mod audio;
mod block;
mod codec_id;
mod demux;
mod document;
mod ebml;
mod encoding;
mod frames;
mod header;
mod id;
mod input;
pub mod limit;
#[cfg(test)]
mod made_test;
mod mux;
mod place;
#[cfg(test)]
mod real_test;
mod segment;
mod tags;
mod timing;
mod tracks;
mod write;

pub use demux::Demuxer;
pub use mux::Muxer;
pub use tags::END_OF_FRAGMENT;
