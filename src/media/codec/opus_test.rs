//! The identification header in both forms.

use super::*;

const NO_SHAPE: Shape = Shape::Audio { sample_rate: 48_000, channels: 0, bits_per_sample: 0 };
const STEREO: [u8; 19] = *b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";
const SURROUND: [u8; 27] =
    *b"OpusHead\x01\x06\x38\x01\x80\xbb\x00\x00\x00\x00\x01\x04\x02\x00\x04\x01\x02\x03\x05";

fn read(bytes: &[u8]) -> Result<Configured, Invalid> {
    configure(&Bytes::copy_from_slice(bytes), NO_SHAPE)
}

#[test]
fn the_form_of_mp4_becomes_the_canonical_one() {
    let stereo = b"\x00\x02\x01\x38\x00\x00\xbb\x80\x00\x00\x00";
    let surround = b"\x00\x06\x01\x38\x00\x00\xbb\x80\x00\x00\x01\x04\x02\x00\x04\x01\x02\x03\x05";
    for (dops, head) in [(&stereo[..], &STEREO[..]), (surround, &SURROUND)] {
        assert_eq!(read(dops).unwrap().configuration, head);
        assert_eq!(read(head).unwrap().configuration, head);
    }
    let shape = Shape::Audio { sample_rate: 48_000, channels: 6, bits_per_sample: 0 };
    assert_eq!(read(&SURROUND).unwrap().shape, shape);
}

#[test]
fn a_missing_header_is_made_from_the_channels() {
    let shape = |channels| Shape::Audio { sample_rate: 16_000, channels, bits_per_sample: 0 };
    let configured = configure(&Bytes::new(), shape(2)).unwrap();
    assert_eq!(configured.configuration[..], STEREO);
    assert!(configure(&Bytes::new(), shape(0)).unwrap_err().to_string().contains("Channels"));
    assert!(configure(&Bytes::new(), shape(6)).unwrap_err().to_string().contains("6 channels"));
}

#[test]
fn a_refusal_names_the_field_and_its_value() {
    let stereo = |at: usize, byte: u8| {
        let mut bytes = STEREO.to_vec();
        bytes[at] = byte;
        bytes
    };
    let surround = |at: usize, byte: u8| {
        let mut bytes = SURROUND.to_vec();
        bytes[at] = byte;
        bytes
    };
    for (bytes, says) in [
        (stereo(8, 0x10), "version is 16"),
        (stereo(9, 0), "channel count is 0"),
        (stereo(9, 3), "channel count is 3; channel mapping family 0 allows 1 to 2"),
        (stereo(18, 1), "channel mapping table"),
        (STEREO[..12].to_vec(), "input sample rate"),
        (surround(9, 9), "channel mapping family 1 allows 1 to 8"),
        (surround(19, 0), "stream count is 0"),
        (surround(20, 5), "coupled stream count is 5"),
        (surround(26, 6), "channel mapping of channel 5 is 6"),
        (vec![1, 2, 1, 56, 0, 0, 187, 128, 0, 0, 0], "Version is 1"),
        (vec![0, 2, 1], "PreSkip"),
    ] {
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
    assert!(read(&surround(26, 255)).is_ok(), "a silent channel");
}
