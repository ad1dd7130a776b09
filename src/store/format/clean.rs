//! The file that exists while, and only while, the last shutdown was orderly.

use bytes::{Buf, BufMut};
use kinora_base::StreamName;

use super::{Malformed, VERSION, checksum};

/// How an orderly shutdown left one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CleanStream {
    pub(crate) name: StreamName,
    /// The number its next fragment gets.
    pub(crate) next_number: u64,
    /// The identifier its next codec configuration gets.
    pub(crate) next_configuration: u32,
    pub(crate) epoch: u64,
    /// First number of its open segment; 0 if it has none.
    pub(crate) open_first: u64,
    /// Where the records of its open segment end.
    pub(crate) open_end: u64,
    /// First number of its newest sealed segment, all of which the index has; 0 if it has none, the
    /// highest number if the index lacks some.
    pub(crate) newest_sealed: u64,
}

/// What the file `clean` in the data directory holds, `FORMAT.md` "Clean file".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Clean {
    pub(crate) streams: Vec<CleanStream>,
}

impl Clean {
    /// The file's name.
    pub(crate) const NAME: &'static str = "clean";
    const MAGIC: [u8; 8] = *b"KNRCLEAN";

    /// The file's content.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_slice(&Self::MAGIC);
        bytes.put_u16_le(VERSION);
        bytes.put_u16_le(0);
        bytes.put_u32_le(self.streams.len() as u32);
        for stream in &self.streams {
            let name = stream.name.as_str().as_bytes();
            bytes.put_u16_le(name.len() as u16);
            bytes.put_slice(name);
            bytes.put_u64_le(stream.next_number);
            bytes.put_u32_le(stream.next_configuration);
            bytes.put_u64_le(stream.epoch);
            bytes.put_u64_le(stream.open_first);
            bytes.put_u64_le(stream.open_end);
            bytes.put_u64_le(stream.newest_sealed);
        }
        let crc = checksum(&bytes);
        bytes.put_u32_le(crc);
        bytes
    }

    /// Reads the file's content.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        const SHORT: Malformed = Malformed::Because("is cut short");
        let (mut body, crc) = bytes.split_last_chunk::<4>().ok_or(SHORT)?;
        if checksum(body) != u32::from_le_bytes(*crc) {
            return Err(Malformed::Because("fails its checksum"));
        }
        body = body.strip_prefix(&Self::MAGIC).ok_or(Malformed::Because("is no clean file"))?;
        let version = body.try_get_u16_le().map_err(|_| SHORT)?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        body.try_get_u16_le().map_err(|_| SHORT)?;
        let count = body.try_get_u32_le().map_err(|_| SHORT)?;
        let mut streams = Vec::new();
        for _ in 0..count {
            let length = usize::from(body.try_get_u16_le().map_err(|_| SHORT)?);
            let (name, rest) = body.split_at_checked(length).ok_or(SHORT)?;
            body = rest;
            let name = std::str::from_utf8(name).ok().and_then(|name| StreamName::new(name).ok());
            streams.push(CleanStream {
                name: name.ok_or(Malformed::Because("names no stream"))?,
                next_number: body.try_get_u64_le().map_err(|_| SHORT)?,
                next_configuration: body.try_get_u32_le().map_err(|_| SHORT)?,
                epoch: body.try_get_u64_le().map_err(|_| SHORT)?,
                open_first: body.try_get_u64_le().map_err(|_| SHORT)?,
                open_end: body.try_get_u64_le().map_err(|_| SHORT)?,
                newest_sealed: body.try_get_u64_le().map_err(|_| SHORT)?,
            });
        }
        Ok(Self { streams })
    }
}
