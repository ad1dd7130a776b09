//! One real-time producer: sends the clip round and round, each frame at its time, and measures
//! how long fragments take to become durable.
//!
//! A fragment is complete when the server sees the next key frame, so the clock of fragment N
//! starts just before the chunk with the key frame of N+1 is written to the socket, and stops
//! when the line with N's `persisted` has been read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::acks::Acks;
use crate::clip::{CLIP_MS, Clip};
use crate::latency::Latencies;

/// After the last byte, how long a server may take to send its last ack.
const LAST_ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// How fast to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Each frame when it is due.
    RealTime,
    /// As soon as no more than one complete fragment waits for its ack, whatever the time.
    AsFastAsAcknowledged,
}

/// How far a measurement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Streams start and settle; nothing counts yet.
    WarmUp,
    /// Everything counts.
    Measured,
    /// Senders end.
    Over,
}

/// What one sender saw.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// From complete to durable, of fragments completed in the measured window.
    pub acks: Latencies,
    /// Media bytes sent in the measured window.
    pub bytes: u64,
    /// Fragments completed in the measured window.
    pub fragments: usize,
    /// How far behind its schedule it fell in the measured window.
    pub behind: Duration,
    /// Why it ended early.
    pub failure: Option<String>,
}

/// Fragments that are complete and not yet known to be durable.
#[derive(Debug, Default)]
struct Waiting {
    /// By timecode: when it was complete, and whether it counts.
    since: RefCell<BTreeMap<i64, (Instant, bool)>>,
    /// Told at each ack.
    acknowledged: Notify,
}

impl Waiting {
    /// Waits until no fragment waits any more.
    async fn none(&self) {
        while !self.since.borrow().is_empty() {
            self.acknowledged.notified().await;
        }
    }
}

/// Sends to `path` of the server from `start` until the phase is over.
pub(crate) async fn send(
    server: SocketAddr,
    path: String,
    clip: Rc<Clip>,
    pace: Pace,
    start: Instant,
    phase: watch::Receiver<Phase>,
) -> Report {
    let mut report = Report::default();
    let outcome = attempt(server, &path, &clip, (pace, start), phase, &mut report).await;
    report.failure = outcome.err().map(|why| format!("{path}: {why}"));
    report
}

async fn attempt(
    server: SocketAddr,
    path: &str,
    clip: &Clip,
    (pace, start): (Pace, Instant),
    phase: watch::Receiver<Phase>,
    report: &mut Report,
) -> Result<(), String> {
    sleep_until(start).await;
    let socket = TcpStream::connect(server).await.map_err(|e| format!("cannot connect: {e}"))?;
    socket.set_nodelay(true).map_err(|e| e.to_string())?;
    let (input, mut output) = socket.into_split();
    let waiting = Rc::new(Waiting::default());
    let mut reader = tokio::task::spawn_local(read(Acks::new(input), Rc::clone(&waiting)));
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {server}\r\nContent-Type: video/x-matroska\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let sending = async {
        output.write_all(request.as_bytes()).await?;
        output.write_all(&clip.header).await?;
        rounds(&mut output, clip, (pace, start), phase, report, &waiting).await?;
        output.write_all(b"0\r\n\r\n").await
    };
    // A server that ends the response early has refused the rest.
    let sent = tokio::select! {
        sent = sending => sent.map_err(|e| format!("cannot send: {e}")),
        acks = &mut reader => return Err(ended(acks)),
    };
    if let Err(why) = sent {
        // What the server had to say explains it better than the broken connection.
        let said = timeout(Duration::from_secs(1), reader).await.ok().map(ended);
        return Err(said.unwrap_or(why));
    }
    let acks = timeout(LAST_ACK_TIMEOUT, reader).await.map_err(|_| "the last ack did not come".to_owned())?;
    report.acks = acks.map_err(|e| e.to_string())??;
    let lost = waiting.since.borrow().values().filter(|(_, counts)| *counts).count();
    if lost > 0 { Err(format!("{lost} fragments were never acknowledged")) } else { Ok(()) }
}

fn ended(acks: Result<Result<Latencies, String>, tokio::task::JoinError>) -> String {
    match acks {
        Ok(Ok(_)) => "the server ended the response while media was still sent".to_owned(),
        Ok(Err(why)) => why,
        Err(e) => e.to_string(),
    }
}

/// Sends frames at the pace until the phase is over.
async fn rounds<W: AsyncWriteExt + Unpin>(
    output: &mut W,
    clip: &Clip,
    (pace, start): (Pace, Instant),
    phase: watch::Receiver<Phase>,
    report: &mut Report,
    waiting: &Waiting,
) -> std::io::Result<()> {
    let mut under_way = None;
    for round in 0.. {
        for chunk in &clip.chunks {
            let due = start + Duration::from_millis(round * CLIP_MS) + chunk.due;
            match pace {
                Pace::RealTime => sleep_until(due).await,
                Pace::AsFastAsAcknowledged if chunk.timestamp_at.is_some() => waiting.none().await,
                Pace::AsFastAsAcknowledged => {}
            }
            let now = *phase.borrow();
            let counts = now == Phase::Measured;
            if counts && pace == Pace::RealTime {
                report.behind = report.behind.max(due.elapsed());
            }
            let (wire, timestamp) = Clip::wire(chunk, round);
            if let Some(timestamp) = timestamp
                && let Some(complete) = under_way.replace(timestamp as i64)
            {
                report.fragments += usize::from(counts);
                waiting.since.borrow_mut().insert(complete, (Instant::now(), counts));
            }
            output.write_all(&wire).await?;
            if counts {
                report.bytes += chunk.media_bytes;
            }
            if now == Phase::Over && timestamp.is_some() {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn read<R: tokio::io::AsyncRead + Unpin>(
    mut acks: Acks<R>,
    waiting: Rc<Waiting>,
) -> Result<Latencies, String> {
    let mut latencies = Latencies::default();
    while let Some(ack) = acks.next().await? {
        if let Some(error) = ack.error {
            return Err(format!("the server reports {error}"));
        }
        if ack.event != "persisted" {
            continue;
        }
        let complete = ack.timecode.and_then(|timecode| waiting.since.borrow_mut().remove(&timecode));
        waiting.acknowledged.notify_one();
        if let Some((since, true)) = complete {
            latencies.add(since.elapsed());
        }
    }
    Ok(latencies)
}
