//! No key and nonce are used twice: every byte that goes to a disk which fails, fills up, loses
//! power and is set back is watched, and the keystream under each chunk told from ciphertext and
//! known plaintext. Equal keystreams are equal keys and nonces.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kinora_store::{Axis, Disk, DiskFile, Error, Listed, Options, Room, Store};
use rustix::io::Errno;

use super::chance::Chance;
use super::encryption::encrypted;
use super::harness::*;
use super::sim::{Op, SimDisk};

/// So much of a keystream is compared: as long as the shortest plaintext.
const COMPARED: usize = CONFIGURATION.len();
const CONFIGURATION: &[u8] = b"configuration";
const HEADER: usize = 128;
const SALT: usize = 16;
const CHUNK: usize = 65_536;
const TAG: usize = 16;

/// What is known of all that was ever written.
#[derive(Debug, Default)]
struct Seen {
    /// Payloads by producer time in milliseconds after [`START`].
    payloads: BTreeMap<i64, Bytes>,
    /// For each keystream, what was written with it: chunk and header.
    keystreams: HashMap<[u8; COMPARED], Vec<(Bytes, Bytes)>>,
    records: usize,
    /// Producer times of what was acknowledged.
    acked: BTreeSet<i64>,
}

impl Seen {
    fn record(&mut self, header: &[u8], stored: &[u8]) {
        let word = |at: usize| i64::from_le_bytes(header[at..at + 8].try_into().unwrap());
        let is_fragment = header[5] == 1;
        let plain = match is_fragment {
            true => self.payloads[&((word(56) - START.as_micros()) / 1000)].clone(),
            false => Bytes::from_static(CONFIGURATION),
        };
        self.records += 1;
        let chunks = stored[SALT..].chunks(CHUNK + TAG);
        for (chunk, plain) in chunks.zip(plain.chunks(CHUNK)) {
            // The last may be too short to be told from chance.
            let Some(plain) = plain.first_chunk::<COMPARED>() else { continue };
            let mut keystream = *plain;
            keystream.iter_mut().zip(chunk).for_each(|(byte, cipher)| *byte ^= cipher);
            let used = (Bytes::copy_from_slice(chunk), Bytes::copy_from_slice(header));
            self.keystreams.entry(keystream).or_default().push(used);
        }
    }
}

/// A disk whose every write of an encrypted record is seen.
#[derive(Debug, Clone)]
struct Watched {
    disk: SimDisk,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug)]
struct WatchedFile {
    file: Arc<dyn DiskFile>,
    seen: Arc<Mutex<Seen>>,
}

impl Watched {
    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(WatchedFile { file, seen: Arc::clone(&self.seen) })
    }
}

impl Disk for Watched {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.create(path)?))
    }
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.open(path, writable)?))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.create_folder(path)
    }
    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_folder(path)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_folder(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        self.disk.list(path)
    }
    fn room(&self, path: &Path) -> io::Result<Option<Room>> {
        self.disk.room(path)
    }
}

impl DiskFile for WatchedFile {
    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        for pair in pieces.windows(2) {
            let is_header = pair[0].len() == HEADER && pair[0].starts_with(b"KNRr");
            if is_header && pair[0][88..92] != [0; 4] {
                self.seen.lock().unwrap().record(&pair[0], &pair[1]);
            }
        }
        self.file.write_at(pieces, offset)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        self.file.allocate(offset, length)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn data_after(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        self.file.data_after(offset)
    }
}

/// Writes until something goes wrong or there is enough.
fn work(store: &Store, watched: &Watched, ms: &mut i64, chance: &mut Chance) -> Result<(), Error> {
    let stream = store.create_stream(&name("cam"))?;
    let mut to = run(stream.writer())?;
    for _ in 0..1 + chance.below(8) {
        *ms += 1000;
        let length =
            if chance.below(8) == 0 { 60_000 + chance.below(80_000) } else { 50 + chance.below(6000) };
        let take = Take::at(*ms, payload(chance.0, length));
        watched.seen.lock().unwrap().payloads.insert(*ms, take.payload.clone());
        match chance.below(12) {
            0 => watched.disk.set_capacity(Some(watched.disk.used() + chance.below(5000))),
            1 => watched.disk.fail(Op::Write, 0, Errno::IO),
            2 => watched.disk.fail(Op::SyncData, 0, Errno::IO),
            _ => watched.disk.set_capacity(None),
        }
        let durable = put(&mut to, &take)?.durable;
        if chance.below(2) == 0 && wait(durable).is_ok() {
            watched.seen.lock().unwrap().acked.insert(*ms);
        }
    }
    Ok(())
}

