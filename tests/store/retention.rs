//! Limits and pins: what is kept, what goes, and that nothing else does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kinora_base::{Clock, ErrorKind, FragmentNumber, ManualClock, WallTime};
use kinora_store::{
    Axis, Defaults, Fragment, Limit, Limits, LocalDisk, Options, Pin, Store, Stream, StreamWriter,
    rebuild_index,
};

use super::chance::Chance;
use super::harness::*;

const KB: usize = 1000;

fn open_at(folder: &Path, clock: &Arc<ManualClock>, options: Options) -> Store {
    Store::open(folder, options, Arc::<ManualClock>::clone(clock)).unwrap()
}

/// Stores a fragment of one second that arrives now.
fn store_now(to: &mut StreamWriter, clock: &ManualClock, seed: u64, bytes: usize) -> Fragment {
    let now = clock.wall();
    let take = Take { producer: now, server: now, duration_us: 1_000_000, payload: payload(seed, bytes) };
    let fragment = store_one(to, &take);
    clock.advance(Duration::from_secs(1));
    fragment
}

fn number(number: u64) -> FragmentNumber {
    FragmentNumber::new(number).unwrap()
}

fn listed(stream: &Stream) -> Vec<u64> {
    numbers(&stream.fragments(&everything(Axis::Arrival)).unwrap())
}

fn age(seconds: u64) -> Limits {
    Limits { age_s: Limit::Most(seconds), bytes: Limit::Inherited }
}

fn bytes(bytes: u64) -> Limits {
    Limits { age_s: Limit::Inherited, bytes: Limit::Most(bytes) }
}

fn pin(name: &str, start: WallTime, end: WallTime) -> Pin {
    Pin { name: name.into(), start, end, created: START, by: "a test".into(), reason: "it must stay".into() }
}

fn files(folder: &Path, stream: &str) -> Vec<String> {
    let names = std::fs::read_dir(folder.join("streams").join(stream)).unwrap();
    let mut names: Vec<String> = names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".seg") || name.ends_with(".open"));
    names.sort();
    names
}

/// Everything that tells what a stream holds must tell the same.
fn assert_shows(stream: &Arc<Stream>, expected: &[u64]) {
    let summary = stream.summary();
    let ends = expected.first().zip(expected.last()).map(|(first, last)| (*first, *last));
    for axis in [Axis::Arrival, Axis::Producer, Axis::Server] {
        let all = stream.fragments(&everything(axis)).unwrap();
        let found: BTreeSet<u64> = numbers(&all).into_iter().collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{axis:?}");
    }
    assert_eq!(summary.fragments, expected.len() as u64);
    assert_eq!(summary.numbers.map(|(first, last)| (first.get(), last.get())), ends);
    let all = stream.fragments(&everything(Axis::Arrival)).unwrap();
    assert_eq!(summary.bytes, all.iter().map(|fragment| u64::from(fragment.bytes)).sum::<u64>());
    let start = all.iter().map(|fragment| fragment.producer_time).min();
    assert_eq!(summary.producer_range.map(|(start, _)| start), start);
    assert_eq!(numbers(&stream.tail(usize::MAX).unwrap().fragments), expected);
    let runs = stream.timeline((WallTime::EARLIEST, WallTime::LATEST), None, START).unwrap().runs;
    assert_eq!(runs.iter().map(|run| run.fragments).sum::<u64>(), expected.len() as u64);
    for fragment in all {
        assert_eq!(read(stream, &fragment).len(), fragment.bytes as usize);
    }
}

