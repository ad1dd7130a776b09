//! Sample entries to codecs.
//!
//! Configurations are handed on as they stand; whether they make sense is for `codec` to say.

use bytes::Bytes;

use super::super::boxes::{BoxRef, Children, Kind, broken, name};
use super::descriptor::read_decoder_config;
use crate::{Codec, Error, Fault, Shape, TrackKind};

/// Most sample entries of one track.
const MAX_ENTRIES: u32 = 32;
/// Longest configuration, and longest sample entry kept for an unknown codec.
const MAX_CONFIGURATION_BYTES: usize = 256 * 1024;

/// What one sample entry says about the samples that refer to it.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Description {
    pub(in super::super) codec: Codec,
    pub(in super::super) configuration: Bytes,
    pub(in super::super) shape: Shape,
}

/// The entries of `stsd` (§8.5.2), at least one. `handler` tells what an unknown one is.
pub(in super::super) fn read_descriptions(
    stsd: BoxRef<'_>,
    handler: Kind,
    timescale: u32,
) -> Result<Vec<Description>, Error> {
    let mut fields = stsd.fields();
    let (version, _) = fields.version_and_flags()?;
    let count = fields.u32()?;
    if count == 0 {
        return Err(broken(stsd.offset, "the stsd box has no sample entry"));
    }
    if count > MAX_ENTRIES {
        return Err(Error::new(
            Fault::Limit,
            stsd.offset,
            format!("the stsd box has {count} sample entries, at most {MAX_ENTRIES} are read"),
        ));
    }
    let mut entries = Children::new(fields.rest(), stsd.body_offset + 8);
    let mut descriptions = Vec::new();
    for _ in 0..count {
        let entry = entries.next().transpose()?;
        let entry =
            entry.ok_or_else(|| broken(stsd.offset, "the stsd box ends before its last sample entry"))?;
        descriptions.push(read_entry(entry, handler, version, timescale)?);
    }
    Ok(descriptions)
}

fn read_entry(entry: BoxRef<'_>, handler: Kind, version: u8, timescale: u32) -> Result<Description, Error> {
    match &entry.kind {
        b"encv" | b"enca" | b"encs" | b"enct" | b"encm" | b"drmi" | b"drms" => Err(Error::new(
            Fault::Unsupported,
            entry.offset,
            format!("the track is encrypted (sample entry {})", name(entry.kind)),
        )
        .with_hint("send the media unencrypted over TLS; streams can be encrypted at rest")),
        b"avc1" | b"avc3" => video(entry, Codec::H264, *b"avcC", true),
        b"hvc1" | b"hev1" => video(entry, Codec::H265, *b"hvcC", true),
        b"av01" => video(entry, Codec::Av1, *b"av1C", false),
        b"vp08" => video(entry, Codec::Vp8, *b"vpcC", false),
        b"vp09" => video(entry, Codec::Vp9, *b"vpcC", false),
        b"mp4a" | b".mp3" | b"ms\0\x55" | b"Opus" | b"ulaw" | b"alaw" | b"sowt" | b"twos" | b"in24"
        | b"in32" | b"fl32" | b"fl64" | b"lpcm" | b"ipcm" | b"fpcm" => {
            Sound::read(entry, version, timescale)?.describe(entry)
        }
        _ => other(entry, handler, version, timescale),
    }
}

/// Bytes of a `VisualSampleEntry` before its boxes (§12.1.3).
const VISUAL_BYTES: usize = 78;

fn video(entry: BoxRef<'_>, codec: Codec, record: Kind, required: bool) -> Result<Description, Error> {
    let shape = picture_shape(entry)?;
    let boxes = Children::new(
        entry.body.get(VISUAL_BYTES..).unwrap_or_default(),
        entry.body_offset + VISUAL_BYTES as u64,
    );
    let found = boxes.find(record)?;
    if found.is_none() && required {
        return Err(Error::new(
            Fault::CodecConfiguration,
            entry.offset,
            format!("the {} sample entry has no {} box", name(entry.kind), name(record)),
        ));
    }
    let configuration = match found {
        // Version 0 of vpcC laid its fields out otherwise (VP Codec ISO Media File Format Binding,
        // version 0); it is left out, and the frames tell.
        Some(found) if record == *b"vpcC" => match found.body {
            [1, _, _, _, payload @ ..] => copied(found, payload)?,
            _ => Bytes::new(),
        },
        Some(found) => copied(found, found.body)?,
        None => Bytes::new(),
    };
    Ok(Description { codec, configuration, shape })
}

