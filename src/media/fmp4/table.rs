//! A track's sample tables (§8.6, §8.7), kept as the bytes they came in.
//!
//! Entries are read when they are asked for; no table is expanded. Which sample comes next is for
//! `progressive` to say.

use bytes::Bytes;

use super::boxes::{BoxRef, Kind, broken, name};
use crate::{Error, Fault};

/// Most entries of one table: 2^26 sample sizes are 13 days of video at 60 frames a second.
const MAX_ENTRIES: u32 = 1 << 26;

/// The tables of one track.
#[derive(Debug)]
pub(super) struct Tables {
    /// Where the `stbl` begins in the input.
    pub(super) offset: u64,
    /// Whether samples are single PCM values, of which many make one frame.
    pub(super) raw: bool,
    /// `stts`: count, duration.
    pub(super) durations: Table,
    /// `ctts`: count, offset.
    pub(super) compositions: Table,
    /// `stsc`: first chunk, samples per chunk, sample entry.
    pub(super) chunk_runs: Table,
    pub(super) sizes: Sizes,
    /// `stco` or `co64`.
    pub(super) chunks: Table,
    /// `stss`; without one, all samples are sync samples.
    pub(super) syncs: Option<Table>,
}

/// Entries of one width.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Bytes,
    entry_bytes: usize,
}

/// `stsz` or `stz2`.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// How many samples there are.
    pub(super) count: u32,
    /// The size of all of them, or 0 if `table` has one for each.
    pub(super) even: u32,
    entries: Bytes,
    entry_bits: usize,
}

impl Table {
    /// The table box `kind` in `stbl`; empty if there is none.
    fn read(stbl: BoxRef<'_>, kind: Kind, entry_bytes: usize, whole: &Bytes) -> Result<Option<Self>, Error> {
        let Some(table) = stbl.find(kind)? else { return Ok(None) };
        let mut fields = table.fields();
        fields.version_and_flags()?;
        let count = fields.u32()?;
        check_count(table, count)?;
        let entries = fields.take((count as usize).saturating_mul(entry_bytes))?;
        Ok(Some(Self { entries: whole.slice_ref(entries), entry_bytes }))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len().checked_div(self.entry_bytes).unwrap_or(0)
    }

    fn entry(&self, place: usize) -> Option<&[u8]> {
        if place >= self.len() {
            return None;
        }
        let start = place * self.entry_bytes;
        self.entries.get(start..start + self.entry_bytes)
    }

    /// The entry at `place` as one number.
    pub(super) fn number(&self, place: usize) -> Option<u64> {
        self.entry(place).map(|entry| entry.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// The entry at `place` as a pair.
    pub(super) fn pair(&self, place: usize) -> Option<(u32, u32)> {
        self.words(place).map(|[first, second, _]| (first, second))
    }

    /// The entry at `place` as up to three numbers, the missing ones 0.
    pub(super) fn words(&self, place: usize) -> Option<[u32; 3]> {
        let mut words = self.entry(place)?.chunks_exact(4).filter_map(|word| word.try_into().ok());
        let mut word = || words.next().map_or(0, u32::from_be_bytes);
        Some([word(), word(), word()])
    }
}

fn check_count(table: BoxRef<'_>, count: u32) -> Result<(), Error> {
    if count <= MAX_ENTRIES {
        return Ok(());
    }
    Err(Error::new(
        Fault::Limit,
        table.offset,
        format!("the {} box has {count} entries, at most {MAX_ENTRIES} are read", name(table.kind)),
    ))
}

impl Sizes {
    fn read(stbl: BoxRef<'_>, whole: &Bytes) -> Result<Self, Error> {
        if let Some(stsz) = stbl.find(*b"stsz")? {
            let mut fields = stsz.fields();
            fields.version_and_flags()?;
            let (even, count) = (fields.u32()?, fields.u32()?);
            if even != 0 {
                return Ok(Self { count, even, ..Self::default() });
            }
            check_count(stsz, count)?;
            let entries = fields.take((count as usize).saturating_mul(4))?;
            return Ok(Self { count, even: 0, entries: whole.slice_ref(entries), entry_bits: 32 });
        }
        let Some(stz2) = stbl.find(*b"stz2")? else { return Ok(Self::default()) };
        let mut fields = stz2.fields();
        fields.version_and_flags()?;
        let entry_bits = usize::from(fields.u32()? as u8);
        if !matches!(entry_bits, 4 | 8 | 16) {
            return Err(broken(stz2.offset, format!("the stz2 box has entries of {entry_bits} bits")));
        }
        let count = fields.u32()?;
        check_count(stz2, count)?;
        let entries = fields.take((count as usize).saturating_mul(entry_bits).div_ceil(8))?;
        Ok(Self { count, even: 0, entries: whole.slice_ref(entries), entry_bits })
    }

    /// The size of the sample at `place`, counted from 0.
    pub(super) fn size(&self, place: u32) -> Option<u32> {
        if self.even != 0 {
            return Some(self.even);
        }
        let bit = (place as usize).checked_mul(self.entry_bits)?;
        let start = bit / 8;
        match self.entry_bits {
            // Two to a byte, the first in the high half.
            4 => self
                .entries
                .get(start)
                .map(|byte| u32::from(if bit % 8 == 0 { byte >> 4 } else { byte & 15 })),
            _ => {
                let entry = self.entries.get(start..start.checked_add(self.entry_bits / 8)?)?;
                Some(entry.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)))
            }
        }
    }
}

