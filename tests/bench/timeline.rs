//! How fast a month of one stream is drawn from the index: `cargo bench -p kinora-store --bench
//! timeline`.
//!
//! The index is made up row by row, and no segment exists: what is measured here must not need
//! one. It prints; it asserts nothing.

#![expect(clippy::disallowed_methods, reason = "a benchmark is the one place that owns the real clock")]
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first thing that fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinora_base::{ManualClock, StreamName, WallTime};
use kinora_store::{GapQuery, Options, Store, Stream};
use rusqlite::{Connection, params};

const START: WallTime = WallTime::from_millis(1_795_165_200_000);
const DAYS: i64 = 30;
const DAY_US: i64 = 24 * 3600 * 1_000_000;
/// Other streams with as many rows, so that the index is no smaller than a real one in what matters.
const OTHERS: i64 = 20;
const ROUNDS: usize = 50;

/// How a month was recorded.
struct Month {
    what: &'static str,
    /// Length of a segment in microseconds.
    segment_us: i64,
    /// An absence of ten seconds after so many segments.
    gap_every: i64,
    /// Absences of a second inside each segment.
    holes: i64,
}

/// Writes the rows of the stream `id`; gives how many.
fn fill(connection: &mut Connection, id: i64, month: &Month) -> i64 {
    let transaction = connection.transaction().unwrap();
    let mut rows = 0;
    {
        let mut segment = transaction
            .prepare(
                "INSERT INTO segments (stream, first, last, spent, epoch, first_ordinal, count, bytes, \
                 file_bytes, producer_first, producer_last, producer_end, server_first, server_last, \
                 server_end, damaged, runs, lowest) VALUES \
                 (?1, ?2, ?3, ?3, 1, ?2, ?4, ?5, ?5, ?6, ?7, ?7, ?6, ?7, ?7, 0, ?8, ?2)",
            )
            .unwrap();
        let mut stop = transaction
            .prepare("INSERT INTO stops VALUES (?1, ?2, ?3, ?4, ?4, 0, 2, 'the connection broke')")
            .unwrap();
        let (mut at, end) = (START.as_micros(), START.as_micros() + DAYS * DAY_US);
        while at < end {
            let until = at + month.segment_us;
            let count = month.segment_us / 1_000_000;
            let first = 1 + rows * (count + 1);
            let bytes = count * 250_000;
            let mut runs: Vec<u8> = Vec::new();
            let run_us = month.segment_us / (month.holes + 1);
            for run in 0..=month.holes {
                let (from, to) = (at + run * run_us, at + (run + 1) * run_us - 1_000_000);
                if month.holes > 0 {
                    for field in [from, to, count / (month.holes + 1), bytes / (month.holes + 1)] {
                        runs.extend_from_slice(&field.to_le_bytes());
                    }
                    stop.execute(params![id, first, run, to]).unwrap();
                }
            }
            let end = if month.holes > 0 { until - 1_000_000 } else { until };
            segment.execute(params![id, first, first + count, count, bytes, at, end, runs]).unwrap();
            rows += 1;
            at = until;
            if rows % month.gap_every == 0 {
                stop.execute(params![id, first, 1_000, until]).unwrap();
                at += 10_000_000;
            }
        }
    }
    transaction.commit().unwrap();
    rows
}

/// How long this thread has been on a processor: on a busy machine, what the answer costs.
fn processor_time() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(schedstat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

fn timed(what: &str, work: impl Fn() -> String) {
    let mut times = Vec::new();
    let mut found = String::new();
    let before = processor_time();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        found = work();
        times.push(began.elapsed());
    }
    let processor_ms = (processor_time() - before).as_secs_f64() * 1e3 / ROUNDS as f64;
    times.sort_unstable();
    let at = |share: usize| times.get(ROUNDS * share / 100).copied().unwrap_or_default().as_secs_f64() * 1e3;
    println!(
        "  {what:<28} cpu {processor_ms:>6.2} ms  best {:>6.2}  p50 {:>6.2}  p99 {:>6.2}  {found}",
        at(0),
        at(50),
        at(99)
    );
}

fn measure(parent: &Path, month: &Month) {
    let folder = tempfile::tempdir_in(parent).unwrap();
    let clock = Arc::new(ManualClock::at(START.plus(Duration::from_secs(40 * 24 * 3600))));
    let store = Store::open(folder.path(), Options::default(), clock).unwrap();
    let streams: Vec<Arc<Stream>> = (0..=OTHERS)
        .map(|n| store.create_stream(&StreamName::new(&format!("cam{n}")).unwrap()).unwrap())
        .collect();
    let mut connection = Connection::open(folder.path().join("meta.db")).unwrap();
    let rows: Vec<i64> = (1..=OTHERS + 1).map(|id| fill(&mut connection, id, month)).collect();
    println!("{}: {} segments, {} streams", month.what, rows.first().unwrap_or(&0), rows.len());
    let Some(stream) = streams.first() else { return };
    let (end, now) = (START.offset_micros(DAYS * DAY_US), START.offset_micros(DAYS * DAY_US));
    timed("30 days at 1,000 buckets", || {
        let timeline = stream.timeline((START, end), Some(1000), now).unwrap();
        format!("{} runs, {} gaps, {} hidden", timeline.runs.len(), timeline.gaps.len(), timeline.hidden_gaps)
    });
    let day = START.offset_micros(12 * DAY_US);
    timed("1 day at 1,000 buckets", || {
        let timeline = stream.timeline((day, day.offset_micros(DAY_US)), Some(1000), now).unwrap();
        format!("{} runs, {} gaps, {} hidden", timeline.runs.len(), timeline.gaps.len(), timeline.hidden_gaps)
    });
    let first = GapQuery { start: None, end: None, descending: false, after: None, limit: 100 };
    for (what, query) in [
        ("first 100 gaps of 30 days", first),
        ("last 100 gaps of 30 days", GapQuery { descending: true, ..first }),
        ("1,000 gaps of 30 days", GapQuery { limit: 1000, ..first }),
    ] {
        timed(what, || format!("{} gaps", stream.gaps(&query, now).unwrap().len()));
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` starts this, too, without the word.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let folder = arguments.iter().find(|argument| !argument.starts_with("--"));
    let parent = folder.map_or_else(std::env::temp_dir, |folder| Path::new(folder).to_owned());
    let (ten_minutes, four_minutes) = (600_000_000, 256_000_000);
    for month in [
        Month { what: "quiet camera", segment_us: ten_minutes, gap_every: 144, holes: 0 },
        Month { what: "2 Mbit/s", segment_us: four_minutes, gap_every: 14, holes: 0 },
        Month { what: "2 Mbit/s, 9 holes a segment", segment_us: four_minutes, gap_every: 14, holes: 9 },
        Month { what: "8 Mbit/s", segment_us: four_minutes / 4, gap_every: 56, holes: 0 },
    ] {
        measure(&parent, &month);
    }
}
