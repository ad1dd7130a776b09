//! Encryption at rest: nothing readable without the key, everything with it, and no key lost or
//! used twice for the same place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kinora_base::{Clock, ErrorKind, ManualClock, PredictableRandom};
use kinora_store::{Axis, Error, Fragment, Keyring, Options, Secret, Store, Stream, rebuild_index, verify};

use super::harness::*;

/// A key-encryption key that `n` tells from others.
pub(crate) fn secret(n: u8) -> Secret {
    Secret::from_hex(&format!("{n:02x}").repeat(32)).unwrap()
}

/// Options with the key-encryption keys `keys`, the current one first.
pub(crate) fn encrypted(keys: &[u8], seed: u64) -> Options {
    let (current, older) = keys.split_first().unwrap();
    let older = older.iter().map(|n| secret(*n)).collect();
    let random = Arc::new(PredictableRandom::from_seed(seed));
    Options { keys: Some(Arc::new(Keyring::new(secret(*current), older, random).unwrap())), ..options() }
}

fn open_with(folder: &Path, keys: &[u8], seed: u64) -> Result<Store, Error> {
    Store::open(folder, encrypted(keys, seed), clock())
}

fn take(n: i64) -> Take {
    Take::at(n * 1000, payload(n as u64, 3000))
}

/// Stores the fragments `ns` of stream `cam` and closes.
fn record(store: &Store, ns: std::ops::Range<i64>) -> Vec<Fragment> {
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    let fragments = ns.map(|n| store_one(&mut to, &take(n))).collect();
    drop(to);
    store.close();
    fragments
}

fn cam(store: &Store) -> Arc<Stream> {
    store.stream(&name("cam")).unwrap()
}

/// Everything is there, and as it was sent.
fn assert_whole(store: &Store, count: i64) {
    assert_eq!(store.recovery().damages, []);
    let stream = cam(store);
    let fragments = stream.fragments(&everything(Axis::Arrival)).unwrap();
    assert_eq!(fragments.len() as i64, count);
    for (fragment, n) in fragments.iter().zip(0..) {
        assert_eq!(fragment.bytes, 3000);
        assert_eq!(read(&stream, fragment), take(n).payload);
        assert_eq!(stream.configuration(fragment.configuration).unwrap(), "configuration");
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let mut content = std::fs::read(&path).unwrap();
            // Room that is only reserved holds nothing.
            content.truncate(content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
            found.insert(path.clone(), content);
        }
    }
    found
}

fn key_file(folder: &Path) -> PathBuf {
    folder.join("streams/cam/keys")
}

/// The sealed segments.
fn sealed(folder: &Path) -> Vec<PathBuf> {
    let paths = files(&folder.join("streams/cam")).into_keys();
    let sealed: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "seg")).collect();
    assert!(!sealed.is_empty(), "{sealed:?}");
    sealed
}

#[test]
fn what_was_encrypted_is_read_after_close_crash_and_a_new_index() {
    let folder = memory_folder();
    record(&open_with(folder.path(), &[1], 1).unwrap(), 0..12);
    let store = open_with(folder.path(), &[1], 2).unwrap();
    assert_whole(&store, 12);
    let mut to = writer(&cam(&store));
    for n in 12..30 {
        store_one(&mut to, &take(n));
    }
    drop((to, store)); // as in a crash
    let store = open_with(folder.path(), &[1], 3).unwrap();
    assert!(!store.recovery().clean);
    assert_whole(&store, 30);
    store.close();
    drop(store);
    assert_eq!(rebuild_index(folder.path()).unwrap().damages, []);
    assert_whole(&open_with(folder.path(), &[1], 4).unwrap(), 30);
}

