//! Limits, pins and room over HTTP and from the configuration, against a real server.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]
#![expect(clippy::indexing_slicing, reason = "likewise")]

use std::path::Path;

use kinora_test_support::{Server, camera_clip, get, request};
use serde_json::{Value, json};

const KINORA: &str = env!("CARGO_BIN_EXE_kinora");

fn start(folder: &Path, arguments: &[&str]) -> Server {
    Server::start(Path::new(KINORA), &folder.join("data"), arguments)
}

fn call(server: &Server, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = request(server.address, method, path, &[], body.as_bytes());
    let value =
        if answer.body.is_empty() { Value::Null } else { serde_json::from_slice(&answer.body).unwrap() };
    (answer.status, value)
}

fn push(server: &Server, stream: &str) {
    let media = std::fs::read(camera_clip(10)).unwrap();
    let path = format!("/v1/streams/{stream}/media?start=2026-11-20T09:00:00Z");
    let answer = request(server.address, "POST", &path, &[], &media);
    assert_eq!(answer.text().matches("persisted").count(), 10, "{}", answer.text());
}

fn listed(server: &Server, stream: &str) -> Vec<u64> {
    let answer = get(server.address, &format!("/v1/streams/{stream}/fragments"));
    let list: Value = serde_json::from_slice(&answer.body).unwrap();
    list["fragments"].as_array().unwrap().iter().map(|f| f["number"].as_u64().unwrap()).collect()
}

#[test]
fn smaller_limits_take_effect_at_once_and_pins_hold_against_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    push(&server, "cam");
    assert_eq!(listed(&server, "cam"), (1..=10).collect::<Vec<_>>());

    let pin = json!({"start": "2026-11-20T09:00:02.100Z", "end": "2026-11-20T09:00:03Z", "by": "ann", "reason": "case 7"});
    let (status, pinned) = call(&server, "PUT", "/v1/streams/cam/pins/break-in", &pin);
    assert_eq!((status, &pinned["fragments"], &pinned["by"]), (200, &json!(1), &json!("ann")), "{pinned}");
    let bytes = pinned["bytes"].as_u64().unwrap();

    // The newest fragment fits, and nothing more.
    let info = call(&server, "GET", "/v1/streams/cam", &Value::Null).1;
    let one = info["fragments"]["bytes"].as_u64().unwrap() / 10 * 3 / 2;
    let limits = json!({"retention": {"max_bytes": one, "max_age_s": "unlimited"}});
    let (status, changed) = call(&server, "PUT", "/v1/streams/cam", &limits);
    assert_eq!(status, 200);
    let kept = listed(&server, "cam");
    assert_eq!((kept.first(), kept.last()), (Some(&3), Some(&10)), "{kept:?}");
    assert!(kept.len() <= 3, "{kept:?}");
    assert_eq!(changed["retention"]["max_bytes"], json!(one));
    assert_eq!(changed["retention"]["max_age_s"], json!("unlimited"));
    assert_eq!(changed["fragments"]["count"], json!(kept.len()));
    assert_eq!(get(server.address, "/v1/streams/cam/fragments/1.mkv").status, 404);
    assert_eq!(get(server.address, "/v1/streams/cam/fragments/3.mkv").status, 200);

    let (_, pins) = call(&server, "GET", "/v1/streams/cam/pins", &Value::Null);
    assert_eq!(pins["pins"][0]["bytes"], json!(bytes));
    server.kill();

    let server = start(folder.path(), &[]);
    assert_eq!(listed(&server, "cam"), kept);
    assert_eq!(call(&server, "DELETE", "/v1/streams/cam/pins/break-in", &Value::Null).0, 204);
    assert_eq!(call(&server, "DELETE", "/v1/streams/cam/pins/break-in", &Value::Null).0, 404);
    assert!(!listed(&server, "cam").contains(&3));
    // Only what is named changes; null is the server's own limit again.
    let (_, changed) = call(&server, "PUT", "/v1/streams/cam", &json!({"retention": {"max_age_s": null}}));
    assert_eq!(changed["retention"]["max_age_s"], Value::Null);
    assert_eq!(changed["retention"]["max_bytes"], json!(one));
}

