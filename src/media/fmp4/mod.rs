//! ISO base media in and out: fragmented MP4 both ways, and progressive MP4 whose `moov` comes
//! first on the way in.
//!
//! It does not know what is inside a sample or a codec configuration, beyond naming the codec and
//! finding its bytes.
//!
//! Section numbers in this folder are those of ISO/IEC 14496-12:2022 unless another standard is
//! named.

mod boxes;
#[cfg(test)]
mod golden;
mod init;
mod mux;
mod sample_entry;
mod writer;

pub use init::{carries, init};
pub use mux::{Muxer, RunSample};