impl Tables {
    /// The tables in `stbl`, whose bytes are part of `whole`.
    pub(super) fn read(stbl: BoxRef<'_>, whole: &Bytes, raw: bool) -> Result<Self, Error> {
        let table = |kind, entry_bytes| Table::read(stbl, kind, entry_bytes, whole);
        let chunks = match table(*b"stco", 4)? {
            Some(chunks) => chunks,
            None => table(*b"co64", 8)?.unwrap_or_default(),
        };
        let tables = Self {
            offset: stbl.offset,
            durations: table(*b"stts", 8)?.unwrap_or_default(),
            compositions: table(*b"ctts", 8)?.unwrap_or_default(),
            chunk_runs: table(*b"stsc", 12)?.unwrap_or_default(),
            sizes: Sizes::read(stbl, whole)?,
            chunks,
            syncs: table(*b"stss", 4)?,
            raw,
        };
        tables.check()?;
        Ok(tables)
    }

    /// Makes sure before the first sample that every sample has a place and a time.
    fn check(&self) -> Result<(), Error> {
        let count = u64::from(self.sizes.count);
        if count == 0 {
            return Ok(());
        }
        let timed: u64 =
            (0..self.durations.len()).filter_map(|i| self.durations.pair(i)).map(|(n, _)| u64::from(n)).sum();
        if timed < count {
            return Err(broken(
                self.offset,
                format!("the stts box has times for {timed} of {count} samples"),
            ));
        }
        if i64::try_from(self.duration_ticks()).is_err() {
            return Err(broken(self.offset, "the stts box leads beyond 2^63 ticks"));
        }
        let mut placed = 0_u64;
        let mut last_chunk = 0;
        for place in 0..self.chunk_runs.len() {
            let Some([first, samples, _]) = self.chunk_runs.words(place) else { break };
            // The first run starts at chunk 1 and each later one after the one before it.
            if first <= last_chunk || (place == 0 && first != 1) {
                return Err(broken(
                    self.offset,
                    format!(
                        "entry {} of the stsc box begins at chunk {first}, after chunk {last_chunk}",
                        place + 1
                    ),
                ));
            }
            last_chunk = first;
            let next = self.chunk_runs.words(place + 1).map_or(u64::MAX, |[next, ..]| next.into());
            let chunks = (self.chunks.len() as u64 + 1).min(next).saturating_sub(first.into());
            placed = placed.saturating_add(chunks * u64::from(samples));
        }
        if placed < count {
            return Err(broken(
                self.offset,
                format!("the stsc and stco boxes have places for {placed} of {count} samples"),
            ));
        }
        Ok(())
    }

    /// Whether the samples are in fragments only.
    pub(super) const fn is_empty(&self) -> bool {
        self.sizes.count == 0
    }

    /// The duration of every sample if they are all alike, else 0.
    pub(super) fn even_duration(&self) -> u32 {
        match (self.durations.len(), self.durations.pair(0)) {
            (1, Some((_, duration))) => duration,
            _ => 0,
        }
    }

    /// The sum of all durations, saturating.
    pub(super) fn duration_ticks(&self) -> u64 {
        let entries = (0..self.durations.len()).filter_map(|place| self.durations.pair(place));
        entries
            .fold(0, |sum: u64, (count, duration)| sum.saturating_add(u64::from(count) * u64::from(duration)))
    }
}
