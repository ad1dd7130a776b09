//! `make demo` as a user lives it: at a terminal, until Ctrl-C.
//!
//! Only the compiling is left out; the binary under test is what it would have made.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kinora_test_support::get;

use super::bench::{kinora, root};

/// The last thing that a demo says before it waits.
const READY: &str = "Ctrl-C stops both";

/// A folder where `make` finds the binary, and a port.
struct Place {
    folder: tempfile::TempDir,
    port: u16,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let release = folder.path().join("release");
        std::fs::create_dir(&release).expect("a folder");
        std::os::unix::fs::symlink(kinora(), release.join("kinora")).expect("a link");
        // Free a moment ago; a script cannot be handed a listening socket.
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self { folder, port: socket.local_addr().expect("its address").port() }
    }

    /// `make demo` at a terminal of its own, to which the child's standard input types.
    fn demo(&self) -> Terminal {
        let folder = self.folder.path().display();
        let make = format!(
            "make -o build demo target={folder} PORT={} DATA_DIR={folder}/recordings SIZE=320x180 RATE=10",
            self.port
        );
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &make, "/dev/null"]).current_dir(root());
        // Not part of the `make` that runs the tests.
        script.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env_remove("MFLAGS");
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        Terminal { child: script.spawn().expect("script, of Debian's bsdutils"), said: String::new() }
    }

    /// Command lines of all processes that know this demo's port.
    fn processes(&self) -> Vec<String> {
        let mark = format!("127.0.0.1:{}", self.port);
        let entries = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
        let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| line.contains(&mark)).collect()
    }
}

struct Terminal {
    child: Child,
    said: String,
}

impl Terminal {
    /// Reads until the demo has said `words`, or has ended.
    fn read_until(&mut self, words: &str) {
        let mut output = self.child.stdout.take().expect("a pipe");
        let mut bytes = [0; 1024];
        while !self.said.contains(words) {
            let count = output.read(&mut bytes).expect("the terminal");
            assert!(count > 0, "it ended without a word of {words}:\n{}", self.said);
            self.said += &String::from_utf8_lossy(&bytes[..count]);
        }
        self.child.stdout = Some(output);
    }

    fn press_ctrl_c(&mut self) {
        self.child.stdin.as_mut().expect("a pipe").write_all(b"\x03").expect("a terminal");
    }

    /// Waits for its end; whether `make` ended well.
    fn finish(&mut self) -> bool {
        let mut rest = Vec::new();
        self.child.stdout.take().expect("a pipe").read_to_end(&mut rest).expect("the terminal");
        self.said += &String::from_utf8_lossy(&rest);
        self.child.wait().expect("its end").success()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // After a failed test something may still run: its terminal ends it.
        if let Some(input) = self.child.stdin.as_mut() {
            let _ = input.write_all(b"\x03");
        }
        self.child.stdin = None;
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_shows_its_address_and_a_live_stream_and_ctrl_c_ends_all_of_it_each_time() {
    let place = Place::new();
    let address = ([127, 0, 0, 1], place.port).into();
    for time in 1..=2 {
        let mut demo = place.demo();
        demo.read_until(READY);
        assert!(demo.said.contains(&format!("http://127.0.0.1:{}/", place.port)), "{}", demo.said);
        let stream = get(address, "/v1/streams/demo").text();
        assert!(stream.contains("H.264") && stream.contains("AAC") && stream.contains("live"), "{stream}");
        assert_eq!(get(address, "/").status, 200);
        assert_eq!(get(address, "/v1/streams/demo/hls/index.m3u8").status, 200);
        assert_eq!(place.processes().len(), 2, "{:?}", place.processes());
        demo.press_ctrl_c();
        // `make` itself ends by the signal, as everything does that is interrupted.
        demo.finish();
        assert!(demo.said.contains("stopped; what was recorded is in"), "{}", demo.said);
        assert!(!demo.said.contains("***"), "{}", demo.said);
        assert_eq!(place.processes(), [""; 0], "time {time}: {}", demo.said);
        assert!(TcpStream::connect(("127.0.0.1", place.port)).is_err());
    }
}

#[test]
fn the_demo_says_what_to_do_when_its_port_is_taken() {
    let place = Place::new();
    let _taken = TcpListener::bind(("127.0.0.1", place.port)).expect("the port");
    let mut demo = place.demo();
    assert!(!demo.finish(), "{}", demo.said);
    let hint = format!("port {} is taken", place.port);
    assert!(demo.said.contains(&hint) && demo.said.contains("make demo PORT="), "{}", demo.said);
}

#[test]
fn the_demo_ends_with_its_camera_and_says_so() {
    let place = Place::new();
    let mut demo = place.demo();
    demo.read_until(READY);
    let find = |file: &Path| {
        let line = std::fs::read(file.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.starts_with("ffmpeg") && line.contains(&format!("127.0.0.1:{}", place.port))
    };
    let mut processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let camera = processes.find(|entry| find(&entry.path())).expect("the camera");
    let camera = camera.file_name().to_string_lossy().into_owned();
    assert!(Command::new("kill").args(["-KILL", &camera]).status().is_ok_and(|status| status.success()));
    assert!(!demo.finish(), "{}", demo.said);
    assert!(demo.said.contains("demo: the camera ended"), "{}", demo.said);
    assert_eq!(place.processes(), [""; 0]);
}
