//! Every command line that the README shows, run as it is printed: only addresses, files and the
//! names of streams differ.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kinora_test_support::ffprobe;
use serde_json::Value;

use super::bench::{
    Bench, CLIP_SECONDS, PATIENCE, ack, five_seconds, five_seconds_of_a_camera, root, start, succeed,
};
use super::camera::Camera;

const SERVE: &str = "kinora serve";
const SERVE_TLS: &str =
    "kinora serve --listen 0.0.0.0:8080 --token SECRET --tls-cert cert.pem --tls-key key.pem";
const MATROSKA: &str =
    "ffmpeg -re -i FILE -c copy -f matroska -method POST http://127.0.0.1:8080/v1/streams/cam1/media";
const MP4: &str = "ffmpeg -re -i FILE -c copy -f mp4 -movflags frag_keyframe+empty_moov+default_base_moof \
    -method POST http://127.0.0.1:8080/v1/streams/cam2/media";
const CURL: &str = "curl -N -T FILE.mkv -X POST -H 'Content-Type: video/x-matroska' \
    http://127.0.0.1:8080/v1/streams/cam3/media";
const PUSH: &str = "kinora push FILE --stream cam4";
const PUSH_REALTIME: &str = "kinora push FILE --stream cam4 --realtime --start 2026-03-01T12:00:00Z";
const WEBCAM: &str = "ffmpeg -f v4l2 -i /dev/video0 -c:v libx264 -preset veryfast -tune zerolatency \
    -pix_fmt yuv420p -force_key_frames 'expr:gte(t,n_forced)' -f matroska \
    -method POST http://127.0.0.1:8080/v1/streams/webcam/media";
const RTSP: &str = "ffmpeg -rtsp_transport tcp -i rtsp://CAMERA/stream -c copy -f matroska \
    -method POST http://127.0.0.1:8080/v1/streams/door/media";
const PYTHON: &str = "samples/push.py FILE --stream cam5";
const PROBE_LIVE: &str = "ffprobe http://127.0.0.1:8080/v1/streams/cam1/hls/index.m3u8";
const PLAY_LIVE: &str = "ffplay http://127.0.0.1:8080/v1/streams/cam1/hls/index.m3u8";
const PLAY_RANGE: &str = "ffplay 'http://127.0.0.1:8080/v1/streams/cam1/hls/index.m3u8\
    ?start=2026-03-01T12:00:00Z&end=2026-03-01T12:10:00Z'";
const FRAGMENTS: &str =
    "curl 'http://127.0.0.1:8080/v1/streams/cam1/fragments?start=2026-03-01T12:00:00Z&limit=100'";
const FRAGMENT_MP4: &str = "curl -O http://127.0.0.1:8080/v1/streams/cam1/fragments/1.mp4";
const FRAGMENT_MKV: &str = "curl -O http://127.0.0.1:8080/v1/streams/cam1/fragments/1.mkv";
const RANGE: &str = "samples/list_range.py --stream cam1 --start 2026-03-01T12:00:00Z --save clips";
const VERIFY: &str = "kinora verify --data-dir data";
const REBUILD: &str = "kinora rebuild-index --data-dir data";
const KEY: &str = "kinora key generate --out kinora.key";
const SERVE_ENCRYPTED: &str = "kinora serve --encryption-key-file kinora.key";

/// The lines that the tests below run.
const HERE: [&str; 21] = [
    SERVE,
    SERVE_TLS,
    MATROSKA,
    MP4,
    CURL,
    PUSH,
    PUSH_REALTIME,
    WEBCAM,
    RTSP,
    PYTHON,
    PROBE_LIVE,
    PLAY_LIVE,
    PLAY_RANGE,
    FRAGMENTS,
    FRAGMENT_MP4,
    FRAGMENT_MKV,
    RANGE,
    VERIFY,
    REBUILD,
    KEY,
    SERVE_ENCRYPTED,
];
/// The lines that something else runs.
const ELSEWHERE: [(&str, &str); 4] = [
    ("make demo", "demo.rs"),
    ("make test", "what runs this"),
    ("make build", "compiles what these tests run, optimized"),
    ("alias kinora=$PWD/target/release/kinora", "here a link to the binary under test"),
];

#[test]
fn every_line_of_the_readme_is_run_and_none_that_it_does_not_print() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let printed: BTreeSet<&str> =
        blocks.flat_map(str::lines).map(|line| line.split("  #").next().unwrap_or(line).trim()).collect();
    let known: BTreeSet<&str> = HERE.into_iter().chain(ELSEWHERE.map(|(line, _)| line)).collect();
    let untested: Vec<_> = printed.difference(&known).filter(|line| !line.is_empty()).collect();
    assert!(untested.is_empty(), "the README prints lines that no test runs: {untested:#?}");
    let unprinted: Vec<_> = known.difference(&printed).collect();
    assert!(unprinted.is_empty(), "the README does not print what is tested: {unprinted:#?}");
}

