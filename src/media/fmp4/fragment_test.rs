//! Movie fragments written by hand: what the boxes leave to defaults, and what they override.

use bytes::Bytes;

use super::writer::{boxed, full_boxed, put_u32, put_u64};
use super::{Demuxer, init};
use crate::container::{Boundary, Event, Frame};
use crate::{Codec, Shape, Track};

const NON_SYNC: u32 = 0x0001_0000;

fn track(number: u32, timescale: u32) -> Track {
    Track {
        number,
        codec: Codec::Mp3,
        timescale,
        configuration: Bytes::new(),
        shape: Shape::Audio { sample_rate: timescale, channels: 1, bits_per_sample: 0 },
        reorder_depth: 0,
        default_duration_ticks: 0,
        language: String::new(),
        name: String::new(),
    }
}

/// An init segment of two tracks in which `trex` gives track 1 a duration of 7, 3 bytes and
/// non-sync samples.
fn start() -> Vec<u8> {
    let mut bytes = init(&[track(1, 1000), track(2, 500)]).unwrap().to_vec();
    let place = bytes.windows(4).position(|window| window == b"trex").unwrap();
    let defaults = [1, 7, 3, NON_SYNC].map(u32::to_be_bytes).concat();
    bytes[place + 12..place + 28].copy_from_slice(&defaults);
    bytes
}

fn tfhd(out: &mut Vec<u8>, flags: u32, words: &[u32]) {
    full_boxed(out, *b"tfhd", 0, flags, |out| words.iter().for_each(|&word| put_u32(out, word)));
}

fn trun(out: &mut Vec<u8>, version: u8, flags: u32, words: &[u32]) {
    full_boxed(out, *b"trun", version, flags, |out| words.iter().for_each(|&word| put_u32(out, word)));
}

/// A `moof` with these boxes, and an `mdat` with `media`.
fn fragment(media: &[u8], boxes: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    boxed(&mut out, *b"moof", boxes);
    boxed(&mut out, *b"mdat", |out| out.extend_from_slice(media));
    out
}

fn demux(parts: &[&[u8]]) -> Vec<Event> {
    let mut demuxer = Demuxer::new();
    parts.iter().for_each(|part| demuxer.push(Bytes::copy_from_slice(part)));
    demuxer.finish();
    let mut events = Vec::new();
    while let Some(event) = demuxer.next().unwrap() {
        events.push(event);
    }
    events
}

/// Track, data, decoding and presentation time, duration and key of each frame.
fn frames(events: &[Event]) -> Vec<(u32, &str, i64, i64, u32, bool)> {
    let frames =
        events.iter().filter_map(|event| if let Event::Frame(frame) = event { Some(frame) } else { None });
    frames
        .map(|f: &Frame| {
            let data = std::str::from_utf8(&f.data).unwrap();
            (f.track, data, f.dts_ticks.unwrap(), f.pts_ticks, f.duration_ticks, f.key)
        })
        .collect()
}

fn boundaries(events: &[Event]) -> Vec<Boundary> {
    events.iter().filter_map(|event| if let Event::Boundary(b) = event { Some(*b) } else { None }).collect()
}

#[test]
fn what_a_run_leaves_out_comes_from_trex_and_data_follows_the_moof_base() {
    // No data offset: the first run begins at the base, here the mdat's content by an explicit
    // base-data-offset, and each further run where the one before ended.
    let start = start();
    let sized = |base: u64| {
        fragment(b"aaabbbcccc", |out| {
            boxed(out, *b"traf", |out| {
                full_boxed(out, *b"tfhd", 0, 1, |out| {
                    put_u32(out, 1);
                    put_u64(out, base);
                });
                full_boxed(out, *b"tfdt", 0, 0, |out| put_u32(out, 40));
                trun(out, 0, 0, &[2]);
                trun(out, 0, 0x700, &[1, 9, 4, 0]);
            });
        })
    };
    let base = start.len() + sized(0).len() - 10;
    let events = demux(&[&start, &sized(base as u64)]);
    let expected = [(1, "aaa", 40, 40, 7, false), (1, "bbb", 47, 47, 7, false), (1, "cccc", 54, 54, 9, true)];
    assert_eq!(frames(&events), expected);
    assert_eq!(boundaries(&events), [Boundary { timecode: 40, timescale: 1000 }]);
}

