//! Who may write, what is repeated, what is deleted.

use std::sync::Arc;
use std::time::Duration;

use kinora_base::ErrorKind;
use kinora_store::{Axis, Begun, Finish, Finished, Flags, Options, Store, StreamWriter};

use super::harness::*;

fn take(n: i64) -> Take {
    Take::at(n * 1000, payload(n as u64, 500))
}

/// Runs under a clock that jumps to the next timer when nothing else happens.
fn in_virtual_time<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn the_newer_writer_wins_after_the_older_was_told() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut old = writer(&stream);
    begin(&mut old, &take(1)).unwrap();
    in_virtual_time(async {
        let told = old.superseded();
        let taker = tokio::spawn({
            let stream = Arc::clone(&stream);
            async move { stream.writer().await }
        });
        told.await;
        // It may finish what it had begun before it lets go.
        let finished = finish(&mut old, &take(1)).unwrap();
        assert!(!taker.is_finished());
        drop(old);
        let mut new = taker.await.unwrap().unwrap();
        assert_eq!(begin(&mut new, &take(2)).unwrap(), Begun::Live(finished.fragment.number.plus(1)));
    });
}

#[test]
fn a_writer_that_does_not_let_go_is_fenced_off_after_its_grace() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut old = writer(&stream);
    begin(&mut old, &take(1)).unwrap();
    old.part(part(0, &take(1).payload)).unwrap();
    in_virtual_time(async {
        let before = tokio::time::Instant::now();
        let mut new = stream.writer().await.unwrap();
        assert!(before.elapsed() >= options().takeover_grace, "it had its grace");
        assert!(stream.tail(1).unwrap().open.is_none(), "what it had begun is abandoned");
        assert_eq!(finish(&mut old, &take(1)).unwrap_err().kind, ErrorKind::Conflict);
        assert_eq!(begin(&mut old, &take(1)).unwrap_err().kind, ErrorKind::Conflict);
        let fragment = put(&mut new, &take(2)).unwrap().fragment;
        assert_eq!(fragment.number.get(), 2, "the number of the abandoned one is spent");
        drop(old);
        assert!(stream.summary().has_writer, "the old handle's end is not the new one's");
        put(&mut new, &take(3)).unwrap();
    });
}

#[test]
fn of_several_takers_the_last_one_wins() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let old = writer(&stream);
    in_virtual_time(async {
        let take_over = || {
            let stream = Arc::clone(&stream);
            tokio::spawn(async move { stream.writer().await })
        };
        let first = take_over();
        tokio::task::yield_now().await;
        let second = take_over();
        assert_eq!(first.await.unwrap().unwrap_err().kind, ErrorKind::Conflict);
        drop(old);
        let mut new = second.await.unwrap().unwrap();
        put(&mut new, &take(1)).unwrap();
    });
}

#[test]
fn one_that_arrived_earlier_never_displaces_one_that_arrived_later() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let [dead, waiting, successor, last] = std::array::from_fn(|_| store.arrival());
    in_virtual_time(async {
        let mut to = stream.writer_for(successor).await.unwrap();
        let refused = stream.writer_for(dead).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict);
        put(&mut to, &take(1)).unwrap();
        // The same while the later one still waits for the stream.
        let taker = tokio::spawn({
            let stream = Arc::clone(&stream);
            async move { stream.writer_for(last).await }
        });
        to.superseded().await;
        assert_eq!(stream.writer_for(waiting).await.unwrap_err().kind, ErrorKind::Conflict);
        drop(to);
        drop(taker.await.unwrap().unwrap());
        // Nobody has or wants it any more.
        let mut to = stream.writer_for(dead).await.unwrap();
        put(&mut to, &take(2)).unwrap();
        // One that stops waiting leaves nothing behind.
        let gone = tokio::time::timeout(Duration::ZERO, stream.writer_for(last)).await;
        assert!(gone.is_err());
        drop(to);
        drop(stream.writer_for(dead).await.unwrap());
    });
}

