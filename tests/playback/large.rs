//! Fragments of tens of megabytes: readers that take nothing cost little, and those that take
//! their time get every byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kinora_test_support::{Producer, camera_clip, request};

use super::bench::{Bench, made};

/// Readers that ask and do not read.
const SILENT: usize = 100;
/// What the server may grow by for each of them, in KiB: what it keeps of an answer, and what the
/// HTTP library does.
const READER_KIB: u64 = 1024;

/// One fragment of about 40 MB with sound: noise, kept without loss.
fn noise() -> PathBuf {
    made(
        "playback-noise-40mb.mkv",
        "-f lavfi -i testsrc2=size=1280x720:rate=25:duration=0.8,noise=alls=100:allf=t \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=0.8 \
         -c:v libx264 -preset ultrafast -qp 0 -g 1000 -pix_fmt yuv420p -c:a aac",
    )
}

/// A reader that has asked, and to whom the server has begun to answer.
fn ask(server: SocketAddr, target: &str) -> TcpStream {
    let mut socket = TcpStream::connect(server).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(socket.peek(&mut [0]).unwrap(), 1, "{target}");
    socket
}

/// The body of an answer of which nothing was read yet.
fn body(socket: TcpStream) -> Vec<u8> {
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let mut body = Vec::new();
    reader.read_to_end(&mut body).unwrap();
    body
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn push(bench: &Bench, stream: &str, file: &Path) -> u64 {
    let acks = bench.push(stream, "?start=0", file);
    acks.iter().find(|ack| ack["event"] == "persisted").unwrap()["bytes"].as_u64().unwrap()
}

#[test]
fn silent_readers_of_large_fragments_cost_little_and_delay_nobody() {
    let bench = Bench::new();
    let bytes = push(&bench, "big", &noise());
    assert!((35 << 20..50 << 20).contains(&bytes), "{bytes} bytes are not what this test is about");
    let targets = ["fragments/1.mkv", "fragments/1.mp4", "hls/video/1.m4s"]
        .map(|file| format!("/v1/streams/big/{file}"));
    let expected: Vec<Vec<u8>> = targets.iter().map(|target| bench.fetch(target)).collect();
    let mut live = Producer::connect(bench.address(), "live", "?start=0");
    let camera = std::fs::read(camera_clip(10)).unwrap();
    let (first, rest) = camera.split_at(camera.len() / 2);
    assert!(live.send(first));
    live.wait_for("\"persisted\"");

    let before_kib = resident_kib(bench.process());
    let silent: Vec<TcpStream> =
        (0..SILENT).map(|reader| ask(bench.address(), &targets[reader % targets.len()])).collect();
    assert!(live.send(rest));
    live.finish();
    let acks = live.rest();
    assert!(acks.iter().filter(|ack| ack.contains("\"persisted\"")).count() >= 5, "{acks:#?}");
    let grown_kib = resident_kib(bench.process()).saturating_sub(before_kib);
    assert!(grown_kib < SILENT as u64 * READER_KIB, "{SILENT} silent readers cost {grown_kib} KiB");

    // Those who were silent for a while get every byte.
    for (reader, socket) in silent.into_iter().enumerate().take(targets.len()) {
        assert!(body(socket) == expected[reader], "{} differs", targets[reader]);
    }
}

#[test]
fn any_range_of_a_file_is_that_of_the_whole() {
    let bench = Bench::new();
    push(&bench, "big", &noise());
    bench.push("small", "?start=0", &camera_clip(10));
    for target in
        ["big/fragments/1.mkv", "big/fragments/1.mp4", "big/hls/audio/1.m4s", "small/fragments/1.mp4"]
    {
        let target = format!("/v1/streams/{target}");
        let whole = bench.get(&target);
        assert_eq!(whole.header("accept-ranges"), Some("bytes"));
        let (length, etag) = (whole.body.len(), whole.header("etag").unwrap());
        let middle = length / 2;
        for (asked, range) in [
            ("bytes=0-99".to_owned(), 0..100),
            (format!("bytes={middle}-{}", middle + 999), middle..middle + 1000),
            (format!("bytes={}-", length - 300), length - 300..length),
            ("bytes=-1".to_owned(), length - 1..length),
            (format!("bytes=10-{}", length * 2), 10..length),
        ] {
            let range_line = format!("Range: {asked}");
            let part = request(bench.address(), "GET", &target, &[&range_line], b"");
            assert_eq!(part.status, 206, "{target} {asked}");
            let place = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            assert_eq!(part.header("content-range"), Some(place.as_str()));
            assert!(part.body == whole.body[range], "{target} {asked}");
            let same = format!("If-Range: {etag}");
            assert_eq!(request(bench.address(), "GET", &target, &[&range_line, &same], b"").status, 206);
            let other = request(bench.address(), "GET", &target, &[&range_line, "If-Range: \"other\""], b"");
            assert_eq!((other.status, other.body.len()), (200, length), "{target} {asked}");
        }
        let beyond = request(bench.address(), "GET", &target, &[&format!("Range: bytes={length}-")], b"");
        assert_eq!(beyond.status, 416);
        assert_eq!(beyond.header("content-range"), Some(format!("bytes */{length}").as_str()));
        assert!(beyond.text().contains("\"range_not_satisfiable\""), "{}", beyond.text());
    }
}
