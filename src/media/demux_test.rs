//! Whole files through the front door, compared with what ffprobe says of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::{Codec, Shape, codec};
use kinora_test_support::{clip, ffprobe};

/// Everything that came out of one input.
#[derive(Debug, Default)]
struct Output {
    tracks: Vec<Arc<[Track]>>,
    samples: Vec<Sample>,
    dropped: Dropped,
    error: Option<Error>,
}

fn demux(bytes: &[u8], chunk_bytes: usize) -> Output {
    let mut demuxer = Demuxer::new(None);
    let mut output = Output::default();
    let mut chunks = bytes.chunks(chunk_bytes);
    loop {
        match demuxer.next() {
            Ok(Some(Event::Tracks(tracks))) => output.tracks.push(tracks),
            Ok(Some(Event::Sample(sample))) => output.samples.push(sample),
            Ok(Some(_)) => {}
            Ok(None) if demuxer.finished => break,
            Ok(None) => match chunks.next() {
                Some(chunk) => demuxer.push(Bytes::copy_from_slice(chunk)),
                None => demuxer.finish(),
            },
            Err(error) => {
                assert_eq!(demuxer.next().unwrap_err(), error, "an error stays");
                output.error = Some(error);
                break;
            }
        }
    }
    output.dropped = demuxer.dropped();
    output
}

fn demux_file(path: &Path) -> Output {
    let output = demux(&std::fs::read(path).unwrap(), 64 * 1024);
    assert_eq!(output.error, None, "{}", path.display());
    output
}

