//! What becomes of frames: dropped and counted, refused, or samples with times.

use super::*;
use crate::container::Convention;
use bytes::Bytes;

const KEY: [u8; 10] = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00];
const INTER: [u8; 4] = [0x11, 0, 0, 0];

fn declared(codec: Codec, shape: Shape, configuration: &[u8]) -> DeclaredTrack {
    let track = Track {
        number: 7,
        codec,
        timescale: 1000,
        configuration: Bytes::copy_from_slice(configuration),
        shape,
        reorder_depth: 0,
        default_duration_ticks: 0,
        language: "eng".into(),
        name: "front".into(),
    };
    DeclaredTrack { track, convention: Convention::Matroska, offset: 321 }
}

fn vp8() -> Elementary {
    Elementary::new(declared(Codec::Vp8, Shape::Video { width: 320, height: 240 }, &[])).unwrap()
}

fn frame(pts_ticks: i64, key: bool, data: &[u8]) -> Frame {
    Frame {
        track: 7,
        pts_ticks,
        dts_ticks: None,
        duration_ticks: 0,
        key,
        data: Bytes::copy_from_slice(data),
        offset: 4000,
    }
}

fn refusal(codec: Codec, shape: Shape, configuration: &[u8]) -> Error {
    Elementary::new(declared(codec, shape, configuration)).unwrap_err()
}

#[test]
fn a_refusal_says_which_track_and_where_it_is_declared() {
    let error = refusal(Codec::H264, Shape::Video { width: 1, height: 1 }, &[2, 100, 0, 30, 0xff, 0xe0, 0]);
    assert_eq!((error.fault, error.offset), (Fault::CodecConfiguration, 321));
    assert_eq!(
        error.message,
        "the H.264 configuration of track 7 is unusable: configurationVersion is 2, it must be 1"
    );
}

#[test]
fn a_picture_without_size_is_refused() {
    // An av1C record without a sequence header says nothing about the size.
    let error = refusal(Codec::Av1, Shape::Video { width: 320, height: 0 }, &[0x81, 0, 0x0c, 0]);
    assert!(error.message.contains("width or height is 0"), "{error}");
    let sound = Shape::Audio { sample_rate: 0, channels: 1, bits_per_sample: 16 };
    assert!(refusal(Codec::PcmSigned, sound, &[]).message.contains("sampling frequency is 0"));
}

#[test]
fn a_key_frame_without_configuration_is_refused_with_advice() {
    let mut elementary =
        Elementary::new(declared(Codec::H264, Shape::Video { width: 0, height: 0 }, &[])).unwrap();
    assert!(elementary.take(frame(0, false, &[0, 0, 0, 2, 0x41, 0x9a])).unwrap().sample.is_none());
    assert_eq!(elementary.dropped().unconfigured, 1);
    let error = elementary.take(frame(0, true, &[0, 0, 0, 2, 0x65, 0x88])).unwrap_err();
    assert_eq!((error.fault, error.offset), (Fault::CodecConfiguration, 4000));
    assert!(error.hint.unwrap().contains("dump_extra"));
}

#[test]
fn the_container_s_words_stay_with_the_track() {
    let track = vp8().track().unwrap().clone();
    assert_eq!((track.language.as_str(), track.name.as_str(), track.number), ("eng", "front", 7));
}

#[test]
fn empty_and_damaged_frames_are_dropped_and_counted() {
    let mut elementary = vp8();
    assert!(elementary.take(frame(0, true, &KEY)).unwrap().sample.is_some());
    assert!(elementary.take(frame(40, false, &[])).unwrap().sample.is_none());
    assert!(elementary.take(frame(80, false, &[0x1f, 0, 0])).unwrap().sample.is_none());
    assert!(elementary.take(frame(i64::MAX, false, &INTER)).unwrap().sample.is_none());
    assert!(elementary.take(frame(120, false, &INTER)).unwrap().sample.is_some(), "the stream goes on");
    assert_eq!(elementary.dropped(), Dropped { empty: 1, broken: 2, ..Dropped::default() });
    assert_eq!(elementary.dropped().lost(), 3);
}

