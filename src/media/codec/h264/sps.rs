//! The H.264 sequence parameter set (ITU-T H.264 §7.3.2.1.1 and annex E).
//!
//! It refuses what no decoder can use and is lenient where decoders are: levels that the picture
//! exceeds and broken usability information occur in cameras in the field and play everywhere.

use crate::codec::bits::Bits;
use crate::codec::configured::Invalid;
use crate::codec::nal;

/// Deepest reordering and largest picture buffer that H.264 knows (§A.3.1 item h).
const MAX_FRAMES: u32 = 16;
/// Largest picture side in macroblocks: √(MaxFS · 8) of level 6.2 (§A.3.1 item f).
const MAX_SIDE_MBS: u32 = 1055;

/// What Kinora wants to know of a sequence parameter set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sps {
    pub(crate) profile_idc: u8,
    /// The byte of constraint_set flags.
    pub(crate) constraints: u8,
    pub(crate) level_idc: u8,
    pub(crate) id: u8,
    pub(crate) chroma_format_idc: u8,
    pub(crate) bit_depth_luma_minus8: u8,
    pub(crate) bit_depth_chroma_minus8: u8,
    /// After cropping.
    pub(crate) width: u32,
    /// After cropping.
    pub(crate) height: u32,
    /// The reorder depth; none where the set leaves it open.
    pub(crate) reorder_depth: Option<u8>,
    /// Nominal duration of a frame as a fraction of seconds.
    pub(crate) frame_seconds: Option<(u32, u32)>,
}

#[derive(Debug, Default)]
struct Usability {
    frame_seconds: Option<(u32, u32)>,
    reorder_frames: Option<u8>,
}

