//! Playlists of ranges: in the middle of a fragment, over gaps, restarts and new configurations.

use kinora_base::WallTime;

use super::bench::{Bench, decoded, key_frames_us, made, probed};
use super::codecs::h264_aac;
use super::playlist::Media;

const START: &str = "2026-03-01T12:00:00Z";

fn start() -> WallTime {
    START.parse().unwrap()
}

/// A time so many milliseconds after the start, as a query takes it.
fn at(ms: i64) -> String {
    start().offset_micros(ms * 1000).to_string()
}

/// The times of segments, in milliseconds after the start.
fn times_ms(playlist: &Media) -> Vec<i64> {
    playlist.segments.iter().map(|segment| segment.time.micros_since(start()) / 1000).collect()
}

fn twice(hashes: &[String]) -> Vec<String> {
    [hashes, hashes].concat()
}

#[test]
fn dates_are_the_producers_and_true_to_the_samples() {
    let bench = Bench::new();
    let source = h264_aac();
    bench.push("cam", &format!("?start={START}"), &source);
    let playlist = bench.media("cam", "video", &format!("?start={}&end={}", at(0), at(9000)));
    let key_frames = key_frames_us(&source.to_string_lossy());
    assert_eq!(times_ms(&playlist), key_frames.iter().map(|us| us / 1000).collect::<Vec<_>>());
    assert!((playlist.duration_s() - 3.0).abs() < 0.001, "{playlist:?}");
    // The media itself says the same: dates and presentation times advance alike.
    for rendition in ["video", "audio"] {
        let playlist = bench.media("cam", rendition, &format!("?start={}&end={}", at(0), at(9000)));
        let file = bench.joined("cam", rendition, &playlist);
        assert_eq!(playlist.segments.len(), 3);
        if rendition == "video" {
            let served = key_frames_us(&file.to_string_lossy());
            let from_first = |times: &[i64]| times.iter().map(|us| us - times[0]).collect::<Vec<_>>();
            assert_eq!(from_first(&served), from_first(&key_frames));
        }
    }
    // The list of fragments and the acks say it too.
    let listed: Vec<String> =
        bench.fragments("cam").iter().map(|f| f["producer_time"].as_str().unwrap().to_owned()).collect();
    let dated: Vec<String> = playlist.segments.iter().map(|segment| segment.time.to_string()).collect();
    assert_eq!(listed, dated);
}

#[test]
fn sound_and_picture_keep_their_distance() {
    let bench = Bench::new();
    // The sound begins a quarter of a second after the picture.
    let source = made(
        "playback-late-sound.mkv",
        &format!("-i {0} -itsoffset 0.25 -i {0} -map 0:v -map 1:a -c copy", h264_aac().display()),
    );
    bench.push("cam", &format!("?start={START}"), &source);
    let query = format!("?start={}&end={}", at(0), at(9000));
    let first = |file: &str, selector| probed(file, selector, "start_time").parse::<f64>().unwrap();
    let served = |rendition| {
        let playlist = bench.media("cam", rendition, &query);
        let file = bench.joined("cam", rendition, &playlist);
        first(&file.to_string_lossy(), if rendition == "video" { "v" } else { "a" })
    };
    let source = source.to_string_lossy();
    let expected = first(&source, "a") - first(&source, "v");
    let got = served("audio") - served("video");
    assert!((got - expected).abs() < 0.002, "{got} s instead of {expected} s");
}

#[test]
fn a_range_begins_inside_a_fragment_and_spans_a_gap() {
    let bench = Bench::new();
    let source = h264_aac();
    let frames = decoded(&source.to_string_lossy(), &["0:v"]);
    // The camera's own clock went on while nothing was sent.
    let later = made(
        "playback-h264-aac-later.mkv",
        &format!("-i {} -map 0 -c copy -output_ts_offset 60", source.display()),
    );
    bench.push("cam", &format!("?start={START}"), &source);
    bench.push("cam", &format!("?start={START}"), &later);
    let query = format!("?start={}&end={}", at(1400), at(61_500));
    let playlist = bench.media("cam", "video", &query);
    let first_ms = key_frames_us(&source.to_string_lossy())[0] / 1000;
    let expected: Vec<i64> = [1000, 2000, 60_000, 61_000].iter().map(|ms| ms + first_ms).collect();
    assert_eq!(times_ms(&playlist), expected);
    let breaks: Vec<bool> = playlist.segments.iter().map(|segment| segment.discontinuity).collect();
    assert_eq!(breaks, [false, false, true, false]);
    let offset = playlist.start_offset_s.unwrap();
    assert!((offset - (0.4 - first_ms as f64 / 1000.0)).abs() < 0.001, "{offset}");
    let url = bench.url(&format!("/v1/streams/cam/hls/index.m3u8{query}"));
    let played: Vec<String> = frames[25..].iter().chain(&frames[..50]).cloned().collect();
    assert_eq!(decoded(&url, &["0:v"]), played);
    assert!(!decoded(&url, &["0:a"]).is_empty());
    // A range may end exactly where a fragment begins, which then is not part of it.
    let playlist = bench.media("cam", "video", &format!("?start={}&end={}", at(0), at(1000 + first_ms)));
    assert_eq!(times_ms(&playlist), [first_ms]);
    // And the gap is on the timeline.
    let timeline = bench.json("/v1/streams/cam/timeline");
    let (runs, gap) = (timeline["runs"].as_array().unwrap(), &timeline["gaps"][0]);
    assert_eq!(runs.len(), 2);
    assert_eq!((&gap["start"], &gap["end"]), (&runs[0]["end"], &runs[1]["start"]));
}