fn picture_shape(entry: BoxRef<'_>) -> Result<Shape, Error> {
    let mut fields = entry.fields();
    fields.skip(24)?;
    let (width, height) = (fields.u16()?.into(), fields.u16()?.into());
    fields.skip(VISUAL_BYTES - 28)?;
    Ok(Shape::Video { width, height })
}

fn copied(source: BoxRef<'_>, bytes: &[u8]) -> Result<Bytes, Error> {
    if bytes.len() > MAX_CONFIGURATION_BYTES {
        return Err(Error::new(
            Fault::Limit,
            source.offset,
            format!(
                "the {} box has {} bytes, at most {MAX_CONFIGURATION_BYTES} are kept",
                name(source.kind),
                bytes.len()
            ),
        ));
    }
    // Copied, so that a configuration kept for long does not keep the whole moov.
    Ok(Bytes::copy_from_slice(bytes))
}

/// An `AudioSampleEntry` (§12.2.3) or one of QuickTime's sound descriptions.
struct Sound<'a> {
    sample_rate: u32,
    channels: u16,
    bits: u16,
    /// `formatSpecificFlags` of sound description version 2.
    lpcm_flags: Option<u32>,
    boxes: Children<'a>,
}

const LPCM_FLOAT: u32 = 1;
const LPCM_BIG_ENDIAN: u32 = 2;
const LPCM_SIGNED: u32 = 4;

impl<'a> Sound<'a> {
    fn read(entry: BoxRef<'a>, stsd_version: u8, timescale: u32) -> Result<Self, Error> {
        let mut fields = entry.fields();
        fields.skip(8)?;
        let version = fields.u16()?;
        fields.skip(6)?;
        let (mut channels, mut bits) = (fields.u16()?, fields.u16()?);
        fields.skip(4)?;
        let mut sample_rate = fields.u32()? >> 16;
        let mut lpcm_flags = None;
        match (stsd_version, version) {
            // In a stsd of version 1, entry version 1 is ISO's and has a srat box instead.
            (0, 1) => fields.skip(16)?,
            (_, 2) => {
                fields.skip(4)?;
                sample_rate = rate_of(fields.f64()?);
                channels = narrowed(fields.u32()?);
                fields.skip(4)?;
                bits = narrowed(fields.u32()?);
                lpcm_flags = Some(fields.u32()?);
                fields.skip(8)?;
            }
            _ => {}
        }
        let boxes_offset = entry.body_offset + (entry.body.len() - fields.rest().len()) as u64;
        let boxes = Children::new(fields.rest(), boxes_offset);
        if let Some(srat) = boxes.clone().find(*b"srat")? {
            let mut fields = srat.fields();
            fields.version_and_flags()?;
            sample_rate = fields.u32()?;
        }
        if sample_rate == 0 {
            // Rates from 65536 Hz on do not fit the field; the timescale is the rate by custom.
            sample_rate = timescale;
        }
        Ok(Self { sample_rate, channels, bits, lpcm_flags, boxes })
    }

