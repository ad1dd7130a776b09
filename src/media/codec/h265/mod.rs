//! H.265: the configuration record and what a NAL unit is for (ISO/IEC 14496-15 §8.3.3, ITU-T H.265).
//!
//! Pictures are not decoded, and only the base layer of layered streams is looked at.

mod sps;

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};

use super::bits::Bits;
use super::configured::Invalid;
use super::fields::Fields;
use super::nal;
use super::parameter_sets::{self, ParameterSets, Record, Summary};

use sps::Sps;

/// NAL unit types (ITU-T H.265 table 7-1).
const LAST_SLICE: u8 = 31;
const FIRST_RANDOM_ACCESS: u8 = 16;
const LAST_RANDOM_ACCESS: u8 = 23;
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;

/// The sets that a decoder needs, in the order in which records hold them.
pub(super) const SETS: [u8; 3] = [VPS, SPS, PPS];

/// The type of a NAL unit; none if its header is not one of H.265.
pub(super) fn unit_type(unit: &[u8]) -> Option<u8> {
    match unit {
        [first, second, ..] if first & 0x80 == 0 && second & 7 != 0 => Some(first >> 1 & 0x3f),
        _ => None,
    }
}

/// Whether a NAL unit belongs to the base layer (nuh_layer_id 0).
fn is_base_layer(unit: &[u8]) -> bool {
    matches!(unit, [first, second, ..] if first & 1 == 0 && second >> 3 == 0)
}

/// The id of a parameter set of the base layer, by which a later one replaces it; none for other
/// units.
pub(super) fn set_id(unit: &[u8]) -> Result<Option<u16>, Invalid> {
    if !is_base_layer(unit) {
        return Ok(None);
    }
    match unit_type(unit) {
        Some(VPS) => vps_id(unit).map(Some).map_err(|e| e.within("the VPS")),
        Some(SPS) => sps::id(unit).map(Some).map_err(|e| e.within("the SPS")),
        Some(PPS) => pps_ids(unit).map(|(id, _)| Some(id)).map_err(|e| e.within("the PPS")),
        _ => Ok(None),
    }
}

fn vps_id(unit: &[u8]) -> Result<u16, Invalid> {
    Ok(u16::from(Bits::new(unit.get(2..).unwrap_or_default()).byte(4, "vps_video_parameter_set_id")?))
}

/// Ids of a picture parameter set and of its sequence parameter set (§7.3.2.3).
fn pps_ids(unit: &[u8]) -> Result<(u16, u8), Invalid> {
    let head: Vec<u8> = nal::unescaped(unit.get(2..).unwrap_or_default()).take(16).collect();
    let mut bits = Bits::new(&head);
    let id = bits.ue_up_to(63, "pps_pic_parameter_set_id")?;
    let sps_id = bits.ue_up_to(15, "pps_seq_parameter_set_id")?;
    bits.skip(7, "dependent_slice_segments_enabled_flag")?;
    Ok((u16::try_from(id).unwrap_or(u16::MAX), u8::try_from(sps_id).unwrap_or(u8::MAX)))
}

/// Notes what a unit of the given type says about its frame.
pub(super) fn note(kind: u8, summary: &mut Summary) {
    match kind {
        // IDR, CRA and BLA pictures and the reserved types of random access.
        FIRST_RANDOM_ACCESS..=LAST_RANDOM_ACCESS => {
            summary.picture = true;
            summary.random_access = true;
        }
        0..=LAST_SLICE => {
            summary.picture = true;
            summary.only_intra = false;
        }
        _ => {}
    }
}

/// Reads an `HEVCDecoderConfigurationRecord` into `sets` and gives the size of lengths.
pub(super) fn read_record(record: &[u8], sets: &mut ParameterSets) -> Result<u8, Invalid> {
    let mut fields = Fields::new(record);
    let version = fields.u8("configurationVersion")?;
    // Before the standard was final, writers put 0 here with the same layout.
    if version > 1 {
        return Err(Invalid::new(format!("configurationVersion is {version}, it must be 1")));
    }
    let profile = fields.u8("general_profile_idc")? & 0x1f;
    fields.skip(19, "general_level_idc and the fields up to avgFrameRate")?;
    let length_bytes = (fields.u8("lengthSizeMinusOne")? & 3) + 1;
    for _ in 0..fields.u8("numOfArrays")? {
        let kind = fields.u8("NAL_unit_type")? & 0x3f;
        for number in 0..fields.u16("numNalus")? {
            let unit = fields.counted("nalUnitLength", "nalUnit")?;
            if !SETS.contains(&kind) {
                continue;
            }
            match unit_type(unit) {
                Some(found) if found == kind => {}
                Some(found) => {
                    return Err(Invalid::new(format!(
                        "nalUnit {number} in the array of NAL_unit_type {kind} is of type {found}"
                    )));
                }
                None => {
                    return Err(Invalid::new(format!(
                        "nalUnit {number} in the array of NAL_unit_type {kind} has no valid header"
                    )));
                }
            }
            if let Some(id) = set_id(unit)? {
                sets.take(unit, id, kind)?;
            }
        }
    }
    if let Some(unit) = sets.of(SPS).next() {
        let inside = unit.get(3).map_or(0, |byte| byte & 0x1f);
        if inside != profile {
            return Err(Invalid::new(format!("general_profile_idc is {profile}, but {inside} in the SPS")));
        }
    }
    Ok(length_bytes)
}