/// Whether sets of this profile carry chroma format, bit depths and scaling matrices.
pub(crate) const fn has_chroma_fields(profile_idc: u8) -> bool {
    matches!(profile_idc, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

impl Sps {
    /// Reads a whole NAL unit of type 7.
    pub(crate) fn read(unit: &[u8]) -> Result<Self, Invalid> {
        let payload: Vec<u8> = nal::unescaped(unit.get(1..).unwrap_or_default()).collect();
        let mut bits = Bits::new(&payload);
        let profile_idc = bits.byte(8, "profile_idc")?;
        let constraints = bits.byte(8, "constraint_set_flags")?;
        let level_idc = bits.byte(8, "level_idc")?;
        if level_idc == 0 {
            return Err(Invalid::new("level_idc is 0"));
        }
        let id = narrow(bits.ue_up_to(31, "seq_parameter_set_id")?);
        let mut chroma_format_idc = 1;
        let (mut luma, mut chroma) = (0, 0);
        let mut separate_planes = false;
        if has_chroma_fields(profile_idc) {
            chroma_format_idc = narrow(bits.ue_up_to(3, "chroma_format_idc")?);
            if chroma_format_idc == 3 {
                separate_planes = bits.flag("separate_colour_plane_flag")?;
            }
            luma = narrow(bits.ue_up_to(6, "bit_depth_luma_minus8")?);
            chroma = narrow(bits.ue_up_to(6, "bit_depth_chroma_minus8")?);
            bits.skip(1, "qpprime_y_zero_transform_bypass_flag")?;
            if bits.flag("seq_scaling_matrix_present_flag")? {
                skip_scaling_matrix(&mut bits, if chroma_format_idc == 3 { 12 } else { 8 })?;
            }
        }
        bits.ue_up_to(12, "log2_max_frame_num_minus4")?;
        let order_type = bits.ue_up_to(2, "pic_order_cnt_type")?;
        skip_order_count(&mut bits, order_type)?;
        let max_num_ref_frames = bits.ue_up_to(MAX_FRAMES, "max_num_ref_frames")?;
        bits.skip(1, "gaps_in_frame_num_value_allowed_flag")?;
        let width_mbs = bits.ue_up_to(MAX_SIDE_MBS - 1, "pic_width_in_mbs_minus1")? + 1;
        let height_units = bits.ue_up_to(MAX_SIDE_MBS - 1, "pic_height_in_map_units_minus1")? + 1;
        let fields = u32::from(!bits.flag("frame_mbs_only_flag")?);
        if fields == 1 {
            bits.skip(1, "mb_adaptive_frame_field_flag")?;
        }
        bits.skip(1, "direct_8x8_inference_flag")?;
        let chroma_array_type = if separate_planes { 0 } else { chroma_format_idc };
        let crop = if bits.flag("frame_cropping_flag")? {
            read_cropping(&mut bits, chroma_array_type, 1 + fields)?
        } else {
            (0, 0)
        };
        let width = cropped(width_mbs * 16, crop.0, "frame_crop_left_offset and frame_crop_right_offset")?;
        let height = height_units * 16 * (1 + fields);
        let height = cropped(height, crop.1, "frame_crop_top_offset and frame_crop_bottom_offset")?;

        // Decoders ignore usability information that they cannot read, so it is no reason to
        // refuse a camera.
        let usability = match bits.flag("vui_parameters_present_flag") {
            Ok(true) => read_usability(&mut bits).unwrap_or_default(),
            _ => Usability::default(),
        };
        let cannot_reorder =
            order_type == 2 || max_num_ref_frames == 0 || !reorders(profile_idc, constraints);
        Ok(Self {
            profile_idc,
            constraints,
            level_idc,
            id,
            chroma_format_idc,
            bit_depth_luma_minus8: luma,
            bit_depth_chroma_minus8: chroma,
            width,
            height,
            reorder_depth: if cannot_reorder { Some(0) } else { usability.reorder_frames },
            frame_seconds: usability.frame_seconds,
        })
    }
}

/// The id of a NAL unit of type 7, without checking the rest.
pub(crate) fn id(unit: &[u8]) -> Result<u16, Invalid> {
    let head: Vec<u8> = nal::unescaped(unit.get(1..).unwrap_or_default()).take(16).collect();
    let mut bits = Bits::new(&head);
    bits.skip(24, "profile_idc")?;
    Ok(u16::from(narrow(bits.ue_up_to(31, "seq_parameter_set_id")?)))
}

/// Whether streams of the profile may have B pictures: Baseline (§A.2.1) and the intra profiles
/// (§A.2.8 to §A.2.11) may not.
const fn reorders(profile_idc: u8, constraints: u8) -> bool {
    const CONSTRAINT_SET3: u8 = 0x10;
    match profile_idc {
        66 | 44 => false,
        110 | 122 | 244 => constraints & CONSTRAINT_SET3 == 0,
        _ => true,
    }
}

fn narrow(checked: u32) -> u8 {
    u8::try_from(checked).unwrap_or(u8::MAX)
}

fn cropped(size: u32, crop: u32, field: &str) -> Result<u32, Invalid> {
    match size.checked_sub(crop) {
        Some(left) if left > 0 => Ok(left),
        _ => Err(Invalid::new(format!("{field} cut {crop} of {size} samples"))),
    }
}

fn skip_scaling_matrix(bits: &mut Bits<'_>, lists: usize) -> Result<(), Invalid> {
    for list in 0..lists {
        if !bits.flag("seq_scaling_list_present_flag")? {
            continue;
        }
        // §7.3.2.1.1.1: a next scale of 0 ends the codes of a list.
        let (mut last, mut next) = (8_i32, 8_i32);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                let delta = bits.se("delta_scale")?;
                if !(-128..=127).contains(&delta) {
                    return Err(Invalid::new(format!("delta_scale is {delta}, beyond -128 to 127")));
                }
                next = (last + delta + 256) % 256;
            }
            if next != 0 {
                last = next;
            }
        }
    }
    Ok(())
}

