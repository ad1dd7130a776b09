//! `kinora-bench ingest`: N real-time cameras at once, for several N.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use kinora_test_support::Server;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};

use crate::clip::{CLIP_MS, Clip};
use crate::disk;
use crate::latency::{Latencies, Summary};
use crate::process::Reading;
use crate::sender::{Phase, Report, send};
use crate::table::Table;

/// A sender this far behind its schedule counts as late: its figures are not those of real time.
const LATE: Duration = Duration::from_millis(500);
/// Starts are spread over this, the time between two key frames, so that key frames do not come
/// all at once.
const SPREAD: Duration = Duration::from_secs(1);
/// Time from now to the first start, for all tasks to be in place.
const HEAD_START: Duration = Duration::from_millis(200);
/// Appends that measure the quiet disk.
const QUIET_APPENDS: usize = 100;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Numbers of streams, one row each
    #[arg(long, value_delimiter = ',', default_values_t = [10, 50, 200])]
    streams: Vec<u32>,
    /// Length of the measured window
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Time for streams to settle before it
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// The server's binary
    #[arg(long, default_value = "target/release/kinora")]
    server: PathBuf,
    /// Folder on the disk to measure; a fresh data directory is made inside and removed
    #[arg(long, default_value = "target/bench")]
    disk: PathBuf,
    /// Also write the figures there, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One row of the table.
#[derive(Debug, Serialize)]
struct Row {
    streams: u32,
    seconds: f64,
    cpu_ms_per_stream_second: f64,
    cpu_cores: f64,
    rss_mb: f64,
    rss_idle_mb: f64,
    rss_mb_per_stream: f64,
    threads: u64,
    received_mbit_per_second: f64,
    written_per_received: f64,
    fragments: usize,
    ack: Option<Summary>,
    late: usize,
    dropped: usize,
    behind_ms: f64,
    disk_quiet: Option<Summary>,
    disk_beside: Option<Summary>,
    failures: Vec<String>,
}

/// Measures and prints.
pub(crate) async fn run(options: &Options) {
    let clip = Rc::new(Clip::load());
    let fragment_bytes = clip.bytes as usize / clip.fragments();
    println!(
        "clip: {} s, {} frames, {:.2} Mbit/s, {} fragments of {} KB on average; {} s measured after {} s of warm-up",
        CLIP_MS / 1000,
        clip.chunks.len(),
        clip.bytes as f64 * 8.0 / CLIP_MS as f64 / 1000.0,
        clip.fragments(),
        fragment_bytes / 1000,
        options.seconds,
        options.warm_up
    );
    let mut rows = Vec::new();
    for streams in &options.streams {
        let row = measure(options, &clip, *streams, fragment_bytes).await;
        for failure in &row.failures {
            println!("dropped: {failure}");
        }
        rows.push(row);
    }
    println!("\n{}\n", table(&rows).text());
    println!(
        "CPU and memory are the server's alone (/proc). MB/stream = (RSS - RSS without streams) / streams."
    );
    println!(
        "ack: from just before the chunk that completes a fragment is written until its `persisted` line is read."
    );
    println!(
        "sync: append of one average fragment + fdatasync by this program, the disk quiet / beside the server."
    );
    println!(
        "late: senders more than {} ms behind real time; dropped: connections that failed.",
        LATE.as_millis()
    );
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&rows).unwrap_or_else(|e| panic!("{e}"));
        std::fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let failed = rows.iter().any(|row| row.dropped > 0);
    assert!(!failed, "some senders were dropped: the figures above are not those of a healthy server");
}

