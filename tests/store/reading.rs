//! Payloads too large to be held: read by range, checked once, whatever happens meanwhile.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kinora_base::{ErrorKind, FragmentNumber};
use kinora_store::{Begin, Disk, DiskFile, Listed, LocalDisk, Options, Payload, Store, Stream};

use super::harness::*;

/// More than a reader holds, and no multiple of anything.
const LARGE: usize = 3_000_001;

fn options() -> Options {
    Options {
        segment_bytes: 8 << 20,
        max_fragment_bytes: 4 << 20,
        max_uncommitted_bytes: 8 << 20,
        ..super::harness::options()
    }
}

/// The machine's disk, noting the length of every read.
#[derive(Debug, Clone, Default)]
struct Noting(Arc<Mutex<Vec<usize>>>);

impl Noting {
    /// The lengths of the reads since it was asked last.
    fn reads(&self) -> Vec<usize> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[derive(Debug)]
struct NotingFile(Arc<dyn DiskFile>, Noting);

impl Disk for Noting {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(NotingFile(LocalDisk.create(path)?, self.clone())))
    }
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(NotingFile(LocalDisk.open(path, writable)?, self.clone())))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalDisk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove_file(path)
    }
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        LocalDisk.create_folder(path)
    }
    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove_folder(path)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        LocalDisk.sync_folder(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        LocalDisk.list(path)
    }
}

impl DiskFile for NotingFile {
    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.0.write_at(pieces, offset)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.0.lock().unwrap().push(buffer.len());
        self.0.read_at(buffer, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        self.0.allocate(offset, length)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn data_after(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        self.0.data_after(offset)
    }
}

fn open(folder: &Path) -> Store {
    Store::open(folder, options(), clock()).unwrap()
}

fn first(stream: &Arc<Stream>) -> Payload {
    stream.read(FragmentNumber::FIRST).unwrap()
}

/// A closed store with one stream of one large fragment, and the payload.
fn one_large(folder: &Path) -> Bytes {
    let store = open(folder);
    let stream = store.create_stream(&name("cam")).unwrap();
    let take = Take::at(0, payload(1, LARGE));
    store_one(&mut writer(&stream), &take);
    store.close();
    take.payload
}

#[test]
fn any_range_is_read_from_memory_and_from_disk() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let expected = payload(1, 900_000);
    store_one(&mut writer(&stream), &Take::at(0, expected.clone()));
    let ranges =
        [0..5, 0..900_000, 449_000..451_000, 899_999..900_000, 7..7, 899_000..2_000_000, 900_000..900_001];
    let check = |stream: &Arc<Stream>| {
        let payload = first(stream);
        assert_eq!((payload.len(), payload.fragment().number), (900_000, FragmentNumber::FIRST));
        for range in ranges.clone() {
            let end = (range.end as usize).min(expected.len());
            let start = (range.start as usize).min(end);
            assert_eq!(payload.read(range).unwrap(), expected.slice(start..end));
        }
        assert_eq!(payload.whole().unwrap().concat(), expected);
    };
    check(&stream);
    store.close();
    drop((stream, store));
    check(&open(folder.path()).stream(&name("cam")).unwrap());
}

#[test]
fn a_large_payload_is_checked_once_and_never_held() {
    let folder = memory_folder();
    let expected = one_large(folder.path());
    let disk = Noting::default();
    let store = Store::open_on(Arc::new(disk.clone()), folder.path(), options(), clock()).unwrap();
    let stream = store.stream(&name("cam")).unwrap();
    disk.reads();
    let payload = first(&stream);
    assert_eq!(disk.reads().len(), 0, "a handle costs nothing");
    assert_eq!(payload.read(1_000_000..1_000_100).unwrap(), expected.slice(1_000_000..1_000_100));
    let checking = disk.reads();
    assert_eq!(checking.iter().sum::<usize>(), 128 + LARGE + 100);
    assert!(checking.iter().all(|length| *length as u64 <= Payload::PIECE_BYTES), "{checking:?}");
    assert_eq!(payload.read(0..10).unwrap(), expected.slice(0..10));
    assert_eq!(first(&stream).read(5..10).unwrap(), expected.slice(5..10));
    assert_eq!(disk.reads(), [10, 128, 5], "known to be whole, and read no further than asked");
}

