//! AV1: OBUs, temporal units and the configuration record (AV1 specification §5.3, AV1 codec ISO
//! media file format binding §2.3).
//!
//! Frames are not decoded; of frame headers only the first bits are read.

mod sequence;

use bytes::{BufMut, Bytes, BytesMut};

use super::bits::Bits;
use super::configured::{Configured, Invalid};
use super::unit::{Rejected, Unit};
use crate::Shape;

use sequence::Sequence;

/// OBU types (§6.2.2).
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

/// One open bitstream unit.
#[derive(Debug, Clone, Copy)]
struct Obu<'a> {
    kind: u8,
    payload: &'a [u8],
    /// Header, size and payload.
    whole: &'a [u8],
}

/// Splits the first OBU off `bytes` (§5.3.1). One without a size reaches to the end.
fn split_obu(bytes: &[u8]) -> Result<(Obu<'_>, &[u8]), Invalid> {
    let mut bits = Bits::new(bytes);
    if bits.flag("obu_forbidden_bit")? {
        return Err(Invalid::new("obu_forbidden_bit is set"));
    }
    let kind = bits.byte(4, "obu_type")?;
    let extension = bits.flag("obu_extension_flag")?;
    let has_size = bits.flag("obu_has_size_field")?;
    bits.skip(1, "obu_reserved_1bit")?;
    let mut header_bytes = 1;
    if extension {
        bits.skip(8, "temporal_id")?;
        header_bytes += 1;
    }
    let mut size = bytes.len().saturating_sub(header_bytes);
    if has_size {
        let (value, size_bytes) = leb128(&mut bits)?;
        header_bytes += size_bytes;
        size = value;
    }
    let left = bytes.len().saturating_sub(header_bytes);
    let (whole, rest) = header_bytes
        .checked_add(size)
        .and_then(|end| bytes.split_at_checked(end))
        .ok_or_else(|| Invalid::new(format!("obu_size is {size} where {left} bytes are left")))?;
    let payload = whole.get(header_bytes..).unwrap_or_default();
    Ok((Obu { kind, payload, whole }, rest))
}

/// §4.10.5: at most 8 bytes, at most 32 bits of value.
fn leb128(bits: &mut Bits<'_>) -> Result<(usize, usize), Invalid> {
    let mut value = 0_u64;
    for index in 0..8 {
        let byte = bits.byte(8, "obu_size")?;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value)
                .map_err(|_| Invalid::new(format!("obu_size is {value}, more than 32 bits")))?;
            return Ok((value as usize, index + 1));
        }
    }
    Err(Invalid::new("obu_size has more than 8 bytes"))
}

/// The OBUs of `bytes` in order; ends after the first fault.
fn obus(bytes: &[u8]) -> impl Iterator<Item = Result<Obu<'_>, Invalid>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let split = split_obu(std::mem::take(&mut rest));
        Some(split.map(|(obu, following)| {
            rest = following;
            obu
        }))
    })
}

/// The first sequence header in `bytes`, with all bytes of its OBU.
fn find_sequence(bytes: &[u8]) -> Result<Option<(Sequence, &[u8])>, Invalid> {
    for obu in obus(bytes) {
        let obu = obu?;
        if obu.kind == SEQUENCE_HEADER {
            let sequence = Sequence::read(obu.payload).map_err(|e| e.within("the sequence header"))?;
            return Ok(Some((sequence, obu.whole)));
        }
    }
    Ok(None)
}

/// Checks an `AV1CodecConfigurationRecord` and gives the sequence header in it, if there is one.
fn check_record(record: &[u8]) -> Result<Option<(Sequence, &[u8])>, Invalid> {
    let mut bits = Bits::new(record);
    let marker = bits.byte(1, "marker")?;
    let version = bits.byte(7, "version")?;
    if marker != 1 || version != 1 {
        return Err(Invalid::new(format!("marker is {marker} and version {version}, both must be 1")));
    }
    let profile = bits.byte(3, "seq_profile")?;
    if profile > 2 {
        return Err(Invalid::new(format!("seq_profile is {profile}, the largest legal value is 2")));
    }
    bits.skip(21, "seq_level_idx_0 and the fields up to configOBUs")?;
    let found = find_sequence(record.get(4..).unwrap_or_default()).map_err(|e| e.within("configOBUs"))?;
    if let Some((sequence, _)) = &found
        && sequence.profile != profile
    {
        return Err(Invalid::new(format!(
            "seq_profile is {profile}, but {} in the sequence header",
            sequence.profile
        )));
    }
    Ok(found)
}

fn configured(record: Bytes, sequence: Option<&Sequence>) -> Configured {
    let (width, height) = sequence.map_or((0, 0), |s| (s.width, s.height));
    // A temporal unit shows exactly one frame, so nothing is ever reordered between samples.
    Configured {
        frame_seconds: sequence.and_then(|s| s.frame_seconds),
        ..Configured::plain(record, Shape::Video { width, height })
    }
}

