//! The packed payload survives writing and reading, whole, in parts and damaged.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn sample(track: u32, dts: i64, duration: u32, data: Vec<u8>) -> Sample {
    Sample {
        track,
        dts_ticks: dts,
        pts_ticks: dts + 7,
        duration_ticks: duration,
        sync: data.len().is_multiple_of(3),
        data: data.into(),
    }
}

/// Parts of two runs each: video, then audio.
fn parts(sizes: &[(u8, u8)]) -> (Vec<Sample>, Vec<(Bytes, Vec<Bytes>)>) {
    let (mut video_dts, mut audio_dts) = (-40, 1 << 40);
    let mut all = Vec::new();
    let mut parts = Vec::new();
    for (index, (video, audio)) in sizes.iter().enumerate() {
        let mut part = PartWriter::new(index as u32);
        let mut video_run = Vec::new();
        for n in 0..*video {
            video_run.push(sample(1, video_dts, 40, vec![n; usize::from(n) + 1]));
            video_dts += 40;
        }
        let mut audio_run = Vec::new();
        for n in 0..*audio {
            audio_run.push(sample(2, audio_dts, 1024, vec![n; 3]));
            audio_dts += 1024;
        }
        part.run(&video_run);
        part.run(&audio_run);
        all.extend(video_run.into_iter().chain(audio_run));
        parts.push(part.finish());
    }
    (all, parts)
}

fn payload(tags: &[Tag], parts: &[(Bytes, Vec<Bytes>)]) -> Vec<Bytes> {
    let mut pieces = vec![head(tags, parts.iter().map(|(head, _)| head))];
    pieces.extend(parts.iter().flat_map(|(_, data)| data.iter().cloned()));
    pieces
}

proptest! {
    #[test]
    fn samples_survive(sizes in prop::collection::vec((0_u8..9, 0_u8..9), 0..6)) {
        let tags = [Tag { name: "location".into(), value: "door".into() }];
        let (written, parts) = parts(&sizes);
        let pieces = payload(&tags, &parts);
        let whole = Bytes::from(pieces.concat());
        let length = Head::length(&whole.slice(..Head::PREFIX_BYTES as usize)).unwrap();
        prop_assert_eq!(length, pieces[0].len() as u64);
        let read = Head::parse(&pieces[0], whole.len() as u64).unwrap();
        prop_assert_eq!(read.tags(), &tags);
        let cut: Vec<Bytes> = whole.chunks(5).map(|piece| whole.slice_ref(piece)).collect();
        for pieces in [&pieces[..], &cut, std::slice::from_ref(&whole)] {
            prop_assert_eq!(read.samples(pieces), written.clone());
        }
        for track in [1, 2] {
            let places = read.track(track).map(|(_, place)| place.start as usize..place.end as usize);
            let data: Vec<u8> = places.flat_map(|place| whole.slice(place).to_vec()).collect();
            let expected: Vec<u8> =
                written.iter().filter(|s| s.track == track).flat_map(|s| s.data.to_vec()).collect();
            prop_assert_eq!(data, expected);
        }
        let live = parts.iter().flat_map(|(head, data)| {
            let bytes = data.iter().map(Bytes::len).sum::<usize>() as u64;
            Head::parse_part(head, bytes).unwrap().samples(data)
        });
        prop_assert_eq!(live.collect::<Vec<_>>(), written);
    }

    #[test]
    fn damage_is_an_error_or_other_samples_but_never_a_panic(
        position in 0_usize..200, flipped in 1_u8..=255, length in 0_usize..200
    ) {
        let (_, parts) = parts(&[(3, 2), (1, 4)]);
        let mut bytes = payload(&[], &parts).concat();
        let position = position % bytes.len();
        bytes[position] ^= flipped;
        let whole = bytes.len() as u64;
        let _ = Head::parse(&bytes, whole).map(|head| head.samples(&[Bytes::from(bytes.clone())]));
        let cut = length % bytes.len();
        prop_assert!(Head::parse(&bytes[..cut], cut as u64).is_err());
    }
}

#[test]
fn a_sample_in_one_piece_is_not_copied() {
    let (_, parts) = parts(&[(2, 2)]);
    let whole = Bytes::from(payload(&[], &parts).concat());
    let read = Head::parse(&whole, whole.len() as u64).unwrap().samples(std::slice::from_ref(&whole));
    assert!(read.iter().all(|sample| whole.as_ptr_range().contains(&sample.data.as_ptr())));
}

/// These bytes are on people's disks. If a change here is meant, raise `VERSION` and keep reading
/// the old one.
#[test]
fn golden_bytes() {
    let (_, parts) = parts(&[(2, 1)]);
    let text: String = payload(&[], &parts).concat().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        text,
        concat!(
            "01",
            "1d000000",
            "00", // version, length of the head, no tags
            "01",
            "00",
            "4f",
            "02",
            "280e02",
            "280e04", // track 1, part 0, from -40, two samples
            "02",
            "00",
            "808080808040",
            "01",
            "80080e07", // track 2, part 0, from 2^40, one sample
            "00",
            "0101",
            "000000" // data
        )
    );
}
