//! Real files against two independent readers, ffprobe and `webm-iterable`; then muxed, and read
//! again by us, by ffprobe and by ffmpeg's decoders.

use std::path::{Path, PathBuf};
use std::process::Command;

use kinora_base::MediaTime;
use kinora_test_support::{clip, ffprobe};
use webm_iterable::WebmIterator;
use webm_iterable::matroska_spec::{Block, Master, MatroskaSpec, SimpleBlock};

use super::made_test::{events, frames, read};
use super::{Demuxer, Muxer};
use crate::container::{Event, Frame};
use crate::{Codec, Fault, Sample, Track, TrackKind};

const PICTURES: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=s=192x144:r=25:d=3"];
const SOUND: [&str; 4] = ["-f", "lavfi", "-i", "sine=440:r=48000:d=3"];
const SOUND_44: [&str; 4] = ["-f", "lavfi", "-i", "sine=440:r=44100:d=3"];
/// Two subtitles: at 0.5 s for 1 s, and at 2 s for 0.5 s.
const SUBTITLES: [&str; 4] = [
    "-f",
    "srt",
    "-i",
    "data:text/plain;base64,MQowMDowMDowMCw1MDAgLS0+IDAwOjAwOjAxLDUwMApIZWxsbwoKMgowMDowMDowMiwwMDAgLS0+IDAwOjAwOjAyLDUwMApXb3JsZAoK",
];

fn made(name: &str, inputs: &[[&str; 4]], output: &str) -> PathBuf {
    let mut args: Vec<&str> = inputs.concat();
    args.extend(output.split(' '));
    clip(name, &args)
}

/// All clips of this test, each with something that the others lack.
fn clips() -> Vec<PathBuf> {
    vec![
        made("mkv-h264-b-aac.mkv", &[PICTURES, SOUND_44], "-c:v libx264 -preset fast -bf 3 -g 25 -c:a aac"),
        made(
            "mkv-h264-live-aac.mkv",
            &[PICTURES, SOUND],
            "-c:v libx264 -preset ultrafast -g 10 -c:a aac -live 1 -cluster_time_limit 400",
        ),
        made(
            "mkv-h265-mp3.mkv",
            &[PICTURES, SOUND_44],
            "-c:v libx265 -preset ultrafast -x265-params log-level=error -c:a libmp3lame",
        ),
        made(
            "mkv-vp8-vorbis.webm",
            &[PICTURES, SOUND],
            "-c:v libvpx -b:v 200k -deadline realtime -c:a libvorbis",
        ),
        made(
            "mkv-vp9-opus.webm",
            &[PICTURES, SOUND],
            "-c:v libvpx-vp9 -b:v 200k -deadline realtime -cpu-used 8 -c:a libopus",
        ),
        made("mkv-av1-ac3.mkv", &[PICTURES, SOUND], "-c:v libsvtav1 -preset 12 -c:a ac3"),
        made("mkv-mjpeg-pcm.mkv", &[PICTURES, SOUND_44], "-c:v mjpeg -c:a pcm_s16le"),
        made("mkv-alaw.mkv", &[SOUND], "-c:a pcm_alaw -ar 8000"),
        made("mkv-flac-srt.mkv", &[SOUND, SUBTITLES], "-c:a flac -c:s srt"),
        made("mkv-opus-60ms.mkv", &[SOUND], "-c:a libopus -frame_duration 60"),
    ]
}

/// A packet as ffprobe sees it: stream index, time and duration in milliseconds, size, key, CRC.
#[derive(Debug, PartialEq, Eq)]
struct Packet {
    stream: usize,
    pts_ms: Option<i64>,
    size: usize,
    key: bool,
    crc: String,
}

fn packets(path: &Path) -> Vec<Packet> {
    let entries = "packet=stream_index,pts,size,flags,data_hash";
    let text = ffprobe(&[
        "-show_packets",
        "-show_data_hash",
        "CRC32",
        "-show_entries",
        entries,
        "-of",
        "default=noprint_wrappers=0",
        path.to_str().unwrap(),
    ]);
    let packet = |block: &str| {
        let field = |name: &str| {
            let found = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("no {name} in {block}"))
        };
        Packet {
            stream: field("stream_index").parse().unwrap(),
            pts_ms: field("pts").parse().ok(),
            size: field("size").parse().unwrap(),
            key: field("flags").starts_with('K'),
            crc: field("data_hash").trim_start_matches("CRC32:").to_owned(),
        }
    };
    text.split("[PACKET]").skip(1).map(packet).collect()
}

