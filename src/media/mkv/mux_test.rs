//! The muxer's bytes, and its way back through the demuxer.

use std::path::Path;

use bytes::Bytes;
use kinora_base::MediaTime;
use proptest::prelude::*;

use super::super::END_OF_FRAGMENT;
use super::super::id::Id;
use super::super::made_test::{events, frames};
use super::Muxer;
use crate::container::{Boundary, Event};
use crate::{Codec, Fault, Sample, Shape, Tag, Track, TrackKind};

fn track(number: u32, codec: Codec, timescale: u32, configuration: &[u8], shape: Shape) -> Track {
    Track {
        number,
        codec,
        timescale,
        configuration: Bytes::copy_from_slice(configuration),
        shape,
        reorder_depth: 0,
        default_duration_ticks: 0,
        language: String::new(),
        name: String::new(),
    }
}

fn sound(sample_rate: u32, channels: u16, bits_per_sample: u16) -> Shape {
    Shape::Audio { sample_rate, channels, bits_per_sample }
}

const PICTURE: Shape = Shape::Video { width: 640, height: 360 };

fn subtitles(number: u32) -> Track {
    let codec = Codec::Other { kind: TrackKind::Data, id: "S_TEXT/UTF8".to_owned() };
    track(number, codec, 1000, b"", Shape::Data)
}

fn sample(track: u32, dts_ticks: i64, pts_ticks: i64, sync: bool, data: &'static [u8]) -> Sample {
    Sample { track, dts_ticks, pts_ticks, duration_ticks: 0, sync, data: Bytes::from_static(data) }
}

fn join(muxer: &Muxer, clusters: &[&[Sample]]) -> Vec<u8> {
    let mut out = muxer.header().to_vec();
    for samples in clusters {
        for piece in muxer.cluster(*samples).unwrap() {
            out.extend_from_slice(&piece);
        }
    }
    out
}

/// One track of each kind of header, and a few samples of each.
fn everything() -> Vec<u8> {
    let head = b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0";
    let mut camera = track(1, Codec::H264, 90_000, b"\x01\x64\0\x1Favcc", PICTURE);
    camera.default_duration_ticks = 3000;
    camera.name = "Hof".to_owned();
    camera.language = "de-AT".to_owned();
    let mut other = track(300, Codec::Vp9, 1000, &[0, 31, 0x80 | 1 << 1, 1, 1, 1, 0, 0], PICTURE);
    other.language = "ger".to_owned();
    let tracks = [
        camera,
        track(2, Codec::Opus, 48_000, head, sound(48_000, 2, 0)),
        track(3, Codec::PcmAlaw, 8000, b"", sound(8000, 1, 8)),
        track(4, Codec::PcmSigned, 16_000, b"", sound(16_000, 2, 16)),
        subtitles(5),
        other,
    ];
    let mut text = sample(5, 20, 20, true, b"Hello");
    text.duration_ticks = 1500;
    let mut last = sample(1, 9000, 12_000, false, b"last picture");
    last.duration_ticks = 4500;
    let samples = [
        sample(1, 0, 3000, true, b"key picture"),
        sample(1, 3000, 9000, false, b"P"),
        sample(1, 6000, 6000, false, b"B"),
        last,
        sample(2, 0, -312, true, b"\xF8opus"),
        sample(2, 960, 648, true, b"\xF8opus too"),
        sample(3, 80, 80, true, b"g.711"),
        sample(4, 160, 160, true, b"p.c.m."),
        text,
        sample(300, 7, 7, true, b"vp9"),
    ];
    let muxer = Muxer::new(&tracks).lasting(MediaTime::new(5, 2).unwrap());
    let mut out = join(&muxer, &[&samples]);
    let tag = |name: &str, value: &str| Tag { name: name.to_owned(), value: value.to_owned() };
    out.extend_from_slice(&Muxer::tags(&[tag("COLOUR", "red"), tag(END_OF_FRAGMENT, "")]));
    out
}

/// If this fails because the output was changed on purpose: check the new bytes with
/// `mkvinfo` or `ffprobe -v trace`, run the test once with `KINORA_WRITE_GOLDEN=1`, and say in the
/// commit and in CHANGELOG.md what readers of our Matroska will see.
#[test]
fn the_bytes_are_those_committed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("mkv/mux_golden.mkv");
    let made = everything();
    if std::env::var_os("KINORA_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    let differs = golden
        .iter()
        .zip(&made)
        .position(|(was, is)| was != is)
        .or_else(|| (golden.len() != made.len()).then(|| golden.len().min(made.len())));
    assert_eq!(
        differs,
        None,
        "the muxer writes other bytes than {} from this offset on; if that is meant, read the comment above this test",
        path.display()
    );
}

