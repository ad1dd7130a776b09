//! MPEG audio layer III: what the header of a frame tells (ISO/IEC 11172-3 §2.4.1.3, 13818-3).

use bytes::Bytes;

use super::configured::{Configured, Invalid};
use super::unit::{Rejected, Unit};
use crate::Shape;

/// Reads the frames of one track. The first tells what the track is: MP4 files often say two
/// channels where there is one, and a track that changes then would cut the first fragment in two.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    shape: Option<(u32, u16)>,
}

impl Frames {
    pub(crate) fn read(&mut self, frame: &Bytes) -> Result<Unit, Rejected> {
        let shape = read_header(frame).map_err(|e| Rejected::Broken(e.to_string()))?;
        let fresh = (self.shape != Some(shape)).then(|| configured(shape));
        self.shape = Some(shape);
        Ok(Unit { data: frame.clone(), sync: true, configured: fresh })
    }
}

fn configured((sample_rate, channels): (u32, u16)) -> Configured {
    Configured::plain(Bytes::new(), Shape::Audio { sample_rate, channels, bits_per_sample: 0 })
}

/// `mp4a.` and the object type: MPEG-2 has the sample rates below those of MPEG-1.
pub(super) const fn rfc6381(shape: Shape) -> &'static str {
    match shape {
        Shape::Audio { sample_rate: ..32_000, .. } => "mp4a.69",
        _ => "mp4a.6B",
    }
}

/// Sample rate and channels.
fn read_header(frame: &[u8]) -> Result<(u32, u16), Invalid> {
    let [sync, version_layer, rate, mode, ..] = *frame else {
        return Err(Invalid::ends_inside("the frame header"));
    };
    if sync != 0xff || version_layer & 0xe0 != 0xe0 {
        return Err(Invalid::new("a frame does not begin with the sync word of MPEG audio"));
    }
    let layer = 4 - (version_layer >> 1 & 3);
    if layer != 3 {
        return Err(Invalid::new(format!("a frame is of layer {layer}, it must be 3")));
    }
    let halvings = match version_layer >> 3 & 3 {
        3 => 0,
        2 => 1,
        0 => 2,
        _ => return Err(Invalid::new("the version of a frame is reserved")),
    };
    if rate >> 4 == 15 {
        return Err(Invalid::new("bitrate_index of a frame is 15, which is reserved"));
    }
    let full_rate: u32 = match rate >> 2 & 3 {
        0 => 44_100,
        1 => 48_000,
        2 => 32_000,
        _ => return Err(Invalid::new("sampling_frequency of a frame is 3, which is reserved")),
    };
    const MONO: u8 = 3;
    Ok((full_rate >> halvings, if mode >> 6 == MONO { 1 } else { 2 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_versions() {
        assert_eq!(read_header(&[0xff, 0xfb, 0x90, 0x44]).unwrap(), (44_100, 2));
        assert_eq!(read_header(&[0xff, 0xf3, 0x94, 0xc0]).unwrap(), (24_000, 1));
        assert_eq!(read_header(&[0xff, 0xe3, 0x98, 0x00]).unwrap(), (8_000, 2));
    }

    #[test]
    fn names_what_is_reserved() {
        for (bytes, says) in [
            ([0xff, 0xfd, 0x90, 0x44], "layer 2"),
            ([0xff, 0xeb, 0x90, 0x44], "version"),
            ([0xff, 0xfb, 0xf0, 0x44], "bitrate_index"),
            ([0xff, 0xfb, 0x9c, 0x44], "sampling_frequency"),
            ([0x49, 0x44, 0x33, 0x03], "sync word"),
        ] {
            assert!(read_header(&bytes).unwrap_err().to_string().contains(says), "{says}");
        }
    }

    #[test]
    fn the_first_frame_tells_what_the_track_is() {
        let mut frames = Frames::default();
        let frame = Bytes::from_static(&[0xff, 0xfb, 0x90, 0x44, 0]);
        let shape = frames.read(&frame).unwrap().configured.unwrap().shape;
        assert_eq!(shape, Shape::Audio { sample_rate: 44_100, channels: 2, bits_per_sample: 0 });
        assert!(frames.read(&frame).unwrap().configured.is_none());
    }
}
