//! The demuxer's grammar: every element that it acts on, in every form, in chunks of any size.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::END_OF_FRAGMENT;
use super::super::id::Id;
use super::super::made_test::*;
use crate::container::{Boundary, Event, Frame};
use crate::{Fault, Tag};

fn frame(track: u32, pts_ticks: i64, data: &'static [u8]) -> (u32, i64, Bytes) {
    (track, pts_ticks, Bytes::from_static(data))
}

fn essence(frames: &[Frame]) -> Vec<(u32, i64, Bytes)> {
    frames.iter().map(|frame| (frame.track, frame.pts_ticks, frame.data.clone())).collect()
}

fn tag(name: &str, value: &str) -> Vec<u8> {
    master(Id::SIMPLE_TAG, &[text(Id::TAG_NAME, name), text(Id::TAG_STRING, value)])
}

fn tags(simple: &[Vec<u8>]) -> Vec<u8> {
    master(Id::TAGS, &[master(Id::TAG, simple)])
}

/// A document with every kind of element that matters, in a live producer's form.
fn rich() -> Vec<u8> {
    let group = master(
        Id::BLOCK_GROUP,
        &[
            element(Id::BLOCK, &block(1, 20, 0, b"grouped")),
            uint(Id::BLOCK_DURATION, 40),
            element(Id::REFERENCE_BLOCK, &[0xF0]),
        ],
    );
    let xiph = element(Id::SIMPLE_BLOCK, &block(2, 0, 0x82, b"\x02\x01\x02aBBccc"));
    let lossless = audio(2, "A_FLAC", 48_000.0, &[uint(Id::DEFAULT_DURATION, 20_000_000)]);
    [
        ebml(),
        segment_id(),
        element(Id::VOID, &[0; 40]),
        element(Id::SEEK_HEAD, &[0x55; 30]),
        info(1_000_000),
        master(Id::TRACKS, &[video(1), lossless]),
        unknown(
            Id::CLUSTER,
            8,
            &[uint(Id::TIMESTAMP, 1000), simple(1, -10, b"negative"), simple(1, 0, b"zero"), group],
        ),
        tags(&[tag("COLOUR", "red"), tag(END_OF_FRAGMENT, "")]),
        unknown(Id::CLUSTER, 1, &[element(Id::CRC32, &[1, 2, 3, 4]), uint(Id::TIMESTAMP, 2000), xiph]),
        cluster(3000, &[simple(1, 0, b"known size")]),
        element(Id::CUES, &[0x33; 20]),
        ebml(),
        segment_id(),
        info(1_000_000),
        master(Id::TRACKS, &[video(7)]),
        cluster(0, &[simple(7, 5, b"second document")]),
    ]
    .concat()
}

#[test]
fn a_live_document_yields_its_events_in_order() {
    let input = rich();
    let events = events(&input);
    let mut seen = Vec::new();
    for event in &events {
        seen.push(match event {
            Event::Tracks(tracks) => {
                for declared in tracks {
                    let at = usize::try_from(declared.offset).unwrap();
                    assert_eq!(input[at], 0xAE, "the offset is that of the TrackEntry");
                }
                format!("tracks {:?}", tracks.iter().map(|t| t.track.number).collect::<Vec<_>>())
            }
            Event::Boundary(Boundary { timecode, timescale }) => format!("boundary {timecode}/{timescale}"),
            Event::Frame(frame) => {
                let at = usize::try_from(frame.offset).unwrap();
                assert!(matches!(input[at], 0xA3 | 0xA1), "the offset is that of the block");
                let text = String::from_utf8_lossy(&frame.data).into_owned();
                let key = if frame.key { "key " } else { "" };
                format!("{key}{} {}+{} {text}", frame.track, frame.pts_ticks, frame.duration_ticks)
            }
            Event::Tags(tags) => format!("tags {}={}", tags[0].name, tags[0].value),
            Event::EndOfFragment => "end".to_owned(),
            Event::ProducerTime(_) => panic!("Matroska has none"),
        });
    }
    assert_eq!(
        seen,
        [
            "tracks [1, 2]",
            "boundary 1000/1000",
            "key 1 990+0 negative",
            "key 1 1000+0 zero",
            "1 1020+40 grouped",
            "tags COLOUR=red",
            "end",
            "boundary 2000/1000",
            "key 2 96000+960 a",
            "key 2 96960+960 BB",
            "key 2 97920+960 ccc",
            "boundary 3000/1000",
            "key 1 3000+0 known size",
            "tracks [7]",
            "boundary 0/1000",
            "key 7 5+0 second document",
        ]
    );
}

