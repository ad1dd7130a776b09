//! Input that is cut short, lies or contradicts itself: what is said about it, and that it ends.

use bytes::Bytes;
use mp4_atom::{FourCC, Hdlr, Mdhd, Mvhd, Tkhd};

use super::boxes::encode;
use super::writer::{boxed, full_boxed, put_u32};
use super::{Demuxer, Muxer, RunSample, init};
use crate::container::{Event, Frame};
use crate::{Codec, Error, Fault, Shape, Track};

fn demux(bytes: &[u8]) -> Result<Vec<Event>, Error> {
    let mut demuxer = Demuxer::new();
    demuxer.push(Bytes::copy_from_slice(bytes));
    demuxer.finish();
    let mut events = Vec::new();
    loop {
        match demuxer.next() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return Ok(events),
            Err(error) => {
                assert_eq!(demuxer.next(), Err(error.clone()), "an error is final");
                return Err(error);
            }
        }
    }
}

/// Asserts that `bytes` are refused for this reason, at this byte, in words that contain `says`.
#[track_caller]
fn assert_refused(bytes: &[u8], fault: Fault, offset: u64, says: &str) -> Error {
    let error = demux(bytes).expect_err("must be refused");
    assert!(error.message.contains(says), "{error}");
    assert_eq!((error.fault, error.offset), (fault, offset), "{error}");
    error
}

fn sounds() -> Track {
    Track {
        number: 1,
        codec: Codec::PcmMulaw,
        timescale: 8000,
        configuration: Bytes::new(),
        shape: Shape::Audio { sample_rate: 8000, channels: 1, bits_per_sample: 0 },
        reorder_depth: 0,
        default_duration_ticks: 0,
        language: String::new(),
        name: String::new(),
    }
}

const SAMPLE: RunSample =
    RunSample { duration_ticks: 10, size_bytes: 4, sync: true, composition_offset_ticks: 0 };

/// An init segment and one fragment of three samples.
fn fragmented() -> (Vec<u8>, Vec<u8>) {
    let mut muxer = Muxer::new(1);
    let sizes = [4, 5, 6];
    muxer.run(1, 100, sizes.map(|size_bytes| RunSample { size_bytes, ..SAMPLE })).unwrap();
    let mut fragment = muxer.finish().unwrap().to_vec();
    fragment.extend_from_slice(b"abcdefghijklmno");
    (init(&[sounds()]).unwrap().to_vec(), fragment)
}

/// `bytes` with the first `from` replaced.
fn patched(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let place = bytes.windows(from.len()).position(|window| window == from).expect("is there");
    let mut patched = bytes.to_vec();
    patched.splice(place..place + from.len(), to.iter().copied());
    patched
}

/// The tables of a progressive movie, each as its entries' words.
#[derive(Clone)]
struct Movie {
    timescale: u32,
    stts: Vec<u32>,
    ctts: Vec<u32>,
    stsc: Vec<u32>,
    stsz: Vec<u32>,
    even_size: u32,
    count: u32,
    stco: Vec<u32>,
    stss: Option<Vec<u32>>,
    media: &'static [u8],
}

impl Movie {
    /// Four samples `abcd ef ghi j` in two chunks with a gap between them.
    fn sound() -> Self {
        Self {
            timescale: 8000,
            stts: vec![3, 10, 1, 20],
            ctts: vec![],
            stsc: vec![1, 3, 1, 2, 1, 1],
            stsz: vec![4, 2, 3, 1],
            even_size: 0,
            count: 4,
            stco: vec![0, 12],
            stss: None,
            media: b"abcdefghi...j",
        }
    }

    /// The bytes; chunk offsets count from the beginning of the media.
    fn bytes(&self) -> Vec<u8> {
        let length = self.bytes_with_offset(0).len() - self.media.len();
        self.bytes_with_offset(u32::try_from(length).unwrap())
    }

