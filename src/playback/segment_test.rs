//! What is measured on a fragment, and the bytes that caches keep of one.

use kinora_media::packed::PartWriter;
use kinora_media::{Codec, Sample, Shape};

use super::*;
use crate::playback::{MUXER_VERSION, file};

fn track() -> Track {
    Track {
        number: 1,
        codec: Codec::Vp8,
        timescale: 1000,
        configuration: bytes::Bytes::new(),
        shape: Shape::Video { width: 640, height: 360 },
        reorder_depth: 0,
        default_duration_ticks: 0,
        language: String::new(),
        name: String::new(),
    }
}

/// A payload of so many pictures of 40 ms.
fn payload(pictures: i64) -> Payload {
    let samples: Vec<Sample> = (0..pictures)
        .map(|n| Sample {
            track: 1,
            dts_ticks: 40 * n,
            pts_ticks: 40 * n,
            duration_ticks: 40,
            sync: n == 0,
            data: vec![n as u8; 10].into(),
        })
        .collect();
    let mut part = PartWriter::new(0);
    part.run(&samples);
    let (head, data) = part.finish();
    Payload::parse_part(&head, &data).unwrap()
}

#[test]
fn one_picture_has_a_rate_and_none_has_not() {
    assert_eq!(frame_rate(&payload(3), &track()), Some(25.0));
    assert_eq!(frame_rate(&payload(1), &track()), Some(25.0));
    assert_eq!(frame_rate(&payload(3), &Track { number: 2, ..track() }), None);
}

/// FNV-1a.
fn digest(pieces: &[bytes::Bytes]) -> u64 {
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    pieces.iter().flat_map(|piece| piece.iter()).fold(0xcbf2_9ce4_8422_2325, add)
}

#[test]
fn other_bytes_need_another_muxer_version() {
    let (payload, track) = (payload(3), track());
    let tracks = std::slice::from_ref(&track);
    let made = [
        vec![init(&track).unwrap()],
        segment(&payload, &track, 7).unwrap(),
        file::mp4(&payload, tracks).unwrap(),
        file::mkv(&payload, tracks).unwrap(),
    ];
    let digests = made.map(|pieces| format!("{:016x}", digest(&pieces)));
    let expected = ["2ac844ff2462ff82", "e829b5974aafacbd", "ed45d73ce25462b2", "cb8ebfb2aa5bc3ba"];
    assert_eq!(
        (MUXER_VERSION, digests.each_ref().map(String::as_str)),
        (1, expected),
        "caches keep these bytes for a year: raise MUXER_VERSION with them"
    );
}
