//! What a stream must be, kept as naively as possible: every number ever given out and what
//! became of it. It is the oracle of the simulation.
//!
//! It shares no code with the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use kinora_base::WallTime;
use kinora_store::{Axis, Fragment, Query, State, Stream};

use super::chance::Chance;
use super::harness::{Take, payload};

/// What a fragment was made of; its payload grows from a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) producer: WallTime,
    pub(crate) server: WallTime,
    pub(crate) duration_us: u64,
    pub(crate) seed: u64,
    pub(crate) length: usize,
}

impl Made {
    pub(crate) fn take(&self) -> Take {
        Take {
            producer: self.producer,
            server: self.server,
            duration_us: self.duration_us,
            payload: payload(self.seed, self.length),
        }
    }
}

/// What is known of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Begun and not finished: it must never be seen.
    Begun,
    /// Finished, and nothing was said of it yet.
    Queued,
    /// Said to be durable, by an acknowledgement or in a list: it must be there for ever.
    Durable,
    /// Said to be lost. After a crash it may be found after all.
    Refused,
    /// Not there after a crash: it must never come back.
    Lost,
}

/// What the store was told and what it said about one stream.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) numbers: BTreeMap<u64, (Made, Fate)>,
}

/// What was compared.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Compared {
    pub(crate) fragments: usize,
    pub(crate) bytes: usize,
}

macro_rules! hold {
    ($condition:expr, $($words:tt)*) => {
        if !$condition {
            return Err(format!($($words)*));
        }
    };
}
pub(crate) use hold;

impl Model {
    /// Takes down that `number` was given to a fragment.
    pub(crate) fn begun(&mut self, number: u64, made: Made) -> Result<(), String> {
        let last = self.numbers.last_key_value().map_or(0, |(last, _)| *last);
        hold!(number > last, "number {number} was given out after {last}");
        self.numbers.insert(number, (made, Fate::Begun));
        Ok(())
    }

    /// Takes down that the fragment `number` is complete.
    pub(crate) fn finished(&mut self, number: u64, made: &Made, repeated: bool) -> Result<(), String> {
        if !repeated && !self.numbers.contains_key(&number) {
            self.begun(number, made.clone())?;
        }
        let Some((known, fate)) = self.numbers.get_mut(&number) else {
            return Err(format!("number {number} is said to be repeated and was never given out"));
        };
        hold!(known == made, "number {number} is that of {known:?}, not of {made:?}");
        if repeated {
            let there = matches!(fate, Fate::Queued | Fate::Durable);
            hold!(there, "number {number} is {fate:?} and said to be repeated");
        } else {
            *fate = Fate::Queued;
        }
        Ok(())
    }

    /// Takes down what became of the promise about `number`.
    pub(crate) fn told(&mut self, number: u64, durable: bool) -> Result<(), String> {
        let Some((_, fate)) = self.numbers.get_mut(&number) else { return Ok(()) };
        match (durable, *fate) {
            (true, Fate::Queued | Fate::Durable) => *fate = Fate::Durable,
            (false, Fate::Queued) => *fate = Fate::Refused,
            // Two may wait for the same fragment.
            (false, Fate::Refused) => {}
            (durable, fate) => {
                return Err(format!(
                    "number {number} is {fate:?}, and is then said to be durable: {durable}"
                ));
            }
        }
        Ok(())
    }

    /// A crash: all promises are void but those that were kept.
    pub(crate) fn crashed(&mut self) {
        for (_, fate) in self.numbers.values_mut() {
            if *fate == Fate::Begun {
                *fate = Fate::Lost;
            }
        }
    }

    /// Whether one of them is this very fragment.
    pub(crate) fn holds(&self, made: &Made) -> bool {
        let there = |fate: &Fate| matches!(fate, Fate::Queued | Fate::Durable);
        self.numbers.values().any(|(known, fate)| known == made && there(fate))
    }

    /// How many must be there for ever.
    pub(crate) fn durable(&self) -> usize {
        self.numbers.values().filter(|(_, fate)| *fate == Fate::Durable).count()
    }

