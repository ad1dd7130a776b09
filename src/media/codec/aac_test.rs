//! AudioSpecificConfig and ADTS, by hand from the tables of ISO/IEC 14496-3.

use super::*;

fn read(bytes: &[u8]) -> Result<(u8, u32, u16), Invalid> {
    let config = AudioSpecificConfig::read(bytes)?;
    Ok((config.object_type, config.output_rate, config.output_channels))
}

#[test]
fn reads_low_complexity() {
    assert_eq!(read(&[0x11, 0x90]).unwrap(), (2, 48_000, 2));
    assert_eq!(read(&[0x14, 0x08]).unwrap(), (2, 16_000, 1));
    assert_eq!(read(&[0x11, 0xb0, 0x56, 0xe5, 0x00]).unwrap(), (2, 48_000, 6), "SBR signalled as absent");
    // An escaped rate of 44 056 Hz.
    assert_eq!(read(&[0x17, 0x80, 0x56, 0x0c, 0x10]).unwrap(), (2, 44_056, 2));
}

#[test]
fn reads_high_efficiency_in_either_signalling() {
    // SBR: 5, core 24 kHz, stereo, 48 kHz, core type 2.
    assert_eq!(read(&[0x2b, 0x11, 0x88, 0x00]).unwrap(), (5, 48_000, 2));
    // PS: 29, core 24 kHz, mono, 48 kHz, core type 2.
    assert_eq!(read(&[0xeb, 0x09, 0x88, 0x00]).unwrap(), (29, 48_000, 2));
    // 2, core 24 kHz, stereo, then 0x2b7, 5, present, 48 kHz.
    assert_eq!(read(&[0x13, 0x10, 0x56, 0xe5, 0x98]).unwrap(), (5, 48_000, 2));
    // As before in mono, then 0x548 and present.
    assert_eq!(read(&[0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80]).unwrap(), (29, 48_000, 2));
    assert_eq!(rfc6381(&[0x2b, 0x11, 0x88, 0x00]).unwrap(), "mp4a.40.5");
    assert_eq!(rfc6381(&[0xeb, 0x09, 0x88, 0x00]).unwrap(), "mp4a.40.29");
}

#[test]
fn counts_the_channels_of_a_program() {
    // 2, 48 kHz, configuration 0; tag 0, type 1, rate 3, two front elements (a pair and a single),
    // one back pair, one LFE, no associated data, no coupling, no mixdowns.
    let bits = "00010 0011 0000 000 0000 01 0011 0010 0000 0001 01 000 0000 0 0 0 1 0000 0 0001 1 0010 0000";
    let bits: Vec<u8> = bits.bytes().filter(|b| *b != b' ').map(|b| b - b'0').collect();
    let bytes: Vec<u8> = bits
        .chunks(8)
        .map(|byte| byte.iter().enumerate().fold(0, |sum, (i, bit)| sum | bit << (7 - i)))
        .collect();
    assert_eq!(read(&bytes).unwrap(), (2, 48_000, 6));
}

#[test]
fn a_refusal_names_the_field_and_its_value() {
    for (bytes, says) in [
        (&[0x16, 0x90][..], "samplingFrequencyIndex is 13, which is reserved"),
        (&[0x17, 0x10], "samplingFrequencyIndex is 14"),
        (&[0x17, 0x80, 0x00, 0x00, 0x10], "samplingFrequency is 0"),
        (&[0x11, 0xc8], "channelConfiguration is 9"),
        (&[0x01, 0x90], "audioObjectType is 0"),
        (&[0x51, 0x90], "audioObjectType is 10"),
        (&[0xf8, 0x46, 0x40], "audioObjectType is 34, which is MPEG-1 audio"),
        (&[0x11], "samplingFrequencyIndex"),
        (&[0x11, 0x80], "element_instance_tag"),
        (&[0x2b, 0x17, 0x08, 0x00], "extensionSamplingFrequencyIndex is 14"),
        (&[0x2b, 0x11, 0x80, 0x00], "audioObjectType is 0"),
    ] {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains(says), "{bytes:02x?}: {error:?} does not say {says:?}");
    }
}

/// An ADTS frame: LC, 48 kHz, stereo, without checksum.
fn adts(payload: &[u8]) -> Bytes {
    let length = payload.len() + 7;
    let mut out = vec![
        0xff,
        0xf1,
        0x4c,
        0x80 | (length >> 11) as u8,
        (length >> 3) as u8,
        (length << 5) as u8 | 0x1f,
        0xfc,
    ];
    out.extend_from_slice(payload);
    Bytes::from(out)
}

#[test]
fn strips_headers_and_takes_the_configuration_from_them() {
    let (mut frames, none) = Frames::new(&Bytes::new()).unwrap();
    assert!(none.is_none());
    let unit = frames.read(&adts(&[0x21, 1, 2, 3])).unwrap();
    assert_eq!(unit.data[..], [0x21, 1, 2, 3]);
    assert_eq!(unit.configured.unwrap().configuration[..], [0x11, 0x90]);
    assert!(frames.read(&adts(&[0x21])).unwrap().configured.is_none());
    assert!(matches!(frames.read(&adts(&[])), Err(Rejected::Broken(_))));
}

#[test]
fn raw_access_units_pass_whatever_they_begin_with() {
    let (mut frames, some) = Frames::new(&Bytes::from_static(&[0x11, 0x90])).unwrap();
    assert!(some.is_some());
    for raw in [&[0x21, 0x10][..], &[0xff, 0xf1, 0x4c, 0x80, 0x10, 0x1f, 0xfc, 0x21]] {
        assert_eq!(frames.read(&Bytes::copy_from_slice(raw)).unwrap().data, raw);
    }
}

#[test]
fn raw_access_units_without_any_configuration_are_refused() {
    let (mut frames, _) = Frames::new(&Bytes::new()).unwrap();
    assert!(matches!(frames.read(&Bytes::from_static(&[0x21, 0x10])), Err(Rejected::Configuration(_))));
}
