//! The programs in samples/, each against a real server.

use std::io::Write;
use std::process::{Command, Stdio};

use kinora_test_support::ffprobe;

use super::bench::{Bench, CLIP_SECONDS, ack, five_seconds, five_seconds_of_a_camera, start, succeed};
use super::camera::Camera;

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
    let camera = Camera::showing(five_seconds_of_a_camera());
    let url = format!("rtsp://{}/stream", camera.address);
    succeed(bench.command("samples/rtsp.sh").args([&url, "gate"]));
    camera.finish();
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