#[test]
fn the_ffmpeg_lines_work_as_printed() {
    let bench = Bench::new();
    succeed(&mut bench.line(MATROSKA, &five_seconds()));
    bench.expect_fragments("cam1", CLIP_SECONDS);
    succeed(&mut bench.line(MP4, &five_seconds()));
    bench.expect_fragments("cam2", CLIP_SECONDS);
}

#[test]
fn the_webcam_line_makes_what_browsers_play_of_any_webcam() {
    let bench = Bench::new();
    // Webcams give 4:2:2, which browsers do not play.
    let source = "-f lavfi -i testsrc2=size=320x180:rate=10:duration=3,format=yuyv422";
    let line = WEBCAM.replace("-f v4l2 -i /dev/video0", source);
    succeed(&mut bench.line(&line, Path::new("")));
    bench.expect_fragments("webcam", 3);
    let info = bench.json("/v1/streams/webcam");
    let codec = info["tracks"][0]["codec_string"].as_str().expect("a codec string");
    // Profile High 4:2:2 is avc1.7a.
    assert!(codec.starts_with("avc1.64") || codec.starts_with("avc1.4"), "{codec}");
}

#[test]
fn the_rtsp_line_works_as_printed() {
    let bench = Bench::new();
    let camera = Camera::showing(five_seconds_of_a_camera());
    let line = RTSP.replace("CAMERA", &camera.address.to_string());
    succeed(&mut bench.line(&line, Path::new("")));
    camera.finish();
    bench.expect_fragments("door", CLIP_SECONDS);
    bench.expect_codecs("door", &["H.264", "AAC"]);
}

#[test]
fn the_python_lines_work_as_printed() {
    let bench = Bench::new();
    succeed(&mut bench.line(PYTHON, &five_seconds()));
    bench.expect_fragments("cam5", CLIP_SECONDS);
    let folder = bench.folder.path().join("clips");
    // What was pushed just now is later than the time that the line names.
    let range = RANGE.replace("cam1", "cam5").replace("--save clips", "--save");
    let printed = succeed(&mut bench.line(&format!("{range} {}", folder.display()), Path::new("")));
    assert_eq!(String::from_utf8_lossy(&printed.stdout).lines().count(), CLIP_SECONDS + 1);
}

