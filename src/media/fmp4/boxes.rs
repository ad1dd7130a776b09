//! Boxes as bytes: walking them and reading their fields in place, and the one place that calls
//! the `mp4-atom` crate for the small boxes that have a fixed form.
//!
//! `mp4-atom` is handed single leaf boxes out of a `moov` or `moof` whose size was capped before.
//! It never sees an `mdat`, a sample table or a `trun`: their entries are read where they lie
//! instead of being copied into structs, so a hostile count costs nothing.

use mp4_atom::{Atom, Encode};

use crate::{Error, Fault};

/// A box's four-character code.
pub(super) type Kind = [u8; 4];

/// The code as text for messages.
pub(super) fn name(kind: Kind) -> String {
    kind.escape_ascii().to_string()
}

/// The input breaks the grammar of boxes at `offset`.
pub(super) fn broken(offset: u64, message: impl Into<String>) -> Error {
    Error::new(Fault::Container, offset, message)
}

/// A box inside bytes that are all there.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoxRef<'a> {
    /// Its four-character code.
    pub(super) kind: Kind,
    /// Where its header begins in the input.
    pub(super) offset: u64,
    /// What follows its header.
    pub(super) body: &'a [u8],
    /// Where `body` begins in the input.
    pub(super) body_offset: u64,
}

/// The boxes that `body` consists of, in order. A rest too short for a header is padding, which
/// QuickTime writers leave.
#[derive(Debug, Clone)]
pub(super) struct Children<'a> {
    body: &'a [u8],
    offset: u64,
}

impl<'a> BoxRef<'a> {
    /// The boxes inside it.
    pub(super) const fn children(&self) -> Children<'a> {
        Children { body: self.body, offset: self.body_offset }
    }

    /// The first box of `kind` inside it.
    pub(super) fn find(&self, kind: Kind) -> Result<Option<BoxRef<'a>>, Error> {
        self.children().find(kind)
    }

    /// The first box of `kind` inside it, which must be there.
    pub(super) fn require(&self, kind: Kind) -> Result<BoxRef<'a>, Error> {
        self.find(kind)?.ok_or_else(|| {
            broken(self.offset, format!("the {} box has no {} box", name(self.kind), name(kind)))
        })
    }

    /// Its content as fields.
    pub(super) const fn fields(&self) -> Fields<'a> {
        Fields { kind: self.kind, offset: self.offset, rest: self.body }
    }

    /// Its content, decoded by `mp4-atom`. What follows the known fields is ignored.
    pub(super) fn decode<T: Atom>(&self) -> Result<T, Error> {
        let mut body = self.body;
        T::decode_body(&mut body)
            .map_err(|e| broken(self.offset, format!("the {} box cannot be read: {e}", name(self.kind))))
    }
}

impl<'a> Children<'a> {
    pub(super) const fn new(body: &'a [u8], offset: u64) -> Self {
        Self { body, offset }
    }

    /// The first box of `kind`.
    pub(super) fn find(mut self, kind: Kind) -> Result<Option<BoxRef<'a>>, Error> {
        self.try_find(|child| child.as_ref().map_or(true, |child| child.kind == kind))
    }

    fn try_find(
        &mut self,
        mut wanted: impl FnMut(&Result<BoxRef<'a>, Error>) -> bool,
    ) -> Result<Option<BoxRef<'a>>, Error> {
        Iterator::find(self, |child| wanted(child)).transpose()
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Result<BoxRef<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let header = Header::read(self.body)?;
        let left = self.body.len() as u64;
        let offset = self.offset;
        // A zero size means up to the parent's end, and a zero size without a kind is QuickTime's
        // end mark.
        if header.size == Some(0) || (header.kind == [0; 4] && header.size.is_none()) {
            self.body = &[];
            return (header.kind != [0; 4]).then(|| {
                Err(broken(offset, format!("the {} box is shorter than a header", name(header.kind))))
            });
        }
        let size = header.size.unwrap_or(left);
        let whole = usize::try_from(size).ok().and_then(|size| self.body.split_at_checked(size));
        let Some((whole, rest)) = whole else {
            self.body = &[];
            return Some(Err(broken(
                offset,
                format!("the {} box claims {size} bytes where {left} are left", name(header.kind)),
            )));
        };
        self.body = rest;
        self.offset += size;
        let body = whole.get(header.bytes..).unwrap_or_default();
        Some(Ok(BoxRef { kind: header.kind, offset, body, body_offset: offset + header.bytes as u64 }))
    }
}

/// A box header (§4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Size of the box with its header; none if it extends to the end of whatever holds it; 0 if
    /// it claims to be smaller than its own header.
    pub(super) size: Option<u64>,
    /// How long the header itself is: 8 or 16.
    pub(super) bytes: usize,
}

impl Header {
    /// Most bytes that a header takes.
    pub(super) const MAX_BYTES: usize = 16;

    /// The header that `bytes` begin with; none if more bytes are needed.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[s0, s1, s2, s3, k0, k1, k2, k3], rest) = bytes.split_first_chunk::<8>()?;
        let kind = [k0, k1, k2, k3];
        match u32::from_be_bytes([s0, s1, s2, s3]) {
            0 => Some(Self { kind, size: None, bytes: 8 }),
            1 => {
                let size = u64::from_be_bytes(*rest.first_chunk::<8>()?);
                Some(Self { kind, size: Some(if size < 16 { 0 } else { size }), bytes: 16 })
            }
            size => Some(Self { kind, size: Some(if size < 8 { 0 } else { size.into() }), bytes: 8 }),
        }
    }
}

/// Big-endian fields, read one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    kind: Kind,
    offset: u64,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let Some((array, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(broken(self.offset, format!("the {} box ends within its fields", name(self.kind))));
        };
        self.rest = rest;
        Ok(*array)
    }

    /// Version and flags of a full box.
    pub(super) fn version_and_flags(&mut self) -> Result<(u8, u32), Error> {
        let value = self.u32()?;
        Ok(((value >> 24) as u8, value & 0x00ff_ffff))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, Error> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn f64(&mut self) -> Result<f64, Error> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    pub(super) fn skip(&mut self, bytes: usize) -> Result<(), Error> {
        self.take(bytes).map(|_| ())
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8], Error> {
        let Some((taken, rest)) = self.rest.split_at_checked(bytes) else {
            return Err(broken(
                self.offset,
                format!("the {} box announces more than it holds", name(self.kind)),
            ));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// What has not been read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// Appends `atom` as a whole box.
pub(super) fn encode<T: Atom + Encode>(atom: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    atom.encode(out)
        .map_err(|e| Error::new(Fault::Limit, 0, format!("the {} box cannot be written: {e}", T::KIND)))
}
