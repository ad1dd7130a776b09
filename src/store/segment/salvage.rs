//! What can still be read of a segment whose own parts (header, footer, trailer) are damaged: all of
//! its fragments that are whole, found by their records.
//!
//! Files are only read here.

use std::io;
use std::path::Path;
use std::sync::Arc;

use kinora_base::{StreamName, WallTime};

use super::recovery::{Flaw, find_record, recover_from};
use super::sealed::LoadFailed;
use super::{Appender, Payloads, Recovered, Sealed, Sealing};
use crate::disk::{Disk, DiskFile, read_block_at};
use crate::format::{FileName, Footer, Kind, Malformed, Record, SegmentFileName, SegmentHeader, SegmentId};
use crate::index::SegmentRow;

/// The header that the segment at `path` had, and its checksum, told from the file's name and its
/// first whole record; none if there is no such record.
fn lost_header(
    path: &Path,
    file: &dyn DiskFile,
    stream: &StreamName,
) -> io::Result<Option<(SegmentHeader, u32)>> {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(FileName::parse);
    let Some(FileName::Segment(name)) = name else { return Ok(None) };
    let length = file.len()?;
    let Some(place) = find_record(file, SegmentHeader::BYTES_U64, length, |_| true)? else { return Ok(None) };
    let Some(record) = record_at(file, place)? else { return Ok(None) };
    let of_fragment = |found: &Record| found.segment == record.segment && found.kind == Kind::Fragment;
    let fragment = match find_record(file, place, length, of_fragment)? {
        Some(place) => record_at(file, place)?,
        None => None,
    };
    let header = SegmentHeader {
        id: record.segment,
        epoch: record.epoch,
        first: name.first(),
        first_ordinal: fragment.map_or(0, |fragment| fragment.ordinal),
        created: fragment.map_or(WallTime::EARLIEST, |fragment| fragment.server_time),
        stream: stream.clone(),
    };
    Ok(Some((header, record.previous_crc)))
}

/// Recovers the open segment of `stream` at `path`, whose header is damaged for `reason`; none if it
/// holds no record that tells what the header said.
pub(crate) fn recover_headless(
    (path, stream): (&Path, &StreamName),
    file: &Arc<dyn DiskFile>,
    reason: Malformed,
    durable_to: impl FnOnce(SegmentId) -> u64,
    payloads: Payloads,
) -> io::Result<Option<Recovered>> {
    let Some(header) = lost_header(path, file.as_ref(), stream)? else { return Ok(None) };
    let durable_to = durable_to(header.0.id);
    let mut recovered = recover_from(header, path, Arc::clone(file), durable_to, payloads)?;
    let reason = format!("the segment header {reason}");
    recovered.flaws.insert(0, Flaw { offset: 0, number: None, reason });
    Ok(Some(recovered))
}

fn record_at(file: &dyn DiskFile, place: u64) -> io::Result<Option<Record>> {
    let block = read_block_at(file, place)?;
    Ok(block.and_then(|block| Record::decode(&block).ok()).map(|(record, _)| record))
}

impl Sealed {
    /// The sealed segment at `path` as far as it can be read: if it is damaged, with the fragments
    /// that are found record by record, and what is wrong. The index's `row` of it is kept, where
    /// there is one; else one is made that fits the file's name.
    pub(crate) fn load_or_salvage(
        disk: &dyn Disk,
        path: &Path,
        stream: &StreamName,
        row: Option<&SegmentRow>,
    ) -> Result<(Self, Vec<Flaw>), LoadFailed> {
        let (at, reason) = match Self::try_load(disk, path) {
            Ok(sealed) => return Ok((sealed, Vec::new())),
            Err(LoadFailed::Damaged(at, reason)) => (at, reason),
            Err(failed) => return Err(failed),
        };
        let file = disk.open(path, false).map_err(LoadFailed::from)?;
        let block = read_block_at(file.as_ref(), 0).map_err(LoadFailed::from)?;
        let header = match block.and_then(|block| SegmentHeader::decode(&block).ok()) {
            Some(header) => Some(header),
            None => lost_header(path, file.as_ref(), stream).map_err(LoadFailed::from)?,
        };
        let header = header.ok_or(LoadFailed::Damaged(at, reason))?;
        let recovered = recover_from(header, path, Arc::clone(&file), u64::MAX, Payloads::Undecided)
            .map_err(LoadFailed::from)?;
        let mut flaws = recovered.flaws;
        // The walk ends where footer and trailer begin; whether these are damaged is known already.
        flaws.pop_if(|last| last.number.is_none());
        if recovered.entries.is_empty() {
            return Err(LoadFailed::Damaged(at, reason));
        }
        flaws.insert(0, Flaw { offset: at, number: None, reason: format!("the segment {reason}") });
        let header = recovered.appender.header.clone();
        let row = match row {
            Some(row) => row.clone(),
            None => named_row(path, &Sealing::new(&recovered.appender, recovered.entries.clone(), true)),
        };
        let Appender { configurations, stops, .. } = recovered.appender;
        let footer = Footer { entries: recovered.entries, configurations, stops };
        Ok((Self::new(row, &header, footer, file, true), flaws))
    }
}

/// The row of what was found, with what the file's name says of all that was there.
fn named_row(path: &Path, found: &Sealing) -> SegmentRow {
    let mut row = found.sealed.row.clone();
    let name = path.file_name().and_then(|name| name.to_str()).and_then(SegmentFileName::parse);
    if let Some(SegmentFileName::Sealed { start, end, count, .. }) = name {
        row.count = count;
        row.producer.first = start;
        row.producer.end = end;
    }
    row
}
