//! The Tracks element: tracks as declared, and what reading their blocks needs.
//!
//! It does not look into codec configurations, and it knows no block.

use bytes::Bytes;

use super::audio::{FrameLength, OPUS_RATE, Rates};
use super::codec_id::{aac_configuration, meaning};
use super::ebml::{Element, Elements};
use super::encoding::{self, Stripped};
use super::id::Id;
use super::limit::{MAX_CODEC_PRIVATE_BYTES, MAX_TEXT_BYTES, MAX_TRACKS};
use super::timing::Timing;
use crate::container::{Convention, DeclaredTrack};
use crate::{Codec, Error, Fault, Shape, Track, TrackKind};

/// A TrackEntry as written, before the Segment's clock is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TrackEntry {
    number: u32,
    codec: Codec,
    configuration: Bytes,
    shape: Shape,
    /// Samples per second and how frames tell their length; audio only.
    sound: Option<(u32, FrameLength)>,
    default_duration_ns: u64,
    codec_delay_ns: u64,
    language: String,
    name: String,
    /// What every frame begins with and no block holds.
    frame_prefix: Bytes,
}

/// What reading a track's blocks needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reader {
    pub(super) number: u64,
    pub(super) timing: Timing,
    pub(super) default_duration_ticks: u32,
    pub(super) frame_length: FrameLength,
    pub(super) frame_prefix: Bytes,
}

/// Reads a Tracks element whose data begins at `start`; each entry with its own offset.
pub(super) fn parse(data: &[u8], start: u64) -> Result<Vec<(TrackEntry, u64)>, Error> {
    let mut entries: Vec<(TrackEntry, u64)> = Vec::new();
    for child in Elements::new(Id::TRACKS, data, start) {
        let child = child?;
        if child.id != Id::TRACK_ENTRY {
            continue;
        }
        if entries.len() == MAX_TRACKS {
            return Err(child.error(Fault::Limit, &format!("is one of more than {MAX_TRACKS} tracks")));
        }
        let entry = Fields::read(&child)?.entry(&child)?;
        if entries.iter().any(|(other, _)| other.number == entry.number) {
            let what = format!("declares track {}, which another one declared before it", entry.number);
            return Err(child.error(Fault::Container, &what));
        }
        entries.push((entry, child.offset));
    }
    Ok(entries)
}

impl TrackEntry {
    /// The track in a Segment of `scale_ns` nanoseconds per tick, and how to read its blocks.
    pub(super) fn declare(&self, scale_ns: u64, offset: u64) -> (DeclaredTrack, Reader) {
        let (timing, frame_length) = match self.sound {
            Some((rate, length)) => (Timing::audio(scale_ns, rate, self.codec_delay_ns), length),
            None => (Timing::new(scale_ns), FrameLength::Unknown),
        };
        let track = Track {
            number: self.number,
            codec: self.codec.clone(),
            timescale: timing.timescale(),
            configuration: self.configuration.clone(),
            shape: self.shape,
            reorder_depth: 0,
            default_duration_ticks: match frame_length {
                FrameLength::Fixed(samples) if self.default_duration_ns > 0 => samples,
                _ => timing.span_ns(self.default_duration_ns),
            },
            language: self.language.clone(),
            name: self.name.clone(),
        };
        let reader = Reader {
            number: u64::from(self.number),
            timing,
            default_duration_ticks: track.default_duration_ticks,
            frame_length,
            frame_prefix: self.frame_prefix.clone(),
        };
        (DeclaredTrack { track, convention: Convention::Matroska, offset }, reader)
    }
}

/// The children of a TrackEntry that we read, at their default values until seen.
struct Fields {
    number: u64,
    kind: u64,
    codec_id: String,
    private: Bytes,
    default_duration_ns: u64,
    codec_delay_ns: u64,
    language: String,
    language_bcp47: Option<String>,
    name: String,
    width: u64,
    height: u64,
    crop_x: u64,
    crop_y: u64,
    rate: f64,
    output_rate: Option<f64>,
    channels: u64,
    bits: u64,
    stripped: Stripped,
}

