//! VP9: headers by hand, records in all the forms that containers use.

use super::*;

const VIDEO: Shape = Shape::Video { width: 320, height: 240 };
const RECORD: [u8; 8] = [0, 10, 0x82, 2, 2, 2, 0, 0];

/// A profile 0 key frame of 320x240 in BT.601, studio range.
const KEY: [u8; 10] = [0x82, 0x49, 0x83, 0x42, 0x20, 0x13, 0xf0, 0x0e, 0xf6, 0x00];
const INTER: [u8; 2] = [0x86, 0x00];

#[test]
fn a_key_frame_tells_the_whole_configuration() {
    let (mut frames, none) = Frames::new(&Bytes::new(), Shape::Video { width: 0, height: 0 }).unwrap();
    assert!(none.is_none());
    assert!(matches!(frames.read(&Bytes::from_static(&INTER)), Err(Rejected::NoConfiguration)));
    let unit = frames.read(&Bytes::from_static(&KEY)).unwrap();
    assert!(unit.sync);
    let configured = unit.configured.unwrap();
    assert_eq!(configured.shape, VIDEO);
    assert_eq!(configured.configuration[..], [0, 20, 0x82, 2, 2, 2, 0, 0]);
    assert!(!frames.read(&Bytes::from_static(&INTER)).unwrap().sync);
    assert!(frames.read(&Bytes::from_static(&KEY)).unwrap().configured.is_none());
}

#[test]
fn a_record_comes_with_and_without_the_full_box_header() {
    let full = [&[1, 0, 0, 0][..], &RECORD].concat();
    for given in [&RECORD[..], &full] {
        let (_, configured) = Frames::new(&Bytes::copy_from_slice(given), VIDEO).unwrap();
        assert_eq!(configured.unwrap().configuration[..], RECORD);
    }
}

#[test]
fn an_unknown_level_is_filled_in() {
    let (_, configured) = Frames::new(&Bytes::from_static(&[0, 0, 0x82, 1, 1, 1, 0, 0]), VIDEO).unwrap();
    assert_eq!(configured.unwrap().configuration[..], [0, 20, 0x82, 1, 1, 1, 0, 0]);
}

#[test]
fn webm_s_features_leave_it_to_the_first_frame() {
    let features = Bytes::from_static(&[1, 1, 0, 2, 1, 10, 3, 1, 8, 4, 1, 1]);
    assert!(Frames::new(&features, VIDEO).unwrap().1.is_none());
}

#[test]
fn a_frame_that_disagrees_with_the_record_replaces_it() {
    let (mut frames, _) = Frames::new(&Bytes::from_static(&RECORD), VIDEO).unwrap();
    assert!(frames.read(&Bytes::from_static(&KEY)).unwrap().configured.is_none(), "it agrees");
    let mut smaller = KEY;
    smaller[6] = 0x70;
    let shape = frames.read(&Bytes::copy_from_slice(&smaller)).unwrap().configured.unwrap().shape;
    assert!(matches!(shape, Shape::Video { width, height: 240 } if width != 320), "{shape:?}");
    let (mut frames, _) = Frames::new(&Bytes::from_static(&[2, 10, 0xa2, 2, 2, 2, 0, 0]), VIDEO).unwrap();
    let configured = frames.read(&Bytes::from_static(&KEY)).unwrap().configured.unwrap();
    assert_eq!(configured.configuration[0], 0);
}

#[test]
fn a_refusal_names_the_field_and_its_value() {
    for (bytes, says) in [
        (&[4, 10, 0x82, 2, 2, 2, 0, 0][..], "profile is 4"),
        (&[0, 10, 0x92, 2, 2, 2, 0, 0], "bitDepth is 9"),
        (&[0, 10, 0x8a, 2, 2, 2, 0, 0], "chromaSubsampling is 5"),
        (&[0, 10, 0x82, 2, 2, 2, 0, 1], "codecInitializationDataSize is 1"),
        (&[0, 10, 0x82, 2], "colourPrimaries"),
    ] {
        let error = Frames::new(&Bytes::copy_from_slice(bytes), VIDEO).unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
}

#[test]
fn damaged_headers_are_named() {
    for (bytes, says) in [
        (&[0x42][..], "frame_marker is 1"),
        (&[0x82, 0x49, 0x83, 0x43, 0x20], "frame_sync_code"),
        (&KEY[..6], "frame_width_minus_1"),
        (&[], "frame_marker"),
    ] {
        let error = read_header(bytes).unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
}
