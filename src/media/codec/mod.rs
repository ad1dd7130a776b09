//! What each codec needs: reading and checking configurations, and the strings that name them.
//!
//! Containers are not known here beyond the two conventions in which they write configurations.

mod aac;
mod access_unit;
mod av1;
mod bits;
mod configured;
mod fields;
mod h264;
mod h265;
mod mp3;
mod nal;
mod opus;
mod parameter_sets;
mod pcm;
mod reader;
mod unit;
mod vp8;
mod vp9;

use crate::{Codec, Shape, Track};

pub(crate) use configured::{Configured, Invalid};
pub(crate) use reader::Reader;
pub(crate) use unit::{Rejected, Unit};

/// The codec string of a track for `CODECS` in HLS and DASH and for browsers (RFC 6381), for
/// codecs that browsers play from MP4; none for others: VP8, G.711, PCM, unknown codecs.
#[must_use]
pub fn rfc6381(track: &Track) -> Option<String> {
    let record = &track.configuration;
    match &track.codec {
        Codec::H264 => h264::rfc6381(record),
        Codec::H265 => h265::rfc6381(record),
        Codec::Av1 => av1::rfc6381(record),
        Codec::Vp9 => vp9::rfc6381(record),
        Codec::Aac => aac::rfc6381(record),
        Codec::Opus => Some("Opus".into()),
        Codec::Mp3 => Some(mp3::rfc6381(track.shape).into()),
        Codec::Vp8
        | Codec::PcmAlaw
        | Codec::PcmMulaw
        | Codec::PcmSigned
        | Codec::PcmSignedBigEndian
        | Codec::PcmFloat
        | Codec::Other { .. } => None,
    }
}

/// The nominal frame rate of a video track as a fraction of frames and seconds: what the codec
/// configuration says, else the container's default duration; none if neither tells.
#[must_use]
pub fn nominal_frame_rate(track: &Track) -> Option<(u32, u32)> {
    let seconds = match &track.codec {
        Codec::H264 => h264::frame_seconds(&track.configuration),
        Codec::H265 => h265::frame_seconds(&track.configuration),
        Codec::Av1 => av1::frame_seconds(&track.configuration),
        _ => None,
    };
    if let Some((numerator, denominator)) = seconds {
        return Some((denominator, numerator));
    }
    let is_video = matches!(track.shape, Shape::Video { .. });
    (is_video && track.default_duration_ticks > 0).then_some((track.timescale, track.default_duration_ticks))
}
