//! Reading one record's payload back: whole and checked, or checked once and then range by range.
//! What is encrypted is checked chunk by chunk instead, as far as it is read.
//!
//! Which payloads were checked before is remembered elsewhere.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{DiskFile, read_block_at, read_full_at};
use crate::format::{
    CHUNK_BYTES, Malformed, Record, SALT_BYTES, SegmentId, checksum, checksum_joined, checksum_more,
    chunks_of, stored_length, stored_range,
};
use crate::keys::{RecordCipher, StreamKeys};

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
const ANOTHER: ReadFailed = ReadFailed::Damaged(Malformed::Because("is not the one that belongs here"));
const NO_KEY: ReadFailed =
    ReadFailed::Damaged(Malformed::Because("is encrypted, and no encryption key was given"));
const FAILS: ReadFailed = ReadFailed::Damaged(Malformed::Because("has a payload that fails its checksum"));

/// Reads the record of `segment` whose header begins at `offset` and whose payload as stored is
/// `length` bytes, in one go; checks that it is this record and that header and payload are whole.
pub(crate) fn read_record(
    file: &dyn DiskFile,
    segment: SegmentId,
    offset: u64,
    length: u32,
) -> Result<(Record, Bytes), ReadFailed> {
    let mut buffer = vec![0; Record::BYTES + length as usize];
    let read = read_full_at(file, &mut buffer, offset)?;
    let (header, payload) = buffer.split_first_chunk().ok_or(CUT_SHORT)?;
    let record = belonging(header, segment, offset)?;
    if record.length != length {
        return Err(ANOTHER);
    }
    if read < buffer.len() {
        return Err(CUT_SHORT);
    }
    if checksum(payload) != record.payload_crc {
        return Err(FAILS);
    }
    let bytes = Bytes::from(buffer);
    Ok((record, bytes.slice(Record::BYTES..)))
}

/// The whole record, as stored, of the codec configuration at `offset`.
pub(crate) fn read_configuration(
    file: &dyn DiskFile,
    segment: SegmentId,
    offset: u64,
) -> Result<Bytes, ReadFailed> {
    let header = read_block_at(file, offset)?.ok_or(CUT_SHORT)?;
    let length = belonging(&header, segment, offset)?.length;
    let (record, payload) = read_record(file, segment, offset, length)?;
    Ok(record.with_payload(&payload))
}

/// As [`read_record`], but of the payload before it was encrypted, if it was: it has `length` bytes
/// and is given like that.
pub(crate) fn read_decrypted(
    file: &dyn DiskFile,
    segment: SegmentId,
    (offset, length): (u64, u32),
    keys: &StreamKeys,
) -> Result<(Record, Bytes), ReadFailed> {
    let most = if keys.are_given() { stored_length(length) } else { u64::from(length) };
    let mut buffer = vec![0; Record::BYTES + most as usize];
    let read = read_full_at(file, &mut buffer, offset)?;
    buffer.truncate(read);
    let record = belonging(buffer.first_chunk().ok_or(CUT_SHORT)?, segment, offset)?;
    if record.plain_length() != length {
        return Err(ANOTHER);
    }
    if record.key != 0 && !keys.are_given() {
        return Err(NO_KEY);
    }
    let end = Record::BYTES + record.length as usize;
    if buffer.len() < end {
        return Err(CUT_SHORT);
    }
    let payload = Bytes::from(buffer).slice(Record::BYTES..end);
    if checksum(&payload) != record.payload_crc {
        return Err(FAILS);
    }
    let plain = keys.decrypt(&record, payload).map_err(ReadFailed::Damaged)?;
    Ok((record, plain))
}

/// Whether the record that begins at `offset` is stored as it was written. No key is needed.
pub(crate) fn is_stored_whole(file: &dyn DiskFile, segment: SegmentId, offset: u64) -> bool {
    let header = read_block_at(file, offset).ok().flatten();
    let record = header.and_then(|header| belonging(&header, segment, offset).ok());
    record.is_some_and(|record| read_record(file, segment, offset, record.length).is_ok())
}

