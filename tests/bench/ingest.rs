//! `kinora-bench ingest`: many producers at once, under several loads.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use kinora_test_support::Server;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};

use crate::clip::{Clip, Kind};
use crate::disk;
use crate::process::Reading;
use crate::row::{Row, explain};
use crate::sender::{Pace, Phase, Report, send};

/// Starts are spread over this, the time between two key frames, so that key frames do not come
/// all at once.
const SPREAD: Duration = Duration::from_secs(1);
/// Time from now to the first start, for all tasks to be in place.
const HEAD_START: Duration = Duration::from_millis(200);
/// Appends that measure the quiet disk: enough for one in a thousand.
const QUIET_APPENDS: usize = 1000;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Loads, one row each, as KIND:STREAMS. camera: 250 KB/s in real time; small: 50 KB/s in real
    /// time; saturated: 250 KB a fragment, the next as soon as one is acknowledged
    #[arg(long, value_delimiter = ',', value_parser = load_from,
        default_value = "camera:10,camera:50,camera:200,small:1000,saturated:200")]
    loads: Vec<Load>,
    /// Length of the measured window
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Time for streams to settle before it
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    #[command(flatten)]
    place: Place,
    /// Also write the figures there, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What is measured, and on which disk.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The server's binary
    #[arg(long, default_value = "target/release/kinora")]
    pub server: PathBuf,
    /// Folder on the disk to measure; a fresh data directory is made inside and removed
    #[arg(long, default_value = "target/bench")]
    pub disk: PathBuf,
}

impl Place {
    /// A fresh folder for one measurement.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.disk.join(format!("{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        folder
    }
}

/// So many producers of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub name: String,
    pub kind: Kind,
    pub pace: Pace,
    pub streams: u32,
}

fn load_from(text: &str) -> Result<Load, String> {
    let (name, streams) = text.split_once(':').ok_or("write it as KIND:STREAMS")?;
    let (kind, pace) = match name {
        "camera" => (Kind::Camera, Pace::RealTime),
        "small" => (Kind::Small, Pace::RealTime),
        "saturated" => (Kind::Camera, Pace::AsFastAsAcknowledged),
        _ => return Err("the kinds are camera, small and saturated".to_owned()),
    };
    let streams: u32 = streams.parse().map_err(|e| format!("{streams}: {e}"))?;
    let each = match (kind, pace) {
        (_, Pace::AsFastAsAcknowledged) => "saturated",
        (Kind::Camera, _) => "250 KB/s",
        (Kind::Small, _) => "50 KB/s",
    };
    Ok(Load { name: format!("{streams} × {each}"), kind, pace, streams })
}

/// Measures and prints.
pub(crate) async fn run(options: &Options) {
    let window = Duration::from_secs(options.seconds);
    let warm_up = Duration::from_secs(options.warm_up);
    println!("ingest: {} s measured after {} s of warm-up", options.seconds, options.warm_up);
    let mut rows = Vec::new();
    for load in &options.loads {
        let clip = Rc::new(Clip::load(load.kind));
        let row = measure(&options.place, load, &clip, warm_up, window).await;
        for failure in &row.failures {
            println!("dropped: {failure}");
        }
        rows.push(row);
    }
    explain(&rows);
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&rows).unwrap_or_else(|e| panic!("{e}"));
        std::fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let failed = rows.iter().any(|row| row.dropped > 0);
    assert!(!failed, "some senders were dropped: the figures above are not those of a healthy server");
}

async fn measure(place: &Place, load: &Load, clip: &Rc<Clip>, warm_up: Duration, window: Duration) -> Row {
    let folder = place.folder(&load.streams.to_string());
    let bytes = clip.fragment_bytes();
    let quiet = disk::quiet(&folder, bytes, QUIET_APPENDS);
    let server = Server::start(&place.server, &folder.join("data"), &[]);
    let idle = Reading::of(&server);
    let beside = disk::Beside::start(&folder, bytes);
    let read = || (Reading::of(&server), disk::device_bytes(&folder), beside.bytes());
    let (reports, before, after, elapsed) =
        producers(server.address, clip, load, warm_up, window, read).await;
    let device = after.1.zip(before.1).map(|(after, before)| after - before);
    let device = device.map(|bytes| bytes.saturating_sub(after.2 - before.2));
    let beside = beside.finish();
    server.stop();
    let mut row = Row::new(load, elapsed, &reports, [idle, before.0, after.0]);
    row.write_through(device, quiet.summary(), beside.summary());
    if row.dropped == 0 {
        remove(&folder);
    } else {
        println!("the server's data and log are kept in {}", folder.display());
    }
    row
}

/// Runs all senders; gives their reports, and the readings at both ends of the window.
pub(crate) async fn producers<T>(
    server: SocketAddr,
    clip: &Rc<Clip>,
    load: &Load,
    warm_up: Duration,
    window: Duration,
    read: impl Fn() -> T,
) -> (Vec<Report>, T, T, Duration) {
    let (set_phase, phase) = watch::channel(Phase::WarmUp);
    let start = Instant::now() + HEAD_START;
    let local = LocalSet::new();
    local
        .run_until(async {
            let senders: Vec<_> = (0..load.streams)
                .map(|number| {
                    let path = format!("/v1/streams/camera{number}/media");
                    let begin = start + SPREAD * number / load.streams;
                    let clip = Rc::clone(clip);
                    tokio::task::spawn_local(send(server, path, clip, load.pace, begin, phase.clone()))
                })
                .collect();
            sleep_until(start + SPREAD + warm_up).await;
            let (before, began) = (read(), Instant::now());
            let _ = set_phase.send(Phase::Measured);
            sleep_until(began + window).await;
            let (after, elapsed) = (read(), began.elapsed());
            let _ = set_phase.send(Phase::Over);
            let mut reports = Vec::new();
            for sender in senders {
                reports.push(sender.await.unwrap_or_else(|e| panic!("a sender failed: {e}")));
            }
            (reports, before, after, elapsed)
        })
        .await
}

/// Removes what a measurement left, so that no two measurements share a disk's dirty pages.
pub(crate) fn remove(folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
}
