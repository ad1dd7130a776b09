//! Who may talk to the server and who may not, over plain HTTP and over TLS, and what it tells
//! whoever runs it. Asked with curl, so that what is tested is what is on the wire.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that is wrong")]
#![expect(clippy::indexing_slicing, reason = "likewise")]
#![expect(clippy::disallowed_methods, reason = "real processes run on real time")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kinora_test_support::{Server, clip, ffprobe, get, request};
use serde_json::Value;

const KINORA: &str = env!("CARGO_BIN_EXE_kinora");
const TOKEN: &str = "correct-horse-battery";
/// How soon a new certificate must be in use, and other things seen.
const WITHIN: Duration = Duration::from_secs(30);

/// A server with a data folder of its own, removed after the server.
struct Bench {
    server: Server,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(Path::new(KINORA), &folder.path().join("data"), arguments);
        Self { server, folder }
    }

    fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.server.address)
    }

    fn curl(&self, target: &str, arguments: &[&str]) -> Answer {
        curl(&self.url(target), arguments)
    }
}

/// What curl saw.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// Header lines in lower case.
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Asserts that it is an error of this status and code that says what to do.
    fn expect_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let error = &self.json()["error"];
        assert_eq!(error["code"], code, "{self:?}");
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{self:?}");
    }
}

fn curl(url: &str, arguments: &[&str]) -> Answer {
    try_curl(url, arguments).unwrap_or_else(|complaint| panic!("curl {arguments:?} {url}: {complaint}"))
}

fn try_curl(url: &str, arguments: &[&str]) -> Result<Answer, String> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "20", "--path-as-is"])
        .args(arguments)
        .arg(url)
        .output()
        .unwrap_or_else(|e| panic!("cannot run curl ({e}); install it with: apt-get install curl"));
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    // An interim answer ("100 Continue") has a head of its own.
    let mut text = text.as_str();
    loop {
        let (head, body) = text.split_once("\n\n").ok_or("no end of the header")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
        if status != 100 {
            return Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() });
        }
        text = body;
    }
}

fn media() -> PathBuf {
    clip(
        "security-2s.mkv",
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=160x90:rate=10:duration=2",
            "-c:v",
            "libx264",
            "-g",
            "10",
            "-pix_fmt",
            "yuv420p",
            "-preset",
            "ultrafast",
        ],
    )
}

