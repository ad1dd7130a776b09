//! Appending boxes to a buffer: a box is opened, filled and closed, which sets its size.
//!
//! It does not know which boxes there are.

/// Writes the header of a box of `kind` and its content by `body`.
pub(super) fn boxed<R>(out: &mut Vec<u8>, kind: [u8; 4], body: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&kind);
    let result = body(out);
    // Only boxes of a few hundred bytes are written this way; see `mux` for the large ones.
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&size.to_be_bytes());
    }
    result
}

/// Writes a full box: `boxed` with a version and 24 bits of flags in front of the content.
pub(super) fn full_boxed<R>(
    out: &mut Vec<u8>,
    kind: [u8; 4],
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut Vec<u8>) -> R,
) -> R {
    boxed(out, kind, |out| {
        put_u32(out, u32::from(version) << 24 | flags & 0x00ff_ffff);
        body(out)
    })
}

/// Appends a big-endian `u16`.
pub(super) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a big-endian `u32`.
pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a big-endian `u64`.
pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}
