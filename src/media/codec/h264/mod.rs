//! H.264: the configuration record and what a NAL unit is for (ISO/IEC 14496-15 §5.3.3, ITU-T H.264).
//!
//! Pictures are not decoded; of slices only the first fields are read.

mod pps;
mod sps;

use bytes::{BufMut, Bytes, BytesMut};

use super::bits::Bits;
use super::configured::Invalid;
use super::fields::Fields;
use super::nal;
use super::parameter_sets::{self, ParameterSets, Record, Summary};

use pps::Pps;
use sps::Sps;

/// NAL unit types (ITU-T H.264 table 7-1).
const SLICE: u8 = 1;
const SLICE_EXTENSION_LAST: u8 = 5;
const IDR: u8 = 5;
const SEI: u8 = 6;
pub(super) const SPS: u8 = 7;
pub(super) const PPS: u8 = 8;
const SPS_EXTENSION: u8 = 13;

/// SEI payload type of a recovery point (§D.1.8).
const RECOVERY_POINT: u32 = 6;

/// The type of a NAL unit; none if its header is not one of H.264.
pub(super) fn unit_type(unit: &[u8]) -> Option<u8> {
    match unit {
        [header, ..] if header & 0x80 == 0 => Some(header & 0x1f),
        _ => None,
    }
}

/// The id of a parameter set, by which a later one replaces it; none for other units.
pub(super) fn set_id(unit: &[u8]) -> Result<Option<u16>, Invalid> {
    match unit_type(unit) {
        Some(SPS) => sps::id(unit).map(Some).map_err(|e| e.within("the SPS")),
        Some(PPS) => Pps::read(unit).map(|pps| Some(u16::from(pps.id))).map_err(|e| e.within("the PPS")),
        _ => Ok(None),
    }
}

/// Notes what `unit` says about its frame.
pub(super) fn note(unit: &[u8], kind: u8, summary: &mut Summary) {
    match kind {
        IDR => {
            summary.picture = true;
            summary.random_access = true;
        }
        SLICE..=SLICE_EXTENSION_LAST => {
            summary.picture = true;
            // Data partitions B and C (types 3 and 4) have no slice type and come after an A.
            if matches!(kind, 1 | 2) && !is_intra_slice(unit) {
                summary.only_intra = false;
            }
        }
        SEI if has_recovery_point(unit) => summary.recovery_point = true,
        _ => {}
    }
}

/// Whether a slice is of type I or SI (§7.4.3, table 7-6).
fn is_intra_slice(unit: &[u8]) -> bool {
    // Two Exp-Golomb codes of a legal slice fit in 8 bytes.
    let mut head = [0_u8; 8];
    let payload = nal::unescaped(unit.get(1..).unwrap_or_default());
    head.iter_mut().zip(payload).for_each(|(to, from)| *to = from);
    let mut bits = Bits::new(&head);
    let slice_type = bits.ue("first_mb_in_slice").and_then(|_| bits.ue("slice_type"));
    matches!(slice_type, Ok(2 | 4 | 7 | 9))
}

/// Whether a unit of supplemental enhancement information holds a recovery point (§7.3.2.3.1).
fn has_recovery_point(unit: &[u8]) -> bool {
    fn coded(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
        let mut sum = 0_u32;
        loop {
            let byte = bytes.next()?;
            sum = sum.saturating_add(u32::from(byte));
            if byte != u8::MAX {
                return Some(sum);
            }
        }
    }
    let mut bytes = nal::unescaped(unit.get(1..).unwrap_or_default());
    while let (Some(kind), Some(size)) = (coded(&mut bytes), coded(&mut bytes)) {
        if kind == RECOVERY_POINT {
            return true;
        }
        if size > 0 && bytes.nth(size as usize - 1).is_none() {
            return false;
        }
    }
    false
}

/// Reads an `AVCDecoderConfigurationRecord` into `sets` and gives the size of lengths.
pub(super) fn read_record(record: &[u8], sets: &mut ParameterSets) -> Result<u8, Invalid> {
    let mut fields = Fields::new(record);
    let version = fields.u8("configurationVersion")?;
    if version != 1 {
        return Err(Invalid::new(format!("configurationVersion is {version}, it must be 1")));
    }
    let profile = fields.u8("AVCProfileIndication")?;
    fields.skip(2, "profile_compatibility and AVCLevelIndication")?;
    let length_bytes = (fields.u8("lengthSizeMinusOne")? & 3) + 1;
    let sps_count = fields.u8("numOfSequenceParameterSets")? & 0x1f;
    for number in 0..sps_count {
        let unit = fields.counted("sequenceParameterSetLength", "sequenceParameterSetNALUnit")?;
        require_type(unit, SPS, "sequenceParameterSetNALUnit", number)?;
        sets.take(unit, set_id(unit)?.unwrap_or_default(), SPS)?;
    }
    let pps_count = fields.u8("numOfPictureParameterSets")?;
    for number in 0..pps_count {
        let unit = fields.counted("pictureParameterSetLength", "pictureParameterSetNALUnit")?;
        require_type(unit, PPS, "pictureParameterSetNALUnit", number)?;
        sets.take(unit, set_id(unit)?.unwrap_or_default(), PPS)?;
    }
    // The chroma fields behind are left out by some producers and needed by no player, but what
    // is there must be whole: a record that breaks off was cut on its way.
    if sps_count > 0 && sps::has_chroma_fields(profile) && fields.left() >= 4 {
        fields.skip(3, "chroma_format")?;
        for number in 0..fields.u8("numOfSequenceParameterSetExt")? {
            let unit = fields.counted("sequenceParameterSetExtLength", "sequenceParameterSetExtNALUnit")?;
            require_type(unit, SPS_EXTENSION, "sequenceParameterSetExtNALUnit", number)?;
        }
    }
    let mut profiles = sets.of(SPS).map(|unit| unit.get(1).copied());
    if sps_count > 0 && !profiles.any(|idc| idc == Some(profile)) {
        let inside = sets.of(SPS).next().and_then(|unit| unit.get(1).copied()).unwrap_or_default();
        return Err(Invalid::new(format!(
            "AVCProfileIndication is {profile}, but profile_idc in the SPS is {inside}"
        )));
    }
    Ok(length_bytes)
}

