//! What every room shares: time types, identifiers, error kinds, the seams for clock and chance.
//!
//! It knows nothing of media, files, sockets or HTTP, and it never reads the ambient clock or chance.

mod clock;
mod error;
mod name;
mod number;
mod random;
mod time;

pub use clock::{Clock, ManualClock};
pub use error::ErrorKind;
pub use name::{InvalidStreamName, StreamName};
pub use number::FragmentNumber;
pub use random::{PredictableRandom, Random};
pub use time::{InvalidTime, MediaTime, WallTime};
