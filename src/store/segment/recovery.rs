//! What a crash left of an open segment: the longest valid chain of records.
//!
//! A record that is not whole is either a torn tail, which was never acknowledged and is
//! discarded, or damage to something that was durable. It is damage if the index's watermark or a
//! later record's `durable_to` says that its bytes were durable once. After damage nothing is
//! discarded: the walk goes on at the next record that can be found. Files are only read here.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use kinora_base::WallTime;

use crate::disk::{DiskFile, read_block_at, read_full_at};
use crate::format::{
    ConfigurationEntry, Entry, Kind, Malformed, Record, SegmentHeader, SegmentId, StopEntry, checksum,
};

use super::Appender;

/// How much is searched at a time for a record header.
const SEARCH_BYTES: u64 = 1 << 20;

/// How much of a header may lie in the window before.
const HEADER_OVERLAP: u64 = Record::BYTES_U64 - 1;

/// A damaged place in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) offset: u64,
    /// The fragment it is in, if its header can be read.
    pub(crate) number: Option<u64>,
    pub(crate) reason: String,
}

/// What recovery found in an open segment.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Ready to go on where the valid records end.
    pub(crate) appender: Appender,
    pub(crate) entries: Vec<Entry>,
    /// The ordinal after the last fragment's.
    pub(crate) next_ordinal: u64,
    /// Damage to what was durable. If there is any, the segment must not be appended to.
    pub(crate) flaws: Vec<Flaw>,
    /// Bytes of an unfinished write behind the records.
    pub(crate) torn_bytes: u64,
    /// No record says that what stands from here on was ever durable.
    pub(crate) unproven_from: u64,
}

/// Why an open segment cannot be used at all.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// The operating system said no.
    Io(io::Error),
    /// It is of another format version.
    Version(u16),
    /// Its header is not whole. If it holds no record either, it was never more than begun.
    Header { reason: Malformed, holds_records: bool },
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Which payloads are read and checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payloads {
    /// Those that are not known to have been durable; headers before them are hopped to.
    Undecided,
    /// All.
    All,
}

/// Walks the records of the open segment at `path`. Everything before `durable_to` is known to
/// have been durable.
pub(crate) fn recover(
    path: &Path,
    file: Arc<dyn DiskFile>,
    durable_to: impl FnOnce(SegmentId) -> u64,
    payloads: Payloads,
) -> Result<Recovered, Unusable> {
    let length = file.len()?;
    let block = read_block_at(file.as_ref(), 0)?.unwrap_or([0; SegmentHeader::BYTES]);
    let (header, crc) = match SegmentHeader::decode(&block) {
        Ok(found) => found,
        Err(Malformed::Version(version)) => return Err(Unusable::Version(version)),
        Err(reason) => {
            let found = find_record(file.as_ref(), 0, length, |_| true)?;
            return Err(Unusable::Header { reason, holds_records: found.is_some() });
        }
    };
    let durable_to = durable_to(header.id);
    Ok(recover_from((header, crc), path, file, durable_to, payloads)?)
}

/// As [`recover`], for a segment whose header, and its checksum, are known.
pub(crate) fn recover_from(
    (header, crc): (SegmentHeader, u32),
    path: &Path,
    file: Arc<dyn DiskFile>,
    durable_to: u64,
    payloads: Payloads,
) -> io::Result<Recovered> {
    let length = file.len()?;
    let next_ordinal = header.first_ordinal;
    let appender = Appender::resume(header, path.to_owned(), file, crc, length);
    let mut walk = Walk {
        length,
        durable_to,
        check_from: if payloads == Payloads::All { 0 } else { durable_to },
        payload: Vec::new(),
        found: Recovered {
            appender,
            entries: Vec::new(),
            next_ordinal,
            flaws: Vec::new(),
            torn_bytes: 0,
            unproven_from: 0,
        },
    };
    walk.run()?;
    Ok(walk.found)
}

/// The first place from `from` on where a whole record header of its own place stands that
/// `matches`.
pub(crate) fn find_record(
    file: &dyn DiskFile,
    mut from: u64,
    length: u64,
    matches: impl Fn(&Record) -> bool,
) -> io::Result<Option<u64>> {
    let mut buffer = Vec::new();
    // Room that was reserved and never written is not read: that alone would fill the page cache.
    while let Some(data) = data_after(file, from, length)? {
        buffer.resize((data.end - data.start).min(SEARCH_BYTES) as usize, 0);
        let read = read_full_at(file, &mut buffer, data.start)?;
        let window = buffer.get(..read).unwrap_or_default();
        for (position, candidate) in window.windows(Record::BYTES).enumerate() {
            if !candidate.starts_with(&Record::MAGIC) {
                continue;
            }
            let place = data.start + position as u64;
            let record = candidate.first_chunk().and_then(|block| Record::decode(block).ok());
            if record.is_some_and(|(record, _)| record.offset == place && matches(&record)) {
                return Ok(Some(place));
            }
        }
        // A header may straddle the end of the window, unless nothing was written there.
        let seen = data.start + read as u64;
        from =
            if seen >= data.end || read < Record::BYTES { seen.max(from + 1) } else { seen - HEADER_OVERLAP };
    }
    Ok(None)
}

/// The next stretch of a file that may hold something, before `length`.
fn data_after(file: &dyn DiskFile, from: u64, length: u64) -> io::Result<Option<Range<u64>>> {
    let data = if from < length { file.data_after(from)? } else { None };
    Ok(data.map(|data| data.start..data.end.min(length)).filter(|data| !data.is_empty()))
}

struct Walk {
    length: u64,
    durable_to: u64,
    check_from: u64,
    payload: Vec<u8>,
    found: Recovered,
}