#[test]
fn single_bytes_and_any_chunks_yield_what_one_chunk_does() {
    let input = rich();
    let whole = read(&input, input.len());
    assert_eq!(whole.1, None);
    for chunk in 1..=64 {
        assert_eq!(read(&input, chunk), whole, "chunks of {chunk}");
    }
}

proptest! {
    #[test]
    fn random_chunks_yield_what_one_chunk_does(cuts in prop::collection::vec(1_usize..90, 1..60)) {
        let input = rich();
        let mut rest = Bytes::from(input.clone());
        let mut chunks = Vec::new();
        for cut in cuts {
            chunks.push(rest.split_to(cut.min(rest.len())));
        }
        chunks.push(rest);
        prop_assert_eq!(read_chunks(chunks), read(&input, input.len()));
    }
}

#[test]
fn an_input_cut_anywhere_gives_its_whole_frames_and_then_an_error_or_a_clean_end() {
    let input = rich();
    let all = frames(&events(&input));
    let mut clean = 0;
    for end in 0..input.len() {
        let cut = &input[..end];
        let (events, error) = read(cut, cut.len());
        let seen = frames(&events);
        assert_eq!(seen, all[..seen.len()], "frames before the cut at {end}");
        match error {
            None => clean += 1,
            Some(error) => {
                assert_eq!(error.fault, Fault::Truncated, "{error} at {end}");
                assert!(error.message.starts_with("the input "), "{error}");
                assert!(error.offset <= end as u64);
            }
        }
        assert_eq!(read(cut, 1), (events, read(cut, cut.len()).1), "single bytes cut at {end}");
    }
    // Ends between elements inside elements of unknown size are sound ends.
    assert!(clean >= 12, "{clean}");
}

#[test]
fn a_truncation_names_the_element_it_is_in() {
    let input = [head(&[video(1)]), cluster(0, &[simple(1, 0, b"whole"), simple(1, 9, b"cut")])].concat();
    let (events, error) = read(&input[..input.len() - 1], 1000);
    assert_eq!(essence(&frames(&events)), [frame(1, 0, b"whole")]);
    let error = error.unwrap();
    assert_eq!(error.message, "the input ends inside the SimpleBlock (0xA3)");
    assert_eq!(error.offset, input.len() as u64 - 9);

    let (events, error) = read(&input[..input.len() - 9], 1000);
    assert_eq!(frames(&events).len(), 1);
    let error = error.unwrap();
    assert_eq!(error.message, "the input ends inside the Cluster (0x1F43B675), 9 bytes before its end");

    assert_eq!(read(&[], 1).1.unwrap().message, "the input is empty");
    let lonely = fault(&ebml());
    assert_eq!(lonely.message, "the input ends after its EBML header (0x1A45DFA3), before a Segment");
}

#[test]
fn every_length_of_the_unknown_size_is_understood() {
    for length in 1..=8 {
        let first = unknown(Id::CLUSTER, length, &[uint(Id::TIMESTAMP, 1), simple(1, 0, b"a")]);
        let second = unknown(Id::CLUSTER, length, &[uint(Id::TIMESTAMP, 2), simple(1, 0, b"b")]);
        let children = [info(1_000_000), master(Id::TRACKS, &[video(1)]), first, second];
        let input = [ebml(), unknown(Id::SEGMENT, length, &children)].concat();
        assert_eq!(essence(&frames(&events(&input))), [frame(1, 1, b"a"), frame(1, 2, b"b")], "{length}");
    }
}

#[test]
fn a_cluster_of_unknown_size_ends_with_a_segment_of_known_size() {
    let live = unknown(Id::CLUSTER, 4, &[uint(Id::TIMESTAMP, 1), simple(1, 0, b"a")]);
    let segment = master(Id::SEGMENT, &[info(1_000_000), master(Id::TRACKS, &[video(1)]), live]);
    let input = [ebml(), segment, ebml(), head(&[video(2)])].concat();
    let (events, error) = read(&input, 7);
    assert_eq!(error, None);
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Tracks(_))).count(), 2);
}