/// Everything acknowledged can be decrypted, and is what was sent.
fn assert_kept(store: &Store, seen: &Seen) {
    assert_eq!(store.recovery().damages, []);
    let Some(stream) = store.stream(&name("cam")) else {
        assert!(seen.acked.is_empty());
        return;
    };
    let listed = stream.fragments(&everything(Axis::Arrival)).unwrap();
    let there = listed.iter().map(|fragment| {
        let ms = fragment.producer_time.micros_since(START) / 1000;
        assert_eq!(read(&stream, fragment), seen.payloads[&ms]);
        ms
    });
    let there: BTreeSet<i64> = there.collect();
    assert!(there.is_superset(&seen.acked), "acknowledged fragments are gone");
}

/// Runs with failures of all kinds, each opening with `options`.
fn watch(seed: u64, sets_back: bool, options: impl Fn(u64) -> Options) -> Arc<Mutex<Seen>> {
    let mut chance = Chance(seed);
    let (mut ms, folder) = (0, memory_folder());
    let mut watched = Watched { disk: SimDisk::default(), seen: Arc::default() };
    let mut earlier = None;
    for round in 0..14 {
        watched.disk.cut_power_after(20 + chance.below(150));
        let options = options(seed * 100 + round);
        if let Ok(store) = Store::open_on(Arc::new(watched.clone()), folder.path(), options, clock()) {
            if !sets_back {
                assert_kept(&store, &watched.seen.lock().unwrap());
            }
            let _ = work(&store, &watched, &mut ms, &mut chance);
            if chance.below(3) == 0 {
                store.close();
            }
        }
        watched.disk = watched.disk.after_power_cut(&mut chance);
        if sets_back && round == 5 {
            earlier = Some(watched.disk.after_power_cut(&mut chance));
        }
        if let Some(earlier) = earlier.take_if(|_| round == 9) {
            // As a backup that is restored: numbers given since then are given again.
            watched.disk = earlier;
            for suffix in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(folder.path().join(format!("meta.db{suffix}")));
            }
        }
    }
    watched.seen
}

#[test]
fn no_key_and_nonce_are_used_twice_whatever_happens_to_the_disk() {
    let (mut records, mut chunks) = (0, 0);
    for seed in 0..20 {
        let seen = watch(seed, true, |opening| encrypted(&[1], opening));
        let seen = seen.lock().unwrap();
        for used in seen.keystreams.values() {
            assert_eq!(used.len(), 1, "seed {seed}: {used:x?}");
        }
        records += seen.records;
        chunks += seen.keystreams.len();
    }
    println!("{records} records, {chunks} chunks, as many keystreams");
    assert!(records > 500, "too few ({records}) for this to mean much");
}

#[test]
fn a_key_that_changes_at_every_start_loses_nothing_to_power_cuts() {
    let mut acked = 0;
    for seed in 100..112 {
        // The round is in the last two digits: each has a new key in front of all before it.
        let keys = |opening: u64| (1..=(opening % 100) as u8 + 1).rev().collect::<Vec<_>>();
        let seen = watch(seed, false, |opening| encrypted(&keys(opening), opening));
        acked += seen.lock().unwrap().acked.len();
    }
    println!("{acked} acknowledged fragments were kept");
    assert!(acked > 100, "too few acknowledgements ({acked}) for this to mean much");
}

#[test]
fn even_chance_that_repeats_itself_at_every_start_reveals_nothing() {
    let mut again = 0;
    for seed in 0..20 {
        let seen = watch(seed, false, |_| encrypted(&[1], 7));
        for used in seen.lock().unwrap().keystreams.values() {
            let (chunk, header) = &used[0];
            for (other, its_header) in &used[1..] {
                assert_eq!(chunk, other, "seed {seed}: one keystream under two plaintexts");
                assert_eq!(header, its_header, "seed {seed}");
                again += 1;
            }
        }
    }
    println!("{again} chunks were written again, each as the same bytes");
}