#[test]
fn nothing_readable_is_on_the_disk() {
    let folder = memory_folder();
    let parameters = Bytes::from_static(b"\x67\x64\x00\x1f\xac\xd9\x40\x50\x05\xbb");
    let configure = |store: &Store| {
        let stream = store.create_stream(&name("cam")).unwrap();
        writer(&stream).configuration(&parameters).unwrap();
    };
    let store = open_with(folder.path(), &[1], 1).unwrap();
    configure(&store);
    let fragments = record(&store, 0..12);
    let sums = fragments.iter().map(|fragment| fragment.content_crc.to_le_bytes());
    let plain: Vec<[u8; 4]> = (0..12).map(|n| crc32c::crc32c(&take(n).payload).to_le_bytes()).collect();
    assert!(sums.into_iter().all(|sum| !plain.contains(&sum)), "a checksum of what is encrypted is known");
    let mut wanted: Vec<Bytes> = vec![parameters.clone(), Bytes::from_static(&[1; 32])];
    wanted.extend((0..12).map(|n| take(n).payload.slice(1000..1016)));
    let found = files(folder.path());
    assert!(found.contains_key(&folder.path().join("meta.db")));
    for (path, content) in found {
        for secret in &wanted {
            let there = content.windows(secret.len()).any(|bytes| bytes == secret);
            assert!(!there, "{} holds {secret:?}", path.display());
        }
    }
    // The same looks for what is there when nothing is encrypted.
    let folder = memory_folder();
    let store = open(folder.path());
    configure(&store);
    record(&store, 0..12);
    let found = files(folder.path());
    for secret in wanted.iter().filter(|secret| secret.len() != 32) {
        let there = |content: &Vec<u8>| content.windows(secret.len()).any(|bytes| bytes == secret);
        assert!(found.values().any(there), "{secret:?} would not be found");
    }
}