#[test]
fn a_producer_that_restarts_at_zero_goes_on_later() {
    let bench = Bench::new();
    let source = h264_aac();
    let frames = decoded(&source.to_string_lossy(), &["0:v"]);
    // The times of both begin at 0. Without a start the first sample was captured as it arrived.
    bench.push("cam", &format!("?start={START}"), &source);
    bench.push("cam", "", &source);
    let range = bench.json("/v1/streams/cam")["range"].clone();
    let (start, end) = (range["start"].as_str().unwrap(), range["end"].as_str().unwrap());
    let query = format!("?start={start}&end={end}");
    let url = bench.url(&format!("/v1/streams/cam/hls/index.m3u8{query}"));
    let playlist = bench.media("cam", "video", "");
    assert_eq!(playlist.segments.len(), 6);
    let breaks: Vec<usize> = (0..6).filter(|n| playlist.segments[*n].discontinuity).collect();
    assert_eq!(breaks, [3]);
    assert_eq!(decoded(&url, &["0:v"]), twice(&frames), "nothing is lost where the times begin anew");
    for places in [0..3, 3..6] {
        let stretch = Media { segments: playlist.segments[places].to_vec(), ..playlist.clone() };
        let file = bench.joined("cam", "video", &stretch);
        assert_eq!(decoded(&file.to_string_lossy(), &["0:v"]), frames);
    }
}

#[test]
fn one_body_may_hold_several_files() {
    let bench = Bench::new();
    let source = h264_aac();
    let once = std::fs::read(&source).unwrap();
    let file = bench.file("twice.mkv", &[once.clone(), once].concat());
    bench.push("cam", &format!("?start={START}"), &file);
    let query = format!("?start={}&end={}", at(0), at(60_000));
    let playlist = bench.media("cam", "video", &query);
    assert_eq!(playlist.segments.len(), 6);
    assert!((playlist.duration_s() - 6.0).abs() < 0.001 && times_ms(&playlist)[5] < 6000, "{playlist:?}");
    let url = bench.url(&format!("/v1/streams/cam/hls/index.m3u8{query}"));
    let frames = decoded(&source.to_string_lossy(), &["0:v"]);
    assert_eq!(decoded(&url, &["0:v"]), twice(&frames));
}

#[test]
fn a_new_configuration_is_a_discontinuity_with_a_new_map() {
    let bench = Bench::new();
    let small = h264_aac();
    let large = made(
        "playback-large.mkv",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -c:v libx264 -preset veryfast -g 25 -keyint_min 25 \
         -sc_threshold 0 -pix_fmt yuv420p",
    );
    let hevc = made(
        "playback-large-hevc.mkv",
        &format!(
            "-i {} -c:v libx265 -preset ultrafast -x265-params keyint=25:min-keyint=25:open-gop=0:log-level=error",
            large.display()
        ),
    );
    let clips = [&small, &large, &hevc];
    for (clip, second) in clips.iter().zip([0, 4, 7]) {
        bench.push("cam", &format!("?start={}", at(second * 1000)), clip);
    }
    let query = format!("?start={}&end={}", at(0), at(60_000));
    let playlist = bench.media("cam", "video", &query);
    let inits: Vec<&str> = playlist.segments.iter().map(|segment| segment.init.as_str()).collect();
    assert_eq!(inits.len(), 7);
    let breaks: Vec<usize> = (0..7).filter(|n| playlist.segments[*n].discontinuity).collect();
    assert_eq!(breaks, [3, 5]);
    assert!(inits[..3].iter().all(|init| *init == inits[0]) && inits[3] != inits[0] && inits[5] != inits[3]);
    // Players take a new map at each break; FFmpeg does not, so it gets the stretches one by one.
    for (clip, places) in clips.iter().zip([0..3, 3..5, 5..7]) {
        let stretch = Media { segments: playlist.segments[places].to_vec(), ..playlist.clone() };
        let file = bench.joined("cam", "video", &stretch);
        let source = clip.to_string_lossy();
        assert_eq!(decoded(&file.to_string_lossy(), &["0:v"]), decoded(&source, &["0:v"]), "{source}");
    }
    // The sound of the first clip is a gap in the others, and ends there without a complaint.
    let audio = bench.media("cam", "audio", &query);
    let gaps: Vec<bool> = audio.segments.iter().map(|segment| segment.gap).collect();
    assert_eq!(gaps, [false, false, false, true, true, true, true]);
    let master = bench.multivariant("cam", &query);
    let variant = &master.variants[0].attributes;
    assert_eq!(variant["RESOLUTION"], "320x180");
    let codecs: Vec<&str> = variant["CODECS"].split(',').map(|codec| &codec[..4]).collect();
    assert_eq!(codecs, ["avc1", "avc1", "hvc1", "mp4a"]);
    // The new configuration alone says nothing of the old one.
    let master = bench.multivariant("cam", &format!("?start={}&end={}", at(7100), at(60_000)));
    assert!(master.audio.is_empty() && master.variants[0].attributes["CODECS"].starts_with("hvc1"));
}

