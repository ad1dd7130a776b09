//! A producer as cameras are: it sends piece by piece, reads every ack, and after a crash comes
//! back with what was not acknowledged, or a little more, or a little less.

use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kinora_test_support::Producer;
use serde_json::Value;

use super::chance::Chance;
use super::ledger::{LAP_MS, Ledger, START_MS};
use super::source::Source;

/// Longest pause between two pieces. With five pieces a second of media, this is some ten times
/// as fast as real time.
const LONGEST_PAUSE: Duration = Duration::from_millis(24);
/// Most bytes of a chunk; some are as small as one byte.
const LARGEST_CHUNK: usize = 8000;

/// How a connection ended.
enum End {
    /// Everything was sent.
    Complete,
    /// The producer let go in the middle of a piece, which leaves a partial fragment.
    Broken,
    /// The server takes no more.
    ServerGone,
}

/// One stream's producer.
#[derive(Debug)]
pub(crate) struct Camera {
    pub(crate) stream: String,
    source: Arc<Source>,
    chance: Chance,
    lap: i64,
    /// The piece to send next.
    next: usize,
    /// It ends by itself after so many pieces.
    left: usize,
}

impl Camera {
    pub(crate) fn new(stream: String, source: Arc<Source>, pieces: usize, chance: Chance) -> Self {
        Self { stream, source, chance, lap: 0, next: 0, left: pieces }
    }

    /// Pushes until the server is gone or everything is sent. Every ack goes into the ledger, and
    /// then `acked` is told.
    pub(crate) fn push(&mut self, server: SocketAddr, ledger: &Mutex<Ledger>, acked: &Sender<()>) {
        self.rewind(ledger);
        while self.left > 0 {
            let start = START_MS + self.lap * LAP_MS;
            let Ok(mut producer) = Producer::try_connect(server, &self.stream, &format!("?start={start}"))
            else {
                return;
            };
            match self.send(&mut producer, ledger, acked) {
                End::Complete => {
                    producer.finish();
                    self.note(&producer.rest(), ledger, acked);
                }
                End::Broken => {
                    self.note(&producer.so_far(), ledger, acked);
                    producer.vanish();
                }
                End::ServerGone => {
                    self.note(&producer.rest(), ledger, acked);
                    return;
                }
            }
        }
    }

    /// Sends up to the end of the clip, if nothing comes between.
    fn send(&mut self, producer: &mut Producer, ledger: &Mutex<Ledger>, acked: &Sender<()>) -> End {
        let source = Arc::clone(&self.source);
        if !self.send_in_chunks(producer, &source.head) {
            return End::ServerGone;
        }
        while self.left > 0 && self.next < source.pieces.len() {
            let bytes = &source.pieces[self.next].bytes;
            if self.chance.once_in(150) {
                let cut = self.chance.below(bytes.len());
                self.send_in_chunks(producer, &bytes.slice(..cut));
                return End::Broken;
            }
            if !self.send_in_chunks(producer, bytes) {
                return End::ServerGone;
            }
            self.next += 1;
            self.left -= 1;
            self.note(&producer.so_far(), ledger, acked);
            std::thread::sleep(LONGEST_PAUSE.mul_f64(self.chance.below(100) as f64 / 100.0));
        }
        if self.next == source.pieces.len() {
            self.next = 0;
            self.lap += 1;
        }
        End::Complete
    }

    fn send_in_chunks(&mut self, producer: &mut Producer, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let longest = if self.chance.once_in(20) { 10 } else { LARGEST_CHUNK };
            let (chunk, rest) = bytes.split_at(bytes.len().min(1 + self.chance.below(longest)));
            if !producer.send(chunk) {
                return false;
            }
            bytes = rest;
        }
        true
    }

    fn note(&mut self, lines: &[String], ledger: &Mutex<Ledger>, acked: &Sender<()>) {
        for line in lines {
            if line.starts_with("HTTP/") {
                assert!(line.contains(" 200 "), "{}: {line}", self.stream);
                continue;
            }
            // The kill may have cut the last line short.
            let Ok(ack) = serde_json::from_str::<Value>(line) else { continue };
            assert_ne!(ack["event"], "error", "{}: {line}", self.stream);
            ledger.lock().expect("no camera panicked").heard(&self.stream, &self.source, &ack);
            if ack["event"] == "persisted" {
                // Nobody counts any more once the kill is due.
                let _ = acked.send(());
            }
        }
    }

    /// Goes back behind what was acknowledged last: up to three pieces earlier, or one or two
    /// later, which were lost on the way.
    fn rewind(&mut self, ledger: &Mutex<Ledger>) {
        let newest = ledger.lock().expect("no camera panicked").newest(&self.stream);
        let Some((lap, piece)) = newest else {
            self.next = 0;
            return;
        };
        (self.lap, self.next) = (lap, (piece + 1).saturating_sub(self.chance.below(4)));
        if self.chance.once_in(4) {
            self.next += 1 + self.chance.below(2);
        }
        if self.next >= self.source.pieces.len() {
            (self.lap, self.next) = (lap + 1, 0);
        }
    }
}
