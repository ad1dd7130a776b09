//! A track: one elementary stream with its codec, codec configuration and timescale.

use bytes::Bytes;

/// One elementary stream of a stream of media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// The producer's own track number, from 1, unique in its set of tracks.
    pub number: u32,
    /// Which codec the samples are in.
    pub codec: Codec,
    /// Ticks per second of this track's times; never 0.
    pub timescale: u32,
    /// The codec's configuration record in canonical form, see [`Codec`]; empty where the codec
    /// needs none.
    pub configuration: Bytes,
    /// What the samples look or sound like.
    pub shape: Shape,
    /// How many samples may precede a sample in decoding order and follow it in presentation
    /// order: 0 without B-frames. Video only.
    pub reorder_depth: u8,
    /// Nominal duration of a sample in ticks as the container declares it; 0 if it does not.
    pub default_duration_ticks: u32,
    /// Language as the container gives it (ISO 639-2 or BCP 47); empty if it does not.
    pub language: String,
    /// The producer's name for the track; empty if it has none.
    pub name: String,
}

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Any other time-coded data.
    Data,
}

impl TrackKind {
    /// `video`, `audio` or `data`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Data => "data",
        }
    }
}

/// The dimensions of a track's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Pictures of this size.
    Video {
        /// Coded width in luma samples after cropping; 0 if not known.
        width: u32,
        /// Coded height in luma samples after cropping; 0 if not known.
        height: u32,
    },
    /// Sound.
    Audio {
        /// Output samples per second.
        sample_rate: u32,
        /// Channel count.
        channels: u16,
        /// Bits per sample of PCM; 0 for compressed codecs.
        bits_per_sample: u16,
    },
    /// Neither.
    Data,
}

/// The codec of a track. Each variant says what `Track::configuration` holds and how sample data
/// is framed, whatever container it came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264. Configuration: `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3) with
    /// 4-byte lengths; samples: NAL units with 4-byte lengths.
    H264,
    /// H.265. Configuration: `HEVCDecoderConfigurationRecord` (§8.3.3) with 4-byte lengths;
    /// samples: NAL units with 4-byte lengths.
    H265,
    /// AV1. Configuration: `AV1CodecConfigurationRecord`; samples: temporal units without
    /// temporal delimiters.
    Av1,
    /// VP8. Configuration: empty; samples: frames.
    Vp8,
    /// VP9. Configuration: `VPCodecConfigurationRecord` without the full-box header (8 bytes);
    /// samples: superframes.
    Vp9,
    /// AAC. Configuration: `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1); samples: raw
    /// access units without ADTS headers.
    Aac,
    /// Opus. Configuration: the identification header `OpusHead` (RFC 7845 §5.1); samples: packets.
    Opus,
    /// MPEG-1/2 audio layer III. Configuration: empty; samples: frames with their headers.
    Mp3,
    /// G.711 A-law. Configuration: empty.
    PcmAlaw,
    /// G.711 mu-law. Configuration: empty.
    PcmMulaw,
    /// Linear PCM, little-endian signed integers. Configuration: empty.
    PcmSigned,
    /// Linear PCM, big-endian signed integers. Configuration: empty.
    PcmSignedBigEndian,
    /// Linear PCM, little-endian IEEE floats. Configuration: empty.
    PcmFloat,
    /// Anything else: kept as it came and given back to Matroska readers.
    Other {
        /// What the track's kind is according to the container.
        kind: TrackKind,
        /// The Matroska CodecID, or `mp4:` and the sample entry's four characters.
        id: String,
    },
}

impl Codec {
    /// What a track of this codec carries.
    #[must_use]
    pub const fn kind(&self) -> TrackKind {
        match self {
            Self::H264 | Self::H265 | Self::Av1 | Self::Vp8 | Self::Vp9 => TrackKind::Video,
            Self::Aac
            | Self::Opus
            | Self::Mp3
            | Self::PcmAlaw
            | Self::PcmMulaw
            | Self::PcmSigned
            | Self::PcmSignedBigEndian
            | Self::PcmFloat => TrackKind::Audio,
            Self::Other { kind, .. } => *kind,
        }
    }

    /// The codec's name as people write it; an unknown codec's own identifier.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Av1 => "AV1",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Aac => "AAC",
            Self::Opus => "Opus",
            Self::Mp3 => "MP3",
            Self::PcmAlaw => "G.711 A-law",
            Self::PcmMulaw => "G.711 mu-law",
            Self::PcmSigned | Self::PcmSignedBigEndian | Self::PcmFloat => "PCM",
            Self::Other { id, .. } => id,
        }
    }
}

impl Track {
    /// What the track carries.
    #[must_use]
    pub const fn kind(&self) -> TrackKind {
        self.codec.kind()
    }
}
