//! NAL units: the two ways a frame frames them, and the bytes inside them.
//!
//! It knows neither H.264 nor H.265; where a rule needs the codec, the caller asks.

use bytes::{BufMut, Bytes, BytesMut};

/// How the NAL units of a frame are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Each is preceded by its length in so many bytes, 1 to 4 (ISO/IEC 14496-15 §5.3.2).
    Lengths(u8),
    /// Each is preceded by a start code (ITU-T H.264 annex B).
    StartCodes,
}

/// The length of the start code that `bytes` begins with.
pub(crate) const fn start_code_bytes(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0, 0, 1, ..] => Some(3),
        [0, 0, 0, 1, ..] => Some(4),
        _ => None,
    }
}

/// The NAL units of `frame` in order, without lengths and start codes. With lengths, the last
/// item is an error if a length reaches beyond the frame.
pub(crate) fn units(frame: &[u8], framing: Framing) -> Units<'_> {
    let rest = match framing {
        Framing::Lengths(_) => frame,
        Framing::StartCodes => after_start_code(frame),
    };
    Units { rest, framing }
}

/// A length that reaches beyond its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overrun {
    /// The length as written, or the count of bytes left where even the length is cut off.
    pub(crate) length: usize,
    /// Bytes that were left for it.
    pub(crate) left: usize,
}

/// See [`units`].
#[derive(Debug, Clone)]
pub(crate) struct Units<'a> {
    rest: &'a [u8],
    framing: Framing,
}

impl<'a> Iterator for Units<'a> {
    type Item = Result<&'a [u8], Overrun>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match self.framing {
            Framing::Lengths(size) => Some(self.next_by_length(usize::from(size))),
            Framing::StartCodes => {
                let (unit, rest) = match find_start_code(self.rest) {
                    Some(at) => self.rest.split_at(at),
                    None => (self.rest, &[][..]),
                };
                self.rest = after_start_code(rest);
                // Zero bytes before a start code belong to nobody (trailing_zero_8bits), and a
                // NAL unit never ends in one (H.264 §7.4.1).
                let end = unit.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
                Some(Ok(unit.get(..end).unwrap_or_default()))
            }
        }
    }
}

impl<'a> Units<'a> {
    fn next_by_length(&mut self, size: usize) -> Result<&'a [u8], Overrun> {
        let whole = std::mem::take(&mut self.rest);
        let Some((length, rest)) = whole.split_at_checked(size) else {
            return Err(Overrun { length: size, left: whole.len() });
        };
        let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let Some((unit, rest)) = rest.split_at_checked(length) else {
            return Err(Overrun { length, left: rest.len() });
        };
        self.rest = rest;
        Ok(unit)
    }
}

/// Position of the first `00 00 01` in `bytes`.
fn find_start_code(bytes: &[u8]) -> Option<usize> {
    // Steps over three bytes at a time: the third byte of a start code is at most 1.
    let mut at = 0;
    loop {
        match bytes.get(at..at + 3)? {
            [0, 0, 1] => return Some(at),
            [_, _, last] if *last > 1 => at += 3,
            _ => at += 1,
        }
    }
}

/// What follows the first start code of `bytes`, with or without leading zeros.
fn after_start_code(bytes: &[u8]) -> &[u8] {
    find_start_code(bytes).and_then(|at| bytes.get(at + 3..)).unwrap_or_default()
}

/// `frame` with 4-byte lengths and without empty NAL units, copied.
pub(crate) fn reframe(frame: &[u8], framing: Framing) -> Result<Bytes, Overrun> {
    let mut bytes = 0;
    for unit in units(frame, framing) {
        bytes += 4 + unit?.len();
    }
    let mut out = BytesMut::with_capacity(bytes);
    for unit in units(frame, framing) {
        let unit = unit?;
        if let (Ok(length), false) = (u32::try_from(unit.len()), unit.is_empty()) {
            out.put_u32(length);
            out.put_slice(unit);
        }
    }
    Ok(out.freeze())
}

/// The payload bytes of a NAL unit without its emulation prevention bytes (H.264 §7.4.1.1): a 3
/// after two zeros.
pub(crate) fn unescaped(payload: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut zeros = 0_u8;
    payload.iter().copied().filter(move |byte| {
        let escape = zeros >= 2 && *byte == 3;
        zeros = if *byte == 0 { zeros.saturating_add(1) } else { 0 };
        !escape
    })
}

#[cfg(test)]
#[path = "nal_test.rs"]
mod tests;
