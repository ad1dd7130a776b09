//! What is yet to be persisted: Clusters sent and not acknowledged, and those to come.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use kinora_base::WallTime;

use super::{Cluster, Clusters};

/// Most bytes that may be sent and not yet persisted before sending waits.
const MAX_UNPERSISTED_BYTES: usize = 64 << 20;
/// How far an ack's times may be off, in microseconds: up to 1 ms for the fragment's start and half
/// of one for its duration. Less than the shortest sample lasts, which is 2.5 ms of Opus.
const ROUNDING_US: i64 = 2_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    source: Clusters,
    /// When media time 0 of what is sent was captured.
    zero: WallTime,
    /// Read from the file, and not persisted; in order.
    sent: VecDeque<Cluster>,
    /// How many of `sent` the present connection has been given.
    given: usize,
    unpersisted_bytes: usize,
    most_unpersisted_bytes: usize,
    exhausted: bool,
    /// Numbers of the fragments that are persisted: what is sent again is acknowledged again.
    persisted: HashSet<u64>,
    /// How many Clusters need not be sent again.
    released: u64,
    pace: Option<Pace>,
}

/// Sends media as fast as it plays.
#[derive(Debug, Default)]
struct Pace {
    /// When the first Cluster was sent, and its media time.
    origin: Option<(tokio::time::Instant, i64)>,
}

impl Queue {
    pub(super) fn new(source: Clusters, zero: WallTime, realtime: bool) -> Self {
        Self {
            source,
            zero,
            sent: VecDeque::new(),
            given: 0,
            unpersisted_bytes: 0,
            most_unpersisted_bytes: MAX_UNPERSISTED_BYTES,
            exhausted: false,
            persisted: HashSet::new(),
            released: 0,
            pace: realtime.then(Pace::default),
        }
    }

    /// When media time 0 of what is sent was captured.
    pub(super) fn zero(&self) -> WallTime {
        self.zero
    }

    /// Waits for the file's first Cluster, so that nothing is opened for a file without media.
    pub(super) async fn has_something(&mut self) -> bool {
        self.read().await;
        !self.exhausted
    }

    /// The next Cluster for the present connection; none when there are no more. Waits for the
    /// file, for the pace, and while too much is not yet persisted (the caller keeps taking acks
    /// meanwhile). Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<&Cluster> {
        if self.given == self.sent.len() {
            if self.unpersisted_bytes > self.most_unpersisted_bytes {
                std::future::pending::<()>().await;
            }
            self.read().await;
        }
        if let Some(pace) = &mut self.pace
            && let Some(cluster) = self.sent.get(self.given)
        {
            pace.wait(cluster.start_us).await;
        }
        let next = self.sent.get(self.given)?;
        self.given += 1;
        Some(next)
    }

    async fn read(&mut self) {
        match self.source.recv().await {
            Some(cluster) => {
                self.unpersisted_bytes += bytes(&cluster);
                if cluster.begins_group {
                    let earlier = self.sent.iter_mut().rev();
                    for earlier in earlier.take_while(|earlier| earlier.end_us > cluster.start_us) {
                        earlier.end_us = cluster.start_us;
                    }
                }
                self.sent.push_back(cluster);
            }
            None => self.exhausted = true,
        }
    }

    /// The server has persisted the fragment of this number, which begins at this producer time
    /// and lasts this long.
    pub(super) fn persist(&mut self, fragment: u64, producer_time: WallTime, duration_ms: i64) {
        self.persisted.insert(fragment);
        let start_us = producer_time.micros_since(self.zero);
        let end_us = start_us.saturating_add(duration_ms.saturating_mul(1000)).saturating_add(ROUNDING_US);
        while self.given > 0 && self.sent.front().is_some_and(|cluster| cluster.end_us <= end_us) {
            if let Some(cluster) = self.sent.pop_front() {
                self.unpersisted_bytes -= bytes(&cluster);
                self.given -= 1;
                self.released += 1;
            }
        }
    }

    /// A new connection begins: everything not persisted is sent again.
    pub(super) fn rewind(&mut self) {
        self.given = 0;
    }

    /// Whether the present connection was given everything: if it then ends well, all of it is
    /// persisted.
    pub(super) fn is_given(&self) -> bool {
        self.exhausted && self.given == self.sent.len()
    }

    /// How many fragments are persisted.
    pub(super) fn persisted(&self) -> usize {
        self.persisted.len()
    }

    /// How many Clusters need not be sent again: grows only when the upload really gets on.
    pub(super) fn released(&self) -> u64 {
        self.released
    }
}

impl Pace {
    async fn wait(&mut self, start_us: i64) {
        let now = tokio::time::Instant::now();
        let (began, first_us) = *self.origin.get_or_insert((now, start_us));
        let due_us = u64::try_from(start_us.saturating_sub(first_us)).unwrap_or(0);
        tokio::time::sleep_until(began + Duration::from_micros(due_us)).await;
    }
}

fn bytes(cluster: &Cluster) -> usize {
    cluster.pieces.iter().map(Bytes::len).sum()
}

#[cfg(test)]
#[path = "queue_test.rs"]
mod tests;
