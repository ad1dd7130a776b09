//! What we write: read back by our own demuxer, and by ffmpeg without a complaint.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use kinora_test_support::{clip, ffprobe};

use super::{Demuxer, Muxer, RunSample, carries, init};
use crate::container::{Event, Frame};
use crate::elementary::Elementary;
use crate::{Track, TrackKind};

/// The tracks of a file in canonical form, and its frames.
fn read(path: &Path) -> (Vec<Track>, Vec<Frame>) {
    let mut demuxer = Demuxer::new();
    demuxer.push(std::fs::read(path).unwrap().into());
    demuxer.finish();
    let (mut tracks, mut frames) = (Vec::new(), Vec::new());
    while let Some(event) = demuxer.next().unwrap() {
        match event {
            Event::Tracks(declared) => {
                tracks = declared
                    .into_iter()
                    // Of MP3 the first frame tells more.
                    .map(|d| {
                        let declared = d.track.clone();
                        Elementary::new(d).unwrap().track().cloned().unwrap_or(declared)
                    })
                    .collect();
            }
            Event::Frame(frame) => frames.push(frame),
            _ => {}
        }
    }
    (tracks, frames)
}

/// Two fragments, each of parts in which the tracks follow one another, as fragments are stored.
fn write(tracks: &[Track], frames: &[Frame]) -> Bytes {
    const PART_FRAMES: usize = 10;
    assert!(tracks.iter().all(|track| carries(&track.codec)));
    let mut out = init(tracks).unwrap().to_vec();
    let of = |track: &Track| frames.iter().filter(|f| f.track == track.number).collect::<Vec<_>>();
    let all: Vec<Vec<&Frame>> = tracks.iter().map(of).collect();
    let longest = all.iter().map(Vec::len).max().unwrap();
    // Times before 0 cannot be written: move all tracks by a whole number of seconds.
    let shift = i64::from(all.iter().any(|frames| frames[0].dts_ticks.unwrap() < 0));
    let middle = longest / 2 / PART_FRAMES * PART_FRAMES;
    for (sequence, (from, to)) in [(0, middle), (middle, longest)].into_iter().enumerate() {
        let mut muxer = Muxer::new(u32::try_from(sequence).unwrap()).with_segment_type();
        let mut data = Vec::new();
        for start in (from..to).step_by(PART_FRAMES) {
            for (track, frames) in tracks.iter().zip(&all) {
                let end = frames.len().min(to.min(start + PART_FRAMES));
                let run = frames.get(start..end).unwrap_or_default();
                let Some(first) = run.first() else { continue };
                let base = first.dts_ticks.unwrap() + shift * i64::from(track.timescale);
                let next = |place: usize| frames.get(start + place + 1).map(|next| next.dts_ticks.unwrap());
                muxer
                    .run(
                        track.number,
                        base,
                        run.iter().enumerate().map(|(place, frame)| {
                            let dts = frame.dts_ticks.unwrap();
                            let duration =
                                next(place).map_or(i64::from(frame.duration_ticks), |next| next - dts);
                            RunSample {
                                duration_ticks: u32::try_from(duration).unwrap(),
                                size_bytes: u32::try_from(frame.data.len()).unwrap(),
                                sync: frame.key,
                                composition_offset_ticks: i32::try_from(frame.pts_ticks - dts).unwrap(),
                            }
                        }),
                    )
                    .unwrap();
                run.iter().for_each(|frame| data.extend_from_slice(&frame.data));
            }
        }
        assert_eq!(muxer.data_bytes(), data.len() as u64);
        out.extend_from_slice(&muxer.finish().unwrap());
        out.extend_from_slice(&data);
    }
    out.into()
}

