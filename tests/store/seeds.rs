//! Which seeds are simulated, and how to see a failure again: `make soak SEED=… SEEDS=1`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::sim::Breach;
use super::simulation::{Figures, simulate};

/// Seeds in each of four tests, so that they run side by side.
const SEEDS: u64 = 500;
/// A breach of the protocol is noticed within so many seeds, or the simulation is worth nothing.
const SEEDS_TO_NOTICE: u64 = 400;
/// The breaches that the simulation notices; `power` looks at the other.
const BREACHES: [Breach; 6] = [
    Breach::NoSync,
    Breach::AckedFirst,
    Breach::HeaderNotSynced,
    Breach::NoFolderSyncAfterCreate,
    Breach::NoFolderSyncAfterRename,
    Breach::SyncRetried,
];

/// Simulates `count` seeds from `first` on.
fn simulate_all(first: u64, count: u64, threads: usize) {
    let next = AtomicU64::new(first);
    let results = Mutex::new((Figures::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let result = simulate(seed, None);
                    let mut results = results.lock().unwrap();
                    match result {
                        Ok(figures) => results.0.add(&figures),
                        Err(wrong) => results.1.push(format!("make soak SEED={seed} SEEDS=1: {wrong}")),
                    }
                }
            });
        }
    });
    let (figures, failed) = results.into_inner().unwrap();
    println!("| simulated store | {count} seeds: {figures} | {} failed |", failed.len());
    assert!(failed.is_empty(), "{} of {count} seeds fail\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn whatever_happens_nothing_that_was_promised_is_lost() {
    simulate_all(0, SEEDS, 1);
}

#[test]
fn whatever_else_happens_nothing_that_was_promised_is_lost() {
    simulate_all(SEEDS, SEEDS, 1);
}

#[test]
fn nothing_that_was_promised_is_lost_in_a_third_run() {
    simulate_all(2 * SEEDS, SEEDS, 1);
}

#[test]
fn nothing_that_was_promised_is_lost_in_a_fourth_run() {
    simulate_all(3 * SEEDS, SEEDS, 1);
}

#[test]
#[ignore = "as long as one likes: `make soak`"]
fn soak() {
    let setting = |name, otherwise| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    simulate_all(setting("SEED", 0), setting("SEEDS", 20_000), threads);
}

#[test]
fn a_seed_always_tells_the_same_story() {
    for seed in 0..20 {
        let (once, again) = (simulate(seed, None), simulate(seed, None));
        assert_eq!(format!("{once:?}"), format!("{again:?}"), "seed {seed}");
    }
}

#[test]
fn a_store_that_breaks_the_protocol_is_caught() {
    for breach in BREACHES {
        let caught =
            (0..SEEDS_TO_NOTICE).find_map(|seed| Some((seed + 1, simulate(seed, Some(breach)).err()?)));
        let (seeds, wrong) =
            caught.unwrap_or_else(|| panic!("{breach:?} is not noticed in {SEEDS_TO_NOTICE} seeds"));
        println!("{wrong}");
        println!("| control: {breach:?} | simulated store | - | - | caught after {seeds} seeds |");
    }
}