#[test]
fn what_a_producer_sends_again_is_stored_once() {
    let folder = memory_folder();
    let mut first_numbers = Vec::new();
    for round in 0..3 {
        // Once orderly, once after a crash.
        let store = open(folder.path());
        let stream = store.create_stream(&name("cam")).unwrap();
        let mut to = writer(&stream);
        for n in 0..30 {
            let begun = begin(&mut to, &take(n)).unwrap();
            let finished = finish(&mut to, &take(n)).unwrap();
            if round == 0 {
                assert!(matches!(begun, Begun::Live(_)));
                assert!(!finished.repeated);
                first_numbers.push(finished.fragment.number);
            } else {
                assert_eq!(begun, Begun::PossiblyRepeated);
                assert!(finished.repeated, "{n} in round {round}");
                assert_eq!(finished.fragment.number, first_numbers[n as usize]);
            }
            wait(finished.durable).unwrap();
        }
        assert_eq!(stream.summary().fragments, 30);
        if round == 0 {
            store.close();
        }
    }
}

/// A second of media whose head depends on the connection that brings it.
fn send(to: &mut StreamWriter, n: u64, connection: u64, flags: Flags) -> Finished {
    begin(to, &take(n as i64)).unwrap();
    let data = (0..8).map(|sample| payload(n * 100 + sample, 90)).collect();
    let head = payload(connection, 30 + connection as usize);
    to.finish(Finish { duration_us: 1_000_000, flags, head, data }).unwrap()
}

#[test]
fn a_repeat_is_known_by_its_content_whatever_the_connection_adds() {
    let folder = memory_folder();
    let mut numbers = Vec::new();
    for connection in 0..4 {
        let store = open(folder.path());
        let stream = store.create_stream(&name("cam")).unwrap();
        let mut to = writer(&stream);
        for n in 0..100 {
            let sent = send(&mut to, n, connection, Flags::default());
            assert_eq!(sent.repeated, connection > 0, "{n} by connection {connection}");
            if connection == 0 {
                numbers.push(sent.fragment.number);
            }
            assert_eq!(sent.fragment.number, numbers[n as usize]);
            wait(sent.durable).unwrap();
        }
        // Orderly, or as after a crash.
        if connection % 2 == 0 {
            store.close();
        }
    }
}

#[test]
fn repeats_are_known_after_a_restart_from_as_many_segments_as_it_takes() {
    let folder = memory_folder();
    let count = 200;
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    (0..count).for_each(|n| wait(send(&mut to, n, 0, Flags::default()).durable).unwrap());
    store.close();
    assert!(store.statistics().sealed_segments > 2, "{:?}", store.statistics());
    drop((to, stream, store));
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    for n in 0..count {
        assert!(send(&mut to, n, 1, Flags::default()).repeated, "{n}");
    }
    assert_eq!(stream.summary().fragments, count);
}

#[test]
fn what_broke_off_is_no_repeat_of_the_whole_and_stays_beside_it() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    let partial = send(&mut to, 1, 0, Flags::PARTIAL);
    assert!(send(&mut to, 1, 1, Flags::PARTIAL).repeated, "the same again");
    let whole = send(&mut to, 1, 2, Flags::default());
    assert!(!whole.repeated, "cut exactly at its end it would pass for broken for ever");
    for flags in [Flags::PARTIAL, Flags::default()] {
        let again = send(&mut to, 1, 3, flags);
        assert!(again.repeated);
        assert_eq!(again.fragment.number, whole.fragment.number);
    }
    begin(&mut to, &take(1)).unwrap();
    let alike: Vec<_> = to.begun_alike().iter().map(|fragment| fragment.number).collect();
    assert_eq!(alike, [partial.fragment.number, whole.fragment.number]);
    // Whoever compares more than a checksum may say which one it is, if it began then.
    assert_eq!(to.repeat(partial.fragment.number).unwrap().fragment.number, partial.fragment.number);
    begin(&mut to, &take(2)).unwrap();
    assert_eq!(to.begun_alike(), []);
    assert_eq!(to.repeat(partial.fragment.number).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn same_time_with_other_content_is_kept_beside() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    let first = store_one(&mut to, &take(1));
    let other = Take { payload: payload(77, 500), ..take(1) };
    assert_eq!(begin(&mut to, &other).unwrap(), Begun::PossiblyRepeated);
    to.part(part(0, &other.payload)).unwrap();
    assert!(stream.tail(1).unwrap().open.is_none(), "not visible before it is known to be new");
    let second = finish(&mut to, &other).unwrap();
    assert!(!second.repeated);
    wait(second.durable).unwrap();
    assert_eq!(numbers(&stream.fragments(&everything(Axis::Producer)).unwrap()), [1, 2]);
    assert_eq!((read(&stream, &first), read(&stream, &second.fragment)), (take(1).payload, other.payload));
}

