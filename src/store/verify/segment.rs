//! Checking one segment file: every byte of it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use kinora_base::{ErrorKind, StreamName};

use crate::disk::{Disk, DiskFile, read_block_at};
use crate::error::is_unreadable;
use crate::format::{Entry, Kind, Malformed, Record, SegmentHeader, StopEntry, Trailer};
use crate::segment::{
    Payloads, ReadFailed, Sealed, Unusable, open_failed, read_record, recover, recover_headless,
};
use crate::{Error, index::SegmentRow};

/// Is told of bytes that were read; may wait, and may break the reading off.
pub(crate) type Pace<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

/// A damaged place: offset, fragment number, what is wrong.
pub(crate) type Flaw = (u64, Option<u64>, String);

/// What was found in a segment.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) fragments: u64,
    pub(crate) bytes: u64,
    pub(crate) flaws: Vec<Flaw>,
    /// The row that the index should have, if the footer can be read.
    pub(crate) row: Option<SegmentRow>,
}

/// Checks an open segment. An unfinished write at its end is no damage.
pub(super) fn open_segment(
    disk: &dyn Disk,
    (path, stream): (&Path, &StreamName),
    durable_to: impl Fn(crate::format::SegmentId) -> u64,
) -> Result<Checked, Error> {
    let file = disk.open(path, false).map_err(|error| open_failed(path, &error))?;
    let mut checked =
        Checked { bytes: file.len().map_err(|e| Error::io("read", path, &e))?, ..Checked::default() };
    let io = |error| Error::io("read", path, &error);
    let recovered = match recover(path, Arc::clone(&file), &durable_to, Payloads::All) {
        Err(Unusable::Header { reason, holds_records: true }) => {
            let headless = recover_headless((path, stream), &file, reason, &durable_to, Payloads::All);
            headless.map_err(io)?.ok_or(Unusable::Header { reason, holds_records: true })
        }
        recovered => recovered,
    };
    match recovered {
        Ok(recovered) => {
            checked.fragments = recovered.entries.len() as u64;
            checked.flaws = recovered.flaws.into_iter().map(|f| (f.offset, f.number, f.reason)).collect();
            // One without a header is its folder's; else the header says whose it is.
            let header = read_block_at(file.as_ref(), 0).map_err(io)?.unwrap_or([0; SegmentHeader::BYTES]);
            if let Ok((header, _)) = SegmentHeader::decode(&header)
                && header.stream != *stream
            {
                checked.flaws.push((0, None, format!("the file belongs to the stream '{}'", header.stream)));
            }
        }
        Err(Unusable::Io(error)) => return Err(io(error)),
        Err(Unusable::Version(version)) => {
            checked.flaws.push((0, None, format!("the segment header {}", Malformed::Version(version))));
        }
        Err(Unusable::Header { reason, holds_records: true }) => {
            checked.flaws.push((0, None, format!("the segment header {reason}")));
        }
        // Creation was interrupted before anything was in it.
        Err(Unusable::Header { holds_records: false, .. }) => {}
    }
    Ok(checked)
}

/// Checks a sealed segment: the records one by one, against each other and against the footer.
pub(crate) fn sealed_segment(
    disk: &dyn Disk,
    path: &Path,
    stream: &StreamName,
    pace: &mut Pace<'_>,
) -> Result<Checked, Error> {
    let sealed = match Sealed::load(disk, path) {
        Ok(sealed) => sealed,
        Err(error) if error.kind == ErrorKind::Corrupt => {
            // Without a footer the records can still be walked, as in an open segment.
            let mut checked = open_segment(disk, (path, stream), |_| 0)?;
            let _ = pace(checked.bytes);
            checked.flaws.insert(0, (0, None, error.message));
            return Ok(checked);
        }
        Err(error) => return Err(error),
    };
    let io = |error| Error::io("read", path, &error);
    let file = Arc::clone(&sealed.file);
    let mut checked = Checked { bytes: sealed.row.file_bytes, ..Checked::default() };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name != sealed.row.file_name() {
        checked.flaws.push((0, None, format!("its name should be {}", sealed.row.file_name())));
    }
    if sealed.stream != *stream {
        checked.flaws.push((0, None, format!("the file belongs to the stream '{}'", sealed.stream)));
    }
    let header = read_block_at(file.as_ref(), 0).map_err(io)?.unwrap_or([0; SegmentHeader::BYTES]);
    let trailer_offset = sealed.row.file_bytes - Trailer::BYTES_U64;
    let trailer = read_block_at(file.as_ref(), trailer_offset).map_err(io)?.unwrap_or([0; Trailer::BYTES]);
    // Both were just read by `load`.
    let (Ok((_, crc)), Ok(trailer)) = (SegmentHeader::decode(&header), Trailer::decode(&trailer)) else {
        checked.flaws.push((0, None, "it changed while it was read".to_owned()));
        return Ok(checked);
    };
    let mut walk = Walk {
        sealed: &sealed,
        file: file.as_ref(),
        entries: &sealed.footer.entries,
        stops: &sealed.footer.stops,
        last_crc: crc,
    };
    walk.run(trailer.footer_offset, &mut checked, pace).map_err(io)?;
    if walk.last_crc != trailer.last_crc && checked.flaws.is_empty() {
        checked.flaws.push((trailer_offset, None, "the trailer ends another chain of records".to_owned()));
    }
    checked.row = Some(sealed.row);
    Ok(checked)
}

