//! The AV1 sequence header (AV1 specification §5.5) and the record made from it.

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::bits::Bits;
use crate::codec::configured::Invalid;

/// What Kinora wants to know of a sequence header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) profile: u8,
    pub(super) reduced_still_picture: bool,
    level: u8,
    tier: bool,
    colour: Colour,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) frame_seconds: Option<(u32, u32)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Colour {
    high_bit_depth: bool,
    twelve_bit: bool,
    monochrome: bool,
    subsampling_x: bool,
    subsampling_y: bool,
    sample_position: u8,
}

impl Sequence {
    /// Reads the payload of a sequence header OBU.
    pub(super) fn read(payload: &[u8]) -> Result<Self, Invalid> {
        let mut bits = Bits::new(payload);
        let profile = bits.byte(3, "seq_profile")?;
        if profile > 2 {
            return Err(Invalid::new(format!("seq_profile is {profile}, the largest legal value is 2")));
        }
        bits.skip(1, "still_picture")?;
        let reduced_still_picture = bits.flag("reduced_still_picture_header")?;
        let (mut level, mut tier, mut frame_seconds) = (0, false, None);
        if reduced_still_picture {
            level = bits.byte(5, "seq_level_idx")?;
        } else {
            let mut delay_bits = None;
            if bits.flag("timing_info_present_flag")? {
                frame_seconds = read_timing(&mut bits)?;
                if bits.flag("decoder_model_info_present_flag")? {
                    delay_bits = Some(bits.number(5, "buffer_delay_length_minus_1")? as usize + 1);
                    bits.skip(32 + 5 + 5, "num_units_in_decoding_tick")?;
                }
            }
            let display_delay = bits.flag("initial_display_delay_present_flag")?;
            for point in 0..=bits.number(5, "operating_points_cnt_minus_1")? {
                bits.skip(12, "operating_point_idc")?;
                let point_level = bits.byte(5, "seq_level_idx")?;
                // Levels up to 3.3 (index 7) have no tiers.
                let point_tier = point_level > 7 && bits.flag("seq_tier")?;
                if point == 0 {
                    (level, tier) = (point_level, point_tier);
                }
                if let Some(delay_bits) = delay_bits
                    && bits.flag("decoder_model_present_for_this_op")?
                {
                    bits.skip(2 * delay_bits + 1, "decoder_buffer_delay")?;
                }
                if display_delay && bits.flag("initial_display_delay_present_for_this_op")? {
                    bits.skip(4, "initial_display_delay_minus_1")?;
                }
            }
        }
        let width_bits = bits.number(4, "frame_width_bits_minus_1")? + 1;
        let height_bits = bits.number(4, "frame_height_bits_minus_1")? + 1;
        let width = bits.number(width_bits, "max_frame_width_minus_1")? + 1;
        let height = bits.number(height_bits, "max_frame_height_minus_1")? + 1;
        skip_tools(&mut bits, reduced_still_picture)?;
        let colour = read_colour(&mut bits, profile)?;
        Ok(Self { profile, reduced_still_picture, level, tier, colour, width, height, frame_seconds })
    }

    /// The `AV1CodecConfigurationRecord` for this header, whose whole OBU is `obu`.
    pub(super) fn record(&self, obu: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(4 + obu.len());
        let flag = |set: bool, shift: u8| u8::from(set) << shift;
        out.put_u8(0x81);
        out.put_u8(self.profile << 5 | self.level);
        out.put_u8(
            flag(self.tier, 7)
                | flag(self.colour.high_bit_depth, 6)
                | flag(self.colour.twelve_bit, 5)
                | flag(self.colour.monochrome, 4)
                | flag(self.colour.subsampling_x, 3)
                | flag(self.colour.subsampling_y, 2)
                | self.colour.sample_position,
        );
        // No initial presentation delay.
        out.put_u8(0);
        out.put_slice(obu);
        out.freeze()
    }
}

/// §5.5.3.
fn read_timing(bits: &mut Bits<'_>) -> Result<Option<(u32, u32)>, Invalid> {
    let units = bits.number(32, "num_units_in_display_tick")?;
    let scale = bits.number(32, "time_scale")?;
    let mut seconds = None;
    if bits.flag("equal_picture_interval")? {
        let ticks = bits.ue("num_ticks_per_picture_minus_1")?.checked_add(1);
        seconds = ticks.and_then(|ticks| units.checked_mul(ticks)).map(|units| (units, scale));
    }
    Ok(seconds.filter(|(units, scale)| *units > 0 && *scale > 0))
}

/// From the frame size to the colour configuration (§5.5.1).
fn skip_tools(bits: &mut Bits<'_>, reduced_still_picture: bool) -> Result<(), Invalid> {
    const SELECT: u32 = 2;
    if !reduced_still_picture && bits.flag("frame_id_numbers_present_flag")? {
        bits.skip(7, "delta_frame_id_length_minus_2")?;
    }
    bits.skip(3, "use_128x128_superblock")?;
    if !reduced_still_picture {
        bits.skip(4, "enable_interintra_compound")?;
        let order_hint = bits.flag("enable_order_hint")?;
        if order_hint {
            bits.skip(2, "enable_jnt_comp")?;
        }
        let screen_content = if bits.flag("seq_choose_screen_content_tools")? {
            SELECT
        } else {
            bits.number(1, "seq_force_screen_content_tools")?
        };
        if screen_content > 0 && !bits.flag("seq_choose_integer_mv")? {
            bits.skip(1, "seq_force_integer_mv")?;
        }
        if order_hint {
            bits.skip(3, "order_hint_bits_minus_1")?;
        }
    }
    bits.skip(3, "enable_superres")
}

/// §5.5.2.
fn read_colour(bits: &mut Bits<'_>, profile: u8) -> Result<Colour, Invalid> {
    /// BT.709 primaries, sRGB transfer and identity matrix together mean RGB.
    const RGB: (u32, u32, u32) = (1, 13, 0);
    let mut colour = Colour { high_bit_depth: bits.flag("high_bitdepth")?, ..Colour::default() };
    if profile == 2 && colour.high_bit_depth {
        colour.twelve_bit = bits.flag("twelve_bit")?;
    }
    colour.monochrome = profile != 1 && bits.flag("mono_chrome")?;
    let mut description = (2, 2, 2);
    if bits.flag("color_description_present_flag")? {
        description = (
            bits.number(8, "color_primaries")?,
            bits.number(8, "transfer_characteristics")?,
            bits.number(8, "matrix_coefficients")?,
        );
    }
    if colour.monochrome {
        bits.skip(1, "color_range")?;
        (colour.subsampling_x, colour.subsampling_y) = (true, true);
        return Ok(colour);
    }
    if description == RGB {
        return Ok(colour);
    }
    bits.skip(1, "color_range")?;
    (colour.subsampling_x, colour.subsampling_y) = match profile {
        0 => (true, true),
        1 => (false, false),
        _ if colour.twelve_bit => {
            let x = bits.flag("subsampling_x")?;
            (x, x && bits.flag("subsampling_y")?)
        }
        _ => (true, false),
    };
    if colour.subsampling_x && colour.subsampling_y {
        colour.sample_position = bits.byte(2, "chroma_sample_position")?;
    }
    Ok(colour)
}