impl Fields {
    fn read(entry: &Element<'_>) -> Result<Self, Error> {
        let mut fields = Self {
            number: 0,
            kind: 0,
            codec_id: String::new(),
            private: Bytes::new(),
            default_duration_ns: 0,
            codec_delay_ns: 0,
            language: String::new(),
            language_bcp47: None,
            name: String::new(),
            width: 0,
            height: 0,
            crop_x: 0,
            crop_y: 0,
            // RFC 9559 §5.1.4.1.29: the defaults of an Audio element that says nothing.
            rate: 8_000.0,
            output_rate: None,
            channels: 1,
            bits: 0,
            stripped: Stripped::default(),
        };
        for child in entry.children()? {
            fields.read_child(&child?)?;
        }
        Ok(fields)
    }

    fn read_child(&mut self, child: &Element<'_>) -> Result<(), Error> {
        match child.id {
            Id::TRACK_NUMBER => self.number = child.uint()?,
            Id::TRACK_TYPE => self.kind = child.uint()?,
            Id::CODEC_ID => self.codec_id = child.text(MAX_TEXT_BYTES)?,
            Id::CODEC_PRIVATE => {
                if child.data.len() > MAX_CODEC_PRIVATE_BYTES {
                    let what =
                        format!("has {} bytes; at most {MAX_CODEC_PRIVATE_BYTES} are kept", child.data.len());
                    return Err(child.error(Fault::Limit, &what));
                }
                self.private = Bytes::copy_from_slice(child.data);
            }
            Id::DEFAULT_DURATION => self.default_duration_ns = child.uint()?,
            Id::CODEC_DELAY => self.codec_delay_ns = child.uint()?,
            Id::LANGUAGE => self.language = child.text(MAX_TEXT_BYTES)?,
            Id::LANGUAGE_BCP47 => self.language_bcp47 = Some(child.text(MAX_TEXT_BYTES)?),
            Id::NAME => self.name = child.text(MAX_TEXT_BYTES)?,
            Id::TRACK_TIMESTAMP_SCALE if (child.float()? - 1.0).abs() > f64::EPSILON => {
                return Err(child
                    .error(Fault::Unsupported, &format!("is {}", child.float()?))
                    .with_hint("this element is deprecated; leave it out and scale the timestamps"));
            }
            Id::VIDEO => {
                for part in child.children()? {
                    self.read_video(&part?)?;
                }
            }
            Id::AUDIO => {
                for part in child.children()? {
                    self.read_audio(&part?)?;
                }
            }
            Id::CONTENT_ENCODINGS => self.stripped = encoding::parse(child)?,
            _ => {}
        }
        Ok(())
    }

    fn read_video(&mut self, part: &Element<'_>) -> Result<(), Error> {
        match part.id {
            Id::PIXEL_WIDTH => self.width = part.uint()?,
            Id::PIXEL_HEIGHT => self.height = part.uint()?,
            Id::PIXEL_CROP_LEFT | Id::PIXEL_CROP_RIGHT => {
                self.crop_x = self.crop_x.saturating_add(part.uint()?);
            }
            Id::PIXEL_CROP_TOP | Id::PIXEL_CROP_BOTTOM => {
                self.crop_y = self.crop_y.saturating_add(part.uint()?);
            }
            _ => {}
        }
        Ok(())
    }

    fn read_audio(&mut self, part: &Element<'_>) -> Result<(), Error> {
        match part.id {
            Id::SAMPLING_FREQUENCY => self.rate = part.float()?,
            Id::OUTPUT_SAMPLING_FREQUENCY => self.output_rate = Some(part.float()?),
            Id::CHANNELS => self.channels = part.uint()?,
            Id::BIT_DEPTH => self.bits = part.uint()?,
            _ => {}
        }
        Ok(())
    }

