//! Bytes that are not what they should be: what recovery makes of them, and what `verify` and
//! `rebuild_index` say.

use std::path::{Path, PathBuf};

use kinora_base::{ErrorKind, FragmentNumber};
use kinora_store::{Axis, Options, Store, rebuild_index, verify};
use rusqlite::Connection;

use super::harness::*;

const HEADER: usize = 512;
const RECORD: usize = 128;

fn take(n: i64) -> Take {
    Take::at(n * 1000, payload(n as u64, 300 + 17 * n as usize))
}

fn roomy() -> Options {
    Options { segment_bytes: 1 << 20, ..options() }
}

fn open_roomy(folder: &Path) -> Store {
    Store::open(folder, roomy(), clock()).unwrap()
}

pub(super) fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A folder with one stream of fragments 1 to `count`, one segment, left as by a crash or closed.
fn one_segment(count: i64, close: bool) -> (tempfile::TempDir, PathBuf, Vec<(usize, usize)>) {
    let folder = memory_folder();
    let store = open_roomy(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    for n in 1..=count {
        store_one(&mut to, &take(n));
    }
    drop(to);
    if close {
        store.close();
    }
    drop((stream, store));
    let file = folder.path().join("streams/cam/00000000000000000001.open");
    let bytes = std::fs::read(&file).unwrap();
    let places = (1..=count).map(|n| {
        let content = take(n).payload;
        let at = bytes.windows(content.len()).position(|window| window == content).unwrap();
        (at - RECORD, at + content.len())
    });
    let places = places.collect();
    (folder, PathBuf::from("streams/cam/00000000000000000001.open"), places)
}

/// Opens a changed copy of `folder`; gives the store, its folder and the listed numbers.
fn reopen_changed(
    folder: &Path,
    file: &Path,
    change: impl FnOnce(&mut Vec<u8>),
) -> (tempfile::TempDir, Store, Vec<u64>) {
    let changed = memory_folder();
    copy(folder, changed.path());
    let path = changed.path().join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    let store = open_roomy(changed.path());
    let stream = store.stream(&name("cam")).unwrap();
    let listed = numbers(&stream.fragments(&everything(Axis::Arrival)).unwrap());
    (changed, store, listed)
}

/// Every kind of place in and around a record.
fn cuts(places: &[(usize, usize)]) -> Vec<usize> {
    let within = places.iter().flat_map(|(start, end)| {
        [*start, start + 1, start + 60, start + 127, start + 128, start + 129, end - 1, *end]
    });
    let mut cuts: Vec<_> = within.collect();
    cuts.dedup();
    cuts
}

#[test]
fn a_torn_tail_is_discarded_wherever_it_is_torn() {
    let (folder, file, places) = one_segment(6, false);
    for cut in cuts(&places) {
        let whole: Vec<u64> =
            (1..).zip(&places).filter(|(_, (_, end))| *end <= cut).map(|(n, _)| n).collect();
        for zeros in [false, true] {
            let (_changed, store, listed) = reopen_changed(folder.path(), &file, |bytes| {
                let length = bytes.len();
                bytes.truncate(cut);
                if zeros {
                    bytes.resize(length, 0);
                }
            });
            assert_eq!(listed, whole, "cut at {cut}, zeros {zeros}");
            assert_eq!(store.recovery().damages, [], "cut at {cut}, zeros {zeros}");
            let stream = store.stream(&name("cam")).unwrap();
            let mut to = writer(&stream);
            let next = store_one(&mut to, &take(40));
            assert!(next.number.get() > 6, "no number is given twice: {}", next.number);
            assert_eq!(next.ordinal, whole.len() as u64);
        }
    }
}

#[test]
fn stale_bytes_behind_the_records_are_never_taken_for_data() {
    let (folder, file, places) = one_segment(6, false);
    let ((third, third_end), (last, end)) = (places[2], places[5]);
    // What an earlier write may have left: whole records of this very segment, at other places.
    type Change = Box<dyn Fn(&mut Vec<u8>)>;
    let stale: [(&str, Change); 4] = [
        ("an older record again", Box::new(move |b| b.copy_within(third..third_end, end))),
        ("the last record again", Box::new(move |b| b.copy_within(last..end, end))),
        ("noise", Box::new(move |b| b[end..end + 5000].copy_from_slice(&payload(9, 5000)))),
        ("the magic alone", Box::new(move |b| b[end..end + 4].copy_from_slice(b"KNRr"))),
    ];
    for (what, change) in stale {
        let (changed, store, listed) = reopen_changed(folder.path(), &file, change);
        assert_eq!(listed, [1, 2, 3, 4, 5, 6], "{what}");
        assert_eq!(store.recovery().damages, [], "{what}");
        assert!(store.recovery().discarded_bytes > 0, "{what}");
        drop(store);
        let bytes = std::fs::read(changed.path().join(&file)).unwrap();
        // The stop that tells of the crash may stand there by now; nothing else does.
        let tail = &bytes[end..];
        let is_stop = tail.get(5) == Some(&4);
        let detail =
            if is_stop { u32::from_le_bytes(*tail[80..].first_chunk().unwrap()) as usize } else { 0 };
        let behind = if is_stop { &tail[RECORD + detail..] } else { tail };
        assert!(behind.iter().all(|byte| *byte == 0), "{what}: the remains are cut off");
    }
}

#[test]
fn a_whole_record_that_does_not_belong_ends_the_chain() {
    let (folder, file, places) = one_segment(6, false);
    let (start, _) = places[5];
    // What an earlier, refused or torn, write may have left at this very place: another segment's
    // identifier, another place, another predecessor.
    for field in [8, 24, 96] {
        let (_changed, store, listed) = reopen_changed(folder.path(), &file, |bytes| {
            bytes[start + field] ^= 1;
            let crc = crc32c::crc32c(&bytes[start..start + RECORD - 4]);
            bytes[start + RECORD - 4..start + RECORD].copy_from_slice(&crc.to_le_bytes());
        });
        assert_eq!(listed, [1, 2, 3, 4, 5], "field at {field}");
        assert_eq!(store.recovery().damages, [], "field at {field}");
    }
}

#[test]
fn damage_to_what_was_durable_is_reported_and_costs_only_itself() {
    let (folder, file, places) = one_segment(6, false);
    for damaged in 1..=5_usize {
        let (start, end) = places[damaged - 1];
        for at in [start, start + 30, start + 127, start + RECORD, end - 1] {
            let in_header = at < start + RECORD;
            let (changed, store, listed) = reopen_changed(folder.path(), &file, |bytes| bytes[at] ^= 0x40);
            let damages = &store.recovery().damages;
            assert_eq!(damages.len(), 1, "byte {at}: {damages:?}");
            assert_eq!(damages[0].offset, start as u64);
            let stream = store.stream(&name("cam")).unwrap();
            let expected: Vec<u64> = (1..=6).filter(|n| *n != damaged as u64).collect();
            assert_eq!(listed, expected, "byte {at}");
            for number in listed {
                let payload = stream.read(FragmentNumber::new(number).unwrap()).unwrap().whole();
                assert_eq!(payload.unwrap().concat(), take(number as i64).payload);
            }
            let lost = stream.read(FragmentNumber::new(damaged as u64).unwrap());
            let kind = lost.and_then(|payload| payload.whole()).unwrap_err().kind;
            assert_eq!(kind, if in_header { ErrorKind::NotFound } else { ErrorKind::Corrupt });
            // Nothing of the file was changed, but for what was added behind it.
            let sealed = std::fs::read_dir(changed.path().join("streams/cam")).unwrap().map(Result::unwrap);
            let sealed =
                sealed.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "seg"));
            let mut before = std::fs::read(folder.path().join(&file)).unwrap();
            before[at] ^= 0x40;
            let end = places[5].1;
            assert_eq!(std::fs::read(sealed.unwrap()).unwrap()[..end], before[..end]);
            let mut to = writer(&stream);
            assert!(store_one(&mut to, &take(50)).number.get() > 6);
        }
    }
}