#[test]
fn tfhd_overrides_trex_and_each_traf_without_a_base_follows_the_one_before() {
    let start = start();
    let boxes = |offset: u32| {
        move |out: &mut Vec<u8>| {
            boxed(out, *b"traf", |out| {
                // Duration 5, size 2, sync; no base, so offsets count from the moof.
                tfhd(out, 0x38, &[1, 5, 2, 0]);
                trun(out, 1, 0x005, &[2, offset, NON_SYNC]);
            });
            boxed(out, *b"traf", |out| {
                tfhd(out, 0x18, &[2, 8, 1]);
                trun(out, 1, 0x001, &[1, 0]);
                trun(out, 1, 0xc00, &[2, NON_SYNC, 3, 0, u32::MAX]);
            });
        }
    };
    let offset = u32::try_from(fragment(b"", boxes(0)).len()).unwrap();
    let bytes = fragment(b"aabbcde", boxes(offset));
    let events = demux(&[&start, &bytes, &bytes]);
    let mut expected = Vec::new();
    for (first, second) in [(0, 0), (10, 24)] {
        // Without tfdt, each fragment continues its track's time.
        expected.extend([
            (1, "aa", first, first, 5, false),
            (1, "bb", first + 5, first + 5, 5, true),
            (2, "c", second, second, 8, true),
            (2, "d", second + 8, second + 11, 8, false),
            (2, "e", second + 16, second + 15, 8, true),
        ]);
    }
    assert_eq!(frames(&events), expected);
    assert_eq!(boundaries(&events).iter().map(|b| b.timecode).collect::<Vec<_>>(), [0, 10]);
}

#[test]
fn runs_come_in_the_order_of_their_bytes_not_of_their_boxes() {
    let start = start();
    let boxes = |offset: u32| {
        move |out: &mut Vec<u8>| {
            for (track, place) in [(1, 2), (2, 0)] {
                boxed(out, *b"traf", |out| {
                    tfhd(out, 0x02_0018, &[track, 5, 1]);
                    trun(out, 1, 1, &[1, offset + place]);
                    trun(out, 1, 1, &[1, offset + place + 1]);
                });
            }
        }
    };
    let offset = u32::try_from(fragment(b"", boxes(0)).len()).unwrap();
    let events = demux(&[&start, &fragment(b"abcd", boxes(offset))]);
    let order: Vec<_> = frames(&events).into_iter().map(|(track, data, ..)| (track, data)).collect();
    assert_eq!(order, [(2, "a"), (2, "b"), (1, "c"), (1, "d")]);
}

#[test]
fn an_empty_duration_has_no_samples_and_a_later_mdat_may_hold_the_rest() {
    let start = start();
    let boxes = |offset: u32| {
        move |out: &mut Vec<u8>| {
            boxed(out, *b"traf", |out| {
                tfhd(out, 0x03_0018, &[2, 5, 1]);
                trun(out, 1, 1, &[1, 0]);
            });
            boxed(out, *b"traf", |out| {
                tfhd(out, 0x02_0018, &[1, 5, 1]);
                trun(out, 1, 1, &[1, offset]);
                trun(out, 1, 1, &[1, offset + 10]);
            });
        }
    };
    let offset = u32::try_from(fragment(b"", boxes(0)).len()).unwrap();
    let mut bytes = fragment(b"a.", boxes(offset));
    boxed(&mut bytes, *b"mdat", |out| out.push(b'b'));
    let data: Vec<_> = demux(&[&start, &bytes]);
    assert_eq!(frames(&data).into_iter().map(|(_, data, ..)| data).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn another_sample_entry_declares_the_tracks_anew() {
    // Give track 1 a second sample entry: the first one again, for another sampling rate.
    let mut bytes = start();
    let stsd = bytes.windows(4).position(|window| window == b"stsd").unwrap() - 4;
    let size = |bytes: &[u8], place: usize| u32::from_be_bytes(bytes[place..place + 4].try_into().unwrap());
    let entry_start = stsd + 16;
    let entry_end = stsd + size(&bytes, stsd) as usize;
    let mut entry = bytes[entry_start..entry_end].to_vec();
    entry[32..34].copy_from_slice(&2000_u16.to_be_bytes());
    for kind in [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"] {
        let place = bytes.windows(4).position(|window| window == kind).unwrap() - 4;
        let grown = size(&bytes, place) + u32::try_from(entry.len()).unwrap();
        bytes[place..place + 4].copy_from_slice(&grown.to_be_bytes());
    }
    bytes[stsd + 15] = 2;
    bytes.splice(entry_end..entry_end, entry);
    let with_entry = |index: u32| {
        let boxes = |offset: u32| {
            move |out: &mut Vec<u8>| {
                boxed(out, *b"traf", |out| {
                    tfhd(out, 0x02_001a, &[1, index, 5, 1]);
                    trun(out, 1, 1, &[1, offset]);
                });
            }
        };
        let offset = u32::try_from(fragment(b"", boxes(0)).len()).unwrap();
        fragment(b"a", boxes(offset))
    };
    let events = demux(&[&bytes, &with_entry(1), &with_entry(2), &with_entry(2), &with_entry(1)]);
    let mut story = Vec::new();
    for event in &events {
        match event {
            Event::Tracks(tracks) => match tracks[0].track.shape {
                Shape::Audio { sample_rate, .. } => story.push(sample_rate),
                _ => panic!(),
            },
            Event::Frame(_) => story.push(0),
            _ => {}
        }
    }
    assert_eq!(story, [1000, 0, 2000, 0, 0, 1000, 0]);
    let mut demuxer = Demuxer::new();
    demuxer.push([&bytes[..], &with_entry(3)].concat().into());
    let error = loop {
        if let Err(error) = demuxer.next() {
            break error;
        }
    };
    assert!(error.message.contains("sample entry 3, which does not exist"), "{error}");
}
