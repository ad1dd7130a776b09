//! Which fragments a playlist shows, in which order, and where their timeline breaks.

use std::sync::Arc;

use kinora_base::{ErrorKind, WallTime};
use kinora_store::{Axis, Cursor, Error, Flags, Fragment, Query, Run, Stream};

/// What part of a stream is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The newest media.
    Live,
    /// From this producer time on, growing while the stream does.
    From(WallTime),
    /// Between these producer times.
    Range(WallTime, WallTime),
}

/// A fragment in its playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The fragment.
    pub fragment: Fragment,
    /// Its timeline or configuration does not continue that of the entry before it.
    pub discontinuity: bool,
}

/// The fragments of a playlist, in playing order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// What was asked for.
    pub span: Span,
    /// The fragments; never empty.
    pub entries: Vec<Entry>,
    /// Where the next playlist goes on, if this one ends since it is full.
    pub rest: Option<WallTime>,
    /// No segment lasts longer, in microseconds; see [`Self::target_duration_s`].
    pub longest_us: u64,
}

/// A live playlist shows at least this much media, in microseconds, if the stream has it: players
/// start three target durations from its end.
const LIVE_WINDOW_US: u64 = 30_000_000;
/// A live playlist shows at least so many fragments, if the stream has them.
const LIVE_FRAGMENTS_MIN: usize = 6;
/// A live playlist shows at most so many fragments.
const LIVE_FRAGMENTS_MAX: usize = 120;
/// A playlist of a range or from a time on shows at most so many fragments, a day of two-second ones,
/// and ends there. Each costs about 120 bytes of text, and players hold all of it.
const MAX_ENTRIES: usize = 50_000;
/// Fragments asked of the index at once.
const PAGE: usize = 1000;

