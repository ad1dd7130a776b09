//! The H.265 record and its sets: a real encoder's, and damaged field by field.

use super::*;

/// What x265 writes for Main profile at 320x240 and 25 frames a second.
const VPS_UNIT: [u8; 24] = [
    0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00,
    0x00, 0x03, 0x00, 0x3c, 0x95, 0x98, 0x09,
];
const SPS_UNIT: [u8; 42] = [
    0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
    0x3c, 0xa0, 0x0a, 0x08, 0x0f, 0x16, 0x59, 0x59, 0x92, 0x93, 0x0b, 0xc0, 0x5a, 0x02, 0x00, 0x00, 0x03,
    0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x32, 0x10,
];
const PPS_UNIT: [u8; 6] = [0x44, 0x01, 0xc0, 0x73, 0xc1, 0x89];

fn sets() -> ParameterSets {
    let mut sets = ParameterSets::default();
    for unit in [&VPS_UNIT[..], &SPS_UNIT, &PPS_UNIT] {
        let kind = unit_type(unit).unwrap();
        sets.take(unit, set_id(unit).unwrap().unwrap(), kind).unwrap();
    }
    sets
}

fn read(bytes: &[u8]) -> Result<Record, Invalid> {
    let mut sets = ParameterSets::default();
    read_record(bytes, &mut sets)?;
    configure(&sets, Some(&Bytes::copy_from_slice(bytes)))
}

#[test]
fn writes_the_record_that_the_encoder_s_muxer_writes() {
    let record = configure(&sets(), None).unwrap();
    let head = [
        1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3c, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 3, 0xa0,
        0, 1, 0, 24,
    ];
    assert_eq!(record.configuration[..head.len()], head);
    assert_eq!(read(&record.configuration).unwrap(), record);
    assert_eq!((record.width, record.height), (320, 240));
    assert_eq!(record.reorder_depth, Some(2));
    assert_eq!(record.frame_seconds, Some((1, 25)));
    assert_eq!(rfc6381(&record.configuration).unwrap(), "hvc1.1.6.L60.90");
}

#[test]
fn other_length_sizes_and_the_draft_version_are_rewritten() {
    let canonical = configure(&sets(), None).unwrap().configuration;
    for (at, byte) in [(21, 0x0c), (21, 0x0d), (0, 0)] {
        let mut bytes = canonical.to_vec();
        bytes[at] = byte;
        assert_eq!(read(&bytes).unwrap().configuration, canonical, "byte {at}");
    }
}

#[test]
fn a_refusal_names_the_field_and_its_value() {
    let good = configure(&sets(), None).unwrap().configuration.to_vec();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, says) in [
        (with(0, 2), "configurationVersion is 2"),
        (with(1, 2), "general_profile_idc is 2, but 1 in the SPS"),
        (with(22, 0), "no video parameter set"),
        (with(23, 0xa1), "NAL_unit_type 33 is of type 32"),
        (with(28, 0xc0), "no valid header"),
        (with(26, 0xff), "nalUnit has 65304 bytes"),
        (good[..22].to_vec(), "numOfArrays"),
        (good[..40].to_vec(), "nalUnit has 24 bytes"),
        (good[..10].to_vec(), "general_level_idc"),
        (good[..good.len() - 1].to_vec(), "nalUnit has 6 bytes"),
    ] {
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
}

#[test]
fn a_set_that_breaks_off_is_refused_where_it_breaks_off() {
    for length in 3..26 {
        let error = Sps::read(&SPS_UNIT[..length]).unwrap_err().to_string();
        assert!(error.contains("it ends before"), "{length}: {error}");
    }
    // What follows the reorder depth may be damaged.
    let sps = Sps::read(&SPS_UNIT[..30]).unwrap();
    assert_eq!((sps.width, sps.reorder_depth, sps.frame_seconds), (320, 2, None));
}

#[test]
fn key_frames_are_the_pictures_of_random_access() {
    for kind in 0..64_u8 {
        let mut summary =
            Summary { picture: false, random_access: false, only_intra: true, recovery_point: false };
        note(kind, &mut summary);
        assert_eq!(summary.picture, kind < 32, "{kind}");
        assert_eq!(summary.random_access, (16..24).contains(&kind), "{kind}");
    }
}

#[test]
fn sets_of_enhancement_layers_are_left_alone() {
    let mut unit = SPS_UNIT;
    unit[1] |= 8;
    assert_eq!(set_id(&unit).unwrap(), None);
    assert_eq!(set_id(&SPS_UNIT).unwrap(), Some(0));
}

#[test]
fn codec_strings_follow_the_standard_s_examples() {
    let mut record = vec![1, 0x01, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93];
    assert_eq!(rfc6381(&record).unwrap(), "hvc1.1.6.L93.B0");
    record[1] = 0x62;
    record[6] = 0;
    assert_eq!(rfc6381(&record).unwrap(), "hvc1.A2.6.H93");
    assert_eq!(rfc6381(&record[..8]), None);
}
