//! A server, clips to push into it, and ffmpeg as its player.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use kinora_test_support::{Answer, Server, clip, ffprobe, get, request};
use serde_json::Value;

use super::playlist::{Media, Multivariant};

const KINORA: &str = env!("CARGO_BIN_EXE_kinora");

/// What FFmpeg says of every live playlist with a map, for it reads the map again at each reload.
const MAP_READ_AGAIN: &str = "Found duplicated MOOV Atom";

/// A server with a data folder of its own.
pub(crate) struct Bench {
    server: Server,
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { server: Server::start(Path::new(KINORA), &folder.path().join("data"), &[]), folder }
    }

    /// The same data behind a server that was stopped and started again.
    pub(crate) fn restarted(self) -> Self {
        self.server.stop();
        let server = Server::start(Path::new(KINORA), &self.folder.path().join("data"), &[]);
        Self { server, folder: self.folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The server's process.
    pub(crate) fn process(&self) -> u32 {
        self.server.id()
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        get(self.server.address, target)
    }

    /// The body of an answer that must be good.
    pub(crate) fn fetch(&self, target: &str) -> Vec<u8> {
        let answer = self.get(target);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.body
    }

    pub(crate) fn json(&self, target: &str) -> Value {
        serde_json::from_slice(&self.fetch(target)).unwrap_or_else(|e| panic!("{target}: {e}"))
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.server.address)
    }

    /// Pushes a whole file; the acks.
    pub(crate) fn push(&self, stream: &str, query: &str, file: &Path) -> Vec<Value> {
        let body = std::fs::read(file).unwrap();
        let target = format!("/v1/streams/{stream}/media{query}");
        let answer = request(self.server.address, "POST", &target, &[], &body);
        let acks: Vec<Value> =
            answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answer.status, 200, "{acks:?}");
        assert!(acks.iter().all(|ack| ack["event"] != "error"), "{acks:?}");
        acks
    }

    pub(crate) fn fragments(&self, stream: &str) -> Vec<Value> {
        let list = self.json(&format!("/v1/streams/{stream}/fragments?limit=1000"));
        list["fragments"].as_array().unwrap().clone()
    }

    pub(crate) fn multivariant(&self, stream: &str, query: &str) -> Multivariant {
        let target = format!("/v1/streams/{stream}/hls/index.m3u8{query}");
        Multivariant::parse(&String::from_utf8(self.fetch(&target)).unwrap())
    }

    pub(crate) fn media(&self, stream: &str, rendition: &str, query: &str) -> Media {
        let target = format!("/v1/streams/{stream}/hls/{rendition}/index.m3u8{query}");
        Media::parse(&String::from_utf8(self.fetch(&target)).unwrap())
    }

    /// A file with the init segment and the media of all segments of a playlist.
    pub(crate) fn joined(&self, stream: &str, rendition: &str, playlist: &Media) -> PathBuf {
        let mut joined = Vec::new();
        let mut init = "";
        for segment in playlist.segments.iter().filter(|segment| !segment.gap) {
            if segment.init != init {
                init = &segment.init;
                joined.extend(self.fetch(&format!("/v1/streams/{stream}/hls/{rendition}/{init}")));
            }
            joined.extend(self.fetch(&format!("/v1/streams/{stream}/hls/{rendition}/{}", segment.uri)));
        }
        self.file(&format!("{rendition}.mp4"), &joined)
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// A clip made by ffmpeg from a line of arguments.
pub(crate) fn made(name: &str, arguments: &str) -> PathBuf {
    clip(name, &arguments.split_whitespace().collect::<Vec<_>>())
}

/// What `ffmpeg` decodes of `input`: one hash a frame. It must not utter a word.
pub(crate) fn decoded(input: &str, options: &[&str]) -> Vec<String> {
    framemd5(input, options, &["-fps_mode", "passthrough"])
}

/// One hash a packet, as it is in `input`.
pub(crate) fn packets(input: &str, options: &[&str]) -> Vec<String> {
    framemd5(input, options, &["-c", "copy"])
}

fn framemd5(input: &str, options: &[&str], how: &[&str]) -> Vec<String> {
    // The last of the options says what to map; those before it are about the input.
    let (map, input_options) = options.split_last().unwrap();
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-v", "repeat+warning", "-guess_layout_max", "0"])
        .args(input_options)
        .args(["-i", input, "-map", map])
        .args(how)
        .args(["-f", "framemd5", "-"])
        .output()
        .unwrap_or_else(|e| panic!("cannot run ffmpeg ({e}); install it with: apt-get install ffmpeg"));
    let said = String::from_utf8_lossy(&output.stderr);
    let live = input.ends_with("hls/index.m3u8");
    let said: Vec<&str> = said.lines().filter(|line| !(live && line.contains(MAP_READ_AGAIN))).collect();
    assert!(output.status.success() && said.is_empty(), "ffmpeg {options:?} {input} says:\n{said:#?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let frames = text.lines().filter(|line| !line.starts_with('#'));
    // Stream, times, size, hash; what follows is side data of the container's own.
    frames.map(|line| line.split(',').nth(5).unwrap().trim().to_owned()).collect()
}

/// The `entry` of the first stream that `selector` selects, as ffprobe prints it.
pub(crate) fn probed(input: &str, selector: &str, entry: &str) -> String {
    let entry = format!("stream={entry}");
    let text = ffprobe(&["-select_streams", selector, "-show_entries", &entry, "-of", "csv=p=0", input]);
    text.lines().next().unwrap_or_default().trim_matches(',').to_owned()
}

/// Presentation times of the key frames of the first video track, in microseconds.
pub(crate) fn key_frames_us(input: &str) -> Vec<i64> {
    let arguments =
        ["-select_streams", "v:0", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0", input];
    let text = ffprobe(&arguments);
    let packets = text.lines().filter_map(|line| line.split_once(','));
    packets
        .filter(|(_, flags)| flags.starts_with('K'))
        .map(|(time, _)| (time.parse::<f64>().unwrap() * 1e6).round() as i64)
        .collect()
}
