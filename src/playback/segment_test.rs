//! What is measured on a fragment, and the bytes that caches keep of one.

use kinora_base::{FragmentNumber, WallTime};
use kinora_media::packed::{self, PartWriter};
use kinora_media::{Codec, Sample, Shape, Spliced};
use kinora_store::{ConfigurationId, Flags, State};

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
fn payload(pictures: i64) -> bytes::Bytes {
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
    let (runs, data) = part.finish();
    let mut payload = vec![packed::head(&[], std::iter::once(&runs))];
    payload.extend(data);
    payload.concat().into()
}

fn head(pictures: i64) -> Head {
    let payload = payload(pictures);
    Head::parse(&payload, payload.len() as u64).unwrap()
}

#[test]
fn one_picture_has_a_rate_and_none_has_not() {
    assert_eq!(frame_rate(&head(3), &track()), Some(25.0));
    assert_eq!(frame_rate(&head(1), &track()), Some(25.0));
    assert_eq!(frame_rate(&head(3), &Track { number: 2, ..track() }), None);
}

/// The second fragment ever stored, of this producer time and media time.
fn fragment(producer_us: i64, media_us: i64) -> Fragment {
    Fragment {
        number: FragmentNumber::FIRST,
        ordinal: 7,
        producer_time: WallTime::from_micros(producer_us),
        server_time: WallTime::EARLIEST,
        media_us,
        duration_us: 120_000,
        bytes: 100,
        configuration: ConfigurationId(1),
        flags: Flags::KEY_FRAME_START,
        content_crc: 0,
        discontinuities: 1,
        state: State::Persisted,
    }
}

/// The decoding time in the `tfdt` of a segment.
fn decoding_time(segment: &Splice) -> u64 {
    let Some(Spliced::Made(head)) = segment.pieces(0..segment.len()).next() else { panic!("no head") };
    let at = head.windows(4).position(|window| window == b"tfdt").unwrap() + 8;
    u64::from_be_bytes(head[at..at + 8].try_into().unwrap())
}

#[test]
fn media_time_is_the_producers_clock() {
    let time = |producer_us, media_us| {
        decoding_time(&segment(&fragment(producer_us, media_us), &head(3), &track()).unwrap())
    };
    let start_us = 1_800_000_000_000_000;
    // The samples begin at 0, and so does the producer's media time.
    assert_eq!(time(start_us, 0), 1_800_000_010_000);
    // A producer whose media time begins anew is a minute further on all the same.
    assert_eq!(time(start_us + 60_000_000, 0), 1_800_000_070_000);
    // The first picture is decoded 80 ms before it is shown, which is its fragment's time.
    assert_eq!(time(start_us, 80_000), 1_800_000_009_920);
    // Footage dated 1970 has its place, too.
    assert_eq!(time(0, 80_000), 9_920);
}

/// FNV-1a.
fn digest(bytes: &[u8]) -> u64 {
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

#[test]
fn other_bytes_need_another_muxer_version() {
    let (payload, head, track) = (payload(3), head(3), track());
    let tracks = std::slice::from_ref(&track);
    let made = [
        segment(&fragment(1_800_000_000_000_000, 40_000), &head, &track).unwrap(),
        file::mp4(&head, tracks).unwrap(),
        file::mkv(&head, tracks).unwrap(),
    ];
    let resolve = |splice: Splice| {
        let pieces = splice.pieces(0..splice.len()).map(|piece| match piece {
            Spliced::Made(bytes) => bytes,
            Spliced::Stored(place) => payload.slice(place.start as usize..place.end as usize),
        });
        pieces.collect::<Vec<_>>().concat()
    };
    let made = std::iter::once(init(&track).unwrap().to_vec()).chain(made.map(resolve));
    let digests: Vec<String> = made.map(|bytes| format!("{:016x}", digest(&bytes))).collect();
    let expected = ["2ac844ff2462ff82", "5f528a4e6a1b155c", "ed45d73ce25462b2", "cb8ebfb2aa5bc3ba"];
    assert_eq!(
        (MUXER_VERSION, digests.iter().map(String::as_str).collect::<Vec<_>>()),
        (2, expected.to_vec()),
        "caches keep these bytes for a year: raise MUXER_VERSION with them"
    );
}