#[test]
fn damage_to_the_last_record_is_known_by_the_watermark() {
    let (folder, file, places) = one_segment(6, true);
    let (start, end) = places[5];
    let (_changed, store, listed) = reopen_changed(folder.path(), &file, |bytes| bytes[end - 1] ^= 1);
    // An orderly shutdown promises the payload, too; reading it says what it is worth.
    assert_eq!(listed, [1, 2, 3, 4, 5, 6]);
    let stream = store.stream(&name("cam")).unwrap();
    assert_eq!(
        stream.read(FragmentNumber::new(6).unwrap()).unwrap().whole().unwrap_err().kind,
        ErrorKind::Corrupt
    );
    let (_changed, store, listed) = reopen_changed(folder.path(), &file, |bytes| bytes[start + 9] ^= 1);
    assert_eq!(listed, [1, 2, 3, 4, 5]);
    assert_eq!(store.recovery().damages[0].offset, start as u64);
    let (_changed, store, listed) = reopen_changed(folder.path(), &file, |bytes| bytes.truncate(places[3].0));
    assert_eq!(listed, [1, 2, 3]);
    assert_eq!(store.recovery().damages[0].offset, places[3].0 as u64);
}

#[test]
fn an_unknown_format_version_is_refused_by_name() {
    let (folder, file, _) = one_segment(2, true);
    let changed = memory_folder();
    copy(folder.path(), changed.path());
    let index = Connection::open(changed.path().join("meta.db")).unwrap();
    index.pragma_update(None, "user_version", 99).unwrap();
    drop(index);
    let error = Store::open(changed.path(), roomy(), clock()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.message.contains("99") && error.message.contains("meta.db"), "{error}");

    let path = folder.path().join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 7;
    let crc = crc32c::crc32c(&bytes[..HEADER - 4]);
    bytes[HEADER - 4..HEADER].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    // The other streams of the directory still run.
    let store = open_roomy(folder.path());
    let refused = &store.recovery().out_of_service;
    assert_eq!((refused.len(), refused[0].error.kind), (1, ErrorKind::Corrupt));
    let message = &refused[0].error.message;
    assert!(message.contains("version 7") && message.contains(".open"), "{message}");
    assert!(store.stream(&name("cam")).is_none());
}

