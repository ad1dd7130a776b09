//! Tracks to sample entries.
//!
//! Configurations are copied byte for byte; only Opus is kept in another notation than MP4's.

use mp4_atom::Esds;
use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig};

use super::super::boxes::encode;
use super::super::writer::{boxed, full_boxed, put_u16, put_u32};
use crate::{Codec, Error, Fault, Shape, Track};

/// `objectTypeIndication` (ISO/IEC 14496-1 §7.2.6.6) of AAC, MPEG-2 and MPEG-1 audio.
const OBJECT_TYPE_AAC: u8 = 0x40;
const OBJECT_TYPE_MPEG2_AUDIO: u8 = 0x69;
const OBJECT_TYPE_MPEG1_AUDIO: u8 = 0x6b;
/// MPEG-1 audio has 32 kHz and above, MPEG-2 the lower sampling frequencies.
const LOWEST_MPEG1_AUDIO_RATE: u32 = 32_000;

/// `OpusHead` up to and with the mapping family.
const OPUS_HEAD_BYTES: usize = 19;

/// Appends the sample entry of `track`.
pub(in super::super) fn put_sample_entry(out: &mut Vec<u8>, track: &Track) -> Result<(), Error> {
    let configuration = &track.configuration[..];
    match &track.codec {
        Codec::H264 => video(out, track, *b"avc1", |out| {
            filled(track, 7)?;
            boxed(out, *b"avcC", |out| out.extend_from_slice(configuration));
            Ok(())
        }),
        // hvc1, not hev1: Apple's players accept no other.
        Codec::H265 => video(out, track, *b"hvc1", |out| {
            filled(track, 23)?;
            boxed(out, *b"hvcC", |out| out.extend_from_slice(configuration));
            Ok(())
        }),
        Codec::Av1 => video(out, track, *b"av01", |out| {
            filled(track, 4)?;
            boxed(out, *b"av1C", |out| out.extend_from_slice(configuration));
            Ok(())
        }),
        // VP8 has one profile, 8 bits and 4:2:0; level and colours unknown (VP Codec ISO Media
        // File Format Binding §"VP Codec Configuration Box").
        Codec::Vp8 => video(out, track, *b"vp08", |out| {
            full_boxed(out, *b"vpcC", 1, 0, |out| out.extend_from_slice(&[0, 0, 0x82, 2, 2, 2, 0, 0]));
            Ok(())
        }),
        Codec::Vp9 => video(out, track, *b"vp09", |out| {
            filled(track, 8)?;
            full_boxed(out, *b"vpcC", 1, 0, |out| out.extend_from_slice(configuration));
            Ok(())
        }),
        Codec::Aac => {
            filled(track, 2)?;
            audio(out, track, *b"mp4a", 16, |out, _| put_esds(out, OBJECT_TYPE_AAC, configuration))
        }
        Codec::Mp3 => audio(out, track, *b"mp4a", 16, |out, rate| {
            let low = rate < LOWEST_MPEG1_AUDIO_RATE;
            put_esds(out, if low { OBJECT_TYPE_MPEG2_AUDIO } else { OBJECT_TYPE_MPEG1_AUDIO }, &[])
        }),
        Codec::Opus => audio(out, track, *b"Opus", 16, |out, _| put_dops(out, track)),
        Codec::PcmAlaw => audio(out, track, *b"alaw", 16, |_, _| Ok(())),
        Codec::PcmMulaw => audio(out, track, *b"ulaw", 16, |_, _| Ok(())),
        // The QuickTime entries rather than ISO/IEC 23003-5's `ipcm`: ffmpeg before 6.1 reads
        // only these, and no browser reads the others.
        Codec::PcmSigned => audio(out, track, *b"sowt", pcm_bits(track)?, |_, _| Ok(())),
        Codec::PcmSignedBigEndian => audio(out, track, *b"twos", pcm_bits(track)?, |_, _| Ok(())),
        Codec::PcmFloat => put_float_pcm(out, track),
        Codec::Other { id, .. } => Err(Error::new(
            Fault::Unsupported,
            0,
            format!("track {} holds {id}, which MP4 output does not carry", track.number),
        )),
    }
}

/// Refuses a configuration shorter than its record's fixed part.
fn filled(track: &Track, least: usize) -> Result<(), Error> {
    if track.configuration.len() >= least {
        return Ok(());
    }
    Err(too_short(track, least))
}

fn too_short(track: &Track, least: usize) -> Error {
    Error::new(
        Fault::CodecConfiguration,
        0,
        format!(
            "the {} configuration of track {} has {} bytes, at least {least} in its own form are needed",
            track.codec.name(),
            track.number,
            track.configuration.len()
        ),
    )
}

