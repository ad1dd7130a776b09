//! A fragment's payload as a handle: small whatever the payload's size, read when and as far as a
//! reader takes it, from memory or disk, and never unchecked.
//!
//! What the bytes mean is unknown here, and nothing is kept between reads.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use kinora_base::ErrorKind;

use crate::error::is_unreadable;
use crate::segment::{PIECE_BYTES, Placed, ReadFailed, read_decrypted};
use crate::segments::Location;
use crate::sync::lock;
use crate::{Error, Fragment, Stream};

/// See the module. While the fragment is in memory the handle does not keep it there: a reader
/// that takes long finds the rest on disk. Once on disk, its file stays open.
#[derive(Debug, Clone)]
pub struct Payload {
    stream: Arc<Stream>,
    fragment: Fragment,
    /// Where it lies on disk, once that is known.
    location: OnceLock<Location>,
    /// The same, its record's header read.
    placed: OnceLock<Placed>,
}

#[expect(clippy::len_without_is_empty, reason = "a payload begins with a head; none is empty")]
impl Payload {
    /// A reader that streams asks for so many bytes at a time.
    pub const PIECE_BYTES: u64 = PIECE_BYTES;

    /// Up to this length a payload is better read [`whole`](Self::whole): several times what a
    /// fragment of a usual camera has.
    pub const WHOLE_BYTES: u64 = 1 << 20;

    /// The payload of `fragment`, which is in memory unless its `location` is known.
    pub(crate) fn new(stream: &Arc<Stream>, fragment: Fragment, location: Option<Location>) -> Self {
        let location = location.map(OnceLock::from).unwrap_or_default();
        Self { stream: Arc::clone(stream), fragment, location, placed: OnceLock::new() }
    }

    /// The fragment that it is the payload of.
    #[must_use]
    pub fn fragment(&self) -> &Fragment {
        &self.fragment
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::from(self.fragment.bytes)
    }