fn crc32(data: &[u8]) -> String {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    format!("{:08x}", !crc)
}

fn tracks(events: &[Event]) -> Vec<Track> {
    events
        .iter()
        .find_map(|event| match event {
            Event::Tracks(tracks) => Some(tracks.iter().map(|declared| declared.track.clone()).collect()),
            _ => None,
        })
        .expect("tracks are declared")
}

/// Asserts that our frames are ffprobe's packets, track by track: bytes, key flags, times to a
/// millisecond.
fn assert_same_packets(name: &str, tracks: &[Track], frames: &[Frame], packets: &[Packet]) {
    assert_eq!(frames.len(), packets.len(), "{name}: number of frames");
    for (stream, track) in tracks.iter().enumerate() {
        let frames = per_track(frames, track.number);
        let packets: Vec<&Packet> = packets.iter().filter(|packet| packet.stream == stream).collect();
        assert_eq!(frames.len(), packets.len(), "{name}: number of frames of track {}", track.number);
        for (index, (frame, packet)) in frames.iter().zip(packets).enumerate() {
            assert_eq!(
                (frame.data.len(), crc32(&frame.data), frame.key),
                (packet.size, packet.crc.clone(), packet.key),
                "{name}: frame {index} of track {}",
                track.number
            );
            let Some(pts_ms) = packet.pts_ms else { continue };
            let ours_us = i128::from(frame.pts_ticks) * 1_000_000 / i128::from(track.timescale);
            let off_us = (ours_us - i128::from(pts_ms) * 1000).abs();
            // ffmpeg rounds CodecDelay to milliseconds, which may add half of one.
            let allowed_us = if track.kind() == TrackKind::Audio { 1_600 } else { 0 };
            assert!(off_us <= allowed_us, "{name}: frame {index} is {off_us} us off");
        }
    }
}

#[test]
fn ffprobe_sees_the_same_packets() {
    for path in clips() {
        let input = std::fs::read(&path).unwrap();
        let events = events(&input);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert_same_packets(&name, &tracks(&events), &frames(&events), &packets(&path));
        if input.len() < 50_000 {
            assert_eq!(read(&input, 1).0, events, "{name} in single bytes");
        }
        assert_eq!(read(&input, 4093).0, events, "{name} in chunks");
    }
}

#[test]
fn audio_of_real_files_lies_on_its_grid() {
    for path in clips() {
        let events = events(&std::fs::read(&path).unwrap());
        for track in tracks(&events) {
            let known = [Codec::Aac, Codec::Opus, Codec::Mp3, Codec::PcmSigned, Codec::PcmAlaw];
            if !known.contains(&track.codec) {
                continue;
            }
            let mut expected = None;
            let frames = frames(&events);
            let own = frames.iter().filter(|frame| frame.track == track.number);
            for frame in own {
                assert!(frame.duration_ticks > 0);
                let pts_ticks = *expected.get_or_insert(frame.pts_ticks);
                assert_eq!(frame.pts_ticks, pts_ticks, "{}: {:?}", path.display(), track.codec);
                expected = Some(pts_ticks + i64::from(frame.duration_ticks));
            }
        }
    }
}

