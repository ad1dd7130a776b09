//! The named limits of the Matroska reader. Whatever the input claims, memory stays below them.
//!
//! It knows no bytes; the modules that enforce a limit name it in their errors.

/// Longest EBML header. Real ones have 30 to 50 bytes.
pub const MAX_EBML_HEADER_BYTES: u64 = 4 * 1024;

/// Longest Info, Tracks or Tags element, which are gathered whole before they are read. Twice
/// what [`crate::Tag`]'s own limits let one fragment keep, and room for large CodecPrivates.
pub const MAX_HEADER_ELEMENT_BYTES: u64 = 2 * 1024 * 1024;

/// Longest SimpleBlock or Block: a little above the largest fragment that ingest takes.
pub const MAX_BLOCK_BYTES: u64 = 64 * 1024 * 1024;

/// Most frames in one lace: the format's own limit, one byte that counts from one
/// (RFC 9559 §10.3).
pub const MAX_LACED_FRAMES: usize = 256;

/// Most tracks in one Tracks element. Films with every subtitle language stay below a hundred.
pub const MAX_TRACKS: usize = 128;

/// Longest CodecPrivate. Those of H.264 and H.265 have some hundred bytes, Vorbis some thousand.
pub const MAX_CODEC_PRIVATE_BYTES: usize = 1024 * 1024;

/// Longest CodecID, track name or language.
pub const MAX_TEXT_BYTES: usize = 1024;

/// Longest prefix that header-stripping compression puts back in front of every frame. Real ones
/// have one to four bytes; the limit keeps a tiny frame from growing at will.
pub const MAX_STRIPPED_HEADER_BYTES: usize = 256;

/// Deepest nesting of elements inside Info, Tracks or Tags (SimpleTags may nest at will).
pub const MAX_NESTING: usize = 16;

/// Most SimpleTags, nested ones included, in one Tags element.
pub const MAX_TAGS: usize = 1024;

/// A frame shorter than its chunk divided by this is copied out instead of sliced. It bounds what
/// a kept frame can hold in memory to this many times its own size (see `input`).
pub const PIN_RATIO: usize = 32;

/// How much is reserved at once for an element that spans chunks; an element that claims more gets
/// the rest once it has sent this much. A mere claim thus costs no more than this.
pub const GATHER_RESERVE_BYTES: usize = 4 * 1024 * 1024;