#[test]
fn after_a_damaged_key_frame_everything_waits_for_the_next() {
    let mut elementary = vp8();
    elementary.take(frame(0, true, &KEY)).unwrap();
    elementary.take(frame(40, true, &KEY[..8])).unwrap();
    for pts in [80, 120] {
        assert!(elementary.take(frame(pts, false, &INTER)).unwrap().sample.is_none());
    }
    assert!(elementary.take(frame(160, true, &KEY)).unwrap().sample.is_some());
    assert!(elementary.take(frame(200, false, &INTER)).unwrap().sample.is_some());
    assert_eq!(elementary.dropped(), Dropped { broken: 1, orphaned: 2, ..Dropped::default() });
}

#[test]
fn garbage_without_end_is_no_video() {
    let mut elementary = vp8();
    for pts in 1..i64::from(MAX_BROKEN_IN_A_ROW) {
        elementary.take(frame(pts, false, &[0xff])).unwrap();
    }
    let error = elementary.take(frame(1000, false, &[0xff])).unwrap_err();
    assert_eq!((error.fault, error.offset), (Fault::Bitstream, 4000));
    assert!(error.message.contains("100 frames of track 7 in a row are not VP8"), "{error}");
}

#[test]
fn a_flag_that_the_bitstream_contradicts_is_corrected() {
    let mut elementary = vp8();
    let mut sync = |key, data: &[u8]| elementary.take(frame(0, key, data)).unwrap().sample.unwrap().sync;
    assert!(sync(false, &KEY));
    assert!(!sync(true, &INTER));
}

#[test]
fn a_size_that_changes_changes_the_track() {
    let mut elementary = vp8();
    assert!(!elementary.take(frame(0, true, &KEY)).unwrap().track_changed);
    let mut larger = KEY;
    larger[7] = 0x02;
    let taken = elementary.take(frame(40, true, &larger)).unwrap();
    assert!(taken.track_changed && taken.sample.is_some());
    assert_eq!(elementary.track().unwrap().shape, Shape::Video { width: 576, height: 240 });
}

#[test]
fn sound_is_shown_when_it_is_decoded() {
    let shape = Shape::Audio { sample_rate: 8000, channels: 1, bits_per_sample: 0 };
    let mut elementary = Elementary::new(declared(Codec::PcmAlaw, shape, &[])).unwrap();
    let mut times = |pts| {
        let sample = elementary.take(frame(pts, false, &[1, 2])).unwrap().sample.unwrap();
        assert!(sample.sync);
        (sample.dts_ticks, sample.pts_ticks)
    };
    assert_eq!([0, 20, 20, 40].map(&mut times), [(0, 0), (20, 20), (21, 21), (40, 40)]);
    assert_eq!(times(-500), (-500, -500), "a clock that steps back is kept");
}

#[test]
fn decoding_times_of_the_container_are_kept_and_moved_apart_only_if_shared() {
    let mut elementary = vp8();
    let mut times = |dts, pts| {
        let frame = Frame { dts_ticks: Some(dts), ..frame(pts, true, &KEY) };
        let sample = elementary.take(frame).unwrap().sample.unwrap();
        (sample.dts_ticks, sample.pts_ticks)
    };
    assert_eq!(times(0, 80), (0, 80));
    assert_eq!(times(40, 40), (40, 40));
    assert_eq!(times(40, 60), (41, 60));
    assert_eq!(times(41, 60), (42, 60));
    assert_eq!(times(10, 10), (10, 10), "a step back is kept");
}

#[test]
fn unknown_codecs_pass_as_they_are() {
    let codec = Codec::Other { kind: TrackKind::Data, id: "D_WEBVTT".into() };
    let mut elementary = Elementary::new(declared(codec, Shape::Data, &[1, 2, 3])).unwrap();
    assert_eq!(elementary.track().unwrap().configuration[..], [1, 2, 3]);
    for key in [true, false] {
        assert_eq!(elementary.take(frame(0, key, &[9])).unwrap().sample.unwrap().sync, key);
    }
}
