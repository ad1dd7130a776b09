//! What a stream does about damage: it remembers each damaged place, in memory and in the index,
//! says so once, and answers who asks what is lost.
//!
//! Finding damage is done elsewhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use kinora_base::FragmentNumber;

use crate::format::open_name;
use crate::segment::is_stored_whole;
use crate::segments::Location;
use crate::sync::lock;
use crate::{DamagedPlace, Error, Stream};

impl Stream {
    /// The damaged places that are known.
    #[must_use]
    pub fn damages(&self) -> Vec<DamagedPlace> {
        lock(&self.damages).places.values().cloned().collect()
    }

    /// How many there are.
    #[must_use]
    pub fn damage_count(&self) -> usize {
        lock(&self.damages).places.len()
    }

    /// Whether the fragment `number` is known to be damaged. Lists leave it out.
    #[must_use]
    pub fn is_damaged(&self, number: FragmentNumber) -> bool {
        lock(&self.damages).fragments.contains(&number)
    }

    /// The fragments that are known to be damaged.
    pub(crate) fn damaged_fragments(&self) -> Arc<BTreeSet<FragmentNumber>> {
        Arc::clone(&lock(&self.damages).fragments)
    }

    /// Whether a damaged place is known in the segment that begins at `segment`.
    pub(crate) fn has_damage_in(&self, segment: u64) -> bool {
        lock(&self.damages).places.range((segment, 0)..=(segment, u64::MAX)).next().is_some()
    }

    /// Takes over places that the index knows.
    pub(crate) fn know(&self, places: Vec<DamagedPlace>) {
        let mut damages = lock(&self.damages);
        let news = places.into_iter().filter(|place| damages.add(place.clone())).count();
        crate::statistics::add(&self.volume.counters.damaged_places, news as u64);
    }

    /// Remembers damaged places, here and in the index, and says so in the log.
    pub(crate) fn quarantine(&self, places: Vec<DamagedPlace>) {
        let news: Vec<_> = {
            let mut damages = lock(&self.damages);
            places.into_iter().filter(|place| damages.add(place.clone())).collect()
        };
        if news.is_empty() {
            return;
        }
        crate::statistics::add(&self.volume.counters.damaged_places, news.len() as u64);
        for place in &news {
            let number = place.fragment.map(|number| format!(", fragment {number}")).unwrap_or_default();
            let path = self.folder.join(&place.file);
            tracing::error!(
                stream = self.name.as_str(),
                "damage found: {} at byte {}{number}: {}",
                path.display(),
                place.offset,
                place.reason
            );
        }
        self.shrug(self.volume.database.add_damages(self.id, &news));
    }

    /// Remembers that the fragment at `location` is lost, unless a second look, for which no key is
    /// needed, says that all its bytes are there.
    pub(crate) fn quarantine_fragment(&self, location: &Location, reason: String) {
        if is_stored_whole(location.file.as_ref(), location.segment, location.offset) {
            return;
        }
        let number = location.fragment.number;
        let row = self.volume.database.segment_of(self.id, number.get());
        let row = row.ok().flatten().filter(|row| row.last >= number.get());
        let open = lock(&self.state).segments.open.as_ref().map_or(0, |open| open.first);
        let (segment, file) = match row {
            Some(row) => (row.first, row.file_name()),
            None => (open, open_name(open)),
        };
        let found = self.volume.clock.wall();
        let (offset, fragment) = (location.offset, Some(number));
        self.quarantine(vec![DamagedPlace { segment, file, offset, fragment, reason, found }]);
    }

    /// Replaces what is known of a segment by what reading all of it has found.
    pub(crate) fn checked(&self, segment: u64, places: Vec<DamagedPlace>) {
        let known: Vec<_> = {
            let damages = lock(&self.damages);
            let known = damages.places.range((segment, 0)..=(segment, u64::MAX));
            known.map(|(_, place)| place.offset).collect()
        };
        let found: Vec<_> = places.iter().map(|place| place.offset).collect();
        if known.iter().any(|offset| !found.contains(offset)) {
            self.forget_damages(segment);
        }
        self.quarantine(places);
    }

    /// Forgets the damaged places of a segment, which is gone or sound.
    pub(crate) fn forget_damages(&self, segment: u64) {
        let gone = lock(&self.damages).forget(segment);
        if gone > 0 {
            crate::statistics::subtract(&self.volume.counters.damaged_places, gone as u64);
            self.shrug(self.volume.database.remove_damages(self.id, segment));
        }
    }

    /// Forgets the damaged places of segments that have expired, missing ones too: what is below the
    /// floor and held by no segment is not missed any more.
    pub(crate) fn forget_expired_damages(&self) {
        let (floor, held) = {
            let state = lock(&self.state);
            let held: BTreeSet<u64> = state.kept.below.keys().copied().collect();
            (state.kept.expired.floor, held)
        };
        let gone: BTreeSet<u64> = {
            let damages = lock(&self.damages);
            // Places of number 0 lie in files that are no segments.
            let below = damages.places.range((1, 0)..(floor.max(1), 0));
            below.map(|((segment, _), _)| *segment).filter(|segment| !held.contains(segment)).collect()
        };
        for segment in gone {
            self.forget_damages(segment);
        }
    }

    /// Forgets all of it, for the figures: the stream is gone.
    pub(crate) fn forget_all_damages(&self) {
        let gone = std::mem::take(&mut *lock(&self.damages)).places.len();
        crate::statistics::subtract(&self.volume.counters.damaged_places, gone as u64);
    }

    /// What the index could not note is found again.
    fn shrug(&self, result: Result<(), Error>) {
        if let Err(error) = result {
            tracing::warn!(stream = self.name.as_str(), "the index keeps no note of damage: {error}");
        }
    }
}
