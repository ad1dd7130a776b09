//! The small file in a stream's folder that says which stream it is and when it was created.

use bytes::{Buf, BufMut};
use kinora_base::{StreamName, WallTime};

use super::{Malformed, VERSION, checked_body, sealed_block};

/// What the file `stream` in a stream's folder holds, `FORMAT.md` "Stream file".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamFile {
    pub(crate) name: StreamName,
    pub(crate) created: WallTime,
}

impl StreamFile {
    /// Length in bytes.
    pub(crate) const BYTES: usize = 512;
    /// The file's name.
    pub(crate) const NAME: &'static str = "stream";
    const MAGIC: [u8; 8] = *b"KNRSTREM";

    /// The file's content.
    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let mut body = Vec::with_capacity(Self::BYTES);
        body.put_slice(&Self::MAGIC);
        body.put_u16_le(VERSION);
        body.put_slice(&[0; 6]);
        body.put_i64_le(self.created.as_micros());
        put_name(&mut body, &self.name);
        sealed_block(&body)
    }

    /// Reads the file's content.
    pub(crate) fn decode(block: &[u8; Self::BYTES]) -> Result<Self, Malformed> {
        if !block.starts_with(&Self::MAGIC) {
            return Err(Malformed::Because("is no stream file"));
        }
        let (mut body, _) = checked_body(block)?;
        body.advance(8);
        let version = body.get_u16_le();
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        body.advance(6);
        let created = WallTime::from_micros(body.get_i64_le());
        Ok(Self { name: get_name(body)?, created })
    }
}

/// Adds a stream's name with its length before it.
pub(super) fn put_name(to: &mut Vec<u8>, name: &StreamName) {
    let name = name.as_str().as_bytes();
    to.put_u16_le(name.len() as u16);
    to.put_slice(name);
}

/// Reads a stream's name with its length before it.
pub(super) fn get_name(mut from: &[u8]) -> Result<StreamName, Malformed> {
    let length = from.try_get_u16_le().map_or(0, usize::from);
    from.get(..length)
        .and_then(|name| std::str::from_utf8(name).ok())
        .and_then(|name| StreamName::new(name).ok())
        .ok_or(Malformed::Because("names no stream"))
}
