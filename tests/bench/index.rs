//! How soon a store opens whose index holds a month of a thousand cameras, and how fast that index
//! answers: `cargo bench -p kinora-store --bench index`, with `-- --bench DIR` for another disk than
//! that of the temporary folder, and `STREAMS=100` for fewer cameras.
//!
//! Each stream has the files that opening reads; of all other segments there are only rows. It prints;
//! it asserts nothing.

#![expect(clippy::disallowed_methods, reason = "a benchmark is the one place that owns the real clock")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops at what fails")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use kinora_base::{ManualClock, StreamName, WallTime};
use kinora_store::{Axis, Begin, Finish, Flags, Options, Query, Store};
use rusqlite::{Connection, params};

const START: WallTime = WallTime::from_millis(1_795_165_200_000);
const DAYS: i64 = 30;
/// 64 MB at 2 Mbit/s.
const SEGMENT_US: i64 = 256_000_000;
const FRAGMENTS: i64 = 256;
const ROWS: i64 = DAYS * 24 * 3600 * 1_000_000 / SEGMENT_US;
/// The first number of the one segment that exists.
const NEWEST: i64 = ROWS * FRAGMENTS + 1;
const ROUNDS: usize = 200;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(START.offset_micros(ROWS * SEGMENT_US)))
}

fn options() -> Options {
    Options { segment_bytes: 1, preallocate_bytes: 4096, scrub_bytes_per_second: 0, ..Options::default() }
}

fn name(n: usize) -> StreamName {
    StreamName::new(&format!("cam{n:04}")).unwrap()
}

