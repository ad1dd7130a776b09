//! Acknowledged means durable: the server is killed again and again while cameras push, and every
//! ack that a camera ever read is held against what is served afterwards, byte by byte.
//!
//! `KINORA_CRASH_KILLS` and `KINORA_CRASH_SEED` change how often and by which chance.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first thing that is wrong")]
#![expect(clippy::panic, clippy::indexing_slicing, reason = "likewise")]

#[path = "crash/camera.rs"]
mod camera;
#[path = "crash/chance.rs"]
mod chance;
#[path = "crash/ledger.rs"]
mod ledger;
#[path = "crash/source.rs"]
mod source;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camera::Camera;
use chance::Chance;
use kinora_test_support::Server;
use ledger::{Extent, Ledger, list};
use source::{Kind, Source};

const KINORA: &str = env!("CARGO_BIN_EXE_kinora");
/// How often the server is killed while it ingests.
const KILLS: usize = 50;
/// So small that segments are sealed and begun all the time.
const SEGMENT_BYTES: &str = "300000";
/// Acks come at least this often.
const ACK_TIMEOUT: Duration = Duration::from_secs(30);
/// Streams that are pushed through all kills.
const STREAMS: [(&str, Kind); 5] = [
    ("gate", Kind::Pictures),
    ("yard", Kind::Pictures),
    ("door", Kind::MatroskaWithSound),
    ("hall", Kind::MatroskaWithSound),
    ("roof", Kind::Mp4WithSound),
];

/// One server after the other on the same data.
struct Crash {
    data: PathBuf,
    chance: Chance,
    ledger: Arc<Mutex<Ledger>>,
    sources: Vec<Arc<Source>>,
    cameras: Vec<Camera>,
}

#[test]
fn killing_the_server_loses_nothing_that_was_acknowledged() {
    let kills = setting("KINORA_CRASH_KILLS").map_or(KILLS, |kills| kills as usize);
    let seed = setting("KINORA_CRASH_SEED").unwrap_or(1);
    println!("KINORA_CRASH_SEED={seed} KINORA_CRASH_KILLS={kills}");
    let folder = tempfile::tempdir().unwrap();
    let mut crash = Crash::new(folder.path().join("data"), seed);
    let mut killed_at_start = 0;
    for life in 1..=kills {
        crash.live_and_be_killed(life);
        if life % 5 == 0 {
            crash.be_killed_at_start();
            killed_at_start += 1;
        }
        if life % 10 == 0 {
            crash.offline("verify");
        }
    }
    crash.check_to_the_end();
    let sealed = crash.sealed_segments();
    let ledger = crash.ledger.lock().unwrap();
    println!(
        "{kills} kills during ingest, {killed_at_start} during start; {} acks of {} fragments of {} streams \
         in {sealed} sealed segments ({} acks repeated); {} files fetched, {} bytes of media compared, none lost",
        ledger.acks,
        ledger.promised(),
        ledger.streams().count(),
        ledger.repeated,
        ledger.fetched,
        ledger.compared_bytes
    );
    println!(
        "| kill -9 of a real server | {} kills | {} | {} fragments, {} bytes | 0 of {} lost |",
        kills + killed_at_start,
        ledger.acks,
        ledger.fetched,
        ledger.compared_bytes,
        ledger.promised()
    );
    let enough = ledger.promised() > kills * 5 && ledger.repeated > kills / 2 && sealed > kills / 2;
    assert!(enough, "too little happened");
}

impl Crash {
    fn new(data: PathBuf, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let sources: Vec<Arc<Source>> =
            STREAMS.iter().enumerate().map(|(n, (_, kind))| Arc::new(Source::new(*kind, n))).collect();
        let cameras = STREAMS.iter().zip(&sources).map(|((stream, _), source)| {
            Camera::new((*stream).to_owned(), Arc::clone(source), usize::MAX, chance.branch())
        });
        let cameras = cameras.collect();
        Self { data, chance, ledger: Arc::default(), sources, cameras }
    }

    fn start(&self) -> Server {
        Server::start(Path::new(KINORA), &self.data, &["--segment-bytes", SEGMENT_BYTES])
    }

    fn check(&mut self, server: &Server, extent: Extent) {
        self.ledger.lock().unwrap().check(server.address, extent, &mut self.chance);
    }

    /// Starts the server, checks it, lets the cameras push, and kills it shortly after some ack.
    fn live_and_be_killed(&mut self, life: usize) {
        let server = self.start();
        self.check(&server, Extent::New);
        let mut cameras = std::mem::take(&mut self.cameras);
        let lasting = cameras.len();
        // Streams that are new in this life, so that the kill hits their creation too.
        for n in 0..=self.chance.below(2) {
            let source = Arc::clone(&self.sources[self.chance.below(self.sources.len())]);
            let pieces = 1 + self.chance.below(12);
            cameras.push(Camera::new(format!("new-{life}-{n}"), source, pieces, self.chance.branch()));
        }
        let (tell, acked) = channel();
        let address = server.address;
        let pushing: Vec<_> = cameras
            .into_iter()
            .map(|mut camera| {
                let (ledger, tell) = (Arc::clone(&self.ledger), tell.clone());
                std::thread::spawn(move || {
                    camera.push(address, &ledger, &tell);
                    camera
                })
            })
            .collect();
        drop(tell);
        // Every fourth life is short.
        let acks = if self.chance.once_in(4) { self.chance.below(4) } else { 10 + self.chance.below(80) };
        wait(&acked, acks, &server);
        std::thread::sleep(Duration::from_micros(self.chance.below(25_000) as u64));
        server.kill();
        let ended =
            pushing.into_iter().map(|thread| thread.join().expect("the camera's own words are above"));
        self.cameras = ended.take(lasting).collect();
    }

    /// Kills the server while it recovers.
    fn be_killed_at_start(&mut self) {
        let mut child = Command::new(KINORA)
            .args(["serve", "--listen", "127.0.0.1:0", "--segment-bytes", SEGMENT_BYTES, "--data-dir"])
            .arg(&self.data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(self.chance.below(60_000) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Runs a command on the data while no server does; panics unless it finds everything sound.
    fn offline(&self, command: &str) {
        let output = Command::new(KINORA).arg(command).arg("--data-dir").arg(&self.data).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let sound = output.status.success() && printed.contains("all sound");
        assert!(
            sound,
            "{command}: {}\n{printed}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        println!("{command}: {}", printed.trim());
    }

    /// Checks everything, and once more with an index that was rebuilt from the files alone.
    fn check_to_the_end(&mut self) {
        self.offline("verify");
        let server = self.start();
        self.check(&server, Extent::All);
        let before = self.listed(&server);
        server.stop();
        self.offline("rebuild-index");
        let server = self.start();
        assert_eq!(self.listed(&server), before, "the rebuilt index lists something else");
        self.check(&server, Extent::All);
        server.stop();
    }

    fn listed(&self, server: &Server) -> Vec<Vec<serde_json::Value>> {
        self.ledger.lock().unwrap().streams().map(|stream| list(server.address, stream)).collect()
    }

    fn sealed_segments(&self) -> usize {
        let folders = std::fs::read_dir(self.data.join("streams")).unwrap();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "seg")).count()
    }
}

fn wait(acked: &Receiver<()>, acks: usize, server: &Server) {
    for _ in 0..acks {
        if let Err(error) = acked.recv_timeout(ACK_TIMEOUT) {
            // Disconnected if all cameras ended, which they do only to complain.
            panic!("no ack came ({error}):\n{}", server.logged());
        }
    }
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}
