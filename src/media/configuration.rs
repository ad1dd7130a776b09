//! A set of tracks as stored bytes: what a fragment's configuration identifier stands for.
//!
//! Two sets of tracks are the same configuration exactly if their bytes are equal.

use bytes::{BufMut, Bytes, BytesMut};

use crate::varint::{self, Reader};
use crate::{Codec, Error, Shape, Track, TrackKind};

/// Version of the encoding below; the first byte.
const VERSION: u8 = 1;

/// The tracks as bytes, deterministic.
#[must_use]
pub fn encode(tracks: &[Track]) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    out.put_u8(VERSION);
    varint::put(&mut out, tracks.len() as u64);
    for track in tracks {
        varint::put(&mut out, u64::from(track.number));
        put_codec(&mut out, &track.codec);
        varint::put(&mut out, u64::from(track.timescale));
        varint::put_bytes(&mut out, &track.configuration);
        put_shape(&mut out, track.shape);
        out.put_u8(track.reorder_depth);
        varint::put(&mut out, u64::from(track.default_duration_ticks));
        varint::put_bytes(&mut out, track.language.as_bytes());
        varint::put_bytes(&mut out, track.name.as_bytes());
    }
    out.freeze()
}

/// The tracks in `bytes`; codec configurations are slices of it.
///
/// # Errors
/// [`crate::Fault::Stored`] if the bytes are damaged or of an unknown version.
pub fn decode(bytes: &Bytes) -> Result<Vec<Track>, Error> {
    let mut reader = Reader::new(bytes);
    let version = reader.byte("the version")?;
    if version != VERSION {
        return Err(reader.fault(format!("codec configuration of unknown version {version}")));
    }
    let count: u16 = reader.small("the track count")?;
    let mut tracks = Vec::new();
    for _ in 0..count {
        let number = reader.small("a track number")?;
        let codec = codec(&mut reader)?;
        let timescale = reader.small("a timescale")?;
        if timescale == 0 {
            return Err(reader.fault("a track has timescale 0"));
        }
        let configuration = bytes.slice_ref(reader.bytes("a codec configuration record")?);
        let shape = shape(&mut reader)?;
        tracks.push(Track {
            number,
            codec,
            timescale,
            configuration,
            shape,
            reorder_depth: reader.byte("a reorder depth")?,
            default_duration_ticks: reader.small("a default duration")?,
            language: reader.text("a language")?,
            name: reader.text("a track name")?,
        });
    }
    if !reader.is_empty() {
        return Err(reader.fault("bytes follow the last track"));
    }
    Ok(tracks)
}

/// The stored code of each known codec, with the codec: on disk, never reuse a number.
const CODECS: [(u8, Codec); 13] = [
    (1, Codec::H264),
    (2, Codec::H265),
    (3, Codec::Av1),
    (4, Codec::Vp8),
    (5, Codec::Vp9),
    (32, Codec::Aac),
    (33, Codec::Opus),
    (34, Codec::Mp3),
    (35, Codec::PcmAlaw),
    (36, Codec::PcmMulaw),
    (37, Codec::PcmSigned),
    (38, Codec::PcmSignedBigEndian),
    (39, Codec::PcmFloat),
];
const OTHER_VIDEO: u8 = 128;
const OTHER_AUDIO: u8 = 129;
const OTHER_DATA: u8 = 130;

fn put_codec(out: &mut BytesMut, codec: &Codec) {
    if let Some((code, _)) = CODECS.iter().find(|(_, known)| known == codec) {
        out.put_u8(*code);
    } else if let Codec::Other { kind, id } = codec {
        out.put_u8(match kind {
            TrackKind::Video => OTHER_VIDEO,
            TrackKind::Audio => OTHER_AUDIO,
            TrackKind::Data => OTHER_DATA,
        });
        varint::put_bytes(out, id.as_bytes());
    }
}

