//! What tests and benchmarks share. It panics with the reason instead of returning errors.

pub mod boundaries;
mod clip;
mod http;
mod producer;
mod server;

pub use clip::{camera_clip, clip, ffmpeg, ffprobe};
pub use http::{Answer, get, request};
pub use producer::Producer;
pub use server::Server;
