//! One track's frames to samples: canonical framing, inline parameter sets, decoding times.
//!
//! It knows no container's bytes. What becomes of a frame that is no sample is decided here:
//!
//! - A frame that contradicts its codec is left out and counted, because a camera should not be
//!   cut off for one damaged frame; but [`MAX_BROKEN_IN_A_ROW`] of them end the input, because then
//!   it is not the codec it is said to be.
//! - After a damaged key frame nothing is taken until the next one: it could not be decoded.
//! - Frames before the first usable configuration are left out and counted; a key frame that ought
//!   to have brought it and did not ends the input.

use std::ops::AddAssign;

use crate::codec::{Configured, Invalid, Reader, Rejected, Unit};
use crate::container::{DeclaredTrack, Frame};
use crate::reorder::Reorder;
use crate::{Codec, Error, Fault, Sample, Shape, Track, TrackKind};

/// So many damaged frames in a row are not damage: some seconds of video.
pub const MAX_BROKEN_IN_A_ROW: u32 = 100;

/// Times beyond this many ticks either way are taken for damage. At a nanosecond a tick it is 36
/// years, and sums of a few such times stay far from the ends of 64 bits.
pub const MAX_TICKS: i64 = 1 << 60;

/// Frames that did not become samples, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// They held no bytes.
    pub empty: u64,
    /// Their bytes, or their times, contradict the codec.
    pub broken: u64,
    /// They came before the track had a usable configuration.
    pub unconfigured: u64,
    /// They depend on a key frame that was damaged.
    pub orphaned: u64,
    /// They held parameter sets or messages only, which were taken note of.
    pub no_picture: u64,
}

impl Dropped {
    /// Frames dropped for any reason that costs media: all but [`Dropped::no_picture`].
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.empty + self.broken + self.unconfigured + self.orphaned
    }
}

impl AddAssign for Dropped {
    fn add_assign(&mut self, other: Self) {
        self.empty += other.empty;
        self.broken += other.broken;
        self.unconfigured += other.unconfigured;
        self.orphaned += other.orphaned;
        self.no_picture += other.no_picture;
    }
}

/// What one frame gave.
#[derive(Debug, Default)]
pub struct Taken {
    /// The track is another from this frame's sample on: see [`Elementary::track`].
    pub track_changed: bool,
    /// The sample, unless the frame was dropped.
    pub sample: Option<Sample>,
}

/// One track under way.
#[derive(Debug)]
pub struct Elementary {
    declared: DeclaredTrack,
    reader: Reader,
    /// With its checked configuration, once that is known.
    track: Option<Track>,
    reorder: Reorder,
    /// Newest decoding time, where the container gives them.
    last_dts: Option<i64>,
    dropped: Dropped,
    broken_in_a_row: u32,
    awaits_key: bool,
}

impl Elementary {
    /// Checks the declaration.
    ///
    /// # Errors
    /// [`Fault::CodecConfiguration`] if no player could use the configuration.
    pub fn new(declared: DeclaredTrack) -> Result<Self, Error> {
        let (reader, configured) =
            Reader::new(&declared).map_err(|why| refused(&declared, declared.offset, &why))?;
        let reorder = Reorder::new(declared.track.timescale, 0, declared.track.default_duration_ticks);
        let mut elementary = Self {
            declared,
            reader,
            track: None,
            reorder,
            last_dts: None,
            dropped: Dropped::default(),
            broken_in_a_row: 0,
            awaits_key: false,
        };
        if let Some(configured) = configured {
            elementary.configure(configured, elementary.declared.offset)?;
        }
        Ok(elementary)
    }

    /// The declaration it was made from.
    #[must_use]
    pub const fn declared(&self) -> &DeclaredTrack {
        &self.declared
    }

    /// The track that the next sample belongs to; none before a usable configuration is known.
    #[must_use]
    pub const fn track(&self) -> Option<&Track> {
        self.track.as_ref()
    }

    /// What was dropped so far.
    #[must_use]
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Takes a frame of this track.
    ///
    /// # Errors
    /// [`Fault::CodecConfiguration`] if the first key frame leaves the track without a usable
    /// configuration, [`Fault::Bitstream`] if too many frames in a row are damaged.
    pub fn take(&mut self, frame: Frame) -> Result<Taken, Error> {
        if frame.data.is_empty() {
            self.dropped.empty += 1;
            return Ok(Taken::default());
        }
        let bounded = |ticks: i64| (-MAX_TICKS..=MAX_TICKS).contains(&ticks);
        if !bounded(frame.pts_ticks) || !frame.dts_ticks.is_none_or(bounded) {
            return self.broken(&frame, &format!("its time is {} ticks", frame.pts_ticks));
        }
        match self.reader.read(&frame.data, frame.key) {
            Ok(unit) => self.accept(&frame, unit),
            Err(Rejected::Broken(why)) => self.broken(&frame, &why),
            Err(Rejected::NoPicture) => {
                self.dropped.no_picture += 1;
                Ok(Taken::default())
            }
            Err(Rejected::NoConfiguration) => {
                self.dropped.unconfigured += 1;
                Ok(Taken::default())
            }
            Err(Rejected::Configuration(why)) => Err(refused(&self.declared, frame.offset, &why)),
        }
    }

