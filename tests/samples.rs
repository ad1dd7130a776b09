//! Every program in samples/ and every line that the README shows, run against the real server.
//!
//! What cannot be had here is replaced as close to the real thing as possible: a webcam by
//! ffmpeg's own picture source, an RTSP camera by one that shows a file.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]
#![expect(clippy::disallowed_methods, reason = "real processes run on real time")]

#[path = "samples/bench.rs"]
mod bench;
#[path = "samples/camera.rs"]
mod camera;
#[path = "samples/demo.rs"]
mod demo;
#[path = "samples/programs.rs"]
mod programs;
#[path = "samples/readme.rs"]
mod readme;