/// The header, if it is that of the record that belongs there.
fn belonging(header: &[u8; Record::BYTES], segment: SegmentId, offset: u64) -> Result<Record, ReadFailed> {
    let (record, _) = Record::decode(header).map_err(ReadFailed::Damaged)?;
    if record.segment == segment && record.offset == offset { Ok(record) } else { Err(ANOTHER) }
}

/// A payload in its file. Its record's header was read and is the right one.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    file: Arc<dyn DiskFile>,
    pub(crate) record: Record,
    /// If the payload is encrypted.
    cipher: Option<Arc<RecordCipher>>,
}

impl Placed {
    /// Reads the header at `offset` and checks that it belongs to a payload of `length` bytes,
    /// once it is decrypted, in `segment`.
    pub(crate) fn open(
        file: &Arc<dyn DiskFile>,
        segment: SegmentId,
        (offset, length): (u64, u32),
        keys: &StreamKeys,
    ) -> Result<Self, ReadFailed> {
        let header = read_block_at(file.as_ref(), offset)?.ok_or(CUT_SHORT)?;
        let record = belonging(&header, segment, offset)?;
        if record.plain_length() != length {
            return Err(ANOTHER);
        }
        let mut cipher = None;
        if record.key != 0 {
            let salt = read_block_at::<SALT_BYTES>(file.as_ref(), offset + Record::BYTES_U64)?;
            let made = keys.cipher(&record, &salt.ok_or(CUT_SHORT)?).map_err(ReadFailed::Damaged)?;
            cipher = Some(Arc::new(made));
        }
        Ok(Self { file: Arc::clone(file), record, cipher })
    }

    /// Reads all of the payload once, piece by piece, and checks it; but what is encrypted, whose
    /// every chunk is checked whenever it is read.
    pub(crate) fn verify(&self) -> Result<(), ReadFailed> {
        if self.cipher.is_some() {
            return Ok(());
        }
        let (mut crc, mut at) = (0, 0);
        let length = u64::from(self.record.length);
        while at < length {
            let end = length.min(at + PIECE_BYTES);
            crc = checksum_more(crc, &self.stored(at..end)?);
            at = end;
        }
        if crc == self.record.payload_crc { Ok(()) } else { Err(FAILS) }
    }

    /// Whether `head` followed by the content, which has `content_bytes`, is the payload: the
    /// checksums of both tell that of the head. A head that was encrypted is the right one.
    pub(crate) fn has_head(&self, head: &[u8], content_bytes: u64) -> bool {
        if self.cipher.is_some() {
            return true;
        }
        let whole = checksum_joined(head, (self.record.content_crc, content_bytes as usize));
        whole == self.record.payload_crc
    }

    /// The bytes in `range` of the payload, which it lies in: decrypted and their tags checked, or
    /// else as they are stored and unchecked.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Bytes, ReadFailed> {
        let Some(cipher) = &self.cipher else { return self.stored(range) };
        let plain = cipher.plain();
        let chunks = chunks_of(range.start as u32..range.end as u32, plain);
        let stored = self.stored(stored_range(chunks.clone(), plain))?;
        let opened = cipher.open(&stored, chunks.clone()).map_err(ReadFailed::Damaged)?;
        let skip = range.start as usize - chunks.start as usize * CHUNK_BYTES;
        let end = skip + range.end.saturating_sub(range.start) as usize;
        // A slice of what was decrypted would keep all of its chunks in memory.
        Ok(Bytes::copy_from_slice(opened.get(skip..end).ok_or(CUT_SHORT)?))
    }

    /// The bytes in `range` of the payload as they are stored, unchecked.
    fn stored(&self, range: Range<u64>) -> Result<Bytes, ReadFailed> {
        let mut buffer = vec![0; range.end.saturating_sub(range.start) as usize];
        let offset = self.record.offset + Record::BYTES_U64 + range.start;
        if read_full_at(self.file.as_ref(), &mut buffer, offset)? < buffer.len() {
            return Err(CUT_SHORT);
        }
        Ok(buffer.into())
    }
}