/// The numbers that a list of fragments has.
fn listed(bench: &Bench, query: &str) -> Vec<u64> {
    let list = bench.json(&format!("/v1/streams/cam/fragments?{query}"));
    list["fragments"].as_array().unwrap().iter().map(|f| f["number"].as_u64().unwrap()).collect()
}

#[test]
fn what_is_uploaded_late_is_listed_played_and_drawn_where_it_belongs() {
    let bench = Bench::new();
    let source = h264_aac();
    let frames = decoded(&source.to_string_lossy(), &["0:v"]);
    bench.push("cam", &format!("?start={}", at(3_600_000)), &source);
    bench.push("cam", &format!("?start={}", at(7_200_000)), &source);
    // Older than the newest, then between the two.
    bench.push("cam", &format!("?start={}", at(0)), &source);
    bench.push("cam", &format!("?start={}", at(5_400_000)), &source);
    assert_eq!(listed(&bench, "by=producer"), [7, 8, 9, 1, 2, 3, 10, 11, 12, 4, 5, 6]);
    assert_eq!(listed(&bench, "by=producer&order=desc&limit=4"), [6, 5, 4, 12]);
    assert_eq!(listed(&bench, "by=server"), (1..=12).collect::<Vec<_>>());

    // Exact to the fragment: what began before the range and reaches into it is in, what ends
    // where it starts and what starts where it ends is not.
    let first_ms = key_frames_us(&source.to_string_lossy())[0] / 1000;
    let between = |from_ms: i64, to_ms: i64| {
        listed(&bench, &format!("start={}&end={}", at(first_ms + from_ms), at(first_ms + to_ms)))
    };
    assert_eq!(between(500, 1500), [7, 8]);
    assert_eq!(between(1000, 2000), [8]);
    assert_eq!(between(999, 2001), [7, 8, 9]);
    for fragment in bench.fragments("cam") {
        let number = fragment["number"].as_u64().unwrap();
        let arrived: WallTime = fragment["server_time"].as_str().unwrap().parse().unwrap();
        let lasts_us = fragment["duration_ms"].as_i64().unwrap() * 1000;
        let since = |us: i64| listed(&bench, &format!("by=server&start={}", arrived.offset_micros(us)));
        assert!(since(lasts_us - 2_000).contains(&number), "{number} reaches into it");
        assert!(!since(lasts_us + 2_000).contains(&number), "{number} is over");
        let before = |us: i64| listed(&bench, &format!("by=server&end={}", arrived.offset_micros(us)));
        assert!(before(2_000).contains(&number) && !before(-2_000).contains(&number), "{number}");
        assert_eq!(fragment["media_time_ms"].as_i64().unwrap() % 3_600_000, first_ms + media_ms(number));
    }

    for from_ms in [0, 5_400_000] {
        let query = format!("?start={}&end={}", at(from_ms), at(from_ms + 60_000));
        assert_eq!(times_ms(&bench.media("cam", "video", &query))[0], from_ms + first_ms);
        let url = bench.url(&format!("/v1/streams/cam/hls/index.m3u8{query}"));
        assert_eq!(decoded(&url, &["0:v"]), frames);
    }
    let timeline = bench.json(&format!("/v1/streams/cam/timeline?start={}&end={}", at(0), at(9_000_000)));
    let starts: Vec<i64> = timeline["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["start"].as_str().unwrap().parse::<WallTime>().unwrap().micros_since(start()) / 1000)
        .collect();
    assert_eq!(starts, [0, 3_600_000, 5_400_000, 7_200_000].map(|ms| ms + first_ms));
}

/// Media time of a fragment, less that of the first, in an upload of three.
fn media_ms(number: u64) -> i64 {
    i64::try_from((number - 1) % 3).unwrap() * 1000
}
