//! Anything at all as Matroska: no panic, bounded memory, an end, the same result however the
//! input is cut into chunks, and what comes out can be muxed and read again.
#![no_main]

use kinora_fuzz::{chunks, within};
use kinora_media::container::{Event, Frame};
use kinora_media::mkv::{Demuxer, Muxer};
use kinora_media::{Error, Sample, Track};
use libfuzzer_sys::fuzz_target;

/// Memory that any input may cost: what one claimed element reserves, and small things.
const FIXED_BYTES: usize = 8 * 1024 * 1024;

/// Memory per byte of input: all events are kept here, and a lace makes a frame of every byte.
const PER_BYTE: usize = 1024;

fuzz_target!(|input: &[u8]| {
    let Some((&seed, media)) = input.split_first() else { return };
    let limit_bytes = FIXED_BYTES + media.len() * PER_BYTE;
    let (events, end) = within(limit_bytes, || read(media, 0));
    let (chunked_events, chunked_end) = read(media, seed);
    assert!(events == chunked_events && end == chunked_end, "chunks of seed {seed} change the result");
    mux(&events);
});

fn read(media: &[u8], seed: u8) -> (Vec<Event>, Option<Error>) {
    let mut demuxer = Demuxer::new();
    let mut events = Vec::new();
    let mut drain = |demuxer: &mut Demuxer| loop {
        match demuxer.next() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return None,
            Err(error) => {
                assert_eq!(demuxer.next(), Err(error.clone()), "an error is final");
                return Some(error);
            }
        }
    };
    let mut end = None;
    for chunk in chunks(media, seed) {
        demuxer.push(chunk);
        end = end.or(drain(&mut demuxer));
        if end.is_some() {
            break;
        }
    }
    if end.is_none() {
        demuxer.finish();
        end = drain(&mut demuxer);
    }
    (events, end)
}

/// Muxes the frames of the last set of tracks; all of them must come back.
fn mux(events: &[Event]) {
    let mut tracks: Vec<Track> = Vec::new();
    let mut samples: Vec<Sample> = Vec::new();
    for event in events {
        match event {
            Event::Tracks(declared) => {
                tracks = declared.iter().map(|declared| declared.track.clone()).collect();
                samples.clear();
            }
            Event::Frame(frame) => samples.push(sample(frame)),
            _ => {}
        }
    }
    if samples.is_empty() {
        return;
    }
    let muxer = Muxer::new(&tracks);
    let mut bytes = muxer.header().to_vec();
    for piece in muxer.cluster(&samples).expect("all tracks are declared") {
        bytes.extend_from_slice(&piece);
    }
    let (again, end) = read(&bytes, 0);
    // A stripped header or a wave format may make the track one that only its own producer writes
    // that way, and times at the edge of 64 bits do not come back; frames always do.
    if end.is_none() {
        let count = again.iter().filter(|event| matches!(event, Event::Frame(_))).count();
        assert_eq!(count, samples.len(), "frames are lost between muxer and demuxer");
    }
}

fn sample(frame: &Frame) -> Sample {
    Sample {
        track: frame.track,
        dts_ticks: frame.pts_ticks,
        pts_ticks: frame.pts_ticks,
        duration_ticks: frame.duration_ticks,
        sync: frame.key,
        data: frame.data.clone(),
    }
}
