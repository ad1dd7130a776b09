//! A sample that the headers announced and whose bytes are still to come.
//!
//! It does not know which kind of header announced it.

/// Where a sample's bytes are and what holds for it; times are the media's, before edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planned {
    /// Place of its track in the movie.
    pub(super) track: usize,
    /// Number of its sample entry, from 1.
    pub(super) description: u32,
    /// Where its bytes begin in the input.
    pub(super) offset: u64,
    /// How many bytes it has; never 0.
    pub(super) size: u32,
    pub(super) dts_ticks: i64,
    /// Presentation time minus decoding time.
    pub(super) composition_ticks: i32,
    pub(super) duration_ticks: u32,
    pub(super) sync: bool,
}

/// How many PCM samples make one frame where each is declared as a sample of its own: 21 ms at
/// 48 kHz, as in AAC.
pub(super) const RAW_SAMPLES_PER_FRAME: u32 = 1024;

/// Sample flags (§8.8.3.1): `sample_is_non_sync_sample`.
pub(super) const FLAG_NON_SYNC: u32 = 0x0001_0000;
