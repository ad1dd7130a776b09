//! A stream's limits put into effect: the floor is raised, then whole segments below it are deleted.
//!
//! What is below the floor is gone for readers at once. Before a file is deleted the floor is on
//! disk, so that a file that is missing after a crash is known to have expired; rows go last, because
//! on a full disk they cannot go before there is room. Which time it is, is decided elsewhere.

use std::io;
use std::path::Path;
use std::sync::Arc;

use kinora_base::{ErrorKind, WallTime};

use crate::disk::replace_small;
use crate::format::RetentionFile;
use crate::index::SegmentRow;
use crate::kept::{Below, Kept, View, lower};
use crate::retention::{Ballast, Piece, Rule, Whole};
use crate::sync::lock;
use crate::{Disk, Error, Fragment, Stream};

/// Most segments whose rows are looked at, and deleted, at a time.
const BATCH: usize = 256;

/// A segment, sealed or open, as far as retention is concerned.
struct Held {
    first: u64,
    last: u64,
    count: u64,
    bytes: u64,
    server_last: WallTime,
    /// None for the open one.
    row: Option<SegmentRow>,
}

impl Held {
    fn sealed(row: SegmentRow) -> Self {
        Self {
            first: row.first,
            last: row.last,
            count: u64::from(row.count),
            bytes: row.bytes,
            server_last: row.server.last,
            row: Some(row),
        }
    }

    fn open(first: u64, fragments: &[Fragment]) -> Option<Self> {
        let last = fragments.last()?;
        Some(Self {
            first,
            last: last.number.get(),
            count: fragments.len() as u64,
            bytes: fragments.iter().map(|fragment| u64::from(fragment.bytes)).sum(),
            server_last: fragments.iter().map(|fragment| fragment.server_time).max()?,
            row: None,
        })
    }
}

impl Stream {
    /// Gives up what the rule does not let the stream keep.
    pub(crate) fn retain(self: &Arc<Self>, rule: Option<Rule>) -> Result<(), Error> {
        let _turn = lock(&self.retaining);
        if let Some(rule) = rule {
            self.advance(rule)?;
        }
        self.delete_doomed()
    }

    /// Gives up everything up to and including the number `last`, but for what is pinned.
    pub(crate) fn give_up_to(self: &Arc<Self>, last: u64) -> Result<(), Error> {
        let _turn = lock(&self.retaining);
        if last >= lock(&self.state).kept.expired.floor {
            self.raise(last + 1)?;
        }
        self.delete_doomed()
    }

