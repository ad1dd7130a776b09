//! How many samples a frame of audio lasts, as far as the container and a glance at the first
//! bytes tell, and the WAVEFORMATEX structure.
//!
//! It does not check codec configurations; room `codec` does. A wrong answer here costs precision,
//! never correctness: `timing` believes a frame's length only while the timestamps agree with it.

use bytes::Bytes;

use crate::Codec;

/// The rate that Opus counts in whatever the input was sampled at (RFC 7845 §4).
pub(super) const OPUS_RATE: u32 = 48_000;

/// Longest Opus packet in samples: 120 ms (RFC 6716 §3.2.5).
const MAX_OPUS_PACKET: u32 = 5_760;

/// How a track's frames tell their length in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameLength {
    Unknown,
    /// Every frame has this many samples.
    Fixed(u32),
    /// Each packet's first bytes say (RFC 6716 §3.1).
    Opus,
    /// One sample of all channels takes this many bytes.
    Bytes(u32),
}

impl FrameLength {
    /// Samples in the frame `data`.
    #[inline]
    pub(super) fn samples(self, data: &[u8]) -> Option<u32> {
        match self {
            Self::Unknown => None,
            Self::Fixed(samples) => Some(samples),
            Self::Opus => opus_samples(data),
            Self::Bytes(step) => u32::try_from(data.len()).ok()?.checked_div(step),
        }
    }

    /// From what the track declares.
    pub(super) fn of(
        codec: &Codec,
        configuration: &[u8],
        rates: Rates,
        sample_bytes: u32,
        default_duration_ns: u64,
    ) -> Self {
        let known = match codec {
            Codec::Opus => Self::Opus,
            Codec::Aac => aac_frame(configuration, rates),
            // ISO/IEC 11172-3 and 13818-3: the low sampling rates halve the frame.
            Codec::Mp3 => Self::Fixed(if rates.output >= 32_000 { 1_152 } else { 576 }),
            Codec::PcmAlaw
            | Codec::PcmMulaw
            | Codec::PcmSigned
            | Codec::PcmSignedBigEndian
            | Codec::PcmFloat
                if sample_bytes > 0 =>
            {
                Self::Bytes(sample_bytes)
            }
            _ => Self::Unknown,
        };
        match known {
            Self::Opus | Self::Bytes(_) => known,
            // A producer that declares a whole number of samples knows its codec's mode better.
            Self::Fixed(_) | Self::Unknown => match whole_samples(default_duration_ns, rates.output) {
                Self::Unknown => known,
                declared => declared,
            },
        }
    }
}

/// The sampling rates that AudioSpecificConfig numbers (ISO/IEC 14496-3 table 1.18).
pub(super) const AAC_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// The rate that an AAC `configuration` names first, which is that before spectral band replication.
pub(super) fn aac_core_rate(configuration: &[u8]) -> Option<u32> {
    let [first, second, ..] = *configuration else { return None };
    AAC_RATES.get(usize::from((first & 7) << 1 | second >> 7)).copied()
}

/// A track's two sampling rates, before and after spectral band replication, which doubles it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) core: u32,
    pub(super) output: u32,
}

/// A DefaultDuration that is a whole number of samples but for its rounding to nanoseconds.
fn whole_samples(duration_ns: u64, rate: u32) -> FrameLength {
    const NS: u128 = 1_000_000_000;
    let scaled = u128::from(duration_ns) * u128::from(rate);
    let samples = (scaled + NS / 2) / NS;
    let off = scaled.abs_diff(samples * NS);
    match u32::try_from(samples) {
        Ok(samples) if samples > 0 && off <= u128::from(rate) => FrameLength::Fixed(samples),
        _ => FrameLength::Unknown,
    }
}

/// Samples of an AAC frame at the output rate. The configuration's `frameLengthFlag` (ISO/IEC
/// 14496-3 §4.4.1) chooses 960 over 1024; it is read where it stands in the plain case and 1024
/// is assumed elsewhere.
fn aac_frame(configuration: &[u8], rates: Rates) -> FrameLength {
    let core = match *configuration {
        // audioObjectType 1 to 4 in 5 bits, a rate index below 15 in 4 and channels in 4: the flag
        // is bit 13.
        [first, second, ..]
            if (1..=4).contains(&(first >> 3)) && (first & 7) << 1 | second >> 7 != 15 && second & 4 != 0 =>
        {
            960
        }
        _ => 1_024,
    };
    let whole = core * rates.output / rates.core.max(1);
    if whole == 0 { FrameLength::Unknown } else { FrameLength::Fixed(whole) }
}

fn opus_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1_920, 2_880].get(usize::from(config & 3)).copied()?,
        config @ 12..=15 => 480 << (config & 1),
        config => 120 << (config & 3),
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3F),
    };
    let samples = frame * count;
    (samples > 0 && samples <= MAX_OPUS_PACKET).then_some(samples)
}

/// What a WAVEFORMATEX says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WaveFormat {
    /// The format tag; of WAVEFORMATEXTENSIBLE the one that its subformat begins with.
    pub(super) tag: u16,
    pub(super) channels: u16,
    pub(super) rate: u32,
    pub(super) bits: u16,
    pub(super) extra: Bytes,
}

impl WaveFormat {
    /// Format tag of G.711 A-law.
    pub(super) const A_LAW: u16 = 6;
    /// Format tag of G.711 mu-law.
    pub(super) const MU_LAW: u16 = 7;

    /// Reads `bytes`, which may lack the size of the extra bytes as PCM files do.
    pub(super) fn parse(bytes: &Bytes) -> Option<Self> {
        const EXTENSIBLE: u16 = 0xFFFE;
        let word = |at: usize| {
            let pair = bytes.get(at..at + 2)?;
            Some(u16::from_le_bytes(pair.try_into().ok()?))
        };
        let rate = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
        let mut format =
            Self { tag: word(0)?, channels: word(2)?, rate, bits: word(14)?, extra: Bytes::new() };
        if let Some(count) = word(16) {
            let extra = bytes.slice(18..);
            format.extra = extra.slice(..usize::from(count).min(extra.len()));
        }
        if format.tag == EXTENSIBLE {
            format.tag = word(24)?;
        }
        Some(format)
    }

    /// The 18 bytes of a format without extra bytes, `bits` wide per sample.
    pub(super) fn write(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
        let block = channels.saturating_mul(bits / 8);
        let mut out = Vec::with_capacity(18);
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&channels.to_le_bytes());
        out.extend_from_slice(&rate.to_le_bytes());
        out.extend_from_slice(&rate.saturating_mul(u32::from(block)).to_le_bytes());
        out.extend_from_slice(&block.to_le_bytes());
        out.extend_from_slice(&bits.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out
    }
}
