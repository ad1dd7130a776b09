//! The fragment that samples are being put into.
//!
//! Which ones, and where it ends, is decided elsewhere.

use bytes::Bytes;
use kinora_base::WallTime;
use kinora_media::Tag;
use kinora_store::Run;

/// The fragment under way.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) producer_time: WallTime,
    /// Index of the track whose times are the fragment's.
    pub(crate) lead: usize,
    /// Presentation time of its first sample.
    pub(crate) start_us: i64,
    /// Decoding time of its first sample.
    pub(crate) start_dts_us: i64,
    /// Largest presentation time of its leading track's pictures so far.
    pub(crate) last_shown_us: Option<i64>,
    /// Presentation time of the key frame that ends it.
    pub(crate) next_start_us: Option<i64>,
    /// Settled media of the leading track, in its ticks.
    pub(crate) lead_ticks: i64,
    pub(crate) key_frame_start: bool,
    pub(crate) sample_bytes: u64,
    pub(crate) samples: usize,
    pub(crate) tags: Vec<Tag>,
    pub(crate) part_heads: Vec<Bytes>,
    pub(crate) data: Vec<Bytes>,
}

impl Open {
    /// How long it is shown: from its key frame to the next, or to the end of the picture that is
    /// shown last, which lasts `last_us`. Where pictures that come after the key frame are shown
    /// before it, the time that all take to decode, `decoded_us`, is another, and is only guessed
    /// in Matroska at the start of a connection.
    pub(crate) fn shown_us(&self, decoded_us: i64, last_us: i64) -> i64 {
        let last = self.last_shown_us.map(|last| last.saturating_add(last_us));
        let shown_us = self.next_start_us.or(last).map(|end| end.saturating_sub(self.start_us));
        let is_near = |us: &i64| us.saturating_sub(decoded_us).abs() <= Run::LARGEST_HOLE_US && *us > 0;
        shown_us.filter(is_near).unwrap_or(decoded_us)
    }
}
