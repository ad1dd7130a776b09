//! Opus: the identification header (RFC 7845 §5.1) and its MP4 form, the payload of `dOps`
//! (Encapsulation of Opus in ISO base media §4.3.2).
//!
//! Packets are not looked into.

use bytes::{BufMut, Bytes, BytesMut};

use super::configured::{Configured, Invalid};
use super::fields::Fields;
use crate::Shape;

/// Opus always decodes to this rate, whatever the input's was.
const SAMPLE_RATE: u32 = 48_000;
/// What libopus needs to converge: 80 ms would be the safe pre-roll, 6.5 ms is the encoder's delay.
const USUAL_PRE_SKIP: u16 = 312;

const MAGIC: &[u8; 8] = b"OpusHead";

/// The fields both forms share.
struct Header<'a> {
    channels: u8,
    pre_skip: u16,
    input_rate: u32,
    gain: u16,
    family: u8,
    table: &'a [u8],
}

/// The canonical configuration from either form, or from the channel count where there is none.
pub(crate) fn configure(given: &Bytes, shape: Shape) -> Result<Configured, Invalid> {
    let declared = match shape {
        Shape::Audio { channels, .. } => channels,
        _ => 0,
    };
    let (head, channels) = if given.is_empty() {
        let channels = match declared {
            0 => return Err(Invalid::new("it is missing, and Channels is not declared either")),
            1 | 2 => u8::try_from(declared).unwrap_or(2),
            more => {
                return Err(Invalid::new(format!(
                    "it is missing, and {more} channels cannot be mapped without it"
                )));
            }
        };
        let header = Header {
            channels,
            pre_skip: USUAL_PRE_SKIP,
            input_rate: SAMPLE_RATE,
            gain: 0,
            family: 0,
            table: &[],
        };
        (write_head(&header), channels)
    } else if given.starts_with(MAGIC) {
        let header = read_head(given)?;
        (given.clone(), header.channels)
    } else {
        let header = read_dops(given)?;
        (write_head(&header), header.channels)
    };
    let shape = Shape::Audio { sample_rate: SAMPLE_RATE, channels: u16::from(channels), bits_per_sample: 0 };
    Ok(Configured::plain(head, shape))
}

fn write_head(header: &Header<'_>) -> Bytes {
    let mut out = BytesMut::with_capacity(19 + header.table.len());
    out.put_slice(MAGIC);
    out.put_u8(1);
    out.put_u8(header.channels);
    out.put_u16_le(header.pre_skip);
    out.put_u32_le(header.input_rate);
    out.put_u16_le(header.gain);
    out.put_u8(header.family);
    out.put_slice(header.table);
    out.freeze()
}

fn read_head(head: &[u8]) -> Result<Header<'_>, Invalid> {
    let mut fields = Fields::new(head);
    if fields.take(8, "the magic signature")? != MAGIC {
        return Err(Invalid::new("the magic signature is not OpusHead"));
    }
    let version = fields.u8("version")?;
    // RFC 7845 §5.1: only a change of the upper four bits breaks the layout.
    if version >> 4 != 0 {
        return Err(Invalid::new(format!("version is {version}, it must be below 16")));
    }
    let channels = fields.u8("channel count")?;
    let pre_skip = fields.u16("pre-skip")?.swap_bytes();
    let input_rate = fields.u32("input sample rate")?.swap_bytes();
    let gain = fields.u16("output gain")?.swap_bytes();
    read_mapping(fields, Header { channels, pre_skip, input_rate, gain, family: 0, table: &[] })
}

fn read_dops(payload: &[u8]) -> Result<Header<'_>, Invalid> {
    let mut fields = Fields::new(payload);
    let version = fields.u8("Version")?;
    if version != 0 {
        return Err(Invalid::new(format!("Version is {version}, it must be 0")));
    }
    let channels = fields.u8("OutputChannelCount")?;
    let pre_skip = fields.u16("PreSkip")?;
    let input_rate = fields.u32("InputSampleRate")?;
    let gain = fields.u16("OutputGain")?;
    read_mapping(fields, Header { channels, pre_skip, input_rate, gain, family: 0, table: &[] })
}

/// RFC 7845 §5.1.1.
fn read_mapping<'a>(mut fields: Fields<'a>, header: Header<'a>) -> Result<Header<'a>, Invalid> {
    let family = fields.u8("channel mapping family")?;
    let channels = header.channels;
    let most = match family {
        0 => 2,
        1 => 8,
        _ => 255,
    };
    if channels == 0 || channels > most {
        return Err(Invalid::new(format!(
            "channel count is {channels}; channel mapping family {family} allows 1 to {most}"
        )));
    }
    if family == 0 {
        return Ok(Header { family, ..header });
    }
    let table = fields.take(2 + usize::from(channels), "channel mapping table")?;
    let (streams, coupled) = match table {
        [streams, coupled, ..] => (*streams, *coupled),
        _ => (0, 0),
    };
    if streams == 0 {
        return Err(Invalid::new("stream count is 0"));
    }
    if coupled > streams {
        return Err(Invalid::new(format!(
            "coupled stream count is {coupled}, more than the stream count {streams}"
        )));
    }
    let decoded = u16::from(streams) + u16::from(coupled);
    if decoded > 255 {
        return Err(Invalid::new(format!(
            "stream count and coupled stream count add up to {decoded}, more than 255"
        )));
    }
    const SILENCE: u8 = 255;
    for (channel, index) in table.iter().skip(2).enumerate() {
        // Families 2 and 3 (RFC 8486) put a matrix behind; their entries are no indices.
        if matches!(family, 1 | 255) && *index != SILENCE && u16::from(*index) >= decoded {
            return Err(Invalid::new(format!(
                "channel mapping of channel {channel} is {index}, but only {decoded} channels are decoded"
            )));
        }
    }
    Ok(Header { family, table, ..header })
}

#[cfg(test)]
#[path = "opus_test.rs"]
mod tests;
