//! Where fragments and parts are cut, as whoever runs the server wants it.
//!
//! What is cut is unknown here.

use std::time::Duration;

/// Where fragments and parts are cut.
#[derive(Debug, Clone)]
pub struct CutSettings {
    /// Longest part, in media time of the leading track.
    pub part_duration: Duration,
    /// Longest fragment, in media time, when no key frame ends it earlier.
    pub max_fragment_duration: Duration,
    /// Most sample bytes in a fragment.
    pub max_fragment_bytes: u64,
    /// Length of a fragment of a stream without video, in media time.
    pub audio_fragment_duration: Duration,
}

impl Default for CutSettings {
    fn default() -> Self {
        Self {
            part_duration: Duration::from_millis(200),
            max_fragment_duration: Duration::from_secs(20),
            max_fragment_bytes: 50 << 20,
            audio_fragment_duration: Duration::from_secs(2),
        }
    }
}