/// Reads the temporal units of one track.
#[derive(Debug)]
pub(crate) struct Frames {
    /// The sequence header in force: all bytes of its OBU; empty until one is known.
    sequence: Bytes,
    reduced_still_picture: bool,
    usable: bool,
}

impl Frames {
    pub(crate) fn new(given: &Bytes) -> Result<(Self, Option<Configured>), Invalid> {
        let mut frames = Self { sequence: Bytes::new(), reduced_still_picture: false, usable: false };
        if given.is_empty() {
            return Ok((frames, None));
        }
        let found = check_record(given)?;
        frames.usable = true;
        if let Some((sequence, whole)) = &found {
            frames.sequence = Bytes::copy_from_slice(whole);
            frames.reduced_still_picture = sequence.reduced_still_picture;
        }
        let configured = configured(given.clone(), found.as_ref().map(|(sequence, _)| sequence));
        Ok((frames, Some(configured)))
    }

    pub(crate) fn read(&mut self, frame: &Bytes) -> Result<Unit, Rejected> {
        let broken = |fault: Invalid| Rejected::Broken(fault.to_string());
        let (mut picture, mut sync) = (false, false);
        let (mut delimiters, mut leading_bytes) = (0, 0);
        let mut fresh = None;
        let mut reduced = self.reduced_still_picture;
        for (index, obu) in obus(frame).enumerate() {
            let obu = obu.map_err(broken)?;
            match obu.kind {
                TEMPORAL_DELIMITER => {
                    delimiters += 1;
                    if index == 0 {
                        leading_bytes = obu.whole.len();
                    }
                }
                // The last one before the frame is in force.
                SEQUENCE_HEADER if !picture && self.sequence == obu.whole => {
                    reduced = self.reduced_still_picture;
                    fresh = None;
                }
                SEQUENCE_HEADER if !picture => {
                    let sequence = Sequence::read(obu.payload).map_err(broken)?;
                    reduced = sequence.reduced_still_picture;
                    fresh = Some((sequence, obu.whole));
                }
                FRAME | FRAME_HEADER if !picture => {
                    picture = true;
                    sync = reduced || shows_key_frame(obu.payload);
                }
                _ => {}
            }
        }
        if !picture {
            return Err(Rejected::NoPicture);
        }
        if !self.usable && !sync {
            return Err(Rejected::NoConfiguration);
        }
        let configured = match fresh {
            // Only a key frame may begin a new sequence (§7.5).
            Some((sequence, whole)) if sync => {
                self.sequence = Bytes::copy_from_slice(whole);
                self.reduced_still_picture = reduced;
                self.usable = true;
                Some(configured(sequence.record(whole), Some(&sequence)))
            }
            _ if self.usable => None,
            _ => {
                return Err(Rejected::Configuration(Invalid::new(
                    "there is no av1C record, and the first key frame has no sequence header",
                )));
            }
        };
        let data = match (delimiters, leading_bytes) {
            (0, _) => frame.clone(),
            (1, 1..) => frame.slice(leading_bytes..),
            _ => without_delimiters(frame),
        };
        Ok(Unit { data, sync, configured })
    }
}

fn without_delimiters(frame: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(frame.len());
    for obu in obus(frame).flatten().filter(|obu| obu.kind != TEMPORAL_DELIMITER) {
        out.put_slice(obu.whole);
    }
    out.freeze()
}

/// Whether a frame header begins a key frame that is shown, which is what a sync sample has
/// (§5.9.2, ISO binding §2.5).
fn shows_key_frame(header: &[u8]) -> bool {
    const SHOW_EXISTING: u8 = 0x80;
    const TYPE: u8 = 0x60;
    const SHOW: u8 = 0x10;
    header.first().is_some_and(|byte| byte & (SHOW_EXISTING | TYPE | SHOW) == SHOW)
}

/// `av01.` with profile, level, tier and bit depth (ISO binding §5).
pub(super) fn rfc6381(record: &[u8]) -> Option<String> {
    let profile_level = *record.get(1)?;
    let flags = *record.get(2)?;
    let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match flags >> 5 & 3 {
        0 | 1 => 8,
        2 => 10,
        _ => 12,
    };
    Some(format!("av01.{}.{:02}{tier}.{depth:02}", profile_level >> 5, profile_level & 0x1f))
}

/// Nominal duration of a frame in seconds as a fraction, if the sequence header tells.
pub(super) fn frame_seconds(record: &[u8]) -> Option<(u32, u32)> {
    check_record(record).ok()??.0.frame_seconds
}

#[cfg(test)]
#[path = "../av1_test.rs"]
mod tests;