#[test]
fn every_sample_comes_back_with_its_times_flags_and_durations() {
    let events = events(&everything());
    let seen: Vec<String> = frames(&events)
        .iter()
        .map(|frame| {
            let text = String::from_utf8_lossy(&frame.data).replace('\u{FFFD}', "");
            let key = if frame.key { "key " } else { "" };
            format!("{key}{} {}+{} {text}", frame.track, frame.pts_ticks, frame.duration_ticks)
        })
        .collect();
    assert_eq!(
        seen,
        [
            "key 1 33+33 key picture",
            "key 2 -312+960 opus",
            "key 300 7+0 vp9",
            "key 3 80+5 g.711",
            "key 4 160+1 p.c.m.",
            "key 2 648+960 opus too",
            "key 5 20+1500 Hello",
            "1 100+33 P",
            "1 67+33 B",
            "1 133+50 last picture",
        ]
    );
    let tags = vec![Tag { name: "COLOUR".to_owned(), value: "red".to_owned() }];
    assert_eq!(events[events.len() - 2..], [Event::Tags(tags), Event::EndOfFragment]);
}

#[test]
fn the_samples_own_bytes_are_in_the_rope() {
    let data = Bytes::from(vec![1_u8; 5000]);
    let one = Sample { data: data.clone(), ..sample(1, 0, 0, true, b"") };
    let two = Sample { data: data.slice(7..), ..sample(1, 40, 40, true, b"") };
    let muxer = Muxer::new(&[track(1, Codec::Vp8, 1000, b"", PICTURE)]);
    let pieces = muxer.cluster([&one, &two]).unwrap();
    assert_eq!(pieces.len(), 4);
    assert_eq!(pieces[1].as_ptr(), data.as_ptr());
    assert_eq!(pieces[3].as_ptr(), data.slice(7..).as_ptr());
    assert!(muxer.cluster([]).unwrap().is_empty());
}

#[test]
fn a_cluster_that_cannot_span_the_times_is_split() {
    let muxer = Muxer::new(&[track(1, Codec::Vp8, 1000, b"", PICTURE)]);
    let times = [0, 32_767, 32_768, 40_000, 100_000, 60_000];
    let samples: Vec<Sample> =
        times.iter().zip(0..).map(|(&pts, dts)| sample(1, dts, pts, true, b"x")).collect();
    let events = events(&join(&muxer, &[&samples]));
    let boundaries: Vec<i64> = events
        .iter()
        .filter_map(|event| match event {
            Event::Boundary(Boundary { timecode, .. }) => Some(*timecode),
            _ => None,
        })
        .collect();
    assert_eq!(boundaries, [0, 32_768, 100_000, 60_000]);
    assert_eq!(frames(&events).iter().map(|frame| frame.pts_ticks).collect::<Vec<_>>(), times);
}

#[test]
fn a_shift_moves_times_and_what_is_before_zero_is_written_as_zero() {
    let tracks = [track(1, Codec::Vp8, 90_000, b"", PICTURE)];
    let samples = [sample(1, -90_000, -90_000, true, b"x"), sample(1, 0, 0, true, b"y")];
    let times = |muxer: Muxer| {
        let events = events(&join(&muxer, &[&samples]));
        frames(&events).iter().map(|frame| frame.pts_ticks).collect::<Vec<_>>()
    };
    assert_eq!(times(Muxer::new(&tracks)), [0, 0]);
    let wall = MediaTime::new(1_795_160_512_230, 1000).unwrap();
    assert_eq!(times(Muxer::new(&tracks).shifted(wall)), [1_795_160_511_230, 1_795_160_512_230]);
}

#[test]
fn fast_video_gets_finer_ticks() {
    let mut fast = track(1, Codec::Vp8, 90_000, b"", PICTURE);
    fast.default_duration_ticks = 180;
    let samples = [sample(1, 0, 0, true, b"x"), sample(1, 180, 180, true, b"y")];
    let events = events(&join(&Muxer::new(&[fast]), &[&samples]));
    let Some(Event::Tracks(tracks)) = events.first() else { panic!("{events:?}") };
    assert_eq!(tracks[0].track.timescale, 10_000);
    assert_eq!(frames(&events)[1].pts_ticks, 20);
}

#[test]
fn the_pre_skip_of_opus_is_rounded_to_nanoseconds() {
    let mut head = *b"OpusHead\x01\x02\0\0\x80\xBB\0\0\0\0\0";
    head[10..12].copy_from_slice(&314_u16.to_le_bytes());
    let opus = track(1, Codec::Opus, 48_000, &head, sound(48_000, 2, 0));
    assert_eq!(super::header::codec_delay_ns(&opus), 6_541_667);
    let muxer = Muxer::new(&[opus]);
    let back = frames(&events(&join(&muxer, &[&[sample(1, 0, -314, true, b"\xF8x")]])));
    assert_eq!(back[0].pts_ticks, -314);
}