#[test]
fn a_wrong_or_missing_key_is_refused_before_anything_is_changed() {
    let folder = memory_folder();
    record(&open_with(folder.path(), &[1], 1).unwrap(), 0..12);
    let before = files(folder.path());
    let print = |n: u8| secret(n).fingerprint().unwrap().to_string();

    let error = Store::open(folder.path(), options(), clock()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("'cam'") && error.message.contains(&print(1)), "{error}");
    assert!(error.message.contains("no encryption key was given"), "{error}");

    let error = open_with(folder.path(), &[2, 3], 1).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    for n in 1..=3 {
        assert!(error.message.contains(&print(n)), "{error} does not name key {n}");
    }
    let unlocked = |files: BTreeMap<PathBuf, Vec<u8>>| -> Vec<_> {
        files.into_iter().filter(|(path, _)| !path.ends_with("lock")).collect()
    };
    assert!(unlocked(files(folder.path())) == unlocked(before), "something was changed");
    assert_eq!(verify(folder.path(), encrypted(&[2], 1).keys, |_| ()).unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(verify(folder.path(), None, |_| ()).unwrap().damages, []);
    let store = open_with(folder.path(), &[1], 1).unwrap();
    assert!(store.recovery().clean);
    assert_whole(&store, 12);
}

#[test]
fn a_new_current_key_takes_the_data_keys_over_and_no_media_is_rewritten() {
    let folder = memory_folder();
    record(&open_with(folder.path(), &[1], 1).unwrap(), 0..12);
    let segments: Vec<_> = sealed(folder.path()).iter().map(|path| std::fs::read(path).unwrap()).collect();
    let keys = std::fs::read(key_file(folder.path())).unwrap();

    let store = open_with(folder.path(), &[2, 1], 2).unwrap();
    assert_whole(&store, 12);
    store.close();
    drop(store);
    let now: Vec<_> = sealed(folder.path()).iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(segments.iter().zip(&now).all(|(before, now)| before == now));
    assert_ne!(std::fs::read(key_file(folder.path())).unwrap(), keys);

    assert!(open_with(folder.path(), &[1], 3).is_err(), "the old key opens nothing any more");
    assert_whole(&open_with(folder.path(), &[2], 4).unwrap(), 12);
}

#[test]
fn an_archive_that_was_plain_stays_readable_and_goes_on_encrypted() {
    let folder = memory_folder();
    record(&open(folder.path()), 0..9);
    let plain = files(&folder.path().join("streams/cam"));
    let store = open_with(folder.path(), &[1], 1).unwrap();
    assert_whole(&store, 9);
    let mut to = writer(&cam(&store));
    for n in 9..20 {
        store_one(&mut to, &take(n));
    }
    drop(to);
    store.close();
    drop(store);
    assert_whole(&open_with(folder.path(), &[1], 2).unwrap(), 20);
    for (path, content) in plain {
        if path.extension().is_some_and(|extension| extension == "seg") {
            assert_eq!(std::fs::read(&path).unwrap(), content, "{} was changed", path.display());
        }
    }
    let now = files(&folder.path().join("streams/cam"));
    let holds = |n: i64| {
        let piece = take(n).payload.slice(1000..1016);
        now.values().any(|content| content.windows(16).any(|bytes| bytes == piece))
    };
    assert!((0..9).all(holds) && !(9..20).any(holds));
    // Encryption cannot be turned off again, or what is to be read could not be.
    assert!(Store::open(folder.path(), options(), clock()).is_err());
}

#[test]
fn each_day_has_a_key_of_its_own_and_it_stays() {
    let folder = memory_folder();
    let clock = Arc::new(ManualClock::at(START));
    let store = Store::open(folder.path(), encrypted(&[1], 1), clock.clone()).unwrap();
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    let keys = || std::fs::read(key_file(folder.path())).unwrap();
    let count = |keys: &[u8]| keys[..keys.len() / 2].windows(4).filter(|magic| magic == b"KNRK").count();
    store_one(&mut to, &take(0));
    let first = keys();
    store_one(&mut to, &take(1));
    assert_eq!(keys(), first);
    clock.advance(Duration::from_secs(24 * 60 * 60));
    store_one(&mut to, &Take { server: clock.wall(), ..take(2) });
    assert_eq!((count(&first), count(&keys())), (1, 2));
    // A clock that goes back finds the day's key again.
    let both = keys();
    clock.step_wall(START);
    for n in 3..15 {
        store_one(&mut to, &take(n));
    }
    assert_eq!(keys(), both);
    drop((to, stream));
    store.close();
    drop(store);
    assert_whole(&open_with(folder.path(), &[1], 2).unwrap(), 15);
    assert_eq!(keys(), both);
    assert_eq!(sealed(folder.path()).len(), 2, "one day and the next; that of the first again is open");
}

/// Changes the record at `place` in a file, and mends what checksums would tell.
fn forge(content: &mut [u8], place: usize, change: impl FnOnce(&mut [u8])) {
    let length = u32::from_le_bytes(content[place + 80..place + 84].try_into().unwrap()) as usize;
    change(&mut content[place..place + 128 + length]);
    let payload_crc = crc32c::crc32c(&content[place + 128..place + 128 + length]);
    content[place + 92..place + 96].copy_from_slice(&payload_crc.to_le_bytes());
    let header_crc = crc32c::crc32c(&content[place..place + 124]);
    content[place + 124..place + 128].copy_from_slice(&header_crc.to_le_bytes());
}

/// Where the fragments' records begin.
fn records(content: &[u8]) -> Vec<usize> {
    let begins = |place: &usize| content[*place..].starts_with(b"KNRr\x01\x01");
    (0..content.len() - 128).filter(begins).collect()
}

#[test]
fn what_was_changed_swapped_or_moved_is_told_though_all_checksums_are_right() {
    let folder = memory_folder();
    let fragments = record(&open_with(folder.path(), &[1], 1).unwrap(), 0..12);
    let path = &sealed(folder.path())[0];
    let original = std::fs::read(path).unwrap();
    let places = records(&original);
    let (first, second) = (places[0], places[1]);
    let stored = |place: usize| original[place + 128..place + 128 + 3032].to_vec();
    type Change<'a> = (&'a str, Box<dyn FnOnce(&mut [u8]) + 'a>);
    let changes: Vec<Change<'_>> = vec![
        ("nothing", Box::new(|_| {})),
        ("a flipped bit", Box::new(|record| record[128 + 100] ^= 4)),
        ("a flipped bit of the salt", Box::new(|record| record[128] ^= 4)),
        ("the payload of another record", Box::new(|record| record[128..].copy_from_slice(&stored(second)))),
        ("another producer time", Box::new(|record| record[56] ^= 1)),
        ("another server time", Box::new(|record| record[64] ^= 1)),
        ("other flags", Box::new(|record| record[6] ^= 2)),
        ("another media time", Box::new(|record| record[116] ^= 1)),
    ];
    for (what, change) in changes {
        let mut content = original.clone();
        forge(&mut content, first, change);
        std::fs::write(path, content).unwrap();
        let store = open_with(folder.path(), &[1], 2).unwrap();
        let whole = cam(&store).read(fragments[0].number).unwrap().whole().map(|pieces| pieces.concat());
        match whole {
            Ok(bytes) if what == "nothing" => assert_eq!(bytes, take(0).payload),
            Ok(_) => panic!("{what} was read as if nothing had happened"),
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Corrupt, "{what}: {error}");
                assert!(error.message.contains("fails its tag"), "{what}: {error}");
            }
        }
        assert_eq!(read(&cam(&store), &fragments[1]), take(1).payload, "{what}");
        drop(store);
        // Footers and chains tell of changed headers; of all else only the tag does.
        let keys = encrypted(&[1], 2).keys;
        let found = verify(folder.path(), keys, |_| ()).unwrap().damages;
        let told = found.iter().any(|damage| {
            damage.fragment == Some(fragments[0].number) && damage.message.contains("fails its tag")
        });
        assert_eq!(told, what != "nothing", "{what}: {found:?}");
    }
}

