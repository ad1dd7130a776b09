//! The H.265 sequence parameter set (ITU-T H.265 §7.3.2.2 and annex E).
//!
//! It reads on to the frame rate in the usability information where it can; what lies behind the
//! reorder depth is never a reason to refuse a stream.

use crate::codec::bits::Bits;
use crate::codec::configured::Invalid;
use crate::codec::nal;

/// Largest picture side in luma samples: √(MaxLumaPs · 8) of level 6.2 (§A.4.1).
const MAX_SIDE: u32 = 16_888;
/// Deepest reordering: MaxDpbSize is 16 at most (§A.4.2).
const MAX_REORDER: u32 = 15;

/// The general part of a profile, tier and level (§7.3.3), 12 bytes as they stand in the record.
pub(crate) type ProfileBytes = [u8; 12];

/// What Kinora wants to know of a sequence parameter set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sps {
    pub(crate) id: u8,
    pub(crate) profile: ProfileBytes,
    pub(crate) temporal_layers: u8,
    pub(crate) temporal_id_nested: bool,
    pub(crate) chroma_format_idc: u8,
    pub(crate) bit_depth_luma_minus8: u8,
    pub(crate) bit_depth_chroma_minus8: u8,
    /// Inside the conformance window.
    pub(crate) width: u32,
    /// Inside the conformance window.
    pub(crate) height: u32,
    /// Of the highest temporal layer.
    pub(crate) reorder_depth: u8,
    /// Nominal duration of a picture as a fraction of seconds.
    pub(crate) frame_seconds: Option<(u32, u32)>,
}

impl Sps {
    /// Reads a whole NAL unit of type 33.
    pub(crate) fn read(unit: &[u8]) -> Result<Self, Invalid> {
        let payload: Vec<u8> = nal::unescaped(unit.get(2..).unwrap_or_default()).collect();
        let mut bits = Bits::new(&payload);
        bits.skip(4, "sps_video_parameter_set_id")?;
        let sub_layers_minus1 = sub_layers(&mut bits)?;
        let temporal_id_nested = bits.flag("sps_temporal_id_nesting_flag")?;
        let profile = read_profile(&mut bits, sub_layers_minus1)?;
        let id = narrow(bits.ue_up_to(15, "sps_seq_parameter_set_id")?);
        let chroma_format_idc = narrow(bits.ue_up_to(3, "chroma_format_idc")?);
        let separate_planes = chroma_format_idc == 3 && bits.flag("separate_colour_plane_flag")?;
        let full_width = bits.ue_up_to(MAX_SIDE, "pic_width_in_luma_samples")?;
        let full_height = bits.ue_up_to(MAX_SIDE, "pic_height_in_luma_samples")?;
        let (mut width, mut height) = (full_width, full_height);
        if bits.flag("conformance_window_flag")? {
            let chroma_array_type = if separate_planes { 0 } else { chroma_format_idc };
            let unit_x = if matches!(chroma_array_type, 1 | 2) { 2 } else { 1 };
            let unit_y = if chroma_array_type == 1 { 2 } else { 1 };
            let sides = bits.ue("conf_win_left_offset")?.saturating_add(bits.ue("conf_win_right_offset")?);
            let ends = bits.ue("conf_win_top_offset")?.saturating_add(bits.ue("conf_win_bottom_offset")?);
            width = width.saturating_sub(sides.saturating_mul(unit_x));
            height = height.saturating_sub(ends.saturating_mul(unit_y));
        }
        if width == 0 || height == 0 {
            return Err(Invalid::new(format!(
                "pic_width_in_luma_samples {full_width} and pic_height_in_luma_samples {full_height} \
                 leave no picture inside the conformance window"
            )));
        }
        let luma = narrow(bits.ue_up_to(8, "bit_depth_luma_minus8")?);
        let chroma = narrow(bits.ue_up_to(8, "bit_depth_chroma_minus8")?);
        let order_bits = bits.ue_up_to(12, "log2_max_pic_order_cnt_lsb_minus4")? + 4;
        let every_layer = bits.flag("sps_sub_layer_ordering_info_present_flag")?;
        let mut reorder_depth = 0;
        for _ in if every_layer { 0 } else { sub_layers_minus1 }..=sub_layers_minus1 {
            bits.ue_up_to(15, "sps_max_dec_pic_buffering_minus1")?;
            reorder_depth = narrow(bits.ue_up_to(MAX_REORDER, "sps_max_num_reorder_pics")?);
            bits.ue("sps_max_latency_increase_plus1")?;
        }
        Ok(Self {
            id,
            profile,
            temporal_layers: sub_layers_minus1 + 1,
            temporal_id_nested,
            chroma_format_idc,
            bit_depth_luma_minus8: luma,
            bit_depth_chroma_minus8: chroma,
            width,
            height,
            reorder_depth,
            frame_seconds: read_frame_seconds(&mut bits, order_bits).unwrap_or_default(),
        })
    }
}

/// The id of a NAL unit of type 33 without checking the rest.
pub(crate) fn id(unit: &[u8]) -> Result<u16, Invalid> {
    // The longest profile, tier and level has 12 + 2 + 6 · 11 bytes.
    let head: Vec<u8> = nal::unescaped(unit.get(2..).unwrap_or_default()).take(96).collect();
    let mut bits = Bits::new(&head);
    bits.skip(4, "sps_video_parameter_set_id")?;
    let sub_layers_minus1 = sub_layers(&mut bits)?;
    bits.skip(1, "sps_temporal_id_nesting_flag")?;
    read_profile(&mut bits, sub_layers_minus1)?;
    Ok(u16::from(narrow(bits.ue_up_to(15, "sps_seq_parameter_set_id")?)))
}

