//! EBML's grammar (RFC 8794): element headers, variable-size integers, and walking the children of
//! an element that lies in memory as a whole.
//!
//! It knows no Matroska semantics beyond the element names used in errors.

use super::id::Id;
use super::limit::MAX_NESTING;
use crate::{Error, Fault};

/// Longest element header: an ID of four bytes and a size of eight.
pub(super) const MAX_HEADER_BYTES: usize = 12;

/// An element's declared size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// This many bytes.
    Known(u64),
    /// All value bits set: it ends where an element begins that cannot be its child.
    Unknown,
}

/// An element header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: Id,
    pub(super) size: Size,
    /// Bytes of the header itself.
    pub(super) length: usize,
}

/// What the bytes at an element's beginning say so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    Header(Header),
    More,
    Invalid(&'static str),
}

/// Reads an element header from the front of `bytes`.
#[inline]
pub(super) fn header(bytes: &[u8]) -> Parsed {
    let Some(&first) = bytes.first() else { return Parsed::More };
    let id_length = first.leading_zeros() as usize + 1;
    if id_length > 4 {
        return Parsed::Invalid("no element ID begins with this byte");
    }
    let Some(id) = bytes.get(..id_length) else { return Parsed::More };
    let id = big_endian(id) as u32;
    // RFC 8794 §5: IDs with all value bits set are reserved.
    if id == (1_u32 << (7 * id_length + 1)) - 1 {
        return Parsed::Invalid("this element ID is reserved");
    }
    let rest = bytes.get(id_length..).unwrap_or_default();
    match vint(rest) {
        Vint::Value { value, length, all_ones } => Parsed::Header(Header {
            id: Id(id),
            size: if all_ones { Size::Unknown } else { Size::Known(value) },
            length: id_length + length,
        }),
        Vint::More => Parsed::More,
        Vint::Invalid => Parsed::Invalid("its size is longer than eight bytes"),
    }
}

/// What the bytes at a variable-size integer's beginning say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vint {
    Value { value: u64, length: usize, all_ones: bool },
    More,
    Invalid,
}

/// Reads a variable-size integer (RFC 8794 §4) from the front of `bytes`.
#[inline]
pub(super) fn vint(bytes: &[u8]) -> Vint {
    let Some(&first) = bytes.first() else { return Vint::More };
    let length = first.leading_zeros() as usize + 1;
    if length > 8 {
        return Vint::Invalid;
    }
    let Some(raw) = bytes.get(..length) else { return Vint::More };
    let ones = (1_u64 << (7 * length)) - 1;
    let value = big_endian(raw) & ones;
    Vint::Value { value, length, all_ones: value == ones }
}

/// The unsigned big-endian integer in at most eight `bytes`.
#[inline]
pub(super) fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// A child element in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) id: Id,
    /// Where its header begins in the input.
    pub(super) offset: u64,
    /// Where its data begins in the input.
    pub(super) start: u64,
    pub(super) data: &'a [u8],
    depth: usize,
}

/// The children of an element in memory, in order; an error ends them.
pub(super) struct Elements<'a> {
    parent: Id,
    rest: &'a [u8],
    offset: u64,
    depth: usize,
}

impl<'a> Elements<'a> {
    /// The children of `parent`, whose data `data` begins at byte `offset` of the input.
    pub(super) fn new(parent: Id, data: &'a [u8], offset: u64) -> Self {
        Self { parent, rest: data, offset, depth: 1 }
    }

    fn read(&mut self) -> Result<Element<'a>, Error> {
        let parent = self.parent;
        let fail = |message: String| Err(Error::new(Fault::Container, self.offset, message));
        let header = match header(self.rest) {
            Parsed::Header(header) => header,
            Parsed::More => return fail(format!("the last element inside the {parent} is cut short")),
            Parsed::Invalid(why) => return fail(format!("{why}, inside the {parent}")),
        };
        let Size::Known(size) = header.size else {
            return fail(format!(
                "the {} has an unknown size, which only a Segment or a Cluster may have",
                header.id
            ));
        };
        let body = self.rest.get(header.length..).unwrap_or_default();
        let Some((data, rest)) = usize::try_from(size).ok().and_then(|size| body.split_at_checked(size))
        else {
            return fail(format!("the {} of {size} bytes is longer than the {parent} around it", header.id));
        };
        let start = self.offset + header.length as u64;
        let element = Element { id: header.id, offset: self.offset, start, data, depth: self.depth };
        self.rest = rest;
        self.offset = start + size;
        Ok(element)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let element = self.read();
        if element.is_err() {
            self.rest = &[];
        }
        Some(element)
    }
}

impl<'a> Element<'a> {
    /// The element's own children.
    pub(super) fn children(&self) -> Result<Elements<'a>, Error> {
        if self.depth >= MAX_NESTING {
            return Err(self.error(Fault::Limit, &format!("nests more than {MAX_NESTING} elements deep")));
        }
        Ok(Elements { parent: self.id, rest: self.data, offset: self.start, depth: self.depth + 1 })
    }

    /// An error about this element: `what` continues a sentence that begins with its name.
    pub(super) fn error(&self, fault: Fault, what: &str) -> Error {
        Error::new(fault, self.offset, format!("the {} {what}", self.id))
    }

    /// Its unsigned integer (RFC 8794 §7.2).
    pub(super) fn uint(&self) -> Result<u64, Error> {
        uint(self.data).ok_or_else(|| {
            self.error(
                Fault::Container,
                &format!("holds an integer of {} bytes; at most 8 are allowed", self.data.len()),
            )
        })
    }

    /// Its float of four or eight bytes; zero bytes mean 0.0 (§7.3).
    pub(super) fn float(&self) -> Result<f64, Error> {
        match *self.data {
            [] => Ok(0.0),
            [a, b, c, d] => Ok(f64::from(f32::from_be_bytes([a, b, c, d]))),
            [a, b, c, d, e, f, g, h] => Ok(f64::from_be_bytes([a, b, c, d, e, f, g, h])),
            _ => Err(self.error(
                Fault::Container,
                &format!("holds a float of {} bytes; 0, 4 or 8 are allowed", self.data.len()),
            )),
        }
    }

    /// Its text up to the first NUL (§7.4 and §7.5), at most `limit_bytes` long. Bytes that are no
    /// UTF-8 become replacement characters.
    pub(super) fn text(&self, limit_bytes: usize) -> Result<String, Error> {
        let end = self.data.iter().position(|&byte| byte == 0).unwrap_or(self.data.len());
        let text = String::from_utf8_lossy(self.data.get(..end).unwrap_or_default());
        if text.len() > limit_bytes {
            return Err(self.error(
                Fault::Limit,
                &format!("holds a text of {} bytes; at most {limit_bytes} are kept", text.len()),
            ));
        }
        Ok(text.into_owned())
    }
}

/// The unsigned integer in `data`, if it is short enough to be one.
pub(super) fn uint(data: &[u8]) -> Option<u64> {
    (data.len() <= 8).then(|| big_endian(data))
}
