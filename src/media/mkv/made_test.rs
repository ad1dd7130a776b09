//! Matroska made by hand for the tests of this room, and reading it in chunks.

use bytes::Bytes;

use super::Demuxer;
use super::id::Id;
use super::write::{UNKNOWN_SIZE, Writer};
use crate::Error;
use crate::container::{Event, Frame};

pub(super) fn element(id: Id, data: &[u8]) -> Vec<u8> {
    let mut out = Writer::default();
    out.binary(id, data);
    out.bytes
}

pub(super) fn uint(id: Id, value: u64) -> Vec<u8> {
    let mut out = Writer::default();
    out.uint(id, value);
    out.bytes
}

pub(super) fn float(id: Id, value: f64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

pub(super) fn text(id: Id, value: &str) -> Vec<u8> {
    element(id, value.as_bytes())
}

pub(super) fn master(id: Id, children: &[Vec<u8>]) -> Vec<u8> {
    element(id, &children.concat())
}

/// An element of unknown size, its size written in `length` bytes.
pub(super) fn unknown(id: Id, length: usize, children: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Writer::default();
    out.id(id);
    let marker = u64::MAX >> (64 - 7 * length) | 1 << (7 * length);
    out.bytes.extend(&marker.to_be_bytes()[8 - length..]);
    out.bytes.extend(children.concat());
    out.bytes
}

pub(super) fn ebml() -> Vec<u8> {
    master(Id::EBML, &[text(Id::DOC_TYPE, "matroska")])
}

pub(super) fn info(scale_ns: u64) -> Vec<u8> {
    master(Id::INFO, &[uint(Id::TIMESTAMP_SCALE, scale_ns)])
}

/// A TrackEntry; `more` are further children.
pub(super) fn entry(number: u64, kind: u64, codec_id: &str, more: &[Vec<u8>]) -> Vec<u8> {
    let fixed =
        [uint(Id::TRACK_NUMBER, number), uint(Id::TRACK_TYPE, kind), text(Id::CODEC_ID, codec_id)].concat();
    element(Id::TRACK_ENTRY, &[fixed, more.concat()].concat())
}

pub(super) fn video(number: u64) -> Vec<u8> {
    entry(number, 1, "V_VP8", &[])
}

pub(super) fn audio(number: u64, codec_id: &str, rate: f64, more: &[Vec<u8>]) -> Vec<u8> {
    let shape = master(Id::AUDIO, &[float(Id::SAMPLING_FREQUENCY, rate), uint(Id::CHANNELS, 2)]);
    entry(number, 2, codec_id, &[vec![shape], more.to_vec()].concat())
}

/// An EBML header and the beginning of a Segment of unknown size with millisecond ticks.
pub(super) fn head(entries: &[Vec<u8>]) -> Vec<u8> {
    head_with(1_000_000, entries)
}

pub(super) fn head_with(scale_ns: u64, entries: &[Vec<u8>]) -> Vec<u8> {
    [ebml(), segment_id(), info(scale_ns), master(Id::TRACKS, entries)].concat()
}

pub(super) fn segment_id() -> Vec<u8> {
    let mut out = Writer::default();
    out.id(Id::SEGMENT);
    out.bytes.extend(UNKNOWN_SIZE);
    out.bytes
}

/// The data of a Block.
pub(super) fn block(track: u64, relative: i16, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut out = Writer::default();
    out.vint(track);
    out.bytes.extend(relative.to_be_bytes());
    out.bytes.push(flags);
    out.bytes.extend(data);
    out.bytes
}

pub(super) fn simple(track: u64, relative: i16, data: &[u8]) -> Vec<u8> {
    element(Id::SIMPLE_BLOCK, &block(track, relative, 0x80, data))
}

pub(super) fn cluster(timestamp: u64, blocks: &[Vec<u8>]) -> Vec<u8> {
    element(Id::CLUSTER, &[uint(Id::TIMESTAMP, timestamp), blocks.concat()].concat())
}

/// Everything that `input` yields in chunks of `chunk` bytes, and the error at its end.
pub(super) fn read(input: &[u8], chunk: usize) -> (Vec<Event>, Option<Error>) {
    read_chunks(input.chunks(chunk.max(1)).map(Bytes::copy_from_slice))
}

pub(super) fn read_chunks(chunks: impl IntoIterator<Item = Bytes>) -> (Vec<Event>, Option<Error>) {
    let mut demuxer = Demuxer::new();
    let mut events = Vec::new();
    for chunk in chunks {
        demuxer.push(chunk);
        if let Some(error) = drain(&mut demuxer, &mut events) {
            return (events, Some(error));
        }
    }
    demuxer.finish();
    let error = drain(&mut demuxer, &mut events);
    (events, error)
}

fn drain(demuxer: &mut Demuxer, events: &mut Vec<Event>) -> Option<Error> {
    loop {
        match demuxer.next() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return None,
            Err(error) => {
                assert_eq!(demuxer.next(), Err(error.clone()), "an error repeats");
                return Some(error);
            }
        }
    }
}

/// What a sound `input` yields.
pub(super) fn events(input: &[u8]) -> Vec<Event> {
    let (events, error) = read(input, input.len());
    assert_eq!(error, None);
    events
}

/// The error that `input` ends in.
pub(super) fn fault(input: &[u8]) -> Error {
    read(input, input.len()).1.expect("the input is refused")
}

pub(super) fn frames(events: &[Event]) -> Vec<Frame> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Frame(frame) => Some(frame.clone()),
            _ => None,
        })
        .collect()
}

/// The only track that `input` declares.
pub(super) fn track(input: &[u8]) -> crate::Track {
    match events(input).first() {
        Some(Event::Tracks(tracks)) if tracks.len() == 1 => tracks[0].track.clone(),
        other => panic!("not one track but {other:?}"),
    }
}
