//! Every combination of codecs: what players are told about it, and that they decode all of it.

use std::path::{Path, PathBuf};

use super::bench::{Bench, decoded, made, packets, probed};

/// A picture in motion for three seconds, 25 pictures a second.
const PICTURE: &str = "-f lavfi -i testsrc2=size=192x108:rate=25:duration=3";
const SOUND: &str = "-f lavfi -i sine=frequency=440:sample_rate=48000:duration=3";

pub(crate) fn h264_aac() -> PathBuf {
    made(
        "playback-h264-aac.mkv",
        &format!(
            "{PICTURE} {SOUND} -c:v libx264 -preset veryfast -bf 2 -g 25 -keyint_min 25 -sc_threshold 0 \
             -pix_fmt yuv420p -c:a aac -ac 2 -metadata:s:a:0 language=deu"
        ),
    )
}

fn hevc_opus() -> PathBuf {
    made(
        "playback-hevc-opus.mkv",
        &format!(
            "{PICTURE} {SOUND} -c:v libx265 -preset ultrafast -x265-params \
             keyint=25:min-keyint=25:scenecut=0:open-gop=0:bframes=3:log-level=error -pix_fmt yuv420p -c:a libopus"
        ),
    )
}

fn vp9_opus() -> PathBuf {
    made(
        "playback-vp9-opus.webm",
        &format!("{PICTURE} {SOUND} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -c:a libopus"),
    )
}

fn av1_mp3() -> PathBuf {
    made(
        "playback-av1-mp3.mkv",
        &format!(
            "{PICTURE} {SOUND} -c:v libaom-av1 -cpu-used 8 -usage realtime -g 25 -keyint_min 25 -c:a libmp3lame"
        ),
    )
}

fn h264_alaw() -> PathBuf {
    made(
        "playback-h264-alaw.mkv",
        &format!("-i {} -map 0 -c:v copy -c:a pcm_alaw -ar 8000 -ac 1", h264_aac().display()),
    )
}

fn vp8_mulaw() -> PathBuf {
    made(
        "playback-vp8-mulaw.mkv",
        &format!(
            "{PICTURE} {SOUND} -c:v libvpx -deadline realtime -cpu-used 8 -g 25 -c:a pcm_mulaw -ar 8000 -ac 1"
        ),
    )
}

fn only(what: &str) -> PathBuf {
    let file = h264_aac();
    made(&format!("playback-only-{what}.mkv"), &format!("-i {} -map 0:{what} -c copy", file.display()))
}

