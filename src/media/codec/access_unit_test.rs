//! Frames of H.264 in every framing, with sets that come, change and break.

use super::*;

const SPS: [u8; 25] = [
    0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0xfb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
    0x00, 0x03, 0x03, 0x20, 0xf1, 0x42, 0x99, 0x60,
];
const PPS: [u8; 4] = [0x68, 0xef, 0x8f, 0xcb];
/// Another PPS of the same id.
const OTHER_PPS: [u8; 4] = [0x68, 0xee, 0x3c, 0x80];
const IDR: [u8; 3] = [0x65, 0x88, 0x84];
/// first_mb_in_slice 0, slice_type 5: P.
const P: [u8; 3] = [0x41, 0x9a, 0x24];
/// first_mb_in_slice 0, slice_type 7: I.
const I: [u8; 3] = [0x41, 0x88, 0x84];
const RECOVERY_POINT: [u8; 5] = [0x06, 0x06, 0x01, 0xc4, 0x80];

fn coded(units: &[&[u8]]) -> Bytes {
    let mut out = Vec::new();
    for unit in units {
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(unit);
    }
    Bytes::from(out)
}

fn counted(size: usize, units: &[&[u8]]) -> Bytes {
    let mut out = Vec::new();
    for unit in units {
        out.extend_from_slice(&(unit.len() as u32).to_be_bytes()[4 - size..]);
        out.extend_from_slice(unit);
    }
    Bytes::from(out)
}

fn record(size: u8) -> Bytes {
    let mut out = vec![1, 0x64, 0x00, 0x0d, 0xfc | (size - 1), 0xe1, 0, 25];
    out.extend_from_slice(&SPS);
    out.extend_from_slice(&[1, 0, 4]);
    out.extend_from_slice(&PPS);
    out.extend_from_slice(&[0xfd, 0xf8, 0xf8, 0x00]);
    Bytes::from(out)
}

fn reader(configuration: &Bytes) -> (AccessUnits, Option<Configured>) {
    AccessUnits::new(Syntax::H264, configuration).unwrap()
}

#[test]
fn four_byte_lengths_are_handed_on_without_a_copy() {
    let (mut reader, configured) = reader(&record(4));
    assert_eq!(configured.unwrap().configuration, record(4));
    let frame = counted(4, &[&IDR, &IDR]);
    let unit = reader.read(&frame, true).unwrap();
    assert_eq!(unit.data.as_ptr(), frame.as_ptr());
    assert_eq!(unit.data, frame);
}

#[test]
fn other_lengths_and_start_codes_become_four_byte_lengths() {
    for size in [1, 2, 3] {
        let (mut reader, configured) = reader(&record(size));
        assert_eq!(configured.unwrap().configuration, record(4));
        let unit = reader.read(&counted(usize::from(size), &[&PPS, &IDR]), true).unwrap();
        assert_eq!(unit.data, counted(4, &[&PPS, &IDR]));
    }
    for configuration in [record(4), Bytes::new(), coded(&[&SPS, &PPS])] {
        let (mut reader, _) = reader(&configuration);
        let unit = reader.read(&coded(&[&SPS, &PPS, &IDR]), true).unwrap();
        assert_eq!(unit.data, counted(4, &[&SPS, &PPS, &IDR]));
    }
}

#[test]
fn a_start_code_that_is_a_length_is_taken_for_what_the_track_has() {
    // 00 00 01 04 is a start code and a NAL unit of type 4, or the length 260.
    let mut long = IDR.to_vec();
    long.resize(260, 0x55);
    let frame = counted(4, &[&long]);
    assert_eq!(frame[..4], [0, 0, 1, 4]);
    let (mut reader, _) = reader(&record(4));
    assert_eq!(reader.read(&frame, true).unwrap().data, frame);
}

#[test]
fn sets_inside_the_first_key_frame_are_the_configuration() {
    for frame in [coded(&[&SPS, &PPS, &IDR]), counted(4, &[&SPS, &PPS, &IDR])] {
        let (mut reader, none) = reader(&Bytes::new());
        assert!(none.is_none());
        assert!(matches!(reader.read(&coded(&[&P]), false), Err(Rejected::NoConfiguration)));
        let unit = reader.read(&frame, true).unwrap();
        assert_eq!(unit.configured.unwrap().configuration, record(4));
        assert!(reader.read(&frame, true).unwrap().configured.is_none(), "only if really different");
    }
}

