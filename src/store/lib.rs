//! Durable, time-indexed store of immutable fragments, with a live tail in memory.
//!
//! Payloads and codec configurations are opaque bytes here: the store never parses media. It is
//! the only room that opens data files. `FORMAT.md` describes those files byte by byte.

mod arrival;
mod cache;
mod commit;
mod configurations;
mod deleted;
mod disk;
mod duplicates;
mod error;
mod folder;
mod format;
mod fragment;
mod index;
mod keeper;
mod keys;
mod lane;
mod ledger;
mod open;
mod options;
mod payload;
mod query;
mod reading;
mod rebuild;
mod report;
mod retention;
mod segment;
mod segments;
mod state;
mod statistics;
mod store;
mod stream;
mod submission;
mod sync;
mod tail;
mod takeover;
mod timeline;
mod verified;
mod verify;
mod volume;
mod workers;
mod writer;

pub use arrival::Arrival;
pub use disk::{Disk, DiskFile, Listed, ListedKind, LocalDisk, Room};
pub use error::Error;
pub use fragment::{Axis, ConfigurationId, Cursor, Flags, Fragment, Query, Run, State};
pub use keys::{Fingerprint, Keyring, Secret};
pub use ledger::{Cause, Gap, Stop};
pub use options::Options;
pub use payload::Payload;
pub use reading::Tail;
pub use rebuild::{Rebuilt, rebuild_index};
pub use report::{Damage, Foreign, OutOfService, Recovery};
pub use retention::{Pressure, Space};
pub use statistics::Statistics;
pub use store::Store;
pub use stream::{Stream, Summary};
pub use submission::{Begin, Begun, Durable, Finish, Finished};
pub use tail::{OpenFragment, Part};
pub use timeline::{Absence, GapQuery, Timeline};
pub use verify::{Verification, verify};
pub use volume::Health;
pub use writer::StreamWriter;