fn require_type(unit: &[u8], wanted: u8, field: &str, number: u8) -> Result<(), Invalid> {
    match unit_type(unit) {
        Some(kind) if kind == wanted => Ok(()),
        Some(kind) => {
            Err(Invalid::new(format!("{field} {number} is a NAL unit of type {kind}, it must be {wanted}")))
        }
        None if unit.is_empty() => Err(Invalid::new(format!("{field} {number} is empty"))),
        None => Err(Invalid::new(format!("{field} {number} has the forbidden_zero_bit set"))),
    }
}

/// Checks complete `sets` and writes their record. `given` is the record they came from, if they
/// came unchanged from one: it is kept where it already is canonical.
pub(super) fn configure(sets: &ParameterSets, given: Option<&Bytes>) -> Result<Record, Invalid> {
    let mut first: Option<Sps> = None;
    let mut known = [false; 32];
    let mut depth = Some(0);
    for unit in sets.of(SPS) {
        let sps = Sps::read(unit).map_err(|e| e.within("the SPS"))?;
        if let Some(known) = known.get_mut(usize::from(sps.id)) {
            *known = true;
        }
        depth = depth.zip(sps.reorder_depth).map(|(a, b)| a.max(b));
        first.get_or_insert(sps);
    }
    let sps = first.ok_or_else(|| Invalid::new("it has no sequence parameter set (SPS)"))?;
    let mut any_pps = false;
    for unit in sets.of(PPS) {
        let pps = Pps::read(unit).map_err(|e| e.within("the PPS"))?;
        if known.get(usize::from(pps.sps_id)) != Some(&true) {
            return Err(Invalid::new(format!(
                "seq_parameter_set_id in the PPS is {}, and there is no such SPS",
                pps.sps_id
            )));
        }
        any_pps = true;
    }
    if !any_pps {
        return Err(Invalid::new("it has no picture parameter set (PPS)"));
    }
    let configuration = match given {
        Some(record) if record.get(4) == Some(&0xff) => record.clone(),
        _ => write_record(sets, &sps)?,
    };
    Ok(Record {
        configuration,
        width: sps.width,
        height: sps.height,
        reorder_depth: depth,
        frame_seconds: sps.frame_seconds,
    })
}

fn write_record(sets: &ParameterSets, sps: &Sps) -> Result<Bytes, Invalid> {
    let mut out = BytesMut::with_capacity(sets.bytes() + 64);
    out.put_slice(&[1, sps.profile_idc, sps.constraints, sps.level_idc, 0xff]);
    out.put_u8(0xe0 | parameter_sets::count(sets, SPS, 31, "sequence")?);
    parameter_sets::put_all(sets, SPS, &mut out)?;
    out.put_u8(parameter_sets::count(sets, PPS, 255, "picture")?);
    parameter_sets::put_all(sets, PPS, &mut out)?;
    if sps::has_chroma_fields(sps.profile_idc) {
        out.put_u8(0xfc | sps.chroma_format_idc);
        out.put_u8(0xf8 | sps.bit_depth_luma_minus8);
        out.put_u8(0xf8 | sps.bit_depth_chroma_minus8);
        out.put_u8(0);
    }
    Ok(out.freeze())
}

/// `avc1.` and the profile, constraint and level bytes (RFC 6381 §3.3).
pub(super) fn rfc6381(record: &[u8]) -> Option<String> {
    let profile = record.get(1..4)?;
    Some(profile.iter().fold(String::from("avc1."), |text, byte| format!("{text}{byte:02X}")))
}

/// Nominal duration of a frame in seconds as a fraction, if the record's SPS tells.
pub(super) fn frame_seconds(record: &[u8]) -> Option<(u32, u32)> {
    let mut sets = ParameterSets::default();
    read_record(record, &mut sets).ok()?;
    Sps::read(sets.of(SPS).next()?).ok()?.frame_seconds
}

#[cfg(test)]
#[path = "../h264_test.rs"]
mod tests;
