//! One walk over what a stream covers of a stretch of producer time, in the order of starts.

use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;

use kinora_base::{FragmentNumber, WallTime};

use super::Covered;
use super::joining::{Buckets, Joining};
use crate::index::Beginning;
use crate::kept::View;
use crate::segment::Sealed;
use crate::sync::lock;
use crate::{Error, Fragment, Run, Stop, Stream};

/// A stretch that at most so many segments may reach into is answered fragment by fragment.
const EXACT_SEGMENTS: usize = 8;

/// The absences found, as many as are wanted.
#[derive(Debug)]
pub(super) struct Absences {
    limit: usize,
    /// The last ones are wanted, else the first.
    last: bool,
    /// Only those that reach beyond this are wanted.
    from: WallTime,
    after: Option<WallTime>,
    covered_to: Option<WallTime>,
    found: VecDeque<(WallTime, Option<WallTime>)>,
}

impl Absences {
    /// None yet; the first `limit` are kept, or the last.
    pub(super) fn new(limit: usize, last: bool) -> Self {
        let from = WallTime::EARLIEST;
        Self { limit, last, from, after: None, covered_to: None, found: VecDeque::new() }
    }

    /// Only those that start after `after` are wanted.
    pub(super) fn only_after(&mut self, after: WallTime) {
        self.after = Some(after);
    }

    fn covered(&mut self, run: &Run) {
        self.until(Some(run.start));
        self.covered_to = self.covered_to.max(Some(run.end));
    }

    /// Nothing is covered until `end`.
    fn until(&mut self, end: Option<WallTime>) {
        let Some(start) = self.covered_to else { return };
        let absent = end.is_none_or(|end| end > self.from && end.micros_since(start) > Run::LARGEST_HOLE_US);
        if !absent || self.after.is_some_and(|after| start <= after) || self.is_enough() {
            return;
        }
        if self.found.len() >= self.limit {
            self.found.pop_front();
        }
        self.found.push_back((start, end));
    }

    /// Whether no further one is wanted.
    fn is_enough(&self) -> bool {
        self.limit == 0 || (!self.last && self.found.len() >= self.limit)
    }