/// Checks everything about a clip that HLS can carry, in one pass.
fn plays(bench: &Bench, stream: &str, file: &Path, codecs: &[&str]) {
    let source = file.to_string_lossy();
    bench.push(stream, "?start=2026-03-01T12:00:00Z", file);
    let query = "?start=2026-03-01T11:00:00Z&end=2026-03-01T13:00:00Z";
    let url = bench.url(&format!("/v1/streams/{stream}/hls/index.m3u8{query}"));
    let (has_video, has_audio) =
        (!probed(&source, "v", "codec_name").is_empty(), !probed(&source, "a", "codec_name").is_empty());
    let master = bench.multivariant(stream, query);
    let variant = &master.variants[0];
    assert_eq!((master.variants.len(), master.audio.len()), (1, usize::from(has_video && has_audio)));

    // What the player is told, against what ffprobe finds in the source.
    let named: Vec<&str> = variant.attributes["CODECS"].split(',').collect();
    assert_eq!(named.len(), codecs.len(), "{stream}: {named:?}");
    for (name, expected) in named.iter().zip(codecs) {
        let level: u32 = probed(&source, "v", "level").parse().unwrap_or(0);
        let expected =
            expected.replace("{level:x}", &format!("{level:02x}")).replace("{level}", &format!("{level:02}"));
        let alike = name.get(..expected.len()).is_some_and(|start| start.eq_ignore_ascii_case(&expected));
        assert!(alike, "{stream}: {name}, not {expected}");
    }
    if has_video {
        let resolution = probed(&source, "v", "width,height").replace(',', "x");
        assert_eq!(variant.attributes["RESOLUTION"], resolution, "{stream}");
        let rate: f64 = variant.attributes["FRAME-RATE"].parse().unwrap();
        assert!((rate - 25.0).abs() < 0.01, "{stream}: {rate}");
    }
    if has_video && has_audio {
        let (audio, channels) = (&master.audio[0], probed(&source, "a", "channels"));
        assert_eq!((&audio["CHANNELS"], &variant.attributes["AUDIO"]), (&channels, &"audio".to_owned()));
        assert_eq!((audio["DEFAULT"].as_str(), audio["AUTOSELECT"].as_str()), ("YES", "YES"));
    }
    bandwidth_is_true(bench, stream, query);

    // Every packet and every frame comes out as it went in.
    for (map, wanted) in [("0:v", has_video), ("0:a", has_audio)] {
        if !wanted {
            continue;
        }
        assert_eq!(packets(&url, &[map]), packets(&source, &[map]), "{stream} {map}: packets over HLS");
    }
    if has_video {
        let frames = decoded(&source, &["0:v"]);
        assert_eq!(frames.len(), 75, "{stream}");
        assert_eq!(decoded(&url, &["0:v"]), frames, "{stream}: frames over HLS");
        fragments_decode_alone(bench, stream, &frames, &["mp4", "mkv"]);
    } else {
        assert!(!decoded(&url, &["0:a"]).is_empty());
    }
}

#[test]
fn pictures_that_are_all_key_frames_have_a_rate() {
    let bench = Bench::new();
    let file = made(
        "playback-all-key-frames.mkv",
        "-f lavfi -i testsrc2=size=192x108:rate=10:duration=1 -c:v libx264 -preset veryfast -g 1 -pix_fmt yuv420p",
    );
    bench.push("cam", "", &file);
    assert_eq!(bench.fragments("cam").len(), 10, "one picture each");
    assert_eq!(bench.multivariant("cam", "").variants[0].attributes["FRAME-RATE"], "10.000");
    assert_eq!(bench.json("/v1/streams/cam")["tracks"][0]["frame_rate"], 10.0);
}

/// BANDWIDTH is no less than the largest sum of the renditions' segments (RFC 8216, section
/// 4.3.4.2), and not much more.
fn bandwidth_is_true(bench: &Bench, stream: &str, query: &str) {
    let master = bench.multivariant(stream, query);
    let variant = &master.variants[0];
    let uris = [&variant.uri].into_iter().chain(master.audio.iter().map(|audio| &audio["URI"]));
    let renditions: Vec<&str> = uris.map(|uri| uri.split('/').next().unwrap()).collect();
    let (mut peak, mut bits, mut seconds) = (0.0_f64, 0.0, 0.0);
    let playlists: Vec<_> =
        renditions.iter().map(|rendition| bench.media(stream, rendition, query)).collect();
    for (place, segment) in playlists[0].segments.iter().enumerate() {
        let sizes = renditions.iter().zip(&playlists).map(|(rendition, playlist)| {
            let uri = &playlist.segments[place].uri;
            bench.fetch(&format!("/v1/streams/{stream}/hls/{rendition}/{uri}")).len() as f64 * 8.0
        });
        let sum: f64 = sizes.sum();
        peak = peak.max(sum / segment.duration_s);
        (bits, seconds) = (bits + sum, seconds + segment.duration_s);
    }
    let told: f64 = variant.attributes["BANDWIDTH"].parse().unwrap();
    assert!(told >= peak && told <= peak * 1.1 + 16_000.0, "{stream}: {told} told, {peak} measured");
    let told: f64 = variant.attributes["AVERAGE-BANDWIDTH"].parse().unwrap();
    let mean = bits / seconds;
    assert!((told - mean).abs() <= mean * 0.1 + 16_000.0, "{stream}: {told} told, {mean} measured");
}

