//! Uploads through the real session and store in this process.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use kinora::ingest::{Ack, BodyError, Opening, Put, PutSettings, Timing};
use kinora_base::{ManualClock, StreamName};
use kinora_store::{Options, Store};
use tokio::sync::mpsc;

use super::archive::{Kept, in_store};
use super::chance::Chance;
use super::clip::{Clip, START};
use super::producer::Producer;

/// So small that segments are sealed and begun all the time.
const SEGMENT_BYTES: u64 = 150_000;
/// A server's life ends once in so many connections, half the time without notice.
const CONNECTIONS_IN_A_LIFE: usize = 10;

/// A data directory, in memory where there is some.
#[derive(Debug)]
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn open(&self) -> Store {
        let options =
            Options { segment_bytes: SEGMENT_BYTES, preallocate_bytes: 64 << 10, ..Options::default() };
        Store::open(self.0.path(), options, Arc::new(ManualClock::at(START))).unwrap()
    }

    /// What is stored of a clip.
    pub(crate) fn archive(&self, clip: &Clip) -> Vec<Kept> {
        in_store(&self.open(), clip)
    }

    /// Lets the producer upload until it is done; how often the store crashed meanwhile.
    pub(crate) fn upload(&self, producer: &mut Producer<'_>, chance: &mut Chance) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut crashes = 0;
        let mut store = Some(self.open());
        while !producer.done {
            if chance.once_in(CONNECTIONS_IN_A_LIFE) {
                let ended = store.take().unwrap();
                if chance.once_in(2) {
                    ended.close();
                } else {
                    crashes += 1;
                }
                drop(ended);
            }
            let store = store.get_or_insert_with(|| self.open());
            let upload = producer.next();
            let acks = runtime.block_on(connect(store, producer.clip, &upload.chunks, upload.is_cut));
            let persisted = acks.iter().filter_map(|ack| match ack {
                Ack::Persisted(fragment) if !fragment.partial => Some(fragment),
                _ => None,
            });
            let persisted: Vec<_> = persisted.collect();
            let read = producer.reads(persisted.len());
            for fragment in &persisted[..read] {
                producer.persisted(fragment.producer_time, fragment.number.get());
            }
        }
        crashes
    }
}

/// What one upload without any cut leaves.
pub(crate) fn clean_upload(clip: &Clip) -> Vec<Kept> {
    let folder = Folder::new();
    let store = folder.open();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let chunks: Vec<Bytes> = [&clip.head].into_iter().chain(&clip.pieces).cloned().collect();
    let acks = runtime.block_on(connect(&store, clip, &chunks, false));
    assert!(!acks.iter().any(|ack| matches!(ack, Ack::Error(_))), "{}: {acks:?}", clip.name);
    in_store(&store, clip)
}

/// One connection; all acks that it was sent.
async fn connect(store: &Store, clip: &Clip, chunks: &[Bytes], is_cut: bool) -> Vec<Ack> {
    let clock = Arc::new(ManualClock::at(START));
    let end = is_cut.then(|| Err(BodyError("cut".into())));
    let mut body = stream::iter(chunks.iter().cloned().map(Ok).chain(end));
    let mut opening = Opening::new(None, Timing::Start(START), PutSettings::default(), clock);
    if opening.read(&mut body, std::future::pending()).await.is_err() {
        return Vec::new();
    }
    let stream = store.create_stream(&StreamName::new(clip.name).unwrap()).unwrap();
    let writer = stream.writer().await.unwrap();
    let (sender, mut acks) = mpsc::channel(1024);
    let ending = Put::new(opening, writer, sender).run(body, std::future::pending()).await;
    assert_eq!(ending.dropped_acks, 0);
    let mut all = Vec::new();
    while let Some(ack) = acks.recv().await {
        all.push(ack);
    }
    all
}
