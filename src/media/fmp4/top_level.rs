//! Headers of the boxes that an input consists of, as they arrive.
//!
//! What is done with a box is for `demux` to say.

use super::boxes::{Header, Kind, broken, name};
use super::window::Window;
use crate::{Error, Fault};

/// Largest box that is skipped. One that claims more would keep a connection busy for nothing.
const MAX_SKIPPED_BYTES: u64 = 1 << 30;

/// Boxes that a file, a segment or a fragment may begin with.
const FIRST_BOXES: [&Kind; 16] = [
    b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx", b"ssix", b"emsg",
    b"prft", b"uuid", b"pdin", b"meta", b"pnot",
];

/// A box whose header has been read.
#[derive(Debug, Clone, Copy)]
pub(super) struct TopLevel {
    pub(super) kind: Kind,
    /// How long its content is; none if it extends to the end of the input.
    pub(super) content: Option<u64>,
    /// Where it ends in the input.
    pub(super) end: Option<u64>,
}

/// Reads the header that comes next; if it has not all arrived, gives what is known of its type.
pub(super) fn read_top_level(window: &mut Window) -> Result<Result<TopLevel, Kind>, Error> {
    let mut bytes = [0; Header::MAX_BYTES];
    let filled = window.peek(&mut bytes);
    let offset = window.position();
    let Some(header) = Header::read(bytes.get(..filled).unwrap_or_default()) else {
        let kind = [bytes[4], bytes[5], bytes[6], bytes[7]];
        return Ok(Err(if filled < 8 { *b"next" } else { kind }));
    };
    let kind = header.kind;
    check_kind(kind, offset)?;
    let too_small = || broken(offset, format!("the {} box is shorter than a header", name(kind)));
    let too_large = || broken(offset, format!("the {} box ends beyond 2^64 bytes", name(kind)));
    let (content, end) = match header.size {
        None => (None, None),
        Some(size) => (
            Some(size.checked_sub(header.bytes as u64).ok_or_else(too_small)?),
            Some(offset.checked_add(size).ok_or_else(too_large)?),
        ),
    };
    window.skip(header.bytes as u64);
    Ok(Ok(TopLevel { kind, content, end }))
}

/// The length of a box that is read as a whole and may have at most `most` bytes.
pub(super) fn collected_bytes(
    kind: Kind,
    offset: u64,
    content: Option<u64>,
    most: u64,
) -> Result<usize, Error> {
    let Some(content) = content else {
        return Err(broken(offset, format!("the {} box does not say how long it is", name(kind))));
    };
    if content > most {
        return Err(Error::new(
            Fault::Limit,
            offset,
            format!("the {} box has {content} bytes, at most {most} are read", name(kind)),
        ));
    }
    Ok(content as usize)
}

/// Refuses to skip a box that is larger than any that says something about media.
pub(super) fn check_skipped(kind: Kind, offset: u64, content: Option<u64>) -> Result<(), Error> {
    if content.is_none_or(|bytes| bytes <= MAX_SKIPPED_BYTES) {
        return Ok(());
    }
    Err(Error::new(
        Fault::Limit,
        offset,
        format!("the {} box has more than {MAX_SKIPPED_BYTES} bytes", name(kind)),
    ))
}

/// Refuses what cannot be a box: at the beginning anything unknown, later anything that is not
/// written in letters.
fn check_kind(kind: Kind, offset: u64) -> Result<(), Error> {
    if offset == 0 && !FIRST_BOXES.contains(&&kind) {
        return Err(broken(0, "the input does not begin like an MP4 file"));
    }
    if kind.iter().all(|&byte| matches!(byte, b' '..=b'~' | 0xa9)) {
        return Ok(());
    }
    Err(broken(offset, format!("no box can be of the type {}", name(kind))))
}
