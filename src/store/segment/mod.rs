//! Segment files: appending to the open one, sealing it, reading sealed ones, and finding out
//! what a crash left.
//!
//! Streams, queues and the index are unknown here.

mod appender;
mod payload;
mod recovery;
mod salvage;
mod seal;
mod sealed;
mod stops;

pub(crate) use appender::{Append, AppendFailed, Appended, Appender, Bounds};
pub(crate) use payload::{
    PIECE_BYTES, Placed, ReadFailed, is_stored_whole, read_configuration, read_decrypted, read_record,
};
pub(crate) use recovery::{Flaw, Payloads, Recovered, Unusable, find_record, recover};
pub(crate) use salvage::recover_headless;
pub(crate) use seal::{Sealing, seal};
pub(crate) use sealed::{LoadFailed, Segment as Sealed, find_entry, fragments_of, open_failed};
pub(crate) use stops::read_stops;
