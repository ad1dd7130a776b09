//! Why media is absent: every stop that was noted explains its absence, whatever happens between.

use std::sync::Arc;

use kinora_base::{Clock, WallTime};
use kinora_store::{
    Absence, Cause, Fragment, Gap, GapQuery, Limit, Limits, Options, Pin, Run, Store, Stream, rebuild_index,
    verify,
};
use proptest::prelude::*;

use super::harness::*;
use super::sim::SimDisk;

const ALL: GapQuery = GapQuery { start: None, end: None, descending: false, after: None, limit: usize::MAX };

/// Long after everything that happens here.
fn later() -> WallTime {
    at(100_000_000)
}

fn gaps(stream: &Stream) -> Vec<Gap> {
    stream.gaps(&ALL, later()).unwrap()
}

/// Start and end in milliseconds after [`START`], and why.
fn brief(gaps: &[Gap]) -> Vec<(i64, Option<i64>, Cause)> {
    let ms = |time: WallTime| time.micros_since(START) / 1000;
    gaps.iter().map(|gap| (ms(gap.start), gap.end.map(ms), gap.cause)).collect()
}

fn take(ms: i64) -> Take {
    Take::at(ms, payload(ms as u64, 2000))
}

/// One session: fragments of a second each, and how it ended.
fn session(stream: &Arc<Stream>, seconds: std::ops::Range<i64>, end: Option<(Cause, &str)>) {
    let mut to = writer(stream);
    for second in seconds {
        store_one(&mut to, &take(second * 1000));
    }
    if let Some((cause, detail)) = end {
        to.stop(cause, detail);
    }
}

#[test]
fn every_end_of_a_session_is_an_absence_with_its_cause_also_in_a_new_index() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    session(&stream, 0..3, Some((Cause::ConnectionLost, "reset by peer")));
    session(&stream, 10..40, Some((Cause::InputRefused, "at byte 7: nonsense")));
    session(&stream, 40..41, Some((Cause::Stall, "")));
    session(&stream, 50..51, Some((Cause::ProducerStopped, "")));
    let expected = [
        (3_000, Some(10_000), Cause::ConnectionLost),
        (41_000, Some(50_000), Cause::Stall),
        (51_000, None, Cause::ProducerStopped),
    ];
    let whole = gaps(&stream);
    assert_eq!(brief(&whole), expected);
    assert_eq!((whole[0].detail.as_str(), whole[0].noticed), ("reset by peer", Some(START)));
    let absence = Absence { since: START, cause: Cause::ProducerStopped, detail: String::new() };
    assert_eq!(stream.absence(later()), Some(absence.clone()));
    store.close();
    drop((stream, store));

    let store = open(folder.path());
    let stream = store.stream(&name("cam")).unwrap();
    assert_eq!(gaps(&stream), whole, "after an orderly shutdown");
    assert_eq!(stream.absence(later()), Some(absence));
    drop((stream, store));
    rebuild_index(folder.path()).unwrap();
    let store = open(folder.path());
    assert_eq!(gaps(&store.stream(&name("cam")).unwrap()), whole, "from the files alone, after a crash");
}

#[test]
fn a_crash_says_that_the_server_was_down_once_and_only_where_media_was_coming() {
    let folder = memory_folder();
    let store = open(folder.path());
    let (a, b) = (store.create_stream(&name("a")).unwrap(), store.create_stream(&name("b")).unwrap());
    session(&a, 0..5, None);
    let mut to = writer(&b);
    store_one(&mut to, &take(0));
    let (mut changes, syncs) = (b.changes(), store.statistics().syncs);
    to.stop(Cause::ConnectionLost, "");
    while store.statistics().syncs == syncs {
        run(changes.changed()).unwrap();
    }
    drop((to, a, b, store));
    for _ in 0..2 {
        let store = open(folder.path());
        let [a, b] = ["a", "b"].map(|stream| store.stream(&name(stream)).unwrap());
        assert_eq!(brief(&gaps(&a)), [(5_000, None, Cause::ServerDown)]);
        assert_eq!(brief(&gaps(&b)), [(1_000, None, Cause::ConnectionLost)]);
        let noticed = gaps(&a)[0].noticed;
        assert_eq!(noticed, Some(at(4_000)), "when media was last received");
        drop((a, b));
        drop(store);
    }
    // What comes later does not lose it.
    let store = open(folder.path());
    let a = store.stream(&name("a")).unwrap();
    session(&a, 20..60, Some((Cause::ProducerStopped, "")));
    store.close();
    drop((a, store));
    rebuild_index(folder.path()).unwrap();
    let store = open(folder.path());
    let a = store.stream(&name("a")).unwrap();
    let expected = [(5_000, Some(20_000), Cause::ServerDown), (60_000, None, Cause::ProducerStopped)];
    assert_eq!(brief(&gaps(&a)), expected);
}