    /// In the order of time.
    pub(super) fn finish(self) -> Vec<(WallTime, Option<WallTime>)> {
        self.found.into()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Walk {
    start: WallTime,
    end: WallTime,
    joining: Option<Joining>,
    /// Where what begins before the stretch ends.
    before: Option<WallTime>,
    /// Where what begins behind the stretch begins.
    behind: Option<WallTime>,
    pub(super) runs: Vec<Run>,
    /// How many of them are wanted: more are never asked for, and an archive may hold very many.
    most_runs: usize,
    pub(super) absences: Absences,
    pub(super) buckets: Option<Buckets>,
    pub(super) hidden: u64,
    /// What damaged segments cover.
    pub(super) damaged: Vec<Covered>,
    /// From the earliest start to the latest end of what has expired.
    pub(super) expired: Option<Covered>,
}

impl Walk {
    pub(super) fn new(
        (start, end): (WallTime, WallTime),
        buckets: Option<usize>,
        mut absences: Absences,
        most_runs: usize,
    ) -> Self {
        absences.from = start;
        let buckets = buckets.map(|count| Buckets::new(start, end, count));
        let apart_us = buckets.as_ref().map_or(0, Buckets::length_us);
        Self {
            start,
            end,
            joining: Some(Joining::new(apart_us)),
            before: None,
            behind: None,
            runs: Vec::new(),
            most_runs,
            absences,
            buckets,
            hidden: 0,
            damaged: Vec::new(),
            expired: None,
        }
    }

    /// Walks; gives the stops that the index may lack.
    pub(super) fn run(&mut self, stream: &Stream) -> Result<Vec<Stop>, Error> {
        let lost = stream.damaged_fragments();
        let (below, longest_us, stops, view, partly) = {
            let state = lock(&stream.state);
            stream.exists(&state)?;
            let pending = state.pending.iter().map(|pending| pending.fragment.clone());
            let view = state.kept.view();
            self.expired = state.kept.expired.range;
            let in_memory = pending.chain(state.segments.newest_first());
            in_memory.for_each(|fragment| self.weigh_if_shown(&fragment, &view, &lost));
            let stops: Vec<Stop> = state.ledger.in_memory().cloned().collect();
            let partly: Vec<u64> = state.kept.below.keys().copied().collect();
            (state.segments.first_in_memory(), state.longest_producer_us, stops, view, partly)
        };
        let database = &stream.volume.database;
        // What ends last before the stretch begins no earlier than the longest segment lasts
        // before the last one that begins before it.
        let last_before = database.last_start_before(stream.id, self.start)?.unwrap_or(self.start);
        let from = last_before.offset_micros(-longest_us);
        let span = Beginning { producer: true, from, to: self.end };
        let rows = database.segments_by_time(stream.id, span, below, false, (0, EXACT_SEGMENTS + 1))?;
        if rows.len() <= EXACT_SEGMENTS {
            for row in rows.into_iter().filter(|row| view.shows_some(row)) {
                if row.damaged || stream.has_damage_in(row.first) {
                    self.damaged.push((row.producer.first, row.producer.end));
                }
                let overlaps = row.producer.end > self.start && row.producer.first < self.end;
                let (runs, exact) = (row.runs.clone(), overlaps || partly.contains(&row.first));
                match stream.sealed(row) {
                    Ok(sealed) if exact => self.weigh_shown(&sealed, &view, &lost),
                    // A footer that is damaged is told where it is read; the index knows the runs.
                    _ => runs.into_iter().for_each(|run| self.meet(run)),
                }
            }
        } else {
            // Of segments that lie below the floor, in whole or in part, only footers tell what is shown.
            let whole = partly.last().map_or(0, |last| last + 1);
            for first in partly.iter().copied().filter(|first| *first < below) {
                let row = database.segment_of(stream.id, first)?.filter(|row| row.first == first);
                if let Some(sealed) = row.map(|row| stream.shown(row)).transpose()?.flatten() {
                    self.weigh_shown(&sealed, &view, &lost);
                }
            }
            database.coverage(stream.id, (from, self.end), whole..below, |coverage| {
                let (Some(first), Some(last)) = (coverage.runs.first(), coverage.runs.last()) else {
                    return ControlFlow::Continue(());
                };
                let damaged = stream.has_damage_in(coverage.first);
                if coverage.damaged || damaged {
                    self.damaged.push((first.start, last.end));
                }
                self.settle(first.start);
                match damaged.then(|| stream.sealed_at(coverage.first)).flatten() {
                    Some(sealed) => sealed.fragments().for_each(|f| self.weigh(&f, &lost)),
                    None => coverage.runs.into_iter().for_each(|run| self.meet(run)),
                }
                let enough = self.absences.is_enough() && self.runs.len() >= self.most_runs;
                if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        self.look_behind(stream, below, (&view, &partly))?;
        self.finish();
        Ok(stops)
    }

    /// Finds out where what is shown goes on behind the stretch.
    fn look_behind(
        &mut self,
        stream: &Stream,
        below: u64,
        (view, partly): (&View, &[u64]),
    ) -> Result<(), Error> {
        let span = Beginning { producer: true, from: self.end, to: WallTime::from_micros(i64::MAX) };
        let mut skip = 0;
        loop {
            let page = (skip, EXACT_SEGMENTS);
            let rows = stream.volume.database.segments_by_time(stream.id, span, below, false, page)?;
            let fetched = rows.len();
            skip += fetched;
            for row in rows.into_iter().filter(|row| view.shows_some(row)) {
                let mut next = Some(row.producer.first);
                if partly.contains(&row.first)
                    && let Some(sealed) = stream.shown(row)?
                {
                    let shown = sealed.fragments().filter(|fragment| view.shows(fragment));
                    next = shown.map(|fragment| fragment.producer_time).min();
                }
                if let Some(next) = next {
                    self.behind = Some(self.behind.map_or(next, |behind| behind.min(next)));
                    return Ok(());
                }
            }
            if fetched < EXACT_SEGMENTS {
                return Ok(());
            }
        }
    }

    /// Takes a fragment into account, unless it is among those that are `lost` to damage.
    fn weigh(&mut self, fragment: &Fragment, lost: &BTreeSet<FragmentNumber>) {
        if !lost.contains(&fragment.number) {
            self.meet(run_of(fragment));
        }
    }

    /// Takes a fragment into account: what is not shown has expired.
    fn weigh_if_shown(&mut self, fragment: &Fragment, view: &View, lost: &BTreeSet<FragmentNumber>) {
        if view.shows(fragment) {
            self.weigh(fragment, lost);
            return;
        }
        let (start, end) = (fragment.producer_time, fragment.producer_end());
        let (from, to) = self.expired.unwrap_or((start, end));
        self.expired = Some((from.min(start), to.max(end)));
    }

    /// Takes into account what is shown of a segment.
    fn weigh_shown(&mut self, sealed: &Sealed, view: &View, lost: &BTreeSet<FragmentNumber>) {
        sealed.fragments().for_each(|fragment| self.weigh_if_shown(&fragment, view, lost));
    }

    /// Takes a run into account, in whatever place.
    fn meet(&mut self, run: Run) {
        if run.start < self.start {
            self.before = self.before.max(Some(run.end));
        }
        if run.start >= self.end {
            self.behind = Some(self.behind.map_or(run.start, |behind| behind.min(run.start)));
        } else if run.end > self.start {
            if let Some(buckets) = &mut self.buckets {
                buckets.add(&run);
            }
            if let Some(joining) = &mut self.joining {
                joining.add(run);
            }
        }
    }

    /// No run that is still to be met starts before `time`.
    fn settle(&mut self, time: WallTime) {
        let Some(joining) = &mut self.joining else { return };
        joining.settle(time);
        let runs = joining.take();
        self.keep(runs);
    }

    fn keep(&mut self, runs: Vec<Run>) {
        for run in &runs {
            self.note_beginning();
            self.absences.covered(run);
        }
        let room = self.most_runs.saturating_sub(self.runs.len());
        self.runs.extend(runs.into_iter().take(room));
    }

    /// What is missing before the first run begins where what lies before it ends, or where
    /// something was recorded that has expired.
    fn note_beginning(&mut self) {
        let expired = self.expired.map(|(from, _)| from);
        self.absences.covered_to = self.absences.covered_to.max(self.before).or(expired);
    }

    fn finish(&mut self) {
        let Some(joining) = self.joining.take() else { return };
        let (runs, hidden) = joining.finish();
        self.keep(runs);
        self.hidden = hidden;
        self.note_beginning();
        if self.absences.covered_to < Some(self.end) {
            self.absences.until(self.behind);
        }
    }
}

fn run_of(fragment: &Fragment) -> Run {
    Run {
        start: fragment.producer_time,
        end: fragment.producer_end(),
        fragments: 1,
        bytes: u64::from(fragment.bytes),
    }
}