/// Checks complete `sets` and writes their record. `given` is the record they came from, if they
/// came unchanged from one: it is kept where it already is canonical.
pub(super) fn configure(sets: &ParameterSets, given: Option<&Bytes>) -> Result<Record, Invalid> {
    if sets.of(VPS).next().is_none() {
        return Err(Invalid::new("it has no video parameter set (VPS)"));
    }
    let mut first: Option<Sps> = None;
    let mut known = [false; 16];
    let mut depth = 0;
    for unit in sets.of(SPS) {
        let sps = Sps::read(unit).map_err(|e| e.within("the SPS"))?;
        if let Some(known) = known.get_mut(usize::from(sps.id)) {
            *known = true;
        }
        depth = depth.max(sps.reorder_depth);
        first.get_or_insert(sps);
    }
    let sps = first.ok_or_else(|| Invalid::new("it has no sequence parameter set (SPS)"))?;
    let mut any_pps = false;
    for unit in sets.of(PPS) {
        let (_, sps_id) = pps_ids(unit).map_err(|e| e.within("the PPS"))?;
        if known.get(usize::from(sps_id)) != Some(&true) {
            return Err(Invalid::new(format!(
                "pps_seq_parameter_set_id in the PPS is {sps_id}, and there is no such SPS"
            )));
        }
        any_pps = true;
    }
    if !any_pps {
        return Err(Invalid::new("it has no picture parameter set (PPS)"));
    }
    let configuration = match given {
        Some(record) if record.first() == Some(&1) && record.get(21).is_some_and(|b| b & 3 == 3) => {
            record.clone()
        }
        _ => write_record(sets, &sps)?,
    };
    Ok(Record {
        configuration,
        width: sps.width,
        height: sps.height,
        reorder_depth: Some(depth),
        frame_seconds: sps.frame_seconds,
    })
}

/// ISO/IEC 14496-15 §8.3.3.1.2.
fn write_record(sets: &ParameterSets, sps: &Sps) -> Result<Bytes, Invalid> {
    const ARRAY_COMPLETE: u8 = 0x80;
    let mut out = BytesMut::with_capacity(sets.bytes() + 64);
    out.put_u8(1);
    out.put_slice(&sps.profile);
    // min_spatial_segmentation_idc and parallelismType: 0, not known.
    out.put_slice(&[0xf0, 0, 0xfc]);
    out.put_u8(0xfc | sps.chroma_format_idc);
    out.put_u8(0xf8 | sps.bit_depth_luma_minus8);
    out.put_u8(0xf8 | sps.bit_depth_chroma_minus8);
    // avgFrameRate and constantFrameRate: 0, not known.
    out.put_u16(0);
    out.put_u8(sps.temporal_layers << 3 | u8::from(sps.temporal_id_nested) << 2 | 3);
    out.put_u8(SETS.len() as u8);
    for kind in SETS {
        out.put_u8(ARRAY_COMPLETE | kind);
        out.put_u16(u16::from(parameter_sets::count(sets, kind, 255, "such")?));
        parameter_sets::put_all(sets, kind, &mut out)?;
    }
    Ok(out.freeze())
}

/// `hvc1.` with profile, compatibility, tier, level and constraints (ISO/IEC 14496-15 §E.3).
pub(super) fn rfc6381(record: &[u8]) -> Option<String> {
    let mut fields = Fields::new(record.get(1..)?);
    let first = fields.u8("general_profile_idc").ok()?;
    let compatibility = fields.u32("general_profile_compatibility_flags").ok()?;
    let constraints = fields.take(6, "general_constraint_indicator_flags").ok()?;
    let level = fields.u8("general_level_idc").ok()?;
    let space = match first >> 6 {
        0 => "",
        1 => "A",
        2 => "B",
        _ => "C",
    };
    let tier = if first & 0x20 == 0 { 'L' } else { 'H' };
    let mut text = format!("hvc1.{space}{}.{:X}.{tier}{level}", first & 0x1f, compatibility.reverse_bits());
    let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in constraints.iter().take(used) {
        write!(text, ".{byte:X}").ok()?;
    }
    Some(text)
}

/// Nominal duration of a frame in seconds as a fraction, if the record's SPS tells.
pub(super) fn frame_seconds(record: &[u8]) -> Option<(u32, u32)> {
    let mut sets = ParameterSets::default();
    read_record(record, &mut sets).ok()?;
    Sps::read(sets.of(SPS).next()?).ok()?.frame_seconds
}

#[cfg(test)]
#[path = "../h265_test.rs"]
mod tests;
