//! Anything at all as MP4: no panic, bounded memory, an end, the same result however the input is
//! cut into chunks, and what comes out can be muxed and read again.
#![no_main]

use kinora_fuzz::{chunks, within};
use kinora_media::container::{Event, Frame};
use kinora_media::fmp4::{Demuxer, Muxer, RunSample, carries, init};
use kinora_media::{Error, Track};
use libfuzzer_sys::fuzz_target;

/// Memory that any input may cost besides what follows from its length.
const FIXED_BYTES: usize = 1024 * 1024;

/// Memory per byte of input: all events are kept here, and a run may make a frame of every byte.
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

/// Muxes the frames of the last set of tracks; all of them must come back with their times.
fn mux(events: &[Event]) {
    let mut tracks: Vec<Track> = Vec::new();
    let mut frames: Vec<&Frame> = Vec::new();
    for event in events {
        match event {
            Event::Tracks(declared) => {
                tracks = declared.iter().map(|declared| declared.track.clone()).collect();
                frames.clear();
            }
            Event::Frame(frame) => frames.push(frame),
            _ => {}
        }
    }
    tracks.retain(|track| carries(&track.codec));
    frames.retain(|frame| tracks.iter().any(|track| track.number == frame.track));
    // The configurations are the input's own and mostly no use.
    let Ok(start) = init(&tracks) else { return };
    let mut muxer = Muxer::new(1);
    let mut bytes = start.to_vec();
    let mut data = Vec::new();
    let mut expected = Vec::new();
    for frame in frames {
        let dts = frame.dts_ticks.unwrap_or(frame.pts_ticks);
        let Ok(composition_offset_ticks) = i32::try_from(i128::from(frame.pts_ticks) - i128::from(dts)) else { return };
        let sample = RunSample {
            duration_ticks: frame.duration_ticks,
            size_bytes: frame.data.len() as u32,
            sync: frame.key,
            composition_offset_ticks,
        };
        if muxer.run(frame.track, dts, [sample]).is_err() {
            return;
        }
        data.extend_from_slice(&frame.data);
        expected.push((frame.track, frame.pts_ticks, frame.dts_ticks, frame.key, frame.data.clone()));
    }
    bytes.extend_from_slice(&muxer.finish().expect("the input is small"));
    bytes.extend_from_slice(&data);
    let (again, end) = read(&bytes, 0);
    // A last duration may lead beyond 2^63 ticks, and PCM may come back in other pieces.
    if end.is_some() {
        return;
    }
    let found: Vec<_> = again
        .iter()
        .filter_map(|event| if let Event::Frame(frame) = event { Some(frame) } else { None })
        .map(|frame| (frame.track, frame.pts_ticks, frame.dts_ticks, frame.key, frame.data.clone()))
        .collect();
    if found.len() == expected.len() {
        assert!(found == expected, "frames come back as they were");
    }
}
