//! What the store's tests share: opening stores, writing fragments, waiting without a runtime.
//!
//! It asserts nothing of its own beyond that calls which must succeed do.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use kinora_base::{ManualClock, StreamName, WallTime};
use kinora_store::{
    Axis, Begin, Begun, Error, Finish, Finished, Flags, Fragment, Options, Part, Query, Store, Stream,
    StreamWriter,
};

/// 2026-11-20T09:00:00Z, when all tests begin.
pub(crate) const START: WallTime = WallTime::from_millis(1_795_165_200_000);

/// Small segments, so that tests cross their borders.
pub(crate) fn options() -> Options {
    Options {
        segment_bytes: 20_000,
        preallocate_bytes: 64 << 10,
        committers: 2,
        max_fragment_bytes: 1 << 20,
        max_uncommitted_bytes: 4 << 20,
        scrub_bytes_per_second: 0,
        takeover_grace: Duration::from_secs(2),
        ..Options::default()
    }
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(START))
}

pub(crate) fn open(folder: &Path) -> Store {
    Store::open(folder, options(), clock()).unwrap()
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::new(text).unwrap()
}

/// A folder in memory where there is one: for tests whose data files are simulated, and whose
/// index need not wait for a real disk.
pub(crate) fn memory_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A time in milliseconds after [`START`].
pub(crate) fn at(ms: i64) -> WallTime {
    START.offset_micros(ms * 1000)
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future that needs no runtime.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Waits for a future that needs timers.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

pub(crate) fn writer(stream: &Arc<Stream>) -> StreamWriter {
    run(stream.writer()).unwrap()
}

/// Bytes that tell every fragment apart: `length` of them, grown from `seed`.
pub(crate) fn payload(seed: u64, length: usize) -> Bytes {
    let mut word = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(length);
    Bytes::from(bytes)
}

/// A fragment as tests describe one.
#[derive(Debug, Clone)]
pub(crate) struct Take {
    pub(crate) producer: WallTime,
    pub(crate) server: WallTime,
    pub(crate) duration_us: u64,
    pub(crate) payload: Bytes,
}

impl Take {
    /// One second of media, produced and arrived `ms` after [`START`].
    pub(crate) fn at(ms: i64, payload: Bytes) -> Self {
        Self { producer: at(ms), server: at(ms), duration_us: 1_000_000, payload }
    }
}

pub(crate) fn begin(writer: &mut StreamWriter, take: &Take) -> Result<Begun, Error> {
    let configuration = writer.configuration(&Bytes::from_static(b"configuration"))?;
    writer.begin(Begin {
        producer_time: take.producer,
        server_time: take.server,
        media_us: 0,
        configuration,
        discontinuity: false,
    })
}

pub(crate) fn finish(writer: &mut StreamWriter, take: &Take) -> Result<Finished, Error> {
    let middle = take.payload.len() / 2;
    writer.finish(Finish {
        duration_us: take.duration_us,
        flags: Flags::KEY_FRAME_START,
        head: take.payload.slice(..middle),
        data: vec![take.payload.slice(middle..)],
    })
}

/// Begins and finishes.
pub(crate) fn put(writer: &mut StreamWriter, take: &Take) -> Result<Finished, Error> {
    begin(writer, take)?;
    finish(writer, take)
}

/// Begins, finishes and waits until it is durable.
pub(crate) fn store_one(writer: &mut StreamWriter, take: &Take) -> Fragment {
    let finished = put(writer, take).unwrap();
    wait(finished.durable).unwrap();
    finished.fragment
}

pub(crate) fn part(index: u32, data: &Bytes) -> Part {
    Part {
        index,
        offset_us: u64::from(index) * 200_000,
        duration_us: 200_000,
        independent: index == 0,
        head: Bytes::from_static(b"head"),
        data: vec![data.clone()],
    }
}

/// The payload as one piece.
pub(crate) fn read(stream: &Arc<Stream>, fragment: &Fragment) -> Bytes {
    stream.read(fragment.number).unwrap().whole().unwrap().concat().into()
}

pub(crate) fn everything(axis: Axis) -> Query {
    Query { axis, start: None, end: None, descending: false, after: None, limit: usize::MAX }
}

pub(crate) fn numbers(fragments: &[Fragment]) -> Vec<u64> {
    fragments.iter().map(|fragment| fragment.number.get()).collect()
}
