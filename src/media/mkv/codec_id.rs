//! Matroska CodecIDs and our codecs, in both directions (the IETF draft "Matroska Codec
//! Specifications" and the WebM guidelines).
//!
//! It maps names and unwraps WAVEFORMATEX; whether a configuration is sound is for room `codec`.

use bytes::Bytes;

use super::audio::{AAC_RATES, WaveFormat};
use crate::{Codec, TrackKind};

/// CodecID of audio that WAVEFORMATEX describes.
pub(super) const ACM: &str = "A_MS/ACM";

/// What a CodecID and its CodecPrivate mean.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) codec: Codec,
    /// CodecPrivate, without a WAVEFORMATEX around it.
    pub(super) configuration: Bytes,
    /// What the WAVEFORMATEX says of the sound, which then counts.
    pub(super) wave: Option<WaveFormat>,
}

/// The meaning of `id` on a track of `kind`; `bits` is BitDepth, `private` CodecPrivate.
pub(super) fn meaning(id: &str, kind: TrackKind, bits: u64, private: Bytes) -> Meaning {
    let codec = match id {
        "V_MPEG4/ISO/AVC" | "V_MPEG/ISO/AVC" => Codec::H264,
        "V_MPEGH/ISO/HEVC" => Codec::H265,
        "V_AV1" => Codec::Av1,
        "V_VP8" => Codec::Vp8,
        "V_VP9" => Codec::Vp9,
        "A_AAC" => Codec::Aac,
        "A_OPUS" => Codec::Opus,
        "A_MPEG/L3" => Codec::Mp3,
        // Eight bits are unsigned in Matroska, unlike all wider samples.
        "A_PCM/INT/LIT" if matches!(bits, 16 | 24 | 32) => Codec::PcmSigned,
        "A_PCM/INT/BIG" if matches!(bits, 16 | 24 | 32) => Codec::PcmSignedBigEndian,
        "A_PCM/FLOAT/IEEE" if matches!(bits, 32 | 64) => Codec::PcmFloat,
        ACM => return acm(kind, private),
        _ if id.starts_with("A_AAC/") => Codec::Aac,
        _ => match id.split_once("_MP4/") {
            Some(("V" | "A" | "S" | "D", four)) => Codec::Other { kind, id: format!("mp4:{four}") },
            _ => Codec::Other { kind, id: id.to_owned() },
        },
    };
    Meaning { codec, configuration: private, wave: None }
}

fn acm(kind: TrackKind, private: Bytes) -> Meaning {
    /// HEAACWAVEINFO: the bytes between WAVEFORMATEX and AudioSpecificConfig.
    const HEAAC_HEADER_BYTES: usize = 12;
    let Some(wave) = WaveFormat::parse(&private) else {
        return Meaning {
            codec: Codec::Other { kind, id: ACM.to_owned() },
            configuration: private,
            wave: None,
        };
    };
    let (codec, configuration) = match (wave.tag, wave.bits) {
        (WaveFormat::A_LAW, _) => (Codec::PcmAlaw, Bytes::new()),
        (WaveFormat::MU_LAW, _) => (Codec::PcmMulaw, Bytes::new()),
        (1, 16 | 24 | 32) => (Codec::PcmSigned, Bytes::new()),
        (3, 32 | 64) => (Codec::PcmFloat, Bytes::new()),
        (0x55, _) => (Codec::Mp3, Bytes::new()),
        (0xFF, _) => (Codec::Aac, wave.extra.clone()),
        (0x1610, _) if wave.extra.len() > HEAAC_HEADER_BYTES => {
            (Codec::Aac, wave.extra.slice(HEAAC_HEADER_BYTES..))
        }
        _ => (Codec::Other { kind, id: ACM.to_owned() }, private),
    };
    Meaning { codec, configuration, wave: Some(wave) }
}

/// AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1) for the old CodecIDs that carry the profile in
/// their name and have no CodecPrivate, such as `A_AAC/MPEG4/LC/SBR`.
pub(super) fn aac_configuration(id: &str, core_rate: u32, output_rate: u32, channels: u16) -> Option<Bytes> {
    let mut parts = id.strip_prefix("A_AAC/MPEG")?.split('/').skip(1);
    let object_type: u64 = match parts.next()? {
        "MAIN" => 1,
        "LC" => 2,
        "SSR" => 3,
        "LTP" => 4,
        _ => return None,
    };
    let sbr = parts.next() == Some("SBR");
    let channel_configuration = match channels {
        1..=6 => u64::from(channels),
        8 => 7,
        _ => return None,
    };
    let config = object_type << 11 | rate_index(core_rate)? << 7 | channel_configuration << 3;
    if !sbr {
        return Some(Bytes::copy_from_slice(&(config as u16).to_be_bytes()));
    }
    // The backward-compatible extension: sync word, object type 5, present, rate; then padding.
    let extension = 0x2B7 << 10 | 5 << 5 | 1 << 4 | rate_index(output_rate)?;
    let all = (config << 21 | extension) << 3;
    Some(Bytes::copy_from_slice(all.to_be_bytes().get(3..)?))
}

fn rate_index(rate: u32) -> Option<u64> {
    AAC_RATES.iter().position(|&known| known == rate).map(|index| index as u64)
}

/// The CodecID of `codec`.
pub(super) fn codec_id(codec: &Codec) -> String {
    let id = match codec {
        Codec::H264 => "V_MPEG4/ISO/AVC",
        Codec::H265 => "V_MPEGH/ISO/HEVC",
        Codec::Av1 => "V_AV1",
        Codec::Vp8 => "V_VP8",
        Codec::Vp9 => "V_VP9",
        Codec::Aac => "A_AAC",
        Codec::Opus => "A_OPUS",
        Codec::Mp3 => "A_MPEG/L3",
        Codec::PcmAlaw | Codec::PcmMulaw => ACM,
        Codec::PcmSigned => "A_PCM/INT/LIT",
        Codec::PcmSignedBigEndian => "A_PCM/INT/BIG",
        Codec::PcmFloat => "A_PCM/FLOAT/IEEE",
        Codec::Other { kind, id } => return other_id(*kind, id),
    };
    id.to_owned()
}

/// An unknown codec's own CodecID, or one for the four characters of an MP4 sample entry: the
/// registered ID where its CodecPrivate is empty, else a private `?_MP4/xxxx` that our own reader
/// maps back and others pass over.
fn other_id(kind: TrackKind, id: &str) -> String {
    let Some(four) = id.strip_prefix("mp4:") else { return id.to_owned() };
    match (kind, four) {
        (TrackKind::Audio, "ac-3") => "A_AC3".to_owned(),
        (TrackKind::Audio, "ec-3") => "A_EAC3".to_owned(),
        (TrackKind::Video, "jpeg" | "mjpg") => "V_MJPEG".to_owned(),
        (TrackKind::Video, _) => format!("V_MP4/{four}"),
        (TrackKind::Audio, _) => format!("A_MP4/{four}"),
        (TrackKind::Data, _) => format!("D_MP4/{four}"),
    }
}
