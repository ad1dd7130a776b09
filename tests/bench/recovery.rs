//! `kinora-bench recovery`: kill -9 while producers push, then how soon the server answers again,
//! by the size of the archive and the number of streams that were open.
//!
//! That nothing acknowledged is lost is what tests/crash.rs proves; here only time is taken.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use kinora_test_support::{Server, get};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

use crate::clip::{Clip, Kind};
use crate::ingest::{Place, remove};
use crate::process::Reading;
use crate::sender::{Pace, Phase, send};
use crate::table::Table;

/// How often the size of the archive is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Cases, one row each, as STREAMS:MEGABYTES
    #[arg(long, value_delimiter = ',', value_parser = case_from,
        default_value = "10:200,10:2000,10:8000,200:2000,1000:2000")]
    cases: Vec<(u32, u64)>,
    #[command(flatten)]
    place: Place,
}

fn case_from(text: &str) -> Result<(u32, u64), String> {
    let (streams, megabytes) = text.split_once(':').ok_or("write it as STREAMS:MEGABYTES")?;
    let number = |text: &str| text.parse::<u64>().map_err(|e| format!("{text}: {e}"));
    Ok((u32::try_from(number(streams)?).map_err(|e| e.to_string())?, number(megabytes)?))
}

/// Files of an archive.
#[derive(Debug, Default)]
struct Archive {
    bytes: u64,
    sealed: usize,
    open: usize,
}

/// Measures and prints.
pub(crate) async fn run(options: &Options) {
    let mut table = Table::new(&[
        "open streams",
        "archive MB",
        "sealed files",
        "open files",
        "listening after ms",
        "first list after ms",
        "CPU ms",
        "RSS MB",
    ]);
    for (streams, megabytes) in &options.cases {
        table.row(measure(&options.place, *streams, *megabytes).await);
    }
    println!("\nHow soon does it answer after kill -9 under load?\n\n{}\n", table.text());
    println!(
        "From the start of the process until it says that it listens, and until it has listed the newest"
    );
    println!(
        "fragment of a stream. The files are in the page cache, as they are after a crash of the process."
    );
}

async fn measure(place: &Place, streams: u32, megabytes: u64) -> Vec<String> {
    let folder = place.folder(&format!("recovery-{streams}-{megabytes}"));
    let data = folder.join("data");
    let server = Server::start(&place.server, &data, &[]);
    fill(server, streams, megabytes * 1_000_000).await;
    let mut archive = Archive::default();
    archive.add(&data);
    let started = Instant::now();
    let server = Server::start(&place.server, &data, &[]);
    let listening = started.elapsed();
    let newest = get(server.address, "/v1/streams/camera0/fragments?order=desc&limit=1");
    let listed = started.elapsed();
    assert!(newest.text().contains("\"number\":"), "{}", newest.text());
    let reading = Reading::of(&server);
    server.stop();
    remove(&folder);
    vec![
        streams.to_string(),
        format!("{:.0}", archive.bytes as f64 / 1e6),
        archive.sealed.to_string(),
        archive.open.to_string(),
        format!("{:.0}", listening.as_secs_f64() * 1000.0),
        format!("{:.0}", listed.as_secs_f64() * 1000.0),
        format!("{:.0}", reading.cpu_seconds * 1000.0),
        format!("{:.1}", reading.rss_bytes as f64 / 1e6),
    ]
}

/// Pushes into all streams until the server has written so many bytes, then kills it.
async fn fill(server: Server, streams: u32, bytes: u64) {
    let clip = Rc::new(Clip::load(Kind::Camera));
    // They end with their connections.
    let (_phase, phase) = watch::channel(Phase::WarmUp);
    LocalSet::new()
        .run_until(async {
            let now = Instant::now();
            let senders: Vec<_> = (0..streams)
                .map(|number| {
                    let path = format!("/v1/streams/camera{number}/media");
                    let (clip, pace) = (Rc::clone(&clip), Pace::AsFastAsAcknowledged);
                    tokio::task::spawn_local(send(server.address, path, clip, pace, now, phase.clone()))
                })
                .collect();
            while Reading::of(&server).written_bytes < bytes {
                sleep(LOOK_EVERY).await;
                let ended = senders.iter().any(tokio::task::JoinHandle::is_finished);
                assert!(!ended, "a sender ended before the server was killed:\n{}", server.logged());
            }
            server.kill();
            for sender in senders {
                sender.await.unwrap_or_else(|e| panic!("a sender failed: {e}"));
            }
        })
        .await;
}

impl Archive {
    fn add(&mut self, folder: &Path) {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                self.add(&path);
                continue;
            }
            self.bytes += metadata.len();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("seg") => self.sealed += 1,
                Some("open") => self.open += 1,
                _ => {}
            }
        }
    }
}