#[test]
fn sets_in_a_frame_of_their_own_are_taken_note_of() {
    let (mut reader, _) = reader(&Bytes::new());
    assert!(matches!(reader.read(&coded(&[&SPS, &PPS]), true), Err(Rejected::NoConfiguration)));
    assert!(reader.read(&coded(&[&IDR]), true).unwrap().configured.is_some());
    assert!(matches!(reader.read(&coded(&[&SPS, &PPS]), false), Err(Rejected::NoPicture)));
}

#[test]
fn a_key_frame_without_sets_is_refused() {
    let (mut reader, _) = reader(&Bytes::new());
    let Err(Rejected::Configuration(why)) = reader.read(&coded(&[&IDR]), true) else { panic!() };
    assert!(why.to_string().contains("no sequence parameter set"), "{why}");
    // Whether or not the container says that it is one.
    assert!(matches!(reader.read(&coded(&[&IDR]), false), Err(Rejected::Configuration(_))));
}

#[test]
fn a_change_waits_for_the_next_key_frame() {
    let (mut reader, _) = reader(&record(4));
    reader.read(&counted(4, &[&IDR]), true).unwrap();
    assert!(reader.read(&counted(4, &[&OTHER_PPS, &P]), false).unwrap().configured.is_none());
    let configured = reader.read(&counted(4, &[&IDR]), true).unwrap().configured.unwrap();
    assert_ne!(configured.configuration, record(4));
    assert_eq!(configured.shape, Shape::Video { width: 320, height: 240 });
}

#[test]
fn sets_that_come_whole_replace_all_older_ones() {
    // A PPS of id 1 that goes with the old SPS.
    let second_pps = [0x68, 0x5b, 0x8e, 0x20];
    let (mut reader, _) = reader(&Bytes::new());
    let before = reader.read(&counted(4, &[&SPS, &PPS, &second_pps, &IDR]), true).unwrap().configured;
    assert!(before.unwrap().configuration.windows(4).any(|window| window == second_pps));
    let after = reader.read(&counted(4, &[&SPS, &OTHER_PPS, &IDR]), true).unwrap().configured;
    assert!(!after.unwrap().configuration.windows(4).any(|window| window == second_pps));
}

#[test]
fn a_broken_set_in_the_middle_costs_its_frame_only() {
    let (mut reader, _) = reader(&record(4));
    let broken = [0x67, 0x64, 0x00, 0x0d, 0xac];
    assert!(matches!(reader.read(&counted(4, &[&broken, &IDR]), true), Err(Rejected::Broken(_))));
    assert!(reader.read(&counted(4, &[&SPS, &PPS, &IDR]), true).unwrap().configured.is_none());
}

#[test]
fn key_frames_are_what_the_bitstream_says() {
    for (units, flagged, sync) in [
        (vec![&IDR[..]], false, true),
        (vec![&IDR[..]], true, true),
        (vec![&P[..]], true, false),
        (vec![&P[..]], false, false),
        (vec![&RECOVERY_POINT[..], &P], true, true),
        (vec![&RECOVERY_POINT[..], &P], false, false),
        (vec![&I[..]], true, true),
        (vec![&I[..]], false, false),
    ] {
        let (mut reader, _) = reader(&record(4));
        let unit = reader.read(&counted(4, &units), flagged).unwrap();
        assert_eq!(unit.sync, sync, "{units:02x?}, flagged {flagged}");
    }
}

#[test]
fn damage_is_named() {
    let (mut reader, _) = reader(&record(4));
    for (frame, says) in [
        (&[0, 0, 0, 9, 0x65, 0x88][..], "claims 9 bytes where 2 are left"),
        (&[0, 0, 0, 2, 0xe5, 0x88], "impossible header [e5, 88]"),
        (&[0, 0, 0, 1, 0xe5, 0x88, 0x84], "impossible header"),
        (&[0, 0, 0, 3, 0x65, 0x88, 0x84, 0], "claims 4 bytes where 1"),
    ] {
        match reader.read(&Bytes::copy_from_slice(frame), true) {
            Err(Rejected::Broken(why)) => assert!(why.contains(says), "{why:?} does not say {says:?}"),
            other => panic!("{frame:02x?}: {other:?}"),
        }
    }
}

#[test]
fn empty_units_are_left_out() {
    let (mut reader, _) = reader(&record(4));
    let unit = reader.read(&counted(4, &[&[], &IDR, &[]]), true).unwrap();
    assert_eq!(unit.data, counted(4, &[&IDR]));
}