#[test]
fn a_repeated_fragment_is_durable_no_sooner_than_the_first() {
    use super::sim::{Op, SimDisk};
    let folder = memory_folder();
    let disk = SimDisk::default();
    let store = Store::open_on(Arc::new(disk.clone()), folder.path(), options(), clock()).unwrap();
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    store_one(&mut to, &take(0));
    disk.hold(Some(Op::SyncData));
    let first = put(&mut to, &take(1)).unwrap();
    disk.wait_until_held();
    let again = put(&mut to, &take(1)).unwrap();
    assert!(again.repeated);
    let mut durable = std::pin::pin!(again.durable);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(durable.as_mut().poll(&mut context).is_pending());
    disk.hold(None);
    wait(first.durable).unwrap();
    wait(durable).unwrap();
}

#[test]
fn limits_are_told_and_leave_the_stream_usable() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    let large = Take::at(0, payload(0, options().max_fragment_bytes as usize + 1));
    assert_eq!(put(&mut to, &large).unwrap_err().kind, ErrorKind::LimitExceeded);
    begin(&mut to, &take(1)).unwrap();
    assert_eq!(to.part(part(0, &large.payload)).unwrap_err().kind, ErrorKind::LimitExceeded);
    let error = to.configuration(&payload(3, (1 << 20) + 1)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded);
    let long = Take { duration_us: u64::MAX, ..take(2) };
    assert_eq!(put(&mut to, &long).unwrap_err().kind, ErrorKind::LimitExceeded);
    let early = Take { producer: kinora_base::WallTime::from_micros(-1), ..take(2) };
    assert_eq!(put(&mut to, &early).unwrap_err().kind, ErrorKind::InvalidInput);
    store_one(&mut to, &take(3));
    // A producer may give up any number of fragments.
    for n in 10..3000 {
        match begin(&mut to, &take(n)) {
            Ok(_) => to.abandon(),
            // The disk is asked to note the spent numbers; that takes a moment.
            Err(error) => assert_eq!(error.kind, ErrorKind::LimitExceeded),
        }
    }
    let changes = stream.changes();
    while begin(&mut to, &take(3001)).is_err() {
        let mut changes = changes.clone();
        run(async { tokio::time::timeout(Duration::from_millis(50), changes.changed()).await }).ok();
    }
    wait(finish(&mut to, &take(3001)).unwrap().durable).unwrap();
}

#[test]
fn too_much_waiting_for_the_disk_is_refused() {
    use super::sim::{Op, SimDisk};
    let folder = memory_folder();
    let disk = SimDisk::default();
    let limits = Options { max_uncommitted_bytes: 2000, ..options() };
    let store = Store::open_on(Arc::new(disk.clone()), folder.path(), limits, clock()).unwrap();
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    store_one(&mut to, &take(0));
    disk.hold(Some(Op::SyncData));
    let waiting: Vec<_> = (1..5).map(|n| put(&mut to, &take(n)).unwrap().durable).collect();
    assert_eq!(to.uncommitted_bytes(), 2000);
    assert_eq!(put(&mut to, &take(5)).unwrap_err().kind, ErrorKind::LimitExceeded);
    assert_eq!(store.statistics().queued_bytes, 2000);
    disk.hold(None);
    waiting.into_iter().for_each(|durable| wait(durable).unwrap());
    store_one(&mut to, &take(6));
    assert_eq!(store.statistics().queued_bytes, 0);
}