fn push(bench: &Bench, stream: &str, headers: &[&str]) {
    let body = std::fs::read(media()).unwrap();
    let target = format!("/v1/streams/{stream}/media?start=0");
    let answer = request(bench.server.address, "POST", &target, headers, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.text().matches(r#""event":"persisted""#).count(), 2, "{}", answer.text());
}

#[test]
fn on_loopback_other_names_and_other_sites_pages_are_refused() {
    let bench = Bench::new(&[]);
    let port = bench.server.address.port();
    let own = format!("http://localhost:{port}");
    for host in ["evil.example", "evil.example:8080", "192.168.1.2", "127.0.0.1.evil.example"] {
        let host = format!("Host: {host}");
        bench.curl("/v1/streams", &["-H", &host]).expect_error(403, "foreign_host");
        bench.curl("/", &["-H", &host]).expect_error(403, "foreign_host");
    }
    for host in ["localhost", &format!("localhost:{port}"), "127.0.0.1", "[::1]:1"] {
        let answer = bench.curl("/v1/streams", &["-H", &format!("Host: {host}")]);
        assert_eq!(answer.status, 200, "{host}: {answer:?}");
    }
    for origin in ["http://evil.example", "null", "http://localhost:1", "file://"] {
        let origin = format!("Origin: {origin}");
        let file = media();
        let upload = ["-X", "POST", "-H", &origin, "-T", &file.to_string_lossy()].map(str::to_owned);
        let upload: Vec<&str> = upload.iter().map(String::as_str).collect();
        bench.curl("/v1/streams/driven/media", &upload).expect_error(403, "foreign_origin");
        bench.curl("/v1/streams/driven", &["-X", "PUT", "-H", &origin]).expect_error(403, "foreign_origin");
        bench.curl("/v1/streams", &["-H", &origin]).expect_error(403, "foreign_origin");
    }
    assert_eq!(get(bench.server.address, "/v1/streams/driven").status, 404, "a page elsewhere made a stream");
    let host = format!("Host: localhost:{port}");
    let answer = bench.curl("/v1/streams", &["-H", &host, "-H", &format!("Origin: {own}")]);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn no_answer_lets_other_sites_read_it() {
    let bench = Bench::new(&[]);
    push(&bench, "cam", &[]);
    let own = format!("Origin: http://{}", bench.server.address);
    let foreign = "Origin: http://evil.example";
    let preflight = ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: POST"];
    for target in [
        "/",
        "/v1/streams",
        "/v1/streams/cam/hls/index.m3u8",
        "/v1/streams/cam/hls/video/1.m4s",
        "/v1/streams/cam/media",
        "/metrics",
        "/openapi.json",
        "/nowhere.js",
    ] {
        for arguments in [
            vec!["-H", &own],
            vec!["-H", foreign],
            [&["-H", &own], &preflight[..]].concat(),
            [&["-H", foreign], &preflight[..]].concat(),
        ] {
            let answer = bench.curl(target, &[&arguments[..], &["-o", "-"]].concat());
            assert!(!answer.head.contains("access-control-"), "{target} {arguments:?}: {}", answer.head);
        }
    }
}

#[test]
fn beyond_loopback_a_token_is_demanded_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for (listen, token) in [("0.0.0.0:0", None), ("[::]:0", None), ("0.0.0.0:0", Some(""))] {
        let mut command = Command::new(KINORA);
        command.args(["serve", "--listen", listen, "--data-dir"]).arg(&data).env_remove("KINORA_TOKEN");
        if let Some(token) = token {
            command.env("KINORA_TOKEN", token);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{listen}: {output:?}");
        assert!(said.contains("--token") && said.contains("127.0.0.1"), "{listen}: {said}");
        assert!(output.stdout.is_empty() && !data.exists(), "{listen}: {output:?}");
    }
    let bench = Bench {
        server: Server::start_at(Path::new(KINORA), "0.0.0.0:0", &data, &["--token", TOKEN]),
        folder,
    };
    // Its names are not known here, so the Host may be any; the token is what counts.
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let answer = bench.curl("/v1/streams", &["-H", "Host: cams.example", "-H", &bearer]);
    assert_eq!(answer.status, 200, "{answer:?}");
    bench.curl("/v1/streams", &["-H", "Host: cams.example"]).expect_error(401, "unauthorized");
    let origin = "Origin: http://evil.example";
    bench.curl("/v1/streams", &["-H", origin, "-H", &bearer]).expect_error(403, "foreign_origin");
}

#[test]
fn with_a_token_only_those_who_show_it_come_in() {
    let bench = Bench::new(&["--token", TOKEN]);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    push(&bench, "cam", &[&bearer]);
    let guarded = [
        "/v1/streams",
        "/v1/streams/cam",
        "/v1/streams/cam/fragments",
        "/v1/streams/cam/fragments/1.mp4",
        "/v1/streams/cam/fragments/1.mkv",
        "/v1/streams/cam/timeline",
        "/v1/streams/cam/hls/index.m3u8",
        "/v1/streams/cam/hls/video/index.m3u8",
        "/v1/streams/cam/hls/video/1.m4s",
        "/v1/streams/nobody",
        "/v1/nothing",
        "/metrics",
    ];
    for target in guarded {
        let answer = bench.curl(target, &[]);
        answer.expect_error(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("bearer"), "{answer:?}");
        for wrong in ["Bearer wrong", "Bearer", "Basic Og==", &format!("Bearer {TOKEN}x"), TOKEN] {
            let header = format!("Authorization: {wrong}");
            bench.curl(target, &["-H", &header]).expect_error(401, "unauthorized");
        }
        let shown = bench.curl(target, &["-H", &bearer, "-o", "/dev/null", "-D", "-"]);
        assert!(shown.status == 200 || shown.status == 404, "{target}: {shown:?}");
    }
    for target in ["/./v1/streams", "//v1/streams", "/v1//streams", "/x/../v1/streams", "/%76%31/streams"] {
        let answer = bench.curl(target, &[]);
        assert!(!answer.body.contains("cam"), "{target}: {answer:?}");
    }
    let file = media();
    let upload = ["-X", "POST", "-T", &file.to_string_lossy()].map(str::to_owned);
    let upload: Vec<&str> = upload.iter().map(String::as_str).collect();
    bench.curl("/v1/streams/sneaked/media", &upload).expect_error(401, "unauthorized");
    bench.curl("/v1/streams/sneaked", &["-X", "PUT"]).expect_error(401, "unauthorized");
    bench.curl("/v1/streams/cam", &["-X", "DELETE"]).expect_error(401, "unauthorized");
    let all = bench.curl("/v1/streams", &["-H", &bearer]).json();
    assert_eq!(all["streams"].as_array().unwrap().len(), 1, "{all}");
    for target in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(bench.curl(target, &[]).status, 200, "{target}");
    }
    assert!(!bench.server.logged().contains(TOKEN), "the token is in the log");
}

#[test]
fn what_is_no_origin_and_no_host_is_foreign() {
    let bench = Bench::new(&[]);
    let refused = |headers: &[u8]| {
        let mut socket = std::net::TcpStream::connect(bench.server.address).unwrap();
        let request = [b"GET /v1/streams HTTP/1.1\r\nConnection: close\r\n", headers, b"\r\n"].concat();
        std::io::Write::write_all(&mut socket, &request).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut socket, &mut answer).unwrap();
        answer
    };
    let answer = refused(b"Host: localhost\r\nOrigin: \xff\r\n");
    assert!(answer.contains(" 403 ") && answer.contains("foreign_origin"), "{answer}");
    let answer = refused(b"Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example\r\n");
    assert!(answer.contains("foreign_origin"), "{answer}");
    for host in
        [&b"Host: evil.com@localhost\r\n"[..], b"Host: \xff\r\n", b"Host: localhost\r\nHost: localhost\r\n"]
    {
        let answer = refused(host);
        assert!(answer.contains(" 403 ") || answer.contains(" 400 "), "{answer}");
    }
}

#[test]
fn wrong_tokens_are_answered_late_and_logged_once() {
    let bench = Bench::new(&["--token", TOKEN]);
    let wrong = || {
        let answer = bench.curl("/v1/streams", &["-H", "Authorization: Bearer wrong"]);
        (answer.status == 429).then(|| answer.expect_error(429, "too_many_attempts"));
        answer.status
    };
    let told: Vec<u16> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..40).map(|_| scope.spawn(wrong)).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert!(told.iter().all(|status| matches!(status, 401 | 429)), "{told:?}");
    let answer = bench.curl("/v1/streams", &["-H", &format!("Authorization: Bearer {TOKEN}")]);
    assert!(matches!(answer.status, 200 | 429), "{answer:?}");
    assert_eq!(bench.server.logged().matches("a wrong token was shown").count(), 1);
}