struct Walk<'a> {
    sealed: &'a Sealed,
    file: &'a dyn DiskFile,
    /// Fragments still to come, according to the footer.
    entries: &'a [Entry],
    /// Stops still to come, likewise.
    stops: &'a [StopEntry],
    last_crc: u32,
}

impl Walk<'_> {
    fn run(&mut self, end: u64, checked: &mut Checked, pace: &mut Pace<'_>) -> std::io::Result<()> {
        let mut at = SegmentHeader::BYTES_U64;
        let mut chained = true;
        while at < end {
            let block = match read_block_at(self.file, at) {
                Err(error) if is_unreadable(&error) => None,
                block => block?,
            };
            let block = block.unwrap_or([0; Record::BYTES]);
            let flaw = match Record::decode(&block) {
                Err(reason) => Malformed::to_string(&reason),
                Ok((record, crc)) => {
                    let record_at = at;
                    let found = self.record(&record, record_at, end, chained, checked)?;
                    match found {
                        Ok(()) => {
                            self.last_crc = crc;
                            if pace(record.end() - record.offset).is_break() {
                                return Ok(());
                            }
                            chained = true;
                            at = record.end();
                            continue;
                        }
                        Err(reason) => reason,
                    }
                }
            };
            let number = self.entry_at(at).map(|entry| self.sealed.row.first + u64::from(entry.number));
            checked.flaws.push((at, number, format!("the record {flaw}")));
            // The footer tells where the next ones are.
            self.entries = self
                .entries
                .iter()
                .position(|e| u64::from(e.offset) > at)
                .map_or(&[], |next| self.entries.get(next..).unwrap_or_default());
            let stops_met = self.stops.partition_point(|stop| u64::from(stop.offset) <= at);
            self.stops = self.stops.get(stops_met..).unwrap_or_default();
            let next = self.next_known(at).unwrap_or(end);
            chained = false;
            at = next;
        }
        let absent = |offset: u32, number: Option<u64>| {
            (u64::from(offset), number, "the footer names a record that is not there".to_owned())
        };
        for entry in self.entries {
            let number = self.sealed.row.first + u64::from(entry.number);
            checked.flaws.push(absent(entry.offset, Some(number)));
        }
        checked.flaws.extend(self.stops.iter().map(|stop| absent(stop.offset, None)));
        Ok(())
    }

    fn entry_at(&self, at: u64) -> Option<&Entry> {
        self.entries.first().filter(|entry| u64::from(entry.offset) == at)
    }

    /// Where the next record after `at` begins, according to the footer.
    fn next_known(&self, at: u64) -> Option<u64> {
        let fragments = self.entries.iter().map(|entry| u64::from(entry.offset));
        let configurations = self.sealed.footer.configurations.iter().map(|c| u64::from(c.offset));
        let stops = self.stops.iter().map(|stop| u64::from(stop.offset));
        fragments.chain(configurations).chain(stops).filter(|offset| *offset > at).min()
    }

    /// Checks a record whose header is whole; says what is wrong.
    fn record(
        &mut self,
        record: &Record,
        at: u64,
        end: u64,
        chained: bool,
        checked: &mut Checked,
    ) -> std::io::Result<Result<(), String>> {
        let wrong = |reason: &str| Ok(Err(reason.to_owned()));
        if record.end() > end {
            return wrong("reaches into the footer");
        }
        if chained && record.previous_crc != self.last_crc {
            return wrong("does not continue the chain");
        }
        match read_record(self.file, self.sealed.id, at, record.length) {
            Ok(_) => {}
            Err(ReadFailed::Io(error)) if is_unreadable(&error) => {
                return wrong("cannot be read from the disk");
            }
            Err(ReadFailed::Io(error)) => return Err(error),
            Err(ReadFailed::Damaged(reason)) => return Ok(Err(reason.to_string())),
        }
        if record.kind == Kind::Fragment {
            if self.entry_at(at) != Some(&Entry::new(record, self.sealed.row.first)) {
                return wrong("is not as the footer says");
            }
            self.entries = self.entries.get(1..).unwrap_or_default();
            checked.fragments += 1;
        }
        if record.kind == Kind::Stop {
            if self.stops.first() != Some(&StopEntry::new(record)) {
                return wrong("is not as the footer says");
            }
            self.stops = self.stops.get(1..).unwrap_or_default();
        }
        Ok(Ok(()))
    }
}
