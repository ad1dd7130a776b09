//! `kinora push` over connections that break and servers that die.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is wrong"
)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use kinora_test_support::{Server, camera_clip, clip, ffprobe, get};
use serde_json::Value;

const KINORA: &str = env!("CARGO_BIN_EXE_kinora");

/// Passes connections on to a server, and cuts each after so many bytes from the client.
struct Proxy {
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    /// Bytes after which the next connections are cut, last first; the others are not.
    cuts: Arc<Mutex<Vec<usize>>>,
}

impl Proxy {
    fn new(target: SocketAddr, cuts: Vec<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (target, cuts) = (Arc::new(Mutex::new(target)), Arc::new(Mutex::new(cuts)));
        let (to, limits) = (Arc::clone(&target), Arc::clone(&cuts));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let limit = limits.lock().unwrap().pop().unwrap_or(usize::MAX);
                let Ok(server) = TcpStream::connect(*to.lock().unwrap()) else { continue };
                let (back_from, back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || pass(client, server, limit));
                std::thread::spawn(move || pass(back_from, back_to, usize::MAX));
            }
        });
        Self { address, target, cuts }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut limit: usize) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let taken = read.min(limit);
        if to.write_all(&buffer[..taken]).is_err() || taken < read {
            break;
        }
        limit -= taken;
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn camera() -> PathBuf {
    camera_clip(20)
}

