//! Every program in samples/ and every line that the README shows, run against the real server.
//!
//! What cannot be had here is replaced as close to the real thing as possible: a webcam by
//! ffmpeg's own picture source, an RTSP camera by an ffmpeg that publishes to the same ffmpeg
//! command that would otherwise connect to it.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]
#![expect(clippy::disallowed_methods, reason = "real processes run on real time")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use kinora_test_support::{Server, clip, ffprobe, get};
use serde_json::Value;

/// How long something that is under way may take to be seen.
const PATIENCE: Duration = Duration::from_secs(20);
/// Length of the clip, with a key frame each second: so many fragments.
const CLIP_SECONDS: usize = 5;

/// A server with a data folder of its own.
struct Bench {
    server: Server,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::start(Path::new(kinora()), &folder.path().join("data"), arguments);
        Self { server, folder }
    }

    /// A command at the top of the repository that talks to this server.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(root())
            .env("KINORA_SERVER", format!("http://{}", self.server.address))
            .env_remove("KINORA_TOKEN")
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// A line as the README prints it, with this server's address and this file.
    fn line(&self, line: &str, file: &Path) -> Command {
        let here = line.replace("127.0.0.1:8080", &self.server.address.to_string());
        let here = here.replace("FILE.mkv", "FILE").replace("FILE", &file.to_string_lossy());
        let here = here.replace("kinora push", &format!("{} push", kinora()));
        let mut command = self.command("bash");
        command.args(["-euo", "pipefail", "-c", &here]);
        command
    }

    fn json(&self, target: &str) -> Value {
        let answer = get(self.server.address, target);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{target}: {e}"))
    }

    /// Waits until so many fragments of the stream are durable.
    fn expect_fragments(&self, stream: &str, wanted: usize) {
        let started = Instant::now();
        loop {
            let answer = get(self.server.address, &format!("/v1/streams/{stream}/fragments"));
            let text = answer.text();
            let persisted = text.matches(r#""state":"persisted""#).count();
            if persisted >= wanted {
                assert_eq!(persisted, wanted, "{text}");
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{persisted} of {wanted}: {text}\n{}",
                self.server.logged()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asserts that the stream has these codecs.
    fn expect_codecs(&self, stream: &str, wanted: &[&str]) {
        let info = self.json(&format!("/v1/streams/{stream}"));
        let tracks = info["tracks"].as_array().cloned().unwrap_or_default();
        let codecs: Vec<&str> = tracks.iter().filter_map(|track| track["codec"].as_str()).collect();
        assert_eq!(codecs, wanted);
    }
}

fn kinora() -> &'static str {
    env!("CARGO_BIN_EXE_kinora")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Five seconds of picture and sound.
fn five_seconds() -> PathBuf {
    let arguments = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=5 \
        -f lavfi -i sine=frequency=440:sample_rate=48000:duration=5 \
        -c:v libx264 -preset veryfast -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac -f matroska";
    clip("samples-5s.mkv", &arguments.split_whitespace().collect::<Vec<_>>())
}

/// The same from an encoder without B-frames, as cameras are: RTP carries no decoding times, and
/// ffmpeg does not make them up.
fn five_seconds_of_a_camera() -> PathBuf {
    let source = five_seconds();
    let source = source.to_string_lossy();
    let mut arguments = vec!["-i", &source];
    arguments
        .extend("-c:v libx264 -bf 0 -g 25 -keyint_min 25 -sc_threshold 0 -c:a copy -f matroska".split(' '));
    clip("samples-camera-5s.mkv", &arguments)
}

/// Runs to the end; panics with what it printed if it fails.
fn succeed(command: &mut Command) -> Output {
    let output = command.stdout(Stdio::piped()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    output
}

/// Starts with its output readable by line.
fn start(command: &mut Command) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let output = child.stdout.take().expect("a pipe");
    (child, BufReader::new(output).lines().map_while(Result::ok))
}

/// The first ack of `event` among `lines`.
fn ack(lines: &mut impl Iterator<Item = String>, event: &str) -> Value {
    let acks = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let mut seen = Vec::new();
    for ack in acks {
        if ack["event"] == event {
            return ack;
        }
        seen.push(ack);
    }
    panic!("no {event} among {seen:?}")
}

#[test]
fn the_demo_camera_publishes_picture_and_sound() {
    let bench = Bench::new();
    let mut camera = bench.command("samples/demo-camera.sh");
    succeed(camera.arg("demo").env("SIZE", "320x180").env("RATE", "10").env("SECONDS_LONG", "3"));
    bench.expect_fragments("demo", 3);
    bench.expect_codecs("demo", &["H.264", "AAC"]);
}

#[test]
fn a_file_is_pushed_as_matroska_and_as_mp4() {
    let bench = Bench::new();
    for format in ["matroska", "mp4"] {
        succeed(bench.command("samples/push-file.sh").arg(five_seconds()).args([format, format]));
        bench.expect_fragments(format, CLIP_SECONDS);
        bench.expect_codecs(format, &["H.264", "AAC"]);
    }
}

#[test]
fn a_webcam_is_pushed() {
    let bench = Bench::new();
    let mut webcam = bench.command("samples/webcam.sh");
    succeed(webcam.args(["testsrc2=size=320x180:rate=10:duration=3", "webcam"]).env("FORMAT", "lavfi"));
    bench.expect_fragments("webcam", 3);
    bench.expect_codecs("webcam", &["H.264"]);
}

#[test]
fn an_rtsp_camera_is_pushed() {
    let bench = Bench::new();
    // Free a moment ago; ffmpeg cannot be handed a listening socket.
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let camera = format!("rtsp://127.0.0.1:{port}/camera");
    let mut sample = bench.command("samples/rtsp.sh");
    let (mut sample, _) = start(sample.args([&camera, "gate"]).env("INPUT_OPTIONS", "-rtsp_flags listen"));
    let started = Instant::now();
    loop {
        // Refused until the other side listens.
        let mut publish = Command::new("ffmpeg");
        publish.args(["-v", "error", "-nostdin", "-re", "-i"]).arg(five_seconds_of_a_camera());
        publish.args(["-c", "copy", "-f", "rtsp", "-rtsp_transport", "tcp", &camera]);
        if publish.stderr(Stdio::null()).status().expect("ffmpeg").success() {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "nobody listens at {camera}");
    }
    assert!(sample.wait().expect("its end").success());
    bench.expect_fragments("gate", CLIP_SECONDS);
    bench.expect_codecs("gate", &["H.264", "AAC"]);
}

#[test]
fn the_python_client_prints_acks_while_it_sends() {
    let bench = Bench::new();
    let media = std::fs::read(five_seconds()).expect("the clip");
    let (first, rest) = media.split_at(media.len() * 2 / 3);
    let mut push = bench.command("python3");
    let (mut push, mut lines) =
        start(push.args(["samples/push.py", "-", "--stream", "python"]).stdin(Stdio::piped()));
    let mut input = push.stdin.take().expect("a pipe");
    input.write_all(first).expect("the client reads");
    // It has not seen the end of its input yet, and still:
    assert_eq!(ack(&mut lines, "persisted")["fragment"], 1);
    input.write_all(rest).expect("the client reads");
    drop(input);
    assert!(lines.any(|line| line.contains(r#""event":"persisted""#) && line.contains(r#""fragment":5"#)));
    assert!(push.wait().expect("its end").success());
    bench.expect_fragments("python", CLIP_SECONDS);
}

#[test]
fn the_python_client_says_why_it_was_refused() {
    let bench = Bench::new();
    let mut push = bench.command("python3");
    let output =
        push.args(["samples/push.py", "samples/push.py", "--stream", "python"]).output().expect("python3");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{errors}");
    assert!(errors.contains("push: ") && errors.contains("message"), "{errors}");
}

#[test]
fn the_python_clients_use_tls_and_a_token() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    openssl.args(["-addext", "subjectAltName=DNS:localhost", "-keyout"]).arg(&key).arg("-out").arg(&cert);
    succeed(&mut openssl);
    let (cert, key) = (cert.to_string_lossy(), key.to_string_lossy());
    let bench = Bench::with(&["--tls-cert", &cert, "--tls-key", &key, "--token", "secret"]);
    let url = format!("https://localhost:{}", bench.server.address.port());
    let run = |script: &str, token: &str, rest: &[&str]| {
        let mut command = bench.command("python3");
        command.arg(script).args(["--stream", "safe", "--server", &url, "--token", token]).args(rest);
        command.env("SSL_CERT_FILE", &*cert).output().expect("python3")
    };
    let clip = five_seconds();
    let clip = clip.to_string_lossy();
    let refused = run("samples/push.py", "wrong", &[&clip]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("401"), "{refused:?}");
    let pushed = run("samples/push.py", "secret", &[&clip]);
    assert!(pushed.status.success(), "{pushed:?}");
    let listed = run("samples/list_range.py", "secret", &[]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), CLIP_SECONDS, "{listed:?}");
}

#[test]
fn the_range_reader_lists_by_page_and_saves_what_plays() {
    let bench = Bench::new();
    let start = "2026-03-01T12:00:00Z";
    let target = format!("http://{}/v1/streams/yard/media?start={start}", bench.server.address);
    succeed(bench.command("curl").args(["-sf", "-X", "POST", "-T"]).arg(five_seconds()).arg(target));
    let list = |arguments: &[&str]| {
        let mut command = bench.command("python3");
        let output = succeed(
            command.args(["samples/list_range.py", "--stream", "yard", "--page", "2"]).args(arguments),
        );
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list(&[]).len(), CLIP_SECONDS);
    assert_eq!(list(&["--by", "server"]).len(), CLIP_SECONDS);
    let some = list(&["--start", "2026-03-01T12:00:01Z", "--end", "2026-03-01T12:00:03Z"]);
    assert!((2..=3).contains(&some.len()), "{some:?}");
    assert!(some.iter().all(|line| line.contains("2026-03-01T12:00:0")), "{some:?}");
    for format in ["mp4", "mkv"] {
        let folder = bench.folder.path().join(format);
        let printed = list(&["--save", &folder.to_string_lossy(), "--format", format]);
        assert_eq!(printed.len(), CLIP_SECONDS + 1, "{printed:?}");
        let playlist = folder.join("range.ffconcat");
        let count = ffprobe(&[
            "-count_frames",
            "-select_streams",
            "v",
            "-show_entries",
            "stream=nb_read_frames",
            "-of",
            "csv=p=0",
            &playlist.to_string_lossy(),
        ]);
        assert_eq!(count.trim(), (CLIP_SECONDS * 25).to_string(), "{format}");
    }
}

/// The lines that the README shows, as it prints them.
mod lines {
    pub(super) const MATROSKA: &str =
        "ffmpeg -re -i FILE -c copy -f matroska -method POST http://127.0.0.1:8080/v1/streams/cam1/media";
    pub(super) const MP4: &str = "ffmpeg -re -i FILE -c copy -f mp4 -movflags frag_keyframe+empty_moov+default_base_moof \
        -method POST http://127.0.0.1:8080/v1/streams/cam2/media";
    pub(super) const CURL: &str = "curl -N -T FILE.mkv -X POST -H 'Content-Type: video/x-matroska' \
        http://127.0.0.1:8080/v1/streams/cam3/media";
    pub(super) const PUSH: &str = "kinora push FILE --stream cam4";
    pub(super) const LIVE: &str = "ffprobe http://127.0.0.1:8080/v1/streams/cam1/hls/index.m3u8";
    pub(super) const FRAGMENTS: &str =
        "curl 'http://127.0.0.1:8080/v1/streams/cam1/fragments?start=2026-03-01T12:00:00Z&limit=100'";
    pub(super) const FRAGMENT: &str = "curl -O http://127.0.0.1:8080/v1/streams/cam1/fragments/1.mp4";
    pub(super) const WEBCAM: &str = "ffmpeg -f v4l2 -i /dev/video0 -c:v libx264 -preset veryfast -tune zerolatency \
        -pix_fmt yuv420p -force_key_frames 'expr:gte(t,n_forced)' -f matroska \
        -method POST http://127.0.0.1:8080/v1/streams/webcam/media";
    pub(super) const PYTHON: &str = "samples/push.py FILE --stream cam5";
    pub(super) const RANGE: &str =
        "samples/list_range.py --stream cam1 --start 2026-03-01T12:00:00Z --save clips";
}

#[test]
fn the_readme_prints_the_lines_that_are_tested() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    for line in [
        lines::MATROSKA,
        lines::MP4,
        lines::CURL,
        lines::PUSH,
        lines::LIVE,
        lines::FRAGMENTS,
        lines::FRAGMENT,
        lines::WEBCAM,
        lines::PYTHON,
        lines::RANGE,
    ] {
        assert!(readme.contains(line), "README.md does not print: {line}");
    }
}

#[test]
fn the_ffmpeg_lines_work_as_printed() {
    let bench = Bench::new();
    succeed(&mut bench.line(lines::MATROSKA, &five_seconds()));
    bench.expect_fragments("cam1", CLIP_SECONDS);
    succeed(&mut bench.line(lines::MP4, &five_seconds()));
    bench.expect_fragments("cam2", CLIP_SECONDS);
}

#[test]
fn the_webcam_line_makes_what_browsers_play_of_any_webcam() {
    let bench = Bench::new();
    // Webcams give 4:2:2, which browsers do not play.
    let source = "-f lavfi -i testsrc2=size=320x180:rate=10:duration=3,format=yuyv422";
    let line = lines::WEBCAM.replace("-f v4l2 -i /dev/video0", source);
    succeed(&mut bench.line(&line, Path::new("")));
    bench.expect_fragments("webcam", 3);
    let info = bench.json("/v1/streams/webcam");
    let codec = info["tracks"][0]["codec_string"].as_str().expect("a codec string");
    // Profile High 4:2:2 is avc1.7a.
    assert!(codec.starts_with("avc1.64") || codec.starts_with("avc1.4"), "{codec}");
}

#[test]
fn the_python_lines_work_as_printed() {
    let bench = Bench::new();
    succeed(&mut bench.line(lines::PYTHON, &five_seconds()));
    bench.expect_fragments("cam5", CLIP_SECONDS);
    let folder = bench.folder.path().join("clips");
    // What was pushed just now is later than the time that the line names.
    let range = lines::RANGE.replace("cam1", "cam5").replace("--save clips", "--save");
    let printed = succeed(&mut bench.line(&format!("{range} {}", folder.display()), Path::new("")));
    assert_eq!(String::from_utf8_lossy(&printed.stdout).lines().count(), CLIP_SECONDS + 1);
}

#[test]
fn curl_prints_each_ack_while_it_uploads() {
    let bench = Bench::new();
    // The line as printed, slowed down to about the clip's own pace.
    let slowly = format!("{} --limit-rate 50k", lines::CURL);
    let (mut curl, mut lines) = start(&mut bench.line(&slowly, &five_seconds()));
    assert_eq!(ack(&mut lines, "persisted")["fragment"], 1);
    assert!(curl.try_wait().expect("its state").is_none(), "the upload was over before the first ack");
    assert_eq!(lines.filter(|line| line.contains(r#""event":"persisted""#)).count(), CLIP_SECONDS - 1);
    assert!(curl.wait().expect("its end").success());
    // And exactly as printed.
    let output = succeed(&mut bench.line(&lines::CURL.replace("cam3", "cam3b"), &five_seconds()));
    let acks = String::from_utf8_lossy(&output.stdout).matches(r#""event":"persisted""#).count();
    assert_eq!(acks, CLIP_SECONDS);
}

#[test]
fn what_was_pushed_is_listed_fetched_and_played() {
    let bench = Bench::new();
    let again = |line: &str| line.replace("cam1", "cam4");
    succeed(&mut bench.line(lines::PUSH, &five_seconds()));
    bench.expect_fragments("cam4", CLIP_SECONDS);
    succeed(&mut bench.line(&again(lines::LIVE), Path::new("")));
    let listed = succeed(&mut bench.line(&again(lines::FRAGMENTS), Path::new("")));
    assert_eq!(String::from_utf8_lossy(&listed.stdout).matches(r#""number":"#).count(), CLIP_SECONDS);
    succeed(bench.line(&again(lines::FRAGMENT), Path::new("")).current_dir(bench.folder.path()));
    let fetched = bench.folder.path().join("1.mp4");
    let streams =
        ffprobe(&["-show_entries", "stream=codec_name", "-of", "csv=p=0", &fetched.to_string_lossy()]);
    assert_eq!(streams.split_whitespace().collect::<Vec<_>>(), ["h264", "aac"]);
}
