//! Producers against a real server: good ones, bad ones, and those that go away.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]
#![expect(clippy::panic, clippy::indexing_slicing, reason = "likewise")]

use std::path::{Path, PathBuf};
use std::process::Command;

use kinora_test_support::{Producer, Server, camera_clip, clip, ffprobe, get, request};
use serde_json::Value;

const KINORA: &str = env!("CARGO_BIN_EXE_kinora");

struct Bench {
    server: Server,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(Path::new(KINORA), &folder.path().join("data"), &[]);
        Self { server, folder }
    }

    fn json(&self, path: &str) -> Value {
        let answer = get(self.server.address, path);
        serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{path}: {e}: {}", answer.text()))
    }

    fn fragments(&self, stream: &str) -> Vec<Value> {
        let list = self.json(&format!("/v1/streams/{stream}/fragments?limit=1000"));
        list["fragments"].as_array().unwrap_or_else(|| panic!("{list}")).clone()
    }

    /// Pushes a whole body at once; the status, and the answer's JSON lines.
    fn push(&self, stream: &str, query: &str, body: &[u8]) -> (u16, Vec<Value>) {
        let answer =
            request(self.server.address, "POST", &format!("/v1/streams/{stream}/media{query}"), &[], body);
        let lines = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (answer.status, lines)
    }

    /// Counts packets per stream in all fragments, read back as Matroska by ffprobe.
    fn packets(&self, stream: &str) -> Vec<u64> {
        let mut counts: Vec<u64> = Vec::new();
        for fragment in self.fragments(stream) {
            let file = self.folder.path().join("fragment.mkv");
            let media = get(
                self.server.address,
                &format!("/v1/streams/{stream}/fragments/{}.mkv", fragment["number"]),
            );
            std::fs::write(&file, media.body).unwrap();
            for (index, count) in packets(&file).into_iter().enumerate() {
                counts.resize(counts.len().max(index + 1), 0);
                counts[index] += count;
            }
        }
        counts
    }
}