    fn bytes_with_offset(&self, media_offset: u32) -> Vec<u8> {
        let mut out = b"\0\0\0\x10ftypisom\0\0\0\0".to_vec();
        let table = |out: &mut Vec<u8>, kind: &[u8; 4], width: usize, words: &[u32]| {
            full_boxed(out, *kind, 0, 0, |out| {
                put_u32(out, u32::try_from(words.len() / width).unwrap());
                words.iter().for_each(|&word| put_u32(out, word));
            });
        };
        boxed(&mut out, *b"moov", |out| {
            encode(&Mvhd::default(), out).unwrap();
            boxed(out, *b"trak", |out| {
                encode(&Tkhd { track_id: 1, ..Default::default() }, out).unwrap();
                boxed(out, *b"mdia", |out| {
                    let timescale = self.timescale;
                    encode(&Mdhd { timescale, language: "und".into(), ..Default::default() }, out).unwrap();
                    encode(&Hdlr { handler: FourCC::new(b"text"), name: String::new() }, out).unwrap();
                    boxed(out, *b"minf", |out| {
                        boxed(out, *b"stbl", |out| {
                            let entry = b"\0\0\0\0\0\0\0\x01\0\0\0\x10test\0\0\0\0\0\0\0\x01";
                            boxed(out, *b"stsd", |out| out.extend_from_slice(entry));
                            table(out, b"stts", 2, &self.stts);
                            table(out, b"ctts", 2, &self.ctts);
                            table(out, b"stsc", 3, &self.stsc);
                            full_boxed(out, *b"stsz", 0, 0, |out| {
                                put_u32(out, self.even_size);
                                put_u32(out, self.count);
                                self.stsz.iter().for_each(|&size| put_u32(out, size));
                            });
                            let chunks: Vec<u32> =
                                self.stco.iter().map(|at| at.wrapping_add(media_offset)).collect();
                            table(out, b"stco", 1, &chunks);
                            if let Some(stss) = &self.stss {
                                table(out, b"stss", 1, stss);
                            }
                        });
                    });
                });
            });
        });
        boxed(&mut out, *b"mdat", |out| out.extend_from_slice(self.media));
        out
    }
}

fn frames(events: Vec<Event>) -> Vec<Frame> {
    events
        .into_iter()
        .filter_map(|event| if let Event::Frame(frame) = event { Some(frame) } else { None })
        .collect()
}

#[test]
fn tables_give_each_sample_its_place_and_its_times() {
    let movie = Movie { ctts: vec![1, 5, 2, u32::MAX], stss: Some(vec![1, 4]), ..Movie::sound() };
    let found: Vec<_> = frames(demux(&movie.bytes()).unwrap())
        .into_iter()
        .map(|f| (f.data, f.dts_ticks.unwrap(), f.pts_ticks, f.duration_ticks, f.key))
        .collect();
    let expected = [
        (Bytes::from_static(b"abcd"), 0, 5, 10, true),
        (Bytes::from_static(b"ef"), 10, 9, 10, false),
        (Bytes::from_static(b"ghi"), 20, 19, 10, false),
        (Bytes::from_static(b"j"), 30, 30, 20, true),
    ];
    assert_eq!(found, expected);
    let even = Movie { even_size: 3, stsz: vec![], stco: vec![0, 9], ..Movie::sound() };
    let data: Vec<_> = frames(demux(&even.bytes()).unwrap()).into_iter().map(|frame| frame.data).collect();
    assert_eq!(data, ["abc", "def", "ghi", "..."]);
}

#[test]
fn an_empty_sample_only_takes_time() {
    let movie = Movie { stsz: vec![4, 0, 5, 1], ..Movie::sound() };
    let found: Vec<_> =
        frames(demux(&movie.bytes()).unwrap()).into_iter().map(|f| (f.data, f.pts_ticks)).collect();
    assert_eq!(found, [("abcd".into(), 0), ("efghi".into(), 20), ("j".into(), 30)]);
}