#[test]
fn what_is_too_old_goes_to_the_second_and_segment_files_follow() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open_at(folder.path(), &clock, options());
    let stream = store.create_stream(&name("a")).unwrap();
    let mut to = writer(&stream);
    for n in 0..60 {
        store_now(&mut to, &clock, n, 3 * KB);
    }
    let before = files(folder.path(), "a");
    assert!(before.len() > 5, "{before:?}");
    assert_shows(&stream, &(1..=60).collect::<Vec<_>>());

    // Sixty seconds have passed: what arrived in the last thirty stays.
    let oldest = stream.read(number(1)).unwrap();
    stream.set_limits(age(30)).unwrap();
    store.enforce().unwrap();
    assert_shows(&stream, &(31..=60).collect::<Vec<_>>());
    assert!(files(folder.path(), "a").len() < before.len());
    assert_eq!(stream.fragment(number(30)).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(stream.read(number(1)).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(oldest.whole().unwrap().concat(), payload(0, 3 * KB), "whoever reads it already goes on");

    // Time goes on, second by second, inside a segment.
    for n in 60..75 {
        store_now(&mut to, &clock, n, 3 * KB);
        store.enforce().unwrap();
        assert_shows(&stream, &(n - 28..=n + 1).collect::<Vec<_>>());
    }
    // A larger limit keeps longer, and brings nothing back.
    stream.set_limits(age(1000)).unwrap();
    clock.advance(Duration::from_secs(100));
    store.enforce().unwrap();
    assert_shows(&stream, &(46..=75).collect::<Vec<_>>());
    let expired = stream.expired();
    assert_eq!(expired.floor, 46);
    assert_eq!(expired.range.unwrap().0, START);
    drop((to, stream, store));

    // None of it is missing, after a crash or after the index was made anew.
    for rebuilt in [false, true] {
        if rebuilt {
            assert_eq!(rebuild_index(folder.path()).unwrap().damages, []);
        }
        let store = open_at(folder.path(), &clock, options());
        assert_eq!(store.recovery().damages, []);
        let stream = store.stream(&name("a")).unwrap();
        assert_shows(&stream, &(46..=75).collect::<Vec<_>>());
        assert_eq!(stream.limits(), age(1000));
    }
}

#[test]
fn what_is_too_much_goes_to_the_fragment() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let defaults = Options { limits: Defaults { bytes: Some(100_000), ..Defaults::default() }, ..options() };
    let store = open_at(folder.path(), &clock, defaults);
    let (a, b) = (store.create_stream(&name("a")).unwrap(), store.create_stream(&name("b")).unwrap());
    a.set_limits(bytes(50_000)).unwrap();
    let (mut to_a, mut to_b) = (writer(&a), writer(&b));
    for n in 0..60 {
        store_now(&mut to_a, &clock, n, 3 * KB);
        store_now(&mut to_b, &clock, n, 3 * KB);
    }
    store.enforce().unwrap();
    // Sixteen times 3,000 fit into 50,000, thirty-three times into 100,000.
    assert_shows(&a, &(45..=60).collect::<Vec<_>>());
    assert_shows(&b, &(28..=60).collect::<Vec<_>>());
    b.set_limits(Limits { age_s: Limit::Inherited, bytes: Limit::Unlimited }).unwrap();
    for n in 60..80 {
        store_now(&mut to_b, &clock, n, 3 * KB);
    }
    store.enforce().unwrap();
    assert_shows(&b, &(28..=80).collect::<Vec<_>>());
}

#[test]
fn limits_that_the_settings_give_change_while_the_store_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open_at(folder.path(), &clock, options());
    let most = |most| Limits { age_s: Limit::Inherited, bytes: most };
    // One of them is named before it exists.
    let streams = BTreeMap::from([(name("b"), most(Limit::Most(30_000)))]);
    store.set_default_limits(Defaults { bytes: Some(60_000), streams, ..Defaults::default() });
    let [a, b, c] = ["a", "b", "c"].map(|given| store.create_stream(&name(given)).unwrap());
    c.set_limits(bytes(15_000)).unwrap();
    for stream in [&a, &b, &c] {
        let mut to = writer(stream);
        for n in 0..30 {
            store_now(&mut to, &clock, n, 3 * KB);
        }
    }
    store.enforce().unwrap();
    assert_eq!([&a, &b, &c].map(|stream| listed(stream).len()), [20, 10, 5]);
    let streams = BTreeMap::from([(name("c"), most(Limit::Unlimited)), (name("b"), most(Limit::Unlimited))]);
    store.set_default_limits(Defaults { bytes: Some(9_500), streams, ..Defaults::default() });
    store.enforce().unwrap();
    // What a stream sets itself counts before what the settings give it by name.
    assert_eq!([&a, &b, &c].map(|stream| listed(stream).len()), [3, 10, 5]);
    store.set_default_limits(Defaults { keep_free_bytes: Some(u64::MAX), ..Defaults::default() });
    store.enforce().unwrap();
    assert_eq!(store.space().keep_free_bytes, u64::MAX);
    assert!(store.refusal().is_some(), "no disk has so much room");
}

