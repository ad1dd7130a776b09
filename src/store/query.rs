//! Listing: which fragments of a stream lie in a range, in which order, page by page.
//!
//! Segments that are in memory are searched whole; of the others the index names those that can
//! matter, in the query's order, and the walk ends as soon as no further one can.

use std::collections::BTreeSet;
use std::sync::Arc;

use kinora_base::{FragmentNumber, WallTime};

use crate::index::{Beginning, SegmentRow, Span};
use crate::kept::View;
use crate::sync::lock;
use crate::{Axis, Error, Fragment, Query, Stream};

/// Index rows that are fetched at a time.
const ROWS: usize = 32;

/// What a list is sorted by. On the arrival axis the time is the same for all.
type Key = (WallTime, u64);

/// The fragments found so far.
struct Found<'a> {
    query: &'a Query,
    /// What is known to be damaged is not found.
    damaged: Arc<BTreeSet<FragmentNumber>>,
    view: View,
    fragments: Vec<Fragment>,
    /// `fragments` is sorted up to here.
    sorted: usize,
}

impl<'a> Found<'a> {
    fn new(query: &'a Query, stream: &Stream) -> Self {
        let view = lock(&stream.state).kept.view();
        Self { query, damaged: stream.damaged_fragments(), view, fragments: Vec::new(), sorted: 0 }
    }

    fn key(&self, time: WallTime, number: u64) -> Key {
        match self.query.axis {
            Axis::Producer | Axis::Server => (time, number),
            Axis::Arrival => (WallTime::EARLIEST, number),
        }
    }

    fn key_of(&self, fragment: &Fragment) -> Key {
        self.key(fragment.start(self.query.axis), fragment.number.get())
    }

    /// Whether `a` is listed before `b`.
    fn before(&self, a: Key, b: Key) -> bool {
        if self.query.descending { a > b } else { a < b }
    }

    fn offer(&mut self, fragment: Fragment) {
        if !self.view.shows(&fragment) {
            return;
        }
        let start = fragment.start(self.query.axis);
        let end = start.offset_micros(i64::try_from(fragment.duration_us).unwrap_or(i64::MAX));
        if self.query.start.is_some_and(|from| end <= from) || self.query.end.is_some_and(|to| start >= to) {
            return;
        }
        if self.damaged.contains(&fragment.number) {
            return;
        }
        if let Some(cursor) = self.query.after {
            let cursor = self.key(cursor.time, cursor.number.get());
            if !self.before(cursor, self.key_of(&fragment)) {
                return;
            }
        }
        self.fragments.push(fragment);
        if self.fragments.len() > self.query.limit.saturating_mul(2).saturating_add(1024) {
            self.settle();
        }
    }

    /// Sorts, and lets go of what is beyond the limit.
    fn settle(&mut self) {
        if self.sorted < self.fragments.len() {
            let mut fragments = std::mem::take(&mut self.fragments);
            fragments.sort_unstable_by_key(|fragment| self.key_of(fragment));
            if self.query.descending {
                fragments.reverse();
            }
            fragments.truncate(self.query.limit);
            self.fragments = fragments;
            self.sorted = self.fragments.len();
        }
    }

    /// Whether nothing that is listed at `key` or later can still get in.
    fn is_complete_before(&mut self, key: Key) -> bool {
        self.settle();
        let last = self.query.limit.checked_sub(1).and_then(|last| self.fragments.get(last));
        last.is_some_and(|last| self.before(self.key_of(last), key))
    }
}

impl Stream {
    /// Lists fragments. May read footers from disk: blocks. What is damaged counts as absent (see
    /// [`Self::damages`]).
    ///
    /// # Errors
    /// `Unavailable` for input and output errors.
    pub fn fragments(&self, query: &Query) -> Result<Vec<Fragment>, Error> {
        list(self, query)
    }

    /// Adds the fragments in segments below the number `below`, newest first, until there are
    /// `count`.
    pub(crate) fn older(
        &self,
        mut below: u64,
        count: usize,
        fragments: &mut Vec<Fragment>,
    ) -> Result<(), Error> {
        while fragments.len() < count {
            let rows = self.volume.database.segments_by_number(self.id, 0, below, true, 1)?;
            let Some(row) = rows.into_iter().next() else { break };
            below = row.first;
            let Some(sealed) = self.shown(row)? else { continue };
            let view = lock(&self.state).kept.view();
            let missing = count - fragments.len();
            let shown = sealed.fragments().rev().filter(|fragment| view.shows(fragment));
            fragments.extend(shown.take(missing));
        }
        Ok(())
    }
}

