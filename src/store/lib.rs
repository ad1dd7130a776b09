//! Durable, time-indexed store of immutable fragments, with a live tail in memory.
//!
//! Payloads and codec configurations are opaque bytes here: the store never parses media. It is
//! the only room that opens data files. `FORMAT.md` describes those files byte by byte.

mod commit;
mod configurations;
mod disk;
mod duplicates;
mod error;
mod folder;
mod format;
mod fragment;
mod index;
mod keeper;
mod open;
mod query;
mod report;
mod segment;
mod segments;
mod state;
mod statistics;
mod store;
mod stream;
mod sync;
mod tail;
mod takeover;
mod volume;
mod writer;

pub use disk::{Disk, DiskFile, LocalDisk};
pub use error::Error;
pub use fragment::{Axis, ConfigurationId, Cursor, Flags, Fragment, Query, Run, State};
pub use report::{Damage, Recovery};
pub use statistics::Statistics;
pub use store::{Options, Store};
pub use stream::{Stream, Summary, Tail};
pub use tail::{OpenFragment, Part};
pub use volume::Health;
pub use writer::{Begin, Begun, Durable, Finish, Finished, StreamWriter};
