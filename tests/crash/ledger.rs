//! Everything the server ever promised, and whether it keeps it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use kinora_base::WallTime;
use kinora_test_support::get;
use serde_json::Value;

use super::chance::Chance;
use super::source::{Samples, Source};

/// Producer time at which every stream begins, in milliseconds since 1970.
pub(crate) const START_MS: i64 = 1_767_225_600_000;
/// A clip that is sent again is sent as if captured so much later.
pub(crate) const LAP_MS: i64 = 3_600_000;
/// What an ack says that the list of fragments says too.
const SHARED: [&str; 4] = ["producer_time", "server_time", "duration_ms", "bytes"];

/// An ack, and what was sent for it.
#[derive(Debug)]
struct Promise {
    ack: Value,
    piece: usize,
    /// Hash of the file served for it, once it was fetched; it never changes.
    file: Option<u64>,
}

/// The promises about one stream.
#[derive(Debug)]
struct Promises {
    source: Arc<Source>,
    by_number: BTreeMap<u64, Promise>,
    /// Producer time of every number that was ever named, acknowledged or not.
    named: HashMap<u64, String>,
    /// Number of each piece by producer time.
    by_time: HashMap<i64, u64>,
    /// Not yet fetched.
    new: Vec<u64>,
}

/// What was promised, and what was checked of it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    streams: BTreeMap<String, Promises>,
    pub(crate) acks: usize,
    pub(crate) repeated: usize,
    pub(crate) fetched: usize,
    pub(crate) compared_bytes: usize,
}

/// How thoroughly to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What is said of every fragment, and the media of those that are new since the last check
    /// and of some older ones.
    New,
    /// Everything, down to fragments that nobody was promised.
    All,
}

impl Ledger {
    /// Takes down an ack of any kind about `stream`; panics if it contradicts an earlier one.
    pub(crate) fn heard(&mut self, stream: &str, source: &Arc<Source>, ack: &Value) {
        let promises = self.streams.entry(stream.to_owned()).or_insert_with(|| Promises {
            source: Arc::clone(source),
            by_number: BTreeMap::new(),
            named: HashMap::new(),
            by_time: HashMap::new(),
            new: Vec::new(),
        });
        if let (Some(number), Some(time)) = (ack["fragment"].as_u64(), ack["producer_time"].as_str()) {
            let before = promises.named.entry(number).or_insert_with(|| time.to_owned());
            assert_eq!(before, time, "{stream}: number {number} was given to another fragment: {ack}");
        }
        if ack["event"] == "persisted" {
            self.acknowledged(stream, ack);
        }
    }

    fn acknowledged(&mut self, stream: &str, ack: &Value) {
        let Some(promises) = self.streams.get_mut(stream) else { return };
        self.acks += 1;
        let number = ack["fragment"].as_u64().unwrap_or_else(|| panic!("{stream}: {ack}"));
        let (time_ms, piece) = promises.sent(ack).unwrap_or_else(|| panic!("{stream}: never sent: {ack}"));
        if let Some(known) = promises.by_number.get(&number) {
            self.repeated += 1;
            for field in SHARED {
                assert_eq!(
                    known.ack[field], ack[field],
                    "{stream}: {number} was acknowledged as {}",
                    known.ack
                );
            }
            return;
        }
        let same = promises.by_time.insert(time_ms, number);
        let same = same.map(|number| &promises.by_number[&number].ack);
        assert_eq!(same, None, "{stream}: stored again under another number: {ack}");
        promises.by_number.insert(number, Promise { ack: ack.clone(), piece, file: None });
        promises.new.push(number);
    }

    /// The newest piece that was acknowledged: lap and place.
    pub(crate) fn newest(&self, stream: &str) -> Option<(i64, usize)> {
        let promises = self.streams.get(stream)?;
        let newest = promises.by_time.iter().max()?;
        Some(((newest.0 - START_MS) / LAP_MS, promises.by_number[newest.1].piece))
    }

