//! Durable, time-indexed store of immutable fragments, with a live tail in memory.
//!
//! Payloads and codec configurations are opaque bytes here: the store never parses media. It is
//! the only room that opens data files.

mod error;
mod fragment;
mod store;
mod stream;
mod tail;
mod writer;

pub use error::Error;
pub use fragment::{Axis, ConfigurationId, Cursor, Flags, Fragment, Query, Run, State};
pub use store::{Options, Store};
pub use stream::{Stream, Summary, Tail};
pub use tail::{OpenFragment, Part};
pub use writer::{Begin, Begun, Durable, Finish, Finished, StreamWriter};
