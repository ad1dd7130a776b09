//! Elements as bytes: the writing half of EBML's grammar (RFC 8794).
//!
//! It knows how an element is written, not which elements belong where.

use super::id::Id;

/// A size of eight bytes whose value bits are all set: unknown (RFC 8794 §6.2).
pub(super) const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

/// Elements one behind another.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    /// An element ID alone.
    pub(super) fn id(&mut self, id: Id) {
        let length = id_length(id);
        self.bytes.extend(id.0.to_be_bytes().iter().skip(4 - length));
    }

    /// A variable-size integer, as short as its value allows.
    pub(super) fn vint(&mut self, value: u64) {
        let length = vint_length(value);
        let marked = value | 1 << (7 * length);
        self.bytes.extend(marked.to_be_bytes().iter().skip(8 - length));
    }

    /// An ID and a size, before the data.
    pub(super) fn open(&mut self, id: Id, size: u64) {
        self.id(id);
        self.vint(size);
    }

    /// An element of raw bytes.
    pub(super) fn binary(&mut self, id: Id, data: &[u8]) {
        self.open(id, data.len() as u64);
        self.bytes.extend_from_slice(data);
    }

    /// A text element; nothing if it is empty.
    pub(super) fn text(&mut self, id: Id, text: &str) {
        if !text.is_empty() {
            self.binary(id, text.as_bytes());
        }
    }

    /// An unsigned integer in as few bytes as it needs, at least one.
    pub(super) fn uint(&mut self, id: Id, value: u64) {
        let length = uint_length(value);
        self.open(id, length as u64);
        self.bytes.extend(value.to_be_bytes().iter().skip(8 - length));
    }

    /// A signed integer in eight bytes.
    pub(super) fn int(&mut self, id: Id, value: i64) {
        self.binary(id, &value.to_be_bytes());
    }

    /// A float of eight bytes.
    pub(super) fn float(&mut self, id: Id, value: f64) {
        self.binary(id, &value.to_be_bytes());
    }

    /// An element that holds others.
    pub(super) fn master(&mut self, id: Id, children: Self) {
        self.binary(id, &children.bytes);
    }
}

/// Bytes of an ID.
pub(super) const fn id_length(id: Id) -> usize {
    4 - id.0.leading_zeros() as usize / 8
}

/// Bytes of a variable-size integer. All value bits set would mean unknown, so such a value takes
/// one byte more.
pub(super) const fn vint_length(value: u64) -> usize {
    let mut length = 1;
    while length < 8 && value >= (1 << (7 * length)) - 1 {
        length += 1;
    }
    length
}

/// Bytes of an unsigned integer.
pub(super) const fn uint_length(value: u64) -> usize {
    let bits = 64 - value.leading_zeros() as usize;
    if bits == 0 { 1 } else { bits.div_ceil(8) }
}
