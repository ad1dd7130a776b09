//! The H.264 record and its sets: a real encoder's, damaged field by field, and against
//! `h264-reader`.

use super::*;
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::rbsp::{BitReader, decode_nal};
use proptest::prelude::*;

/// What x264 writes for High profile at 320x240 and 25 frames a second with pyramids.
const SPS_UNIT: [u8; 25] = [
    0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0xfb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
    0x00, 0x03, 0x03, 0x20, 0xf1, 0x42, 0x99, 0x60,
];
const PPS_UNIT: [u8; 4] = [0x68, 0xef, 0x8f, 0xcb];

fn record(sps: &[&[u8]], pps: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![1, 0x64, 0x00, 0x0d, 0xff, 0xe0 | sps.len() as u8];
    for unit in sps {
        out.extend_from_slice(&(unit.len() as u16).to_be_bytes());
        out.extend_from_slice(unit);
    }
    out.push(pps.len() as u8);
    for unit in pps {
        out.extend_from_slice(&(unit.len() as u16).to_be_bytes());
        out.extend_from_slice(unit);
    }
    out.extend_from_slice(&[0xfd, 0xf8, 0xf8, 0x00]);
    out
}

fn read(bytes: &[u8]) -> Result<Record, Invalid> {
    let mut sets = ParameterSets::default();
    read_record(bytes, &mut sets)?;
    configure(&sets, Some(&Bytes::copy_from_slice(bytes)))
}

/// Bits as text, spaces ignored, as a NAL unit's payload behind `header`.
fn unit(header: &[u8], bits: &str) -> Vec<u8> {
    let mut out = header.to_vec();
    let bits: Vec<u8> = bits.bytes().filter(|b| *b != b' ').map(|b| b - b'0').collect();
    out.extend(
        bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |sum, (i, bit)| sum | bit << (7 - i))),
    );
    out
}

#[test]
fn a_canonical_record_is_kept_and_understood() {
    let bytes = record(&[&SPS_UNIT], &[&PPS_UNIT]);
    let record = read(&bytes).unwrap();
    assert_eq!(record.configuration, bytes);
    assert_eq!((record.width, record.height), (320, 240));
    assert_eq!(record.reorder_depth, Some(2));
    assert_eq!(record.frame_seconds, Some((2, 50)));
    assert_eq!(rfc6381(&bytes).unwrap(), "avc1.64000D");
}

#[test]
fn other_length_sizes_are_rewritten_to_four() {
    let canonical = record(&[&SPS_UNIT], &[&PPS_UNIT]);
    for first in [0xfc, 0xfd, 0xfe, 0x03] {
        let mut bytes = canonical.clone();
        bytes[4] = first;
        assert_eq!(read(&bytes).unwrap().configuration, canonical, "{first:#x}");
    }
    let mut sets = ParameterSets::default();
    let mut bytes = canonical;
    bytes[4] = 0xfd;
    assert_eq!(read_record(&bytes, &mut sets).unwrap(), 2);
}

