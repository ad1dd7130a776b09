//! A full disk: a small ext4 file system, with the index on it, is filled until nothing is left, by
//! recordings and by others. What was acknowledged stays, and everything but recording goes on.
//!
//! It needs the right to mount; without it, it says so and passes.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]
#![expect(clippy::indexing_slicing, reason = "likewise")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use kinora_test_support::{Answer, Server, camera_clip, get, request};
use serde_json::Value;

const KINORA: &str = env!("CARGO_BIN_EXE_kinora");
/// Small enough to be filled in seconds, large enough for what is kept free.
const DISK_BYTES: u64 = 96 << 20;

/// An ext4 file system in a file; unmounted when dropped.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// None, with the reason printed, where nobody may mount.
    fn mounted() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(DISK_BYTES).unwrap();
        let disk = Self { folder };
        std::fs::create_dir(disk.path()).unwrap();
        let made = run("mkfs.ext4", &["-q", "-F", &image.to_string_lossy()]);
        let mounted = made.and_then(|()| {
            run("mount", &["-o", "loop", &image.to_string_lossy(), &disk.path().to_string_lossy()])
        });
        match mounted {
            Ok(()) => Some(disk),
            Err(reason) => {
                eprintln!("skipped: a real disk to fill needs mkfs.ext4 and the right to mount ({reason})");
                None
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// The data directory, by a name beside the disk, so that the server's log is not on it.
    fn data(&self) -> PathBuf {
        let data = self.folder.path().join("data");
        if !data.exists() {
            std::fs::create_dir(self.path().join("data")).unwrap();
            std::os::unix::fs::symlink(self.path().join("data"), &data).unwrap();
        }
        data
    }

    /// Takes every byte that is left, those for the administrator, too.
    fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.path().join("filler")).unwrap();
        let mut block = vec![7; 1 << 20];
        while !block.is_empty() {
            if filler.write_all(&block).and_then(|()| filler.sync_all()).is_err() {
                block.truncate(block.len() / 4);
            }
        }
    }

    fn unfill(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", &self.path().to_string_lossy()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|e| format!("{program}: {e}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {complaint}")) }
}

/// Pushes once; the fragments that were acknowledged as persisted, and the error's code.
fn push(server: &Server, stream: &str, media: &[u8]) -> (Vec<u64>, Option<String>) {
    let answer = request(server.address, "POST", &format!("/v1/streams/{stream}/media"), &[], media);
    let text = answer.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let persisted = lines.iter().filter(|line| line["event"] == "persisted");
    let error = lines.iter().find_map(|line| line["error"]["code"].as_str());
    (persisted.map(|line| line["fragment"].as_u64().unwrap()).collect(), error.map(str::to_owned))
}

fn assert_served(server: &Server, acknowledged: &[(String, u64)]) {
    for (stream, number) in acknowledged {
        let answer = get(server.address, &format!("/v1/streams/{stream}/fragments/{number}.mkv"));
        assert_eq!(answer.status, 200, "fragment {number} of {stream}: {}", answer.text());
    }
    let playlist = get(server.address, "/v1/streams/cam0/hls/index.m3u8");
    assert_eq!(playlist.status, 200, "{}", playlist.text());
}

fn readiness(server: &Server) -> (u16, String) {
    let answer = get(server.address, "/readyz");
    (answer.status, answer.text())
}

fn delete(server: &Server, stream: &str) -> Answer {
    request(server.address, "DELETE", &format!("/v1/streams/{stream}"), &[], b"")
}

fn start(disk: &SmallDisk) -> Server {
    Server::start(Path::new(KINORA), &disk.data(), &["--segment-bytes", "4000000"])
}

/// The numbers that a stream lists.
fn listed(server: &Server, stream: &str) -> (u64, u64) {
    let info: Value =
        serde_json::from_slice(&get(server.address, &format!("/v1/streams/{stream}")).body).unwrap();
    let number = |which: &str| info["fragments"][which].as_u64().unwrap();
    (number("first"), number("last"))
}

