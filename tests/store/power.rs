//! Power cuts at every point of a workload, one after the other: nothing acknowledged is lost, no
//! number is given twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use kinora_store::{Axis, Begun, Error, Options, Store, Stream};

use super::chance::Chance;
use super::harness::*;
use super::sim::{Breach, SimDisk};

/// What is known from outside: every acknowledgement and every number ever seen.
#[derive(Default)]
struct Witness {
    acked: BTreeMap<(String, u64), Bytes>,
    begun: BTreeMap<(String, u64), i64>,
    ms: i64,
}

impl Witness {
    /// Writes to two streams until the power goes or there is nothing more to do.
    fn work(&mut self, disk: &SimDisk, folder: &Path, chance: &mut Chance) {
        let Ok(store) = Store::open_on(Arc::new(disk.clone()), folder, options(), clock()) else {
            assert!(disk.power_is_cut());
            return;
        };
        assert_eq!(store.recovery().damages, [], "a power cut is no damage");
        self.check(&store);
        for name in ["a", "b"] {
            if chance.below(8) > 0 {
                let _ = self.write(&store, name, chance);
            }
        }
        if chance.below(3) == 0 {
            store.close();
        }
    }

    fn write(&mut self, store: &Store, stream: &str, chance: &mut Chance) -> Result<(), kinora_store::Error> {
        let handle = store.create_stream(&name(stream))?;
        let mut writer = run(handle.writer())?;
        let mut promised = Vec::new();
        for _ in 0..chance.below(12) {
            self.ms += 1000;
            let take = Take::at(self.ms, payload(self.ms as u64, 100 + chance.below(6000)));
            let Begun::Live(number) = begin(&mut writer, &take)? else { panic!("a new time") };
            let before = self.begun.insert((stream.to_owned(), number.get()), self.ms);
            assert_eq!(before, None, "number {number} of {stream} was given twice");
            if chance.below(6) == 0 {
                writer.abandon();
                continue;
            }
            let finished = finish(&mut writer, &take)?;
            promised.push((number.get(), take.payload, finished.durable));
            if chance.below(3) == 0 {
                self.collect(stream, &mut promised);
            }
        }
        self.collect(stream, &mut promised);
        Ok(())
    }

    fn collect(&mut self, stream: &str, promised: &mut Vec<(u64, Bytes, kinora_store::Durable)>) {
        for (number, payload, durable) in promised.drain(..) {
            if wait(durable).is_ok() {
                self.acked.insert((stream.to_owned(), number), payload);
            }
        }
    }

    /// Everything acknowledged is there, and everything that is there is whole.
    fn check(&self, store: &Store) {
        let mut served = BTreeMap::new();
        for stream in store.streams() {
            let listed = stream.fragments(&everything(Axis::Arrival)).unwrap();
            for (ordinal, fragment) in listed.iter().enumerate() {
                assert_eq!(fragment.ordinal, ordinal as u64, "ordinals have no holes");
                let key = (stream.name().to_string(), fragment.number.get());
                let ms = self.begun[&key];
                assert_eq!(fragment.producer_time, at(ms), "{key:?}");
                served.insert(key, read(&stream, fragment));
            }
            assert_tail_matches(&stream, &numbers(&listed));
            assert_eq!(stream.summary().fragments, listed.len() as u64);
        }
        for (key, payload) in &self.acked {
            assert_eq!(served.get(key), Some(payload), "{key:?} was acknowledged");
        }
    }
}

fn assert_tail_matches(stream: &Stream, listed: &[u64]) {
    let tail = stream.tail(5).unwrap().fragments;
    assert_eq!(numbers(&tail), &listed[listed.len().saturating_sub(5)..]);
}

