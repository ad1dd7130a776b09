//! Data directories as released versions left them, committed: every later version opens, lists, reads
//! and verifies them. They are never written again; a new format gets a folder of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kinora_base::PredictableRandom;
use kinora_store::{Axis, Cause, Flags, GapQuery, Keyring, Options, Store, Stream, rebuild_index, verify};

use super::damage::copy;
use super::encryption::secret;
use super::harness::*;

/// Fragments of each stream: four sealed segments and an open one, and a stop after the ninth.
const COUNT: u64 = 14;

/// Of `plain`, which was stored without a key, and of `secret`.
const STREAMS: [&str; 2] = ["plain", "secret"];

fn v1() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/store/fixtures/v1")
}

fn keyring() -> Arc<Keyring> {
    let random = Arc::new(PredictableRandom::from_seed(1));
    Arc::new(Keyring::new(secret(7), Vec::new(), random).unwrap())
}

/// Fragment `number`, a second long; after the stop, ten seconds are absent.
fn take(number: u64) -> Take {
    let ms = number as i64 * 1000 + if number > 9 { 10_000 } else { 0 };
    Take::at(ms, payload(number, 150 + number as usize))
}

fn small(keys: bool) -> Options {
    Options { segment_bytes: 1500, preallocate_bytes: 512, keys: keys.then(keyring), ..options() }
}

/// Writes the folder. Run it once for each format, with `--run-ignored only`, and commit what it says.
#[test]
#[ignore = "it makes what is committed"]
fn make_the_fixture_of_this_version() {
    let folder = memory_folder();
    for name_of in STREAMS {
        let store = Store::open(folder.path(), small(name_of == "secret"), clock()).unwrap();
        let stream = store.create_stream(&name(name_of)).unwrap();
        for numbers in [1..=9, 10..=COUNT] {
            let mut to = writer(&stream);
            for number in numbers.clone() {
                store_one(&mut to, &take(number));
            }
            if numbers.contains(&9) {
                to.stop(Cause::ConnectionLost, "reset by peer");
            }
        }
        drop(stream);
        store.close();
    }
    // The index is made anew from these, the ballast holds nothing, the lock is whoever runs.
    for entry in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        let kept = ["streams", "clean"].iter().any(|kept| entry.file_name() == *kept);
        if !kept && entry.path().is_file() {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let _empty = std::fs::remove_dir(folder.path().join("deleted"));
    assert!(!v1().exists(), "{} is never written again", v1().display());
    std::fs::create_dir_all(v1()).unwrap();
    copy(folder.path(), &v1());
}

fn check(stream: &Arc<Stream>) {
    let listed = stream.fragments(&everything(Axis::Producer)).unwrap();
    assert_eq!(numbers(&listed), (1..=COUNT).collect::<Vec<_>>(), "{}", stream.name());
    for (ordinal, fragment) in listed.iter().enumerate() {
        let take = take(fragment.number.get());
        assert_eq!((fragment.ordinal, fragment.flags), (ordinal as u64, Flags::KEY_FRAME_START));
        assert_eq!((fragment.producer_time, fragment.server_time), (take.producer, take.server));
        assert_eq!(fragment.duration_us, take.duration_us);
        assert_eq!(read(stream, fragment), take.payload);
        assert_eq!(stream.configuration(fragment.configuration).unwrap(), "configuration");
    }
    let all = GapQuery { start: None, end: None, descending: false, after: None, limit: 10 };
    let gap = &stream.gaps(&all, at(100_000_000)).unwrap()[0];
    assert_eq!((gap.start, gap.end), (at(10_000), Some(at(20_000))));
    assert_eq!((gap.cause, gap.detail.as_str()), (Cause::ConnectionLost, "reset by peer"));
}

#[test]
fn what_format_version_1_stored_is_readable_forever() {
    for crash in [false, true] {
        let folder = memory_folder();
        copy(&v1(), folder.path());
        if crash {
            std::fs::remove_file(folder.path().join("clean")).unwrap();
        }
        let rebuilt = rebuild_index(folder.path()).unwrap();
        assert_eq!((rebuilt.streams, rebuilt.segments, rebuilt.damages), (2, 8, vec![]));
        let found = verify(folder.path(), Some(keyring()), |_| ()).unwrap();
        assert_eq!((found.fragments, found.damages), (2 * COUNT, vec![]));
        for _ in 0..2 {
            let store = Store::open(folder.path(), small(true), clock()).unwrap();
            assert_eq!(
                (store.recovery().damages.clone(), store.recovery().out_of_service.clone()),
                (vec![], vec![])
            );
            assert_eq!(store.streams().len(), 2);
            store.streams().iter().for_each(check);
            assert_eq!(store.scrub().damaged_places, 0);
            store.close();
        }
        let store = Store::open(folder.path(), small(true), clock()).unwrap();
        for stream in store.streams() {
            let next = store_one(&mut writer(&stream), &take(COUNT + 1));
            assert_eq!(next.ordinal, COUNT);
            assert_eq!(next.number.get() == COUNT + 1, !crash, "{next:?}");
        }
    }
}
