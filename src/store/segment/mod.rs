//! Segment files: appending to the open one, sealing it, reading sealed ones, and finding out
//! what a crash left.
//!
//! Streams, queues and the index are unknown here.

mod appender;
mod payload;
mod recovery;
mod seal;
mod sealed;
mod stops;

pub(crate) use appender::{Append, AppendFailed, Appended, Appender, Bounds};
pub(crate) use payload::{PIECE_BYTES, Placed, ReadFailed, read_decrypted, read_record};
pub(crate) use recovery::{Payloads, Recovered, Unusable, recover};
pub(crate) use seal::{Sealing, seal};
pub(crate) use sealed::{Segment as Sealed, find_entry, fragments_of, open_failed};
pub(crate) use stops::read_stops;