#[test]
fn an_orderly_shutdown_says_so_where_nobody_else_did() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    store_one(&mut to, &take(0));
    store.close();
    drop((to, stream, store));
    let stream = open(folder.path()).stream(&name("cam")).unwrap();
    let found = gaps(&stream);
    assert_eq!(brief(&found), [(1_000, None, Cause::ServerDown)]);
    assert_eq!(found[0].detail, "the server stopped");
}

#[test]
fn a_connected_producer_that_delivers_nothing_is_absent_within_seconds() {
    let folder = memory_folder();
    let clock = clock();
    let store = Store::open(folder.path(), options(), clock.clone()).unwrap();
    let stream = store.create_stream(&name("cam")).unwrap();
    assert_eq!(stream.absence(clock.wall()), None, "nothing to miss yet");
    let mut to = writer(&stream);
    store_one(&mut to, &take(0));
    assert_eq!(stream.absence(at(9_999)), None);
    assert_eq!(stream.gaps(&ALL, at(9_999)).unwrap(), []);
    let silent = stream.absence(at(10_000)).unwrap();
    assert_eq!((silent.cause, silent.since), (Cause::Stall, at(0)));
    assert_eq!(brief(&stream.gaps(&ALL, at(10_000)).unwrap()), [(1_000, None, Cause::Stall)]);
    // It goes on, on its own timeline: what was missing stays, and says why.
    store_one(&mut to, &take(30_000));
    assert_eq!(brief(&stream.gaps(&ALL, at(30_000)).unwrap()), [(1_000, Some(30_000), Cause::Stall)]);
    // Its clock jumps, while media comes as before.
    store_one(&mut to, &Take { server: at(31_000), ..take(90_000) });
    let jumped = [(1_000, Some(30_000), Cause::Stall), (31_000, Some(90_000), Cause::ClockStep)];
    assert_eq!(brief(&stream.gaps(&ALL, at(31_000)).unwrap()), jumped);
}

#[test]
fn what_is_uploaded_late_shrinks_an_absence() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    session(&stream, 0..5, Some((Cause::ConnectionLost, "")));
    session(&stream, 60..65, Some((Cause::ServerDown, "")));
    session(&stream, 30..60, Some((Cause::ProducerStopped, "")));
    let open_end = (65_000, None, Cause::ServerDown);
    assert_eq!(brief(&gaps(&stream)), [(5_000, Some(30_000), Cause::ConnectionLost), open_end]);
    session(&stream, 10..12, Some((Cause::ProducerStopped, "")));
    let expected = [
        (5_000, Some(10_000), Cause::ConnectionLost),
        (12_000, Some(30_000), Cause::ProducerStopped),
        open_end,
    ];
    assert_eq!(brief(&gaps(&stream)), expected);
    session(&stream, 5..10, Some((Cause::ProducerStopped, "")));
    session(&stream, 12..30, Some((Cause::ProducerStopped, "")));
    assert_eq!(brief(&gaps(&stream)), [open_end]);
}

#[test]
fn a_full_disk_is_named_and_written_down_when_there_is_room() {
    let folder = memory_folder();
    let disk = SimDisk::default();
    let small = Options { preallocate_bytes: 0, ..options() };
    let open = || Store::open_on(Arc::new(disk.clone()), folder.path(), small.clone(), clock()).unwrap();
    let store = open();
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    store_one(&mut to, &take(0));
    disk.set_capacity(Some(disk.used()));
    let mut n = 1;
    while put(&mut to, &take(n * 1000)).is_ok_and(|finished| wait(finished.durable).is_ok()) {
        n += 1;
    }
    to.stop(Cause::DiskRefused, "no space left");
    drop(to);
    let ended = n * 1000;
    assert_eq!(brief(&gaps(&stream)), [(ended, None, Cause::DiskRefused)]);
    assert!(gaps(&stream)[0].detail.contains("full"), "{:?}", gaps(&stream));
    disk.set_capacity(None);
    session(&stream, 100..101, Some((Cause::ProducerStopped, "")));
    let expected = [(ended, Some(100_000), Cause::DiskRefused), (101_000, None, Cause::ProducerStopped)];
    assert_eq!(brief(&gaps(&stream)), expected);
    store.close();
    drop((stream, store));
    assert_eq!(brief(&gaps(&open().stream(&name("cam")).unwrap())), expected);
}

