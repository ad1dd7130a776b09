//! The live playlist: while it grows, while it slides, and after what it showed is gone from it.

use std::process::{Command, Stdio};

use super::bench::{Bench, decoded, made};
use super::playlist::Media;

/// Twelve seconds with two key frames a second.
fn twelve_seconds() -> std::path::PathBuf {
    made(
        "playback-12s.mkv",
        "-f lavfi -i testsrc2=size=192x108:rate=25:duration=12 -f lavfi -i sine=sample_rate=48000:duration=12 \
         -c:v libx264 -preset veryfast -bf 2 -g 12 -keyint_min 12 -sc_threshold 0 -pix_fmt yuv420p -c:a aac",
    )
}

/// Where `part` lies in `whole`.
fn found_at(part: &[String], whole: &[String]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}

#[test]
fn a_stream_is_watched_while_it_is_pushed() {
    let bench = Bench::new();
    let source = twelve_seconds();
    let mut producer = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-re", "-i"])
        .arg(&source)
        .args(["-c", "copy", "-f", "matroska", "-method", "POST", &bench.url("/v1/streams/cam/media")])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let address = bench.address();
    // Whoever reloads the playlist sees it grow by the rules, until the producer is gone.
    let reloading = std::thread::spawn(move || {
        let mut reloads: Vec<Media> = Vec::new();
        loop {
            let answer = kinora_test_support::get(address, "/v1/streams/cam/hls/video/index.m3u8");
            if answer.status == 200 {
                let now = Media::parse(&answer.text());
                if let Some(before) = reloads.last() {
                    before.check_reload(&now);
                }
                let complete = now.duration_s() > 11.9;
                reloads.push(now);
                if complete {
                    return reloads;
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
    // A player that comes four segments into the stream sees pictures without a gap.
    while !bench.get("/v1/streams/cam/hls/video/index.m3u8").text().contains("\n4.m4s") {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let url = bench.url("/v1/streams/cam/hls/index.m3u8");
    let watched = decoded(&url, &["-t", "4", "0:v"]);
    assert!(producer.try_wait().unwrap().is_none(), "the producer was done before the player");
    let frames = decoded(&source.to_string_lossy(), &["0:v"]);
    assert!((95..=101).contains(&watched.len()), "{} frames in four seconds", watched.len());
    let place = found_at(&watched, &frames).unwrap_or_else(|| panic!("not what was sent"));
    assert_eq!(place % 12, 0, "it did not begin at a key frame");
    assert!(producer.wait().unwrap().success());
    let reloads = reloading.join().unwrap();
    let lengths: std::collections::BTreeSet<usize> = reloads.iter().map(|now| now.segments.len()).collect();
    assert!(lengths.len() > 10, "it did not grow: {lengths:?}");
    assert_eq!(reloads.last().unwrap().segments.len(), 25);
}

#[test]
fn a_live_playlist_slides_past_what_broke_and_still_counts_it() {
    let bench = Bench::new();
    let source = twelve_seconds();
    let mut before: Option<Media> = None;
    for round in 0..6 {
        bench.push("cam", &format!("?start={}", 1_767_225_600_000_i64 + round * 100_000), &source);
        let now = bench.media("cam", "video", "");
        // Where the playlist begins, players that join and players that reload must agree.
        if let Some(before) = &before {
            before.check_reload(&now);
        }
        before = Some(now);
    }
    let last = before.unwrap();
    assert!(last.sequence > 60 && last.duration_s() < 40.0, "it did not slide: {last:?}");
    assert_eq!(last.segments.last().unwrap().era, 6, "six connections brought the segments up to the last");
    let audio = bench.media("cam", "audio", "");
    assert_eq!((audio.sequence, audio.discontinuity_sequence), (last.sequence, last.discontinuity_sequence));
}

#[test]
fn a_long_segment_that_slid_away_leaves_the_target_duration_as_it_was() {
    let bench = Bench::new();
    // The same pictures with one key frame in four seconds.
    let long = made(
        "playback-12s-long.mkv",
        "-f lavfi -i testsrc2=size=192x108:rate=25:duration=12 -c:v libx264 -preset veryfast -g 100 \
         -keyint_min 100 -sc_threshold 0 -pix_fmt yuv420p",
    );
    let start = |round: i64| format!("?start={}", 1_767_225_600_000 + round * 100_000);
    bench.push("cam", &start(0), &long);
    let mut before = bench.media("cam", "video", "");
    assert_eq!(before.target_s, 4);
    for round in 1..5 {
        bench.push("cam", &start(round), &twelve_seconds());
        let now = bench.media("cam", "video", "");
        before.check_reload(&now);
        before = now;
    }
    assert!(before.segments.iter().all(|segment| segment.duration_s < 1.0), "it did not slide: {before:?}");
}

#[test]
fn a_live_playlist_goes_on_after_a_restart_of_the_server() {
    let bench = Bench::new();
    let long = made(
        "playback-4s-long.mkv",
        "-f lavfi -i testsrc2=size=192x108:rate=25:duration=4 -c:v libx264 -preset veryfast -g 100 \
         -keyint_min 100 -sc_threshold 0 -pix_fmt yuv420p",
    );
    let start = |round: i64| format!("?start={}", 1_767_225_600_000 + round * 100_000);
    bench.push("cam", &start(0), &long);
    for round in 1..4 {
        bench.push("cam", &start(round), &twelve_seconds());
    }
    let before = bench.media("cam", "video", "");
    assert_eq!((before.target_s, before.segments[0].uri.as_str()), (4, "14.m4s"));
    let bench = bench.restarted();
    let after = bench.media("cam", "video", "");
    before.check_reload(&after);
    bench.push("cam", &start(4), &twelve_seconds());
    let later = bench.media("cam", "video", "");
    after.check_reload(&later);
    assert!(later.sequence > after.sequence && later.segments.last().unwrap().era == 5, "{later:?}");
}

#[test]
fn a_playlist_from_a_time_on_grows_at_its_end_only() {
    let bench = Bench::new();
    let source = twelve_seconds();
    let query = "?start=2026-03-01T12:00:01Z";
    bench.push("cam", "?start=2026-03-01T12:00:00Z", &source);
    let first = bench.media("cam", "video", query);
    assert_eq!((first.kind.as_str(), first.segments.len()), ("EVENT", 23));
    bench.push("cam", "?start=2026-03-01T12:00:30Z", &source);
    // What is uploaded late is older, and appears where it arrived.
    bench.push("cam", "?start=2026-03-01T12:00:15Z", &source);
    let second = bench.media("cam", "video", query);
    first.check_reload(&second);
    assert_eq!(second.segments.len(), 23 + 25 + 25);
    let range = bench.media("cam", "video", "?start=2026-03-01T12:00:01Z&end=2026-03-01T13:00:00Z");
    assert_eq!(range.segments.len(), 23 + 25 + 25);
}

#[test]
fn a_playlist_from_a_time_on_has_what_was_filled_in_before_its_first_segment() {
    let bench = Bench::new();
    let source = twelve_seconds();
    let query = "?start=2026-03-01T12:00:01Z";
    bench.push("cam", "?start=2026-03-01T12:00:30Z", &source);
    let first = bench.media("cam", "video", query);
    assert_eq!((first.kind.as_str(), first.segments.len()), ("EVENT", 25));
    // The first footage of all is uploaded last; what a player has already seen stays in place.
    bench.push("cam", "?start=2026-03-01T12:00:00Z", &source);
    let second = bench.media("cam", "video", query);
    first.check_reload(&second);
    assert_eq!(second.segments.len(), 25 + 23);
    assert!(second.segments[25].discontinuity, "{second:?}");
    // Whoever comes later to see only part of what was filled in gets all that is after it, too.
    let joining = bench.media("cam", "video", "?start=2026-03-01T12:00:06Z");
    assert_eq!(joining.segments.len(), 25 + 13);
}
