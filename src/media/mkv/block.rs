//! The inside of a Block or SimpleBlock: track, relative time, flags and lacing (RFC 9559 §10).
//!
//! It knows bytes and frame sizes, not tracks or times.

use super::ebml::{Vint, vint};
use super::limit::MAX_LACED_FRAMES;

/// A block's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) track: u64,
    /// Timestamp relative to the Cluster's, in Segment ticks.
    pub(super) relative: i16,
    /// The key frame flag, which only a SimpleBlock has.
    pub(super) key: bool,
    pub(super) lacing: Lacing,
    /// Bytes before the lacing header or the frame.
    pub(super) length: usize,
}

/// How several frames share a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lacing {
    None,
    Xiph,
    Fixed,
    Ebml,
}

impl Block {
    /// Reads the header at the front of a block's data.
    #[inline]
    pub(super) fn parse(data: &[u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "is too short for its own header";
        let (track, used) = match vint(data) {
            Vint::Value { value, length, .. } => (value, length),
            Vint::More => return Err(SHORT),
            Vint::Invalid => return Err("does not begin with a track number"),
        };
        let Some(&[high, low, flags]) = data.get(used..used + 3) else { return Err(SHORT) };
        let lacing = match flags & 0x06 {
            0x00 => Lacing::None,
            0x02 => Lacing::Xiph,
            0x04 => Lacing::Fixed,
            _ => Lacing::Ebml,
        };
        let relative = i16::from_be_bytes([high, low]);
        Ok(Self { track, relative, key: flags & 0x80 != 0, lacing, length: used + 3 })
    }
}

/// Reads the lacing header at the front of `data` (the block after its header) into `sizes`, the
/// frames' sizes in order, and says how many bytes the lacing header has. The frames then fill the
/// rest exactly.
pub(super) fn lace(lacing: Lacing, data: &[u8], sizes: &mut Vec<usize>) -> Result<usize, &'static str> {
    const SHORT: &str = "ends inside its lacing header";
    sizes.clear();
    if lacing == Lacing::None {
        sizes.push(data.len());
        return Ok(0);
    }
    let (&last, rest) = data.split_first().ok_or(SHORT)?;
    let count = usize::from(last) + 1;
    debug_assert!(count <= MAX_LACED_FRAMES);
    let mut reader = Reader { rest };
    match lacing {
        Lacing::None => {}
        Lacing::Fixed => {
            // Frames of no bytes would make any number of frames out of nothing.
            if rest.is_empty() || rest.len() % count != 0 {
                return Err("is laced with a fixed size that does not divide its length");
            }
            sizes.resize(count, rest.len() / count);
            return Ok(1);
        }
        Lacing::Xiph => {
            for _ in 1..count {
                sizes.push(reader.xiph().ok_or(SHORT)?);
            }
        }
        Lacing::Ebml => {
            let mut size = 0_i64;
            for index in 1..count {
                size = if index == 1 { reader.size()? } else { size + reader.difference()? };
                let checked = usize::try_from(size).ok().filter(|&size| size <= data.len());
                sizes.push(checked.ok_or("holds a laced frame longer than the block, or of negative size")?);
            }
        }
    }
    let laced = sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size));
    let last = laced.and_then(|laced| reader.rest.len().checked_sub(laced));
    sizes.push(last.ok_or("holds laced frames that are longer than the block")?);
    Ok(data.len() - reader.rest.len())
}

/// The lacing header from where it has been read to.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// A size as a run of 255s and a smaller byte (§10.3.2).
    fn xiph(&mut self) -> Option<usize> {
        let mut size = 0_usize;
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            size = size.checked_add(usize::from(byte))?;
            if byte < 255 {
                return Some(size);
            }
        }
    }

    /// The first size of EBML lacing (§10.3.3).
    fn size(&mut self) -> Result<i64, &'static str> {
        self.vint().map(|(value, _)| value)
    }

    /// A later size of EBML lacing: the difference to the one before, offset to be unsigned.
    fn difference(&mut self) -> Result<i64, &'static str> {
        self.vint().map(|(value, length)| value - ((1_i64 << (7 * length - 1)) - 1))
    }

    fn vint(&mut self) -> Result<(i64, usize), &'static str> {
        match vint(self.rest) {
            Vint::Value { value, length, .. } => {
                self.rest = self.rest.get(length..).unwrap_or_default();
                // At most 56 bits.
                Ok((value as i64, length))
            }
            Vint::More => Err("ends inside its lacing header"),
            Vint::Invalid => Err("holds a laced size longer than eight bytes"),
        }
    }
}
