//! Reading one record's payload back, checked.

use bytes::Bytes;

use crate::disk::{DiskFile, read_full_at};
use crate::format::{Malformed, Record, SegmentId, checksum};

/// Why a record could not be read.
#[derive(Debug)]
pub(crate) enum ReadFailed {
    /// The operating system said no.
    Io(std::io::Error),
    /// The bytes are not the record's.
    Damaged(Malformed),
}

impl From<std::io::Error> for ReadFailed {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the record of `segment` whose header begins at `offset` and whose payload is `length`
/// bytes, in one go; checks that it is this record and that header and payload are whole.
pub(crate) fn read_record(
    file: &dyn DiskFile,
    segment: SegmentId,
    offset: u64,
    length: u32,
) -> Result<(Record, Bytes), ReadFailed> {
    let because = |reason| Err(ReadFailed::Damaged(Malformed::Because(reason)));
    let mut buffer = vec![0; Record::BYTES + length as usize];
    let read = read_full_at(file, &mut buffer, offset)?;
    let Some((header, payload)) = buffer.split_first_chunk::<{ Record::BYTES }>() else {
        return because("is cut short");
    };
    let (record, _) = Record::decode(header).map_err(ReadFailed::Damaged)?;
    if record.segment != segment || record.offset != offset || record.length != length {
        return because("is not the one that belongs here");
    }
    if read < buffer.len() {
        return because("is cut short");
    }
    if checksum(payload) != record.payload_crc {
        return because("has a payload that fails its checksum");
    }
    let bytes = Bytes::from(buffer);
    Ok((record, bytes.slice(Record::BYTES..)))
}