#[test]
fn recordings_make_room_for_newer_ones_and_never_fill_the_disk() {
    let Some(disk) = SmallDisk::mounted() else { return };
    let media = std::fs::read(camera_clip(10)).unwrap();
    let mut server = start(&disk);
    let mut acknowledged = Vec::new();
    let mut pushed = 0;
    while pushed < 2 * DISK_BYTES {
        let stream = ["cam0", "cam1"][acknowledged.len() / 10 % 2];
        let (numbers, error) = push(&server, stream, &media);
        assert_eq!((numbers.len(), error), (10, None), "after {pushed} bytes");
        acknowledged.extend(numbers.into_iter().map(|number| (stream.to_owned(), number)));
        pushed += media.len() as u64;
    }
    assert_eq!(readiness(&server).0, 200);
    // What is listed is served, and nothing else; a crash changes neither.
    for kill in [true, false] {
        for (stream, last) in acknowledged.iter().rev().take(20).cloned().collect::<Vec<_>>() {
            assert!(listed(&server, &stream).1 >= last);
        }
        let oldest = ["cam0", "cam1"].map(|stream| (stream, listed(&server, stream).0));
        assert!(oldest.iter().all(|(_, first)| *first > 1), "{oldest:?}");
        let (kept, gone): (Vec<_>, Vec<_>) = acknowledged.iter().cloned().partition(|(stream, number)| {
            oldest.iter().any(|(name, first)| name == stream && number >= first)
        });
        assert!(kept.len() > 500, "{}", kept.len());
        assert_served(&server, &kept);
        for (stream, number) in gone.iter().step_by(50) {
            let answer = get(server.address, &format!("/v1/streams/{stream}/fragments/{number}.mkv"));
            assert_eq!(answer.status, 404, "{}", answer.text());
        }
        if kill {
            server.kill()
        } else {
            server.stop()
        }
        server = start(&disk);
        assert!(!server.logged().contains("damage"), "{}", server.logged());
    }
    server.stop();
}

#[test]
fn a_disk_filled_to_the_last_byte_by_others_is_survived() {
    let Some(disk) = SmallDisk::mounted() else { return };
    let media = std::fs::read(camera_clip(10)).unwrap();
    let server = start(&disk);
    let mut acknowledged = Vec::new();
    for stream in ["cam0", "cam1", "cam0", "cam2"] {
        let (numbers, error) = push(&server, stream, &media);
        assert_eq!((numbers.len(), error), (10, None));
        acknowledged.extend(numbers.into_iter().map(|number| (stream.to_owned(), number)));
    }
    disk.fill();
    for _ in 0..3 {
        // Room reserved before may still take some; then it is said clearly.
        push(&server, "cam0", &media);
    }
    assert_eq!(push(&server, "cam0", &media).1.as_deref(), Some("storage_full"));
    assert_eq!(readiness(&server).0, 503);
    assert_served(&server, &acknowledged);
    assert_eq!(delete(&server, "cam2").status, 204);
    acknowledged.retain(|(stream, _)| stream != "cam2");

    // A crash, a start, an orderly stop and another start, all without a byte to spare.
    server.kill();
    // It leaves the index as one file, so that the next start must create those beside it.
    let rebuilt = Command::new(KINORA).arg("rebuild-index").arg("--data-dir").arg(disk.data()).status();
    assert!(rebuilt.unwrap().success());
    disk.fill();
    let server = start(&disk);
    assert_served(&server, &acknowledged);
    assert_eq!(delete(&server, "cam1").status, 204);
    acknowledged.retain(|(stream, _)| stream == "cam0");
    server.stop();
    disk.fill();
    let server = start(&disk);
    assert_served(&server, &acknowledged);
    assert_eq!(get(server.address, "/v1/streams/cam1").status, 404);

    disk.unfill();
    let (more, error) = push(&server, "cam0", &media);
    assert_eq!((more.len(), error), (10, None));
    server.stop();
    let verified = Command::new(KINORA).arg("verify").arg("--data-dir").arg(disk.data()).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