fn sub_layers(bits: &mut Bits<'_>) -> Result<u8, Invalid> {
    let value = bits.byte(3, "sps_max_sub_layers_minus1")?;
    if value > 6 {
        return Err(Invalid::new(format!(
            "sps_max_sub_layers_minus1 is {value}, the largest legal value is 6"
        )));
    }
    Ok(value)
}

fn narrow(checked: u32) -> u8 {
    u8::try_from(checked).unwrap_or(u8::MAX)
}

/// §7.3.3.
fn read_profile(bits: &mut Bits<'_>, sub_layers_minus1: u8) -> Result<ProfileBytes, Invalid> {
    let mut profile = ProfileBytes::default();
    for byte in &mut profile {
        *byte = bits.byte(8, "profile_tier_level")?;
    }
    if profile.last() == Some(&0) {
        return Err(Invalid::new("general_level_idc is 0"));
    }
    if sub_layers_minus1 == 0 {
        return Ok(profile);
    }
    let mut following_bits = 0;
    for layer in 0..8 {
        let profile_present = bits.flag("sub_layer_profile_present_flag")?;
        let level_present = bits.flag("sub_layer_level_present_flag")?;
        if layer < sub_layers_minus1 {
            following_bits += usize::from(profile_present) * 88 + usize::from(level_present) * 8;
        }
    }
    bits.skip(following_bits, "sub_layer_level_idc")?;
    Ok(profile)
}

/// From behind the ordering information to the timing in the usability information.
fn read_frame_seconds(bits: &mut Bits<'_>, order_bits: u32) -> Result<Option<(u32, u32)>, Invalid> {
    for field in [
        "log2_min_luma_coding_block_size_minus3",
        "log2_diff_max_min_luma_coding_block_size",
        "log2_min_luma_transform_block_size_minus2",
        "log2_diff_max_min_luma_transform_block_size",
        "max_transform_hierarchy_depth_inter",
        "max_transform_hierarchy_depth_intra",
    ] {
        bits.ue(field)?;
    }
    if bits.flag("scaling_list_enabled_flag")? && bits.flag("sps_scaling_list_data_present_flag")? {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2, "amp_enabled_flag")?;
    if bits.flag("pcm_enabled_flag")? {
        bits.skip(8, "pcm_sample_bit_depth_luma_minus1")?;
        bits.ue("log2_min_pcm_luma_coding_block_size_minus3")?;
        bits.ue("log2_diff_max_min_pcm_luma_coding_block_size")?;
        bits.skip(1, "pcm_loop_filter_disabled_flag")?;
    }
    skip_reference_picture_sets(bits)?;
    if bits.flag("long_term_ref_pics_present_flag")? {
        for _ in 0..bits.ue_up_to(32, "num_long_term_ref_pics_sps")? {
            bits.skip(order_bits as usize + 1, "lt_ref_pic_poc_lsb_sps")?;
        }
    }
    bits.skip(2, "sps_temporal_mvp_enabled_flag")?;
    if !bits.flag("vui_parameters_present_flag")? {
        return Ok(None);
    }
    read_usability(bits)
}

/// §7.3.4.
fn skip_scaling_lists(bits: &mut Bits<'_>) -> Result<(), Invalid> {
    for size in 0..4 {
        let step = if size == 3 { 3 } else { 1 };
        for _ in (0..6).step_by(step) {
            if !bits.flag("scaling_list_pred_mode_flag")? {
                bits.ue("scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            if size > 1 {
                bits.se("scaling_list_dc_coef_minus8")?;
            }
            for _ in 0..64.min(1 << (4 + (size << 1))) {
                bits.se("scaling_list_delta_coef")?;
            }
        }
    }
    Ok(())
}

/// §7.3.7, keeping only how many pictures each set has.
fn skip_reference_picture_sets(bits: &mut Bits<'_>) -> Result<(), Invalid> {
    let mut previous_pictures = 0;
    for set in 0..bits.ue_up_to(64, "num_short_term_ref_pic_sets")? {
        if set > 0 && bits.flag("inter_ref_pic_set_prediction_flag")? {
            bits.skip(1, "delta_rps_sign")?;
            bits.ue("abs_delta_rps_minus1")?;
            let mut pictures = 0;
            for _ in 0..=previous_pictures {
                // use_delta_flag is inferred to be 1 where used_by_curr_pic_flag is.
                if bits.flag("used_by_curr_pic_flag")? || bits.flag("use_delta_flag")? {
                    pictures += 1;
                }
            }
            previous_pictures = pictures;
        } else {
            let negative = bits.ue_up_to(16, "num_negative_pics")?;
            let positive = bits.ue_up_to(16, "num_positive_pics")?;
            for _ in 0..negative + positive {
                bits.ue("delta_poc_minus1")?;
                bits.skip(1, "used_by_curr_pic_flag")?;
            }
            previous_pictures = negative + positive;
        }
    }
    Ok(())
}

/// §E.2.1.
fn read_usability(bits: &mut Bits<'_>) -> Result<Option<(u32, u32)>, Invalid> {
    const EXTENDED_SAR: u32 = 255;
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
    bits.skip(3, "neutral_chroma_indication_flag")?;
    if bits.flag("default_display_window_flag")? {
        for _ in 0..4 {
            bits.ue("def_disp_win_offset")?;
        }
    }
    if !bits.flag("vui_timing_info_present_flag")? {
        return Ok(None);
    }
    let units = bits.number(32, "vui_num_units_in_tick")?;
    let scale = bits.number(32, "vui_time_scale")?;
    Ok((units > 0 && scale > 0).then_some((units, scale)))
}