#[test]
fn what_is_not_understood_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    for bad in [
        json!({"retention": {"max_age": 5}}),
        json!({"retention": {"max_age_s": 0}}),
        json!({"retention": {"max_age_s": "1d"}}),
        json!({"max_age_s": 5}),
        json!([1]),
    ] {
        let (status, error) = call(&server, "PUT", "/v1/streams/cam", &bad);
        assert_eq!((status, &error["error"]["code"]), (400, &json!("invalid_body")), "{error}");
    }
    assert_eq!(get(server.address, "/v1/streams/cam").status, 404, "nothing was created");
    assert_eq!(call(&server, "PUT", "/v1/streams/cam", &Value::Null).0, 201);
    let bad = json!({"start": "2026-11-20T09:00:03Z", "end": "2026-11-20T09:00:02Z"});
    assert_eq!(call(&server, "PUT", "/v1/streams/cam/pins/a", &bad).0, 400);
    assert_eq!(call(&server, "PUT", "/v1/streams/none/pins/a", &bad).0, 404);
}

#[test]
fn refusals_have_codes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    assert_eq!(call(&server, "PUT", "/v1/streams/cam", &Value::Null).0, 201);
    let large = json!({"reason": "x".repeat(100_000)});
    let reversed = json!({"start": "2026-11-20T09:00:03Z", "end": "2026-11-20T09:00:02Z"});
    let late = json!({"start": "2026-11-20T09:00:03Z", "end": "9999-12-31T23:59:59Z"});
    for (path, body, status, code, says) in [
        ("/v1/streams/cam", &large, 413, "body_too_large", "larger"),
        ("/v1/streams/cam/pins/a", &large, 413, "body_too_large", "larger"),
        ("/v1/streams/cam/pins/a", &reversed, 400, "invalid_input", "not after its start"),
        ("/v1/streams/cam/pins/a%20b", &late, 400, "invalid_body", "to 9999-12-30T00:00:00.000Z"),
    ] {
        let (answered, error) = call(&server, "PUT", path, body);
        assert_eq!((answered, &error["error"]["code"]), (status, &json!(code)), "{path}: {error}");
        assert!(error["error"]["message"].as_str().unwrap().contains(says), "{path}: {error}");
    }
    server.stop();
}

#[test]
fn the_server_tells_its_room_and_what_limits_it() {
    let folder = tempfile::tempdir().unwrap();
    let flags =
        ["--max-age", "30d", "--max-bytes", "2GB", "--max-total-bytes", "50GB", "--keep-free-bytes", "20MiB"];
    let server = start(folder.path(), &flags);
    push(&server, "cam");
    let (status, storage) = call(&server, "GET", "/v1/storage", &Value::Null);
    assert_eq!(status, 200);
    let limits = ["default_max_age_s", "default_max_bytes", "max_total_bytes", "keep_free_bytes"];
    let told = limits.map(|name| storage[name].as_u64().unwrap());
    assert_eq!(told, [30 * 86_400, 2_000_000_000, 50_000_000_000, 20 << 20]);
    assert!(storage["used_bytes"].as_u64().unwrap() > 300_000, "{storage}");
    assert!(storage["free_bytes"].as_u64() < storage["disk_bytes"].as_u64());
    assert_eq!(storage["state"], json!("ample"));
    let (_, stream) = call(&server, "GET", "/v1/streams/cam", &Value::Null);
    assert_eq!(stream["retention"]["effective_max_age_s"], json!(30 * 86_400));
    // A day after it arrived the oldest fragment will be too old, at the same time of day.
    let limits = json!({"retention": {"max_age_s": 86_400}});
    let (_, stream) = call(&server, "PUT", "/v1/streams/cam", &limits);
    let next = &stream["retention"]["next_expiry"];
    let (_, list) = call(&server, "GET", "/v1/streams/cam/fragments?limit=1", &Value::Null);
    let [at, arrived] = [&next["at"], &list["fragments"][0]["server_time"]].map(|at| at.as_str().unwrap());
    assert_eq!((&next["limit"], &at[10..]), (&json!("age"), &arrived[10..]), "{next}");
    assert_ne!(&at[..10], &arrived[..10]);
    let metrics = get(server.address, "/metrics").text();
    for name in ["kinora_storage_free_bytes", "kinora_storage_used_bytes", "kinora_storage_keep_free_bytes"] {
        assert!(metrics.contains(name), "{name}:\n{metrics}");
    }
}
