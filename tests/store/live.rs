//! The store as ingest and playback use it: writing, the live tail, reading back, reopening.

use super::harness::*;
use kinora_base::ErrorKind;
use kinora_store::{Axis, Begun, State};

#[test]
fn what_was_durable_is_read_back_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let mut stored = Vec::new();
    for round in 0..3_u64 {
        let store = open(folder.path());
        assert!(store.recovery().clean, "round {round}");
        let stream = store.create_stream(&name("cam")).unwrap();
        let mut writer = writer(&stream);
        for step in 0..20 {
            let seed = round * 100 + step;
            let take = Take::at((seed * 1000) as i64, payload(seed, 1500 + seed as usize));
            let fragment = store_one(&mut writer, &take);
            stored.push((fragment, take.payload));
        }
        for (fragment, bytes) in &stored {
            assert_eq!(&read(&stream, fragment), bytes);
        }
        drop(writer);
        store.close();
    }
    let store = open(folder.path());
    let stream = store.stream(&name("cam")).unwrap();
    let listed = stream.fragments(&everything(Axis::Arrival)).unwrap();
    assert_eq!(numbers(&listed), (1..=60).collect::<Vec<_>>());
    for (index, (listed, (stored, bytes))) in listed.iter().zip(&stored).enumerate() {
        assert_eq!(listed.ordinal, index as u64);
        assert_eq!(listed.state, State::Persisted);
        assert_eq!((listed.producer_time, listed.bytes), (stored.producer_time, stored.bytes));
        assert_eq!(&read(&stream, listed), bytes);
    }
    let summary = stream.summary();
    assert_eq!((summary.fragments, summary.bytes), (60, stored.iter().map(|(_, b)| b.len() as u64).sum()));
    assert_eq!(stream.configuration(listed[0].configuration).unwrap().as_ref(), b"configuration");
}

#[test]
fn parts_are_visible_before_their_fragment_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut writer = writer(&stream);
    let take = Take::at(0, payload(1, 1000));
    let mut changes = stream.changes();
    changes.borrow_and_update();
    let begun = begin(&mut writer, &take).unwrap();
    assert!(changes.has_changed().unwrap());
    writer.part(part(0, &take.payload)).unwrap();
    writer.part(part(1, &take.payload)).unwrap();
    let open = stream.tail(3).unwrap().open.unwrap();
    assert_eq!(Begun::Live(open.number), begun);
    assert_eq!(open.parts.iter().map(|part| part.index).collect::<Vec<_>>(), [0, 1]);
    let finished = finish(&mut writer, &take).unwrap();
    let tail = stream.tail(3).unwrap();
    assert!(tail.open.is_none());
    assert_eq!(numbers(&tail.fragments), [1]);
    assert_eq!(read(&stream, &finished.fragment), take.payload);
    wait(finished.durable).unwrap();
    assert_eq!(stream.tail(3).unwrap().fragments[0].state, State::Persisted);
}

#[test]
fn a_second_opening_is_refused_and_names_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let error = kinora_store::Store::open(folder.path(), options(), clock()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains(&folder.path().display().to_string()), "{error}");
    assert!(error.message.contains(&std::process::id().to_string()), "{error}");
    drop(store);
    open(folder.path()).close();
}

#[test]
fn the_longest_fragment_is_known_after_a_restart_though_it_lies_in_an_old_segment() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut writer = writer(&stream);
    store_one(&mut writer, &Take { duration_us: 7_000_000, ..Take::at(0, payload(0, 3000)) });
    for n in 1..30 {
        store_one(&mut writer, &Take::at(n * 10_000, payload(n as u64, 3000)));
    }
    assert_eq!(stream.summary().longest_us, 7_000_000);
    drop(writer);
    store.close();
    drop((stream, store));
    let store = open(folder.path());
    assert_eq!(store.stream(&name("cam")).unwrap().summary().longest_us, 7_000_000);
}