/// Two streams, many segments, closed.
fn many_segments(folder: &Path) {
    let store = open(folder);
    for text in ["a", "b"] {
        let stream = store.create_stream(&name(text)).unwrap();
        let mut to = writer(&stream);
        for n in 0..60 {
            // Every fifth is late, every eighth leaves a gap; configurations change.
            let mut take = Take::at(n * 1000 + n / 8 * 5000, payload(n as u64, 1500));
            if n % 5 == 0 {
                take.producer = at(n * 500);
            }
            let id = to.configuration(&payload(n as u64 / 20, 40)).unwrap();
            to.begin(kinora_store::Begin {
                producer_time: take.producer,
                server_time: take.server,
                media_us: 0,
                configuration: id,
                discontinuity: n % 8 == 0,
            })
            .unwrap();
            wait(finish(&mut to, &take).unwrap().durable).unwrap();
        }
    }
    store.close();
}

/// Everything the index holds, by stream name.
fn dump(folder: &Path) -> Vec<String> {
    let index = Connection::open(folder.join("meta.db")).unwrap();
    let mut dump = Vec::new();
    for table in ["segments", "totals", "configurations"] {
        let query = format!(
            "SELECT s.name, s.created, s.longest_producer, s.longest_server, t.* FROM {table} t JOIN streams s ON s.id = t.stream"
        );
        let mut statement = index.prepare(&query).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            // The fifth column is the stream's identifier, which may differ.
            let values = (0..columns).filter(|column| *column != 4);
            let values: Vec<_> = values.map(|c| format!("{:?}", row.get_ref(c).unwrap())).collect();
            dump.push(format!("{table}: {}", values.join(" ")));
        }
    }
    dump.sort();
    dump
}

#[test]
fn a_rebuilt_index_is_the_index() {
    let folder = memory_folder();
    many_segments(folder.path());
    let before = dump(folder.path());
    assert!(before.len() > 15, "{before:#?}");
    std::fs::write(folder.path().join("meta.db"), b"no database at all").unwrap();
    let error = Store::open(folder.path(), options(), clock()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.message.contains("rebuild-index"), "{error}");
    let rebuilt = rebuild_index(folder.path()).unwrap();
    assert_eq!((rebuilt.streams, rebuilt.damages), (2, vec![]));
    assert_eq!(dump(folder.path()), before);
    assert_eq!(verify(folder.path(), None, |_| ()).unwrap().damages, []);
    let store = open(folder.path());
    assert!(store.recovery().clean);
    assert_eq!(store.stream(&name("a")).unwrap().summary().fragments, 60);
    assert_eq!(rebuild_index(folder.path()).unwrap_err().kind, ErrorKind::Conflict);
}