#[test]
fn a_deleted_stream_is_gone_and_its_name_is_free() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    let old = (0..20).map(|n| store_one(&mut to, &take(n))).next_back().unwrap();
    store.delete_stream(&name("cam")).unwrap();
    assert_eq!(store.delete_stream(&name("cam")).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(put(&mut to, &take(30)).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(stream.read(old.number).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(stream.fragments(&everything(Axis::Server)).unwrap_err().kind, ErrorKind::NotFound);
    assert!(store.stream(&name("cam")).is_none());
    assert!(!folder.path().join("streams/cam").exists());
    let again = store.create_stream(&name("cam")).unwrap();
    let mut writer = writer(&again);
    let fragment = store_one(&mut writer, &take(1));
    assert_eq!(fragment.number.get(), 1);
    drop((writer, again, to, stream));
    store.close();
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.recovery().damages, []);
    let listed = store.stream(&name("cam")).unwrap().fragments(&everything(Axis::Arrival)).unwrap();
    assert_eq!(numbers(&listed), [1]);
}

#[test]
fn the_longest_names_are_streams_too() {
    let folder = memory_folder();
    let names = [255, 256].map(|length| name(&"x".repeat(length)));
    let other = name(&format!("{}y", "x".repeat(255)));
    {
        let store = open(folder.path());
        for name in names.iter().chain([&other]) {
            let stream = store.create_stream(name).unwrap();
            store_one(&mut writer(&stream), &take(1));
        }
    }
    let store = open(folder.path());
    assert_eq!(store.streams().len(), 3);
    for name in names.iter().chain([&other]) {
        assert_eq!(store.stream(name).unwrap().summary().fragments, 1);
        store.delete_stream(name).unwrap();
    }
    store.close();
    drop(store);
    assert_eq!(kinora_store::verify(folder.path(), None, |_| ()).unwrap().damages, []);
    assert_eq!(open(folder.path()).streams().len(), 0);
}

#[test]
fn a_power_cut_leaves_all_of_a_stream_or_none() {
    use super::chance::Chance;
    use super::sim::SimDisk;
    let (mut kept, mut gone) = (0, 0);
    for calls in 1..40 {
        let folder = memory_folder();
        let disk = SimDisk::default();
        let open = |disk: &SimDisk| {
            Store::open_on(Arc::new(disk.clone()), folder.path(), options(), clock()).unwrap()
        };
        let store = open(&disk);
        let stream = store.create_stream(&name("cam")).unwrap();
        let mut to = writer(&stream);
        for n in 0..20 {
            store_one(&mut to, &Take::at(n * 1000, payload(n as u64, 3000)));
        }
        disk.cut_power_after(calls);
        let deleted = store.delete_stream(&name("cam"));
        let cut = disk.power_is_cut();
        drop((to, stream, store));
        let disk = disk.after_power_cut(&mut Chance(calls as u64));
        let store = open(&disk);
        assert_eq!(store.recovery().damages, []);
        match store.stream(&name("cam")) {
            Some(stream) => {
                assert!(deleted.is_err(), "deleted means gone");
                assert_eq!(stream.fragments(&everything(Axis::Arrival)).unwrap().len(), 20);
                kept += 1;
            }
            None => gone += 1,
        }
        if !cut {
            break;
        }
    }
    assert!(kept > 0 && gone > 3, "{kept} kept, {gone} gone");
}

#[test]
fn closing_twice_is_harmless_and_reading_goes_on() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    let promised: Vec<_> = (0..10).map(|n| put(&mut to, &take(n)).unwrap()).collect();
    begin(&mut to, &take(11)).unwrap();
    store.close();
    store.close();
    for finished in promised {
        wait(finished.durable).unwrap();
        read(&stream, &finished.fragment);
    }
    assert_eq!(finish(&mut to, &take(11)).unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(run(stream.writer()).unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(store.create_stream(&name("b")).unwrap_err().kind, ErrorKind::Unavailable);
    // An orderly shutdown leaves no jump in the numbers.
    let store = open(folder.path());
    assert!(store.recovery().clean);
    let stream = store.stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    assert_eq!(begin(&mut to, &take(12)).unwrap(), Begun::Live(promised_number(12)));
}

fn promised_number(n: u64) -> kinora_base::FragmentNumber {
    kinora_base::FragmentNumber::new(n).unwrap()
}
