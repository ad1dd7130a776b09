//! What is said beside the media: validators, caching, and errors that say what is wrong.

use kinora_test_support::{Answer, request};
use serde_json::Value;

use super::bench::Bench;
use super::codecs::h264_aac;

const START_MS: i64 = 1_767_225_600_000;

fn conditional(bench: &Bench, target: &str, etag: &str) -> Answer {
    request(bench.address(), "GET", target, &[&format!("If-None-Match: {etag}")], b"")
}

#[test]
fn media_never_changes_and_says_so() {
    let bench = Bench::new();
    bench.push("cam", &format!("?start={START_MS}"), &h264_aac());
    let init = bench.media("cam", "video", "").segments[0].init.clone();
    let files = [
        (format!("hls/video/{init}"), "video/mp4"),
        ("hls/video/1.m4s".into(), "video/mp4"),
        ("hls/audio/1.m4s".into(), "audio/mp4"),
        ("fragments/1.mp4".into(), "video/mp4"),
        ("fragments/1.mkv".into(), "video/x-matroska"),
    ];
    let mut etags = Vec::new();
    for (file, content_type) in &files {
        let target = format!("/v1/streams/cam/{file}");
        let whole = bench.get(&target);
        assert_eq!((whole.status, whole.header("content-type")), (200, Some(*content_type)), "{file}");
        let caching = whole.header("cache-control").unwrap();
        assert!(caching.contains("immutable") && caching.contains("max-age=31536000"), "{file}: {caching}");
        assert_eq!(whole.header("content-length"), Some(whole.body.len().to_string().as_str()), "{file}");
        let etag = whole.header("etag").unwrap().to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{file}: {etag}");
        let version = kinora::playback::MUXER_VERSION.to_string();
        assert_eq!(etag.split('-').nth(1), Some(version.as_str()), "{file}: {etag} outlives the muxer");
        for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}")] {
            let known_already = conditional(&bench, &target, &known);
            assert_eq!((known_already.status, known_already.body.len()), (304, 0), "{file}: {known}");
            assert_eq!(known_already.header("etag"), Some(etag.as_str()), "{file}");
            assert_eq!(known_already.header("cache-control"), Some(caching), "{file}");
        }
        assert_eq!(conditional(&bench, &target, "\"other\"").body, whole.body, "{file}");
        assert_eq!(bench.fetch(&target), whole.body, "{file} is not the same twice");
        let head = request(bench.address(), "HEAD", &target, &[], b"");
        assert_eq!((head.status, head.body.len()), (200, 0), "{file}");
        assert_eq!(head.header("content-length"), whole.header("content-length"), "{file}");
        etags.push(etag);
    }
    // Whoever makes up a validator does not learn that something is there which is not.
    let made_up = |from: &str, to: &str, etag: &str| {
        let target = format!("/v1/streams/cam/{}", files[1].0.replace(from, to));
        conditional(&bench, &target, &etag.replace(from, to)).status
    };
    assert_eq!(made_up("1.m4s", "999.m4s", &etags[1]), 404);
    assert_eq!(made_up("video", "video7", &etags[1]), 404);
    let fragment = "/v1/streams/cam/fragments/999.mkv";
    assert_eq!(conditional(&bench, fragment, &etags[4].replace("1.mkv", "999.mkv")).status, 404);
    // A stream of the same name that is made anew has other media under the same addresses.
    assert_eq!(request(bench.address(), "DELETE", "/v1/streams/cam", &[], b"").status, 204);
    assert_eq!(bench.get("/v1/streams/cam/hls/video/1.m4s").status, 404);
    assert_eq!(conditional(&bench, "/v1/streams/cam/hls/video/1.m4s", &etags[1]).status, 404);
    bench.push("cam", &format!("?start={START_MS}"), &h264_aac());
    for ((file, _), etag) in files.iter().zip(&etags) {
        assert_eq!(conditional(&bench, &format!("/v1/streams/cam/{file}"), etag).status, 200, "{file}");
    }
    // Playlists are made anew each time.
    for target in ["hls/index.m3u8", "hls/video/index.m3u8", "hls/video/index.m3u8?start=0&end=2000000000000"]
    {
        let playlist = bench.get(&format!("/v1/streams/cam/{target}"));
        assert_eq!(playlist.header("content-type"), Some("application/vnd.apple.mpegurl"), "{target}");
        assert!(playlist.header("cache-control").unwrap().contains("no-cache"), "{target}");
    }
}