    /// Compares every promise with what the server serves.
    pub(crate) fn check(&mut self, server: SocketAddr, extent: Extent, chance: &mut Chance) {
        for (stream, promises) in &mut self.streams {
            if extent == Extent::New && promises.new.is_empty() && !chance.once_in(8) {
                continue;
            }
            let listed = list(server, stream);
            let by_number: HashMap<u64, &Value> =
                listed.iter().map(|f| (f["number"].as_u64().expect("a number"), f)).collect();
            assert_eq!(by_number.len(), listed.len(), "{stream}: a number is listed twice");
            for (number, promise) in &promises.by_number {
                let fragment =
                    by_number.get(number).unwrap_or_else(|| panic!("{stream}: lost {}", promise.ack));
                for field in SHARED {
                    assert_eq!(
                        fragment[field], promise.ack[field],
                        "{stream}: {fragment} for {}",
                        promise.ack
                    );
                }
                assert_eq!(fragment["state"], "persisted", "{stream}: {fragment}");
            }
            let new = std::mem::take(&mut promises.new);
            let chosen: Vec<u64> = match extent {
                Extent::All => by_number.keys().copied().collect(),
                Extent::New => {
                    let known: Vec<u64> = promises.by_number.keys().copied().collect();
                    let some = (0..3.min(known.len())).map(|_| known[chance.below(known.len())]);
                    some.chain(new).collect()
                }
            };
            for number in chosen {
                self.compared_bytes += promises.compare(server, stream, by_number[&number]);
                self.fetched += 1;
            }
        }
    }

    /// How many different fragments were promised.
    pub(crate) fn promised(&self) -> usize {
        self.streams.values().map(|promises| promises.by_number.len()).sum()
    }

    /// The names of the streams that something was promised about.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &String> {
        self.streams.keys()
    }
}

impl Promises {
    /// Producer time in milliseconds and piece of a fragment.
    fn sent(&self, fragment: &Value) -> Option<(i64, usize)> {
        let time: WallTime = fragment["producer_time"].as_str()?.parse().ok()?;
        let offset_ms = time.as_millis() - START_MS;
        Some((time.as_millis(), self.source.piece_at(offset_ms.rem_euclid(LAP_MS))?))
    }

    /// Fetches a fragment and compares it with what was sent; how many bytes of media it has.
    fn compare(&mut self, server: SocketAddr, stream: &str, fragment: &Value) -> usize {
        let number = fragment["number"].as_u64().expect("a number");
        let partial = fragment["partial"] == true;
        let piece = self.sent(fragment).map(|(_, piece)| piece);
        // A connection may break off when only the sound of a piece has come.
        assert!(piece.is_some() || partial, "{stream}: never sent: {fragment}");
        let file = fetch(server, &format!("/v1/streams/{stream}/fragments/{number}.mkv"));
        let mut hasher = DefaultHasher::new();
        file.hash(&mut hasher);
        if let Some(promise) = self.by_number.get_mut(&number) {
            assert_eq!(Some(promise.piece), piece, "{stream}: {fragment}");
            let before = promise.file.replace(hasher.finish());
            assert!(before.is_none_or(|before| before == hasher.finish()), "{stream}: {number} was changed");
        }
        self.source.compare(piece, &Samples::of(file), partial)
    }
}

/// Everything that the server lists of a stream.
pub(crate) fn list(server: SocketAddr, stream: &str) -> Vec<Value> {
    let mut fragments = Vec::new();
    let mut token = String::new();
    loop {
        let page = fetch(server, &format!("/v1/streams/{stream}/fragments?limit=1000&by=server{token}"));
        let page: Value = serde_json::from_slice(&page).unwrap_or_else(|e| panic!("{stream}: {e}"));
        fragments.extend(page["fragments"].as_array().expect("fragments").iter().cloned());
        match page["next_token"].as_str() {
            Some(next) => token = format!("&token={next}"),
            None => return fragments,
        }
    }
}

fn fetch(server: SocketAddr, target: &str) -> Bytes {
    let answer = get(server, target);
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer.body.into()
}