fn list(stream: &Stream, query: &Query) -> Result<Vec<Fragment>, Error> {
    let mut found = Found::new(query, stream);
    if query.limit == 0 {
        return Ok(Vec::new());
    }
    let (below, longest) = {
        let state = lock(&stream.state);
        stream.exists(&state)?;
        let pending = state.pending.iter().map(|pending| pending.fragment.clone());
        pending.chain(state.segments.newest_first()).for_each(|fragment| found.offer(fragment));
        let longest = match query.axis {
            Axis::Producer => state.longest_producer_us,
            Axis::Server | Axis::Arrival => state.longest_server_us,
        };
        (state.segments.first_in_memory(), longest)
    };
    match query.axis {
        Axis::Arrival => by_number(stream, below, &mut found)?,
        Axis::Producer | Axis::Server => by_time(stream, below, longest, &mut found)?,
    }
    found.settle();
    Ok(found.fragments)
}

/// Whether any fragment of a segment with this span can lie in the query's range.
fn overlaps(span: &Span, start: Option<WallTime>, end: Option<WallTime>) -> bool {
    start.is_none_or(|start| span.end > start) && end.is_none_or(|end| span.first < end)
}

fn by_time(stream: &Stream, below: u64, longest_us: i64, found: &mut Found<'_>) -> Result<(), Error> {
    let query = found.query;
    let producer = query.axis == Axis::Producer;
    // A segment reaches into the range if it begins in it, or before it by no more than the
    // longest segment lasts.
    let mut from =
        query.start.map_or(WallTime::from_micros(i64::MIN), |start| start.offset_micros(-longest_us));
    let mut to = query.end.unwrap_or(WallTime::from_micros(i64::MAX));
    if let Some(cursor) = query.after {
        if query.descending {
            to = to.min(cursor.time);
        } else {
            from = from.max(cursor.time.offset_micros(-longest_us));
        }
    }
    let span = Beginning { producer, from, to };
    let mut skip = 0;
    loop {
        let database = &stream.volume.database;
        let rows = database.segments_by_time(stream.id, span, below, query.descending, (skip, ROWS))?;
        let fetched = rows.len();
        skip += fetched;
        for row in rows {
            let covered = if producer { row.producer } else { row.server };
            // No row to come begins before this one (after it, when descending) ...
            let bound = if query.descending {
                // ... so none of its fragments can begin later than this.
                (covered.first.offset_micros(longest_us), u64::MAX)
            } else {
                (covered.first, 0)
            };
            if found.is_complete_before(bound) {
                return Ok(());
            }
            if overlaps(&covered, query.start, query.end) {
                offer_all(stream, row, found)?;
            }
        }
        if fetched < ROWS {
            return Ok(());
        }
    }
}

/// Offers what is shown of a segment.
fn offer_all(stream: &Stream, row: SegmentRow, found: &mut Found<'_>) -> Result<(), Error> {
    if let Some(sealed) = stream.shown(row)? {
        sealed.fragments().for_each(|fragment| found.offer(fragment));
    }
    Ok(())
}

fn by_number(stream: &Stream, below: u64, found: &mut Found<'_>) -> Result<(), Error> {
    let query = found.query;
    let database = &stream.volume.database;
    let (mut from, mut to) = (0, below);
    if let Some(cursor) = query.after {
        let number = cursor.number.get();
        if query.descending {
            to = to.min(number);
        } else {
            // The segment that holds the cursor's fragment can hold the next one, too.
            from = database.segment_of(stream.id, number)?.map_or(0, |row| row.first);
        }
    }
    loop {
        let rows = database.segments_by_number(stream.id, from, to, query.descending, ROWS)?;
        let fetched = rows.len();
        for row in rows {
            let bound = if query.descending { row.last } else { row.first };
            if found.is_complete_before((WallTime::EARLIEST, bound)) {
                return Ok(());
            }
            if query.descending {
                to = row.first;
            } else {
                from = row.first + 1;
            }
            if overlaps(&row.server, query.start, query.end) {
                offer_all(stream, row, found)?;
            }
        }
        if fetched < ROWS {
            return Ok(());
        }
    }
}