    fn broken(&mut self, frame: &Frame, why: &str) -> Result<Taken, Error> {
        self.dropped.broken += 1;
        self.broken_in_a_row += 1;
        self.awaits_key |= frame.key && self.declared.track.kind() == TrackKind::Video;
        if self.broken_in_a_row < MAX_BROKEN_IN_A_ROW {
            return Ok(Taken::default());
        }
        let message = format!(
            "{} frames of track {} in a row are not {}; of the last one, {why}",
            self.broken_in_a_row,
            frame.track,
            self.declared.track.codec.name()
        );
        Err(Error::new(Fault::Bitstream, frame.offset, message))
    }

    fn accept(&mut self, frame: &Frame, unit: Unit) -> Result<Taken, Error> {
        self.broken_in_a_row = 0;
        let mut track_changed = false;
        if let Some(configured) = unit.configured {
            track_changed = self.configure(configured, frame.offset)?;
        }
        if self.awaits_key && !unit.sync {
            self.dropped.orphaned += 1;
            return Ok(Taken { track_changed, sample: None });
        }
        self.awaits_key = false;
        let (dts_ticks, pts_ticks) = self.times(frame, unit.sync);
        let sample = Sample {
            track: frame.track,
            dts_ticks,
            pts_ticks,
            duration_ticks: frame.duration_ticks,
            sync: unit.sync,
            data: unit.data,
        };
        Ok(Taken { track_changed, sample: Some(sample) })
    }

    /// Takes a configuration into force and tells whether the track is another now.
    fn configure(&mut self, configured: Configured, offset: u64) -> Result<bool, Error> {
        let declared = &self.declared.track;
        let shape = match (configured.shape, declared.shape) {
            (Shape::Video { width: 0, height: 0 }, container) => container,
            (bitstream, _) => bitstream,
        };
        let sized = !matches!(shape, Shape::Video { width: 0, .. } | Shape::Video { height: 0, .. });
        if !sized && !matches!(declared.codec, Codec::Other { .. }) {
            let why = Invalid::new("the picture's width or height is 0");
            return Err(refused(&self.declared, offset, &why));
        }
        let track = Track {
            configuration: configured.configuration,
            shape,
            reorder_depth: configured.reorder_depth.unwrap_or(0),
            ..declared.clone()
        };
        if self.track.as_ref() == Some(&track) {
            return Ok(false);
        }
        if self.track.is_none() {
            let frame_ticks = match declared.default_duration_ticks {
                0 => configured.frame_seconds.map_or(0, |seconds| in_ticks(seconds, declared.timescale)),
                ticks => ticks,
            };
            self.reorder = Reorder::new(declared.timescale, track.reorder_depth, frame_ticks);
        } else if let Some(depth) = configured.reorder_depth {
            self.reorder.set_depth(depth);
        }
        self.track = Some(track);
        Ok(true)
    }

    /// Decoding and presentation time of the frame's sample.
    fn times(&mut self, frame: &Frame, sync: bool) -> (i64, i64) {
        let is_video = self.declared.track.kind() == TrackKind::Video;
        let Some(said) = frame.dts_ticks else {
            // Only pictures change their order.
            let dts = self.reorder.next(frame.pts_ticks, sync || !is_video);
            return (dts, if is_video { frame.pts_ticks } else { dts });
        };
        // Samples without a duration share a decoding time; readers want them apart.
        let dts = match self.last_dts {
            Some(last) if said == last => said + 1,
            Some(last) if said < last && last - said < MAX_SHARED_TICKS => last + 1,
            _ => said,
        };
        self.last_dts = Some(dts);
        (dts, if is_video { frame.pts_ticks } else { frame.pts_ticks.max(dts) })
    }
}

/// Decoding times so little behind the one before come from moving shared ones apart; anything
/// further back is the producer's own step back, which is kept.
const MAX_SHARED_TICKS: i64 = 16;

fn in_ticks((numerator, denominator): (u32, u32), timescale: u32) -> u32 {
    let ticks = u64::from(numerator) * u64::from(timescale) / u64::from(denominator.max(1));
    // A frame that lasts longer than some seconds is a misprint.
    if ticks > u64::from(timescale) * 10 { 0 } else { u32::try_from(ticks).unwrap_or(0) }
}

fn refused(declared: &DeclaredTrack, offset: u64, why: &Invalid) -> Error {
    let track = &declared.track;
    let message =
        format!("the {} configuration of track {} is unusable: {why}", track.codec.name(), track.number);
    let error = Error::new(Fault::CodecConfiguration, offset, message);
    match track.codec {
        Codec::H264 | Codec::H265 if track.configuration.is_empty() => error.with_hint(
            "send the parameter sets as CodecPrivate or in front of each key frame \
             (ffmpeg: -bsf:v dump_extra)",
        ),
        _ => error,
    }
}

#[cfg(test)]
#[path = "elementary_test.rs"]
mod tests;