#[test]
fn nothing_is_numbered_twice_when_everything_has_expired() {
    for rebuilt in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let clock = clock();
        let store = open_at(folder.path(), &clock, options());
        let stream = store.create_stream(&name("a")).unwrap();
        let mut to = writer(&stream);
        for n in 0..20 {
            store_now(&mut to, &clock, n, 3 * KB);
        }
        clock.advance(Duration::from_secs(100));
        stream.set_limits(age(10)).unwrap();
        // The open segment is sealed by the committer and indexed by the keeper before it goes.
        while !files(folder.path(), "a").is_empty() {
            store.enforce().unwrap();
            std::thread::yield_now();
        }
        assert_shows(&stream, &[]);
        assert!(store_now(&mut to, &clock, 20, KB).number.get() > 20);
        clock.advance(Duration::from_secs(100));
        while !files(folder.path(), "a").is_empty() {
            store.enforce().unwrap();
            std::thread::yield_now();
        }
        drop((to, stream, store));

        if rebuilt {
            rebuild_index(folder.path()).unwrap();
        }
        let store = open_at(folder.path(), &clock, options());
        assert_eq!(store.recovery().damages, []);
        let stream = store.stream(&name("a")).unwrap();
        let next = store_now(&mut writer(&stream), &clock, 21, KB);
        assert!(next.number.get() > 21, "{}", next.number);
        assert_eq!(next.ordinal, 21, "ordinals have no holes");
        assert!(stream.configuration(next.configuration).is_ok());
    }
}

#[test]
fn a_crash_between_deleting_files_and_rows_loses_nothing_that_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let index = folder.path().join("meta.db");
    let store = open_at(folder.path(), &clock, options());
    let stream = store.create_stream(&name("a")).unwrap();
    let mut to = writer(&stream);
    for n in 0..40 {
        store_now(&mut to, &clock, n, 3 * KB);
    }
    store.close();
    drop((to, stream, store));
    // An index that still has all rows, as it is when the power goes right after the files.
    rebuild_index(folder.path()).unwrap();
    let rows = std::fs::read(&index).unwrap();
    let store = open_at(folder.path(), &clock, options());
    let stream = store.stream(&name("a")).unwrap();
    stream.set_limits(age(15)).unwrap();
    store.enforce().unwrap();
    let left = listed(&stream);
    assert_eq!(left, (26..=40).collect::<Vec<_>>());
    store.close();
    drop((stream, store));
    for beside in ["meta.db-wal", "meta.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(beside));
    }
    std::fs::write(&index, rows).unwrap();
    let store = open_at(folder.path(), &clock, options());
    assert_eq!(store.recovery().damages, []);
    assert_shows(&store.stream(&name("a")).unwrap(), &left);
    // A file that nobody gave up is missing all the same.
    store.close();
    drop(store);
    let lost = files(folder.path(), "a").into_iter().nth(1).unwrap();
    std::fs::remove_file(folder.path().join("streams/a").join(lost)).unwrap();
    assert_eq!(open_at(folder.path(), &clock, options()).recovery().damages.len(), 1);
}

#[test]
fn a_pinned_stretch_stays_until_it_is_unpinned() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open_at(folder.path(), &clock, options());
    let stream = store.create_stream(&name("a")).unwrap();
    let mut to = writer(&stream);
    for n in 0..40 {
        store_now(&mut to, &clock, n, 3 * KB);
    }
    // Fragments 11 to 13: from within the first of them to just after the beginning of the last.
    stream.pin(pin("break-in", at(10_500), at(12_001))).unwrap();
    stream.pin(pin("later", at(12_500), at(12_600))).unwrap();
    stream.set_limits(age(10)).unwrap();
    store.enforce().unwrap();
    let kept: Vec<u64> = [11, 12, 13].into_iter().chain(31..=40).collect();
    assert_shows(&stream, &kept);
    let pins = stream.pins().unwrap();
    assert_eq!(pins.iter().map(|pinned| pinned.fragments).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(pins[0].bytes, 9000);
    drop((to, stream, store));

    let store = open_at(folder.path(), &clock, options());
    assert_eq!(store.recovery().damages, []);
    let stream = store.stream(&name("a")).unwrap();
    assert_shows(&stream, &kept);
    assert_eq!(stream.pins().unwrap(), pins);
    stream.unpin("break-in").unwrap();
    assert_eq!(stream.unpin("break-in").unwrap_err().kind, ErrorKind::NotFound);
    store.enforce().unwrap();
    assert_shows(&stream, &[13].into_iter().chain(31..=40).collect::<Vec<_>>());
    let before = files(folder.path(), "a").len();
    stream.unpin("later").unwrap();
    store.enforce().unwrap();
    assert_shows(&stream, &(31..=40).collect::<Vec<_>>());
    assert!(files(folder.path(), "a").len() < before);
    for bad in [pin("", at(0), at(1)), pin("a/b", at(0), at(1)), pin("a", at(1), at(1))] {
        assert_eq!(stream.pin(bad).unwrap_err().kind, ErrorKind::InvalidInput);
    }
}

