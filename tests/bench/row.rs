//! What was measured under one load, and the tables that say it: one for each question.

use std::time::Duration;

use serde::Serialize;

use crate::ingest::Load;
use crate::latency::{Latencies, Summary};
use crate::process::Reading;
use crate::sender::Report;
use crate::table::Table;

/// A sender this far behind its schedule counts as late: its figures are not those of real time.
const LATE: Duration = Duration::from_millis(500);

/// One load's figures.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    load: String,
    streams: u32,
    seconds: f64,
    cpu_ms_per_stream_second: f64,
    cpu_ms_per_mb: f64,
    cpu_cores: f64,
    rss_mb: f64,
    rss_idle_mb: f64,
    rss_mb_per_stream: f64,
    threads: u64,
    received_mb: f64,
    fragments: usize,
    ack: Option<Summary>,
    late: usize,
    pub dropped: usize,
    behind_ms: f64,
    process_bytes_per_byte: f64,
    device_bytes_per_byte: Option<f64>,
    disk_quiet: Option<Summary>,
    disk_beside: Option<Summary>,
    pub failures: Vec<String>,
}

impl Row {
    /// What senders saw and /proc said: without streams, and at both ends of the window.
    pub(crate) fn new(
        load: &Load,
        elapsed: Duration,
        reports: &[Report],
        [idle, before, after]: [Reading; 3],
    ) -> Self {
        let seconds = elapsed.as_secs_f64();
        let cpu = after.cpu_seconds - before.cpu_seconds;
        let received: u64 = reports.iter().map(|report| report.bytes).sum();
        let streams = f64::from(load.streams);
        let mut acks = Latencies::default();
        for report in reports {
            acks.extend(report.acks.clone());
        }
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let behind = reports.iter().map(|report| report.behind).max().unwrap_or_default();
        Self {
            load: load.name.clone(),
            streams: load.streams,
            seconds,
            cpu_ms_per_stream_second: cpu * 1000.0 / (seconds * streams),
            cpu_ms_per_mb: cpu * 1000.0 / megabytes(received),
            cpu_cores: cpu / seconds,
            rss_mb: megabytes(after.rss_bytes),
            rss_idle_mb: megabytes(idle.rss_bytes),
            rss_mb_per_stream: megabytes(after.rss_bytes.saturating_sub(idle.rss_bytes)) / streams,
            threads: after.threads,
            received_mb: megabytes(received),
            fragments: reports.iter().map(|report| report.fragments).sum(),
            ack: acks.summary(),
            late: reports.iter().filter(|report| report.behind > LATE).count(),
            dropped: reports.iter().filter(|report| report.failure.is_some()).count(),
            behind_ms: behind.as_secs_f64() * 1000.0,
            process_bytes_per_byte: (after.written_bytes - before.written_bytes) as f64 / received as f64,
            device_bytes_per_byte: None,
            disk_quiet: None,
            disk_beside: None,
            failures: reports.iter().filter_map(|report| report.failure.clone()).collect(),
        }
    }

    /// Adds what the disk saw: bytes written to it by all but the probe, and the probe's latency.
    pub(crate) fn write_through(
        &mut self,
        device_bytes: Option<u64>,
        quiet: Option<Summary>,
        beside: Option<Summary>,
    ) {
        self.device_bytes_per_byte = device_bytes.map(|bytes| bytes as f64 / 1e6 / self.received_mb);
        self.disk_quiet = quiet;
        self.disk_beside = beside;
    }
}

/// Prints all tables.
pub(crate) fn explain(rows: &[Row]) {
    println!("\nWhat does a stream cost the server? (/proc/PID)\n\n{}\n", cost(rows).text());
    println!("MB/stream: (RSS - RSS without streams) / streams.");
    println!("late: senders more than {} ms behind; dropped: connections that failed.", LATE.as_millis());
    println!("\nHow soon is a fragment durable?\n\n{}\n", latency(rows).text());
    println!(
        "ack: from just before the chunk that completes a fragment is sent until its `persisted` is read."
    );
    println!(
        "disk: append of one average fragment + fdatasync by this program, one after another, into a file"
    );
    println!("laid out before. Quiet: no server. Beside: five times a second while the server has its load.");
    println!("\nHow much is written for a byte received?\n\n{}\n", written(rows).text());
    println!("process: write_bytes of /proc/PID/io, which leaves out the file system's own journal.");
    println!(
        "device: sectors written to the whole disk (/sys/dev/block), so others' writes count, the probe's do not."
    );
}

fn cost(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "load",
        "CPU ms/stream-s",
        "CPU ms/MB",
        "cores",
        "RSS MB",
        "MB/stream",
        "threads",
        "MB/s",
        "late",
        "dropped",
    ]);
    for row in rows {
        table.row(vec![
            row.load.clone(),
            format!("{:.2}", row.cpu_ms_per_stream_second),
            format!("{:.1}", row.cpu_ms_per_mb),
            format!("{:.3}", row.cpu_cores),
            format!("{:.1}", row.rss_mb),
            format!("{:.2}", row.rss_mb_per_stream),
            row.threads.to_string(),
            format!("{:.1}", row.received_mb / row.seconds),
            row.late.to_string(),
            row.dropped.to_string(),
        ]);
    }
    table
}

fn latency(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "load",
        "fragments/s",
        "acks",
        "ack p50 ms",
        "p99",
        "p999",
        "max",
        "disk quiet p50 ms",
        "p99",
        "p999",
        "beside p50 ms",
        "p99",
        "ack/beside p50",
        "p99",
    ]);
    for row in rows {
        let ms = |from: &Option<Summary>, pick: fn(&Summary) -> f64| {
            from.as_ref().map_or("-".into(), |summary| format!("{:.1}", pick(summary)))
        };
        let ratio = |pick: fn(&Summary) -> f64| {
            let both = row.ack.as_ref().zip(row.disk_beside.as_ref());
            both.map_or("-".into(), |(ack, disk)| format!("{:.1}", pick(ack) / pick(disk)))
        };
        table.row(vec![
            row.load.clone(),
            format!("{:.0}", row.fragments as f64 / row.seconds),
            format!("{}/{}", row.ack.map_or(0, |ack| ack.count), row.fragments),
            ms(&row.ack, |ack| ack.p50_ms),
            ms(&row.ack, |ack| ack.p99_ms),
            ms(&row.ack, |ack| ack.p999_ms),
            ms(&row.ack, |ack| ack.max_ms),
            ms(&row.disk_quiet, |disk| disk.p50_ms),
            ms(&row.disk_quiet, |disk| disk.p99_ms),
            ms(&row.disk_quiet, |disk| disk.p999_ms),
            ms(&row.disk_beside, |disk| disk.p50_ms),
            ms(&row.disk_beside, |disk| disk.p99_ms),
            ratio(|summary| summary.p50_ms),
            ratio(|summary| summary.p99_ms),
        ]);
    }
    table
}

fn written(rows: &[Row]) -> Table {
    let mut table = Table::new(&["load", "received MB", "process bytes/byte", "device bytes/byte"]);
    for row in rows {
        table.row(vec![
            row.load.clone(),
            format!("{:.0}", row.received_mb),
            format!("{:.3}", row.process_bytes_per_byte),
            row.device_bytes_per_byte.map_or("-".into(), |ratio| format!("{ratio:.3}")),
        ]);
    }
    table
}
