//! HLS playlists as text, by RFC 8216 and its successor draft-pantos-hls-rfc8216bis ("8216bis").
//!
//! Pure: a snapshot in, text out.

mod media;
mod multivariant;

pub use media::media_playlist;
pub use multivariant::{MultivariantInput, multivariant_playlist};