#[test]
fn a_refusal_names_the_field_and_its_value() {
    let good = record(&[&SPS_UNIT], &[&PPS_UNIT]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mut short_profile = SPS_UNIT;
    short_profile[1] = 77;
    let foreign_pps = unit(&[0x68], "1 010 1");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (with(0, 0), "configurationVersion is 0"),
        (with(1, 77), "AVCProfileIndication is 77, but profile_idc in the SPS is 100"),
        (record(&[&short_profile], &[&PPS_UNIT]), "AVCProfileIndication is 100"),
        (record(&[], &[&PPS_UNIT]), "no sequence parameter set"),
        (record(&[&SPS_UNIT], &[]), "no picture parameter set"),
        (record(&[&[]], &[&PPS_UNIT]), "sequenceParameterSetNALUnit 0 is empty"),
        (record(&[&PPS_UNIT], &[&PPS_UNIT]), "sequenceParameterSetNALUnit 0 is a NAL unit of type 8"),
        (record(&[&SPS_UNIT], &[&SPS_UNIT]), "pictureParameterSetNALUnit 0 is a NAL unit of type 7"),
        (record(&[&[0xe7, 100, 0, 13]], &[&PPS_UNIT]), "forbidden_zero_bit"),
        (with(6, 0xff), "sequenceParameterSetNALUnit has 65305 bytes, but only"),
        (good[..20].to_vec(), "sequenceParameterSetNALUnit has 25 bytes"),
        (good[..33].to_vec(), "numOfPictureParameterSets"),
        (good[..35].to_vec(), "pictureParameterSetLength"),
        (good[..37].to_vec(), "pictureParameterSetNALUnit"),
        (good[..5].to_vec(), "numOfSequenceParameterSets"),
        (record(&[&SPS_UNIT[..8]], &[&PPS_UNIT]), "the SPS: it ends before"),
        (record(&[&SPS_UNIT], &[&PPS_UNIT[..2]]), "the PPS: it ends before"),
        (record(&[&SPS_UNIT], &[&foreign_pps]), "the PPS: it ends before"),
    ];
    for (bytes, says) in cases {
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
}

/// A Main profile set: fields by their codes, from `seq_parameter_set_id` on.
fn main_sps(bits: &str) -> Result<Sps, Invalid> {
    Sps::read(&unit(&[0x67, 77, 0x40, 30], bits))
}

#[test]
fn a_refusal_of_a_set_names_the_field() {
    for (bits, says) in [
        // id, log2_max_frame_num_minus4, pic_order_cnt_type
        ("00000 100001", "seq_parameter_set_id is 32"),
        ("1 0001110", "log2_max_frame_num_minus4 is 13"),
        ("1 1 00100", "pic_order_cnt_type is 3"),
        ("1 1 1 0001110", "log2_max_pic_order_cnt_lsb_minus4 is 13"),
        ("1 1 011 000010010", "max_num_ref_frames is 17"),
        ("1 1 011 1 0 0000000000 10000100000", "pic_width_in_mbs_minus1 is 1055"),
        // One macroblock, progressive, cropped by 8 units of two on the left.
        (
            "1 1 011 1 0 1 1 1 1 1 0001001 1 1 1",
            "frame_crop_left_offset and frame_crop_right_offset cut 16 of 16",
        ),
    ] {
        let error = main_sps(&format!("{bits}1000 0000 0000 0000")).unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
}

#[test]
fn depth_follows_from_what_excludes_reordering() {
    let depth = |profile: u8, constraints: u8, bits: &str| {
        Sps::read(&unit(&[0x67, profile, constraints, 30], bits)).unwrap().reorder_depth
    };
    // id 0, log2_max_frame_num_minus4 0, order type, (lsb 0), frames 1, gaps 0, 1x1, no crop, no VUI
    let order_0 = "1 1 1 1 010 0 1 1 1 1 0 0 1";
    let order_2 = "1 1 011 010 0 1 1 1 1 0 0 1";
    let no_references = "1 1 1 1 1 0 1 1 1 1 0 0 1";
    assert_eq!(depth(77, 0, order_0), None);
    assert_eq!(depth(66, 0, order_0), Some(0));
    assert_eq!(depth(77, 0, order_2), Some(0));
    assert_eq!(depth(77, 0, no_references), Some(0));
    // Chroma fields: 4:2:0, 8 bits, no bypass, no matrices.
    let high = |order: &str| format!("1 010 1 1 0 0 {}", &order[2..]);
    assert_eq!(depth(110, 0, &high(order_0)), None);
    assert_eq!(depth(110, 0x10, &high(order_0)), Some(0));
}

#[test]
fn broken_usability_information_is_no_reason_to_refuse() {
    let sps = main_sps("1 1 1 1 010 0 1 1 1 1 0 1 1 11111111").unwrap();
    assert_eq!((sps.width, sps.height, sps.reorder_depth), (16, 16, None));
}

#[test]
fn key_frames_show_in_slices_and_messages() {
    let summary = |units: &[&[u8]]| {
        let mut summary =
            Summary { picture: false, random_access: false, only_intra: true, recovery_point: false };
        units.iter().for_each(|unit| note(unit, unit_type(unit).unwrap(), &mut summary));
        summary
    };
    let idr = summary(&[&SPS_UNIT, &PPS_UNIT, &[0x65, 0x88]]);
    assert!(idr.picture && idr.random_access);
    // first_mb_in_slice 0, slice_type 7 (I) or 5 (P).
    let intra = summary(&[&unit(&[0x41], "1 0001000 1")]);
    assert!(intra.picture && !intra.random_access && intra.only_intra);
    assert!(!summary(&[&unit(&[0x41], "1 0001000 1"), &unit(&[0x41], "1 00110 1")]).only_intra);
    // User data of 3 bytes, then a recovery point of 1.
    assert!(summary(&[&[6, 5, 3, 9, 9, 9, 6, 1, 0xc0, 0x80]]).recovery_point);
    assert!(!summary(&[&[6, 5, 4, 6, 6, 6, 6, 0x80]]).recovery_point);
    assert!(!summary(&[&SPS_UNIT]).picture);
}

/// What `h264-reader` says of a set that it accepts.
fn oracle(unit: &[u8]) -> Option<(u32, u32, Option<u8>)> {
    let payload = decode_nal(unit).ok()?;
    let sps = SeqParameterSet::from_bits(BitReader::new(&*payload)).ok()?;
    let (width, height) = sps.pixel_dimensions().ok()?;
    let restrictions = sps.vui_parameters.and_then(|vui| vui.bitstream_restrictions);
    Some((width, height, restrictions.map(|r| r.max_num_reorder_frames as u8)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn what_an_independent_reader_accepts_is_read_alike(
        flips in prop::collection::vec((4_usize..25, 0_u8..8), 0..4)
    ) {
        let mut unit = SPS_UNIT;
        for (at, bit) in flips {
            unit[at] ^= 1 << bit;
        }
        if let Some((width, height, depth)) = oracle(&unit)
            && width > 0 && height > 0
            && let Ok(sps) = Sps::read(&unit)
        {
            prop_assert_eq!((sps.width, sps.height), (width, height));
            if let (Some(ours), Some(theirs)) = (sps.reorder_depth, depth) {
                prop_assert!(ours == theirs || ours == 0);
            }
        }
    }
}