/// Streams with a sealed segment of one fragment, and an open one.
fn record(folder: &Path, streams: usize) {
    let store = Store::open(folder, options(), clock()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut promises = Vec::new();
    for n in 0..streams {
        let stream = store.create_stream(&name(n)).unwrap();
        let mut writer = runtime.block_on(stream.writer()).unwrap();
        let configuration = writer.configuration(&Bytes::from_static(b"configuration")).unwrap();
        for second in 0..2 {
            let at = START.offset_micros(ROWS * SEGMENT_US + second * 1_000_000);
            let (producer_time, server_time) = (at, at);
            let begin =
                Begin { producer_time, server_time, media_us: 0, configuration, discontinuity: false };
            writer.begin(begin).unwrap();
            let (head, data) = (Bytes::from_static(b"head"), vec![Bytes::from_static(b"data")]);
            let finish = Finish { duration_us: 1_000_000, flags: Flags::KEY_FRAME_START, head, data };
            promises.push(writer.finish(finish).unwrap().durable);
        }
    }
    promises.into_iter().for_each(|durable| runtime.block_on(durable).unwrap());
    store.close();
}

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

/// Puts the checksum of all before it into the last four bytes.
fn seal(bytes: &mut [u8]) {
    let at = bytes.len() - 4;
    let crc = crc32c::crc32c(&bytes[..at]);
    bytes[at..].copy_from_slice(&crc.to_le_bytes());
}

/// Makes the sealed segment of every stream the last of a month, and the open one disappear.
fn renumber(folder: &Path, streams: usize) {
    for n in 0..streams {
        let folder = folder.join("streams").join(name(n).as_str());
        files(&folder, ".open").iter().for_each(|open| std::fs::remove_file(open).unwrap());
        let sealed = files(&folder, ".seg").remove(0);
        let mut bytes = std::fs::read(&sealed).unwrap();
        bytes[40..48].copy_from_slice(&NEWEST.to_le_bytes());
        bytes[48..56].copy_from_slice(&(NEWEST - 1).to_le_bytes());
        seal(&mut bytes[..512]);
        std::fs::write(&sealed, bytes).unwrap();
        let old = sealed.file_name().unwrap().to_string_lossy().into_owned();
        std::fs::rename(&sealed, folder.join(format!("{NEWEST:020}{}", &old[20..]))).unwrap();
    }
    let path = folder.join("clean");
    let mut bytes = std::fs::read(&path).unwrap();
    let mut at = 16;
    for _ in 0..streams {
        at += 2 + usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        for (offset, value) in [(0, NEWEST + 2), (20, 0), (28, 0), (36, NEWEST)] {
            bytes[at + offset..at + offset + 8].copy_from_slice(&value.to_le_bytes());
        }
        at += 44;
    }
    seal(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Writes the rows of a month of every stream; gives how many.
fn fill(folder: &Path) -> i64 {
    let mut connection = Connection::open(folder.join("meta.db")).unwrap();
    let transaction = connection.transaction().unwrap();
    transaction
        .execute_batch(&format!(
            "UPDATE segments SET first = {NEWEST}, lowest = {NEWEST}, last = {NEWEST}, spent = {NEWEST}, \
             first_ordinal = {NEWEST} - 1;"
        ))
        .unwrap();
    let ids: Vec<i64> = {
        let mut statement = transaction.prepare("SELECT id FROM streams ORDER BY id").unwrap();
        let ids = statement.query_map([], |row| row.get(0)).unwrap();
        ids.map(Result::unwrap).collect()
    };
    for id in &ids {
        let mut insert = transaction
            .prepare_cached(
                "INSERT INTO segments (stream, first, last, spent, epoch, first_ordinal, count, bytes, \
                 file_bytes, producer_first, producer_last, producer_end, server_first, server_last, \
                 server_end, damaged, runs, lowest) VALUES \
                 (?1, ?2, ?3, ?3, 1, ?2 - 1, ?4, ?5, ?5, ?6, ?7, ?7, ?6, ?7, ?7, 0, x'', ?2)",
            )
            .unwrap();
        for row in 0..ROWS {
            let (first, at) = (row * FRAGMENTS + 1, START.as_micros() + row * SEGMENT_US);
            let bytes = FRAGMENTS * 250_000;
            insert
                .execute(params![id, first, first + FRAGMENTS - 1, FRAGMENTS, bytes, at, at + SEGMENT_US])
                .unwrap();
        }
        let (count, bytes) = (ROWS * FRAGMENTS, ROWS * FRAGMENTS * 250_000);
        transaction
            .prepare_cached(
                "UPDATE totals SET first = 1, producer_first = ?2, count = count + ?3, bytes = bytes + ?4 \
                 WHERE stream = ?1",
            )
            .unwrap()
            .execute(params![id, START.as_micros(), count, bytes])
            .unwrap();
    }
    transaction
        .execute_batch(&format!(
            "UPDATE streams SET longest_producer = {SEGMENT_US}, longest_server = {SEGMENT_US};"
        ))
        .unwrap();
    transaction.commit().unwrap();
    ids.len() as i64 * (ROWS + 1)
}

fn timed(what: &str, mut work: impl FnMut(usize) -> usize) {
    let mut times = Vec::new();
    let mut found = 0;
    for round in 0..ROUNDS {
        let began = Instant::now();
        found = work(round);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let ms = |share: usize| times[ROUNDS * share / 100].as_secs_f64() * 1e3;
    println!("  {what:<44} p50 {:>8.3} ms  p99 {:>8.3} ms  ({found})", ms(50), ms(99));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` starts this, too, without the word.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let folder = arguments.iter().find(|argument| !argument.starts_with("--"));
    let parent = folder.map_or_else(std::env::temp_dir, |folder| Path::new(folder).to_owned());
    let streams = std::env::var("STREAMS").ok().and_then(|text| text.parse().ok()).unwrap_or(1000_usize);
    let folder = tempfile::tempdir_in(parent).unwrap();
    record(folder.path(), streams);
    renumber(folder.path(), streams);
    let began = Instant::now();
    let rows = fill(folder.path());
    println!("{streams} streams, {rows} segment rows, written in {:.0} s", began.elapsed().as_secs_f64());
    for round in 1..=3 {
        let began = Instant::now();
        let store = Store::open(folder.path(), options(), clock()).unwrap();
        let took = began.elapsed();
        assert!(store.recovery().clean && store.recovery().damages.is_empty(), "{:?}", store.recovery());
        println!("  open after an orderly shutdown, round {round}: {:.3} s", took.as_secs_f64());
        if round == 3 {
            measure(&store, streams);
        }
        store.close();
    }
}

fn measure(store: &Store, streams: usize) {
    let all = store.streams();
    let of = |round: usize| &all[(round * 7919 + 13) % streams];
    let time = |round: usize| START.offset_micros((round as i64 * 104_729 % (ROWS - 60)) * SEGMENT_US);
    let end = START.offset_micros(ROWS * SEGMENT_US);
    timed("summary of a stream", |round| of(round).summary().fragments as usize);
    timed("30 days of a stream at 1,000 buckets", |round| {
        of(round).timeline((START, end), Some(1000), end).unwrap().runs.len()
    });
    timed("an hour of a stream at 1,000 buckets", |round| {
        let from = time(round);
        let hour = (from, from.offset_micros(3_600_000_000));
        of(round).timeline(hour, Some(1000), end).unwrap().runs.len()
    });
    let query = |from: WallTime, to: Option<WallTime>, descending, limit| Query {
        axis: Axis::Producer,
        start: Some(from),
        end: to,
        descending,
        after: None,
        limit,
    };
    // Without files there is nothing to read: this is what finding the segments takes.
    timed("the segments of an hour, without their footers", |round| {
        let from = time(round);
        let hour = from.offset_micros(3_600_000_000);
        of(round).fragments(&query(from, Some(hour), false, 4000)).unwrap().len()
    });
    timed("the newest fragment", |round| of(round).fragments(&query(START, None, true, 1)).unwrap().len());
}