#[test]
fn verify_finds_every_planted_damage() {
    let folder = memory_folder();
    many_segments(folder.path());
    let mut reports = 0;
    let sound = verify(folder.path(), None, |_| reports += 1).unwrap();
    assert_eq!((sound.streams, sound.fragments, sound.damages.clone()), (2, 120, vec![]));
    assert!(reports >= sound.fragments, "whoever watches can hold the reading up at each fragment");
    let mut sealed: Vec<PathBuf> = std::fs::read_dir(folder.path().join("streams/a"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    sealed.sort();
    let victim = sealed[1].strip_prefix(folder.path()).unwrap();
    let length = std::fs::metadata(&sealed[1]).unwrap().len() as usize;
    // One byte in 97 of the whole file, and every byte of its ends.
    let places = (0..length).filter(|at| at % 97 == 0 || *at < 120 || *at > length - 300);
    let places: Vec<usize> = places.collect();
    println!("| bit flips in a sealed segment | {} places | - | - | each reported |", places.len());
    for at in places {
        let changed = memory_folder();
        copy(folder.path(), changed.path());
        let mut bytes = std::fs::read(&sealed[1]).unwrap();
        bytes[at] ^= 0x10;
        std::fs::write(changed.path().join(victim), bytes).unwrap();
        let found = verify(changed.path(), None, |_| ()).unwrap();
        assert!(found.damages.iter().any(|damage| damage.file == victim), "byte {at}: {:?}", found.damages);
        assert!(found.damages.iter().all(|damage| damage.stream == Some(name("a"))), "{:?}", found.damages);
    }
    let plant = |plant: &dyn Fn(&Path), says: &str| {
        let changed = memory_folder();
        copy(folder.path(), changed.path());
        plant(changed.path());
        let found = verify(changed.path(), None, |_| ()).unwrap().damages;
        assert!(found.iter().any(|damage| damage.to_string().contains(says)), "{says}: {found:?}");
    };
    let sql = |folder: &Path, sql: &str| {
        Connection::open(folder.join("meta.db")).unwrap().execute_batch(sql).unwrap();
    };
    plant(&|f| std::fs::remove_file(f.join(victim)).unwrap(), "missing");
    plant(
        &|f| {
            std::fs::rename(f.join(victim), f.join(victim).with_file_name("00000000000000000014_1_2_3.seg"))
                .unwrap()
        },
        "its name should be",
    );
    plant(&|f| sql(f, "UPDATE segments SET bytes = bytes + 1"), "wrongly");
    plant(&|f| sql(f, "DELETE FROM segments"), "lacks this file");
    plant(&|f| std::fs::remove_file(f.join("meta.db")).unwrap(), "no index");
    plant(&|f| std::fs::remove_dir_all(f.join("streams/b")).unwrap(), "has no folder");
    plant(&|f| std::fs::write(f.join("streams/b/stream"), b"x").unwrap(), "stream file");
    plant(&|f| std::fs::write(f.join("streams/b/retention"), b"x").unwrap(), "limits and pins");
    let exchange = |f: &Path, extension: &str| {
        let of = |stream: &str| {
            let files = std::fs::read_dir(f.join("streams").join(stream)).unwrap();
            let mut paths = files.map(|entry| entry.unwrap().path());
            paths.find(|path| path.extension().is_some_and(|found| found == extension)).unwrap()
        };
        std::fs::copy(of("b"), of("a")).unwrap();
    };
    for extension in ["seg", "open"] {
        plant(&|f| exchange(f, extension), "belongs to the stream 'b'");
    }
    plant(
        &|f| assert_ne!(std::fs::copy(f.join("streams/b/stream"), f.join("streams/a/stream")).unwrap(), 0),
        "belongs to the stream 'b'",
    );
    plant(&|f| std::fs::write(f.join("clean"), b"x").unwrap(), "clean");
}

#[test]
fn verify_names_the_damaged_fragment() {
    let (folder, file, places) = one_segment(6, true);
    let path = folder.path().join(&file);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[places[3].1 - 2] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let found = verify(folder.path(), None, |_| ()).unwrap();
    assert_eq!(found.damages.len(), 1);
    let damage = &found.damages[0];
    assert_eq!((&damage.file, damage.offset), (&file, places[3].0 as u64));
    assert_eq!(damage.fragment, FragmentNumber::new(4));
    assert_eq!(damage.stream, Some(name("cam")));
}

#[test]
fn a_creation_that_a_crash_interrupted_is_no_damage_but_a_lost_stream_file_is() {
    let (folder, _, _) = one_segment(6, false);
    let half = folder.path().join("streams/half");
    std::fs::create_dir(&half).unwrap();
    for remnant in [None, Some("stream.new")] {
        if let Some(remnant) = remnant {
            std::fs::write(half.join(remnant), b"half").unwrap();
        }
        let found = verify(folder.path(), None, |_| ()).unwrap();
        assert_eq!((found.damages, found.streams), (Vec::new(), 1), "{remnant:?}");
    }
    std::fs::remove_file(folder.path().join("streams/cam/stream")).unwrap();
    let found = verify(folder.path(), None, |_| ()).unwrap();
    assert_eq!(found.damages.len(), 1, "{:?}", found.damages);
    let store = open_roomy(folder.path());
    assert!(!half.exists() && store.stream(&name("half")).is_none());
}
