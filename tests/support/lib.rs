//! What tests and benchmarks share. It panics with the reason instead of returning errors.

mod clip;

pub use clip::{clip, ffmpeg, ffprobe};