#[test]
fn a_stream_tells_which_of_its_limits_it_reaches_next() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open_at(folder.path(), &clock, options());
    let stream = store.create_stream(&name("a")).unwrap();
    stream.set_limits(Limits { age_s: Limit::Most(30), bytes: Limit::Most(60_000) }).unwrap();
    let next = |rate| stream.next_expiry(clock.wall(), rate).map(|next| (next.at, next.by_bytes));
    assert_eq!(next(3000), None, "there is nothing to let go of");
    let mut to = writer(&stream);
    for n in 0..10 {
        store_now(&mut to, &clock, n, 3 * KB);
    }
    store.enforce().unwrap();
    // Ten seconds and half the bytes have passed.
    assert_eq!(next(3000), Some((at(20_000), true)));
    assert_eq!(next(1000), Some((at(30_000), false)));
    assert_eq!(next(0), Some((at(30_000), false)));
    // From its limits on it goes on second by second.
    for n in 10..50 {
        store_now(&mut to, &clock, n, 3 * KB);
        store.enforce().unwrap();
    }
    assert_eq!(listed(&stream).len(), 20);
    assert_eq!(next(3000), Some((at(50_000), true)));
    stream.set_limits(age(1000)).unwrap();
    store.enforce().unwrap();
    assert_eq!(next(3000), Some((at(1_030_000), false)));
}

#[test]
fn what_shall_be_kept_and_cannot_be_read_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let defaults = Options {
        limits: Defaults { age_s: Some(5), total_bytes: Some(1), ..Defaults::default() },
        ..options()
    };
    let store = open_at(folder.path(), &clock, options());
    let stream = store.create_stream(&name("a")).unwrap();
    let mut to = writer(&stream);
    for n in 0..20 {
        store_now(&mut to, &clock, n, 3 * KB);
    }
    stream.set_limits(age(1000)).unwrap();
    store.close();
    drop((to, stream, store));
    let path = folder.path().join("streams/a/retention");
    let mut content = std::fs::read(&path).unwrap();
    content[70] ^= 1;
    std::fs::write(&path, content).unwrap();
    let store = open_at(folder.path(), &clock, defaults);
    assert_eq!(store.recovery().damages.len(), 1);
    let stream = store.stream(&name("a")).unwrap();
    store.enforce().unwrap();
    assert_shows(&stream, &(1..=20).collect::<Vec<_>>());
    assert!(stream.expiry_suspended().is_some());
    stream.set_limits(age(10)).unwrap();
    store.enforce().unwrap();
    assert_eq!(listed(&stream).last(), Some(&20));
    assert!(listed(&stream).len() <= 10);
}

#[test]
fn a_clock_that_jumps_expires_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open_at(folder.path(), &clock, options());
    let stream = store.create_stream(&name("a")).unwrap();
    stream.set_limits(age(1000)).unwrap();
    let mut to = writer(&stream);
    for n in 0..10 {
        store_now(&mut to, &clock, n, 3 * KB);
        store.enforce().unwrap();
    }
    let all: Vec<u64> = (1..=10).collect();
    // What a right clock shows.
    let real = || START.offset_micros(clock.monotonic().as_micros() as i64);
    for wrong_s in [3_650 * 86_400, -3_650 * 86_400, 86_400] {
        clock.step_wall(real().offset_micros(wrong_s * 1_000_000));
        store.enforce().unwrap();
        clock.advance(Duration::from_secs(5));
        store.enforce().unwrap();
        assert_shows(&stream, &all);
        clock.step_wall(real());
        store.enforce().unwrap();
        assert_shows(&stream, &all);
    }
    assert_eq!(store.clock_ahead_us(), 0);
    // Across a restart, too, which is all the store can tell of the time in between.
    store.close();
    drop((to, stream, store));
    clock.step_wall(real().offset_micros(3_650 * 86_400 * 1_000_000));
    let store = open_at(folder.path(), &clock, options());
    store.enforce().unwrap();
    let stream = store.stream(&name("a")).unwrap();
    assert_shows(&stream, &all);
    assert!(store.clock_ahead_us() > 0);
    // In step again, they go when they are due.
    clock.step_wall(real());
    store.enforce().unwrap();
    clock.advance(Duration::from_secs(980));
    store.enforce().unwrap();
    let kept = listed(&stream);
    assert!(!kept.is_empty() && kept.len() < 10, "{kept:?}");
}