/// What ffmpeg says when it decodes everything in `path`.
fn complaints(path: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-v", "warning", "-i"])
        .arg(path)
        .args(["-map", "0", "-f", "null", "-"])
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The hash of each packet of one stream.
fn packets(path: &Path, stream: usize) -> Vec<String> {
    let path = path.to_string_lossy();
    let stream = stream.to_string();
    let entries = "packet=data_hash";
    let args =
        ["-show_packets", "-show_data_hash", "CRC32", "-select_streams", &stream, "-show_entries", entries];
    let text = ffprobe(&[&args[..], &["-of", "default=nk=1:nw=1", &path]].concat());
    // ffprobe mixes in how many sound samples to skip.
    text.lines().filter(|line| line.starts_with("CRC32")).map(str::to_owned).collect()
}

fn assert_round_trip(name: &str, source: &Path) {
    let (tracks, frames) = read(source);
    let written = write(&tracks, &frames);
    let path: PathBuf =
        std::env::temp_dir().join(format!("kinora-round-trip-{}-{name}.mp4", std::process::id()));
    std::fs::write(&path, &written).unwrap();
    let (tracks_again, mut frames_again) = read(&path);
    let shifts: Vec<i64> = tracks
        .iter()
        .map(|track| {
            let first = |frames: &[Frame]| {
                frames.iter().find(|f| f.track == track.number).unwrap().dts_ticks.unwrap()
            };
            first(&frames_again) - first(&frames)
        })
        .collect();
    for (before, again) in tracks.iter().zip(&tracks_again) {
        let expected = Track { default_duration_ticks: again.default_duration_ticks, ..before.clone() };
        assert_eq!(&expected, again, "{name}");
    }
    for (track, shift) in tracks.iter().zip(shifts) {
        let of = |frames: &[Frame], shift: i64| -> Vec<_> {
            let frames = frames.iter().filter(|f| f.track == track.number);
            frames
                .map(|f| (f.pts_ticks - shift, f.dts_ticks.unwrap() - shift, f.key, f.data.clone()))
                .collect()
        };
        assert!(of(&frames, 0) == of(&frames_again, shift), "{name}: track {}", track.number);
    }
    frames_again.clear();
    let complaints = complaints(&path);
    assert!(complaints.is_empty(), "{name}: {complaints}");
    for stream in 0..tracks.len() {
        assert_eq!(packets(&path, stream), packets(source, stream), "{name}: stream {stream}");
    }
    std::fs::remove_file(&path).unwrap();
}

const PICTURE: &[&str] = &["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=2"];
const SOUND: &[&str] = &["-f", "lavfi", "-i", "sine=frequency=330:duration=2:sample_rate=48000"];

#[test]
fn what_we_write_is_what_we_read_and_ffmpeg_decodes_it_silently() {
    for (name, args) in [
        ("h264-aac", [PICTURE, SOUND, &["-c:v", "libx264", "-g", "25", "-bf", "2", "-c:a", "aac"]].concat()),
        (
            "hevc",
            [PICTURE, &["-c:v", "libx265", "-x265-params", "log-level=none:pools=1", "-tag:v", "hvc1"]]
                .concat(),
        ),
        (
            "vp9-opus",
            [
                PICTURE,
                SOUND,
                &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"],
            ]
            .concat(),
        ),
        ("av1", [PICTURE, &["-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime"]].concat()),
        ("mp3", [SOUND, &["-c:a", "libmp3lame"]].concat()),
        ("mp3-low", [SOUND, &["-c:a", "libmp3lame", "-ar", "22050"]].concat()),
        (
            "two-sounds",
            [
                PICTURE,
                SOUND,
                &[
                    "-c:v",
                    "libx264",
                    "-c:a",
                    "aac",
                    "-map",
                    "0",
                    "-map",
                    "1",
                    "-map",
                    "1",
                    "-metadata:s:a:0",
                    "language=deu",
                ],
            ]
            .concat(),
        ),
    ] {
        let source =
            clip(&format!("fmp4-back-{name}.mp4"), &[&args[..], &["-movflags", "faststart"]].concat());
        assert_round_trip(name, &source);
    }
}

/// ffmpeg cuts PCM into packets of its own, so only the bytes and the format are compared.
#[test]
fn pcm_we_write_is_read_by_ffmpeg_as_the_same_sound() {
    for codec in [
        "pcm_s16le",
        "pcm_s16be",
        "pcm_s24le",
        "pcm_s24be",
        "pcm_s32le",
        "pcm_f32le",
        "pcm_f64le",
        "pcm_alaw",
        "pcm_mulaw",
    ] {
        let source = clip(
            &format!("fmp4-back-{codec}.mov"),
            &[SOUND, &["-c:a", codec, "-ac", "2", "-movflags", "faststart"]].concat(),
        );
        let (tracks, frames) = read(&source);
        assert_eq!(tracks[0].kind(), TrackKind::Audio);
        let path = std::env::temp_dir().join(format!("kinora-pcm-{}-{codec}.mp4", std::process::id()));
        std::fs::write(&path, write(&tracks, &frames)).unwrap();
        let path_text = path.to_string_lossy();
        let format = "stream=codec_name,sample_rate,channels";
        let probe = |path: &str| ffprobe(&["-show_entries", format, "-of", "csv=p=0", path]);
        assert_eq!(probe(&path_text), probe(&source.to_string_lossy()), "{codec}");
        let raw = |path: &str| {
            let output = Command::new("ffmpeg")
                .args(["-nostdin", "-v", "error", "-i", path, "-c", "copy", "-f", "data", "-map", "0", "-"])
                .output()
                .unwrap();
            assert!(output.stderr.is_empty(), "{codec}: {}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        assert!(raw(&path_text) == raw(&source.to_string_lossy()), "{codec}");
        std::fs::remove_file(&path).unwrap();
    }
}
