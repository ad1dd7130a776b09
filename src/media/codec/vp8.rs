//! VP8: what a frame's header tells (RFC 6386 §9.1).
//!
//! There is no configuration; the size stands in each key frame.

use bytes::Bytes;

use super::configured::{Configured, Invalid};
use super::unit::{Rejected, Unit};
use crate::Shape;

/// Reads the frames of one track.
#[derive(Debug)]
pub(crate) struct Frames {
    size: (u32, u32),
}

impl Frames {
    pub(crate) fn new(shape: Shape) -> (Self, Option<Configured>) {
        let size = match shape {
            Shape::Video { width, height } => (width, height),
            _ => (0, 0),
        };
        let configured = (size.0 > 0 && size.1 > 0).then(|| configured(size));
        (Self { size }, configured)
    }

    pub(crate) fn read(&mut self, frame: &Bytes) -> Result<Unit, Rejected> {
        let key_size = read_header(frame).map_err(|e| Rejected::Broken(e.to_string()))?;
        let mut fresh = None;
        match key_size {
            Some(size) if size != self.size => {
                self.size = size;
                fresh = Some(configured(size));
            }
            None if self.size.0 == 0 || self.size.1 == 0 => return Err(Rejected::NoConfiguration),
            _ => {}
        }
        Ok(Unit { data: frame.clone(), sync: key_size.is_some(), configured: fresh })
    }
}

fn configured((width, height): (u32, u32)) -> Configured {
    Configured::plain(Bytes::new(), Shape::Video { width, height })
}

/// The size, if `frame` is a key frame.
fn read_header(frame: &[u8]) -> Result<Option<(u32, u32)>, Invalid> {
    const NOT_KEY: u8 = 1;
    const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
    let [tag, _, _, rest @ ..] = frame else {
        return Err(Invalid::ends_inside("the frame tag"));
    };
    if tag >> 1 & 7 > 3 {
        return Err(Invalid::new(format!("version is {}, the largest legal value is 3", tag >> 1 & 7)));
    }
    if tag & NOT_KEY != 0 {
        return Ok(None);
    }
    let [a, b, c, width_low, width_high, height_low, height_high, ..] = rest else {
        return Err(Invalid::ends_inside("the size of a key frame"));
    };
    if [*a, *b, *c] != START_CODE {
        return Err(Invalid::new("a key frame has no start code 9d 01 2a"));
    }
    // The upper two bits say how to scale for display.
    let width = u32::from(u16::from_le_bytes([*width_low, *width_high]) & 0x3fff);
    let height = u32::from(u16::from_le_bytes([*height_low, *height_high]) & 0x3fff);
    if width == 0 || height == 0 {
        return Err(Invalid::new(format!("a key frame has the size {width}x{height}")));
    }
    Ok(Some((width, height)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 10] = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x41, 0xf0, 0x00];

    #[test]
    fn reads_the_size_without_the_scale() {
        assert_eq!(read_header(&KEY).unwrap(), Some((320, 240)));
        assert_eq!(read_header(&[0x11, 0, 0]).unwrap(), None);
    }

    #[test]
    fn refuses_what_is_no_frame() {
        for (bytes, says) in [
            (&KEY[..9], "size"),
            (&[0x10, 0, 0, 1, 2, 3, 4, 5, 6, 7], "start code"),
            (&[0x10], "frame tag"),
            (&[0x1e, 0, 0], "version"),
            (&[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 1, 0], "0x1"),
        ] {
            assert!(read_header(bytes).unwrap_err().to_string().contains(says), "{bytes:?}");
        }
    }

    #[test]
    fn a_new_size_is_a_new_configuration() {
        let (mut frames, configured) = Frames::new(Shape::Video { width: 640, height: 480 });
        assert!(configured.is_some());
        let unit = frames.read(&Bytes::from_static(&KEY)).unwrap();
        assert_eq!(unit.configured.unwrap().shape, Shape::Video { width: 320, height: 240 });
        assert!(frames.read(&Bytes::from_static(&KEY)).unwrap().configured.is_none());
    }

    #[test]
    fn waits_for_a_key_frame_when_the_size_is_unknown() {
        for (width, height) in [(0, 0), (320, 0), (0, 240)] {
            let (mut frames, configured) = Frames::new(Shape::Video { width, height });
            assert!(configured.is_none());
            let inter = Bytes::from_static(&[0x11, 0, 0]);
            assert!(matches!(frames.read(&inter), Err(Rejected::NoConfiguration)));
            assert!(frames.read(&Bytes::from_static(&KEY)).unwrap().sync);
        }
    }
}
