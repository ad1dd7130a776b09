//! Stored fragments to what players and programs take: playlists, init segments, media segments
//! and single-fragment files.
//!
//! It only reads the store, builds bytes and text, and never speaks HTTP.

mod catalog;
pub mod file;
pub mod hls;
mod presentation;
mod segment;
mod source;
mod window;

pub use catalog::{Catalog, Known};
pub use presentation::{LeftOut, Presentation, Rendition};
pub use segment::{frame_rate, init, segment};
pub use source::{Media, Source, head};
pub use window::{Entry, Span, Window};

/// Names the bytes that are made of a stored fragment, for caches that keep them. Raise it with every
/// change of the golden bytes of `media/fmp4` or `media/mkv`, or of what this room makes of them.
pub const MUXER_VERSION: u32 = 2;