fn skip_order_count(bits: &mut Bits<'_>, order_type: u32) -> Result<(), Invalid> {
    match order_type {
        0 => {
            bits.ue_up_to(12, "log2_max_pic_order_cnt_lsb_minus4")?;
        }
        1 => {
            bits.skip(1, "delta_pic_order_always_zero_flag")?;
            bits.se("offset_for_non_ref_pic")?;
            bits.se("offset_for_top_to_bottom_field")?;
            for _ in 0..bits.ue_up_to(255, "num_ref_frames_in_pic_order_cnt_cycle")? {
                bits.se("offset_for_ref_frame")?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Luma samples cut off horizontally and vertically (§7.4.2.1.1, equations 7-19 to 7-22).
fn read_cropping(
    bits: &mut Bits<'_>,
    chroma_array_type: u8,
    field_factor: u32,
) -> Result<(u32, u32), Invalid> {
    let unit_x = if matches!(chroma_array_type, 1 | 2) { 2 } else { 1 };
    let unit_y = if chroma_array_type == 1 { 2 } else { 1 } * field_factor;
    let left = bits.ue("frame_crop_left_offset")?;
    let right = bits.ue("frame_crop_right_offset")?;
    let top = bits.ue("frame_crop_top_offset")?;
    let bottom = bits.ue("frame_crop_bottom_offset")?;
    Ok((left.saturating_add(right).saturating_mul(unit_x), top.saturating_add(bottom).saturating_mul(unit_y)))
}

/// §E.1.1.
fn read_usability(bits: &mut Bits<'_>) -> Result<Usability, Invalid> {
    const EXTENDED_SAR: u32 = 255;
    let mut usability = Usability::default();
    if bits.flag("aspect_ratio_info_present_flag")? && bits.number(8, "aspect_ratio_idc")? == EXTENDED_SAR {
        bits.skip(32, "sar_width")?;
    }
    if bits.flag("overscan_info_present_flag")? {
        bits.skip(1, "overscan_appropriate_flag")?;
    }
    if bits.flag("video_signal_type_present_flag")? {
        bits.skip(4, "video_format")?;
        if bits.flag("colour_description_present_flag")? {
            bits.skip(24, "colour_primaries")?;
        }
    }
    if bits.flag("chroma_loc_info_present_flag")? {
        bits.ue("chroma_sample_loc_type_top_field")?;
        bits.ue("chroma_sample_loc_type_bottom_field")?;
    }
    if bits.flag("timing_info_present_flag")? {
        let units = bits.number(32, "num_units_in_tick")?;
        let scale = bits.number(32, "time_scale")?;
        bits.skip(1, "fixed_frame_rate_flag")?;
        // A tick is a field's time, and a frame has two (§E.2.1).
        usability.frame_seconds =
            units.checked_mul(2).map(|units| (units, scale)).filter(|(u, s)| *u > 0 && *s > 0);
    }
    let nal_hrd = bits.flag("nal_hrd_parameters_present_flag")?;
    if nal_hrd {
        skip_hrd(bits)?;
    }
    let vcl_hrd = bits.flag("vcl_hrd_parameters_present_flag")?;
    if vcl_hrd {
        skip_hrd(bits)?;
    }
    if nal_hrd || vcl_hrd {
        bits.skip(1, "low_delay_hrd_flag")?;
    }
    bits.skip(1, "pic_struct_present_flag")?;
    if bits.flag("bitstream_restriction_flag")? {
        bits.skip(1, "motion_vectors_over_pic_boundaries_flag")?;
        for field in [
            "max_bytes_per_pic_denom",
            "max_bits_per_mb_denom",
            "log2_max_mv_length_horizontal",
            "log2_max_mv_length_vertical",
        ] {
            bits.ue(field)?;
        }
        let reorder = bits.ue("max_num_reorder_frames")?;
        let buffer = bits.ue("max_dec_frame_buffering")?;
        // A statement that contradicts itself says nothing.
        if reorder <= buffer && buffer <= MAX_FRAMES {
            usability.reorder_frames = Some(narrow(reorder));
        }
    }
    Ok(usability)
}

/// §E.1.2.
fn skip_hrd(bits: &mut Bits<'_>) -> Result<(), Invalid> {
    let count = bits.ue_up_to(31, "cpb_cnt_minus1")? + 1;
    bits.skip(8, "bit_rate_scale")?;
    for _ in 0..count {
        bits.ue("bit_rate_value_minus1")?;
        bits.ue("cpb_size_value_minus1")?;
        bits.skip(1, "cbr_flag")?;
    }
    bits.skip(20, "initial_cpb_removal_delay_length_minus1")
}