    /// A box of the entry, or one that QuickTime wraps into `wave`.
    fn find(&self, kind: Kind) -> Result<Option<BoxRef<'a>>, Error> {
        if let Some(found) = self.boxes.clone().find(kind)? {
            return Ok(Some(found));
        }
        match self.boxes.clone().find(*b"wave")? {
            Some(wave) => wave.find(kind),
            None => Ok(None),
        }
    }

    fn described(&self, codec: Codec, configuration: Bytes, bits_per_sample: u16) -> Description {
        let shape = Shape::Audio { sample_rate: self.sample_rate, channels: self.channels, bits_per_sample };
        Description { codec, configuration, shape }
    }

    fn describe(&self, entry: BoxRef<'_>) -> Result<Description, Error> {
        let plain = |codec| Ok(self.described(codec, Bytes::new(), 0));
        match &entry.kind {
            b"mp4a" => self.mpeg4(entry),
            b".mp3" | b"ms\0\x55" => plain(Codec::Mp3),
            b"ulaw" => plain(Codec::PcmMulaw),
            b"alaw" => plain(Codec::PcmAlaw),
            b"Opus" => {
                let dops = self.find(*b"dOps")?.ok_or_else(|| missing(entry, "dOps"))?;
                Ok(self.described(Codec::Opus, copied(dops, dops.body)?, 0))
            }
            _ => self.pcm(entry),
        }
    }

    /// Which codec `mp4a` means is in `esds`' `objectTypeIndication` (ISO/IEC 14496-1 §7.2.6.6).
    fn mpeg4(&self, entry: BoxRef<'_>) -> Result<Description, Error> {
        let esds = self.find(*b"esds")?.ok_or_else(|| missing(entry, "esds"))?;
        let descriptors = esds.body.get(4..).unwrap_or_default();
        let config = read_decoder_config(descriptors).ok_or_else(|| {
            Error::new(Fault::CodecConfiguration, esds.offset, "the esds box has no decoder configuration")
        })?;
        let specific = copied(esds, config.specific_info)?;
        let codec = match config.object_type {
            0x40 | 0x66 | 0x67 | 0x68 => Codec::Aac,
            0x69 | 0x6b => return Ok(self.described(Codec::Mp3, Bytes::new(), 0)),
            kind => Codec::Other { kind: TrackKind::Audio, id: format!("mp4:mp4a.{kind:02x}") },
        };
        Ok(self.described(codec, specific, 0))
    }

    fn pcm(&self, entry: BoxRef<'_>) -> Result<Description, Error> {
        // `enda` says 1 for little-endian (QuickTime File Format).
        let enda = match self.find(*b"enda")? {
            Some(enda) => enda.fields().u16()? == 1,
            None => false,
        };
        let signed = |little| if little { Codec::PcmSigned } else { Codec::PcmSignedBigEndian };
        let float = |little| if little { Some(Codec::PcmFloat) } else { None };
        let (codec, bits) = match &entry.kind {
            b"sowt" => (Some(Codec::PcmSigned), self.bits),
            b"twos" => (Some(Codec::PcmSignedBigEndian), self.bits),
            b"in24" => (Some(signed(enda)), 24),
            b"in32" => (Some(signed(enda)), 32),
            b"fl32" => (float(enda), 32),
            b"fl64" => (float(enda), 64),
            b"ipcm" | b"fpcm" => {
                // ISO/IEC 23003-5 §5.3: bit 0 of the flags means little-endian.
                let pcmc = self.find(*b"pcmC")?.ok_or_else(|| missing(entry, "pcmC"))?;
                let mut fields = pcmc.fields();
                fields.version_and_flags()?;
                let little = fields.u8()? & 1 == 1;
                let codec = if entry.kind == *b"ipcm" { Some(signed(little)) } else { float(little) };
                (codec, fields.u8()?.into())
            }
            _ => match self.lpcm_flags.unwrap_or(LPCM_SIGNED | LPCM_BIG_ENDIAN) {
                flags if flags & LPCM_FLOAT != 0 => (float(flags & LPCM_BIG_ENDIAN == 0), self.bits),
                flags if flags & LPCM_SIGNED != 0 => (Some(signed(flags & LPCM_BIG_ENDIAN == 0)), self.bits),
                _ => (None, self.bits),
            },
        };
        match codec {
            Some(codec) => Ok(self.described(codec, Bytes::new(), bits)),
            None => Ok(self.described(
                Codec::Other { kind: TrackKind::Audio, id: format!("mp4:{}", name(entry.kind)) },
                copied(entry, entry.body)?,
                bits,
            )),
        }
    }
}

fn rate_of(hertz: f64) -> u32 {
    // `as` saturates, and a rate that is no number becomes 0.
    hertz as u32
}

fn narrowed(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

fn missing(entry: BoxRef<'_>, what: &str) -> Error {
    Error::new(
        Fault::CodecConfiguration,
        entry.offset,
        format!("the {} sample entry has no {what} box", name(entry.kind)),
    )
}

/// A codec that is only kept: its configuration is the sample entry's content as it stands.
fn other(entry: BoxRef<'_>, handler: Kind, version: u8, timescale: u32) -> Result<Description, Error> {
    let (kind, shape) = match &handler {
        b"vide" | b"pict" | b"auxv" => (TrackKind::Video, picture_shape(entry)?),
        b"soun" => {
            let sound = Sound::read(entry, version, timescale)?;
            let Sound { sample_rate, channels, .. } = sound;
            (TrackKind::Audio, Shape::Audio { sample_rate, channels, bits_per_sample: 0 })
        }
        _ => (TrackKind::Data, Shape::Data),
    };
    let codec = Codec::Other { kind, id: format!("mp4:{}", name(entry.kind)) };
    Ok(Description { codec, configuration: copied(entry, entry.body)?, shape })
}