async fn measure(options: &Options, clip: &Rc<Clip>, streams: u32, fragment_bytes: usize) -> Row {
    let folder = options.disk.join(format!("{}-{streams}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let disk_quiet = disk::quiet(&folder, fragment_bytes, QUIET_APPENDS);
    let server = Server::start(&options.server, &folder.join("data"), &[]);
    let idle = Reading::of(&server);
    let beside = disk::Beside::start(&folder, fragment_bytes);
    let warm_up = Duration::from_secs(options.warm_up);
    let window = Duration::from_secs(options.seconds);
    let (reports, before, after, elapsed) =
        load(server.address, clip, streams, warm_up, window, || Reading::of(&server)).await;
    let disk_beside = beside.finish();
    server.stop();
    let row = row(streams, elapsed, &reports, idle, before, after);
    let row = Row { disk_quiet: disk_quiet.summary(), disk_beside: disk_beside.summary(), ..row };
    if row.dropped == 0 {
        remove(&folder);
    } else {
        println!("the server's data and log are kept in {}", folder.display());
    }
    row
}

/// Runs all senders; gives their reports, and the readings at both ends of the window.
pub(crate) async fn load<T>(
    server: SocketAddr,
    clip: &Rc<Clip>,
    streams: u32,
    warm_up: Duration,
    window: Duration,
    read: impl Fn() -> T,
) -> (Vec<Report>, T, T, Duration) {
    let (set_phase, phase) = watch::channel(Phase::WarmUp);
    let start = Instant::now() + HEAD_START;
    let local = LocalSet::new();
    local
        .run_until(async {
            let senders: Vec<_> = (0..streams)
                .map(|number| {
                    let path = format!("/v1/streams/camera{number}/media");
                    let begin = start + SPREAD * number / streams;
                    tokio::task::spawn_local(send(server, path, Rc::clone(clip), begin, phase.clone()))
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

fn row(
    streams: u32,
    elapsed: Duration,
    reports: &[Report],
    idle: Reading,
    before: Reading,
    after: Reading,
) -> Row {
    let seconds = elapsed.as_secs_f64();
    let cpu = after.cpu_seconds - before.cpu_seconds;
    let received: u64 = reports.iter().map(|report| report.bytes).sum();
    let mut acks = Latencies::default();
    for report in reports {
        acks.extend(report.acks.clone());
    }
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    Row {
        streams,
        seconds,
        cpu_ms_per_stream_second: cpu * 1000.0 / (seconds * f64::from(streams)),
        cpu_cores: cpu / seconds,
        rss_mb: megabytes(after.rss_bytes),
        rss_idle_mb: megabytes(idle.rss_bytes),
        rss_mb_per_stream: megabytes(after.rss_bytes.saturating_sub(idle.rss_bytes)) / f64::from(streams),
        threads: after.threads,
        received_mbit_per_second: received as f64 * 8.0 / 1e6 / seconds,
        written_per_received: (after.written_bytes - before.written_bytes) as f64 / received as f64,
        fragments: reports.iter().map(|report| report.fragments).sum(),
        ack: acks.summary(),
        late: reports.iter().filter(|report| report.behind > LATE).count(),
        dropped: reports.iter().filter(|report| report.failure.is_some()).count(),
        behind_ms: reports.iter().map(|report| report.behind).max().unwrap_or_default().as_secs_f64()
            * 1000.0,
        disk_quiet: None,
        disk_beside: None,
        failures: reports.iter().filter_map(|report| report.failure.clone()).collect(),
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "streams",
        "CPU ms per stream-s",
        "cores",
        "RSS MB",
        "MB/stream",
        "acks",
        "p50 ms",
        "p99 ms",
        "max ms",
        "written/received",
        "Mbit/s",
        "late",
        "dropped",
        "sync p50 ms",
        "sync p99 ms",
    ]);
    for row in rows {
        let ack = |pick: fn(&Summary) -> f64| {
            row.ack.as_ref().map_or("-".into(), |ack| format!("{:.1}", pick(ack)))
        };
        let sync = |pick: fn(&Summary) -> f64| {
            let both = [&row.disk_quiet, &row.disk_beside];
            both.map(|one| one.as_ref().map_or("-".into(), |sync| format!("{:.1}", pick(sync)))).join(" / ")
        };
        table.row(vec![
            row.streams.to_string(),
            format!("{:.2}", row.cpu_ms_per_stream_second),
            format!("{:.3}", row.cpu_cores),
            format!("{:.1}", row.rss_mb),
            format!("{:.2}", row.rss_mb_per_stream),
            format!("{}/{}", row.ack.map_or(0, |ack| ack.count), row.fragments),
            ack(|ack| ack.p50_ms),
            ack(|ack| ack.p99_ms),
            ack(|ack| ack.max_ms),
            format!("{:.3}", row.written_per_received),
            format!("{:.1}", row.received_mbit_per_second),
            row.late.to_string(),
            row.dropped.to_string(),
            sync(|sync| sync.p50_ms),
            sync(|sync| sync.p99_ms),
        ]);
    }
    table
}

fn remove(folder: &Path) {
    if let Err(e) = std::fs::remove_dir_all(folder) {
        println!("cannot remove {}: {e}", folder.display());
    }
}
