//! When a stream has media and when it has not: covered runs, the absences between them with their
//! causes, and how many bytes lie where.
//!
//! Long stretches are answered from the index alone; only what a few segments cover is looked up
//! fragment by fragment.

mod joining;
mod walk;

use kinora_base::{ErrorKind, WallTime};

use self::walk::{Absences, Walk};
use crate::ledger::nearest;
use crate::sync::lock;
use crate::{Cause, Error, Gap, Run, Stop, Stream};

/// From where to where in producer time something was recorded.
type Covered = (WallTime, WallTime);

/// What a stream covers of a stretch of producer time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The continuous runs that reach into the stretch, in order.
    pub runs: Vec<Run>,
    /// The absences that reach into it, in order.
    pub gaps: Vec<Gap>,
    /// Payload bytes in each bucket, if buckets were asked for.
    pub bytes: Vec<u64>,
    /// How long one bucket is, in microseconds; 0 without buckets.
    pub bucket_us: i64,
    /// Absences that are no longer than one bucket, and left out.
    pub hidden_gaps: u64,
}

/// Which absences to list.
#[derive(Debug, Clone, Copy)]
pub struct GapQuery {
    /// Only absences that end after this producer time.
    pub start: Option<WallTime>,
    /// Only absences that start before this producer time.
    pub end: Option<WallTime>,
    /// Newest first.
    pub descending: bool,
    /// Continue after the absence that starts here.
    pub after: Option<WallTime>,
    /// At most so many.
    pub limit: usize,
}

/// Why no media arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// Server time since when.
    pub since: WallTime,
    /// Why.
    pub cause: Cause,
    /// More in words; may be empty.
    pub detail: String,
}

impl Stream {
    /// A writer from which nothing has come for this long, in microseconds, delivers nothing: twice
    /// the longest fragment interval that players tolerate well.
    pub const SILENT_AFTER_US: i64 = 10_000_000;

    /// Most runs in a timeline without buckets.
    pub const MOST_RUNS: usize = 10_000;

    /// Why no media arrives at `now`; none while it does, and for a stream that never had any.
    #[must_use]
    pub fn absence(&self, now: WallTime) -> Option<Absence> {
        let state = lock(&self.state);
        let since = state.last_received?;
        if state.writer.is_some() {
            let silent = now.micros_since(since) >= Self::SILENT_AFTER_US;
            let detail = "a producer is connected and delivers nothing".to_owned();
            return silent.then_some(Absence { since, cause: Cause::Stall, detail });
        }
        let newest = state.newest.last()?.number.get();
        let stop = state.ledger.last().filter(|stop| stop.number >= newest);
        Some(stop.map_or_else(
            || Absence { since, cause: Cause::Unknown, detail: String::new() },
            |stop| Absence { since: stop.noticed, cause: stop.cause, detail: stop.detail.clone() },
        ))
    }

    /// What the stream covers from `start` to `end`. With `buckets`, absences that are not longer
    /// than one are left out, and the bytes in each are summed up; where the stretch covers many
    /// segments, as if they were spread evenly over each of their runs. May read footers from disk: blocks.
    ///
    /// # Errors
    /// `LimitExceeded` for more than [`Self::MOST_RUNS`] runs, `Unavailable` for input and output
    /// errors.
    pub fn timeline(
        &self,
        (start, end): (WallTime, WallTime),
        buckets: Option<usize>,
        now: WallTime,
    ) -> Result<Timeline, Error> {
        let absences = Absences::new(Self::MOST_RUNS, false);
        let mut walk = Walk::new((start, end), buckets, absences, Self::MOST_RUNS + 1);
        let stops = walk.run(self)?;
        if walk.runs.len() > Self::MOST_RUNS {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("there are more than {} runs between {start} and {end}", Self::MOST_RUNS),
            ));
        }
        let found = walk.absences.finish();
        let gaps = self.explain(&found, &stops, (&walk.damaged, walk.expired), now)?;
        let (bucket_us, bytes) = walk.buckets.map_or((0, Vec::new()), joining::Buckets::finish);
        Ok(Timeline { runs: walk.runs, gaps, bytes, bucket_us, hidden_gaps: walk.hidden })
    }

    /// Lists absences. May read footers from disk: blocks.
    ///
    /// # Errors
    /// As [`Self::timeline`].
    pub fn gaps(&self, query: &GapQuery, now: WallTime) -> Result<Vec<Gap>, Error> {
        let mut start = query.start.unwrap_or(WallTime::EARLIEST);
        let mut end = query.end.unwrap_or(WallTime::LATEST);
        let mut absences = Absences::new(query.limit, query.descending);
        if let Some(after) = query.after {
            if query.descending {
                end = end.min(after);
            } else {
                start = start.max(after);
                absences.only_after(after);
            }
        }
        let mut walk = Walk::new((start, end), None, absences, 0);
        let stops = walk.run(self)?;
        let gone = (walk.damaged.as_slice(), walk.expired);
        let mut gaps = self.explain(&walk.absences.finish(), &stops, gone, now)?;
        if query.descending {
            gaps.reverse();
        }
        Ok(gaps)
    }

    /// The absences that have a cause, with it. One without an end is none while media arrives.
    fn explain(
        &self,
        absences: &[(WallTime, Option<WallTime>)],
        in_memory: &[Stop],
        (damaged, expired): (&[Covered], Option<Covered>),
        now: WallTime,
    ) -> Result<Vec<Gap>, Error> {
        let connected = lock(&self.state).writer.is_some();
        let indexed = self.volume.database.explanations(self.id, absences)?;
        let mut gaps = Vec::with_capacity(absences.len());
        for ((start, end), stops) in absences.iter().copied().zip(&indexed) {
            let mut stop = nearest(stops.iter().chain(in_memory), start, end).cloned();
            if end.is_none() {
                let Some(absence) = self.absence(now) else { continue };
                // While somebody is connected, what ended an earlier session explains nothing.
                if connected || stop.is_none() {
                    let times = (start, absence.since);
                    stop = Some(Stop::new(times, absence.cause, &absence.detail, 0));
                }
            }
            let touches =
                |(from, to): &(WallTime, WallTime)| start <= *to && end.is_none_or(|end| end >= *from);
            let explained = stop.as_ref().is_some_and(|stop| stop.ended <= Gap::explained_to(start));
            if !explained && end.is_some() && expired.is_some_and(|(_, to)| start < to) {
                let detail = "deleted, as the limits of the stream demand".to_owned();
                gaps.push(Gap { start, end, cause: Cause::Expired, detail, noticed: None });
            } else if !explained && damaged.iter().any(touches) {
                let detail = "records of this time are damaged; kinora verify tells which".to_owned();
                gaps.push(Gap { start, end, cause: Cause::Damaged, detail, noticed: None });
            } else {
                gaps.push(Gap::new(start, end, stop));
            }
        }
        Ok(gaps)
    }
}