/// A store without threads, so that what is sealed when is certain.
struct ByHand {
    store: Store,
    clock: Arc<ManualClock>,
    seed: u64,
}

impl ByHand {
    fn open(folder: &Path, options: Options) -> Self {
        let clock = clock();
        let shared = Arc::<ManualClock>::clone(&clock);
        let store = Store::open_by_hand(Arc::new(LocalDisk), folder, options, shared).unwrap();
        Self { store, clock, seed: 0 }
    }

    fn writer(&self, stream: &Arc<Stream>) -> StreamWriter {
        let mut taking = Box::pin(stream.writer());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            loop {
                tokio::select! {
                    biased;
                    taken = &mut taking => break taken.unwrap(),
                    () = tokio::task::yield_now() => self.turns(),
                }
            }
        })
    }

    fn turns(&self) {
        for worker in 0..3 {
            self.store.turn(worker);
        }
        self.store.turn(2);
    }

    fn put(&mut self, to: &mut StreamWriter, bytes: usize) {
        self.seed += 1;
        let now = self.clock.wall();
        let take =
            Take { producer: now, server: now, duration_us: 1_000_000, payload: payload(self.seed, bytes) };
        let finished = put(to, &take).unwrap();
        self.turns();
        wait(finished.durable).unwrap();
        self.clock.advance(Duration::from_secs(1));
    }
}

#[test]
fn the_oldest_segments_of_all_streams_go_for_the_total() {
    let folder = tempfile::tempdir().unwrap();
    let total = 150_000;
    let mut bench = ByHand::open(
        folder.path(),
        Options { limits: Defaults { total_bytes: Some(total), ..Defaults::default() }, ..options() },
    );
    let names = ["a", "b", "c"];
    let streams = names.map(|text| bench.store.create_stream(&name(text)).unwrap());
    streams[1].pin(pin("all", at(0), at(20_000))).unwrap();
    let mut writers: Vec<_> = streams.iter().map(|stream| bench.writer(stream)).collect();
    let mut newest = [0, 0, 0];
    for round in 0..60 {
        for (index, to) in writers.iter_mut().enumerate() {
            // The third stream stops early: what it has is older than what the others add.
            if index < 2 || round < 15 {
                bench.put(to, 3 * KB);
                newest[index] = streams[index].summary().numbers.unwrap().1.get();
            }
        }
        bench.store.enforce().unwrap();
        let used: u64 = names
            .iter()
            .flat_map(|text| std::fs::read_dir(folder.path().join("streams").join(text)).unwrap())
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".seg"))
            .map(|entry| entry.metadata().unwrap().len())
            .sum();
        assert!(used <= total, "{used}");
    }
    for (stream, newest) in streams.iter().zip(newest) {
        let numbers = stream.summary().numbers;
        assert!(numbers.is_none_or(|(_, last)| last.get() == newest), "the newest stays longest");
    }
    let pinned = streams[1].fragments(&everything(Axis::Arrival)).unwrap();
    let pinned = pinned.iter().filter(|fragment| fragment.producer_time < at(20_000)).count();
    assert!(pinned >= 6, "{pinned}");
    assert!(streams[2].summary().fragments < 8, "the stream that stopped first pays first");
    for stream in &streams {
        let all = listed(stream);
        assert_shows(stream, &all);
    }
}

/// What the store shall hold, told naively.
#[derive(Default)]
struct Model {
    fragments: BTreeMap<u64, (WallTime, u64)>,
    /// First numbers of all segments that ever were.
    firsts: BTreeSet<u64>,
    floor: u64,
    limits: Limits,
    pins: Vec<Pin>,
}

impl Model {
    fn pinned(&self, start: WallTime) -> bool {
        let end = start.offset_micros(1_000_000);
        self.pins.iter().any(|pin| pin.start < end && start < pin.end)
    }

