//! Connections that stall, dribble, are taken over, or outpace their reader, over a real store.

use std::path::Path;

use futures_util::stream;
use kinora_base::{ManualClock, StreamName};
use kinora_store::{Options, Store};

use crate::ingest::{Clocks, CutSettings, Measured, Timing};
use kinora_test_support::clip;

use super::*;

/// Wall and monotonic time as tokio's, which a paused test turns forward when all else waits.
#[derive(Debug)]
struct TokioClock(tokio::time::Instant);

impl Clock for TokioClock {
    fn wall(&self) -> WallTime {
        WallTime::from_millis(1_800_000_000_000).plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The producer states its times, so that they are the same when it comes again.
const START: Timing = Timing::Start(START_TIME);
const START_TIME: WallTime = WallTime::from_millis(1_750_000_000_000);

struct Bench {
    store: Store,
    clock: Arc<dyn Clock>,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock(tokio::time::Instant::now()));
        let store = Store::open(&folder.path().join("data"), Options::default(), Arc::clone(&clock)).unwrap();
        Self { store, clock, _folder: folder }
    }

    fn stream(&self) -> Arc<kinora_store::Stream> {
        self.store.create_stream(&StreamName::new("cam").unwrap()).unwrap()
    }

    fn opening(&self) -> Opening {
        Opening::new(None, Timing::Arrival, PutSettings::default(), Arc::clone(&self.clock))
    }

    async fn put(&self, acks: mpsc::Sender<Ack>) -> Put {
        Put::new(self.opening(), self.stream().writer().await.unwrap(), acks)
    }
}

fn camera() -> Bytes {
    let args =
        ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10", "-t", "3", "-c:v", "libx264", "-g", "10"];
    std::fs::read(Path::new(&clip("put-camera.mkv", &args))).unwrap().into()
}

fn never() -> impl Future<Output = ()> + Send {
    std::future::pending()
}

type Chunks = mpsc::Receiver<Result<Bytes, BodyError>>;

