//! VP9: what a frame's uncompressed header tells (VP9 bitstream specification §6.2), and the
//! configuration record (VP codec ISO media file format binding §2.2).

use bytes::{BufMut, Bytes, BytesMut};

use super::bits::Bits;
use super::configured::{Configured, Invalid};
use super::fields::Fields;
use super::unit::{Rejected, Unit};
use crate::Shape;

/// Colour values for "not specified" (ISO/IEC 23091-2).
const UNSPECIFIED: u8 = 2;
const RECORD_BYTES: usize = 8;

/// What a key frame's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KeyFrame {
    profile: u8,
    bit_depth: u8,
    /// As the record codes it: 1 is 4:2:0 with collocated samples, 2 is 4:2:2, 3 is 4:4:4.
    chroma: u8,
    full_range: bool,
    size: (u32, u32),
}

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    Key(KeyFrame),
    Inter,
}

/// Reads the frames of one track.
#[derive(Debug)]
pub(crate) struct Frames {
    /// The container gave a record, which stays in force as long as the frames agree with it.
    record: Option<Bytes>,
    size: (u32, u32),
}

impl Frames {
    pub(crate) fn new(given: &Bytes, shape: Shape) -> Result<(Self, Option<Configured>), Invalid> {
        let size = match shape {
            Shape::Video { width, height } => (width, height),
            _ => (0, 0),
        };
        let record = read_configuration(given)?;
        let record = record.filter(|_| size.0 > 0 && size.1 > 0).map(|record| with_level(record, size));
        let configured = record.clone().map(|record| configured(record, size));
        Ok((Self { record, size }, configured))
    }

    pub(crate) fn read(&mut self, frame: &Bytes) -> Result<Unit, Rejected> {
        let header = read_header(frame).map_err(|e| Rejected::Broken(e.to_string()))?;
        let mut fresh = None;
        match header {
            Header::Key(key) => {
                let agrees = self.record.as_ref().is_some_and(|record| key.agrees_with(record));
                if !agrees || key.size != self.size {
                    let record = match (&self.record, agrees) {
                        (Some(record), true) => record.clone(),
                        _ => key.record(),
                    };
                    self.record = Some(record.clone());
                    self.size = key.size;
                    fresh = Some(configured(record, key.size));
                }
            }
            Header::Inter if self.record.is_none() => return Err(Rejected::NoConfiguration),
            Header::Inter => {}
        }
        Ok(Unit { data: frame.clone(), sync: matches!(header, Header::Key(_)), configured: fresh })
    }
}

fn configured(record: Bytes, (width, height): (u32, u32)) -> Configured {
    Configured::plain(record, Shape::Video { width, height })
}

impl KeyFrame {
    fn agrees_with(&self, record: &[u8]) -> bool {
        let depth_and_chroma = record.get(2).copied().unwrap_or_default();
        // The record tells two places of 4:2:0 samples apart, the bitstream does not.
        let same_chroma = (depth_and_chroma >> 1 & 7).max(1) == self.chroma;
        record.first() == Some(&self.profile) && depth_and_chroma >> 4 == self.bit_depth && same_chroma
    }

    fn record(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(RECORD_BYTES);
        out.put_u8(self.profile);
        out.put_u8(level_of(self.size));
        out.put_u8(self.bit_depth << 4 | self.chroma << 1 | u8::from(self.full_range));
        out.put_slice(&[UNSPECIFIED, UNSPECIFIED, UNSPECIFIED, 0, 0]);
        out.freeze()
    }
}

/// The record with a level in it: players refuse codec strings of level 0, which is what writers
/// put that do not know it.
fn with_level(record: Bytes, size: (u32, u32)) -> Bytes {
    const LEVELS: [u8; 14] = [10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 52, 60, 61, 62];
    match record[..] {
        [profile, level, ref rest @ ..] if !LEVELS.contains(&level) => {
            let mut out = BytesMut::with_capacity(record.len());
            out.put_slice(&[profile, level_of(size)]);
            out.put_slice(rest);
            out.freeze()
        }
        _ => record,
    }
}

/// The lowest level whose pictures are large enough (VP9 levels, table of MaxLumaPictureSize).
fn level_of((width, height): (u32, u32)) -> u8 {
    const LEVELS: [(u64, u8); 9] = [
        (36_864, 10),
        (73_728, 11),
        (122_880, 20),
        (245_760, 21),
        (552_960, 30),
        (983_040, 31),
        (2_228_224, 40),
        (8_912_896, 50),
        (35_651_584, 60),
    ];
    let pixels = u64::from(width) * u64::from(height);
    LEVELS.iter().find(|(most, _)| pixels <= *most).map_or(62, |(_, level)| *level)
}