#[test]
fn keys_are_destroyed_with_their_stream() {
    let folder = memory_folder();
    let store = open_with(folder.path(), &[1], 1).unwrap();
    let stream = store.create_stream(&name("cam")).unwrap();
    store_one(&mut writer(&stream), &take(0));
    // Whoever still finds the file finds nothing in it.
    let found = folder.path().join("found");
    std::fs::hard_link(key_file(folder.path()), &found).unwrap();
    store.delete_stream(&name("cam")).unwrap();
    assert!(!key_file(folder.path()).exists());
    let content = std::fs::read(found).unwrap();
    assert!(!content.is_empty() && content.iter().all(|byte| *byte == 0));
    // Another stream of that name has other keys.
    let stream = store.create_stream(&name("cam")).unwrap();
    let fragment = store_one(&mut writer(&stream), &take(1));
    assert_eq!(read(&stream, &fragment), take(1).payload);
}

#[test]
fn a_link_in_the_place_of_the_key_file_is_not_followed() {
    let folder = memory_folder();
    record(&open_with(folder.path(), &[1], 1).unwrap(), 0..3);
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(key_file(folder.path()), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, key_file(folder.path())).unwrap();
    let keys = std::fs::read(&elsewhere).unwrap();
    // One for which the other streams need not stop.
    let store = open_with(folder.path(), &[2, 1], 2).unwrap();
    assert!(store.stream(&name("cam")).is_none(), "it is out of service");
    let _ = store.delete_stream(&name("cam"));
    drop(store);
    assert_eq!(std::fs::read(&elsewhere).unwrap(), keys, "what a link leads to was changed");
}

#[test]
fn a_flipped_bit_in_the_key_file_costs_nothing_and_a_lost_key_only_its_day() {
    let folder = memory_folder();
    let fragments = record(&open_with(folder.path(), &[1], 1).unwrap(), 0..12);
    let path = key_file(folder.path());
    let original = std::fs::read(&path).unwrap();
    let mut flipped = original.clone();
    flipped[50] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    let store = open_with(folder.path(), &[1], 2).unwrap();
    assert_whole(&store, 12);
    store.close();
    drop(store);
    flipped[original.len() / 2 + 51] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    let store = open_with(folder.path(), &[1], 3).unwrap();
    let [damage] = store.recovery().damages.as_slice() else { panic!("{:?}", store.recovery()) };
    assert!(damage.to_string().contains("keys"), "{damage}");
    let stream = cam(&store);
    let error = stream.read(fragments[0].number).unwrap().whole().unwrap_err();
    assert!(error.kind == ErrorKind::Corrupt && error.message.contains("a key that is lost"), "{error}");
    // It goes on with a new key, and what is left of the old one is kept.
    let fragment = store_one(&mut writer(&stream), &take(12));
    assert_eq!(read(&stream, &fragment), take(12).payload);
    let now = std::fs::read(&path).unwrap();
    assert_eq!(now[..128], flipped[..128]);
    assert_eq!(&now[128..132], b"KNRK");
}

#[test]
fn the_same_fragments_and_chance_make_the_same_files() {
    let folder = memory_folder();
    let store = open_with(folder.path(), &[1], 1).unwrap();
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut changes = stream.changes();
    let mut to = writer(&stream);
    // Alone, so that it never shares a write with the first fragment.
    changes.borrow_and_update();
    to.configuration(&Bytes::from_static(b"configuration")).unwrap();
    run(changes.changed()).unwrap();
    for n in 0..3 {
        store_one(&mut to, &take(n));
    }
    drop(to);
    store.close();
    let found: Vec<String> = files(&folder.path().join("streams/cam"))
        .into_iter()
        .map(|(path, content)| {
            let used = content.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            format!("{name} {used} {:016x}", super::golden::fnv1a(&content[..used]))
        })
        .collect();
    // If this fails, the format changed: raise its version, and say so in FORMAT.md.
    assert_eq!(
        found,
        [
            "00000000000000000001.open 10293 9c3344accc5e7a96",
            "keys 4224 b5f22c16effeba09",
            "stream 512 5145098eac9cb13e"
        ]
    );
}