/// Frames as `webm-iterable` reads them: track, raw Segment time, key, bytes.
fn independent(input: &[u8]) -> Vec<(u64, i64, bool, Vec<u8>)> {
    let mut source = input;
    let mut cluster = 0;
    let mut found = Vec::new();
    let groups = [MatroskaSpec::BlockGroup(Master::Start)];
    for tag in WebmIterator::new(&mut source, &groups) {
        match tag.expect("webm-iterable reads the file") {
            MatroskaSpec::Timestamp(time) => cluster = i64::try_from(time).unwrap(),
            ref tag @ MatroskaSpec::SimpleBlock(_) => {
                let block = SimpleBlock::try_from(tag).unwrap();
                for frame in block.read_frame_data().unwrap() {
                    let time = cluster + i64::from(block.timestamp);
                    found.push((block.track, time, block.keyframe, frame.data.to_vec()));
                }
            }
            MatroskaSpec::BlockGroup(Master::Full(children)) => {
                let key = !children.iter().any(|child| matches!(child, MatroskaSpec::ReferenceBlock(_)));
                for child in &children {
                    if let MatroskaSpec::Block(_) = child {
                        let block = Block::try_from(child).unwrap();
                        for frame in block.read_frame_data().unwrap() {
                            let time = cluster + i64::from(block.timestamp);
                            found.push((block.track, time, key, frame.data.to_vec()));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    found
}

#[test]
fn webm_iterable_sees_the_same_frames() {
    for path in clips() {
        let input = std::fs::read(&path).unwrap();
        let events = events(&input);
        let tracks = tracks(&events);
        let ours = frames(&events);
        let theirs = independent(&input);
        assert_eq!(ours.len(), theirs.len(), "{}", path.display());
        for (frame, (track, raw, key, data)) in ours.iter().zip(theirs) {
            assert_eq!((u64::from(frame.track), frame.key, frame.data.as_ref()), (track, key, &data[..]));
            let declared = tracks.iter().find(|track| track.number == frame.track).unwrap();
            if declared.kind() != TrackKind::Audio {
                assert_eq!(frame.pts_ticks, raw);
            }
        }
    }
}

/// Frames as samples, with decoding times from sorted presentation times.
fn samples(tracks: &[Track], frames: &[Frame]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for track in tracks {
        let own: Vec<&Frame> = frames.iter().filter(|frame| frame.track == track.number).collect();
        let mut sorted: Vec<i64> = own.iter().map(|frame| frame.pts_ticks).collect();
        sorted.sort_unstable();
        let late = own.iter().zip(&sorted).map(|(frame, dts)| dts - frame.pts_ticks).max().unwrap_or(0);
        samples.extend(own.iter().zip(&sorted).map(|(frame, dts_ticks)| Sample {
            track: frame.track,
            dts_ticks: dts_ticks - late.max(0),
            pts_ticks: frame.pts_ticks,
            duration_ticks: frame.duration_ticks,
            sync: frame.key,
            data: frame.data.clone(),
        }));
    }
    samples
}

/// `samples` muxed in one Cluster per second, as a live producer would.
fn mux(muxer: &Muxer, tracks: &[Track], samples: &[Sample]) -> Vec<u8> {
    let second = |sample: &Sample| {
        let track = tracks.iter().find(|track| track.number == sample.track).unwrap();
        sample.dts_ticks.div_euclid(i64::from(track.timescale))
    };
    let mut seconds: Vec<i64> = samples.iter().map(second).collect();
    seconds.sort_unstable();
    seconds.dedup();
    let mut out = muxer.header().to_vec();
    for wanted in seconds {
        let pieces = muxer.cluster(samples.iter().filter(|sample| second(sample) == wanted)).unwrap();
        for piece in pieces {
            out.extend_from_slice(&piece);
        }
    }
    out
}

fn per_track(frames: &[Frame], number: u32) -> Vec<&Frame> {
    frames.iter().filter(|frame| frame.track == number).collect()
}

/// What ffmpeg says while it decodes all pictures and sound of a file; it must succeed.
fn complaints(path: &Path) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-v", "warning", "-xerror", "-i"])
        .arg(path)
        .args(["-map", "0:v?", "-map", "0:a?", "-f", "null", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()
}

#[test]
fn what_is_muxed_reads_back_and_plays_without_a_word() {
    let folder = std::env::temp_dir().join(format!("kinora-mkv-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for path in clips() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let first = events(&std::fs::read(&path).unwrap());
        let (tracks, frames_in) = (tracks(&first), frames(&first));
        let muxer = Muxer::new(&tracks).lasting(MediaTime::new(3, 1).unwrap());
        let muxed = mux(&muxer, &tracks, &samples(&tracks, &frames_in));

        let again = events(&muxed);
        for (was, is) in tracks.iter().zip(super::real_test::tracks(&again)) {
            let language = if was.language.is_empty() { "und" } else { &was.language };
            let expected = Track { language: language.to_owned(), ..was.clone() };
            assert_eq!(is, expected, "{name}");
        }
        let frames_out = frames(&again);
        for track in &tracks {
            let (was, is) = (per_track(&frames_in, track.number), per_track(&frames_out, track.number));
            assert_eq!(was.len(), is.len(), "{name}: track {}", track.number);
            for (was, is) in was.iter().zip(is) {
                assert_eq!((&was.data, was.key), (&is.data, is.key), "{name}");
                let off = (was.pts_ticks - is.pts_ticks).abs() * 1000;
                let allowed = if track.kind() == TrackKind::Audio { i64::from(track.timescale) } else { 0 };
                assert!(off <= allowed, "{name}: {} became {}", was.pts_ticks, is.pts_ticks);
            }
        }
        assert_eq!(independent(&muxed).len(), frames_in.len(), "{name} by webm-iterable");

        let file = folder.join(format!("{name}.mkv"));
        std::fs::write(&file, &muxed).unwrap();
        assert_same_packets(&name, &tracks, &frames_out, &packets(&file));
        let (was, is) = (complaints(&path), complaints(&file));
        assert!(is.iter().all(|line| was.contains(line)), "{name}: {is:?}, and the original: {was:?}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Real media made by others, if this checkout has it beside it.
fn shared(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media").join(folder);
    let Ok(entries) = std::fs::read_dir(&root) else {
        eprintln!("skipped: {} is absent", root.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths
}

fn check(path: &Path) -> (Vec<Event>, Option<crate::Error>) {
    let input = std::fs::read(path).unwrap();
    let whole = read(&input, input.len());
    assert_eq!(read(&input, 1021), whole, "{} in chunks", path.display());
    whole
}

#[test]
fn bodies_that_producers_sent_are_read_to_their_end() {
    for path in shared("producer-sdk") {
        let (events, error) = check(&path);
        assert_eq!(error, None, "{}", path.display());
        assert_eq!(events.last(), Some(&Event::EndOfFragment), "{}", path.display());
        let events_text = ffprobe_sizes(&path);
        assert_eq!(frames(&events).len(), events_text, "{}", path.display());
    }
}

fn ffprobe_sizes(path: &Path) -> usize {
    let text = ffprobe(&["-show_entries", "packet=size", "-of", "csv=p=0", path.to_str().unwrap()]);
    text.lines().count()
}

#[test]
fn what_the_service_gave_back_is_read_through_its_repeated_headers() {
    for path in shared("kvs-parser") {
        let (events, error) = check(&path);
        // One of the captures was cut off within a frame.
        let cut = path.ends_with("output-get-media-equal-timecode.mkv");
        assert_eq!(error.map(|error| error.fault), cut.then_some(Fault::Truncated), "{}", path.display());
        if path.ends_with("output_get_media.mkv") {
            let headers = events.iter().filter(|event| matches!(event, Event::Tracks(_))).count();
            assert_eq!((headers, frames(&events).len()), (5, 300));
        }
    }
}

#[test]
fn webm_samples_are_read_and_malformed_ones_refused() {
    for path in shared("libwebm") {
        assert_eq!(check(&path).1, None, "{}", path.display());
    }
    for path in shared("libwebm/invalid") {
        let error = check(&path).1.expect("a malformed file is refused");
        eprintln!("{}: {error}", path.display());
    }
    for path in shared("mediamtx").iter().filter(|path| path.extension().is_some_and(|end| end == "mkv")) {
        assert_eq!(check(path).1, None, "{}", path.display());
    }
}

#[test]
fn any_prefix_of_a_real_file_is_safe() {
    let path =
        made("mkv-h264-b-aac.mkv", &[PICTURES, SOUND_44], "-c:v libx264 -preset fast -bf 3 -g 25 -c:a aac");
    let input = std::fs::read(path).unwrap();
    let whole = bytes::Bytes::from(input);
    for end in (0..whole.len()).step_by(1009).chain(0..2_000.min(whole.len())) {
        let mut demuxer = Demuxer::new();
        demuxer.push(whole.slice(..end));
        demuxer.finish();
        let error = loop {
            match demuxer.next() {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        // A file written to disk has sizes for everything, so that every cut is noticed.
        assert_eq!(error.map(|error| error.fault), Some(Fault::Truncated), "cut at {end}");
    }
}