#[test]
fn what_has_expired_is_an_absence_that_says_so() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    session(&stream, 0..10, Some((Cause::ConnectionLost, "")));
    session(&stream, 20..50, Some((Cause::ProducerStopped, "")));
    let (start, end) = (at(4_000), at(7_000));
    let why = ("a test".into(), "it must stay".into());
    let pin = Pin { name: "event".into(), start, end, created: START, by: why.0, reason: why.1 };
    stream.pin(pin).unwrap();
    // Room for fifteen fragments: the limit lies inside a segment.
    stream.set_limits(Limits { age_s: Limit::Inherited, bytes: Limit::Most(30_000) }).unwrap();
    store.enforce().unwrap();
    let expected = [
        (0, Some(4_000), Cause::Expired),
        (7_000, Some(35_000), Cause::Expired),
        (50_000, None, Cause::ProducerStopped),
    ];
    assert_eq!(brief(&gaps(&stream)), expected);
    let inside = stream.timeline((at(12_000), at(14_000)), Some(10), later()).unwrap();
    assert_eq!(brief(&inside.gaps), expected[1..2]);
    store.close();
    drop((stream, store));
    let stream = open(folder.path()).stream(&name("cam")).unwrap();
    assert_eq!(brief(&gaps(&stream)), expected);
}

#[test]
fn a_damaged_stop_is_found_and_costs_only_its_cause() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    session(&stream, 0..3, Some((Cause::ConnectionLost, "reset by peer")));
    session(&stream, 10..40, Some((Cause::ProducerStopped, "")));
    store.close();
    drop((stream, store));
    assert_eq!(verify(folder.path(), None, |_| ()).unwrap().damages, []);
    let detail = b"reset by peer";
    let files =
        std::fs::read_dir(folder.path().join("streams/cam")).unwrap().map(|file| file.unwrap().path());
    let mut found = files.filter_map(|path| {
        let bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(detail.len()).position(|window| window == detail)?;
        Some((path, bytes, at))
    });
    let (path, mut bytes, at) = found.next().unwrap();
    assert!(path.extension().unwrap() == "seg", "{}", path.display());
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damages = verify(folder.path(), None, |_| ()).unwrap().damages;
    assert_eq!(damages.len(), 1, "{damages:?}");
    assert_eq!((damages[0].offset, damages[0].fragment), (at as u64 - 128, None));
    rebuild_index(folder.path()).unwrap();
    let stream = open(folder.path()).stream(&name("cam")).unwrap();
    let expected = [(3_000, Some(10_000), Cause::Unknown), (40_000, None, Cause::ProducerStopped)];
    assert_eq!(brief(&gaps(&stream)), expected);
}

/// What happens in the property below.
#[derive(Debug, Clone)]
enum Step {
    Session { start_s: i64, fragments: i64, cause: Cause },
    Reopen,
    Crash,
    Rebuild,
}

fn step() -> impl Strategy<Value = Step> {
    let cause = prop_oneof![Just(Cause::ProducerStopped), Just(Cause::ConnectionLost), Just(Cause::Stall)];
    let session = (0..300_i64, 1..12_i64, cause).prop_map(|(start_s, fragments, cause)| Step::Session {
        start_s,
        fragments,
        cause,
    });
    prop_oneof![12 => session, 1 => Just(Step::Reopen), 1 => Just(Step::Crash), 1 => Just(Step::Rebuild)]
}

