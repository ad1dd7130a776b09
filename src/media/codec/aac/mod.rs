//! AAC: raw access units, and the ADTS headers that some producers leave on them
//! (ISO/IEC 14496-3 §1.A.2.2).
//!
//! The inside of access units is not looked into.

mod specific;

use bytes::{BufMut, Bytes, BytesMut};

use super::configured::{Configured, Invalid};
use super::unit::{Rejected, Unit};
use crate::Shape;

use specific::AudioSpecificConfig;

/// An ADTS header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Adts {
    /// The AudioSpecificConfig that says the same.
    configuration: [u8; 2],
    header_bytes: usize,
}

impl Adts {
    /// The header, if `frame` is exactly one ADTS frame. A raw access unit cannot look like one:
    /// twelve ones begin with the element that ends a block.
    fn read(frame: &[u8]) -> Option<Self> {
        let [0xff, sync, profile, channels, length, length_end, blocks, ..] = *frame else { return None };
        let is_layer_0 = sync & 0xf6 == 0xf0;
        let bytes = usize::from(channels & 3) << 11 | usize::from(length) << 3 | usize::from(length_end >> 5);
        if !is_layer_0 || bytes != frame.len() || blocks & 3 != 0 {
            return None;
        }
        let protected = sync & 1 == 0;
        let object_type = (profile >> 6) + 1;
        let rate_index = profile >> 2 & 15;
        let channel_configuration = (profile & 1) << 2 | channels >> 6;
        Some(Self {
            configuration: [
                object_type << 3 | rate_index >> 1,
                (rate_index & 1) << 7 | channel_configuration << 3,
            ],
            header_bytes: if protected { 9 } else { 7 },
        })
    }
}

/// Reads the access units of one track.
#[derive(Debug)]
pub(crate) struct Frames {
    usable: bool,
}

impl Frames {
    pub(crate) fn new(given: &Bytes) -> Result<(Self, Option<Configured>), Invalid> {
        if given.is_empty() {
            return Ok((Self { usable: false }, None));
        }
        Ok((Self { usable: true }, Some(configure(given.clone())?)))
    }

    pub(crate) fn read(&mut self, frame: &Bytes) -> Result<Unit, Rejected> {
        let Some(adts) = Adts::read(frame) else {
            if self.usable {
                return Ok(Unit { data: frame.clone(), sync: true, configured: None });
            }
            return Err(Rejected::Configuration(Invalid::new(
                "there is no AudioSpecificConfig, and the frames have no ADTS headers",
            )));
        };
        let mut fresh = None;
        if !self.usable {
            let mut configuration = BytesMut::with_capacity(2);
            configuration.put_slice(&adts.configuration);
            fresh = Some(configure(configuration.freeze()).map_err(Rejected::Configuration)?);
            self.usable = true;
        }
        let data = frame.slice(adts.header_bytes.min(frame.len())..);
        if data.is_empty() {
            return Err(Rejected::Broken("an ADTS header stands alone".into()));
        }
        Ok(Unit { data, sync: true, configured: fresh })
    }
}

fn configure(given: Bytes) -> Result<Configured, Invalid> {
    let config = AudioSpecificConfig::read(&given)?;
    let shape = Shape::Audio {
        sample_rate: config.output_rate,
        channels: config.output_channels,
        bits_per_sample: 0,
    };
    Ok(Configured::plain(given, shape))
}

/// `mp4a.40.` and the object type (RFC 6381 §3.3).
pub(super) fn rfc6381(configuration: &[u8]) -> Option<String> {
    let config = AudioSpecificConfig::read(configuration).ok()?;
    Some(format!("mp4a.40.{}", config.object_type))
}

#[cfg(test)]
#[path = "../aac_test.rs"]
mod tests;