    /// Raises the floor as far as limits demand.
    fn enforce(&mut self, now: WallTime) {
        let too_old = |at: WallTime| match self.limits.age_s {
            Limit::Most(most) => at < now.offset_micros(-(most as i64) * 1_000_000),
            _ => false,
        };
        loop {
            let mut above = self.fragments.range(self.floor..);
            let bytes: u64 = above.clone().map(|(_, (_, bytes))| bytes).sum();
            let too_much = matches!(self.limits.bytes, Limit::Most(most) if bytes > most);
            let Some((number, (at, _))) = above.next() else { break };
            if !too_old(*at) && !too_much {
                break;
            }
            self.floor = number + 1;
        }
    }

    /// Forgets what is not shown and whose file is gone, so that no pin brings it back.
    fn forget(&mut self, folder: &Path) {
        let there = self.look(folder);
        let shown = self.shown();
        let firsts = &self.firsts;
        let exists =
            |number: u64| firsts.range(..=number).next_back().is_some_and(|first| there.contains(first));
        self.fragments.retain(|number, _| shown.contains(number) || exists(*number));
    }

    /// The first numbers of the segments that exist.
    fn look(&mut self, folder: &Path) -> BTreeSet<u64> {
        let there: BTreeSet<u64> =
            files(folder, "a").iter().map(|name| name[..20].parse().unwrap()).collect();
        self.firsts.extend(&there);
        there
    }

    fn shown(&self) -> Vec<u64> {
        let shown = |(number, (at, _)): &(&u64, &(WallTime, u64))| **number >= self.floor || self.pinned(*at);
        self.fragments.iter().filter(shown).map(|(number, _)| *number).collect()
    }
}

#[test]
fn a_naive_model_agrees_whatever_happens() {
    for seed in 0..12 {
        let mut chance = Chance(seed);
        let folder = memory_folder();
        let mut bench = ByHand::open(folder.path(), options());
        let mut stream = bench.store.create_stream(&name("a")).unwrap();
        let mut to = Some(bench.writer(&stream));
        let mut model = Model::default();
        for _ in 0..60 {
            match chance.below(9) {
                0..=3 => {
                    for _ in 0..1 + chance.below(6) {
                        let at = bench.clock.wall();
                        let bytes = 500 + chance.below(6000);
                        bench.put(to.as_mut().unwrap(), bytes);
                        let number = stream.tail(1).unwrap().fragments.last().unwrap().number.get();
                        model.fragments.insert(number, (at, bytes as u64));
                        model.look(folder.path());
                    }
                }
                4 => bench.clock.advance(Duration::from_secs(chance.below(20) as u64)),
                5 => {
                    let limit = |chance: &mut Chance, most: usize| match chance.below(3) {
                        0 => Limit::Unlimited,
                        _ => Limit::Most(chance.below(most) as u64),
                    };
                    model.limits =
                        Limits { age_s: limit(&mut chance, 80), bytes: limit(&mut chance, 200_000) };
                    stream.set_limits(model.limits).unwrap();
                }
                6 => {
                    let start = chance.below(100_000) as i64;
                    let length = 1 + chance.below(15_000) as i64;
                    let new = pin(&format!("p{}", chance.below(4)), at(start), at(start + length));
                    model.pins.retain(|pin| pin.name != new.name);
                    model.pins.push(new.clone());
                    stream.pin(new).unwrap();
                }
                7 => {
                    if let Some(gone) = model.pins.pop() {
                        stream.unpin(&gone.name).unwrap();
                    }
                }
                _ => {
                    // A crash or an orderly stop, and perhaps an index that is made anew.
                    bench.turns();
                    if chance.below(2) == 0 {
                        bench.store.close();
                    }
                    drop((to.take(), stream));
                    let clock = Arc::clone(&bench.clock);
                    drop(std::mem::replace(
                        &mut bench.store,
                        Store::open(memory_folder().path(), options(), Arc::<ManualClock>::clone(&clock))
                            .unwrap(),
                    ));
                    if chance.below(3) == 0 {
                        assert_eq!(rebuild_index(folder.path()).unwrap().damages, []);
                    }
                    let disk = Arc::new(LocalDisk);
                    bench.store = Store::open_by_hand(disk, folder.path(), options(), clock).unwrap();
                    assert_eq!(bench.store.recovery().damages, []);
                    stream = bench.store.stream(&name("a")).unwrap();
                    to = Some(bench.writer(&stream));
                }
            }
            model.enforce(bench.clock.wall());
            bench.store.enforce().unwrap();
            assert_shows(&stream, &model.shown());
            model.forget(folder.path());
        }
    }
}
