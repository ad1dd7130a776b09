//! Checking the tags of what is encrypted in one segment file: that it is what was encrypted, where
//! it was and under the header it had. Checksums tell only that bytes are as they were written.
//!
//! What checksums tell is reported elsewhere, and passed over here.

use std::path::Path;

use super::segment::Flaw;
use crate::Error;
use crate::disk::{Disk, read_block_at};
use crate::format::{Kind, Record, SegmentHeader};
use crate::keys::StreamKeys;
use crate::segment::{ReadFailed, find_record, open_failed, read_record};

/// Decrypts every payload in the segment at `path` whose record is whole.
pub(super) fn check_tags(disk: &dyn Disk, path: &Path, keys: &StreamKeys) -> Result<Vec<Flaw>, Error> {
    let io = |error| Error::io("read", path, &error);
    let file = disk.open(path, false).map_err(|error| open_failed(path, &error))?;
    let length = file.len().map_err(io)?;
    let mut flaws = Vec::new();
    let mut at = SegmentHeader::BYTES_U64;
    while at < length {
        let block = read_block_at(file.as_ref(), at).map_err(io)?;
        let record = block.and_then(|block| Record::decode(&block).ok());
        let Some((record, _)) = record.filter(|(record, _)| record.offset == at) else {
            let Some(next) = find_record(file.as_ref(), at + 1, length, |_| true).map_err(io)? else { break };
            at = next;
            continue;
        };
        at = record.end();
        if record.key == 0 {
            continue;
        }
        let reason = match read_record(file.as_ref(), record.segment, record.offset, record.length) {
            Ok((_, payload)) => keys.decrypt(&record, payload).err(),
            Err(ReadFailed::Damaged(_)) => None,
            Err(ReadFailed::Io(error)) => return Err(io(error)),
        };
        if let Some(reason) = reason {
            let number = (record.kind == Kind::Fragment).then_some(record.number);
            flaws.push((record.offset, number, format!("the record {reason}")));
        }
    }
    Ok(flaws)
}