#[test]
fn aac_with_a_doubled_rate_keeps_its_grid() {
    let heaac = track(1, Codec::Aac, 48_000, &[0x2B, 0x11, 0x88, 0x00], sound(48_000, 2, 0));
    let samples = [sample(1, 0, 0, true, b"x"), sample(1, 2048, 2048, true, b"y")];
    let events = events(&join(&Muxer::new(std::slice::from_ref(&heaac)), &[&samples]));
    let Some(Event::Tracks(tracks)) = events.first() else { panic!("{events:?}") };
    assert_eq!(tracks[0].track.shape, heaac.shape);
    assert_eq!(
        frames(&events).iter().map(|f| (f.pts_ticks, f.duration_ticks)).collect::<Vec<_>>(),
        [(0, 2048), (2048, 2048)]
    );
}

#[test]
fn a_sample_of_an_unknown_track_is_refused() {
    let muxer = Muxer::new(&[subtitles(1)]);
    let error = muxer.cluster([&sample(2, 0, 0, true, b"x")]).unwrap_err();
    assert_eq!(error.fault, Fault::UnknownTrack);
    assert!(error.message.contains("track 2"));
}

#[test]
fn codecs_without_a_matroska_id_come_back_as_themselves() {
    for (kind, id, back) in [
        (TrackKind::Video, "mp4:avc3", "mp4:avc3"),
        (TrackKind::Audio, "mp4:alac", "mp4:alac"),
        (TrackKind::Data, "mp4:gpmd", "mp4:gpmd"),
        (TrackKind::Audio, "mp4:ac-3", "A_AC3"),
        (TrackKind::Video, "V_UNHEARD_OF", "V_UNHEARD_OF"),
    ] {
        let shape = match kind {
            TrackKind::Video => PICTURE,
            TrackKind::Audio => sound(48_000, 2, 0),
            TrackKind::Data => Shape::Data,
        };
        let codec = Codec::Other { kind, id: id.to_owned() };
        let header = Muxer::new(&[track(1, codec, 1000, b"private", shape)]).header();
        let Some(Event::Tracks(tracks)) = events(&header).pop() else { panic!("no tracks") };
        assert_eq!(tracks[0].track.codec, Codec::Other { kind, id: back.to_owned() });
        assert_eq!(tracks[0].track.configuration, Bytes::from_static(b"private"));
    }
}

#[test]
fn sizes_near_the_unknown_marker_are_written_one_byte_longer() {
    let muxer = Muxer::new(&[track(1, Codec::Vp8, 1000, b"", PICTURE)]);
    for size in (110..140).chain(16_370..16_390) {
        let data = Bytes::from(vec![0; size]);
        let samples = [Sample { data: data.clone(), ..sample(1, 0, 0, true, b"") }];
        assert_eq!(frames(&events(&join(&muxer, &[&samples])))[0].data, data, "{size}");
    }
    assert_eq!(Id::VOID.to_string(), "Void (0xEC)");
}

proptest! {
    #[test]
    fn any_samples_come_back(
        samples in prop::collection::vec((0_u32..3, 0_i64..50_000, -500_i64..500, 0_u32..100, any::<bool>(), 0_usize..300), 0..80),
        base in 0_i64..1_800_000_000_000,
        numbers in (1_u32..200, 200_u32..20_000, 3_000_000_u32..),
    ) {
        let numbers = [numbers.0, numbers.1, numbers.2];
        let tracks = [
            track(numbers[0], Codec::Vp8, 1000, b"", PICTURE),
            subtitles(numbers[1]),
            track(numbers[2], Codec::Av1, 1000, b"\x81\0\0\0", PICTURE),
        ];
        let samples: Vec<Sample> = samples
            .into_iter()
            .map(|(index, dts, late, duration_ticks, sync, size)| Sample {
                track: numbers[index as usize],
                dts_ticks: base + dts,
                pts_ticks: (base + dts + late).max(0),
                duration_ticks,
                sync,
                data: Bytes::from(vec![index as u8; size]),
            })
            .collect();
        let mut sorted: Vec<&Sample> = samples.iter().collect();
        sorted.sort_by_key(|sample| sample.dts_ticks);
        let back = frames(&events(&join(&Muxer::new(&tracks), &[&samples])));
        prop_assert_eq!(back.len(), sorted.len());
        for (frame, sample) in back.iter().zip(&sorted) {
            prop_assert_eq!(
                (frame.track, frame.pts_ticks, frame.key, &frame.data),
                (sample.track, sample.pts_ticks, sample.sync, &sample.data)
            );
            if sample.track == numbers[1] {
                prop_assert_eq!(frame.duration_ticks, sample.duration_ticks);
            }
        }
    }
}
