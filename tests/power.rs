//! The power goes while a real server ingests, its index included: on a file system of our own
//! that keeps of what was not synced whatever chance decides. Every ack that a camera ever read is
//! held against what is served afterwards, byte by byte.
//!
//! Where FUSE is missing, it says that it is skipped. `KINORA_POWER_CUTS` and `KINORA_POWER_SEED`
//! change how often and by which chance.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first thing that is wrong")]
#![expect(clippy::panic, clippy::indexing_slicing, reason = "likewise")]

#[path = "store/aftermath.rs"]
#[expect(dead_code, reason = "the store's own tests also let syncs fail")]
mod aftermath;
#[path = "crash/camera.rs"]
mod camera;
#[path = "crash/chance.rs"]
mod chance;
#[path = "power/filesystem.rs"]
mod filesystem;
#[path = "crash/ledger.rs"]
mod ledger;
#[path = "crash/source.rs"]
mod source;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use camera::Camera;
use chance::Chance;
use filesystem::LossyDisk;
use kinora_test_support::Server;
use ledger::{Extent, Ledger, list};
use source::{Kind, Source};

const KINORA: &str = env!("CARGO_BIN_EXE_kinora");
/// How often the power goes while it ingests.
const CUTS: usize = 8;
/// A disk that lies about syncs is noticed within so many cuts, or this test is worth nothing.
const CUTS_TO_NOTICE: usize = 6;
/// So small that segments are sealed and begun all the time.
const SEGMENT_BYTES: &str = "300000";
/// Acks come at least this often, and so does the cut.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Streams that are pushed through all cuts.
const STREAMS: [(&str, Kind); 3] =
    [("gate", Kind::Pictures), ("door", Kind::MatroskaWithSound), ("roof", Kind::Mp4WithSound)];

/// One server after the other on the same disk.
struct Blackout {
    mountpoint: PathBuf,
    disk: Option<LossyDisk>,
    chance: Chance,
    ledger: Arc<Mutex<Ledger>>,
    cameras: Vec<Camera>,
}

impl Blackout {
    /// None where there is no FUSE.
    fn new(folder: &Path, seed: u64, lies: bool) -> Option<Self> {
        let mountpoint = folder.join("disk");
        std::fs::create_dir(&mountpoint).unwrap();
        let disk = match LossyDisk::mount(&mountpoint, seed.is_multiple_of(2), lies) {
            Ok(disk) => disk,
            Err(error) => {
                println!("| power cuts under a real server | skipped: no FUSE here ({error}) | - | - | - |");
                return None;
            }
        };
        let mut chance = Chance::new(seed);
        let cameras = STREAMS.iter().enumerate().map(|(n, (stream, kind))| {
            let source = Arc::new(Source::new(*kind, n));
            Camera::new((*stream).to_owned(), source, usize::MAX, chance.branch())
        });
        let cameras = cameras.collect();
        Some(Self { mountpoint, disk: Some(disk), chance, ledger: Arc::default(), cameras })
    }

    fn start(&self) -> Server {
        Server::start(Path::new(KINORA), &self.mountpoint.join("data"), &["--segment-bytes", SEGMENT_BYTES])
    }

    /// Starts the server, checks it, lets the cameras push, and cuts the power after some ack.
    fn live_and_lose_power(&mut self) {
        let server = self.start();
        self.check(&server, Extent::New);
        let (tell, acked) = channel();
        let address = server.address;
        let cameras = std::mem::take(&mut self.cameras);
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
        for _ in 0..5 + self.chance.below(40) {
            acked.recv_timeout(LONGEST_WAIT).unwrap_or_else(|e| panic!("no ack ({e}):\n{}", server.logged()));
        }
        let disk = self.disk.take().expect("a disk");
        disk.cut_power_after(self.chance.below(60));
        let gone = disk.wait_for_the_cut(LONGEST_WAIT);
        // It is killed before it can hear of its calls' failure.
        let killed = Command::new("kill").args(["-9", &server.id().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "cannot kill the server");
        disk.release();
        server.kill();
        assert!(gone, "the server wrote nothing more");
        self.cameras =
            pushing.into_iter().map(|thread| thread.join().expect("its words are above")).collect();
        self.disk = Some(disk.power_is_back(&self.mountpoint, &mut self.chance).unwrap());
    }

    fn check(&mut self, server: &Server, extent: Extent) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.check(server.address, extent, &mut self.chance);
    }
}

#[test]
fn a_power_cut_takes_nothing_that_was_acknowledged() {
    let (cuts, seed) = (setting("KINORA_POWER_CUTS", CUTS), setting("KINORA_POWER_SEED", 1) as u64);
    println!("KINORA_POWER_SEED={seed} KINORA_POWER_CUTS={cuts}");
    let folder = tempfile::tempdir().unwrap();
    let Some(mut blackout) = Blackout::new(folder.path(), seed, false) else { return };
    for _ in 0..cuts {
        blackout.live_and_lose_power();
    }
    let server = blackout.start();
    blackout.check(&server, Extent::All);
    let logged = server.logged();
    assert!(!logged.contains("damaged"), "a power cut is no damage:\n{logged}");
    let ledger = blackout.ledger.lock().unwrap();
    let listed: usize = ledger.streams().map(|stream| list(server.address, stream).len()).sum();
    println!(
        "| power cuts under a real server | {cuts} cuts | {} | {} fragments, {} bytes | 0 of {} lost, {listed} listed |",
        ledger.acks,
        ledger.fetched,
        ledger.compared_bytes,
        ledger.promised()
    );
    assert!(ledger.promised() > cuts * 5, "too little happened");
    server.stop();
}

#[test]
fn a_disk_that_lies_about_syncs_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut blackout) = Blackout::new(folder.path(), 1, true) else { return };
    let noticed = (1..=CUTS_TO_NOTICE).find(|_| {
        let lived = catch_unwind(AssertUnwindSafe(|| {
            blackout.live_and_lose_power();
            let server = blackout.start();
            blackout.check(&server, Extent::All);
        }));
        lived.is_err()
    });
    let cuts = noticed.unwrap_or_else(|| panic!("not noticed in {CUTS_TO_NOTICE} cuts"));
    println!("| control: a disk that lies about syncs | real server | - | - | caught after {cuts} cuts |");
}

fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}
