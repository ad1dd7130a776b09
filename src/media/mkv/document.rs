//! The EBML header and the Segment's Info: whether we can read this document, and its clock.
//!
//! It knows nothing of tracks or blocks.

use super::ebml::Elements;
use super::id::Id;
use crate::{Error, Fault};

/// Nanoseconds per Segment tick where Info does not say (RFC 9559 §5.1.2.9).
pub(super) const DEFAULT_TIMESTAMP_SCALE_NS: u64 = 1_000_000;

/// Longest Segment tick: beyond an hour it is no clock, and times stay within 128 bits.
pub(super) const MAX_TIMESTAMP_SCALE_NS: u64 = 3_600_000_000_000;

/// Newest DocTypeReadVersion that we know (RFC 9559 §4.2).
const DOC_TYPE_READ_VERSION: u64 = 4;

/// Checks the EBML header `data`, whose element begins at `offset` and whose data at `start`.
pub(super) fn check_ebml_header(data: &[u8], offset: u64, start: u64) -> Result<(), Error> {
    let mut doc_type = None;
    for child in Elements::new(Id::EBML, data, start) {
        let child = child?;
        let unsupported = |what: String| Err(child.error(Fault::Unsupported, &what));
        match child.id {
            Id::EBML_READ_VERSION if child.uint()? > 1 => {
                return unsupported(format!("is {}; only EBML version 1 exists", child.uint()?));
            }
            Id::EBML_MAX_ID_LENGTH if child.uint()? > 4 => {
                return unsupported(format!("is {}; IDs of at most 4 bytes are supported", child.uint()?));
            }
            Id::EBML_MAX_SIZE_LENGTH if child.uint()? > 8 => {
                return unsupported(format!("is {}; sizes of at most 8 bytes are supported", child.uint()?));
            }
            Id::DOC_TYPE_READ_VERSION if child.uint()? > DOC_TYPE_READ_VERSION => {
                return unsupported(format!(
                    "is {}; Matroska up to version {DOC_TYPE_READ_VERSION} is supported",
                    child.uint()?
                ));
            }
            Id::DOC_TYPE => doc_type = Some((child.text(64)?, child.offset)),
            _ => {}
        }
    }
    match doc_type {
        Some((name, _)) if name == "matroska" || name == "webm" => Ok(()),
        Some((name, at)) => {
            Err(Error::new(Fault::Unsupported, at, format!("the DocType is '{}'", name.escape_debug()))
                .with_hint("send a document of type 'matroska' or 'webm'"))
        }
        None => Err(Error::new(Fault::Container, offset, "the EBML header names no DocType")
            .with_hint("send a document of type 'matroska' or 'webm'")),
    }
}

/// Reads Info's TimestampScale: nanoseconds per Segment tick.
pub(super) fn timestamp_scale_ns(data: &[u8], start: u64) -> Result<u64, Error> {
    let mut scale = DEFAULT_TIMESTAMP_SCALE_NS;
    for child in Elements::new(Id::INFO, data, start) {
        let child = child?;
        if child.id == Id::TIMESTAMP_SCALE {
            scale = child.uint()?;
            if scale == 0 || scale > MAX_TIMESTAMP_SCALE_NS {
                return Err(child
                    .error(Fault::Container, &format!("is {scale} ns; it must lie between 1 ns and one hour"))
                    .with_hint("1000000 (one millisecond) is usual"));
            }
        }
    }
    Ok(scale)
}