impl Window {
    /// The fragments of `span`. Blocks while the index reads.
    ///
    /// # Errors
    /// `NotFound` if there is no media in the span, `InvalidInput` for a range that ends before
    /// it begins, and whatever the store reports.
    pub fn of(stream: &Arc<Stream>, span: Span) -> Result<Self, Error> {
        let (mut fragments, more) = match span {
            Span::Live => (live(stream.tail(LIVE_FRAGMENTS_MAX)?.fragments), None),
            Span::From(start) => (from(stream, start)?, None),
            Span::Range(start, end) if start < end => {
                let (fragments, more) = range(stream, start, end)?;
                (without_overlaps(fragments), more)
            }
            Span::Range(start, end) => {
                let message = format!("the range ends at {end}, which is not after its start at {start}");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        };
        if fragments.is_empty() {
            let message = match span {
                Span::Live => format!("stream {} has no media yet", stream.name()),
                Span::From(start) => format!("stream {} has no media after {start}", stream.name()),
                Span::Range(start, end) => {
                    format!("stream {} has no media between {start} and {end}", stream.name())
                }
            };
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        let rest = fragments.get(MAX_ENTRIES).map(|next| next.producer_time).or(more);
        fragments.truncate(MAX_ENTRIES);
        let longest_us = fragments.iter().map(|fragment| fragment.duration_us).max().unwrap_or(0);
        let ever_us = if matches!(span, Span::Range(..)) { 0 } else { stream.summary().longest_us };
        let entries = if span == Span::Live { counted(fragments) } else { entries(fragments) };
        Ok(Self { span, entries, rest, longest_us: longest_us.max(ever_us) })
    }

    /// The least target duration that suits all fragments: no duration, rounded to the nearest
    /// second, is above it (RFC 8216 §4.3.3.1). In a playlist that goes on it suits every fragment the
    /// stream ever had, since it must not change (§6.2.1); it does only where a stream brings a longer
    /// one, which nobody can know beforehand, and a segment above it would be worse.
    #[must_use]
    pub fn target_duration_s(&self) -> u64 {
        (self.longest_us.saturating_add(500_000) / 1_000_000).max(1)
    }

    /// Peak and mean payload bits per second.
    #[must_use]
    pub fn bandwidth(&self) -> (u64, u64) {
        let rate = |bytes: u64, us: u64| (bytes * 8).saturating_mul(1_000_000) / us.max(1);
        // A fragment of a few frames says nothing about the rate.
        let timed = || self.entries.iter().map(|e| &e.fragment).filter(|f| f.duration_us >= 100_000);
        let peak = timed().map(|f| rate(u64::from(f.bytes), f.duration_us)).max().unwrap_or(0);
        let bytes: u64 = timed().map(|f| u64::from(f.bytes)).sum();
        let us: u64 = timed().map(|f| f.duration_us).sum();
        (peak.max(1), rate(bytes, us).max(1))
    }
}

fn live(newest: Vec<Fragment>) -> Vec<Fragment> {
    let mut shown_us = 0_u64;
    let mut first = newest.len();
    for (index, fragment) in newest.iter().enumerate().rev() {
        if shown_us >= LIVE_WINDOW_US && newest.len() - first >= LIVE_FRAGMENTS_MIN {
            break;
        }
        // Sequence numbers must not jump: where fragments were lost to damage, it begins anew.
        let after = newest.get(index + 1).filter(|_| index + 1 == first);
        if after.is_some_and(|after| fragment.ordinal + 1 != after.ordinal) {
            break;
        }
        shown_us = shown_us.saturating_add(fragment.duration_us);
        first = index;
    }
    newest.into_iter().skip(first).collect()
}

/// All that ends after `start`, in arrival order, so that a playlist only ever grows at its end
/// (RFC 8216 §6.2.1): what is uploaded late appears where it arrived, behind a discontinuity.
fn from(stream: &Stream, start: WallTime) -> Result<Vec<Fragment>, Error> {
    // What arrives while pages are read may lie before the page at hand and would be missed,
    // though what arrived after it is not: only what was there before counts.
    let Some(newest) = stream.tail(1)?.fragments.pop() else { return Ok(Vec::new()) };
    let query = Query {
        axis: Axis::Producer,
        start: Some(start),
        end: None,
        descending: false,
        after: None,
        limit: PAGE,
    };
    let (mut fragments, _) = up_to_full(query, |query| stream.fragments(query))?;
    if fragments.len() > MAX_ENTRIES {
        // What arrives from now on must not change which are the first.
        let first = fragments.into_iter().min_by_key(|fragment| fragment.number);
        return first.map_or(Ok(Vec::new()), |first| arrived(stream, first, start));
    }
    fragments.retain(|fragment| fragment.number <= newest.number);
    fragments.sort_unstable_by_key(|fragment| fragment.number);
    Ok(fragments)
}

/// `first` and what arrived after it and ends after `start`: one more than a playlist shows, if there
/// are so many.
fn arrived(stream: &Stream, first: Fragment, start: WallTime) -> Result<Vec<Fragment>, Error> {
    let after = Some(Cursor { time: first.server_time, number: first.number });
    let mut query =
        Query { axis: Axis::Arrival, start: None, end: None, descending: false, after, limit: PAGE };
    let mut found = vec![first];
    while found.len() <= MAX_ENTRIES {
        let page = stream.fragments(&query)?;
        let Some(last) = page.last() else { break };
        query.after = Some(Cursor { time: last.server_time, number: last.number });
        found.extend(page.into_iter().filter(|fragment| fragment.producer_end() > start));
    }
    Ok(found)
}

/// The fragments of a range, and where more are if these are enough for any playlist.
fn range(
    stream: &Stream,
    start: WallTime,
    end: WallTime,
) -> Result<(Vec<Fragment>, Option<WallTime>), Error> {
    let query = Query {
        axis: Axis::Producer,
        start: Some(start),
        end: Some(end),
        descending: false,
        after: None,
        limit: PAGE,
    };
    up_to_full(query, |query| stream.fragments(query))
}

/// What `query` finds, read in pages of the given list, until it is more than a playlist shows even if
/// half of it shows what the other half does; and then where more is.
fn up_to_full(
    mut query: Query,
    list: impl Fn(&Query) -> Result<Vec<Fragment>, Error>,
) -> Result<(Vec<Fragment>, Option<WallTime>), Error> {
    query.limit = PAGE;
    let mut found = Vec::new();
    loop {
        let page = list(&query)?;
        let Some(last) = page.last() else { return Ok((found, None)) };
        let end = last.producer_end();
        query.after = Some(Cursor { time: last.start(query.axis), number: last.number });
        let complete = page.len() < PAGE;
        found.extend(page);
        if complete {
            return Ok((found, None));
        }
        if found.len() > 2 * MAX_ENTRIES {
            return Ok((found, Some(end)));
        }
    }
}

/// Of fragments that show the same time twice, one is played: of those that begin together the
/// newest, which a producer sent because the older was cut short, unless that one broke off, too,
/// and is no longer; else the one that began first. What began inside another is played as well
/// where it alone shows what comes after that other's end: pictures shown twice are better than
/// pictures never shown.
fn without_overlaps(sorted: Vec<Fragment>) -> Vec<Fragment> {
    let mut kept: Vec<Fragment> = Vec::with_capacity(sorted.len());
    // What began inside the last fragment kept and of all such reaches furthest past its end.
    let mut spare: Option<Fragment> = None;
    for fragment in sorted {
        if let Some(last) = kept.last_mut()
            && last.producer_time == fragment.producer_time
        {
            if !fragment.flags.has(Flags::PARTIAL) || fragment.duration_us > last.duration_us {
                *last = fragment;
            }
            continue;
        }
        let begins_after_us = |last: Option<&Fragment>| {
            last.map_or(i64::MAX, |last| fragment.producer_time.micros_since(last.producer_end()))
        };
        // Nothing continues where the last one ended, so what reaches into the hole is needed.
        if begins_after_us(kept.last()) > Run::LARGEST_HOLE_US {
            kept.extend(spare.take());
        }
        if begins_after_us(kept.last()) >= -Run::LARGEST_HOLE_US {
            spare = None;
            kept.push(fragment);
        } else {
            let furthest = spare.as_ref().or(kept.last()).map(Fragment::producer_end);
            if furthest.is_none_or(|end| fragment.producer_end() > end) {
                spare = Some(fragment);
            }
        }
    }
    kept.extend(spare);
    kept
}

/// The entries of a live playlist: each break is one that the fragments themselves count, so that
/// segments keep their discontinuity sequence numbers while the playlist slides (§6.2.2).
fn counted(fragments: Vec<Fragment>) -> Vec<Entry> {
    let mut before = None;
    let entry = |fragment: Fragment| {
        let breaks = before.replace(fragment.discontinuities);
        Entry { discontinuity: breaks != Some(fragment.discontinuities), fragment }
    };
    fragments.into_iter().map(entry).collect()
}

fn entries(fragments: Vec<Fragment>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::with_capacity(fragments.len());
    for fragment in fragments {
        let continues = entries.last().map(|entry| &entry.fragment).is_some_and(|before| {
            before.ordinal.wrapping_add(1) == fragment.ordinal
                && before.configuration == fragment.configuration
                && fragment.producer_time.micros_since(before.producer_end()) >= -Run::LARGEST_HOLE_US
                && !fragment.flags.has(Flags::DISCONTINUITY)
        });
        entries.push(Entry { fragment, discontinuity: !continues });
    }
    entries
}

#[cfg(test)]
#[path = "window_test.rs"]
mod tests;