    fn entry(self, element: &Element<'_>) -> Result<TrackEntry, Error> {
        let wrong = |what: &str| element.error(Fault::Container, what);
        let number = match u32::try_from(self.number) {
            Ok(0) => return Err(wrong("has no TrackNumber, or the number 0")),
            Ok(number) => number,
            Err(_) => {
                let what = format!("has the TrackNumber {}; at most {} is kept", self.number, u32::MAX);
                return Err(element.error(Fault::Limit, &what));
            }
        };
        if self.codec_id.is_empty() {
            return Err(wrong(&format!("of track {number} has no CodecID")));
        }
        // RFC 9559 §5.1.4.1.3: 1 is video, 2 audio; all others are time-coded data to us.
        let kind = match self.kind {
            0 => return Err(wrong(&format!("of track {number} has no TrackType"))),
            1 => TrackKind::Video,
            2 => TrackKind::Audio,
            _ => TrackKind::Data,
        };
        let private = encoding::restore(&self.stripped.private, self.private.clone());
        let meaning = meaning(&self.codec_id, kind, self.bits, private);
        if meaning.codec.kind() != kind {
            return Err(wrong(&format!(
                "of track {number} says that it is {}, but its CodecID is {}",
                kind.as_str(),
                self.codec_id
            )));
        }
        let mut entry = TrackEntry {
            number,
            codec: meaning.codec,
            configuration: meaning.configuration,
            shape: Shape::Data,
            sound: None,
            default_duration_ns: self.default_duration_ns,
            codec_delay_ns: self.codec_delay_ns,
            language: self.language_bcp47.clone().unwrap_or_else(|| self.language.clone()),
            name: self.name.clone(),
            frame_prefix: self.stripped.frames.clone(),
        };
        match kind {
            TrackKind::Video => {
                let [width, height] = [(self.width, self.crop_x), (self.height, self.crop_y)]
                    .map(|(size, crop)| u32::try_from(size.saturating_sub(crop)).unwrap_or(0));
                entry.shape = Shape::Video { width, height };
            }
            TrackKind::Audio => self.sound(&mut entry, meaning.wave, element)?,
            TrackKind::Data => {}
        }
        Ok(entry)
    }

    fn sound(
        &self,
        entry: &mut TrackEntry,
        wave: Option<super::audio::WaveFormat>,
        element: &Element<'_>,
    ) -> Result<(), Error> {
        let mut rates = Rates { core: self.hertz(self.rate, element)?, output: 0 };
        rates.output = match self.output_rate {
            Some(rate) => self.hertz(rate, element)?,
            None => rates.core,
        };
        let mut channels = u16::try_from(self.channels).unwrap_or(u16::MAX);
        let mut bits = u16::try_from(self.bits).unwrap_or(0);
        if let Some(wave) = wave {
            if wave.rate > 0 {
                rates = Rates { core: wave.rate, output: wave.rate };
            }
            channels = if wave.channels > 0 { wave.channels } else { channels };
            bits = wave.bits;
        }
        let sample_bits = match entry.codec {
            Codec::PcmAlaw | Codec::PcmMulaw => {
                bits = 8;
                8
            }
            Codec::PcmSigned | Codec::PcmSignedBigEndian | Codec::PcmFloat => bits,
            _ => {
                bits = 0;
                0
            }
        };
        if entry.codec == Codec::Opus {
            rates = Rates { core: OPUS_RATE, output: OPUS_RATE };
        }
        if entry.codec == Codec::Aac && entry.configuration.is_empty() {
            entry.configuration =
                aac_configuration(&self.codec_id, rates.core, rates.output, channels).unwrap_or_default();
        }
        let sample_bytes = u32::from(channels) * u32::from(sample_bits / 8);
        let length = FrameLength::of(
            &entry.codec,
            &entry.configuration,
            rates,
            sample_bytes,
            self.default_duration_ns,
        );
        entry.shape = Shape::Audio { sample_rate: rates.output, channels, bits_per_sample: bits };
        entry.sound = Some((rates.output, length));
        Ok(())
    }

    /// A sampling rate in whole samples per second, never 0.
    fn hertz(&self, rate: f64, element: &Element<'_>) -> Result<u32, Error> {
        // Real rates end at some MHz; the bound keeps a rate times a frame's length in 32 bits.
        const MAX_RATE: f64 = 1_000_000.0;
        if rate.is_finite() && (1.0..=MAX_RATE).contains(&rate) {
            return Ok(rate.round() as u32);
        }
        let what = format!(
            "of track {} has the sampling rate {rate}; it must lie between 1 and {MAX_RATE}",
            self.number
        );
        Err(element.error(Fault::Container, &what))
    }
}

#[cfg(test)]
#[path = "tracks_test.rs"]
mod tests;