/// What stands at a place in the file.
enum Step {
    Whole(Record, u32),
    /// The header is whole and in the chain, the payload is not.
    Payload(Record, u32),
    Broken(Malformed),
}

impl Walk {
    fn run(&mut self) -> io::Result<()> {
        loop {
            let at = self.found.appender.end;
            let (kept, reason) = match self.step(at, true)? {
                Step::Whole(record, crc) => {
                    self.keep(&record, crc);
                    continue;
                }
                Step::Payload(record, crc) => {
                    (Some((record, crc)), Malformed::Because("has a payload that fails its checksum"))
                }
                Step::Broken(reason) => (None, reason),
            };
            if !self.was_durable(at)? {
                self.found.torn_bytes = self.torn(at)?;
                return Ok(());
            }
            let number =
                kept.and_then(|(record, _)| (record.kind == Kind::Fragment).then_some(record.number));
            self.found.flaws.push(Flaw { offset: at, number, reason: format!("the record {reason}") });
            if let Some((record, crc)) = kept {
                // Its header says all the index needs; reading the payload will fail.
                self.keep(&record, crc);
            } else if !self.resume_after(at)? {
                // Nothing may overwrite what was durable once: the end moves behind it.
                self.found.appender.end = self.last_data(at)?;
                return Ok(());
            }
        }
    }

    /// Looks at the record at `at`; `chained` if it must continue from the one before.
    fn step(&mut self, at: u64, chained: bool) -> io::Result<Step> {
        let broken = |reason| Ok(Step::Broken(Malformed::Because(reason)));
        let file = Arc::clone(&self.found.appender.file);
        let Some(block) = read_block_at(file.as_ref(), at)? else {
            return broken("is beyond the end of the file");
        };
        let (record, crc) = match Record::decode(&block) {
            Ok(found) => found,
            Err(reason) => return Ok(Step::Broken(reason)),
        };
        if record.segment != self.found.appender.header.id || record.offset != at {
            return broken("belongs somewhere else");
        }
        if chained && record.previous_crc != self.found.appender.last_crc {
            return broken("does not continue the chain");
        }
        if record.end() > self.length {
            return broken("is cut short");
        }
        if at >= self.check_from {
            self.payload.resize(record.length as usize, 0);
            read_full_at(file.as_ref(), &mut self.payload, at + Record::BYTES_U64)?;
            if checksum(&self.payload) != record.payload_crc {
                return Ok(Step::Payload(record, crc));
            }
        }
        Ok(Step::Whole(record, crc))
    }

    fn keep(&mut self, record: &Record, crc: u32) {
        let appender = &mut self.found.appender;
        match record.kind {
            Kind::Fragment => {
                let entry = Entry::new(record, appender.header.first);
                self.found.entries.push(entry);
                self.found.next_ordinal = record.ordinal.saturating_add(1);
                appender.fragments = appender.fragments.saturating_add(1);
                appender.begun = appender.begun.or(Some(record.server_time));
            }
            Kind::Configuration => {
                let entry = ConfigurationEntry { id: record.configuration, offset: record.offset as u32 };
                appender.configurations.push(entry);
            }
            Kind::Stop => appender.stops.push(StopEntry::new(record)),
            Kind::Mark => {}
        }
        appender.spent = appender.spent.max(record.number);
        appender.epoch = appender.epoch.max(record.epoch);
        appender.end = record.end();
        appender.last_crc = crc;
        self.found.unproven_from = record.durable_to;
    }

    /// Whether the byte at `at` is known to have been durable.
    fn was_durable(&self, at: u64) -> io::Result<bool> {
        if at < self.durable_to {
            return Ok(true);
        }
        let appender = &self.found.appender;
        let proves = |record: &Record| record.segment == appender.header.id && record.durable_to > at;
        Ok(find_record(appender.file.as_ref(), at, self.length, proves)?.is_some())
    }

    /// Goes on at the next whole record after `at`, chained or not; false if there is none.
    fn resume_after(&mut self, at: u64) -> io::Result<bool> {
        let mut from = at + 1;
        loop {
            let appender = &self.found.appender;
            let ours = |record: &Record| record.segment == appender.header.id;
            let Some(place) = find_record(appender.file.as_ref(), from, self.length, ours)? else {
                return Ok(false);
            };
            if let Step::Whole(record, crc) = self.step(place, false)? {
                self.keep(&record, crc);
                return Ok(true);
            }
            from = place + 1;
        }
    }

    /// How many bytes from `at` on may be what is left of an unfinished write.
    fn torn(&self, at: u64) -> io::Result<u64> {
        Ok(self.last_data(at)?.saturating_sub(at))
    }

    /// The end of the last byte other than zero from `at` on; `at` if there is none.
    fn last_data(&self, at: u64) -> io::Result<u64> {
        let file = self.found.appender.file.as_ref();
        let (mut from, mut last) = (at, at);
        let mut buffer = Vec::new();
        while let Some(data) = data_after(file, from, self.length)? {
            buffer.resize((data.end - data.start).min(SEARCH_BYTES) as usize, 0);
            let read = read_full_at(file, &mut buffer, data.start)?;
            let window = buffer.get(..read).unwrap_or_default();
            if let Some(position) = window.iter().rposition(|byte| *byte != 0) {
                last = data.start + position as u64 + 1;
            }
            if read == 0 {
                break;
            }
            from = data.start + read as u64;
        }
        Ok(last)
    }
}

impl Recovered {
    /// Server time of the newest fragment.
    pub(crate) fn newest(&self) -> Option<WallTime> {
        self.entries.last().map(|entry| entry.server_time)
    }
}
