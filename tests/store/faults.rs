//! A disk that fails: what the store may say then, and what it must not.

use std::path::Path;
use std::sync::Arc;

use kinora_base::ErrorKind;
use kinora_store::{Axis, Error, Options, Store, StreamWriter};
use rustix::io::Errno;

use super::harness::*;
use super::sim::{Op, SimDisk};

fn open_sim(disk: &SimDisk, folder: &Path) -> Store {
    Store::open_on(Arc::new(disk.clone()), folder, options(), clock()).unwrap()
}

fn take(n: i64) -> Take {
    Take::at(n * 1000, payload(n as u64, 3000))
}

fn outcome(writer: &mut StreamWriter, n: i64) -> Result<u64, Error> {
    let finished = put(writer, &take(n))?;
    wait(finished.durable)?;
    Ok(finished.fragment.number.get())
}

#[test]
fn a_failed_sync_is_terminal_for_the_volume() {
    let folder = memory_folder();
    let disk = SimDisk::default();
    let store = open_sim(&disk, folder.path());
    let (a, b) = (store.create_stream(&name("a")).unwrap(), store.create_stream(&name("b")).unwrap());
    let (mut to_a, mut to_b) = (writer(&a), writer(&b));
    let kept = store_one(&mut to_a, &take(1));
    store_one(&mut to_b, &take(1));
    assert!(store.health().ok);

    disk.fail(Op::SyncData, 0, Errno::IO);
    let error = outcome(&mut to_a, 2).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    let synced = disk.log().iter().filter(|(op, _)| *op == Op::SyncData).count();
    let health = store.health();
    assert!(!health.ok);
    assert!(health.reason.unwrap().contains("sync"), "says what failed");

    // Nothing more is taken by anyone, and no sync is tried again.
    for writer in [&mut to_a, &mut to_b] {
        assert_eq!(outcome(writer, 3).unwrap_err().kind, ErrorKind::Unavailable);
    }
    assert_eq!(run(a.writer()).unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(disk.log().iter().filter(|(op, _)| *op == Op::SyncData).count(), synced);
    // What was durable is still served; what was not is gone.
    assert_eq!(numbers(&a.fragments(&everything(Axis::Arrival)).unwrap()), [1]);
    assert_eq!(read(&a, &kept), take(1).payload);
    store.close();
    drop(store);
    assert!(!open_sim(&disk, folder.path()).recovery().clean, "that was no orderly shutdown");
}

#[test]
fn a_failed_write_is_terminal_too() {
    for (op, errno) in [
        (Op::Write, Errno::IO),
        (Op::SyncAll, Errno::IO),
        (Op::SyncAll, Errno::NOSPC),
        (Op::SyncFolder, Errno::IO),
        (Op::Create, Errno::IO),
    ] {
        let folder = memory_folder();
        let disk = SimDisk::default();
        let store = open_sim(&disk, folder.path());
        let stream = store.create_stream(&name("a")).unwrap();
        disk.fail(op, 0, errno);
        // Creating the first segment and writing to it meets every kind of call.
        let error = run(stream.writer()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{op:?} {errno:?}: {error}");
        assert!(!store.health().ok, "{op:?} {errno:?}");
    }
}

#[test]
fn writes_may_come_back_short() {
    let folder = memory_folder();
    let disk = SimDisk::default();
    let store = open_sim(&disk, folder.path());
    let stream = store.create_stream(&name("a")).unwrap();
    let mut to = writer(&stream);
    disk.write_at_most(Some(97));
    for n in 0..12 {
        let fragment = store_one(&mut to, &take(n));
        assert_eq!(read(&stream, &fragment), take(n).payload);
    }
    drop((to, stream, store));
    let store = open_sim(&disk, folder.path());
    assert_eq!(store.recovery().damages, []);
    assert_eq!(store.stream(&name("a")).unwrap().summary().fragments, 12);
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    for room in [0, 100, 3128, 4000] {
        let folder = memory_folder();
        let disk = SimDisk::default();
        let small = Options { segment_bytes: 8000, preallocate_bytes: 0, ..options() };
        let open = || Store::open_on(Arc::new(disk.clone()), folder.path(), small.clone(), clock()).unwrap();
        let store = open();
        let stream = store.create_stream(&name("a")).unwrap();
        let mut to = writer(&stream);
        store_one(&mut to, &take(1));
        // Use up what was reserved ahead, then leave `room`.
        let mut stored = vec![1];
        let mut n = 2;
        disk.set_capacity(Some(disk.used() + room));
        let error = loop {
            match outcome(&mut to, n) {
                Ok(number) => stored.push(number),
                Err(error) => break error,
            }
            n += 1;
            assert!(n < 10_000, "the disk never fills");
        };
        assert_eq!(error.kind, ErrorKind::StorageFull, "{error}");
        assert!(store.health().ok, "no fault of the volume");
        // Either the file was cut back to what is durable, or it was not to be created at all.
        let log = disk.log();
        let newest = log.iter().rfind(|(op, _)| *op == Op::Create).map(|(_, path)| path).unwrap();
        let cleared = |(op, path): &(Op, _)| path == newest && matches!(op, Op::Truncate | Op::Remove);
        assert!(log.iter().any(cleared), "something is left of the refused write");
        for _ in 0..600 {
            n += 1;
            let error = outcome(&mut to, n).unwrap_err();
            assert!(matches!(error.kind, ErrorKind::StorageFull | ErrorKind::LimitExceeded), "{error}");
        }
        disk.set_capacity(None);
        let mut changes = stream.changes();
        for _ in 0..3 {
            n += 1;
            let number = loop {
                // The first ones may be told to wait until the disk knows of the lost numbers.
                match outcome(&mut to, n) {
                    Ok(number) => break number,
                    Err(error) => assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}"),
                }
                run(changes.changed()).unwrap();
            };
            stored.push(number);
        }
        let listed = stream.fragments(&everything(Axis::Arrival)).unwrap();
        assert_eq!(numbers(&listed), stored);
        assert!(listed.iter().zip(0..).all(|(fragment, ordinal)| fragment.ordinal == ordinal));
        drop((to, stream, store));
        let store = open();
        assert_eq!(store.recovery().damages, []);
        let stream = store.stream(&name("a")).unwrap();
        let again = stream.fragments(&everything(Axis::Arrival)).unwrap();
        assert_eq!(numbers(&again), stored);
        for fragment in &again {
            read(&stream, fragment);
        }
    }
}

#[test]
fn nothing_is_acknowledged_before_it_is_synced() {
    let folder = memory_folder();
    let disk = SimDisk::default();
    let store = open_sim(&disk, folder.path());
    let stream = store.create_stream(&name("a")).unwrap();
    let mut to = writer(&stream);
    store_one(&mut to, &take(1));
    disk.hold(Some(Op::SyncData));
    let finished = put(&mut to, &take(2)).unwrap();
    disk.wait_until_held();
    // The bytes are written and readable, the promise is open.
    assert_eq!(read(&stream, &finished.fragment), take(2).payload);
    let mut durable = std::pin::pin!(finished.durable);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(durable.as_mut().poll(&mut context).is_pending());
    disk.hold(None);
    wait(durable).unwrap();
}

#[test]
fn a_segment_exists_durably_before_anything_is_written_to_it() {
    let folder = memory_folder();
    let disk = SimDisk::default();
    let store = open_sim(&disk, folder.path());
    let stream = store.create_stream(&name("a")).unwrap();
    let before = disk.log().len();
    let mut to = writer(&stream);
    for n in 0..20 {
        store_one(&mut to, &take(n));
    }
    store.close();
    let log = disk.log().split_off(before);
    let ends_with = |path: &Path, ending: &str| path.to_string_lossy().ends_with(ending);
    let created: Vec<_> = log
        .iter()
        .filter(|(op, path)| *op == Op::Create && ends_with(path, ".open"))
        .map(|(_, p)| p)
        .collect();
    assert!(created.len() > 2, "{} segments", created.len());
    for path in created {
        let ops: Vec<(usize, Op)> = log
            .iter()
            .enumerate()
            .filter(|(_, (op, p))| p == path && *op != Op::Allocate)
            .map(|(index, (op, _))| (index, *op))
            .collect();
        let kinds: Vec<Op> = ops.iter().map(|(_, op)| *op).collect();
        assert_eq!(kinds[..5], [Op::Create, Op::Write, Op::SyncAll, Op::Write, Op::SyncData]);
        let folder_synced = |from: usize, to: usize| {
            log[from..to].iter().any(|(op, p)| *op == Op::SyncFolder && Some(p.as_path()) == path.parent())
        };
        assert!(
            folder_synced(ops[2].0, ops[3].0),
            "{} is written to before its name is durable",
            path.display()
        );
        // Sealing syncs the content before the name.
        if let Some(rename) = kinds.iter().position(|op| *op == Op::Rename) {
            assert_eq!(kinds[rename - 3..rename], [Op::Write, Op::Truncate, Op::SyncAll]);
            assert!(folder_synced(ops[rename].0, log.len()));
        }
    }
}
