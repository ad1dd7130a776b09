//! Any bytes as a codec configuration and the frames after it: no panic, bounded memory, an end;
//! and whatever is accepted is canonical, which means that it is accepted again unchanged.
#![no_main]

use bytes::Bytes;
use kinora_fuzz::within;
use kinora_media::container::{Convention, DeclaredTrack, Frame};
use kinora_media::elementary::Elementary;
use kinora_media::{Codec, Sample, Shape, Track, TrackKind, codec};
use libfuzzer_sys::fuzz_target;

/// Memory that any input may cost: small things.
const FIXED_BYTES: usize = 256 * 1024;

/// Memory per byte of input: start codes as short as three bytes become lengths of four, and sets
/// are kept by name.
const PER_BYTE: usize = 256;

const CODECS: [Codec; 13] = [
    Codec::H264,
    Codec::H265,
    Codec::Av1,
    Codec::Vp8,
    Codec::Vp9,
    Codec::Aac,
    Codec::Opus,
    Codec::Mp3,
    Codec::PcmAlaw,
    Codec::PcmMulaw,
    Codec::PcmSigned,
    Codec::PcmSignedBigEndian,
    Codec::PcmFloat,
];

// The first byte selects codec and convention, the second says how many bytes of configuration
// follow; then come frames, each after a byte of flags and its length in two.
fuzz_target!(|input: &[u8]| {
    let [select, size, rest @ ..] = input else { return };
    let codec = CODECS[usize::from(select & 0x7f) % CODECS.len()].clone();
    let convention = if select & 0x80 == 0 { Convention::Matroska } else { Convention::Mp4 };
    let (configuration, frames) = rest.split_at(usize::from(*size).min(rest.len()));
    let declared = declared(codec, convention, configuration);
    within(FIXED_BYTES + input.len() * PER_BYTE, || run(&declared, frames));
});

fn declared(codec: Codec, convention: Convention, configuration: &[u8]) -> DeclaredTrack {
    let shape = match codec.kind() {
        TrackKind::Video => Shape::Video { width: 640, height: 0 },
        _ => Shape::Audio { sample_rate: 48_000, channels: 2, bits_per_sample: 16 },
    };
    let track = Track {
        number: 1,
        codec,
        timescale: 1000,
        configuration: Bytes::copy_from_slice(configuration),
        shape,
        reorder_depth: 0,
        default_duration_ticks: 0,
        language: String::new(),
        name: String::new(),
    };
    DeclaredTrack { track, convention, offset: 0 }
}

fn run(declared: &DeclaredTrack, mut frames: &[u8]) {
    let Ok(mut elementary) = Elementary::new(declared.clone()) else { return };
    check_track(&elementary, declared.convention);
    let mut pts_ticks = 0_i64;
    while let [flags, high, low, rest @ ..] = frames {
        let bytes = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (data, following) = rest.split_at(bytes);
        frames = following;
        pts_ticks = match flags >> 1 & 7 {
            7 => pts_ticks.wrapping_mul(1 << 20),
            step => pts_ticks.wrapping_add(i64::from(step) * 40 - 80),
        };
        let dts_ticks = (declared.convention == Convention::Mp4).then_some(pts_ticks);
        let frame = Frame {
            track: 1,
            pts_ticks,
            dts_ticks,
            duration_ticks: 0,
            key: flags & 1 == 1,
            data: Bytes::copy_from_slice(data),
            offset: 0,
        };
        let Ok(taken) = elementary.take(frame) else { return };
        if taken.track_changed {
            check_track(&elementary, declared.convention);
        }
        if let Some(sample) = taken.sample {
            check_sample(&elementary, sample, declared.convention);
        }
    }
}

/// What is canonical must be taken as it is.
fn check_track(elementary: &Elementary, convention: Convention) {
    let Some(track) = elementary.track() else { return };
    let _ = codec::rfc6381(track);
    let _ = codec::nominal_frame_rate(track);
    let again = DeclaredTrack { track: track.clone(), convention, offset: 0 };
    let again = Elementary::new(again).expect("a canonical configuration is accepted");
    if track.codec == Codec::Mp3 {
        // Whatever is declared, the first frame tells.
        return;
    }
    assert_eq!(again.track(), Some(track), "a canonical configuration is kept");
}

fn check_sample(elementary: &Elementary, sample: Sample, convention: Convention) {
    assert!(!sample.data.is_empty(), "a sample has bytes");
    let track = elementary.track().expect("a sample has a usable track").clone();
    if track.codec == Codec::Aac {
        // What follows an ADTS header may by chance look like another one.
        return;
    }
    let mut again = Elementary::new(DeclaredTrack { track, convention, offset: 0 })
        .expect("a canonical configuration is accepted");
    let frame = Frame {
        track: 1,
        pts_ticks: sample.pts_ticks,
        dts_ticks: Some(sample.dts_ticks),
        duration_ticks: 0,
        key: sample.sync,
        data: sample.data.clone(),
        offset: 0,
    };
    let taken = again.take(frame).expect("a canonical sample is accepted").sample;
    let taken = taken.expect("a canonical sample stays one");
    assert_eq!(taken.data, sample.data, "a canonical sample is kept");
    assert_eq!(taken.sync, sample.sync, "a key frame stays one");
}
