//! How fast the store alone makes fragments durable: `cargo bench -p kinora-store`, with
//! `-- --bench DIR` for another disk than that of the temporary folder, `-- --encryption` for what
//! encryption costs only.
//!
//! It measures and prints; it asserts nothing, and knows nothing of media or HTTP.

#![expect(clippy::disallowed_methods, reason = "a benchmark is the one place that owns the real clock")]
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first thing that fails")]

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kinora_base::{Clock, FragmentNumber, PredictableRandom, StreamName, WallTime};
use kinora_store::{Begin, Durable, Finish, Flags, Keyring, Options, Secret, Store, StreamWriter};

const STREAMS: usize = 200;
const FRAGMENT_BYTES: usize = 250_000;

#[derive(Debug)]
struct RealClock(Instant);

impl Clock for RealClock {
    fn wall(&self) -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        WallTime::from_micros(since.as_micros() as i64)
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Waits for promises, as many at a time as there are; gives how long each took.
fn waiter(promises: mpsc::Receiver<(Instant, Durable)>) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let forward = std::thread::spawn(move || promises.into_iter().for_each(|p| sender.send(p).unwrap()));
    let times = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        while let Some((since, durable)) = receiver.recv().await {
            tasks.spawn(async move {
                durable.await.unwrap();
                since.elapsed()
            });
        }
        tasks.join_all().await
    });
    forward.join().unwrap();
    times
}

fn put(writer: &mut StreamWriter, n: u64, payload: &Bytes, clock: &dyn Clock) -> (Instant, Durable) {
    let configuration = writer.configuration(&Bytes::from_static(b"configuration")).unwrap();
    let now = clock.wall();
    let begin = Begin {
        producer_time: now.offset_micros(n as i64),
        server_time: now,
        media_us: 0,
        configuration,
        discontinuity: false,
    };
    writer.begin(begin).unwrap();
    let half = payload.len() / 2;
    let finish = Finish {
        duration_us: 1_000_000,
        flags: Flags::KEY_FRAME_START,
        head: payload.slice(..half),
        data: vec![payload.slice(half..)],
    };
    let since = Instant::now();
    (since, writer.finish(finish).unwrap().durable)
}

/// Bytes written to all disks of the machine: others' too, so measure on a quiet one.
fn device_bytes() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/diskstats") else { return 0 };
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // Whole disks only; partitions end in a digit that follows a letter or "p".
            let name = fields.get(2)?;
            let whole = Path::new("/sys/block").join(name).exists() && !name.starts_with("loop");
            whole.then(|| fields.get(9)?.parse::<u64>().ok()).flatten()
        })
        .sum::<u64>()
        * 512
}

fn report(what: &str, store: &Store, mut times: Vec<Duration>, took: Duration, device: u64) {
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
    let statistics = store.statistics();
    let payload = statistics.received_bytes.max(1) as f64;
    println!(
        "{what:<28} {:>6} fragments {:>7.0}/s {:>6.0} MB/s  p50 {:>6.2} ms  p90 {:>6.2}  p99 {:>6.2}  max {:>6.2}  \
         written/byte {:.4}  device/byte {:.3}  syncs/fragment {:.2}",
        times.len(),
        times.len() as f64 / took.as_secs_f64(),
        payload / 1e6 / took.as_secs_f64(),
        at(0.5).as_secs_f64() * 1e3,
        at(0.9).as_secs_f64() * 1e3,
        at(0.99).as_secs_f64() * 1e3,
        times.last().copied().unwrap_or_default().as_secs_f64() * 1e3,
        statistics.written_bytes as f64 / payload,
        device as f64 / payload,
        statistics.syncs as f64 / times.len().max(1) as f64,
    );
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn with_store(
    parent: &Path,
    committers: usize,
    close: bool,
    work: impl FnOnce(&Store, &Arc<RealClock>, Vec<StreamWriter>),
) {
    let folder = tempfile::tempdir_in(parent).unwrap();
    let clock = Arc::new(RealClock(Instant::now()));
    let options = Options { committers, ..Options::default() };
    let store = Store::open(folder.path(), options, clock.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let writers = (0..STREAMS).map(|n| {
        let stream = store.create_stream(&StreamName::new(&format!("cam{n}")).unwrap()).unwrap();
        runtime.block_on(stream.writer()).unwrap()
    });
    let writers = writers.collect();
    work(&store, &clock, writers);
    let closing = Instant::now();
    if close {
        store.close();
    }
    let closed = closing.elapsed();
    drop(store);
    let opening = Instant::now();
    let options = Options { committers, ..Options::default() };
    let store = Store::open(folder.path(), options, clock).unwrap();
    println!(
        "{:<28} {} {:.0} ms, open {} streams {:.0} ms",
        "",
        if close { "close" } else { "no close" },
        closed.as_secs_f64() * 1e3,
        store.streams().len(),
        opening.elapsed().as_secs_f64() * 1e3
    );
}

/// Every stream one fragment a second, their phases spread.
fn paced(parent: &Path, committers: usize, seconds: u32) {
    with_store(parent, committers, false, |store, clock, mut writers| {
        let payload = Bytes::from(vec![0xA5; FRAGMENT_BYTES]);
        let (sender, receiver) = mpsc::channel();
        let waiting = std::thread::spawn(move || waiter(receiver));
        let (device, start) = (device_bytes(), Instant::now());
        for n in 0..(STREAMS as u32 * seconds) {
            let due = Duration::from_secs(1) * n / STREAMS as u32;
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            let streams = writers.len();
            if let Some(writer) = writers.get_mut(n as usize % streams) {
                sender.send(put(writer, u64::from(n), &payload, clock.as_ref())).unwrap();
            }
        }
        drop(sender);
        let times = waiting.join().unwrap();
        let took = start.elapsed();
        let resident = resident_bytes();
        report(&format!("paced, {committers} committers"), store, times, took, device_bytes() - device);
        println!(
            "{:<28} resident {:.0} MB, {:.0} KB per stream",
            "",
            resident as f64 / 1e6,
            resident as f64 / 1e3 / STREAMS as f64
        );
    });
}

/// Every stream always has one fragment waiting for the disk.
fn saturated(parent: &Path, committers: usize, rounds: u64, bytes: usize) {
    with_store(parent, committers, true, |store, clock, writers| {
        let payload = Bytes::from(vec![0x5A; bytes]);
        let (device, start) = (device_bytes(), Instant::now());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let times = runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for mut writer in writers {
                let (payload, clock) = (payload.clone(), Arc::clone(clock));
                tasks.spawn(async move {
                    let mut times = Vec::new();
                    for n in 0..rounds {
                        let (since, durable) = put(&mut writer, n, &payload, clock.as_ref());
                        durable.await.unwrap();
                        times.push(since.elapsed());
                    }
                    times
                });
            }
            tasks.join_all().await.concat()
        });
        let took = start.elapsed();
        report(
            &format!("saturated {} KB, {committers} committers", bytes / 1000),
            store,
            times,
            took,
            device_bytes() - device,
        );
    });
}

