//! Where Clusters are cut, and what is said of their ends.

use kinora_media::{Codec, Shape};

use super::*;

fn track(number: u32, codec: Codec, shape: Shape) -> Track {
    Track {
        number,
        codec,
        configuration: Bytes::new(),
        timescale: 1000,
        default_duration_ticks: 0,
        shape,
        reorder_depth: 0,
        language: "und".into(),
        name: String::new(),
    }
}

/// A cutter that was told of a picture in track 1 and sound in track 2.
fn cutter() -> Cutter {
    let video = track(1, Codec::Vp8, Shape::Video { width: 16, height: 16 });
    let audio = track(2, Codec::PcmAlaw, Shape::Audio { sample_rate: 8000, channels: 1, bits_per_sample: 8 });
    let mut cutter = Cutter::new(0);
    assert!(cutter.take(Event::Tracks(Arc::from([video, audio])), 0).unwrap().is_none());
    cutter
}

fn sample(track: u32, at_ms: i64, bytes: usize) -> Event {
    let data = Bytes::from(vec![0x10; bytes]);
    let sync = track == 2 || at_ms == 0;
    Event::Sample(Sample { track, dts_ticks: at_ms, pts_ticks: at_ms, duration_ticks: 40, sync, data })
}

#[test]
fn a_change_of_tracks_ends_a_cluster_where_the_leading_track_ends() {
    let mut cutter = cutter();
    for event in [sample(1, 0, 100), sample(2, 0, 100), sample(1, 40, 100), sample(2, 70, 100)] {
        assert!(cutter.take(event, 0).unwrap().is_none());
    }
    let next = track(1, Codec::Vp9, Shape::Video { width: 16, height: 16 });
    let last = cutter.take(Event::Tracks(Arc::from([next])), 0).unwrap().unwrap();
    assert_eq!((last.start_us, last.end_us), (0, 80_000));
}

#[test]
fn a_silent_leading_track_keeps_nothing_from_being_sent() {
    let mut cutter = cutter();
    assert!(cutter.take(sample(1, 0, 100), 0).unwrap().is_none());
    let sound = (0..250).map(|n| cutter.take(sample(2, n * 40, 100), 0).unwrap());
    let ends: Vec<i64> = sound.flatten().map(|cluster| cluster.end_us).collect();
    assert_eq!(ends, (1..10).map(|second| second * 1_000_000).collect::<Vec<_>>());
}

#[test]
fn a_cluster_has_a_limit_in_bytes() {
    let mut cutter = cutter();
    let mut clusters = Vec::new();
    for n in 0..10 {
        clusters.extend(cutter.take(sample(1, n, MAX_CLUSTER_BYTES / 3), 0).unwrap());
        clusters.extend(cutter.take(sample(2, n, 100), 0).unwrap());
    }
    assert!(clusters.len() >= 3, "{}", clusters.len());
    for cluster in clusters {
        assert!(cluster.pieces.iter().map(Bytes::len).sum::<usize>() < MAX_CLUSTER_BYTES + 10_000);
    }
}
