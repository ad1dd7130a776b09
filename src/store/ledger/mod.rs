//! The ledger of absences: why media ended where it ended, and what that makes of the holes
//! between the runs of a stream's producer time.
//!
//! Only values here: files, the index and locks are unknown.

mod gap;
mod memory;
mod session;
mod stop;

pub use gap::Gap;
pub use stop::{Cause, Stop};

pub(crate) use gap::nearest;
pub(crate) use memory::Ledger;
pub(crate) use session::Session;