    /// All of it: in the pieces it was written in, shared with other readers, while it is in
    /// memory, else read from disk and checked in one go. Blocks.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn whole(&self) -> Result<Vec<Bytes>, Error> {
        if let Some((_, pieces)) = self.in_memory(&(0..self.len()))? {
            return Ok(pieces);
        }
        let at = self.location()?;
        let place = (at.offset, self.fragment.bytes);
        let (record, payload) = read_decrypted(at.file.as_ref(), at.segment, place, &self.stream.keys)
            .map_err(|why| self.failed(why))?;
        self.is_this(record.number)?;
        Ok(vec![payload])
    }

    /// The bytes in `range`, which is cut to the payload's length, from memory or disk: blocks.
    /// Before the first byte comes from disk, all of the payload is read piece by piece and its
    /// checksum verified, unless that was done lately; of one that is encrypted only the chunks that
    /// hold the range are read, and their tags verified.
    ///
    /// # Errors
    /// `NotFound` if it is gone, `Corrupt` if it is damaged, `Unavailable` for input and output
    /// errors.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let end = range.end.min(self.len());
        let range = range.start.min(end)..end;
        if let Some(pieces) = self.in_memory(&range)? {
            return Ok(copy(&pieces, range));
        }
        let placed = self.placed()?;
        let (segment, offset) = (placed.record.segment, placed.record.offset);
        let verified = self.stream.volume.verified.once(segment, offset, || placed.verify());
        verified.and_then(|()| placed.read(range)).map_err(|why| self.failed(why))
    }

    /// The first `length` bytes, unchecked: only good to tell how long the head is. Blocks.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn peek(&self, length: u64) -> Result<Bytes, Error> {
        let range = 0..length.min(self.len());
        if let Some(pieces) = self.in_memory(&range)? {
            return Ok(copy(&pieces, range));
        }
        self.placed()?.read(range).map_err(|why| self.failed(why))
    }

    /// The head (see [`crate::Finish::head`]), which is the first `length` bytes, checked without
    /// reading what follows it. Blocks.
    ///
    /// # Errors
    /// As [`Self::read`]; `Corrupt` also if the head is not of that length.
    pub fn head(&self, length: u64) -> Result<Bytes, Error> {
        let head = self.peek(length)?;
        let content_bytes = self.len().saturating_sub(length);
        // Of what is in memory nothing can have changed.
        if let Some(placed) = self.placed.get()
            && !placed.has_head(&head, content_bytes)
        {
            return Err(self.damaged("the record has a head that fails its checksum"));
        }
        Ok(head)
    }

    /// Of the pieces, those that overlap `range`, and where the first of them begins; nothing if it
    /// is known to be on disk or not in memory.
    fn in_memory(&self, range: &Range<u64>) -> Result<Option<(u64, Vec<Bytes>)>, Error> {
        if self.location.get().is_some() {
            return Ok(None);
        }
        let state = lock(&self.stream.state);
        self.stream.exists(&state)?;
        Ok(state.payload(self.fragment.number).map(|pieces| overlapping(pieces, range)))
    }

    fn location(&self) -> Result<&Location, Error> {
        if let Some(location) = self.location.get() {
            return Ok(location);
        }
        let found = self.stream.locate(self.fragment.number)?;
        Ok(self.location.get_or_init(|| found))
    }

    fn placed(&self) -> Result<&Placed, Error> {
        if let Some(placed) = self.placed.get() {
            return Ok(placed);
        }
        let at = self.location()?;
        let place = (at.offset, self.fragment.bytes);
        let placed =
            Placed::open(&at.file, at.segment, place, &self.stream.keys).map_err(|why| self.failed(why))?;
        self.is_this(placed.record.number)?;
        Ok(self.placed.get_or_init(|| placed))
    }

    fn is_this(&self, number: u64) -> Result<(), Error> {
        if number == self.fragment.number.get() {
            return Ok(());
        }
        Err(self.damaged(&format!("its place holds {number}")))
    }

    fn damaged(&self, reason: &str) -> Error {
        let (number, name) = (self.fragment.number, self.stream.name());
        Error::new(ErrorKind::Corrupt, format!("fragment {number} of stream '{name}' is damaged: {reason}"))
    }

    /// Makes it known that the fragment is lost.
    fn quarantine(&self, reason: String) {
        if let Some(location) = self.location.get() {
            self.stream.quarantine_fragment(location, reason);
        }
    }

    fn failed(&self, why: ReadFailed) -> Error {
        match why {
            ReadFailed::Damaged(reason) => {
                self.quarantine(format!("the record {reason}"));
                self.damaged(&format!("the record {reason}"))
            }
            ReadFailed::Io(error) if is_unreadable(&error) => {
                self.quarantine("the record cannot be read from the disk".to_owned());
                self.damaged("the record cannot be read from the disk")
            }
            ReadFailed::Io(error) => {
                let (number, name) = (self.fragment.number, self.stream.name());
                let message = format!("cannot read fragment {number} of stream '{name}': {error}");
                Error::new(ErrorKind::Unavailable, message)
            }
        }
    }
}

/// The pieces that hold bytes of `range`, and where the first of them begins.
fn overlapping(pieces: &[Bytes], range: &Range<u64>) -> (u64, Vec<Bytes>) {
    let (mut start, mut end, mut found) = (0, 0_u64, Vec::new());
    for piece in pieces {
        let begins = end;
        end = end.saturating_add(piece.len() as u64);
        if begins < range.end && range.start < end {
            start = if found.is_empty() { begins } else { start };
            found.push(piece.clone());
        }
    }
    (start, found)
}

/// The bytes in `range` of `pieces`, the first of which begins at `start`: copied, since a slice
/// would keep all of its piece in memory.
fn copy((start, pieces): &(u64, Vec<Bytes>), range: Range<u64>) -> Bytes {
    let mut skip = range.start.saturating_sub(*start) as usize;
    let mut missing = range.end.saturating_sub(range.start) as usize;
    let mut copied = BytesMut::with_capacity(missing);
    for piece in pieces {
        let to = piece.len().min(skip.saturating_add(missing));
        copied.extend_from_slice(piece.get(skip..to).unwrap_or_default());
        missing -= to - skip;
        skip = 0;
    }
    copied.freeze()
}