/// The record in the container's bytes: with or without the full-box header, or none in
/// Matroska's list of features and in an empty configuration.
fn read_configuration(given: &Bytes) -> Result<Option<Bytes>, Invalid> {
    const FULL_BOX_HEADER: [u8; 4] = [1, 0, 0, 0];
    if given.is_empty() || is_feature_list(given) {
        // Both leave the essentials to the first key frame.
        return Ok(None);
    }
    let with_header = given.starts_with(&FULL_BOX_HEADER) && given.len() >= RECORD_BYTES + 4;
    let record = if with_header { given.slice(4..) } else { given.clone() };
    let mut fields = Fields::new(&record);
    let profile = fields.u8("profile")?;
    if profile > 3 {
        return Err(Invalid::new(format!("profile is {profile}, the largest legal value is 3")));
    }
    fields.skip(1, "level")?;
    let depth_and_chroma = fields.u8("bitDepth")?;
    let bit_depth = depth_and_chroma >> 4;
    if !matches!(bit_depth, 8 | 10 | 12) {
        return Err(Invalid::new(format!("bitDepth is {bit_depth}, it must be 8, 10 or 12")));
    }
    let chroma = depth_and_chroma >> 1 & 7;
    if chroma > 3 {
        return Err(Invalid::new(format!("chromaSubsampling is {chroma}, the largest legal value is 3")));
    }
    fields.skip(3, "colourPrimaries")?;
    let extra = fields.u16("codecInitializationDataSize")?;
    if extra != 0 {
        return Err(Invalid::new(format!("codecInitializationDataSize is {extra}, it must be 0 for VP9")));
    }
    Ok(Some(record.slice(..RECORD_BYTES)))
}

/// WebM's CodecPrivate for VP9: features 1 to 4, each as id, length 1 and a value.
fn is_feature_list(given: &[u8]) -> bool {
    given.len().is_multiple_of(3) && given.chunks(3).all(|feature| matches!(feature, [1..=4, 1, _]))
}

/// §6.2; a superframe begins with its first frame.
fn read_header(frame: &[u8]) -> Result<Header, Invalid> {
    const SYNC_CODE: u32 = 0x49_8342;
    const SRGB: u32 = 7;
    let mut bits = Bits::new(frame);
    let marker = bits.number(2, "frame_marker")?;
    if marker != 2 {
        return Err(Invalid::new(format!("frame_marker is {marker}, it must be 2")));
    }
    let profile = bits.byte(1, "profile_low_bit")? | bits.byte(1, "profile_high_bit")? << 1;
    if profile == 3 {
        bits.skip(1, "reserved_zero")?;
    }
    if bits.flag("show_existing_frame")? || bits.flag("frame_type")? {
        return Ok(Header::Inter);
    }
    bits.skip(2, "error_resilient_mode")?;
    let code = bits.number(24, "frame_sync_code")?;
    if code != SYNC_CODE {
        return Err(Invalid::new(format!("frame_sync_code is {code:#08x}, it must be {SYNC_CODE:#08x}")));
    }
    let bit_depth = match profile {
        0 | 1 => 8,
        _ if bits.flag("ten_or_twelve_bit")? => 12,
        _ => 10,
    };
    let (mut full_range, mut chroma) = (true, 3);
    if bits.number(3, "color_space")? == SRGB {
        bits.skip(usize::from(profile & 1), "reserved_zero")?;
    } else {
        full_range = bits.flag("color_range")?;
        chroma = 1;
        if profile & 1 == 1 {
            chroma = match (bits.flag("subsampling_x")?, bits.flag("subsampling_y")?) {
                (false, _) => 3,
                (true, false) => 2,
                (true, true) => 1,
            };
            bits.skip(1, "reserved_zero")?;
        }
    }
    let width = bits.number(16, "frame_width_minus_1")? + 1;
    let height = bits.number(16, "frame_height_minus_1")? + 1;
    Ok(Header::Key(KeyFrame { profile, bit_depth, chroma, full_range, size: (width, height) }))
}

/// `vp09.` with profile, level and bit depth (VP codec binding §5).
pub(super) fn rfc6381(record: &[u8]) -> Option<String> {
    let [profile, level, depth_and_chroma, ..] = record else { return None };
    Some(format!("vp09.{profile:02}.{level:02}.{:02}", depth_and_chroma >> 4))
}

#[cfg(test)]
#[path = "vp9_test.rs"]
mod tests;