#[test]
fn nothing_acknowledged_is_lost_whenever_the_power_goes() {
    let (mut cuts, mut acks) = (0, 0);
    for seed in 0..40 {
        let mut chance = Chance(seed);
        let mut witness = Witness::default();
        let folder = memory_folder();
        let mut disk = SimDisk::default();
        for _ in 0..8 {
            disk.cut_power_after(1 + chance.below(120));
            witness.work(&disk, folder.path(), &mut chance);
            cuts += 1;
            disk = disk.after_power_cut(&mut chance);
            if chance.below(4) == 0 {
                // The index holds nothing that the files do not.
                for suffix in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(folder.path().join(format!("meta.db{suffix}")));
                }
            }
        }
        let store = Store::open_on(Arc::new(disk), folder.path(), options(), clock()).unwrap();
        assert_eq!(store.recovery().damages, []);
        witness.check(&store);
        acks += witness.acked.len();
    }
    println!("| power cuts, threads | {cuts} cuts | {acks} | all fragments | 0 lost |");
    assert!(acks > 300, "too few acknowledgements ({acks}) for this to mean much");
}

/// A store whose workers take their turns here, on a disk that ends the process at a call.
struct Killed {
    disk: SimDisk,
    folder: tempfile::TempDir,
}

/// Streams, and their fragments' numbers.
type Served = BTreeMap<String, Vec<u64>>;

impl Killed {
    fn open(&self) -> Result<Store, Error> {
        let limits = Options { preallocate_bytes: 0, segment_bytes: 6000, ..options() };
        Store::open_by_hand(Arc::new(self.disk.clone()), self.folder.path(), limits, clock())
    }

    /// Creates, writes, seals and deletes, as far as it gets.
    fn work(&self) -> Result<(), Error> {
        let store = self.open()?;
        let timers = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _timers = timers.enter();
        let turns = || (0..=options().committers).for_each(|worker| store.turn(worker));
        for stream in ["a", "b"] {
            let stream = store.create_stream(&name(stream))?;
            let mut taking = std::pin::pin!(stream.writer());
            let mut context = Context::from_waker(Waker::noop());
            let mut writer = loop {
                match taking.as_mut().poll(&mut context) {
                    Poll::Ready(writer) => break writer?,
                    Poll::Pending => turns(),
                }
            };
            for n in 0..5 {
                put(&mut writer, &Take::at(n * 1000, payload(n as u64, 2000)))?;
                turns();
            }
        }
        store.delete_stream(&name("a"))
    }

    fn served(&self) -> Served {
        let store = self.open().unwrap();
        assert_eq!(store.recovery().damages, []);
        let list = |stream: &Arc<Stream>| numbers(&stream.fragments(&everything(Axis::Arrival)).unwrap());
        store.streams().iter().map(|stream| (stream.name().to_string(), list(stream))).collect()
    }
}

/// Kills at every call to the disk in turn, starts again, and cuts the power: how often it mattered
/// when something else was served then.
fn kills_that_cost(breach: Option<Breach>) -> (usize, usize) {
    let (mut kills, mut costly) = (0, 0);
    for seed in 0..6 {
        for call in 1.. {
            let disk = SimDisk::seeded(seed, seed % 2 == 0, breach, || ());
            let mut killed = Killed { disk, folder: memory_folder() };
            killed.disk.kill_after(call);
            // The process ends in the middle, or has nothing more to do.
            let _ = killed.work();
            if !killed.disk.process_is_killed() {
                break;
            }
            killed.disk.next_life();
            let before = killed.served();
            killed.disk = killed.disk.after_power_cut(&mut Chance(seed ^ call as u64));
            kills += 1;
            let after = killed.served();
            if after != before && breach.is_none() {
                println!("killed at call {call} of seed {seed}: {before:?} became {after:?}");
            }
            costly += usize::from(after != before);
        }
    }
    (kills, costly)
}

#[test]
fn what_is_served_after_a_kill_survives_a_power_cut() {
    let (kills, costly) = kills_that_cost(None);
    println!("| a kill at each call, a start, a power cut | {kills} kills | - | all lists | {costly} lost |");
    assert!(kills > 300, "{kills} kills are not every call");
    assert_eq!(costly, 0);
}

#[test]
fn serving_what_recovery_found_and_did_not_sync_is_caught() {
    let (kills, costly) = kills_that_cost(Some(Breach::RecoveryNotSynced));
    println!("| control: RecoveryNotSynced | {kills} kills | - | - | caught in {costly} |");
    assert!(costly > 0);
}
