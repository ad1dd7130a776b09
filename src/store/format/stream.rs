//! The small file in a stream's folder that says when the stream was created.

use bytes::{Buf, BufMut};
use kinora_base::WallTime;

use super::{Malformed, VERSION, checked_body, sealed_block};

/// What the file `stream` in a stream's folder holds, `FORMAT.md` "Stream file".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamFile {
    pub(crate) created: WallTime,
}

impl StreamFile {
    /// Length in bytes.
    pub(crate) const BYTES: usize = 64;
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
        Ok(Self { created: WallTime::from_micros(body.get_i64_le()) })
    }
}
