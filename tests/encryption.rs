//! Encryption at rest as an operator meets it: keys from the command line, a real server, a real
//! clip, real players.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]
#![expect(clippy::indexing_slicing, reason = "likewise")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use kinora_test_support::{Server, camera_clip, get, request};

const KINORA: &str = env!("CARGO_BIN_EXE_kinora");

fn kinora(arguments: &[&str], variable: &str) -> Output {
    let mut command = Command::new(KINORA);
    command.args(arguments).env("KINORA_ENCRYPTION_KEY", variable).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A hash of every picture that a player decodes from `input`.
fn pictures(input: &str) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args([
            "-hide_banner",
            "-nostdin",
            "-v",
            "error",
            "-i",
            input,
            "-map",
            "0:v",
            "-fps_mode",
            "passthrough",
        ])
        .args(["-f", "framemd5", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{input}: {}", text(&output.stderr));
    let text = text(&output.stdout);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(',').next()).map(|hash| hash.trim().to_owned()).collect()
}

fn assert_plays(server: &Server, clip: &Path) {
    let url = format!(
        "http://{}/v1/streams/cam/hls/index.m3u8?start=2026-01-31T01:00:00Z&end=2026-01-31T02:00:00Z",
        server.address
    );
    let original = pictures(&clip.to_string_lossy());
    assert!(original.len() > 100);
    assert_eq!(pictures(&url), original);
    let single = get(server.address, "/v1/streams/cam/fragments/1.mp4");
    assert_eq!(single.status, 200, "{}", single.text());
    let part =
        request(server.address, "GET", "/v1/streams/cam/fragments/1.mp4", &["Range: bytes=1000-1999"], &[]);
    assert_eq!((part.status, part.body.as_slice()), (206, &single.body[1000..2000]));
}

/// Everything in a folder, in one piece.
fn everything_in(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(everything_in(&path));
            continue;
        }
        let content = std::fs::read(path).unwrap();
        // Room that is only reserved holds nothing.
        let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        all.extend(&content[..used]);
    }
    all
}

#[test]
fn a_clip_is_played_from_an_encrypted_archive_and_only_with_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let (data, key) = (folder.path().join("data"), folder.path().join("key"));
    let key_text = key.to_string_lossy().into_owned();
    let made = kinora(&["key", "generate", "--out", &key_text], "");
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let again = kinora(&["key", "generate", "--out", &key_text], "");
    assert!(!again.status.success() && text(&again.stderr).contains("never overwritten"));

    let start = || Server::start(Path::new(KINORA), &data, &["--encryption-key-file", &key_text]);
    let clip = camera_clip(6);
    let media = std::fs::read(&clip).unwrap();
    let server = start();
    let target = "/v1/streams/cam/media?start=2026-01-31T01:00:00Z";
    let pushed = request(server.address, "POST", target, &[], &media);
    assert!(pushed.text().contains("persisted"), "{}", pushed.text());
    assert_plays(&server, &clip);
    server.stop();

    // Neither samples nor parameter sets are anywhere on the disk.
    let stored = everything_in(&data);
    let somewhere = media.windows(16).skip(media.len() / 2).step_by(media.len() / 8);
    let parameters = media.windows(6).find(|bytes| bytes.starts_with(&[0x67, 0x64])).unwrap();
    for piece in somewhere.chain([parameters]) {
        assert!(!stored.windows(piece.len()).any(|bytes| bytes == piece), "{piece:x?} can be read");
    }
    let verified = kinora(&["verify", "--data-dir", &data.to_string_lossy()], "");
    assert!(verified.status.success(), "no key is needed for checksums: {}", text(&verified.stdout));

    // Without the key, or with another, it does not start, and says which one it wants.
    let print = text(&made.stdout).split_whitespace().nth(1).unwrap().to_owned();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &data.to_string_lossy()];
    for (variable, says) in [("", "no encryption key was given"), (&"ab".repeat(32), "not among those given")]
    {
        let refused = kinora(&serve, variable);
        let said = text(&refused.stderr);
        assert!(!refused.status.success() && said.contains(says) && said.contains(&print), "{said}");
    }

    let server = start();
    assert_plays(&server, &clip);
    server.kill();
    let rotated = kinora(&["key", "rotate", &key_text], "");
    assert!(rotated.status.success(), "{}", text(&rotated.stderr));
    let server = start();
    assert_plays(&server, &clip);
    server.stop();
    // From here on the new key alone is enough.
    let keys = std::fs::read_to_string(&key).unwrap();
    let newest: Vec<&str> = keys.lines().take(2).collect();
    std::fs::write(&key, newest.join("\n")).unwrap();
    let server = start();
    assert_plays(&server, &clip);
    assert!(!server.logged().contains(newest.last().unwrap()), "a key is in the log");
    server.stop();
}

#[test]
fn a_stream_whose_keys_are_lost_hides_neither_other_streams_nor_what_comes_after() {
    let folder = tempfile::tempdir().unwrap();
    let (data, key) = (folder.path().join("data"), folder.path().join("key"));
    let key_text = key.to_string_lossy().into_owned();
    assert!(kinora(&["key", "generate", "--out", &key_text], "").status.success());
    let start = || Server::start(Path::new(KINORA), &data, &["--encryption-key-file", &key_text]);
    let media = std::fs::read(camera_clip(6)).unwrap();
    let push = |server: &Server, target: &str| {
        let pushed = request(server.address, "POST", target, &[], &media);
        assert!(pushed.text().contains("persisted"), "{}", pushed.text());
    };
    let server = start();
    push(&server, "/v1/streams/cam/media?start=2026-01-31T01:00:00Z");
    push(&server, "/v1/streams/other/media");
    server.stop();
    std::fs::remove_file(data.join("streams/cam/keys")).unwrap();

    let server = start();
    let list = get(server.address, "/v1/streams");
    assert_eq!(list.status, 200, "{}", list.text());
    assert!(list.text().contains("\"cam\"") && list.text().contains("\"other\""), "{}", list.text());
    for path in ["/v1/streams/cam", "/v1/streams/cam/fragments"] {
        let answer = get(server.address, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.text().contains("\"tracks\":[]"), "{path}: {}", answer.text());
    }
    // Nothing of it can be played, and that is said.
    let answer = get(server.address, "/v1/streams/cam/fragments/1.mp4");
    assert!(answer.status == 500 && answer.text().contains("corrupt"), "{}", answer.text());

    push(&server, "/v1/streams/cam/media?start=2026-01-31T02:00:00Z");
    assert!(!get(server.address, "/v1/streams/cam").text().contains("\"tracks\":[]"));
    assert_eq!(get(server.address, "/v1/streams/cam/hls/index.m3u8").status, 200);
    let live = get(server.address, "/v1/streams/cam/hls/video/index.m3u8");
    assert!(live.text().contains("#EXT-X-GAP"), "what is lost is a gap: {}", live.text());
    server.stop();
}