#[test]
fn tables_that_contradict_each_other_are_refused_before_the_first_sample() {
    let good = Movie::sound();
    let stbl = {
        let bytes = good.bytes();
        bytes.windows(4).position(|window| window == b"stbl").unwrap() as u64 - 4
    };
    for (movie, says) in [
        (Movie { stts: vec![3, 10], ..good.clone() }, "times for 3 of 4 samples"),
        (Movie { stts: vec![], ..good.clone() }, "times for 0 of 4"),
        (Movie { stsc: vec![], ..good.clone() }, "places for 0 of 4"),
        (Movie { stco: vec![0], ..good.clone() }, "places for 3 of 4"),
        (Movie { stsc: vec![2, 4, 1], ..good.clone() }, "begins at chunk 2, after chunk 0"),
        (Movie { stsc: vec![1, 0, 1, 1, 4, 1], ..good.clone() }, "begins at chunk 1, after chunk 1"),
        (Movie { stts: vec![u32::MAX, u32::MAX, u32::MAX, u32::MAX], ..good.clone() }, "beyond 2^63 ticks"),
    ] {
        assert_refused(&movie.bytes(), Fault::Container, stbl, says);
    }
    let error = demux(&Movie { timescale: 0, ..good }.bytes()).unwrap_err();
    assert!(error.message.contains("track 1 has the timescale 0"), "{error}");
}

#[test]
fn samples_outside_the_media_are_refused() {
    let good = Movie::sound();
    let media = (good.bytes().len() - good.media.len()) as u64;
    let overlapping = Movie { stco: vec![0, 5], ..good.clone() };
    let error = assert_refused(&overlapping.bytes(), Fault::Container, media + 5, "no mdat has it");
    assert!(
        error.hint.unwrap().contains("ffmpeg -i IN.mp4 -c copy -movflags frag_keyframe"),
        "says what helps"
    );
    let backward = Movie { stco: vec![u32::MAX - 20, 12], ..good.clone() };
    assert_refused(&backward.bytes(), Fault::Container, media - 21, "no mdat has it");
    let large = Movie { stsz: vec![4, 2, 3, 2], ..good.clone() };
    assert_refused(
        &large.bytes(),
        Fault::Container,
        media + 12,
        "a sample of 2 bytes reaches beyond its mdat",
    );
    let far = Movie { stco: vec![0, 1_000_000], ..good.clone() };
    assert_refused(
        &far.bytes(),
        Fault::Truncated,
        media + 1_000_000,
        "before a sample of 1 bytes is complete",
    );
    let huge = Movie { stsz: vec![4, 2, 3, u32::MAX], ..good };
    assert_refused(&huge.bytes(), Fault::Limit, media + 12, "at most 52428800 are read");
}

#[test]
fn counts_that_lie_cost_neither_time_nor_memory() {
    // 2^32 samples that have no bytes, then of one byte each.
    let zeros = Movie { even_size: 0, stsz: vec![], ..Movie::sound() };
    let error = demux(&zeros.bytes()).unwrap_err();
    assert!(error.message.contains("stsz box announces more than it holds"), "{error}");
    let many = Movie {
        even_size: 1,
        stsz: vec![],
        count: u32::MAX,
        stsc: vec![1, u32::MAX, 1],
        stts: vec![u32::MAX, 1],
        stco: vec![0],
        ..Movie::sound()
    };
    let error = demux(&many.bytes()).unwrap_err();
    assert_eq!(error.fault, Fault::Truncated, "{error}");
    let (start, fragment) = fragmented();
    // A trun of 2^32 - 1 samples without fields of their own: no bytes at all, or far too many.
    for (size, says) in [(0_u32, None), (7, Some("reaches beyond its mdat"))] {
        let mut muxer = Muxer::new(1);
        muxer.run(1, 0, [RunSample { size_bytes: size, ..SAMPLE }; 2]).unwrap();
        let head = muxer.finish().unwrap();
        let lying = patched(&head, b"trun\x01\0\0\x01\0\0\0\x02", b"trun\x01\0\0\x01\xff\xff\xff\xff");
        let end = demux(&[&start[..], &lying, &[0; 14], &fragment].concat());
        match says {
            None => assert!(end.is_err() || end.is_ok_and(|events| frames(events).len() == 3)),
            Some(says) => assert!(end.unwrap_err().message.contains(says)),
        }
    }
    let lying = patched(&fragment, b"\0\0\0\x03\0", b"\xff\xff\xff\xff\0");
    let error = demux(&[start, lying].concat()).unwrap_err();
    assert!(error.message.contains("trun box announces more than it holds"), "{error}");
}

