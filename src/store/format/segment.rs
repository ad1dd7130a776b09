//! The two ends of a segment file: its header and, once sealed, its trailer.

use bytes::{Buf, BufMut};
use kinora_base::{StreamName, WallTime};

use super::stream::{get_name, put_name};
use super::{Counts, Malformed, VERSION, checked_body, checksum, sealed_block};

/// Distinguishes every segment ever written from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct SegmentId(pub(crate) [u8; 16]);

impl SegmentId {
    /// The identifier of the segment of `stream` that begins at `first`. Numbers are never reused
    /// in a stream, so `first` tells its segments apart; the name and the microsecond at which
    /// stream and segment were made tell streams of one name, and servers, apart. No randomness
    /// is needed for that.
    pub(crate) fn derive(
        stream: &StreamName,
        stream_created: WallTime,
        first: u64,
        segment_created: WallTime,
    ) -> Self {
        let mut seed = Vec::with_capacity(stream.as_str().len() + 24);
        seed.put_i64_le(stream_created.as_micros());
        seed.put_u64_le(first);
        seed.put_i64_le(segment_created.as_micros());
        seed.put_slice(stream.as_str().as_bytes());
        let low = checksum(&seed);
        seed.reverse();
        let high = checksum(&seed);
        let mut id = [0; 16];
        let parts = (segment_created.as_micros() as u64).to_be_bytes().into_iter();
        let parts = parts.chain(low.to_be_bytes()).chain((high ^ first as u32).to_be_bytes());
        for (to, from) in id.iter_mut().zip(parts) {
            *to = from;
        }
        Self(id)
    }
}

/// The header of a segment, `FORMAT.md` "Segment header".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) id: SegmentId,
    /// Epoch of the writer it was begun for.
    pub(crate) epoch: u64,
    /// No fragment in it has a lower number.
    pub(crate) first: u64,
    /// Ordinal of its first fragment.
    pub(crate) first_ordinal: u64,
    pub(crate) created: WallTime,
    pub(crate) stream: StreamName,
}

impl SegmentHeader {
    /// Length in bytes.
    pub(crate) const BYTES: usize = 512;
    /// `BYTES` as a file offset: where the first record begins.
    pub(crate) const BYTES_U64: u64 = Self::BYTES as u64;
    const MAGIC: [u8; 8] = *b"KNRSEGMT";

    /// The header as stored, and its checksum.
    pub(crate) fn encode(&self) -> ([u8; Self::BYTES], u32) {
        let mut body = Vec::with_capacity(Self::BYTES);
        body.put_slice(&Self::MAGIC);
        body.put_u16_le(VERSION);
        body.put_u16_le(Self::BYTES as u16);
        body.put_u32_le(0);
        body.put_slice(&self.id.0);
        body.put_u64_le(self.epoch);
        body.put_u64_le(self.first);
        body.put_u64_le(self.first_ordinal);
        body.put_i64_le(self.created.as_micros());
        put_name(&mut body, &self.stream);
        let block = sealed_block::<{ Self::BYTES }>(&body);
        let crc = block.last_chunk::<4>().map_or(0, |tail| u32::from_le_bytes(*tail));
        (block, crc)
    }

    /// Reads a header and its checksum.
    pub(crate) fn decode(block: &[u8; Self::BYTES]) -> Result<(Self, u32), Malformed> {
        if !block.starts_with(&Self::MAGIC) {
            return Err(Malformed::Because("does not begin with a segment header"));
        }
        let (mut body, crc) = checked_body(block)?;
        body.advance(8);
        let version = body.get_u16_le();
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        body.advance(6);
        let mut id = SegmentId::default();
        body.copy_to_slice(&mut id.0);
        let (epoch, first, first_ordinal) = (body.get_u64_le(), body.get_u64_le(), body.get_u64_le());
        let created = WallTime::from_micros(body.get_i64_le());
        let stream = get_name(body)?;
        Ok((Self { id, epoch, first, first_ordinal, created, stream }, crc))
    }
}

/// The end of a sealed segment, `FORMAT.md` "Trailer".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) id: SegmentId,
    /// Where the records end and the footer begins.
    pub(crate) footer_offset: u64,
    /// Entries in the footer: the fragments', the configurations', the stops'.
    pub(crate) counts: Counts,
    pub(crate) footer_crc: u32,
    /// Checksum of the last record's header: the end of the chain.
    pub(crate) last_crc: u32,
    /// Highest number that is spent, at least the last fragment's.
    pub(crate) spent: u64,
    /// Highest epoch of its records.
    pub(crate) epoch: u64,
    /// Recovery found a damaged record in it and sealed it off.
    pub(crate) damaged: bool,
}

impl Trailer {
    /// Length in bytes.
    pub(crate) const BYTES: usize = 128;
    /// `BYTES` as a file offset.
    pub(crate) const BYTES_U64: u64 = Self::BYTES as u64;
    const MAGIC: [u8; 8] = *b"KNRTRAIL";
    const DAMAGED: u32 = 1;

    /// The trailer as stored.
    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let mut body = Vec::with_capacity(Self::BYTES);
        body.put_slice(&Self::MAGIC);
        body.put_u16_le(VERSION);
        body.put_u16_le(Self::BYTES as u16);
        body.put_u32_le(if self.damaged { Self::DAMAGED } else { 0 });
        body.put_slice(&self.id.0);
        body.put_u64_le(self.footer_offset);
        body.put_u32_le(self.counts.fragments);
        body.put_u32_le(self.counts.configurations);
        body.put_u32_le(self.footer_crc);
        body.put_u32_le(self.last_crc);
        body.put_u64_le(self.spent);
        body.put_u64_le(self.epoch);
        body.put_u32_le(self.counts.stops);
        sealed_block(&body)
    }

    /// Reads a trailer.
    pub(crate) fn decode(block: &[u8; Self::BYTES]) -> Result<Self, Malformed> {
        if !block.starts_with(&Self::MAGIC) {
            return Err(Malformed::Because("does not end with a trailer"));
        }
        let (mut body, _) = checked_body(block)?;
        body.advance(8);
        let version = body.get_u16_le();
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        body.advance(2);
        let flags = body.get_u32_le();
        let mut id = SegmentId::default();
        body.copy_to_slice(&mut id.0);
        let footer_offset = body.get_u64_le();
        let (fragments, configurations) = (body.get_u32_le(), body.get_u32_le());
        let (footer_crc, last_crc) = (body.get_u32_le(), body.get_u32_le());
        let (spent, epoch) = (body.get_u64_le(), body.get_u64_le());
        let counts = Counts { fragments, configurations, stops: body.get_u32_le() };
        let damaged = flags & Self::DAMAGED != 0;
        Ok(Self { id, footer_offset, counts, footer_crc, last_crc, spent, epoch, damaged })
    }
}
