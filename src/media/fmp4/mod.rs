//! ISO base media in and out: fragmented MP4 both ways, and progressive MP4 whose `moov` comes
//! first on the way in.
//!
//! It does not know what is inside a sample or a codec configuration, beyond naming the codec and
//! finding its bytes.
//!
//! Section numbers in this folder are those of ISO/IEC 14496-12:2022 unless another standard is
//! named.
//!
//! ```text
//! in:  window → demux ─┬─ movie (moov) ── sample_entry::read, table
//!                      ├─ fragment (moof) ──┐
//!                      └─ progressive ──────┴→ planned samples → frames
//! out: init (ftyp, moov) ── sample_entry::write;  mux (moof and the mdat header)
//! ```

mod boxes;
mod demux;
mod fragment;
#[cfg(test)]
mod fragment_test;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile_test;
mod init;
mod movie;
mod mux;
mod planned;
mod producer_time;
mod progressive;
#[cfg(test)]
mod round_trip_test;
mod sample_entry;
mod table;
mod top_level;
mod window;
mod writer;

pub use demux::Demuxer;
pub use init::{carries, init};
pub use mux::{Muxer, RunSample};
