//! What was pushed is played by real players exactly as it was: live, by range, fragment by
//! fragment, over gaps, restarts and changes of codec.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that is wrong")]
#![expect(clippy::indexing_slicing, reason = "likewise")]

#[path = "playback/bench.rs"]
mod bench;
#[path = "playback/codecs.rs"]
mod codecs;
#[path = "playback/large.rs"]
mod large;
#[path = "playback/live.rs"]
mod live;
#[path = "playback/playlist.rs"]
mod playlist;
#[path = "playback/ranges.rs"]
mod ranges;
#[path = "playback/requests.rs"]
mod requests;
