//! AV1: a real encoder's sequence header, and units cut and damaged.

use super::*;

/// What libaom writes for 162x122, Main profile, level 2.0, as a whole OBU.
const SEQUENCE: [u8; 12] = [0x0a, 0x0a, 0x00, 0x00, 0x00, 0x03, 0xb5, 0x0f, 0x93, 0x6b, 0xe4, 0x01];
/// A frame OBU of three bytes that begins a shown key frame.
const KEY: [u8; 5] = [0x32, 0x03, 0x10, 0x55, 0x55];
/// A frame OBU that begins a shown inter frame.
const INTER: [u8; 5] = [0x32, 0x03, 0x30, 0x55, 0x55];
const DELIMITER: [u8; 2] = [0x12, 0x00];

fn record() -> Bytes {
    Bytes::from([&[0x81, 0x00, 0x0c, 0x00][..], &SEQUENCE].concat())
}

fn frame(parts: &[&[u8]]) -> Bytes {
    Bytes::from(parts.concat())
}

#[test]
fn writes_the_record_that_the_encoder_s_muxer_writes() {
    let (sequence, whole) = find_sequence(&SEQUENCE).unwrap().unwrap();
    assert_eq!((sequence.width, sequence.height), (162, 122));
    assert_eq!(sequence.record(whole), record());
    assert_eq!(rfc6381(&record()).unwrap(), "av01.0.00M.08");
}

#[test]
fn takes_the_configuration_from_the_first_key_frame() {
    let (mut frames, none) = Frames::new(&Bytes::new()).unwrap();
    assert!(none.is_none());
    assert!(matches!(frames.read(&frame(&[&DELIMITER, &INTER])), Err(Rejected::NoConfiguration)));
    let unit = frames.read(&frame(&[&DELIMITER, &SEQUENCE, &KEY])).unwrap();
    assert_eq!(unit.data, frame(&[&SEQUENCE, &KEY]), "without the delimiter");
    assert!(unit.sync);
    assert_eq!(unit.configured.unwrap().configuration, record());
    let unit = frames.read(&frame(&[&INTER])).unwrap();
    assert!(!unit.sync && unit.configured.is_none());
    assert!(frames.read(&frame(&[&SEQUENCE, &KEY])).unwrap().configured.is_none(), "the same again");
}

#[test]
fn a_key_frame_without_any_sequence_header_is_refused() {
    let (mut frames, _) = Frames::new(&Bytes::new()).unwrap();
    assert!(matches!(frames.read(&frame(&[&KEY])), Err(Rejected::Configuration(_))));
}

#[test]
fn delimiters_between_frames_go_too() {
    let (mut frames, _) = Frames::new(&record()).unwrap();
    let unit = frames.read(&frame(&[&DELIMITER, &KEY, &DELIMITER, &INTER])).unwrap();
    assert_eq!(unit.data, frame(&[&KEY, &INTER]));
}

#[test]
fn the_last_unit_may_come_without_a_size() {
    let (mut frames, _) = Frames::new(&record()).unwrap();
    let data = frame(&[&[0x30, 0x10, 0x55]]);
    assert_eq!(frames.read(&data).unwrap().data, data);
}

#[test]
fn damaged_units_are_named() {
    let (mut frames, _) = Frames::new(&record()).unwrap();
    for (bytes, says) in [
        (vec![0xb2, 0x01, 0x10], "obu_forbidden_bit"),
        (vec![0x32, 0x09, 0x10], "obu_size is 9 where 1 bytes are left"),
        (vec![0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "more than 8 bytes"),
        (vec![0x32, 0xff, 0xff, 0xff, 0xff, 0x7f], "more than 32 bits"),
        (vec![0x36], "temporal_id"),
    ] {
        match frames.read(&Bytes::from(bytes)) {
            Err(Rejected::Broken(why)) => assert!(why.contains(says), "{why:?} does not say {says:?}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(frames.read(&frame(&[&DELIMITER])), Err(Rejected::NoPicture)));
}

#[test]
fn a_refusal_names_the_field_and_its_value() {
    let with = |at: usize, byte: u8| {
        let mut bytes = record().to_vec();
        bytes[at] = byte;
        bytes
    };
    for (bytes, says) in [
        (with(0, 0x01), "marker is 0"),
        (with(0, 0x82), "version 2"),
        (with(1, 0x60), "seq_profile is 3"),
        (with(1, 0x20), "seq_profile is 1, but 0 in the sequence header"),
        (with(5, 0x7f), "configOBUs: obu_size is 127"),
        (record()[..3].to_vec(), "it ends before seq_level_idx_0"),
        (record()[..10].to_vec(), "configOBUs: obu_size is 10 where 4"),
    ] {
        let error = Frames::new(&Bytes::from(bytes)).unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
}

#[test]
fn bit_depth_and_tier_show_in_the_codec_string() {
    assert_eq!(rfc6381(&[0x81, 0x08, 0xc0, 0]).unwrap(), "av01.0.08H.10");
    assert_eq!(rfc6381(&[0x81, 0x4d, 0x60, 0]).unwrap(), "av01.2.13M.12");
    assert_eq!(rfc6381(&[0x81]), None);
}

#[test]
fn of_several_sequence_headers_the_last_before_the_frame_counts() {
    let mut still = SEQUENCE;
    // seq_profile 0, still_picture, reduced_still_picture_header, level 0, sizes as they fall.
    still[2] = 0x18;
    let (mut frames, _) = Frames::new(&record()).unwrap();
    let unit = frames.read(&frame(&[&still, &SEQUENCE, &INTER, &still])).unwrap();
    assert!(!unit.sync && unit.configured.is_none());
    let unit = frames.read(&frame(&[&SEQUENCE, &still, &INTER])).unwrap();
    assert!(unit.sync && unit.configured.is_some(), "a still picture is a key frame");
}
