//! The header of a record in a segment: a fragment, a codec configuration, a mark or a stop.
//!
//! What follows the header (the payload) is opaque here.

use bytes::{Buf, BufMut, Bytes};
use kinora_base::WallTime;

use super::{Malformed, SegmentId, VERSION, checked_body, plain_length, sealed_block};

/// What a record is. The numeric values are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A fragment; its payload follows.
    Fragment = 1,
    /// A codec configuration that fragments after it in the same segment refer to.
    Configuration = 2,
    /// No payload: `number` and all below it are spent and will not be given to a fragment.
    Mark = 3,
    /// Media ended: `producer_time` is where, `server_time` when that was noticed, `flags` the
    /// cause, `number` the highest number before it, the payload more in words.
    Stop = 4,
}

/// A record's header, `FORMAT.md` "Record".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    /// [`crate::Flags`] of a fragment, the cause of a stop, else 0.
    pub(crate) flags: u16,
    /// The segment it was written to: bytes of another segment are no record here.
    pub(crate) segment: SegmentId,
    /// Where in the file it was written: bytes elsewhere are no record.
    pub(crate) offset: u64,
    /// The writer's epoch.
    pub(crate) epoch: u64,
    /// Fragment: its number. Mark and stop: the highest spent number. Configuration: 0.
    pub(crate) number: u64,
    pub(crate) ordinal: u64,
    pub(crate) producer_time: WallTime,
    pub(crate) server_time: WallTime,
    pub(crate) duration_us: u64,
    /// Payload bytes that follow, as stored.
    pub(crate) length: u32,
    /// Fragment: the configuration it needs. Configuration: its identifier.
    pub(crate) configuration: u32,
    /// The data key it is encrypted with; 0 for none.
    pub(crate) key: u32,
    pub(crate) payload_crc: u32,
    /// Checksum of the record header before it, of the segment header for the first: the chain.
    pub(crate) previous_crc: u32,
    /// Everything before this offset was durable when the record was written.
    pub(crate) durable_to: u64,
    /// Fragment: see [`crate::Fragment::content_crc`].
    pub(crate) content_crc: u32,
    /// Fragment: see [`crate::Fragment::discontinuities`].
    pub(crate) discontinuities: u32,
    /// Fragment: see [`crate::Fragment::media_us`].
    pub(crate) media_us: i64,
}

impl Record {
    /// Length of a header in bytes.
    pub(crate) const BYTES: usize = 128;
    /// `BYTES` as a file offset.
    pub(crate) const BYTES_U64: u64 = Self::BYTES as u64;
    /// What a header begins with.
    pub(crate) const MAGIC: [u8; 4] = *b"KNRr";

    /// The header as stored, and its checksum.
    pub(crate) fn encode(&self) -> ([u8; Self::BYTES], u32) {
        let mut body = Vec::with_capacity(Self::BYTES);
        body.put_slice(&Self::MAGIC);
        body.put_u8(VERSION as u8);
        body.put_u8(self.kind as u8);
        body.put_u16_le(self.flags);
        body.put_slice(&self.segment.0);
        body.put_u64_le(self.offset);
        body.put_u64_le(self.epoch);
        body.put_u64_le(self.number);
        body.put_u64_le(self.ordinal);
        body.put_i64_le(self.producer_time.as_micros());
        body.put_i64_le(self.server_time.as_micros());
        body.put_u64_le(self.duration_us);
        body.put_u32_le(self.length);
        body.put_u32_le(self.configuration);
        body.put_u32_le(self.key);
        body.put_u32_le(self.payload_crc);
        body.put_u32_le(self.previous_crc);
        body.put_u64_le(self.durable_to);
        body.put_u32_le(self.content_crc);
        body.put_u32_le(self.discontinuities);
        body.put_i64_le(self.media_us);
        let block = sealed_block::<{ Self::BYTES }>(&body);
        let crc = block.last_chunk::<4>().map_or(0, |tail| u32::from_le_bytes(*tail));
        (block, crc)
    }

    /// The whole record as stored.
    pub(crate) fn with_payload(&self, payload: &[u8]) -> Bytes {
        Bytes::from([self.encode().0.as_slice(), payload].concat())
    }

    /// Reads a header and its checksum.
    pub(crate) fn decode(block: &[u8; Self::BYTES]) -> Result<(Self, u32), Malformed> {
        if !block.starts_with(&Self::MAGIC) {
            return Err(Malformed::Because("does not begin with a record header"));
        }
        let (mut body, crc) = checked_body(block)?;
        body.advance(4);
        let version = u16::from(body.get_u8());
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let kind = match body.get_u8() {
            1 => Kind::Fragment,
            2 => Kind::Configuration,
            3 => Kind::Mark,
            4 => Kind::Stop,
            _ => return Err(Malformed::Because("is of an unknown kind")),
        };
        let flags = body.get_u16_le();
        let mut segment = SegmentId([0; 16]);
        body.copy_to_slice(&mut segment.0);
        let record = Self {
            kind,
            flags,
            segment,
            offset: body.get_u64_le(),
            epoch: body.get_u64_le(),
            number: body.get_u64_le(),
            ordinal: body.get_u64_le(),
            producer_time: WallTime::from_micros(body.get_i64_le()),
            server_time: WallTime::from_micros(body.get_i64_le()),
            duration_us: body.get_u64_le(),
            length: body.get_u32_le(),
            configuration: body.get_u32_le(),
            key: body.get_u32_le(),
            payload_crc: body.get_u32_le(),
            previous_crc: body.get_u32_le(),
            durable_to: body.get_u64_le(),
            content_crc: body.get_u32_le(),
            discontinuities: body.get_u32_le(),
            media_us: body.get_i64_le(),
        };
        Ok((record, crc))
    }

    /// Bytes of its payload before it was encrypted, if it was.
    pub(crate) fn plain_length(&self) -> u32 {
        if self.key == 0 { self.length } else { plain_length(self.length).unwrap_or(0) }
    }

    /// Where the record after it begins.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(Self::BYTES_U64).saturating_add(u64::from(self.length))
    }
}