#[test]
fn logging_in_gives_browsers_a_cookie_that_plays() {
    let bench = Bench::new(&["--token", TOKEN]);
    push(&bench, "cam", &[&format!("Authorization: Bearer {TOKEN}")]);
    let log_in = |token: &str| {
        let body = format!(r#"{{"token":"{token}"}}"#);
        bench.curl("/v1/login", &["-H", "Content-Type: application/json", "-d", &body])
    };
    log_in("wrong").expect_error(401, "wrong_token");
    log_in("").expect_error(401, "wrong_token");
    for body in ["", "{}", "[1", r#"{"token":7}"#] {
        let answer = bench.curl("/v1/login", &["-H", "Content-Type: application/json", "-d", body]);
        assert!(
            (400..500).contains(&answer.status) && answer.json()["error"]["code"].is_string(),
            "{answer:?}"
        );
    }
    let answer = log_in(TOKEN);
    assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{answer:?}");
    let set = answer.header("set-cookie").unwrap_or_else(|| panic!("{answer:?}"));
    assert!(set.contains("httponly") && set.contains("samesite=strict") && set.contains("path=/"), "{set}");
    assert!(!set.contains(TOKEN), "the token itself is in the cookie");
    let cookie = format!("Cookie: {}", set.split(';').next().unwrap());
    let master = bench.curl("/v1/streams/cam/hls/index.m3u8?start=0&end=9000", &["-H", &cookie]);
    assert_eq!(master.status, 200, "{master:?}");
    let frames = ffprobe(&[
        "-headers",
        &format!("{cookie}\r\n"),
        "-count_frames",
        "-show_entries",
        "stream=nb_read_frames",
        "-of",
        "csv=p=0",
        &bench.url("/v1/streams/cam/hls/index.m3u8?start=0&end=9000"),
    ]);
    assert!(frames.lines().any(|line| line.trim_matches(',') == "20"), "{frames}");
    // The cookie of one server opens no other with another token.
    let other = Bench::new(&["--token", "another-token"]);
    other.curl("/v1/streams", &["-H", &cookie]).expect_error(401, "unauthorized");
    let out = bench.curl("/v1/logout", &["-X", "POST", "-H", &cookie]);
    assert_eq!(out.status, 204, "{out:?}");
    assert!(out.header("set-cookie").is_some_and(|set| set.contains("max-age=0")), "{out:?}");
}

/// Writes a new self-signed certificate for localhost, and its key, under these names.
fn certify(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (cert, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", &format!("/CN={name}"), "-addext"])
        .args(["subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext"])
        .args(["basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .unwrap_or_else(|e| panic!("cannot run openssl ({e}); install it with: apt-get install openssl"));
    assert!(output.status.success(), "{output:?}");
    (cert, key)
}

#[test]
fn tls_speaks_http_2_and_takes_new_certificates_over() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certify(folder.path(), "serving");
    let (next_cert, next_key) = certify(folder.path(), "next");
    let first = folder.path().join("first.pem");
    std::fs::copy(&cert, &first).unwrap();
    let texts = [&cert, &key, &first, &next_cert].map(|path| path.to_string_lossy().into_owned());
    let [cert_text, key_text, first_text, next_text] = &texts;
    let bench = Bench::new(&["--tls-cert", cert_text, "--tls-key", key_text, "--token", TOKEN]);
    let port = bench.server.address.port();
    let url = |target: &str| format!("https://localhost:{port}{target}");
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let trusting = |ca: &str, target: &str, more: &[&str]| {
        try_curl(&url(target), &[&["--cacert", ca, "-H", &bearer], more].concat())
    };

    let second = trusting(first_text, "/v1/streams", &[]).unwrap();
    assert!(second.head.starts_with("http/2 200"), "{second:?}");
    let one = trusting(first_text, "/v1/streams", &["--http1.1"]).unwrap();
    assert!(one.head.starts_with("http/1.1 200"), "{one:?}");
    curl(&url("/v1/streams"), &["--cacert", first_text]).expect_error(401, "unauthorized");
    assert!(try_curl(&url("/healthz"), &[]).is_err(), "curl trusts a certificate that nobody signed");
    assert!(try_curl(&bench.url("/healthz"), &[]).is_err(), "plain HTTP is answered on the TLS port");
    for old in ["--tls-max 1.1", "--tls-max 1.0"] {
        let old: Vec<&str> = old.split(' ').collect();
        assert!(trusting(first_text, "/healthz", &old).is_err(), "{old:?} is spoken");
    }
    let file = media();
    let upload = ["-X", "POST", "-T", &file.to_string_lossy()].map(str::to_owned);
    let upload: Vec<&str> = upload.iter().map(String::as_str).collect();
    let pushed = trusting(first_text, "/v1/streams/cam/media", &upload).unwrap();
    assert!(pushed.head.starts_with("http/2 200"), "{pushed:?}");
    assert_eq!(pushed.body.matches(r#""event":"persisted""#).count(), 2, "{pushed:?}");

    // Trying again would make no certificate better: kinora push says so at once.
    let push = |more: &[&str]| {
        Command::new(KINORA)
            .args([
                "push",
                &file.to_string_lossy(),
                "--stream",
                "own",
                "--server",
                &url(""),
                "--token",
                TOKEN,
            ])
            .args(more)
            .output()
            .unwrap()
    };
    let (trusted, doubted) = (push(&["--ca-cert", first_text]), push(&[]));
    assert!(trusted.status.success(), "{trusted:?}");
    let said = String::from_utf8_lossy(&doubted.stderr);
    assert!(!doubted.status.success() && said.contains("--ca-cert"), "{said}");
    assert!(!said.contains("trying again"), "{said}");

    let body = format!(r#"{{"token":"{TOKEN}"}}"#);
    let json = "Content-Type: application/json";
    let login = curl(&url("/v1/login"), &["--cacert", first_text, "-H", json, "-d", &body]);
    assert!(login.header("set-cookie").is_some_and(|set| set.contains("secure")), "{login:?}");

    // Half a replacement does no harm: a certificate that does not fit its key is not taken.
    let replace = |from: &Path, to: &Path| {
        let part = to.with_extension("part");
        std::fs::copy(from, &part).unwrap();
        std::fs::rename(part, to).unwrap();
    };
    replace(&next_cert, &cert);
    until(
        WITHIN,
        || bench.server.logged().contains("do not work"),
        "a warning about the half-replaced files",
    );
    assert_eq!(trusting(first_text, "/healthz", &[]).unwrap().status, 200);
    replace(&next_key, &key);
    until(WITHIN, || trusting(next_text, "/healthz", &[]).is_ok(), "the new certificate");
    assert!(trusting(first_text, "/healthz", &[]).is_err(), "the old certificate is still served");
}

fn until(within: Duration, happened: impl Fn() -> bool, what: &str) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < within, "waited {within:?} for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The sum of a metric over those of its samples whose labels contain all of `labels`.
fn metric(text: &str, name: &str, labels: &[&str]) -> f64 {
    let samples = text.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| {
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
        })
    });
    let values: Vec<f64> = samples.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert!(!values.is_empty(), "no {name} with {labels:?} in\n{text}");
    values.iter().sum()
}

#[test]
fn health_and_figures_tell_what_the_server_does() {
    let bench = Bench::new(&[]);
    for target in ["/healthz", "/readyz"] {
        let answer = bench.curl(target, &[]);
        assert_eq!((answer.status, &answer.json()["status"]), (200, &Value::from("ok")), "{answer:?}");
    }
    push(&bench, "cam", &[]);
    push(&bench, "cam", &[]);
    let page = "<!doctype html><title>not a camera</title>";
    assert_eq!(bench.curl("/v1/streams/bad/media", &["-d", page]).status, 400);
    let segment = get(bench.server.address, "/v1/streams/cam/hls/video/1.m4s");
    assert_eq!(segment.status, 200);
    assert_eq!(get(bench.server.address, "/v1/streams/cam/hls/video/index.m3u8").status, 200);

    // A session is counted just after its answer ended.
    let ended = || {
        let text = get(bench.server.address, "/metrics").text();
        text.contains(r#"sessions_total{ending="complete"} 2"#)
            && text.contains(r#"ending="invalid_container""#)
    };
    until(WITHIN, ended, "the sessions to be counted");
    let answer = get(bench.server.address, "/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let text = answer.text();
    // Ingest.
    assert_eq!(metric(&text, "kinora_ingest_sessions_total", &[r#"ending="complete""#]), 2.0);
    assert_eq!(metric(&text, "kinora_ingest_sessions_total", &[r#"ending="invalid_container""#]), 1.0);
    assert_eq!(metric(&text, "kinora_ingest_dropped_acks_total", &[]), 0.0);
    assert_eq!(metric(&text, "kinora_stream_producer_connected", &[r#"stream="cam""#]), 0.0);
    assert_eq!(metric(&text, "kinora_stream_fragments", &[r#"stream="cam""#]), 2.0);
    // Store: the second push repeated the first.
    assert!(metric(&text, "kinora_store_received_bytes_total", &[]) > 1000.0);
    assert_eq!(metric(&text, "kinora_store_received_fragments_total", &[]), 2.0);
    assert_eq!(metric(&text, "kinora_store_repeated_fragments_total", &[]), 2.0);
    assert_eq!(metric(&text, "kinora_store_durable_fragments_total", &[]), 2.0);
    assert_eq!(metric(&text, "kinora_store_lost_fragments_total", &[]), 0.0);
    assert_eq!(metric(&text, "kinora_store_commit_seconds_count", &[]), 2.0);
    assert_eq!(metric(&text, "kinora_store_healthy", &[]), 1.0);
    assert!(metric(&text, "kinora_store_written_bytes_total", &[]) > 0.0);
    assert!(metric(&text, "kinora_store_syncs_total", &[]) > 0.0);
    // Playback.
    let file = r#"route="/v1/streams/{name}/hls/{rendition}/{file}""#;
    assert_eq!(metric(&text, "kinora_http_requests_total", &[file, r#"status="200""#]), 1.0);
    assert_eq!(metric(&text, "kinora_http_response_bytes_total", &[file]), segment.body.len() as f64);
    assert_eq!(metric(&text, "kinora_http_response_seconds_count", &[file]), 1.0);
    let playlist = r#"route="/v1/streams/{name}/hls/{rendition}/index.m3u8""#;
    assert_eq!(metric(&text, "kinora_http_requests_total", &[playlist, r#"status="200""#]), 1.0);
    assert!(bench.folder.path().join("data").exists());
}

#[test]
fn callers_cannot_make_the_figures_grow_and_deleted_streams_leave_them() {
    let bench = Bench::new(&["--token", TOKEN]);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    push(&bench, "gone", &[&bearer]);
    for method in ["BREW", "WHEN", "PROPFIND"] {
        let _answer = bench.curl("/v1/streams", &["-X", method]);
    }
    let figures = || bench.curl("/metrics", &["-H", &bearer]).body;
    let text = figures();
    assert_eq!(metric(&text, "kinora_http_requests_total", &[r#"method="other""#]), 3.0);
    assert!(!text.contains("BREW"), "{text}");
    assert_eq!(metric(&text, "kinora_stream_fragments", &[r#"stream="gone""#]), 2.0);
    assert_eq!(bench.curl("/v1/streams/gone", &["-X", "DELETE", "-H", &bearer]).status, 204);
    assert!(!figures().contains("gone"), "{}", figures());
}