#[test]
fn a_second_segment_without_a_header_begins_anew() {
    let segment = [segment_id(), info(1_000_000), master(Id::TRACKS, &[video(3)])].concat();
    let input = [head(&[video(1)]), cluster(0, &[simple(1, 0, b"a")]), segment, cluster(0, &[])].concat();
    let old_track = [input.clone(), cluster(5, &[simple(1, 0, b"b")])].concat();
    assert_eq!(events(&input).len(), 5);
    assert_eq!(fault(&old_track).fault, Fault::UnknownTrack);
}

#[test]
fn a_second_document_may_count_in_other_ticks() {
    let input = [
        head_with(1_000_000, &[video(1)]),
        cluster(5, &[simple(1, 0, b"a")]),
        head_with(100_000, &[video(1)]),
        cluster(5, &[simple(1, 0, b"b")]),
    ]
    .concat();
    let times: Vec<_> = events(&input)
        .iter()
        .filter_map(|event| match event {
            Event::Boundary(Boundary { timecode, timescale }) => Some((*timecode, *timescale)),
            _ => None,
        })
        .collect();
    assert_eq!(times, [(5, 1000), (5, 10_000)]);
}

#[test]
fn a_header_that_comes_again_does_not_disturb_the_grid_of_its_sound() {
    let header = head(&[audio(1, "A_AAC", 44_100.0, &[])]);
    let mut input = Vec::new();
    for index in 0..50_u64 {
        let raw = index * 1024 * 1000 / 44_100;
        input.extend([header.clone(), cluster(raw, &[simple(1, 0, b"x")])].concat());
    }
    let times: Vec<i64> = frames(&events(&input)).iter().map(|frame| frame.pts_ticks).collect();
    assert_eq!(times, (0..50).map(|index| index * 1024).collect::<Vec<_>>());
}

#[test]
fn tracks_before_info_wait_for_the_clock() {
    let tracks = master(Id::TRACKS, &[video(1)]);
    let input = [ebml(), segment_id(), tracks.clone(), info(100_000)].concat();
    assert_eq!(track(&input).timescale, 10_000);
    let no_info = [ebml(), segment_id(), tracks, cluster(0, &[])].concat();
    assert_eq!(track(&no_info).timescale, 1000);
}

#[test]
fn tracks_repeated_within_a_segment_are_announced_only_if_they_change() {
    let tracks = master(Id::TRACKS, &[video(1)]);
    let again = [head(&[video(1)]), tracks, cluster(0, &[simple(1, 0, b"a")])].concat();
    assert_eq!(events(&again).iter().filter(|event| matches!(event, Event::Tracks(_))).count(), 1);
    let other = [head(&[video(1)]), master(Id::TRACKS, &[video(2)])].concat();
    assert_eq!(events(&other).len(), 2);
}

#[test]
fn all_lacings_yield_all_frames() {
    let lossless = audio(1, "A_FLAC", 48_000.0, &[uint(Id::DEFAULT_DURATION, 10_000_000)]);
    let long = [b'x'; 300];
    let lace = |flags: u8, lacing: &[u8], parts: &[&[u8]]| {
        let data = [lacing, &parts.concat()].concat();
        [
            head(std::slice::from_ref(&lossless)),
            cluster(1, &[element(Id::SIMPLE_BLOCK, &block(1, 0, flags, &data))]),
        ]
        .concat()
    };
    let parts: [&[u8]; 3] = [&long, b"", b"tail"];
    let xiph = lace(0x02, &[2, 255, 45, 0], &parts);
    // The first size in two bytes, then the difference -300 in two: 8191 - 300.
    let ebml = lace(0x06, &[2, 0x41, 0x2C, 0x5E, 0xD3], &parts);
    for input in [xiph, ebml] {
        let frames = frames(&events(&input));
        assert_eq!(frames.iter().map(|frame| frame.data.clone()).collect::<Vec<_>>(), parts);
        assert_eq!(frames.iter().map(|frame| frame.pts_ticks).collect::<Vec<_>>(), [48, 528, 1008]);
    }
    let fixed = lace(0x04, &[1], &[b"same", b"size"]);
    assert_eq!(essence(&frames(&events(&fixed))), [frame(1, 48, b"same"), frame(1, 528, b"size")]);
    for (flags, lacing) in
        [(2, &[][..]), (2, &[2, 255]), (6, &[1]), (4, &[1, 9, 9, 9]), (4, &[255]), (2, &[1, 9])]
    {
        let error = fault(&lace(flags, lacing, &[]));
        assert_eq!(error.fault, Fault::Container, "{error}");
        assert!(error.message.starts_with("the SimpleBlock (0xA3) "), "{error}");
    }
    // A size that shrinks below zero.
    assert!(fault(&lace(6, &[2, 0x81, 0x80], &[b"ab"])).message.contains("negative"));
}

