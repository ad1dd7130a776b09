//! AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).

use crate::codec::bits::Bits;
use crate::codec::configured::Invalid;

/// Audio object types (§1.5.1.1).
const SBR: u8 = 5;
const PS: u8 = 29;
const ER_BSAC: u8 = 22;
const LAYER_3: u8 = 34;

/// Table 1.18.
const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// What the configuration says of the sound that comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AudioSpecificConfig {
    /// With an explicitly signalled extension the extension's: 5 is HE-AAC, 29 HE-AAC v2.
    pub(super) object_type: u8,
    /// Samples per second, after spectral band replication where that is signalled.
    pub(super) output_rate: u32,
    /// Channels, after parametric stereo where that is signalled.
    pub(super) output_channels: u16,
}

impl AudioSpecificConfig {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut bits = Bits::new(bytes);
        let signalled = object_type(&mut bits)?;
        let core_rate = sample_rate(&mut bits, "samplingFrequencyIndex")?;
        let configuration = bits.byte(4, "channelConfiguration")?;
        let (mut object_type, mut output_rate) = (signalled, core_rate);
        let mut core = signalled;
        if matches!(signalled, SBR | PS) {
            output_rate = sample_rate(&mut bits, "extensionSamplingFrequencyIndex")?;
            core = self::object_type(&mut bits)?;
            if core == ER_BSAC {
                bits.skip(4, "extensionChannelConfiguration")?;
            }
        }
        require_known(core)?;
        let mut channels = channels_of(configuration)?;
        // GASpecificConfig (§4.4.1); for other types what follows is not needed.
        if matches!(core, 1..=4 | 6 | 7 | 17 | 19..=23) {
            bits.skip(1, "frameLengthFlag")?;
            if bits.flag("dependsOnCoreCoder")? {
                bits.skip(14, "coreCoderDelay")?;
            }
            let extension = bits.flag("extensionFlag")?;
            if configuration == 0 {
                channels = read_program(&mut bits)?;
            }
            let plain = core == 2 && !extension && configuration != 0;
            if plain && signalled == core {
                // Compatible signalling of extensions behind (§1.6.5, syncExtensionType).
                if let Ok(Some((kind, rate))) = read_compatible_extension(&mut bits) {
                    (object_type, output_rate) = (kind, rate);
                }
            }
        } else if configuration == 0 && core != 42 {
            // Only general audio and USAC can describe channels elsewhere.
            return Err(Invalid::new("channelConfiguration is 0"));
        }
        if object_type == PS && channels == 1 {
            channels = 2;
        }
        Ok(Self { object_type, output_rate, output_channels: channels })
    }
}

fn object_type(bits: &mut Bits<'_>) -> Result<u8, Invalid> {
    const ESCAPE: u8 = 31;
    match bits.byte(5, "audioObjectType")? {
        ESCAPE => Ok(32 + bits.byte(6, "audioObjectTypeExt")?),
        kind => Ok(kind),
    }
}

/// Refuses what cannot be AAC (table 1.17).
fn require_known(object_type: u8) -> Result<(), Invalid> {
    match object_type {
        1..=4 | 6 | 7 | 17 | 19..=23 | 39 | 42 => Ok(()),
        32..=LAYER_3 => Err(Invalid::new(format!(
            "audioObjectType is {object_type}, which is MPEG-1 audio and must be declared as such"
        ))),
        _ => Err(Invalid::new(format!("audioObjectType is {object_type}, which is reserved or not AAC"))),
    }
}

fn sample_rate(bits: &mut Bits<'_>, field: &'static str) -> Result<u32, Invalid> {
    const ESCAPE: u8 = 15;
    let index = bits.byte(4, field)?;
    if index == ESCAPE {
        return match bits.number(24, "samplingFrequency")? {
            0 => Err(Invalid::new("samplingFrequency is 0")),
            rate => Ok(rate),
        };
    }
    SAMPLE_RATES
        .get(usize::from(index))
        .copied()
        .ok_or_else(|| Invalid::new(format!("{field} is {index}, which is reserved")))
}

/// Table 1.19; 0 leaves it to a program configuration.
fn channels_of(configuration: u8) -> Result<u16, Invalid> {
    match configuration {
        0..=6 => Ok(u16::from(configuration)),
        7 | 12 | 14 => Ok(8),
        11 => Ok(7),
        13 => Ok(24),
        _ => Err(Invalid::new(format!("channelConfiguration is {configuration}, which is reserved"))),
    }
}

/// Channels of a program_config_element (§4.4.1.1).
fn read_program(bits: &mut Bits<'_>) -> Result<u16, Invalid> {
    bits.skip(10, "element_instance_tag")?;
    let front = bits.number(4, "num_front_channel_elements")?;
    let side = bits.number(4, "num_side_channel_elements")?;
    let back = bits.number(4, "num_back_channel_elements")?;
    let low = bits.number(2, "num_lfe_channel_elements")?;
    bits.skip(7, "num_assoc_data_elements")?;
    for field in ["mono_mixdown_present", "stereo_mixdown_present"] {
        if bits.flag(field)? {
            bits.skip(4, "mixdown_element_number")?;
        }
    }
    if bits.flag("matrix_mixdown_idx_present")? {
        bits.skip(3, "matrix_mixdown_idx")?;
    }
    let mut channels = u16::try_from(low).unwrap_or_default();
    for _ in 0..front + side + back {
        channels += 1 + u16::from(bits.flag("element_is_cpe")?);
        bits.skip(4, "element_tag_select")?;
    }
    if channels == 0 {
        return Err(Invalid::new("channelConfiguration is 0 and the program configuration has no channels"));
    }
    Ok(channels)
}

/// Object type and rate of an extension that old decoders pass over.
fn read_compatible_extension(bits: &mut Bits<'_>) -> Result<Option<(u8, u32)>, Invalid> {
    const SBR_FOLLOWS: u32 = 0x2b7;
    const PS_FOLLOWS: u32 = 0x548;
    if bits.left_bits() < 16 || bits.number(11, "syncExtensionType")? != SBR_FOLLOWS {
        return Ok(None);
    }
    if object_type(bits)? != SBR || !bits.flag("sbrPresentFlag")? {
        return Ok(None);
    }
    let rate = sample_rate(bits, "extensionSamplingFrequencyIndex")?;
    let with_ps = bits.left_bits() >= 12
        && bits.number(11, "syncExtensionType")? == PS_FOLLOWS
        && bits.flag("psPresentFlag")?;
    Ok(Some((if with_ps { PS } else { SBR }, rate)))
}
