//! Damage that is known counts as absence: it is remembered and named, and costs only itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use kinora_base::{ErrorKind, FragmentNumber};
use kinora_store::{
    Axis, Cause, Disk, DiskFile, Limit, Limits, Listed, LocalDisk, Pin, Store, rebuild_index, verify,
};

use super::harness::*;

const COUNT: u64 = 25;

/// One stream, some sealed segments of ten fragments and an open one, closed. Gives the sealed files.
fn recorded() -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = memory_folder();
    let store = open(folder.path());
    let mut to = writer(&store.create_stream(&name("cam")).unwrap());
    for n in 0..COUNT {
        store_one(&mut to, &Take::at(n as i64 * 1000, content(n + 1)));
    }
    drop(to);
    store.close();
    let files = std::fs::read_dir(folder.path().join("streams/cam")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let mut sealed: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "seg")).collect();
    sealed.sort();
    assert_eq!(sealed.len(), 2);
    (folder, sealed)
}

fn content(number: u64) -> bytes::Bytes {
    payload(number, 2000)
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Where the content of the fragment `number` lies in the file.
fn place(path: &Path, number: u64) -> usize {
    let content = content(number);
    std::fs::read(path).unwrap().windows(content.len()).position(|window| window == content).unwrap()
}

fn listed(store: &Store, axis: Axis) -> Vec<u64> {
    numbers(&store.stream(&name("cam")).unwrap().fragments(&everything(axis)).unwrap())
}

fn all_but(lost: &[u64]) -> Vec<u64> {
    (1..=COUNT).filter(|number| !lost.contains(number)).collect()
}

/// Every listed fragment is whole and the right one.
fn check(store: &Store, lost: &[u64]) {
    let stream = store.stream(&name("cam")).unwrap();
    for axis in [Axis::Arrival, Axis::Producer, Axis::Server] {
        assert_eq!(listed(store, axis), all_but(lost), "{axis:?}");
    }
    for number in all_but(lost) {
        let fragment = stream.fragment(FragmentNumber::new(number).unwrap()).unwrap();
        assert_eq!(fragment.producer_time, at(number as i64 * 1000 - 1000));
        assert_eq!(read(&stream, &fragment), content(number));
    }
}

#[test]
fn a_fragment_that_reading_finds_damaged_is_absent_from_then_on() {
    let (folder, sealed) = recorded();
    let at_byte = place(&sealed[0], 4);
    change(&sealed[0], |bytes| bytes[at_byte + 700] ^= 1);
    let store = open(folder.path());
    let stream = store.stream(&name("cam")).unwrap();
    assert_eq!(listed(&store, Axis::Arrival), all_but(&[]), "nobody has read it yet");
    let number = FragmentNumber::new(4).unwrap();
    let error = stream.read(number).and_then(|payload| payload.whole()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    check(&store, &[4]);
    let places = stream.damages();
    assert_eq!(places.len(), 1);
    assert_eq!((places[0].fragment, places[0].offset), (Some(number), at_byte as u64 - 128));
    assert!(sealed[0].ends_with(&places[0].file), "{places:?}");
    assert!(stream.is_damaged(number));
    assert_eq!(store.statistics().damaged_places, 1);
    // The range has a hole of one second where it was, though the index counts it.
    let span = (at(-1), at(COUNT as i64 * 1000 + 1));
    let timeline = stream.timeline(span, None, span.1).unwrap();
    let runs: Vec<_> = timeline.runs.iter().map(|run| (run.start, run.end)).collect();
    assert_eq!(runs, [(at(0), at(3000)), (at(4000), at(COUNT as i64 * 1000))]);
    let gap = &timeline.gaps[0];
    assert_eq!((gap.start, gap.end, gap.cause), (at(3000), Some(at(4000)), Cause::Damaged));
    // It is found once, and known after a restart without being read again.
    assert!(stream.read(number).and_then(|payload| payload.whole()).is_err());
    assert_eq!(stream.damages(), places);
    drop(stream);
    store.close();
    let store = open(folder.path());
    assert_eq!(store.stream(&name("cam")).unwrap().damages(), places);
    check(&store, &[4]);
    store.delete_stream(&name("cam")).unwrap();
    assert_eq!(store.statistics().damaged_places, 0);
}

/// Segments of the damaged places that the index has noted.
fn noted(folder: &Path) -> Vec<i64> {
    let index = rusqlite::Connection::open(folder.join("meta.db")).unwrap();
    let mut rows = index.prepare("SELECT segment FROM damages ORDER BY segment").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn damage_expires_with_the_segment_it_is_in() {
    let (folder, sealed) = recorded();
    for (file, number) in [(&sealed[0], 4), (&sealed[1], 14)] {
        let at_byte = place(file, number);
        change(file, |bytes| bytes[at_byte] ^= 1);
    }
    let store = open(folder.path());
    let stream = store.stream(&name("cam")).unwrap();
    assert_eq!(store.scrub().damaged_places, 2);
    assert_eq!(noted(folder.path()), [1, 11]);
    // The second segment expires as well, but a fragment of it is pinned.
    let (created, by) = (START, String::new());
    let pin = Pin { name: "p".into(), start: at(15_100), end: at(15_200), created, by, reason: "".into() };
    stream.pin(pin).unwrap();
    stream.set_limits(Limits { age_s: Limit::Inherited, bytes: Limit::Most(4000) }).unwrap();
    store.enforce().unwrap();
    assert!(!sealed[0].exists() && sealed[1].exists());
    assert_eq!(stream.damages()[0].fragment, FragmentNumber::new(14));
    assert_eq!((noted(folder.path()), store.statistics().damaged_places), (vec![11], 1));
    stream.unpin("p").unwrap();
    store.enforce().unwrap();
    assert!(!sealed[1].exists());
    assert_eq!(stream.damages(), []);
    assert_eq!((noted(folder.path()), store.statistics().damaged_places), (vec![], 0));
}

#[test]
fn a_missing_segment_is_not_missed_once_it_would_have_expired() {
    let (folder, sealed) = recorded();
    std::fs::remove_file(&sealed[0]).unwrap();
    let store = open(folder.path());
    let _foreign = store.survey();
    let stream = store.stream(&name("cam")).unwrap();
    assert_eq!(noted(folder.path()), [1]);
    stream.set_limits(Limits { age_s: Limit::Inherited, bytes: Limit::Most(4000) }).unwrap();
    store.enforce().unwrap();
    assert!(!sealed[1].exists());
    assert_eq!((stream.damages(), noted(folder.path())), (vec![], vec![]));
}

#[test]
fn a_sealed_segment_with_a_damaged_end_or_header_loses_none_of_its_fragments() {
    // From the start or, negative, from the end.
    for (what, byte) in [("header", 20_isize), ("footer", -158), ("trailer", -100), ("last byte", -1)] {
        for (victim, without_index) in [(0, false), (1, false), (0, true), (1, true)] {
            let (folder, sealed) = recorded();
            change(&sealed[victim], |bytes| {
                let length = bytes.len() as isize;
                bytes[((byte + length) % length) as usize] ^= 1;
            });
            if without_index {
                std::fs::remove_file(folder.path().join("meta.db")).unwrap();
            }
            let store = open(folder.path());
            check(&store, &[]);
            let places = store.stream(&name("cam")).unwrap().damages();
            assert_eq!(places.len(), 1, "{what} of {victim}: {places:?}");
            assert_eq!(places[0].fragment, None);
            assert_eq!(store.statistics().damaged_places, 1);
            store.close();
            let store = open(folder.path());
            check(&store, &[]);
            assert_eq!(store.stream(&name("cam")).unwrap().damages(), places);
        }
    }
}

#[test]
fn a_cut_segment_costs_what_was_cut_off() {
    let (folder, sealed) = recorded();
    let cut = place(&sealed[0], 7) - 128;
    change(&sealed[0], |bytes| bytes.truncate(cut));
    for without_index in [false, true] {
        if without_index {
            std::fs::remove_file(folder.path().join("meta.db")).unwrap();
        }
        let store = open(folder.path());
        check(&store, &[7, 8, 9, 10]);
        let ordinals = store.stream(&name("cam")).unwrap().fragments(&everything(Axis::Arrival)).unwrap();
        assert_eq!(ordinals.last().unwrap().ordinal, COUNT - 1, "later ones keep their places");
        store.close();
    }
    assert_eq!(rebuild_index(folder.path()).unwrap().damages.len(), 1);
    std::fs::remove_file(&sealed[0]).unwrap();
    let store = open(folder.path());
    check(&store, &(1..=10).collect::<Vec<_>>());
    let _foreign = store.survey();
    assert!(
        store.stream(&name("cam")).unwrap().damages().iter().any(|place| place.reason.contains("missing"))
    );
}

#[test]
fn an_open_segment_with_a_damaged_header_goes_on_being_read() {
    for crash in [false, true] {
        let (folder, _) = recorded();
        let open_segment = folder.path().join("streams/cam/00000000000000000021.open");
        change(&open_segment, |bytes| bytes[100] ^= 1);
        if crash {
            std::fs::remove_file(folder.path().join("clean")).unwrap();
        }
        for _ in 0..2 {
            let store = open(folder.path());
            check(&store, &[]);
            let stream = store.stream(&name("cam")).unwrap();
            assert_eq!(stream.damages().len(), 1, "{:?}", stream.damages());
            store.close();
        }
        let store = open(folder.path());
        let mut to = writer(&store.stream(&name("cam")).unwrap());
        let next = store_one(&mut to, &Take::at(60_000, content(60)));
        assert!(next.number.get() > COUNT && next.ordinal == COUNT, "{next:?}");
    }
}

#[test]
fn the_scrubber_finds_what_nobody_read_and_forgets_what_was_repaired() {
    let (folder, sealed) = recorded();
    let sound = std::fs::read(&sealed[1]).unwrap();
    let at_byte = place(&sealed[1], 14);
    change(&sealed[1], |bytes| bytes[at_byte] ^= 1);
    let store = open(folder.path());
    let stream = store.stream(&name("cam")).unwrap();
    let mut found = store.scrub();
    assert_eq!((found.segments, found.damaged_places), (2, 1));
    assert!(found.bytes > 20 * 2000, "{found:?}");
    check(&store, &[14]);
    let places = stream.damages();
    assert_eq!(places[0].fragment, FragmentNumber::new(14));
    assert_eq!(store.statistics().damaged_places, 1);
    assert_eq!(store.statistics().scrub_passes, 1);
    assert_eq!(store.statistics().scrubbed_bytes, found.bytes);
    assert_eq!(store.statistics().scrubbed_at_us, START.as_micros() as u64);
    // The same is no news, and a copy that was put back is sound again.
    found = store.scrub();
    assert_eq!(found.damaged_places, 1);
    assert_eq!(stream.damages(), places);
    std::fs::write(&sealed[1], sound).unwrap();
    assert_eq!(store.scrub().damaged_places, 0);
    check(&store, &[]);
    assert_eq!(store.statistics().damaged_places, 0);
    store.close();
    let store = open(folder.path());
    assert_eq!(store.stream(&name("cam")).unwrap().damages(), []);
}

#[test]
fn what_is_sealed_can_be_verified_while_a_server_runs() {
    let (folder, sealed) = recorded();
    let at_byte = place(&sealed[0], 4);
    change(&sealed[0], |bytes| bytes[at_byte] ^= 1);
    let store = open(folder.path());
    let mut to = writer(&store.stream(&name("cam")).unwrap());
    store_one(&mut to, &Take::at(60_000, content(60)));
    let found = verify(folder.path(), None, |_| ()).unwrap();
    assert!(found.online);
    assert_eq!((found.segments, found.damages.len()), (2, 1), "{found:?}");
    assert_eq!(found.damages[0].fragment, FragmentNumber::new(4));
    drop(to);
    store.close();
    drop(store);
    let found = verify(folder.path(), None, |_| ()).unwrap();
    assert!(!found.online);
    assert_eq!((found.segments, found.damages.len()), (3, 1), "{found:?}");
}

/// The local disk, and which folders were listed.
#[derive(Debug, Default)]
struct Listing(Mutex<Vec<PathBuf>>);

impl Disk for Listing {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        LocalDisk.create(path)
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        LocalDisk.open(path, writable)
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
        self.0.lock().unwrap().push(path.to_owned());
        LocalDisk.list(path)
    }
}

#[test]
fn after_an_orderly_shutdown_no_streams_folder_is_listed_unless_something_is_wrong() {
    type Change = Box<dyn Fn(&Path)>;
    let index = |folder: &Path, sql: &str| {
        rusqlite::Connection::open(folder.join("meta.db")).unwrap().execute_batch(sql).unwrap();
    };
    let cases: [(&str, bool, Change); 6] = [
        ("nothing", false, Box::new(|_| ())),
        ("no index", true, Box::new(|f| std::fs::remove_file(f.join("meta.db")).unwrap())),
        ("an older index", true, Box::new(move |f| index(f, "DELETE FROM segments WHERE first > 5"))),
        ("a crash", true, Box::new(|f| std::fs::remove_file(f.join("clean")).unwrap())),
        ("no stream file", true, Box::new(|f| std::fs::remove_file(f.join("streams/cam/stream")).unwrap())),
        ("a damaged one", true, Box::new(|f| change(&f.join("streams/cam/stream"), |b| b[30] ^= 1))),
    ];
    for (what, lists, harm) in cases {
        let (folder, _) = recorded();
        harm(folder.path());
        let disk = Arc::new(Listing::default());
        let store = Store::open_on(Arc::<Listing>::clone(&disk), folder.path(), options(), clock()).unwrap();
        let listed = disk.0.lock().unwrap().contains(&folder.path().join("streams/cam"));
        assert_eq!(listed, lists, "{what}");
        check(&store, &[]);
        let stream = store.stream(&name("cam")).unwrap();
        assert_eq!((store.survey(), stream.damages()), (vec![], vec![]), "{what}");
        let mut to = writer(&stream);
        let next = store_one(&mut to, &Take::at(60_000, content(60)));
        assert_eq!(next.ordinal, COUNT, "{what}");
    }
}