/// Waits for something that happens soon; panics if it does not.
fn until(happened: impl Fn() -> bool) {
    for _ in 0..1200 {
        if happened() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("it did not happen within thirty seconds");
}

fn packets(file: &Path) -> Vec<u64> {
    let text = ffprobe(&[
        "-count_packets",
        "-show_entries",
        "stream=nb_read_packets",
        "-of",
        "csv=p=0",
        &file.to_string_lossy(),
    ]);
    text.lines().filter_map(|line| line.trim_matches(',').parse().ok()).collect()
}

fn camera() -> PathBuf {
    camera_clip(6)
}

/// The start of each Cluster in a file of ffmpeg's.
fn clusters(bytes: &[u8]) -> Vec<usize> {
    bytes.windows(4).enumerate().filter(|(_, id)| *id == [0x1F, 0x43, 0xB6, 0x75]).map(|(at, _)| at).collect()
}

#[test]
fn acks_come_while_the_upload_is_still_running() {
    let bench = Bench::new();
    let media = std::fs::read(camera()).unwrap();
    let mut producer = Producer::connect(bench.server.address, "cam", "?start=2026-01-31T12:00:00Z");
    let half = media.len() / 2;
    assert!(producer.send(&media[..half]));
    producer.wait_for("200 OK");
    let persisted: Value = serde_json::from_str(&producer.wait_for("persisted")).unwrap();
    assert_eq!(persisted["fragment"], 1);
    assert!(persisted["producer_time"].as_str().unwrap().starts_with("2026-01-31T12:00:00."), "{persisted}");
    assert!(persisted["bytes"].as_u64().unwrap() > 1000 && persisted["duration_ms"].as_u64().unwrap() >= 960);
    assert!(producer.send(&media[half..]));
    producer.finish();
    let rest = producer.rest();
    assert!(rest.last().unwrap().contains(r#""persisted","fragment":6"#), "{rest:?}");
    for event in ["buffering", "received", "persisted"] {
        let mentioned = |line: &&String| line.contains(&format!(r#""{event}","fragment":5"#));
        assert_eq!(rest.iter().filter(mentioned).count(), 1, "{event} {rest:?}");
    }
}

#[test]
fn what_is_stored_is_what_was_sent_whatever_the_container_and_the_chunks() {
    let bench = Bench::new();
    let camera = camera();
    let expected = packets(&camera);
    let fragmented = clip(
        "ingest-camera-fragmented.mp4",
        &[
            "-i",
            &camera.to_string_lossy(),
            "-c",
            "copy",
            "-movflags",
            "frag_keyframe+empty_moov+default_base_moof",
        ],
    );
    let faststart = clip(
        "ingest-camera-faststart.mp4",
        &["-i", &camera.to_string_lossy(), "-c", "copy", "-movflags", "faststart"],
    );
    for (stream, file) in [("mkv", &camera), ("fragmented", &fragmented), ("faststart", &faststart)] {
        let media = std::fs::read(file).unwrap();
        let (status, lines) = bench.push(stream, "", &media);
        assert_eq!(status, 200, "{lines:?}");
        assert_eq!(bench.packets(stream), expected, "{stream}");
        let fragments = bench.fragments(stream);
        assert!(fragments.iter().all(|f| f["key_frame_start"] == true && f["partial"] == false), "{stream}");
        assert!(fragments.iter().all(|f| f["state"] == "persisted"), "{stream}");
        let mut producer = Producer::connect(bench.server.address, &format!("{stream}-bytes"), "");
        for piece in media.chunks(977) {
            assert!(producer.send(piece));
        }
        producer.finish();
        producer.rest();
        assert_eq!(bench.packets(&format!("{stream}-bytes")), expected, "{stream} in pieces");
    }
}

#[test]
fn ffmpeg_loses_nothing_though_it_never_reads_the_answer() {
    let bench = Bench::new();
    let camera = camera();
    for (stream, format) in [
        ("mkv", &["-f", "matroska"][..]),
        ("mp4", &["-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof"]),
    ] {
        let url = format!("http://{}/v1/streams/{stream}/media", bench.server.address);
        let status = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(&camera)
            .args(["-c", "copy"])
            .args(format)
            .args(["-method", "POST", &url])
            .status()
            .unwrap();
        assert!(status.success());
        // ffmpeg does not wait for the answer, so the last fragments may yet be on their way.
        until(|| {
            get(bench.server.address, &format!("/v1/streams/{stream}"))
                .text()
                .contains(r#""state":"offline""#)
        });
        assert_eq!(bench.packets(stream), packets(&camera), "{stream}: {}", bench.server.logged());
        assert!(bench.fragments(stream).iter().all(|f| f["partial"] == false));
    }
}

#[test]
fn bad_input_gets_a_clear_error_and_costs_nobody_else_anything() {
    let bench = Bench::new();
    let media = std::fs::read(camera()).unwrap();
    let mut good = Producer::connect(bench.server.address, "good", "");
    assert!(good.send(&media[..media.len() / 3]));
    good.wait_for("persisted");

    let cluster = clusters(&media)[1];
    let mut endless = media[..cluster].to_vec();
    // A Cluster of 2^56 - 2 bytes with a block that claims as much.
    endless.extend_from_slice(&[0x1F, 0x43, 0xB6, 0x75, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE]);
    endless.extend_from_slice(&[0xA3, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFD, 0x81, 0, 0, 0x80]);
    let mut undeclared = media[..cluster].to_vec();
    undeclared.extend_from_slice(&[0x1F, 0x43, 0xB6, 0x75, 0x8C, 0xE7, 0x81, 0x00]);
    undeclared.extend_from_slice(&[0xA3, 0x87, 0x87, 0x00, 0x00, 0x80, 1, 2, 3]);
    let moov_last = clip("ingest-moov-last.mp4", &["-i", &camera().to_string_lossy(), "-c", "copy"]);
    let text = b"<!doctype html><title>not a camera</title>".to_vec();
    let cases: Vec<(&str, Vec<u8>, u16, &str, &str)> = vec![
        ("empty", Vec::new(), 400, "", "empty"),
        ("html", text, 415, "", "HTML"),
        ("random", (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect(), 415, "", ""),
        ("moov-last", std::fs::read(moov_last).unwrap(), 415, "unsupported_media", "moov"),
        ("header-only", media[..cluster.min(200)].to_vec(), 400, "truncated_media", ""),
        ("endless", endless, 0, "invalid_container", "0x1F43B675"),
        ("undeclared", undeclared, 0, "unknown_track", "7"),
    ];
    for (name, body, status, code, says) in cases {
        let (got, lines) = bench.push(name, "", &body);
        let last = lines.last().unwrap_or_else(|| panic!("{name}: {got} and nothing said"));
        let error = &last["error"];
        let message = error["message"].as_str().unwrap_or_else(|| panic!("{name}: {got} {last}"));
        assert!(
            status == 0 || status == got || (status >= 400 && (400..500).contains(&got)),
            "{name}: {got} {last}"
        );
        assert!(code.is_empty() || error["code"] == code, "{name}: {last}");
        assert!(message.to_lowercase().contains(&says.to_lowercase()), "{name}: {last}");
        assert!(!error["offset"].is_null() || !last["offset"].is_null(), "{name} says no offset: {last}");
        until(|| bench.server.logged().contains(&format!("stream={name}")));
    }
    // What never becomes media takes no stream over and creates none.
    for junk in [&b""[..], b"<!doctype html>", &media[..200]] {
        assert!((400..500).contains(&bench.push("good", "", junk).0));
        assert!((400..500).contains(&bench.push("misspelt", "", junk).0));
    }
    assert_eq!(get(bench.server.address, "/v1/streams/misspelt").status, 404);
    for (path, code) in [
        ("/v1/streams/b@d/media", "invalid_stream_name"),
        ("/v1/streams/x/media?start=yesterday", "invalid_parameter"),
        ("/v1/streams/x/media?start=0&timecode=absolute", "invalid_parameter"),
        ("/v1/streams/x/media?timecode=sometimes", "invalid_parameter"),
    ] {
        let answer = request(bench.server.address, "POST", path, &[], &media);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert!(answer.text().contains(code), "{path}: {}", answer.text());
    }
    assert!(
        bench.server.logged().lines().all(|line| !line.contains("panicked")),
        "{}",
        bench.server.logged()
    );

    assert!(good.send(&media[media.len() / 3..]));
    good.finish();
    good.rest();
    assert_eq!(bench.packets("good"), packets(&camera()));
}

#[test]
fn what_came_before_the_fault_is_kept() {
    let bench = Bench::new();
    let media = std::fs::read(camera()).unwrap();
    let cut = clusters(&media)[3] + 40;
    let (status, lines) = bench.push("cam", "", &media[..cut]);
    assert_eq!(status, 200);
    assert_eq!(lines.last().unwrap()["error"]["code"], "truncated_media", "{lines:?}");
    let persisted = lines.iter().filter(|line| line["event"] == "persisted").count();
    let fragments = bench.fragments("cam");
    assert_eq!(fragments.len(), persisted);
    assert!(persisted >= 2, "{lines:?}");
}

#[test]
fn the_newer_producer_wins_after_the_older_is_told() {
    let bench = Bench::new();
    let media = std::fs::read(camera()).unwrap();
    let mut older = Producer::connect(bench.server.address, "cam", "?start=0");
    assert!(older.send(&media[..media.len() / 2]));
    older.wait_for("persisted");
    let mut newer = Producer::connect(bench.server.address, "cam", "?start=3600000");
    assert!(newer.send(&media));
    newer.wait_for("persisted");
    let told = older.rest();
    assert!(told.iter().any(|line| line.contains("superseded")), "{told:?}");
    newer.finish();
    newer.rest();
    // Each producer's fragments stand together: the stream never goes back to the older one.
    let times: Vec<String> = bench
        .fragments("cam")
        .iter()
        .map(|f| f["producer_time"].as_str().unwrap()[..13].to_owned())
        .collect();
    let first_of_newer = times.iter().position(|t| t == "1970-01-01T01").unwrap();
    assert!(times[..first_of_newer].iter().all(|t| t == "1970-01-01T00"), "{times:?}");
    assert_eq!(times.len() - first_of_newer, 6, "{times:?}");
}

#[test]
fn a_producer_that_vanishes_in_a_frame_leaves_a_partial_fragment() {
    let bench = Bench::new();
    let media = std::fs::read(camera()).unwrap();
    let mut producer = Producer::connect(bench.server.address, "cam", "?start=0");
    // Well inside the third group of pictures, so that what it leaves is not complete by chance.
    let cut = clusters(&media)[2] + 30_000;
    assert!(producer.send(&media[..cut]));
    producer.wait_for("persisted");
    producer.vanish();
    until(|| bench.json("/v1/streams/cam")["state"] == "offline");
    let fragments = bench.fragments("cam");
    let (last, before) = fragments.split_last().unwrap();
    assert_eq!(last["partial"], true, "{fragments:?}");
    assert!(before.iter().all(|f| f["partial"] == false), "{fragments:?}");
    // The producer comes back and sends everything again: what was whole is not stored twice.
    let (_, lines) = bench.push("cam", "?start=0", &media);
    let repeated = lines
        .iter()
        .filter(|l| l["event"] == "persisted" && l["fragment"].as_u64() < last["number"].as_u64());
    assert_eq!(repeated.count(), before.len(), "{lines:?}");
    assert_eq!(bench.fragments("cam").iter().filter(|f| f["partial"] == false).count(), 6);
}

#[test]
fn two_servers_cannot_share_a_data_folder() {
    let bench = Bench::new();
    let second = Command::new(KINORA)
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(bench.folder.path().join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(said.contains("data") && said.to_lowercase().contains("another"), "{said}");
}

#[test]
fn sigterm_finishes_what_was_sent_and_tells_the_producer() {
    let bench = Bench::new();
    let media = std::fs::read(camera()).unwrap();
    let mut producer = Producer::connect(bench.server.address, "cam", "?start=0");
    assert!(producer.send(&media[..media.len() / 2]));
    producer.wait_for("persisted");
    let Bench { server, folder } = bench;
    // It goes on sending while the server stops, as cameras do, and is told all the same.
    let stopping = std::thread::spawn(move || server.stop());
    for chunk in media[media.len() / 2..].chunks(200) {
        if !producer.send(chunk) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let told = producer.rest();
    assert!(told.last().unwrap().contains("server_stopping"), "{told:?}");
    stopping.join().unwrap();
    let persisted = told.iter().filter(|line| line.contains(r#""event":"persisted""#)).count() + 1;
    let again = Bench { server: Server::start(Path::new(KINORA), &folder.path().join("data"), &[]), folder };
    assert_eq!(again.fragments("cam").len(), persisted);
}
