//! One fragment as one file that any player opens.

use kinora_base::MediaTime;
use kinora_media::packed::{Head, Run};
use kinora_media::{Error, Fault, Splice, SpliceWriter, Track, fmp4, mkv};

use super::segment::run_samples;

/// The fragment that begins with `head` as fragmented MP4 that begins at time 0, with every track that MP4 can carry.
///
/// # Errors
/// `Unsupported` if MP4 can carry none of the tracks.
pub fn mp4(head: &Head, tracks: &[Track]) -> Result<Splice, Error> {
    let carried: Vec<&Track> = tracks.iter().filter(|track| fmp4::carries(&track.codec)).collect();
    if carried.is_empty() {
        let names: Vec<&str> = tracks.iter().map(|track| track.codec.name()).collect();
        let message = format!("MP4 cannot carry this stream's tracks: {}", names.join(", "));
        return Err(Error::new(Fault::Unsupported, 0, message).with_hint("fetch it as .mkv"));
    }
    let start_us = start_us(head, &carried);
    let mut muxer = fmp4::Muxer::new(1);
    let mut splice = SpliceWriter::default();
    splice.make(&fmp4::init(carried.iter().copied())?);
    for track in &carried {
        let start = MediaTime::new(start_us, 1_000_000).zip(std::num::NonZeroU32::new(track.timescale));
        let start_ticks = start.map_or(0, |(start, scale)| start.rescale(scale).ticks);
        for (run, _) in head.track(track.number) {
            let base = run.base_dts_ticks.saturating_sub(start_ticks).max(0);
            muxer.run(track.number, base, run_samples(run))?;
        }
    }
    splice.make(&muxer.finish()?);
    for track in carried {
        head.track(track.number).for_each(|(_, place)| splice.take(place));
    }
    Ok(splice.finish())
}

/// The fragment that begins with `head` as Matroska that begins at time 0, with every track and the producer's tags.
///
/// # Errors
/// `UnknownTrack` if the payload does not match the tracks.
pub fn mkv(head: &Head, tracks: &[Track]) -> Result<Splice, Error> {
    let all: Vec<&Track> = tracks.iter().collect();
    let mut muxer = mkv::Muxer::new(tracks);
    let (start_us, end_us) = (start_us(head, &all), end_us(head, &all));
    if let Some(shift) = MediaTime::new(start_us.saturating_neg(), 1_000_000) {
        muxer = muxer.shifted(shift);
    }
    if let Some(duration) = MediaTime::new(end_us.saturating_sub(start_us), 1_000_000) {
        muxer = muxer.lasting(duration);
    }
    let mut splice = SpliceWriter::default();
    splice.make(&muxer.header());
    if !head.tags().is_empty() {
        splice.make(&mkv::Muxer::tags(head.tags()));
    }
    muxer.splice(head.rows(), &mut splice)?;
    Ok(splice.finish())
}

/// The earliest decoding time of any of the tracks, in microseconds.
fn start_us(head: &Head, tracks: &[&Track]) -> i64 {
    head.runs().iter().filter_map(|run| micros(run, run.base_dts_ticks, tracks)).min().unwrap_or(0)
}

/// The time at which the last sample of any of the tracks ends, in microseconds.
fn end_us(head: &Head, tracks: &[&Track]) -> i64 {
    head.runs().iter().filter_map(|run| micros(run, run.end_dts_ticks(), tracks)).max().unwrap_or(0)
}

/// A time of a run in microseconds, if its track is one of these.
fn micros(run: &Run, ticks: i64, tracks: &[&Track]) -> Option<i64> {
    let track = tracks.iter().find(|track| track.number == run.track)?;
    Some(MediaTime::new(ticks, track.timescale)?.as_micros())
}