#[test]
fn fragments_that_make_no_sense_are_refused_with_their_place() {
    let (start, fragment) = fragmented();
    let at = start.len() as u64;
    let moof_only = &fragment[..fragment.len() - 8 - 15];
    let media = at + fragment.len() as u64 - 15;
    let error = assert_refused(&fragment, Fault::Container, 0, "the moof box comes before any moov box");
    assert!(error.hint.unwrap().contains("initialization segment"));
    let joined = |parts: &[&[u8]]| parts.concat();
    let unknown = patched(&fragment, b"tfhd\0\x02\0\x28\0\0\0\x01", b"tfhd\0\x02\0\x28\0\0\0\x09");
    assert_refused(&joined(&[&start, &unknown]), Fault::UnknownTrack, at + 32, "samples of track 9");
    assert_refused(
        &joined(&[&start, moof_only, &fragment]),
        Fault::Container,
        media,
        &format!("the movie fragment at byte {at} places a sample of 4 bytes where no mdat has it"),
    );
    let far =
        patched(&fragment, b"\x01\0\0\0\0\0\0\0\0\0\0\x64", b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_refused(&joined(&[&start, &far]), Fault::Container, at + 56, "a time beyond 2^63");
    let late =
        patched(&fragment, b"\x01\0\0\0\0\0\0\0\0\0\0\x64", b"\x01\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    assert_refused(&joined(&[&start, &late]), Fault::Container, at + 76, "beyond 2^63 ticks");
    let short = patched(&fragment, b"trun", b"trux");
    assert_eq!(frames(demux(&joined(&[&start, &short])).unwrap()), []);
}

#[test]
fn a_header_after_its_media_is_refused_with_the_line_that_helps() {
    let movie = Movie::sound().bytes();
    let mdat = movie.len() - 13 - 8;
    let turned = [&movie[..16], &movie[mdat..], &movie[16..mdat]].concat();
    let error = assert_refused(&turned, Fault::Unsupported, 16, "before the header (moov)");
    let hint = error.hint.unwrap();
    let line = "ffmpeg -i IN.mp4 -c copy -movflags frag_keyframe+empty_moov+default_base_moof OUT.mp4";
    assert!(hint.contains(line), "{hint}");
}

#[test]
fn what_is_no_mp4_is_refused_at_once() {
    assert_refused(b"", Fault::Truncated, 0, "the input is empty");
    assert_refused(
        b"\x1a\x45\xdf\xa3\x93\x42\x82\x88",
        Fault::Container,
        0,
        "does not begin like an MP4 file",
    );
    assert_refused(b"GET / HTTP/1.1\r\n", Fault::Container, 0, "does not begin like");
    assert_refused(b"\0\0\0\x08free", Fault::Truncated, 8, "before any moov box");
    assert_refused(b"\0\0\0\x07free", Fault::Container, 0, "shorter than a header");
    assert_refused(b"\0\0\0\x01free\0\0\0\0\0\0\0\x0f", Fault::Container, 0, "shorter than a header");
    assert_refused(
        b"\0\0\0\x01free\0\xff\xff\xff\xff\xff\xff\xff",
        Fault::Limit,
        0,
        "free box has more than",
    );
    assert_refused(
        b"\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff",
        Fault::Unsupported,
        0,
        "before the header",
    );
    assert_refused(b"\0\0\0\x01moov\0\0\0\0\x10\0\0\0", Fault::Limit, 0, "at most 67108864 are read");
    assert_refused(b"\0\0\0\0moov", Fault::Container, 0, "does not say how long it is");
    assert_refused(b"\0\0\0\x08moov", Fault::Container, 0, "the moov box has no mvhd box");
    assert_refused(
        b"\0\0\0\x08free\0\0\0\x10\x01\x02\x03\x04",
        Fault::Container,
        8,
        "no box can be of the type",
    );
}

#[test]
fn large_sizes_and_open_ends_are_read() {
    let (start, fragment) = fragmented();
    let mdat = fragment.len() - 15 - 8;
    let media = &fragment[mdat + 8..];
    let open = [&start[..], &fragment[..mdat], b"\0\0\0\0mdat", media].concat();
    assert_eq!(frames(demux(&open).unwrap()).len(), 3);
    // A header of 16 bytes moves the samples by 8.
    let moved = {
        let from = u32::try_from(mdat + 8).unwrap().to_be_bytes();
        let to = u32::try_from(mdat + 16).unwrap().to_be_bytes();
        patched(&fragment[..mdat], &from, &to)
    };
    let large = [&start[..], &moved, b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x1f", media, &fragment].concat();
    assert_eq!(frames(demux(&large).unwrap()).len(), 6);
}

#[test]
fn boxes_that_say_nothing_about_samples_are_skipped() {
    let (start, fragment) = fragmented();
    let mut other = Vec::new();
    for kind in [b"styp", b"sidx", b"emsg", b"free", b"skip", b"mfra", b"uuid", b"\xa9xyz"] {
        boxed(&mut other, *kind, |out| out.extend_from_slice(&[0xff; 40]));
    }
    let all = [&other[..], &start, &other, &fragment, &other, &fragment, &other].concat();
    let found = frames(demux(&all).unwrap());
    assert_eq!(found.len(), 6);
    assert_eq!(found[3].offset, (all.len() - other.len() - 15) as u64);
}

#[test]
fn a_cut_at_any_byte_is_a_truncation_and_gives_what_came_before() {
    let (start, fragment) = fragmented();
    let movie = Movie::sound().bytes();
    let cut_places = [start.len(), start.len() + fragment.len()];
    let all = [&start[..], &fragment, &fragment].concat();
    for (whole, clean) in [(&all, &cut_places[..]), (&movie, &[])] {
        for end in 0..whole.len() {
            match demux(&whole[..end]) {
                Ok(_) => assert!(clean.contains(&end), "a cut at {end} of {}", whole.len()),
                Err(error) => {
                    assert_eq!(error.fault, Fault::Truncated, "a cut at {end}: {error}");
                    assert!(!clean.contains(&end), "a cut at {end}: {error}");
                }
            }
        }
    }
    let mut demuxer = Demuxer::new();
    demuxer.push(Bytes::from(all[..all.len() - 1].to_vec()));
    demuxer.finish();
    let mut count = 0;
    let error = loop {
        match demuxer.next() {
            Ok(Some(Event::Frame(_))) => count += 1,
            Ok(event) => assert!(event.is_some()),
            Err(error) => break error,
        }
    };
    assert_eq!(count, 5);
    assert!(error.message.contains("before a sample of 6 bytes is complete"), "{error}");
}

#[test]
fn damage_to_any_byte_ends_without_a_panic() {
    let (start, fragment) = fragmented();
    let movie = Movie { ctts: vec![4, 1], stss: Some(vec![1]), ..Movie::sound() }.bytes();
    for whole in [[&start[..], &fragment].concat(), movie] {
        for place in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[place] = value;
                let _ended = demux(&damaged);
            }
        }
    }
}

#[test]
fn encrypted_and_compressed_media_is_refused_by_name() {
    let encrypted = patched(&Movie::sound().bytes(), b"test", b"enca");
    let error = demux(&encrypted).unwrap_err();
    assert_eq!(error.fault, Fault::Unsupported);
    assert!(error.message.contains("encrypted") && error.hint.is_some(), "{error}");
}
