//! What comes before the first Cluster: the EBML header, the Segment's beginning, Info and Tracks.
//!
//! It takes configurations as canonical (see [`Codec`]) and does not check them.

use super::audio::{WaveFormat, aac_core_rate};
use super::codec_id::codec_id;
use super::id::Id;
use super::write::{UNKNOWN_SIZE, Writer};
use crate::{Codec, Shape, Track, TrackKind};

/// MuxingApp and WritingApp.
const APPLICATION: &str = "kinora";

/// How long a decoder of Opus must run before its sound is right (RFC 7845 §4.6).
const OPUS_PRE_ROLL_NS: u64 = 80_000_000;

/// The bytes before the first Cluster, for Segment ticks of `scale_ns`; `duration` is in these.
pub(super) fn write(tracks: &[Track], scale_ns: u64, duration: Option<f64>) -> Vec<u8> {
    let mut ebml = Writer::default();
    ebml.uint(Id::EBML_VERSION, 1);
    ebml.uint(Id::EBML_READ_VERSION, 1);
    ebml.uint(Id::EBML_MAX_ID_LENGTH, 4);
    ebml.uint(Id::EBML_MAX_SIZE_LENGTH, 8);
    ebml.text(Id::DOC_TYPE, "matroska");
    // SimpleBlock and CodecDelay came with versions 2 and 4; a reader of version 2 can read on.
    ebml.uint(Id::DOC_TYPE_VERSION, 4);
    ebml.uint(Id::DOC_TYPE_READ_VERSION, 2);

    let mut info = Writer::default();
    info.uint(Id::TIMESTAMP_SCALE, scale_ns);
    if let Some(duration) = duration {
        info.float(Id::DURATION, duration);
    }
    info.text(Id::MUXING_APP, APPLICATION);
    info.text(Id::WRITING_APP, APPLICATION);

    let mut entries = Writer::default();
    for track in tracks {
        entries.master(Id::TRACK_ENTRY, entry(track));
    }

    let mut out = Writer::default();
    out.master(Id::EBML, ebml);
    out.id(Id::SEGMENT);
    out.bytes.extend_from_slice(&UNKNOWN_SIZE);
    out.master(Id::INFO, info);
    out.master(Id::TRACKS, entries);
    out.bytes
}

fn entry(track: &Track) -> Writer {
    let id = codec_id(&track.codec);
    let mut out = Writer::default();
    out.uint(Id::TRACK_NUMBER, u64::from(track.number));
    out.uint(Id::TRACK_UID, u64::from(track.number));
    out.uint(Id::TRACK_TYPE, track_type(track.kind(), &id));
    out.uint(Id::FLAG_LACING, 0);
    language(&mut out, &track.language);
    out.text(Id::NAME, &track.name);
    out.text(Id::CODEC_ID, &id);
    let private = private(track);
    if !private.is_empty() {
        out.binary(Id::CODEC_PRIVATE, &private);
    }
    if track.codec == Codec::Opus {
        out.uint(Id::CODEC_DELAY, codec_delay_ns(track));
        out.uint(Id::SEEK_PRE_ROLL, OPUS_PRE_ROLL_NS);
    }
    if let Some(duration_ns) = default_duration_ns(track) {
        out.uint(Id::DEFAULT_DURATION, duration_ns);
    }
    match track.shape {
        // Sizes of 0 are not allowed; a reader finds an unknown size in the media.
        Shape::Video { width, height } if width > 0 && height > 0 => {
            let mut video = Writer::default();
            video.uint(Id::PIXEL_WIDTH, u64::from(width));
            video.uint(Id::PIXEL_HEIGHT, u64::from(height));
            out.master(Id::VIDEO, video);
        }
        Shape::Audio { sample_rate, channels, bits_per_sample } => {
            let mut audio = Writer::default();
            let core = aac_core_rate(&track.configuration)
                .filter(|&core| track.codec == Codec::Aac && core.checked_mul(2) == Some(sample_rate));
            audio.float(Id::SAMPLING_FREQUENCY, f64::from(core.unwrap_or(sample_rate)));
            if core.is_some() {
                // Spectral band replication doubles the rate.
                audio.float(Id::OUTPUT_SAMPLING_FREQUENCY, f64::from(sample_rate));
            }
            audio.uint(Id::CHANNELS, u64::from(channels));
            if bits_per_sample > 0 {
                audio.uint(Id::BIT_DEPTH, u64::from(bits_per_sample));
            }
            out.master(Id::AUDIO, audio);
        }
        Shape::Video { .. } | Shape::Data => {}
    }
    out
}

/// RFC 9559 §5.1.4.1.3: 17 is subtitles, 33 is metadata.
fn track_type(kind: TrackKind, codec_id: &str) -> u64 {
    match kind {
        TrackKind::Video => 1,
        TrackKind::Audio => 2,
        TrackKind::Data if codec_id.starts_with("S_") => 17,
        TrackKind::Data => 33,
    }
}

/// Language knows ISO 639-2 alone; anything else goes where BCP 47 belongs. Leaving both out would
/// mean English.
fn language(out: &mut Writer, language: &str) {
    let is_iso639_2 = language.len() == 3 && language.bytes().all(|byte| byte.is_ascii_lowercase());
    if is_iso639_2 {
        out.text(Id::LANGUAGE, language);
    } else {
        out.text(Id::LANGUAGE, "und");
        out.text(Id::LANGUAGE_BCP47, language);
    }
}

/// CodecPrivate from the canonical configuration.
fn private(track: &Track) -> Vec<u8> {
    match (&track.codec, track.shape) {
        (Codec::Vp9, _) => vp9_features(&track.configuration),
        (Codec::PcmAlaw, Shape::Audio { sample_rate, channels, .. }) => {
            WaveFormat::write(WaveFormat::A_LAW, channels, sample_rate, 8)
        }
        (Codec::PcmMulaw, Shape::Audio { sample_rate, channels, .. }) => {
            WaveFormat::write(WaveFormat::MU_LAW, channels, sample_rate, 8)
        }
        _ => track.configuration.to_vec(),
    }
}

/// The WebM form of a `VPCodecConfigurationRecord`: features as ID, length and value (WebM
/// container guidelines, "VP9 Codec Feature Metadata").
fn vp9_features(record: &[u8]) -> Vec<u8> {
    let [profile, level, packed, ..] = *record else { return Vec::new() };
    let (bit_depth, chroma_subsampling) = (packed >> 4, packed >> 1 & 7);
    vec![1, 1, profile, 2, 1, level, 3, 1, bit_depth, 4, 1, chroma_subsampling]
}

/// How much later than they sound the blocks of a track are stamped: Opus's pre-skip.
pub(super) fn codec_delay_ns(track: &Track) -> u64 {
    match (&track.codec, track.configuration.get(10..12)) {
        // RFC 7845 §5.1: pre-skip is at byte 10 of OpusHead, little-endian, at 48 kHz.
        (Codec::Opus, Some(&[low, high])) => {
            (u64::from(u16::from_le_bytes([low, high])) * 1_000_000_000 + 24_000) / 48_000
        }
        _ => 0,
    }
}

/// The declared duration of a sample in nanoseconds, if it declares one.
pub(super) fn default_duration_ns(track: &Track) -> Option<u64> {
    let timescale = u64::from(track.timescale);
    let scaled = u64::from(track.default_duration_ticks) * 1_000_000_000;
    (scaled + timescale / 2).checked_div(timescale).filter(|&duration_ns| duration_ns > 0)
}
