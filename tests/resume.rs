//! Whoever repeats is understood: connections are cut at random bytes, producers come back and
//! repeat from what they know to be persisted or from further back, servers crash in between; in
//! the end the archive equals one clean upload, sample by sample, and nothing is stored twice.
//!
//! Most cuts go to the real session and store in this process, the others over sockets to a real
//! server that is killed again and again. `KINORA_RESUME_CUTS` and `KINORA_RESUME_SEED` change how
//! many cuts there are and by which chance.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first thing that is wrong")]
#![expect(clippy::panic, clippy::indexing_slicing, reason = "likewise")]

#[path = "resume/archive.rs"]
mod archive;
#[path = "crash/chance.rs"]
mod chance;
#[path = "resume/clip.rs"]
mod clip;
#[path = "resume/here.rs"]
mod here;
#[path = "resume/producer.rs"]
mod producer;
#[path = "resume/there.rs"]
mod there;

use archive::Kept;
use chance::Chance;
use clip::Clip;
use producer::Producer;

/// Connections that are cut, all in all.
const CUTS: usize = 1000;
/// One in so many of them goes over sockets to a real server.
const OVER_SOCKETS: usize = 8;

#[test]
fn archives_of_cut_and_repeated_uploads_equal_clean_ones() {
    let cuts = setting("KINORA_RESUME_CUTS").map_or(CUTS, |cuts| cuts as usize);
    let seed = setting("KINORA_RESUME_SEED").unwrap_or(1);
    println!("KINORA_RESUME_SEED={seed} KINORA_RESUME_CUTS={cuts}");
    let mut chance = Chance::new(seed);
    let clips = Clip::all();
    let clean: Vec<Vec<Kept>> = clips.iter().map(here::clean_upload).collect();
    let mut total = Totals::default();
    while total.cuts_here < cuts - cuts / OVER_SOCKETS {
        let folder = here::Folder::new();
        for (clip, clean) in clips.iter().zip(&clean) {
            let mut producer = Producer::new(clip, chance.branch());
            total.crashes_here += folder.upload(&mut producer, &mut chance);
            total.cuts_here += producer.cuts;
            total.check(clip, &producer, clean, &folder.archive(clip));
        }
    }
    let mut round = 0;
    while total.cuts_there < cuts / OVER_SOCKETS {
        let folder = tempfile::tempdir().unwrap();
        let mut producers: Vec<_> = clips.iter().map(|clip| Producer::new(clip, chance.branch())).collect();
        total.kills += there::upload(folder.path(), &mut producers, &mut chance);
        for ((clip, clean), producer) in clips.iter().zip(&clean).zip(&producers) {
            total.cuts_there += producer.cuts;
            total.check(clip, producer, clean, &archive::of(&folder.path().join("data"), clip));
        }
        round += 1;
        assert!(round < cuts, "hardly anything was cut");
    }
    println!("{total:#?}");
    assert!(total.acknowledged_again > cuts / 3 && total.broken_off > cuts / 5, "too little happened");
}

/// What happened.
#[derive(Debug, Default)]
struct Totals {
    cuts_here: usize,
    crashes_here: usize,
    cuts_there: usize,
    kills: usize,
    uploads: usize,
    fragments: usize,
    samples: usize,
    acknowledged: usize,
    acknowledged_again: usize,
    broken_off: usize,
}

impl Totals {
    /// Holds what one upload left against a clean one.
    fn check(&mut self, clip: &Clip, producer: &Producer<'_>, clean: &[Kept], archive: &[Kept]) {
        let of = format!("{} ({} cuts)", clip.name, producer.cuts);
        let (broken_off, whole): (Vec<&Kept>, Vec<&Kept>) = archive.iter().partition(|kept| kept.partial);
        let times = |kept: &[&Kept]| kept.iter().map(|kept| kept.time).collect::<Vec<_>>();
        let mut sorted = whole.clone();
        sorted.sort_by_key(|kept| kept.time);
        assert_eq!(times(&sorted), clean.iter().map(|kept| kept.time).collect::<Vec<_>>(), "{of}");
        for (kept, clean) in sorted.iter().zip(clean) {
            kept.assert_equals(clean, &of);
            self.samples += kept.samples();
        }
        for (at, kept) in broken_off.iter().enumerate() {
            let own = clean.iter().find(|clean| clean.time == kept.time);
            assert!(own.is_some_and(|own| kept.begins(own)), "{of}: {} is something else", kept.number);
            let twice = broken_off[..at].iter().find(|before| kept.begins(before));
            assert!(
                twice.is_none(),
                "{of}: {} is stored in {:?} already",
                kept.number,
                twice.map(|k| k.number)
            );
            let before = whole.iter().find(|whole| whole.time == kept.time && whole.number < kept.number);
            assert!(before.is_none(), "{of}: {} was stored whole before", kept.number);
        }
        producer.assert_promises(&whole, &of);
        self.uploads += 1;
        self.fragments += whole.len();
        self.broken_off += broken_off.len();
        self.acknowledged += producer.acknowledged();
        self.acknowledged_again += producer.acknowledged_again;
    }
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}
