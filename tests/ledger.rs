//! Why media is absent, as a real server tells it: producers that end in every way, and a server
//! that is killed.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]
#![expect(clippy::panic, clippy::indexing_slicing, reason = "likewise")]

use std::path::Path;

use kinora_test_support::{Producer, Server, camera_clip, get, request};
use serde_json::{Value, json};

const KINORA: &str = env!("CARGO_BIN_EXE_kinora");

fn start(data: &Path) -> Server {
    Server::start(Path::new(KINORA), data, &[])
}

fn json(server: &Server, path: &str) -> Value {
    let answer = get(server.address, path);
    serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{path}: {e}: {}", answer.text()))
}

fn gaps(server: &Server, query: &str) -> Vec<Value> {
    let list = json(server, &format!("/v1/streams/cam/gaps{query}"));
    list["gaps"].as_array().unwrap_or_else(|| panic!("{list}")).clone()
}

fn causes(gaps: &[Value]) -> Vec<&str> {
    gaps.iter().map(|gap| gap["cause"].as_str().unwrap()).collect()
}

/// The start of the Cluster `place` in a file of ffmpeg's.
fn cluster(bytes: &[u8], place: usize) -> usize {
    let id = [0x1F, 0x43, 0xB6, 0x75];
    bytes.windows(4).enumerate().filter(|(_, found)| *found == id).nth(place).unwrap().0
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

/// Whether the newest absence has no end yet and this cause.
fn stopped_by(server: &Server, cause: &str) -> bool {
    let newest = gaps(server, "?order=desc&limit=1");
    newest.first().is_some_and(|gap| gap["cause"] == cause && gap["end"] == Value::Null)
}

#[test]
fn every_way_to_end_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = start(&data);
    let media = std::fs::read(camera_clip(6)).unwrap();
    let half = cluster(&media, 3) + 30_000;
    let at = |hour: u32| format!("?start=2026-01-31T{hour:02}:00:00Z");

    let whole = request(server.address, "POST", &format!("/v1/streams/cam/media{}", at(1)), &[], &media);
    assert_eq!(whole.status, 200);
    until(|| stopped_by(&server, "producer_stopped"));
    let info = json(&server, "/v1/streams/cam");
    assert_eq!(info["absence"]["cause"], "producer_stopped", "{info}");

    let mut producer = Producer::connect(server.address, "cam", &at(2));
    assert!(producer.send(&media[..half]));
    producer.wait_for("persisted");
    assert_eq!(json(&server, "/v1/streams/cam")["absence"], Value::Null, "media is coming");
    assert_eq!(causes(&gaps(&server, "")), ["producer_stopped"], "and no absence without an end");
    producer.vanish();
    until(|| stopped_by(&server, "connection_lost"));

    let mut junk = media[..cluster(&media, 3)].to_vec();
    junk.extend_from_slice(&[0x1F, 0x43, 0xB6, 0x75, 0x8C, 0xE7, 0x81, 0x00]);
    junk.extend_from_slice(&[0xA3, 0x87, 0x87, 0x00, 0x00, 0x80, 1, 2, 3]);
    let refused = request(server.address, "POST", &format!("/v1/streams/cam/media{}", at(3)), &[], &junk);
    assert!(refused.text().contains("unknown_track"), "{}", refused.text());
    until(|| stopped_by(&server, "input_refused"));
    let refused = gaps(&server, "?order=desc&limit=1")[0].clone();
    assert!(refused["detail"].as_str().unwrap().contains("at byte"), "{refused}");

    let mut older = Producer::connect(server.address, "cam", &at(4));
    assert!(older.send(&media[..half]));
    older.wait_for("persisted");
    let mut killed = Producer::connect(server.address, "cam", &at(5));
    assert!(killed.send(&media[..half]));
    killed.wait_for("persisted");
    server.kill();

    let server = start(&data);
    assert!(stopped_by(&server, "server_down"), "{:?}", gaps(&server, ""));
    let mut last = Producer::connect(server.address, "cam", &at(6));
    assert!(last.send(&media[..half]));
    last.wait_for("persisted");
    server.stop();

    let server = start(&data);
    let all = gaps(&server, "");
    let expected =
        ["producer_stopped", "connection_lost", "input_refused", "replaced", "server_down", "server_down"];
    assert_eq!(causes(&all), expected, "{all:?}");
    let fragments = json(&server, "/v1/streams/cam/fragments?limit=1000");
    let starts: Vec<&Value> =
        fragments["fragments"].as_array().unwrap().iter().map(|f| &f["producer_time"]).collect();
    let (last, before) = all.split_last().unwrap();
    assert_eq!(last["end"], Value::Null);
    assert_eq!(last["detail"], "the server is stopping");
    for gap in before {
        assert!(starts.contains(&&gap["end"]), "{gap} ends where media begins");
    }

    // Page by page, in both orders, and of a range.
    let first = json(&server, "/v1/streams/cam/gaps?limit=4");
    let token = first["next_token"].as_str().unwrap();
    let second = json(&server, &format!("/v1/streams/cam/gaps?limit=4&token={token}"));
    assert_eq!(second["next_token"], Value::Null);
    let paged = [first["gaps"].as_array().unwrap().clone(), second["gaps"].as_array().unwrap().clone()];
    assert_eq!(paged.concat(), all);
    let inside = gaps(&server, "?start=2026-01-31T02:30:00Z&end=2026-01-31T03:30:00Z&order=desc");
    assert_eq!(causes(&inside), ["input_refused", "connection_lost"]);
    let nothing = get(server.address, "/v1/streams/cam/gaps?token=later");
    assert_eq!(nothing.status, 400, "{}", nothing.text());

    timelines(&server, &all);
    let metrics = get(server.address, "/metrics").text();
    assert!(metrics.contains(r#"kinora_streams_absent{cause="server_down"} 1"#), "{metrics}");
}

/// The same in timelines, exact and coarse.
fn timelines(server: &Server, all: &[Value]) {
    let exact = json(server, "/v1/streams/cam/timeline");
    assert_eq!(exact["gaps"].as_array().unwrap(), all);
    assert_eq!(exact["runs"].as_array().unwrap().len(), all.len());
    assert_eq!((&exact["bucket_ms"], &exact["bucket_bytes"]), (&Value::Null, &json!([])));
    let range = "start=2026-01-31T00:00:00Z&end=2026-02-01T00:00:00Z";
    let coarse = json(server, &format!("/v1/streams/cam/timeline?{range}&resolution=24"));
    assert_eq!(coarse["bucket_ms"], 3_600_000.0);
    let bytes: Vec<u64> =
        coarse["bucket_bytes"].as_array().unwrap().iter().map(|bytes| bytes.as_u64().unwrap()).collect();
    let filled: Vec<usize> = (0..24).filter(|hour| bytes[*hour] > 0).collect();
    assert_eq!(filled, [1, 2, 3, 4, 5, 6]);
    // Each absence but the last is shorter than an hour.
    assert_eq!(coarse["hidden_gaps"], 5, "{coarse}");
    assert_eq!(coarse["runs"].as_array().unwrap().len(), 1, "{coarse}");
    let finer = json(server, &format!("/v1/streams/cam/timeline?{range}&resolution=2000"));
    assert_eq!(finer["gaps"].as_array().unwrap(), all);
    for resolution in ["0", "4001", "x"] {
        let answer = get(server.address, &format!("/v1/streams/cam/timeline?resolution={resolution}"));
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
}
