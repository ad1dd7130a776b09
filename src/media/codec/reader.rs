//! One reader for the frames of any codec.
//!
//! It tells what a frame is and what configuration begins with it; times and counts are the
//! caller's.

use bytes::Bytes;

use super::access_unit::{AccessUnits, Syntax};
use super::configured::{Configured, Invalid};
use super::unit::{Rejected, Unit};
use super::{aac, av1, mp3, opus, pcm, vp8, vp9};
use crate::Codec;
use crate::container::DeclaredTrack;

/// Reads the frames of one track.
#[derive(Debug)]
pub(crate) enum Reader {
    AccessUnits(Box<AccessUnits>),
    Av1(av1::Frames),
    Vp8(vp8::Frames),
    Vp9(vp9::Frames),
    Aac(aac::Frames),
    Mp3(mp3::Frames),
    Pcm(pcm::Frames),
    /// Packets whose inside does not matter: Opus and unknown codecs.
    Opaque {
        trust_key: bool,
    },
}

impl Reader {
    /// A reader for the track, and its checked configuration unless that comes with the frames.
    pub(crate) fn new(declared: &DeclaredTrack) -> Result<(Self, Option<Configured>), Invalid> {
        let track = &declared.track;
        let given = &track.configuration;
        Ok(match &track.codec {
            Codec::H264 | Codec::H265 => {
                let syntax = if track.codec == Codec::H264 { Syntax::H264 } else { Syntax::H265 };
                let (reader, configured) = AccessUnits::new(syntax, given)?;
                (Self::AccessUnits(Box::new(reader)), configured)
            }
            Codec::Av1 => {
                let (reader, configured) = av1::Frames::new(given)?;
                (Self::Av1(reader), configured)
            }
            Codec::Vp8 => {
                let (reader, configured) = vp8::Frames::new(track.shape);
                (Self::Vp8(reader), configured)
            }
            Codec::Vp9 => {
                let (reader, configured) = vp9::Frames::new(given, track.shape)?;
                (Self::Vp9(reader), configured)
            }
            Codec::Aac => {
                let (reader, configured) = aac::Frames::new(given)?;
                (Self::Aac(reader), configured)
            }
            Codec::Opus => (Self::Opaque { trust_key: false }, Some(opus::configure(given, track.shape)?)),
            Codec::Mp3 => (Self::Mp3(mp3::Frames::default()), None),
            Codec::PcmAlaw
            | Codec::PcmMulaw
            | Codec::PcmSigned
            | Codec::PcmSignedBigEndian
            | Codec::PcmFloat => {
                let (reader, configured) = pcm::Frames::new(&track.codec, track.shape)?;
                (Self::Pcm(reader), Some(configured))
            }
            Codec::Other { .. } => {
                (Self::Opaque { trust_key: true }, Some(Configured::plain(given.clone(), track.shape)))
            }
        })
    }

    /// Reads one frame, which is not empty. `key` is what the container says of it.
    pub(crate) fn read(&mut self, frame: &Bytes, key: bool) -> Result<Unit, Rejected> {
        match self {
            Self::AccessUnits(reader) => reader.read(frame, key),
            Self::Av1(reader) => reader.read(frame),
            Self::Vp8(reader) => reader.read(frame),
            Self::Vp9(reader) => reader.read(frame),
            Self::Aac(reader) => reader.read(frame),
            Self::Mp3(reader) => reader.read(frame),
            Self::Pcm(reader) => reader.read(frame),
            Self::Opaque { trust_key } => {
                Ok(Unit { data: frame.clone(), sync: !*trust_key || key, configured: None })
            }
        }
    }
}