/// CPU time of this process so far, in milliseconds (the kernel counts hundredths of a second).
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10.0
}

/// What encryption costs: CPU to write and read back, and to read a little of something large.
fn encryption(parent: &Path, rounds: u64) {
    const LARGE_BYTES: usize = 32 << 20;
    for encrypted in [false, true] {
        let folder = tempfile::tempdir_in(parent).unwrap();
        let clock = Arc::new(RealClock(Instant::now()));
        let secret = Secret::from_hex(&"5a".repeat(32)).unwrap();
        let keys = Keyring::new(secret, Vec::new(), Arc::new(PredictableRandom::from_seed(1))).unwrap();
        let keys = encrypted.then(|| Arc::new(keys));
        let store =
            Store::open(folder.path(), Options { keys, ..Options::default() }, clock.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let stream = store.create_stream(&StreamName::new("cam").unwrap()).unwrap();
        let mut writer = runtime.block_on(stream.writer()).unwrap();
        let payload = Bytes::from(vec![0xA5; FRAGMENT_BYTES]);
        let before = cpu_ms();
        for n in 0..rounds {
            runtime.block_on(put(&mut writer, n, &payload, clock.as_ref()).1).unwrap();
        }
        let written = cpu_ms();
        let megabytes = rounds as f64 * FRAGMENT_BYTES as f64 / 1e6;
        for n in 1..=rounds {
            let number = FragmentNumber::new(n).unwrap();
            assert_eq!(stream.read(number).unwrap().whole().unwrap().concat().len(), FRAGMENT_BYTES);
        }
        let read = cpu_ms();
        let large = Bytes::from(vec![0xA5; LARGE_BYTES]);
        runtime.block_on(put(&mut writer, rounds, &large, clock.as_ref()).1).unwrap();
        // So that the large one is no longer in memory.
        runtime.block_on(put(&mut writer, rounds + 1, &payload, clock.as_ref()).1).unwrap();
        let number = FragmentNumber::new(rounds + 1).unwrap();
        let since = Instant::now();
        let middle = LARGE_BYTES as u64 / 2;
        assert_eq!(stream.read(number).unwrap().read(middle..middle + 1000).unwrap().len(), 1000);
        println!(
            "{:<28} CPU to write {:.2} ms/MB, to read {:.2} ms/MB; 1 KB of a fragment of 32 MB in {:.2} ms",
            if encrypted { "encrypted, one stream" } else { "plain, one stream" },
            (written - before) / megabytes,
            (read - written) / megabytes,
            since.elapsed().as_secs_f64() * 1e3
        );
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
    encryption(&parent, 1600);
    if arguments.iter().any(|argument| argument == "--encryption") {
        return;
    }
    for committers in [2, 4, 8] {
        paced(&parent, committers, 10);
    }
    for committers in [2, 4, 8] {
        saturated(&parent, committers, 20, FRAGMENT_BYTES);
        saturated(&parent, committers, 100, 8_000);
    }
}
