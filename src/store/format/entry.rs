//! The footer of a sealed segment: 56 bytes per fragment, 8 per codec configuration, 8
//! per stop.
//!
//! The index of an open segment consists of the same entries in memory.

use bytes::{Buf, BufMut};
use kinora_base::{FragmentNumber, WallTime};

use super::{Malformed, Record, checksum};
use crate::{ConfigurationId, Flags, Fragment, State};

/// Where a fragment lies in its segment, and what is known of it. Number and ordinal are relative
/// to the segment's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its number less the segment's first.
    pub(crate) number: u32,
    /// Where its record header begins.
    pub(crate) offset: u32,
    pub(crate) producer_time: WallTime,
    pub(crate) server_time: WallTime,
    pub(crate) duration_us: u32,
    /// Payload bytes before they were encrypted, if they were.
    pub(crate) length: u32,
    pub(crate) configuration: u16,
    pub(crate) flags: u16,
    pub(crate) payload_crc: u32,
    pub(crate) content_crc: u32,
    pub(crate) discontinuities: u32,
    pub(crate) media_us: i64,
}

impl Entry {
    /// Length in bytes.
    pub(crate) const BYTES: usize = 56;

    /// The entry of a fragment's `record` in a segment that begins at number `first`.
    pub(crate) fn new(record: &Record, first: u64) -> Self {
        Self {
            number: record.number.saturating_sub(first) as u32,
            offset: record.offset as u32,
            producer_time: record.producer_time,
            server_time: record.server_time,
            duration_us: record.duration_us as u32,
            length: record.plain_length(),
            configuration: record.configuration as u16,
            flags: record.flags,
            payload_crc: record.payload_crc,
            content_crc: record.content_crc,
            discontinuities: record.discontinuities,
            media_us: record.media_us,
        }
    }

    fn encode(&self, to: &mut Vec<u8>) {
        to.put_u32_le(self.number);
        to.put_u32_le(self.offset);
        to.put_i64_le(self.producer_time.as_micros());
        to.put_i64_le(self.server_time.as_micros());
        to.put_u32_le(self.duration_us);
        to.put_u32_le(self.length);
        to.put_u16_le(self.configuration);
        to.put_u16_le(self.flags);
        to.put_u32_le(self.payload_crc);
        to.put_u32_le(self.content_crc);
        to.put_u32_le(self.discontinuities);
        to.put_i64_le(self.media_us);
    }

    fn decode(mut from: &[u8]) -> Self {
        Self {
            number: from.get_u32_le(),
            offset: from.get_u32_le(),
            producer_time: WallTime::from_micros(from.get_i64_le()),
            server_time: WallTime::from_micros(from.get_i64_le()),
            duration_us: from.get_u32_le(),
            length: from.get_u32_le(),
            configuration: from.get_u16_le(),
            flags: from.get_u16_le(),
            payload_crc: from.get_u32_le(),
            content_crc: from.get_u32_le(),
            discontinuities: from.get_u32_le(),
            media_us: from.get_i64_le(),
        }
    }

    /// The durable fragment that this entry of a segment means, which begins at number `first`,
    /// given the fragment's `ordinal`.
    pub(crate) fn fragment(&self, first: u64, ordinal: u64) -> Fragment {
        Fragment {
            number: FragmentNumber::new(first.saturating_add(u64::from(self.number)))
                .unwrap_or(FragmentNumber::FIRST),
            ordinal,
            producer_time: self.producer_time,
            server_time: self.server_time,
            media_us: self.media_us,
            duration_us: u64::from(self.duration_us),
            bytes: self.length,
            configuration: ConfigurationId(u32::from(self.configuration)),
            flags: Flags::from_bits(self.flags),
            content_crc: self.content_crc,
            discontinuities: self.discontinuities,
            state: State::Persisted,
        }
    }
}

/// Where a segment holds a codec configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConfigurationEntry {
    pub(crate) id: u32,
    /// Where its record header begins.
    pub(crate) offset: u32,
}

impl ConfigurationEntry {
    /// Length in bytes.
    pub(crate) const BYTES: usize = 8;
}

/// Where a segment holds a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StopEntry {
    /// Where its record header begins.
    pub(crate) offset: u32,
    /// Payload bytes.
    pub(crate) length: u32,
}

impl StopEntry {
    /// Length in bytes.
    pub(crate) const BYTES: usize = 8;

    /// The entry of a stop's `record`.
    pub(crate) fn new(record: &Record) -> Self {
        Self { offset: record.offset as u32, length: record.length }
    }
}

/// How many entries of each kind a footer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) fragments: u32,
    pub(crate) configurations: u32,
    pub(crate) stops: u32,
}

/// The whole footer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Footer {
    /// In arrival order.
    pub(crate) entries: Vec<Entry>,
    pub(crate) configurations: Vec<ConfigurationEntry>,
    pub(crate) stops: Vec<StopEntry>,
}

impl Footer {
    /// How long a footer of so many entries is.
    pub(crate) fn length(counts: Counts) -> u64 {
        u64::from(counts.fragments) * Entry::BYTES as u64
            + u64::from(counts.configurations) * ConfigurationEntry::BYTES as u64
            + u64::from(counts.stops) * StopEntry::BYTES as u64
    }

    /// How many entries it has.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            fragments: self.entries.len() as u32,
            configurations: self.configurations.len() as u32,
            stops: self.stops.len() as u32,
        }
    }

    /// The footer as stored, and its checksum.
    pub(crate) fn encode(&self) -> (Vec<u8>, u32) {
        let mut bytes = Vec::with_capacity(Self::length(self.counts()) as usize);
        for entry in &self.entries {
            entry.encode(&mut bytes);
        }
        for configuration in &self.configurations {
            bytes.put_u32_le(configuration.id);
            bytes.put_u32_le(configuration.offset);
        }
        for stop in &self.stops {
            bytes.put_u32_le(stop.offset);
            bytes.put_u32_le(stop.length);
        }
        let crc = checksum(&bytes);
        (bytes, crc)
    }

    /// Reads a footer with so many entries and the checksum `crc`.
    pub(crate) fn decode(bytes: &[u8], counts: Counts, crc: u32) -> Result<Self, Malformed> {
        if checksum(bytes) != crc {
            return Err(Malformed::Because("has a footer that fails its checksum"));
        }
        let short = Malformed::Because("has a footer that is too short");
        let (entries, rest) =
            bytes.split_at_checked(counts.fragments as usize * Entry::BYTES).ok_or(short)?;
        let (configurations, stops) =
            rest.split_at_checked(counts.configurations as usize * ConfigurationEntry::BYTES).ok_or(short)?;
        Ok(Self {
            entries: entries.chunks_exact(Entry::BYTES).map(Entry::decode).collect(),
            configurations: configurations
                .chunks_exact(ConfigurationEntry::BYTES)
                .map(|mut from| ConfigurationEntry { id: from.get_u32_le(), offset: from.get_u32_le() })
                .collect(),
            stops: stops
                .chunks_exact(StopEntry::BYTES)
                .map(|mut from| StopEntry { offset: from.get_u32_le(), length: from.get_u32_le() })
                .collect(),
        })
    }
}