fn body(chunks: Chunks) -> impl Stream<Item = Result<Bytes, BodyError>> + Unpin + Send {
    Box::pin(stream::unfold(chunks, |mut chunks| async move { Some((chunks.recv().await?, chunks)) }))
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_stalls_is_told_it_is_idle_and_then_ended() {
    let bench = Bench::new();
    let (sender, mut acks) = mpsc::channel(64);
    let put = bench.put(sender).await;
    let (send, chunks) = mpsc::channel(4);
    send.send(Ok(camera().slice(..10_000))).await.unwrap();
    let ending = put.run(body(chunks), never()).await;
    assert_eq!(ending.refusal.unwrap().code, "producer_stalled");
    let mut told = Vec::new();
    while let Some(ack) = acks.recv().await {
        told.push(ack);
    }
    assert!(told.iter().filter(|ack| **ack == Ack::Idle).count() >= 10, "{told:?}");
    assert!(matches!(told.last(), Some(Ack::Error(refusal)) if refusal.code == "producer_stalled"));
    let absence = bench.stream().absence(bench.clock.wall()).unwrap();
    assert_eq!(absence.cause, kinora_store::Cause::Stall);
    assert!(absence.detail.contains("60 seconds"), "{absence:?}");
}

#[tokio::test(start_paused = true)]
async fn one_byte_a_second_is_a_stall_too() {
    let bench = Bench::new();
    let (sender, _acks) = mpsc::channel(64);
    let put = bench.put(sender).await;
    let (send, chunks) = mpsc::channel(4);
    let feeding = tokio::spawn(async move {
        for byte in camera().chunks(1).map(Bytes::copy_from_slice) {
            if send.send(Ok(byte)).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let ending = put.run(body(chunks), never()).await;
    feeding.abort();
    assert_eq!(ending.refusal.unwrap().code, "producer_stalled");
    assert!(ending.bytes < 100, "{}", ending.bytes);
}

#[tokio::test(start_paused = true)]
async fn acks_that_nobody_reads_are_dropped_and_counted() {
    let bench = Bench::new();
    let (sender, acks) = mpsc::channel(2);
    let put = bench.put(sender).await;
    let chunks = stream::iter([Ok(camera())]);
    let ending = put.run(chunks, never()).await;
    assert_eq!((ending.refusal, ending.fragments), (None, 3));
    assert_eq!(ending.dropped_acks, 7, "three of each kind, and room for two");
    drop(acks);
    assert_eq!(bench.stream().summary().fragments, 3);
}

#[tokio::test]
async fn one_chunk_of_many_fragments_is_acknowledged_whole_to_whoever_reads() {
    let bench = Bench::new();
    let (sender, mut acks) = mpsc::channel(4);
    let put = bench.put(sender).await;
    // More fragments than may wait for the disk, more acks than the channel holds.
    let args = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25", "-t", "12", "-c:v", "libx264", "-g", "1"];
    let media = std::fs::read(clip("put-key-frames.mkv", &args)).unwrap();
    let reading = tokio::spawn(async move {
        let mut persisted = 0;
        while let Some(ack) = acks.recv().await {
            persisted += u32::from(matches!(ack, Ack::Persisted(_)));
        }
        persisted
    });
    let ending = put.run(stream::iter([Ok(media.into())]), never()).await;
    assert_eq!((ending.refusal, ending.fragments, ending.dropped_acks), (None, 300, 0));
    assert_eq!(reading.await.unwrap(), 300);
}

#[tokio::test(start_paused = true)]
async fn what_was_complete_is_stored_when_the_connection_breaks() {
    let bench = Bench::new();
    let (sender, _acks) = mpsc::channel(64);
    let put = bench.put(sender).await;
    let media = camera();
    let chunks = stream::iter([Ok(media.slice(..media.len() / 2)), Err(BodyError("reset".into()))]);
    let ending = put.run(chunks, never()).await;
    assert_eq!(ending.refusal.unwrap().code, "connection_lost");
    let newest = bench.stream().tail(1).unwrap().fragments;
    assert!(newest[0].flags.has(kinora_store::Flags::PARTIAL));
}

/// Pushes as a camera does while the server's clock is set, a second after each of ten fragments
/// arrived; the server times of what is stored.
async fn server_times_while_the_clock_is_set(step_us: i64) -> (Vec<WallTime>, Option<Measured>) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(WallTime::from_millis(1_800_000_000_000)));
    let store = Store::open(folder.path(), Options::default(), Arc::clone(&clock) as _).unwrap();
    let name = StreamName::new("cam").unwrap();
    let stream = store.create_stream(&name).unwrap();
    let args = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=64x64:rate=5",
        "-t",
        "90",
        "-c:v",
        "libx264",
        "-g",
        "5",
        "-sc_threshold",
        "0",
    ];
    let args =
        [&args[..], &["-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof"]].concat();
    let media = Bytes::from(std::fs::read(clip("put-90-seconds.mp4", &args)).unwrap());
    let moofs = media.windows(4).enumerate().filter(|(_, four)| four == b"moof").map(|(at, _)| at - 4);
    let cuts: Vec<usize> = std::iter::once(0).chain(moofs.skip(1)).chain([media.len()]).collect();
    let ticking = Arc::clone(&clock);
    // Lazily, as the session asks for the next.
    let chunks = stream::iter(cuts.clone().into_iter().zip(cuts.into_iter().skip(1)).enumerate()).map(
        move |(second, (from, to))| {
            ticking.advance(Duration::from_secs(1));
            if second == 45 {
                ticking.step_wall(ticking.wall().offset_micros(step_us));
            }
            Ok(media.slice(from..to))
        },
    );
    let clocks = Clocks::default();
    let opening = Opening::new(None, START, PutSettings::default(), Arc::clone(&clock) as _);
    let (sender, _acks) = mpsc::channel(1024);
    let put = Put::new(opening, stream.writer().await.unwrap(), sender).watched(clocks.watch(&name));
    // The session keeps its watch until it ends, so what it measured is looked at before.
    let measured = Arc::new(std::sync::Mutex::new(None));
    let (seen, of) = (Arc::clone(&measured), name.clone());
    let chunks = chunks.inspect(move |_| *seen.lock().unwrap() = clocks.measured(&of));
    let ending = put.run(chunks, never()).await;
    assert_eq!((ending.refusal, ending.fragments), (None, 90));
    let times = stream.tail(100).unwrap().fragments.iter().map(|fragment| fragment.server_time).collect();
    let measured = *measured.lock().unwrap();
    (times, measured)
}

#[tokio::test]
async fn a_clock_that_is_set_breaks_neither_order_nor_the_measurement_of_the_producers() {
    const HOUR_US: i64 = 3600 * 1_000_000;
    for step_us in [0, HOUR_US, -HOUR_US] {
        let (times, measured) = server_times_while_the_clock_is_set(step_us).await;
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{step_us}: {times:?}");
        let distance_us = times[80].micros_since(times[10]);
        let expected_us = match step_us {
            0 => 70 * 1_000_000,
            HOUR_US => 70 * 1_000_000 + HOUR_US,
            // From there on at half the pace.
            _ => 52_500_000,
        };
        assert!((distance_us - expected_us).abs() <= 1_000_000, "{step_us}: {distance_us}");
        let measured = measured.unwrap();
        assert!(measured.drift_ppm.unwrap().abs() < 1.0, "{measured:?}");
        // The offset is that of the clocks as they are.
        let apart_us = START_TIME.micros_since(WallTime::from_millis(1_800_000_000_000)) - step_us;
        assert!((measured.offset_us - apart_us).abs() < 2_000_000, "{measured:?} for {apart_us}");
    }
}

#[tokio::test]
async fn what_breaks_off_is_stored_as_far_as_it_is_new() {
    let bench = Bench::new();
    let media = camera();
    let cuts = [media.len() / 2, media.len() / 2 - 900, media.len() / 2 + 900, media.len()];
    let mut stored = Vec::new();
    for (at, broken) in cuts.into_iter().zip([true, true, true, false]) {
        let opening =
            Opening { session: Session::new(None, CutSettings::default(), START), ..bench.opening() };
        let (sender, _acks) = mpsc::channel(64);
        let put = Put::new(opening, bench.stream().writer().await.unwrap(), sender);
        let end = broken.then(|| Err(BodyError("reset".into())));
        let chunks = stream::iter([Ok(media.slice(..at))].into_iter().chain(end));
        let ending = put.run(chunks, never()).await;
        stored.push((ending.fragments, ending.repeated));
    }
    // One whole, one broken off; the same and less; the whole again and more; the whole again, the
    // broken one whole, and the last.
    assert_eq!(stored, [(2, 0), (2, 2), (2, 1), (3, 1)]);
    let fragments = bench.stream().tail(10).unwrap().fragments;
    let flags: Vec<_> = fragments.iter().map(|f| f.flags.has(Flags::PARTIAL)).collect();
    assert_eq!(flags, [false, true, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_media_is_refused_before_anything_is_touched() {
    let bench = Bench::new();
    let silent = body(mpsc::channel(1).1);
    let refused = bench.opening().read(&mut Box::pin(silent), never()).await;
    assert_eq!(refused.unwrap_err().code, "truncated_media", "an empty body");
    let (_send, chunks) = mpsc::channel(1);
    let refused = bench.opening().read(&mut Box::pin(body(chunks)), never()).await;
    assert_eq!(refused.unwrap_err().code, "producer_stalled");
    let (_send, chunks) = mpsc::channel(1);
    let refused = bench.opening().read(&mut Box::pin(body(chunks)), async {}).await;
    assert_eq!(refused.unwrap_err().code, "server_stopping");
}

#[tokio::test]
async fn what_was_read_before_the_stream_was_taken_is_not_lost() {
    let bench = Bench::new();
    let mut opening = bench.opening();
    let mut whole = stream::iter([Ok(camera())]);
    opening.read(&mut whole, never()).await.unwrap();
    let (sender, _acks) = mpsc::channel(64);
    let put = Put::new(opening, bench.stream().writer().await.unwrap(), sender);
    let ending = put.run(whole, never()).await;
    assert_eq!((ending.refusal, ending.fragments), (None, 3));
}

#[tokio::test]
async fn a_newer_producer_is_not_kept_waiting_by_an_older_one_that_says_nothing() {
    let bench = Bench::new();
    let (sender, mut acks) = mpsc::channel(64);
    let put = bench.put(sender).await;
    let (send, chunks) = mpsc::channel(4);
    send.send(Ok(camera())).await.unwrap();
    let older = tokio::spawn(put.run(body(chunks), never()));
    while !matches!(acks.recv().await, Some(Ack::Persisted(_))) {}
    let (sender, _acks) = mpsc::channel(64);
    let newer = bench.put(sender).await;
    assert_eq!(older.await.unwrap().refusal.unwrap().code, "superseded");
    let ending = newer.run(stream::iter([Ok(camera())]), never()).await;
    assert_eq!((ending.refusal, ending.fragments), (None, 3));
}
