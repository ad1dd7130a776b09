//! What every room shares: time types, identifiers, error kinds and the clock seam.
//!
//! It knows nothing of media, files, sockets or HTTP, and it never reads the ambient clock.

mod clock;
mod error;
mod name;
mod number;
mod time;

pub use clock::{Clock, ManualClock};
pub use error::ErrorKind;
pub use name::{InvalidStreamName, StreamName};
pub use number::FragmentNumber;
pub use time::{InvalidTime, MediaTime, WallTime};