    /// Holds what the stream lists against what is known. `opened`: right after a crash, where it
    /// shows which of the unacknowledged survived.
    pub(crate) fn check_list(&mut self, stream: &Stream, opened: bool) -> Result<Vec<Fragment>, String> {
        let whole = Query {
            axis: Axis::Arrival,
            start: None,
            end: None,
            descending: false,
            after: None,
            limit: usize::MAX,
        };
        let listed = stream.fragments(&whole).map_err(|error| format!("cannot list: {error}"))?;
        let mut last = 0;
        for (ordinal, fragment) in listed.iter().enumerate() {
            let number = fragment.number.get();
            hold!(number > last, "number {number} is listed after {last}");
            hold!(
                fragment.ordinal == ordinal as u64,
                "number {number} at place {ordinal} has ordinal {}",
                fragment.ordinal
            );
            last = number;
            let Some((made, fate)) = self.numbers.get_mut(&number) else {
                return Err(format!("number {number} is listed and was never given out"));
            };
            let same = fragment.producer_time == made.producer
                && fragment.server_time == made.server
                && fragment.duration_us == made.duration_us
                && fragment.bytes as usize == made.length;
            hold!(same, "number {number} is listed as {fragment:?} and was {made:?}");
            let may_be = match fate {
                Fate::Queued | Fate::Durable => true,
                Fate::Refused => opened,
                Fate::Begun | Fate::Lost => false,
            };
            hold!(may_be, "number {number} is listed and is {fate:?}");
            if fragment.state == State::Persisted {
                *fate = Fate::Durable;
            }
        }
        let numbers: Vec<u64> = listed.iter().map(|fragment| fragment.number.get()).collect();
        for (number, (made, fate)) in &mut self.numbers {
            let there = numbers.binary_search(number).is_ok();
            hold!(there || *fate != Fate::Durable, "number {number} was durable and is gone: {made:?}");
            hold!(
                there || opened || *fate != Fate::Queued,
                "number {number} waits for the disk and is not listed"
            );
            if opened && !there && matches!(fate, Fate::Queued | Fate::Refused) {
                *fate = Fate::Lost;
            }
        }
        let summary = stream.summary();
        let bytes: u64 = listed.iter().map(|fragment| u64::from(fragment.bytes)).sum();
        let sums =
            (summary.fragments, summary.bytes, summary.numbers.map(|(low, high)| (low.get(), high.get())));
        let expected = (listed.len() as u64, bytes, numbers.first().copied().zip(numbers.last().copied()));
        hold!(sums == expected, "the summary says {sums:?}, the list {expected:?}");
        Ok(listed)
    }

    /// Compares the payload of a listed fragment, byte by byte.
    pub(crate) fn check_payload(
        &self,
        stream: &Arc<Stream>,
        fragment: &Fragment,
        compared: &mut Compared,
    ) -> Result<(), String> {
        let number = fragment.number.get();
        let read = stream.read(fragment.number).and_then(|payload| payload.whole());
        let read = read.map_err(|error| format!("cannot read number {number}: {error}"))?;
        let (made, _) = &self.numbers[&number];
        hold!(read.concat() == payload(made.seed, made.length), "number {number} is served with other bytes");
        compared.fragments += 1;
        compared.bytes += made.length;
        Ok(())
    }

    /// Asks for a range by chance and holds the answer against a search through everything.
    pub(crate) fn check_range(
        &self,
        stream: &Stream,
        listed: &[Fragment],
        chance: &mut Chance,
    ) -> Result<(), String> {
        let axis = if chance.once_in(2) { Axis::Producer } else { Axis::Server };
        let bound = |chance: &mut Chance| {
            let near = &listed[chance.below(listed.len())];
            Some(near.start(axis).offset_micros(chance.below(5_000_000) as i64 - 2_500_000))
        };
        let (start, end) = (bound(chance), bound(chance));
        let query = Query {
            axis,
            start,
            end,
            descending: chance.once_in(2),
            after: None,
            limit: 1 + chance.below(12),
        };
        let found = stream.fragments(&query).map_err(|error| format!("cannot list a range: {error}"))?;
        let mut expected: Vec<&Fragment> = listed
            .iter()
            .filter(|f| start.is_none_or(|start| f.start(axis).offset_micros(f.duration_us as i64) > start))
            .filter(|f| end.is_none_or(|end| f.start(axis) < end))
            .collect();
        expected.sort_by_key(|f| (f.start(axis), f.number));
        if query.descending {
            expected.reverse();
        }
        expected.truncate(query.limit);
        hold!(found.iter().eq(expected.iter().copied()), "{query:?} gives {found:?}, not {expected:?}");
        let newest = stream.tail(3).map_err(|error| format!("cannot read the tail: {error}"))?.fragments;
        hold!(newest == listed[listed.len().saturating_sub(3)..], "the tail is {newest:?}");
        Ok(())
    }
}
