//! The segments of a stream that are in memory: the open one, and full ones until the index has
//! them (the newest of which stays, so that the tail never needs the disk).
//!
//! Which fragments wait for the disk is unknown here.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::Fragment;
use crate::disk::DiskFile;
use crate::format::{ConfigurationEntry, Entry, SegmentId};
use crate::segment::{Appender, Sealed, find_entry, fragments_of};

/// The open segment as readers see it: what of it is durable.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) id: SegmentId,
    pub(crate) first: u64,
    pub(crate) first_ordinal: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) configurations: Vec<ConfigurationEntry>,
    /// Where its durable records end.
    pub(crate) durable_to: u64,
}

impl Open {
    /// The segment that `appender` writes, which holds `entries`.
    pub(crate) fn new(appender: &Appender, entries: Vec<Entry>) -> Self {
        Self {
            id: appender.header.id,
            first: appender.header.first,
            first_ordinal: appender.header.first_ordinal,
            file: Arc::clone(&appender.file),
            entries,
            configurations: appender.configurations.clone(),
            durable_to: appender.end,
        }
    }

    /// Its fragments, in arrival order.
    pub(crate) fn fragments(&self) -> impl DoubleEndedIterator<Item = Fragment> + '_ {
        fragments_of(&self.entries, self.first, self.first_ordinal)
    }
}

/// Where a durable fragment lies.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    pub(crate) fragment: Fragment,
    pub(crate) segment: SegmentId,
    pub(crate) offset: u64,
    pub(crate) file: Arc<dyn DiskFile>,
}

impl Location {
    /// Where `entry` of a segment that begins at `first` lies.
    pub(crate) fn in_sealed(sealed: &Sealed, number: u64) -> Option<Self> {
        let (entry, ordinal) = sealed.find(number)?;
        Some(Self {
            fragment: entry.fragment(sealed.row.first, ordinal),
            segment: sealed.id,
            offset: u64::from(entry.offset),
            file: Arc::clone(&sealed.file),
        })
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    pub(crate) open: Option<Open>,
    /// Full segments, oldest first.
    pub(crate) full: VecDeque<Arc<Sealed>>,
}

impl Segments {
    /// Everything in the index below this number is not in memory.
    pub(crate) fn first_in_memory(&self) -> u64 {
        let full = self.full.front().map(|full| full.row.first);
        full.or_else(|| self.open.as_ref().map(|open| open.first)).unwrap_or(u64::MAX)
    }

    /// First number of the newest sealed segment, 0 if there is none; the highest number there is if
    /// the index lacks one.
    pub(crate) fn newest_indexed(&self) -> u64 {
        if self.full.iter().all(|full| full.is_indexed()) {
            self.full.back().map_or(0, |full| full.row.first)
        } else {
            u64::MAX
        }
    }

    /// Adds a full segment in place of the open one.
    pub(crate) fn rotate(&mut self, sealed: Arc<Sealed>) {
        self.open = None;
        self.full.push_back(sealed);
        self.trim();
    }

    /// Lets go of the full segments that the index has, but for the newest.
    pub(crate) fn trim(&mut self) {
        while self.full.len() > 1 && self.full.front().is_some_and(|full| full.is_indexed()) {
            self.full.pop_front();
        }
    }

    /// Where the fragment `number` lies, if its segment is in memory.
    pub(crate) fn find(&self, number: u64) -> Option<Location> {
        if let Some(open) = self.open.as_ref().filter(|open| number >= open.first) {
            let (index, entry) = find_entry(&open.entries, open.first, number)?;
            return Some(Location {
                fragment: entry.fragment(open.first, open.first_ordinal + index),
                segment: open.id,
                offset: u64::from(entry.offset),
                file: Arc::clone(&open.file),
            });
        }
        let full = self.full.iter().rev().find(|full| number >= full.row.first)?;
        Location::in_sealed(full, number)
    }

    /// A segment that holds the codec configuration `id`, and the offset of its record there, if one
    /// in memory does: those that the index does not have yet are among them.
    pub(crate) fn configuration(&self, id: u32) -> Option<(Arc<dyn DiskFile>, SegmentId, u64)> {
        let offset = |entries: &[ConfigurationEntry]| {
            entries.iter().find(|entry| entry.id == id).map(|entry| u64::from(entry.offset))
        };
        let in_open = self
            .open
            .as_ref()
            .and_then(|open| Some((Arc::clone(&open.file), open.id, offset(&open.configurations)?)));
        in_open.or_else(|| {
            self.full.iter().rev().find_map(|full| {
                Some((Arc::clone(&full.file), full.id, offset(&full.footer.configurations)?))
            })
        })
    }

    /// The fragments in memory, newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = Fragment> + '_ {
        let open = self.open.iter().flat_map(|open| open.fragments().rev());
        open.chain(self.full.iter().rev().flat_map(|full| full.fragments().rev()))
    }
}