#[test]
fn a_lace_without_known_lengths_shares_the_duration_of_its_group() {
    let data = [&[1][..], b"aabb"].concat();
    let group =
        master(Id::BLOCK_GROUP, &[element(Id::BLOCK, &block(1, 0, 4, &data)), uint(Id::BLOCK_DURATION, 80)]);
    let frames = frames(&events(&[head(&[video(1)]), cluster(10, &[group])].concat()));
    assert_eq!(
        frames.iter().map(|frame| (frame.pts_ticks, frame.duration_ticks, frame.key)).collect::<Vec<_>>(),
        [(10, 40, true), (50, 40, true)]
    );
}

#[test]
fn a_slice_of_the_chunk_is_handed_out_and_a_tiny_one_is_copied() {
    let large = vec![7_u8; 10_000];
    let input = [head(&[video(1)]), cluster(0, &[simple(1, 0, &large), simple(1, 1, b"tiny")])].concat();
    let chunk = Bytes::from(input);
    let range = chunk.as_ptr_range();
    let (events, error) = read_chunks([chunk.clone()]);
    assert_eq!(error, None);
    let frames = frames(&events);
    assert!(range.contains(&frames[0].data.as_ptr()), "the large frame is a slice");
    assert!(!range.contains(&frames[1].data.as_ptr()), "the tiny frame does not hold the chunk");
}

#[test]
fn tags_are_flattened_and_those_of_tracks_are_left_out() {
    let nested = master(
        Id::SIMPLE_TAG,
        &[text(Id::TAG_NAME, "ARTIST"), tag("URL", "http"), text(Id::TAG_STRING, "Ann\0padding")],
    );
    let binary = master(Id::SIMPLE_TAG, &[text(Id::TAG_NAME, "ART"), element(Id::TAG_BINARY, &[0xFF; 50])]);
    let targeted = |uid| master(Id::TARGETS, &[uint(Id::TAG_TRACK_UID, uid)]);
    let all = master(
        Id::TAGS,
        &[
            master(Id::TAG, &[targeted(0), nested, binary, tag("EMPTY", "")]),
            master(Id::TAG, &[tag("DURATION", "1"), targeted(4)]),
        ],
    );
    let expected: Vec<Tag> = [("ARTIST", "Ann"), ("ARTIST/URL", "http"), ("EMPTY", "")]
        .map(|(name, value)| Tag { name: name.to_owned(), value: value.to_owned() })
        .into();
    let events = events(&[head(&[video(1)]), all].concat());
    assert_eq!(events.get(1), Some(&Event::Tags(expected)));
    assert_eq!(events.len(), 2);
}

#[test]
fn the_time_of_a_cluster_is_told_in_whole_ticks_per_second() {
    for (scale_ns, raw, timecode, timescale) in [
        (1_000_000, 1_795_160_512_230, 1_795_160_512_230, 1000),
        (1, 1_795_160_512_230_000_000, 1_795_160_512_230_000_000, 1_000_000_000),
        (11_111, 90_000, 999_990_000, 1_000_000_000),
        (2_000_000_000, 3, 6_000_000_000, 1_000_000_000),
    ] {
        let input = [head_with(scale_ns, &[video(1)]), cluster(raw, &[])].concat();
        let expected = Event::Boundary(Boundary { timecode, timescale });
        assert_eq!(events(&input).last(), Some(&expected), "{scale_ns}");
    }
}

#[test]
fn times_backward_equal_and_far_in_the_future_are_passed_on() {
    let far = i64::MAX as u64 - 40_000;
    let input = [
        head(&[video(1)]),
        cluster(5000, &[simple(1, 0, b"a"), simple(1, 0, b"b"), simple(1, -32_768, b"c")]),
        cluster(4000, &[simple(1, 0, b"d")]),
        cluster(far, &[simple(1, 32_767, b"e")]),
    ]
    .concat();
    let times: Vec<i64> = frames(&events(&input)).iter().map(|frame| frame.pts_ticks).collect();
    assert_eq!(times, [5000, 5000, -27_768, 4000, i64::MAX - 7_233]);
}