/// One line of `ffprobe -show_entries … -of compact`, by field.
fn lines(path: &Path, arguments: &[&str]) -> Vec<BTreeMap<String, String>> {
    let mut all = arguments.to_vec();
    let file = path.to_string_lossy();
    all.extend(["-of", "compact=p=0", &file]);
    let fields = |line: &str| {
        line.split('|').filter_map(|field| field.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
    };
    ffprobe(&all).lines().filter(|line| line.contains('=')).map(fields).collect()
}

const PICTURE: &str = "testsrc2=size=320x240:rate=25:duration=2";
const TONE: &str = "sine=frequency=440:sample_rate=48000:duration=2";

/// A clip of `PICTURE` (at another size, say) with the codec options.
fn picture(name: &str, source: &str, options: &str) -> std::path::PathBuf {
    let mut args = vec!["-f", "lavfi", "-i", source];
    args.extend(options.split(' '));
    clip(name, &args)
}

fn copied(name: &str, from: &Path, options: &[&str]) -> std::path::PathBuf {
    let from = from.to_string_lossy();
    let mut args = vec!["-i", &from, "-c", "copy"];
    args.extend(options);
    clip(name, &args)
}

fn number<T: std::str::FromStr + Default>(fields: &BTreeMap<String, String>, name: &str) -> T {
    fields.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Compares everything that ffprobe knows too.
fn assert_agrees_with_ffprobe(path: &Path, output: &Output) {
    let entries = "stream=index,codec_type,width,height,has_b_frames,sample_rate,channels,time_base\
                   :packet=stream_index,pts_time,flags,size";
    let (streams, packets): (Vec<_>, Vec<_>) =
        lines(path, &["-show_entries", entries]).into_iter().partition(|line| line.contains_key("index"));
    let tracks = output.tracks.last().unwrap();
    assert_eq!(tracks.len(), streams.len(), "{}", path.display());
    for (track, stream) in tracks.iter().zip(&streams) {
        let name = format!("{}, {}", path.display(), track.codec.name());
        match track.shape {
            Shape::Video { width, height } => {
                assert_eq!((width, height), (number(stream, "width"), number(stream, "height")), "{name}");
                assert_eq!(track.reorder_depth, number::<u8>(stream, "has_b_frames"), "{name}");
            }
            Shape::Audio { sample_rate, channels, .. } => {
                assert_eq!(sample_rate, number::<u32>(stream, "sample_rate"), "{name}");
                assert_eq!(channels, number::<u16>(stream, "channels"), "{name}");
            }
            Shape::Data => {}
        }
        let of_stream = |line: &&BTreeMap<String, String>| line["stream_index"] == stream["index"];
        let packets: Vec<_> = packets.iter().filter(of_stream).collect();
        let samples: Vec<&Sample> = output.samples.iter().filter(|s| s.track == track.number).collect();
        assert_eq!(samples.len(), packets.len(), "{name}");
        for (i, (sample, packet)) in samples.iter().zip(packets).enumerate() {
            let seconds = sample.pts_ticks as f64 / f64::from(track.timescale);
            let theirs: f64 = number(packet, "pts_time");
            assert!((seconds - theirs).abs() < 0.002, "{name}, sample {i}: {seconds} or {theirs}");
            assert_eq!(sample.sync, packet["flags"].starts_with('K'), "{name}, sample {i}");
            assert_eq!(sample.data.len(), number::<usize>(packet, "size"), "{name}, sample {i}");
            assert!(sample.dts_ticks <= sample.pts_ticks, "{name}, sample {i}: {sample:?}");
        }
        assert!(samples.windows(2).all(|pair| pair[0].dts_ticks < pair[1].dts_ticks), "{name}");
    }
    assert_eq!(output.dropped, Dropped::default(), "{}", path.display());
    assert_eq!(output.tracks.len(), 1, "{}: announced once", path.display());
}

/// Checks the same packets in fragments and in one piece of MP4, which must give the same track.
fn check_in_mp4(mkv: &Path, track: &Track) {
    let name = mkv.file_stem().unwrap().to_string_lossy().into_owned();
    for (layout, movie_flags) in
        [("frag", "frag_keyframe+empty_moov+default_base_moof"), ("fast", "faststart")]
    {
        let options = ["-movflags", movie_flags, "-strict", "experimental"];
        let path = copied(&format!("{name}-{layout}.mp4"), mkv, &options);
        let (again, _) = check(&path);
        assert_eq!(again.codec, track.codec, "{}", path.display());
        assert_eq!(again.shape, track.shape, "{}", path.display());
        assert_eq!(again.configuration, track.configuration, "{}", path.display());
    }
}

/// Checks a clip and gives its first track with its codec string.
fn check(path: &Path) -> (Track, Option<String>) {
    let output = demux_file(path);
    assert_agrees_with_ffprobe(path, &output);
    let track = output.tracks[0][0].clone();
    let text = codec::rfc6381(&track);
    (track, text)
}

#[test]
fn h264_in_matroska_agrees_with_ffprobe() {
    let x264 = "-c:v libx264 -g 25 -preset veryfast";
    for (name, source, options, string) in [
        ("baseline", "", "-profile:v baseline -pix_fmt yuv420p", "avc1.42C00D"),
        ("main", "", "-profile:v main -bf 2 -pix_fmt yuv420p", "avc1.4D400D"),
        ("high", "", "-profile:v high -bf 3 -b-pyramid normal -pix_fmt yuv420p", "avc1.64000D"),
        ("high10", "", "-pix_fmt yuv420p10le", "avc1.6E000D"),
        ("high422", "", "-pix_fmt yuv422p", "avc1.7A000D"),
        ("high444", "", "-pix_fmt yuv444p", "avc1.F4000D"),
        ("gray", "", "-pix_fmt gray", "avc1.64000D"),
        ("intra", "", "-pix_fmt yuv420p -g 1", "avc1.64100D"),
        (
            "interlaced",
            "testsrc2=size=320x256:rate=25:duration=1",
            "-flags +ildct+ilme -pix_fmt yuv420p",
            "avc1.640015",
        ),
        ("cropped", "testsrc2=size=1920x1080:rate=25:duration=0.2", "-pix_fmt yuv420p", "avc1.640028"),
        ("odd", "testsrc2=size=322x246:rate=30000/1001:duration=1", "-pix_fmt yuv444p", "avc1.F4000D"),
        ("open-gop", "", "-x264-params open-gop=1:keyint=12:bframes=3 -pix_fmt yuv420p", "avc1.64000D"),
    ] {
        let source = if source.is_empty() { PICTURE } else { source };
        let path = picture(&format!("codec-h264-{name}.mkv"), source, &format!("{x264} {options}"));
        let (track, text) = check(&path);
        check_in_mp4(&path, &track);
        assert_eq!(track.codec, Codec::H264, "{name}");
        assert_eq!(text.as_deref(), Some(string), "{name}");
    }
}

#[test]
fn h265_in_matroska_agrees_with_ffprobe() {
    let x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=error";
    for (name, source, options, string) in [
        ("main", PICTURE, ":bframes=4:b-adapt=0:keyint=25 -pix_fmt yuv420p", "hvc1.1.6.L60.90"),
        ("main10", PICTURE, ":keyint=25:open-gop=0 -pix_fmt yuv420p10le", "hvc1.2.4.L60.90"),
        ("main444", PICTURE, ":keyint=25 -pix_fmt yuv444p", "hvc1.4.10.L60.9E.8"),
        ("no-b", PICTURE, ":bframes=0 -pix_fmt yuv420p", "hvc1.1.6.L60.90"),
        ("cropped", "testsrc2=size=324x246:rate=25:duration=1", " -pix_fmt yuv420p", "hvc1.1.6.L60.90"),
        (
            "scaling-lists",
            PICTURE,
            ":scaling-list=default:hrd=1:vbv-bufsize=900:vbv-maxrate=900 -pix_fmt yuv420p",
            "hvc1.1.6.L60.90",
        ),
    ] {
        let path = picture(&format!("codec-h265-{name}.mkv"), source, &format!("{x265}{options}"));
        let (track, text) = check(&path);
        check_in_mp4(&path, &track);
        assert_eq!(track.codec, Codec::H265, "{name}");
        assert_eq!(text.as_deref(), Some(string), "{name}");
        let rate = codec::nominal_frame_rate(&track).map(|(n, d)| f64::from(n) / f64::from(d));
        assert_eq!(rate, Some(25.0), "{name}");
    }
}

#[test]
fn other_video_in_matroska_agrees_with_ffprobe() {
    let small = "testsrc2=size=162x122:rate=25:duration=1";
    for (name, options, codec, string) in [
        ("vp8", "-c:v libvpx -g 10 -auto-alt-ref 1 -lag-in-frames 10", Codec::Vp8, None),
        ("vp9", "-c:v libvpx-vp9 -g 10 -cpu-used 8 -deadline realtime", Codec::Vp9, Some("vp09.00.10.08")),
        (
            "vp9-altref",
            "-c:v libvpx-vp9 -g 20 -cpu-used 5 -auto-alt-ref 1 -lag-in-frames 12",
            Codec::Vp9,
            Some("vp09.00.10.08"),
        ),
        ("vp9-444", "-c:v libvpx-vp9 -g 10 -cpu-used 8 -pix_fmt yuv444p", Codec::Vp9, Some("vp09.01.10.08")),
        (
            "vp9-10",
            "-c:v libvpx-vp9 -g 10 -cpu-used 8 -pix_fmt yuv420p10le",
            Codec::Vp9,
            Some("vp09.02.10.10"),
        ),
        ("av1-aom", "-c:v libaom-av1 -cpu-used 8 -usage realtime -g 10", Codec::Av1, Some("av01.0.00M.08")),
        (
            "av1-svt",
            "-c:v libsvtav1 -preset 12 -g 10 -pix_fmt yuv420p10le",
            Codec::Av1,
            Some("av01.0.00M.10"),
        ),
    ] {
        let path = picture(&format!("codec-{name}.mkv"), small, options);
        let (track, text) = check(&path);
        if track.codec != Codec::Vp8 {
            check_in_mp4(&path, &track);
        }
        assert_eq!(track.codec, codec, "{name}");
        assert_eq!(text.as_deref(), string, "{name}");
    }
}

#[test]
fn audio_in_matroska_agrees_with_ffprobe() {
    for (name, options, codec, string) in [
        ("aac", "-c:a aac", Codec::Aac, Some("mp4a.40.2")),
        ("aac51", "-c:a aac -ac 6", Codec::Aac, Some("mp4a.40.2")),
        ("aac-16k", "-c:a aac -ar 16000 -ac 1", Codec::Aac, Some("mp4a.40.2")),
        ("opus-mono", "-c:a libopus -ac 1", Codec::Opus, Some("Opus")),
        ("opus-stereo", "-c:a libopus -ac 2", Codec::Opus, Some("Opus")),
        ("opus51", "-c:a libopus -ac 6", Codec::Opus, Some("Opus")),
        ("mp3", "-c:a libmp3lame -ac 2", Codec::Mp3, Some("mp4a.6B")),
        ("mp3-22k", "-c:a libmp3lame -ar 22050 -ac 1", Codec::Mp3, Some("mp4a.69")),
        ("alaw", "-c:a pcm_alaw -ar 8000", Codec::PcmAlaw, None),
        ("mulaw", "-c:a pcm_mulaw -ar 8000", Codec::PcmMulaw, None),
        ("s16", "-c:a pcm_s16le", Codec::PcmSigned, None),
        ("s24be", "-c:a pcm_s24be -ac 2", Codec::PcmSignedBigEndian, None),
        ("f32", "-c:a pcm_f32le", Codec::PcmFloat, None),
    ] {
        let path = picture(&format!("codec-{name}.mka"), TONE, options);
        let path = copied(&format!("codec-{name}.mkv"), &path, &[]);
        let (track, text) = check(&path);
        if matches!(codec, Codec::Aac | Codec::Opus | Codec::Mp3) {
            check_in_mp4(&path, &track);
        }
        assert_eq!(track.codec, codec, "{name}");
        assert_eq!(text.as_deref(), string, "{name}");
    }
}

/// Decoding times in microseconds behind the first.
fn relative_us(times: &[(i64, u32)]) -> Vec<i64> {
    let us = |(ticks, scale): (i64, u32)| (ticks as f64 / f64::from(scale) * 1e6).round() as i64;
    times.iter().map(|time| us(*time) - us(times[0])).collect()
}

#[test]
fn decoding_times_are_those_of_the_same_encode_in_mp4() {
    let x264 = "-c:v libx264 -pix_fmt yuv420p -preset veryfast";
    let x265 = "-c:v libx265 -pix_fmt yuv420p -preset ultrafast -x265-params log-level=error";
    for (name, options) in [
        ("b0", format!("{x264} -bf 0")),
        ("b1", format!("{x264} -bf 1 -g 20")),
        ("b2", format!("{x264} -bf 2 -g 20")),
        ("b3-pyramid", format!("{x264} -bf 3 -b-pyramid normal -b_strategy 0 -g 20")),
        ("b4-strict", format!("{x264} -bf 4 -b-pyramid strict -b_strategy 0 -g 20")),
        ("b16", format!("{x264} -bf 16 -b-pyramid normal -b_strategy 0 -g 40")),
        ("open", format!("{x264} -x264-params open-gop=1:keyint=12:bframes=3:b-adapt=0")),
        ("x265-b4", format!("{x265}:bframes=4:b-adapt=0:keyint=20")),
        ("x265-b8", format!("{x265}:bframes=8:rc-lookahead=20:b-adapt=0:b-pyramid=1:keyint=20:open-gop=1")),
        ("ntsc", format!("{x264} -bf 2 -r 30000/1001")),
        ("vfr", format!("{x264} -bf 2 -vf select='not(eq(mod(n\\,7)\\,3))' -vsync vfr")),
    ] {
        let mp4 = picture(&format!("codec-dts-{name}.mp4"), PICTURE, &options);
        let mkv = copied(&format!("codec-dts-{name}.mkv"), &mp4, &[]);
        let output = demux_file(&mkv);
        let scale = output.tracks[0][0].timescale;
        let ours: Vec<(i64, u32)> = output.samples.iter().map(|s| (s.dts_ticks, scale)).collect();
        let packets = lines(&mp4, &["-show_entries", "packet=dts_time"]);
        let theirs: Vec<(i64, u32)> = packets
            .iter()
            .map(|p| ((number::<f64>(p, "dts_time") * 1e6).round() as i64, 1_000_000))
            .collect();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let worst = relative_us(&ours).iter().zip(relative_us(&theirs)).map(|(a, b)| (a - b).abs()).max();
        // Two times and two frame durations rounded to milliseconds. With a variable rate the first frames
        // of all are extrapolated at the nominal rate, which is no more than a frame off.
        let tolerance = if name == "vfr" { 41_000 } else { 2_000 };
        assert!(worst.unwrap() <= tolerance, "{name}: {worst:?}");
    }
}

#[path = "demux_behaviour_test.rs"]
mod behaviour;

#[path = "demux_shared_test.rs"]
mod shared;
