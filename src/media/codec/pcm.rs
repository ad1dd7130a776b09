//! Linear PCM and G.711: nothing but a shape.

use bytes::Bytes;

use super::configured::{Configured, Invalid};
use super::unit::{Rejected, Unit};
use crate::{Codec, Shape};

/// More channels than any PCM track has: the largest layouts have 24, ambisonics 64.
const MAX_CHANNELS: u16 = 64;

/// Reads the frames of one track.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Bytes of one sample of each channel.
    block_bytes: usize,
}

impl Frames {
    pub(crate) fn new(codec: &Codec, shape: Shape) -> Result<(Self, Configured), Invalid> {
        let Shape::Audio { sample_rate, channels, bits_per_sample } = shape else {
            return Err(Invalid::new("the track has no audio settings"));
        };
        if sample_rate == 0 {
            return Err(Invalid::new("the sampling frequency is 0"));
        }
        if channels == 0 || channels > MAX_CHANNELS {
            return Err(Invalid::new(format!(
                "the channel count is {channels}, it must be 1 to {MAX_CHANNELS}"
            )));
        }
        let bits_per_sample = match codec {
            // Containers write 16, what G.711 decodes to, or leave it out; one sample is one byte.
            Codec::PcmAlaw | Codec::PcmMulaw => 8,
            _ => bits_per_sample,
        };
        let allowed: &[u16] = match codec {
            Codec::PcmFloat => &[32, 64],
            _ => &[8, 16, 24, 32],
        };
        if !allowed.contains(&bits_per_sample) {
            return Err(Invalid::new(format!(
                "the bit depth is {bits_per_sample}, it must be one of {allowed:?}"
            )));
        }
        let shape = Shape::Audio { sample_rate, channels, bits_per_sample };
        let block_bytes = usize::from(channels) * usize::from(bits_per_sample / 8);
        Ok((Self { block_bytes }, Configured::plain(Bytes::new(), shape)))
    }

    pub(crate) fn read(&mut self, frame: &Bytes) -> Result<Unit, Rejected> {
        if !frame.len().is_multiple_of(self.block_bytes) {
            return Err(Rejected::Broken(format!(
                "{} bytes of PCM are no multiple of {}",
                frame.len(),
                self.block_bytes
            )));
        }
        Ok(Unit { data: frame.clone(), sync: true, configured: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g711_has_eight_bits_whatever_the_container_says() {
        let shape = Shape::Audio { sample_rate: 8000, channels: 1, bits_per_sample: 16 };
        let (_, configured) = Frames::new(&Codec::PcmAlaw, shape).unwrap();
        assert_eq!(configured.shape, Shape::Audio { sample_rate: 8000, channels: 1, bits_per_sample: 8 });
    }

    #[test]
    fn names_the_field_that_makes_it_unplayable() {
        for (sample_rate, channels, bits_per_sample, says) in [
            (0, 1, 16, "sampling frequency"),
            (8000, 0, 16, "channel count"),
            (8000, 1, 13, "bit depth is 13"),
        ] {
            let shape = Shape::Audio { sample_rate, channels, bits_per_sample };
            let error = Frames::new(&Codec::PcmSigned, shape).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn a_frame_that_breaks_off_inside_a_sample_is_broken() {
        let shape = Shape::Audio { sample_rate: 48_000, channels: 2, bits_per_sample: 24 };
        let (mut frames, _) = Frames::new(&Codec::PcmSigned, shape).unwrap();
        assert!(frames.read(&Bytes::from_static(&[0; 12])).is_ok());
        assert!(matches!(frames.read(&Bytes::from_static(&[0; 11])), Err(Rejected::Broken(_))));
    }
}
