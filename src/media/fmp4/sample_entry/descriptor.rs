//! `esds`' descriptors (ISO/IEC 14496-1 §7.2.6): which kind of stream, and its configuration.
//!
//! Lengths are not trusted: writers exist that count them wrong, and all players cope.

const ES_DESCRIPTOR: u8 = 3;
const DECODER_CONFIG: u8 = 4;
const DECODER_SPECIFIC_INFO: u8 = 5;

/// What a decoder needs to know.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DecoderConfig<'a> {
    pub(super) object_type: u8,
    /// Empty if there is none.
    pub(super) specific_info: &'a [u8],
}

/// Reads the descriptors that follow the version and flags of an `esds` box.
pub(super) fn read_decoder_config(bytes: &[u8]) -> Option<DecoderConfig<'_>> {
    let descriptor = content(bytes, ES_DESCRIPTOR)?;
    let (&[_, _, flags], mut rest) = descriptor.split_first_chunk::<3>()?;
    if flags & 0x80 != 0 {
        rest = rest.get(2..)?;
    }
    if flags & 0x40 != 0 {
        let url_bytes = usize::from(*rest.first()?);
        rest = rest.get(1 + url_bytes..)?;
    }
    if flags & 0x20 != 0 {
        rest = rest.get(2..)?;
    }
    let config = content(rest, DECODER_CONFIG)?;
    let &object_type = config.first()?;
    // Stream type, buffer size, and greatest and average bit rates.
    let rest = config.get(13..).unwrap_or_default();
    Some(DecoderConfig {
        object_type,
        specific_info: content(rest, DECODER_SPECIFIC_INFO).unwrap_or_default(),
    })
}

/// The content of the first descriptor with this tag, up to the end of `bytes` at most.
fn content(mut bytes: &[u8], tag: u8) -> Option<&[u8]> {
    loop {
        let (&found, mut rest) = bytes.split_first()?;
        // Seven bits a byte, the top bit says that more follow; four bytes at most (§8.3.3).
        let mut length = 0_usize;
        for _ in 0..4 {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            length = length << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let content = rest.get(..length).unwrap_or(rest);
        if found == tag {
            return Some(content);
        }
        bytes = rest.get(length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRONG_LENGTHS: &[u8] = &[
        3, 0x80, 0x80, 0x80, 0x22, 0, 2, 0, 4, 0x80, 0x80, 0x80, 0x17, 0x40, 0x15, 0, 0, 0, 0, 3, 0x22, 0xbc,
        0, 1, 0xf5, 0x83, 5, 0x80, 0x80, 0x80, 2, 0x11, 0x90, 6, 0x80, 0x80, 0x80, 1, 2,
    ];

    #[test]
    fn a_length_that_is_counted_wrong_does_not_hide_the_configuration() {
        let config = read_decoder_config(WRONG_LENGTHS).unwrap();
        assert_eq!(config, DecoderConfig { object_type: 0x40, specific_info: &[0x11, 0x90] });
    }

    #[test]
    fn optional_fields_and_other_descriptors_are_passed_over() {
        let bytes = [
            &[0x0e, 1, 9, 3, 40, 0, 1, 0xe0, 0, 5, 2, b'u', b'/', 0, 7, 0x0f, 0][..],
            &[4, 20, 0x6b, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99, 1, 0],
        ]
        .concat();
        assert_eq!(
            read_decoder_config(&bytes).unwrap(),
            DecoderConfig { object_type: 0x6b, specific_info: &[] }
        );
    }

    #[test]
    fn what_ends_early_has_no_configuration() {
        for end in 0..14 {
            assert_eq!(read_decoder_config(&WRONG_LENGTHS[..end.min(13)]), None, "{end}");
        }
    }
}
