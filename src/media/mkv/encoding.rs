//! ContentEncodings: header-stripping compression, which takes the same first bytes off every
//! frame (RFC 9559 §5.1.4.1.31).
//!
//! It undoes nothing else: other compressions and encryption are refused by name.

use bytes::{BufMut, Bytes, BytesMut};

use super::ebml::Element;
use super::id::Id;
use super::limit::MAX_STRIPPED_HEADER_BYTES;
use crate::{Error, Fault};

/// The bytes to put back.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Stripped {
    /// In front of every frame.
    pub(super) frames: Bytes,
    /// In front of CodecPrivate.
    pub(super) private: Bytes,
}

/// `data` with the stripped bytes in front again.
pub(super) fn restore(prefix: &Bytes, data: Bytes) -> Bytes {
    if prefix.is_empty() {
        return data;
    }
    let mut whole = BytesMut::with_capacity(prefix.len() + data.len());
    whole.put_slice(prefix);
    whole.put_slice(&data);
    whole.freeze()
}

/// Reads a ContentEncodings element.
pub(super) fn parse(element: &Element<'_>) -> Result<Stripped, Error> {
    let mut layers = Vec::new();
    for child in element.children()? {
        let child = child?;
        if child.id == Id::CONTENT_ENCODING {
            layers.push(layer(&child)?);
        }
    }
    // The writer applied the layers in rising order, so the lowest is the outermost prefix.
    layers.sort_by_key(|layer| layer.order);
    let mut stripped = Stripped::default();
    for layer in layers {
        const FRAMES: u64 = 1;
        const PRIVATE: u64 = 2;
        let scoped = [(FRAMES, &mut stripped.frames), (PRIVATE, &mut stripped.private)];
        for (bit, prefix) in scoped {
            if layer.scope & bit == 0 {
                continue;
            }
            let length = prefix.len() + layer.prefix.len();
            if length > MAX_STRIPPED_HEADER_BYTES {
                let what =
                    format!("strips {length} bytes off; at most {MAX_STRIPPED_HEADER_BYTES} are put back");
                return Err(element.error(Fault::Limit, &what));
            }
            *prefix = restore(prefix, Bytes::copy_from_slice(layer.prefix));
        }
    }
    Ok(stripped)
}

struct Layer<'a> {
    order: u64,
    scope: u64,
    prefix: &'a [u8],
}

fn layer<'a>(element: &Element<'a>) -> Result<Layer<'a>, Error> {
    // The defaults of the specification: order 0, all frames, compression, zlib.
    let mut layer = Layer { order: 0, scope: 1, prefix: &[] };
    let mut encrypted = false;
    let mut algorithm = 0;
    for child in element.children()? {
        let child = child?;
        match child.id {
            Id::CONTENT_ENCODING_ORDER => layer.order = child.uint()?,
            Id::CONTENT_ENCODING_SCOPE => layer.scope = child.uint()?,
            Id::CONTENT_ENCODING_TYPE => encrypted = child.uint()? == 1,
            Id::CONTENT_ENCRYPTION => encrypted = true,
            Id::CONTENT_COMPRESSION => {
                for part in child.children()? {
                    let part = part?;
                    match part.id {
                        Id::CONTENT_COMP_ALGO => algorithm = part.uint()?,
                        Id::CONTENT_COMP_SETTINGS => layer.prefix = part.data,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if encrypted {
        return Err(element
            .error(Fault::Unsupported, "says that the track is encrypted")
            .with_hint("send the track in the clear, over TLS"));
    }
    let name = match algorithm {
        3 => return Ok(layer),
        0 => "zlib",
        1 => "bzlib",
        2 => "lzo1x",
        _ => "an unknown algorithm",
    };
    Err(element
        .error(Fault::Unsupported, &format!("says that the track is compressed with {name}"))
        .with_hint("write the file without track compression (mkvmerge: --compression -1:none)"))
}
