//! The configuration file and `kinora limits`, as an operator meets them: real processes, a real
//! clip.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]
#![expect(clippy::panic, reason = "likewise")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use kinora_test_support::{Server, camera_clip, get, request};

const KINORA: &str = env!("CARGO_BIN_EXE_kinora");

fn kinora(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(KINORA).args(arguments).envs(variables.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Starts a server with this configuration; gives the file's path too.
fn start(folder: &Path, config: &str) -> (Server, String) {
    let path = folder.join("kinora.toml").to_string_lossy().into_owned();
    std::fs::write(&path, config).unwrap();
    (Server::start(Path::new(KINORA), &folder.join("data"), &["--config", &path]), path)
}

fn push(server: &Server, stream: &str) {
    let media = std::fs::read(camera_clip(10)).unwrap();
    let path = format!("/v1/streams/{stream}/media?start=2026-11-20T09:00:00Z");
    let answer = request(server.address, "POST", &path, &[], &media);
    assert_eq!(answer.text().matches("persisted").count(), 10, "{}", answer.text());
}

fn listed(server: &Server, stream: &str) -> usize {
    get(server.address, &format!("/v1/streams/{stream}/fragments")).text().matches("\"number\"").count()
}

/// Sends SIGHUP and waits until the server has logged `words` once more.
fn hang_up(server: &Server, words: &str) {
    let count = || server.logged().matches(words).count();
    let before = count();
    assert!(Command::new("kill").args(["-HUP", &server.id().to_string()]).status().unwrap().success());
    for _ in 0..2000 {
        if count() > before {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the server did not log '{words}':\n{}", server.logged());
}

/// What `kinora limits` prints.
fn limits(server: &Server, arguments: &[&str]) -> String {
    let address = format!("http://{}", server.address);
    let output = kinora(&[&["limits", "--server", &address], arguments].concat(), &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn arguments_count_before_variables_and_variables_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.toml").to_string_lossy().into_owned();
    std::fs::write(&path, "listen = \"0.0.0.0:1\"\ntls_cert = \"cert.pem\"\n").unwrap();
    let told = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = kinora(&[&["serve"], arguments].concat(), variables);
        assert!(!output.status.success());
        text(&output.stderr)
    };
    let file = ["--config", path.as_str()];
    let variable = ("KINORA_LISTEN", "0.0.0.0:2");
    assert!(told(&file, &[]).contains("listening on 0.0.0.0:1 lets"));
    assert!(told(&[], &[("KINORA_CONFIG", path.as_str())]).contains("listening on 0.0.0.0:1 lets"));
    assert!(told(&file, &[variable]).contains("listening on 0.0.0.0:2 lets"));
    let flag = ["--config", path.as_str(), "--listen", "0.0.0.0:3"];
    assert!(told(&flag, &[variable]).contains("listening on 0.0.0.0:3 lets"));
    // A certificate without its key is no way to serve without TLS.
    let loopback = ["--config", path.as_str(), "--listen", "127.0.0.1:0"];
    assert!(told(&loopback, &[]).contains("TLS needs both"));
    // Files are looked for where the configuration lies.
    let with_key = [&loopback[..], &["--tls-key", "none.pem"]].concat();
    let cert = folder.path().join("cert.pem");
    assert!(told(&with_key, &[]).contains(&*cert.to_string_lossy()), "{}", told(&with_key, &[]));
}

#[test]
fn what_is_wrong_is_told_by_file_line_and_key_without_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.toml").to_string_lossy().into_owned();
    for (config, expected) in [
        ("# mine\nmax_age = \"30 days\"\n", "line 2, max_age: write a whole number and one of w, d"),
        ("\n\nlsten = \"a:1\"\n", "line 3, lsten: unknown field `lsten`, expected one of `listen`"),
        ("[streams.cam1]\nmax_bytes = \"5\"\nmax_agee = \"1d\"\n", "line 3, max_agee: unknown field"),
        ("[streams.\"a/b\"]\nmax_bytes = 5\n", "line 1: a stream name holds letters"),
        ("segment_bytes = 5\n", "line 1, segment_bytes: 64KiB to 2GiB make sense"),
        ("token = \"hunter2\nlisten = \"x\"\n", "line 1, token: "),
        ("token = hunter2\n", "line 1, token: "),
    ] {
        std::fs::write(&path, config).unwrap();
        let output = kinora(&["serve", "--config", &path], &[]);
        let told = text(&output.stderr);
        assert!(
            !output.status.success() && told.contains(&format!("{path}, {expected}")),
            "{config}\n{told}"
        );
        assert!(!told.contains("hunter2"), "{told}");
    }
    let missing = folder.path().join("none.toml").to_string_lossy().into_owned();
    let told = text(&kinora(&["serve", "--config", &missing], &[]).stderr);
    assert!(told.contains(&format!("cannot read the configuration {missing}")), "{told}");
}

#[test]
fn limits_are_read_again_on_sighup_and_hold_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (server, path) = start(folder.path(), "max_bytes = \"1GB\"\n");
    for stream in ["cam1", "cam2"] {
        push(&server, stream);
    }
    hang_up(&server, "limits read again");
    assert_eq!((listed(&server, "cam1"), listed(&server, "cam2")), (10, 10));

    // The newest fragment stays, and nothing more.
    std::fs::write(&path, "listen = \"127.0.0.1:9\"\n[streams.cam1]\nmax_bytes = 70_000\n").unwrap();
    hang_up(&server, "limits read again");
    assert!((1..5).contains(&listed(&server, "cam1")), "{}", listed(&server, "cam1"));
    assert_eq!(listed(&server, "cam2"), 10);
    assert!(server.logged().contains("what is not a limit counts from the next start"));

    std::fs::write(&path, "max_bytes = 1\nnonsense\n").unwrap();
    hang_up(&server, "the limits stay as they are");
    assert_eq!(listed(&server, "cam2"), 10);
    server.stop();
}

#[test]
fn limits_are_shown_and_changed_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = "max_age = \"30d\"\nmax_total_bytes = \"2TB\"\n[streams.cam2]\nmax_bytes = \"20GB\"\n";
    let (server, _) = start(folder.path(), config);
    for stream in ["cam1", "cam2"] {
        push(&server, stream);
    }
    let words = |shown: &str, stream: &str| -> Vec<String> {
        let line = shown.lines().find(|line| line.starts_with(stream)).unwrap_or_else(|| panic!("{shown}"));
        line.split_whitespace().map(str::to_owned).collect()
    };
    let shown = limits(&server, &[]);
    assert_eq!(words(&shown, "cam1").get(1..3).unwrap(), ["30d", "unlimited"], "{shown}");
    assert_eq!(words(&shown, "cam2").get(1..3).unwrap(), ["30d", "20GB"], "{shown}");
    assert!(shown.contains(" of 2TB on disk") && shown.contains("forecast: at "), "{shown}");
    assert!(words(&shown, "cam1").last().unwrap().starts_with("2026-11-20T09:00:00"), "{shown}");

    let shown = limits(&server, &["cam2", "--max-age", "unlimited", "--max-bytes", "70kB"]);
    assert_eq!(words(&shown, "cam2").get(1..3).unwrap(), ["unlimited*", "70kB*"], "{shown}");
    assert!(!shown.contains("cam1 "), "{shown}");
    assert!(listed(&server, "cam2") < 5, "it holds at once");
    // What is not named stays.
    let shown = limits(&server, &["cam2", "--max-bytes", "default"]);
    assert_eq!(words(&shown, "cam2").get(1..3).unwrap(), ["unlimited*", "20GB"], "{shown}");

    let address = format!("http://{}", server.address);
    let refused = |arguments: &[&str]| {
        let output = kinora(&[&["limits", "--server", &address], arguments].concat(), &[]);
        assert!(!output.status.success());
        text(&output.stderr)
    };
    let told = refused(&["cam3", "--max-age", "1d"]);
    assert!(told.contains("cam3"), "{told}");
    assert_eq!(get(server.address, "/v1/streams/cam3").status, 404, "a mistyped name creates nothing");
    assert!(refused(&["--max-age", "1d"]).contains("STREAM"));
    assert!(refused(&["cam1", "--max-age", "soon"]).contains("such as 30d"));
}