/// Every absence and its cause, one fragment and one stop at a time.
fn naive(all: &[Fragment], stops: &[(WallTime, Cause)]) -> Vec<(WallTime, Option<WallTime>, Cause)> {
    let mut sorted: Vec<_> = all.iter().collect();
    sorted.sort_by_key(|f| f.producer_time);
    let mut found = Vec::new();
    let mut covered_to: Option<WallTime> = None;
    let mut absence = |start: WallTime, end: Option<WallTime>| {
        let distance = |at: WallTime| at.micros_since(start).abs();
        let belongs =
            |at: WallTime| at.micros_since(start) >= -Run::LARGEST_HOLE_US && end.is_none_or(|end| at < end);
        let candidates = stops.iter().rev().filter(|(at, _)| belongs(*at));
        let cause =
            candidates.min_by_key(|(at, _)| distance(*at)).map_or(Cause::Unknown, |(_, cause)| *cause);
        found.push((start, end, cause));
    };
    for f in sorted {
        if let Some(covered_to) = covered_to
            && f.producer_time.micros_since(covered_to) > Run::LARGEST_HOLE_US
        {
            absence(covered_to, Some(f.producer_time));
        }
        covered_to = covered_to.max(Some(f.producer_end()));
    }
    if let Some(covered_to) = covered_to {
        absence(covered_to, None);
    }
    found
}

/// All absences of a range, page by page.
fn pages(stream: &Stream, mut query: GapQuery) -> Vec<Gap> {
    let mut all = Vec::new();
    loop {
        let page = stream.gaps(&query, later()).unwrap();
        assert!(page.len() <= query.limit);
        let Some(last) = page.last() else { return all };
        query.after = Some(last.start);
        all.extend(page);
    }
}

fn check(stream: &Stream, all: &[Fragment], stops: &[(WallTime, Cause)]) {
    let expected = naive(all, stops);
    let plain = |gaps: &[Gap]| gaps.iter().map(|g| (g.start, g.end, g.cause)).collect::<Vec<_>>();
    assert_eq!(plain(&gaps(stream)), expected);
    for (start_s, end_s) in [(0, 400), (50, 51), (100, 220), (299, 300)] {
        let (start, end) = (at(start_s * 1000), at(end_s * 1000));
        let mut inside = expected.clone();
        inside.retain(|(from, to, _)| *from < end && to.is_none_or(|to| to > start));
        let query = GapQuery { start: Some(start), end: Some(end), limit: 3, ..ALL };
        assert_eq!(plain(&pages(stream, query)), inside, "{start_s}..{end_s}");
        let timeline = stream.timeline((start, end), None, later()).unwrap();
        assert_eq!(plain(&timeline.gaps), inside, "{start_s}..{end_s}");
        let coarse = stream.timeline((start, end), Some(10), later()).unwrap();
        assert_eq!(coarse.bytes.len(), 10);
        assert_eq!(coarse.gaps.len() as u64 + coarse.hidden_gaps, inside.len() as u64, "{coarse:?}");
        inside.reverse();
        assert_eq!(
            plain(&pages(stream, GapQuery { descending: true, ..query })),
            inside,
            "{start_s}..{end_s}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn absences_are_what_a_naive_search_finds(steps in proptest::collection::vec(step(), 1..40)) {
        let folder = memory_folder();
        let mut store = open(folder.path());
        let mut stream = store.create_stream(&name("cam")).unwrap();
        let (mut all, mut stops, mut seed) = (Vec::new(), Vec::new(), 0);
        for step in steps {
            if let Step::Session { start_s, fragments, cause } = step {
                let mut to = writer(&stream);
                for n in 0..fragments {
                    seed += 1;
                    let ms = (start_s + n) * 1000;
                    all.push(store_one(&mut to, &Take::at(ms, payload(seed, 1500))));
                }
                to.stop(cause, "");
                stops.push((at((start_s + fragments) * 1000), cause));
                continue;
            }
            if !matches!(step, Step::Crash) {
                store.close();
            }
            if matches!(step, Step::Crash) {
                // Whoever writes when the server goes cannot say so. What was noted before goes to
                // the disk with the fragment.
                seed += 1;
                all.push(store_one(&mut writer(&stream), &Take::at(350_000 + seed as i64, payload(seed, 1500))));
                stops.push((all[all.len() - 1].producer_end(), Cause::ServerDown));
            }
            drop((stream, store));
            if matches!(step, Step::Rebuild) {
                rebuild_index(folder.path()).unwrap();
            }
            store = open(folder.path());
            stream = store.stream(&name("cam")).unwrap();
            check(&stream, &all, &stops);
        }
        check(&stream, &all, &stops);
    }
}
