//! `kinora push`: a media file into a stream, with progress, retry and resume.
//!
//! The file is taken apart and sent as Matroska, in short Clusters of which one begins at each key
//! frame, so that whatever was not yet persisted when a connection breaks can be sent again from a
//! key frame on.

mod connection;
mod progress;
mod queue;
mod source;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kinora_base::{Clock, StreamName, WallTime};
use tokio::sync::mpsc;

use super::Failure;
use super::clock::SystemClock;
use super::server::Server;
use connection::{Broken, Connection};
use progress::Progress;
use queue::Queue;
use source::{Cluster, Source};

/// First pause before a broken connection is tried again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Tries in a row that persist nothing new before the command gives up: about two minutes.
const MAX_FRUITLESS_TRIES: u32 = 12;
/// How much later than in the file everything is sent, in microseconds.
const LEAD_IN_US: i64 = 1_000_000;
/// Clusters read ahead of the connection.
const READ_AHEAD: usize = 4;

#[derive(Debug, Args)]
pub(super) struct Push {
    /// Matroska, WebM or MP4 file; - reads standard input
    file: PathBuf,
    /// Stream to push into; it is created if it does not exist
    #[arg(long, value_name = "NAME")]
    stream: StreamName,
    /// Send as fast as the media plays, as a camera does
    #[arg(long)]
    realtime: bool,
    /// When the media was captured: RFC 3339 or milliseconds since 1970; now, if not given
    #[arg(long, value_name = "TIME")]
    start: Option<WallTime>,
    #[command(flatten)]
    server: Server,
}

impl Push {
    pub(super) fn run(self) -> Result<(), Failure> {
        let clock = SystemClock::new();
        // Fixed once, so that what is sent again after a broken connection has the same times.
        let start = self.start.unwrap_or_else(|| clock.wall());
        // The server is told in milliseconds.
        let start = WallTime::from_millis(start.as_millis());
        // Sound often begins a little before media time 0, where Matroska has no times.
        let lead_in_us = if start < WallTime::from_micros(LEAD_IN_US) { 0 } else { LEAD_IN_US };
        let progress = Progress::new(&self.file);
        let source = Source::open(&self.file)?;
        let (sender, clusters) = mpsc::channel(READ_AHEAD);
        let reader = std::thread::spawn(move || source.read(&sender, lead_in_us));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
        let queue = Queue::new(clusters, start.offset_micros(-lead_in_us), self.realtime);
        let sent = runtime.block_on(send(&self.server, &self.stream, start, queue, &progress));
        // The reader ends as soon as nobody takes its clusters.
        let read = reader.join().unwrap_or_else(|_| Err(Failure::new("reading the file failed")));
        progress.finish();
        read?;
        let persisted = sent?;
        println!("{persisted} fragments persisted in stream {}", self.stream);
        Ok(())
    }
}

/// Sends everything, over as many connections as it takes, of a file whose media time 0 was
/// captured at `start`. Returns how many fragments are
/// persisted.
async fn send(
    server: &Server,
    stream: &StreamName,
    start: WallTime,
    mut queue: Queue,
    progress: &Progress,
) -> Result<usize, Failure> {
    let zero = queue.zero();
    let path = format!("/v1/streams/{stream}/media?start={}", zero.as_millis());
    let url = server.url(&path)?;
    let client = server.client()?;
    if !queue.has_something().await {
        return Ok(0);
    }
    let mut fruitless = 0;
    let mut pause = FIRST_PAUSE;
    loop {
        let before = queue.released();
        let outcome = Connection::open(&client, &url, &mut queue, progress).run().await;
        let broken = match outcome {
            Ok(()) if queue.is_given() => return Ok(queue.persisted()),
            Ok(()) => Broken::Retry("the server ended the connection early".into()),
            Err(broken) => broken,
        };
        let reason = match broken {
            Broken::Refused(failure) => return Err(failure),
            Broken::Retry(reason) => reason,
        };
        if queue.released() > before {
            (fruitless, pause) = (0, FIRST_PAUSE);
        }
        fruitless += 1;
        if fruitless >= MAX_FRUITLESS_TRIES {
            let persisted = queue.persisted();
            let message =
                format!("gave up after {fruitless} tries, {persisted} fragments are persisted: {reason}");
            return Err(Failure::new(message)
                .with_hint(format!("pushed again with --start {start} it gets the same times")));
        }
        progress.say(&format!("{reason}; trying again in {:.1} s", pause.as_secs_f64()));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        queue.rewind();
    }
}

/// What the reading thread sends: see [`source`].
type Clusters = mpsc::Receiver<Cluster>;