#[test]
fn what_is_not_there_or_makes_no_sense_gets_a_clear_error() {
    let bench = Bench::new();
    bench.push("cam", &format!("?start={START_MS}"), &h264_aac());
    assert_eq!(request(bench.address(), "PUT", "/v1/streams/empty", &[], b"").status, 201);
    let (late, later) = (START_MS + 60_000, START_MS + 70_000);
    let cases = [
        (404, "stream_not_found", "/v1/streams/nobody".to_owned()),
        (404, "stream_not_found", "/v1/streams/nobody/hls/index.m3u8".to_owned()),
        (404, "stream_not_found", "/v1/streams/nobody/hls/video/index.m3u8".to_owned()),
        (404, "stream_not_found", "/v1/streams/nobody/hls/video/1.m4s".to_owned()),
        (404, "stream_not_found", "/v1/streams/nobody/fragments".to_owned()),
        (404, "stream_not_found", "/v1/streams/nobody/timeline".to_owned()),
        (400, "invalid_stream_name", "/v1/streams/no%20body".to_owned()),
        (404, "rendition_not_found", "/v1/streams/cam/hls/video2/index.m3u8".to_owned()),
        (404, "rendition_not_found", "/v1/streams/cam/hls/subtitles/1.m4s".to_owned()),
        (404, "fragment_not_found", "/v1/streams/cam/fragments/99".to_owned()),
        (404, "fragment_not_found", "/v1/streams/cam/fragments/99.mp4".to_owned()),
        (404, "fragment_not_found", "/v1/streams/cam/fragments/99.mkv".to_owned()),
        (404, "fragment_not_found", "/v1/streams/cam/hls/video/99.m4s".to_owned()),
        (400, "invalid_parameter", "/v1/streams/cam/fragments/0".to_owned()),
        (400, "invalid_parameter", "/v1/streams/cam/fragments/one.mp4".to_owned()),
        (404, "no_such_format", "/v1/streams/cam/fragments/1.avi".to_owned()),
        (404, "no_such_file", "/v1/streams/cam/hls/video/1.ts".to_owned()),
        (404, "no_such_file", "/v1/streams/cam/hls/video/0.m4s".to_owned()),
        (404, "", "/v1/streams/cam/hls/video/init-99.mp4".to_owned()),
        (404, "no_media", "/v1/streams/empty/hls/index.m3u8".to_owned()),
        (404, "no_media", "/v1/streams/empty/hls/video/index.m3u8".to_owned()),
        (404, "no_media", format!("/v1/streams/cam/hls/index.m3u8?start={late}&end={later}")),
        (404, "no_media", format!("/v1/streams/cam/hls/video/index.m3u8?start={late}")),
        (400, "invalid_parameter", format!("/v1/streams/cam/hls/index.m3u8?start={later}&end={late}")),
        (400, "invalid_parameter", format!("/v1/streams/cam/hls/index.m3u8?start={late}&end={late}")),
        (400, "invalid_parameter", format!("/v1/streams/cam/fragments?start={later}&end={late}")),
        (400, "invalid_parameter", "/v1/streams/cam/hls/index.m3u8?start=yesterday".to_owned()),
        (
            400,
            "invalid_parameter",
            "/v1/streams/cam/hls/video/index.m3u8?end=2026-13-01T00:00:00Z".to_owned(),
        ),
        (400, "invalid_parameter", "/v1/streams/cam/timeline?start=noon".to_owned()),
        (400, "invalid_parameter", "/v1/streams/cam/fragments?limit=0".to_owned()),
        (400, "invalid_parameter", "/v1/streams/cam/fragments?limit=1001".to_owned()),
        (400, "invalid_parameter", "/v1/streams/cam/fragments?by=weather".to_owned()),
        (400, "invalid_parameter", "/v1/streams/cam/fragments?token=nonsense".to_owned()),
        (404, "no_such_route", "/v1/nothing".to_owned()),
        (400, "invalid_path", "/v1/streams/%FF".to_owned()),
        (400, "invalid_path", "/v1/streams/cam/hls/%FF/index.m3u8".to_owned()),
        (405, "method_not_allowed", "/v1/streams/cam/media".to_owned()),
    ];
    for (status, code, target) in cases {
        let answer = bench.get(&target);
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{target}: {e}"));
        let error = &body["error"];
        assert!(code.is_empty() || error["code"] == code, "{target}: {body}");
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{target}: {body}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{target}");
    }
    // An error is no reason to keep it.
    let missing = bench.get("/v1/streams/cam/hls/video/4.m4s");
    assert!(missing.header("cache-control").is_none_or(|caching| !caching.contains("immutable")));
    let wrong = request(bench.address(), "PATCH", "/v1/streams/cam", &[], b"");
    assert_eq!(wrong.status, 405, "{}", wrong.text());
    assert!(wrong.text().contains(r#""code":"method_not_allowed""#), "{}", wrong.text());
    assert!(wrong.header("allow").is_some_and(|allowed| allowed.contains("DELETE")));
}