/// Each fragment is a file that plays by itself, and together they are everything.
fn fragments_decode_alone(bench: &Bench, stream: &str, frames: &[String], formats: &[&str]) {
    let fragments = bench.fragments(stream);
    assert_eq!(fragments.len(), 3, "{stream}: {fragments:?}");
    for format in formats {
        let mut together = Vec::new();
        for fragment in &fragments {
            let number = &fragment["number"];
            let bytes = bench.fetch(&format!("/v1/streams/{stream}/fragments/{number}.{format}"));
            let file = bench.file(&format!("{stream}-{number}.{format}"), &bytes);
            together.extend(decoded(&file.to_string_lossy(), &["0:v"]));
        }
        assert_eq!(together, frames, "{stream}: fragments as .{format}");
    }
}

#[test]
fn h264_with_b_frames_and_aac() {
    let bench = Bench::new();
    plays(&bench, "cam", &h264_aac(), &["avc1.6400{level:x}", "mp4a.40.2"]);
    assert_eq!(bench.multivariant("cam", "").audio[0]["LANGUAGE"], "deu");
}

#[test]
fn hevc_with_opus() {
    plays(&Bench::new(), "cam", &hevc_opus(), &["hvc1.1.6.L{level}.", "opus"]);
}

#[test]
fn vp9_with_opus() {
    plays(&Bench::new(), "cam", &vp9_opus(), &["vp09.00.", "opus"]);
}

#[test]
fn av1_with_mp3() {
    plays(&Bench::new(), "cam", &av1_mp3(), &["av01.0.{level}M.08", "mp4a."]);
}

#[test]
fn pictures_alone_and_sound_alone() {
    let bench = Bench::new();
    plays(&bench, "pictures", &only("v"), &["avc1.6400{level:x}"]);
    plays(&bench, "sound", &only("a"), &["mp4a.40.2"]);
}

#[test]
fn what_hls_cannot_carry_is_left_out_and_named() {
    let bench = Bench::new();
    let file = h264_alaw();
    bench.push("some", "?start=0", &file);
    let source = file.to_string_lossy();
    let url = bench.url("/v1/streams/some/hls/index.m3u8?start=0&end=60000");
    let master = bench.multivariant("some", "?start=0&end=60000");
    assert!(master.audio.is_empty() && !master.variants[0].attributes["CODECS"].contains(','));
    assert_eq!(decoded(&url, &["0:v"]), decoded(&source, &["0:v"]));
    let info = bench.json("/v1/streams/some");
    let tracks = info["tracks"].as_array().unwrap();
    assert_eq!(
        (&tracks[0]["hls"], &tracks[0]["hls_note"]),
        (&true.into(), &serde_json::Value::Null),
        "{info}"
    );
    assert_eq!(tracks[1]["hls"], false, "{info}");
    assert!(tracks[1]["hls_note"].as_str().unwrap().contains("G.711 A-law"), "{info}");

    let file = vp8_mulaw();
    bench.push("none", "?start=0", &file);
    let source = file.to_string_lossy();
    let info = bench.json("/v1/streams/none");
    for (track, codec) in info["tracks"].as_array().unwrap().iter().zip(["VP8", "G.711 mu-law"]) {
        assert_eq!((&track["hls"], &track["codec"]), (&false.into(), &codec.into()), "{info}");
        assert!(track["hls_note"].as_str().unwrap().contains(codec), "{info}");
    }
    let refused = bench.get("/v1/streams/none/hls/index.m3u8");
    assert!(refused.status == 415 && refused.text().contains("nothing_to_play"), "{}", refused.text());
    // Matroska carries it all, sound included.
    fragments_decode_alone(&bench, "none", &decoded(&source, &["0:v"]), &["mkv"]);
    let mut sound = Vec::new();
    for number in 1..=3 {
        let file = bench.folder.path().join(format!("none-{number}.mkv"));
        sound.extend(packets(&file.to_string_lossy(), &["0:a"]));
    }
    assert_eq!(sound, packets(&source, &["0:a"]));
}