    /// Changes limits or pins, durably, and measures anew what they hold.
    pub(crate) fn resettle(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Kept) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let _turn = lock(&self.retaining);
        let file = {
            let state = lock(&self.state);
            self.exists(&state)?;
            let mut kept = Kept::of(state.kept.file());
            change(&mut kept)?;
            kept.file()
        };
        self.write_retention(&file)?;
        {
            let mut state = lock(&self.state);
            state.kept.limits = file.limits;
            state.kept.pins = file.pins.into();
            state.kept.suspended = None;
        }
        self.measure()
    }

    /// Measures what lies below the floor.
    pub(crate) fn measure(&self) -> Result<(), Error> {
        let (floor, view) = {
            let state = lock(&self.state);
            (state.kept.expired.floor, state.kept.view())
        };
        if floor == 0 {
            return Ok(());
        }
        let mut measured = Vec::new();
        let mut from = 0;
        loop {
            let (held, more) = self.held(from, floor)?;
            for segment in held {
                from = segment.first + 1;
                measured.push((segment.first, self.measured(&segment, floor, &view)));
            }
            if !more {
                break;
            }
        }
        let lowest = self.lowest_from(floor)?;
        let mut state = lock(&self.state);
        state.kept.below = measured.into_iter().collect();
        state.kept.lowest = lowest;
        Ok(())
    }

    /// Raises the floor as far as the rule demands.
    fn advance(self: &Arc<Self>, rule: Rule) -> Result<(), Error> {
        let (mut floor, mut above) = {
            let state = lock(&self.state);
            let (fragments, bytes) = state.kept.all_below();
            let above = state.sums.bytes.saturating_sub(bytes);
            if state.sums.fragments <= fragments || !rule.wants(above, state.kept.oldest) {
                return Ok(());
            }
            (state.kept.expired.floor, above)
        };
        let before = floor;
        let mut oldest = None;
        'all: loop {
            let (held, more) = self.held(floor, u64::MAX)?;
            for segment in held {
                if segment.last < floor {
                    continue;
                }
                let under = lock(&self.state).kept.below.get(&segment.first).map_or(0, |below| below.all.1);
                let whole =
                    Whole { server_last: segment.server_last, bytes: segment.bytes.saturating_sub(under) };
                if rule.drops_whole(whole, above) {
                    floor = segment.last + 1;
                    above = above.saturating_sub(whole.bytes);
                    continue;
                }
                let pieces: Vec<Piece> = self.fragments_of(&segment)?.iter().map(Piece::from).collect();
                let pieces =
                    pieces.get(pieces.partition_point(|piece| piece.number < floor)..).unwrap_or_default();
                let gone = rule.drops(pieces, above);
                if let Some(last) = gone.checked_sub(1).and_then(|last| pieces.get(last)) {
                    floor = last.number + 1;
                    above = above.saturating_sub(pieces.iter().take(gone).map(|piece| piece.bytes).sum());
                }
                if let Some(first) = pieces.get(gone) {
                    oldest = Some(first.server_time);
                    break 'all;
                }
            }
            if !more {
                break;
            }
        }
        if floor > before {
            self.raise(floor)?;
        }
        lock(&self.state).kept.oldest = oldest;
        Ok(())
    }

    /// Raises the floor: from here on nobody sees what lies below it and is not pinned.
    fn raise(self: &Arc<Self>, floor: u64) -> Result<(), Error> {
        let (before, view) = {
            let state = lock(&self.state);
            (state.kept.expired.floor, state.kept.view())
        };
        let mut measured = Vec::new();
        let mut from = before;
        loop {
            let (held, more) = self.held(from, floor)?;
            for segment in held {
                from = segment.first + 1;
                measured.push((segment.first, self.measured(&segment, floor, &view)));
            }
            if !more {
                break;
            }
        }
        let lowest = self.lowest_from(floor)?;
        let mut state = lock(&self.state);
        state.kept.below.extend(measured);
        state.kept.expired.floor = floor;
        state.kept.lowest = lowest;
        state.kept.oldest = None;
        drop(state);
        self.changed();
        Ok(())
    }

    fn measured(&self, segment: &Held, floor: u64, view: &View) -> Below {
        let pinned = segment.row.as_ref().is_none_or(|row| view.is_pinned(row));
        if segment.last < floor && !pinned {
            return Below::doomed(segment.count, segment.bytes);
        }
        match self.fragments_of(segment) {
            Ok(fragments) => Below::measure(&fragments, floor, view.pins()),
            // What cannot be looked into stays: it is damaged, not expired.
            Err(_) => Below::default(),
        }
    }

    /// Lowest number and earliest producer start of the fragments from `floor` on.
    fn lowest_from(&self, floor: u64) -> Result<Option<(u64, WallTime)>, Error> {
        let mut lowest = None;
        let mut behind = floor;
        if let Some(front) = self.held(floor, u64::MAX)?.0.into_iter().find(|segment| segment.last >= floor) {
            behind = front.first + 1;
            let fragments = self.fragments_of(&front).unwrap_or_default();
            for fragment in fragments.iter().filter(|fragment| fragment.number.get() >= floor) {
                lowest = lower(lowest, fragment.number.get(), fragment.producer_time);
            }
        }
        let (newer, below) = {
            let state = lock(&self.state);
            let newer = state.segments.newest_first().filter(|f| f.number.get() >= behind.max(floor));
            let newer = newer.map(|fragment| (fragment.number.get(), fragment.producer_time));
            let newer = newer.reduce(|(a, b), (number, start)| (a.min(number), b.min(start)));
            (newer, state.segments.first_in_memory())
        };
        let indexed = self.volume.database.lowest(self.id, behind, below)?;
        let found = newer.into_iter().chain(indexed);
        Ok(found.fold(lowest, |lowest, (number, start)| lower(lowest, number, start)))
    }

    /// The segments that begin from the one that holds `from` on and below `below`, in order, at most
    /// [`BATCH`] but for those in memory; and whether there are more.
    fn held(&self, from: u64, below: u64) -> Result<(Vec<Held>, bool), Error> {
        // Memory first: what the index has got meanwhile is then there as well.
        let (in_memory, bound) = {
            let state = lock(&self.state);
            let full = state.segments.full.iter().map(|full| Held::sealed(full.row.clone()));
            let open = state.segments.open.as_ref();
            let open = open.and_then(|open| Held::open(open.first, &open.fragments().collect::<Vec<_>>()));
            let there = full.chain(open).filter(|held| held.last >= from && held.first < below);
            (there.collect::<Vec<_>>(), state.segments.first_in_memory())
        };
        let database = &self.volume.database;
        let first = database.segment_of(self.id, from)?.map_or(from, |row| row.first);
        let rows = database.segments_by_number(self.id, first, below.min(bound), false, BATCH)?;
        let more = rows.len() == BATCH;
        let stale = lock(&self.stale_rows).clone();
        let there = rows.into_iter().filter(|row| !stale.contains(&row.first));
        let mut held: Vec<Held> = there.map(Held::sealed).collect();
        if !more {
            held.extend(in_memory);
        }
        Ok((held, more))
    }

    /// All fragments of a segment.
    fn fragments_of(&self, segment: &Held) -> Result<Vec<Fragment>, Error> {
        {
            let state = lock(&self.state);
            if let Some(full) = state.segments.full.iter().find(|full| full.row.first == segment.first) {
                return Ok(full.fragments().collect());
            }
            if let Some(open) = state.segments.open.as_ref().filter(|open| open.first == segment.first) {
                return Ok(open.fragments().collect());
            }
        }
        match &segment.row {
            Some(row) => Ok(self.sealed(row.clone())?.fragments().collect()),
            // It was sealed a moment ago; the next look finds it so.
            None => Ok(Vec::new()),
        }
    }

    /// Deletes the segments that are doomed: first the floor becomes durable, then the files go, then
    /// the rows.
    fn delete_doomed(self: &Arc<Self>) -> Result<(), Error> {
        let doomed: Vec<u64> = {
            let mut state = lock(&self.state);
            let doomed =
                state.kept.below.iter().filter(|(_, below)| below.is_doomed).map(|(first, _)| *first);
            let doomed: Vec<u64> = doomed.collect();
            let open = state.segments.open.as_ref().map(|open| open.first);
            if open.is_some_and(|open| doomed.contains(&open)) {
                // The committer seals it when nothing is on its way into it.
                state.rotate = true;
                self.enqueue(&mut state);
            }
            let waiting =
                |first| state.segments.full.iter().any(|full| full.row.first == first && !full.is_indexed());
            doomed.into_iter().filter(|first| Some(*first) != open && !waiting(*first)).collect()
        };
        for firsts in doomed.chunks(BATCH) {
            let mut rows = Vec::new();
            for first in firsts {
                let row = self.volume.database.segment_of(self.id, *first)?.filter(|row| row.first == *first);
                let floor = lock(&self.state).kept.expired.floor;
                match row {
                    // More may have come into a segment that was open when it was measured.
                    Some(row) if row.last >= floor => {
                        lock(&self.state).kept.below.remove(first);
                        self.measure()?;
                    }
                    Some(row) => rows.push(row),
                    None => {}
                }
            }
            self.delete(&rows)?;
        }
        self.forget_expired_damages();
        Ok(())
    }

    fn delete(self: &Arc<Self>, rows: &[SegmentRow]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let file = {
            let state = lock(&self.state);
            let next_configuration = state.configurations.next();
            let mut expired = state.kept.expired;
            for row in rows {
                expired.spent = expired.spent.max(row.spent);
                expired.epoch = expired.epoch.max(row.epoch);
                expired.next_ordinal = expired.next_ordinal.max(row.first_ordinal + u64::from(row.count));
                expired.fragments += u64::from(row.count);
                expired.bytes += row.bytes;
                let (start, end) = expired.range.unwrap_or((row.producer.first, row.producer.end));
                expired.range = Some((start.min(row.producer.first), end.max(row.producer.end)));
            }
            expired.next_configuration = expired.next_configuration.max(next_configuration);
            RetentionFile { expired, ..state.kept.file() }
        };
        self.write_retention(&file)?;
        let disk = self.volume.disk.as_ref();
        {
            let gone = lock(&self.folder_gone);
            for row in rows.iter().filter(|_| !*gone) {
                let path = self.folder.join(row.file_name());
                match disk.remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(Error::io("delete", &path, &error));
                    }
                    _ => self.volume.cache.forget_segment((self.id, row.first)),
                }
            }
        }
        {
            let mut state = lock(&self.state);
            state.kept.expired = file.expired;
            for row in rows {
                if state.kept.below.remove(&row.first).is_some() {
                    state.sums.forget(row);
                }
                state.segments.full.retain(|full| full.row.first != row.first);
            }
        }
        crate::statistics::add(&self.volume.counters.expired_segments, rows.len() as u64);
        let firsts: Vec<u64> = rows.iter().map(|row| row.first).collect();
        match self.volume.database.remove_segments(self.id, &firsts) {
            // Their files are gone and nobody sees them; later rows take these along.
            Err(error) if error.kind == ErrorKind::StorageFull => {
                lock(&self.stale_rows).extend(firsts);
                Ok(())
            }
            result => result,
        }
    }

    /// Deletes rows whose segments are gone already.
    pub(crate) fn delete_stale_rows(&self) -> Result<(), Error> {
        let mut stale = lock(&self.stale_rows);
        if !stale.is_empty() {
            self.volume.database.remove_segments(self.id, &stale)?;
            stale.clear();
        }
        Ok(())
    }

    /// Puts the retention file in place, giving the ballast up for it if need be.
    fn write_retention(&self, file: &RetentionFile) -> Result<(), Error> {
        let gone = lock(&self.folder_gone);
        if *gone {
            return Ok(());
        }
        let disk = self.volume.disk.as_ref();
        let put = || write_file(disk, &self.folder, file);
        match put() {
            Err(error) if error.kind == ErrorKind::StorageFull => {
                let released = Ballast::release(disk, &self.volume.folder);
                released.map_err(|error| Error::io("make room in", &self.volume.folder, &error))?;
                put()
            }
            result => result,
        }
    }
}

fn write_file(disk: &dyn Disk, folder: &Path, file: &RetentionFile) -> Result<(), Error> {
    replace_small(disk, folder, RetentionFile::NAME, &file.encode())
        .map_err(|error| Error::io("write", &folder.join(RetentionFile::NAME), &error))
}

impl From<&Fragment> for Piece {
    fn from(fragment: &Fragment) -> Self {
        Self {
            number: fragment.number.get(),
            server_time: fragment.server_time,
            bytes: u64::from(fragment.bytes),
        }
    }
}
