//! The damaged places of a stream that are known, however they were found: what lies there counts
//! as absent.
//!
//! Only values here: finding them and keeping them over a restart is done elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kinora_base::{FragmentNumber, WallTime};

/// A place in a stream's files where stored bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedPlace {
    /// The first number that the segment may hold; 0 if the file is no segment.
    pub(crate) segment: u64,
    /// The file's name in the stream's folder.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// The fragment that is lost by it, where that can be told.
    pub fragment: Option<FragmentNumber>,
    /// What is wrong.
    pub reason: String,
    /// When it was first found.
    pub found: WallTime,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Damages {
    pub(crate) places: BTreeMap<(u64, u64), DamagedPlace>,
    pub(crate) fragments: Arc<BTreeSet<FragmentNumber>>,
}

impl Damages {
    /// Most places of one stream that are remembered: more is a disk to replace, not to list.
    const MOST: usize = 10_000;

    /// Remembers a place; whether that is news.
    pub(crate) fn add(&mut self, place: DamagedPlace) -> bool {
        let key = (place.segment, place.offset);
        if self.places.len() >= Self::MOST || self.places.contains_key(&key) {
            return false;
        }
        if let Some(number) = place.fragment {
            Arc::make_mut(&mut self.fragments).insert(number);
        }
        self.places.insert(key, place);
        true
    }

    /// Forgets what is known of the segment that begins at `segment`; how many places.
    pub(crate) fn forget(&mut self, segment: u64) -> usize {
        let before = self.places.len();
        self.places.retain(|(of, _), _| *of != segment);
        if self.places.len() < before {
            let left = self.places.values().filter_map(|place| place.fragment);
            self.fragments = Arc::new(left.collect());
        }
        before - self.places.len()
    }
}