#[test]
fn no_byte_of_a_damaged_payload_is_given_away() {
    for at in [0, LARGE / 2, LARGE - 1] {
        let folder = memory_folder();
        let begins = one_large(folder.path()).slice(..100);
        let file = folder.path().join("streams/cam/00000000000000000001.open");
        let mut bytes = std::fs::read(&file).unwrap();
        let payload = bytes.windows(100).position(|window| window == begins).unwrap();
        bytes[payload + at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let store = open(folder.path());
        let payload = first(&store.stream(&name("cam")).unwrap());
        for range in [0..10, 1_000_000..1_000_010] {
            assert_eq!(payload.read(range).unwrap_err().kind, ErrorKind::Corrupt, "byte {at}");
        }
        // The head is told from the rest by its own checksum.
        let head = payload.head(LARGE as u64 / 2).map_err(|error| error.kind);
        assert_eq!(head.err(), (at == 0).then_some(ErrorKind::Corrupt), "byte {at}");
    }
}

#[test]
fn a_head_is_read_without_what_follows_it() {
    let folder = memory_folder();
    let expected = one_large(folder.path());
    let disk = Noting::default();
    let store = Store::open_on(Arc::new(disk.clone()), folder.path(), options(), clock()).unwrap();
    let payload = first(&store.stream(&name("cam")).unwrap());
    disk.reads();
    assert_eq!(payload.peek(5).unwrap(), expected.slice(..5));
    assert_eq!(payload.head(LARGE as u64 / 2).unwrap(), expected.slice(..LARGE / 2));
    assert_eq!(disk.reads(), [128, 5, LARGE / 2]);
    assert_eq!(payload.head(5).unwrap_err().kind, ErrorKind::Corrupt, "it is not so short");
}

#[test]
fn a_reader_that_began_in_memory_goes_on_from_disk() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    let expected = payload(1, 900_000);
    let finished = put(&mut to, &Take::at(0, expected.clone())).unwrap();
    let reader = first(&stream);
    let mut read = reader.read(0..300_000).unwrap().to_vec();
    wait(finished.durable).unwrap();
    read.extend(reader.read(300_000..600_000).unwrap());
    // The next one takes its place in memory.
    store_one(&mut to, &Take::at(1000, payload(2, 1000)));
    read.extend(reader.read(600_000..900_000).unwrap());
    assert_eq!(read, expected);
}

#[test]
fn a_reader_keeps_what_it_reads_when_the_stream_is_deleted() {
    let folder = memory_folder();
    let expected = one_large(folder.path());
    let store = open(folder.path());
    let stream = store.stream(&name("cam")).unwrap();
    let (begun, late) = (first(&stream), first(&stream));
    assert_eq!(begun.read(0..10).unwrap(), expected.slice(0..10));
    store.delete_stream(&name("cam")).unwrap();
    assert_eq!(begun.read(LARGE as u64 - 10..LARGE as u64).unwrap(), expected.slice(LARGE - 10..));
    assert_eq!(late.read(0..10).unwrap(), expected.slice(0..10), "its file is open already");
    assert_eq!(stream.read(FragmentNumber::FIRST).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_configuration_that_the_index_does_not_have_yet_is_read_from_its_segment() {
    let folder = memory_folder();
    let store = Store::open_by_hand(Arc::new(LocalDisk), folder.path(), options(), clock()).unwrap();
    let stream = store.create_stream(&name("cam")).unwrap();
    // The committers work, the keeper of the index does not.
    let commit = || (0..options().committers).for_each(|committer| store.turn(committer));
    let mut to = {
        let mut writing = std::pin::pin!(stream.writer());
        run(std::future::poll_fn(|context| {
            let polled = writing.as_mut().poll(context);
            commit();
            context.waker().wake_by_ref();
            polled
        }))
        .unwrap()
    };
    // More than are kept in memory.
    let content = |n: i64| Bytes::from(format!("configuration {n}"));
    let stored = (0..40).map(|n| {
        let configuration = to.configuration(&content(n)).unwrap();
        let take = Take::at(n * 1000, payload(n as u64, 100));
        let begin = Begin {
            producer_time: take.producer,
            server_time: take.server,
            media_us: 0,
            configuration,
            discontinuity: false,
        };
        to.begin(begin).unwrap();
        let finished = finish(&mut to, &take).unwrap();
        commit();
        wait(finished.durable).unwrap();
        configuration
    });
    for (n, configuration) in stored.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(stream.configuration(configuration).unwrap(), content(n as i64));
    }
}