fn codec(reader: &mut Reader<'_>) -> Result<Codec, Error> {
    let code = reader.byte("a codec")?;
    let kind = match code {
        OTHER_VIDEO => TrackKind::Video,
        OTHER_AUDIO => TrackKind::Audio,
        OTHER_DATA => TrackKind::Data,
        _ => {
            let known = CODECS.iter().find(|(known, _)| *known == code);
            return match known {
                Some((_, codec)) => Ok(codec.clone()),
                None => Err(reader.fault(format!("unknown codec number {code}"))),
            };
        }
    };
    Ok(Codec::Other { kind, id: reader.text("a codec identifier")? })
}

const SHAPE_DATA: u8 = 0;
const SHAPE_VIDEO: u8 = 1;
const SHAPE_AUDIO: u8 = 2;

fn put_shape(out: &mut BytesMut, shape: Shape) {
    match shape {
        Shape::Data => out.put_u8(SHAPE_DATA),
        Shape::Video { width, height } => {
            out.put_u8(SHAPE_VIDEO);
            varint::put(out, u64::from(width));
            varint::put(out, u64::from(height));
        }
        Shape::Audio { sample_rate, channels, bits_per_sample } => {
            out.put_u8(SHAPE_AUDIO);
            varint::put(out, u64::from(sample_rate));
            varint::put(out, u64::from(channels));
            varint::put(out, u64::from(bits_per_sample));
        }
    }
}

fn shape(reader: &mut Reader<'_>) -> Result<Shape, Error> {
    match reader.byte("a shape")? {
        SHAPE_DATA => Ok(Shape::Data),
        SHAPE_VIDEO => {
            Ok(Shape::Video { width: reader.small("a width")?, height: reader.small("a height")? })
        }
        SHAPE_AUDIO => Ok(Shape::Audio {
            sample_rate: reader.small("a sample rate")?,
            channels: reader.small("a channel count")?,
            bits_per_sample: reader.small("a sample size")?,
        }),
        other => Err(reader.fault(format!("unknown shape {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracks() -> Vec<Track> {
        let mut all = vec![Track {
            number: 1,
            codec: Codec::H264,
            timescale: 1000,
            configuration: Bytes::from_static(&[1, 0x64, 0, 0x1F]),
            shape: Shape::Video { width: 1280, height: 720 },
            reorder_depth: 2,
            default_duration_ticks: 33,
            language: "und".into(),
            name: "Front door".into(),
        }];
        all.push(Track {
            number: 2,
            codec: Codec::Aac,
            timescale: 48_000,
            configuration: Bytes::from_static(&[0x11, 0x90]),
            shape: Shape::Audio { sample_rate: 48_000, channels: 2, bits_per_sample: 0 },
            reorder_depth: 0,
            default_duration_ticks: 0,
            language: String::new(),
            name: String::new(),
        });
        all.push(Track {
            number: 9,
            codec: Codec::Other { kind: TrackKind::Data, id: "S_TEXT/UTF8".into() },
            shape: Shape::Data,
            ..all[1].clone()
        });
        all
    }

    #[test]
    fn tracks_survive_and_every_cut_is_noticed() {
        let tracks = tracks();
        let bytes = encode(&tracks);
        assert_eq!(decode(&bytes).unwrap(), tracks);
        for length in 0..bytes.len() {
            assert!(decode(&bytes.slice(..length)).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn every_known_codec_has_one_number() {
        for (code, codec) in CODECS {
            let one = Track { codec: codec.clone(), ..tracks()[0].clone() };
            let bytes = encode(std::slice::from_ref(&one));
            assert_eq!(bytes[3], code);
            assert_eq!(decode(&bytes).unwrap()[0].codec, codec);
        }
    }

    /// These bytes are on people's disks. If a change here is meant, raise `VERSION` and keep
    /// reading the old one.
    #[test]
    fn golden_bytes() {
        let text: String = encode(&tracks()).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            text,
            concat!(
                "0103",
                "01",
                "01",
                "e807",
                "040164001f",
                "01800ad005",
                "02",
                "21",
                "03756e64",
                "0a46726f6e7420646f6f72",
                "02",
                "20",
                "80f702",
                "021190",
                "0280f7020200",
                "00",
                "00",
                "00",
                "00",
                "09",
                "820b535f544558542f55544638",
                "80f702",
                "021190",
                "00",
                "00",
                "00",
                "00",
                "00",
            )
        );
    }
}