#[test]
fn curl_prints_each_ack_while_it_uploads() {
    let bench = Bench::new();
    // The line as printed, slowed down to about the clip's own pace.
    let slowly = format!("{CURL} --limit-rate 50k");
    let (mut curl, mut lines) = start(&mut bench.line(&slowly, &five_seconds()));
    assert_eq!(ack(&mut lines, "persisted")["fragment"], 1);
    assert!(curl.try_wait().expect("its state").is_none(), "the upload was over before the first ack");
    assert_eq!(lines.filter(|line| line.contains(r#""event":"persisted""#)).count(), CLIP_SECONDS - 1);
    assert!(curl.wait().expect("its end").success());
    // And exactly as printed.
    let output = succeed(&mut bench.line(&CURL.replace("cam3", "cam3b"), &five_seconds()));
    let acks = String::from_utf8_lossy(&output.stdout).matches(r#""event":"persisted""#).count();
    assert_eq!(acks, CLIP_SECONDS);
}

#[test]
fn what_was_pushed_is_listed_fetched_and_played() {
    let bench = Bench::new();
    let again = |line: &str| line.replace("cam1", "cam4");
    // The second line names the times that the other lines ask for.
    succeed(&mut bench.line(PUSH_REALTIME, &five_seconds()));
    bench.expect_fragments("cam4", CLIP_SECONDS);
    succeed(&mut bench.line(&again(PROBE_LIVE), Path::new("")));
    let listed = succeed(&mut bench.line(&again(FRAGMENTS), Path::new("")));
    assert_eq!(String::from_utf8_lossy(&listed.stdout).matches(r#""number":"#).count(), CLIP_SECONDS);
    for (line, name) in [(FRAGMENT_MP4, "1.mp4"), (FRAGMENT_MKV, "1.mkv")] {
        succeed(bench.line(&again(line), Path::new("")).current_dir(bench.folder.path()));
        let fetched = bench.folder.path().join(name);
        let fetched = fetched.to_string_lossy();
        let streams = ffprobe(&["-show_entries", "stream=codec_name", "-of", "csv=p=0", &fetched]);
        assert_eq!(streams.split_whitespace().collect::<Vec<_>>(), ["h264", "aac"], "{name}");
    }
    for line in [PLAY_LIVE, PLAY_RANGE] {
        expect_playing(&mut bench.line(&again(line), Path::new("")));
    }
    succeed(&mut bench.line(&PUSH.replace("cam4", "cam4b"), &five_seconds()));
    bench.expect_fragments("cam4b", CLIP_SECONDS);
}

/// Runs a line of ffplay until its clock has gone on for a second, then ends it as a user would.
fn expect_playing(line: &mut Command) {
    // No screen and no loudspeaker, everything else as usual.
    line.envs([("SDL_VIDEODRIVER", "dummy"), ("SDL_AUDIODRIVER", "dummy")]);
    let mut ffplay = line.stdout(Stdio::null()).spawn().unwrap_or_else(|e| panic!("{line:?}: {e}"));
    let mut status = ffplay.stderr.take().expect("a pipe");
    let (mut said, mut first, mut played) = (Vec::new(), None, 0.0);
    while played < 1.0 {
        let mut some = [0; 1024];
        let count = status.read(&mut some).expect("ffplay speaks");
        said.extend_from_slice(&some[..count]);
        let text = String::from_utf8_lossy(&said);
        assert!(count > 0, "ffplay ended after {played} s:\n{text}");
        // "  11.52 A-V: -0.003 fd=   0 …", written over and over itself.
        let clock = text.rsplit('\r').find_map(|line| line.split_once(" A-V:")?.0.trim().parse::<f64>().ok());
        if let Some(clock) = clock {
            played = clock - *first.get_or_insert(clock);
        }
    }
    ffplay.kill().expect("it runs");
    ffplay.wait().expect("its end");
}

#[test]
fn the_servers_own_lines_work_as_printed() {
    let bench = Bench::new();
    let folder = &scratch(&bench);
    // On another port than the usual one.
    let mut serve = bench.line(SERVE, Path::new(""));
    let (mut server, mut lines) = start(serve.current_dir(folder).env("KINORA_LISTEN", "127.0.0.1:0"));
    let url = listening(&mut lines);
    let push = bench.line(PUSH, &five_seconds()).env("KINORA_SERVER", &url).status();
    assert!(push.is_ok_and(|status| status.success()));
    end(&mut server);
    for line in [VERIFY, REBUILD, VERIFY] {
        succeed(bench.line(line, Path::new("")).current_dir(folder));
    }
}

#[test]
fn the_lines_that_encrypt_work_as_printed() {
    let bench = Bench::new();
    let folder = &scratch(&bench);
    succeed(bench.line(KEY, Path::new("")).current_dir(folder));
    let mut serve = bench.line(SERVE_ENCRYPTED, Path::new(""));
    let (mut server, mut lines) = start(serve.current_dir(folder).env("KINORA_LISTEN", "127.0.0.1:0"));
    let url = listening(&mut lines);
    let push = bench.line(PUSH, &five_seconds()).env("KINORA_SERVER", &url).status();
    assert!(push.is_ok_and(|status| status.success()));
    end(&mut server);
}

#[test]
fn the_line_that_lets_others_in_works_as_printed() {
    let bench = Bench::new();
    let folder = &scratch(&bench);
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]);
    succeed(openssl.current_dir(folder).stderr(Stdio::piped()));
    // On loopback here, so that a test listens to nobody else.
    let mut serve = bench.line(&SERVE_TLS.replace("0.0.0.0:8080", "127.0.0.1:0"), Path::new(""));
    let (mut server, mut lines) = start(serve.current_dir(folder));
    let url = format!("{}/v1/streams", listening(&mut lines));
    let ask = |header: &str| {
        let mut curl = bench.command("curl");
        curl.current_dir(folder).args(["-s", "--cacert", "cert.pem", "-H", header, &url]);
        serde_json::from_slice::<Value>(&succeed(&mut curl).stdout).expect("JSON")
    };
    assert_eq!(ask("Accept: */*")["error"]["code"], "unauthorized");
    assert_eq!(ask("Authorization: Bearer SECRET")["streams"], Value::Array(Vec::new()));
    end(&mut server);
}

/// A folder where nothing is yet, as a new user's.
fn scratch(bench: &Bench) -> PathBuf {
    let folder = bench.folder.path().join("scratch");
    std::fs::create_dir(&folder).expect("a folder");
    folder
}

/// The address in the line that a server prints when it is ready.
fn listening(lines: &mut impl Iterator<Item = String>) -> String {
    let line = lines.find(|line| line.contains("listening on ")).expect("a line that says where");
    line.split("listening on ").last().unwrap_or_default().trim().to_owned()
}

/// Ends a server as Ctrl-C does, and expects it to end well.
fn end(server: &mut std::process::Child) {
    let asked = Command::new("kill").args(["-INT", &server.id().to_string()]).status();
    assert!(asked.is_ok_and(|status| status.success()));
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(status) = server.try_wait().expect("its state") {
            assert!(status.success(), "{status}");
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the server still runs after {PATIENCE:?}");
}
