//! One track of one fragment as fragmented MP4: the stored bytes behind a head of our own.
//!
//! Its media time is the producer's wall clock, so it goes on where a producer's own timestamps begin
//! anew, and is the same whichever playlist a segment is in.

use std::num::NonZeroU32;

use kinora_base::MediaTime;
use kinora_media::fmp4::{self, RunSample};
use kinora_media::packed::{Head, Run};
use kinora_media::{Error, Splice, SpliceWriter, Track};
use kinora_store::Fragment;

/// How far the media timeline of segments is ahead of the producer's wall clock, in microseconds:
/// MP4 has no decoding time before 0, and where footage is dated 1970 its first pictures are decoded
/// before they are shown. All tracks move alike, and players learn wall-clock time from the playlist.
const TIMELINE_SHIFT_US: i64 = 10_000_000;

/// The init segment of a track.
///
/// # Errors
/// `Unsupported` if MP4 cannot carry its codec.
pub fn init(track: &Track) -> Result<bytes::Bytes, Error> {
    fmp4::init(std::iter::once(track))
}

/// The media segment with all of `track` in a fragment that begins with `head`; without samples if
/// the fragment has none of it.
///
/// # Errors
/// `Limit` for media times that MP4 cannot say.
pub fn segment(fragment: &Fragment, head: &Head, track: &Track) -> Result<Splice, Error> {
    // What lies between the producer's media time and its wall clock is the same for all fragments
    // of a connection, so that they follow each other to the tick.
    let ahead_us = fragment.producer_time.as_micros().saturating_sub(fragment.media_us);
    let shift = MediaTime::new(ahead_us.saturating_add(TIMELINE_SHIFT_US), 1_000_000);
    let shift = shift.zip(NonZeroU32::new(track.timescale));
    let shift_ticks = shift.map_or(0, |(shift, timescale)| shift.rescale(timescale).ticks);
    let mut muxer = fmp4::Muxer::new(fragment.ordinal as u32).with_segment_type();
    for (run, _) in head.track(track.number) {
        muxer.run(track.number, run.base_dts_ticks.saturating_add(shift_ticks), run_samples(run))?;
    }
    let mut splice = SpliceWriter::default();
    splice.make(&muxer.finish()?);
    head.track(track.number).for_each(|(_, place)| splice.take(place));
    Ok(splice.finish())
}

/// A stored run as `moof` describes it.
pub(super) fn run_samples(run: &Run) -> impl Iterator<Item = RunSample> {
    run.entries.iter().map(|entry| RunSample {
        duration_ticks: entry.duration_ticks,
        size_bytes: entry.size,
        sync: entry.sync,
        composition_offset_ticks: entry.composition_ticks.clamp(i64::from(i32::MIN), i64::from(i32::MAX))
            as i32,
    })
}

/// Pictures per second of a track in the fragment that begins with `head`; none if it has no pictures, or they take no time.
#[must_use]
pub fn frame_rate(head: &Head, track: &Track) -> Option<f64> {
    let runs = || head.runs().iter().filter(|run| run.track == track.number);
    let frames: usize = runs().map(|run| run.entries.len()).sum();
    let ticks: i64 = runs().map(|run| run.end_dts_ticks().saturating_sub(run.base_dts_ticks)).sum();
    let us = MediaTime::new(ticks, track.timescale)?.as_micros();
    (frames > 0 && us > 0).then(|| frames as f64 * 1e6 / us as f64)
}

#[cfg(test)]
#[path = "segment_test.rs"]
mod tests;
