//! What is measured on a fragment.

use kinora_media::packed::PartWriter;
use kinora_media::{Codec, Sample, Shape};

use super::*;

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