fn push(server: SocketAddr, file: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(KINORA);
    command
        .args([
            "push",
            "--stream",
            "cam",
            "--start",
            "2026-03-01T12:00:00Z",
            "--server",
            &format!("http://{server}"),
        ])
        .args(arguments)
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn fragments(server: &Server) -> Vec<Value> {
    let answer = get(server.address, "/v1/streams/cam/fragments?limit=1000");
    let list: Value = serde_json::from_slice(&answer.body).unwrap();
    list["fragments"].as_array().cloned().unwrap_or_default()
}

/// The samples of every fragment that is whole, in the order of producer time, by checksum.
fn whole(server: &Server, folder: &Path) -> Vec<Samples> {
    let mut whole: Vec<Samples> = fragments(server)
        .into_iter()
        .filter(|fragment| fragment["partial"] == false)
        .map(|fragment| {
            let media = get(server.address, &format!("/v1/streams/cam/fragments/{}.mkv", fragment["number"]));
            let file = folder.join("fragment.mkv");
            std::fs::write(&file, media.body).unwrap();
            let entries = [
                "-show_packets",
                "-show_data_hash",
                "crc32",
                "-show_entries",
                "packet=stream_index,data_hash",
            ];
            let listed = ffprobe(&[&entries[..], &["-of", "csv=p=0", &file.to_string_lossy()]].concat());
            let mut samples: Vec<String> = listed.lines().map(str::to_owned).collect();
            samples.sort();
            Samples { producer_time: fragment["producer_time"].as_str().unwrap().to_owned(), samples }
        })
        .collect();
    whole.sort_by(|a, b| a.producer_time.cmp(&b.producer_time));
    whole
}

#[derive(Debug, PartialEq, Eq)]
struct Samples {
    producer_time: String,
    samples: Vec<String>,
}

#[test]
fn connections_cut_at_any_byte_leave_the_same_as_one_clean_upload() {
    let folder = tempfile::tempdir().unwrap();
    let clean = Server::start(Path::new(KINORA), &folder.path().join("clean"), &[]);
    assert!(push(clean.address, &camera(), &[]).status().unwrap().success());
    let expected = whole(&clean, folder.path());
    assert_eq!(expected.len(), 20);

    let server = Server::start(Path::new(KINORA), &folder.path().join("cut"), &[]);
    let cuts = vec![700_000, 90_001, 300, 61_803, 250_000, 33];
    let proxy = Proxy::new(server.address, cuts);
    let output = push(proxy.address, &camera(), &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(proxy.cuts.lock().unwrap().is_empty(), "not every cut was made");
    assert!(said.contains("trying again"), "{said}");
    let found = whole(&server, folder.path());
    let times = |of: &[Samples]| of.iter().map(|f| f.producer_time.clone()).collect::<Vec<_>>();
    assert_eq!(times(&found), times(&expected), "{said}\n{:#?}", fragments(&server));
    assert!(found == expected, "some fragment holds other samples");
}

#[test]
fn a_change_of_codec_within_a_file_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let clip = |name: &str, codec: &[&str]| {
        let source = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=4", "-g", "25"];
        clip(name, &[&source[..], &["-pix_fmt", "yuv420p", "-c:v"], codec].concat())
    };
    let first = clip("push-h264.mkv", &["libx264", "-preset", "ultrafast"]);
    let second = clip("push-vp8.mkv", &["libvpx", "-deadline", "realtime"]);
    let both = folder.path().join("both.mkv");
    let (first_bytes, second_bytes) = (std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
    std::fs::write(&both, [first_bytes.as_slice(), &second_bytes].concat()).unwrap();
    let server = Server::start(Path::new(KINORA), &folder.path().join("data"), &[]);
    // Cut off at the start, in the middle of each half, and once in nothing but repeats.
    let half = first_bytes.len();
    let cuts = vec![second_bytes.len() / 2, half + second_bytes.len() / 2, 40_000];
    let proxy = Proxy::new(server.address, cuts);
    let output = push(proxy.address, &both, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(proxy.cuts.lock().unwrap().is_empty(), "not every cut was made");
    let complete = fragments(&server).iter().filter(|fragment| fragment["partial"] == false).count();
    assert_eq!(complete, 8, "{:#?}", fragments(&server));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.starts_with("8 fragments persisted"), "{printed}");
}

#[test]
fn a_server_that_dies_and_comes_back_gets_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(Path::new(KINORA), &data, &[]);
    let proxy = Proxy::new(server.address, Vec::new());
    let pushing = push(proxy.address, &camera(), &["--realtime"]).spawn().unwrap();
    while fragments(&server).len() < 3 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    server.kill();
    let server = Server::start(Path::new(KINORA), &data, &[]);
    *proxy.target.lock().unwrap() = server.address;
    let output = pushing.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let times: Vec<String> = whole(&server, folder.path()).into_iter().map(|f| f.producer_time).collect();
    assert_eq!(times.len(), 20, "{times:?}");
}

#[test]
fn any_file_can_be_pushed_and_a_refusal_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Path::new(KINORA), &folder.path().join("data"), &[]);
    let audio = clip(
        "push-audio.mp4",
        &["-f", "lavfi", "-i", "sine", "-t", "7", "-c:a", "aac", "-movflags", "faststart"],
    );
    assert!(push(server.address, &audio, &[]).status().unwrap().success());
    let pushed: u64 = fragments(&server).iter().map(|f| f["duration_ms"].as_u64().unwrap()).sum();
    assert!((6950..=7100).contains(&pushed), "{pushed}");

    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a camera").unwrap();
    let output = push(server.address, &text, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("notes.txt") && said.contains("at byte 0"), "{said}");

    let output = push(server.address, &folder.path().join("absent.mkv"), &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("absent.mkv"), "{said}");
}

#[test]
fn what_is_pushed_is_what_the_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Path::new(KINORA), &folder.path().join("data"), &[]);
    assert!(push(server.address, &camera(), &[]).status().unwrap().success());
    let found = whole(&server, folder.path());
    let count = |index: &str| {
        let all = found.iter().flat_map(|fragment| &fragment.samples);
        all.filter(|sample| sample.starts_with(index)).count() as u64
    };
    assert_eq!(vec![count("0,"), count("1,")], packets(&camera()));
}

fn packets(file: &Path) -> Vec<u64> {
    let entries = ["-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"];
    let path = file.to_string_lossy().into_owned();
    let text = ffprobe(&[&entries[..], &[&path]].concat());
    text.lines().filter_map(|line| line.trim_matches(',').parse().ok()).collect()
}
