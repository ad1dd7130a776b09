//! Reading one record's payload back: whole and checked, or checked once and then range by range.
//!
//! Which payloads were checked before is remembered elsewhere.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{DiskFile, read_block_at, read_full_at};
use crate::format::{Malformed, Record, SegmentId, checksum, checksum_joined, checksum_more};

/// Bytes that are read at a time of a payload that is too large to be held.
pub(crate) const PIECE_BYTES: u64 = 256 << 10;

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

const CUT_SHORT: ReadFailed = ReadFailed::Damaged(Malformed::Because("is cut short"));
const FAILS: ReadFailed = ReadFailed::Damaged(Malformed::Because("has a payload that fails its checksum"));

/// Reads the record of `segment` whose header begins at `offset` and whose payload is `length`
/// bytes, in one go; checks that it is this record and that header and payload are whole.
pub(crate) fn read_record(
    file: &dyn DiskFile,
    segment: SegmentId,
    offset: u64,
    length: u32,
) -> Result<(Record, Bytes), ReadFailed> {
    let mut buffer = vec![0; Record::BYTES + length as usize];
    let read = read_full_at(file, &mut buffer, offset)?;
    let (header, payload) = buffer.split_first_chunk().ok_or(CUT_SHORT)?;
    let record = belonging(header, segment, offset, length)?;
    if read < buffer.len() {
        return Err(CUT_SHORT);
    }
    if checksum(payload) != record.payload_crc {
        return Err(FAILS);
    }
    let bytes = Bytes::from(buffer);
    Ok((record, bytes.slice(Record::BYTES..)))
}

/// The header, if it is that of the record that belongs there.
fn belonging(
    header: &[u8; Record::BYTES],
    segment: SegmentId,
    offset: u64,
    length: u32,
) -> Result<Record, ReadFailed> {
    let (record, _) = Record::decode(header).map_err(ReadFailed::Damaged)?;
    if record.segment != segment || record.offset != offset || record.length != length {
        return Err(ReadFailed::Damaged(Malformed::Because("is not the one that belongs here")));
    }
    Ok(record)
}

/// A payload in its file. Its record's header was read and is the right one.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    file: Arc<dyn DiskFile>,
    pub(crate) record: Record,
}

impl Placed {
    /// Reads the header at `offset` and checks that it belongs to a payload of `length` bytes in
    /// `segment`.
    pub(crate) fn open(
        file: &Arc<dyn DiskFile>,
        segment: SegmentId,
        offset: u64,
        length: u32,
    ) -> Result<Self, ReadFailed> {
        let header = read_block_at(file.as_ref(), offset)?.ok_or(CUT_SHORT)?;
        Ok(Self { file: Arc::clone(file), record: belonging(&header, segment, offset, length)? })
    }

    /// Reads all of the payload once, piece by piece, and checks it.
    pub(crate) fn verify(&self) -> Result<(), ReadFailed> {
        let (mut crc, mut at) = (0, 0);
        let length = u64::from(self.record.length);
        while at < length {
            let end = length.min(at + PIECE_BYTES);
            crc = checksum_more(crc, &self.read(at..end)?);
            at = end;
        }
        if crc == self.record.payload_crc { Ok(()) } else { Err(FAILS) }
    }

    /// Whether `head` followed by the content, which has `content_bytes`, is the payload: the
    /// checksums of both tell that of the head.
    pub(crate) fn has_head(&self, head: &[u8], content_bytes: u64) -> bool {
        let whole = checksum_joined(head, (self.record.content_crc, content_bytes as usize));
        whole == self.record.payload_crc
    }

    /// The bytes in `range` of the payload as they are stored, unchecked. The range lies in the
    /// payload.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Bytes, ReadFailed> {
        let mut buffer = vec![0; range.end.saturating_sub(range.start) as usize];
        let offset = self.record.offset + Record::BYTES_U64 + range.start;
        if read_full_at(self.file.as_ref(), &mut buffer, offset)? < buffer.len() {
            return Err(CUT_SHORT);
        }
        Ok(buffer.into())
    }
}
