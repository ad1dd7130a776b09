//! A server, clips to send to it, and what runs the programs and lines that talk to it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use kinora_test_support::{Server, clip, get};
use serde_json::Value;

/// How long something that is under way may take to be seen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Length of the clip, with a key frame each second: so many fragments.
pub(crate) const CLIP_SECONDS: usize = 5;

/// A server with a data folder of its own.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::start(Path::new(kinora()), &folder.path().join("data"), arguments);
        Self { server, folder }
    }

    /// A command at the top of the repository that talks to this server.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(root())
            .env("KINORA_SERVER", format!("http://{}", self.server.address))
            .env_remove("KINORA_TOKEN")
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// A line as the README prints it, run where the user has `kinora`, with this server's address
    /// and this file.
    pub(crate) fn line(&self, line: &str, file: &Path) -> Command {
        let here = line.replace("127.0.0.1:8080", &self.server.address.to_string());
        let here = here.replace("FILE.mkv", "FILE").replace("FILE", &file.to_string_lossy());
        let programs = self.folder.path().join("programs");
        std::fs::create_dir_all(&programs).expect("a folder");
        // It is there from the second line on.
        let _ = std::os::unix::fs::symlink(kinora(), programs.join("kinora"));
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = self.command("bash");
        command.env("PATH", format!("{}:{path}", programs.display()));
        command.args(["-euo", "pipefail", "-c", &here]);
        command
    }

    pub(crate) fn json(&self, target: &str) -> Value {
        let answer = get(self.server.address, target);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{target}: {e}"))
    }

    /// Waits until so many fragments of the stream are durable.
    pub(crate) fn expect_fragments(&self, stream: &str, wanted: usize) {
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
    pub(crate) fn expect_codecs(&self, stream: &str, wanted: &[&str]) {
        let info = self.json(&format!("/v1/streams/{stream}"));
        let tracks = info["tracks"].as_array().cloned().unwrap_or_default();
        let codecs: Vec<&str> = tracks.iter().filter_map(|track| track["codec"].as_str()).collect();
        assert_eq!(codecs, wanted);
    }
}

pub(crate) fn kinora() -> &'static str {
    env!("CARGO_BIN_EXE_kinora")
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Five seconds of picture and sound.
pub(crate) fn five_seconds() -> PathBuf {
    let arguments = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=5 \
        -f lavfi -i sine=frequency=440:sample_rate=48000:duration=5 \
        -c:v libx264 -preset veryfast -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac -f matroska";
    clip("samples-5s.mkv", &arguments.split_whitespace().collect::<Vec<_>>())
}

/// The same from an encoder without B-frames, as cameras are: RTP carries no decoding times, and
/// ffmpeg does not make them up.
pub(crate) fn five_seconds_of_a_camera() -> PathBuf {
    let source = five_seconds();
    let source = source.to_string_lossy();
    let mut arguments = vec!["-i", &source];
    arguments
        .extend("-c:v libx264 -bf 0 -g 25 -keyint_min 25 -sc_threshold 0 -c:a copy -f matroska".split(' '));
    clip("samples-camera-5s.mkv", &arguments)
}

/// Runs to the end; panics with what it printed if it fails.
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.stdout(Stdio::piped()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    output
}

/// Starts with its output readable by line.
pub(crate) fn start(command: &mut Command) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let output = child.stdout.take().expect("a pipe");
    (child, BufReader::new(output).lines().map_while(Result::ok))
}

/// The first ack of `event` among `lines`.
pub(crate) fn ack(lines: &mut impl Iterator<Item = String>, event: &str) -> Value {
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