/// `VisualSampleEntry` (§12.1.3).
fn video(
    out: &mut Vec<u8>,
    track: &Track,
    kind: [u8; 4],
    boxes: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    let (width, height) = match track.shape {
        Shape::Video { width, height } => (width, height),
        _ => (0, 0),
    };
    boxed(out, kind, |out| {
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        out.extend_from_slice(&[0; 16]);
        put_u16(out, u16::try_from(width).unwrap_or(0));
        put_u16(out, u16::try_from(height).unwrap_or(0));
        // 72 dots per inch both ways, one frame per sample, no compressor name, 24 bits deep.
        put_u32(out, 0x0048_0000);
        put_u32(out, 0x0048_0000);
        put_u32(out, 0);
        put_u16(out, 1);
        out.extend_from_slice(&[0; 32]);
        put_u16(out, 0x18);
        put_u16(out, 0xffff);
        boxes(out)
    })
}

/// `AudioSampleEntry` (§12.2.3); `boxes` is told the sampling rate.
fn audio(
    out: &mut Vec<u8>,
    track: &Track,
    kind: [u8; 4],
    bits: u16,
    boxes: impl FnOnce(&mut Vec<u8>, u32) -> Result<(), Error>,
) -> Result<(), Error> {
    let (rate, channels) = sound(track);
    boxed(out, kind, |out| {
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        out.extend_from_slice(&[0; 8]);
        put_u16(out, channels);
        put_u16(out, bits);
        put_u32(out, 0);
        // 16.16 fixed point; a rate that does not fit is 0 and the decoder asks the configuration.
        put_u16(out, u16::try_from(rate).unwrap_or(0));
        put_u16(out, 0);
        boxes(out, rate)
    })
}

fn sound(track: &Track) -> (u32, u16) {
    match track.shape {
        Shape::Audio { sample_rate, channels, .. } => (sample_rate, channels),
        _ => (0, 0),
    }
}

fn pcm_bits(track: &Track) -> Result<u16, Error> {
    match track.shape {
        Shape::Audio { bits_per_sample: bits @ (8 | 16 | 24 | 32), .. } => Ok(bits),
        Shape::Audio { bits_per_sample: 64, .. } if track.codec == Codec::PcmFloat => Ok(64),
        _ => Err(Error::new(
            Fault::CodecConfiguration,
            0,
            format!("the PCM of track {} has no width that MP4 can carry", track.number),
        )),
    }
}

fn put_esds(out: &mut Vec<u8>, object_type: u8, specific: &[u8]) -> Result<(), Error> {
    let dec_config = DecoderConfig {
        object_type_indication: object_type,
        // AudioStream (ISO/IEC 14496-1 §7.2.6.6).
        stream_type: 5,
        dec_specific: (!specific.is_empty())
            .then(|| DecoderSpecific { raw: specific.to_vec(), ..Default::default() }),
        ..Default::default()
    };
    encode(
        &Esds {
            es_desc: EsDescriptor { es_id: 0, dec_config, sl_config: SLConfig {}, ..Default::default() },
        },
        out,
    )
}

/// `OpusHead` (RFC 7845 §5.1, little-endian) to `dOps` (Encapsulation of Opus in ISO Base Media
/// File Format §4.3.2, big-endian).
fn put_dops(out: &mut Vec<u8>, track: &Track) -> Result<(), Error> {
    let head = track.configuration.strip_prefix(b"OpusHead").unwrap_or_default();
    let &[_, channels, s0, s1, r0, r1, r2, r3, g0, g1, family, ref mapping @ ..] = head else {
        return Err(too_short(track, OPUS_HEAD_BYTES));
    };
    boxed(out, *b"dOps", |out| {
        out.extend_from_slice(&[0, channels, s1, s0, r3, r2, r1, r0, g1, g0, family]);
        // Family 0 has no mapping table; what follows it would be a muxer's padding.
        out.extend_from_slice(if family == 0 { &[] } else { mapping });
    });
    Ok(())
}

/// QuickTime's sound description version 2, the only one with floating point of either width.
fn put_float_pcm(out: &mut Vec<u8>, track: &Track) -> Result<(), Error> {
    let (rate, channels) = sound(track);
    let bits = pcm_bits(track)?;
    boxed(out, *b"lpcm", |out| {
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        put_u16(out, 2);
        out.extend_from_slice(&[0; 6]);
        // Fixed values that stop readers of version 0.
        for value in [3, 16, 0xfffe, 0] {
            put_u16(out, value);
        }
        put_u32(out, 0x0001_0000);
        put_u32(out, 72);
        out.extend_from_slice(&f64::from(rate).to_be_bytes());
        put_u32(out, channels.into());
        put_u32(out, 0x7f00_0000);
        put_u32(out, bits.into());
        // Float and packed; the bit for big-endian is not set.
        put_u32(out, 1 | 8);
        put_u32(out, u32::from(bits / 8) * u32::from(channels));
        put_u32(out, 1);
    });
    Ok(())
}
